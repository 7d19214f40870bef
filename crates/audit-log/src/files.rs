//! Opens regular files safely, and knows the names of a log's files.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Failure, Reason, Result};
use crate::time::file_stamp;

/// Identifies a file, even if another file has its name later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileId {
    /// The device.
    pub device: u64,
    /// The inode; on Windows, the number of the file on its volume.
    pub inode: u64,
}

impl FileId {
    /// The identity of an open file.
    #[cfg(unix)]
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::within(&file.metadata()?))
    }

    /// The identity of the file at `path`, which `metadata` is of.
    #[cfg(unix)]
    #[expect(clippy::unnecessary_wraps, reason = "Windows has to open the file")]
    fn at(_: &Path, metadata: &Metadata) -> io::Result<Self> {
        Ok(Self::within(metadata))
    }

    #[cfg(unix)]
    fn within(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// The identity of an open file. The time of creation would be none: a new file gets that of the file which had its name
    /// until a moment ago (file system tunnelling), as the log's file does in each rotation.
    #[cfg(windows)]
    pub fn of(file: &File) -> io::Result<Self> {
        let known = winapi_util::file::information(file)?;
        Ok(Self { device: known.volume_serial_number(), inode: known.file_index() })
    }

    /// The identity of the file at `path`.
    #[cfg(windows)]
    fn at(path: &Path, _: &Metadata) -> io::Result<Self> {
        let known = winapi_util::file::information(winapi_util::Handle::from_path_any(path)?)?;
        Ok(Self { device: known.volume_serial_number(), inode: known.file_index() })
    }
}

/// Whether a file must exist, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// Open an existing file only.
    Never,
    /// Create the file if it is missing.
    Missing,
    /// Create the file; fail if it exists.
    New,
}

/// The metadata of `path`, without following a symbolic link; `None` if nothing exists there.
pub fn look(path: &Path) -> Result<Option<Metadata>> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => regular(path, &metadata).map(|()| Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io("look at", path, &error)),
    }
}

/// The identity and the size of the regular file at `path`; `None` if nothing exists there.
pub fn present(path: &Path) -> Result<Option<(FileId, u64)>> {
    let Some(metadata) = look(path)? else { return Ok(None) };
    match FileId::at(path, &metadata) {
        Ok(id) => Ok(Some((id, metadata.len()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io("look at", path, &error)),
    }
}

/// Sets the length of an open log.
pub fn set_size(file: &File, path: &Path, size: u64) -> io::Result<()> {
    // Windows refuses it to a handle that only appends. The log's lock is held, so it is the same file.
    if cfg!(windows) { OpenOptions::new().write(true).open(path)?.set_len(size) } else { file.set_len(size) }
}

/// Opens a regular file for reading; `None` if it does not exist.
pub fn open_to_read(path: &Path) -> Result<Option<File>> {
    if look(path)?.is_none() {
        return Ok(None);
    }
    let file = File::open(path).map_err(|error| Failure::io("open", path, &error))?;
    Ok(Some(file))
}

/// Opens a regular file for reading, and for appending (`append`) or writing in place. A file that is created here is
/// readable by its owner only, and belongs to the owner of the log ([`give`]).
pub fn open(path: &Path, create: Create, append: bool) -> Result<File> {
    let failed = |error: io::Error| Failure::io("open", path, &error);
    if create != Create::Never {
        match open_with(path, true, append) {
            Ok(file) => {
                return give(&file, path).map(|()| file).map_err(|error| {
                    // A file that the service cannot write would stop it.
                    drop(std::fs::remove_file(path));
                    Failure::io("give to the owner of the log", path, &error)
                });
            }
            Err(error) if create == Create::Missing && error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                look(path)?;
                return Err(failed(error));
            }
        }
    }
    look(path)?;
    let file = open_with(path, false, append).map_err(failed)?;
    let metadata = file.metadata().map_err(|error| Failure::io("look at", path, &error))?;
    regular(path, &metadata)?;
    Ok(file)
}

fn open_with(path: &Path, is_new: bool, append: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    if append {
        options.append(true)
    } else {
        options.write(true)
    };
    if is_new {
        options.create_new(true);
    }
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        // NONBLOCK: opening a FIFO that was created since the check must not block. It has no effect on regular files.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt as _;
        /// `FILE_FLAG_OPEN_REPARSE_POINT`: a link is opened itself, and refused then.
        const NOFOLLOW: u32 = 0x0020_0000;
        options.custom_flags(NOFOLLOW);
    }
    options.open(path)
}

/// Gives a file that the superuser has just created to the owner of the log beside it, or else of the directory: the
/// service, which runs as another user, has to go on writing. Others create files of their own, which they cannot give
/// away.
#[cfg(unix)]
fn give(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_suffix(".new").unwrap_or(name);
    let log = name.strip_suffix(".state").or_else(|| Some(name.strip_suffix(".journal")?.rsplit_once('.')?.0));
    let log = directory.join(log.unwrap_or(name));
    let state = log.with_file_name(format!("{}.state", log.file_name().unwrap_or_default().to_string_lossy()));
    let mut beside = [log, state].into_iter().filter(|other| other != path);
    let owner = beside.find_map(|other| std::fs::symlink_metadata(other).ok());
    let owner = owner.map_or_else(|| std::fs::metadata(directory), Ok)?;
    let (uid, gid) = (owner.uid(), owner.gid());
    if uid == 0 {
        return Ok(());
    }
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    Ok(rustix::fs::fchown(file, Some(uid), Some(gid))?)
}

/// Does nothing: files have owners of this kind on Unix only.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
fn give(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Syncs the directory of `path`, so that the names in it survive a power cut.
#[cfg(unix)]
pub fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(directory)?.sync_all()
}

/// Does nothing: directories can be synced on Unix only.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
pub fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

fn regular(path: &Path, metadata: &Metadata) -> Result<()> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_dir() {
        "a directory"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else {
        "a FIFO, socket or device"
    };
    let message = format!("{} is {what}; the audit log needs a regular file of its own", path.display());
    Err(Failure::new(Reason::NotAFile, message))
}

/// The names of the files of a log.
#[derive(Clone, Debug)]
pub struct Names {
    /// The log file.
    pub log: PathBuf,
    /// The directory of the journals.
    pub journals: PathBuf,
    name: String,
}

impl Names {
    /// The names for the log file `log`. The journals are beside it, unless `journals` names another directory.
    pub fn new(log: &Path, journals: Option<&Path>) -> Result<Self> {
        let name = log.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| {
            Failure::new(Reason::NotAFile, format!("{} has no file name that is UTF-8", log.display()))
        })?;
        let beside = match log.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => Path::new("."),
        };
        let journals = journals.unwrap_or(beside).to_owned();
        Ok(Self { log: log.to_owned(), journals, name: name.to_owned() })
    }

    /// The state file, which holds the end of the chain and the lock.
    pub fn state(&self) -> PathBuf {
        self.log.with_file_name(format!("{}.state", self.name))
    }

    /// The journal of an instance.
    pub fn journal(&self, instance: &str) -> PathBuf {
        self.journals.join(format!("{}.{instance}.journal", self.name))
    }

    /// All journals, of dead and of live processes.
    pub fn list_journals(&self) -> Result<Vec<PathBuf>> {
        self.list_of_instances(".journal")
    }

    /// Journals that are being made, or whose owners died meanwhile.
    pub fn list_unfinished(&self) -> Result<Vec<PathBuf>> {
        self.list_of_instances(".journal.new")
    }

    fn list_of_instances(&self, end: &str) -> Result<Vec<PathBuf>> {
        let is_one = |name: &str| {
            let instance = name.strip_prefix(&self.name)?.strip_prefix('.')?.strip_suffix(end)?;
            (instance.len() == 16 && instance.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(())
        };
        list(&self.journals, |name| is_one(name).is_some())
    }

    /// The name that the file with this number gets by a rotation, such as `audit-20260101T000000Z-000001.jsonl`.
    pub fn rotated(&self, time_us: u64, number: u64) -> String {
        let (stem, extension) = self.parts();
        format!("{stem}-{}-{number:06}{extension}", file_stamp(time_us))
    }

    /// The rotated files, oldest first.
    pub fn list_rotated(&self) -> Result<Vec<PathBuf>> {
        Ok(self.list_ended()?.into_iter().map(|(path, ..)| path).collect())
    }

    /// The rotated files, oldest first, with the time at which they ended and their numbers.
    pub fn list_ended(&self) -> Result<Vec<(PathBuf, String, u64)>> {
        let directory = self.log.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (stem, extension) = self.parts();
        let parse = |name: &str| {
            let middle = name.strip_prefix(stem)?.strip_prefix('-')?.strip_suffix(extension)?;
            let (stamp, number) = middle.split_once('-')?;
            let number = (stamp.len() == 16 && number.len() >= 6).then(|| number.parse::<u64>().ok())??;
            Some((stamp.to_owned(), number))
        };
        let of = |path: &PathBuf| path.file_name().and_then(|name| parse(name.to_str()?));
        let found = list(directory, |name| parse(name).is_some())?;
        let mut found: Vec<_> =
            found.into_iter().filter_map(|path| of(&path).map(|(stamp, number)| (path, stamp, number))).collect();
        found.sort_by_key(|(.., number)| *number);
        Ok(found)
    }

    fn parts(&self) -> (&str, &str) {
        let at = self.name.rfind('.').filter(|at| *at > 0).unwrap_or(self.name.len());
        self.name.split_at(at)
    }
}

fn list(directory: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let failed = |error: io::Error| Failure::io("list", directory, &error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_str().is_some_and(&wanted) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The path of the file with this identity in the directory of `beside`, under any name.
pub fn find(beside: &Path, id: FileId) -> Result<Option<PathBuf>> {
    let directory = beside.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let all = list(directory, |_| true)?;
    let is_it = |path: &PathBuf| {
        let found = std::fs::symlink_metadata(path).and_then(|metadata| FileId::at(path, &metadata));
        found.is_ok_and(|found| found == id)
    };
    Ok(all.into_iter().find(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_listed_by_number() {
        let directory = tempfile::tempdir().expect("a directory");
        let names = Names::new(&directory.path().join("audit.jsonl"), None).expect("a name");
        let hour = 3_600_000_000;
        let expected: Vec<_> = [(9 * hour, 1), (2 * hour, 2), (hour, 10)]
            .map(|(time, number)| directory.path().join(names.rotated(time, number)))
            .into();
        for path in expected.iter().rev() {
            std::fs::write(path, "").expect("written");
        }
        for other in ["audit.jsonl", "audit-x.jsonl", "audit.jsonl.state", "other-19700101T000000Z-000001.jsonl"] {
            std::fs::write(directory.path().join(other), "").expect("written");
        }
        assert_eq!(names.list_rotated().expect("listed"), expected);
        assert!(expected[0].ends_with("audit-19700101T090000Z-000001.jsonl"));
        std::fs::write(names.journal("0123456789abcdef"), "").expect("written");
        assert_eq!(names.list_journals().expect("listed"), [names.journal("0123456789abcdef")]);
        assert!(names.state().ends_with("audit.jsonl.state"));
    }
}
