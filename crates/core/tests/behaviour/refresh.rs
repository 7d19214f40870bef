//! Refreshing behind the reader, and by hand.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_endpoint::Fault;
use secret::error::ErrorCode;
use serde_json::json;
use tcs_secret_delivery_core::resolver::Freshness;

use crate::support::{World, calls, counts, until};
use secret::clock::Stopwatch;

#[tokio::test]
async fn a_read_late_in_the_ttl_is_answered_from_memory_and_refreshes_in_the_background() {
    let world = World::new().await;
    world.aws.put("A_B_production", "one");
    let service = world.deliver("production", json!({}));
    service.value("A_B").await;
    world.aws.put("A_B_production", "two");
    world.wait(239);
    assert_eq!(service.hot("A_B").as_deref(), Some("one"));
    assert_eq!(world.calls(), 1, "nothing is due before 80 % of the TTL");
    world.wait(32);
    assert_eq!(service.hot("A_B").as_deref(), Some("one"), "nobody waits for the refresh");
    until("the refreshed value is there", || service.hot("A_B").as_deref() == Some("two")).await;
    assert_eq!(world.calls(), 1, "many readers, one refresh");
    // Its own TTL counts from the refresh.
    world.wait(200);
    assert_eq!(service.hot("A_B").as_deref(), Some("two"));
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn no_copy_is_of_no_age_also_within_a_step_of_the_clock() {
    let world = World::new().await;
    world.aws.put("A_B_production", "one");
    let service = world.deliver("production", json!({}));
    assert_eq!(service.value("A_B").await, "one");
    world.aws.put("A_B_production", "two");
    // The test clock stands still, as the real one does for some milliseconds.
    let read = async |age| service.read_as("A_B", Freshness::Within(age)).await.expect("no failure");
    assert_eq!(read(Duration::from_secs(1)).await.as_deref(), Some("one"));
    assert_eq!(read(Duration::ZERO).await.as_deref(), Some("two"));
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_the_copy_to_those_who_read_meanwhile() {
    let world = World::new().await;
    world.aws.put("A_B_production", "one");
    let service = world.deliver("production", json!({}));
    service.value("A_B").await;
    world.wait(301);
    world.aws.fault(Fault::error(500, "InternalServiceError"));
    let (refreshed, read) = tokio::join!(service.read_as("A_B", Freshness::Fresh), service.read("A_B"));
    assert_eq!(refreshed.expect_err("no copy answers a refresh").code(), ErrorCode::SourceUnavailable);
    assert_eq!(read.expect("a copy").as_deref(), Some("one"));
}

#[tokio::test]
async fn a_refresh_takes_along_what_is_due_as_well_and_was_read() {
    let world = World::new().await;
    for i in 0..100 {
        world.aws.put(&format!("A_N{i}_production"), "old");
    }
    let service = world.deliver("production", json!({}));
    let names: Vec<String> = (0..100).map(|i| format!("A_N{i}")).collect();
    service.together(&names).await;
    // The last ten are never read again.
    let (read, unread) = names.split_at(90);
    for name in read {
        assert!(service.hot(name).is_some());
    }
    for i in 0..100 {
        world.aws.put(&format!("A_N{i}_production"), "new");
    }
    world.calls();
    world.wait(271);
    for name in read {
        assert_eq!(service.hot(name).as_deref(), Some("old"));
    }
    let all_new = || read.iter().all(|name| service.hot(name).as_deref() == Some("new"));
    until("all are refreshed", all_new).await;
    assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 5)]));
    assert_eq!(service.delivery.metrics().refreshes.load(Ordering::Relaxed), 90);
    assert_eq!(service.hot(&unread[0]).as_deref(), Some("old"));
}

#[tokio::test]
async fn the_first_refresh_is_due_at_random_in_a_tenth_of_the_ttl() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    let service = world.deliver("production", json!({}));
    let mut after = Vec::new();
    for _ in 0..20 {
        service.refresh("A_B").await.expect("refreshed");
        let before = service.delivery.metrics().refreshes.load(Ordering::Relaxed);
        world.wait(239);
        let mut seconds = 239;
        while service.delivery.metrics().refreshes.load(Ordering::Relaxed) == before {
            world.wait(1);
            seconds += 1;
            service.hot("A_B").expect("fresh");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        after.push(seconds);
    }
    assert!(after.iter().all(|seconds| (240..=272).contains(seconds)), "{after:?}");
    assert!(after.iter().any(|seconds| seconds != &after[0]), "{after:?}");
}

#[tokio::test]
async fn refresh_ahead_can_be_switched_off() {
    let world = World::new().await;
    world.aws.put("A_B_production", "one");
    let service = world.deliver("production", json!({ "cache": { "refreshAhead": false } }));
    service.value("A_B").await;
    world.wait(299);
    assert!(service.hot("A_B").is_some());
    assert_eq!(service.delivery.metrics().refreshes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_hot_secret_is_never_fetched_on_the_request_path_even_when_aws_hangs_for_minutes() {
    let world = World::new().await;
    world.aws.put("A_B_production", "one");
    let service = world.deliver("production", json!({ "aws": { "timeoutMs": 50 } }));
    // The first read also makes the client and its connection: on a busy machine that may take longer than 50 ms.
    let mut tries = 0;
    while service.read("A_B").await.is_err() {
        tries += 1;
        assert!(tries < 100, "AWS is there");
    }
    world.aws.fault(Fault::hang());
    world.wait(271);
    service.hot("A_B").expect("fresh");
    until("the first refresh failed", || service.delivery.reads().last_failure().is_some()).await;
    // Ten minutes, ten seconds at a time: each failed refresh prolongs the time for which copies are served at once.
    for _ in 0..60 {
        world.wait(10);
        let started = Stopwatch::start();
        assert_eq!(service.hot("A_B").as_deref(), Some("one"), "served at once, fresh or held");
        assert!(started.took() < Duration::from_millis(50));
        until("the refresh ended", || service.delivery.reads().is_idle()).await;
    }
    assert!(service.delivery.metrics().stale.load(Ordering::Relaxed) > 0, "stale answers are counted");
    world.aws.clear_faults();
    world.aws.put("A_B_production", "two");
    world.wait(16);
    until("the new value is there", || service.hot("A_B").as_deref() == Some("two")).await;
}

#[tokio::test]
async fn denied_or_deleted_found_by_a_refresh_ahead_fails_closed_at_once() {
    for deleted in [false, true] {
        let world = World::new().await;
        world.aws.put("A_B_production", "one");
        let service = world.deliver("production", json!({}));
        service.value("A_B").await;
        if deleted {
            world.aws.mark_deleted("A_B_production");
        } else {
            world.aws.deny(&["GetSecretValue"], None);
        }
        world.wait(271);
        assert!(service.hot("A_B").is_some());
        until("the copy is gone", || service.hot("A_B").is_none()).await;
        match service.read("A_B").await {
            Ok(value) => assert_eq!((value, deleted), (None, true)),
            Err(error) => assert_eq!((error.code(), deleted), (ErrorCode::SecretAccessDenied, false)),
        }
    }
}

#[tokio::test]
async fn a_refresh_wins_over_a_read_that_began_before_it() {
    let world = World::new().await;
    world.aws.put("A_B_production", "old");
    let service = world.deliver("production", json!({}));
    world.aws.fault(Fault::delay(Duration::from_millis(100)).times(1));
    let early = service.read("A_B");
    let later = async {
        until("the read is under way", || world.aws.calls().total == 1).await;
        world.aws.put("A_B_production", "new");
        service.refresh("A_B").await
    };
    let (early, later) = tokio::join!(early, later);
    assert_eq!(later.expect("refreshed").as_deref(), Some("new"));
    early.expect("read");
    assert_eq!(service.hot("A_B").as_deref(), Some("new"));
    assert!(world.heard.rotated().is_empty(), "nobody knew another version before");
}

#[tokio::test]
async fn a_new_version_is_reported_after_the_copies_were_cleared() {
    let world = World::new().await;
    world.aws.put("DB_PASSWORD_production", "old");
    let service = world.deliver("production", json!({}));
    service.value("DB_PASSWORD").await;
    service.delivery.cache_clear().await.expect("memory only");
    assert_eq!(service.value("DB_PASSWORD").await, "old");
    assert!(world.heard.rotated().is_empty(), "the same version");
    service.delivery.cache_clear().await.expect("memory only");
    world.aws.put("DB_PASSWORD_production", "new");
    assert_eq!(service.value("DB_PASSWORD").await, "new");
    assert_eq!(world.heard.rotated(), ["db/password"]);
}
