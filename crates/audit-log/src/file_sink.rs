//! Lines into a file that several processes share: under a lock, whole or not at all, whatever was done to it since.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::chain::{Chain, Pen, counted};
use crate::error::{Failure, Notice, Reason, Result};
use crate::files::{Create, FileId, Names, look, open, sync_directory};
use crate::head::{Found, Head, LENGTH};
use crate::journal::boot;
use crate::line::{Identity, Line};
use crate::link::Link;
use crate::record::{Event, Record};
use crate::time::Clock;
use crate::walk::{self, Walked};

/// When a file is put away and when records are counted.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A file of this length is rotated away.
    pub max_bytes: u64,
    /// A file of this age is rotated away.
    pub max_age: Duration,
    /// Counts are written after this many records.
    pub checkpoint_records: u64,
    /// Counts are written after this time, when there were records.
    pub checkpoint_after: Duration,
}

/// A log file, and what is known of it.
pub struct FileSink {
    /// The names around it.
    pub names: Names,
    /// Writes the lines.
    pub pen: Pen,
    who: Identity,
    clock: Clock,
    limits: Limits,
    state: Option<File>,
    log: Option<(File, FileId)>,
    /// The state file's bytes as they were last read or written here.
    known: Vec<u8>,
    /// Bytes that were synced outside of the lock.
    synced: Option<(FileId, u64)>,
    last_checkpoint: Instant,
    notices: Vec<Notice>,
}

/// The log while its lock is held.
pub struct Session<'a> {
    sink: &'a mut FileSink,
    /// Where the chain ends.
    pub head: Head,
}

impl FileSink {
    /// Touches nothing yet. `who` signs the records of the log itself.
    pub fn new(names: Names, link: Link, who: Identity, clock: Clock, limits: Limits) -> Self {
        Self {
            names,
            pen: Pen::new(link),
            who,
            clock,
            limits,
            state: None,
            log: None,
            known: Vec::new(),
            synced: None,
            last_checkpoint: Instant::now(),
            notices: Vec::new(),
        }
    }

    /// What should be told since last asked.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Takes the lock, until `deadline` at most, and brings what is known of the log up to date.
    pub fn session(&mut self, deadline: Instant) -> Result<Session<'_>> {
        self.lock(deadline)?;
        let found = self.find_head();
        match found {
            Ok(head) => Ok(Session { sink: self, head }),
            Err(failure) => {
                self.unlock();
                Err(failure)
            }
        }
    }

    /// Syncs what was written, without the lock.
    pub fn sync(&mut self, size: u64) -> Result<()> {
        let Some((file, id)) = &self.log else { return Ok(()) };
        file.sync_data().map_err(|error| Failure::io("sync", &self.names.log, &error))?;
        self.synced = Some((*id, size));
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
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    self.state = Some(file);
                    sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(5));
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    let message = format!("another process holds the lock on {} for too long", path.display());
                    return Err(Failure::new(Reason::Locked, message));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // The lock is worth something only on the file that others find under this name.
            let held = FileId::of(&file.metadata().map_err(failed)?);
            if look(&path)?.is_some_and(|found| FileId::of(&found) == held) {
                self.state = Some(file);
                return Ok(());
            }
            self.known.clear();
            if Instant::now() >= deadline {
                let message = format!("{} is replaced all the time", path.display());
                return Err(Failure::new(Reason::Locked, message));
            }
        }
    }

    fn unlock(&mut self) {
        if let Some(file) = &self.state
            && file.unlock().is_err()
        {
            // Closing the file gives the lock back for certain.
            self.state = None;
        }
    }

    fn state_file(&mut self) -> Result<&mut File> {
        let gone = || Failure::new(Reason::Io, "the state file of the audit log is not open");
        self.state.as_mut().ok_or_else(gone)
    }

    fn find_head(&mut self) -> Result<Head> {
        let path = self.names.state();
        let mut bytes = Vec::with_capacity(LENGTH);
        let file = self.state_file()?;
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.take(LENGTH as u64 + 1).read_to_end(&mut bytes))
            .map_err(|error| Failure::io("read", &path, &error))?;
        let found = Head::parse(&bytes, self.pen.link());
        self.known = bytes;
        let present = look(&self.names.log)?.map(|metadata| (FileId::of(&metadata), metadata.len()));
        match (found, present) {
            (Found::OtherKey(method), _) => Err(Failure::new(
                Reason::Foreign,
                format!(
                    "{} was begun with another key ({method}); put it away together with its state file",
                    self.names.log.display()
                ),
            )),
            (Found::Head(head), present) => self.reconcile(*head, present),
            // An empty file: a process died before it wrote the first record.
            (Found::Nothing, None | Some((_, 0))) => self.begin(1, Chain::default(), ""),
            (Found::Invalid, None | Some((_, 0))) => self.begin(1, Chain::default(), "STATE_INVALID"),
            (Found::Nothing, Some(_)) => self.rebuild(None, "STATE_MISSING"),
            (Found::Invalid, Some(_)) => self.rebuild(None, "STATE_INVALID"),
        }
    }

    /// Compares what the state says with what is there.
    fn reconcile(&mut self, mut head: Head, present: Option<(FileId, u64)>) -> Result<Head> {
        if let Some((id, size)) = self.synced.take()
            && id == head.file
        {
            head.synced = head.synced.max(size.min(head.size));
        }
        match present {
            Some((id, size)) if id == head.file => {
                head.rotating.clear();
                self.reopen(id)?;
                if head.boot != boot() {
                    // The disk may have kept less than the state file says.
                    if size < head.size || !self.ends_with(&head)? {
                        return self.rebuild(Some(head), "POWER_CUT");
                    }
                    head.boot = boot();
                }
                match size.cmp(&head.size) {
                    std::cmp::Ordering::Equal => Ok(head),
                    std::cmp::Ordering::Greater => self.adopt(head, size),
                    std::cmp::Ordering::Less => self.resist(head, size, "LOG_TRUNCATED"),
                }
            }
            None | Some((_, 0)) => {
                let rotated = self.names.log.with_file_name(&head.rotating);
                let done = !head.rotating.is_empty()
                    && look(&rotated)?.is_some_and(|metadata| FileId::of(&metadata) == head.file);
                self.begin(head.number + 1, head.chain, if done { "" } else { "LOG_MISSING" })
            }
            Some((id, size)) => {
                self.reopen(id)?;
                if size == head.size && self.ends_with(&head)? {
                    // It was copied, or restored from a copy, and is the same.
                    return Ok(Head { file: id, synced: 0, ..head });
                }
                self.resist(Head { file: id, synced: 0, ..head }, size, "LOG_REPLACED")
            }
        }
    }

    /// Whether the line that ends where the state says is the one that it says.
    fn ends_with(&self, head: &Head) -> Result<bool> {
        let last = walk::last_line(self.log_file()?, head.size);
        let last = last.map_err(|error| Failure::io("read", &self.names.log, &error))?;
        Ok(last.is_some_and(|line| self.pen.link().of(&line) == head.chain.last))
    }

    /// The log is longer than the state says: a process died between writing lines and noting it, or someone else
    /// wrote into it.
    fn adopt(&mut self, mut head: Head, size: u64) -> Result<Head> {
        let from = head.size;
        let walked = walk::walk(self.log_file()?, self.pen.link(), from, Some(head.chain))
            .map_err(|error| Failure::io("read", &self.names.log, &error))?;
        let Walked { chain, good, torn, .. } = walked;
        (head.chain, head.size) = (chain, good);
        if good == size {
            return Ok(head);
        }
        if good + torn == size {
            self.cut(&mut head, torn, "TORN_LINE")?;
            return Ok(head);
        }
        self.resist(head, size, "FOREIGN_BYTES")
    }

    /// Makes a new head from what the log holds. `before`: what the state said, when it could be read.
    fn rebuild(&mut self, before: Option<Head>, code: &'static str) -> Result<Head> {
        let metadata = look(&self.names.log)?.ok_or_else(|| {
            Failure::new(Reason::Missing, format!("{} went away while it was read", self.names.log.display()))
        })?;
        let (id, size) = (FileId::of(&metadata), metadata.len());
        self.reopen(id)?;
        let walked = walk::walk(self.log_file()?, self.pen.link(), 0, None)
            .map_err(|error| Failure::io("read", &self.names.log, &error))?;
        let Walked { chain, good, torn, number, .. } = walked;
        if chain.seq == 0 && before.is_none() {
            let message = format!("{} is not an audit log; choose another path", self.names.log.display());
            return Err(Failure::new(Reason::Foreign, message));
        }
        if let Some(before) = before {
            if good < before.synced || (good + torn < size && good < before.size) {
                return self.resist(before, size, "LOG_CHANGED");
            }
            let lost = before.chain.seq.saturating_sub(chain.seq);
            let mut head = Head { size: good, synced: good, chain, boot: boot(), ..before };
            self.cut(&mut head, size - good, code)?;
            if lost > 0 {
                let message = format!("a power cut took the last {lost} records of {}", self.names.log.display());
                self.notices.push(Notice::Changed { code, message });
            }
            return Ok(head);
        }
        let began_us = (self.clock)();
        let number = number.unwrap_or(1);
        let mut head = Head {
            number,
            file: id,
            size: good,
            synced: 0,
            began_us,
            chain,
            counted: chain.seq,
            boot: boot(),
            rotating: String::new(),
        };
        if good + torn < size {
            let last = walk::last_line(self.log_file()?, size);
            let last = last.map_err(|error| Failure::io("read", &self.names.log, &error))?;
            if let Some((bytes, line)) = last.as_ref().and_then(|bytes| Some((bytes, Line::parse(bytes)?))) {
                head.chain.take(self.pen.link(), bytes, &line);
            }
            return self.resist(head, size, "LOG_CHANGED");
        }
        let message =
            format!("the state file of {} was missing or invalid; it was made anew", self.names.log.display());
        self.notices.push(Notice::Changed { code, message });
        self.cut(&mut head, torn, code)?;
        Ok(head)
    }

    /// Cuts an unfinished line off the end and says so.
    fn cut(&mut self, head: &mut Head, torn: u64, code: &'static str) -> Result<()> {
        if torn > 0 {
            let size = head.size;
            let cut = self.log_file()?.set_len(size);
            cut.map_err(|error| Failure::io("mend", &self.names.log, &error))?;
        }
        self.own(head, Event::Recover, code, &format!("cut={torn}"))
    }

    /// Goes on with the chain as it was, so that whatever is missing or foreign stays visible for ever.
    fn resist(&mut self, mut head: Head, size: u64, code: &'static str) -> Result<Head> {
        let (expected, mut last) = (head.size, [0]);
        head.size = size;
        head.boot = boot();
        if size > 0 {
            let mut file = self.log_file()?;
            file.seek(SeekFrom::Start(size - 1))
                .and_then(|_| file.read_exact(&mut last))
                .map_err(|error| Failure::io("read", &self.names.log, &error))?;
            if last != *b"\n" {
                self.append(&mut head, b"\n")?;
            }
        }
        self.own(&mut head, Event::Tamper, code, &format!("expected={expected} found={size}"))?;
        head.synced = 0;
        let message = format!(
            "{} was changed by someone else: {size} bytes where {expected} were left",
            self.names.log.display()
        );
        self.notices.push(Notice::Changed { code, message });
        Ok(head)
    }

    /// Begins a file. `code` says why, when it is not the next one in turn.
    fn begin(&mut self, number: u64, chain: Chain, code: &'static str) -> Result<Head> {
        // An empty file is left by a process that died right here, or by a tool that moves logs away.
        let file = open(&self.names.log, Create::Missing, true)?;
        let metadata = file.metadata().map_err(|error| Failure::io("look at", &self.names.log, &error))?;
        if metadata.len() > 0 {
            // It was put there since it was looked for; the next session sees it as it is.
            let message = format!("{} changed while it was opened", self.names.log.display());
            return Err(Failure::new(Reason::Io, message));
        }
        let id = FileId::of(&metadata);
        self.log = Some((file, id));
        let chain = Chain { counts: crate::chain::Counts::default(), ..chain };
        let mut head = Head {
            number,
            file: id,
            size: 0,
            synced: 0,
            began_us: (self.clock)(),
            chain,
            counted: chain.seq,
            boot: boot(),
            rotating: String::new(),
        };
        let detail = format!("file={number} chain={}", self.pen.link().method());
        self.own(&mut head, Event::Begin, code, &detail)?;
        self.sync_now(&mut head)?;
        sync_directory(&self.names.log)
            .map_err(|error| Failure::io("sync the directory of", &self.names.log, &error))?;
        self.write_state(&head)?;
        if !code.is_empty() {
            let message = format!("{} was missing and begun anew", self.names.log.display());
            self.notices.push(Notice::Changed { code, message });
        }
        Ok(head)
    }

    /// Opens the log, unless the file with this identity is open already.
    fn reopen(&mut self, id: FileId) -> Result<()> {
        if self.log.as_ref().is_some_and(|(_, open)| *open == id) {
            return Ok(());
        }
        let file = open(&self.names.log, Create::Never, true)?;
        let metadata = file.metadata().map_err(|error| Failure::io("look at", &self.names.log, &error))?;
        self.log = Some((file, FileId::of(&metadata)));
        Ok(())
    }

    fn log_file(&self) -> Result<&File> {
        let gone = || Failure::new(Reason::Io, "the audit log is not open");
        self.log.as_ref().map(|(file, _)| file).ok_or_else(gone)
    }

    /// Appends a record of the log itself.
    fn own(&mut self, head: &mut Head, event: Event, code: &str, detail: &str) -> Result<()> {
        let (mut chain, mut line) = (head.chain, Vec::new());
        let record = Record { code, ..Record::new(event) };
        self.pen.write(&mut line, &mut chain, &self.who, (self.clock)(), &record, detail);
        self.append(head, &line)?;
        head.chain = chain;
        Ok(())
    }

    /// Appends all of `bytes` or nothing.
    fn append(&mut self, head: &mut Head, bytes: &[u8]) -> Result<()> {
        let before = head.size;
        let mut file = self.log_file()?;
        if let Err(error) = file.write_all(bytes) {
            let undone = file.set_len(before);
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

    fn sync_now(&mut self, head: &mut Head) -> Result<()> {
        let synced = self.log_file()?.sync_data();
        synced.map_err(|error| Failure::io("sync", &self.names.log, &error))?;
        head.synced = head.size;
        Ok(())
    }

    fn write_state(&mut self, head: &Head) -> Result<()> {
        let bytes = head.to_bytes(&self.pen);
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
    /// Appends whole lines that end with `chain`. Either all of them are in the file afterwards, or none.
    pub fn append(&mut self, lines: &[u8], chain: Chain) -> Result<()> {
        self.sink.append(&mut self.head, lines)?;
        self.head.chain = chain;
        Ok(())
    }

    /// Writes lines.
    pub fn pen(&mut self) -> &mut Pen {
        &mut self.sink.pen
    }

    /// The log, for reading.
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

    /// Appends a record of the log itself that counts.
    pub fn count(&mut self, event: Event, what: &str) -> Result<()> {
        let what = format!("{what}{}file={}", if what.is_empty() { "" } else { " " }, self.head.number);
        let detail = counted(self.sink.pen.link(), &self.head.chain, &what);
        self.own(event, "", &detail)?;
        self.head.counted = self.head.chain.seq;
        self.sink.last_checkpoint = Instant::now();
        Ok(())
    }

    /// Puts the file away when it is long or old enough, and counts when it is time.
    pub fn housekeeping(&mut self) -> Result<()> {
        let (now, limits) = ((self.sink.clock)(), self.sink.limits.clone());
        let age = Duration::from_micros(now.saturating_sub(self.head.began_us));
        let used = self.head.chain.counts.records > 1;
        if used && (self.head.size >= limits.max_bytes || age >= limits.max_age) {
            return self.rotate(now);
        }
        let uncounted = self.head.chain.seq - self.head.counted.min(self.head.chain.seq);
        let late = self.sink.last_checkpoint.elapsed() >= limits.checkpoint_after;
        if uncounted >= limits.checkpoint_records || (uncounted > 0 && late) {
            self.count(Event::Checkpoint, "")?;
        }
        Ok(())
    }

    /// Gives the file its final name and begins the next one. A kill in between is finished by the next session.
    fn rotate(&mut self, now: u64) -> Result<()> {
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
        self.head = self.sink.begin(self.head.number + 1, self.head.chain, "")?;
        Ok(())
    }

    /// Syncs the log while the lock is held.
    pub fn sync(&mut self) -> Result<()> {
        self.sink.sync_now(&mut self.head)
    }

    /// Notes where the chain ends and gives the lock back; gives the length of the log.
    pub fn finish(self) -> Result<u64> {
        self.sink.write_state(&self.head)?;
        Ok(self.head.size)
    }
}

impl Drop for Session<'_> {
    /// A session that ends early, by an error, notes nothing: the next one finds what was written.
    fn drop(&mut self) {
        self.sink.unlock();
    }
}
