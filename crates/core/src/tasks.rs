//! Background work: counted, so that `close` can wait for it, and logged to the delivery's own logger.

use std::pin::Pin;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Dispatch;
use tracing::instrument::{WithDispatch, WithSubscriber as _};

/// The background work of one delivery. Clones are the same.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    log: Dispatch,
}

impl Tasks {
    /// None yet; what they log goes to `log`.
    pub fn new(log: Dispatch) -> Self {
        Self { tracker: TaskTracker::new(), log }
    }

    /// Has `work` log to this delivery's logger.
    pub fn logged<F>(&self, work: F) -> WithDispatch<F> {
        work.with_subscriber(self.log.clone())
    }

    /// Boxed, so that what is around it exists once for each kind of answer.
    fn boxed<F>(&self, work: F) -> WithDispatch<Pin<Box<dyn Future<Output = F::Output> + Send>>>
    where
        F: Future + Send + 'static,
    {
        let work: Pin<Box<dyn Future<Output = F::Output> + Send>> = Box::pin(work);
        self.logged(work)
    }

    /// Begins `work`. Called inside a runtime.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.tracker.spawn(self.boxed(work))
    }

    /// Begins `work` on a runtime, from any thread.
    pub fn spawn_on<F>(&self, work: F, runtime: &Handle) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.tracker.spawn_on(self.boxed(work), runtime)
    }

    /// Begins `work`, which ends when `stop` is cancelled. Called inside a runtime.
    pub fn spawn_until(&self, stop: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until_on(stop, work, &Handle::current());
    }

    /// [`Tasks::spawn_until`] on a runtime, from any thread.
    pub fn spawn_until_on(
        &self,
        stop: &CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
        runtime: &Handle,
    ) {
        let stop = stop.clone();
        let work = async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = work => {}
            }
        };
        self.spawn_on(work, runtime);
    }

    /// Lets [`Tasks::wait`] end once the work under way has ended.
    pub fn close(&self) {
        self.tracker.close();
    }

    /// Waits for all of it.
    pub async fn wait(&self) {
        self.tracker.wait().await;
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new(Dispatch::none())
    }
}
