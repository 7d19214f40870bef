//! What is changed by hand (`delivery.cache`), by a rotation, or by another instance.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Shared, SharedCache, TieredCache};
use crate::coherence::{Hint, Message};
use crate::entry::Entry;
use crate::memory::Lookup;
use crate::order::Stamp;
use crate::redis::Heard;
use crate::redis::record::Record;
use secret::error::Result;
use secret::name::SecretName;
use secret::value::SecretValue;

/// Most names whose hints wait to be checked. With more, nothing in memory is trusted until it was looked up again.
const MOST_HINTS: usize = 1000;

/// What another instance changed.
#[derive(Clone, Copy, Debug)]
pub enum Changed<'a> {
    /// The copies of one name were dropped.
    Dropped(&'a SecretName),
    /// The shared copy of one name may be another one.
    Replaced(&'a SecretName),
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
        let want = self.want(name);
        let entry = Entry::new(value, None, None, want.asked, Self::deadlines_by_hand(ttl, want.asked.at()));
        drop(self.remember(name, &entry, want.epoch));
        let Some(shared) = &self.shared else { return Ok(()) };
        // Each value put by hand is news to the other instances.
        let tag = format!("by hand {:016x}", fastrand::u64(..));
        self.put_shared(shared, name, &entry, Some(&tag), ttl).await.map(drop)
    }

    fn forget(&self, name: &SecretName) {
        let now = self.clock.now();
        self.memory.drop_value(&name.text(), self.memory.ask(now), now);
        self.leave_out(name);
    }

    fn leave_out(&self, name: &SecretName) {
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
        let Some(shared) = &self.shared else { return Ok(()) };
        let message = Message::drop(shared.instance, name, live);
        shared.redis.drop(&self.id(name), age, self.keep(), shared.environment, &message).await
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

    fn clear_memory(&self, dropped: Stamp) {
        self.memory.clear(dropped);
        if let Some(snapshot) = &self.snapshot {
            snapshot.clear();
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

    /// Follows what the other instances change, until the future is dropped. What they say is a hint: the shared cache is
    /// looked into, and `changed` is called after memory has followed.
    pub async fn follow(&self, changed: impl Fn(Changed<'_>)) {
        let Some(shared) = &self.shared else { return };
        let hints = Hints::default();
        let heard = |heard| match heard {
            // What was said while nobody listened was not heard.
            Heard::Subscribed => {
                self.memory.distrust();
                hints.add(Hint::Cleared);
                changed(Changed::All);
            }
            Heard::Refused(why) => changed(Changed::Unheard(&why)),
            Heard::Message(message) => match Hint::decode(&message, shared.instance) {
                Some(Hint::Dropped(name)) => {
                    // Not served until it is known what became of it.
                    self.memory.distrust_one(name.as_str());
                    if !hints.add(Hint::Dropped(name)) {
                        self.memory.distrust();
                        changed(Changed::All);
                    }
                }
                Some(Hint::Cleared) => {
                    self.memory.distrust();
                    hints.add(Hint::Cleared);
                }
                None => {}
            },
        };
        let check = async {
            loop {
                let (names, cleared) = hints.next().await;
                if cleared {
                    self.check_cleared(shared, &changed).await;
                }
                self.check_dropped(shared, names, &changed).await;
            }
        };
        tokio::join!(shared.redis.follow(shared.environment, heard), check);
    }

    /// Looks whether the environment was cleared after the copies here were asked for.
    async fn check_cleared(&self, shared: &SharedCache, changed: &impl Fn(Changed<'_>)) {
        let cleared = async {
            let at = shared.redis.cleared_ms(shared.environment).await?;
            match at {
                Some(ms) => shared.redis.server_clock().await.map(|server| Some(server.latest_moment_of(ms))),
                None => Ok(None),
            }
        };
        // Where Redis does not answer, what memory holds stays distrusted.
        if let Ok(Some(at)) = cleared.await {
            self.clear_memory(Stamp::foreign(at));
            // What was asked for afterwards stays.
            for (name, entry) in self.memory.entries(self.clock.now()) {
                if let Ok(name) = SecretName::of_copy(&name) {
                    self.keep_in_snapshot(&name, &entry);
                }
            }
            changed(Changed::All);
        }
    }

    /// Looks what became of the copies of `names`, and follows.
    async fn check_dropped(&self, shared: &SharedCache, names: Vec<SecretName>, changed: &impl Fn(Changed<'_>)) {
        if names.is_empty() {
            return;
        }
        let ids: Vec<String> = names.iter().map(|name| self.id(name)).collect();
        let looked = async {
            let server = shared.redis.server_clock().await?;
            let dropped = shared.redis.dropped_ms(&ids).await?;
            Ok::<_, secret::error::SecretError>((shared.redis.get_many(&ids).await?, dropped, server))
        };
        let Ok((records, dropped, server)) = looked.await else {
            // Nothing says that the copies are right.
            for name in &names {
                self.forget(name);
                changed(Changed::Dropped(name));
            }
            return;
        };
        for (((name, id), record), dropped_ms) in names.iter().zip(&ids).zip(records).zip(dropped) {
            let held = self.memory.held(name.as_str());
            if let Some(at) = dropped_ms.map(|ms| Stamp::foreign(server.latest_moment_of(ms)))
                && held.as_ref().is_none_or(|held| held.asked <= at)
            {
                self.memory.drop_value(&name.text(), at, self.clock.now());
                self.leave_out(name);
                changed(Changed::Dropped(name));
            }
            match record.as_deref().map(Record::parse) {
                Some(Record::Copy { .. }) => {
                    // Put into memory, it is reported if it is another version.
                    let is_held = held.is_some() || self.known(name).is_some();
                    drop(self.opened(shared, &self.want(name), id, record, server, is_held));
                    changed(Changed::Replaced(name));
                }
                // Dropped by version 0.1.0, or forgotten by Redis: nothing says that the copy is right.
                Some(Record::Old | Record::Garbage) | None if dropped_ms.is_none() => {
                    self.forget(name);
                    changed(Changed::Dropped(name));
                }
                Some(Record::Old | Record::Garbage) | None => {}
            }
        }
    }
}

/// Hints that were not checked yet; each name once.
#[derive(Default)]
struct Hints {
    waiting: Mutex<(BTreeSet<SecretName>, bool)>,
    there_are_some: Arc<Notify>,
}

impl Hints {
    /// Gives `false` when there are too many.
    fn add(&self, hint: Hint) -> bool {
        let mut waiting = self.waiting.lock();
        let fits = match hint {
            Hint::Cleared => {
                waiting.1 = true;
                true
            }
            Hint::Dropped(name) => {
                let fits = waiting.0.len() < MOST_HINTS || waiting.0.contains(&name);
                if fits {
                    waiting.0.insert(name);
                }
                fits
            }
        };
        self.there_are_some.notify_one();
        fits
    }

    /// Waits for hints and takes them all.
    async fn next(&self) -> (Vec<SecretName>, bool) {
        loop {
            {
                let mut waiting = self.waiting.lock();
                if !waiting.0.is_empty() || waiting.1 {
                    let names = std::mem::take(&mut waiting.0).into_iter().collect();
                    return (names, std::mem::take(&mut waiting.1));
                }
            }
            self.there_are_some.notified().await;
        }
    }
}
