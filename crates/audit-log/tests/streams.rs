//! Logs that write to a receiver or to standard output instead of a file.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use common::{append, counted, delivered, journals, until};
use tcs_secret_delivery_audit_log::{AppendError, AuditLog, Destination, Options, Reason, State};

const SECOND: Duration = Duration::from_secs(1);

fn options(directory: &Path, destination: Destination) -> Options {
    let mut options = Options::new(destination, "test");
    options.journals = Some(directory.to_owned());
    options.journal_bytes = 64 << 10;
    options
}

/// A receiver that accepts lines while a flag is set.
fn receiver(sender: Sender<String>, mut takes: impl FnMut() -> bool + Send + 'static) -> Destination {
    Destination::Receiver(Box::new(move |lines| {
        if !takes() {
            return Err("not now".into());
        }
        sender.send(String::from_utf8_lossy(lines).into_owned()).map_err(|error| error.to_string())
    }))
}

fn parse(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The lines of each instance in the order of their numbers, without repeated lines.
fn instances(lines: &[serde_json::Value]) -> BTreeMap<String, Vec<serde_json::Value>> {
    let mut found: BTreeMap<String, BTreeMap<u64, serde_json::Value>> = BTreeMap::new();
    for line in lines {
        let of = found.entry(line["instance"].as_str().expect("text").to_owned()).or_default();
        let before = of.insert(line["seq"].as_u64().expect("a number"), line.clone());
        assert!(before.is_none_or(|before| before == *line), "a repeated line is the same");
    }
    found.into_iter().map(|(instance, lines)| (instance, lines.into_values().collect())).collect()
}

#[test]
fn a_receiver_that_refuses_gets_the_same_lines_again_and_holds_up_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let (sender, lines) = channel();
    let mut calls = 0;
    let takes = move || {
        calls += 1;
        calls % 3 == 1
    };
    let log = AuditLog::open(options(directory.path(), receiver(sender, takes))).expect("opened");
    for n in 0..2000 {
        append(&log, &format!("c-0-{n}"));
    }
    log.close(SECOND * 5).expect("closed");
    let lines = parse(&lines.try_iter().collect::<String>());
    assert_eq!(counted(&lines).get("c-0"), Some(&2000));
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["seq"], index as u64 + 1);
    }
    assert_eq!(journals(directory.path()), 0);
}

#[test]
fn a_receiver_that_takes_nothing_fills_the_journal_and_no_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let (sender, lines) = channel();
    let mut first = true;
    let takes = move || std::mem::replace(&mut first, false);
    let log = AuditLog::open(options(directory.path(), receiver(sender, takes))).expect("opened");
    let mut taken = 0;
    while log.try_append(&common::record(&format!("c-0-{taken}"))).is_ok() {
        taken += 1;
    }
    until("it fails", || log.state() == State::Failing(Reason::Refused));
    assert_eq!(log.try_append(&common::record("x")), Err(AppendError::Full));
    log.close(Duration::from_millis(50)).expect_err("refused");
    drop(log);
    assert_eq!(parse(&lines.try_iter().collect::<String>()).len(), 1);
    // The next instance writes the remaining records, in the chain of the old instance.
    let (sender, lines) = channel();
    let next = AuditLog::open(options(directory.path(), receiver(sender, || true))).expect("opened");
    until("it is taken over", || {
        next.flush().expect("flushed");
        journals(directory.path()) == 1
    });
    next.close(SECOND).expect("closed");
    let found = instances(&parse(&lines.try_iter().collect::<String>()));
    assert_eq!(found.len(), 2);
    let all: Vec<_> = found.into_values().flatten().collect();
    assert_eq!(counted(&all).get("c-0"), Some(&taken));
}

#[test]
fn a_stream_needs_a_directory_for_its_journals() {
    let refused = AuditLog::open(Options::new(Destination::Stdout, "test")).err().expect("refused");
    assert_eq!(refused.reason, Reason::Missing);
}

/// Starts a child that logs to standard output, and kills it after `after` records, if given.
#[cfg_attr(not(unix), expect(dead_code, reason = "the tests that start it need a shell or signals"))]
fn stdout_child(directory: &Path, name: &str, records: &str, after: Option<u64>, prelude: &str) -> (String, u32) {
    let journals = format!("journals={}", directory.display());
    let script = format!("{prelude} exec \"$0\" stdout {name} 1 {records} {journals} journal_bytes=65536");
    let mut child = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_audit-log-child")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let (mut stdout, mut stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    std::thread::scope(|scope| {
        let text = scope.spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).expect("UTF-8");
            text
        });
        let mut killed = false;
        let told = delivered(&mut stderr, |messages| {
            if after.is_some_and(|after| messages >= after) && !killed {
                child.kill().expect("killed");
                killed = true;
            }
        });
        child.wait().expect("ended");
        (text.join().expect("read"), told.get(&0).copied().unwrap_or_default())
    })
}

#[cfg(unix)]
#[test]
fn standard_output_gets_every_record_at_least_once_over_kills() {
    for _ in 0..5 {
        let directory = tempfile::tempdir().expect("a directory");
        let after = fastrand::u64(1..2500);
        let (killed, told) = stdout_child(directory.path(), "k", "3000", Some(after), "");
        let (next, _) = stdout_child(directory.path(), "n", "10", None, "");
        assert_eq!(journals(directory.path()), 0);
        // After a kill the last line in a pipe can be incomplete; the next process repeats it.
        let whole = killed.rfind('\n').map_or("", |end| &killed[..=end]);
        let found = instances(&parse(&format!("{whole}{next}")));
        let all: Vec<_> = found.into_values().flatten().collect();
        let found = counted(&all);
        assert!(found.get("k-0").copied().unwrap_or_default() >= told, "{told} delivered, {found:?}");
        assert_eq!(found.get("n-0"), Some(&10));
    }
}

#[cfg(unix)]
#[test]
fn a_standard_output_that_does_not_block_is_waited_for() {
    // Perl, if it is installed, switches the shared pipe to non-blocking, as some parent processes do.
    if !Command::new("perl").args(["-e", "1"]).status().is_ok_and(|status| status.success()) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let prelude = "perl -MFcntl -e 'fcntl(STDOUT, F_SETFL, O_NONBLOCK|fcntl(STDOUT, F_GETFL, 0))';";
    let (text, told) = stdout_child(directory.path(), "c", "3000", None, prelude);
    assert_eq!(told, 3000);
    assert_eq!(counted(&parse(&text)).get("c-0"), Some(&3000));
}
