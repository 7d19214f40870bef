//! Writes the records of a journal into the log: in order, each exactly once, even if a writer dies and another process
//! continues.
//!
//! Before lines are written, the journal notes which records will be written and where in which file; afterwards it
//! notes that they are written. If a writer dies in between, the file itself shows how many of these records it holds.

use std::fs::File;
use std::path::Path;

use crate::chain::{Chain, LineWriter};
use crate::error::{Failure, Notice, Result};
use crate::file_sink::Session;
use crate::files::{Create, find, open};
use crate::forms::Forms;
use crate::journal::{Dead, Journal, Progress};
use crate::line::Line;
use crate::packed::{Packed, counter_of, time_of};
use crate::record::Event;
use crate::ring::{Counter, Ring, WINDOW_MS};
use crate::walk::Lines;

/// Whose journal is read.
#[derive(Clone, Copy, Debug)]
pub enum Owner {
    /// A dead owner's: nothing in it changes any more.
    Dead,
    /// A live owner's: a record whose counter is younger than [`WINDOW_MS`] at `now_us` is left to be counted in.
    Live {
        /// The time now.
        now_us: u64,
        /// Whether such records are taken as well, because somebody waits, or the journal fills up.
        all: bool,
    },
}

impl Owner {
    fn is_dead(self) -> bool {
        matches!(self, Self::Dead)
    }

    /// Whether a record with an open counter from `time_us` is left to be counted in.
    fn leaves(self, time_us: u64) -> bool {
        // A clock that went back makes the difference large.
        matches!(self, Self::Live { now_us, all: false } if now_us.wrapping_sub(time_us) < WINDOW_MS * 1000)
    }
}

/// A batch is written once it has this many bytes.
const BATCH: usize = 256 * 1024;

/// Buffers, kept between batches.
pub struct Batch {
    /// The largest size of a batch. Halved after a failure, so that the last free bytes of a disk are used.
    limit: usize,
    /// The lines.
    pub lines: Vec<u8>,
    words: Vec<u64>,
    forms: Forms,
    scratch: Vec<u8>,
}

/// What a call of [`Batch::collect`] has collected.
#[derive(Clone, Copy, Debug, Default)]
pub struct Collected {
    /// The position in the journal up to which it has collected.
    pub end: u64,
    /// The number of records.
    pub records: u64,
    /// The number of incomplete records, which only a power cut can leave.
    pub damaged: u64,
    /// Whether the batch was full before the journal was empty.
    pub more: bool,
}

impl Default for Batch {
    fn default() -> Self {
        Self { limit: BATCH, lines: Vec::new(), words: Vec::new(), forms: Forms::default(), scratch: Vec::new() }
    }
}

impl Batch {
    /// Formats the journal's next records until the lines have `limit` bytes, or the next line would exceed `most`.
    /// Skips records that a dead owner has begun and not finished.
    pub fn collect(
        &mut self,
        journal: &Journal,
        from: Owner,
        writer: &mut LineWriter,
        chain: &mut Chain,
        (limit, most): (usize, usize),
    ) -> Collected {
        let ring = journal.ring();
        let (mut at, last) = (ring.tail(), end_of(ring, from.is_dead()));
        let mut collected = Collected { end: at, ..Collected::default() };
        self.lines.clear();
        self.forms.belong_to(journal.who());
        while at < last {
            let Some(slots) = ring.get(at, &mut self.words) else {
                if !from.is_dead() {
                    break;
                }
                at += 1;
                continue;
            };
            if !from.is_dead() && counter_of(&self.words).is_some_and(|counter| !counter.is_sealed()) {
                if from.leaves(time_of(&self.words)) {
                    break;
                }
                let sealed = ring.seal(at + slots - 1);
                self.words.last_mut().into_iter().for_each(|word| *word = sealed);
            }
            at += slots;
            let packed = Packed::new(&self.words);
            match packed.and_then(|packed| Some((packed.varying(), self.forms.of(journal.who(), packed)?))) {
                Some((varying, form)) => {
                    let (before, length) = (*chain, self.lines.len());
                    writer.draft(&mut self.lines, chain, form, varying);
                    if self.lines.len() > most && length > 0 {
                        writer.take_back(&mut self.lines, chain, before);
                        collected.more = true;
                        break;
                    }
                    collected.records += 1;
                }
                None => collected.damaged += 1,
            }
            collected.end = at;
            if self.lines.len() >= limit {
                collected.more = true;
                break;
            }
        }
        writer.connect(&mut self.lines, chain);
        collected
    }

    /// The position after the first `count` complete records from the tail on.
    fn skip(&mut self, ring: &Ring, end: u64, count: u64) -> u64 {
        let (mut at, mut left) = (ring.tail(), count);
        while at < end && left > 0 {
            match ring.get(at, &mut self.words) {
                Some(slots) => {
                    let record = Packed::new(&self.words).and_then(|packed| packed.unpack(&mut self.scratch));
                    left -= u64::from(record.is_some());
                    at += slots;
                }
                None => at += 1,
            }
        }
        at
    }
}

/// The position up to which there can be records. A live owner knows it; for a dead one it is a whole turn of the ring.
fn end_of(ring: &Ring, dead: bool) -> u64 {
    if dead { ring.tail() + ring.slots() } else { ring.head() }
}

/// Writes the next records of a journal into the log.
pub fn deliver(session: &mut Session<'_>, journal: &Journal, from: Owner, batch: &mut Batch) -> Result<Collected> {
    resolve(session, journal, batch)?;
    if !from.is_dead() && !is_idle(journal.ring(), from) {
        session.introduce()?;
    }
    let mut chain = session.head.chain;
    let collected = batch.collect(journal, from, session.writer(), &mut chain, (batch.limit, usize::MAX));
    let mut progress = journal.progress();
    if collected.records > 0 {
        progress.end = collected.end;
        (progress.file, progress.offset) = (session.head.file, session.head.size);
        journal.publish(&progress);
        let written = session.append(&batch.lines, chain);
        batch.limit = if written.is_ok() { (batch.limit * 2).min(BATCH) } else { (batch.lines.len() / 2).max(1) };
        written?;
    }
    done(journal, &mut progress, collected.end, collected.records);
    let missed = journal.missed();
    if missed > 0 && !collected.more {
        session.own(Event::Missed, "", &format!("of={} deliveries={missed}", journal.who().instance))?;
        journal.told_missed(missed);
    }
    Ok(collected)
}

/// Whether a ring holds nothing that is to be written now: it is empty, or its next record is left to be counted in.
pub fn is_idle(ring: &Ring, from: Owner) -> bool {
    ring.tail() == ring.head() || {
        let (mut words, tail) = (Vec::new(), ring.tail());
        ring.get(tail, &mut words).is_some()
            && counter_of(&words).is_some_and(|counter: Counter| !counter.is_sealed())
            && from.leaves(time_of(&words))
    }
}

fn done(journal: &Journal, progress: &mut Progress, end: u64, records: u64) {
    if progress.tail != end || progress.end != end {
        (progress.tail, progress.end) = (end, end);
        progress.records += records;
        journal.publish(progress);
        journal.ring().release(end);
    }
}

/// Finds out how many records of an interrupted write are in the file.
fn resolve(session: &mut Session<'_>, journal: &Journal, batch: &mut Batch) -> Result<()> {
    let mut progress = journal.progress();
    if progress.end <= progress.tail {
        return Ok(());
    }
    let (instance, offset) = (journal.who().instance.as_bytes(), progress.offset);
    let written = if progress.file == session.head.file {
        lines_of(session.log()?, offset, instance)
    } else {
        // The file was rotated since. If it no longer exists, neither do the lines that it may have held.
        match find(&session.names().log, progress.file)? {
            None => Ok(0),
            Some(path) => lines_of(&open(&path, Create::Never, true)?, offset, instance),
        }
    };
    let written = written.map_err(|error| Failure::io("read", &session.names().log, &error))?;
    let end = batch.skip(journal.ring(), progress.end, written);
    done(journal, &mut progress, end, written);
    Ok(())
}

/// The number of consecutive records of `instance` from `offset` on.
fn lines_of(file: &File, offset: u64, instance: &[u8]) -> std::io::Result<u64> {
    let (mut lines, mut count) = (Lines::new(file, offset)?, 0);
    while let Some(bytes) = lines.next()? {
        match bytes.strip_suffix(b"\n").and_then(Line::parse) {
            Some(line) if line.instance == instance && !line.is_own() => count += 1,
            _ => break,
        }
    }
    Ok(count)
}

/// Writes the journals of dead instances, and returns notices of what was in them.
pub fn take_over(session: &mut Session<'_>, batch: &mut Batch) -> Result<Vec<Notice>> {
    let mut notices = Vec::new();
    session.names().list_unfinished()?.iter().for_each(|path| Journal::remove_unfinished(path));
    for path in session.names().list_journals()? {
        let journal = match Journal::open_dead(&path) {
            Ok(Dead::Journal(journal)) => journal,
            Ok(Dead::Not) => continue,
            Ok(Dead::Invalid) => {
                notices.push(set_aside(&path)?);
                session.own(Event::Recover, INVALID, "")?;
                continue;
            }
            // A journal that cannot be opened, for example that of another user, must not stop the log.
            Err(failure) => {
                notices.push(Notice::Changed { code: "JOURNAL_UNREADABLE", message: failure.message });
                continue;
            }
        };
        let mut damaged = 0;
        loop {
            let collected = deliver(session, &journal, Owner::Dead, batch)?;
            damaged += collected.damaged;
            if !collected.more {
                break;
            }
        }
        let (instance, records) = (journal.who().instance.clone(), journal.progress().records);
        let code = if journal.is_of_this_boot() { "" } else { "POWER_CUT" };
        let actor = &journal.who().actor;
        let actor = if actor.is_empty() { String::new() } else { format!(" {actor}") };
        session.own(Event::Recover, code, &format!("of={instance} records={records} damaged={damaged}{actor}"))?;
        journal.remove()?;
        notices.push(Notice::Recovered { instance, records });
    }
    Ok(notices)
}

const INVALID: &str = "JOURNAL_INVALID";

/// Renames a file that is not a journal: its owner died while creating it, or a power cut damaged it.
pub fn set_aside(path: &Path) -> Result<Notice> {
    let aside = path.with_extension("journal.damaged");
    std::fs::rename(path, &aside).map_err(|error| Failure::io("set aside", path, &error))?;
    let message = format!("{} is not a usable journal; it was renamed to {}", path.display(), aside.display());
    Ok(Notice::Changed { code: INVALID, message })
}

#[cfg(test)]
mod tests;
