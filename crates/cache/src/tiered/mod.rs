//! Both caches as one. Reads never fail because of Redis; administrative calls say when it could not be told.

mod changes;
mod lease;
mod locks;
mod share;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::coherence::Change;
use super::envelope::{Contents, Envelopes};
use super::generation::{Generation, Generations};
use super::memory::{Deadlines, Entry, Epoch, Known, Lookup, MemoryCache};
use super::redis::RedisCache;
use super::snapshot::Snapshot;
use crate::settings::CacheSettings;
pub use changes::Changed;
pub use lease::{Lease, Leased, Renewal};
pub use locks::{LOCK_LEASE, Locked, Locks};
use secret::clock::{Clock, Moment, millis};
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::name::{AwsIds, SecretName};
use secret::notice::Notices;
pub use share::News;

/// How far another machine's clock may run ahead before its entries are refused as coming from the future.
const CLOCK_SKEW: Duration = Duration::from_mins(1);
/// After AWS failed, stale copies answer at once until so long after the next refresh is due; each further failure
/// prolongs it.
const HOLD: Duration = Duration::from_secs(30);
/// How long after a failed refresh the next one is due, or up to twice as long. While AWS fails, its breaker decides what
/// it sees of that; what AWS answers about one secret opens no breaker, so for that secret it doubles, up to the longest.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// A refresh ahead is due after this part of the TTL, or up to [`SOFT_SPREAD`] later.
const SOFT_TTL: f64 = 0.8;
/// Spreads the refreshes of what was fetched together, and of a fleet.
const SOFT_SPREAD: f64 = 0.1;
/// What the shared cache said.
#[derive(Debug)]
pub enum Shared {
    /// A fresh copy; it is in memory now as well.
    Fresh(Arc<Entry>),
    /// A copy past its TTL that may still answer for a failing AWS.
    Stale(Arc<Entry>),
    /// None.
    Miss,
    /// Redis failed or the entry is unreadable; the read goes on.
    Failed(SecretError),
    /// There is no shared cache.
    Disabled,
}

/// A name, and what its reader knew when it began to ask.
#[derive(Clone, Debug)]
pub struct Want {
    /// The secret.
    pub name: SecretName,
    /// Only a copy fetched after this moment, in milliseconds since 1970, answers. 0: any.
    pub newer_than: u64,
    /// The state of the caches when the reader began.
    pub at: At,
}

/// The state of a name's caches at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    generation: Generation,
    epoch: Epoch,
}

/// The caches of one environment.
pub struct TieredCache {
    memory: Arc<MemoryCache>,
    shared: Option<Arc<SharedCache>>,
    snapshot: Option<Arc<Snapshot>>,
    ids: AwsIds,
    clock: Clock,
    ttl: Duration,
    max_stale: Duration,
    negative_ttl: Duration,
    refresh_ahead: bool,
    generations: Arc<Generations>,
}

struct SharedCache {
    redis: RedisCache,
    envelopes: Arc<Envelopes>,
    environment: &'static str,
    /// Tells this instance's own messages from the others'.
    instance: u64,
}

impl SharedCache {
    /// Puts a sealed copy where it belongs.
    async fn put(&self, id: &str, contents: &Contents, keep: Duration) -> Result<()> {
        let envelope = self.envelopes.seal(id, contents)?;
        self.redis.set(id, &envelope, keep).await
    }

    async fn tell(&self, change: &Change) -> Result<()> {
        self.redis.publish(self.environment, &change.encode(self.instance)).await
    }
}

impl TieredCache {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// `ENCRYPTION_KEY_INVALID`.
    pub fn new(
        config: CacheSettings,
        ids: AwsIds,
        environment: &'static str,
        clock: Clock,
        notices: Arc<dyn Notices>,
    ) -> Result<Self> {
        let envelopes = Arc::new(Envelopes::new(environment, &config.keys)?);
        let shared = config.redis.map(|redis| {
            Arc::new(SharedCache {
                redis: RedisCache::new(redis, clock.clone()),
                envelopes: envelopes.clone(),
                environment,
                instance: fastrand::u64(..),
            })
        });
        let keep = config.ttl + config.max_stale;
        let snapshot =
            config.snapshot.map(|path| Arc::new(Snapshot::new(path, envelopes, keep, clock.clone(), notices)));
        Ok(Self {
            memory: Arc::new(MemoryCache::new(config.max_entries)),
            shared,
            snapshot,
            ids,
            clock,
            ttl: config.ttl,
            max_stale: config.max_stale,
            negative_ttl: config.negative_ttl,
            refresh_ahead: config.refresh_ahead,
            generations: Arc::default(),
        })
    }

    /// The in-process cache, for the hot path.
    pub fn memory(&self) -> &Arc<MemoryCache> {
        &self.memory
    }

    /// The shared cache's commands.
    pub fn redis(&self) -> Option<&RedisCache> {
        self.shared.as_ref().map(|shared| &shared.redis)
    }

    /// The last-known-good file.
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.snapshot.as_ref()
    }

    /// How long copies are fresh.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// To be taken before `name` is fetched and given back with the result.
    pub fn at(&self, name: &SecretName) -> At {
        At { generation: self.generations.of(name), epoch: self.memory.epoch() }
    }

    /// What a reader of `name` wants. A shared copy that is older than the one in memory does not answer: the shared cache
    /// may have missed the newer one.
    pub fn want(&self, name: &SecretName) -> Want {
        let at = self.at(name);
        let newer_than = self.memory.fetched_unix_ms(name.as_str()).map_or(0, |fetched| fetched.saturating_sub(1));
        Want { name: name.clone(), newer_than, at }
    }

    /// Changes with every invalidation of any name.
    pub fn generation_of_all(&self) -> Generation {
        self.generations.of_all()
    }

    fn id(&self, name: &SecretName) -> String {
        self.ids.id(name)
    }

    /// What is to be refreshed together with `names`: all copies, in the order of their names, fall into parts of `size`;
    /// of each part that holds one of `names`, what is due. Instances that hold the same copies have the same parts,
    /// whatever is due in them, so that of a fleet one asks for each part.
    pub fn due_with(&self, names: &BTreeMap<SecretName, Arc<Entry>>, size: usize) -> Vec<(SecretName, Arc<Entry>)> {
        let now = self.clock.now();
        let copies: Vec<_> = self
            .memory
            .entries(now)
            .into_iter()
            .filter_map(|(name, entry)| Some((SecretName::new(&name).ok()?, entry)))
            .collect();
        let parts = copies.chunks(size).filter(|part| part.iter().any(|(name, _)| names.contains_key(name)));
        parts.flatten().filter(|(_, entry)| entry.is_due(now)).cloned().collect()
    }

    /// What memory knows of `name`.
    pub fn lookup(&self, name: &SecretName) -> Lookup {
        self.memory.lookup(name.as_str(), self.clock.now())
    }

    /// [`TieredCache::lookup`] that does not count as reading it.
    pub fn peek(&self, name: &SecretName) -> Lookup {
        self.memory.peek(name.as_str(), self.clock.now())
    }

    /// What the shared cache knows, in the order of `wants`, at the cost of one command. Fresh copies are put into memory.
    pub async fn lookup_shared(&self, wants: &[Want]) -> Vec<Shared> {
        self.look_into_shared(wants, true).await
    }

    /// What the shared cache knows of `name`, leaving memory as it is.
    pub async fn peek_shared(&self, name: &SecretName) -> Shared {
        let want = Want { name: name.clone(), newer_than: 0, at: self.at(name) };
        self.look_into_shared(std::slice::from_ref(&want), false).await.pop().unwrap_or(Shared::Miss)
    }

    async fn look_into_shared(&self, wants: &[Want], remember: bool) -> Vec<Shared> {
        let Some(shared) = &self.shared else { return wants.iter().map(|_| Shared::Disabled).collect() };
        let ids: Vec<String> = wants.iter().map(|want| self.id(&want.name)).collect();
        let found = match &ids[..] {
            [] => Ok(Vec::new()),
            [id] => shared.redis.get(id).await.map(|found| vec![found]),
            ids => shared.redis.get_many(ids).await,
        };
        match found {
            Ok(found) if found.len() == wants.len() => {
                let unix_ms = self.clock.unix_ms();
                let found = wants.iter().zip(&ids).zip(found);
                found.map(|((want, id), found)| self.opened(shared, want, id, found, unix_ms, remember)).collect()
            }
            Ok(_) => wants.iter().map(|_| Shared::Miss).collect(),
            Err(error) => wants.iter().map(|_| Shared::Failed(error.clone())).collect(),
        }
    }

    fn opened(
        &self,
        shared: &SharedCache,
        want: &Want,
        id: &str,
        envelope: Option<Vec<u8>>,
        unix_ms: u64,
        remember: bool,
    ) -> Shared {
        let Some(envelope) = envelope else { return Shared::Miss };
        let contents = match shared.envelopes.open_in_place(id, &mut Zeroizing::new(envelope)) {
            Ok(contents) => contents,
            Err(error) => return Shared::Failed(error),
        };
        if contents.fetched_unix_ms > unix_ms.saturating_add(millis(CLOCK_SKEW)) {
            return Shared::Failed(SecretError::new(
                ErrorCode::CacheEntryCorrupt,
                format!("{id}: the shared cache entry is from the future; it is ignored (check the clocks)"),
            ));
        }
        if contents.fetched_unix_ms <= want.newer_than {
            return Shared::Miss;
        }
        let now = self.clock.now();
        let entry = self.entry_of(contents, unix_ms, now);
        if entry.is_fresh(now) {
            if remember {
                self.remember(&want.name, &entry, want.at);
            }
            Shared::Fresh(entry)
        } else if entry.is_usable(now) {
            Shared::Stale(entry)
        } else {
            Shared::Miss
        }
    }

    /// An entry from a copy that may have been made elsewhere, as old as it is.
    fn entry_of(&self, contents: Contents, unix_ms: u64, now: Moment) -> Arc<Entry> {
        let age = Duration::from_millis(unix_ms.saturating_sub(contents.fetched_unix_ms));
        let fresh_for = Duration::from_millis(contents.fresh_for_ms);
        let deadlines = match contents.version_id {
            // Another instance may have a longer TTL; the shorter of both holds.
            Some(_) => self.deadlines(fresh_for.min(self.ttl), age, now),
            None => Self::deadlines_by_hand(fresh_for, age, now),
        };
        Entry::new(contents.value, contents.version_id, contents.fetched_unix_ms, deadlines)
    }

    /// Of a copy of what AWS gave.
    fn deadlines(&self, fresh_for: Duration, age: Duration, now: Moment) -> Deadlines {
        let left = |until: Duration| now.plus(until.saturating_sub(age));
        let soft = |part: f64| if self.refresh_ahead { left(fresh_for.mul_f64(part)) } else { Moment::NEVER };
        Deadlines {
            soft_at: soft(SOFT_TTL),
            refresh_at: soft(SOFT_TTL + SOFT_SPREAD * fastrand::f64()),
            fresh_until: left(fresh_for),
            stale_until: left(fresh_for + self.max_stale),
            hold_until: None,
            retry: Duration::ZERO,
        }
    }

    /// Of what was put by hand: it ends with its TTL, since nothing backs it.
    fn deadlines_by_hand(fresh_for: Duration, age: Duration, now: Moment) -> Deadlines {
        let end = now.plus(fresh_for.saturating_sub(age));
        Deadlines {
            soft_at: Moment::NEVER,
            refresh_at: Moment::NEVER,
            fresh_until: end,
            stale_until: end,
            hold_until: None,
            retry: Duration::ZERO,
        }
    }

    /// Puts a copy into memory unless its name was invalidated since `at`; says whether it did.
    fn remember(&self, name: &SecretName, entry: &Arc<Entry>, at: At) -> bool {
        if !self.generations.is_unchanged(at.generation) {
            return false;
        }
        self.memory.put(name.text(), entry.clone(), at.epoch);
        // An invalidation between the check and the put must win.
        let unchanged = self.generations.is_unchanged(at.generation);
        if !unchanged {
            self.memory.drop_value(name.as_str());
        }
        unchanged
    }

    /// Fetches of `name` that are under way no longer reach the caches.
    pub fn supersede_fetches(&self, name: &SecretName) {
        self.generations.changed(name);
    }

    /// Remembers what AWS gave, in memory, unless it was invalidated since `at`; says whether it did.
    pub fn store(&self, name: &SecretName, fetched: &Fetched, at: At) -> bool {
        let deadlines = self.deadlines(self.ttl, Duration::ZERO, self.clock.now());
        let entry = Entry::new(fetched.value.clone(), fetched.version_id.clone(), fetched.fetched_unix_ms, deadlines);
        if !self.remember(name, &entry, at) {
            return false;
        }
        if let Some(snapshot) = &self.snapshot {
            snapshot.put(&self.id(name), &self.contents(fetched));
        }
        true
    }

    /// The last version known of `name`.
    pub fn known(&self, name: &SecretName) -> Option<Known> {
        self.memory.known(name.as_str())
    }

    fn contents(&self, fetched: &Fetched) -> Contents {
        Contents {
            value: fetched.value.clone(),
            version_id: fetched.version_id.clone(),
            fetched_unix_ms: fetched.fetched_unix_ms,
            fresh_for_ms: millis(self.ttl),
        }
    }

    /// Remembers that AWS has no such secret, and drops the copies of it where there may be some.
    ///
    /// # Errors
    /// As [`TieredCache::invalidate`].
    pub async fn store_absent(&self, name: &SecretName, may_have_copies: bool) -> Result<()> {
        let dropped = if may_have_copies { self.invalidate(name).await } else { Ok(()) };
        self.memory.put_absent(name.as_str(), self.clock.now(), self.negative_ttl);
        dropped
    }

    /// Remembers that AWS refused this identity, and drops the copies.
    ///
    /// # Errors
    /// As [`TieredCache::invalidate`].
    pub async fn store_denied(&self, name: &SecretName, error: &SecretError) -> Result<()> {
        let dropped = self.invalidate(name).await;
        self.memory.put_denied(name.as_str(), self.clock.now(), self.negative_ttl, error);
        dropped
    }

    /// Lets a copy answer for a while without waiting for AWS, which failed with `error`.
    pub fn hold(&self, name: &SecretName, copy: &Arc<Entry>, error: &SecretError, at: At) {
        let before = copy.deadlines.retry;
        let longer = if error.is_about_one_request() { before * 2 } else { before };
        let retry = longer.clamp(RETRY, LONGEST_RETRY);
        let refresh_at = self.clock.now().plus(retry.mul_f64(1.0 + fastrand::f64()));
        let held =
            copy.with(Deadlines { refresh_at, hold_until: Some(refresh_at.plus(HOLD)), retry, ..copy.deadlines });
        self.remember(name, &held, at);
    }

    /// The usable copy of the last-known-good file.
    pub async fn from_snapshot(&self, name: &SecretName) -> Option<Arc<Entry>> {
        let contents = self.snapshot.as_ref()?.get(&self.id(name)).await?;
        let now = self.clock.now();
        let entry = self.entry_of(contents, self.clock.unix_ms(), now);
        entry.is_usable(now).then_some(entry)
    }
}
