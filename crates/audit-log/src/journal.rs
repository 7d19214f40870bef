//! The journal of an instance: a memory-mapped file that outlives the process.
//!
//! ```text
//! words 0…     magic, slots, instance, pid, boot, environment
//! word 64      generation: which of the two progress cells is valid
//! words 72…    two progress cells
//! word 120     deliveries whose records had no place
//! word 121     1 where all records are written, and the file only waits to be removed
//! word 128…    who the owner is: the length of a text, and the text
//! word 512…    the slots of the ring
//! ```
//!
//! The owner holds a lock on the file while it lives. A process that gets the lock may write the records of the dead
//! owner.

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::boot;
use crate::chain::{Chain, Counts};
use crate::error::{Failure, Result};
use crate::files::{Create, FileId, look, open, present};
use crate::line::Identity;
use crate::map::Map;
use crate::record::MAX_TEXT;
use crate::ring::Ring;

const MAGIC: u64 = u64::from_le_bytes(*b"TCSAUDJ1");
const HEADER: usize = 512;
const SLOTS: usize = 1;
const INSTANCE: usize = 2;
const PID: usize = 3;
const BOOT: usize = 4;
const ENVIRONMENT_LENGTH: usize = 5;
const ENVIRONMENT: usize = 6;
const GENERATION: usize = 64;
const CELLS: usize = 72;
const CELL: usize = 24;
const MISSED: usize = 120;
const DONE: usize = 121;
const ACTOR_LENGTH: usize = 128;
const ACTOR: usize = 129;
/// The longest text that says who the owner is, in bytes.
pub const MAX_ACTOR: usize = 1024;
/// The end of the name of a journal that is being made.
pub const UNFINISHED: &str = "journal.new";
/// The smallest memory page, in words.
const PAGE: usize = 512;

/// The smallest and the largest ring, in slots.
pub const SLOT_RANGE: std::ops::RangeInclusive<u64> = 64..=1 << 22;

/// How far a journal was written to its destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything before this position was written.
    pub tail: u64,
    /// If above `tail`, a write of the records in between was begun.
    pub end: u64,
    /// The file of that write.
    pub file: FileId,
    /// The offset of that write.
    pub offset: u64,
    /// The number of records written.
    pub records: u64,
    /// The chain of a stream. The chain of a file is in the state file.
    pub chain: Chain,
}

/// An open journal, whose lock is held.
pub struct Journal {
    ring: Ring,
    /// The file and its path; `None` if the journal is in memory only.
    file: Option<(File, PathBuf)>,
    who: Identity,
    same_boot: bool,
    /// The last field: dropped when the file is neither mapped nor open.
    leftover: Leftover,
}

/// The path of a file that could not be removed while it was mapped: Windows allows it on some versions only.
#[derive(Default)]
struct Leftover(OnceLock<PathBuf>);

impl Drop for Leftover {
    fn drop(&mut self) {
        if let Some(path) = self.0.get() {
            // Where it still is refused, the next process does it.
            drop(std::fs::remove_file(path));
        }
    }
}

/// What a file with the name of a journal is.
pub enum Dead {
    /// A journal whose owner is dead.
    Journal(Box<Journal>),
    /// A journal whose owner lives, or which no longer exists.
    Not,
    /// Not a journal.
    Invalid,
}

impl Journal {
    /// Creates the journal of `who`. Writes all its blocks now, so that a full disk is an error here and not a signal
    /// in the middle of a record. It gets its name once it is whole and locked: other processes look for the journals of
    /// dead ones meanwhile.
    pub fn create(path: &Path, who: Identity, slots: u64) -> Result<Self> {
        let slots = slots.next_power_of_two().clamp(*SLOT_RANGE.start(), *SLOT_RANGE.end());
        let unfinished = path.with_extension(UNFINISHED);
        let mut file = open(&unfinished, Create::New, false)?;
        let made = Self::fill(&mut file, &who, slots)
            .and_then(|()| std::fs::rename(&unfinished, path))
            .and_then(|()| Self::map(&file, slots));
        match made {
            Ok(map) => {
                let ring = Ring::new(map, HEADER, slots, 0);
                let file = Some((file, path.to_owned()));
                Ok(Self { ring, file, who, same_boot: true, leftover: Leftover::default() })
            }
            Err(error) => {
                // Report the first failure, not that of the clean-up.
                drop(std::fs::remove_file(&unfinished));
                drop(std::fs::remove_file(path));
                Err(Failure::io("make the audit journal", path, &error))
            }
        }
    }

    /// A journal in memory: what is in it is lost when the process is killed.
    pub fn in_memory(who: Identity, slots: u64) -> Result<Self> {
        let slots = slots.next_power_of_two().clamp(*SLOT_RANGE.start(), *SLOT_RANGE.end());
        let map = usize::try_from(slots)
            .map_err(io::Error::other)
            .and_then(|slots| Map::anonymous(HEADER + Ring::words(slots)))
            .map_err(|error| Failure::io("make the audit journal", Path::new("in memory"), &error))?;
        let ring = Ring::new(map, HEADER, slots, 0);
        Ok(Self { ring, file: None, who, same_boot: true, leftover: Leftover::default() })
    }

    /// Whether it is in memory only.
    pub fn is_in_memory(&self) -> bool {
        self.file.is_none()
    }

    fn fill(file: &mut File, who: &Identity, slots: u64) -> io::Result<()> {
        file.try_lock()?;
        let environment = who.environment.as_bytes();
        let mut header = [0_u64; HEADER];
        header[0] = MAGIC;
        header[SLOTS] = slots;
        header[INSTANCE] = u64::from_str_radix(&who.instance, 16).map_err(io::Error::other)?;
        header[PID] = who.pid.into();
        header[BOOT] = boot::boot();
        header[ENVIRONMENT_LENGTH] = environment.len() as u64;
        put_text(&mut header[ENVIRONMENT..GENERATION], environment);
        let actor = &who.actor.as_bytes()[..who.actor.len().min(MAX_ACTOR)];
        header[ACTOR_LENGTH] = actor.len() as u64;
        put_text(&mut header[ACTOR..], actor);
        let header: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        file.write_all(&header)?;
        let empty = vec![0; 1 << 16];
        let mut rest = slots * 128;
        while rest > 0 {
            let part = rest.min(1 << 16);
            file.write_all(&empty[..usize::try_from(part).map_err(io::Error::other)?])?;
            rest -= part;
        }
        Ok(())
    }

    fn map(file: &File, slots: u64) -> io::Result<Map> {
        Map::new(file, HEADER + Ring::words(usize::try_from(slots).map_err(io::Error::other)?))
    }

    /// Removes what a process left that died while it made its journal, a minute ago or earlier. There are no records in it.
    pub fn remove_unfinished(path: &Path) {
        let begun = std::fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
        let is_old = begun.is_ok_and(|begun| begun.elapsed().is_ok_and(|age| age > Duration::from_mins(1)));
        // Its owner may have been stopped.
        if is_old && open(path, Create::Never, false).is_ok_and(|file| file.try_lock().is_ok()) {
            // That of another user, perhaps: it is only in the way.
            drop(std::fs::remove_file(path));
        }
    }

    /// Opens the journal of a dead instance.
    pub fn open_dead(path: &Path) -> Result<Dead> {
        let failed = |error: io::Error| Failure::io("take over the audit journal", path, &error);
        let file = match open(path, Create::Never, false) {
            Ok(file) => file,
            Err(_) if look(path)?.is_none() => return Ok(Dead::Not),
            Err(failure) => return Err(failure),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Dead::Not),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Another process may have finished and removed it between opening and locking.
        let opened = FileId::of(&file).map_err(failed)?;
        if present(path)?.map(|(found, _)| found) != Some(opened) {
            return Ok(Dead::Not);
        }
        match Self::read(file, path) {
            Ok(journal) if journal.is_done() => {
                // Its owner could not remove it. Nothing is lost where that cannot be done now either.
                journal.remove()?;
                Ok(Dead::Not)
            }
            Ok(journal) => Ok(Dead::Journal(Box::new(journal))),
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                Ok(Dead::Invalid)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn read(file: File, path: &Path) -> io::Result<Self> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it is not a journal");
        let word = |map: &Map, at: usize| map.words()[at].load(Ordering::Relaxed);
        let header = Map::new(&file, HEADER)?;
        let slots = word(&header, SLOTS);
        if word(&header, 0) != MAGIC || !slots.is_power_of_two() || !SLOT_RANGE.contains(&slots) {
            return Err(invalid());
        }
        let text = |at: usize, length: usize, most: usize| {
            let length = usize::try_from(word(&header, length)).ok().filter(|length| *length <= most)?;
            let bytes = (at..at + length.div_ceil(8)).flat_map(|at| word(&header, at).to_le_bytes()).take(length);
            String::from_utf8(bytes.collect()).ok()
        };
        let environment = text(ENVIRONMENT, ENVIRONMENT_LENGTH, MAX_TEXT).ok_or_else(invalid)?;
        let actor = text(ACTOR, ACTOR_LENGTH, MAX_ACTOR).ok_or_else(invalid)?;
        let pid = u32::try_from(word(&header, PID)).map_err(|_| invalid())?;
        let who = Identity::new(format!("{:016x}", word(&header, INSTANCE)), pid, environment).acting(actor);
        let same_boot = boot::is_same(word(&header, BOOT), boot::boot());
        let ring = Ring::new(Self::map(&file, slots)?, HEADER, slots, read_progress(header.words()).tail);
        Ok(Self { ring, file: Some((file, path.to_owned())), who, same_boot, leftover: Leftover::default() })
    }

    /// Writes to each page once, so that no append has to wait for a page fault. Replaces a zero by a zero only, so it
    /// changes nothing, even while others append.
    pub fn touch(&self) {
        for word in self.ring.all().iter().step_by(PAGE) {
            // Either result is fine: a page whose word is not zero was already written to.
            let _ = word.compare_exchange(0, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The ring.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The owner.
    pub fn who(&self) -> &Identity {
        &self.who
    }

    /// Whether the journal was created since the last boot. After a power cut a journal may hold pages of different
    /// times.
    pub fn is_of_this_boot(&self) -> bool {
        self.same_boot
    }

    /// How far the journal was written to its destination.
    pub fn progress(&self) -> Progress {
        read_progress(self.ring.header())
    }

    /// Stores the progress. A kill at any point leaves the old or the new progress, never a mixture.
    pub fn publish(&self, progress: &Progress) {
        let header = self.ring.header();
        let next = header[GENERATION].load(Ordering::Relaxed) + 1;
        for (word, value) in cell(header, next).iter().zip(to_words(progress)) {
            word.store(value, Ordering::Relaxed);
        }
        header[GENERATION].store(next, Ordering::Release);
    }

    /// Notes that `deliveries` were made whose records had no place.
    pub fn miss(&self, deliveries: u64) {
        self.ring.header()[MISSED].fetch_add(deliveries, Ordering::Relaxed);
    }

    /// The number of deliveries whose records had no place.
    pub fn missed(&self) -> u64 {
        self.ring.header()[MISSED].load(Ordering::Relaxed)
    }

    /// Notes that the log says of `deliveries` that they were missed.
    pub fn told_missed(&self, deliveries: u64) {
        self.ring.header()[MISSED].fetch_sub(deliveries, Ordering::Relaxed);
    }

    /// Whether all its records are written.
    fn is_done(&self) -> bool {
        self.ring.header()[DONE].load(Ordering::Acquire) != 0
    }

    /// Marks the journal as done, since its records are all written, and removes the file. Where that is refused while it is
    /// mapped, it is removed when this is dropped, or by the next process: the mark is what counts.
    pub fn remove(&self) -> Result<()> {
        let Some((file, path)) = &self.file else { return Ok(()) };
        self.ring.header()[DONE].store(1, Ordering::Release);
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.leftover.0.get_or_init(|| path.clone());
            }
            _ => {}
        }
        file.unlock().map_err(|error| Failure::io("unlock the audit journal", path, &error))
    }
}

fn put_text(words: &mut [u64], text: &[u8]) {
    for (word, part) in words.iter_mut().zip(text.chunks(8)) {
        let mut bytes = [0; 8];
        bytes[..part.len()].copy_from_slice(part);
        *word = u64::from_le_bytes(bytes);
    }
}

fn cell(header: &[AtomicU64], generation: u64) -> &[AtomicU64] {
    let first = CELLS + CELL * usize::from(generation % 2 == 1);
    &header[first..first + CELL]
}

fn to_words(progress: &Progress) -> [u64; 16] {
    let mut words = [0; 16];
    let Progress { tail, end, file, offset, records, chain } = progress;
    words[..7].copy_from_slice(&[*tail, *end, file.device, file.inode, *offset, *records, chain.seq]);
    for (word, bytes) in words[7..11].iter_mut().zip(chain.last.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words[11..].copy_from_slice(&chain.counts.words());
    words
}

fn read_progress(header: &[AtomicU64]) -> Progress {
    let words = cell(header, header[GENERATION].load(Ordering::Acquire));
    let word = |at: usize| words[at].load(Ordering::Relaxed);
    let mut chain = Chain { seq: word(6), ..Chain::default() };
    for (bytes, at) in chain.last.as_chunks_mut::<8>().0.iter_mut().zip(7..) {
        *bytes = word(at).to_le_bytes();
    }
    chain.counts = Counts::from_words([word(11), word(12), word(13), word(14), word(15)]);
    let file = FileId { device: word(2), inode: word(3) };
    Progress { tail: word(0), end: word(1), file, offset: word(4), records: word(5), chain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_back_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.journal");
        let who = Identity::new("00000000000000ff".into(), 7, "staging".into()).acting("host=h".into());
        let journal = Journal::create(&path, who, 100).expect("made");
        assert_eq!(journal.progress(), Progress::default());
        for turn in 1..5 {
            let chain = Chain { seq: turn, last: [9; 32], counts: Counts::from_words([1, 2, 3, 4, turn]) };
            let file = FileId { device: 1, inode: turn };
            let progress = Progress { tail: turn, end: turn + 1, file, offset: 3, records: 5, chain };
            journal.publish(&progress);
            assert_eq!(journal.progress(), progress);
        }
        let open = || Journal::open_dead(&path).expect("looked at");
        assert!(matches!(open(), Dead::Not), "its owner lives");
        let progress = journal.progress();
        journal.miss(7);
        drop(journal);
        let Dead::Journal(dead) = open() else { panic!("its owner is dead") };
        assert_eq!(dead.progress(), progress);
        assert_eq!((dead.who().instance.as_str(), dead.who().environment.as_str()), ("00000000000000ff", "staging"));
        assert_eq!((dead.who().actor.as_str(), dead.missed()), ("host=h", 7));
        assert_eq!((dead.ring().slots(), dead.ring().tail()), (128, 4));
        dead.remove().expect("removed");
        assert!(matches!(open(), Dead::Not), "it is gone");
    }

    #[test]
    fn a_journal_that_cannot_be_removed_is_done_all_the_same() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, other) = (directory.path().join("a.journal"), directory.path().join("b.journal"));
        let who = Identity::new("00000000000000ff".into(), 7, "staging".into());
        let journal = Journal::create(&path, who, 64).expect("made");
        // What stands under its name now cannot be removed as a file.
        std::fs::rename(&path, &other).expect("renamed");
        std::fs::create_dir(&path).expect("a directory");
        journal.remove().expect("its records are written: that is no failure");
        drop(journal);
        assert!(other.exists(), "nobody could remove it");
        assert!(matches!(Journal::open_dead(&other), Ok(Dead::Not)), "it has nothing for others to write");
        assert!(!other.exists(), "the next process removes it");
    }

    #[test]
    fn what_cannot_be_removed_while_it_is_mapped_is_removed_afterwards() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.journal");
        let who = Identity::new("00000000000000ff".into(), 7, "staging".into());
        let journal = Journal::create(&path, who, 64).expect("made");
        std::fs::rename(&path, directory.path().join("kept")).expect("renamed");
        std::fs::create_dir(&path).expect("a directory");
        journal.remove().expect("done");
        std::fs::remove_dir(&path).expect("away again");
        std::fs::rename(directory.path().join("kept"), &path).expect("back");
        drop(journal);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_journal_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.journal");
        for content in [vec![], vec![1; 10], vec![0; 4096], vec![0xff; 8192]] {
            std::fs::write(&path, content).expect("written");
            assert!(matches!(Journal::open_dead(&path), Ok(Dead::Invalid)));
        }
    }
}
