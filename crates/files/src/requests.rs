//! What can be asked of a file system.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::pool::Request;

/// A file beyond this is not a secret and not an env file.
pub const MAX_FILE: u64 = 16 * 1024 * 1024;

/// The bytes of a regular file; `None` when it does not exist.
pub struct File(pub Option<Zeroizing<Vec<u8>>>);

impl Request for File {
    fn request(path: &Path) -> io::Result<Self> {
        match read_regular(path) {
            // A directory of that name (Kubernetes' own /run/secrets/kubernetes.io, say) is not a secret.
            Err(_) if path.is_dir() => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")),
            read => read.map(Self),
        }
    }
}

/// The names in a directory; `None` when it does not exist.
pub struct Directory(pub Option<Vec<OsString>>);

impl Request for Directory {
    fn request(path: &Path) -> io::Result<Self> {
        match std::fs::read_dir(path) {
            Ok(entries) => {
                let names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<_>>()?;
                Ok(Self(Some(names)))
            }
            Err(error) if is_absent(&error) => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}

/// Where a symbolic link leads; `None` when there is none of that name.
pub struct Link(pub Option<PathBuf>);

impl Request for Link {
    fn request(path: &Path) -> io::Result<Self> {
        match std::fs::read_link(path) {
            Ok(target) => Ok(Self(Some(target))),
            Err(error) if is_absent(&error) || error.kind() == io::ErrorKind::InvalidInput => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}

/// Tells one version of a file from another, unless both were written within one tick of the file system's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Stamp {
    /// That of the file that `metadata` describes.
    pub fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Request for Option<Stamp> {
    /// `None` when there is no such file.
    fn request(path: &Path) -> io::Result<Self> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")),
            Ok(metadata) => Ok(Some(Stamp::of(&metadata))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Reads a regular file whole. `None` when it does not exist. FIFOs, devices and directories are refused unread:
/// opening a FIFO would wait for its writer.
pub fn read_regular(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    use io::Read as _;
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if metadata.len() > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 16 MiB"));
    }
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    // The whole size at once, so that no reallocation leaves an unwiped copy behind.
    let size = usize::try_from(metadata.len()).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// [`loose_mode`] of a file.
pub struct LooseMode(pub Option<String>);

impl Request for LooseMode {
    fn request(path: &Path) -> io::Result<Self> {
        Ok(Self(loose_mode(path)))
    }
}

/// What to warn of when group or others may do anything with the file; `None` also where files have no such modes.
#[cfg(unix)]
pub fn loose_mode(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let shown = path.display();
    let why = || format!("{shown} has mode {mode:04o}: others than its owner may use it; chmod 600 {shown}");
    (mode & 0o077 != 0).then(why)
}

/// `None`: files have no such modes here.
#[cfg(not(unix))]
pub fn loose_mode(_: &Path) -> Option<String> {
    None
}

/// The path does not exist, in any of the ways a path can fail to exist.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What an I/O error is, without the paths and numbers that the platform's text may hold.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "it is a directory".into(),
        _ if error.get_ref().is_some() => error.to_string(),
        kind => kind.to_string(),
    }
}
