//! Power cuts: after a reboot the disk holds less than the state file says.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::*;
use crate::fault::FaultKind;
use crate::head::ParsedHead;
use crate::link::Key;
use crate::verify::{VerifyOptions, verify};

struct World {
    _directory: tempfile::TempDir,
    path: PathBuf,
    notices: Vec<Notice>,
}

fn soon() -> Instant {
    now() + Duration::from_secs(5)
}

fn limits() -> Limits {
    Limits {
        max_bytes: u64::MAX,
        max_age: Duration::MAX,
        checkpoint_records: u64::MAX,
        checkpoint_after: Duration::MAX,
        keep: Duration::MAX,
        may_delete: || true,
    }
}

impl World {
    /// A log of twelve records before a power cut; `synced` of them are certainly on the disk.
    fn new(synced: usize) -> Self {
        Self::written_in(synced, |now| now ^ 1)
    }

    /// The same, written in another boot of the machine than this one.
    fn written_in(synced: usize, boot: impl Fn(u64) -> u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.jsonl");
        let mut world = Self { _directory: directory, path, notices: Vec::new() };
        world.write(11);
        let names = Names::new(&world.path, None).expect("a name");
        let bytes = std::fs::read(names.state()).expect("read");
        let ParsedHead::Head(mut head) = Head::parse(&bytes, &Link::default()) else { panic!("a head") };
        head.boot = boot(head.boot);
        head.synced = world.end_of(synced) as u64;
        std::fs::write(names.state(), head.to_bytes(&LineWriter::default())).expect("written");
        world
    }

    fn write(&mut self, records: usize) {
        let names = Names::new(&self.path, None).expect("a name");
        let who = Identity::new("a".repeat(16), 1, "test".into());
        let mut sink = FileSink::new(names, Link::default(), who, crate::system_clock, limits());
        let mut session = sink.session(soon()).expect("a session");
        for _ in 0..records {
            session.own(Event::Open, "", "").expect("written");
        }
        session.finish().expect("noted");
        self.notices = sink.take_notices();
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).expect("UTF-8")
    }

    fn end_of(&self, line: usize) -> usize {
        self.text().match_indices('\n').nth(line - 1).expect("a line").0 + 1
    }

    /// Leaves `kept` lines and `tail` on the disk.
    fn cut(&self, kept: usize, tail: &[u8]) {
        let mut bytes = self.text().into_bytes();
        bytes.truncate(self.end_of(kept));
        bytes.extend_from_slice(tail);
        std::fs::write(&self.path, bytes).expect("written");
    }

    fn fault(&self) -> Option<FaultKind> {
        let found = verify(&self.path, &VerifyOptions::default(), &mut |_| ControlFlow::Continue(()));
        found.expect("verified").fault.map(|fault| fault.kind)
    }
}

#[test]
fn a_new_start_of_the_machine_is_no_event_when_all_is_there() {
    let mut world = World::new(12);
    world.write(1);
    assert_eq!((world.text().lines().count(), world.fault()), (13, None));
    assert!(world.notices.is_empty());
}

#[test]
fn what_was_not_synced_may_be_missing_and_is_told_apart_from_tampering() {
    for tail in [&b""[..], b"{\"seq\":9,\"time\":\"2026", &[0; 700]] {
        let mut world = World::new(6);
        world.cut(8, tail);
        assert_eq!(world.fault(), Some(FaultKind::TornTail), "before it is mended");
        world.write(1);
        assert!(world.text().contains("\"code\":\"POWER_CUT\""));
        assert!(matches!(&world.notices[..], [Notice::Changed { code: "POWER_CUT", .. }]), "{:?}", world.notices);
        assert_eq!((world.text().lines().count(), world.fault()), (10, None));
    }
}

#[test]
fn where_the_system_names_no_boot_a_shorter_log_is_not_excused() {
    let mut world = World::written_in(6, |_| 0);
    world.cut(8, b"");
    world.write(1);
    assert!(world.text().contains("\"event\":\"tamper\",\"code\":\"LOG_TRUNCATED\""), "{}", world.text());
}

#[test]
fn what_was_synced_cannot_be_missing_by_a_power_cut() {
    let mut world = World::new(10);
    world.cut(8, b"");
    assert_eq!(world.fault(), Some(FaultKind::Removed));
    world.write(1);
    assert!(world.text().contains("\"event\":\"tamper\",\"code\":\"LOG_CHANGED\""));
    assert_eq!(world.fault(), Some(FaultKind::Removed));
}

#[test]
fn what_was_synced_beside_the_writing_is_noted_by_the_next_session() {
    let world = World::new(1);
    let names = Names::new(&world.path, None).expect("a name");
    let who = Identity::new("a".repeat(16), 1, "test".into());
    let mut sink = FileSink::new(names, Link::default(), who, crate::system_clock, limits());
    let session = sink.session(soon()).expect("a session");
    assert!(session.head.synced < session.head.size);
    let size = session.finish().expect("noted");
    sink.begin_sync(size - 1).expect("begun");
    sink.end_sync().expect("synced");
    assert!(!sink.is_syncing());
    assert_eq!(sink.session(soon()).expect("a session").head.synced, size - 1);
}

/// A writer dies between the first record with the key and its note in the state file.
#[test]
fn a_key_that_was_begun_and_not_noted_is_found() {
    let mut world = World::new(1);
    world.write(1);
    let key = Key::new(&[1; 32]);
    let names = Names::new(&world.path, None).expect("a name");
    let sink = |key: Option<Key>| {
        let who = Identity::new("b".repeat(16), 1, "test".into());
        FileSink::new(names.clone(), Link::new(key), who, crate::system_clock, limits())
    };
    let mut dying = sink(key.clone());
    dying.lock(soon()).expect("the lock");
    let head = dying.find_head().expect("a head");
    let mut session = Session { sink: &mut dying, head };
    session.count(Event::End, "").expect("written");
    session.head.rotating = names.rotated(crate::system_clock(), session.head.number);
    let Head { number, chain, rotating, .. } = session.head.clone();
    session.finish().expect("noted");
    std::fs::rename(&names.log, names.log.with_file_name(rotating)).expect("renamed");
    let noted = std::fs::read(names.state()).expect("read");
    dying.writer.set_link(Link::new(key.clone()));
    dying.begin(number + 1, chain, keying::KEY_BEGINS).expect("begun");
    drop(dying);
    std::fs::write(names.state(), noted).expect("written");
    // Without the key nobody goes on.
    assert_eq!(sink(None).session(soon()).err().expect("refused").reason, Reason::Foreign);
    let mut next = sink(key.clone());
    let session = next.session(soon()).expect("a session");
    assert_eq!((session.head.number, session.head.chain.seq), (number + 1, chain.seq + 1));
    session.finish().expect("noted");
    assert!(next.take_notices().is_empty());
    let options = VerifyOptions { key, ..VerifyOptions::default() };
    let found = verify(&world.path, &options, &mut |_| ControlFlow::Continue(())).expect("verified");
    assert_eq!((found.fault, found.keyed_from, found.end_confirmed), (None, Some(chain.seq + 1), true));
}
