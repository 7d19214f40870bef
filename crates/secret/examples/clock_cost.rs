//! What reading the time costs.
//!
//! `cargo run --release -p tcs-secret-delivery-secret --example clock_cost`

use std::hint::black_box;
use std::io::Write as _;

use tcs_secret_delivery_secret::clock::{Clock, Stopwatch};

const READS: u32 = 5_000_000;
const ROUNDS: u32 = 7;

fn main() -> std::io::Result<()> {
    let clock = Clock::system();
    report("Clock::now", || clock.now())?;
    report("Stopwatch::start", Stopwatch::start)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::time::{ClockId, clock_gettime};
        report("CLOCK_BOOTTIME", || clock_gettime(ClockId::Boottime))?;
        report("CLOCK_MONOTONIC_COARSE", || clock_gettime(ClockId::MonotonicCoarse))?;
    }
    Ok(())
}

/// Prints the fastest of several rounds.
fn report<T>(what: &str, read: impl Fn() -> T) -> std::io::Result<()> {
    let round = || {
        let watch = Stopwatch::start();
        for _ in 0..READS {
            black_box(read());
        }
        watch.took().as_secs_f64() * 1e9 / f64::from(READS)
    };
    let best = (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min);
    writeln!(std::io::stdout(), "{what:24} {best:5.1} ns")
}
