//! What is asked of an AWS that refuses or fails: memory of refusals, retries, breaker, limits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_endpoint::Fault;
use futures_util::future::join_all;
use secret::breaker::BreakerState;
use secret::clock::Stopwatch;
use secret::error::ErrorCode;
use serde_json::json;

use crate::support::{World, outage, until};

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
async fn a_held_secret_that_aws_will_not_serve_is_asked_for_ever_less_often() {
    let world = World::new().await;
    world.aws.put("A_B_production", "one");
    let service = world.deliver("production", json!({}));
    service.value("A_B").await;
    world.calls();
    let second_of_reads = async || {
        world.wait(1);
        assert!(service.hot("A_B").is_some(), "served at once, fresh or held");
        until("the refresh ended", || service.delivery.reads().is_idle()).await;
    };
    for round in ["the first time", "after a success"] {
        world.aws.fault(Fault::error(400, "SomethingNewException"));
        world.wait(271);
        // Ten minutes, into the time when the copy is past its TTL.
        let mut asked = Vec::new();
        for second in 0..600 {
            second_of_reads().await;
            if world.calls() > 0 {
                asked.push(second);
            }
        }
        let waits: Vec<_> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!((10..=25).contains(&asked.len()), "{round}: asked at {asked:?}");
        assert!(waits[0] <= 4, "{round}: it may have been for a moment, {asked:?}");
        world.aws.clear_faults();
        let (before, mut waited) = (service.asked_at("A_B"), 0);
        while service.asked_at("A_B") == before {
            second_of_reads().await;
            waited += 1;
        }
        assert!(waited <= 62, "{round}: a success is noticed after {waited} s");
        world.calls();
    }
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
async fn a_read_with_a_copy_does_not_wait_for_aws_to_throttle_no_longer() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    let service = world.deliver("production", json!({ "cache": { "ttlSeconds": 1 } }));
    service.value("A_B").await;
    world.wait(3);
    world.aws.fault(Fault::error(400, "ThrottlingException"));
    let watch = Stopwatch::start();
    assert_eq!(service.value("A_B").await, "v");
    assert!(watch.took() < Duration::from_secs(2), "{:?}", watch.took());
}

#[tokio::test]
async fn throttled_calls_open_no_breaker_and_are_made_again_until_aws_answers() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    let service = world.deliver("production", json!({ "aws": { "maxAttempts": 2, "timeoutMs": 20_000 } }));
    world.aws.fault(Fault::error(400, "ThrottlingException").times(4));
    assert_eq!(service.value("A_B").await, "v");
    assert_eq!(world.calls(), 5);
    // Until its deadline.
    world.aws.fault(Fault::error(400, "ThrottlingException"));
    let service = world.deliver("production", json!({ "aws": { "timeoutMs": 2000 } }));
    let refused = service.read("A_B").await.expect_err("throttled");
    assert_eq!(refused.code(), ErrorCode::SourceUnavailable, "{refused}");
    assert!(refused.is_throttled(), "{refused}");
    let breakers = service.delivery.reads().breakers();
    assert!(breakers.iter().all(|(_, state)| *state == BreakerState::Closed), "{breakers:?}");
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
