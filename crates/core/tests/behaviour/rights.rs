//! Whose copies an instance may use (decision 031).

use std::time::Duration;

use aws_endpoint::{AwsEndpoint, Fault};
use secret::error::ErrorCode;
use serde_json::{Value as Json, json};

use crate::support::redis_server::RedisServer;
use crate::support::{Service, World, merge, outage, secret, until};

const COPY: &str = "secret:A_B_production";
const READ: &[&str] = &["GetSecretValue"];

/// Options of an instance whose AWS is `aws`: another identity of the same account.
fn identity(redis: &RedisServer, aws: &AwsEndpoint, cache: &Json) -> Json {
    let mut options = redis.options(cache);
    merge(&mut options, json!({ "aws": { "endpoint": aws.url() } }));
    options
}

#[tokio::test]
async fn what_aws_denied_a_process_is_not_taken_from_the_copies_of_others_until_it_is_granted() {
    let (world, redis, other) = (World::new().await, RedisServer::start(), AwsEndpoint::start().await.expect("a port"));
    world.aws.put("A_B_production", "v");
    other.put("A_B_production", "v");
    let granted = world.deliver("production", redis.options(&json!({})));
    let denied = world.deliver("production", identity(&redis, &other, &json!({})));
    other.deny(READ, None);
    assert_eq!(denied.refusal("A_B").await, ErrorCode::SecretAccessDenied);
    assert_eq!(granted.value("A_B").await, "v");
    until("it is shared", || redis.has(COPY)).await;
    for _ in 0..3 {
        world.wait(6);
        assert_eq!(denied.refusal("A_B").await, ErrorCode::SecretAccessDenied);
    }
    other.allow_all();
    world.wait(6);
    assert_eq!(denied.value("A_B").await, "v");
}

#[tokio::test]
async fn a_denial_takes_nobody_elses_copies_away() {
    let (world, redis, other) = (World::new().await, RedisServer::start(), AwsEndpoint::start().await.expect("a port"));
    world.aws.put("A_B_production", "v");
    let granted = world.deliver("production", redis.options(&json!({})));
    granted.follow("A_B").await;
    until("it is shared", || redis.has(COPY)).await;
    other.put("A_B_production", "v");
    other.deny(READ, None);
    let denied = world.deliver("production", identity(&redis, &other, &json!({})));
    world.calls();
    for _ in 0..5 {
        denied.refresh("A_B").await.expect_err("denied");
        assert_eq!(granted.hot("A_B").as_deref(), Some("v"));
    }
    assert!(redis.has(COPY));
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn a_process_whose_right_was_revoked_stops_within_the_time_of_an_access_check() {
    let (world, redis, other) = (World::new().await, RedisServer::start(), AwsEndpoint::start().await.expect("a port"));
    world.aws.put("A_B_production", "v");
    other.put("A_B_production", "v");
    let granted = world.deliver("production", redis.options(&json!({})));
    let revoked = world.deliver("production", identity(&redis, &other, &json!({ "accessCheckSeconds": 600 })));
    granted.follow("A_B").await;
    until("it is shared", || redis.has(COPY)).await;
    other.deny(READ, None);
    revoked.follow("A_B").await;
    assert_eq!(other.calls().total, 0, "it lives of the copies of others");
    world.wait(601);
    until("it asked", || other.calls().total > 0).await;
    until("it stopped", || revoked.hot("A_B").is_none()).await;
    assert_eq!(revoked.refusal("A_B").await, ErrorCode::SecretAccessDenied);
    assert_eq!(granted.value("A_B").await, "v");
}

/// A service that had its secrets from AWS itself, asks `other`, and lived on its own copies for 300 seconds. Another service
/// has shared newer copies since.
async fn lived_on_its_own_copies<'w>(
    world: &'w World,
    redis: &RedisServer,
    other: &AwsEndpoint,
) -> (Service<'w>, Vec<String>) {
    let names: Vec<String> = (0..6).map(|i| format!("A_N{i}")).collect();
    for name in &names {
        world.aws.put(&format!("{name}_production"), "v");
        other.put(&format!("{name}_production"), "v");
    }
    let checked = world.deliver("production", identity(redis, other, &json!({ "accessCheckSeconds": 600 })));
    for name in &names {
        assert_eq!(checked.value(name).await, "v");
    }
    world.wait(600);
    let granted = world.deliver("production", redis.options(&json!({})));
    for name in &names {
        assert_eq!(granted.value(name).await, "v");
    }
    until("all is shared", || names.iter().all(|name| redis.has(&format!("secret:{name}_production")))).await;
    (checked, names)
}

#[tokio::test]
async fn a_process_that_lived_on_its_own_copies_asks_aws_once_its_last_answer_is_a_period_old() {
    let (world, redis, other) = (World::new().await, RedisServer::start(), AwsEndpoint::start().await.expect("a port"));
    let (revoked, names) = lived_on_its_own_copies(&world, &redis, &other).await;
    other.deny(READ, None);
    for name in &names {
        assert_eq!(revoked.refusal(name).await, ErrorCode::SecretAccessDenied, "{name}");
    }
}

#[tokio::test]
async fn where_aws_fails_the_copies_of_others_answer_also_when_a_check_is_overdue() {
    let (world, redis, other) = (World::new().await, RedisServer::start(), AwsEndpoint::start().await.expect("a port"));
    let (checked, names) = lived_on_its_own_copies(&world, &redis, &other).await;
    other.fault(outage());
    for name in &names {
        assert_eq!(checked.value(name).await, "v", "{name}");
    }
}

#[tokio::test]
async fn a_denial_in_a_group_counts_before_the_others_are_answered() {
    let (world, redis, other) = (World::new().await, RedisServer::start(), AwsEndpoint::start().await.expect("a port"));
    for name in ["A_DENIED_production", "A_SLOW_production"] {
        world.aws.put(name, "v");
        other.put(name, "v");
    }
    let granted = world.deliver("production", redis.options(&json!({})));
    let grouped = world.deliver("production", identity(&redis, &other, &json!({})));
    grouped.follow("A_DENIED").await;
    grouped.delivery.cache_invalidate(&secret("A_DENIED")).await.expect("dropped");
    world.clock.advance(Duration::from_millis(10));
    other.deny(READ, Some(&["A_DENIED_production"]));
    other.deny(&["BatchGetSecretValue"], None);
    other.fault(Fault::delay(Duration::from_millis(1500)).secret("A_SLOW_production"));
    let both = ["A_DENIED", "A_SLOW"].map(str::to_owned);
    let (read, ()) = tokio::join!(grouped.together(&both), async {
        let cache = grouped.delivery.reads().cache().expect("a cache");
        until("AWS denied it", || cache.is_denied(&secret("A_DENIED"))).await;
        assert_eq!(granted.value("A_DENIED").await, "v");
        until("it is shared", || redis.has("secret:A_DENIED_production")).await;
        assert_eq!(grouped.refusal("A_DENIED").await, ErrorCode::SecretAccessDenied);
        assert!(!grouped.delivery.reads().is_idle(), "the other one is still asked for");
    });
    assert!(read[0].is_err() && read[1].is_ok());
}
