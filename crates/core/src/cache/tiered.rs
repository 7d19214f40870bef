//! Both caches as one. Reads never fail because of Redis; administrative calls say when it could not be told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::envelope::{Contents, Envelopes};
use super::memory::{Entry, Lookup, MemoryCache};
use super::redis::RedisCache;
use crate::clock::{Clock, millis};
use crate::config::CacheConfig;
use crate::error::{ErrorCode, Result, SecretError};
use crate::name::{AwsIdTemplate, SecretName};
use crate::source::aws::Fetched;
use crate::value::SecretValue;

/// How far another machine's clock may run ahead before its entries are refused as coming from the future.
const CLOCK_SKEW: Duration = Duration::from_mins(1);
/// How long a stale copy answers before a failing AWS is asked again.
const HOLD: Duration = Duration::from_secs(1);

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

/// The caches of one environment.
pub struct TieredCache {
    memory: Arc<MemoryCache>,
    shared: Option<Arc<SharedCache>>,
    ids: AwsIdTemplate,
    environment: &'static str,
    clock: Clock,
    ttl: Duration,
    max_stale: Duration,
    negative_ttl: Duration,
    /// Grows with each invalidation, so that a fetch begun before it cannot put the old value back.
    generation: Arc<AtomicU64>,
}

struct SharedCache {
    redis: RedisCache,
    envelopes: Envelopes,
}

impl SharedCache {
    /// Puts a sealed copy where it belongs, unless something was invalidated since `at`.
    async fn put(
        &self,
        id: &str,
        entry: &Entry,
        ttl: Duration,
        keep: Duration,
        generation: &AtomicU64,
        at: Generation,
    ) -> Result<()> {
        let unchanged = || generation.load(Ordering::SeqCst) == at.0;
        if !unchanged() {
            return Ok(());
        }
        let contents = Contents {
            value: entry.value.clone(),
            version_id: entry.version_id.as_deref().map(str::to_owned),
            fetched_unix_ms: entry.fetched_unix_ms,
            fresh_for_ms: millis(ttl),
        };
        let envelope = self.envelopes.seal(id, &contents)?;
        self.redis.set(id, &envelope, keep).await?;
        // An invalidation while the copy was on its way must win.
        if !unchanged() {
            self.redis.remove(id).await?;
        }
        Ok(())
    }
}

/// The state of the caches when a fetch began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation(u64);

impl TieredCache {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// `ENCRYPTION_KEY_INVALID`.
    pub fn new(config: CacheConfig, ids: AwsIdTemplate, environment: &'static str, clock: Clock) -> Result<Self> {
        let shared = match config.redis {
            None => None,
            Some(redis) => Some(Arc::new(SharedCache {
                redis: RedisCache::new(redis, clock.clone()),
                envelopes: Envelopes::new(environment, &config.keys)?,
            })),
        };
        Ok(Self {
            memory: Arc::new(MemoryCache::new(config.max_entries)),
            shared,
            ids,
            environment,
            clock,
            ttl: config.ttl,
            max_stale: config.max_stale,
            negative_ttl: config.negative_ttl,
            generation: Arc::default(),
        })
    }

    /// The in-process cache, for the hot path.
    pub fn memory(&self) -> &Arc<MemoryCache> {
        &self.memory
    }

    /// The shared cache's commands, for `health`.
    pub fn redis(&self) -> Option<&RedisCache> {
        self.shared.as_ref().map(|shared| &shared.redis)
    }

    /// How long copies are fresh.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// To be taken before a fetch and given back with its result.
    pub fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::SeqCst))
    }

    /// What memory knows of `name`.
    pub fn lookup(&self, name: &SecretName) -> Lookup {
        self.memory.lookup(name.as_str(), self.clock.now())
    }

    /// What the shared cache knows of `name`. A fresh copy is put into memory.
    pub async fn lookup_shared(&self, name: &SecretName, at: Generation) -> Shared {
        let Some(shared) = &self.shared else { return Shared::Disabled };
        let id = self.ids.id(name, self.environment);
        match shared.redis.get(&id).await {
            Ok(found) => self.opened(name, &id, found, at),
            Err(error) => Shared::Failed(error),
        }
    }

    /// What the shared cache knows of `name`, leaving memory as it is.
    pub async fn peek_shared(&self, name: &SecretName) -> Shared {
        self.lookup_shared(name, Generation(u64::MAX)).await
    }

    /// [`TieredCache::lookup_shared`] for many names at the cost of one.
    pub async fn lookup_shared_many(&self, names: &[SecretName], at: Generation) -> Vec<Shared> {
        let Some(shared) = &self.shared else { return names.iter().map(|_| Shared::Disabled).collect() };
        let ids: Vec<String> = names.iter().map(|name| self.ids.id(name, self.environment)).collect();
        match shared.redis.get_many(&ids).await {
            Ok(found) if found.len() == names.len() => {
                names.iter().zip(&ids).zip(found).map(|((name, id), found)| self.opened(name, id, found, at)).collect()
            }
            Ok(_) => names.iter().map(|_| Shared::Miss).collect(),
            Err(error) => names.iter().map(|_| Shared::Failed(error.clone())).collect(),
        }
    }

    fn opened(&self, name: &SecretName, id: &str, envelope: Option<Vec<u8>>, at: Generation) -> Shared {
        let (Some(shared), Some(envelope)) = (&self.shared, envelope) else { return Shared::Miss };
        let contents = match shared.envelopes.open(id, &envelope) {
            Ok(contents) => contents,
            Err(error) => return Shared::Failed(error),
        };
        let wall = self.clock.unix_ms();
        if contents.fetched_unix_ms > wall.saturating_add(millis(CLOCK_SKEW)) {
            return Shared::Failed(SecretError::new(
                ErrorCode::CacheEntryCorrupt,
                format!("{id}: the shared cache entry is from the future; it is ignored (check the clocks)"),
            ));
        }
        let age = wall.saturating_sub(contents.fetched_unix_ms);
        // Another instance may have a longer TTL; the shorter of both holds.
        let fresh_for = contents.fresh_for_ms.min(millis(self.ttl));
        let now = self.clock.now();
        let left = |until: u64| now.plus(Duration::from_millis(until.saturating_sub(age)));
        let entry = Arc::new(Entry {
            value: contents.value,
            version_id: contents.version_id.map(Arc::from),
            fetched_unix_ms: contents.fetched_unix_ms,
            fresh_until: left(fresh_for),
            stale_until: left(fresh_for.saturating_add(millis(self.max_stale))),
            hold_until: None,
        });
        if entry.is_fresh(now) {
            self.remember(name, &entry, at);
            Shared::Fresh(entry)
        } else if entry.is_usable(now) {
            Shared::Stale(entry)
        } else {
            Shared::Miss
        }
    }

    /// Puts a copy into memory unless something was invalidated since `at`.
    fn remember(&self, name: &SecretName, entry: &Arc<Entry>, at: Generation) -> bool {
        if self.generation() != at {
            return false;
        }
        self.memory.put(name.as_str(), entry.clone());
        // An invalidation between the check and the put must win.
        if self.generation() != at {
            self.memory.remove(name.as_str());
            return false;
        }
        true
    }

    /// Remembers what AWS gave, in memory.
    pub fn store(&self, name: &SecretName, fetched: &Fetched, at: Generation) -> Arc<Entry> {
        let now = self.clock.now();
        let entry = Arc::new(Entry {
            value: fetched.value.clone(),
            version_id: fetched.version_id.clone(),
            fetched_unix_ms: self.clock.unix_ms(),
            fresh_until: now.plus(self.ttl),
            stale_until: now.plus(self.ttl + self.max_stale),
            hold_until: None,
        });
        self.remember(name, &entry, at);
        entry
    }

    /// The version id of the copy in memory, however old it is.
    pub fn known_version(&self, name: &SecretName) -> Option<Arc<str>> {
        self.memory.version(name.as_str())
    }

    /// A future that shares what [`TieredCache::store`] remembered, unless it is invalidated meanwhile; `None` without
    /// a shared cache. It owns all it needs and may run as a task.
    pub fn sharing(
        &self,
        name: &SecretName,
        entry: &Arc<Entry>,
        at: Generation,
    ) -> Option<impl Future<Output = Result<()>> + Send + 'static + use<>> {
        let shared = self.shared.clone()?;
        let (id, entry, generation) = (self.ids.id(name, self.environment), entry.clone(), self.generation.clone());
        let (ttl, keep) = (self.ttl, self.ttl + self.max_stale);
        Some(async move { shared.put(&id, &entry, ttl, keep, &generation, at).await })
    }

    /// Remembers that AWS has no such secret, and drops the copies of it where there may be some.
    pub async fn store_absent(&self, name: &SecretName, may_have_copies: bool) {
        if may_have_copies {
            self.drop_copies(name).await;
        }
        self.memory.put_absent(name.as_str(), self.clock.now(), self.negative_ttl);
    }

    /// Drops the copies without telling anyone when Redis cannot be reached: its entry ends by itself.
    pub async fn drop_copies(&self, name: &SecretName) {
        if let Err(error) = self.invalidate(name).await {
            tracing::warn!(code = %error.code(), "a shared cache entry could not be dropped");
        }
    }

    /// Lets a stale copy answer for a moment without asking AWS again. Gives it back only while it is usable.
    pub fn hold(&self, name: &SecretName, stale: &Arc<Entry>, at: Generation) -> Option<Arc<Entry>> {
        let now = self.clock.now();
        if !stale.is_usable(now) {
            return None;
        }
        let held = Arc::new(Entry { hold_until: Some(now.plus(HOLD)), ..(**stale).clone() });
        self.remember(name, &held, at);
        Some(held)
    }

    /// The fresh value of `name` in either cache (`delivery.cache.get`).
    pub async fn get(&self, name: &SecretName) -> Option<SecretValue> {
        if let Lookup::Fresh(entry) = self.lookup(name) {
            return Some(entry.value.clone());
        }
        match self.lookup_shared(name, self.generation()).await {
            Shared::Fresh(entry) => Some(entry.value.clone()),
            _ => None,
        }
    }

    /// Puts a value by hand (`delivery.cache.set`). It ends with its TTL: nothing backs it, so it is never stale.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE` when the shared cache could not be told; the value is in memory then.
    pub async fn set(&self, name: &SecretName, value: SecretValue, ttl: Option<Duration>) -> Result<()> {
        let ttl = ttl.unwrap_or(self.ttl);
        self.forget(name);
        let (now, at) = (self.clock.now(), self.generation());
        let entry = Arc::new(Entry {
            value,
            version_id: None,
            fetched_unix_ms: self.clock.unix_ms(),
            fresh_until: now.plus(ttl),
            stale_until: now.plus(ttl),
            hold_until: None,
        });
        self.remember(name, &entry, at);
        match &self.shared {
            Some(shared) => {
                shared.put(&self.ids.id(name, self.environment), &entry, ttl, ttl, &self.generation, at).await
            }
            None => Ok(()),
        }
    }

    fn forget(&self, name: &SecretName) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.memory.remove(name.as_str());
    }

    /// Drops the copies of `name` (`delivery.cache.invalidate`).
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE` when the shared cache could not be told; the copy in memory is gone then.
    pub async fn invalidate(&self, name: &SecretName) -> Result<()> {
        self.forget(name);
        match &self.shared {
            Some(shared) => shared.redis.remove(&self.ids.id(name, self.environment)).await,
            None => Ok(()),
        }
    }

    /// Drops every copy of this environment (`delivery.cache.clear`).
    ///
    /// # Errors
    /// As [`TieredCache::invalidate`].
    pub async fn clear(&self) -> Result<()> {
        self.clear_memory();
        let [before, after] = self.ids.around(self.environment);
        match &self.shared {
            Some(shared) => shared.redis.clear(&before, &after).await,
            None => Ok(()),
        }
    }

    /// Wipes what this process holds.
    pub fn clear_memory(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.memory.clear();
    }
}
