//! Background tasks. They are counted, so that `close` can wait for them, and log to the delivery's logger.

use std::pin::Pin;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Dispatch;
use tracing::instrument::{WithDispatch, WithSubscriber as _};

/// The background tasks of one delivery. Clones share them.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    log: Dispatch,
}

impl Tasks {
    /// Starts without tasks. What tasks log goes to `log`.
    pub fn new(log: Dispatch) -> Self {
        Self { tracker: TaskTracker::new(), log }
    }

    /// Makes `work` log to this delivery's logger.
    pub fn logged<F>(&self, work: F) -> WithDispatch<F> {
        work.with_subscriber(self.log.clone())
    }

    /// Boxed to keep the binary small: the wrapper is then compiled once for each result type instead of once for each
    /// future.
    fn boxed<F>(&self, work: F) -> WithDispatch<Pin<Box<dyn Future<Output = F::Output> + Send>>>
    where
        F: Future + Send + 'static,
    {
        let work: Pin<Box<dyn Future<Output = F::Output> + Send>> = Box::pin(work);
        self.logged(work)
    }

    /// Starts `work`. Must be called inside a runtime.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.tracker.spawn(self.boxed(work))
    }

    /// Starts `work` on a runtime, from any thread.
    pub fn spawn_on<F>(&self, work: F, runtime: &Handle) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.tracker.spawn_on(self.boxed(work), runtime)
    }

    /// Starts `work`, which ends when `stop` is cancelled. Must be called inside a runtime.
    pub fn spawn_until(&self, stop: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until_on(stop, work, &Handle::current());
    }

    /// Does the same as [`Tasks::spawn_until`] on a runtime, from any thread.
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

    /// Lets [`Tasks::wait`] end once the running tasks have ended.
    pub fn close(&self) {
        self.tracker.close();
    }

    /// Waits until all tasks have ended.
    pub async fn wait(&self) {
        self.tracker.wait().await;
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new(Dispatch::none())
    }
}
