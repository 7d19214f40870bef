//! What this instance fetched, for the others.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::{SharedCache, TieredCache, Want};
use crate::coherence::Message;
use crate::entry::Entry;
use crate::envelope::Contents;
use crate::redis::SharedCopy;
use secret::clock::millis;
use secret::error::Result;
use secret::found::Fetched;
use secret::name::SecretName;

impl TieredCache {
    /// Shares what AWS gave with the other instances, which hear of versions that no record had. A copy that is older than the
    /// shared one, or than a drop, is not taken: then this instance takes what stands there.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`; without them the others keep what they have until its TTL ends.
    pub async fn share(&self, found: &[(Want, Fetched)]) -> Result<()> {
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
    pub async fn share_again(&self, names: &[SecretName]) -> Result<()> {
        let held = names.iter().filter_map(|name| Some((name.clone(), self.memory.held(name.as_str())?)));
        self.share_entries(held.filter(|(_, entry)| entry.version_id.is_some()).collect()).await
    }

    async fn share_entries(&self, entries: Vec<(SecretName, Arc<Entry>)>) -> Result<()> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let outdated: Vec<Want> = try_join_all(entries.iter().map(|(name, entry)| self.share_one(shared, name, entry)))
            .await?
            .into_iter()
            .flatten()
            .map(|name| self.want(name))
            .collect();
        if !outdated.is_empty() {
            drop(self.lookup_shared(&outdated).await);
        }
        Ok(())
    }

    /// The name again when something newer stands there.
    async fn share_one<'n>(
        &self,
        shared: &SharedCache,
        name: &'n SecretName,
        entry: &Entry,
    ) -> Result<Option<&'n SecretName>> {
        // What was dropped meanwhile is not shared.
        if !self.memory.allows(name.as_str(), entry.asked) {
            return Ok(None);
        }
        let taken = self.put_shared(shared, name, entry, entry.version_id.as_deref(), self.ttl).await?;
        Ok((!taken).then_some(name))
    }

    /// Puts a copy into the shared cache, unless something newer stands there; says whether it did.
    pub(super) async fn put_shared(
        &self,
        shared: &SharedCache,
        name: &SecretName,
        entry: &Entry,
        version: Option<&str>,
        fresh_for: Duration,
    ) -> Result<bool> {
        let id = self.id(name);
        let asked_ms = shared.redis.server_clock().await?.earliest_ms_at(entry.asked.at());
        let contents = Contents {
            value: entry.value.clone(),
            version_id: entry.version_id.clone(),
            fetched_unix_ms: asked_ms,
            fresh_for_ms: millis(fresh_for),
        };
        let envelope = shared.envelopes.seal(&id, &contents)?;
        let age = self.clock.now().since(entry.asked.at());
        let copy = SharedCopy {
            age,
            asked_ms,
            created_unix_ms: entry.created_unix_ms,
            version,
            environment: shared.environment,
            envelope: &envelope,
            keep: if entry.version_id.is_some() { self.keep() } else { fresh_for },
        };
        shared.own.lock().insert(name.clone());
        let message = Message::drop(shared.instance, name, entry.version_id.as_deref());
        shared.redis.share(&id, &copy, &message).await
    }
}
