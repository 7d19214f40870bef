//! The secrets in AWS whose names begin with a tool's prefix, and for how long the list of them is remembered.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use secret::clock::Moment;
use secret::error::{Result, SecretError};
use secret::name::SecretName;

use super::table::{Answer, Course};
use super::{Begun, Reads};
use crate::metrics::add;

/// Tools whose list of names is remembered; more than any service has.
const MAX_LISTINGS: usize = 1000;
/// Names that are remembered because other instances spoke of them.
const MOST_HEARD: usize = 10_000;

/// The names that listings found, by prefix.
#[derive(Default)]
pub struct Listings {
    by_prefix: Mutex<HashMap<String, Remembered>>,
    /// Names of which other instances have copies. A copy that was put by hand stands in no list of AWS.
    heard: Mutex<BTreeSet<SecretName>>,
}

#[derive(Clone)]
struct Remembered {
    names: Vec<SecretName>,
    /// When AWS was asked: the list is as old.
    asked: Moment,
}

/// What is known of the secrets with a prefix.
#[derive(Default)]
pub struct Listed {
    /// What is known of names by now.
    pub answers: Vec<(SecretName, Answer)>,
    /// Names that are to be read one by one.
    pub others: Vec<SecretName>,
    /// Whether AWS listed them just now: a name that stands nowhere here is not in AWS.
    pub is_complete: bool,
}

impl Listings {
    /// Forgets all lists.
    pub fn clear(&self) {
        self.by_prefix.lock().clear();
        self.heard.lock().clear();
    }

    fn remember(&self, prefix: &str, list: Remembered) {
        let mut by_prefix = self.by_prefix.lock();
        if by_prefix.len() >= MAX_LISTINGS {
            by_prefix.clear();
        }
        by_prefix.insert(prefix.to_owned(), list);
    }

    /// Another instance shared a copy of `name`.
    pub(super) fn heard_of(&self, name: &SecretName) {
        let mut heard = self.heard.lock();
        if heard.len() < MOST_HEARD {
            heard.insert(name.clone());
        }
    }

    /// Another instance dropped the copies of `name`.
    pub(super) fn heard_of_drop(&self, name: &SecretName) {
        self.heard.lock().remove(name);
    }
}

impl Reads {
    /// The secrets in AWS whose names start with `prefix` (upper case, ends in `_`). A remembered list answers for as long as a
    /// single read remembers that AWS has no such secret; `max_age`: if it is of this age at most.
    ///
    /// # Errors
    /// AWS's, when the names are not known from an earlier listing. `SECRET_ACCESS_DENIED` when batches or ListSecrets
    /// are not granted.
    pub async fn list(self: &Arc<Self>, prefix: &str, max_age: Option<Duration>) -> Result<Listed> {
        let Some(aws) = self.aws() else {
            return Ok(Listed { others: self.with_known(Vec::new(), prefix), is_complete: true, ..Listed::default() });
        };
        if !aws.batches() {
            // Nothing is known of them: what the other sources name is read one by one.
            return Ok(Listed { others: self.with_known(Vec::new(), prefix), ..Listed::default() });
        }
        let now = self.copies.clock.now();
        let known = self.listings.by_prefix.lock().get(prefix).cloned();
        if let Some(list) = known.as_ref().filter(|list| self.may_answer(now.since(list.asked), max_age)) {
            return Ok(Listed { others: self.with_known(list.names.clone(), prefix), ..Listed::default() });
        }
        let asked = self.copies.ask();
        let before = self.ids().before();
        let listing = match aws.fetch_by_prefix(&format!("{before}{prefix}"), known.is_some()).await {
            Ok(listing) => listing,
            Err(error) => match known {
                Some(list) if !error.is_refused() => {
                    let names = self.with_known(list.names, prefix);
                    return Ok(self.unlisted(names, &error).await);
                }
                _ => return Err(error),
            },
        };
        let mut answers = Vec::with_capacity(listing.len());
        let mut found = Vec::with_capacity(listing.len());
        for (id, said) in listing {
            let Some(name) = self.ids().name_in(&id) else { continue };
            // AWS compares prefixes without case; only upper-cased names are reachable by tool and type.
            if !name.starts_with(prefix) || name.bytes().any(|b| b.is_ascii_lowercase()) {
                continue;
            }
            let Ok(name) = SecretName::new(name) else { continue };
            add(&self.metrics.misses);
            add(&self.metrics.shared_calls);
            // As old as the listing.
            let (course, want) = (Course::renew(self.copies.usable(&name)), asked.of(&name));
            let said = self.calls.alone(&name, said).await;
            if let Ok(Some(fetched)) = &said
                && !fetched.value.is_empty()
            {
                found.push((want.clone(), fetched.clone()));
            }
            answers.push((name, self.conclude(want, course, said, self.asking()).await));
        }
        self.copies.share_soon(found, None);
        let names: Vec<SecretName> = answers.iter().map(|(name, _)| name.clone()).collect();
        // Copies may answer for what AWS does not list, as in a single read.
        let mut others = self.with_known(Vec::new(), prefix);
        let listed: HashSet<&SecretName> = names.iter().collect();
        others.retain(|other| !listed.contains(other));
        if self.cache().is_some() {
            self.listings.remember(prefix, Remembered { names, asked: now });
        }
        Ok(Listed { answers, others, is_complete: true })
    }

    /// Whether a list of this age answers in place of AWS.
    fn may_answer(&self, age: Duration, max_age: Option<Duration>) -> bool {
        let is_fresh = self.cache().is_some_and(|cache| age < cache.ttl().min(cache.negative_ttl()));
        // The clock moves in steps: no list is of no age.
        is_fresh && max_age.is_none_or(|most| !most.is_zero() && age <= most)
    }

    /// Adds the names that were read one by one since, or that other instances have copies of: a list is no proof that a name is
    /// missing.
    fn with_known(&self, mut names: Vec<SecretName>, prefix: &str) -> Vec<SecretName> {
        let known = self.cache().map(|cache| cache.memory().entries(self.copies.clock.now())).unwrap_or_default();
        let known = known.into_iter().filter(|(name, _)| name.starts_with(prefix));
        names.extend(known.filter_map(|(name, _)| SecretName::new(&name).ok()));
        names.extend(self.listings.heard.lock().iter().filter(|name| name.as_str().starts_with(prefix)).cloned());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What is known when a listing failed and `names` are known from an earlier one: copies answer, and what has none is read by
    /// itself. So is all of it where AWS only throttles listings.
    async fn unlisted(self: &Arc<Self>, names: Vec<SecretName>, error: &SecretError) -> Listed {
        let mut listed = Listed::default();
        for name in names {
            match self.begin(&name) {
                Begun::Answered(answer) => listed.answers.push((name, answer)),
                Begun::Missed(course) if course.has_copy() && !error.is_throttled() => {
                    let want = self.copies.want(&name);
                    let answer = self.conclude(want, course, Err(error.clone()), self.asking()).await;
                    listed.answers.push((name, answer));
                }
                Begun::Missed(_) => listed.others.push(name),
            }
        }
        listed
    }
}
