//! One flight, wide: misses of different names are gathered for a moment, so that many of them cost one call.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::AwsLayer;
use crate::cache::tiered::{Shared, Want};
use crate::error::{Result, SecretError};
use crate::source::aws::{Aws, Fetched, MAX_BATCH};

/// How long a miss waits for others, unless it is alone; longer when the rate limit makes every call wait.
pub(super) const WINDOW: Duration = Duration::from_millis(1);

/// What a miss ends with.
#[derive(Debug)]
pub(super) enum Asked {
    /// What AWS said.
    Aws(Result<Option<Fetched>>),
    /// Another instance asked AWS and shared what it got.
    Shared(Shared),
}

/// Misses that wait for a call.
#[derive(Default)]
pub(super) struct Gather {
    waiting: Mutex<Waiting>,
    under_way: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Waiting {
    misses: Vec<Miss>,
    /// Grows with each call, so that a timer ends only the window it was set for.
    window: u64,
}

pub(super) struct Miss {
    pub(super) want: Want,
    pub(super) answer: oneshot::Sender<Asked>,
}

/// Counts a miss while it is under way.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    /// Also says whether it is the only one.
    fn begin(count: &Arc<AtomicUsize>) -> (Self, bool) {
        let alone = count.fetch_add(1, Ordering::SeqCst) == 0;
        (Self(count.clone()), alone)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Gather {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AwsLayer {
    /// Asks AWS for one name, together with those that are asked for at the same time.
    pub(super) async fn ask(self: &Arc<Self>, want: Want) -> Asked {
        let (_under_way, alone) = UnderWay::begin(&self.gather.under_way);
        let limited = self.aws.as_ref().map(Aws::wait).unwrap_or_default();
        if self.aws.is_none() || (alone && limited.is_zero()) {
            // Boxed, it does not swell every future above.
            let mut answers = Box::pin(self.fetch_group(vec![want])).await;
            return answers.pop().unwrap_or(Asked::Aws(Ok(None)));
        }
        let (answer, answered) = oneshot::channel();
        let (full, first) = {
            let mut waiting = self.gather.lock();
            waiting.misses.push(Miss { want, answer });
            match waiting.misses.len() {
                1 => (None, Some(waiting.window)),
                MAX_BATCH => (Some(waiting.take()), None),
                _ => (None, None),
            }
        };
        if let Some(window) = first {
            let layer = self.clone();
            // A call that has to wait for its turn takes along what is missed until then.
            let window_length = limited.max(WINDOW);
            self.spawn_stoppable(async move {
                tokio::time::sleep(window_length).await;
                let misses = {
                    let mut waiting = layer.gather.lock();
                    if waiting.window == window { waiting.take() } else { Vec::new() }
                };
                layer.deliver(misses).await;
            });
        }
        if let Some(misses) = full {
            self.deliver_soon(misses);
        }
        answer_of(answered).await
    }

    /// Fetches what was missed together: at most 20 a call, in the order of their names, so that instances that miss the
    /// same names divide them in the same way.
    pub(super) fn ask_together(self: &Arc<Self>, mut misses: Vec<Miss>) {
        misses.sort_by(|a, b| a.want.name.cmp(&b.want.name));
        let mut misses = misses.into_iter().peekable();
        while misses.peek().is_some() {
            self.deliver_soon(misses.by_ref().take(MAX_BATCH).collect());
        }
    }

    fn deliver_soon(self: &Arc<Self>, misses: Vec<Miss>) {
        let layer = self.clone();
        self.spawn_stoppable(async move {
            let _under_way = UnderWay::begin(&layer.gather.under_way);
            layer.deliver(misses).await;
        });
    }

    async fn deliver(self: &Arc<Self>, misses: Vec<Miss>) {
        let (wants, answers): (Vec<Want>, Vec<_>) = misses.into_iter().map(|miss| (miss.want, miss.answer)).unzip();
        if wants.is_empty() {
            return;
        }
        for (answer, asked) in answers.into_iter().zip(self.fetch_group(wants).await) {
            // A reader who gave up does not listen.
            drop(answer.send(asked));
        }
    }

    /// Runs `work` as a task that `close` ends.
    pub(super) fn spawn_stoppable(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.until_stopped(work));
    }

    /// `work`, given up when `close` is called.
    pub(super) fn until_stopped<W>(&self, work: W) -> impl Future<Output = ()> + Send + 'static + use<W>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = work => {}
            }
        }
    }
}

/// What a miss ends with; without an answer its call was stopped by `close`.
pub(super) async fn answer_of(answered: oneshot::Receiver<Asked>) -> Asked {
    answered.await.unwrap_or_else(|_| Asked::Aws(Err(SecretError::closed())))
}

impl Waiting {
    fn take(&mut self) -> Vec<Miss> {
        self.window += 1;
        std::mem::take(&mut self.misses)
    }
}
