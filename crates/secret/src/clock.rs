//! The one place that reads time, but for tokio's deadlines, which the core's `timer` reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::suspended;

/// A point on the monotonic clock, in milliseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// The clock's start lies this long after [`Moment::FIRST`], some 34 years: what is older than the machine is awake has a moment
/// of its own, and does not look as young as the machine.
const BEFORE_START_MS: u64 = 1 << 40;

impl Moment {
    /// Earlier than any other moment.
    pub const FIRST: Self = Self(0);

    /// Later than any other moment.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `ms` milliseconds after the arbitrary start.
    pub fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the arbitrary start.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment `after` later, at the far end of time when that overflows.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(millis(after)))
    }

    /// The moment `before` earlier, at the beginning of time when that underflows.
    #[must_use]
    pub fn minus(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(millis(before)))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A [`Moment`] that several threads move.
#[derive(Debug)]
pub struct AtomicMoment(AtomicU64);

impl AtomicMoment {
    /// Starts at `moment`.
    pub fn new(moment: Moment) -> Self {
        Self(AtomicU64::new(moment.0))
    }

    /// Reads it.
    #[inline]
    pub fn get(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }

    /// Moves it from `from` to `to`; `false` when another thread moved it first.
    pub fn advance(&self, from: Moment, to: Moment) -> bool {
        self.0.compare_exchange(from.0, to.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Reads monotonic and wall-clock time; tests replace it with one they move by hand.
///
/// Monotonic time counts the time in which the machine slept or the process was stopped: a copy grows old meanwhile. It
/// is coarse (a few milliseconds) because it is read on every cached read: see `suspended` for how
/// and what it costs. Nothing here needs more: TTLs are seconds.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<TestTime>>);

#[derive(Debug)]
struct TestTime {
    elapsed_ms: AtomicU64,
    simulated: Option<Arc<dyn SimulatedTime>>,
}

/// The clocks of a simulated machine, which may be wrong.
pub trait SimulatedTime: Send + Sync + std::fmt::Debug {
    /// Monotonic time.
    fn now(&self) -> Moment;
    /// Wall-clock time in milliseconds since 1970.
    fn unix_ms(&self) -> u64;
}

impl TestTime {
    fn now(&self) -> Moment {
        match &self.simulated {
            None => Moment(1 + self.elapsed_ms.load(Ordering::SeqCst)),
            Some(time) => time.now(),
        }
    }
}

/// How often a wait checks a test clock.
const TEST_LOOK: Duration = Duration::from_millis(1);
/// Where a test clock's wall time starts: 2026-01-01T00:00:00Z.
const TEST_EPOCH_MS: u64 = 1_767_225_600_000;

/// What AWS's answers show of the machine's wall clock.
#[derive(Debug)]
struct Shown {
    /// Whether there was an answer.
    is_known: AtomicBool,
    /// How far the clock is behind AWS's, in milliseconds; 0 where it is right to a few minutes, as certificates and signatures need it.
    behind_ms: AtomicI64,
}

static SHOWN: Shown = Shown { is_known: AtomicBool::new(false), behind_ms: AtomicI64::new(0) };

/// A clock that is less wrong than this is taken as it is: answers take time, and only whole hours and days are measured with it.
const WRONG_FROM_MS: i64 = 4 * 60 * 1000;

impl Shown {
    fn note(&self, own_ms: u64, shown_ms: u64) {
        let behind = shown_ms.cast_signed().saturating_sub(own_ms.cast_signed());
        self.behind_ms.store(if behind.abs() < WRONG_FROM_MS { 0 } else { behind }, Ordering::Relaxed);
        self.is_known.store(true, Ordering::Release);
    }

    fn corrected(&self, own_ms: u64) -> u64 {
        own_ms.saturating_add_signed(self.behind_ms.load(Ordering::Relaxed))
    }

    fn is_right(&self) -> bool {
        self.is_known.load(Ordering::Acquire) && self.behind_ms.load(Ordering::Relaxed) == 0
    }
}

/// Whether an answer of AWS has shown that the machine's wall clock is right.
pub fn is_shown_right() -> bool {
    SHOWN.is_right()
}

/// An answer of AWS shows that it is this time now, in seconds since 1970.
pub fn note_shown(unix_s: u64) {
    SHOWN.note(Clock::system().unix_ms(), unix_s.saturating_mul(1000));
}

impl Clock {
    /// [`Clock::unix_ms`], and where AWS's answers show that the machine's clock is minutes off, as they show it: for what is compared
    /// with times of AWS, such as when a version was made.
    pub fn corrected_unix_ms(&self) -> u64 {
        if self.0.is_some() { self.unix_ms() } else { SHOWN.corrected(self.unix_ms()) }
    }

    /// The machine's clocks.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn test() -> Self {
        Self(Some(Arc::new(TestTime { elapsed_ms: AtomicU64::new(0), simulated: None })))
    }

    /// The clocks of a simulated machine. They run by themselves, as the machine's do.
    pub fn simulated(time: Arc<dyn SimulatedTime>) -> Self {
        Self(Some(Arc::new(TestTime { elapsed_ms: AtomicU64::new(0), simulated: Some(time) })))
    }

    /// Whether a test moves it.
    pub fn is_test(&self) -> bool {
        self.0.as_ref().is_some_and(|test| test.simulated.is_none())
    }

    /// Moves a test clock; does nothing to the machine's.
    pub fn advance(&self, by: Duration) {
        if let Some(test) = &self.0 {
            test.elapsed_ms.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Monotonic time.
    #[inline]
    pub fn now(&self) -> Moment {
        match &self.0 {
            None => Moment(BEFORE_START_MS + suspended::now_ms()),
            Some(test) => test.now(),
        }
    }

    /// How long to sleep before checking this clock again, when waiting until `end`; `None` once `end` has come. A test
    /// clock is moved by hand, so it is checked every millisecond.
    pub fn wait_before(&self, end: Moment) -> Option<Duration> {
        let left = end.since(self.now());
        (!left.is_zero()).then(|| if self.is_test() { TEST_LOOK } else { left })
    }

    /// Wall-clock time in milliseconds since 1970, for what is shared between machines or shown to people.
    #[expect(clippy::disallowed_methods, reason = "CLOCK: the one reader of wall-clock time")]
    pub fn unix_ms(&self) -> u64 {
        match &self.0 {
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis),
            Some(test) => match &test.simulated {
                None => TEST_EPOCH_MS + test.elapsed_ms.load(Ordering::SeqCst),
                Some(time) => time.unix_ms(),
            },
        }
    }
}

/// Measures how long something takes, precisely. Always real time: with a test clock a latency is still a real one.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "CLOCK: the one reader of precise time")]
    #[inline]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Since the start.
    #[expect(clippy::disallowed_methods, reason = "CLOCK: the one reader of precise time")]
    #[inline]
    pub fn took(self) -> Duration {
        self.0.elapsed()
    }
}

/// Whole milliseconds, saturating.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// UTC time as `2026-01-01T00:00:00.000Z`, from milliseconds since 1970.
pub fn iso8601(unix_ms: u64) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(unix_ms)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_clock_moves_only_when_told() {
        let clock = Clock::test();
        let (start, wall) = (clock.now(), clock.unix_ms());
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_secs(61));
        assert_eq!(clock.now().since(start), Duration::from_secs(61));
        assert_eq!(clock.unix_ms() - wall, 61_000);
    }

    #[test]
    fn a_clock_is_corrected_by_hours_and_not_by_seconds() {
        let shown = Shown { is_known: AtomicBool::new(false), behind_ms: AtomicI64::new(0) };
        let year_ms = 365 * 24 * 3_600_000;
        assert!(!shown.is_right(), "nothing is known");
        assert_eq!(shown.corrected(year_ms), year_ms);
        shown.note(2 * year_ms, year_ms);
        assert!(!shown.is_right());
        assert_eq!(shown.corrected(2 * year_ms + 5), year_ms + 5);
        shown.note(year_ms, 2 * year_ms);
        assert_eq!(shown.corrected(year_ms), 2 * year_ms);
        shown.note(year_ms + 3000, year_ms);
        assert!(shown.is_right());
        assert_eq!(shown.corrected(year_ms), year_ms);
    }

    #[test]
    fn times_are_written_as_javascript_writes_them() {
        assert_eq!(iso8601(1_767_225_600_000), "2026-01-01T00:00:00.000Z");
        assert_eq!(iso8601(1_709_210_096_007), "2024-02-29T12:34:56.007Z");
    }

    #[test]
    fn moments_saturate_instead_of_wrapping() {
        let moment = Clock::test().now();
        assert!(moment.plus(Duration::MAX) > moment);
        assert_eq!(moment.since(moment.plus(Duration::from_secs(1))), Duration::ZERO);
    }

    #[test]
    fn what_is_older_than_the_machine_is_awake_is_as_old_as_it_is() {
        let now = Clock::system().now();
        let year = Duration::from_hours(365 * 24);
        assert_eq!(now.since(now.minus(year)), year);
    }

    #[test]
    fn the_machines_clock_does_not_run_backwards() {
        let clock = Clock::system();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(clock.unix_ms() > TEST_EPOCH_MS);
    }
}
