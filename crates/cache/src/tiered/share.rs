//! What this instance fetched, for the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use parking_lot::Mutex;

use super::{Shared, SharedCache, TieredCache, Want};
use crate::coherence::Message;
use crate::entry::Entry;
use crate::envelope::Contents;
use crate::order::Stamp;
use crate::redis::{Put, SharedCopy};
use secret::clock::millis;
use secret::error::Result;
use secret::found::Fetched;
use secret::name::SecretName;

/// Names of which it is remembered from when their copy counts in Redis.
const MOST_PLACED: usize = 10_000;
/// A value put by hand counts in Redis from when it arrives there, which is sealed with this much room.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// The clocks of a process and of Redis are read, rounded and compared with less error than this.
const ROUNDED_MS: u64 = 50;

/// More than any clock is rounded by, or a copy put by hand may be ahead of Redis's.
const AHEAD_MS: i64 = 60_000;

/// From when what this instance put into Redis counts there. What it asked for later counts from later: it knows the order of its own
/// questions better than Redis's clock, which shows equal times for those within a millisecond.
#[derive(Debug, Default)]
pub(super) struct Placed(Mutex<HashMap<SecretName, (Stamp, u64)>>);

impl Placed {
    /// The least time from which an answer to a question of then counts; 0 where nothing is known.
    fn least(&self, name: &SecretName, asked: Stamp) -> u64 {
        self.0.lock().get(name).filter(|(before, _)| *before < asked).map_or(0, |(_, from)| from + 1)
    }

    /// From when what was asked for, or put by hand, then counts in Redis; `None` where it has not arrived there.
    pub(super) fn from(&self, name: &SecretName, asked: Stamp) -> Option<u64> {
        self.0.lock().get(name).filter(|(placed, _)| *placed >= asked).map(|(_, from)| *from)
    }

    pub(super) fn note(&self, name: &SecretName, asked: Stamp, from: u64) {
        let mut placed = self.0.lock();
        if placed.len() >= MOST_PLACED && !placed.contains_key(name) {
            placed.clear();
        }
        let last = placed.entry(name.clone()).or_insert((asked, from));
        *last = (last.0.max(asked), last.1.max(from));
    }
}

impl TieredCache {
    /// Shares what AWS gave with the other instances, which hear of versions that no record had. A copy that is older than the
    /// shared one, or than a drop, is not taken: then this instance takes what stands there. Returns the names of which another
    /// version stands there that does not count here: nothing but another question tells which of the two is live.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`; without them the others keep what they have until its TTL ends.
    pub async fn share(&self, found: &[(Want, Fetched)]) -> Result<Vec<SecretName>> {
        let entries = found.iter().map(|(want, fetched)| {
            let (value, version) = (fetched.value.clone(), fetched.version_id.clone());
            let deadlines = self.deadlines(self.ttl, want.asked.at());
            (want.name.clone(), Entry::new(value, version, fetched.created_unix_ms, want.asked, deadlines))
        });
        self.share_entries(entries.collect()).await
    }

    /// Shares the copies that memory holds of `names`, after [`TieredCache::share`] could not. After a lost subscription they
    /// are not served before a look into Redis, and are shared all the same: Redis compares how old they are.
    ///
    /// # Errors
    /// As [`TieredCache::share`].
    pub async fn share_again(&self, names: &[SecretName]) -> Result<Vec<SecretName>> {
        let held = names.iter().filter_map(|name| Some((name.clone(), self.memory.held(name.as_str())?)));
        self.share_entries(held.filter(|(_, entry)| entry.version_id.is_some()).collect()).await
    }

    async fn share_entries(&self, entries: Vec<(SecretName, Arc<Entry>)>) -> Result<Vec<SecretName>> {
        let Some(shared) = &self.shared else { return Ok(Vec::new()) };
        let taken = try_join_all(entries.iter().map(|(name, entry)| self.share_one(shared, name, entry))).await?;
        let sent = entries.iter().zip(taken).filter_map(|(entry, put)| Some((entry, put?)));
        let refused: Vec<_> = sent.filter(|(_, put)| !matches!(put, Put::From(_))).collect();
        if refused.is_empty() {
            return Ok(Vec::new());
        }
        let wants: Vec<Want> = refused.iter().map(|((name, _), _)| self.want(name)).collect();
        let stands = self.lookup_shared(&wants).await;
        let contested = refused.into_iter().zip(stands).filter(|(((name, entry), put), stands)| {
            *put == Put::Newer
                && matches!(stands, Shared::Miss | Shared::Stale(_))
                && self.memory.held(name.as_str()).is_some_and(|held| held.version_id == entry.version_id)
        });
        Ok(contested.map(|(((name, _), _), _)| name.clone()).collect())
    }

    /// `None` for what was dropped meanwhile, which is not shared.
    async fn share_one(&self, shared: &SharedCache, name: &SecretName, entry: &Entry) -> Result<Option<Put>> {
        if !self.memory.allows(name.as_str(), entry.asked) {
            return Ok(None);
        }
        self.put_shared(shared, name, entry, entry.version_id.as_deref(), self.ttl).await.map(Some)
    }

    /// Puts a copy into the shared cache, unless something newer stands there.
    pub(super) async fn put_shared(
        &self,
        shared: &SharedCache,
        name: &SecretName,
        entry: &Entry,
        version: Option<&str>,
        fresh_for: Duration,
    ) -> Result<Put> {
        let id = self.id(name);
        let server = shared.redis.server_clock().await?;
        let (now, is_by_hand) = (self.clock.now(), entry.version_id.is_none());
        let earliest = server.earliest_ms_at(entry.asked.at());
        let least = if entry.asked.is_own() { shared.placed.least(name, entry.asked) } else { 0 };
        let asked_ms = earliest.max(least);
        let contents = Contents {
            value: entry.value.clone(),
            version_id: entry.version_id.clone(),
            fetched_unix_ms: if is_by_hand { server.latest_ms_at(now.plus(ON_ITS_WAY)) } else { asked_ms },
            fresh_for_ms: millis(fresh_for),
        };
        let envelope = shared.envelopes.seal(&id, &contents)?;
        // What counts from after an own copy does so however the clocks round.
        let is_close = least > 0 && earliest < least + ROUNDED_MS;
        let age_ms = if is_close { -AHEAD_MS } else { millis(now.since(entry.asked.at())).cast_signed() };
        let copy = SharedCopy {
            age_ms,
            asked_ms: (!is_by_hand).then_some(asked_ms),
            created_unix_ms: entry.created_unix_ms,
            version,
            environment: shared.environment,
            envelope: &envelope,
            keep: if entry.version_id.is_some() { self.keep() } else { fresh_for },
        };
        shared.own.lock().insert(name.clone());
        let message = Message::drop(shared.instance, name, entry.version_id.as_deref());
        if entry.asked.is_own() && !is_by_hand {
            shared.placed.note(name, entry.asked, asked_ms);
        }
        let put = shared.redis.share(&id, &copy, &message).await?;
        if let Put::From(from) = put
            && entry.asked.is_own()
        {
            shared.placed.note(name, entry.asked, from);
        }
        Ok(put)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secret::clock::Moment;

    #[test]
    fn what_was_asked_for_later_counts_from_later() {
        let (placed, name) = (Placed::default(), SecretName::new("A").expect("a name"));
        let [first, second, third] = [1, 2, 3].map(|number| Stamp::own(Moment::from_millis(5), number));
        assert_eq!(placed.least(&name, first), 0);
        placed.note(&name, second, 100);
        assert_eq!((placed.from(&name, second), placed.from(&name, third)), (Some(100), None));
        assert_eq!(placed.least(&name, third), 101, "within the same millisecond");
        assert_eq!(placed.least(&name, second), 0, "the same question once more");
        assert_eq!(placed.least(&name, first), 0, "a late answer");
        placed.note(&name, first, 50);
        assert_eq!(placed.least(&name, third), 101);
    }
}
