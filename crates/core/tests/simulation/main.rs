//! The real reads, caches, flights, locks and coherence of two to four instances over a simulated AWS, Redis, clock and
//! network, from one seed (docs/decisions/032). Nothing here waits in real time.
#![allow(clippy::expect_used, clippy::print_stderr, reason = "a test")]

mod aws;
mod instance;
mod oracle;
mod plan;
mod redis_server;
mod run;
mod scripts;
mod shrink;
mod store;
mod world;

use ::cache::simulation::Defect;
use secret::clock::Stopwatch;
use std::time::Duration;

use plan::Schedule;
use run::run;
use shrink::{described, shrink};

/// Where the short form begins; the long one begins elsewhere each time.
const FIRST_SEED: u64 = 1;
/// The short form runs the same schedules on every machine, however fast it is; slow ones run fewer.
const MOST_SEEDS: u64 = 3000;

fn report(schedule: &Schedule, defect: Option<Defect>) -> String {
    let short = shrink(schedule, defect);
    let outcome = run(&short, defect, true);
    format!("{}{}\n{}", described(&short), outcome.trace.unwrap_or_default(), outcome.violations.join("\n"))
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..40 {
        let schedule = Schedule::of(seed);
        let (one, other) = (run(&schedule, None, true), run(&schedule, None, true));
        assert!(one.lines > 20, "seed {seed}: nothing happened");
        let pairs =
            one.trace.iter().flat_map(|text| text.lines()).zip(other.trace.iter().flat_map(|text| text.lines()));
        let apart = pairs.enumerate().find(|(_, (one, other))| one != other);
        assert_eq!(apart, None, "seed {seed}");
        assert_eq!(one.hash, other.hash, "seed {seed}");
    }
}

#[test]
fn no_schedule_breaks_a_promise() {
    let (watch, mut seed) = (Stopwatch::start(), FIRST_SEED);
    let mut judged = 0;
    while seed < FIRST_SEED + MOST_SEEDS && watch.took() < Duration::from_secs(20) {
        let schedule = Schedule::of(seed);
        let outcome = run(&schedule, None, false);
        assert!(outcome.violations.is_empty(), "{}", report(&schedule, None));
        judged += outcome.judged;
        seed += 1;
    }
    assert!(judged > 100, "{judged} answers");
}

/// A simulation that finds nothing may be blind.
#[test]
fn each_defect_is_found_within_a_minute() {
    for defect in Defect::ALL {
        let (watch, mut seed) = (Stopwatch::start(), FIRST_SEED);
        // Found: a schedule that goes wrong with the defect, and well without it.
        let finds = |schedule: &Schedule| {
            !run(schedule, Some(defect), false).violations.is_empty()
                && run(schedule, None, false).violations.is_empty()
        };
        while !finds(&Schedule::of(seed)) {
            assert!(watch.took() < Duration::from_mins(1), "{defect:?} was not found with {seed} schedules");
            seed += 1;
        }
        eprintln!("{defect:?}: found with schedule {seed}, after {:?}", watch.took());
    }
}
