//! A log that was begun without a key goes on with one, and never back.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{append, child, counted, events, files, journals, lines, open, options, until, written};
use tcs_secret_delivery_audit_log::{
    AuditLog, FaultKind, Key, Notice, Reason, Result, Verification, VerifyOptions, recover, verify,
};

const KEY: &str = "a key of some length";
const SECOND: Duration = Duration::from_secs(1);

fn key() -> Option<Key> {
    Key::new(KEY.as_bytes())
}

fn open_keyed(path: &Path) -> Result<AuditLog> {
    let mut options = options(path);
    options.key = key();
    AuditLog::open(options)
}

/// Opens the log with the key, appends `count` records, and closes it.
fn written_keyed(path: &Path, count: usize) {
    let log = open_keyed(path).expect("opened");
    for n in 0..count {
        append(&log, &format!("k-0-{n}"));
    }
    log.close(5 * SECOND).expect("closed");
}

fn check(path: &Path, options: &VerifyOptions) -> Result<Verification> {
    verify(path, options, &mut |_| ControlFlow::Continue(()))
}

fn check_keyed(path: &Path) -> Verification {
    check(path, &VerifyOptions { key: key(), ..VerifyOptions::default() }).expect("verified")
}

/// The number of the record that begins the key.
fn begins(path: &Path) -> u64 {
    let all = lines(path);
    let mut found = all.iter().filter(|line| line["code"] == "KEY_BEGINS");
    let seq = found.next().expect("a record").get("seq").and_then(serde_json::Value::as_u64).expect("a number");
    assert!(found.next().is_none(), "once");
    seq
}

struct Log {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Log {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.jsonl");
        Self { _directory: directory, path }
    }

    /// A log with five records without a key, and `keyed` records after them.
    fn grown(keyed: usize) -> Self {
        let log = Self::new();
        written(&log.path, 5);
        written_keyed(&log.path, keyed);
        log
    }

    fn state(&self) -> PathBuf {
        self.path.with_file_name("audit.jsonl.state")
    }
}

/// Writes in place, as an editor that keeps the file.
fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn a_log_without_a_key_goes_on_with_one() {
    let log = Log::new();
    written(&log.path, 5);
    let before = common::intact(&log.path);
    let (heard, hears) = std::sync::mpsc::channel();
    let mut options = options(&log.path);
    options.key = key();
    options.listener = Box::new(move |notice| drop(heard.send(notice)));
    let opened = AuditLog::open(options).expect("opened");
    append(&opened, "k-0-0");
    opened.close(5 * SECOND).expect("closed");
    let told: Vec<Notice> = hears.into_iter().collect();
    assert!(
        matches!(&told[..], [Notice::Changed { code: "KEY_BEGINS", message }] if message.contains("from record")),
        "{told:?}"
    );

    let found = check_keyed(&log.path);
    assert_eq!((found.fault.clone(), found.end_confirmed, found.first_seq), (None, true, 1));
    // An `end` ends the old file.
    assert_eq!((found.keyed_from, begins(&log.path)), (Some(before.last.0 + 2), before.last.0 + 2));
    assert_eq!((found.sums.deliveries, found.files), (6, 2));
    // Afterwards nothing begins anew, and nothing ends.
    written_keyed(&log.path, 3);
    let later = check_keyed(&log.path);
    assert_eq!((later.fault, later.keyed_from, later.files), (None, found.keyed_from, 2));
    // Without the key it is not verified, and not written.
    assert_eq!(check(&log.path, &VerifyOptions::default()).expect_err("no key").reason, Reason::Foreign);
    let refused = AuditLog::open(common::options(&log.path)).err().expect("refused");
    assert_eq!(refused.reason, Reason::Foreign);
    assert!(refused.message.contains("TCS_AUDIT_KEY"), "{refused}");
}

#[test]
fn a_log_that_never_had_the_key_is_not_verified_with_it() {
    let log = Log::new();
    written(&log.path, 5);
    let options = || VerifyOptions { key: key(), ..VerifyOptions::default() };
    let refused = check(&log.path, &options()).expect_err("no record has it");
    assert_eq!(refused.reason, Reason::Foreign);
    std::fs::remove_file(log.state()).expect("removed");
    assert_eq!(check(&log.path, &options()).expect_err("no record has it").reason, Reason::Foreign);
}

#[test]
fn the_records_before_the_key_cannot_be_changed_any_more() {
    let log = Log::grown(3);
    let old = files(&log.path).remove(0);
    // A chain that is correct in itself, with as many records.
    let forged = Log::new();
    let another = open(&forged.path);
    for n in 0..5 {
        append(&another, &format!("x-0-{n}"));
    }
    another.close(5 * SECOND).expect("closed");
    written_keyed(&forged.path, 0);
    std::fs::copy(files(&forged.path).remove(0), &old).expect("copied");
    let fault = check_keyed(&log.path).fault.expect("a fault");
    assert_eq!(fault.kind, FaultKind::Changed, "{fault:?}");
}

#[test]
fn the_number_from_which_a_key_is_expected_is_checked() {
    let log = Log::grown(3);
    let from = begins(&log.path);
    let expected =
        |keyed| check(&log.path, &VerifyOptions { key: key(), keyed: Some(keyed), ..VerifyOptions::default() });
    assert_eq!(expected(from).expect("verified").fault, None);
    assert_eq!(expected(from + 1).expect("verified").fault, None);
    let fault = expected(1).expect("verified").fault.expect("a fault");
    assert!(fault.message.contains(&format!("records 1 to {} have no key", from - 1)), "{fault:?}");
}

#[test]
fn the_first_record_with_the_key_cannot_be_made_without_it() {
    let (log, copy) = (Log::grown(0), Log::new());
    let mut all: Vec<String> = std::fs::read_to_string(&log.path).expect("UTF-8").lines().map(str::to_owned).collect();
    all.truncate(1);
    // Another checksum: the attacker does not know it.
    let check = all[0].split("check=").nth(1).expect("a checksum")[..32].to_owned();
    let other = check.chars().rev().collect::<String>();
    let old = files(&log.path).remove(0);
    std::fs::copy(&old, copy.path.with_file_name(old.file_name().expect("a name"))).expect("copied");
    overwrite(&copy.path, (all[0].clone() + "\n").as_bytes());
    assert_eq!(check_keyed(&copy.path).fault, None);
    overwrite(&copy.path, (all[0].replace(&check, &other) + "\n").as_bytes());
    let fault = check_keyed(&copy.path).fault.expect("a fault");
    assert!(fault.message.contains("without it"), "{fault:?}");
}

/// An attacker who reads and writes all files, and has no key, appends a record with whatever link the files show.
#[test]
fn a_record_appended_without_the_key_is_found() {
    let log = Log::grown(3);
    let text = std::fs::read_to_string(&log.path).expect("UTF-8");
    let state = std::fs::read_to_string(log.state()).expect("UTF-8");
    let last = text.lines().last().expect("a line");
    let seq = check_keyed(&log.path).last.0;
    let links: Vec<String> = state
        .split('"')
        .filter(|word| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(str::to_owned)
        .collect();
    assert_eq!(links.len(), 1);
    for link in links {
        let prev = last.split("\"prev\":\"").nth(1).expect("a link")[..64].to_owned();
        let forged = last.replace(&format!("\"seq\":{seq},"), &format!("\"seq\":{},", seq + 1)).replace(&prev, &link);
        overwrite(&log.path, format!("{text}{forged}\n").as_bytes());
        let fault = check_keyed(&log.path).fault.expect("a fault");
        assert_eq!(fault.line, text.lines().count() as u64 + 1, "{fault:?}");
        // Nor does the service take it for the record of a writer that died.
        written_keyed(&log.path, 1);
        assert!(events(&log.path).contains(&"tamper FOREIGN_BYTES".to_owned()));
        assert!(!check_keyed(&log.path).is_untampered());
    }
}

#[test]
fn a_log_with_a_key_does_not_go_on_without_one() {
    let log = Log::grown(3);
    let [old, _] = files(&log.path).try_into().expect("two files");
    let plain_state = {
        let plain = Log::new();
        written(&plain.path, 5);
        std::fs::read(plain.state()).expect("read")
    };
    let keyed_state = std::fs::read(log.state()).expect("read");
    let refused = |open: &dyn Fn() -> Result<AuditLog>, part: &str| {
        let failure = open().err().expect("refused");
        assert_eq!(failure.reason, Reason::Foreign);
        assert!(failure.message.contains(part), "{failure}");
    };
    let plainly = || AuditLog::open(options(&log.path));
    let with_key = || open_keyed(&log.path);
    let with_other = || {
        let mut options = options(&log.path);
        options.key = Key::new(&[1; 32]);
        AuditLog::open(options)
    };
    refused(&with_other, "another key");
    // The state of a log without a key, with the identity of this file.
    let text = String::from_utf8(keyed_state.clone()).expect("UTF-8");
    let field = |text: &str, name: &str| {
        text.split(&format!("\"{name}\":")).nth(1).expect("a field").split(',').next().expect("text").to_owned()
    };
    let mut forged = String::from_utf8(plain_state).expect("UTF-8").trim_end().to_owned();
    for name in ["device", "inode", "size"] {
        let (from, to) = (field(&forged, name), field(&text, name));
        forged = forged.replace(&format!("\"{name}\":{from}"), &format!("\"{name}\":{to}"));
    }
    let body = forged.rsplit_once(",\"check\"").expect("a check").0.to_owned();
    let sum = sha256(&format!("tcs-audit state\n{body}"));
    overwrite(&log.state(), format!("{body},\"check\":\"{}\"}}\n", &sum[..32]).as_bytes());
    refused(&plainly, "its state file says that it has none");
    refused(&with_key, "its state file says that it has none");
    // No state at all.
    std::fs::remove_file(log.state()).expect("removed");
    refused(&plainly, "has a key");
    // The part without a key in the place of the log, with a keyed file beside it.
    std::fs::rename(&log.path, log.path.with_file_name("audit-20990101T000000Z-000002.jsonl")).expect("moved");
    std::fs::copy(&old, &log.path).expect("copied");
    std::fs::remove_file(log.state()).expect("removed");
    refused(&with_key, "it was replaced");
}

fn sha256(text: &str) -> String {
    let mut command = std::process::Command::new("sha256sum");
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("started");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), text.as_bytes()).expect("written");
    String::from_utf8(child.wait_with_output().expect("ended").stdout).expect("UTF-8")[..64].to_owned()
}

/// The command line in the folder of a service that has no key: the service would be refused its own log.
#[test]
fn a_guest_begins_no_key() {
    let log = Log::new();
    written(&log.path, 5);
    let as_guest = || {
        let mut options = options(&log.path);
        (options.key, options.is_guest) = (key(), true);
        let log = AuditLog::open(options).expect("opened");
        append(&log, "g-0-0");
        log
    };
    as_guest().close(5 * SECOND).expect("closed");
    assert_eq!(common::intact(&log.path).sums.deliveries, 6);
    // One that is open when the service begins the key goes on with it.
    let guest = as_guest();
    written_keyed(&log.path, 1);
    append(&guest, "g-0-1");
    guest.close(5 * SECOND).expect("closed");
    let found = check_keyed(&log.path);
    assert_eq!((found.fault, found.sums.deliveries), (None, 9));
}

#[test]
fn a_log_without_its_state_file_goes_on_with_the_key_as_well() {
    let log = Log::new();
    written(&log.path, 5);
    std::fs::remove_file(log.state()).expect("removed");
    written_keyed(&log.path, 2);
    assert!(events(&log.path).contains(&"recover STATE_MISSING".to_owned()));
    let found = check_keyed(&log.path);
    assert_eq!((found.fault, found.keyed_from, found.sums.deliveries), (None, Some(begins(&log.path)), 7));
}

#[test]
fn a_process_without_the_key_waits_and_its_records_are_not_lost() {
    let log = Log::new();
    let text = log.path.to_string_lossy().into_owned();
    let directory = log.path.parent().expect("a directory").to_owned();
    let mut old = child(&[&text, "old", "1", "200", "wait=1"]);
    until("it is open", || journals(&directory) == 1);
    written_keyed(&log.path, 3);
    // It writes when the log has the key already.
    drop(old.stdin.take());
    let mut told = Vec::new();
    old.stdout.take().expect("piped").read_to_end(&mut told).expect("read");
    assert_eq!(told.len(), 200 * 8, "no record is refused");
    // It could not end its log properly, and leaves its journal.
    assert!(!old.wait().expect("ended").success());
    assert_eq!(journals(&directory), 1);
    recover(&log.path, None, key()).expect("recovered");
    let found = check_keyed(&log.path);
    assert_eq!((found.fault, found.unrecovered), (None, 0));
    let counts = counted(&lines(&log.path));
    assert_eq!((counts.get("old-0"), counts.get("k-0")), (Some(&200), Some(&3)));
}

#[test]
fn of_processes_that_begin_the_key_together_one_does() {
    let log = Log::new();
    written(&log.path, 5);
    let text = log.path.to_string_lossy().into_owned();
    let setting = format!("key={KEY}");
    let children: Vec<_> =
        (0..4).map(|n| child(&[&text, &format!("p{n}"), "1", "200", &setting, "max_bytes=50000"])).collect();
    for mut child in children {
        child.stdout.take().expect("piped").read_to_end(&mut Vec::new()).expect("read");
        assert!(child.wait().expect("ended").success());
    }
    let found = check_keyed(&log.path);
    assert_eq!((found.fault, found.keyed_from), (None, Some(begins(&log.path))));
    assert_eq!(found.sums.deliveries, 805);
}

#[test]
fn a_process_that_is_killed_while_it_begins_the_key_leaves_a_log_that_goes_on() {
    let setting = format!("key={KEY}");
    let mut begun = 0;
    for round in 0..40_u32 {
        let log = Log::new();
        written(&log.path, 3);
        let text = log.path.to_string_lossy().into_owned();
        let mut killed = child(&[&text, "killed", "1", "1000000", &setting]);
        // From before the log is opened until it is written: the rotated file is the first sign of it.
        let deadline = common::now() + Duration::from_millis(200);
        while files(&log.path).len() < 2 && common::now() < deadline {
            std::hint::spin_loop();
        }
        std::thread::sleep(Duration::from_micros(u64::from(round) * 50));
        killed.kill().expect("killed");
        killed.wait().expect("ended");
        begun += u32::from(files(&log.path).len() > 1);
        written_keyed(&log.path, 2);
        let found = check_keyed(&log.path);
        assert_eq!(found.fault, None, "round {round}");
        assert!(found.keyed_from.is_some() && found.end_confirmed);
        assert_eq!(counted(&lines(&log.path)).get("k-0"), Some(&2));
    }
    assert!(begun > 0, "it was never killed in time");
}
