//! What a read returns, and what becomes of the copies (docs/behaviour.md has the same table for users).
//!
//! A [`Course`] is one secret's way through memory, the shared cache, AWS and the snapshot. It is pure: the caller asks
//! each of them and hands over what it said, and gets the next [`Step`]. Reads of one name, of many names, listings,
//! refreshes, events and `explain` all go through it, so they cannot disagree.

use std::sync::Arc;
use std::time::Duration;

use cache::entry::Entry;
use cache::memory::Lookup;
use cache::tiered::Shared;
use secret::clock::Moment;
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::{Fetched, Found, Origin};
use secret::reference::Arn;

/// After a rotation, some of AWS's hosts may go on giving the version before for this long. Seconds were seen, never more.
const LAG: Duration = Duration::from_secs(5);

/// A value, "AWS has no such secret" (`None`), or why neither is known.
pub type Answer = Result<Option<Found>>;

/// What to do next for one secret.
#[derive(Debug)]
pub enum Step {
    /// Nothing: here is the answer.
    End(Verdict),
    /// Ask the shared cache, then call [`Course::shared`].
    AskShared(Course),
    /// Ask AWS, then call [`Course::aws`].
    AskAws(Course),
    /// AWS failed: look into the snapshot, then call [`Course::snapshot`].
    AskSnapshot(Course, SecretError),
}

/// The answer of a read, and what becomes of the copies.
#[derive(Debug)]
pub struct Verdict {
    /// What the reader gets.
    pub answer: Answer,
    /// What the caches do.
    pub(crate) fate: Fate,
}

/// What becomes of the copies of a secret.
#[derive(Debug)]
pub(crate) enum Fate {
    /// They stay as they are.
    Stay,
    /// AWS's value replaces them.
    Replace(Fetched),
    /// AWS has no such secret: they are dropped where there may be some, and the absence is remembered.
    Absent { had_copies: bool, may_have_copies: bool },
    /// AWS denies this identity the secret: they are dropped, and the denial is remembered.
    Deny(SecretError),
    /// AWS gave an older version than the copy in memory, which goes on answering until AWS says so again (decision D19).
    Doubt { older: Option<Arc<str>> },
    /// AWS failed: this copy answers until the next refresh, without waiting for AWS.
    Hold { copy: Arc<Entry>, failure: SecretError },
}

impl Verdict {
    fn stays(answer: Answer) -> Self {
        Self { answer, fate: Fate::Stay }
    }
}

/// One secret on its way through caches and AWS.
#[derive(Clone, Debug)]
pub struct Course {
    /// The copy that may answer when AWS fails, and where it was.
    stale: Option<(Arc<Entry>, Origin)>,
    /// Whether a copy may answer for a failing AWS at all.
    accepts_stale: bool,
    /// Whether some cache may hold a copy that this course has not seen.
    may_have_copies: bool,
    /// Whether an older version than the one held has to be given twice.
    doubts: bool,
}

impl Course {
    /// A read begins with what memory holds. `denied`: AWS denied the secret to this process, which then does not use the
    /// copies of others (decision D20).
    pub fn begin(in_memory: Lookup, denied: bool) -> Step {
        let stale = match in_memory {
            Lookup::Fresh(entry) => return Step::End(Verdict::stays(Ok(Some(entry.found(Origin::Memory, false))))),
            Lookup::Held(entry) => return Step::End(Verdict::stays(Ok(Some(entry.found(Origin::Memory, true))))),
            Lookup::Absent => return Step::End(Verdict::stays(Ok(None))),
            Lookup::Denied(error) => return Step::End(Verdict::stays(Err(error))),
            Lookup::Stale(entry) => Some((entry, Origin::Memory)),
            Lookup::Miss => None,
        };
        let course = Self { stale, accepts_stale: true, may_have_copies: false, doubts: true };
        if denied { Step::AskAws(course) } else { Step::AskShared(course) }
    }

    /// A refresh asks AWS whatever the caches hold, and takes no copy for an answer.
    pub fn refresh() -> Self {
        Self { stale: None, accepts_stale: false, may_have_copies: true, doubts: true }
    }

    /// Whether a copy can answer when AWS fails.
    pub fn has_copy(&self) -> bool {
        self.stale.is_some() && self.accepts_stale
    }

    /// An event, or a second answer, has said which version is live.
    #[must_use]
    pub fn confirmed(self) -> Self {
        Self { doubts: false, ..self }
    }

    /// A refresh in the background, or a listing, asks AWS; `copy`, from memory, may answer when AWS fails.
    pub fn renew(copy: Option<Arc<Entry>>) -> Self {
        let stale = copy.map(|copy| (copy, Origin::Memory));
        Self { stale, accepts_stale: true, may_have_copies: true, doubts: true }
    }

    /// The shared cache answered.
    pub fn shared(mut self, shared: Shared) -> Step {
        match shared {
            Shared::Fresh(copy) => return Step::End(Self::adopt(&copy)),
            Shared::Stale(copy) => {
                let older = |(held, _): &(Arc<Entry>, Origin)| held.gives_way_to(&copy);
                if self.stale.as_ref().is_none_or(older) {
                    self.stale = Some((copy, Origin::Redis));
                }
            }
            Shared::Failed(_) => self.may_have_copies = true,
            Shared::Miss | Shared::Disabled => {}
        }
        Step::AskAws(self)
    }

    /// Another instance asked AWS meanwhile and shared its copy, which is in memory by now.
    pub fn adopt(copy: &Entry) -> Verdict {
        Verdict::stays(Ok(Some(copy.found(Origin::Redis, false))))
    }

    /// The copy that `said`, a replica's, is behind, where that copy may still answer: a replica may lag behind, and only the
    /// primary goes back to an older version.
    pub fn ahead_of(
        &self,
        said: &Result<Option<Fetched>>,
        held: Option<&Arc<Entry>>,
        now: Moment,
    ) -> Option<Arc<Entry>> {
        let Ok(Some(fetched)) = said else { return None };
        if !fetched.is_from_replica() || fetched.value.is_empty() {
            return None;
        }
        let copies = self.stale.as_ref().map(|(copy, _)| copy).into_iter().chain(held);
        let (version, created) = (fetched.version_id.as_deref(), fetched.created_unix_ms);
        let is_ahead = |copy: &&Arc<Entry>| copy.is_ahead_of(version, created, now);
        copies.filter(is_ahead).max_by_key(|copy| copy.created_unix_ms).cloned()
    }

    /// AWS answered or failed. `held` is what memory holds by then. An empty secret counts as absent (decision D4).
    ///
    /// AWS may go on giving an old version for a moment after a rotation, and going back to an older version is legal: an older
    /// version than the one held counts when AWS gives it twice, and at once where the held copy is past its TTL and older than
    /// AWS lags behind. A replica's never does while the held copy may answer: it is as if AWS had failed (decision 126).
    pub fn aws(mut self, said: Result<Option<Fetched>>, held: Option<Arc<Entry>>, now: Moment) -> Step {
        if let Some(ahead) = self.ahead_of(&said, held.as_ref(), now) {
            let own = self.stale.take().filter(|(copy, _)| Arc::ptr_eq(copy, &ahead));
            self.stale = Some(own.unwrap_or((ahead, Origin::Memory)));
            return self.aws_said(Err(behind(&said)), true, now);
        }
        let had_copies = self.stale.is_some();
        let newer = |fetched: &Fetched, held: &Entry| {
            let again = held.doubted_by.is_some() && held.doubted_by == fetched.version_id;
            !again && held.is_newer_than(fetched.version_id.as_deref(), fetched.created_unix_ms)
        };
        let verdict = match (said, held) {
            (Ok(Some(fetched)), Some(held))
                if self.doubts && !fetched.value.is_empty() && may_lag(&held, now) && newer(&fetched, &held) =>
            {
                let answer = Ok(Some(held.found(Origin::Memory, !held.is_fresh(now))));
                Verdict { answer, fate: Fate::Doubt { older: fetched.version_id } }
            }
            (said, _) => return self.aws_said(said, had_copies, now),
        };
        Step::End(verdict)
    }

    fn aws_said(self, said: Result<Option<Fetched>>, had_copies: bool, now: Moment) -> Step {
        let verdict = match said {
            Ok(Some(fetched)) if !fetched.value.is_empty() => {
                let (value, version_id) = (fetched.value.clone(), fetched.version_id.clone());
                let request_id = fetched.request_id.clone();
                let found = Found { value, origin: Origin::Aws, version_id, stale: false, request_id };
                Verdict { answer: Ok(Some(found)), fate: Fate::Replace(fetched) }
            }
            Ok(_) => {
                let may_have_copies = had_copies || self.may_have_copies;
                Verdict { answer: Ok(None), fate: Fate::Absent { had_copies, may_have_copies } }
            }
            Err(error) if error.is_refused() => Verdict { answer: Err(error.clone()), fate: Fate::Deny(error) },
            Err(error) if !self.accepts_stale => Verdict::stays(Err(error)),
            Err(error) => match self.stale {
                Some((copy, origin)) => Self::stand_in(copy, origin, error, now),
                None => return Step::AskSnapshot(self, error),
            },
        };
        Step::End(verdict)
    }

    /// The snapshot's copy, if it has one, after AWS failed with `error`. It is flagged, whatever its age: other instances may
    /// have dropped theirs while this process did not run.
    pub fn snapshot(self, error: SecretError, copy: Option<Arc<Entry>>, now: Moment) -> Verdict {
        match copy {
            Some(copy) => Self::stand_in(copy.unconfirmed(now), Origin::Snapshot, error, now),
            None => Verdict::stays(Err(error)),
        }
    }

    /// A copy answers for a failing AWS while it is younger than `cache.maxStaleSeconds` allows.
    pub(crate) fn stand_in(copy: Arc<Entry>, origin: Origin, failure: SecretError, now: Moment) -> Verdict {
        if !copy.is_usable(now) {
            return Verdict::stays(Err(failure));
        }
        let answer = Ok(Some(copy.found(origin, !copy.is_fresh(now))));
        Verdict { answer, fate: Fate::Hold { copy, failure } }
    }
}

/// That an answer of a replica does not count.
pub(crate) fn behind(said: &Result<Option<Fetched>>) -> SecretError {
    let fetched = said.as_ref().ok().and_then(Option::as_ref);
    let arn = fetched.and_then(|fetched| fetched.arn.as_deref()).and_then(Arn::parse);
    let name = arn.map_or_else(String::new, |arn| format!("{}: ", arn.name()));
    let why =
        "AWS did not answer in the primary region, and another region has an older version than the one known here";
    SecretError::new(ErrorCode::SourceUnavailable, format!("{name}{why}"))
}

/// Whether AWS, which gave `held`, may still give the version before somewhere.
fn may_lag(held: &Entry, now: Moment) -> bool {
    held.is_usable(now) && (held.is_fresh(now) || now.since(held.asked.at()) < LAG)
}

#[cfg(test)]
mod tests;
