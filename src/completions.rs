//! The queue between the core's threads and JavaScript's: one hop to its thread takes all messages that wait by then.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use napi::bindgen_prelude::{Env, Object, Result};
use parking_lot::Mutex;
use secret::error::{ErrorCode, SecretError};
use secret::value::SecretValue;

use crate::batch::Batch;
use crate::messages::{Message, Outcome};
use crate::raw::Hop;

/// The messages that JavaScript has not taken yet.
#[derive(Default)]
pub struct Completions {
    queue: Mutex<Vec<Message>>,
    hop_is_due: AtomicBool,
    /// Operations that have not ended for JavaScript. Changed on its thread only.
    pending: AtomicUsize,
    hop: OnceLock<Hop>,
}

impl Completions {
    /// `target.settle` takes batches of messages on the JavaScript thread.
    pub fn new(env: Env, target: Object<'_>) -> Result<Arc<Self>> {
        let completions = Arc::new(Self::default());
        let source = Arc::downgrade(&completions);
        let hop = Hop::new(env, target, move || {
            source.upgrade().map_or_else(Batch::default, |completions| completions.drain())
        })?;
        // This is the only place that sets it, so it cannot be set already.
        drop(completions.hop.set(hop));
        Ok(completions)
    }

    /// Lets pending operations keep the process alive (`true`) or not (`false`).
    fn hold(&self, hold: bool) {
        if let Some(hop) = self.hop.get() {
            // Node-API refuses only while the environment is closing: then nothing is held any more.
            drop(hop.hold(hold));
        }
    }

    /// Counts an operation that begins, on JavaScript's thread. While one is pending the process stays alive.
    pub fn begin(&self) {
        if self.pending.fetch_add(1, Ordering::Relaxed) == 0 {
            self.hold(true);
        }
    }

    /// A promise to finish operation `id`, kept even when its task dies. To be called on JavaScript's thread.
    pub fn ticket(self: &Arc<Self>, id: u32) -> Ticket {
        self.begin();
        Ticket { id, completions: Some(self.clone()) }
    }

    /// Queues a message, and arranges a hop unless one is arranged already.
    pub fn push(&self, message: Message) {
        let is_due = {
            let mut queue = self.queue.lock();
            queue.push(message);
            self.hop_is_due.swap(true, Ordering::AcqRel)
        };
        if !is_due && let Some(hop) = self.hop.get() {
            hop.call();
        }
    }

    /// The first messages of the queue. While the queue is not empty, or operations are pending, JavaScript asks for the
    /// rest with [`Completions::more`], and no other hop is made.
    fn drain(&self) -> Batch {
        let (messages, more) = {
            let mut queue = self.queue.lock();
            let messages = first_of(&mut queue);
            let ended = messages.iter().filter(|message| message.ends_operation()).count();
            let pending = self.pending.fetch_sub(ended, Ordering::Relaxed) - ended;
            if ended > 0 && pending == 0 {
                self.hold(false);
            }
            let more = pending > 0 || !queue.is_empty();
            // Stored under the lock, so that the next `push` sees it.
            self.hop_is_due.store(more, Ordering::Release);
            (messages, more)
        };
        Batch::of(messages, more)
    }

    /// The messages since the last batch. `None` when there are none: the next message makes a hop again.
    ///
    /// JavaScript asks in a later turn of its loop. Under load operations end as fast as they are settled. With a hop for
    /// each batch Node would call back a thousand times before it looked at its timers and sockets.
    pub fn more(&self) -> Option<Batch> {
        {
            let queue = self.queue.lock();
            if queue.is_empty() {
                // Stored under the lock, so that the next `push` sees it.
                self.hop_is_due.store(false, Ordering::Release);
                return None;
            }
        }
        Some(self.drain())
    }
}

/// Most reads that one turn of JavaScript's loop settles: the code that continues with them takes time, and timers and
/// sockets wait for it.
const MOST: usize = 128;

/// Takes the first messages: those of [`MOST`] reads, and at least one.
fn first_of(queue: &mut Vec<Message>) -> Vec<Message> {
    let mut reads = 0;
    let first = queue.iter().take_while(|message| {
        reads += message.reads();
        reads <= MOST
    });
    let first = first.count().max(1).min(queue.len());
    let rest = queue.split_off(first);
    std::mem::replace(queue, rest)
}

/// One pending operation. Finishes with an error when it is dropped unfinished: a panicking task must not leave a promise
/// pending forever.
pub struct Ticket {
    id: u32,
    completions: Option<Arc<Completions>>,
}

impl Ticket {
    pub fn finish(mut self, result: std::result::Result<Outcome, SecretError>) {
        if let Some(completions) = self.completions.take() {
            completions.push(Message::Done { id: self.id, result });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(completions) = self.completions.take() {
            let error = SecretError::new(ErrorCode::SourceUnavailable, "the operation ended unexpectedly");
            completions.push(Message::Done { id: self.id, result: Err(error) });
        }
    }
}

/// The answer of one read.
pub type ReadAnswer = std::result::Result<Option<SecretValue>, SecretError>;

/// A part of the reads of one operation. Like a [`Ticket`], it finishes even when its task dies.
pub struct Portion {
    id: u32,
    first: usize,
    size: usize,
    /// Reads of the operation without an answer.
    left: Arc<AtomicUsize>,
    completions: Option<Arc<Completions>>,
}

impl Portion {
    pub fn new(id: u32, first: usize, size: usize, left: Arc<AtomicUsize>, completions: Arc<Completions>) -> Self {
        Self { id, first, size, left, completions: Some(completions) }
    }

    /// Hands the answers of its reads over, in their order.
    pub fn finish(mut self, answers: Vec<ReadAnswer>) {
        self.end(answers);
    }

    fn end(&mut self, answers: Vec<ReadAnswer>) {
        let Some(completions) = self.completions.take() else { return };
        let ends = self.left.fetch_sub(self.size, Ordering::AcqRel) == self.size;
        // A turn has far fewer reads than a u32 counts.
        let first = u32::try_from(self.first).unwrap_or(u32::MAX);
        completions.push(Message::Read { id: self.id, first, answers, ends });
    }
}

impl Drop for Portion {
    fn drop(&mut self) {
        let error = SecretError::new(ErrorCode::SourceUnavailable, "the operation ended unexpectedly");
        self.end((0..self.size).map(|_| Err(error.clone())).collect());
    }
}
