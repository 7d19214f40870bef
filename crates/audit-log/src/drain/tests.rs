//! Processes that die between noting a write in the journal, writing the lines, and noting that they are written.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;
use crate::file_sink::{FileSink, Limits};
use crate::files::Names;
use crate::line::Identity;
use crate::link::Link;
use crate::packed::pack;
use crate::record::Record;
use crate::time::{now, system_clock};

const RECORDS: usize = 10;

struct World {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.jsonl");
        Self { _directory: directory, path }
    }

    fn sink(&self, instance: &str, max_bytes: u64) -> FileSink {
        let limits = Limits {
            max_bytes,
            max_age: Duration::MAX,
            checkpoint_records: 1000,
            checkpoint_after: Duration::from_hours(1),
            keep: Duration::MAX,
            may_delete: || true,
        };
        FileSink::new(names(&self.path), Link::default(), who(instance), system_clock, limits)
    }

    /// The callers in the order of the log, over all files.
    fn callers(&self) -> Vec<String> {
        let mut files = names(&self.path).list_rotated().expect("listed");
        files.push(self.path.clone());
        let text: String = files.iter().map(|path| std::fs::read_to_string(path).expect("UTF-8")).collect();
        let caller = |line: &str| Some(line.split_once("\"caller\":\"")?.1.split_once('"')?.0.to_owned());
        text.lines().filter_map(caller).collect()
    }

    /// Another process starts, writes what the dead one left, and ends.
    fn next(&self, instance: &str, max_bytes: u64) {
        let mut sink = self.sink(instance, max_bytes);
        let mut session = sink.session(soon()).expect("a session");
        session.housekeeping().expect("kept");
        take_over(&mut session, &mut Batch::default()).expect("taken over");
        session.finish().expect("noted");
    }

    fn assert_whole(&self) {
        let expected: Vec<String> = (0..RECORDS).map(|n| format!("c{n}")).collect();
        assert_eq!(self.callers(), expected);
        let mut go_on = |_| std::ops::ControlFlow::Continue(());
        let found = crate::verify(&self.path, &crate::VerifyOptions::default(), &mut go_on).expect("verified");
        assert_eq!((found.fault, found.unrecovered, found.end_confirmed), (None, 0, true));
    }
}

fn names(path: &Path) -> Names {
    Names::new(path, None).expect("a name")
}

fn who(instance: &str) -> Identity {
    Identity::new(instance.repeat(16), 1, "test".into())
}

fn soon() -> Instant {
    now() + Duration::from_secs(5)
}

fn journal(world: &World) -> Journal {
    let who = who("a");
    let journal = Journal::create(&names(&world.path).journal(&who.instance), who, 64).expect("made");
    for n in 0..RECORDS {
        // Some records take two slots.
        let (caller, version) = (format!("c{n}"), "v".repeat(50 * (n % 3)));
        let record = Record { caller: &caller, version: &version, ..Record::new(Event::Access) };
        pack(&record, 0, false, |words| journal.ring().put(words)).expect("short").expect("a place");
    }
    journal
}

/// Dies after it has written the first `bytes` of the lines.
fn die(world: &World, bytes: impl Fn(&str) -> usize) {
    let journal = journal(world);
    let mut sink = world.sink("a", u64::MAX);
    let mut session = sink.session(soon()).expect("a session");
    let (mut batch, mut chain) = (Batch::default(), session.head.chain);
    let collected = batch.collect(
        &journal,
        Owner::Live { now_us: 0, all: true },
        session.writer(),
        &mut chain,
        (BATCH, usize::MAX),
    );
    let mut progress = journal.progress();
    progress.end = collected.end;
    (progress.file, progress.offset) = (session.head.file, session.head.size);
    journal.publish(&progress);
    let lines = String::from_utf8(batch.lines).expect("UTF-8");
    session.append(&lines.as_bytes()[..bytes(&lines)], chain).expect("written");
}

/// Where the `n`th line ends.
fn end_of_line(lines: &str, n: usize) -> usize {
    if n == 0 { 0 } else { lines.match_indices('\n').nth(n - 1).expect("a line").0 + 1 }
}

#[test]
fn whatever_of_a_write_is_in_the_file_nothing_is_missing_or_doubled() {
    for written in 0..=RECORDS {
        for torn in [0, 1, 50] {
            if written == RECORDS && torn > 0 {
                continue;
            }
            let world = World::new();
            die(&world, |lines| end_of_line(lines, written) + torn);
            world.next("b", u64::MAX);
            world.assert_whole();
        }
    }
}

#[test]
fn others_may_write_and_rotate_before_the_dead_are_taken_over() {
    for written in [0, 4, RECORDS] {
        let world = World::new();
        die(&world, |lines| end_of_line(lines, written));
        // A process that writes, does not read dead journals, and rotates the file that the dead one wrote to.
        let mut sink = world.sink("b", 1);
        let mut session = sink.session(soon()).expect("a session");
        session.own(Event::Open, "", "").expect("written");
        session.housekeeping().expect("rotated");
        session.finish().expect("noted");
        assert_eq!(names(&world.path).list_rotated().expect("listed").len(), 1);
        world.next("c", u64::MAX);
        world.assert_whole();
    }
}

#[test]
fn a_death_while_taking_over_is_taken_over() {
    let world = World::new();
    die(&world, |lines| end_of_line(lines, 3));
    {
        // This one writes all records of the dead one, and dies before it removes the journal and notes the chain.
        let path = names(&world.path).journal(&who("a").instance);
        let Ok(Dead::Journal(journal)) = Journal::open_dead(&path) else { panic!("dead") };
        let mut sink = world.sink("b", u64::MAX);
        let mut session = sink.session(soon()).expect("a session");
        deliver(&mut session, &journal, Owner::Dead, &mut Batch::default()).expect("delivered");
    }
    world.next("c", u64::MAX);
    world.assert_whole();
}

#[test]
fn records_that_were_never_finished_are_passed_over() {
    let world = World::new();
    let journal = journal(&world);
    // What a writer leaves that was killed before it stored the commit word: the fourth record is incomplete.
    let fourth = Batch::default().skip(journal.ring(), u64::MAX, 3);
    let slot = usize::try_from(fourth).expect("small") * 16;
    journal.ring().all()[slot].store(0, std::sync::atomic::Ordering::Relaxed);
    drop(journal);
    world.next("b", u64::MAX);
    let callers = world.callers();
    assert_eq!(callers.len(), RECORDS - 1);
    assert!(!callers.contains(&"c3".to_owned()));
}
