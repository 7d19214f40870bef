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
use secret::error::{Result, SecretError};
use secret::found::{Fetched, Found, Origin};

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

    /// AWS answered or failed. `held` is what memory holds by then. An empty secret counts as absent (decision D4).
    ///
    /// AWS may go on giving an old version for a moment after a rotation, and going back to an older version is legal: an older
    /// version than the one held counts when AWS gives it twice, and at once where the held copy is past its TTL and older than
    /// AWS lags behind.
    pub fn aws(self, said: Result<Option<Fetched>>, held: Option<Arc<Entry>>, now: Moment) -> Step {
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
    fn stand_in(copy: Arc<Entry>, origin: Origin, failure: SecretError, now: Moment) -> Verdict {
        if !copy.is_usable(now) {
            return Verdict::stays(Err(failure));
        }
        let answer = Ok(Some(copy.found(origin, !copy.is_fresh(now))));
        Verdict { answer, fate: Fate::Hold { copy, failure } }
    }
}

/// Whether AWS, which gave `held`, may still give the version before somewhere.
fn may_lag(held: &Entry, now: Moment) -> bool {
    held.is_usable(now) && (held.is_fresh(now) || now.since(held.asked.at()) < LAG)
}

#[cfg(test)]
mod tests {

    use cache::entry::Deadlines;
    use cache::order::Stamp;
    use secret::clock::Clock;
    use secret::error::ErrorCode;
    use secret::value::SecretValue;

    use super::*;

    /// A copy that was asked for as number `asked`, made by AWS at 100, fresh for 10 s and usable for 30 s.
    fn copy(text: &str, asked: u64, now: Moment) -> Arc<Entry> {
        let deadlines = Deadlines {
            soft_at: Moment::NEVER,
            refresh_at: Moment::NEVER,
            fresh_until: now.plus(Duration::from_secs(10)),
            stale_until: now.plus(Duration::from_secs(30)),
            hold_until: None,
            retry: Duration::ZERO,
        };
        Entry::new(SecretValue::copied(text), Some("v-1".into()), Some(100), Stamp::own(now, asked), deadlines)
    }

    fn fetched(text: &str) -> Fetched {
        Fetched {
            value: SecretValue::copied(text),
            version_id: Some("v-2".into()),
            created_unix_ms: None,
            request_id: None,
            arn: None,
        }
    }

    fn failure() -> SecretError {
        SecretError::new(ErrorCode::SourceUnavailable, "AWS failed")
    }

    fn denial() -> SecretError {
        SecretError::new(ErrorCode::SecretAccessDenied, "denied")
    }

    /// A clock past the TTL of copies made at `Moment`.
    fn past_ttl() -> (Clock, Moment) {
        let clock = Clock::test();
        let made = clock.now();
        clock.advance(Duration::from_secs(11));
        (clock, made)
    }

    fn end(step: Step) -> Verdict {
        match step {
            Step::End(verdict) => verdict,
            other => panic!("{other:?}"),
        }
    }

    fn course(step: Step) -> Course {
        match step {
            Step::AskShared(course) | Step::AskAws(course) | Step::AskSnapshot(course, _) => course,
            Step::End(verdict) => panic!("{verdict:?}"),
        }
    }

    /// The answer as text, where it came from, and whether it is stale.
    fn told(verdict: &Verdict) -> Option<(String, Origin, bool)> {
        let found = verdict.answer.as_ref().expect("no failure").as_ref()?;
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: a test compares it")]
        Some((found.value.expose().to_owned(), found.origin, found.stale))
    }

    fn code(verdict: &Verdict) -> ErrorCode {
        verdict.answer.as_ref().expect_err("a failure").code()
    }

    #[test]
    fn memory_answers_what_it_knows() {
        let now = Clock::test().now();
        let fresh = end(Course::begin(Lookup::Fresh(copy("v", 1, now)), false));
        assert_eq!(told(&fresh), Some(("v".into(), Origin::Memory, false)));
        let held = end(Course::begin(Lookup::Held(copy("v", 1, now)), false));
        assert_eq!(told(&held), Some(("v".into(), Origin::Memory, true)));
        assert_eq!(told(&end(Course::begin(Lookup::Absent, false))), None);
        assert_eq!(code(&end(Course::begin(Lookup::Denied(denial()), false))), ErrorCode::SecretAccessDenied);
        for lookup in [Lookup::Miss, Lookup::Stale(copy("v", 1, now))] {
            assert!(matches!(Course::begin(lookup, false), Step::AskShared(_)));
        }
    }

    #[test]
    fn a_fresh_shared_copy_answers() {
        let (_, made) = past_ttl();
        let read = course(Course::begin(Lookup::Stale(copy("old", 1, made)), false));
        let verdict = end(read.shared(Shared::Fresh(copy("new", 2, made))));
        assert_eq!(told(&verdict), Some(("new".into(), Origin::Redis, false)));
        assert!(matches!(verdict.fate, Fate::Stay));
    }

    #[test]
    fn awss_value_replaces_every_copy() {
        let (clock, made) = past_ttl();
        let read = course(course(Course::begin(Lookup::Stale(copy("old", 1, made)), false)).shared(Shared::Miss));
        let verdict = end(read.aws(Ok(Some(fetched("new"))), None, clock.now()));
        assert_eq!(told(&verdict), Some(("new".into(), Origin::Aws, false)));
        assert!(matches!(verdict.fate, Fate::Replace(_)));
    }

    #[test]
    fn an_absent_or_empty_secret_drops_copies_only_where_there_may_be_some() {
        let (clock, made) = past_ttl();
        let miss = || course(Course::begin(Lookup::Miss, false));
        let failed = || Shared::Failed(failure());
        let rows = [
            (course(miss().shared(Shared::Miss)), false, false),
            (course(miss().shared(failed())), false, true),
            (course(miss().shared(Shared::Stale(copy("v", 1, made)))), true, true),
            (course(course(Course::begin(Lookup::Stale(copy("v", 1, made)), false)).shared(Shared::Miss)), true, true),
            (Course::refresh(), false, true),
        ];
        for (read, had, may_have) in rows {
            for said in [Ok(None), Ok(Some(fetched("")))] {
                let verdict = end(read.clone().aws(said, None, clock.now()));
                assert_eq!(told(&verdict), None);
                assert!(
                    matches!(verdict.fate, Fate::Absent { had_copies, may_have_copies } if (had_copies, may_have_copies) == (had, may_have)),
                    "{read:?}"
                );
            }
        }
    }

    #[test]
    fn a_denial_is_never_answered_by_a_copy() {
        let (clock, made) = past_ttl();
        let read = course(course(Course::begin(Lookup::Stale(copy("v", 1, made)), false)).shared(Shared::Miss));
        let verdict = end(read.aws(Err(denial()), None, clock.now()));
        assert_eq!(code(&verdict), ErrorCode::SecretAccessDenied);
        assert!(matches!(verdict.fate, Fate::Deny(_)));
    }

    #[test]
    fn the_younger_of_two_stale_copies_stands_in_for_a_failing_aws() {
        let (clock, made) = past_ttl();
        for (in_memory, in_redis, expected) in [(1, 2, Origin::Redis), (2, 1, Origin::Memory), (1, 1, Origin::Memory)] {
            let read = course(Course::begin(Lookup::Stale(copy("memory", in_memory, made)), false));
            let read = course(read.shared(Shared::Stale(copy("redis", in_redis, made))));
            let verdict = end(read.aws(Err(failure()), None, clock.now()));
            assert_eq!(told(&verdict), Some((expected.as_str().into(), expected, true)));
            assert!(matches!(verdict.fate, Fate::Hold { .. }));
        }
    }

    #[test]
    fn without_a_copy_the_snapshot_stands_in_and_without_that_the_failure_is_the_answer() {
        let (clock, made) = past_ttl();
        let now = clock.now();
        let asked = || match course(course(Course::begin(Lookup::Miss, false)).shared(Shared::Miss)).aws(
            Err(failure()),
            None,
            now,
        ) {
            Step::AskSnapshot(course, error) => (course, error),
            other => panic!("{other:?}"),
        };
        let (read, error) = asked();
        let verdict = read.snapshot(error, Some(copy("file", 1, made)), now);
        assert_eq!(told(&verdict), Some(("file".into(), Origin::Snapshot, true)));
        let (read, error) = asked();
        let within_ttl = read.snapshot(error, Some(copy("file", 1, now)), now);
        assert_eq!(told(&within_ttl), Some(("file".into(), Origin::Snapshot, true)), "flagged, whatever its age");
        let (read, error) = asked();
        let verdict = read.snapshot(error, None, now);
        assert_eq!(code(&verdict), ErrorCode::SourceUnavailable);
        assert!(matches!(verdict.fate, Fate::Stay));
        clock.advance(Duration::from_secs(20));
        let (read, error) = asked();
        let verdict = read.snapshot(error, Some(copy("file", 1, made)), clock.now());
        assert_eq!(code(&verdict), ErrorCode::SourceUnavailable, "older than it may be");
    }

    #[test]
    fn what_aws_denied_this_process_is_not_asked_of_the_shared_cache() {
        assert!(matches!(Course::begin(Lookup::Miss, true), Step::AskAws(_)));
    }

    #[test]
    fn an_older_version_counts_when_aws_gives_it_twice_or_an_event_says_so() {
        let clock = Clock::test();
        let made = clock.now();
        let older = || {
            let older = Fetched { created_unix_ms: Some(50), version_id: Some("v-0".into()), ..fetched("older") };
            Ok(Some(older))
        };
        let held = copy("held", 1, made);
        let read = || course(course(Course::begin(Lookup::Stale(held.clone()), false)).shared(Shared::Miss));
        let verdict = end(read().aws(older(), Some(held.clone()), clock.now()));
        assert_eq!(told(&verdict), Some(("held".into(), Origin::Memory, false)));
        let Fate::Doubt { older: Some(by), .. } = verdict.fate else { panic!("{verdict:?}") };
        let doubted = held.doubted(held.deadlines, Some(by));
        assert_eq!(
            told(&end(read().aws(older(), Some(doubted), clock.now()))).map(|told| told.0),
            Some("older".into())
        );
        clock.advance(Duration::from_secs(2));
        // A short TTL: AWS may still lag behind what it gave two seconds ago.
        let fresh_until = made.plus(Duration::from_secs(1));
        let short = held.with(Deadlines { fresh_until, ..held.deadlines });
        let verdict = end(read().aws(older(), Some(short), clock.now()));
        assert_eq!(told(&verdict), Some(("held".into(), Origin::Memory, true)), "flagged: it is past its TTL");
        clock.advance(Duration::from_secs(9));
        let past_ttl = read().aws(older(), Some(held.clone()), clock.now());
        assert_eq!(told(&end(past_ttl)).map(|told| told.0), Some("older".into()));
        let confirmed = read().confirmed().aws(older(), Some(held.clone()), clock.now());
        assert_eq!(told(&end(confirmed)).map(|told| told.0), Some("older".into()));
        // A newer version, or one whose date is not known, counts at once.
        for created_unix_ms in [Some(200), None] {
            let said = Ok(Some(Fetched { created_unix_ms, ..fetched("new") }));
            let verdict = end(read().aws(said, Some(held.clone()), clock.now()));
            assert_eq!(told(&verdict).map(|told| told.0), Some("new".into()));
        }
    }

    #[test]
    fn a_refresh_takes_no_copy_for_an_answer() {
        let verdict = end(Course::refresh().aws(Err(failure()), None, Clock::test().now()));
        assert_eq!(code(&verdict), ErrorCode::SourceUnavailable);
        assert!(matches!(verdict.fate, Fate::Stay));
    }

    #[test]
    fn a_refresh_in_the_background_keeps_the_copy_that_it_was_to_replace() {
        let (clock, made) = past_ttl();
        let renewed = course(Course::renew(Some(copy("held", 1, made))).shared(Shared::Miss));
        let verdict = end(renewed.aws(Err(failure()), None, clock.now()));
        assert_eq!(told(&verdict), Some(("held".into(), Origin::Memory, true)));
    }
}
