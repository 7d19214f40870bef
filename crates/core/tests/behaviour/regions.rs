//! Fail-over to replica regions.

use std::time::Duration;

use aws_endpoint::{AwsEndpoint, Fault};
use secret::error::ErrorCode;
use serde_json::{Value as Json, json};

use crate::support::redis_server::RedisServer;
use crate::support::{World, merge, outage};
use tcs_secret_delivery_core::timer::Deadline;

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

#[tokio::test]
async fn what_a_replica_says_of_versions_is_no_news_to_wait_for() {
    let world = World::new().await;
    let replica = AwsEndpoint::start().await.expect("a free port");
    world.aws.put("DB_PASSWORD_production", "old");
    replica.put("DB_PASSWORD_production", "old");
    let mut options = with_replica(&replica);
    options["events"] = json!({ "pollSeconds": 60 });
    options["cache"] = json!({ "ttlSeconds": 3000, "refreshAhead": false });
    let service = world.deliver("production", options);
    assert_eq!(service.value("DB_PASSWORD").await, "old");
    world.aws.fault(outage());
    passes(&world, "the replica is asked", || replica.calls().total > 0).await;
    world.aws.clear_faults();
    world.aws.put("DB_PASSWORD_production", "new");
    passes(&world, "the next look", || !world.heard.rotated().is_empty()).await;
    assert_eq!(service.hot("DB_PASSWORD").as_deref(), Some("new"));
}

/// Lets the clock run until `what` is so: in far less than the ten seconds that a new version is waited for.
async fn passes(world: &World, what: &str, is_so: impl Fn() -> bool) {
    let end = Deadline::after(Duration::from_secs(5));
    while !is_so() {
        assert!(!end.has_passed(), "{what}: not in time");
        world.wait(10);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The ARN of a secret, as AWS gives it.
fn arn(region: &str, name: &str) -> String {
    format!("arn:aws:secretsmanager:{region}:000000000000:secret:{name}")
}

#[tokio::test]
async fn the_arn_of_a_reference_is_asked_for_in_the_replicas_region_with_that_region_in_it() {
    let world = World::new().await;
    let replica = AwsEndpoint::start().await.expect("a free port");
    replica.in_region("eu-west-1");
    for name in ["shared/a", "shared/b", "shared/c", "N_production"] {
        replica.put(name, "replica's");
    }
    world.aws.fault(outage());
    let mut options = with_replica(&replica);
    options["aws"]["region"] = json!("eu-central-1");
    let place = |name: &str| json!({ "aws": arn("eu-central-1", name) });
    options["secrets"] = json!({ "A": place("shared/a"), "B": place("shared/b"), "C": place("shared/c") });
    let service = world.deliver("production", options);
    assert_eq!(service.value("A").await, "replica's");
    // Once the own account is known, they are asked for together.
    assert_eq!(service.value("N").await, "replica's");
    replica.reset_calls();
    for answer in service.together(&["B".to_owned(), "C".to_owned()]).await {
        assert_eq!(answer.expect("an answer").as_deref(), Some("replica's"));
    }
    assert_eq!(replica.calls().by_operation.get("BatchGetSecretValue"), Some(&1));
    assert_eq!(replica.calls().total, 1);
}

/// The primary has `APP_A`, `APP_B` and `APP_C`; the replica's region lacks `APP_B`, or denies it.
#[expect(clippy::expect_used, reason = "the beginning of tests")]
async fn without_one_replica(denied: bool) -> (World, AwsEndpoint) {
    let (world, replica) = (World::new().await, AwsEndpoint::start().await.expect("a free port"));
    for name in ["A", "B", "C"] {
        world.aws.put(&format!("APP_{name}_production"), name);
    }
    for name in ["A", "C"] {
        replica.put(&format!("APP_{name}_production"), name);
    }
    if denied {
        replica.put("APP_B_production", "B");
        replica.deny(&["GetSecretValue"], Some(&["APP_B_production"]));
    }
    (world, replica)
}

#[tokio::test]
async fn what_a_batch_of_a_replicas_region_does_not_give_is_neither_missing_nor_denied() {
    let names = ["APP_A", "APP_B", "APP_C"].map(str::to_owned);
    for denied in [false, true] {
        let (world, replica) = without_one_replica(denied).await;
        let [known, cold] = [0, 1].map(|_| world.deliver("production", with_replica(&replica)));
        known.together(&names).await;
        world.aws.fault(outage());
        world.wait(301);
        for _ in 0..2 {
            let stale: Vec<_> =
                known.together(&names).await.into_iter().map(|answer| answer.expect("a copy")).collect();
            assert_eq!(stale, ["A", "B", "C"].map(|value| Some(value.to_owned())), "denied: {denied}");
        }
        let [a, b, c] = &cold.together(&names).await[..] else { panic!("three answers") };
        let text = |answer: &secret::error::Result<Option<String>>| answer.clone().expect("the replica's");
        assert_eq!([text(a), text(c)], ["A", "C"].map(|value| Some(value.to_owned())));
        let refused = b.clone().expect_err("nobody knows");
        assert_eq!(refused.code(), ErrorCode::SourceUnavailable, "denied: {denied}");
    }
}

#[tokio::test]
async fn no_listing_of_a_replicas_region_says_which_secrets_a_tool_has() {
    let (world, replica) = without_one_replica(false).await;
    let [known, cold] = [0, 1].map(|_| world.deliver("production", with_replica(&replica)));
    let all = known.tool("app").await.expect("listed");
    world.aws.fault(outage());
    world.wait(301);
    assert_eq!(known.tool("app").await.expect("copies"), all);
    assert_eq!(cold.tool("app").await.expect_err("nobody knows").code(), ErrorCode::SourceUnavailable);
    // Read one by one, the names that are known have the values of the replica.
    world.wait(4000);
    assert_eq!(known.refusal("APP_B").await, ErrorCode::SourceUnavailable);
    assert_eq!(known.tool("app").await.expect_err("as the single read").code(), ErrorCode::SourceUnavailable);
    replica.put("APP_B_production", "B");
    world.wait(60);
    assert_eq!(known.tool("app").await.expect("the replica's"), all);
}

#[tokio::test]
async fn a_token_of_the_primary_is_not_given_to_a_replicas_region() {
    let (world, replica) = (World::new().await, AwsEndpoint::start().await.expect("a free port"));
    for aws in [&world.aws, &replica] {
        for i in 0..30 {
            aws.put(&format!("APP_N{i}_production"), "v");
        }
    }
    let service = world.deliver("production", with_replica(&replica));
    // The second page.
    world.aws.fault(Fault::delay(Duration::ZERO).operation("BatchGetSecretValue").times(1));
    world.aws.fault(outage().operation("BatchGetSecretValue"));
    assert!(service.tool("app").await.is_err());
    assert_eq!(replica.calls().by_operation.get("BatchGetSecretValue"), None);
}

#[tokio::test]
async fn an_older_version_in_a_replicas_region_is_no_news() {
    let (world, redis) = (World::new().await, RedisServer::start());
    let replica = AwsEndpoint::start().await.expect("a free port");
    world.aws.put("A_B_production", "new");
    world.aws.date("A_B_production", 2_000_000);
    replica.put("A_B_production", "old");
    replica.date("A_B_production", 1_000_000);
    let mut options = redis.options(&json!({}));
    merge(&mut options, with_replica(&replica));
    let here = world.deliver("production", options.clone());
    here.follow("A_B").await;
    crate::support::until("it is shared", || redis.has("secret:A_B_production")).await;
    world.aws.fault(outage());
    for _ in 0..5 {
        world.wait(301);
        assert_eq!(here.value("A_B").await, "new");
        world.wait(5);
        assert_eq!(here.value("A_B").await, "new");
        assert_eq!(here.refresh("A_B").await.expect_err("the primary fails").code(), ErrorCode::SourceUnavailable);
    }
    let explanation = here.explain("A_B").await;
    assert!(explanation.stale, "it is flagged");
    // One that begins now has the shared copy only.
    let begun = world.deliver("production", options);
    assert_eq!(begun.value("A_B").await, "new");
    // Nothing that they share is on its way any more.
    here.delivery.close().await;
    begun.delivery.close().await;
    let without_replicas = world.deliver("production", redis.options(&json!({})));
    assert_eq!(without_replicas.value("A_B").await, "new");
}
