//! A token bucket, which limits how many calls this process makes in a second.

use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{Clock, Moment};

/// Holds the tokens of one second, or of a longer burst, and refills evenly.
#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    most: f64,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Below zero when callers wait for tokens that were promised to them.
    tokens: f64,
    at: Moment,
}

impl TokenBucket {
    /// Starts full: the calls of the first second do not wait.
    pub fn new(per_second: u32, clock: Clock) -> Self {
        Self::with_burst(per_second, per_second.max(1), clock)
    }

    /// Starts with `burst` tokens, and never holds more.
    pub fn with_burst(per_second: u32, burst: u32, clock: Clock) -> Self {
        let (per_second, most) = (f64::from(per_second.max(1)), f64::from(burst));
        let state = Mutex::new(State { tokens: most, at: clock.now() });
        Self { per_second, most, clock, state }
    }

    /// How long the next caller would have to wait. Takes no token.
    pub fn wait(&self) -> Duration {
        let state = self.state.lock();
        let tokens = state.tokens + self.clock.now().since(state.at).as_secs_f64() * self.per_second;
        Duration::from_secs_f64((1.0 - tokens).max(0.0) / self.per_second)
    }

    /// Takes a token and returns how long the caller must wait for it. Returns `None`, and takes no token, when the wait
    /// is longer than `patience`.
    pub fn take(&self, patience: Duration) -> Option<Duration> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let refilled = state.tokens + now.since(state.at).as_secs_f64() * self.per_second;
        state.tokens = refilled.min(self.most);
        state.at = now;
        let missing = (1.0 - state.tokens).max(0.0);
        let wait = Duration::from_secs_f64(missing / self.per_second);
        if wait > patience {
            return None;
        }
        state.tokens -= 1.0;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_one_second_is_free_and_then_the_rate_holds() {
        let clock = Clock::test();
        let bucket = TokenBucket::new(10, clock.clone());
        for _ in 0..10 {
            assert_eq!(bucket.take(Duration::ZERO), Some(Duration::ZERO));
        }
        assert_eq!(bucket.take(Duration::ZERO), None);
        assert_eq!(bucket.wait(), Duration::from_millis(100));
        assert_eq!(bucket.take(Duration::from_secs(1)), Some(Duration::from_millis(100)));
        assert_eq!(bucket.take(Duration::from_secs(1)), Some(Duration::from_millis(200)));
        clock.advance(Duration::from_millis(300));
        assert_eq!(bucket.take(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(bucket.take(Duration::ZERO), None);
    }

    #[test]
    fn idle_time_saves_up_no_more_than_one_second() {
        let clock = Clock::test();
        let bucket = TokenBucket::new(2, clock.clone());
        clock.advance(Duration::from_hours(1));
        let free = (0..10).filter(|_| bucket.take(Duration::ZERO).is_some()).count();
        assert_eq!(free, 2);
    }
}
