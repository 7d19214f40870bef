//! Files that are read while a secret is: regular, bounded, and never waited for longer than a deadline.
#![forbid(unsafe_code)]

use std::io;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

/// How long a file may take to be read: longer means a hung network mount, and a read must not hang with it.
const FILE_DEADLINE: Duration = Duration::from_secs(2);
/// A file beyond this is not a secret and not an env file.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Runs blocking file work off the async threads, with a deadline.
pub async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    match tokio::time::timeout(FILE_DEADLINE, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(io::Error::other("the file reader was stopped")),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the file system did not answer")),
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
