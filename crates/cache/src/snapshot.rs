//! The last-known-good file: sealed copies for a start with AWS and the shared cache both down.
//!
//! ```text
//! "TCSSNAP1" | entries: place length (u16) | place | fetched at (u64, ms since 1970) | envelope length (u32) | envelope
//! place     id, or account and region | "\n" | id
//! ```
//!
//! The envelopes are those of the shared cache, bound to the place. A copy answers only the account and region that it is of
//! (decision 116). The file is replaced as a whole, readable by its owner only. Other processes may write into the same one: what each
//! of them knows later counts (decision 135).

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
use files::{Request, Stamp, loose_mode, request};
use secret::clock::{Clock, millis};
use secret::error::{ErrorCode, Result, SecretError};
use secret::notice::{Notice, Notices};

const MAGIC: &[u8; 8] = b"TCSSNAP1";
/// More than 10,000 secrets of 4 KiB; a larger file is not ours.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Another process may replace the file between reading and replacing it: then both are done again, and the last time in any case.
const ATTEMPTS: u32 = 4;

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
    /// Whether the file has what was dropped, or another version than the last one.
    outdated: AtomicBool,
    /// Has the file written soon.
    changed: OnceLock<Changed>,
    /// One write at a time.
    writing: tokio::sync::Mutex<()>,
}

type Changed = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct State {
    sealed: Sealed,
    /// What was fetched until then in this environment was dropped, so that entries of the file do not come back.
    cleared_unix_ms: u64,
    /// Whether the file was read.
    is_loaded: bool,
}

impl State {
    /// What the file holds, where this process knows nothing later. Until it was read for the first time, all that it held was there before
    /// what this process did, whatever its times say.
    fn add(&mut self, found: BTreeMap<String, Kept>, envelopes: &Envelopes, now: u64) {
        for (id, kept) in found {
            if kept.is_cleared(&id, self.cleared_unix_ms, envelopes) {
                continue;
            }
            match self.sealed.get_mut(&id) {
                Some(Slot::Kept(own)) if kept.fetched_unix_ms <= own.fetched_unix_ms => {}
                Some(Slot::Dropped(at)) if !self.is_loaded || kept.fetched_unix_ms <= *at => {
                    *at = kept.fetched_unix_ms.max(*at);
                }
                _ => drop(self.sealed.insert(id, Slot::Kept(kept))),
            }
        }
        self.is_loaded = true;
        self.cleared_unix_ms = self.cleared_unix_ms.min(now);
    }
}

/// What is known of each AWS id.
type Sealed = BTreeMap<String, Slot>;

enum Slot {
    Kept(Kept),
    /// What was fetched until then was dropped.
    Dropped(u64),
}

impl Slot {
    fn kept(&self) -> Option<&Kept> {
        match self {
            Self::Kept(kept) => Some(kept),
            Self::Dropped(_) => None,
        }
    }
}

struct Kept {
    /// Whose it is; version 0.1.0 does not say.
    owner: Option<String>,
    fetched_unix_ms: u64,
    /// Where this process put it.
    version: Option<Arc<str>>,
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
            outdated: AtomicBool::new(false),
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
        let kept = state.sealed.get(id)?.kept()?;
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
        self.state.lock().sealed.get(id).is_some_and(|slot| slot.kept().is_some())
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
                let version = contents.version_id.clone();
                let kept = Kept { owner, fetched_unix_ms: contents.fetched_unix_ms, version, envelope };
                let before = self.state.lock().sealed.insert(id.to_owned(), Slot::Kept(kept));
                let is_another =
                    before.is_some_and(|slot| slot.kept().is_some_and(|kept| kept.version != contents.version_id));
                self.lacks_something(is_another);
            }
            Err(error) => tracing::info!(code = %error.code(), "a copy is left out of the snapshot"),
        }
    }

    /// Leaves `id` out of the next write, and what others fetched until now.
    pub fn remove(&self, id: &str) {
        let mut state = self.state.lock();
        let (now, is_loaded) = (self.clock.unix_ms(), state.is_loaded);
        let before = state.sealed.get(id).and_then(Slot::kept).map(|kept| kept.fetched_unix_ms);
        let is_known = state.sealed.contains_key(id);
        // The clock may have been put back since it was fetched.
        state.sealed.insert(id.to_owned(), Slot::Dropped(now.max(before.unwrap_or_default())));
        drop(state);
        if before.is_some() || !is_known && !is_loaded {
            self.lacks_something(true);
        }
    }

    /// Leaves out of the next write what was fetched until `unix_ms` in this environment.
    pub fn clear(&self, unix_ms: u64) {
        let mut state = self.state.lock();
        let (envelopes, now) = (&self.envelopes, self.clock.unix_ms());
        state.sealed.retain(|id, slot| slot.kept().is_none_or(|kept| !kept.is_cleared(id, unix_ms, envelopes)));
        let until = if state.is_loaded { unix_ms.min(now) } else { unix_ms };
        state.cleared_unix_ms = state.cleared_unix_ms.max(until);
        drop(state);
        self.lacks_something(true);
    }

    /// Whether the file lacks something.
    pub fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    /// Calls `changed` when the file lacks something, or has what was dropped: a process that is killed writes nothing later.
    pub fn on_change(&self, changed: Changed) {
        drop(self.changed.set(changed));
    }

    /// Whether the file has what must not be used any more.
    pub fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Acquire)
    }

    fn lacks_something(&self, is_outdated: bool) {
        if is_outdated {
            self.outdated.store(true, Ordering::Release);
        }
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
        if !self.is_dirty() {
            return Ok(());
        }
        for attempt in 1..=ATTEMPTS {
            // The file has entries that this process has not, so it is not replaced unread.
            let seen = self.read().await.map_err(|error| unwritten(&error.to_string()))?;
            self.dirty.store(false, Ordering::Release);
            let is_outdated = self.outdated.swap(false, Ordering::AcqRel);
            let (path, bytes) = (self.path.clone(), self.encode());
            #[cfg(feature = "simulation")]
            if crate::simulation::is_simulated(&path) {
                tokio::time::sleep(crate::simulation::WRITE_TAKES).await;
                crate::simulation::write(&path, bytes);
                return Ok(());
            }
            let seen = seen.filter(|_| attempt < ATTEMPTS);
            let problem = match tokio::task::spawn_blocking(move || replace(&path, &bytes, seen.as_ref())).await {
                Ok(Ok(true)) => return Ok(()),
                // Another process replaced it meanwhile.
                Ok(Ok(false)) => {
                    self.still_lacks(is_outdated);
                    continue;
                }
                Ok(Err(error)) => error.kind().to_string(),
                Err(_) => "the write was cut off".to_owned(),
            };
            self.still_lacks(is_outdated);
            return Err(unwritten(&problem));
        }
        Ok(())
    }

    /// What was to be written was not.
    fn still_lacks(&self, is_outdated: bool) {
        self.outdated.fetch_or(is_outdated, Ordering::AcqRel);
        self.dirty.store(true, Ordering::Release);
    }

    /// # Errors
    /// The file system did not answer in time. The next call asks again; until then the file is not replaced.
    async fn load(&self) -> io::Result<()> {
        self.loaded.get_or_try_init(|| async { self.read().await.map(drop) }).await.copied()
    }

    /// Takes up what the file holds. Gives its stamp; `None` where there is none that can be read.
    ///
    /// # Errors
    /// The file system did not answer in time.
    async fn read(&self) -> io::Result<Option<Stamp>> {
        #[cfg(feature = "simulation")]
        if crate::simulation::is_simulated(&self.path) {
            self.take_up(crate::simulation::read(&self.path).and_then(|bytes| decode(&bytes)).unwrap_or_default());
            return Ok(None);
        }
        let read = match request::<Loaded>(&self.path).await {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::info!("the snapshot cannot be read and is not used");
                }
                self.take_up(BTreeMap::new());
                return Ok(None);
            }
        };
        // The next write replaces it by one that is private.
        if let Some(loose) = read.loose.as_ref().filter(|_| !self.state.lock().is_loaded) {
            self.notices.notice(Notice::warning("SNAPSHOT_MODE", loose.clone()));
        }
        self.take_up(decode(&read.bytes).unwrap_or_else(|| {
            tracing::info!("the snapshot is malformed and not used");
            BTreeMap::new()
        }));
        Ok(Some(read.stamp.clone()))
    }

    fn take_up(&self, found: BTreeMap<String, Kept>) {
        self.state.lock().add(found, &self.envelopes, self.clock.unix_ms());
    }

    fn encode(&self) -> Vec<u8> {
        let oldest = self.clock.unix_ms().saturating_sub(millis(self.keep));
        let mut state = self.state.lock();
        state.sealed.retain(|_, slot| match slot {
            Slot::Kept(Kept { fetched_unix_ms: at, .. }) | Slot::Dropped(at) => *at >= oldest,
        });
        let mut bytes = MAGIC.to_vec();
        for (id, kept) in state.sealed.iter().filter_map(|(id, slot)| Some((id, slot.kept()?))) {
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

fn decode(bytes: &[u8]) -> Option<BTreeMap<String, Kept>> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut sealed = BTreeMap::new();
    while !rest.is_empty() {
        let (place_length, after) = rest.split_first_chunk::<2>()?;
        let (place, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*place_length)))?;
        let (fetched, after) = after.split_first_chunk::<8>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let (envelope, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let place = std::str::from_utf8(place).ok()?;
        let (owner, id) = place.split_once(OF).map_or((None, place), |(owner, id)| (Some(owner.to_owned()), id));
        let (fetched_unix_ms, envelope) = (u64::from_be_bytes(*fetched), envelope.to_vec());
        let kept = Kept { owner, fetched_unix_ms, version: None, envelope };
        sealed.insert(id.to_owned(), kept);
        rest = after;
    }
    Some(sealed)
}

/// The file as it lies there.
struct Loaded {
    bytes: Vec<u8>,
    /// Of the file that was read, or of the one before it.
    stamp: Stamp,
    /// Why it is not private.
    loose: Option<String>,
}

impl Request for Loaded {
    fn request(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() || metadata.len() > MAX_FILE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Self { bytes: std::fs::read(path)?, stamp: Stamp::of(&metadata), loose: loose_mode(path) })
    }
}

/// Writes beside the file and renames, so that a reader sees the old file or the new one and never half of either. Gives `false`, and
/// leaves the file, where it is another one than was `seen` by then.
fn replace(path: &Path, bytes: &[u8], seen: Option<&Stamp>) -> io::Result<bool> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    let beside = path.with_file_name(format!(".{name}.{:016x}", fastrand::u64(..)));
    let now = || std::fs::metadata(path).map(|metadata| Stamp::of(&metadata));
    let is_another = || seen.is_some_and(|seen| now().is_ok_and(|now| now != *seen));
    let written = write_private(&beside, bytes)
        .and_then(|()| if is_another() { Ok(false) } else { std::fs::rename(&beside, path).map(|()| true) });
    if !matches!(written, Ok(true)) {
        // If this fails as well nothing more can be done; a failure to write is reported.
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
