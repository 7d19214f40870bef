//! What begins with the first operation, and how everything ends.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use secret::error::{Result, SecretError};
use secret::notice::Notice;

use super::Delivery;
use crate::metrics::alerts::Evaluator;

/// How long `close()` waits for background work that is past its own deadlines.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);

impl Delivery {
    /// Ends everything: readers under way receive `CLOSED`, background work is stopped, cached values are wiped; in
    /// the test environment the shared copies go too. May be called any number of times.
    #[boxed]
    pub async fn close(&self) {
        self.end().await;
        if let Some(audit) = &self.audit
            && let Err(error) = audit.close().await
        {
            self.warn(Notice::warning("AUDIT_FAILING", error.to_string()));
        }
    }

    async fn end(&self) {
        let first = !self.stop.is_cancelled();
        self.abandon();
        if tokio::time::timeout(CLOSE_DEADLINE, self.tasks.wait()).await.is_err() {
            self.warn(Notice::warning("CLOSE_INCOMPLETE", "background work did not end within 3 seconds of close()"));
        }
        if let Some(aws) = self.reads().aws() {
            aws.disconnect();
        }
        let Some(cache) = self.reads().cache() else { return };
        if let Some(snapshot) = cache.snapshot()
            && let Err(error) = snapshot.write().await
        {
            self.warn(Notice::warning("SNAPSHOT_NOT_WRITTEN", error.to_string()));
        }
        if first
            && self.preset.close_clears_cache
            && let Err(error) = self.clear_own().await
        {
            tracing::debug!(code = %error.code(), "the shared cache was not cleared; its entries end by themselves");
        }
        // What ended after the first wipe may have left a copy.
        self.wipe();
        if let Some(redis) = cache.redis() {
            redis.close().await;
        }
    }

    /// Wipes and stops without waiting, when the owner disappears without `close()`.
    pub fn abandon(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.wipe();
        self.ledger.close();
    }

    fn wipe(&self) {
        if let Some(cache) = self.reads().cache() {
            cache.wipe();
        }
        self.reads().forget_versions();
        if let Some(file) = self.env_file() {
            file.forget();
        }
    }

    /// Whether `close` was called.
    pub fn is_closed(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Runs `work` unless the delivery is closed, and gives it up when it is closed meanwhile. Boxed, so that what is
    /// around it exists once for each kind of answer, and not once for each operation.
    pub(crate) fn open<'a, T: Send + 'a>(
        &'a self,
        work: impl Future<Output = Result<T>> + Send + 'a,
    ) -> Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>> {
        self.open_boxed(Box::pin(work))
    }

    fn open_boxed<'a, T: Send + 'a>(
        &'a self,
        work: Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>,
    ) -> Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>> {
        Box::pin(async {
            self.events.begin();
            if self.alerts.as_ref().is_some_and(|alerts| alerts.always) {
                self.watch_alerts();
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => Err(SecretError::closed()),
                result = self.tasks.logged(work) => result,
            }
        })
    }

    /// Begins to compare the metrics with their thresholds. Called inside a runtime.
    pub fn watch_alerts(&self) {
        let Some(alerts) = &self.alerts else { return };
        if self.is_closed() || self.watching_alerts.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut evaluator = Evaluator::new(alerts.thresholds.clone(), self.clock.clone());
        let (metrics, notices) = (self.metrics.clone(), self.notices.clone());
        let (clock, stop) = (self.clock.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = crate::timer::sleep(&clock, evaluator.every()) => {}
                }
                for alert in evaluator.evaluate(&metrics) {
                    notices.notice(Notice::Alert(alert));
                }
            }
        });
    }
}
