//! What this instance fetched, for the others.

use std::slice;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::{Locked, SharedCache, TieredCache, Want};
use crate::coherence::Change;
use crate::memory::Entry;
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::name::SecretName;

/// A version that the others may not know.
#[derive(Clone, Debug)]
pub struct News {
    /// The secret.
    pub name: SecretName,
    /// Its id, when AWS gave one.
    pub version: Option<Arc<str>>,
    /// When AWS gave it, in milliseconds since 1970.
    pub fetched_unix_ms: u64,
}

impl News {
    /// What was fetched of `name`.
    pub fn of(name: &SecretName, fetched: &Fetched) -> Self {
        let (version, fetched_unix_ms) = (fetched.version_id.clone(), fetched.fetched_unix_ms);
        Self { name: name.clone(), version, fetched_unix_ms }
    }

    fn change(&self) -> Change {
        Change::Drop(self.name.clone(), self.version.as_deref().map(str::to_owned))
    }
}

impl TieredCache {
    /// Shares what AWS gave with the other instances, except what was invalidated meanwhile. `news`: those of which a
    /// version is live that this instance did not know; the others are told to look again.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`; without them the others keep what they have until its TTL ends.
    pub async fn share(&self, found: Vec<(Want, Fetched)>, news: &[News]) -> Result<()> {
        let Some(shared) = &self.shared else { return Ok(()) };
        try_join_all(found.iter().map(|(want, fetched)| self.put_unless_changed(shared, want, fetched))).await?;
        for news in news {
            shared.tell(&news.change()).await?;
        }
        Ok(())
    }

    async fn put_unless_changed(&self, shared: &SharedCache, want: &Want, fetched: &Fetched) -> Result<()> {
        let unchanged = || self.generations.is_unchanged(want.at.generation);
        if !unchanged() {
            return Ok(());
        }
        let id = self.id(&want.name);
        shared.put(&id, &self.contents(fetched), self.ttl + self.max_stale).await?;
        // An invalidation while the copy was on its way must win.
        if unchanged() { Ok(()) } else { shared.redis.remove(&id).await }
    }

    /// Tells `news` after [`TieredCache::share`] could not. The copy is what memory holds by now, and a newer one in the
    /// shared cache stays; under the name's lock, since whoever is fetching it is about to share what is newer.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`, also while another instance has the lock.
    pub async fn share_again(&self, news: &News) -> Result<()> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let want = Want { name: news.name.clone(), newer_than: news.fetched_unix_ms, at: self.at(&news.name) };
        let (states, locks) = self.try_lock(slice::from_ref(&want)).await?;
        let shared_again = match states.first() {
            Some(Locked::Ours) => self.replace(shared, &want).await.map(|()| news.change()),
            // Another version may have become live since.
            Some(Locked::Copied(_)) => Ok(Change::Drop(want.name.clone(), None)),
            Some(Locked::Theirs) | None => {
                Err(SecretError::new(ErrorCode::CacheUnavailable, "another instance is fetching it"))
            }
        };
        self.unlock(locks).await;
        shared.tell(&shared_again?).await
    }

    /// Replaces a shared copy that is older than what `want` asks for.
    async fn replace(&self, shared: &SharedCache, want: &Want) -> Result<()> {
        let (held, now) = (self.memory.trusted(want.name.as_str()), self.clock.now());
        let is_right = |held: &Arc<Entry>| {
            held.version_id.is_some() && held.is_fresh(now) && held.fetched_unix_ms >= want.newer_than
        };
        match held.filter(is_right) {
            Some(held) => {
                let (value, version_id) = (held.value.clone(), held.version_id.clone());
                let fetched_unix_ms = held.fetched_unix_ms;
                let fetched = Fetched { value, version_id, created_unix_ms: None, fetched_unix_ms };
                self.put_unless_changed(shared, want, &fetched).await
            }
            // It may have been invalidated: nothing is put in its place.
            None => shared.redis.remove(&self.id(&want.name)).await,
        }
    }
}
