//! What is changed by hand (`delivery.cache`), by a rotation, or by another instance.

use std::time::Duration;

use super::{Shared, TieredCache};
use crate::coherence::Change;
use crate::envelope::Contents;
use crate::memory::{Entry, Lookup};
use crate::redis::Heard;
use secret::clock::millis;
use secret::error::Result;
use secret::name::SecretName;
use secret::value::SecretValue;

/// What another instance changed.
#[derive(Clone, Copy, Debug)]
pub enum Changed<'a> {
    /// One name.
    One(&'a SecretName),
    /// A version of one name became live that was not known here.
    Rotated(&'a SecretName),
    /// Any name.
    All,
    /// None is heard, and why.
    Unheard(&'a str),
}

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
    /// `CACHE_UNAVAILABLE` when the shared cache could not be told; the value is in memory then.
    pub async fn set(&self, name: &SecretName, value: SecretValue, ttl: Option<Duration>) -> Result<()> {
        let ttl = ttl.unwrap_or(self.ttl);
        self.forget(name);
        let fetched_unix_ms = self.clock.unix_ms();
        let deadlines = Self::deadlines_by_hand(ttl, Duration::ZERO, self.clock.now());
        self.memory.put(name.text(), Entry::new(value.clone(), None, fetched_unix_ms, deadlines), self.memory.epoch());
        let Some(shared) = &self.shared else { return Ok(()) };
        let contents = Contents { value, version_id: None, fetched_unix_ms, fresh_for_ms: millis(ttl) };
        shared.put(&self.id(name), &contents, ttl).await?;
        shared.tell(&Change::Drop(name.clone(), None)).await
    }

    fn forget(&self, name: &SecretName) {
        self.generations.changed(name);
        self.memory.drop_value(name.as_str());
        if let Some(snapshot) = &self.snapshot {
            snapshot.remove(&self.id(name));
        }
    }

    /// Drops the copies of `name` (`delivery.cache.invalidate`).
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE` when the shared cache could not be told; the copy in memory is gone then.
    pub async fn invalidate(&self, name: &SecretName) -> Result<()> {
        self.forget(name);
        let Some(shared) = &self.shared else { return Ok(()) };
        shared.redis.remove(&self.id(name)).await?;
        shared.tell(&Change::Drop(name.clone(), None)).await
    }

    /// Drops every copy of this environment (`delivery.cache.clear`).
    ///
    /// # Errors
    /// As [`TieredCache::invalidate`].
    pub async fn clear(&self) -> Result<()> {
        self.clear_memory();
        if let Some(snapshot) = &self.snapshot {
            snapshot.clear();
        }
        let Some(shared) = &self.shared else { return Ok(()) };
        shared.redis.clear(&self.ids.before, &self.ids.after).await?;
        shared.tell(&Change::Clear).await
    }

    fn clear_memory(&self) {
        self.generations.all_changed();
        self.memory.clear();
    }

    /// Wipes what this process holds. Nothing is invalidated by it: copies on their way to the other instances arrive.
    pub fn wipe(&self) {
        self.memory.clear();
    }

    /// A version was made live that could not be read yet: the copies of the one before go.
    ///
    /// # Errors
    /// As [`TieredCache::invalidate`].
    pub async fn supersede(&self, name: &SecretName, version: &str) -> Result<()> {
        self.forget(name);
        self.expect_version(name, version);
        let Some(shared) = &self.shared else { return Ok(()) };
        shared.redis.remove(&self.id(name)).await?;
        self.tell_live(name, version).await
    }

    /// Tells the other instances that `version` of `name` is live, whatever they hold.
    ///
    /// # Errors
    /// As [`TieredCache::invalidate`].
    pub async fn tell_live(&self, name: &SecretName, version: &str) -> Result<()> {
        match &self.shared {
            Some(shared) => shared.tell(&Change::Drop(name.clone(), Some(version.to_owned()))).await,
            None => Ok(()),
        }
    }

    /// Takes `version` for the one that is known, so that finding it is no news.
    pub fn expect_version(&self, name: &SecretName, version: &str) {
        self.memory.expect_version(name.as_str(), version.into());
    }

    /// Whether memory knows `version` to be the last one of `name`.
    pub fn knows(&self, name: &SecretName, version: &str) -> bool {
        self.known(name).is_some_and(|known| known.is(version))
    }

    /// Follows what the other instances change, until the future is dropped. `changed` is told after memory has
    /// followed.
    pub async fn follow(&self, mut changed: impl FnMut(Changed<'_>)) {
        let Some(shared) = &self.shared else { return };
        let heard = |heard| {
            let change = match heard {
                // Whatever was said while nobody listened was not heard.
                Heard::Subscribed => {
                    self.memory.distrust();
                    return changed(Changed::All);
                }
                Heard::Refused(why) => return changed(Changed::Unheard(&why)),
                Heard::Message(message) => Change::decode(&message, shared.instance),
            };
            match change {
                Some(Change::Drop(name, None)) => {
                    self.generations.changed(&name);
                    self.memory.drop_value(name.as_str());
                    changed(Changed::One(&name));
                }
                Some(Change::Drop(name, Some(live))) if !self.knows(&name, &live) => {
                    self.generations.changed(&name);
                    self.expect_version(&name, &live);
                    changed(Changed::Rotated(&name));
                }
                Some(Change::Clear) => {
                    self.clear_memory();
                    changed(Changed::All);
                }
                Some(Change::Drop(..)) | None => {}
            }
        };
        shared.redis.follow(shared.environment, heard).await;
    }
}
