//! Verifies a log from its oldest file on, and names the first record that differs from what was written.

use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::chain::Counts;
use crate::error::{Failure, Reason, Result};
use crate::fault::{Fault, FaultKind};
use crate::files::{FileId, Names, open_to_read};
use crate::head::{Head, LENGTH, ParsedHead, method_of};
use crate::inspect::{Anchor, Inspector, Place, Sums, Verdict};
use crate::link::{Hash, Key, Link};
use crate::pause::Round;
use crate::time::now;
use crate::walk::Lines;

/// Options of a verification.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// The key of a keyed chain.
    pub key: Option<Key>,
    /// The directory of the journals, if they are not beside the log.
    pub journals: Option<PathBuf>,
    /// The `seq` and link of a record that was noted elsewhere, such as [`Verification::last`] of an earlier
    /// verification.
    pub anchor: Option<(u64, Hash)>,
    /// The number of the record that must be the first one, or before it.
    pub first: Option<u64>,
    /// The number of a record that must be there.
    pub last: Option<u64>,
    /// The number of a record that must have the key, as all after it.
    pub keyed: Option<u64>,
}

/// The result of a verification.
#[derive(Clone, Debug)]
pub struct Verification {
    /// The first fault, if there is one.
    pub fault: Option<Fault>,
    /// Records by outcome, over all files.
    pub counts: Counts,
    /// What the records add up to.
    pub sums: Sums,
    /// The number of files read.
    pub files: u64,
    /// The number of bytes read.
    pub bytes: u64,
    /// The number of the first record; above 1 if older files were moved elsewhere.
    pub first_seq: u64,
    /// The number and the link of the last record before the fault. Store it elsewhere, and pass it as the anchor of
    /// the next verification.
    pub last: (u64, Hash),
    /// The number of the first record with the key. Who could write the log may have changed those before it until that
    /// record was written, and nobody without the key since.
    pub keyed_from: Option<u64>,
    /// Whether the state file confirms that nothing is missing at the end.
    pub end_confirmed: bool,
    /// The number of journals of dead processes, whose records are not in the log yet. [`crate::recover`] writes them.
    pub unrecovered: u64,
    /// `false` if the caller stopped the verification.
    pub complete: bool,
}

impl Verification {
    /// Whether no record was tampered with. An incomplete last line is not tampering.
    pub fn is_untampered(&self) -> bool {
        self.fault.as_ref().is_none_or(|fault| fault.kind == FaultKind::TornTail)
    }
}

/// The progress of a verification.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The number of bytes read so far.
    pub done: u64,
    /// The number of bytes to read.
    pub total: u64,
}

/// `progress` is called each time this many bytes have been read.
const STEP: u64 = 16 << 20;

/// Verifies the log at `path` and its rotated files, oldest first. Only reads, needs constant memory, and may run while
/// the log is written. `progress` can stop it.
///
/// # Errors
/// [`Failure`] when the log cannot be read, or was written with another key. A record that was tampered with is not an
/// error, but a [`Fault`].
pub fn verify(
    path: &Path,
    options: &VerifyOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Verification> {
    let names = Names::new(path, options.journals.as_deref())?;
    let given = Link::new(options.key.clone());
    let end = End::read(&names, &given)?;
    let files = files(&names, &end)?;
    let total = files.iter().map(|(_, _, size)| size).sum();
    let mut anchors: Vec<Anchor> = options.anchor.iter().map(|(seq, hash)| Anchor { seq: *seq, hash: *hash }).collect();
    anchors.extend(end.head.iter().map(|head| Anchor { seq: head.chain.seq, hash: head.chain.last }));
    let mut inspector = Inspector::new(given.clone(), anchors);
    let (mut done, mut told, mut complete, mut torn) = (0, 0, true, None);
    let mut place = Place { file: 0, line: 0, offset: 0 };
    'files: for (index, (path, file, size)) in files.iter().enumerate() {
        place = Place { file: index, line: 0, offset: 0 };
        let failed = |error: std::io::Error| Failure::io("read", path, &error);
        let mut lines = Lines::up_to(file, 0, *size).map_err(failed)?;
        inspector.begin_file();
        while let Some(bytes) = lines.next().map_err(failed)? {
            place.line += 1;
            match bytes.strip_suffix(b"\n") {
                None if index + 1 == files.len()
                    && place.offset + bytes.len() as u64 == *size
                    && (place.line > 1 || end.head.is_some() || is_begun(bytes)) =>
                {
                    torn = Some(place);
                }
                whole => inspector.line(place, whole.unwrap_or(bytes))?,
            }
            place.offset += bytes.len() as u64;
            done += bytes.len() as u64;
            if done - told >= STEP {
                told = done;
                if progress(Progress { done, total }).is_break() {
                    complete = false;
                    break 'files;
                }
            }
        }
    }
    let after = Place { line: place.line + 1, ..place };
    let mut verdict = inspector.finish();
    if complete
        && verdict.fault.is_none()
        && let Some(first) = options.first.filter(|first| verdict.first_seq > *first)
    {
        let message = format!("records {first} to {} are missing at the beginning", verdict.first_seq - 1);
        verdict.fault = Some((FaultKind::Removed, Place { file: 0, line: 1, offset: 0 }, message));
    }
    if complete && verdict.fault.is_none() {
        verdict.fault = keyless(options.keyed, &verdict);
    }
    if complete && verdict.fault.is_none() {
        verdict.fault = end.missing(&verdict.last, options.anchor.map(|(seq, _)| seq).max(options.last), torn, after);
    }
    if complete && given.is_keyed() && verdict.fault.is_none() && verdict.keyed_from.is_none() {
        let message = format!(
            "no record of {} has the key: it was written without one, and is verified without one, or somebody replaced it",
            names.log.display()
        );
        return Err(Failure::new(Reason::Foreign, message));
    }
    Ok(Verification {
        fault: verdict.fault.map(|(kind, place, message)| Fault {
            kind,
            file: files.get(place.file).map_or_else(|| names.log.clone(), |(path, ..)| path.clone()),
            line: place.line,
            offset: place.offset,
            message,
        }),
        counts: verdict.counts,
        sums: verdict.sums,
        files: files.len() as u64,
        bytes: done,
        first_seq: verdict.first_seq,
        last: verdict.last,
        keyed_from: verdict.keyed_from,
        // A state file without a key, of a log with one, is older than the log or somebody else's.
        end_confirmed: complete && end.head.is_some() && end.is_keyed == verdict.keyed_from.is_some(),
        unrecovered: unrecovered(&names)?,
        complete,
    })
}

/// Whether the first line of a file without an end is what a writer leaves that died, and not the text of another program.
fn is_begun(bytes: &[u8]) -> bool {
    const BEGINS: &[u8] = b"{\"seq\":";
    let length = bytes.len().min(BEGINS.len());
    bytes[..length] == BEGINS[..length]
}

/// The fault of a log that has a key too late.
fn keyless(expected: Option<u64>, verdict: &Verdict) -> Option<(FaultKind, Place, String)> {
    let expected = expected?;
    let first = verdict.keyed_from.unwrap_or(verdict.last.0 + 1);
    let message = format!("records {expected} to {} have no key", first.saturating_sub(1));
    let place = Place { file: 0, line: 1, offset: 0 };
    (first > expected.max(verdict.first_seq)).then_some((FaultKind::Changed, place, message))
}

type Opened = (PathBuf, File, u64);

/// The files of the log, oldest first; the current one only up to its length when the state was read.
fn files(names: &Names, end: &End) -> Result<Vec<Opened>> {
    let mut files = Vec::new();
    for path in names.list_rotated()? {
        if let Some(file) = open_to_read(&path)? {
            let metadata = file.metadata().map_err(|error| Failure::io("look at", &path, &error))?;
            let id = FileId::of(&file).map_err(|error| Failure::io("look at", &path, &error))?;
            // The current file was rotated since. The files after it did not exist when the state was read.
            if end.current.as_ref().is_some_and(|(_, current, _)| *current == id) {
                break;
            }
            files.push((path, file, metadata.len()));
        }
    }
    if let Some((file, _, size)) = &end.current {
        let file = file.try_clone().map_err(|error| Failure::io("open", &names.log, &error))?;
        files.push((names.log.clone(), file, *size));
    }
    if files.is_empty() {
        return Err(Failure::new(Reason::Missing, format!("there is no audit log at {}", names.log.display())));
    }
    Ok(files)
}

/// The end of the log and its state, read at one moment.
struct End {
    head: Option<Head>,
    /// Whether the state file has the key.
    is_keyed: bool,
    current: Option<(File, FileId, u64)>,
}

impl End {
    fn read(names: &Names, given: &Link) -> Result<Self> {
        let path = names.state();
        let state = open_to_read(&path)?;
        // A process that is stopped in here keeps writers waiting.
        let _round = Round::begin();
        if let Some(file) = &state {
            lock_shared(file, &path)?;
        }
        let (mut head, mut is_keyed) = (None, false);
        if let Some(file) = &state {
            let mut bytes = Vec::with_capacity(LENGTH);
            file.take(LENGTH as u64).read_to_end(&mut bytes).map_err(|error| Failure::io("read", &path, &error))?;
            let plain = Link::default();
            let link = if method_of(&bytes) == Some(&*plain.method()) { &plain } else { given };
            is_keyed = link.is_keyed();
            match Head::parse(&bytes, link) {
                ParsedHead::Head(found) => head = Some(*found),
                ParsedHead::OtherKey(method) => return Err(Failure::other_key(&method)),
                // Without a state file only the log is verified, and its end is not confirmed.
                ParsedHead::Nothing | ParsedHead::Invalid => {}
            }
        }
        let current = match open_to_read(&names.log)? {
            None => None,
            Some(file) => {
                let looked = file.metadata().and_then(|metadata| Ok((FileId::of(&file)?, metadata.len())));
                let (id, size) = looked.map_err(|error| Failure::io("look at", &names.log, &error))?;
                Some((file, id, size))
            }
        };
        Ok(Self { head, is_keyed, current })
    }

    /// What is missing at the end of a log without other faults.
    fn missing(
        &self,
        (seq, _): &(u64, Hash),
        noted: Option<u64>,
        torn: Option<Place>,
        after: Place,
    ) -> Option<(FaultKind, Place, String)> {
        if let Some(noted) = noted
            && noted > *seq
        {
            return Some((FaultKind::Removed, after, format!("records {} to {noted} are missing at the end", seq + 1)));
        }
        if let Some(head) = self.head.as_ref().filter(|head| head.chain.seq > *seq) {
            let message = format!("records {} to {} are missing at the end", seq + 1, head.chain.seq);
            let size = self.current.as_ref().filter(|(_, id, _)| *id == head.file).map_or(0, |(_, _, size)| *size);
            if size < head.synced || size >= head.size {
                return Some((FaultKind::Removed, after, message));
            }
            let place = torn.unwrap_or(after);
            let message = format!("{message}; they were not yet on the disk for sure, a power cut can take them");
            return Some((FaultKind::TornTail, place, message));
        }
        torn.map(|place| (FaultKind::TornTail, place, "the last line has no end: its write was interrupted".to_owned()))
    }
}

/// Takes the lock that writers hold while they write a batch, so that the end of the log does not move. Waits up to 2
/// s.
fn lock_shared(file: &File, path: &Path) -> Result<()> {
    let deadline = now() + Duration::from_secs(2);
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Ok(()),
            Err(std::fs::TryLockError::WouldBlock) if now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                let message = format!("another process holds the lock on {} for too long", path.display());
                return Err(Failure::new(Reason::Locked, message));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(Failure::io("lock", path, &error)),
        }
    }
}

fn unrecovered(names: &Names) -> Result<u64> {
    let mut dead = 0;
    for path in names.list_journals()? {
        // A file that cannot be opened belongs to another user, or is not a journal.
        if let Ok(Some(file)) = open_to_read(&path) {
            dead += u64::from(file.try_lock_shared().is_ok());
        }
    }
    Ok(dead)
}
