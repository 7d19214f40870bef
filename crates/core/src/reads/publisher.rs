//! Shares what this instance fetched with the other instances.

use std::sync::Arc;
use std::time::Duration;

use cache::tiered::{Locks, News, Want};
use secret::backoff::{Backoff, Jitter};
use secret::found::Fetched;
use tokio::time::sleep;

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
        let news: Vec<News> = found
            .iter()
            .filter(|(want, fetched)| self.is_news(&want.name, fetched))
            .map(|(want, fetched)| News::of(&want.name, fetched))
            .collect();
        let copies = self.clone();
        // `close` waits for this task: otherwise the other instances would wait for a copy that never comes, and for
        // locks.
        self.tasks.spawn(async move {
            let Some(cache) = copies.shared_cache() else { return };
            let shared = cache.share(found, &news).await;
            if let Some(locks) = locks {
                cache.unlock(locks).await;
            }
            if let Err(error) = shared {
                tracing::debug!(code = %error.code(), "copies were not shared");
                copies.publish_again(news).await;
            }
        });
    }

    /// Shares a new version now; retries in the background if Redis does not take it.
    pub(super) async fn share_version(self: &Arc<Self>, want: &Want, fetched: Fetched) {
        let Some(cache) = self.shared_cache() else { return };
        let news = vec![News::of(&want.name, &fetched)];
        if let Err(error) = cache.share(vec![(want.clone(), fetched)], &news).await {
            tracing::debug!(code = %error.code(), "a new version was not shared");
            let copies = self.clone();
            self.tasks.spawn(async move { copies.publish_again(news).await });
        }
    }

    /// Retries new versions that Redis did not take: the other instances would serve the old version until its TTL
    /// ends. A copy that is no new version may stay unshared.
    async fn publish_again(&self, mut news: Vec<News>) {
        let Some(cache) = self.shared_cache() else { return };
        let mut waits = Backoff::new(FIRST_RETRY, LAST_RETRY, Jitter::Longer);
        for retry in 1..=RETRIES {
            if news.is_empty() {
                return;
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(waits.next_wait()) => {}
            }
            let mut left = Vec::new();
            for news in news {
                if self.stop.is_cancelled() {
                    return;
                }
                match cache.share_again(&news).await {
                    Ok(()) => {}
                    Err(error) if retry == RETRIES => self.warn_undropped(&news.name, Err(error)),
                    Err(_) => left.push(news),
                }
            }
            news = left;
        }
    }
}
