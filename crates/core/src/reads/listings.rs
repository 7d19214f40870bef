//! The secrets in AWS whose names begin with a tool's prefix, and for how long the list of them is remembered.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use secret::clock::Moment;
use secret::error::{Result, SecretError};
use secret::name::SecretName;

use super::Reads;
use super::table::{Answer, Course};
use crate::metrics::add;

/// Tools whose list of names is remembered; more than any service has.
const MAX_LISTINGS: usize = 1000;

/// The names that listings found, by prefix.
#[derive(Default)]
pub struct Listings {
    by_prefix: Mutex<HashMap<String, Listed>>,
}

#[derive(Clone)]
struct Listed {
    names: Vec<SecretName>,
    fresh_until: Moment,
}

/// What is known of the secrets with a prefix.
pub enum ListedNow {
    /// AWS listed them just now, with these answers: a name without an answer here is not in AWS.
    Complete(Vec<(SecretName, Answer)>),
    /// An earlier list: each name is still to be read.
    Remembered(Vec<SecretName>),
}

impl Listings {
    /// Forgets all lists.
    pub fn clear(&self) {
        self.by_prefix.lock().clear();
    }

    fn remember(&self, prefix: &str, listed: Listed) {
        let mut by_prefix = self.by_prefix.lock();
        if by_prefix.len() >= MAX_LISTINGS {
            by_prefix.clear();
        }
        by_prefix.insert(prefix.to_owned(), listed);
    }
}

impl Reads {
    /// The secrets in AWS whose names start with `prefix` (upper case, ends in `_`).
    ///
    /// # Errors
    /// AWS's, when the names are not known from an earlier listing. `SECRET_ACCESS_DENIED` when batches or ListSecrets
    /// are not granted.
    pub async fn list(self: &Arc<Self>, prefix: &str) -> Result<ListedNow> {
        let Some(aws) = self.aws() else { return Ok(ListedNow::Complete(Vec::new())) };
        if !aws.batches() {
            // Nothing is known of them: what the other sources name is read one by one.
            return Ok(ListedNow::Remembered(self.with_known(Vec::new(), prefix)));
        }
        let known = self.listings.by_prefix.lock().get(prefix).cloned();
        let is_fresh = |list: &&Listed| self.copies.clock.now() < list.fresh_until;
        if let Some(list) = known.as_ref().filter(is_fresh) {
            return Ok(ListedNow::Remembered(self.with_known(list.names.clone(), prefix)));
        }
        let asked = self.copies.ask();
        let listing = match aws.fetch_by_prefix(&format!("{}{prefix}", self.ids().before()), known.is_some()).await {
            Ok(listing) => listing,
            Err(error) => match known {
                Some(list) if !error.is_refused() => {
                    return Ok(ListedNow::Complete(self.unlisted(list.names, &error).await));
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
        if let Some(cache) = self.cache() {
            let names = answers.iter().map(|(name, _)| name.clone()).collect();
            let fresh_until = self.copies.clock.now().plus(cache.ttl());
            self.listings.remember(prefix, Listed { names, fresh_until });
        }
        Ok(ListedNow::Complete(answers))
    }

    /// Adds the names that were read one by one since: a remembered list is no proof that a name is missing.
    fn with_known(&self, mut names: Vec<SecretName>, prefix: &str) -> Vec<SecretName> {
        let known = self.cache().map(|cache| cache.memory().entries(self.copies.clock.now())).unwrap_or_default();
        let known = known.into_iter().filter(|(name, _)| name.starts_with(prefix));
        names.extend(known.filter_map(|(name, _)| SecretName::new(&name).ok()));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The answers when a listing failed but the names are known from an earlier one: each name's copy may answer for
    /// it.
    async fn unlisted(self: &Arc<Self>, names: Vec<SecretName>, error: &SecretError) -> Vec<(SecretName, Answer)> {
        let mut answers = Vec::with_capacity(names.len());
        for name in names {
            let (course, want) = (Course::renew(self.copies.usable(&name)), self.copies.want(&name));
            let answer = self.conclude(want, course, Err(error.clone()), self.asking()).await;
            answers.push((name, answer));
        }
        answers
    }
}
