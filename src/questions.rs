//! Questions to JavaScript, and the tasks that wait for its answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A question, and who waits for its answer.
type Open<Q, A> = Mutex<HashMap<u32, (Q, oneshot::Sender<A>)>>;

/// Questions `Q` without an answer `A` yet, by id.
pub struct Questions<Q, A> {
    open: Arc<Open<Q, A>>,
    last_id: AtomicU32,
}

impl<Q, A> Default for Questions<Q, A> {
    fn default() -> Self {
        Self { open: Arc::default(), last_id: AtomicU32::new(0) }
    }
}

fn lock<Q, A>(open: &Open<Q, A>) -> MutexGuard<'_, HashMap<u32, (Q, oneshot::Sender<A>)>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<Q, A> Questions<Q, A> {
    /// Opens a question: its id, to ask it with, and its answer.
    pub fn open(&self, question: Q) -> (u32, Answered<Q, A>) {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(&self.open).insert(id, (question, answer));
        (id, Answered { answered, _given_up: GivenUp(self.open.clone(), id) })
    }

    /// What an open question says; nothing once it was answered or given up.
    pub fn about<T>(&self, id: u32, say: impl FnOnce(&Q) -> T) -> Option<T> {
        lock(&self.open).get(&id).map(|(question, _)| say(question))
    }

    /// An answer came. Of a question that was given up it is dropped.
    pub fn answer(&self, id: u32, answer: A) {
        if let Some((_, waiting)) = lock(&self.open).remove(&id) {
            drop(waiting.send(answer));
        }
    }
}

/// The answer to come. Dropping it gives the question up.
pub struct Answered<Q, A> {
    answered: oneshot::Receiver<A>,
    _given_up: GivenUp<Q, A>,
}

impl<Q, A> Answered<Q, A> {
    /// Waits for it. `None`: JavaScript's environment has gone.
    pub async fn wait(self) -> Option<A> {
        self.answered.await.ok()
    }
}

/// Forgets a question that nobody waits for.
struct GivenUp<Q, A>(Arc<Open<Q, A>>, u32);

impl<Q, A> Drop for GivenUp<Q, A> {
    fn drop(&mut self) {
        // The question is dropped after the lock: what it drops is not known here.
        let forgotten = lock(&self.0).remove(&self.1);
        drop(forgotten);
    }
}
