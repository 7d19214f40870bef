//! Waits on the delivery's clock, and deadlines in real time.

use std::time::Duration;

use secret::clock::Clock;
use tokio::time::{Instant, error::Elapsed, timeout_at};

/// Waits on `clock`. With a test clock the wait ends when the test has moved the clock far enough.
pub async fn sleep(clock: &Clock, how_long: Duration) {
    let end = clock.now().plus(how_long);
    while let Some(wait) = clock.wait_before(end) {
        tokio::time::sleep(wait).await;
    }
}

/// A time limit. It uses real time even with a test clock, because it limits waits for a network, a disk or another
/// process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that is `limit` from now.
    pub fn after(limit: Duration) -> Self {
        Self(now() + limit)
    }

    /// Whether the deadline has passed.
    pub fn has_passed(self) -> bool {
        now() >= self.0
    }

    /// Runs `work` until it ends or the deadline passes.
    ///
    /// # Errors
    /// [`Elapsed`] when the deadline passes first; `work` is dropped then.
    pub async fn limit<T>(self, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        timeout_at(self.0, work).await
    }
}

#[expect(clippy::disallowed_methods, reason = "CLOCK: the one reader of tokio's time")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_passes_and_ends_what_it_limits() {
        let deadline = Deadline::after(Duration::from_millis(20));
        assert!(!deadline.has_passed());
        assert_eq!(deadline.limit(async { 1 }).await.expect("in time"), 1);
        assert!(deadline.limit(std::future::pending::<()>()).await.is_err());
        assert!(deadline.has_passed());
    }
}
