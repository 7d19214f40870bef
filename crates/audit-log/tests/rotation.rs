//! Rotation by size and by age: the files are one chain.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{append, check, counted, files, intact, lines, options};
use tcs_secret_delivery_audit_log::{AuditLog, FaultKind, Options, Outcome, Record};

const HOUR: u64 = 3_600_000_000;
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn rotation_under_load_keeps_every_record_and_the_chain() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let mut options = options(&path);
    options.max_bytes = 50_000;
    let log = AuditLog::open(options).expect("opened");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..2000 {
                    append(log, &format!("c-{thread}-{n}"));
                }
            });
        }
    });
    log.close(SECOND * 5).expect("closed");
    let found = intact(&path);
    assert!(found.files > 5 && found.first_seq == 1, "{found:?}");
    let lines = lines(&path);
    assert!(counted(&lines).values().all(|count| *count == 2000));
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).count() as u64;
    assert_eq!((of("begin"), of("end")), (found.files, found.files - 1));
    // The fault of a missing file in between is the first record after it.
    let files = files(&path);
    std::fs::remove_file(&files[2]).expect("removed");
    let fault = check(&path).fault.expect("a fault");
    assert_eq!((fault.kind, fault.line, &fault.file), (FaultKind::Removed, 1, &files[3]));
    // Without the oldest files, the rest is still a chain.
    std::fs::remove_file(&files[0]).expect("removed");
    std::fs::remove_file(&files[1]).expect("removed");
    assert!(intact(&path).first_seq > 1);
}

static NOW: AtomicU64 = AtomicU64::new(490_000 * HOUR);

fn now() -> u64 {
    NOW.load(Ordering::SeqCst)
}

fn timed(path: &std::path::Path) -> Options {
    let mut options = options(path);
    options.clock = now;
    options.max_age = Duration::from_hours(24);
    options
}

#[test]
fn a_file_is_put_away_by_age_and_a_clock_that_goes_back_breaks_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let log = AuditLog::open(timed(&path)).expect("opened");
    append(&log, "c-0-0");
    log.flush().expect("flushed");
    NOW.fetch_sub(5 * HOUR, Ordering::SeqCst);
    append(&log, "c-0-1");
    log.flush().expect("flushed");
    assert_eq!(files(&path).len(), 1);
    NOW.fetch_add(30 * HOUR, Ordering::SeqCst);
    append(&log, "c-0-2");
    log.flush().expect("flushed");
    assert_eq!(files(&path).len(), 2);
    NOW.fetch_sub(48 * HOUR, Ordering::SeqCst);
    append(&log, "c-0-3");
    log.close(SECOND).expect("closed");
    intact(&path);
    let lines = lines(&path);
    assert_eq!(counted(&lines).get("c-0"), Some(&4));
    let times: Vec<_> =
        lines.iter().filter(|line| line["caller"].is_string()).map(|line| line["time"].as_str()).collect();
    // The records have the times of the clock; their order is that of their numbers.
    assert!(times[1] < times[0] && times[0] < times[2] && times[3] < times[2], "{times:?}");
}

#[test]
fn checkpoints_count_what_is_before_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let mut options = options(&path);
    options.checkpoint_records = 10;
    let log = AuditLog::open(options).expect("opened");
    for n in 0..100 {
        let caller = format!("c-0-{n}");
        let outcome = [Outcome::Ok, Outcome::Absent, Outcome::Denied, Outcome::Failed][n % 4];
        log.try_append(&Record { outcome, ..common::record(&caller) }).expect("appended");
        if n % 20 == 0 {
            log.flush().expect("flushed");
        }
    }
    log.close(SECOND).expect("closed");
    let found = intact(&path);
    assert_eq!((found.counts.ok, found.counts.absent, found.counts.denied, found.counts.failed), (25, 25, 25, 25));
    let lines = lines(&path);
    let points = lines.iter().filter(|line| line["event"] == "checkpoint").count();
    assert!((3..=6).contains(&points), "{points}");
    let close = lines.last().expect("a line")["detail"].as_str().expect("text");
    assert!(close.starts_with("instance_records=100 file=1 records="), "{close}");
}
