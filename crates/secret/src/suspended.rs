//! Milliseconds on a monotonic clock that counts suspended time, cheap enough for every cached read.
//!
//! Linux counts suspended time in `CLOCK_BOOTTIME` only, which has no coarse form. Measured on x86-64 with the time-stamp
//! counter (`cargo run --release -p tcs-secret-delivery-secret --example clock_cost`): `CLOCK_BOOTTIME` 24.5 to 27 ns,
//! `coarsetime`'s monotonic clock 5.7 ns, the clock here 3.4 ns. So each read takes the coarse clock and adds the
//! suspended time, which is measured again once in each tick of the coarse clock (1 to 10 ms). After a resume a read is
//! therefore wrong for at most the rest of one tick.
//!
//! macOS and Windows need none of this: there `coarsetime` reads `CLOCK_MONOTONIC_RAW_APPROX` and `GetTickCount64`, which
//! count suspended time.

/// Milliseconds since an arbitrary start; never zero.
#[inline]
pub(crate) fn now_ms() -> u64 {
    #[cfg(target_os = "linux")]
    return linux::now_ms();
    #[cfg(not(target_os = "linux"))]
    return coarsetime::Duration::from_ticks(coarsetime::Instant::now_without_cache_update().as_ticks())
        .as_millis()
        .max(1);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::atomic::{AtomicI64, Ordering};

    use rustix::time::{ClockId, clock_gettime};

    static SUSPENDED: Suspended = Suspended::new();

    #[inline]
    pub(super) fn now_ms() -> u64 {
        let awake = read(ClockId::MonotonicCoarse);
        u64::try_from(awake + SUSPENDED.at(awake, measure)).unwrap_or(1).max(1)
    }

    fn read(clock: ClockId) -> i64 {
        let time = clock_gettime(clock);
        time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    /// How long the machine was suspended so far. The monotonic clock is read last: a thread that is interrupted between
    /// the two reads measures too little, never too much, and the next tick corrects it.
    #[cold]
    fn measure() -> i64 {
        let all = clock_gettime(ClockId::Boottime);
        let awake = clock_gettime(ClockId::Monotonic);
        let nanos = (all.tv_sec - awake.tv_sec) * 1_000_000_000 + (all.tv_nsec - awake.tv_nsec);
        nanos.div_euclid(1_000_000)
    }

    /// The suspended time in milliseconds, as last measured. It never shrinks.
    pub(super) struct Suspended {
        /// The tick of the coarse clock in which it was measured.
        tick: AtomicI64,
        ms: AtomicI64,
    }

    impl Suspended {
        pub(super) const fn new() -> Self {
            Self { tick: AtomicI64::new(i64::MIN), ms: AtomicI64::new(i64::MIN) }
        }

        /// The suspended time at `tick`; measures it unless another read of the same tick did.
        #[inline]
        pub(super) fn at(&self, tick: i64, measure: impl Fn() -> i64) -> i64 {
            if self.tick.load(Ordering::Acquire) != tick {
                self.ms.fetch_max(measure(), Ordering::Relaxed);
                // Release: a thread that sees this tick sees what was measured in it.
                self.tick.store(tick, Ordering::Release);
            }
            self.ms.load(Ordering::Relaxed)
        }
    }

    #[cfg(test)]
    mod tests {
        use std::cell::Cell;

        use super::*;

        #[test]
        fn a_suspension_counts_from_the_next_tick_on() {
            let (suspended, truth) = (Suspended::new(), Cell::new(0));
            let at = |tick| suspended.at(tick, || truth.get());
            assert_eq!(at(10), 0);
            truth.set(3_600_000);
            assert_eq!(at(14), 3_600_000);
        }

        #[test]
        fn it_is_measured_once_in_a_tick() {
            let (suspended, measured) = (Suspended::new(), Cell::new(0));
            for _ in 0..1000 {
                suspended.at(10, || {
                    measured.set(measured.get() + 1);
                    0
                });
            }
            assert_eq!(measured.get(), 1);
        }

        #[test]
        fn an_interrupted_measurement_takes_nothing_back() {
            let suspended = Suspended::new();
            assert_eq!(suspended.at(10, || 5000), 5000);
            assert_eq!(suspended.at(14, || 4990), 5000);
        }

        #[test]
        fn a_time_namespace_may_start_below_the_awake_time() {
            // `unshare --time --boottime -100` gives a boot time that is behind the monotonic clock.
            let suspended = Suspended::new();
            assert_eq!(suspended.at(10, || -100_000), -100_000);
            assert_eq!(suspended.at(14, || -40_000), -40_000);
        }

        #[test]
        fn the_clock_is_the_kernels_boot_time() {
            for _ in 0..200 {
                let (before, now, after) = (read(ClockId::Boottime), now_ms(), read(ClockId::Boottime));
                let now = i64::try_from(now).expect("a time");
                // The coarse clock is up to a tick behind, and each of the three terms is rounded down.
                assert!((before - 22..=after).contains(&now), "{before} {now} {after}");
            }
        }
    }
}
