//! A log file that is not what it should be, at the start or while the log is written.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

#[cfg(unix)]
use common::until;
use common::{append, check, counted, events, files, intact, lines, open, options, written};
#[cfg(unix)]
use tcs_secret_delivery_audit_log::{AppendError, recover};
use tcs_secret_delivery_audit_log::{AuditLog, FaultKind, Notice, Reason, State};

const SECOND: Duration = Duration::from_secs(1);

fn refused(path: &Path) -> Reason {
    let failure = AuditLog::open(options(path)).err().expect("refused");
    assert!(failure.to_string().contains(path.file_name().expect("a name").to_str().expect("UTF-8")), "{failure}");
    failure.reason
}

#[test]
fn paths_that_are_no_file_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    fs::create_dir(&path).expect("made");
    assert_eq!(refused(&path), Reason::NotAFile);
    assert_eq!(refused(&directory.path().join("missing/audit.jsonl")), Reason::Missing);
    let missing = AuditLog::open(options(&directory.path().join("missing/audit.jsonl"))).err().expect("refused");
    let says = format!("make the directory {}, which does not exist", directory.path().join("missing").display());
    assert!(missing.to_string().contains(&says), "{missing}");
    assert_eq!(common::journals(directory.path()), 0, "nothing is left behind");
    #[cfg(target_os = "linux")]
    assert_eq!(refused(Path::new("/dev/full")), Reason::NotAFile);
}

#[cfg(unix)]
#[test]
fn links_and_fifos_are_refused_and_not_followed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, target) = (directory.path().join("audit.jsonl"), directory.path().join("target"));
    fs::write(&target, "").expect("written");
    std::os::unix::fs::symlink(&target, &path).expect("linked");
    assert_eq!(refused(&path), Reason::NotAFile);
    assert_eq!(fs::read(&target).expect("read"), b"");
    fs::remove_file(&path).expect("removed");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("started");
    assert!(made.success());
    assert_eq!(refused(&path), Reason::NotAFile);
    fs::remove_file(&path).expect("removed");
    // The same holds for the state file.
    std::os::unix::fs::symlink(&target, directory.path().join("audit.jsonl.state")).expect("linked");
    assert!(AuditLog::open(options(&path)).is_err());
    assert_eq!(fs::read(&target).expect("read"), b"");
}

#[test]
fn a_file_that_is_something_else_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    fs::write(&path, "important\n").expect("written");
    assert_eq!(refused(&path), Reason::Foreign);
    assert_eq!(fs::read(&path).expect("read"), b"important\n");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_what_is_made() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a directory");
    let log = open(&directory.path().join("audit.jsonl"));
    let mut seen = 0;
    for entry in fs::read_dir(directory.path()).expect("readable") {
        let metadata = entry.expect("an entry").metadata().expect("looked at");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        seen += 1;
    }
    assert_eq!(seen, 3, "log, state and journal");
    log.close(SECOND).expect("closed");
}

#[test]
fn a_log_that_is_moved_away_is_begun_anew_with_the_chain_carried_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, moved) = (directory.path().join("audit.jsonl"), directory.path().join("audit.jsonl.1"));
    let log = open(&path);
    append(&log, "c-0-0");
    log.flush().expect("flushed");
    fs::rename(&path, &moved).expect("moved");
    append(&log, "c-0-1");
    log.flush().expect("flushed");
    // Some tools put an empty file in its place.
    fs::rename(&path, directory.path().join("audit.jsonl.2")).expect("moved");
    fs::write(&path, "").expect("written");
    append(&log, "c-0-2");
    log.close(SECOND).expect("closed");
    assert_eq!(events(&path)[..2], ["begin LOG_MISSING", "access "]);
    let found = intact(&path);
    assert!(found.first_seq > 1);
    // Put back beside each other, the three files are one chain.
    fs::rename(&path, directory.path().join("audit-20260101T000000Z-000003.jsonl")).expect("moved");
    fs::rename(directory.path().join("audit.jsonl.2"), directory.path().join("audit-20260101T000000Z-000002.jsonl"))
        .expect("moved");
    fs::rename(&moved, directory.path().join("audit-20260101T000000Z-000001.jsonl")).expect("moved");
    assert_eq!(check(&path).fault, None);
    assert_eq!(counted(&lines(&path)).get("c-0"), Some(&3));
}

#[test]
fn a_deleted_log_is_noticed_and_the_gap_stays_visible() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let (sender, notices) = channel();
    let mut options = options(&path);
    options.listener = Box::new(move |notice| sender.send(notice).expect("listening"));
    let log = AuditLog::open(options).expect("opened");
    append(&log, "c-0-0");
    log.flush().expect("flushed");
    fs::remove_file(&path).expect("removed");
    append(&log, "c-0-1");
    log.close(SECOND).expect("closed");
    let notice = notices.try_recv().expect("told");
    assert!(matches!(&notice, Notice::Changed { code: "LOG_MISSING", .. }), "{notice:?}");
    assert!(intact(&path).first_seq > 1);
}

#[test]
fn a_truncated_log_is_never_silently_continued() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let (sender, notices) = channel();
    let mut options = options(&path);
    options.listener = Box::new(move |notice| sender.send(notice).expect("listening"));
    let log = AuditLog::open(options).expect("opened");
    for n in 0..10 {
        append(&log, &format!("c-0-{n}"));
    }
    log.flush().expect("flushed");
    let text = fs::read_to_string(&path).expect("UTF-8");
    let kept = text.match_indices('\n').nth(4).expect("lines").0 + 1;
    let file = fs::OpenOptions::new().write(true).open(&path).expect("opened");
    file.set_len(kept as u64).expect("cut");
    append(&log, "d-0-0");
    log.close(SECOND).expect("closed");
    let notice = notices.try_recv().expect("told");
    assert!(matches!(&notice, Notice::Changed { code: "LOG_TRUNCATED", .. }), "{notice:?}");
    assert_eq!(log.state(), State::Healthy);
    assert!(events(&path).contains(&"tamper LOG_TRUNCATED".to_owned()));
    let fault = check(&path).fault.expect("a fault");
    assert_eq!((fault.kind, fault.line), (FaultKind::Removed, 6));
    // Cut inside of a line, the rest of that line stays as a line of its own.
    file.set_len(kept as u64 - 10).expect("cut");
    written(&path, 1);
    assert!(!check(&path).is_untampered());
    // Emptied completely, as copy-and-truncate tools do.
    file.set_len(0).expect("cut");
    written(&path, 1);
    assert!(!check(&path).is_untampered());
}

#[test]
fn what_others_write_into_the_log_is_named_as_inserted() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    written(&path, 3);
    let text = fs::read_to_string(&path).expect("UTF-8");
    fs::write(&path, format!("{text}hello\nworld")).expect("written");
    let before = text.lines().count() as u64;
    written(&path, 3);
    assert!(events(&path.with_file_name("none")).is_empty());
    let fault = check(&path).fault.expect("a fault");
    assert_eq!((fault.kind, fault.line), (FaultKind::Inserted, before + 1), "{fault:?}");
}

#[test]
fn a_replaced_log_is_noticed_and_a_restored_one_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, other) = (directory.path().join("audit.jsonl"), directory.path().join("other"));
    written(&path, 3);
    let old = fs::read(&path).expect("read");
    fs::write(&other, &old).expect("written");
    fs::rename(&other, &path).expect("replaced");
    written(&path, 3);
    intact(&path);
    // An older copy does not have the records that were written since.
    fs::write(&other, &old).expect("written");
    fs::rename(&other, &path).expect("replaced");
    written(&path, 3);
    assert!(events(&path).contains(&"tamper LOG_REPLACED".to_owned()));
    assert_eq!(check(&path).fault.expect("a fault").kind, FaultKind::Removed);
}

#[test]
fn a_lost_state_file_is_made_anew_and_noted() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, state) = (directory.path().join("audit.jsonl"), directory.path().join("audit.jsonl.state"));
    let log = open(&path);
    append(&log, "c-0-0");
    log.flush().expect("flushed");
    fs::remove_file(&state).expect("removed");
    append(&log, "c-0-1");
    log.flush().expect("flushed");
    assert!(events(&path).contains(&"recover STATE_MISSING".to_owned()));
    fs::write(&state, "nonsense").expect("written");
    append(&log, "c-0-2");
    log.close(SECOND).expect("closed");
    assert!(events(&path).contains(&"recover STATE_INVALID".to_owned()));
    intact(&path);
    assert_eq!(counted(&lines(&path)).get("c-0"), Some(&3));
}

/// Atomically replaces the log by something that cannot be written.
#[cfg(unix)]
fn block(path: &Path, aside: &Path) {
    let link = path.with_file_name("link");
    fs::hard_link(path, aside).expect("linked");
    std::os::unix::fs::symlink("nowhere", &link).expect("linked");
    fs::rename(&link, path).expect("replaced");
}

#[test]
fn a_state_that_lags_behind_is_brought_up_to_date_without_a_word() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, state) = (directory.path().join("audit.jsonl"), directory.path().join("audit.jsonl.state"));
    written(&path, 3);
    for torn in ["", "{\"seq\":99,\"ti"] {
        let before = fs::read(&state).expect("read");
        written(&path, 5);
        // As if the process had died after it wrote its lines, or a part of one, and before it noted them.
        fs::write(&state, before).expect("written");
        let text = fs::read_to_string(&path).expect("UTF-8");
        fs::write(&path, format!("{text}{torn}")).expect("written");
        written(&path, 1);
        intact(&path);
    }
    let noted = |event: &String| event.starts_with("tamper") || event.starts_with("recover");
    assert_eq!(events(&path).into_iter().filter(noted).collect::<Vec<_>>(), ["recover TORN_LINE"]);
    // The same at the beginning of the log.
    let path = directory.path().join("new.jsonl");
    fs::write(&path, "{\"seq\":1,\"time\":\"20").expect("written");
    written(&path, 1);
    intact(&path);
}

#[cfg(unix)]
#[test]
fn failing_is_told_by_state_and_nothing_is_lost_when_it_works_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, aside) = (directory.path().join("audit.jsonl"), directory.path().join("aside"));
    let (sender, notices) = channel();
    let mut options = options(&path);
    options.listener = Box::new(move |notice| sender.send(notice).expect("listening"));
    let log = AuditLog::open(options).expect("opened");
    append(&log, "c-0-0");
    log.flush().expect("flushed");
    block(&path, &aside);
    let mut taken = 1;
    append(&log, "c-0-1");
    until("it fails", || log.state() == State::Failing(Reason::NotAFile));
    assert!(log.failure().expect("a failure").message.contains("symbolic link"));
    // The journal accepts records until it is full, and refuses the others at once.
    loop {
        taken += 1;
        match log.try_append(&common::record(&format!("c-0-{taken}"))) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, AppendError::Full);
                break;
            }
        }
    }
    assert_eq!(log.append(&common::record("x-0-0"), Duration::from_millis(5)), Err(AppendError::Full));
    assert!(log.figures().filled > 0.99);
    fs::rename(&aside, &path).expect("moved back");
    until("it works again", || log.state() == State::Healthy);
    log.close(Duration::from_secs(5)).expect("closed");
    assert_eq!(counted(&lines(&path)).get("c-0"), Some(&taken));
    intact(&path);
    let notices: Vec<_> = notices.try_iter().collect();
    assert!(matches!(notices[0], Notice::Failing { reason: Reason::NotAFile, .. }), "{notices:?}");
    assert_eq!(notices.last(), Some(&Notice::Healthy));
}

#[cfg(unix)]
#[test]
fn a_log_that_cannot_be_closed_leaves_its_journal_for_the_next() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, aside) = (directory.path().join("audit.jsonl"), directory.path().join("aside"));
    let log = open(&path);
    log.flush().expect("flushed");
    block(&path, &aside);
    append(&log, "c-0-0");
    assert_eq!(log.close(Duration::from_millis(100)).expect_err("cannot").reason, Reason::NotAFile);
    assert_eq!(log.try_append(&common::record("c-0-1")), Err(AppendError::Closed));
    fs::rename(&aside, &path).expect("moved back");
    assert_eq!(check(&path).unrecovered, 0, "its owner still lives");
    drop(log);
    until("its thread has gone", || check(&path).unrecovered == 1);
    let recovery = recover(&path, None, None).expect("recovered");
    assert_eq!(recovery.instances[0].1, 1);
    assert_eq!(counted(&lines(&path)).get("c-0"), Some(&1));
    intact(&path);
}

#[test]
fn something_that_is_no_journal_stops_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    fs::write(directory.path().join("audit.jsonl.0123456789abcdef.journal"), "junk").expect("written");
    fs::create_dir(directory.path().join("audit.jsonl.1123456789abcdef.journal")).expect("made");
    written(&path, 5);
    intact(&path);
    assert_eq!(files(&path).len(), 1);
    assert!(directory.path().join("audit.jsonl.0123456789abcdef.journal.damaged").exists());
    assert!(events(&path).contains(&"recover JOURNAL_INVALID".to_owned()));
}
