use super::*;
use crate::entry::Deadlines;
use secret::clock::Clock;
use secret::error::ErrorCode;
use secret::value::SecretValue;

const KEEP: Duration = Duration::from_mins(1);

fn entry(cache: &MemoryCache, now: Moment) -> Arc<Entry> {
    let deadlines = Deadlines {
        soft_at: now.plus(Duration::from_secs(7)),
        refresh_at: now.plus(Duration::from_secs(8)),
        fresh_until: now.plus(Duration::from_secs(10)),
        stale_until: now.plus(Duration::from_secs(30)),
        hold_until: None,
        retry: Duration::ZERO,
    };
    Entry::new(SecretValue::copied("v"), Some("v-1".into()), None, cache.ask(now), deadlines)
}

#[test]
fn a_clear_leaves_the_versions_and_the_end_of_an_account_leaves_nothing() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    let now = clock.now();
    cache.put(&"A".into(), entry(&cache, now), cache.epoch(), now);
    cache.put_absent(&"B".into(), cache.ask(now), now, KEEP);
    cache.clear(cache.ask(now));
    assert!(matches!(cache.lookup("A", now), Lookup::Miss));
    assert!(cache.known("A").is_some_and(|known| known.is("v-1") && known.value.is_none()));
    assert!(!cache.has("B"));
    cache.clear(cache.ask(now));
    assert!(cache.known("A").is_some(), "also the second time");
    cache.forget_all(cache.ask(now));
    assert!(cache.is_empty());
}

#[test]
fn an_entry_is_fresh_then_stale_then_gone() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    cache.put(&"A".into(), entry(&cache, clock.now()), cache.epoch(), clock.now());
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Fresh(_)));
    clock.advance(Duration::from_secs(10));
    assert!(cache.serve("A", clock.now()).is_none());
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Stale(_)));
    clock.advance(Duration::from_secs(20));
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
}

#[test]
fn one_reader_after_the_soft_ttl_is_to_refresh_and_another_one_a_second_later() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    cache.put(&"A".into(), entry(&cache, clock.now()), cache.epoch(), clock.now());
    let claims = || {
        let (entry, _) = cache.serve("A", clock.now()).expect("fresh");
        (0..5).filter(|_| entry.claim_refresh(clock.now())).count()
    };
    assert_eq!(claims(), 0);
    clock.advance(Duration::from_secs(8));
    assert_eq!(claims(), 1);
    assert_eq!(claims(), 0);
    clock.advance(Duration::from_secs(1));
    assert_eq!(claims(), 1);
}

#[test]
fn what_was_read_is_due_from_the_beginning_of_its_soft_ttl_and_in_the_order_of_names() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(8, KEEP));
    for name in ["C", "A", "B"] {
        cache.put(&name.into(), entry(&cache, clock.now()), cache.epoch(), clock.now());
    }
    let names = |which: fn(&Entry, Moment) -> bool| {
        let entries = cache.entries(clock.now()).into_iter();
        let named = entries.filter(|(_, entry)| which(entry, clock.now()));
        named.map(|(name, _)| name.to_string()).collect::<Vec<_>>()
    };
    let due = || names(Entry::is_due);
    assert_eq!(names(|_, _| true), ["A", "B", "C"]);
    cache.serve("C", clock.now());
    cache.lookup("A", clock.now());
    clock.advance(Duration::from_secs(6));
    assert_eq!(due(), [""; 0]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(due(), ["A", "C"]);
}

#[test]
fn a_held_entry_answers_at_once_although_it_is_stale() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    let fetched = entry(&cache, clock.now());
    clock.advance(Duration::from_secs(11));
    let hold_until = Some(clock.now().plus(Duration::from_secs(5)));
    cache.put(&"A".into(), fetched.with(Deadlines { hold_until, ..fetched.deadlines }), cache.epoch(), clock.now());
    assert!(cache.serve("A", clock.now()).is_some_and(|(_, stale)| stale));
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Held(_)));
    clock.advance(Duration::from_secs(5));
    assert!(cache.serve("A", clock.now()).is_none());
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Stale(_)));
}

#[test]
fn distrusted_entries_answer_only_for_a_failing_aws_until_they_are_put_again() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    let asked = cache.epoch();
    cache.put(&"A".into(), entry(&cache, clock.now()), asked, clock.now());
    cache.distrust();
    assert!(cache.serve("A", clock.now()).is_none());
    // What was asked for before is no better when it arrives after.
    cache.put(&"A".into(), entry(&cache, clock.now()), asked, clock.now());
    assert!(cache.serve("A", clock.now()).is_none());
    let Lookup::Stale(again) = cache.lookup("A", clock.now()) else { panic!("not distrusted") };
    assert!(!again.is_fresh(clock.now()) && again.is_usable(clock.now()), "it answers flagged");
    cache.put(&"A".into(), entry(&cache, clock.now()), cache.epoch(), clock.now());
    assert!(cache.serve("A", clock.now()).is_some());
}

#[test]
fn what_a_message_names_does_not_answer_at_all_until_it_is_settled() {
    let (clock, cache, name) = (Clock::test(), MemoryCache::new(4, KEEP), Arc::from("A"));
    let held = entry(&cache, clock.now());
    cache.put(&name, held.clone(), cache.epoch(), clock.now());
    let on_its_way = entry(&cache, clock.now());
    cache.suspect(&name, clock.now());
    assert!(cache.serve("A", clock.now()).is_none());
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
    // What was asked for before the message is no better when it arrives after, nor is the same copy once more.
    for again in [held.with(held.deadlines), on_its_way] {
        assert!(!cache.may_answer("A", again.asked));
        cache.put(&name, again, cache.epoch(), clock.now());
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
    }
    // What was asked for afterwards is.
    let later = entry(&cache, clock.now());
    assert!(cache.may_answer("A", later.asked));
    cache.put(&name, later, cache.epoch(), clock.now());
    assert!(cache.serve("A", clock.now()).is_some());
    cache.suspect_all(clock.now());
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
    cache.settle_all(cache.ask(clock.now()));
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Stale(_)), "nothing says that it is right");
}

#[test]
fn a_version_that_a_reader_has_from_an_answer_that_is_not_kept_overtakes_the_copy() {
    let (clock, cache, name) = (Clock::test(), MemoryCache::new(4, KEEP), Arc::from("A"));
    let at = |created| Known::without_copy("v".into(), Some(created), clock.now());
    let old = |created| {
        let held = entry(&cache, clock.now());
        Entry::new(held.value.clone(), Some("old".into()), Some(created), held.asked, held.deadlines)
    };
    cache.put(&name, old(100), cache.epoch(), clock.now());
    cache.note_version(&name, at(50));
    assert!(cache.serve("A", clock.now()).is_some(), "an older version overtakes nothing");
    cache.note_version(&name, at(200));
    assert!(cache.serve("A", clock.now()).is_none());
    let known = cache.known_without_copy("A").expect("known");
    assert!(known.overtook(Some("old"), Some(100), clock.now()), "what was under way");
    assert!(!known.overtook(Some("newer"), Some(300), clock.now()));
    clock.advance(Duration::from_millis(10));
    assert!(!known.overtook(Some("old"), Some(100), clock.now()), "gone back to since");
}

#[test]
fn a_dropped_value_leaves_its_version_id() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    cache.put(&"A".into(), entry(&cache, clock.now()), cache.epoch(), clock.now());
    cache.drop_value(&"A".into(), cache.ask(clock.now()), clock.now());
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
    assert!(cache.known("A").is_some_and(|known| &*known.version == "v-1" && known.value.is_none()));
    cache.drop_value(&"B".into(), cache.ask(clock.now()), clock.now());
    assert_eq!(cache.len(), 1);
}

#[test]
fn versions_of_one_region_are_compared_and_of_two_their_values() {
    let known = |version: &str| {
        let value = Some(SecretValue::copied("v"));
        Known { version: version.into(), value, created_unix_ms: None, seen: Moment::FIRST }
    };
    let outdated = |known: &Known, version, value| known.is_outdated_by(Some(version), &SecretValue::copied(value));
    assert!(!outdated(&known("1"), "1", "v"));
    assert!(outdated(&known("1"), "2", "v"));
    assert!(!outdated(&known("1"), "1@west", "v") && !outdated(&known("1@west"), "2", "v"));
    assert!(outdated(&known("1"), "2@west", "w"));
    let dropped = Known { value: None, ..known("1") };
    assert!(outdated(&dropped, "2", "w") && !outdated(&dropped, "2@west", "w"));
    assert!(!known("1").is_outdated_by(None, &SecretValue::copied("w")));
}

#[test]
fn an_absence_and_a_refusal_are_believed_only_for_their_time() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    let five = Duration::from_secs(5);
    let denied = SecretError::new(ErrorCode::SecretAccessDenied, "denied");
    cache.put_absent(&"A".into(), cache.ask(clock.now()), clock.now(), five);
    cache.put_denied(&"B".into(), cache.ask(clock.now()), true, clock.now(), five, &denied);
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Absent));
    assert!(matches!(cache.lookup("B", clock.now()), Lookup::Denied(_)));
    assert!(cache.serve("A", clock.now()).is_none() && cache.serve("B", clock.now()).is_none());
    clock.advance(five);
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
    assert!(matches!(cache.lookup("B", clock.now()), Lookup::Miss));
}

#[test]
fn a_zero_negative_ttl_remembers_nothing() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    cache.put(&"A".into(), entry(&cache, clock.now()), cache.epoch(), clock.now());
    cache.put_absent(&"A".into(), cache.ask(clock.now()), clock.now(), Duration::ZERO);
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
}

#[test]
fn the_number_of_entries_is_bounded() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(100, KEEP));
    for i in 0..10_000 {
        cache.put(&format!("N{i}").into(), entry(&cache, clock.now()), cache.epoch(), clock.now());
    }
    assert!(cache.len() <= 100, "{}", cache.len());
}

#[test]
fn a_late_answer_finds_what_was_asked_for_later() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    let (now, name) = (clock.now(), Arc::from("A"));
    let five = Duration::from_secs(5);
    let (late, later) = (entry(&cache, now), entry(&cache, now));
    let late_stamp = late.asked;
    assert!(matches!(cache.put(&name, later.clone(), cache.epoch(), now), Stored::Newest(None)));
    for stored in [
        cache.put(&name, late, cache.epoch(), now),
        cache.put_absent(&name, late_stamp, now, five),
        cache.put_denied(
            &name,
            late_stamp,
            false,
            now,
            five,
            &SecretError::new(ErrorCode::SecretAccessDenied, "denied"),
        ),
    ] {
        assert!(matches!(stored, Stored::Newer(entry) if Arc::ptr_eq(&entry, &later)));
    }
    assert!(cache.serve("A", now).is_some());
}

#[test]
fn a_late_value_does_not_come_back_after_a_later_absence_a_drop_or_a_clearing() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    let (now, name) = (clock.now(), Arc::from("A"));
    let late = || entry(&cache, now);
    let refused = |entry| matches!(cache.put(&name, entry, cache.epoch(), now), Stored::Outdated);
    let before_absence = late();
    cache.put_absent(&name, cache.ask(now), now, Duration::from_secs(5));
    assert!(refused(before_absence));
    let before_drop = late();
    cache.drop_value(&name, cache.ask(now), now);
    assert!(refused(before_drop));
    let before_clearing = late();
    cache.clear(cache.ask(now));
    assert!(refused(before_clearing));
    assert!(matches!(cache.put(&name, late(), cache.epoch(), now), Stored::Newest(_)));
}

#[test]
fn an_older_answer_does_not_come_back_after_a_newer_one_was_evicted() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(1, KEEP));
    let now = clock.now();
    let late = entry(&cache, now);
    cache.put(&"A".into(), entry(&cache, now), cache.epoch(), now);
    for i in 0..10 {
        cache.put(&format!("N{i}").into(), entry(&cache, now), cache.epoch(), now);
    }
    assert!(!cache.has("A"), "evicted");
    assert!(matches!(cache.put(&"A".into(), late, cache.epoch(), now), Stored::Outdated));
}

#[test]
fn an_answer_that_took_too_long_is_not_cached_and_a_held_copy_may_be_old() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, Duration::from_hours(1)));
    let (asked, name) = (entry(&cache, clock.now()), Arc::from("A"));
    clock.advance(Duration::from_secs(61));
    let now = clock.now();
    assert!(matches!(cache.put(&name, asked.clone(), cache.epoch(), now), Stored::Outdated));
    assert!(matches!(cache.renew(&name, asked, cache.epoch(), now), Stored::Newest(_)));
}

#[test]
fn a_denial_counts_although_another_process_asked_later_or_the_name_was_dropped() {
    let (clock, five) = (Clock::test(), Duration::from_secs(5));
    let denied = SecretError::new(ErrorCode::SecretAccessDenied, "no");
    let (name, now) = (Arc::from("A"), clock.now());
    for by_another in [true, false] {
        let cache = MemoryCache::new(4, KEEP);
        let asked = cache.ask(now);
        let later = if by_another { Stamp::foreign(now.plus(five)) } else { cache.ask(now) };
        let copy = entry(&cache, now);
        let copy = Entry::new(copy.value.clone(), copy.version_id.clone(), None, later, copy.deadlines);
        cache.put(&name, copy, cache.epoch(), now);
        let stored = cache.put_denied(&name, asked, true, now, five, &denied);
        assert_eq!(matches!(stored, Stored::Newest(_)), by_another, "{stored:?}");
        assert_eq!(matches!(cache.lookup("A", now), Lookup::Denied(_)), by_another);
    }
    let cache = MemoryCache::new(4, KEEP);
    let asked = cache.ask(now);
    cache.drop_value(&name, cache.ask(now), now);
    assert!(matches!(cache.put_denied(&name, asked, false, now, five, &denied), Stored::Outdated));
    assert!(matches!(cache.put_denied(&name, asked, true, now, five, &denied), Stored::Newest(_)));
}

#[test]
fn clearing_as_of_then_leaves_what_was_asked_for_later() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    let (before, at) = (entry(&cache, clock.now()), clock.now());
    cache.put(&"A".into(), before, cache.epoch(), clock.now());
    clock.advance(Duration::from_secs(1));
    cache.put(&"B".into(), entry(&cache, clock.now()), cache.epoch(), clock.now());
    cache.clear(Stamp::foreign(at.plus(Duration::from_millis(500))));
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
    assert!(matches!(cache.lookup("B", clock.now()), Lookup::Fresh(_)));
}

#[test]
fn an_absence_that_was_answered_during_a_freeze_is_not_remembered_as_if_it_were_new() {
    let (clock, cache, name) = (Clock::test(), MemoryCache::new(4, KEEP), Arc::from("A"));
    let negative_ttl = Duration::from_secs(5);
    let asked = cache.ask(clock.now());
    clock.advance(Duration::from_secs(1));
    cache.put_absent(&name, asked, clock.now(), negative_ttl);
    clock.advance(Duration::from_secs(4));
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Absent), "AWS may take a second");
    clock.advance(Duration::from_secs(1));
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
    let asked = cache.ask(clock.now());
    clock.advance(Duration::from_secs(20));
    cache.put_absent(&name, asked, clock.now(), negative_ttl);
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss), "asked for before the freeze");
}

#[test]
fn what_another_process_asked_for_while_not_there_was_under_way_overlaps_it() {
    let (clock, cache, name) = (Clock::test(), MemoryCache::new(4, KEEP), Arc::from("A"));
    let before = Stamp::foreign(clock.now());
    clock.advance(Duration::from_millis(10));
    let asked = cache.ask(clock.now());
    clock.advance(Duration::from_millis(10));
    let between = Stamp::foreign(clock.now());
    clock.advance(Duration::from_millis(10));
    let seen = clock.now();
    cache.put_absent(&name, asked, seen, Duration::from_secs(5));
    assert_eq!(cache.absence_around("A", between), Some(seen));
    assert_eq!(cache.absence_around("A", before), None);
    assert_eq!(cache.absence_around("A", Stamp::foreign(seen)), None, "asked for later");
    clock.advance(Duration::from_secs(6));
    assert_eq!(cache.absence_around("A", between), Some(seen), "also when it is not believed any more");
}

#[test]
fn an_answer_of_aws_is_compared_with_a_copy_that_a_message_named_as_with_one_past_its_ttl() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    cache.put(&"A".into(), entry(&cache, clock.now()), cache.epoch(), clock.now());
    assert!(cache.judged("A", clock.now()).is_some_and(|held| held.is_fresh(clock.now())));
    cache.suspect(&"A".into(), clock.now());
    let held = cache.judged("A", clock.now()).expect("a copy");
    assert!(!held.is_fresh(clock.now()) && held.is_usable(clock.now()));
}

#[test]
fn what_says_not_there_stays_when_another_instance_heard_the_same() {
    let (clock, cache) = (Clock::test(), MemoryCache::new(4, KEEP));
    let [absent, held] = ["A", "B"].map(Arc::<str>::from);
    cache.put_absent(&absent, cache.ask(clock.now()), clock.now(), Duration::from_secs(5));
    let asked = cache.ask(clock.now());
    cache.put(&held, entry(&cache, clock.now()), cache.epoch(), clock.now());
    let dropped = cache.ask(clock.now());
    for name in [&absent, &held] {
        cache.drop_gone(name, dropped, clock.now());
    }
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Absent));
    assert!(matches!(cache.lookup("B", clock.now()), Lookup::Miss));
    assert!(!cache.allows("A", asked), "a value that was asked for before does not come back");
    cache.drop_value(&absent, dropped, clock.now());
    assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss), "it may be there now");
}
