//! Many names at once: those of a tool, declared or found by their prefix.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::gather::{Asked, Miss, answer_of};
use super::{Answer, AwsLayer};
use crate::flight::{Flight, Role};
use crate::metrics::add;
use aws::MAX_BATCH;
use cache::generation::Generation;
use cache::memory::Entry;
use cache::tiered::{Shared, TieredCache, Want};
use secret::clock::Moment;
use secret::error::Result;
use secret::found::Found;
use secret::name::SecretName;

/// Tools whose list of names is remembered; more than any service has.
const MAX_LISTINGS: usize = 1000;

/// What a call gives once it was made.
type AskedLater = Pin<Box<dyn Future<Output = Asked> + Send>>;

/// The names a listing found.
#[derive(Clone)]
pub(super) struct NameList {
    names: Vec<SecretName>,
    fresh_until: Moment,
    at: Generation,
}

impl AwsLayer {
    /// Reads many names at the cost of few calls: memory, one MGET, batches of 20. Names that others are fetching are
    /// not fetched again.
    pub async fn read_many(self: &Arc<Self>, names: &[SecretName]) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = names.iter().map(|name| self.from_memory(name)).collect();
        let missing: Vec<usize> = (0..names.len()).filter(|&i| answers[i].is_none()).collect();
        if missing.is_empty() {
            return answers.into_iter().flatten().collect();
        }
        self.follow_changes();
        let deadline = self.deadline();
        let wants: Vec<Want> = missing.iter().map(|&i| self.want(&names[i])).collect();
        let shared = match &self.cache {
            Some(cache) => cache.lookup_shared_many(&wants).await,
            None => wants.iter().map(|_| Shared::Disabled).collect(),
        };
        let (mut misses, mut flights) = (Vec::new(), Vec::new());
        for ((i, want), shared) in missing.into_iter().zip(wants).zip(shared) {
            if let Shared::Fresh(entry) = &shared {
                add(&self.metrics.hits);
                answers[i] = Some(Ok(Some(self.adopted(&want, entry, None))));
                continue;
            }
            let layer = self.clone();
            let fetch = |want, asked| async move { layer.fetch_missed(want, shared, asked, deadline).await };
            let (role, flight) = self.enter(want, &mut misses, fetch);
            if role == Role::Follower {
                add(&self.metrics.shared_calls);
            }
            flights.push((i, flight));
        }
        self.ask_together(misses);
        let outcomes = flights
            .into_iter()
            .map(|(i, flight)| async move { (i, self.flights.outcome(names[i].as_str(), flight).await) });
        for (i, answer) in join_all(outcomes).await {
            answers[i] = Some(answer);
        }
        answers.into_iter().flatten().collect()
    }

    /// Joins the flight of a name or begins one, whose call is then among `misses`.
    fn enter<F>(
        &self,
        want: Want,
        misses: &mut Vec<Miss>,
        fetch: impl FnOnce(Want, AskedLater) -> F,
    ) -> (Role, Flight<Option<Found>>)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let wanted = want.clone();
        let entered = self.flights.enter(want.name.as_str(), || fetch(wanted, Box::pin(answer_of(answered))));
        if entered.0 == Role::Leader {
            misses.push(Miss { want, answer });
        }
        entered
    }

    /// Refreshes copies whose readers asked for it, and with them, in the same calls, what else is due.
    pub(super) async fn refresh_due(self: &Arc<Self>, mut due: BTreeMap<SecretName, Arc<Entry>>) {
        let Some(cache) = &self.cache else { return };
        let now = self.clock.now();
        for (name, entry) in cache.due_with(&due, MAX_BATCH) {
            // Claimed, so that its own readers do not begin another refresh.
            if !due.contains_key(&name) && entry.claim(now) {
                due.insert(name, entry);
            }
        }
        self.metrics.refreshes.fetch_add(due.len() as u64, Ordering::Relaxed);
        let newer =
            |(name, held): (&SecretName, &Arc<Entry>)| Want { newer_than: held.fetched_unix_ms, ..self.want(name) };
        let wants: Vec<Want> = due.iter().map(newer).collect();
        let shared = cache.lookup_shared_many(&wants).await;
        let mut misses = Vec::new();
        for ((want, (_, held)), shared) in wants.into_iter().zip(due).zip(shared) {
            if let Shared::Fresh(entry) = &shared {
                // Another instance was faster.
                self.adopted(&want, entry, Some(&held));
                continue;
            }
            let layer = self.clone();
            let fetch = |want: Want, asked: AskedLater| async move {
                let asked = asked.await;
                layer.settle_asked(&want, asked, Some(held), true).await
            };
            drop(self.enter(want, &mut misses, fetch));
        }
        self.ask_together(misses);
    }

    /// Every secret in AWS whose name starts with `prefix` (upper case, ends in `_`), by name.
    ///
    /// # Errors
    /// AWS's, when the names are not known from an earlier listing. `SECRET_ACCESS_DENIED` when batches or ListSecrets
    /// are not granted.
    pub async fn read_prefix(self: &Arc<Self>, prefix: &str) -> Result<Vec<(SecretName, Answer)>> {
        let Some(aws) = &self.aws else { return Ok(Vec::new()) };
        let at = self.cache.as_ref().map(TieredCache::generation_of_all).unwrap_or_default();
        let known = self.listings().get(prefix).cloned();
        if let Some(list) = known.as_ref().filter(|list| self.clock.now() < list.fresh_until && list.at == at) {
            let answers = self.read_many(&list.names).await;
            return Ok(list.names.iter().cloned().zip(answers).collect());
        }
        let listing = match aws.fetch_by_prefix(&format!("{}{prefix}", self.ids.before)).await {
            Ok(listing) => listing,
            Err(error) if error.is_denied() || known.is_none() => return Err(error),
            Err(error) => {
                // The names are known: each one's stale copy may answer for it.
                let names = known.map(|list| list.names).unwrap_or_default();
                let mut answers = Vec::with_capacity(names.len());
                for name in names {
                    let stale = self.stale_in_memory(&name);
                    let answer = self.settle(&self.want(&name), Err(error.clone()), stale, true).await;
                    answers.push((name, answer));
                }
                return Ok(answers);
            }
        };
        let mut answers = Vec::with_capacity(listing.len());
        let mut found = Vec::with_capacity(listing.len());
        for (id, fetched) in listing {
            let Some(name) = self.ids.name_in(&id) else { continue };
            // AWS compares prefixes without case; only upper-cased names are reachable by tool and type.
            if !name.starts_with(prefix) || name.bytes().any(|b| b.is_ascii_lowercase()) {
                continue;
            }
            let Ok(name) = SecretName::new(name) else { continue };
            add(&self.metrics.misses);
            add(&self.metrics.shared_calls);
            let (stale, want) = (self.stale_in_memory(&name), self.want(&name));
            if let Ok(Some(fetched)) = &fetched
                && !fetched.value.is_empty()
            {
                found.push((want.clone(), fetched.clone()));
            }
            answers.push((name, self.settle(&want, fetched, stale, true).await));
        }
        self.share_later(found, None);
        self.remember_listing(prefix, answers.iter().map(|(name, _)| name.clone()).collect(), at);
        Ok(answers)
    }

    fn remember_listing(&self, prefix: &str, names: Vec<SecretName>, at: Generation) {
        let Some(cache) = &self.cache else { return };
        let mut listings = self.listings();
        if listings.len() >= MAX_LISTINGS {
            listings.clear();
        }
        let fresh_until = self.clock.now().plus(cache.ttl());
        listings.insert(prefix.to_owned(), NameList { names, fresh_until, at });
    }

    pub(super) fn listings(&self) -> MutexGuard<'_, HashMap<String, NameList>> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
