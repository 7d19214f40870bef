//! Audit lines for a function of the service: handed over in batches, the next one after the last was taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::completions::Completions;

/// A batch that was not taken by then is offered again.
const PATIENCE: Duration = Duration::from_secs(30);

type Taken = Result<(), String>;

/// Batches that JavaScript has not answered yet, by id.
#[derive(Default)]
pub struct Shipping {
    waiting: Mutex<HashMap<u32, Sender<Taken>>>,
    last_id: AtomicU32,
}

impl Shipping {
    /// Hands lines over and waits until they were taken. Called on the audit log's own thread.
    pub fn ship(self: &Arc<Self>, completions: &Completions, lines: String) -> Taken {
        let (id, taken) = self.expect();
        completions.ship(id, lines);
        let answer = taken.recv_timeout(PATIENCE);
        self.waiting().remove(&id);
        answer.unwrap_or_else(|_| Err("audit.sink did not settle within 30 seconds".into()))
    }

    fn expect(&self) -> (u32, Receiver<Taken>) {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel();
        self.waiting().insert(id, sender);
        (id, receiver)
    }

    /// JavaScript took a batch or refused it.
    pub fn done(&self, id: u32, taken: Taken) {
        if let Some(sender) = self.waiting().remove(&id) {
            // Nobody waits any more when it came too late.
            drop(sender.send(taken));
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Sender<Taken>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
