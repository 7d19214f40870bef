//! Whose copies an instance may use (decision 031).

use aws_endpoint::AwsEndpoint;
use secret::error::ErrorCode;
use serde_json::{Value as Json, json};

use crate::support::redis_server::RedisServer;
use crate::support::{World, merge, until};

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
