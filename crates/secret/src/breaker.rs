//! A circuit breaker: stops calling what keeps failing, and lets a probe through now and then.

use std::time::Duration;

use parking_lot::Mutex;

use crate::backoff::{Backoff, Jitter};
use crate::clock::{Clock, Moment};
use crate::error::{Result, SecretError};

/// After this time without a reported outcome a probe counts as lost, and another one is let through.
const PROBE_LEASE: Duration = Duration::from_secs(5);

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BreakerRules {
    /// Failures in a row that open it.
    pub threshold: u32,
    /// How long it stays open at first. Doubles with each failed probe.
    pub first_wait: Duration,
    /// The longest it stays open.
    pub longest_wait: Duration,
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// One probe, which is running or due.
    HalfOpen,
}

impl BreakerState {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// What a call is for a breaker that lets it through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// One of many.
    Call,
    /// The one whose outcome decides whether others are let through.
    Probe,
}

/// Guards calls to one service.
#[derive(Debug)]
pub struct Breaker {
    rules: BreakerRules,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// A fleet must not probe in step.
    backoff: Backoff,
    /// One probe is let through from this moment on.
    probe_at: Moment,
    probing: bool,
    error: SecretError,
}

impl Breaker {
    /// Starts closed: every call is let through.
    pub fn new(rules: BreakerRules, clock: Clock) -> Self {
        Self { rules, clock, state: Mutex::default() }
    }

    /// Asks for permission to call. A caller that gets it reports the outcome with [`Breaker::succeeded`] or
    /// [`Breaker::failed`]. A probe whose outcome is not reported is replaced after 5 seconds, or once it is given up
    /// ([`Breaker::give_up`]).
    ///
    /// # Errors
    /// The last failure, while open.
    pub fn admit(&self) -> Result<Admitted> {
        let now = self.clock.now();
        match &mut self.state.lock().open {
            None => Ok(Admitted::Call),
            Some(open) if now >= open.probe_at => {
                open.probing = true;
                open.probe_at = now.plus(PROBE_LEASE);
                Ok(Admitted::Probe)
            }
            Some(open) => Err(open.error.clone()),
        }
    }

    /// Whether a probe is under way, whose outcome decides.
    pub fn is_probing(&self) -> bool {
        self.state.lock().open.as_ref().is_some_and(|open| open.probing)
    }

    /// The probe has no outcome: the next call is one.
    pub fn give_up(&self) {
        if let Some(open) = self.state.lock().open.as_mut().filter(|open| open.probing) {
            open.probe_at = self.clock.now();
            open.probing = false;
        }
    }

    /// Closes the breaker.
    pub fn succeeded(&self) {
        let mut state = self.state.lock();
        state.failures = 0;
        state.open = None;
    }

    /// Counts a failure, which may open the breaker or keep it open for longer.
    pub fn failed(&self, error: &SecretError) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        let failures = state.failures;
        match &mut state.open {
            Some(open) if open.probing => {
                open.probe_at = now.plus(open.backoff.next_wait());
                open.probing = false;
                open.error = error.clone();
            }
            // A call that began before the breaker opened does not count again.
            Some(open) => open.error = error.clone(),
            None if failures >= self.rules.threshold => {
                let mut backoff = Backoff::new(self.rules.first_wait, self.rules.longest_wait, Jitter::Half);
                let probe_at = now.plus(backoff.next_wait());
                state.open = Some(Open { backoff, probe_at, probing: false, error: error.clone() });
            }
            None => {}
        }
    }

    /// Lets the next call through, whatever happened before: `health` uses this to check now.
    pub fn probe_now(&self) {
        if let Some(open) = &mut self.state.lock().open {
            open.probe_at = self.clock.now();
        }
    }

    /// The state that the next call would find.
    pub fn state_now(&self) -> BreakerState {
        match &self.state.lock().open {
            None => BreakerState::Closed,
            Some(open) if open.probing || self.clock.now() >= open.probe_at => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    const RULES: BreakerRules =
        BreakerRules { threshold: 3, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(4) };

    fn error() -> SecretError {
        SecretError::new(ErrorCode::SourceUnavailable, "down")
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_a_success_between_them_starts_over() {
        let breaker = Breaker::new(RULES, Clock::test());
        for _ in 0..2 {
            breaker.failed(&error());
        }
        breaker.succeeded();
        for _ in 0..2 {
            breaker.failed(&error());
            assert!(breaker.admit().is_ok());
        }
        breaker.failed(&error());
        assert_eq!(breaker.admit().expect_err("open").to_string(), "down");
        assert_eq!(breaker.state_now(), BreakerState::Open);
    }

    #[test]
    fn one_probe_is_let_through_and_its_outcome_decides() {
        let clock = Clock::test();
        let breaker = Breaker::new(RULES, clock.clone());
        for _ in 0..3 {
            breaker.failed(&error());
        }
        clock.advance(RULES.first_wait);
        assert_eq!(breaker.state_now(), BreakerState::HalfOpen);
        assert_eq!(breaker.admit().expect("a probe"), Admitted::Probe);
        assert!(breaker.admit().is_err() && breaker.is_probing(), "one probe at a time");
        breaker.failed(&error());
        assert!(breaker.admit().is_err() && !breaker.is_probing());
        clock.advance(Duration::from_secs(2));
        assert!(breaker.admit().is_ok());
        breaker.succeeded();
        assert_eq!(breaker.state_now(), BreakerState::Closed);
        assert_eq!(breaker.admit().expect("closed"), Admitted::Call);
    }

    #[test]
    fn a_probe_that_is_given_up_makes_the_next_call_one() {
        let clock = Clock::test();
        let breaker = Breaker::new(RULES, clock.clone());
        breaker.give_up();
        for _ in 0..3 {
            breaker.failed(&error());
        }
        breaker.give_up();
        assert!(breaker.admit().is_err(), "nobody probes: it stays open");
        clock.advance(RULES.first_wait);
        assert_eq!(breaker.admit().expect("a probe"), Admitted::Probe);
        breaker.give_up();
        assert_eq!(breaker.admit().expect("another probe"), Admitted::Probe);
    }

    #[test]
    fn a_probe_that_never_reports_is_replaced() {
        let clock = Clock::test();
        let breaker = Breaker::new(RULES, clock.clone());
        for _ in 0..3 {
            breaker.failed(&error());
        }
        clock.advance(RULES.first_wait);
        assert!(breaker.admit().is_ok());
        clock.advance(PROBE_LEASE);
        assert!(breaker.admit().is_ok());
    }

    #[test]
    fn waits_double_up_to_the_longest_and_late_failures_do_not_count_twice() {
        let clock = Clock::test();
        let breaker = Breaker::new(RULES, clock.clone());
        for _ in 0..50 {
            breaker.failed(&error());
        }
        for longest in [1, 2, 4, 4, 4] {
            clock.advance(Duration::from_secs(longest));
            assert!(breaker.admit().is_ok(), "after {longest} s");
            breaker.failed(&error());
            breaker.failed(&error());
            assert!(breaker.admit().is_err());
        }
    }
}
