//! The log as a service sees it: open, append, state, flush, close.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{JoinHandle, Thread, sleep};
use std::time::Duration;

use parking_lot::Mutex;

use crate::drain::{Batch, take_over};
use crate::error::{AppendError, Failure, Notice, Reason, Result, State};
use crate::file_sink::{FileSink, Limits};
use crate::files::{Names, look};
use crate::journal::{Journal, MAX_ACTOR};
use crate::line::{Identity, is_own};
use crate::link::{Key, Link};
use crate::options::{Destination, Options};
use crate::packed::pack;
use crate::record::{MAX_TEXT, Record};
use crate::ring::{NoPlace, Ring};
use crate::stream_sink::{Output, StreamSink};
use crate::time::{Clock, now, system_clock};
use crate::worker::{BOUND, Listener, Shared, Sink, Worker};

/// How long opening a log waits for its lock. Who holds it longer may have been stopped.
const PATIENCE: Duration = Duration::from_millis(500);
/// The longest wait of [`AuditLog::append`], whatever timeout the caller gives.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// How many records were written, and how full the journal is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Records of this instance that reached the destination.
    pub written: u64,
    /// How full the journal is, from 0 to 1.
    pub filled: f64,
}

/// A log that is open for appending, from any number of threads.
///
/// Dropping a log without [`AuditLog::close`] does not wait: the log's thread goes on until everything is written, for
/// five seconds at most, and does not keep the process alive. The next process writes the records that are left then.
pub struct AuditLog {
    shared: Arc<Shared>,
    thread: Thread,
    /// Taken by the call of [`AuditLog::close`] that sees the thread's end.
    ending: Mutex<Option<JoinHandle<()>>>,
    clock: Clock,
}

impl AuditLog {
    /// Opens the log: creates its files and writes its first record. Blocks for disk accesses, and for up to half a
    /// second while another process holds the lock; the first record is written when that process gives it back.
    ///
    /// # Errors
    /// [`Failure`] with the reason; no journal is left behind.
    pub fn open(options: Options) -> Result<Self> {
        let clock = options.clock;
        let link = Link::new(options.key);
        if options.environment.len() > MAX_TEXT {
            return Err(Failure::new(Reason::Foreign, "the name of the environment is too long"));
        }
        let actor = cut(options.actor, MAX_ACTOR);
        let who = Identity::new(new_instance(), std::process::id(), options.environment).acting(actor);
        let slots = options.journal_bytes.div_ceil(128);
        let output = match options.destination {
            Destination::File(path) => {
                let limits = Limits {
                    max_bytes: options.max_bytes,
                    max_age: options.max_age,
                    checkpoint_records: options.checkpoint_records,
                    checkpoint_after: options.checkpoint_after,
                    keep: options.keep,
                    may_delete: options.may_delete,
                };
                let names = Names::new(&path, options.journals.as_deref())?;
                let sink = FileSink::new(names, link, who.clone(), clock, limits);
                let mut sink = sink.as_guest(options.is_guest);
                let journal = open_file(&mut sink, who, slots)?;
                return Self::start(journal, Sink::File(Box::new(sink)), options.listener, clock);
            }
            Destination::Stdout => Output::Stdout,
            Destination::Receiver(receiver) => Output::Receiver(receiver),
        };
        let directory = options.journals.ok_or_else(|| {
            Failure::new(Reason::Missing, "an audit log without a file needs a directory for its journals")
        })?;
        let names = Names::new(&directory.join("audit-stream"), Some(&directory))?;
        let journal = match Journal::create(&names.journal(&who.instance), who.clone(), slots) {
            Ok(journal) => journal,
            Err(failure) => {
                (options.listener)(Notice::InMemory { message: failure.message });
                Journal::in_memory(who, slots)?
            }
        };
        let mut sink = StreamSink::new(names, link, clock, output);
        if let Err(failure) = sink.open(&journal) {
            journal.remove()?;
            return Err(failure);
        }
        Self::start(journal, Sink::Stream(Box::new(sink)), options.listener, clock)
    }

    fn start(journal: Journal, sink: Sink, listener: Listener, clock: Clock) -> Result<Self> {
        let shared = Arc::new(Shared::new(journal));
        let theirs = Arc::clone(&shared);
        let spawned = std::thread::Builder::new()
            .name("audit-log".into())
            .spawn(move || Worker::run(&theirs, sink, listener, clock));
        match spawned {
            Ok(handle) => {
                let thread = handle.thread().clone();
                Ok(Self { shared, thread, ending: Mutex::new(Some(handle)), clock })
            }
            Err(error) => {
                shared.journal.remove()?;
                Err(Failure::io("start the thread of", Path::new("the audit log"), &error))
            }
        }
    }

    /// Accepts a record or refuses it at once: about 100 ns, no system call, no lock. After `Ok` the record survives
    /// the process, even if the process is killed.
    ///
    /// # Errors
    /// [`AppendError::Full`] when the journal is full: call [`AuditLog::append`], which waits, from a thread that is
    /// not JavaScript's. Waiting does not help against the other errors.
    #[inline]
    pub fn try_append(&self, record: &Record<'_>) -> std::result::Result<(), AppendError> {
        if is_own(record.event) {
            return Err(AppendError::Reserved);
        }
        let ring = self.ring();
        let is_counted = record.count != 1;
        let put = |words: &mut [u64]| {
            if is_counted {
                ring.put_counted(words, record.count, true).map(|(filled, _)| filled)
            } else {
                ring.put(words)
            }
        };
        self.appended(pack(record, (self.clock)(), is_counted, put))
    }

    #[inline]
    fn appended(&self, put: Option<std::result::Result<u64, NoPlace>>) -> std::result::Result<(), AppendError> {
        match put {
            None => Err(AppendError::TooLong),
            Some(Ok(filled)) => {
                if filled > self.ring().slots() / 2 {
                    self.wake();
                }
                Ok(())
            }
            Some(Err(NoPlace::Closed)) => Err(AppendError::Closed),
            Some(Err(NoPlace::Full)) => {
                self.wake();
                Err(AppendError::Full)
            }
        }
    }

    /// Appends a record that [`Tally`](crate::tally::Tally) goes on counting in; returns the position of its last slot.
    #[inline]
    pub(crate) fn try_begin(&self, record: &Record<'_>) -> std::result::Result<u64, AppendError> {
        let mut last = 0;
        let put = pack(record, (self.clock)(), true, |words| {
            let (filled, position) = self.ring().put_counted(words, 1, false)?;
            last = position;
            Ok(filled)
        });
        self.appended(put).map(|()| last)
    }

    #[inline]
    pub(crate) fn ring(&self) -> &Ring {
        self.shared.journal.ring()
    }

    /// Notes the AWS account that this instance reads from: a record says so before the next one.
    pub fn note_account(&self, account: &str) {
        let known = &self.shared.journal.who().account;
        if known.get().is_none() && account.len() <= MAX_TEXT {
            known.get_or_init(|| account.to_owned());
        }
    }

    /// Notes that `deliveries` were made whose records had no place. The log says so in a record, as soon as it can
    /// be written again.
    pub fn miss(&self, deliveries: u64) {
        self.shared.journal.miss(deliveries);
    }

    /// Does the same as [`AuditLog::try_append`], but waits up to `timeout` for space in the journal. Not for the
    /// JavaScript thread.
    ///
    /// # Errors
    /// Those of [`AuditLog::try_append`].
    pub fn append(&self, record: &Record<'_>, timeout: Duration) -> std::result::Result<(), AppendError> {
        let deadline = now() + timeout.min(LONGEST_WAIT);
        loop {
            match self.try_append(record) {
                Err(AppendError::Full) if now() < deadline => sleep(Duration::from_micros(200)),
                answer => return answer,
            }
        }
    }

    /// Whether records reach their destination. Costs one atomic load.
    #[inline]
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// The failure behind [`State::Failing`], with its message.
    pub fn failure(&self) -> Option<Failure> {
        self.shared.failure()
    }

    /// The random id of this instance, as in its records.
    pub fn instance(&self) -> &str {
        &self.shared.journal.who().instance
    }

    /// How many records were written, and how full the journal is.
    pub fn figures(&self) -> Figures {
        let ring = self.ring();
        let waiting = ring.head().saturating_sub(ring.tail());
        #[expect(clippy::cast_precision_loss, reason = "both are far below 2^52")]
        let filled = waiting as f64 / ring.slots() as f64;
        Figures { written: self.shared.written.load(Ordering::Acquire), filled }
    }

    /// Waits until all records that were appended before are written and synced, and the journals of dead processes
    /// too; for five seconds at most.
    ///
    /// # Errors
    /// The failure that prevents writing.
    pub fn flush(&self) -> Result<()> {
        let round = self.shared.request();
        self.wake();
        if self.shared.wait_served(round, now() + BOUND) {
            return Ok(());
        }
        Err(self
            .failure()
            .unwrap_or_else(|| Failure::new(Reason::Locked, "the audit log could not be written in time")))
    }

    /// Writes the remaining records and the counts, syncs, and removes the journal. Waits for `timeout`, for five
    /// seconds at most. The log accepts no records afterwards. Its thread has ended: once the log is dropped, nothing
    /// holds the journal any more. A second call waits for the first.
    ///
    /// # Errors
    /// The failure that prevents writing; the records stay in the journal, and the next process writes them.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        let deadline = now() + timeout.min(BOUND);
        self.shared.request_close(deadline);
        self.wake();
        let Some(result) = self.shared.wait_finished(deadline + Duration::from_millis(200)) else {
            let late = || Failure::new(Reason::Locked, "the audit log could not be closed in time");
            return Err(self.failure().unwrap_or_else(late));
        };
        // The thread holds the journal for a moment longer. The lock is held while joining: a second call waits as well.
        let mut ending = self.ending.lock();
        if let Some(thread) = ending.take() {
            // That it panicked is in `result`.
            drop(thread.join());
        }
        result
    }

    fn wake(&self) {
        if self.shared.sleeping.swap(false, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.shared.request_close(now() + BOUND);
        self.thread.unpark();
    }
}

/// Creates the files of a log. Where another process keeps the lock, which may have been stopped with it, this instance has a journal
/// all the same: its thread writes the first record once it gets the lock.
fn open_file(sink: &mut FileSink, who: Identity, slots: u64) -> Result<Journal> {
    look(&sink.names.log)?;
    let path = sink.names.journal(&who.instance);
    // Made before the lock is asked for: nothing else can then be wrong with it.
    let journal = Journal::create(&path, who, slots)?;
    let mut session = match sink.session(now() + PATIENCE) {
        Ok(session) => session,
        Err(failure) if failure.reason == Reason::Locked => return Ok(journal),
        Err(failure) => {
            journal.remove()?;
            return Err(failure);
        }
    };
    match session.open().and_then(|()| session.finish()) {
        Ok(_) => Ok(journal),
        Err(failure) => {
            journal.remove()?;
            Err(failure)
        }
    }
}

/// What [`recover`] found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// The dead instances, and how many records each of them has written in all, including those written now.
    pub instances: Vec<(String, u64)>,
    /// What else was found and repaired.
    pub notices: Vec<Notice>,
}

/// Writes the records that dead processes left in journals beside the log at `path`, and repairs an interrupted write.
/// Leaves the journals of live processes alone. `journals` and `key` are those of [`Options`].
///
/// # Errors
/// The failure that prevents writing.
pub fn recover(path: &Path, journals: Option<&Path>, key: Option<Key>) -> Result<Recovery> {
    let who = Identity::new(new_instance(), std::process::id(), String::new());
    let names = Names::new(path, journals)?;
    let defaults = Options::new(Destination::Stdout, "");
    let limits = Limits {
        max_bytes: u64::MAX,
        max_age: Duration::MAX,
        checkpoint_records: defaults.checkpoint_records,
        checkpoint_after: defaults.checkpoint_after,
        keep: Duration::MAX,
        may_delete: || true,
    };
    let mut sink = FileSink::new(names, Link::new(key), who, system_clock, limits).as_guest(true);
    let mut session = sink.session(now() + BOUND)?;
    let found = take_over(&mut session, &mut Batch::default())?;
    session.sync()?;
    session.finish()?;
    let mut recovery = Recovery::default();
    for notice in found.into_iter().chain(sink.take_notices()) {
        match notice {
            Notice::Recovered { instance, records } => recovery.instances.push((instance, records)),
            other => recovery.notices.push(other),
        }
    }
    Ok(recovery)
}

/// `text`, cut off after `most` bytes.
fn cut(mut text: String, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or_default());
    text
}

/// 64 random bits. The keys of a `RandomState` come from the system; the cipher library's generator takes 30 ms to
/// start.
fn new_instance() -> String {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(system_clock());
    hasher.write_u32(std::process::id());
    format!("{:016x}", hasher.finish())
}
