//! Helpers that the tests share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::HashMap;
use std::io::{BufRead as _, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tcs_secret_delivery_audit_log::{
    AuditLog, Cache, Destination, Event, Options, Outcome, Record, Verification, VerifyOptions, verify,
};

/// A record whose caller is `caller`.
pub fn record(caller: &str) -> Record<'_> {
    Record {
        cache: Cache::Hit,
        outcome: Outcome::Ok,
        latency_us: 3,
        tool: "GITHUB",
        secret: "GITHUB_API_TOKEN",
        source: "memory",
        version: "v1",
        caller,
        ..Record::new(Event::Access)
    }
}

/// A log at `path` with a small journal.
pub fn options(path: &Path) -> Options {
    let mut options = Options::new(Destination::File(path.to_owned()), "test");
    options.journal_bytes = 64 << 10;
    options
}

pub fn open(path: &Path) -> AuditLog {
    AuditLog::open(options(path)).expect("opened")
}

/// Appends a record, and waits for space in the journal.
pub fn append(log: &AuditLog, caller: &str) {
    log.append(&record(caller), Duration::from_secs(10)).expect("appended");
}

/// Makes a closed log with `count` records.
pub fn written(path: &Path, count: usize) {
    let log = open(path);
    for n in 0..count {
        append(&log, &format!("c-0-{n}"));
    }
    log.close(Duration::from_secs(5)).expect("closed");
}

pub fn check(path: &Path) -> Verification {
    verify(path, &VerifyOptions::default(), &mut |_| ControlFlow::Continue(())).expect("verified")
}

/// Verifies that the log is unchanged up to its end.
pub fn intact(path: &Path) -> Verification {
    let found = check(path);
    assert_eq!(found.fault, None);
    assert!(found.end_confirmed && found.complete);
    found
}

/// The files of the log, oldest first.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let directory = path.parent().expect("a directory");
    let rotated = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let number = name.strip_prefix("audit-")?.strip_suffix(".jsonl")?.split_once('-')?.1.parse::<u64>().ok()?;
        Some(number)
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("readable")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| rotated(path).is_some())
        .collect();
    files.sort_by_key(rotated);
    files.extend(path.exists().then(|| path.to_owned()));
    files
}

/// All lines of the log, each of them JSON.
pub fn lines(path: &Path) -> Vec<serde_json::Value> {
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("UTF-8");
    let text: String = files(path).iter().map(read).collect();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The events of the log, with their codes.
pub fn events(path: &Path) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    lines(path).iter().map(|line| format!("{} {}", text(&line["event"]), text(&line["code"]))).collect()
}

/// The number of records of each `name-thread` in `lines`. Asserts that their callers are numbered 0, 1, 2… in this
/// order.
pub fn counted(lines: &[serde_json::Value]) -> HashMap<String, u32> {
    let mut next = HashMap::new();
    for caller in lines.iter().filter_map(|line| line["caller"].as_str()) {
        count(&mut next, caller);
    }
    next
}

fn count(next: &mut HashMap<String, u32>, caller: &str) {
    let Some((writer, number)) = caller.rsplit_once('-') else { return };
    let next = next.entry(writer.to_owned()).or_insert(0);
    assert_eq!(number.parse(), Ok(*next), "{writer}: a record is missing, doubled or out of order");
    *next += 1;
}

/// As [`counted`] over a whole log, line by line: for millions of records.
pub fn counted_in(path: &Path) -> HashMap<String, u32> {
    let mut next = HashMap::new();
    for path in files(path) {
        let file = std::io::BufReader::new(std::fs::File::open(path).expect("opened"));
        for line in file.lines() {
            let line = line.expect("UTF-8");
            assert!(line.starts_with("{\"seq\":") && line.ends_with("\"}"), "torn: {line}");
            if let Some((_, caller)) = line.split_once("\"caller\":\"") {
                count(&mut next, caller.split('"').next().expect("text"));
            }
        }
    }
    next
}

/// The journals there are.
pub fn journals(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).expect("readable");
    entries.filter(|entry| entry.as_ref().expect("an entry").path().extension() == Some("journal".as_ref())).count()
}

/// Real time: the tests' one reader of it.
#[expect(clippy::disallowed_methods, reason = "CLOCK: the tests' one reader of time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits for a condition, ten seconds at most.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = now() + Duration::from_secs(10);
    while !condition() {
        assert!(now() < deadline, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts the child of the tests.
pub fn child(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_audit-log-child"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("started")
}

/// Reads what a child tells; gives how many records each of its threads has delivered. `told` is called with the number
/// of messages so far.
pub fn delivered(from: &mut impl Read, mut told: impl FnMut(u64)) -> HashMap<u32, u32> {
    let (mut buffer, mut kept, mut messages) = (vec![0; 64 * 1024], Vec::new(), 0);
    let mut delivered = HashMap::new();
    loop {
        let read = from.read(&mut buffer).expect("readable");
        if read == 0 {
            return delivered;
        }
        kept.extend_from_slice(&buffer[..read]);
        let (whole, rest) = kept.as_chunks::<8>();
        for message in whole {
            let [a, b, c, d, number @ ..] = *message;
            delivered.insert(u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(number) + 1);
            messages += 1;
        }
        kept = rest.to_vec();
        told(messages);
    }
}
