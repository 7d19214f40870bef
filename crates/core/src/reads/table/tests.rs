use cache::entry::Deadlines;
use cache::order::Stamp;
use secret::clock::Clock;
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
    let asked =
        || match course(course(Course::begin(Lookup::Miss, false)).shared(Shared::Miss)).aws(Err(failure()), None, now)
        {
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
    assert_eq!(told(&end(read().aws(older(), Some(doubted), clock.now()))).map(|told| told.0), Some("older".into()));
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

#[test]
fn a_replicas_older_version_is_as_if_aws_had_failed() {
    let (clock, made) = past_ttl();
    let (held, now) = (copy("v", 1, made), clock.now());
    let version_id = || Some("v-0@eu-west-1".into());
    let older = || Ok(Some(Fetched { version_id: version_id(), created_unix_ms: Some(50), ..fetched("old") }));
    let renewed = || Course::renew(Some(held.clone()));
    let shared = course(course(Course::begin(Lookup::Miss, false)).shared(Shared::Stale(held.clone())));
    let rows = [
        (renewed(), Some(held.clone()), Origin::Memory),
        // No event makes a rollback of it.
        (renewed().confirmed(), Some(held.clone()), Origin::Memory),
        (shared, None, Origin::Redis),
    ];
    for (read, held, origin) in rows {
        let verdict = end(read.aws(older(), held, now));
        assert_eq!(told(&verdict), Some(("v".into(), origin, true)));
        assert!(matches!(verdict.fate, Fate::Hold { .. }));
    }
    assert_eq!(code(&end(Course::refresh().aws(older(), Some(held.clone()), now))), ErrorCode::SourceUnavailable);
    clock.advance(Duration::from_secs(30));
    let verdict = end(renewed().aws(older(), Some(held.clone()), clock.now()));
    assert_eq!(told(&verdict), Some(("old".into(), Origin::Aws, false)), "no copy may answer any more");
}
