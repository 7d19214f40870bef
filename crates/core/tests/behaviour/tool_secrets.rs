//! `getToolSecrets`: batches, their permissions, and errors inside them.

use std::time::Duration;

use crate::support::redis_server::RedisServer;
use crate::support::{World, secret, until};
use aws_endpoint::Fault;
use secret::error::ErrorCode;
use secret::value::SecretValue;
use serde_json::{Value as Json, json};
use tcs_secret_delivery_core::resolver::Freshness;

/// Declares `count` secrets of the tool `big`.
fn declared(count: usize) -> Json {
    let secrets: serde_json::Map<String, Json> = (0..count).map(|i| (format!("n{i}"), json!({}))).collect();
    json!({ "tools": { "big": { "secrets": secrets } } })
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(kind, value)| ((*kind).to_owned(), (*value).to_owned())).collect()
}

fn fill(world: &World, count: usize, environment: &str) {
    for i in 0..count {
        world.aws.put(&format!("BIG_N{i}_{environment}"), &format!("v{i}"));
    }
}

#[tokio::test]
async fn a_hundred_declared_secrets_cost_five_batch_calls() {
    let world = World::new().await;
    fill(&world, 100, "production");
    let service = world.deliver("production", declared(100));
    assert_eq!(service.tool("big").await.expect("no failure").len(), 100);
    let calls = world.aws.calls();
    assert_eq!((calls.total, calls.by_operation.get("BatchGetSecretValue")), (5, Some(&5)));
    // Each of them is cached for single reads too.
    assert_eq!(service.value("BIG_N99").await, "v99");
    assert_eq!(world.aws.calls().total, 5);
}

#[tokio::test]
async fn a_hundred_discovered_secrets_cost_at_most_six_calls() {
    let world = World::new().await;
    fill(&world, 100, "production");
    world.aws.put("BIGGER_X_production", "another tool's");
    world.aws.put("BIG_N1_staging", "another environment's");
    let service = world.deliver("production", json!({}));
    let found = service.tool("big").await.expect("no failure");
    assert_eq!(found.len(), 100);
    assert!(found.contains(&("n7".into(), "v7".into())));
    assert!(world.calls() <= 6);
    service.tool("big").await.expect("no failure");
    assert_eq!(world.calls(), 0, "the listing is cached with its values");
}

#[tokio::test]
async fn without_the_batch_permission_secrets_are_read_one_by_one_and_the_refusal_is_remembered() {
    let world = World::new().await;
    fill(&world, 30, "production");
    world.aws.deny(&["BatchGetSecretValue"], None);
    let service = world.deliver("production", declared(30));
    assert_eq!(service.tool("big").await.expect("no failure").len(), 30);
    let calls = world.aws.calls();
    assert_eq!(calls.by_operation.get("GetSecretValue"), Some(&30));
    let refused = calls.by_operation["BatchGetSecretValue"];
    assert!(refused <= 2, "one refusal a batch at most, was {refused}");
    assert_eq!(world.heard.warnings().first(), Some(&"BATCH_NOT_GRANTED"));
    service.delivery.cache_clear().await.expect("memory only");
    world.calls();
    service.tool("big").await.expect("no failure");
    assert_eq!(world.aws.calls().by_operation.get("BatchGetSecretValue"), None);
}

#[tokio::test]
async fn an_error_of_one_secret_inside_a_batch_is_not_lost() {
    let world = World::new().await;
    fill(&world, 3, "production");
    fill(&world, 3, "staging");
    world.aws.deny(&["GetSecretValue"], Some(&["BIG_N1_production", "BIG_N1_staging"]));
    let production = world.deliver("production", declared(3));
    assert_eq!(production.tool("big").await.expect_err("denied").code(), ErrorCode::SecretAccessDenied);
    // The others were cached on the way.
    assert_eq!(production.value("BIG_N0").await, "v0");
    let mut world = world;
    world.variable("BIG_N1", "runtime");
    let staging = world.deliver("staging", declared(3));
    let expected = pairs(&[("n0", "v0"), ("n1", "runtime"), ("n2", "v2")]);
    assert_eq!(staging.tool("big").await.expect("next source"), expected);
}

#[tokio::test]
async fn a_secret_that_a_batch_does_not_find_comes_from_the_next_source_or_is_left_out() {
    let mut world = World::new().await;
    world.variable("BIG_N1", "runtime");
    world.aws.put("BIG_N0_production", "v0");
    let service = world.deliver("production", declared(3));
    assert_eq!(service.tool("big").await.expect("no failure"), pairs(&[("n0", "v0"), ("n1", "runtime")]));
}

#[tokio::test]
async fn what_a_batch_leaves_out_without_a_word_is_not_absent_but_asked_for_alone() {
    let world = World::new().await;
    fill(&world, 2, "production");
    world.aws.fault(Fault::body(200, r#"{"SecretValues":[],"Errors":[]}"#).operation("BatchGetSecretValue"));
    let service = world.deliver("production", declared(2));
    assert_eq!(service.tool("big").await.expect("no failure"), pairs(&[("n0", "v0"), ("n1", "v1")]));
}

#[tokio::test]
async fn an_outage_serves_a_tools_stale_copies() {
    for more in [declared(3), json!({})] {
        let world = World::new().await;
        fill(&world, 3, "production");
        let service = world.deliver("production", more);
        let before = service.tool("big").await.expect("no failure");
        world.aws.fault(Fault::error(500, "InternalServiceError"));
        world.wait(301);
        assert_eq!(service.tool("big").await.expect("stale copies"), before);
        world.wait(3601);
        assert_eq!(service.tool("big").await.expect_err("too old").code(), ErrorCode::SourceUnavailable);
    }
}

#[tokio::test]
async fn listing_without_permission_still_finds_what_other_sources_name() {
    let mut world = World::new().await;
    world.variable("BIG_N0", "runtime");
    world.file(".env.staging", "BIG_N1=file\nBIGGER=not of this tool\nBIG_lower=unreachable\n");
    world.aws.put("BIG_N1_staging", "aws");
    world.aws.deny(&["ListSecrets", "BatchGetSecretValue"], None);
    let service = world.deliver("staging", json!({}));
    assert_eq!(service.tool("big").await.expect("no failure"), pairs(&[("n0", "runtime"), ("n1", "aws")]));
    let production = world.deliver("production", json!({}));
    assert_eq!(production.tool("big").await.expect_err("denied").code(), ErrorCode::SecretAccessDenied);
}

#[tokio::test]
async fn a_longer_declared_tool_owns_its_keys_in_every_source() {
    let mut world = World::new().await;
    world.aws.put("GIT_TOKEN_staging", "git");
    world.aws.put("GIT_HUB_TOKEN_staging", "hub");
    world.variable("GIT_HUB_RUNTIME", "hub");
    world.file(".env.staging", "GIT_HUB_FILE=hub\nGIT_FILE=git\n");
    let hub = json!({ "tools": { "git_hub": { "secrets": { "token": {}, "runtime": {}, "file": {} } } } });
    let service = world.deliver("staging", hub);
    assert_eq!(service.tool("git").await.expect("no failure"), pairs(&[("file", "git"), ("token", "git")]));
    let expected = pairs(&[("file", "hub"), ("runtime", "hub"), ("token", "hub")]);
    assert_eq!(service.tool("git_hub").await.expect("no failure"), expected);
}

#[tokio::test]
async fn a_thousand_readers_of_one_cold_secret_make_one_call() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    world.aws.fault(Fault::delay(std::time::Duration::from_millis(50)));
    let service = world.deliver("production", json!({}));
    let reads = (0..1000).map(|_| service.value("A_B"));
    let values = futures_util::future::join_all(reads).await;
    assert!(values.iter().all(|value| value == "v"));
    assert_eq!(world.calls(), 1);
}

#[tokio::test]
async fn cold_reads_of_many_secrets_open_a_bounded_number_of_connections() {
    let world = World::new().await;
    for i in 0..300 {
        world.aws.put(&format!("C_N{i}_production"), "v");
    }
    let service = world.deliver("production", json!({}));
    let names: Vec<String> = (0..300).map(|i| format!("C_N{i}")).collect();
    futures_util::future::join_all(names.iter().map(|name| service.value(name))).await;
    let opened = world.aws.calls().connections_opened;
    assert!(opened <= 64, "{opened} connections");
}

#[tokio::test]
async fn a_remembered_list_hides_neither_a_secret_that_was_read_since_nor_one_that_a_lower_source_has() {
    let mut world = World::new().await;
    world.variable("A_LATER", "variable");
    world.aws.put("A_ONE_production", "1");
    let service = world.deliver("production", json!({}));
    let before = [("later".to_owned(), "variable".to_owned()), ("one".to_owned(), "1".to_owned())];
    assert_eq!(service.tool("a").await.expect("read"), before);
    world.aws.put("A_LATER_production", "aws");
    world.aws.put("A_TWO_production", "2");
    assert_eq!(service.value("A_TWO").await, "2");
    // No longer than a single read remembers that a secret is missing.
    world.wait(6);
    let after = [("later", "aws"), ("one", "1"), ("two", "2")].map(|(kind, value)| (kind.to_owned(), value.to_owned()));
    assert_eq!(service.tool("a").await.expect("read"), after);
}

#[tokio::test]
async fn a_remembered_list_is_as_old_as_its_question() {
    let world = World::new().await;
    world.aws.put("A_ONE_production", "1");
    let service = world.deliver("production", json!({}));
    assert_eq!(service.tool("a").await.expect("read"), pairs(&[("one", "1")]));
    world.aws.put("A_TWO_production", "2");
    let both = pairs(&[("one", "1"), ("two", "2")]);
    let of_age = |seconds| Freshness::Within(Duration::from_secs(seconds));
    assert_eq!(service.tool_as("a", of_age(60)).await.expect("read"), pairs(&[("one", "1")]), "it is young enough");
    world.wait(2);
    assert_eq!(service.tool_as("a", of_age(1)).await.expect("read"), both);
    world.aws.put("A_THREE_production", "3");
    let three = pairs(&[("one", "1"), ("three", "3"), ("two", "2")]);
    assert_eq!(service.tool_as("a", of_age(0)).await.expect("read"), three);
    // As long as a single read remembers that a secret is missing.
    world.aws.put("A_ZERO_production", "0");
    world.wait(6);
    assert_eq!(service.tool("a").await.expect("read").len(), 4);
}

#[tokio::test]
async fn what_another_instance_says_of_a_secret_joins_the_list_of_its_tool() {
    let (world, redis) = (World::new().await, RedisServer::start());
    world.aws.put("A_ONE_production", "1");
    let [here, there] = [0, 1].map(|_| world.deliver("production", redis.options(&json!({}))));
    here.follow("A_ONE").await;
    assert_eq!(here.tool("a").await.expect("read").len(), 1);
    world.aws.put("A_TWO_production", "2");
    assert_eq!(there.value("A_TWO").await, "2");
    let cache = || there.delivery.reads().cache().expect("a cache");
    cache().set(&secret("A_MADE"), SecretValue::copied("m"), Some(Duration::from_hours(1))).await.expect("shared");
    let expected = pairs(&[("made", "m"), ("one", "1"), ("two", "2")]);
    let heard = async {
        while here.tool("a").await.expect("read") != expected {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), heard).await.expect("both join it");
    // A list of AWS, which does not have what was put by hand.
    world.wait(10);
    assert_eq!(here.tool("a").await.expect("read"), expected);
    cache().invalidate(&secret("A_MADE")).await.expect("dropped");
    until("it is gone", || here.hot("A_MADE").is_none()).await;
    world.wait(10);
    assert_eq!(here.tool("a").await.expect("read"), pairs(&[("one", "1"), ("two", "2")]));
}

#[tokio::test]
async fn a_list_that_fails_makes_no_secret_missing() {
    let mut world = World::new().await;
    world.variable("A_LATER", "variable");
    world.aws.put("A_ONE_production", "1");
    let service = world.deliver("production", json!({}));
    assert_eq!(service.tool("a").await.expect("read").len(), 2);
    world.aws.put("A_TWO_production", "2");
    assert_eq!(service.value("A_TWO").await, "2");
    world.wait(301);
    world.aws.fault(Fault::error(400, "ThrottlingException").operation("BatchGetSecretValue"));
    let expected = pairs(&[("later", "variable"), ("one", "1"), ("two", "2")]);
    assert_eq!(service.tool("a").await.expect("single reads"), expected);
    world.wait(301);
    world.aws.fault(crate::support::outage());
    // Whether AWS has it is not known, as a single read says.
    assert_eq!(service.refusal("A_LATER").await, ErrorCode::SourceUnavailable);
    assert_eq!(service.tool("a").await.expect_err("as well").code(), ErrorCode::SourceUnavailable);
}
