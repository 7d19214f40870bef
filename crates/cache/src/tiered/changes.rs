//! What is changed by hand (`delivery.cache`), or by a rotation.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::{Shared, SharedCache, TieredCache};
use crate::coherence::{Instance, Message};
use crate::entry::Entry;
use crate::memory::Lookup;
use crate::order::Stamp;
use crate::redis::Put;
use secret::clock::millis;
use secret::error::{ErrorCode, Result, SecretError};
use secret::name::SecretName;
use secret::value::SecretValue;

impl TieredCache {
    /// The fresh value of `name` in either cache (`delivery.cache.get`).
    pub async fn get(&self, name: &SecretName) -> Option<SecretValue> {
        if let Lookup::Fresh(entry) = self.lookup(name) {
            return Some(entry.value.clone());
        }
        match self.lookup_shared(&[self.want(name)]).await.pop() {
            Some(Shared::Fresh(entry)) => Some(entry.value.clone()),
            _ => None,
        }
    }

    /// Puts a value by hand (`delivery.cache.set`). It ends with its TTL: nothing backs it, so it is never stale.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE` when the shared cache could not be told, or holds a copy from the future; the value is in memory then.
    pub async fn set(&self, name: &SecretName, value: SecretValue, ttl: Option<Duration>) -> Result<()> {
        let ttl = ttl.unwrap_or(self.ttl);
        self.forget(name);
        let want = self.want(name);
        let entry = Entry::new(value, None, None, want.asked, Self::deadlines_by_hand(ttl, want.asked.at()));
        drop(self.remember(name, &entry, want.epoch));
        let Some(shared) = &self.shared else { return Ok(()) };
        // Each value put by hand is news to the other instances.
        let tag = format!("by hand {:016x}", fastrand::u64(..));
        let Put::From(from) = self.put_shared(shared, name, &entry, Some(&tag), ttl).await? else {
            let why =
                format!("{}: Redis holds a copy from the future and keeps it: its clock was put back", name.as_str());
            return Err(SecretError::new(ErrorCode::CacheUnavailable, why));
        };
        self.stands_since(shared, name, &entry, from).await
    }

    /// A value that another instance put by hand may have been taken over while this one was on its way to Redis, which has their order.
    async fn stands_since(&self, shared: &SharedCache, name: &SecretName, entry: &Entry, from: u64) -> Result<()> {
        let since = shared.redis.server_clock().await?.latest_moment_of(from);
        let is_before = |held: Arc<Entry>| held.version_id.is_none() && !held.asked.is_own() && held.asked.at() < since;
        if self.memory.held(name.as_str()).is_some_and(is_before) {
            let want = self.want(name);
            let again = Entry::new(entry.value.clone(), None, None, want.asked, entry.deadlines);
            shared.placed.note(name, want.asked, from);
            drop(self.remember(name, &again, want.epoch));
        }
        Ok(())
    }

    pub(super) fn forget(&self, name: &SecretName) {
        let now = self.clock.now();
        self.memory.drop_value(&name.text(), self.memory.ask(now), now);
        self.leave_out(name);
    }

    pub(super) fn leave_out(&self, name: &SecretName) {
        #[cfg(feature = "simulation")]
        if crate::simulation::has(crate::simulation::Defect::DropsForgotten) {
            return;
        }
        if let Some(snapshot) = &self.snapshot {
            snapshot.remove(&self.id(name));
        }
    }

    /// Drops the copies of `name` everywhere (`delivery.cache.invalidate`).
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE` when the shared cache could not be told; the copy in memory is gone then.
    pub async fn invalidate(&self, name: &SecretName) -> Result<()> {
        self.forget(name);
        self.drop_shared(name, Duration::ZERO, None).await
    }

    /// Drops the shared copy of `name` as of `age` ago, unless it is newer, and tells the other instances. `live`: the version
    /// that is live now.
    pub(super) async fn drop_shared(&self, name: &SecretName, age: Duration, live: Option<&str>) -> Result<()> {
        self.drop_saying(name, age, |own| Message::drop(own, name, live)).await
    }

    /// [`TieredCache::drop_shared`] because AWS has no such secret.
    pub(super) async fn drop_gone(&self, name: &SecretName, age: Duration) -> Result<()> {
        self.drop_saying(name, age, |own| Message::gone(own, name)).await
    }

    async fn drop_saying(
        &self,
        name: &SecretName,
        age: Duration,
        message: impl FnOnce(Instance) -> Message,
    ) -> Result<()> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let message = message(shared.instance);
        shared.redis.drop(&self.id(name), age, self.keep(), shared.environment, &message).await
    }

    /// Drops the shared copy of `name` as of `dropped`, after Redis did not take that then.
    ///
    /// # Errors
    /// As [`TieredCache::invalidate`].
    pub async fn drop_again(&self, name: &SecretName, dropped: Stamp, live: Option<&str>) -> Result<()> {
        self.drop_shared(name, self.clock.now().since(dropped.at()), live).await
    }

    /// Drops every copy of this environment (`delivery.cache.clear`).
    ///
    /// # Errors
    /// As [`TieredCache::invalidate`].
    pub async fn clear(&self) -> Result<()> {
        self.clear_memory(self.memory.ask(self.clock.now()));
        let Some(shared) = &self.shared else { return Ok(()) };
        let message = Message::clear(shared.instance);
        shared.redis.clear(&self.ids, self.keep(), shared.environment, &message).await
    }

    /// Drops the copies that this instance made, by their names: it never scans a shared Redis for them.
    ///
    /// # Errors
    /// As [`TieredCache::invalidate`].
    pub async fn clear_own(&self) -> Result<()> {
        self.clear_memory(self.memory.ask(self.clock.now()));
        let Some(shared) = &self.shared else { return Ok(()) };
        let own = std::mem::take(&mut *shared.own.lock());
        // They share one connection, whose commands go out together.
        try_join_all(own.iter().map(|name| self.drop_shared(name, Duration::ZERO, None))).await.map(drop)
    }

    /// Drops what memory holds, and what is asked for at the moment: it is of another account.
    pub fn forget_account(&self) {
        self.memory.forget_all(self.memory.ask(self.clock.now()));
    }

    pub(super) fn clear_memory(&self, dropped: Stamp) {
        self.memory.clear(dropped);
        if let Some(snapshot) = &self.snapshot {
            let age = millis(self.clock.now().since(dropped.at()));
            snapshot.clear(if dropped.is_own() { u64::MAX } else { self.clock.unix_ms().saturating_sub(age) });
        }
    }

    /// Wipes what this process holds. Nothing is invalidated by it: copies on their way to the other instances arrive.
    pub fn wipe(&self) {
        self.memory.wipe();
    }

    /// A version was made live that could not be read yet: the copies of the one before go.
    ///
    /// # Errors
    /// As [`TieredCache::invalidate`].
    pub async fn supersede(&self, name: &SecretName, version: &str) -> Result<()> {
        let now = self.clock.now();
        self.memory.expect_version(&name.text(), version, self.memory.ask(now), now);
        self.leave_out(name);
        self.drop_shared(name, Duration::ZERO, Some(version)).await
    }

    /// Whether memory knows `version` to be the last one of `name`.
    pub fn knows(&self, name: &SecretName, version: &str) -> bool {
        self.known(name).is_some_and(|known| known.is(version))
    }
}
