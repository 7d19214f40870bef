//! The log's own thread: writes the journal's records to the log, takes over journals of dead processes, repairs,
//! rotates and syncs.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::drain::{Batch, Owner, deliver, is_idle, take_over};
use crate::error::{Failure, Notice, Reason, Result, State};
use crate::file_sink::FileSink;
use crate::journal::Journal;
use crate::record::Event;
use crate::stream_sink::StreamSink;
use crate::time::{Clock, now, since};

/// How often the thread checks the log file, and looks for journals of dead processes, when it has nothing to write.
const TICK: Duration = Duration::from_secs(5);
/// The number of batches after which a round releases the lock, so that other processes can write.
const BATCHES: usize = 16;
/// The timeout of a round for getting the lock.
const LOCK: Duration = Duration::from_secs(2);
/// How long written records may wait for a sync. A disk that is slower than the records come takes longer.
const SYNC: Duration = Duration::from_secs(1);
/// This many unsynced bytes start a sync earlier, so that a rotation of the file does not wait long for one.
const SYNC_BYTES: u64 = 32 << 20;
/// The backoff after a failure, which doubles from the first value to the second.
const FIRST_RETRY: Duration = Duration::from_millis(20);
const LONGEST_RETRY: Duration = Duration::from_secs(1);
/// The byte of [`State::Waiting`].
const WAITING: u8 = u8::MAX;
/// The longest time that a caller waits for the thread.
pub const BOUND: Duration = Duration::from_secs(5);

/// The state that the log and its thread share.
pub struct Shared {
    /// The journal.
    pub journal: Journal,
    state: AtomicU8,
    failure: Mutex<Option<Failure>>,
    control: Mutex<Control>,
    served: Condvar,
    /// Whether the thread sleeps and has to be woken when the journal fills up.
    pub sleeping: AtomicBool,
    /// Records that were written.
    pub written: AtomicU64,
}

#[derive(Default)]
struct Control {
    /// The numbers of the last round that was requested and of the last one that was served.
    requested: u64,
    served: u64,
    /// The position in the journal up to which a round must write to serve the last request.
    target: u64,
    closing: Option<Instant>,
    finished: Option<Result<()>>,
}

impl Shared {
    /// Starts healthy, without a request.
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            state: AtomicU8::new(0),
            failure: Mutex::default(),
            control: Mutex::default(),
            served: Condvar::new(),
            sleeping: AtomicBool::new(false),
            written: AtomicU64::new(0),
        }
    }

    /// Whether records reach their destination.
    #[inline]
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            WAITING => State::Waiting,
            byte => Reason::from_byte(byte).map_or(State::Healthy, State::Failing),
        }
    }

    /// Why they do not.
    pub fn failure(&self) -> Option<Failure> {
        self.failure.lock().clone()
    }

    /// Requests a round and returns its number.
    pub fn request(&self) -> u64 {
        let mut control = self.control.lock();
        control.requested += 1;
        control.target = self.journal.ring().head();
        control.requested
    }

    /// Requests that the thread writes everything and ends before `deadline`.
    pub fn request_close(&self, deadline: Instant) {
        self.journal.ring().close();
        self.control.lock().closing.get_or_insert(deadline);
    }

    /// Waits until a round was served.
    pub fn wait_served(&self, round: u64, deadline: Instant) -> bool {
        let control = self.wait(deadline, |control| control.served >= round || control.finished.is_some());
        control.served >= round
    }

    /// Waits until the thread has finished.
    pub fn wait_finished(&self, deadline: Instant) -> Option<Result<()>> {
        self.wait(deadline, |control| control.finished.is_some()).finished.clone()
    }

    fn wait(&self, deadline: Instant, done: impl Fn(&Control) -> bool) -> MutexGuard<'_, Control> {
        let mut control = self.control.lock();
        let left = deadline.saturating_duration_since(now());
        self.served.wait_while_for(&mut control, |control| !done(control), left);
        control
    }

    fn set_state(&self, state: State, failure: Option<Failure>) {
        let byte = match state {
            State::Healthy => 0,
            State::Waiting => WAITING,
            State::Failing(reason) => reason as u8,
        };
        *self.failure.lock() = failure;
        self.state.store(byte, Ordering::Release);
    }
}

/// Where records go.
pub enum Sink {
    /// A file.
    File(Box<FileSink>),
    /// A stream.
    Stream(Box<StreamSink>),
}

/// Called on the log's thread with what an operator should know.
pub type Listener = Box<dyn Fn(Notice) + Send>;

/// The thread.
pub struct Worker<'a> {
    shared: &'a Shared,
    sink: Sink,
    listener: Listener,
    batch: Batch,
    last_tick: Option<Instant>,
    /// When the first record was written that no sync covers yet.
    unsynced: Option<Instant>,
    sync_failed: bool,
    /// The length of the file when its last sync was begun.
    sync_begun: u64,
    size: u64,
    told: Vec<Notice>,
    clock: Clock,
}

impl<'a> Worker<'a> {
    /// Runs until the log is closed.
    pub fn run(shared: &'a Shared, sink: Sink, listener: Listener, clock: Clock) {
        let mut guard = Ended(shared, None);
        let mut worker = Self {
            shared,
            sink,
            listener,
            batch: Batch::default(),
            last_tick: None,
            unsynced: None,
            sync_failed: false,
            sync_begun: 0,
            size: 0,
            told: Vec::new(),
            clock,
        };
        shared.journal.touch();
        guard.1 = Some(worker.rounds());
    }

    /// Runs rounds until the log is closed and everything is written, or the deadline for that has passed.
    fn rounds(&mut self) -> Result<()> {
        let (mut idle, mut backoff) = (Duration::from_millis(1), FIRST_RETRY);
        loop {
            let (requested, served, target, closing) = {
                let control = self.shared.control.lock();
                (control.requested, control.served, control.target, control.closing)
            };
            let before = self.shared.journal.ring().tail();
            let round = self.round(requested > served, closing).and_then(|()| match closing {
                Some(_) if self.is_empty() => self.finish().map(|()| true),
                _ => Ok(false),
            });
            let moved = self.shared.journal.ring().tail() != before;
            self.tell_state(round.as_ref().err().cloned());
            match round {
                Ok(finished) => {
                    backoff = FIRST_RETRY;
                    // Another thread may still be writing a record that stands before the requested position.
                    if self.shared.journal.ring().tail() >= target {
                        self.shared.control.lock().served = requested;
                        self.shared.served.notify_all();
                    }
                    if finished {
                        return Ok(());
                    }
                }
                Err(failure) => {
                    if moved {
                        backoff = FIRST_RETRY;
                    }
                    let left = closing.map(|deadline| deadline.saturating_duration_since(now()));
                    if left.is_some_and(|left| left.is_zero()) {
                        return Err(failure);
                    }
                    self.sleep(backoff.min(left.unwrap_or(backoff)));
                    backoff = (backoff * 2).min(LONGEST_RETRY);
                    continue;
                }
            }
            if closing.is_some_and(|deadline| now() >= deadline) {
                return Err(Failure::new(
                    Reason::Locked,
                    "a thread did not finish its record before the log was closed",
                ));
            }
            idle = if moved { Duration::from_millis(1) } else { (idle * 2).min(Duration::from_millis(100)) };
            let waited_for = closing.is_some() || self.shared.control.lock().served < requested;
            self.sleep(if waited_for { Duration::from_millis(1) } else { idle });
        }
    }

    fn sleep(&self, time: Duration) {
        self.shared.sleeping.store(true, Ordering::Release);
        park_timeout(time);
        self.shared.sleeping.store(false, Ordering::Release);
    }

    fn is_empty(&self) -> bool {
        let ring = self.shared.journal.ring();
        ring.tail() == ring.head()
    }

    /// Which records are taken. Those that are still counted in are left alone, unless somebody waits for them or the
    /// journal fills up.
    fn taken(&self, all: bool) -> Owner {
        Owner::Live { now_us: (self.clock)(), all: all || self.fills() }
    }

    fn fills(&self) -> bool {
        let ring = self.shared.journal.ring();
        ring.head().saturating_sub(ring.tail()) > ring.slots() / 2
    }

    /// One round. With `asked` a caller waits for it, so the round does every task and syncs.
    fn round(&mut self, asked: bool, closing: Option<Instant>) -> Result<()> {
        let tick = asked || self.last_tick.is_none_or(|last| since(last) >= TICK);
        let all = asked || closing.is_some();
        if tick || closing.is_some() || !is_idle(self.shared.journal.ring(), self.taken(all)) {
            let deadline = now() + LOCK;
            let deadline = closing.map_or(deadline, |closing| closing.min(deadline));
            loop {
                let from = self.taken(all);
                let more = match &mut self.sink {
                    Sink::File(sink) => {
                        let mut session = sink.session(deadline)?;
                        session.open()?;
                        let mut more = false;
                        let notices = if tick { take_over(&mut session, &mut self.batch)? } else { Vec::new() };
                        for _ in 0..BATCHES {
                            session.housekeeping()?;
                            more = deliver(&mut session, &self.shared.journal, from, &mut self.batch)?.more;
                            if !more {
                                break;
                            }
                        }
                        self.size = session.finish()?;
                        // After a rotation the file is shorter.
                        self.sync_begun = self.sync_begun.min(self.size);
                        self.unsynced.get_or_insert_with(now);
                        let told = sink.take_notices();
                        self.tell(told.into_iter().chain(notices));
                        more
                    }
                    Sink::Stream(sink) => {
                        let own = &self.shared.journal;
                        let notices = if tick { sink.take_over(own, &mut self.batch)? } else { Vec::new() };
                        let more = sink.deliver(own, from, &mut self.batch)?;
                        self.tell(notices);
                        more
                    }
                };
                self.shared.written.store(self.shared.journal.progress().records, Ordering::Release);
                self.sync(false)?;
                if !more || closing.is_some_and(|deadline| now() >= deadline) {
                    break;
                }
            }
            if tick {
                self.last_tick = Some(now());
            }
        }
        self.sync(asked)
    }

    /// Keeps the file synced. Waits for the disk only when a caller waits for this round, or after a failed sync.
    fn sync(&mut self, asked: bool) -> Result<()> {
        let Sink::File(sink) = &mut self.sink else { return Ok(()) };
        let wait = asked || self.sync_failed;
        let much = self.size - self.sync_begun >= SYNC_BYTES;
        if sink.is_syncing() && !wait {
            return Ok(());
        }
        let failed = std::mem::replace(&mut self.sync_failed, true);
        sink.end_sync()?;
        if failed || self.unsynced.is_some_and(|instant| wait || since(instant) >= SYNC || much) {
            sink.begin_sync(self.size)?;
            self.sync_begun = self.size;
            if wait {
                sink.end_sync()?;
            }
            self.unsynced = None;
        }
        self.sync_failed = false;
        Ok(())
    }

    /// Writes the record that closes the instance, then removes the journal.
    fn finish(&mut self) -> Result<()> {
        let own = &self.shared.journal;
        match &mut self.sink {
            Sink::File(sink) => {
                let mut session = sink.session(now() + LOCK)?;
                session.count(Event::Close, &format!("instance_records={}", own.progress().records))?;
                session.sync()?;
                session.finish()?;
            }
            Sink::Stream(sink) => sink.close(own)?,
        }
        own.remove()
    }

    fn tell_state(&mut self, failure: Option<Failure>) {
        let before = self.shared.state();
        let now = match &failure {
            None => State::Healthy,
            // What is in the journal outlives this process. Nothing else is known to be wrong.
            Some(Failure { reason: Reason::Locked, .. })
                if matches!(before, State::Healthy | State::Waiting) && !self.fills() =>
            {
                State::Waiting
            }
            Some(failure) => State::Failing(failure.reason),
        };
        self.shared.set_state(now, failure.clone());
        if now == before {
            return;
        }
        (self.listener)(match failure {
            None => Notice::Healthy,
            Some(Failure { message, .. }) if now == State::Waiting => Notice::Waiting { message },
            Some(Failure { reason, message }) => Notice::Failing { reason, message },
        });
    }

    fn tell(&mut self, notices: impl IntoIterator<Item = Notice>) {
        for notice in notices {
            // A journal that stays unreadable would be reported again every few seconds.
            if matches!(&notice, Notice::Changed { code: "JOURNAL_UNREADABLE", .. }) {
                if self.told.contains(&notice) {
                    continue;
                }
                self.told.push(notice.clone());
            }
            (self.listener)(notice);
        }
    }
}

/// Reports that the thread has ended, also after a panic.
struct Ended<'a>(&'a Shared, Option<Result<()>>);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let stopped = || Err(Failure::new(Reason::Stopped, "the thread of the audit log ended unexpectedly"));
        let result = self.1.take().unwrap_or_else(stopped);
        if let Err(failure) = &result {
            self.0.set_state(State::Failing(failure.reason), Some(failure.clone()));
        }
        self.0.control.lock().finished = Some(result);
        self.0.served.notify_all();
    }
}
