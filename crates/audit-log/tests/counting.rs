//! Records that stand for several deliveries.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

#[cfg(unix)]
use common::check;
use common::{append, intact, lines, open, options, record};
#[cfg(unix)]
use tcs_secret_delivery_audit_log::recover;
use tcs_secret_delivery_audit_log::{AppendError, AuditLog, Cache, Counted, Destination, Options, Record, Tally};

const SECOND: Duration = Duration::from_secs(1);

/// A log, and the records that are counted in.
struct Counting {
    log: Arc<AuditLog>,
    tally: Tally,
    begun: Instant,
}

impl Counting {
    fn in_log(log: AuditLog) -> Self {
        Self { log: Arc::new(log), tally: Tally::default(), begun: common::now() }
    }

    fn open(path: &Path) -> Self {
        Self::in_log(open(path))
    }

    fn count(&self, secret: &str, version: &str) -> Result<(), AppendError> {
        let (named, of) = (self.tally.secret(secret), version.into());
        let one = Counted { secret: &named, version: Some(&of), cache: Cache::Hit };
        let now_ms = u64::try_from((common::now() - self.begun).as_millis()).expect("short");
        if one.add(now_ms, true) {
            return Ok(());
        }
        one.begin(&self.log, now_ms, || Record { secret, version, ..record("job") })
    }
}

/// The sum of the counts of each secret and version.
fn sums(path: &Path) -> HashMap<String, u64> {
    let mut sums = HashMap::new();
    for line in lines(path).iter().filter(|line| line["event"] == "access") {
        let of = format!("{} {}", line["secret"].as_str().expect("a name"), line["version"].as_str().expect("an id"));
        *sums.entry(of).or_default() += line["count"].as_u64().unwrap_or(1);
    }
    sums
}

#[test]
fn reads_of_one_version_within_a_second_are_one_record() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let counting = Counting::open(&path);
    let log = &counting.log;
    for _ in 0..100 {
        counting.count("A", "1").expect("counted");
        counting.count("B", "1").expect("counted");
    }
    for _ in 0..10 {
        counting.count("A", "2").expect("counted");
    }
    append(log, "c-0-0");
    log.append(&Record { count: 50, ..record("joined") }, SECOND).expect("appended");
    log.close(SECOND).expect("closed");
    let found = intact(&path);
    assert_eq!(found.sums.deliveries, 100 + 100 + 10 + 1 + 50);
    let lines = lines(&path);
    let access: Vec<_> = lines.iter().filter(|line| line["event"] == "access").collect();
    let shown: Vec<_> = access.iter().map(|line| (line["secret"].as_str(), line["count"].as_u64())).collect();
    // A machine that stops for a second in between makes more of them.
    assert!(shown.len() <= 8, "{shown:?}");
    assert_eq!(sums(&path)["A 1"], 100);
    assert_eq!(access.last().expect("one")["count"], 50);
    assert_eq!(access[access.len() - 2]["count"], serde_json::Value::Null, "a record of one has no count");
}

#[test]
fn a_record_is_written_a_second_after_its_first_delivery_and_at_once_when_somebody_waits() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let counting = Counting::open(&path);
    let log = &counting.log;
    counting.count("A", "1").expect("counted");
    let begun = common::now();
    common::until("it is written", || lines(&path).iter().any(|line| line["event"] == "access"));
    assert!((common::now() - begun) > SECOND / 2, "{:?}", (common::now() - begun));
    counting.count("A", "1").expect("counted");
    log.flush().expect("written");
    assert_eq!(sums(&path)["A 1"], 2);
    counting.count("A", "1").expect("a record that was written counts no more");
    log.close(SECOND).expect("closed");
    assert_eq!(sums(&path)["A 1"], 3);
}

#[test]
fn nothing_is_counted_in_a_log_that_the_tally_let_go_of() {
    let directory = tempfile::tempdir().expect("a directory");
    let counting = Counting::open(&directory.path().join("audit.jsonl"));
    let (secret, first, second) = (counting.tally.secret("A"), "1".into(), "2".into());
    let one = Counted { secret: &secret, version: Some(&first), cache: Cache::Hit };
    counting.count("A", "1").expect("counted");
    assert!(one.add(0, true));
    assert!(!(Counted { version: Some(&second), ..one }).add(0, true), "another version");
    assert!(!(Counted { version: None, ..one }).add(0, true), "none");
    assert!(!one.add(1_000_000, true), "its second has passed");
    counting.tally.clear();
    assert!(!one.add(0, true));
    assert_eq!(Arc::strong_count(&counting.log), 1, "its files can be given back");
}

#[test]
fn secrets_that_are_read_in_turn_do_not_end_each_others_records() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let counting = Counting::open(&path);
    let names: Vec<String> = (0..100).map(|number| format!("SECRET_{number}")).collect();
    for _ in 0..20 {
        for name in &names {
            counting.count(name, "1").expect("counted");
        }
    }
    counting.log.close(SECOND).expect("closed");
    assert!(sums(&path).values().all(|sum| *sum == 20));
    let records = lines(&path).iter().filter(|line| line["event"] == "access").count();
    // A machine that stops for a second in between makes more of them.
    assert!(records <= 3 * names.len(), "{records} records of {} secrets", names.len());
}

#[test]
fn threads_that_count_together_lose_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let counting = Counting::open(&path);
    let log = &counting.log;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..20_000 {
                    let version = (n / 1000).to_string();
                    while counting.count(if n % 2 == 0 { "A" } else { "B" }, &version) == Err(AppendError::Full) {
                        std::thread::yield_now();
                    }
                    if n % 5000 == 0 {
                        log.flush().expect("written");
                    }
                }
            });
        }
    });
    log.close(SECOND * 5).expect("closed");
    assert_eq!(intact(&path).sums.deliveries, 80_000);
    let sums = sums(&path);
    assert_eq!((sums.len(), sums.values().all(|sum| *sum == 2000)), (40, true), "{sums:?}");
}

#[test]
fn a_full_journal_counts_what_it_knows_and_says_how_much_it_missed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (sender, receiver) = channel();
    let (lines_of, taken) = channel();
    let take = move |lines: &[u8]| {
        let text = String::from_utf8_lossy(lines).into_owned();
        // The first record is taken at once; then the receiver blocks until the test lets it go.
        if !text.contains("\"event\":\"open\"") {
            let _: Result<(), _> = receiver.recv();
        }
        lines_of.send(text).map_err(|error| error.to_string())
    };
    let mut options = Options::new(Destination::Receiver(Box::new(take)), "test");
    options.journals = Some(directory.path().to_owned());
    options.journal_bytes = 16 << 10;
    let counting = Counting::in_log(AuditLog::open(options).expect("opened"));
    let log = &counting.log;
    counting.count("A", "1").expect("counted");
    while log.try_append(&record("x")).is_ok() {}
    assert_eq!(log.try_append(&record("x")), Err(AppendError::Full));
    let known = (0..1000).filter(|_| counting.count("A", "1").is_ok()).count();
    let unknown = (0..7).filter(|_| counting.count("B", "1") == Err(AppendError::Full)).count();
    assert_eq!(unknown, 7);
    log.miss(7);
    drop(sender);
    log.close(SECOND * 5).expect("closed");
    let text: String = taken.into_iter().collect();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of_a = lines.iter().filter(|line| line["secret"] == "A").map(|line| line["count"].as_u64().unwrap_or(1));
    assert_eq!(of_a.sum::<u64>(), 1 + known as u64);
    let missed: Vec<_> = lines.iter().filter(|line| line["event"] == "missed").collect();
    assert_eq!(missed.len(), 1);
    assert!(missed[0]["detail"].as_str().expect("text").ends_with("deliveries=7"));
}

#[cfg(unix)]
#[test]
fn counts_survive_a_kill() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let text = path.to_string_lossy().into_owned();
    let (mut least, mut most) = (0_u64, 0_u64);
    for _ in 0..5 {
        let mut child = common::child(&[&text, "k", "4", "20000", "counted=1"]);
        let mut stdout = child.stdout.take().expect("piped");
        let (after, mut killed) = (fastrand::u64(1000..70_000), false);
        let told = common::delivered(&mut stdout, |messages| {
            if messages >= after && !killed {
                child.kill().expect("killed");
                killed = true;
            }
        });
        child.wait().expect("ended");
        recover(&path, None, None).expect("recovered");
        let told: u64 = told.values().map(|number| u64::from(*number)).sum();
        // Each thread may have counted one that it could not tell any more.
        (least, most) = (least + told, most + told + 4);
        let found = check(&path);
        assert_eq!(found.fault, None);
        assert!((least..=most).contains(&found.sums.deliveries), "{} of {least} to {most}", found.sums.deliveries);
    }
}

#[test]
fn without_a_directory_the_journal_is_in_memory_and_that_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let (lines_of, taken) = channel();
    let take = move |lines: &[u8]| {
        lines_of.send(String::from_utf8_lossy(lines).into_owned()).map_err(|error| error.to_string())
    };
    let (tell, told) = channel();
    let mut options = Options::new(Destination::Receiver(Box::new(take)), "test");
    options.journals = Some(directory.path().join("missing"));
    options.listener = Box::new(move |notice| drop(tell.send(format!("{notice:?}"))));
    let counting = Counting::in_log(AuditLog::open(options).expect("opened"));
    for _ in 0..10 {
        counting.count("A", "1").expect("counted");
    }
    counting.log.close(SECOND * 5).expect("closed");
    drop(counting);
    let text: String = taken.into_iter().collect();
    assert!(text.contains("\"count\":10"), "{text}");
    let told: Vec<String> = told.into_iter().collect();
    assert!(told.len() == 1 && told[0].starts_with("InMemory") && told[0].contains("missing"), "{told:?}");
}

#[test]
fn each_file_says_who_writes_and_old_files_go_with_a_record() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let mut first = options(&path);
    (first.actor, first.max_bytes) = ("host=h user=u".to_owned(), 4000);
    let log = AuditLog::open(first).expect("opened");
    for n in 0..100 {
        append(&log, &format!("c-0-{n}"));
        log.flush().expect("written");
    }
    log.close(SECOND).expect("closed");
    let files = common::files(&path);
    assert!(files.len() > 5, "{files:?}");
    for file in &files {
        let text = std::fs::read_to_string(file).expect("UTF-8");
        assert!(text.contains("\"detail\":\"host=h user=u\""), "{file:?}: {text}");
    }
    let mut second = options(&path);
    second.keep = Duration::ZERO;
    // A name of an old file that is none is left alone.
    std::fs::create_dir(directory.path().join("audit-19700101T000000Z-000099.jsonl")).expect("made");
    // The names have whole seconds.
    let begun = common::now();
    common::until("a second has passed", || (common::now() - begun) > SECOND + SECOND / 10);
    // With a clock of which nobody knows whether it is right, nothing is old.
    let mut doubtful = options(&path);
    (doubtful.keep, doubtful.may_delete) = (Duration::ZERO, || false);
    let log = AuditLog::open(doubtful).expect("opened");
    append(&log, "c-0-99");
    log.close(SECOND).expect("closed");
    assert!(files.iter().all(|file| file.exists()));
    let log = AuditLog::open(second).expect("opened");
    append(&log, "c-0-100");
    log.close(SECOND).expect("closed");
    std::fs::remove_dir(directory.path().join("audit-19700101T000000Z-000099.jsonl")).expect("left alone");
    assert_eq!(common::files(&path), std::slice::from_ref(&path));
    let found = intact(&path);
    assert_eq!((found.sums.first_file, found.sums.expired_through), (files.len() as u64, files.len() as u64 - 1));
    assert!(found.first_seq > 1);
}
