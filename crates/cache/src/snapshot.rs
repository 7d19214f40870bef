//! The last-known-good file: sealed copies for a start with AWS and the shared cache both down.
//!
//! ```text
//! "TCSSNAP1" | entries: id length (u16) | id | fetched at (u64, ms since 1970) | envelope length (u32) | envelope
//! ```
//!
//! The envelopes are those of the shared cache. The file is replaced as a whole, readable by its owner only.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::envelope::{Contents, Envelopes};
use files::{Request, loose_mode, request};
use secret::clock::{Clock, millis};
use secret::error::{ErrorCode, Result, SecretError};
use secret::notice::{Notice, Notices};

const MAGIC: &[u8; 8] = b"TCSSNAP1";
/// More than 10,000 secrets of 4 KiB; a larger file is not ours.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// The file, and the entries that the next write puts into it.
pub struct Snapshot {
    path: PathBuf,
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
    /// What was fetched until then was dropped, so that entries of the old file do not come back.
    cleared_unix_ms: u64,
}

impl State {
    /// What the file holds, where this process knows nothing later.
    fn add(&mut self, found: Sealed) {
        let is_later =
            |kept: &Option<Kept>| kept.as_ref().is_some_and(|kept| kept.fetched_unix_ms > self.cleared_unix_ms);
        for (id, kept) in found.into_iter().filter(|(_, kept)| is_later(kept)) {
            self.sealed.entry(id).or_insert(kept);
        }
    }
}

/// Envelopes by AWS id; `None` for what was dropped.
type Sealed = BTreeMap<String, Option<Kept>>;

struct Kept {
    fetched_unix_ms: u64,
    envelope: Vec<u8>,
}

impl Snapshot {
    /// The file is read with the first [`Snapshot::get`]. `keep`: the greatest age of a copy.
    pub fn new(
        path: PathBuf,
        envelopes: Arc<Envelopes>,
        keep: Duration,
        clock: Clock,
        notices: Arc<dyn Notices>,
    ) -> Self {
        Self {
            path,
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

    /// What the file, or this process since, knows of `id`; `None` also when its envelope does not open.
    pub async fn get(&self, id: &str) -> Option<Contents> {
        if let Err(error) = self.load().await {
            tracing::info!("the snapshot could not be read in time: {error}");
        }
        let state = self.state.lock();
        let kept = state.sealed.get(id)?.as_ref()?;
        match self.envelopes.open(id, &kept.envelope) {
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

    /// Takes a copy along with the next write.
    pub fn put(&self, id: &str, contents: &Contents) {
        match self.envelopes.seal(id, contents) {
            Ok(envelope) => {
                let kept = Kept { fetched_unix_ms: contents.fetched_unix_ms, envelope };
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

    /// Leaves out of the next write what was fetched until `unix_ms`.
    pub fn clear(&self, unix_ms: u64) {
        let mut state = self.state.lock();
        state.cleared_unix_ms = state.cleared_unix_ms.max(unix_ms);
        state.sealed.retain(|_, kept| kept.as_ref().is_none_or(|kept| kept.fetched_unix_ms > unix_ms));
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
                    self.state.lock().add(bytes.and_then(|bytes| decode(&bytes)).unwrap_or_default());
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
                self.state.lock().add(found);
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
            let (Ok(id_length), Ok(length)) = (u16::try_from(id.len()), u32::try_from(kept.envelope.len())) else {
                continue;
            };
            bytes.extend_from_slice(&id_length.to_be_bytes());
            bytes.extend_from_slice(id.as_bytes());
            bytes.extend_from_slice(&kept.fetched_unix_ms.to_be_bytes());
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&kept.envelope);
        }
        bytes
    }
}

fn decode(bytes: &[u8]) -> Option<Sealed> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut sealed = Sealed::new();
    while !rest.is_empty() {
        let (id_length, after) = rest.split_first_chunk::<2>()?;
        let (id, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*id_length)))?;
        let (fetched, after) = after.split_first_chunk::<8>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let (envelope, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let kept = Kept { fetched_unix_ms: u64::from_be_bytes(*fetched), envelope: envelope.to_vec() };
        sealed.insert(std::str::from_utf8(id).ok()?.to_owned(), Some(kept));
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
mod tests {
    use super::*;
    use crate::settings::EncryptionKey;
    use secret::notice::Silent;
    use secret::value::SecretValue;

    const HOUR: Duration = Duration::from_hours(1);

    fn snapshot(path: &Path, clock: &Clock) -> Snapshot {
        let key = EncryptionKey { id: "k".into(), key: zeroize::Zeroizing::new([7; 32]) };
        let envelopes = Arc::new(Envelopes::new("production", &[key]).expect("keys"));
        Snapshot::new(path.to_owned(), envelopes, HOUR, clock.clone(), Arc::new(Silent))
    }

    fn contents(clock: &Clock, value: &str) -> Contents {
        Contents {
            value: SecretValue::copied(value),
            version_id: Some("v".into()),
            fetched_unix_ms: clock.unix_ms(),
            fresh_for_ms: 1000,
        }
    }

    #[tokio::test]
    async fn what_one_process_wrote_the_next_one_reads_and_nobody_else_can() {
        let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
        let path = directory.path().join("snapshot");
        let first = snapshot(&path, &clock);
        first.put("A_production", &contents(&clock, "canary-a"));
        first.put("B_production", &contents(&clock, "canary-b"));
        first.write().await.expect("written");
        let bytes = std::fs::read(&path).expect("a file");
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 1, "no file is left beside it");
        let second = snapshot(&path, &clock);
        assert_eq!(second.get("A_production").await, Some(contents(&clock, "canary-a")));
        assert_eq!(second.get("C_production").await, None);
    }

    #[tokio::test]
    async fn a_later_process_keeps_what_it_did_not_read_and_drops_what_was_removed() {
        let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
        let path = directory.path().join("snapshot");
        let first = snapshot(&path, &clock);
        for id in ["A", "B", "C"] {
            first.put(id, &contents(&clock, id));
        }
        first.write().await.expect("written");
        let second = snapshot(&path, &clock);
        second.put("A", &contents(&clock, "new"));
        second.remove("B");
        second.write().await.expect("written");
        let third = snapshot(&path, &clock);
        assert_eq!(third.get("A").await.map(|found| found.value), Some(SecretValue::copied("new")));
        assert_eq!(third.get("B").await, None);
        assert!(third.get("C").await.is_some());
        third.clear(u64::MAX);
        third.write().await.expect("written");
        assert_eq!(snapshot(&path, &clock).get("C").await, None);
    }

    #[tokio::test]
    async fn a_clear_before_the_file_was_ever_read_empties_it() {
        let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
        let path = directory.path().join("snapshot");
        let first = snapshot(&path, &clock);
        first.put("A", &contents(&clock, "a"));
        first.write().await.expect("written");
        let second = snapshot(&path, &clock);
        second.clear(u64::MAX);
        second.write().await.expect("written");
        assert_eq!(snapshot(&path, &clock).get("A").await, None);
    }

    #[tokio::test]
    async fn old_copies_leave_the_file() {
        let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
        let path = directory.path().join("snapshot");
        let first = snapshot(&path, &clock);
        first.put("A", &contents(&clock, "a"));
        clock.advance(HOUR + Duration::from_secs(1));
        first.put("B", &contents(&clock, "b"));
        first.write().await.expect("written");
        let second = snapshot(&path, &clock);
        assert_eq!(second.get("A").await, None);
        assert!(second.get("B").await.is_some());
    }

    #[tokio::test]
    async fn a_damaged_file_is_no_file() {
        let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
        let path = directory.path().join("snapshot");
        let first = snapshot(&path, &clock);
        first.put("A", &contents(&clock, "a"));
        first.write().await.expect("written");
        let whole = std::fs::read(&path).expect("a file");
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).expect("written");
            assert_eq!(snapshot(&path, &clock).get("A").await, None, "{length} bytes");
        }
        for at in 0..whole.len() {
            let mut spoilt = whole.clone();
            spoilt[at] ^= 1;
            std::fs::write(&path, &spoilt).expect("written");
            let found = snapshot(&path, &clock).get("A").await;
            // The outer time only decides when a copy leaves the file; the envelope has its own.
            assert!(found.is_none_or(|found| found == contents(&clock, "a")), "byte {at}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_fifo_in_its_place_is_not_waited_for() {
        let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
        let path = directory.path().join("snapshot");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        let snapshot = snapshot(&path, &clock);
        let answer = tokio::time::timeout(Duration::from_secs(10), snapshot.get("A_production")).await;
        assert_eq!(answer.expect("an answer"), None);
        snapshot.put("A_production", &contents(&clock, "canary-a"));
        snapshot.write().await.expect("written");
        assert!(path.is_file(), "the file takes its place");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_named() {
        let clock = Clock::test();
        let path = Path::new("/nonexistent-directory/snapshot");
        let snapshot = snapshot(path, &clock);
        snapshot.put("A", &contents(&clock, "canary"));
        let error = snapshot.write().await.expect_err("not writable");
        assert_eq!(error.code(), ErrorCode::CacheUnavailable);
        assert!(error.to_string().contains("/nonexistent-directory/snapshot") && snapshot.is_dirty());
    }
}
