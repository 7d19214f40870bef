//! The env file on disk: locks it, backs it up, and replaces it atomically. Blocking.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use files::{is_absent, read_regular, reason};
use secret::clock::iso8601;

/// The endings of copies beside the file: a backup, and the file that a rollback replaced.
const BACKUP: &str = "bak";
const REPLACED: &str = "replaced";
/// The suffix of a new file before it replaces the env file.
const TEMPORARY: &str = "migration.tmp";
/// The suffix of the file that is locked on Windows.
const LOCK: &str = "migration.lock";

/// An env file that is locked against other migrations.
pub struct Held {
    /// The real path, with symbolic links followed.
    pub path: PathBuf,
    /// The content.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Holds the lock until it is dropped or the process ends.
    lock: File,
    /// Holds it on Windows, beside the file.
    _beside: Option<Beside>,
}

impl Held {
    /// Opens and locks the file at `path`; `None` if it does not exist.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let path = match real(path) {
            Ok(path) => path,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        // Checked before opening: opening a FIFO would wait for its writer.
        if !fs::metadata(&path)?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let lock = File::open(&path)?;
        let beside = hold(&path, &lock)?;
        // A killed process may have left such a file, which holds values.
        remove_temporary(&path)?;
        let bytes = read_regular(&path)?;
        Ok(bytes.map(|bytes| Self { path, bytes, lock, _beside: beside }))
    }

    /// Replaces the content by `bytes`, and keeps owner and mode. Fails if the file has changed since it was read.
    pub fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let temporary = Temporary::write(&self.path, bytes)?;
        temporary.belong_like(&self.lock.metadata()?)?;
        let now = read_regular(&self.path)?;
        if now.is_none_or(|now| *now != *self.bytes) {
            return Err(io::Error::other("it was changed meanwhile; nothing was done to it, run this again"));
        }
        temporary.become_file(&self.path)
    }

    /// Saves a backup beside the file and syncs it. Reuses the newest backup if it has the same content.
    pub fn back_up(&self, unix_ms: u64) -> io::Result<PathBuf> {
        if let Some(newest) = newest(&self.path)?
            && read_regular(&newest)?.is_some_and(|bytes| *bytes == *self.bytes)
        {
            return Ok(newest);
        }
        save(&self.path, &self.bytes, BACKUP, unix_ms)
    }
}

/// Locks the file against other migrations, until `file` and what is returned are dropped. On Windows a lock on the file itself would
/// keep this process from reading it again, so there one beside it is locked.
fn hold(path: &Path, file: &File) -> io::Result<Option<Beside>> {
    if cfg!(windows) { Beside::lock(path).map(Some) } else { alone(file).map(|()| None) }
}

fn alone(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another migration is editing it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A locked file beside the env file, which is removed again.
struct Beside {
    path: PathBuf,
    _file: File,
}

impl Beside {
    fn lock(env_file: &Path) -> io::Result<Self> {
        let path = named(env_file, LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
        alone(&file)?;
        Ok(Self { path, _file: file })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Another migration may hold a new one by that name: it has the right to it, and a lock file left behind does no harm.
        drop(fs::remove_file(&self.path));
    }
}

/// The real path, with symbolic links followed; without the prefix that Windows puts before it and that many programs do not
/// understand.
fn real(path: &Path) -> io::Result<PathBuf> {
    Ok(without_prefix(fs::canonicalize(path)?))
}

fn without_prefix(path: PathBuf) -> PathBuf {
    let plain = path.to_str().and_then(|text| text.strip_prefix(r"\\?\"));
    // Of a share, `\\?\UNC\host\…`, the prefix is a part of the path.
    let plain = plain.filter(|plain| plain.as_bytes().get(1) == Some(&b':')).map(PathBuf::from);
    plain.unwrap_or(path)
}

/// The result of restoring the env file.
pub struct Restored {
    /// The copy that was restored.
    pub backup: PathBuf,
    /// The copy of the file that was replaced, if its content was different.
    pub replaced: Option<PathBuf>,
}

/// Restores a copy of the env file at `path`: the one named `given`, or the newest backup. Saves the replaced file
/// first.
pub fn put_back(path: &Path, given: Option<&Path>, unix_ms: u64) -> io::Result<Restored> {
    let held = Held::open(path)?;
    let real = match &held {
        Some(held) => held.path.clone(),
        None => self::real(directory(path))?.join(path.file_name().unwrap_or_default()),
    };
    let backup = match given {
        Some(given) => chosen(&real, given)?,
        None => newest(&real)?.ok_or_else(|| io::Error::other("there is no backup beside it"))?,
    };
    let bytes = read_regular(&backup)?.ok_or_else(|| io::Error::other("there is no such backup"))?;
    let replaced = match &held {
        Some(held) if *held.bytes == *bytes => None,
        Some(held) => {
            let replaced = save(&held.path, &held.bytes, REPLACED, unix_ms)?;
            held.replace(&bytes)?;
            Some(replaced)
        }
        None => {
            Temporary::write(&real, &bytes)?.become_file(&real)?;
            None
        }
    };
    Ok(Restored { backup, replaced })
}

/// The copy of the env file at `real` that `given` names. Only copies that this module has made can be restored.
fn chosen(real: &Path, given: &Path) -> io::Result<PathBuf> {
    let backup = directory(real).join(given.file_name().unwrap_or_default());
    let elsewhere = match given.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => self::real(parent)? != directory(real),
        _ => false,
    };
    let is_own = |ending| time_of(real, &backup, ending).is_some();
    if elsewhere || !(is_own(BACKUP) || is_own(REPLACED)) {
        return Err(io::Error::other("what was given is not one of its backups"));
    }
    match fs::symlink_metadata(&backup) {
        Ok(metadata) if metadata.is_file() => Ok(backup),
        Ok(_) => Err(io::Error::other("the backup is not a regular file")),
        Err(error) if is_absent(&error) => Err(io::Error::other("there is no such backup")),
        Err(error) => Err(error),
    }
}

fn newest(real: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<(String, PathBuf)> = None;
    for entry in fs::read_dir(directory(real))? {
        let entry = entry?;
        let Some(time) = time_of(real, &entry.path(), BACKUP) else { continue };
        if entry.file_type()?.is_file() && newest.as_ref().is_none_or(|(newest, _)| *newest < time) {
            newest = Some((time, entry.path()));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// The time in the name of a copy of `real`: `<file>.<time>.<ending>`. All have the same length, so they sort as text.
fn time_of(real: &Path, copy: &Path, ending: &str) -> Option<String> {
    let (file, copy) = (real.file_name()?.to_str()?, copy.file_name()?.to_str()?);
    let time = copy.strip_prefix(file)?.strip_prefix('.')?.strip_suffix(ending)?.strip_suffix('.')?;
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    (shape == "00000000T000000.000Z").then(|| time.to_owned())
}

/// Writes a copy beside `real` under a new name, which it gets only once it is complete.
fn save(real: &Path, bytes: &[u8], ending: &str, mut unix_ms: u64) -> io::Result<PathBuf> {
    loop {
        let time = iso8601(unix_ms).replace(['-', ':'], "");
        let copy = named(real, &format!("{time}.{ending}"));
        if fs::symlink_metadata(&copy).is_err_and(|error| is_absent(&error)) {
            Temporary::write(real, bytes)?.become_file(&copy)?;
            return Ok(copy);
        }
        unix_ms += 1;
    }
}

/// `<file>.<suffix>` beside `real`.
fn named(real: &Path, suffix: &str) -> PathBuf {
    let mut name = real.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    directory(real).join(name)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn remove_temporary(real: &Path) -> io::Result<()> {
    match fs::remove_file(named(real, TEMPORARY)) {
        Err(error) if !is_absent(&error) => Err(unwritable(&error)),
        _ => Ok(()),
    }
}

fn unwritable(error: &io::Error) -> io::Error {
    io::Error::other(format!("its directory cannot be written: {}", reason(error)))
}

/// Writes a complete and synced new file that does not replace the env file yet. Only its owner may read it.
struct Temporary {
    path: PathBuf,
    file: File,
    in_place: bool,
}

impl Temporary {
    /// Each env file has one name for its new file, so that a file that a killed process left is found and replaced.
    /// The lock prevents that two processes use it at once.
    fn write(real: &Path, bytes: &[u8]) -> io::Result<Self> {
        remove_temporary(real)?;
        let path = named(real, TEMPORARY);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| unwritable(&error))?;
        let mut temporary = Self { path, file, in_place: false };
        temporary.file.write_all(bytes)?;
        temporary.file.sync_all()?;
        Ok(temporary)
    }

    #[cfg(unix)]
    fn belong_like(&self, other: &fs::Metadata) -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        let own = self.file.metadata()?;
        if (own.uid(), own.gid()) != (other.uid(), other.gid()) {
            let refused = |_| io::Error::other("its owner cannot be kept; run this as its owner");
            fchown(&self.file, Some(other.uid()), Some(other.gid())).map_err(refused)?;
        }
        self.file.set_permissions(other.permissions())?;
        self.file.sync_all()
    }

    #[cfg(not(unix))]
    fn belong_like(&self, _other: &fs::Metadata) -> io::Result<()> {
        Ok(())
    }

    fn become_file(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.in_place = true;
        // The new name is on disk only once its directory is synced.
        #[cfg(unix)]
        File::open(directory(path))?.sync_all()?;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.in_place {
            // The first error is reported. The next run replaces a file that is left behind.
            drop(fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(".env.dev");
        fs::write(&path, text).expect("written");
        (directory, path)
    }

    fn held(path: &Path) -> Held {
        Held::open(path).expect("readable").expect("there")
    }

    #[test]
    fn a_file_that_changed_is_not_replaced() {
        let (directory, path) = file("A=1\n");
        let held = held(&path);
        fs::write(&path, "A=1\nB=2\n").expect("written");
        assert!(held.replace(b"").expect_err("changed").to_string().contains("changed meanwhile"));
        assert_eq!(fs::read_to_string(&path).expect("read"), "A=1\nB=2\n");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_lock_beside_the_file_keeps_others_out_and_goes() {
        let (directory, path) = file("A=1\n");
        let first = Beside::lock(&path).expect("locked");
        assert!(Beside::lock(&path).is_err_and(|error| error.to_string().contains("another migration")));
        drop(first);
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
        Beside::lock(&path).expect("free again");
    }

    #[test]
    fn the_prefix_of_windows_is_not_shown() {
        let of = |path: &str| without_prefix(path.into()).to_string_lossy().into_owned();
        assert_eq!(of(r"\\?\C:\app\.env.dev"), r"C:\app\.env.dev");
        for other in [r"\\?\UNC\host\share\.env", "/app/.env", r"C:\app\.env", r"\\?\"] {
            assert_eq!(of(other), other);
        }
    }

    #[test]
    fn one_migration_at_a_time() {
        let (_directory, path) = file("A=1\n");
        let first = held(&path);
        assert!(Held::open(&path).is_err_and(|error| error.to_string().contains("another migration")));
        drop(first);
        held(&path);
    }

    #[test]
    fn an_equal_backup_is_not_made_twice_and_the_newest_goes_back() {
        let (_directory, path) = file("A=1\n");
        let first = held(&path).back_up(1_000).expect("saved");
        assert_eq!(held(&path).back_up(2_000).expect("saved"), first);
        held(&path).replace(b"B=2\n").expect("replaced");
        let second = held(&path).back_up(1_000).expect("saved");
        assert_ne!(first, second);
        held(&path).replace(b"").expect("replaced");
        assert_eq!(put_back(&path, None, 3_000).expect("restored").backup, second);
        assert_eq!(fs::read_to_string(&path).expect("read"), "B=2\n");
        let restored = put_back(&path, Some(&first), 4_000).expect("restored");
        assert_eq!(fs::read_to_string(restored.replaced.expect("saved")).expect("read"), "B=2\n");
        assert!(put_back(&path, Some(&first), 5_000).expect("restored").replaced.is_none());
        for other in [Path::new("/etc/passwd"), Path::new(".env.dev"), Path::new("..")] {
            assert!(put_back(&path, Some(other), 6_000).is_err());
        }
        fs::remove_file(&path).expect("removed");
        put_back(&path, Some(&first), 7_000).expect("restored");
        assert_eq!(fs::read_to_string(&path).expect("read"), "A=1\n");
    }

    #[cfg(unix)]
    #[test]
    fn modes_stay_links_are_followed_and_leftovers_are_replaced() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
        let (directory, path) = file("A=1\n");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
        let link = directory.path().join("link");
        symlink(&path, &link).expect("linked");
        fs::write(named(&path, TEMPORARY), "left by a killed process").expect("written");
        let held = held(&link);
        assert!(!named(&path, TEMPORARY).exists());
        let backup = held.back_up(1_000).expect("saved");
        held.replace(b"B=2\n").expect("replaced");
        assert_eq!((mode(&path), mode(&backup)), (0o640, 0o600));
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read_to_string(&path).expect("read"), "B=2\n");
        assert!(!named(&path, TEMPORARY).exists());
    }
}
