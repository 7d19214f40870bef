//! Mounted secret directories as one read sees them.
//!
//! Kubernetes keeps the files of a mount in a directory that the link `..data` names, and `NAME` leads to `..data/NAME`.
//! It replaces all of them at once: a new directory, the link swapped, the old directory removed. Files that are read
//! through the link one after the other can therefore be of two generations. So the link is resolved once, and all files
//! are read below what it named then. When that is removed meanwhile, the whole read begins anew.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use files::{Directory, File, Link, request};
use parking_lot::Mutex;

/// The link that Kubernetes swaps.
const DATA: &str = "..data";

/// The bytes of a file, shared with others who read it at the same time.
pub(crate) struct Bytes(Arc<File>);

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

/// Which generation of each directory the reads of one call see.
#[derive(Debug, Default)]
pub(crate) struct Generation {
    /// What `..data` named when the directory was first asked for; `None` where it is no Kubernetes mount.
    directories: Mutex<HashMap<PathBuf, Option<PathBuf>>>,
    removed: AtomicBool,
}

impl Generation {
    /// Whether a generation was replaced before all of its files were read.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// The file at `path`; `None` when there is none.
    pub(crate) async fn pointed(&self, path: &Path) -> io::Result<Option<Bytes>> {
        match (path.parent(), path.file_name().and_then(|file| file.to_str())) {
            // The path may go through the link itself.
            (Some(data), Some(file)) if data.file_name().is_some_and(|name| name == DATA) => {
                self.read(data.parent().unwrap_or(data), file).await
            }
            (Some(directory), Some(file)) => self.read(directory, file).await,
            _ => read(path).await,
        }
    }

    /// The file `file` of `directory`; `None` when there is none.
    pub(crate) async fn read(&self, directory: &Path, file: &str) -> io::Result<Option<Bytes>> {
        let Some(data) = self.data(directory).await? else { return read(&directory.join(file)).await };
        if let Some(bytes) = read(&data.join(file)).await? {
            return Ok(Some(bytes));
        }
        self.must_be_current(directory, &data).await?;
        // What stands beside the link is no part of any generation.
        if is_of_a_generation(directory, file).await? { Ok(None) } else { read(&directory.join(file)).await }
    }

    /// The names of the files in `directory`; none when it does not exist.
    pub(crate) async fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let beside = list(directory).await?.unwrap_or_default();
        let Some(data) = self.data(directory).await? else { return Ok(beside) };
        let mut files = list(&data).await?.unwrap_or_default();
        self.must_be_current(directory, &data).await?;
        for file in beside {
            if !files.contains(&file) && !is_of_a_generation(directory, &file).await? {
                files.push(file);
            }
        }
        Ok(files)
    }

    /// What `..data` in `directory` named when it was first asked for.
    async fn data(&self, directory: &Path) -> io::Result<Option<PathBuf>> {
        if let Some(known) = self.directories.lock().get(directory) {
            return Ok(known.clone());
        }
        let data = current(directory).await?;
        Ok(self.directories.lock().entry(directory.to_owned()).or_insert(data).clone())
    }

    /// That a file is missing in `data` says something only while `..data` names it: afterwards Kubernetes removes one file
    /// after the other.
    async fn must_be_current(&self, directory: &Path, data: &Path) -> io::Result<()> {
        if current(directory).await?.as_deref() == Some(data) {
            return Ok(());
        }
        self.removed.store(true, Ordering::Relaxed);
        Err(io::Error::other("its mount is replaced faster than it can be read"))
    }
}

/// What `..data` in `directory` names now; `None` where it is no Kubernetes mount.
async fn current(directory: &Path) -> io::Result<Option<PathBuf>> {
    let target = request::<Link>(&directory.join(DATA)).await?;
    // A name beside the link, and nothing else.
    let is_name = |target: &&PathBuf| {
        let mut components = target.components();
        matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
    };
    Ok(target.0.as_ref().filter(is_name).map(|target| directory.join(target)))
}

async fn read(path: &Path) -> io::Result<Option<Bytes>> {
    let file = request::<File>(path).await?;
    Ok(file.0.is_some().then_some(Bytes(file)))
}

async fn list(directory: &Path) -> io::Result<Option<Vec<String>>> {
    let is_file = |name: &OsString| name.to_str().filter(|name| !name.starts_with("..")).map(str::to_owned);
    Ok(request::<Directory>(directory).await?.0.as_ref().map(|names| names.iter().filter_map(is_file).collect()))
}

/// Whether `file` is a link that leads through `..data`.
async fn is_of_a_generation(directory: &Path, file: &str) -> io::Result<bool> {
    let link = request::<Link>(&directory.join(file)).await?;
    Ok(link.0.as_ref().is_some_and(|target| target.starts_with(DATA)))
}
