//! Writes lines into a file that several processes share: under a lock, all of them or none.

mod expire;
mod keying;
mod mend;

use std::fs::{File, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle, sleep};
use std::time::{Duration, Instant};

use crate::boot;
use crate::chain::{Chain, LineWriter, counted};
use crate::error::{Failure, Notice, Reason, Result};
use crate::files::{Create, FileId, Names, open, present, set_size};
use crate::head::Head;
use crate::line::{Form, Identity};
use crate::link::Link;
use crate::pause::Round;
use crate::record::{Event, Record};
use crate::time::{Clock, now, since};

/// When a file is rotated, and when counts are written.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A file of this size in bytes is rotated.
    pub max_bytes: u64,
    /// A file of this age is rotated.
    pub max_age: Duration,
    /// Counts are written after this many records.
    pub checkpoint_records: u64,
    /// Counts are written after this time, if there were records.
    pub checkpoint_after: Duration,
    /// A rotated file is deleted this long after its end.
    pub keep: Duration,
    /// Whether the wall clock is known to be right: until then nothing is deleted.
    pub may_delete: fn() -> bool,
}

/// A log file, and its state as far as this process knows it.
pub struct FileSink {
    /// The names of its files.
    pub names: Names,
    /// Writes the lines.
    pub writer: LineWriter,
    /// The link that this process was given. A log that was begun without a key has none until `keying` begins it.
    given: Link,
    /// Whether this process may begin the key of a log that has none.
    begins_key: bool,
    /// Whether the log had the given key at some time. It does not go on without one then.
    has_seen_key: bool,
    who: Identity,
    clock: Clock,
    limits: Limits,
    state: Option<File>,
    /// While the lock is held.
    round: Option<Round>,
    log: Option<(Arc<File>, FileId)>,
    /// The bytes of the state file, as this process last read or wrote them.
    known: Vec<u8>,
    /// The end of the chain as this process left it last. It is what is left when log and state file are removed together.
    last: Option<Head>,
    /// The sync that is running.
    syncing: Option<Syncing>,
    /// The number of bytes that were synced without the lock.
    synced: Option<(FileId, u64)>,
    last_checkpoint: Instant,
    /// Whether this instance's first record is written.
    is_opened: bool,
    last_expiry: Option<Instant>,
    /// The number of the file in which the writer said last who it is, and whether that was with its account.
    introduced: (u64, bool),
    /// The boot of the machine.
    boot: u64,
    notices: Vec<Notice>,
}

/// A sync on a thread of its own: a sync can take longer than a full journal may wait.
struct Syncing {
    thread: JoinHandle<io::Result<()>>,
    file: FileId,
    size: u64,
}

/// The log while its lock is held.
pub struct Session<'a> {
    sink: &'a mut FileSink,
    /// The end of the chain.
    pub head: Head,
}

impl FileSink {
    /// Opens no file yet. `who` is the writer of the log's own records.
    pub fn new(names: Names, link: Link, who: Identity, clock: Clock, limits: Limits) -> Self {
        Self {
            names,
            writer: LineWriter::new(link.clone()),
            given: link,
            begins_key: true,
            has_seen_key: false,
            who,
            clock,
            limits,
            state: None,
            round: None,
            log: None,
            known: Vec::new(),
            last: None,
            syncing: None,
            synced: None,
            last_checkpoint: now(),
            is_opened: false,
            last_expiry: None,
            introduced: (0, false),
            boot: boot::boot(),
            notices: Vec::new(),
        }
    }

    /// Leaves a log without a key as it is: it is another program's.
    #[must_use]
    pub fn as_guest(self, is_guest: bool) -> Self {
        Self { begins_key: !is_guest, ..self }
    }

    fn note_introduced(&mut self, file: u64) {
        self.introduced = (file, self.who.account.get().is_some());
    }

    /// Returns the notices since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Waits for the lock, until `deadline` at most, and reads the current state of the log.
    pub fn session(&mut self, deadline: Instant) -> Result<Session<'_>> {
        self.lock(deadline)?;
        let found = self.find_head();
        match found {
            Ok(head) => {
                let mut session = Session { sink: self, head };
                session.begin_key()?;
                Ok(session)
            }
            Err(failure) => {
                self.unlock();
                Err(failure)
            }
        }
    }

    /// Starts a sync of the first `size` bytes, without the lock, and does not wait for it.
    pub fn begin_sync(&mut self, size: u64) -> Result<()> {
        self.end_sync()?;
        let Some((file, id)) = &self.log else { return Ok(()) };
        let theirs = Arc::clone(file);
        let spawned = Builder::new().name("audit-log-sync".into()).spawn(move || theirs.sync_data());
        if let Ok(thread) = spawned {
            self.syncing = Some(Syncing { thread, file: *id, size });
        } else {
            // The system has no more threads: sync here, and wait.
            file.sync_data().map_err(|error| Failure::io("sync", &self.names.log, &error))?;
            self.synced = Some((*id, size));
        }
        Ok(())
    }

    /// Whether a sync is running.
    pub fn is_syncing(&self) -> bool {
        self.syncing.as_ref().is_some_and(|syncing| !syncing.thread.is_finished())
    }

    /// Waits for the running sync and returns its result.
    pub fn end_sync(&mut self) -> Result<()> {
        let Some(Syncing { thread, file, size }) = self.syncing.take() else { return Ok(()) };
        let synced = thread.join().unwrap_or_else(|_| Err(io::Error::other("its thread panicked")));
        synced.map_err(|error| Failure::io("sync", &self.names.log, &error))?;
        self.synced = Some((file, size));
        Ok(())
    }

    fn lock(&mut self, deadline: Instant) -> Result<()> {
        let path = self.names.state();
        let failed = |error: io::Error| Failure::io("lock", &path, &error);
        let mut pause = Duration::from_micros(50);
        loop {
            let file = match self.state.take() {
                Some(file) => file,
                None => open(&path, Create::Missing, false)?,
            };
            let round = Round::begin();
            match file.try_lock() {
                Ok(()) => self.round = Some(round),
                Err(TryLockError::WouldBlock) if now() < deadline => {
                    drop(round);
                    self.state = Some(file);
                    sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(5));
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    let why = "for too long; was it stopped (Ctrl-Z)?";
                    let message = format!("another process holds the lock on {} {why}", path.display());
                    return Err(Failure::new(Reason::Locked, message));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // The lock protects the log only if it is on the file that others find under this name.
            let held = FileId::of(&file).map_err(failed)?;
            if present(&path)?.is_some_and(|(found, _)| found == held) {
                self.state = Some(file);
                return Ok(());
            }
            self.known.clear();
            drop(file);
            self.round = None;
            if now() >= deadline {
                let message = format!("{} is replaced all the time", path.display());
                return Err(Failure::new(Reason::Locked, message));
            }
        }
    }

    fn unlock(&mut self) {
        if let Some(file) = &self.state
            && file.unlock().is_err()
        {
            // Closing the file always releases the lock.
            self.state = None;
        }
        self.round = None;
    }

    fn state_file(&mut self) -> Result<&mut File> {
        let gone = || Failure::new(Reason::Io, "the state file of the audit log is not open");
        self.state.as_mut().ok_or_else(gone)
    }

    /// Opens the log, unless the file with this identity is open already.
    fn reopen(&mut self, id: FileId) -> Result<()> {
        if self.log.as_ref().is_some_and(|(_, open)| *open == id) {
            return Ok(());
        }
        let file = open(&self.names.log, Create::Never, true)?;
        let id = FileId::of(&file).map_err(|error| Failure::io("look at", &self.names.log, &error))?;
        self.log = Some((Arc::new(file), id));
        Ok(())
    }

    fn log_file(&self) -> Result<&File> {
        let gone = || Failure::new(Reason::Io, "the audit log is not open");
        self.log.as_ref().map(|(file, _)| &**file).ok_or_else(gone)
    }

    /// Appends a record of the log itself.
    fn own(&mut self, head: &mut Head, event: Event, code: &str, detail: &str) -> Result<()> {
        let (mut chain, mut line) = (head.chain, Vec::new());
        let form = Form::new(&self.who, &Record { code, ..Record::new(event) }, detail);
        self.writer.own(&mut line, &mut chain, &form, (self.clock)());
        self.append(head, &line)?;
        head.chain = chain;
        Ok(())
    }

    /// Appends all of `bytes`, or nothing.
    fn append(&mut self, head: &mut Head, bytes: &[u8]) -> Result<()> {
        let before = head.size;
        let mut file = self.log_file()?;
        if let Err(error) = file.write_all(bytes) {
            let undone = set_size(file, &self.names.log, before);
            let mut failure = Failure::io("write", &self.names.log, &error);
            if let Err(error) = undone {
                failure.message =
                    format!("{}; what was written of it could not be taken back: {error}", failure.message);
            }
            return Err(failure);
        }
        head.size += bytes.len() as u64;
        Ok(())
    }

    /// Syncs the whole file. The system reports an error once for a file; if a sync is running, that sync receives it.
    fn sync_now(&mut self, head: &mut Head) -> Result<()> {
        self.end_sync()?;
        let synced = self.log_file()?.sync_data();
        synced.map_err(|error| Failure::io("sync", &self.names.log, &error))?;
        head.synced = head.size;
        Ok(())
    }

    fn write_state(&mut self, head: &Head) -> Result<()> {
        let bytes = head.to_bytes(&self.writer);
        if bytes == self.known {
            return Ok(());
        }
        let path = self.names.state();
        let file = self.state_file()?;
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.write_all(&bytes))
            .map_err(|error| Failure::io("write", &path, &error))?;
        self.known = bytes;
        Ok(())
    }
}

impl Session<'_> {
    /// Appends whole lines whose last one ends `chain`. Afterwards the file holds all of them, or none.
    pub fn append(&mut self, lines: &[u8], chain: Chain) -> Result<()> {
        self.sink.append(&mut self.head, lines)?;
        self.head.chain = chain;
        Ok(())
    }

    /// Writes lines.
    pub fn writer(&mut self) -> &mut LineWriter {
        &mut self.sink.writer
    }

    /// The log file, for reading.
    pub fn log(&self) -> Result<&File> {
        self.sink.log_file()
    }

    /// The names around the log.
    pub fn names(&self) -> &Names {
        &self.sink.names
    }

    /// Appends a record of the log itself.
    pub fn own(&mut self, event: Event, code: &str, detail: &str) -> Result<()> {
        self.sink.own(&mut self.head, event, code, detail)
    }

    /// Writes the first record of the instance, once.
    pub fn open(&mut self) -> Result<()> {
        if self.sink.is_opened {
            return Ok(());
        }
        self.own(Event::Open, "", &self.sink.who.says())?;
        self.sink.is_opened = true;
        self.sink.note_introduced(self.head.number);
        Ok(())
    }

    /// Says in each further file who the writer is, since the file of its first record may be gone, and once its AWS account
    /// is known.
    pub fn introduce(&mut self) -> Result<()> {
        let is_said = self.sink.introduced == (self.head.number, self.sink.who.account.get().is_some());
        let says = self.sink.who.says();
        if is_said || says.is_empty() {
            return Ok(());
        }
        self.sink.note_introduced(self.head.number);
        self.own(Event::Session, "", &says)
    }

    /// Appends a record of the log itself with counts.
    pub fn count(&mut self, event: Event, what: &str) -> Result<()> {
        let what = format!("{what}{}file={}", if what.is_empty() { "" } else { " " }, self.head.number);
        let detail = counted(self.sink.writer.link(), &self.head.chain, &what);
        self.own(event, "", &detail)?;
        self.head.counted = self.head.chain.seq;
        self.sink.last_checkpoint = now();
        Ok(())
    }

    /// Rotates the file and writes counts, if they are due.
    pub fn housekeeping(&mut self) -> Result<()> {
        let (now, limits) = ((self.sink.clock)(), self.sink.limits.clone());
        let age = Duration::from_micros(now.saturating_sub(self.head.began_us));
        self.expire(now)?;
        let used = self.head.chain.counts.records > 1;
        if used && (self.head.size >= limits.max_bytes || age >= limits.max_age) {
            return self.rotate(now, None);
        }
        let uncounted = self.head.chain.seq - self.head.counted.min(self.head.chain.seq);
        let late = since(self.sink.last_checkpoint) >= limits.checkpoint_after;
        if uncounted >= limits.checkpoint_records || (uncounted > 0 && late) {
            self.count(Event::Checkpoint, "")?;
        }
        Ok(())
    }

    /// Gives the file its final name and begins the next one, with another link if one is given. After a kill in between,
    /// the next session finishes it.
    fn rotate(&mut self, now: u64, link: Option<Link>) -> Result<()> {
        let name = self.sink.names.rotated(now, self.head.number);
        let target = self.sink.names.log.with_file_name(&name);
        if std::fs::symlink_metadata(&target).is_ok() {
            let message = format!("{} exists; the audit log cannot be rotated", target.display());
            return Err(Failure::new(Reason::NotAFile, message));
        }
        self.count(Event::End, "")?;
        self.sink.sync_now(&mut self.head)?;
        self.head.rotating = name;
        self.sink.write_state(&self.head)?;
        std::fs::rename(&self.sink.names.log, &target)
            .map_err(|error| Failure::io("rotate", &self.sink.names.log, &error))?;
        let code = if link.is_some() { keying::KEY_BEGINS } else { "" };
        if let Some(link) = link {
            self.sink.writer.set_link(link);
        }
        self.head = self.sink.begin(self.head.number + 1, self.head.chain, code)?;
        Ok(())
    }

    /// Syncs the log while the lock is held.
    pub fn sync(&mut self) -> Result<()> {
        self.sink.sync_now(&mut self.head)
    }

    /// Notes the end of the chain in the state file, releases the lock, and returns the length of the log.
    pub fn finish(self) -> Result<u64> {
        self.sink.write_state(&self.head)?;
        self.sink.last = Some(self.head.clone());
        Ok(self.head.size)
    }
}

impl Drop for Session<'_> {
    /// A session that ends early because of an error notes nothing: the next one finds what was written.
    fn drop(&mut self) {
        self.sink.unlock();
    }
}

#[cfg(test)]
mod tests;
