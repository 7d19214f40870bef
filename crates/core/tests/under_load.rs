//! Delivery under load and through failures of AWS: refresh ahead, gathering, limits, breaker, fail-over, snapshot.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aws_endpoint::{AwsEndpoint, Fault};
use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use support::World;
use tcs_secret_delivery_core::error::ErrorCode;
use tcs_secret_delivery_core::metrics::Origin;

fn outage() -> Fault {
    Fault::error(500, "InternalServiceError")
}

fn calls(world: &World) -> BTreeMap<String, u64> {
    let calls = world.aws.calls().by_operation;
    world.aws.reset_calls();
    calls
}

fn counts(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(operation, count)| ((*operation).to_owned(), *count)).collect()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        // First of all, so that what was just begun does begin.
        tokio::time::sleep(Duration::from_millis(1)).await;
        if condition() {
            return;
        }
        assert!(Instant::now() < end, "{what}: it did not happen");
    }
}

// ---- refresh ahead ----

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
    service.value("A_B").await;
    world.aws.fault(Fault::hang());
    world.wait(271);
    service.hot("A_B").expect("fresh");
    until("the first refresh failed", || service.delivery.layer().last_failure().is_some()).await;
    // Ten minutes, ten seconds at a time: each failed refresh prolongs the time for which copies are served at once.
    for _ in 0..60 {
        world.wait(10);
        let started = Instant::now();
        assert_eq!(service.hot("A_B").as_deref(), Some("one"), "served at once, fresh or held");
        assert!(started.elapsed() < Duration::from_millis(50));
        until("the refresh ended", || service.delivery.layer().is_idle()).await;
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

// ---- negative answers ----

#[tokio::test]
async fn a_refusal_is_remembered_for_five_seconds_and_counted_each_time() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    world.aws.deny(&["GetSecretValue"], None);
    let service = world.deliver("production", json!({}));
    for _ in 0..20 {
        assert_eq!(service.refusal("A_B").await, ErrorCode::SecretAccessDenied);
    }
    assert_eq!(world.calls(), 1);
    assert_eq!(service.delivery.metrics().unauthorized.load(Ordering::Relaxed), 20);
    world.aws.allow_all();
    world.wait(6);
    assert_eq!(service.value("A_B").await, "v");
}

// ---- one flight, wide ----

#[tokio::test]
async fn a_hundred_concurrent_misses_cost_five_batch_calls() {
    let world = World::new().await;
    for i in 0..100 {
        world.aws.put(&format!("A_N{i}_production"), &format!("v{i}"));
    }
    let service = world.deliver("production", json!({}));
    let names: Vec<String> = (0..1000).map(|i| format!("A_N{}", i % 100)).collect();
    for (name, value) in names.iter().zip(service.together(&names).await) {
        assert_eq!(value.expect("no failure"), Some(name.replace("A_N", "v")));
    }
    assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 5)]));
}

#[tokio::test]
async fn misses_that_meet_by_chance_share_calls() {
    let world = World::new().await;
    for i in 0..41 {
        world.aws.put(&format!("A_N{i}_production"), "v");
    }
    let service = world.deliver("production", json!({}));
    let names: Vec<String> = (0..41).map(|i| format!("A_N{i}")).collect();
    join_all(names.iter().map(|name| service.value(name))).await;
    let calls = calls(&world);
    // The first one is alone and does not wait.
    assert_eq!(calls.get("GetSecretValue"), Some(&1));
    assert!(calls["BatchGetSecretValue"] <= 4, "{calls:?}");
}

#[tokio::test]
async fn a_lone_miss_does_not_wait_for_others_and_needs_no_batch_permission() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    world.aws.deny(&["BatchGetSecretValue"], None);
    let service = world.deliver("production", json!({}));
    assert_eq!(service.value("A_B").await, "v");
    assert_eq!(calls(&world), counts(&[("GetSecretValue", 1)]));
    assert!(world.heard.warnings().is_empty());
}

#[tokio::test]
async fn each_name_of_a_gathered_call_has_its_own_answer() {
    let mut world = World::new().await;
    world.variable("A_GONE", "runtime");
    world.aws.put("A_ONE_production", "1");
    world.aws.put("A_TWO_production", "2");
    world.aws.put("A_DENIED_production", "x");
    world.aws.deny(&["GetSecretValue"], Some(&["A_DENIED_production"]));
    let service = world.deliver("production", json!({}));
    let names = ["A_ONE", "A_DENIED", "A_GONE", "A_TWO"].map(str::to_owned);
    let [one, denied, gone, two] = service.together(&names).await.try_into().expect("four");
    assert_eq!((one.expect("read"), two.expect("read")), (Some("1".into()), Some("2".into())));
    assert_eq!(gone.expect("read").as_deref(), Some("runtime"));
    assert_eq!(denied.expect_err("denied").code(), ErrorCode::SecretAccessDenied);
    assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 1)]));
}

#[tokio::test]
async fn without_the_batch_permission_gathered_misses_are_read_one_by_one() {
    let world = World::new().await;
    for i in 0..30 {
        world.aws.put(&format!("A_N{i}_production"), &format!("v{i}"));
    }
    world.aws.deny(&["BatchGetSecretValue"], None);
    let service = world.deliver("production", json!({}));
    let names: Vec<String> = (0..30).map(|i| format!("A_N{i}")).collect();
    assert!(service.together(&names).await.iter().all(Result::is_ok));
    assert_eq!(calls(&world).get("GetSecretValue"), Some(&30));
    service.delivery.cache_clear().await.expect("memory only");
    assert!(service.together(&names).await.iter().all(Result::is_ok));
    assert_eq!(calls(&world), counts(&[("GetSecretValue", 30)]), "the refusal is remembered");
}

#[tokio::test]
async fn a_reader_who_gives_up_does_not_stop_the_others() {
    let world = World::new().await;
    for name in ["A_ONE", "A_TWO"] {
        world.aws.put(&format!("{name}_production"), "v");
    }
    world.aws.fault(Fault::delay(Duration::from_millis(50)));
    let service = world.deliver("production", json!({}));
    let impatient = tokio::time::timeout(Duration::from_millis(5), service.read("A_ONE"));
    let (gave_up, other) = tokio::join!(impatient, service.value("A_TWO"));
    assert!(gave_up.is_err());
    assert_eq!(other, "v");
}

// ---- retry, breaker, limits ----

#[tokio::test]
async fn a_failing_aws_is_left_alone_until_a_probe_finds_it_back() {
    let world = World::new().await;
    world.aws.fault(outage());
    let service = world.deliver("production", json!({}));
    for i in 0..200 {
        assert_eq!(service.refusal(&format!("A_N{i}")).await, ErrorCode::SourceUnavailable);
    }
    assert_eq!(world.calls(), 5, "after five failures in a row nobody asks");
    world.wait(2);
    for i in 0..50 {
        service.refusal(&format!("A_N{i}")).await;
    }
    assert_eq!(world.calls(), 1, "one probe");
    world.aws.clear_faults();
    world.aws.put("A_B_production", "v");
    world.wait(16);
    assert_eq!(service.value("A_B").await, "v");
    assert_eq!(service.read("A_N1").await.expect("absent"), None);
}

#[tokio::test]
async fn a_secret_that_aws_cannot_serve_does_not_close_the_way_to_the_others() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    world.aws.fault(Fault::error(400, "InvalidRequestException").secret("A_BAD_production"));
    let service = world.deliver("production", json!({ "aws": { "maxAttempts": 3 } }));
    for _ in 0..20 {
        assert_eq!(service.refusal("A_BAD").await, ErrorCode::SourceUnavailable);
    }
    assert_eq!(world.calls(), 20, "asking again at once would change nothing");
    assert_eq!(service.value("A_B").await, "v");
}

#[tokio::test]
async fn half_answers_are_asked_for_again_and_never_a_value() {
    let answers =
        ["", "{", "null", "[]", "{}", r#"{"SecretString":5}"#, r#"{"SecretBinary":"%%"}"#, r#"{"VersionId":"v"}"#];
    for text in answers {
        let world = World::new().await;
        world.aws.put("A_B_production", "v");
        world.aws.fault(Fault::body(200, text).times(1));
        let service = world.deliver("production", json!({ "aws": { "maxAttempts": 2 } }));
        assert_eq!(service.value("A_B").await, "v", "after {text:?}");
        world.aws.fault(Fault::body(200, text));
        world.wait(10_000);
        assert_eq!(service.refusal("A_B").await, ErrorCode::SourceResponseInvalid, "{text:?}");
    }
}

#[tokio::test]
async fn an_answer_longer_than_any_of_aws_is_refused_without_being_read() {
    let world = World::new().await;
    let value = |length: usize| format!(r#"{{"SecretString":"{}"}}"#, "x".repeat(length));
    let service = world.deliver("production", json!({}));
    for length in [100_000, 10 * 1024 * 1024] {
        world.aws.fault(Fault::body(200, &value(length)));
        let code = service.refusal("A_B").await;
        assert!(matches!(code, ErrorCode::SourceResponseInvalid | ErrorCode::SourceUnavailable), "{code}");
        world.aws.clear_faults();
    }
}

#[tokio::test]
async fn this_process_asks_no_faster_than_it_may() {
    let world = World::new().await;
    world.aws.deny(&["BatchGetSecretValue"], None);
    let options = json!({ "aws": { "requestsPerSecond": 10, "timeoutMs": 400 } });
    let service = world.deliver("production", options);
    let names: Vec<String> = (0..60).map(|i| format!("A_N{i}")).collect();
    let answers = join_all(names.iter().map(|name| service.read(name))).await;
    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    let asked = world.calls();
    // 10 at once and 4 more within the deadline; a refused batch is one of them.
    assert!((10..=15).contains(&asked), "{asked} calls");
    assert!(refused >= 45, "{refused} refused");
    for error in answers.into_iter().filter_map(Result::err) {
        assert!(matches!(error.code(), ErrorCode::SourceUnavailable | ErrorCode::SourceTimeout), "{error}");
    }
}

#[tokio::test]
async fn a_throttling_storm_leaves_hot_secrets_alone() {
    let world = World::new().await;
    world.aws.put("A_HOT_production", "v");
    let service = world.deliver("production", json!({ "aws": { "timeoutMs": 500, "maxAttempts": 3 } }));
    service.value("A_HOT").await;
    world.aws.fault(Fault::error(400, "ThrottlingException").probability(0.9));
    for second in 0..600 {
        world.wait(1);
        assert_eq!(service.value("A_HOT").await, "v", "second {second}");
        if second % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

// ---- regions ----

fn with_replica(replica: &AwsEndpoint) -> Json {
    json!({ "aws": { "failoverRegions": [{ "region": "eu-west-1", "endpoint": replica.url() }] } })
}

#[tokio::test]
async fn a_replica_answers_while_the_primary_fails_and_the_primary_when_it_is_back() {
    let world = World::new().await;
    let replica = AwsEndpoint::start().await.expect("a free port");
    world.aws.put("A_B_production", "same");
    replica.put("A_B_production", "same");
    let service = world.deliver("production", with_replica(&replica));
    assert_eq!(service.value("A_B").await, "same");
    assert_eq!(replica.calls().total, 0);
    world.aws.fault(outage());
    service.delivery.cache_clear().await.expect("memory only");
    assert_eq!(service.value("A_B").await, "same");
    assert_eq!(replica.calls().total, 1);
    let version = service.explain("A_B").await.version_id.expect("a version");
    assert!(version.ends_with("@eu-west-1"), "{version}");
    world.aws.clear_faults();
    world.wait(16);
    service.delivery.cache_clear().await.expect("memory only");
    service.value("A_B").await;
    assert_eq!(replica.calls().total, 1, "the primary is asked again");
    assert!(world.heard.rotated().is_empty(), "another region's version id is no rotation");
}

#[tokio::test]
async fn while_the_primary_is_known_to_fail_the_replica_is_asked_at_once() {
    let world = World::new().await;
    let replica = AwsEndpoint::start().await.expect("a free port");
    for i in 0..30 {
        replica.put(&format!("A_N{i}_production"), "v");
    }
    world.aws.fault(outage());
    let service = world.deliver("production", with_replica(&replica));
    for i in 0..30 {
        assert_eq!(service.value(&format!("A_N{i}")).await, "v");
    }
    assert_eq!(world.calls(), 5);
}

#[tokio::test]
async fn a_hanging_primary_leaves_time_for_the_replica() {
    let world = World::new().await;
    let replica = AwsEndpoint::start().await.expect("a free port");
    replica.put("A_B_production", "v");
    world.aws.fault(Fault::hang());
    let mut options = with_replica(&replica);
    options["aws"]["timeoutMs"] = json!(1000);
    let service = world.deliver("production", options);
    assert_eq!(service.value("A_B").await, "v");
}

#[tokio::test]
async fn a_replica_without_the_secret_or_the_right_to_it_says_nothing_about_the_primary() {
    for denied in [false, true] {
        let mut world = World::new().await;
        world.variable("A_B", "runtime");
        let replica = AwsEndpoint::start().await.expect("a free port");
        if denied {
            replica.deny(&["GetSecretValue"], None);
        }
        world.aws.fault(outage());
        let service = world.deliver("production", with_replica(&replica));
        assert_eq!(service.refusal("A_B").await, ErrorCode::SourceUnavailable, "denied: {denied}");
    }
}

#[tokio::test]
async fn what_the_primary_answers_about_a_secret_is_not_asked_elsewhere() {
    let world = World::new().await;
    let replica = AwsEndpoint::start().await.expect("a free port");
    replica.put("A_B_production", "old");
    replica.put("A_C_production", "old");
    world.aws.put("A_C_production", "v");
    world.aws.deny(&["GetSecretValue"], Some(&["A_C_production"]));
    let service = world.deliver("production", with_replica(&replica));
    assert_eq!(service.read("A_B").await.expect("absent"), None);
    assert_eq!(service.refusal("A_C").await, ErrorCode::SecretAccessDenied);
    assert_eq!(replica.calls().total, 0);
}

// ---- refresh and rotation ----

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

// ---- the worst case ----

const KEYS: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

fn with_snapshot(world: &World) -> Json {
    let path = world.directory.path().join("last-known-good");
    json!({ "cache": { "snapshotPath": path, "encryptionKeys": [{ "id": "k", "key": KEYS }] } })
}

#[tokio::test]
async fn a_fresh_process_serves_the_snapshot_while_aws_is_down() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    let first = world.deliver("production", with_snapshot(&world));
    first.value("A_B").await;
    first.delivery.close().await;
    world.aws.fault(outage());
    world.wait(1000);
    let second = world.deliver("production", with_snapshot(&world));
    assert_eq!(second.value("A_B").await, "v");
    assert_eq!(second.delivery.metrics().stale.load(Ordering::Relaxed), 1);
    assert_eq!(second.refusal("A_C").await, ErrorCode::SourceUnavailable);
    assert_eq!(second.delivery.metrics().retrieved_from(Origin::Memory), 1);
    world.wait(3000);
    let third = world.deliver("production", with_snapshot(&world));
    assert_eq!(third.refusal("A_B").await, ErrorCode::SourceUnavailable, "older than maxStaleSeconds");
}

#[tokio::test]
async fn what_was_denied_is_not_in_the_snapshot() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    let first = world.deliver("production", with_snapshot(&world));
    first.value("A_B").await;
    world.aws.deny(&["GetSecretValue"], None);
    world.wait(301);
    assert_eq!(first.refusal("A_B").await, ErrorCode::SecretAccessDenied);
    first.delivery.close().await;
    world.aws.allow_all();
    world.aws.fault(outage());
    let second = world.deliver("production", with_snapshot(&world));
    assert_eq!(second.refusal("A_B").await, ErrorCode::SourceUnavailable);
}
