//! Waits on the delivery's clock, and deadlines in real time.

use std::pin::pin;
use std::time::Duration;

use secret::clock::Clock;
use secret::freeze::Freezes;
use tokio::time::{Instant, error::Elapsed, timeout_at};

/// Waits on `clock`. With a test clock the wait ends when the test has moved the clock far enough.
pub async fn sleep(clock: &Clock, how_long: Duration) {
    let end = clock.now().plus(how_long);
    while let Some(wait) = clock.wait_before(end) {
        tokio::time::sleep(wait).await;
    }
}

/// The time by which something must be done. Real time even with a test clock: what it limits waits for a network, a
/// disk or another process. A freeze of this process, during which nothing could be done, does not count
/// ([`secret::freeze`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    at: Instant,
    /// How long this process had been frozen when the deadline was set.
    frozen: Duration,
}

impl Deadline {
    /// The deadline that is `limit` from now.
    pub fn after(limit: Duration) -> Self {
        Self::noting(Freezes::process(), limit)
    }

    fn noting(freezes: &Freezes, limit: Duration) -> Self {
        Self { at: now() + limit, frozen: freezes.frozen() }
    }

    /// The deadline that is `by` after this one.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self { at: self.at + by, ..self }
    }

    /// With the freezes since it was set.
    fn extended(self, freezes: &Freezes) -> Instant {
        self.at + freezes.frozen().saturating_sub(self.frozen)
    }

    /// The time until the deadline; zero once it has passed.
    pub fn left(self) -> Duration {
        self.extended(Freezes::process()).saturating_duration_since(now())
    }

    /// Whether the deadline has passed.
    pub fn has_passed(self) -> bool {
        now() >= self.extended(Freezes::process())
    }

    /// Runs `work` until it ends or the deadline passes.
    ///
    /// # Errors
    /// [`Elapsed`] when the deadline passes first; `work` is dropped then.
    pub async fn limit<T>(self, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        self.limit_noting(Freezes::process(), work).await
    }

    async fn limit_noting<T>(self, freezes: &Freezes, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        let mut work = pin!(work);
        let mut end = self.extended(freezes);
        loop {
            match timeout_at(end, &mut work).await {
                Err(elapsed) => match self.extended(freezes) {
                    later if later > end => end = later,
                    _ => return Err(elapsed),
                },
                done => return done,
            }
        }
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

    #[tokio::test]
    async fn a_freeze_while_something_is_watched_does_not_count() {
        // Not those of this process, which other tests keep looking at.
        let freezes = Freezes::new(Clock::system());
        let deadline = Deadline::noting(&freezes, Duration::from_millis(500));
        let watch = freezes.watch();
        let done = deadline.limit_noting(&freezes, async {
            // As SIGSTOP does with all threads.
            std::thread::sleep(Duration::from_millis(1500));
            tokio::time::sleep(Duration::from_millis(200)).await;
        });
        done.await.expect("300 ms are left after the freeze");
        drop(watch);
        assert!(deadline.limit_noting(&freezes, std::future::pending::<()>()).await.is_err());
    }

    #[tokio::test]
    async fn time_in_which_nothing_is_watched_counts() {
        let freezes = Freezes::new(Clock::system());
        let deadline = Deadline::noting(&freezes, Duration::from_millis(500));
        let late = deadline.limit_noting(&freezes, async {
            std::thread::sleep(Duration::from_millis(1500));
            tokio::time::sleep(Duration::from_millis(200)).await;
        });
        assert!(late.await.is_err());
    }
}
