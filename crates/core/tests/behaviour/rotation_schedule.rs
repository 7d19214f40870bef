//! What is due, and the scheduler, on a clock that is moved by hand. The clock starts at 2026-01-01T00:00:00Z.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::{Service, World, calls, counts};
use serde_json::{Value as Json, json};
use tcs_secret_delivery_core::rotation::hooks::{Hook, HookFailure};
use tcs_secret_delivery_core::rotation::policy::Standing;
use tcs_secret_delivery_core::timer::Deadline;

const START: u64 = 1_767_225_600;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const ID: &str = "DB_PASSWORD_production";

fn options(jitter: u64) -> Json {
    json!({
        "tools": { "db": { "secrets": { "password": { "rotationType": "database-credentials", "rotate": "generate" } } } },
        "rotation": { "jitterSeconds": jitter },
    })
}

/// `DB_PASSWORD` was last rotated `days` before the clock's start.
async fn rotated_before(days: u64) -> World {
    let world = World::new().await;
    world.aws.put(ID, "old");
    world.aws.date(ID, START - days * DAY);
    world
}

fn versions(world: &World) -> usize {
    world.aws.labels(ID).len()
}

fn is_rotated(world: &World) -> bool {
    !world.aws.labels(ID)["old"].iter().any(|label| label == "AWSCURRENT")
}

/// Waits until the condition holds; the scheduler's own time is the clock's.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Deadline::after(Duration::from_secs(10));
    while !condition() {
        assert!(!end.has_passed(), "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until the scheduler has looked at the calendar once more.
async fn look(world: &World) {
    let calls = || world.aws.calls().by_operation.get("GetSecretValue").copied().unwrap_or_default();
    let before = calls();
    until("the scheduler looks", || calls() > before).await;
}

async fn standing(service: &Service<'_>) -> Option<Standing> {
    let calendar = service.delivery.calendar().await.expect("a calendar");
    calendar[0].standing(service.delivery.clock().unix_ms() / 1000)
}

#[tokio::test]
async fn the_calendar_has_every_declared_secret_the_earliest_first() {
    let world = World::new().await;
    for (name, days) in [("A_ONE", 10), ("A_TWO", 88), ("A_THREE", 200)] {
        world.aws.put(&format!("{name}_production"), "v");
        world.aws.date(&format!("{name}_production"), START - days * DAY);
    }
    let spec = |kind: &str| json!({ "rotationType": kind });
    let secrets = json!({ "one": spec("api-tokens"), "two": spec("database-credentials"), "three": {}, "four": {} });
    let service = world.deliver("production", json!({ "tools": { "a": { "secrets": secrets } } }));
    let calendar = service.delivery.calendar().await.expect("a calendar");
    let now = START;
    let rows: Vec<_> = calendar
        .iter()
        .map(|entry| (entry.name.as_str(), entry.applied.policy_type.as_deref(), entry.standing(now)))
        .collect();
    assert_eq!(
        rows,
        [
            ("A_THREE", None, Some(Standing::Due)),
            ("A_TWO", Some("database-credentials"), Some(Standing::Announced)),
            ("A_ONE", Some("api-tokens"), Some(Standing::Later)),
            ("A_FOUR", None, None),
        ]
    );
    assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 1), ("DescribeSecret", 3)]));
    // Three days before it is due at 02:00 UTC.
    assert_eq!(calendar[1].dates.expect("dates").due, START + 2 * DAY + 2 * HOUR);
}

#[tokio::test]
async fn a_secret_is_announced_and_rotated_at_its_time() {
    let world = rotated_before(88).await;
    let service = world.deliver("production", options(0));
    assert!(service.delivery.start_rotating());
    until("announced", || world.heard.announced() == [("DB_PASSWORD".to_owned(), 2)]).await;
    assert_eq!(standing(&service).await, Some(Standing::Announced));
    world.wait(2 * DAY + 2 * HOUR - 5);
    look(&world).await;
    assert_eq!(versions(&world), 1, "not before its time");
    world.wait(10);
    until("rotated", || is_rotated(&world)).await;
    assert_eq!(service.value("DB_PASSWORD").await.len(), 32);
    assert_eq!(world.heard.announced().len(), 1, "announced once");
}

#[tokio::test]
async fn the_jitter_spreads_what_is_due_at_the_same_time() {
    let world = rotated_before(90).await;
    let service = world.deliver("production", options(3600));
    assert!(service.delivery.start_rotating());
    world.wait(2 * HOUR - 5);
    look(&world).await;
    assert_eq!(versions(&world), 1);
    world.wait(HOUR + 10);
    until("rotated within the jitter", || is_rotated(&world)).await;
}

#[tokio::test]
async fn missed_days_are_made_up_for_once() {
    let world = rotated_before(400).await;
    let service = world.deliver("production", options(0));
    assert!(service.delivery.start_rotating());
    until("rotated", || is_rotated(&world)).await;
    let before = world.aws.calls().total;
    until("the scheduler looks again", || {
        world.wait(60);
        world.aws.calls().total > before
    })
    .await;
    assert_eq!(versions(&world), 2);
    drop(service);
}

#[tokio::test]
async fn a_failed_rotation_is_tried_again_more_and_more_rarely_within_the_day() {
    let world = rotated_before(91).await;
    let tries = Arc::new(AtomicU32::new(0));
    let count = tries.clone();
    world.hooks.on(Hook::Set, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Err(HookFailure::new("Error", None))
    });
    world.wait(2 * HOUR);
    let service = world.deliver("production", options(0));
    assert!(service.delivery.start_rotating());
    until("tried", || tries.load(Ordering::SeqCst) == 1).await;
    // A day, minute by minute: the scheduler sleeps on this clock and is given time to look.
    for _ in 0..(24 * 60 - 1) {
        world.wait(60);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let in_a_day = tries.load(Ordering::SeqCst);
    assert!((6..=16).contains(&in_a_day), "{in_a_day} tries");
    world.hooks.on(Hook::Set, |_| Ok(None));
    world.wait(60);
    until("rotated at the next day's time of day", || world.heard.rotated() == ["db/password"]).await;
    drop(service);
}

#[tokio::test]
async fn nothing_is_rotated_where_people_do_it_or_after_stop() {
    let world = World::new().await;
    world.aws.put("DB_PASSWORD_development", "old");
    world.aws.date("DB_PASSWORD_development", START - 400 * DAY);
    let service = world.deliver("development", options(0));
    assert!(!service.delivery.start_rotating());
    assert_eq!(world.heard.warnings(), ["ROTATION_MANUAL"]);

    let world = rotated_before(89).await;
    let service = world.deliver("production", options(0));
    assert!(service.delivery.start_rotating());
    until("the scheduler looks", || world.aws.calls().total > 0).await;
    service.delivery.rotation().stop();
    world.wait(10 * DAY);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(versions(&world), 1);
    assert!(service.delivery.start_rotating(), "it can be started again");
    until("rotated", || is_rotated(&world)).await;
    service.delivery.close().await;
    assert!(!service.delivery.start_rotating());
}

#[tokio::test]
async fn an_unreachable_aws_is_asked_again_later() {
    let world = rotated_before(100).await;
    world.aws.fault(aws_endpoint::Fault::error(500, "InternalServiceError"));
    let service = world.deliver("production", options(0));
    assert!(service.delivery.start_rotating());
    until("asked", || world.aws.calls().total > 0).await;
    world.aws.clear_faults();
    until("rotated", || {
        world.wait(60);
        is_rotated(&world)
    })
    .await;
    drop(service);
}
