//! From a group of misses to AWS: one instance of a fleet asks, the others read what it shares.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::{Instant, sleep};

use super::AwsLayer;
use super::gather::Asked;
use cache::tiered::{LOCK_LEASE, Locked, Locks, News, TieredCache, Want};
use secret::error::Result;
use secret::found::Fetched;
use secret::notice::Notice;

/// How long a refused batch permission is remembered.
const BATCH_REFUSED_FOR: Duration = Duration::from_mins(10);
/// How often an instance looks whether another one has shared what both want.
const FIRST_LOOK: Duration = Duration::from_millis(4);
const LAST_LOOK: Duration = Duration::from_millis(50);
/// A new version that Redis did not take is shared again after so long, and, after waits that double, so many times: for
/// half a minute, since Redis is not asked for a second after a failure and for five after more of them.
const FIRST_TELL_AGAIN: Duration = Duration::from_secs(1);
const TELLS_AGAIN: u32 = 5;
/// Writes of the snapshot are this far apart.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);

impl AwsLayer {
    /// Fetches up to 20 names. Each has its own answer, in their order.
    pub(super) async fn fetch_group(self: &Arc<Self>, wants: Vec<Want>) -> Vec<Asked> {
        let Some(cache) = self.cache.as_ref().filter(|cache| cache.redis().is_some()) else {
            return self.fetch_from_aws(wants, None).await;
        };
        self.fetch_in_turn(cache, wants, FIRST_LOOK, Instant::now() + LOCK_LEASE).await
    }

    /// Fetches what no other instance is fetching, and looks again after a while (`look`) for the rest. From `patience`
    /// on nobody is waited for.
    async fn fetch_in_turn(
        self: &Arc<Self>,
        cache: &TieredCache,
        wants: Vec<Want>,
        look: Duration,
        patience: Instant,
    ) -> Vec<Asked> {
        // A lock that is free again was given back, or its holder is gone.
        let (states, locks) =
            if Instant::now() < patience { cache.lock(&wants).await } else { TieredCache::without_locks(&wants) };
        let mut answers: Vec<Option<Asked>> = wants.iter().map(|_| None).collect();
        let (mut mine, mut theirs) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for (i, (want, state)) in wants.into_iter().zip(states).enumerate() {
            let (indexes, part) = match state {
                Locked::Ours => &mut mine,
                Locked::Theirs => &mut theirs,
                Locked::Copied(copy) => {
                    answers[i] = Some(Asked::Shared(copy));
                    continue;
                }
            };
            indexes.push(i);
            part.push(want);
        }
        let later = async {
            if theirs.1.is_empty() {
                return Vec::new();
            }
            sleep(look.mul_f64(0.5 + fastrand::f64())).await;
            Box::pin(self.fetch_in_turn(cache, theirs.1, (look * 2).min(LAST_LOOK), patience)).await
        };
        let (from_aws, from_peers) = join(self.fetch_from_aws(mine.1, Some(locks)), later).await;
        for (i, answer) in mine.0.into_iter().zip(from_aws).chain(theirs.0.into_iter().zip(from_peers)) {
            answers[i] = Some(answer);
        }
        answers.into_iter().map(|answer| answer.unwrap_or(Asked::Aws(Ok(None)))).collect()
    }

    /// Asks AWS, in one call where batches are granted; shares what it gives and then gives the locks back.
    async fn fetch_from_aws(self: &Arc<Self>, wants: Vec<Want>, locks: Option<Locks>) -> Vec<Asked> {
        if wants.is_empty() && locks.as_ref().is_none_or(Locks::is_empty) {
            return Vec::new();
        }
        let answers = self.call_aws(&wants).await;
        let found: Vec<(Want, Fetched)> = wants
            .into_iter()
            .zip(&answers)
            .filter_map(|(want, answer)| match answer {
                Ok(Some(fetched)) if !fetched.value.is_empty() => Some((want, fetched.clone())),
                _ => None,
            })
            .collect();
        self.share_later(found, locks);
        answers.into_iter().map(Asked::Aws).collect()
    }

    pub(super) async fn call_aws(&self, wants: &[Want]) -> Vec<Result<Option<Fetched>>> {
        let Some(aws) = &self.aws else { return wants.iter().map(|_| Ok(None)).collect() };
        let ids: Vec<String> = wants.iter().map(|want| self.id(&want.name)).collect();
        if ids.len() > 1 && !self.batch_is_refused() {
            match aws.fetch_batch(&ids).await {
                Ok(mut answers) => {
                    self.metrics.shared_calls.fetch_add(ids.len() as u64, Ordering::Relaxed);
                    let answered = ids.iter().map(|id| answers.remove(id));
                    return join_all(ids.iter().zip(answered).map(|(id, answer)| async move {
                        match answer {
                            // A batch may leave names out; alone they are answered.
                            None => aws.fetch(id).await,
                            Some(answer) => answer,
                        }
                    }))
                    .await;
                }
                // Not granted: one by one.
                Err(error) if error.is_denied() => self.refuse_batches(),
                Err(error) => return ids.iter().map(|_| Err(error.clone())).collect(),
            }
        }
        join_all(ids.iter().map(|id| aws.fetch(id))).await
    }

    /// Readers do not wait for Redis to take the copies.
    pub(super) fn share_later(self: &Arc<Self>, found: Vec<(Want, Fetched)>, locks: Option<Locks>) {
        if self.cache.as_ref().is_none_or(|cache| cache.redis().is_none()) {
            return;
        }
        let news: Vec<News> = found
            .iter()
            .filter(|(want, fetched)| self.is_news(&want.name, fetched))
            .map(|(want, fetched)| News::of(&want.name, fetched))
            .collect();
        let layer = self.clone();
        // `close` waits for it: without a copy and with the locks kept, the other instances would wait for nothing.
        self.tasks.spawn(async move {
            let Some(cache) = &layer.cache else { return };
            let shared = cache.share(found, &news).await;
            if let Some(locks) = locks {
                cache.unlock(locks).await;
            }
            if let Err(error) = shared {
                tracing::debug!(code = %error.code(), "copies were not shared");
                layer.tell_again(cache, news).await;
            }
        });
    }

    /// Tries to tell news that Redis did not take in time: the others would serve the version before until their copies'
    /// TTL ends. What is no news may go unshared.
    pub(super) async fn tell_again(&self, cache: &TieredCache, mut news: Vec<News>) {
        let mut wait = FIRST_TELL_AGAIN;
        for again in 1..=TELLS_AGAIN {
            if news.is_empty() {
                return;
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(wait.mul_f64(1.0 + fastrand::f64() / 4.0)) => {}
            }
            let mut left = Vec::new();
            for news in news {
                if self.stop.is_cancelled() {
                    return;
                }
                match cache.share_again(&news).await {
                    Ok(()) => {}
                    Err(error) if again == TELLS_AGAIN => self.note_undropped(&news.name, Err(error)),
                    Err(_) => left.push(news),
                }
            }
            news = left;
            wait *= 2;
        }
    }

    /// Writes the snapshot within a second, once for all that changes until then.
    pub(super) fn write_snapshot_later(self: &Arc<Self>) {
        let Some(snapshot) = self.cache.as_ref().and_then(|cache| cache.snapshot()) else { return };
        if self.snapshot_is_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let (layer, snapshot) = (self.clone(), snapshot.clone());
        self.tasks.spawn(async move {
            // `close` writes it itself; a write that has begun is not cut off.
            tokio::select! {
                () = layer.stop.cancelled() => return,
                () = sleep(SNAPSHOT_EVERY) => {}
            }
            layer.snapshot_is_due.store(false, Ordering::Release);
            if let Err(error) = snapshot.write().await {
                layer.notices.notice(Notice::warning("SNAPSHOT_NOT_WRITTEN", error.to_string()));
            }
        });
    }

    fn batch_is_refused(&self) -> bool {
        let until = *self.batch_refused_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        until.is_some_and(|until| self.clock.now() < until)
    }

    fn refuse_batches(&self) {
        let until = self.clock.now().plus(BATCH_REFUSED_FOR);
        *self.batch_refused_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(until);
        self.notices.notice(Notice::warning(
            "BATCH_NOT_GRANTED",
            "secretsmanager:BatchGetSecretValue is not granted to this identity: secrets are read one by one",
        ));
    }
}
