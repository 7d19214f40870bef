//! The life of a log from opening to closing, and without closing.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{append, counted, intact, journals, lines, now, open, options, record, until};
use tcs_secret_delivery_audit_log::{AppendError, AuditLog, Event, MAX_TEXT, Notice, Reason, Record, State};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_log_is_opened_written_and_closed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let log = open(&path);
    assert_eq!((log.state(), log.instance().len(), journals(directory.path())), (State::Healthy, 16, 1));
    append(&log, "c-0-0");
    append(&log, "say \"hi\"\n");
    log.try_append(&Record { environment: "production", ..Record::new(Event::Clear) }).expect("appended");
    log.flush().expect("flushed");
    assert_eq!(log.figures().written, 3);
    log.close(SECOND).expect("closed");
    log.close(SECOND).expect("closed twice is closed");
    assert_eq!(log.try_append(&record("c")), Err(AppendError::Closed));
    assert_eq!(journals(directory.path()), 0);
    let lines = lines(&path);
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().expect("text")).collect();
    assert_eq!(events, ["begin", "open", "access", "access", "clear", "close"]);
    let access = &lines[2];
    for (name, value) in [
        ("tool", "GITHUB"),
        ("secret", "GITHUB_API_TOKEN"),
        ("source", "memory"),
        ("cache", "hit"),
        ("outcome", "ok"),
        ("version", "v1"),
        ("environment", "test"),
        ("caller", "c-0-0"),
        ("instance", log.instance()),
    ] {
        assert_eq!(access[name], value);
    }
    assert_eq!((&access["seq"], &access["latency_us"]), (&3.into(), &3.into()));
    assert_eq!(access["pid"], std::process::id());
    assert_eq!((&lines[3]["caller"], &lines[4]["environment"]), (&"say \"hi\"\n".into(), &"production".into()));
    intact(&path);
}

/// A sync must happen even if records arrive without a pause.
#[test]
fn the_log_is_synced_while_records_come_without_a_pause() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let mut options = options(&path);
    // Enough records for many batches, so that the log's thread never pauses.
    options.journal_bytes = 4 << 20;
    let log = AuditLog::open(options).expect("opened");
    let state = path.with_file_name("audit.jsonl.state");
    // A state file that is read while it is written is not valid JSON; it is read again.
    let synced = || {
        let state = serde_json::from_slice::<serde_json::Value>(&std::fs::read(&state).expect("read")).ok()?;
        state["synced"].as_u64()
    };
    let first = synced().expect("what `begin` has synced");
    let end = now() + 10 * SECOND;
    let mut appended = 0;
    while synced().is_none_or(|synced| synced <= first) {
        assert!(now() < end, "nothing of {appended} records is synced");
        for _ in 0..1000 {
            while let Err(error) = log.try_append(&record("c")) {
                assert_eq!(error, AppendError::Full);
                std::thread::yield_now();
            }
        }
        appended += 1000;
    }
    log.close(5 * SECOND).expect("closed");
    assert!(intact(&path).counts.records > appended);
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = open(&directory.path().join("audit.jsonl"));
    let long = "x".repeat(MAX_TEXT + 1);
    assert_eq!(log.try_append(&record(&long)), Err(AppendError::TooLong));
    assert_eq!(log.try_append(&Record::new(Event::Checkpoint)), Err(AppendError::Reserved));
    log.close(SECOND).expect("closed");
}

#[test]
fn dropped_without_closing_it_waits_for_nothing_and_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let log = Arc::new(open(&path));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = Arc::clone(&log);
            scope.spawn(move || {
                for n in 0..100 {
                    append(&log, &format!("c-{thread}-{n}"));
                }
            });
        }
    });
    let start = now();
    drop(log);
    assert!(now().duration_since(start) < SECOND);
    until("the journal is gone", || journals(directory.path()) == 0);
    assert!(counted(&lines(&path)).values().all(|count| *count == 100));
    intact(&path);
}

#[test]
fn several_logs_of_one_process_share_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let logs: Vec<AuditLog> = (0..3).map(|_| open(&path)).collect();
    for n in 0..200 {
        for (index, log) in logs.iter().enumerate() {
            append(log, &format!("c-{index}-{n}"));
        }
    }
    for log in &logs {
        log.close(SECOND * 5).expect("closed");
    }
    let found = counted(&lines(&path));
    assert_eq!((found.len(), found.values().sum()), (3, 600));
    intact(&path);
}

#[test]
fn a_lock_that_is_never_given_back_is_reported_and_not_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let (waits, mut telling) = (Arc::new(AtomicBool::new(false)), options(&path));
    let heard = waits.clone();
    telling.listener = Box::new(move |notice| {
        heard.fetch_or(matches!(notice, Notice::Waiting { .. }), Ordering::SeqCst);
    });
    let log = AuditLog::open(telling).expect("opened");
    log.flush().expect("flushed");
    let state = std::fs::File::open(directory.path().join("audit.jsonl.state")).expect("opened");
    state.lock().expect("locked");
    append(&log, "c-0-0");
    until("it is reported", || waits.load(Ordering::SeqCst));
    assert_eq!(log.state(), State::Waiting, "the record waits in the journal, on the disk");
    // As soon as the journal is half full, it is a failure.
    for n in 0..400 {
        append(&log, &format!("d-0-{n}"));
    }
    until("it fails", || log.state() == State::Failing(Reason::Locked));
    assert!(log.state().is_kept(), "there is still room");
    let start = now();
    log.close(SECOND).expect_err("locked");
    assert!(now().duration_since(start) < 5 * SECOND);
    state.unlock().expect("unlocked");
    let mut next = options(&path);
    next.environment = "next".into();
    let next = AuditLog::open(next).expect("opened");
    drop(log);
    until("it is taken over", || {
        next.flush().expect("flushed");
        journals(directory.path()) == 1
    });
    next.close(SECOND).expect("closed");
    assert_eq!(counted(&lines(&path)).get("c-0"), Some(&1));
    intact(&path);
}

#[test]
fn a_log_is_opened_while_another_process_keeps_the_lock() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    open(&path).close(SECOND).expect("closed");
    let state = std::fs::File::open(directory.path().join("audit.jsonl.state")).expect("opened");
    state.lock().expect("locked");
    let (recovered, mut telling) = (Arc::new(AtomicBool::new(false)), options(&path));
    let heard = recovered.clone();
    telling.listener = Box::new(move |notice| {
        heard.fetch_or(notice == Notice::Healthy, Ordering::SeqCst);
    });
    let start = now();
    let log = AuditLog::open(telling).expect("opened");
    assert!(now().duration_since(start) < 2 * SECOND);
    append(&log, "c-0-0");
    until("it is known", || log.state() == State::Waiting);
    state.unlock().expect("unlocked");
    until("it is written", || log.state() == State::Healthy);
    assert!(recovered.load(Ordering::SeqCst), "and reported");
    append(&log, "c-0-1");
    log.close(5 * SECOND).expect("closed");
    let lines = lines(&path);
    assert_eq!(counted(&lines).get("c-0"), Some(&2));
    let events: Vec<_> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    let second = events.iter().rposition(|event| *event == "open").expect("a second instance");
    assert_eq!(events[second..].iter().filter(|event| **event == "access").count(), 2, "{events:?}");
    assert_eq!(events.iter().filter(|event| **event == "open").count(), 2, "{events:?}");
    intact(&path);
}

/// The log's thread used to hold the journal for a moment longer than `close()`.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_mapped_any_more_when_a_closed_log_is_dropped() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    for _ in 0..200 {
        let log = open(&path);
        append(&log, "c");
        log.close(5 * SECOND).expect("closed");
        drop(log);
        let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
        let left = maps.lines().find(|line| line.contains(&*directory.path().to_string_lossy()));
        assert_eq!(left, None);
    }
}
