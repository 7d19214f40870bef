//! Questions that the core asks JavaScript, and the tasks and threads that wait for the answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Where an answer goes.
enum Waiting<A> {
    Task(oneshot::Sender<A>),
    Thread(mpsc::Sender<A>),
}

type Open<Q, A> = Mutex<HashMap<u32, (Q, Waiting<A>)>>;

/// Questions `Q` that have no answer `A` yet, by id.
pub struct Questions<Q, A> {
    open: Arc<Open<Q, A>>,
    last_id: AtomicU32,
}

impl<Q, A> Default for Questions<Q, A> {
    fn default() -> Self {
        Self { open: Arc::default(), last_id: AtomicU32::new(0) }
    }
}

impl<Q, A> Questions<Q, A> {
    /// Opens a question of a task: the id to ask it with, and its answer.
    pub fn open(&self, question: Q) -> (u32, Answered<oneshot::Receiver<A>, Q, A>) {
        let (answer, answered) = oneshot::channel();
        self.insert(question, Waiting::Task(answer), answered)
    }

    /// As [`Questions::open`], for a thread that blocks until the answer is there.
    pub fn open_blocking(&self, question: Q) -> (u32, Answered<mpsc::Receiver<A>, Q, A>) {
        let (answer, answered) = mpsc::channel();
        self.insert(question, Waiting::Thread(answer), answered)
    }

    fn insert<R>(&self, question: Q, waiting: Waiting<A>, answered: R) -> (u32, Answered<R, Q, A>) {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        self.open.lock().insert(id, (question, waiting));
        (id, Answered { answered, _given_up: GivenUp(self.open.clone(), id) })
    }

    /// What `say` reads from an open question. `None` once the question was answered or given up.
    pub fn about<T>(&self, id: u32, say: impl FnOnce(&Q) -> T) -> Option<T> {
        self.open.lock().get(&id).map(|(question, _)| say(question))
    }

    /// Takes JavaScript's answer. The answer to a question that was given up is dropped.
    pub fn answer(&self, id: u32, answer: A) {
        let open = self.open.lock().remove(&id);
        match open {
            None => {}
            // Sending fails when the question is given up at this moment; then the answer has no reader.
            Some((_, Waiting::Task(waiting))) => drop(waiting.send(answer)),
            Some((_, Waiting::Thread(waiting))) => drop(waiting.send(answer)),
        }
    }
}

/// The answer to come. Dropping it gives the question up.
pub struct Answered<R, Q, A> {
    answered: R,
    _given_up: GivenUp<Q, A>,
}

impl<Q, A> Answered<oneshot::Receiver<A>, Q, A> {
    /// Waits for the answer. `None`: JavaScript's environment has ended.
    pub async fn wait(self) -> Option<A> {
        self.answered.await.ok()
    }
}

impl<Q, A> Answered<mpsc::Receiver<A>, Q, A> {
    /// Blocks until the answer comes; `None` after `timeout`.
    pub fn wait_blocking(self, timeout: Duration) -> Option<A> {
        self.answered.recv_timeout(timeout).ok()
    }
}

/// Removes a question that has no reader any more.
struct GivenUp<Q, A>(Arc<Open<Q, A>>, u32);

impl<Q, A> Drop for GivenUp<Q, A> {
    fn drop(&mut self) {
        // The question is dropped after the lock is released: its own drop may do anything.
        let forgotten = self.0.lock().remove(&self.1);
        drop(forgotten);
    }
}
