//! The last-known-good file: sealed copies for a start with AWS and the shared cache both down.
//!
//! ```text
//! "TCSSNAP1" | entries: place length (u16) | place | fetched at (u64, ms since 1970) | envelope length (u32) | envelope
//! place     id, or account and region | "\n" | id
//! ```
//!
//! The envelopes are those of the shared cache, bound to the place. A copy answers only the account and region that it is of
//! (decision 116). The file is replaced as a whole, readable by its owner only.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::envelope::{Contents, Envelopes};
use super::owner::Whose;
use files::{Request, loose_mode, request};
use secret::clock::{Clock, millis};
use secret::error::{ErrorCode, Result, SecretError};
use secret::notice::{Notice, Notices};

const MAGIC: &[u8; 8] = b"TCSSNAP1";
/// More than 10,000 secrets of 4 KiB; a larger file is not ours.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Stands between the account and region and the id; in neither of them is one.
const OF: char = '\n';

/// The file, and the entries that the next write puts into it.
pub struct Snapshot {
    path: PathBuf,
    /// `None`: nobody's in particular.
    whose: Option<Whose>,
    envelopes: Arc<Envelopes>,
    keep: Duration,
    clock: Clock,
    notices: Arc<dyn Notices>,
    state: Mutex<State>,
    loaded: OnceCell<()>,
    dirty: AtomicBool,
    /// Has the file written soon.
    changed: OnceLock<Changed>,
    /// One write at a time.
    writing: tokio::sync::Mutex<()>,
}

type Changed = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct State {
    sealed: Sealed,
    /// What was fetched until then in this environment was dropped, so that entries of the old file do not come back.
    cleared_unix_ms: u64,
}

impl State {
    /// What the file holds, where this process knows nothing later.
    fn add(&mut self, found: Sealed, envelopes: &Envelopes) {
        let is_dropped = |id: &str, kept: &Option<Kept>| {
            kept.as_ref().is_none_or(|kept| kept.is_cleared(id, self.cleared_unix_ms, envelopes))
        };
        let found: Vec<_> = found.into_iter().filter(|(id, kept)| !is_dropped(id, kept)).collect();
        for (id, kept) in found {
            self.sealed.entry(id).or_insert(kept);
        }
    }
}

/// Envelopes by AWS id; `None` for what was dropped.
type Sealed = BTreeMap<String, Option<Kept>>;

struct Kept {
    /// Whose it is; version 0.1.0 does not say.
    owner: Option<String>,
    fetched_unix_ms: u64,
    envelope: Vec<u8>,
}

impl Kept {
    /// Whether a clear of the environment of `envelopes`, until `unix_ms`, drops it. Processes of other environments, and of other
    /// keys, may write into the same file: only the seal tells whose a copy is.
    fn is_cleared(&self, id: &str, unix_ms: u64, envelopes: &Envelopes) -> bool {
        self.fetched_unix_ms <= unix_ms && envelopes.open(&place(self.owner.as_deref(), id), &self.envelope).is_ok()
    }
}

impl Snapshot {
    /// The file is read with the first [`Snapshot::get`]. `keep`: the greatest age of a copy.
    pub fn new(
        path: PathBuf,
        whose: Option<Whose>,
        envelopes: Arc<Envelopes>,
        keep: Duration,
        clock: Clock,
        notices: Arc<dyn Notices>,
    ) -> Self {
        Self {
            path,
            whose,
            envelopes,
            keep,
            clock,
            notices,
            state: Mutex::default(),
            loaded: OnceCell::new(),
            dirty: AtomicBool::new(false),
            changed: OnceLock::new(),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// What the file, or this process since, knows of `id`; `None` also when its envelope does not open, or it is another
    /// account's or region's.
    pub async fn get(&self, id: &str) -> Option<Contents> {
        if let Err(error) = self.load().await {
            tracing::info!("the snapshot could not be read in time: {error}");
        }
        let owner = match &self.whose {
            Some(whose) => (whose.now)().await.map_err(|error| tracing::info!("{error}")).ok()?,
            None => None,
        };
        let state = self.state.lock();
        let kept = state.sealed.get(id)?.as_ref()?;
        if kept.owner != owner {
            tracing::info!(
                "an entry of the snapshot is of another account or region, or does not say of which, and is not used"
            );
            return None;
        }
        match self.envelopes.open(&place(owner.as_deref(), id), &kept.envelope) {
            Ok(contents) => Some(contents),
            Err(error) => {
                tracing::info!(code = %error.code(), "an entry of the snapshot is unreadable");
                None
            }
        }
    }

    /// Whether there is a copy of `id`.
    pub async fn has(&self, id: &str) -> bool {
        drop(self.load().await);
        self.state.lock().sealed.get(id).is_some_and(Option::is_some)
    }

    /// Takes a copy along with the next write, where it is known whose it is.
    pub fn put(&self, id: &str, contents: &Contents) {
        let owner = match &self.whose {
            Some(whose) => match (whose.known)() {
                Some(owner) => owner,
                None => return,
            },
            None => None,
        };
        match self.envelopes.seal(&place(owner.as_deref(), id), contents) {
            Ok(envelope) => {
                let kept = Kept { owner, fetched_unix_ms: contents.fetched_unix_ms, envelope };
                self.state.lock().sealed.insert(id.to_owned(), Some(kept));
                self.lacks_something();
            }
            Err(error) => tracing::info!(code = %error.code(), "a copy is left out of the snapshot"),
        }
    }

    /// Leaves `id` out of the next write.
    pub fn remove(&self, id: &str) {
        let is_loaded = self.loaded.initialized();
        let was_there = match self.state.lock().sealed.insert(id.to_owned(), None) {
            Some(before) => before.is_some(),
            None => !is_loaded,
        };
        if was_there {
            self.lacks_something();
        }
    }

    /// Leaves out of the next write what was fetched until `unix_ms` in this environment.
    pub fn clear(&self, unix_ms: u64) {
        let mut state = self.state.lock();
        state.cleared_unix_ms = state.cleared_unix_ms.max(unix_ms);
        let envelopes = &self.envelopes;
        state.sealed.retain(|id, kept| kept.as_ref().is_none_or(|kept| !kept.is_cleared(id, unix_ms, envelopes)));
        drop(state);
        self.lacks_something();
    }

    /// Whether the file lacks something.
    pub fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    /// Calls `changed` when the file lacks something, or has what was dropped: a process that is killed writes nothing later.
    pub fn on_change(&self, changed: Changed) {
        drop(self.changed.set(changed));
    }

    fn lacks_something(&self) {
        self.dirty.store(true, Ordering::Release);
        if let Some(changed) = self.changed.get() {
            changed();
        }
    }

    /// Replaces the file when it lacks something.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE` naming the file; what it lacks is written next time.
    pub async fn write(&self) -> Result<()> {
        let _one = self.writing.lock().await;
        let unwritten = |problem: &str| {
            let why = format!("{} (cache.snapshotPath) could not be written: {problem}", self.path.display());
            SecretError::new(ErrorCode::CacheUnavailable, why)
        };
        // The file has entries that this process has not, so it is not replaced unread.
        self.load().await.map_err(|error| unwritten(&error.to_string()))?;
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let (path, bytes) = (self.path.clone(), self.encode());
        #[cfg(feature = "simulation")]
        if crate::simulation::is_simulated(&path) {
            tokio::time::sleep(crate::simulation::WRITE_TAKES).await;
            crate::simulation::write(&path, bytes);
            return Ok(());
        }
        let problem = match tokio::task::spawn_blocking(move || replace(&path, &bytes)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.kind().to_string(),
            Err(_) => "the write was cut off".to_owned(),
        };
        self.dirty.store(true, Ordering::Release);
        Err(unwritten(&problem))
    }

    /// # Errors
    /// The file system did not answer in time. The next call asks again; until then the file is not replaced.
    async fn load(&self) -> io::Result<()> {
        self.loaded
            .get_or_try_init(|| async {
                #[cfg(feature = "simulation")]
                if crate::simulation::is_simulated(&self.path) {
                    let bytes = crate::simulation::read(&self.path);
                    let found = bytes.and_then(|bytes| decode(&bytes)).unwrap_or_default();
                    self.state.lock().add(found, &self.envelopes);
                    return Ok(());
                }
                let loaded = match request::<Loaded>(&self.path).await {
                    Ok(loaded) => loaded,
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
                    Err(error) => {
                        if error.kind() != io::ErrorKind::NotFound {
                            tracing::info!("the snapshot cannot be read and is not used");
                        }
                        return Ok(());
                    }
                };
                // The next write replaces it by one that is private.
                if let Some(loose) = &loaded.loose {
                    self.notices.notice(Notice::warning("SNAPSHOT_MODE", loose.clone()));
                }
                let found = decode(&loaded.bytes).unwrap_or_else(|| {
                    tracing::info!("the snapshot is malformed and not used");
                    Sealed::new()
                });
                self.state.lock().add(found, &self.envelopes);
                Ok(())
            })
            .await
            .copied()
    }

    fn encode(&self) -> Vec<u8> {
        let oldest = self.clock.unix_ms().saturating_sub(millis(self.keep));
        let mut state = self.state.lock();
        state.sealed.retain(|_, kept| kept.as_ref().is_some_and(|kept| kept.fetched_unix_ms >= oldest));
        let mut bytes = MAGIC.to_vec();
        for (id, kept) in &state.sealed {
            let Some(kept) = kept else { continue };
            let place = place(kept.owner.as_deref(), id);
            let (Ok(place_length), Ok(length)) = (u16::try_from(place.len()), u32::try_from(kept.envelope.len()))
            else {
                continue;
            };
            bytes.extend_from_slice(&place_length.to_be_bytes());
            bytes.extend_from_slice(place.as_bytes());
            bytes.extend_from_slice(&kept.fetched_unix_ms.to_be_bytes());
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&kept.envelope);
        }
        bytes
    }
}

/// Where an entry stands, and what its envelope is bound to.
fn place<'id>(owner: Option<&str>, id: &'id str) -> Cow<'id, str> {
    owner.map_or(Cow::Borrowed(id), |owner| Cow::Owned(format!("{owner}{OF}{id}")))
}

fn decode(bytes: &[u8]) -> Option<Sealed> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut sealed = Sealed::new();
    while !rest.is_empty() {
        let (place_length, after) = rest.split_first_chunk::<2>()?;
        let (place, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*place_length)))?;
        let (fetched, after) = after.split_first_chunk::<8>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let (envelope, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let place = std::str::from_utf8(place).ok()?;
        let (owner, id) = place.split_once(OF).map_or((None, place), |(owner, id)| (Some(owner.to_owned()), id));
        let kept = Kept { owner, fetched_unix_ms: u64::from_be_bytes(*fetched), envelope: envelope.to_vec() };
        sealed.insert(id.to_owned(), Some(kept));
        rest = after;
    }
    Some(sealed)
}

/// The file as it lies there.
struct Loaded {
    bytes: Vec<u8>,
    /// Why it is not private.
    loose: Option<String>,
}

impl Request for Loaded {
    fn request(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() || metadata.len() > MAX_FILE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Self { bytes: std::fs::read(path)?, loose: loose_mode(path) })
    }
}

/// Writes beside the file and renames, so that a reader sees the old file or the new one and never half of either.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    let beside = path.with_file_name(format!(".{name}.{:016x}", fastrand::u64(..)));
    let written = write_private(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // If this fails as well nothing more can be done; the first failure is reported.
        drop(std::fs::remove_file(&beside));
    }
    written
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
