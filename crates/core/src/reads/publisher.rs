//! Shares with the other instances what this one fetched, and what it dropped.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use cache::order::Stamp;
use cache::tiered::{Locks, Shared, TieredCache, Want};
use parking_lot::Mutex;
use secret::backoff::{Backoff, Jitter};
use secret::clock::Moment;
use secret::error::Result;
use secret::found::Fetched;
use secret::name::SecretName;
use tokio::time::sleep;

use super::Reads;
use super::copies::Copies;
use super::flights::Role;
use super::table::{Course, Step};
use crate::audit::Access;

/// Retry publishing a new version with exponential backoff, up to 5 times (about 30 s): the Redis breaker stays open
/// for 1 to 5 s after a failure, so a single retry would often be refused.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(16);
const RETRIES: u32 = 5;

/// A contested name is not asked for again sooner: with a clock that was put back every copy would be refused.
const CONTEST_EVERY: Duration = Duration::from_secs(1);
const MOST_CONTESTED: usize = 1000;

/// Names of which Redis kept another version than AWS just gave this instance. Which of the two is live only AWS can tell, by another
/// answer, whose question is later than both.
#[derive(Default)]
pub(super) struct Contests {
    reads: OnceLock<Weak<Reads>>,
    asked: Mutex<HashMap<SecretName, Moment>>,
}

impl Contests {
    /// Has `reads` ask.
    pub(super) fn are_settled_by(&self, reads: &Arc<Reads>) {
        // Once, where the reads are made.
        drop(self.reads.set(Arc::downgrade(reads)));
    }

    /// Asks AWS for `names`, and shares what it gives.
    async fn settle(&self, names: Vec<SecretName>) {
        let Some(reads) = self.reads.get().and_then(Weak::upgrade) else { return };
        for name in names {
            let now = reads.copies.clock.now();
            let is_due = {
                let mut asked = self.asked.lock();
                if asked.len() >= MOST_CONTESTED {
                    asked.retain(|_, at| now.since(*at) < CONTEST_EVERY);
                }
                let is_due = asked.get(&name).is_none_or(|at| now.since(*at) >= CONTEST_EVERY);
                if is_due && asked.len() < MOST_CONTESTED {
                    asked.insert(name.clone(), now);
                }
                is_due
            };
            if is_due {
                // Boxed: what it finds is shared, which may be contested again.
                Box::pin(reads.ask_anew(&name, now)).await;
            }
        }
    }
}

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
            match shared {
                Ok(contested) => copies.contests.settle(contested).await,
                Err(error) => {
                    tracing::debug!(code = %error.code(), "copies were not shared");
                    copies.share_again(found.into_iter().map(|(want, _)| want.name).collect()).await;
                }
            }
        });
    }

    /// Shares a new version now; retries in the background if Redis does not take it.
    pub(super) async fn share_version(self: &Arc<Self>, want: &Want, fetched: Fetched) {
        let Some(cache) = self.shared_cache() else { return };
        let want = &self.one(want.clone());
        match cache.share(&[(want.clone(), fetched)]).await {
            Ok(contested) => self.contests.settle(contested).await,
            Err(error) => {
                tracing::debug!(code = %error.code(), "a new version was not shared");
                let (copies, name) = (self.clone(), want.name.clone());
                self.tasks.spawn(async move { copies.share_again(vec![name]).await });
            }
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
                Ok(contested) => return self.contests.settle(contested).await,
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
    /// Asks AWS about `name`, whatever stands in the caches since before `now`, and shares what it gives. Joins a call that is under way.
    async fn ask_anew(self: &Arc<Self>, name: &SecretName, now: Moment) {
        let want = self.copies.want(name).newer_than(now);
        let (Step::AskShared(course) | Step::AskAws(course) | Step::AskSnapshot(course, _)) =
            Course::renew(self.copies.usable(name)).shared(Shared::Miss)
        else {
            return;
        };
        let mut misses = Vec::new();
        let (role, flight) = self.enter(want, course, self.deadline(), &mut misses);
        self.batcher.ask(misses);
        let answer = self.flights.outcome(name.as_str(), flight).await;
        if let Some(audit) = self.audit.as_ref().filter(|_| role == Role::Leader) {
            audit.inspected("refresh", &Access::read(name.as_str(), &answer));
        }
    }

    /// Has the snapshot forget what was dropped or replaced so far.
    pub async fn settle_snapshot(&self) {
        self.copies.settle_snapshot().await;
    }

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
        self.copies.settle_snapshot().await;
        told
    }
}
