//! Every edit of a closed log is found, and its kind is named.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use common::{check, intact, options, record, written};
use tcs_secret_delivery_audit_log::{AuditLog, Fault, FaultKind, Key, Reason, VerifyOptions, verify};

const RECORDS: usize = 300;
const ROUNDS: usize = 150;

struct Log {
    _directory: tempfile::TempDir,
    path: PathBuf,
    lines: Vec<String>,
}

/// A log of one file whose lines can be edited.
fn log() -> Log {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let mut options = options(&path);
    options.checkpoint_records = 50;
    let log = AuditLog::open(options).expect("opened");
    for n in 0..RECORDS {
        common::append(&log, &format!("c-0-{n}"));
        if n % 60 == 0 {
            // Checkpoints are written between batches.
            log.flush().expect("flushed");
        }
    }
    log.close(std::time::Duration::from_secs(5)).expect("closed");
    intact(&path);
    let text = std::fs::read_to_string(&path).expect("UTF-8");
    assert!(text.contains("\"checkpoint\""));
    let lines = text.lines().map(str::to_owned).collect();
    Log { _directory: directory, path, lines }
}

/// Writes edited lines, returns the fault that is found, and restores the lines.
fn fault(log: &Log, lines: &[String]) -> Fault {
    overwrite(&log.path, &(lines.join("\n") + "\n"));
    check(&log.path).fault.expect("a fault")
}

/// Writes in place, as some editors do, so that the inode stays the same.
fn overwrite(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}

fn line(index: usize) -> u64 {
    index as u64 + 1
}

#[test]
fn a_removed_record_is_named() {
    let log = log();
    for _ in 0..ROUNDS {
        let (mut lines, at) = (log.lines.clone(), fastrand::usize(..log.lines.len()));
        lines.remove(at);
        let fault = fault(&log, &lines);
        assert_eq!((fault.kind, fault.line), (FaultKind::Removed, line(at)), "{fault:?}");
    }
}

#[test]
fn removed_blocks_and_tails_are_named() {
    let log = log();
    for _ in 0..ROUNDS {
        let (mut lines, from) = (log.lines.clone(), fastrand::usize(1..log.lines.len()));
        lines.drain(from..fastrand::usize(from + 1..=log.lines.len()));
        let fault = fault(&log, &lines);
        assert_eq!((fault.kind, fault.line), (FaultKind::Removed, line(from)), "{fault:?}");
    }
}

#[test]
fn an_inserted_record_is_named() {
    let log = log();
    for round in 0..ROUNDS {
        let (mut lines, at) = (log.lines.clone(), fastrand::usize(1..log.lines.len()));
        let other = log.lines[fastrand::usize(..log.lines.len())].clone();
        let new = match round % 3 {
            // A copy of another record.
            0 if other != log.lines[at] && other != log.lines[at - 1] => other,
            // A forged record with the right number and the right link.
            1 => log.lines[at].replace("\"caller\":\"c-", "\"caller\":\"x-").replace("checkpoint", "checkpoinx"),
            _ => "{\"event\":\"access\"}".to_owned(),
        };
        if new == log.lines[at] {
            continue;
        }
        lines.insert(at, new);
        let fault = fault(&log, &lines);
        assert_eq!((fault.kind, fault.line), (FaultKind::Inserted, line(at)), "{fault:?}");
    }
}

#[test]
fn a_record_after_the_last_one_is_named() {
    let log = log();
    let mut lines = log.lines.clone();
    lines.push(log.lines[7].clone());
    let fault = fault(&log, &lines);
    assert_eq!((fault.kind, fault.line), (FaultKind::Inserted, line(log.lines.len())));
}

#[test]
fn moved_records_are_named() {
    let log = log();
    for _ in 0..ROUNDS {
        let mut lines = log.lines.clone();
        let (from, to) = (fastrand::usize(1..lines.len()), fastrand::usize(1..lines.len()));
        if from == to {
            continue;
        }
        let moved = lines.remove(from);
        lines.insert(to, moved);
        let fault = fault(&log, &lines);
        assert_eq!((fault.kind, fault.line), (FaultKind::Reordered, line(from.min(to))), "{from} to {to}: {fault:?}");
    }
}

#[test]
fn a_changed_byte_is_found_where_it_is() {
    let log = log();
    let text = log.lines.join("\n") + "\n";
    for _ in 0..3 * ROUNDS {
        let mut bytes = text.clone().into_bytes();
        let at = fastrand::usize(..bytes.len());
        let old = bytes[at];
        bytes[at] = fastrand::u8(b' '..=b'~');
        if bytes[at] == old {
            continue;
        }
        std::fs::write(&log.path, &bytes).expect("written");
        let fault = check(&log.path).fault.expect("a fault");
        let edited = line(text[..at].matches('\n').count());
        if at + 1 == text.len() {
            // Without its newline the last line is incomplete.
            assert!(matches!(fault.kind, FaultKind::TornTail | FaultKind::Removed), "{fault:?}");
            continue;
        }
        assert!(matches!(fault.kind, FaultKind::Changed | FaultKind::BadCheckpoint), "byte {at}: {fault:?}");
        assert_eq!(fault.line, edited, "byte {at}: {fault:?}");
    }
}

#[test]
fn without_its_state_file_the_end_is_not_confirmed_and_the_rest_is() {
    let log = log();
    std::fs::remove_file(log.path.with_file_name("audit.jsonl.state")).expect("removed");
    let found = check(&log.path);
    assert!(found.fault.is_none() && !found.end_confirmed);
    // The last record has counts and a checksum.
    let mut lines = log.lines.clone();
    let last = lines.last_mut().expect("a line");
    *last = last.replace(" ok=", " ok=1");
    assert_eq!(fault(&log, &lines).kind, FaultKind::BadCheckpoint);
    lines = log.lines.clone();
    lines.remove(5);
    assert_eq!(fault(&log, &lines).kind, FaultKind::Removed);
    // A shortened log is found with an anchor that was noted elsewhere.
    overwrite(&log.path, &(log.lines[..20].join("\n") + "\n"));
    assert_eq!(check(&log.path).fault, None);
    let options = VerifyOptions { anchor: Some((21, found.last.1)), ..VerifyOptions::default() };
    let found = verify(&log.path, &options, &mut |_| ControlFlow::Continue(())).expect("verified");
    assert_eq!(found.fault.expect("a fault").kind, FaultKind::Removed);
}

#[test]
fn a_rewritten_chain_is_found_by_the_key_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let key = || Key::new(b"a key of some length");
    let mut options = options(&path);
    options.key = key();
    let log = AuditLog::open(options).expect("opened");
    log.try_append(&record("c-0-0")).expect("appended");
    log.close(std::time::Duration::from_secs(5)).expect("closed");
    let with = |key: Option<Key>| {
        let options = VerifyOptions { key, ..VerifyOptions::default() };
        verify(&path, &options, &mut |_| ControlFlow::Continue(()))
    };
    assert_eq!(with(key()).expect("verified").fault, None);
    assert_eq!(with(None).expect_err("another key").reason, Reason::Foreign);
    assert_eq!(with(Key::new(&[1; 32])).expect_err("another key").reason, Reason::Foreign);
    // The log cannot be continued with another key either.
    assert_eq!(AuditLog::open(common::options(&path)).err().expect("refused").reason, Reason::Foreign);
    // An attacker replaces it by a chain that is correct except for the unknown key.
    let forged = directory.path().join("forged.jsonl");
    written(&forged, 5);
    let text = std::fs::read_to_string(&forged).expect("UTF-8");
    let real = std::fs::read_to_string(&path).expect("UTF-8");
    let chain = |text: &str| text.split("chain=").nth(1).expect("a chain").split('"').next().expect("text").to_owned();
    overwrite(&path, &text.replace(&chain(&text), &chain(&real)));
    assert!(!with(key()).expect("verified").is_untampered());
}

#[test]
fn a_file_that_is_no_log_is_not_called_a_torn_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("notes.txt");
    for text in ["hello", "hello\nworld", "hello\n", "{\"sequence\":1", "\u{0}"] {
        std::fs::write(&path, text).expect("written");
        let fault = check(&path).fault.expect("a fault");
        assert_eq!((fault.kind, fault.line), (FaultKind::Changed, 1), "{text:?}");
        assert!(fault.message.contains("this is no audit log"), "{}", fault.message);
    }
    // The beginning of a first record, whose writer died.
    for text in ["{", "{\"seq\":", "{\"seq\":1,\"ti"] {
        std::fs::write(&path, text).expect("written");
        assert_eq!(check(&path).fault.expect("a fault").kind, FaultKind::TornTail, "{text:?}");
    }
}

#[test]
fn a_torn_last_line_is_no_tampering() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    written(&path, 20);
    let text = std::fs::read_to_string(&path).expect("UTF-8");
    let whole = check(&path).counts.records;
    overwrite(&path, &format!("{text}{}", &text[..100]));
    let found = check(&path);
    let fault = found.fault.clone().expect("a fault");
    assert_eq!((fault.kind, fault.line, fault.offset), (FaultKind::TornTail, whole + 1, text.len() as u64));
    assert!(found.is_untampered());
    // The next writer cuts the incomplete line off, and writes a record about it.
    written(&path, 1);
    intact(&path);
    assert!(common::events(&path).contains(&"recover TORN_LINE".to_owned()));
}

#[test]
fn verification_can_be_ended_early_and_tells_how_far_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    written(&path, 60_000);
    let mut seen = Vec::new();
    let found = verify(&path, &VerifyOptions::default(), &mut |progress| {
        seen.push(progress.done);
        assert!(progress.done <= progress.total);
        ControlFlow::Break(())
    });
    let found = found.expect("verified");
    assert!(!found.complete && !found.end_confirmed && found.fault.is_none());
    assert_eq!(seen, [found.bytes]);
}

/// A process that has the log open knows its end, whatever becomes of the files.
#[test]
fn a_log_that_is_removed_or_cut_together_with_its_state_file_is_missed_while_it_is_open() {
    for is_cut in [false, true] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.jsonl");
        let log = common::open(&path);
        for n in 0..5 {
            common::append(&log, &format!("c-0-{n}"));
        }
        log.flush().expect("flushed");
        let noted = check(&path).last;
        if is_cut {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            let kept: Vec<&str> = text.lines().take(4).collect();
            overwrite(&path, &(kept.join("\n") + "\n"));
        } else {
            std::fs::remove_file(&path).expect("removed");
        }
        std::fs::remove_file(path.with_file_name("audit.jsonl.state")).expect("removed");
        common::append(&log, "c-0-5");
        log.close(std::time::Duration::from_secs(5)).expect("closed");
        let found = check(&path);
        if is_cut {
            assert!(common::events(&path).contains(&"tamper LOG_TRUNCATED".to_owned()));
            assert!(common::events(&path).contains(&"recover STATE_MISSING".to_owned()));
            assert!(!found.is_untampered());
        } else {
            assert_eq!(common::events(&path)[0], "begin LOG_MISSING");
            assert_eq!((found.fault, found.first_seq, found.sums.first_file), (None, noted.0 + 1, 2));
        }
    }
}
