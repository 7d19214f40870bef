//! Refreshes copies: in the background before they end, several in one call, or one because its user asks for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws::MAX_BATCH;
use cache::entry::Entry;
use cache::tiered::Want;
use parking_lot::Mutex;
use secret::name::SecretName;
use tokio::runtime::Handle;

use super::batcher::WINDOW;
use super::calls::Said;
use super::flights::Role;
use super::table::{Answer, Course, Step};
use super::{Asking, MOST_DROPS, Reads};
use crate::audit::Access;

/// Copies whose refresh is about to begin.
#[derive(Default)]
pub struct Refresher {
    due: Mutex<BTreeMap<SecretName, Arc<Entry>>>,
}

impl Reads {
    /// Refreshes a copy that is still served, in the background, and with it what else is due. Called from any thread.
    pub fn refresh_ahead(self: &Arc<Self>, name: &str, entry: &Arc<Entry>, runtime: &Handle) {
        let Ok(name) = SecretName::of_copy(name) else { return };
        let is_first = {
            let mut due = self.refresher.due.lock();
            due.insert(name, entry.clone());
            due.len() == 1
        };
        if !is_first {
            return;
        }
        let reads = self.clone();
        let refresh = async move {
            tokio::time::sleep(WINDOW).await;
            let due = std::mem::take(&mut *reads.refresher.due.lock());
            reads.refresh_due(due).await;
        };
        self.copies.tasks.spawn_until_on(&self.copies.stop, refresh, runtime);
    }

    /// Refreshes copies whose readers asked for it, and with them, in the same calls, what else is due.
    async fn refresh_due(self: &Arc<Self>, mut due: BTreeMap<SecretName, Arc<Entry>>) {
        let Some(cache) = self.cache() else { return };
        let now = self.copies.clock.now();
        for (name, entry) in cache.due_with(&due, MAX_BATCH) {
            // Claimed, so that its own readers do not begin another refresh.
            if !due.contains_key(&name) && entry.claim(now) {
                due.insert(name, entry);
            }
        }
        self.metrics.refreshes.fetch_add(due.len() as u64, Ordering::Relaxed);
        let newer = |(name, held): (&SecretName, &Arc<Entry>)| self.want_in_turn(name, now).newer_than(held.asked.at());
        let wants: Vec<Want> = due.iter().map(newer).collect();
        let shared = cache.lookup_shared(&wants).await;
        let (deadline, mut misses, mut flights) = (self.deadline(), Vec::new(), Vec::new());
        for ((want, held), shared) in wants.into_iter().zip(due.into_values()).zip(shared) {
            match Course::renew(Some(held)).shared(shared) {
                // Another instance was faster.
                Step::End(_) => self.access_checks.used(&want.name, now),
                Step::AskShared(course) | Step::AskAws(course) | Step::AskSnapshot(course, _) => {
                    let name = want.name.clone();
                    if let (Role::Leader, flight) = self.enter(want, course, deadline, &mut misses) {
                        flights.push((name, flight));
                    }
                }
            }
        }
        self.batcher.ask(misses);
        let Some(audit) = &self.audit else { return };
        for (name, flight) in flights {
            let answer = self.flights.outcome(name.as_str(), flight).await;
            audit.inspected("refresh", &Access::read(name.as_str(), &answer));
        }
    }

    /// Reads past the caches and replaces their copies. Begins a fetch of its own even when one is under way: that one
    /// may have asked before the change that makes the caller want a fresh value.
    ///
    /// # Errors
    /// AWS's. Stale copies do not answer, and a failing AWS leaves the cached copies where they are.
    pub async fn refresh(self: &Arc<Self>, name: &SecretName) -> Answer {
        self.flights.forget(name.as_str());
        let (reads, wanted) = (self.clone(), name.clone());
        let since = self.flights_since(name);
        let (_, flight) = self.flights.enter_since(name.as_str(), since, move |own| async move {
            let deadline = reads.deadline();
            let (want, said, course) = reads.ask_surely(&wanted).await;
            if let Ok(Some(fetched)) = &said
                && !fetched.value.is_empty()
            {
                reads.copies.share_soon(vec![(want.clone(), fetched.clone())], None);
            }
            reads.conclude(want, course, said, Asking { own: Some(own), deadline, left: MOST_DROPS }).await
        });
        let answer = self.flights.outcome(name.as_str(), flight).await;
        self.copies.settle_snapshot().await;
        answer
    }

    /// Whether AWS gave an older version than the one held.
    pub(super) fn is_doubtful(&self, name: &SecretName, said: &Said) -> bool {
        let held = self.copies.held(name);
        let Ok(Some(fetched)) = said else { return false };
        held.is_some_and(|held| held.is_newer_than(fetched.version_id.as_deref(), fetched.created_unix_ms))
    }

    /// Asks AWS now.
    pub(super) async fn ask(&self, name: &SecretName) -> (Want, Said) {
        let want = self.copies.want(name);
        let said = self.calls.one(name).await;
        if said.is_ok() {
            self.access_checks.answered(name, want.asked.at());
        }
        (want, said)
    }
}
