//! One flight, wide: misses of different names are gathered for a moment, so that many of them cost one call.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::AwsLayer;
use aws::MAX_BATCH;
use cache::tiered::{Shared, Want};
use secret::error::{Result, SecretError};
use secret::found::Fetched;

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

/// Counts misses, or a call, while they are under way.
struct UnderWay {
    count: Arc<AtomicUsize>,
    /// Nothing else was under way when it began.
    alone: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Gather {
    fn begin(&self) -> UnderWay {
        let alone = self.under_way.fetch_add(1, Ordering::SeqCst) == 0;
        UnderWay { count: self.under_way.clone(), alone }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AwsLayer {
    /// Asks AWS for one name, together with those that are asked for at the same time.
    pub(super) async fn ask(self: &Arc<Self>, want: Want) -> Asked {
        let under_way = self.gather.begin();
        let Some(window) = self.window(under_way.alone) else {
            // Boxed, it does not swell every future above.
            let mut answers = Box::pin(self.fetch_group(vec![want])).await;
            return answers.pop().unwrap_or(Asked::Aws(Ok(None)));
        };
        let (answer, answered) = oneshot::channel();
        self.gather_for(window, vec![Miss { want, answer }]);
        answer_of(answered).await
    }

    /// Asks AWS for what was missed together: at most 20 a call, in the order of their names, so that instances that miss
    /// the same names divide them in the same way. What is left of whole calls waits for others, as a single miss does.
    pub(super) fn ask_together(self: &Arc<Self>, mut misses: Vec<Miss>) {
        misses.sort_by(|a, b| a.want.name.cmp(&b.want.name));
        let rest = misses.split_off(misses.len() - misses.len() % MAX_BATCH);
        let mut misses = misses.into_iter().peekable();
        while misses.peek().is_some() {
            self.deliver_soon(misses.by_ref().take(MAX_BATCH).collect());
        }
        if rest.is_empty() {
            return;
        }
        let under_way = self.gather.begin();
        match self.window(under_way.alone) {
            Some(window) => self.gather_for(window, rest),
            None => self.deliver_soon(rest),
        }
    }

    /// How long misses wait for others; `None` where that gains nothing.
    fn window(&self, alone: bool) -> Option<Duration> {
        let limited = self.aws.as_ref()?.wait();
        // A call that has to wait for its turn takes along what is missed until then.
        (!alone || !limited.is_zero()).then(|| limited.max(WINDOW))
    }

    /// Has fewer than 20 misses wait for as many others as a call takes, for `window` at most.
    fn gather_for(self: &Arc<Self>, window: Duration, misses: Vec<Miss>) {
        let (full, opened) = self.gather.lock().add(misses);
        if let Some(misses) = full {
            self.deliver_soon(misses);
        }
        if let Some(opened) = opened {
            let layer = self.clone();
            self.spawn_under_way(async move {
                tokio::time::sleep(window).await;
                let misses = layer.gather.lock().close(opened);
                layer.deliver(misses).await;
            });
        }
    }

    fn deliver_soon(self: &Arc<Self>, misses: Vec<Miss>) {
        let layer = self.clone();
        self.spawn_under_way(async move { layer.deliver(misses).await });
    }

    /// [`Self::spawn_stoppable`], counted from now on: what is missed before it runs is not alone.
    fn spawn_under_way(&self, work: impl Future<Output = ()> + Send + 'static) {
        let under_way = self.gather.begin();
        self.spawn_stoppable(async move {
            let _under_way = under_way;
            work.await;
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
    /// Adds fewer than 20; gives the call that is full now, and the window that what is left opens.
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

    /// What waited in `window`; nothing when it was closed before.
    fn close(&mut self, window: u64) -> Vec<Miss> {
        if self.window != window {
            return Vec::new();
        }
        self.window += 1;
        std::mem::take(&mut self.misses)
    }
}
