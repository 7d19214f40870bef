//! Misses of different names wait for each other for a moment, so that many of them cost one call of AWS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws::{Aws, MAX_BATCH};
use cache::tiered::Want;
use parking_lot::Mutex;
use secret::error::SecretError;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::fleet::{Fleet, Heard};
use crate::tasks::Tasks;
use crate::timer::Deadline;

/// How long a miss waits for others, unless it is alone; longer when the rate limit makes every call wait.
pub(super) const WINDOW: Duration = Duration::from_millis(1);

/// A secret that no cache answers, and where its answer goes.
pub struct Miss {
    want: Want,
    /// Until then its reader waits.
    deadline: Deadline,
    answer: oneshot::Sender<Heard>,
}

/// The answer of a [`Miss`].
pub struct Pending(oneshot::Receiver<Heard>);

impl Miss {
    /// A miss and its answer to come.
    pub fn new(want: Want, deadline: Deadline) -> (Self, Pending) {
        let (answer, pending) = oneshot::channel();
        (Self { want, deadline, answer }, Pending(pending))
    }
}

impl Pending {
    /// Waits for the answer; `CLOSED` when `close` stopped the call.
    pub async fn heard(self) -> Heard {
        self.0.await.unwrap_or_else(|_| Heard::Aws(Err(SecretError::closed())))
    }
}

/// Collects misses into calls.
pub struct Batcher {
    fleet: Fleet,
    waiting: Mutex<Waiting>,
    /// Misses and calls under way.
    under_way: Arc<AtomicUsize>,
    tasks: Tasks,
    stop: CancellationToken,
}

#[derive(Default)]
struct Waiting {
    misses: Vec<Miss>,
    /// Grows with each call, so that a timer ends only the window it was set for.
    window: u64,
}

/// Counts a call while it is under way.
struct UnderWay {
    count: Arc<AtomicUsize>,
    /// Whether nothing else was under way when it began.
    alone: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Batcher {
    /// Has nothing to ask yet.
    pub fn new(fleet: Fleet, tasks: Tasks, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self { fleet, waiting: Mutex::default(), under_way: Arc::default(), tasks, stop })
    }

    /// Asks for what was missed together: at most 20 a call, in the order of their names, so that instances that miss
    /// the same names divide them in the same way. A partial batch waits for more misses, unless it is alone.
    pub fn ask(self: &Arc<Self>, mut misses: Vec<Miss>) {
        misses.sort_by(|a, b| a.want.name.cmp(&b.want.name));
        let rest = misses.split_off(misses.len() - misses.len() % MAX_BATCH);
        let mut misses = misses.into_iter().peekable();
        while misses.peek().is_some() {
            self.call_soon(misses.by_ref().take(MAX_BATCH).collect());
        }
        if rest.is_empty() {
            return;
        }
        let under_way = self.begin();
        match self.window(under_way.alone) {
            Some(window) => self.queue(window, rest),
            None => self.call_soon(rest),
        }
    }

    /// How long a partial batch waits for others; `None` where waiting gains nothing.
    fn window(&self, alone: bool) -> Option<Duration> {
        let limited = self.fleet.calls.aws.as_ref().map(Aws::wait)?;
        // A call that has to wait for its turn takes along what is missed until then.
        (!alone || !limited.is_zero()).then(|| limited.max(WINDOW))
    }

    /// Queues a partial batch until it is full (20 names) or `window` has passed.
    fn queue(self: &Arc<Self>, window: Duration, misses: Vec<Miss>) {
        let (full, opened) = self.waiting.lock().add(misses);
        if let Some(misses) = full {
            self.call_soon(misses);
        }
        if let Some(opened) = opened {
            let batcher = self.clone();
            self.spawn(async move {
                tokio::time::sleep(window).await;
                let misses = batcher.waiting.lock().close(opened);
                batcher.call(misses).await;
            });
        }
    }

    fn call_soon(self: &Arc<Self>, misses: Vec<Miss>) {
        let batcher = self.clone();
        self.spawn(async move { batcher.call(misses).await });
    }

    async fn call(&self, misses: Vec<Miss>) {
        // The last reader's: after it nobody waits, and the next reader begins a call of its own.
        let Some(deadline) = misses.iter().map(|miss| miss.deadline).max() else { return };
        let (wants, answers): (Vec<Want>, Vec<_>) = misses.into_iter().map(|miss| (miss.want, miss.answer)).unzip();
        let answers = Mutex::new(answers.into_iter().map(Some).collect::<Vec<_>>());
        let tell = |i: usize, heard| {
            let Some(answer) = answers.lock()[i].take() else { return };
            // A reader who gave up does not listen. That this process has no right is known nevertheless.
            if let Err(Heard::Aws(Err(error))) = answer.send(heard)
                && error.is_refused()
                && let Some(cache) = &self.fleet.copies.cache
            {
                drop(cache.store_denied(&wants[i], &error));
            }
        };
        self.fleet.fetch(wants.clone(), deadline, &tell).await;
    }

    fn begin(&self) -> UnderWay {
        let alone = self.under_way.fetch_add(1, Ordering::SeqCst) == 0;
        UnderWay { count: self.under_way.clone(), alone }
    }

    /// A task that `close` ends. It counts as under way from now on: what is missed before it runs is not alone.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let under_way = self.begin();
        self.tasks.spawn_until(&self.stop, async move {
            let _under_way = under_way;
            work.await;
        });
    }
}

impl Waiting {
    /// Adds fewer than 20; gives the call that is full now, and the window that the remaining misses open.
    fn add(&mut self, misses: Vec<Miss>) -> (Option<Vec<Miss>>, Option<u64>) {
        let mut opens = self.misses.is_empty();
        self.misses.extend(misses);
        let mut full = None;
        if self.misses.len() >= MAX_BATCH {
            let rest = self.misses.split_off(MAX_BATCH);
            full = Some(std::mem::replace(&mut self.misses, rest));
            self.window += 1;
            opens = !self.misses.is_empty();
        }
        (full, opens.then_some(self.window))
    }

    /// What waited in `window`; nothing when the window was closed before.
    fn close(&mut self, window: u64) -> Vec<Miss> {
        if self.window != window {
            return Vec::new();
        }
        self.window += 1;
        std::mem::take(&mut self.misses)
    }
}
