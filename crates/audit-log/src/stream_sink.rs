//! Writes lines to standard output or to a receiver in this process. Each instance has a chain of its own, whose end is
//! in its journal.
//!
//! A stream cannot be asked what it has received. If a process is killed after it has written lines and before it has
//! noted that, the next process repeats them with the same `instance` and `seq`: delivery is at least once, and in
//! order.

use std::io;
use std::path::PathBuf;

use crate::chain::{LineWriter, counted};
use crate::drain::{Batch, Owner, set_aside};
use crate::error::{Failure, Notice, Reason, Result};
use crate::files::Names;
use crate::journal::{Dead, Journal};
use crate::line::Form;
use crate::link::Link;
use crate::record::{Event, Record};
use crate::time::Clock;

/// A pipe takes a write of up to this many bytes atomically, so that the lines of several writers do not mix.
const PIPE: usize = 4096;
/// About how many bytes a receiver gets in one call.
const PORTION: usize = 64 * 1024;

/// Receives whole lines. If it returns an error, the same lines are offered again. While it blocks, records wait in the
/// journal.
pub type Receiver = Box<dyn FnMut(&[u8]) -> std::result::Result<(), String> + Send>;

/// Where lines go.
pub enum Output {
    /// File descriptor 1.
    Stdout,
    /// A receiver in this process.
    Receiver(Receiver),
}

/// A stream of lines.
pub struct StreamSink {
    names: Names,
    writer: LineWriter,
    clock: Clock,
    output: Output,
    /// Whether the stream says the AWS account.
    is_account_said: bool,
}

impl StreamSink {
    /// Writes nothing yet.
    pub fn new(names: Names, link: Link, clock: Clock, output: Output) -> Self {
        Self { names, writer: LineWriter::new(link), clock, output, is_account_said: false }
    }

    /// Appends a record of the log itself to the chain of `journal`.
    pub fn own(&mut self, journal: &Journal, event: Event, code: &str, detail: &str) -> Result<()> {
        let (mut progress, mut line) = (journal.progress(), Vec::new());
        let form = Form::new(journal.who(), &Record { code, ..Record::new(event) }, detail);
        self.writer.own(&mut line, &mut progress.chain, &form, (self.clock)());
        self.output.take(&line)?;
        journal.publish(&progress);
        Ok(())
    }

    /// The first record of an instance.
    pub fn open(&mut self, journal: &Journal) -> Result<()> {
        let (method, actor) = (self.writer.link().method(), journal.who().says());
        self.is_account_said = journal.who().account.get().is_some();
        let detail = format!("chain={method}{}{actor}", if actor.is_empty() { "" } else { " " });
        self.own(journal, Event::Open, "", &detail)
    }

    /// The last record of an instance, with counts.
    pub fn close(&mut self, journal: &Journal) -> Result<()> {
        let detail = counted(self.writer.link(), &journal.progress().chain, "");
        self.own(journal, Event::Close, "", &detail)
    }

    /// Writes the next records of a journal; returns whether there are more.
    pub fn deliver(&mut self, journal: &Journal, from: Owner, batch: &mut Batch) -> Result<bool> {
        if !self.is_account_said && journal.who().account.get().is_some() {
            self.is_account_said = true;
            self.own(journal, Event::Session, "", &journal.who().says())?;
        }
        let mut progress = journal.progress();
        let limit = match self.output {
            Output::Stdout => (PIPE, PIPE),
            Output::Receiver(_) => (PORTION, usize::MAX),
        };
        let collected = batch.collect(journal, from, &mut self.writer, &mut progress.chain, limit);
        if collected.records > 0 {
            self.output.take(&batch.lines)?;
        }
        if collected.end != progress.tail {
            (progress.tail, progress.end) = (collected.end, collected.end);
            progress.records += collected.records;
            journal.publish(&progress);
            journal.ring().release(collected.end);
        }
        let missed = journal.missed();
        if missed > 0 && !collected.more {
            self.own(journal, Event::Missed, "", &format!("of={} deliveries={missed}", journal.who().instance))?;
            journal.told_missed(missed);
        }
        Ok(collected.more)
    }

    /// Writes the journals of dead instances, each in its own chain.
    pub fn take_over(&mut self, own: &Journal, batch: &mut Batch) -> Result<Vec<Notice>> {
        let mut notices = Vec::new();
        if own.is_in_memory() {
            return Ok(notices);
        }
        for path in self.names.list_journals()? {
            let journal = match Journal::open_dead(&path) {
                Ok(Dead::Journal(journal)) => journal,
                Ok(Dead::Not) => continue,
                Ok(Dead::Invalid) => {
                    notices.push(set_aside(&path)?);
                    continue;
                }
                Err(failure) => {
                    notices.push(Notice::Changed { code: "JOURNAL_UNREADABLE", message: failure.message });
                    continue;
                }
            };
            while self.deliver(&journal, Owner::Dead, batch)? {}
            let (instance, records) = (journal.who().instance.clone(), journal.progress().records);
            journal.remove()?;
            self.own(own, Event::Recover, "", &format!("of={instance} records={records}"))?;
            notices.push(Notice::Recovered { instance, records });
        }
        Ok(notices)
    }
}

impl Output {
    fn take(&mut self, lines: &[u8]) -> Result<()> {
        match self {
            Self::Receiver(receiver) => receiver(lines).map_err(|why| {
                Failure::new(Reason::Refused, format!("the receiver of the audit log did not take its lines: {why}"))
            }),
            Self::Stdout => {
                write_stdout(lines).map_err(|error| Failure::io("write", &PathBuf::from("standard output"), &error))
            }
        }
    }
}

/// Writes all of `lines`, even if standard output is non-blocking. Waits for a slow reader in short steps, so that
/// closing the log does not take forever.
#[cfg(unix)]
fn write_stdout(mut lines: &[u8]) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = rustix::stdio::stdout();
    let step = Timespec { tv_sec: 1, tv_nsec: 0 };
    let mut begun = false;
    while !lines.is_empty() {
        let mut ready = [PollFd::new(&stdout, PollFlags::OUT)];
        match poll(&mut ready, Some(&step)) {
            Ok(0) if begun => continue,
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        match rustix::io::write(stdout, lines) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            // A line that was begun is finished, even if it is late: half a line would be worse.
            Ok(written) => (lines, begun) = (&lines[written..], true),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes all of `lines`.
#[cfg(not(unix))]
fn write_stdout(lines: &[u8]) -> io::Result<()> {
    use io::Write as _;
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
}
