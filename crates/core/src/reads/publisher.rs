//! Shares with the other instances what this one fetched, and what it dropped.

use std::sync::Arc;
use std::time::Duration;

use cache::order::Stamp;
use cache::tiered::{Locks, Shared, TieredCache, Want};
use secret::backoff::{Backoff, Jitter};
use secret::error::Result;
use secret::found::Fetched;
use secret::name::SecretName;
use tokio::time::sleep;

use super::Reads;
use super::copies::Copies;

/// Retry publishing a new version with exponential backoff, up to 5 times (about 30 s): the Redis breaker stays open
/// for 1 to 5 s after a failure, so a single retry would often be refused.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(16);
const RETRIES: u32 = 5;

impl Copies {
    /// Shares `found` in the background, since readers need not wait for it, and then gives `locks` back.
    pub(super) fn share_soon(self: &Arc<Self>, found: Vec<(Want, Fetched)>, locks: Option<Locks>) {
        if self.shared_cache().is_none() {
            return;
        }
        let found = found.into_iter().map(|(want, fetched)| (self.one(want), fetched));
        let found: Vec<_> = found.filter(|(want, fetched)| !self.is_ahead_of(&want.name, fetched)).collect();
        let copies = self.clone();
        // `close` waits for this task: otherwise the other instances would wait for a copy that never comes, and for
        // locks.
        self.tasks.spawn(async move {
            let Some(cache) = copies.shared_cache() else { return };
            let found = not_behind(cache, found).await;
            let shared = cache.share(&found).await;
            if let Some(locks) = locks {
                cache.unlock(locks).await;
            }
            if let Err(error) = shared {
                tracing::debug!(code = %error.code(), "copies were not shared");
                copies.share_again(found.into_iter().map(|(want, _)| want.name).collect()).await;
            }
        });
    }

    /// Shares a new version now; retries in the background if Redis does not take it.
    pub(super) async fn share_version(self: &Arc<Self>, want: &Want, fetched: Fetched) {
        let Some(cache) = self.shared_cache() else { return };
        let want = &self.one(want.clone());
        if let Err(error) = cache.share(&[(want.clone(), fetched)]).await {
            tracing::debug!(code = %error.code(), "a new version was not shared");
            let (copies, name) = (self.clone(), want.name.clone());
            self.tasks.spawn(async move { copies.share_again(vec![name]).await });
        }
    }

    /// Retries a drop that Redis did not take, in the background: the other instances would serve the copy until its TTL ends.
    /// What was asked for after `dropped` stays. `live`: the version that is live now.
    pub(super) fn drop_again_soon(self: &Arc<Self>, name: &SecretName, dropped: Stamp, live: Option<&str>) {
        let (copies, name, live) = (self.clone(), name.clone(), live.map(str::to_owned));
        self.tasks.spawn_until(&self.stop, async move {
            let Some(cache) = copies.shared_cache() else { return };
            let mut waits = Backoff::new(FIRST_RETRY, LAST_RETRY, Jitter::Longer);
            for _ in 0..RETRIES {
                sleep(waits.next_wait()).await;
                match cache.drop_again(&name, dropped, live.as_deref()).await {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(code = %error.code(), "the shared copy was not dropped again"),
                }
            }
        });
    }

    /// Retries copies that Redis did not take: the other instances would serve the version before until its TTL ends.
    async fn share_again(&self, names: Vec<SecretName>) {
        let Some(cache) = self.shared_cache() else { return };
        let mut waits = Backoff::new(FIRST_RETRY, LAST_RETRY, Jitter::Longer);
        for retry in 1..=RETRIES {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = sleep(waits.next_wait()) => {}
            }
            match cache.share_again(&names).await {
                Ok(()) => return,
                Err(error) if retry == RETRIES => {
                    for name in &names {
                        self.warn_undropped(name, Err(error.clone()));
                    }
                }
                Err(_) => {}
            }
        }
    }
}

/// Those that may be shared: what a replica gave may be older than what an instance shared that reaches the primary.
async fn not_behind(cache: &TieredCache, found: Vec<(Want, Fetched)>) -> Vec<(Want, Fetched)> {
    let mut may_be_shared = Vec::with_capacity(found.len());
    for (want, fetched) in found {
        let is_behind = fetched.is_from_replica()
            && match cache.peek_shared(&want.name).await {
                Shared::Fresh(copy) | Shared::Stale(copy) => {
                    copy.is_newer_than(fetched.version_id.as_deref(), fetched.created_unix_ms)
                }
                Shared::Miss | Shared::Failed(_) | Shared::Disabled => false,
            };
        if !is_behind {
            may_be_shared.push((want, fetched));
        }
    }
    may_be_shared
}

impl Reads {
    /// Drops the copies of `secret` everywhere. Where Redis does not take that, it is told again in the background.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE` when the other instances could not be told yet.
    pub async fn invalidate(&self, secret: &SecretName) -> Result<()> {
        self.forget(secret);
        let Some(cache) = self.cache() else { return Ok(()) };
        let dropped = self.copies.want(secret).asked;
        let told = cache.invalidate(secret).await;
        if told.is_err() {
            self.copies.drop_again_soon(secret, dropped, None);
        }
        told
    }
}
