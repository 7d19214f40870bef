//! How fast this process asks while AWS throttles it.
//!
//! AWS's quota is shared by all instances of an account, and none of them knows how many there are. So each one learns its share from
//! the answers: an answer that AWS lets through allows one or two calls more, a throttled one allows none. All instances together
//! then make about half as many calls again as AWS lets through, however many they are, and the quota is used up without a
//! flood. An instance that has no call left tries one after a random wait, which doubles. See docs/decisions/090.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use secret::backoff::{Backoff, Jitter, either};
use secret::clock::{Clock, Moment};
use secret::error::{Result, SecretError};

/// The first wait of an instance that has no call left, before the jitter.
const FIRST_TRY: Duration = Duration::from_millis(250);
/// The longest. A hundred thousand instances that wait this long make 25,000 calls a second, of which AWS answers 10,000.
const LAST_TRY: Duration = Duration::from_secs(4);
/// So many calls that are allowed and not needed: AWS throttles no longer.
const ENOUGH: usize = 64;

/// The pace of one operation in one region.
#[derive(Debug)]
pub(crate) struct Pace {
    clock: Clock,
    /// `None` while AWS does not throttle.
    slow: Mutex<Option<Slow>>,
    /// Calls that are allowed. Who waits longest is first.
    allowed: Semaphore,
}

#[derive(Debug)]
struct Slow {
    /// From this moment on one call is allowed that no answer has earned.
    try_at: Moment,
    tries: Backoff,
    /// What AWS said last.
    error: SecretError,
}

impl Pace {
    /// Everything is allowed.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, slow: Mutex::default(), allowed: Semaphore::new(0) }
    }

    /// Waits until a call is allowed.
    pub(crate) async fn turn(&self) {
        let mut waited_for = None;
        loop {
            let Err((try_at, wait)) = self.take(waited_for) else { return };
            tokio::select! {
                biased;
                allowed = self.allowed.acquire() => {
                    // It is never closed.
                    if let Ok(allowed) = allowed {
                        allowed.forget();
                    }
                    return;
                }
                () = sleep(wait) => waited_for = Some(try_at),
            }
        }
    }

    /// Takes an allowed call, if there is one.
    ///
    /// # Errors
    /// What AWS said last.
    pub(crate) fn turn_now(&self) -> Result<()> {
        if self.take(None).is_ok() { Ok(()) } else { self.error().map_or(Ok(()), Err) }
    }

    /// Takes an allowed call; where there is none, the one that is tried, if its time has come or was waited for; else says when
    /// that is, and how long until then.
    fn take(&self, waited_for: Option<Moment>) -> std::result::Result<(), (Moment, Duration)> {
        let mut state = self.slow.lock();
        let Some(slow) = &mut *state else { return Ok(()) };
        if let Ok(allowed) = self.allowed.try_acquire() {
            allowed.forget();
            return Ok(());
        }
        let now = self.clock.now();
        if now < slow.try_at && waited_for != Some(slow.try_at) {
            return Err((slow.try_at, slow.try_at.since(now)));
        }
        slow.try_at = now.plus(slow.tries.next_wait());
        Ok(())
    }

    /// AWS let a call through, whatever it answered.
    pub(crate) fn answered(&self) {
        let mut state = self.slow.lock();
        let Some(slow) = &mut *state else { return };
        // One or two, at random: instances that act in step would be throttled in step.
        self.allowed.add_permits(1 + usize::from(either()));
        slow.tries.reset();
        if self.allowed.available_permits() >= ENOUGH {
            self.allowed.forget_permits(usize::MAX);
            *state = None;
        }
    }

    /// AWS throttled a call. `wait` makes of this process's own wait the one that AWS wants.
    pub(crate) fn throttled(&self, error: &SecretError, wait: impl FnOnce(Duration) -> Duration) {
        let now = self.clock.now();
        let mut state = self.slow.lock();
        if let Some(slow) = &mut *state {
            slow.error = error.clone();
            slow.try_at = now.plus(wait(slow.try_at.since(now)));
            return;
        }
        let mut tries = Backoff::new(FIRST_TRY, LAST_TRY, Jitter::Around);
        *state = Some(Slow { try_at: now.plus(wait(tries.next_wait())), tries, error: error.clone() });
    }

    /// What AWS said last, while it throttles.
    pub(crate) fn error(&self) -> Option<SecretError> {
        self.slow.lock().as_ref().map(|slow| slow.error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secret::error::ErrorCode;

    fn throttled() -> SecretError {
        SecretError::new(ErrorCode::SourceUnavailable, "throttled").throttled()
    }

    fn allowed(pace: &Pace) -> usize {
        (0..1000).take_while(|_| pace.turn_now().is_ok()).count()
    }

    #[test]
    fn everything_is_allowed_until_aws_throttles() {
        let pace = Pace::new(Clock::test());
        assert_eq!(allowed(&pace), 1000);
        pace.throttled(&throttled(), |own| own);
        assert_eq!(allowed(&pace), 0);
        assert!(pace.error().is_some_and(|error| error.is_throttled()));
    }

    #[test]
    fn an_answer_allows_one_or_two_calls_more() {
        let pace = Pace::new(Clock::test());
        pace.throttled(&throttled(), |own| own);
        for _ in 0..20 {
            pace.answered();
        }
        let allowed = allowed(&pace);
        assert!((21..40).contains(&allowed), "{allowed}");
    }

    #[test]
    fn without_answers_a_call_is_tried_after_waits_that_double() {
        let clock = Clock::test();
        let pace = Pace::new(clock.clone());
        pace.throttled(&throttled(), |own| own);
        let tried = |seconds: u64| {
            let tried = (0..seconds * 100).filter(|_| {
                clock.advance(Duration::from_millis(10));
                let tried = pace.turn_now().is_ok();
                assert!(pace.turn_now().is_err(), "one at a time");
                if tried {
                    pace.throttled(&throttled(), |own| own);
                }
                tried
            });
            tried.count()
        };
        let (first, later) = (tried(8), tried(40));
        assert!((3..12).contains(&first), "{first} in the first 8 s");
        assert!((6..21).contains(&later), "{later} in 40 s");
    }

    #[test]
    fn a_wait_that_aws_wants_is_kept() {
        let clock = Clock::test();
        let pace = Pace::new(clock.clone());
        pace.throttled(&throttled(), |own| own.max(Duration::from_secs(3)));
        clock.advance(Duration::from_secs(2));
        assert!(pace.turn_now().is_err());
        clock.advance(Duration::from_secs(2));
        assert!(pace.turn_now().is_ok());
    }

    #[test]
    fn enough_answers_end_it() {
        let pace = Pace::new(Clock::test());
        pace.throttled(&throttled(), |own| own);
        for _ in 0..ENOUGH {
            pace.answered();
        }
        assert!(pace.error().is_none());
        assert_eq!(allowed(&pace), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_longest_is_first_and_who_gives_up_takes_nothing() {
        let pace = std::sync::Arc::new(Pace::new(Clock::test()));
        pace.throttled(&throttled(), |own| own);
        let waiting = |pace: &std::sync::Arc<Pace>| {
            let pace = pace.clone();
            tokio::spawn(async move { pace.turn().await })
        };
        let (first, gives_up, second) = (waiting(&pace), waiting(&pace), waiting(&pace));
        tokio::task::yield_now().await;
        gives_up.abort();
        tokio::task::yield_now().await;
        pace.answered();
        first.await.expect("its turn");
        if !second.is_finished() {
            pace.answered();
        }
        second.await.expect("its turn");
    }
}
