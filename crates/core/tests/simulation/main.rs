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
mod start;
mod store;
mod world;

use ::cache::simulation::Defect;
use secret::clock::Stopwatch;
use std::time::Duration;

use plan::Schedule;
use run::run;
use shrink::{described, shrink};
use start::{Fleet, Reading, Started};

/// Where the short form begins; the long one begins elsewhere each time.
const FIRST_SEED: u64 = 1;
/// The short form runs the same schedules on every machine, however fast it is; slow ones run fewer.
const MOST_SEEDS: u64 = 3000;

/// Schedules that broke a promise once, and by what. A change of what a seed draws makes other schedules of them: then they are to be
/// replaced, not kept.
const KEPT: [(u64, &str); 52] = [
    (209_636, "answers that were under way at two changes within a second, and confirmed each other"),
    (226_212, "the same, with an event between them"),
    (220_037, "a reader got a version from an answer that was not kept, and the next one an older shared copy"),
    (227_393, "the same, and an older copy from a listing"),
    (222_069, "an event about a version that was live before was taken for the same event once more"),
    (201_084, "a version gone back to, which another instance had shared, was doubted although AWS gave it again"),
    (201_967, "the same in the instance that had shared it itself"),
    (210_701, "an older copy of one's own counted as the newer one, because reading Redis's clock had taken long"),
    (220_846, "the same, after an event"),
    (303_590, "the same, with a version that was gone back to"),
    (217_247, "'not there' that was answered during a freeze was remembered as if it were new"),
    (217_732, "the snapshot kept a version that a message had outdated"),
    (223_579, "a reader joined a fetch from before a drop that it had heard of"),
    (226_660, "a doubted copy answered past its TTL without being flagged"),
    (220_649, "a doubted copy that a message had named was trusted again"),
    (305_738, "a copy that a message had outdated came back when AWS was late, while a check of rights was due"),
    (313_347, "an event that came late was believed against a version seen a moment before it"),
    (400_634, "Redis lost what a message had named, and an older copy went on answering because of a drop before it"),
    (
        417_308,
        "a copy that was on its way from Redis to memory for a failing AWS overtook a message about a newer version",
    ),
    (202_350, "a process that had lived on its own copies used another's after the time of its access check"),
    (501_606, "a copy that a message had named answered as fresh against AWS, which gave the version gone back to"),
    (511_334, "another instance's copy, asked for before an own answer came, took the place of the later version"),
    (507_426, "a copy grew younger on its way to Redis"),
    (615_129, "a drop that came late took the place of a later one, and a copy from before that was shared again"),
    (
        1_003_967,
        "an own answer under way at a rotation was kept, although the copy that a message named was made later",
    ),
    (1_023_524, "the cache was cleared, and Redis lost the mark of it before an instance looked"),
    (
        1_031_466,
        "a denial was taken to be as old as attempts before it that had no answer, after its reader had given up",
    ),
    (1_076_785, "the same, against an event's answer"),
    (1_076_366, "an event confirmed a copy, and one from before it answered when AWS failed"),
    (
        2_017_051,
        "a reader got a version after a denial, from an answer that was not kept, and the next one an older copy",
    ),
    (4_033_362, "a copy that a message named answered against AWS while it was being looked into"),
    (
        6_064_583,
        "a reader got a version after 'not there', from an answer that was not kept, and the next one an older copy",
    ),
    (6_133_745, "a reader joined a fetch from before a version that another reader had got"),
    (1_053_503, "a denied instance did not see that a copy it may not use made its own answer outdated"),
    (
        8_039_702,
        "a call of AWS went on for a moment after all of its readers had given up, beside that of the next reader",
    ),
    (8_060_832, "the same, begun by a refresh"),
    (8_076_268, "of reads that came together after an outage, those failed that were not the probe"),
    (8_169_422, "the same, where each is a call of its own"),
    (
        20_006_426,
        "a listing, which waited for one of its names, put an answer back over that of a read that was under way with it",
    ),
    (20_026_098, "the same, with a forged message"),
    (20_017_896, "a reader began a call of its own beside a fetch that asked again"),
    (20_021_468, "the same, after a drop that a message had not told yet"),
    (
        30_009_447,
        "a listing gave its answer, which was to be asked for again, although the copy that was held went on answering",
    ),
    (31_000_490, "the same, in a read"),
    (
        30_015_489,
        "'not there', under way while another instance asked for its copy, hid a later version, and the copy answered",
    ),
    (
        20_064_205,
        "an instance stood still while a secret was changed and Redis lost everything, and found its own older copy there",
    ),
    (34_015_803, "the same, with a drop"),
    (
        41_043_393,
        "a copy that was held on to came back over a later version that a reader had from an answer that was not kept",
    ),
    (41_116_145, "the same"),
    (41_142_828, "a copy answered after another version that a reader had from an answer that was not kept"),
    (41_216_773, "the same"),
    (41_157_494, "an answer under way hid the version that a message had told of"),
];

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

#[test]
fn no_schedule_that_broke_a_promise_does_so_again() {
    for (seed, what) in KEPT {
        let schedule = Schedule::of(seed);
        let outcome = run(&schedule, None, false);
        assert!(outcome.violations.is_empty(), "{what}\n{}", report(&schedule, None));
    }
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

/// 40 of 1,000 instances, within their share of AWS's quotas. `npm run lab -- --start` has all of them.
#[test]
fn instances_that_start_at_once_use_up_the_quota_and_do_not_flood_aws() {
    const INSTANCES: usize = 40;
    for has_redis in [false, true] {
        for reading in [Reading::AllAtOnce, Reading::ToolByTool] {
            let Started { half_ms, last_ms, answered, throttled, rejected } =
                start::run(&Fleet { instances: INSTANCES, has_redis, reading });
            let seen = format!(
                "{reading:?}, Redis: {has_redis}: half after {half_ms} ms, all after {last_ms} ms; {answered} calls answered, \
                 {throttled} throttled; {rejected} reads rejected"
            );
            eprintln!("{seen}");
            assert!(last_ms < 15_000, "{seen}");
            // What was under way when AWS first throttled, and no more than AWS answers.
            assert!(throttled <= answered + 64 * INSTANCES as u64, "{seen}");
        }
    }
}
