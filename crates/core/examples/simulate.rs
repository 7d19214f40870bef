//! Runs many simulated schedules on all cores (`npm run lab -- --simulate 1000000`): `simulate COUNT [FIRST_SEED]`. Prints one
//! JSON line with the figures; a failing schedule goes to standard error, made as short as it can be.
//!
//! `simulate start INSTANCES` starts instances at once, within their share of AWS's quotas (`npm run lab -- --start 1000`).
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, reason = "its output is its purpose")]

#[path = "../tests/simulation/aws.rs"]
mod aws;
#[path = "../tests/simulation/instance.rs"]
mod instance;
#[path = "../tests/simulation/oracle.rs"]
mod oracle;
#[path = "../tests/simulation/plan.rs"]
mod plan;
#[path = "../tests/simulation/redis_server.rs"]
mod redis_server;
#[path = "../tests/simulation/run.rs"]
mod run;
#[path = "../tests/simulation/shrink.rs"]
mod shrink;
#[path = "../tests/simulation/start.rs"]
mod start;
#[path = "../tests/simulation/store.rs"]
mod store;
#[path = "../tests/simulation/world.rs"]
mod world;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use secret::clock::Stopwatch;

use plan::Schedule;
use run::run;
use shrink::{described, shrink};
use start::{Fleet, Reading, Started};

/// Failing schedules that are shown.
const MOST_SHOWN: usize = 20;

/// All instances are to have started by then.
const STARTED_MS: u64 = 15_000;

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    match given.split_first() {
        Some((first, rest)) if first == "start" => start_at_once(rest),
        _ => schedules(&given),
    }
}

fn start_at_once(given: &[String]) -> ExitCode {
    let instances = given.first().map_or(1000, |text| text.parse().expect("a number"));
    let (mut all_in_time, watch) = (true, Stopwatch::start());
    for has_redis in [false, true] {
        for reading in [Reading::AllAtOnce, Reading::ToolByTool] {
            let Started { half_ms, last_ms, answered, throttled, rejected } =
                start::run(&Fleet { instances, has_redis, reading });
            let seconds = watch.took().as_secs_f64();
            println!(
                r#"{{"instances":{instances},"redis":{has_redis},"reading":"{reading:?}","halfMs":{half_ms},"lastMs":{last_ms},"answered":{answered},"throttled":{throttled},"rejected":{rejected},"took":{seconds:.1}}}"#
            );
            all_in_time &= last_ms < STARTED_MS;
        }
    }
    if all_in_time { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn schedules(given: &[String]) -> ExitCode {
    let mut given = given.iter().map(|text| text.parse::<u64>().expect("a number"));
    let count = given.next().unwrap_or(1000);
    let first = given.next().unwrap_or(1);
    let (next, judged, failed) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::new(Vec::new()));
    // Of all schedules together: two runs that went the same way have the same one.
    let (traces, lines) = (AtomicU64::new(0), AtomicU64::new(0));
    let watch = Stopwatch::start();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let schedule = Schedule::of(first + number);
                    let outcome = run(&schedule, None, false);
                    judged.fetch_add(outcome.judged, Ordering::Relaxed);
                    traces.fetch_xor(
                        outcome.hash.rotate_left(u32::try_from(number % 64).unwrap_or_default()),
                        Ordering::Relaxed,
                    );
                    lines.fetch_add(outcome.lines, Ordering::Relaxed);
                    if outcome.violations.is_empty() {
                        continue;
                    }
                    let shown = {
                        let mut failed = failed.lock().expect("a lock");
                        failed.push(schedule.seed);
                        failed.len()
                    };
                    if shown <= MOST_SHOWN {
                        let short = shrink(&schedule, None);
                        let again = run(&short, None, true);
                        let (trace, violations) = (again.trace.unwrap_or_default(), again.violations.join("\n"));
                        eprintln!("{}{trace}\n{violations}\n", described(&short));
                    }
                }
            });
        }
    });
    let seconds = watch.took().as_secs_f64();
    let mut failed = failed.into_inner().expect("a lock");
    failed.sort_unstable();
    let (traces, lines) = (traces.into_inner(), lines.into_inner());
    let (judged, rate) = (judged.into_inner(), f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds);
    println!(
        r#"{{"schedules":{count},"firstSeed":{first},"events":{lines},"answers":{judged},"seconds":{seconds:.1},"perSecond":{rate:.1},"traces":"{traces:016x}","failed":{},"seeds":{:?}}}"#,
        failed.len(),
        &failed[..failed.len().min(100)]
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
