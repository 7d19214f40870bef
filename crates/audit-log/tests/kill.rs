//! Every record that was accepted before a SIGKILL is in the log, complete and exactly once.
#![cfg(unix)]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use common::{child, counted_in, delivered, intact, journals};
use tcs_secret_delivery_audit_log::{AuditLog, Destination, Options, recover};

const THREADS: u32 = 4;

/// A setting for the long form of these tests.
fn setting(name: &str, otherwise: u32) -> u32 {
    #[expect(clippy::disallowed_methods, reason = "a test process of its own, with one thread so far")]
    let value = std::env::var(name);
    value.map_or(otherwise, |value| value.parse().expect("a number"))
}

/// Runs a child and kills it after a random number of records; returns how many each thread had appended.
fn run_and_kill(path: &Path, name: &str, records: u32, settings: &[&str]) -> HashMap<u32, u32> {
    let (threads, records_text) = (THREADS.to_string(), records.to_string());
    let path = path.to_string_lossy().into_owned();
    let mut arguments = vec![path.as_str(), name, threads.as_str(), records_text.as_str()];
    arguments.extend_from_slice(settings);
    let mut child = child(&arguments);
    let mut stdout = child.stdout.take().expect("piped");
    let after = fastrand::u64(1..u64::from(records) * u64::from(THREADS));
    let mut killed = false;
    let told = delivered(&mut stdout, |messages| {
        if messages >= after && !killed {
            child.kill().expect("killed");
            killed = true;
        }
    });
    child.wait().expect("ended");
    told
}

fn check(path: &Path, told: &HashMap<String, HashMap<u32, u32>>) {
    let found = counted_in(path);
    for (name, threads) in told {
        for (thread, delivered) in threads {
            let written = found.get(&format!("{name}-{thread}")).copied().unwrap_or_default();
            assert!(written >= *delivered, "{name}-{thread}: {delivered} delivered, {written} written");
        }
    }
}

#[test]
fn what_a_process_recorded_that_never_had_the_lock_is_taken_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let first = AuditLog::open(Options::new(Destination::File(path.clone()), "test")).expect("opened");
    first.close(Duration::from_secs(5)).expect("closed");
    let state = std::fs::File::open(directory.path().join("audit.jsonl.state")).expect("opened");
    state.lock().expect("locked");
    let text = path.to_string_lossy().into_owned();
    let mut child = child(&[&text, "k", "1", "100"]);
    let mut stdout = child.stdout.take().expect("piped");
    let told = delivered(&mut stdout, |messages| {
        if messages == 100 {
            child.kill().expect("killed");
        }
    });
    child.wait().expect("ended");
    state.unlock().expect("unlocked");
    let recovery = recover(&path, None, None).expect("recovered");
    assert_eq!((recovery.instances.len(), recovery.notices.len(), journals(directory.path())), (1, 0, 0));
    assert_eq!(counted_in(&path).get("k-0"), Some(&100));
    check(&path, &HashMap::from([("k".to_owned(), told)]));
    intact(&path);
}

#[test]
fn after_a_kill_nothing_is_missing_doubled_or_torn() {
    let rounds = setting("TCS_AUDIT_KILL_ROUNDS", 5);
    let records = setting("TCS_AUDIT_KILL_RECORDS", 40_000) / THREADS;
    for round in 0..rounds {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.jsonl");
        let journal = ["journal_bytes=65536", "journal_bytes=4194304"][fastrand::usize(..2)];
        let told = run_and_kill(&path, "k", records, &[journal, "checkpoint_records=1000"]);
        assert_eq!(journals(directory.path()), 1, "round {round}: a killed process leaves its journal");
        let recovery = recover(&path, None, None).expect("recovered");
        assert_eq!((recovery.instances.len(), journals(directory.path())), (1, 0));
        check(&path, &HashMap::from([("k".to_owned(), told)]));
        intact(&path);
        let again = recover(&path, None, None).expect("recovered");
        assert!(again.instances.is_empty() && again.notices.is_empty());
        intact(&path);
    }
}

#[test]
fn kills_while_files_rotate_and_others_take_over_lose_nothing() {
    let rounds = setting("TCS_AUDIT_KILL_ROUNDS", 5);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let mut told = HashMap::new();
    for round in 0..rounds {
        let name = format!("r{round}");
        // Each child writes the records that the one before left, and may be killed meanwhile.
        let settings = ["journal_bytes=65536", "max_bytes=100000", "checkpoint_records=100"];
        told.insert(name.clone(), run_and_kill(&path, &name, 3000, &settings));
    }
    recover(&path, None, None).expect("recovered");
    check(&path, &told);
    let found = intact(&path);
    assert!(found.files > 3 && found.first_seq == 1, "{found:?}");
    assert_eq!(journals(directory.path()), 0);
}

#[test]
fn a_running_process_takes_over_what_a_killed_one_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let log = common::open(&path);
    common::append(&log, "c-0-0");
    let told = run_and_kill(&path, "k", 10_000, &["journal_bytes=4194304"]);
    common::append(&log, "c-0-1");
    log.flush().expect("flushed");
    assert_eq!(journals(directory.path()), 1, "its own");
    log.close(std::time::Duration::from_secs(5)).expect("closed");
    check(&path, &HashMap::from([("k".to_owned(), told)]));
    assert_eq!(counted_in(&path).get("c-0"), Some(&2));
    intact(&path);
}
