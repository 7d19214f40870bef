//! Notices that this process did not run for a while: SIGSTOP, a frozen container, a machine that slept.
//!
//! What was under way across such a gap says nothing about the service that was asked: its timeouts passed while the
//! process could not read the answer. So an operation takes a [`Watch`], looks at it every [`TICK`] while it waits, and
//! begins anew when a look comes more than [`FREEZE`] after the one before. Nothing runs while no operation is under way.

use std::sync::LazyLock;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{Clock, Moment, Stopwatch};

/// How often an operation that waits looks at its watch.
pub const TICK: Duration = Duration::from_millis(100);

/// Two looks that are further apart than this mean that the process did not run. Well above what a busy machine makes a
/// thread wait, well below any timeout of AWS.
pub const FREEZE: Duration = Duration::from_secs(1);

/// The freezes of one process. Only those during which a [`Watch`] was held are known.
#[derive(Debug)]
pub struct Freezes {
    clock: Clock,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// Watches that are held now.
    watches: usize,
    /// The last look of any watch.
    looked: Moment,
    /// Since the last look, by the clock of timers, which does not count the time in which the machine slept.
    since: Stopwatch,
    /// When the last freeze ended.
    thawed: Moment,
    /// How long all freezes were, by the clock of timers.
    frozen: Duration,
}

impl Seen {
    /// Notes that the process runs at `now`. A freeze is noted by the first watch that looks after it.
    fn look(&mut self, now: Moment) {
        if self.watches > 0 && now.since(self.looked) > FREEZE {
            self.thawed = now;
            self.frozen += self.since.took();
        }
        self.looked = now;
        self.since = Stopwatch::start();
    }
}

impl Freezes {
    /// None yet. `clock` counts suspended time.
    pub fn new(clock: Clock) -> Self {
        let (first, since, frozen) = (Moment::FIRST, Stopwatch::start(), Duration::ZERO);
        Self { clock, seen: Mutex::new(Seen { watches: 0, looked: first, since, thawed: first, frozen }) }
    }

    /// Those of this process, in real time.
    pub fn process() -> &'static Self {
        static PROCESS: LazyLock<Freezes> = LazyLock::new(|| Freezes::new(Clock::system()));
        &PROCESS
    }

    /// The moment to hand to [`Freezes::frozen_since`] later.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Begins to watch for as long as the result is held and looked at.
    pub fn watch(&self) -> Watch<'_> {
        let now = self.clock.now();
        let mut seen = self.seen.lock();
        seen.look(now);
        seen.watches += 1;
        Watch { freezes: self, last: now }
    }

    /// Whether a freeze ended after `began`.
    pub fn frozen_since(&self, began: Moment) -> bool {
        self.noted(|seen| seen.thawed > began)
    }

    /// How long all freezes were until now, by the clock of timers: what a deadline that was set before them is to be
    /// extended by.
    pub fn frozen(&self) -> Duration {
        self.noted(|seen| seen.frozen)
    }

    /// What is known, with a freeze that has just ended and whose operations have not run since.
    fn noted<T>(&self, what: impl FnOnce(&Seen) -> T) -> T {
        let now = self.clock.now();
        let mut seen = self.seen.lock();
        if seen.watches > 0 && now.since(seen.looked) > FREEZE {
            seen.look(now);
        }
        what(&seen)
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
        self.freezes.seen.lock().look(now);
        if passed <= FREEZE { Look::Ran(passed) } else { Look::Frozen(passed) }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.freezes.seen.lock().watches -= 1;
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
    fn one_freeze_is_added_once_however_many_notice_it() {
        let clock = Clock::test();
        let freezes = Freezes::new(clock.clone());
        let mut watches = [freezes.watch(), freezes.watch(), freezes.watch()];
        std::thread::sleep(Duration::from_millis(20));
        clock.advance(Duration::from_secs(10));
        let frozen = freezes.frozen();
        // The test clock is moved by hand; what is added is what timers count.
        assert!(frozen >= Duration::from_millis(20), "{frozen:?}");
        for watch in &mut watches {
            watch.look();
        }
        assert_eq!(freezes.frozen(), frozen);
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
