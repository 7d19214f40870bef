//! Background tasks. They are counted, so that `close` can wait for them, and log to the delivery's logger.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

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
    gate: Option<Arc<dyn Gate>>,
}

/// Stops and continues the tasks of one instance in a simulation, as SIGSTOP and SIGCONT do with a process.
pub trait Gate: Send + Sync + fmt::Debug {
    /// Whether tasks run now. If not, `waker` is to be woken once they do.
    fn is_open(&self, waker: &Waker) -> bool;
}

/// Work that runs only while a gate is open.
pub struct Gated<F> {
    gate: Arc<dyn Gate>,
    work: Pin<Box<F>>,
}

impl<F> Gated<F> {
    /// Puts `work` behind `gate`.
    pub fn new(gate: Arc<dyn Gate>, work: F) -> Self {
        Self { gate, work: Box::pin(work) }
    }
}

impl<F: Future> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.gate.is_open(context.waker()) { self.work.as_mut().poll(context) } else { Poll::Pending }
    }
}

impl Tasks {
    /// Starts without tasks. What tasks log goes to `log`.
    pub fn new(log: Dispatch) -> Self {
        Self { tracker: TaskTracker::new(), log, gate: None }
    }

    /// Tasks that run only while `gate` is open.
    pub fn behind(gate: Arc<dyn Gate>) -> Self {
        Self { gate: Some(gate), ..Self::default() }
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
        let work: Pin<Box<dyn Future<Output = F::Output> + Send>> = match &self.gate {
            None => Box::pin(work),
            Some(gate) => Box::pin(Gated::new(gate.clone(), work)),
        };
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
        self.spawn_on(until(stop.clone(), Box::pin(work)), runtime);
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

/// Boxed for the reason that [`Tasks::boxed`] has.
async fn until(stop: CancellationToken, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = work => {}
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new(Dispatch::none())
    }
}
