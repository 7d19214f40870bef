//! Versions: following a rotation, and reading the versions around the live one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws::{CURRENT, PENDING, PREVIOUS, Version, Which};
use cache::entry::Entry;
use cache::order::Stamp;
use cache::tiered::{TieredCache, Want};
use futures_util::future::join3;
use parking_lot::Mutex;
use secret::backoff::{Backoff, Jitter};
use secret::clock::Moment;
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::name::SecretName;
use secret::rate_limit::TokenBucket;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::sleep;

use super::Reads;
use super::table::Course;
use crate::audit::Access;
use crate::timer::Deadline;

/// How long AWS may go on giving the version before: labels move in one place first.
const CATCH_UP: Duration = Duration::from_secs(10);
const FIRST_POLL: Duration = Duration::from_millis(20);
const LAST_POLL: Duration = Duration::from_secs(1);
/// Names whose versions are remembered.
const MAX_REMEMBERED: usize = 1000;
/// How long they are, where caching is on: verifiers ask for each request they check.
const REMEMBERED_FOR: Duration = Duration::from_mins(1);

/// Limits how often catch-ups that anyone can cause ask AWS.
pub struct Pace {
    /// How many ask at the same time. A catch-up that waits for its next look holds none.
    pub slots: Semaphore,
    /// First looks. An honest event needs no more, except while AWS lags behind it.
    pub first_looks: TokenBucket,
    /// Further looks, for a version that AWS does not have: a forged event makes as many as there are.
    pub further_looks: TokenBucket,
}

impl Pace {
    /// Waits until AWS may be asked; `None` when that is not before `end`.
    async fn turn(&self, is_first: bool, end: Deadline) -> Option<SemaphorePermit<'_>> {
        let wait = if is_first { self.first_looks.take(Duration::MAX) } else { self.further_looks.take(end.left()) };
        sleep(wait?).await;
        self.slots.acquire().await.ok()
    }
}

/// The versions around the live one (`getSecretVersions`).
#[derive(Clone, Debug, Default)]
pub struct Versions {
    /// AWSCURRENT.
    pub current: Option<Version>,
    /// AWSPREVIOUS.
    pub previous: Option<Version>,
    /// AWSPENDING, unless it is the live one.
    pub pending: Option<Version>,
}

/// Versions that were read within the last minute, by name.
#[derive(Default)]
pub struct VersionCache {
    by_name: Mutex<HashMap<SecretName, Remembered>>,
    /// Changes of other instances that were heard of. What was asked for before one is not remembered after it.
    changes: AtomicU64,
}

struct Remembered {
    versions: Arc<Versions>,
    until: Moment,
    /// When they were asked for.
    asked: Stamp,
}

impl VersionCache {
    fn get(&self, name: &SecretName, cache: &TieredCache, now: Moment) -> Option<Arc<Versions>> {
        let by_name = self.by_name.lock();
        let found = by_name.get(name)?;
        // Not past a change of the secret that this instance knows of.
        let is_current = now < found.until && cache.memory().allows(name.as_str(), found.asked);
        is_current.then(|| found.versions.clone())
    }

    /// Another instance changed `name`.
    pub(super) fn forget(&self, name: &SecretName) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.by_name.lock().remove(name);
    }

    /// Remembers what was asked for when `changes` had been heard of.
    fn remember(&self, name: &SecretName, remembered: Remembered, changes: u64) {
        let mut by_name = self.by_name.lock();
        if self.changes.load(Ordering::Acquire) != changes {
            return;
        }
        if by_name.len() >= MAX_REMEMBERED {
            by_name.clear();
        }
        by_name.insert(name.clone(), remembered);
    }
}

impl Reads {
    /// Whether memory holds `version` of `name`, which is told to be live.
    pub fn has_live(&self, name: &SecretName, version: &str) -> bool {
        let is_it = |entry: &Arc<Entry>| entry.version_id.as_deref() == Some(version);
        if !self.copies.usable(name).as_ref().is_some_and(is_it) {
            return false;
        }
        if let Some(held) = self.copies.held(name).filter(is_it) {
            held.note_confirmed(self.copies.clock.now());
        }
        true
    }

    /// Whether `version` is the last one known of `name`.
    pub fn knows(&self, name: &SecretName, version: &str) -> bool {
        self.cache().is_some_and(|cache| cache.knows(name, version))
    }

    /// The names in memory whose copies AWS gave longer ago than `how_long`: no reader keeps them fresh.
    pub fn unseen_for(&self, how_long: Duration) -> Vec<SecretName> {
        let Some(cache) = self.cache() else { return Vec::new() };
        let before = self.copies.clock.now().minus(how_long);
        let copies = cache.memory().entries(self.copies.clock.now()).into_iter();
        let unseen = copies.filter(|(_, entry)| entry.version_id.is_some() && entry.asked.at() < before);
        unseen.filter_map(|(name, _)| SecretName::of_copy(&name).ok()).collect()
    }

    /// After `version` of `name` was made live here: the caches of every instance follow to it.
    pub async fn follow_rotation(self: &Arc<Self>, name: &SecretName, version: &str) {
        if self.catch_up(name, &[version], None).await.is_ok_and(|caught_up| caught_up) {
            return;
        }
        // AWS does not give it yet, or at all. The value before it may open nothing any more.
        self.forget(name);
        if let Some(cache) = self.cache() {
            let dropped = self.copies.want(name).asked;
            let told = cache.supersede(name, version).await;
            if told.is_err() {
                self.copies.drop_again_soon(name, dropped, Some(version));
            }
            self.copies.warn_undropped(name, told);
        }
        self.copies.notify_rotated(name);
    }

    /// After `name` was made, deleted or brought back here: every instance drops its copies.
    pub async fn drop_copies(&self, name: &SecretName) {
        self.forget(name);
        if let Some(cache) = self.cache() {
            self.copies.warn_undropped(name, cache.invalidate(name).await);
        }
    }

    /// Reads `name` until AWS gives one of `versions` (any, when none is named), puts it into every cache and notifies all
    /// instances that did not know it. A new version that is none of them is taken as well. Gives `false` when AWS has given none
    /// of them for ten seconds. Each call of AWS waits for its turn by `pace`.
    ///
    /// # Errors
    /// AWS's, after ten seconds where a version is waited for; the caches stay as they are.
    pub async fn catch_up(self: &Arc<Self>, name: &SecretName, versions: &[&str], pace: Option<&Pace>) -> Result<bool> {
        let (end, mut polls) = (Deadline::after(CATCH_UP), Backoff::new(FIRST_POLL, LAST_POLL, Jitter::Around));
        let (any, mut is_first) = (versions.is_empty(), true);
        loop {
            let turn = match pace {
                Some(pace) => {
                    let turn = pace.turn(is_first, end).await;
                    if turn.is_none() {
                        // Too many catch-ups wait for versions that AWS does not have. The caller's next look decides.
                        sleep(end.left()).await;
                        return Ok(false);
                    }
                    turn
                }
                None => None,
            };
            is_first = false;
            self.forget(name);
            let (want, said) = self.ask(name).await;
            drop(turn);
            // A rotation has a record of its own.
            if let Some(audit) = self.audit.as_ref().filter(|_| pace.is_some()) {
                // Nothing else may have opened the log so far. What is live has to be known also where it cannot be written.
                drop(audit.ready().await);
                audit.inspected("event", &Access::fetched(name.as_str(), &said));
            }
            match &said {
                Ok(Some(fetched)) if !fetched.value.is_empty() => {
                    let is_it = any || fetched.primary_version().is_some_and(|version| versions.contains(&version));
                    // An older version than one that came meanwhile may be gone again: the next answer tells.
                    if is_it && !self.is_overtaken(&want, fetched) {
                        self.adopt_everywhere(&want, fetched.clone()).await;
                        return Ok(true);
                    }
                    // Another new version: the one announced may have been replaced since, or is no version at all.
                    if !is_it && self.copies.is_news(name, fetched) && !self.is_doubtful(name, &said) {
                        self.adopt_everywhere(&want, fetched.clone()).await;
                    }
                }
                Ok(_) if any => {
                    self.follow(&want, Course::refresh(), said).await.answer?;
                    return Ok(true);
                }
                // Asking again would change nothing.
                Err(error) if error.is_refused() => {
                    let error = error.clone();
                    return self.follow(&want, Course::refresh(), said).await.answer.and(Err(error));
                }
                Err(error) if any => return Err(error.clone()),
                _ => {}
            }
            if end.has_passed() {
                return said.map(|_| false);
            }
            sleep(polls.next_wait()).await;
        }
    }

    /// Whether a newer version than `fetched` was seen after the question of `want`, or so shortly before that a host of AWS may
    /// not have had it yet. A replica may be without it for longer.
    fn is_overtaken(&self, want: &Want, fetched: &Fetched) -> bool {
        if self.copies.is_ahead_of(&want.name, fetched) {
            return true;
        }
        self.copies.held(&want.name).and_then(|held| held.known()).is_some_and(|known| {
            known.may_be_later_than(fetched.version_id.as_deref(), fetched.created_unix_ms, want.asked.at())
        })
    }

    /// Puts what AWS gave into every cache, and notifies all instances that did not know that version. The shared copy
    /// is written before the message: an instance that receives the message looks there.
    async fn adopt_everywhere(self: &Arc<Self>, want: &Want, fetched: Fetched) {
        let was_known = self.cache().is_some_and(|cache| cache.known(&want.name).is_some());
        drop(self.follow(want, Course::refresh().confirmed(), Ok(Some(fetched.clone()))).await);
        if !was_known {
            self.copies.notify_rotated(&want.name);
        }
        self.copies.share_version(want, fetched).await;
    }

    /// The live version of `name`, the one before it, and the one that is being tried. Remembered for up to a minute
    /// where caching is on, and never past a change of the secret that this instance hears of.
    ///
    /// # Errors
    /// AWS's; `SOURCE_UNAVAILABLE` when AWS is switched off.
    pub async fn versions(self: &Arc<Self>, name: &SecretName, fresh: bool) -> Result<Arc<Versions>> {
        let id = self.id(name);
        let Some(aws) = self.aws() else {
            let why = format!("{}: versions are AWS's, which is switched off (options.aws.enabled)", name.as_str());
            return Err(SecretError::new(ErrorCode::SourceUnavailable, why));
        };
        self.follow_changes();
        let want = self.copies.want(name);
        let asked = want.asked;
        if !fresh
            && let Some(cache) = self.cache()
            && let Some(remembered) = self.versions.get(name, cache, self.copies.clock.now())
        {
            return Ok(remembered);
        }
        let changes = self.versions.changes.load(Ordering::Acquire);
        let read = |label| aws.version(&id, Which::Label(label));
        let (current, previous, pending) = join3(read(CURRENT), read(PREVIOUS), read(PENDING)).await;
        // The live version counts as any other answer of AWS does; other labels may be denied without saying anything about it.
        self.overhear_live(want, current.clone().map(|current| current.map(Version::into_fetched))).await;
        let (current, previous, pending) = (current?, previous?, pending?);
        let pending = pending.filter(|pending| !pending.has(CURRENT));
        let versions = Arc::new(Versions { current, previous, pending });
        if let Some(cache) = self.cache() {
            let until = self.copies.clock.now().plus(cache.ttl().min(REMEMBERED_FOR));
            self.versions.remember(name, Remembered { versions: versions.clone(), until, asked }, changes);
        }
        Ok(versions)
    }

    /// Forgets the remembered versions.
    pub fn forget_versions(&self) {
        self.versions.changes.fetch_add(1, Ordering::AcqRel);
        self.versions.by_name.lock().clear();
    }
}
