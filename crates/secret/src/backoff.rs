//! Waits between retries and between polls, with the randomness that keeps a fleet from acting in step.
//!
//! All randomness here comes from fastrand's thread-local generator, so seeding that makes the waits repeatable.

use std::time::Duration;

/// How far a wait is moved at random from the plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// 0 to 100 %. Spreads retries best; a retry can be almost immediate.
    Full,
    /// 50 to 100 %. For waits with an upper limit that callers rely on.
    Half,
    /// 50 to 150 %. For polling: the average stays the plain wait.
    Around,
    /// 100 to 125 %. For waits that must not be shorter than the plain one.
    Longer,
}

impl Jitter {
    /// Moves `wait` at random.
    pub fn apply(self, wait: Duration) -> Duration {
        let (least, most) = match self {
            Self::Full => (0.0, 1.0),
            Self::Half => (0.5, 1.0),
            Self::Around => (0.5, 1.5),
            Self::Longer => (1.0, 1.25),
        };
        scaled(wait, least, most)
    }
}

/// Waits that double from the first to the longest.
///
/// ```
/// use std::time::Duration;
/// use tcs_secret_delivery_secret::backoff::{Backoff, Jitter};
///
/// let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1), Jitter::Half);
/// assert!(backoff.next_wait() <= Duration::from_millis(50));
/// assert!(backoff.next_wait() <= Duration::from_millis(100));
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    plain: Duration,
    longest: Duration,
    jitter: Jitter,
}

impl Backoff {
    /// Starts at `first`. The limit `longest` applies before the jitter.
    pub fn new(first: Duration, longest: Duration, jitter: Jitter) -> Self {
        Self { first, plain: first.min(longest), longest, jitter }
    }

    /// The next wait. The one after it is twice as long, up to the longest.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.jitter.apply(self.plain);
        self.plain = self.plain.saturating_mul(2).min(self.longest);
        wait
    }

    /// Starts again at the first wait, after a success.
    pub fn reset(&mut self) {
        self.plain = self.first.min(self.longest);
    }
}

/// `wait`, at most `share` of it longer or shorter: for periodic work that a fleet must not do in step.
pub fn around(wait: Duration, share: f64) -> Duration {
    scaled(wait, 1.0 - share, 1.0 + share)
}

/// One of two, at random.
pub fn either() -> bool {
    fastrand::bool()
}

/// Between `least` and `most` times `wait`, saturating.
fn scaled(wait: Duration, least: f64, most: f64) -> Duration {
    let factor = least + (most - least) * fastrand::f64();
    Duration::try_from_secs_f64(wait.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(1);

    #[test]
    fn each_jitter_stays_in_its_range_and_uses_all_of_it() {
        for (jitter, least, most) in
            [(Jitter::Full, 0, 100), (Jitter::Half, 50, 100), (Jitter::Around, 50, 150), (Jitter::Longer, 100, 125)]
        {
            let edge = (most - least) / 10;
            let ms = Duration::from_millis;
            let waits: Vec<Duration> = (0..1000).map(|_| jitter.apply(FIRST)).collect();
            assert!(waits.iter().all(|wait| (ms(least)..=ms(most)).contains(wait)), "{jitter:?}");
            assert!(waits.iter().any(|wait| *wait < ms(least + edge)), "{jitter:?} reaches its shortest wait");
            assert!(waits.iter().any(|wait| *wait > ms(most - edge)), "{jitter:?} reaches its longest wait");
        }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_start_again_after_a_reset() {
        let mut backoff = Backoff::new(FIRST, LONGEST, Jitter::Longer);
        for plain in [100, 200, 400, 800, 1000, 1000] {
            let (least, wait) = (Duration::from_millis(plain), backoff.next_wait());
            assert!(wait >= least && wait <= least + least / 4, "{wait:?} for {least:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST + FIRST / 4);
    }

    #[test]
    fn a_first_wait_over_the_longest_is_cut_and_no_wait_overflows() {
        assert!(Backoff::new(LONGEST, FIRST, Jitter::Half).next_wait() <= FIRST);
        let mut endless = Backoff::new(Duration::MAX, Duration::MAX, Jitter::Around);
        endless.next_wait();
        assert!(endless.next_wait() >= Duration::MAX / 3);
    }

    #[test]
    fn periodic_waits_stay_within_their_share_on_both_sides() {
        let waits: Vec<Duration> = (0..1000).map(|_| around(LONGEST, 0.1)).collect();
        assert!(waits.iter().all(|wait| (Duration::from_millis(900)..=Duration::from_millis(1100)).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < LONGEST) && waits.iter().any(|wait| *wait > LONGEST));
    }

    #[test]
    fn a_seed_repeats_the_waits() {
        let draw = || {
            fastrand::seed(7);
            let mut backoff = Backoff::new(FIRST, LONGEST, Jitter::Full);
            std::array::from_fn::<Duration, 5, _>(|_| backoff.next_wait())
        };
        assert_eq!(draw(), draw());
    }
}
