//! The end of a read: the copies follow what AWS said, and where it failed and neither memory nor Redis has a copy, the last one
//! answers.

use std::sync::Arc;

use cache::entry::Entry;
use cache::memory::Lookup;
use cache::tiered::{Shared, TieredCache, Want};
use secret::error::SecretError;
use secret::found::Origin;
use secret::name::SecretName;

use super::Reads;
use super::calls::Said;
use super::copies::Followed;
use super::table::{Course, Step, Verdict};

/// A copy of last resort.
pub struct LastCopy {
    /// What the copy goes by.
    pub name: SecretName,
    /// The copy.
    pub copy: Arc<Entry>,
    /// Where it is.
    pub origin: Origin,
}

impl Reads {
    /// What the table says, done.
    pub(super) async fn follow(&self, want: &Want, course: Course, said: Said) -> Followed {
        self.calls.note(&said);
        if matches!(said, Ok(Some(_))) {
            self.copies.note_given(&want.name);
        }
        if said.is_ok() {
            self.access_checks.answered(&want.name, want.asked.at());
        }
        let now = self.copies.clock.now();
        let held = self.cache().and_then(|cache| cache.memory().judged(want.name.as_str(), now));
        let held = held.map(|held| held.for_question_of(want.asked.at()));
        let want = &self.copies.one(want.clone());
        match course.aws(said, held, now) {
            Step::End(verdict) => self.copies.follow(want, verdict).await,
            Step::AskSnapshot(course, error) => {
                let last = Box::pin(self.last_copy(&want.name)).await;
                let verdict = self.last(course, error, last.as_ref());
                let mut want = want.clone();
                if let Some(last) = last {
                    want.name = last.name;
                }
                self.copies.follow(&want, verdict).await
            }
            Step::AskShared(_) | Step::AskAws(_) => Followed::current(Ok(None)),
        }
    }

    /// The copy of `name` in the file, else, where `name` is an ARN of the own account and region, the copy of the plain name: until
    /// AWS has answered, a process does not know that they are one (decision 128).
    pub async fn last_copy(&self, name: &SecretName) -> Option<LastCopy> {
        let cache = self.cache()?;
        if let Some(copy) = cache.from_snapshot(name).await {
            return Some(LastCopy { name: name.clone(), copy, origin: Origin::Snapshot });
        }
        let name = self.calls.plain_of(name).await?;
        let (copy, origin) = of_plain(cache, &name).await?;
        Some(LastCopy { name, copy, origin })
    }

    /// What a read returns after AWS failed with `error`.
    pub fn last(&self, course: Course, error: SecretError, last: Option<&LastCopy>) -> Verdict {
        let now = self.copies.clock.now();
        match last {
            Some(last) if last.origin != Origin::Snapshot => {
                Course::stand_in(last.copy.clone(), last.origin, error, now)
            }
            last => course.snapshot(error, last.map(|last| last.copy.clone()), now),
        }
    }
}

async fn of_plain(cache: &TieredCache, name: &SecretName) -> Option<(Arc<Entry>, Origin)> {
    match cache.lookup(name) {
        Lookup::Fresh(copy) | Lookup::Held(copy) | Lookup::Stale(copy) => return Some((copy, Origin::Memory)),
        // AWS has answered for the name.
        Lookup::Absent | Lookup::Denied(_) => return None,
        Lookup::Miss => {}
    }
    match cache.peek_shared(name).await {
        Shared::Fresh(copy) | Shared::Stale(copy) => Some((copy, Origin::Redis)),
        Shared::Miss | Shared::Failed(_) | Shared::Disabled => {
            Some((cache.from_snapshot(name).await?, Origin::Snapshot))
        }
    }
}
