//! Both caches as one. Reads never fail because of Redis; administrative calls say when it could not be told.
//!
//! - `lookup`: what the shared cache knows; `answers`: what AWS's answers do to the copies
//! - `changes`: what is changed by hand, or by a rotation; `follow`: by another instance
//! - `share`: what this instance fetched, for the others
//! - `rights`: what AWS said about this process's right to a secret
//! - `locks`, `lease`: one instance of many does the work

mod answers;
mod changes;
mod follow;
mod lease;
mod locks;
mod lookup;
mod rights;
mod share;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::coherence::Instance;
use crate::entry::{Deadlines, Entry, Known};
use crate::envelope::Envelopes;
use crate::memory::{Epoch, Lookup, MemoryCache, Stored};
use crate::order::Stamp;
use crate::owner::{Owner, Whose};
use crate::redis::RedisCache;
use crate::settings::CacheSettings;
use crate::snapshot::Snapshot;
pub use follow::Changed;
pub use lease::{Lease, Leased, Renewal};
pub use locks::{LOCK_LEASE, Locked, Locks};
use rights::Rights;
use secret::aws_ids::AwsIds;
use secret::clock::{Clock, Moment};
use secret::error::{Result, SecretError};
use secret::name::SecretName;
use secret::notice::Notices;

/// After AWS failed, stale copies answer at once until this long after the next refresh is due. Each further failure prolongs
/// it.
const HOLD: Duration = Duration::from_secs(30);
/// How long after a failed refresh the next one is due, or up to twice as long. While AWS fails, its breaker decides what it
/// sees of that. AWS's errors about one secret open no breaker, so for that secret the wait doubles, up to the longest.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// A copy that AWS contradicted with an older version is asked for again after this long.
const DOUBT: Duration = Duration::from_secs(1);
/// A refresh ahead is due after this part of the TTL, or up to [`SOFT_SPREAD`] later.
const SOFT_TTL: f64 = 0.8;
/// Spreads the refreshes of what was fetched together, and of a fleet.
const SOFT_SPREAD: f64 = 0.1;
/// A shared copy counts as newer than the one it is to refresh only from this difference on: the places of one copy in time
/// differ by what reading Redis's clock takes.
const SAME_COPY: Duration = Duration::from_millis(50);

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

/// When something is asked for: to be taken before, for answers about any number of secrets.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    asked: Stamp,
    epoch: Epoch,
}

impl Asking {
    /// Where nothing is cached.
    pub fn uncached() -> Self {
        Self { asked: Stamp::FIRST, epoch: Epoch::default() }
    }

    /// The question about `name`.
    pub fn of(self, name: &SecretName) -> Want {
        Want { name: name.clone(), asked: self.asked, newer_than: None, is_for_aws: false, epoch: self.epoch }
    }
}

/// A question: a secret, and when it was asked for.
#[derive(Clone, Debug)]
pub struct Want {
    /// The secret.
    pub name: SecretName,
    /// When it was asked for: the answer is as old.
    pub asked: Stamp,
    newer_than: Option<Moment>,
    is_for_aws: bool,
    epoch: Epoch,
}

impl Want {
    /// Only a shared copy that was asked for after `than` answers.
    #[must_use]
    pub fn newer_than(self, than: Moment) -> Self {
        Self { newer_than: Some(than), ..self }
    }

    /// AWS is to answer this process itself: shared copies answer only where it fails.
    #[must_use]
    pub fn for_aws(self, is_for_aws: bool) -> Self {
        Self { is_for_aws, ..self }
    }
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
    /// What AWS denied this process: shared copies of it are not this process's to use (decision D20).
    rights: Mutex<Rights>,
    rotated: Rotated,
}

/// Hears that a secret has another version than the one that was known.
pub type Rotated = Box<dyn Fn(&SecretName) + Send + Sync>;

struct SharedCache {
    redis: RedisCache,
    envelopes: Arc<Envelopes>,
    environment: &'static str,
    instance: Instance,
    /// The names that this instance put there.
    own: Mutex<BTreeSet<SecretName>>,
    /// From when they count there.
    placed: share::Placed,
    /// What messages said was checked.
    settled: Notify,
}

impl TieredCache {
    /// Connects to nothing yet. Copies in the shared cache are those of `owner`, copies in the file `whose` says.
    ///
    /// # Errors
    /// `ENCRYPTION_KEY_INVALID`.
    pub fn new(
        settings: CacheSettings,
        (ids, environment, rotated): (AwsIds, &'static str, Rotated),
        (owner, whose): (Option<Owner>, Option<Whose>),
        clock: Clock,
        notices: Arc<dyn Notices>,
    ) -> Result<Self> {
        let envelopes = Arc::new(Envelopes::new(environment, &settings.keys)?);
        let shared = settings.redis.map(|redis| {
            Arc::new(SharedCache {
                redis: RedisCache::new(redis, owner, clock.clone()),
                envelopes: envelopes.clone(),
                environment,
                instance: Instance::random(),
                own: Mutex::default(),
                placed: share::Placed::default(),
                settled: Notify::new(),
            })
        });
        // A copy is used without asking AWS for no longer than this process goes without checking its right.
        let most = settings.access_check.filter(|_| shared.is_some()).unwrap_or(Duration::MAX);
        let ttl = settings.ttl.min(most);
        let keep = ttl + settings.max_stale;
        let snapshot =
            settings.snapshot.map(|path| Arc::new(Snapshot::new(path, whose, envelopes, keep, clock.clone(), notices)));
        Ok(Self {
            memory: Arc::new(MemoryCache::new(settings.max_entries, keep)),
            shared,
            snapshot,
            ids,
            clock,
            ttl,
            max_stale: settings.max_stale,
            negative_ttl: settings.negative_ttl,
            refresh_ahead: settings.refresh_ahead,
            rights: Mutex::default(),
            rotated,
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

    /// How long "not in AWS" is remembered.
    pub fn negative_ttl(&self) -> Duration {
        self.negative_ttl
    }

    /// How long a copy may live anywhere.
    fn keep(&self) -> Duration {
        self.ttl + self.max_stale
    }

    /// To be taken before `name` is asked for, and given back with the answer.
    pub fn want(&self, name: &SecretName) -> Want {
        self.ask().of(name)
    }

    /// [`TieredCache::want`] for answers about many secrets.
    pub fn ask(&self) -> Asking {
        let epoch = self.memory.epoch();
        Asking { asked: self.memory.ask(self.clock.now()), epoch }
    }

    fn id(&self, name: &SecretName) -> String {
        self.ids.copy_id(name)
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
            .filter_map(|(name, entry)| Some((SecretName::of_copy(&name).ok()?, entry)))
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

    /// Whether AWS denied `name` to this process, and did not grant it since.
    pub fn is_denied(&self, name: &SecretName) -> bool {
        #[cfg(feature = "simulation")]
        if crate::simulation::has(crate::simulation::Defect::SharedAfterDenial) {
            return false;
        }
        self.rights.lock().is_denied(name)
    }

    /// Of a copy of what AWS gave, asked for at `asked`.
    fn deadlines(&self, fresh_for: Duration, asked: Moment) -> Deadlines {
        let soft = |part: f64| if self.refresh_ahead { asked.plus(fresh_for.mul_f64(part)) } else { Moment::NEVER };
        Deadlines {
            soft_at: soft(SOFT_TTL),
            refresh_at: soft(SOFT_TTL + SOFT_SPREAD * fastrand::f64()),
            fresh_until: asked.plus(fresh_for),
            stale_until: asked.plus(fresh_for + self.max_stale),
            hold_until: None,
            retry: Duration::ZERO,
        }
    }

    /// Of what was put by hand: it ends with its TTL, since nothing backs it.
    fn deadlines_by_hand(fresh_for: Duration, put: Moment) -> Deadlines {
        let end = put.plus(fresh_for);
        Deadlines {
            soft_at: Moment::NEVER,
            refresh_at: Moment::NEVER,
            fresh_until: end,
            stale_until: end,
            hold_until: None,
            retry: Duration::ZERO,
        }
    }

    /// Puts a copy into memory unless something newer is known, and reports a version that was not known.
    fn remember(&self, name: &SecretName, entry: &Arc<Entry>, epoch: Epoch) -> Stored {
        let stored = self.memory.put(&name.text(), entry.clone(), epoch, self.clock.now());
        if let Stored::Newest(Some(known)) = &stored
            && known.is_outdated_by(entry.version_id.as_deref(), &entry.value)
        {
            (self.rotated)(name);
        }
        stored
    }

    /// The last version known of `name`.
    pub fn known(&self, name: &SecretName) -> Option<Known> {
        self.memory.known(name.as_str())
    }

    /// The usable copy of the last-known-good file.
    pub async fn from_snapshot(&self, name: &SecretName) -> Option<Arc<Entry>> {
        if self.is_denied(name) {
            return None;
        }
        let contents = self.snapshot.as_ref()?.get(&self.id(name)).await?;
        let dropped = Box::pin(self.dropped_elsewhere(name)).await;
        let now = self.clock.now();
        let age = self.clock.unix_ms().checked_sub(contents.fetched_unix_ms)?;
        let asked = Stamp::foreign(now.minus(Duration::from_millis(age)));
        let entry = self.entry_of(contents, None, asked);
        if dropped.is_some_and(|dropped| asked <= dropped) {
            self.leave_out(name);
            return None;
        }
        (entry.is_usable(now)
            && self.memory.allows(name.as_str(), asked)
            && !self.memory.suspects(name.as_str(), asked))
        .then_some(entry)
    }
}
