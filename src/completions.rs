//! The queue between the core's threads and JavaScript's: one hop to its thread takes all messages that wait by then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use napi::bindgen_prelude::{Env, Object, Result};
use parking_lot::Mutex;
use secret::error::{ErrorCode, SecretError};

use crate::batch::Batch;
use crate::messages::{Message, Outcome};
use crate::raw::Hop;

/// The messages that JavaScript has not taken yet.
#[derive(Default)]
pub struct Completions {
    queue: Mutex<Vec<Message>>,
    hop_is_due: AtomicBool,
    hop: OnceLock<Hop>,
}

impl Completions {
    /// `target.settle` takes batches of messages on the JavaScript thread.
    pub fn new(env: Env, target: Object<'_>) -> Result<Arc<Self>> {
        let completions = Arc::new(Self::default());
        let source = Arc::downgrade(&completions);
        let hop = Hop::new(env, target, move || {
            Batch::of(source.upgrade().map_or_else(Vec::new, |completions| completions.drain()))
        })?;
        // This is the only place that sets it, so it cannot be set already.
        drop(completions.hop.set(hop));
        Ok(completions)
    }

    /// Lets pending operations keep the process alive (`true`) or not (`false`).
    pub fn hold(&self, env: Env, hold: bool) -> Result<()> {
        self.hop.get().map_or(Ok(()), |hop| hop.hold(env, hold))
    }

    /// A promise to finish operation `id`, kept even when its task dies.
    pub fn ticket(self: &Arc<Self>, id: u32) -> Ticket {
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

    /// The first messages of the queue. JavaScript asks for the rest with [`Completions::more`]: until that finds nothing,
    /// no other hop is made.
    fn drain(&self) -> Vec<Message> {
        first_of(&mut self.queue.lock())
    }

    /// The messages since the last batch. `None` when there are none: the next message makes a hop again.
    ///
    /// JavaScript asks in a later turn of its loop. Under load operations end as fast as they are settled. With a hop for
    /// each batch Node would call back a thousand times before it looked at its timers and sockets.
    pub fn more(&self) -> Option<Batch> {
        let mut queue = self.queue.lock();
        if queue.is_empty() {
            // Stored under the lock, so that the next `push` sees it.
            self.hop_is_due.store(false, Ordering::Release);
            return None;
        }
        Some(Batch::of(first_of(&mut queue)))
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
