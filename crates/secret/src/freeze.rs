//! Notices that this process did not run for a while: SIGSTOP, a frozen container, a machine that slept.
//!
//! What was under way across such a gap says nothing about the service that was asked: its timeouts passed while nobody
//! could read the answer. So an operation takes a [`Watch`], looks at it every [`TICK`] while it waits, and begins anew
//! when a look comes more than [`FREEZE`] after the one before. Nothing runs while no operation is under way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::clock::{AtomicMoment, Clock, Moment};

/// How often an operation that waits looks at its watch.
pub const TICK: Duration = Duration::from_millis(100);

/// Two looks that are further apart than this mean that the process did not run. Well above what a busy machine makes a
/// thread wait, well below any timeout of AWS.
pub const FREEZE: Duration = Duration::from_secs(1);

/// The freezes that the operations of one owner noticed.
#[derive(Debug)]
pub struct Freezes {
    clock: Clock,
    /// Watches that are held now.
    watches: AtomicUsize,
    /// The last look of any watch.
    looked: AtomicMoment,
    /// When the last freeze ended.
    thawed: AtomicMoment,
}

impl Freezes {
    /// None yet. `clock` counts suspended time.
    pub fn new(clock: Clock) -> Self {
        let first = || AtomicMoment::new(Moment::FIRST);
        Self { clock, watches: AtomicUsize::new(0), looked: first(), thawed: first() }
    }

    /// The moment to hand to [`Freezes::frozen_since`] later.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Begins to watch for as long as the result is held and looked at.
    pub fn watch(&self) -> Watch<'_> {
        let now = self.clock.now();
        self.looked.set_later(now);
        self.watches.fetch_add(1, Ordering::Relaxed);
        Watch { freezes: self, last: now }
    }

    /// Whether a freeze ended after `began`, or has just ended and its operations have not run since. Only freezes during
    /// which a watch was held are known.
    pub fn frozen_since(&self, began: Moment) -> bool {
        let unnoticed = || {
            let watched = self.watches.load(Ordering::Relaxed) > 0;
            watched && self.clock.now().since(self.looked.get()) > FREEZE
        };
        self.thawed.get() > began || unnoticed()
    }
}

/// What a look at a [`Watch`] found out about the time since the look before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The process ran for this long.
    Ran(Duration),
    /// It did not run for about this long.
    Frozen(Duration),
}

/// The watch of one operation.
#[derive(Debug)]
pub struct Watch<'a> {
    freezes: &'a Freezes,
    last: Moment,
}

impl Watch<'_> {
    /// Looks at the time since the last look.
    pub fn look(&mut self) -> Look {
        let now = self.freezes.clock.now();
        let passed = now.since(self.last);
        self.last = now;
        self.freezes.looked.set_later(now);
        if passed <= FREEZE {
            return Look::Ran(passed);
        }
        self.freezes.thawed.set_later(now);
        Look::Frozen(passed)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.freezes.watches.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_between_two_looks_is_a_freeze_and_the_next_look_starts_over() {
        let clock = Clock::test();
        let freezes = Freezes::new(clock.clone());
        let mut watch = freezes.watch();
        clock.advance(TICK);
        assert_eq!(watch.look(), Look::Ran(TICK));
        clock.advance(Duration::from_secs(10));
        assert_eq!(watch.look(), Look::Frozen(Duration::from_secs(10)));
        clock.advance(FREEZE);
        assert_eq!(watch.look(), Look::Ran(FREEZE));
    }

    #[test]
    fn each_operation_under_way_notices_the_freeze_itself() {
        let clock = Clock::test();
        let freezes = Freezes::new(clock.clone());
        let (mut one, mut other) = (freezes.watch(), freezes.watch());
        clock.advance(Duration::from_secs(10));
        assert_eq!(one.look(), Look::Frozen(Duration::from_secs(10)));
        assert_eq!(other.look(), Look::Frozen(Duration::from_secs(10)));
    }

    #[test]
    fn what_began_before_the_end_of_a_freeze_was_frozen_and_what_began_later_was_not() {
        let clock = Clock::test();
        let freezes = Freezes::new(clock.clone());
        let began = clock.now();
        assert!(!freezes.frozen_since(began));
        let mut watch = freezes.watch();
        clock.advance(Duration::from_secs(10));
        let just_thawed = clock.now();
        assert!(freezes.frozen_since(began), "known before the operation itself has looked");
        watch.look();
        drop(watch);
        assert!(freezes.frozen_since(began));
        assert!(!freezes.frozen_since(just_thawed));
    }

    #[test]
    fn time_without_an_operation_under_way_is_no_freeze() {
        let clock = Clock::test();
        let freezes = Freezes::new(clock.clone());
        let began = clock.now();
        drop(freezes.watch());
        clock.advance(Duration::from_hours(1));
        assert!(!freezes.frozen_since(began));
        let mut watch = freezes.watch();
        clock.advance(TICK);
        assert_eq!(watch.look(), Look::Ran(TICK));
        assert!(!freezes.frozen_since(began));
    }
}
