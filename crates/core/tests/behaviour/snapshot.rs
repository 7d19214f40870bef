//! The last-known-good file: a start with AWS down.

use std::sync::atomic::Ordering;

use secret::error::ErrorCode;
use secret::found::Origin;
use serde_json::{Value as Json, json};

use crate::support::redis_server::RedisServer;
use crate::support::{ENCRYPTION_KEY, World, merge, outage, until};

pub fn with_snapshot(world: &World) -> Json {
    let path = world.directory.path().join("last-known-good");
    json!({ "cache": { "snapshotPath": path, "encryptionKeys": [{ "id": "k", "key": ENCRYPTION_KEY }] } })
}

/// The file has a copy of `A_B`, which is past its TTL, and AWS is down.
async fn world_with_last_known_good() -> World {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    let first = world.deliver("production", with_snapshot(&world));
    first.value("A_B").await;
    first.delivery.close().await;
    world.aws.fault(outage());
    world.wait(1000);
    world
}

#[tokio::test]
async fn a_fresh_process_serves_the_snapshot_while_aws_is_down() {
    let world = world_with_last_known_good().await;
    let second = world.deliver("production", with_snapshot(&world));
    assert_eq!(second.value("A_B").await, "v");
    assert_eq!(second.delivery.metrics().stale.load(Ordering::Relaxed), 1);
    assert_eq!(second.refusal("A_C").await, ErrorCode::SourceUnavailable);
    assert_eq!(second.delivery.metrics().retrieved_from(Origin::Snapshot), 1);
    world.wait(3000);
    let third = world.deliver("production", with_snapshot(&world));
    assert_eq!(third.refusal("A_B").await, ErrorCode::SourceUnavailable, "older than maxStaleSeconds");
}

#[tokio::test]
async fn explain_names_the_snapshot_where_a_read_takes_it() {
    let world = world_with_last_known_good().await;
    let second = world.deliver("production", with_snapshot(&world));
    let explanation = second.explain("A_B").await;
    assert_eq!(explanation.answered_by, Some(Origin::Snapshot));
    assert!(explanation.error.is_none());
    let layers: Vec<_> = explanation.layers.iter().map(|report| (report.layer, report.state.as_str())).collect();
    assert!(layers.contains(&(Origin::Snapshot, "stale")), "{layers:?}");
    assert_eq!(second.value("A_B").await, "v");
    assert_eq!(second.delivery.metrics().retrieved_from(Origin::Snapshot), 1);
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

/// A secret that is declared by its name and by its ARN, read with keys that tell the account.
#[expect(clippy::expect_used, reason = "the beginning of tests")]
async fn by_name_and_by_arn(world: &World) -> Json {
    world.aws.put("prod/db", r#"{"pw":"p","user":"u"}"#);
    // Its account is the one of the endpoint.
    let aws = json!({
        "region": "us-east-1",
        "credentials": { "accessKeyId": "AKIAAAAAAAAAAAAAAAAA", "secretAccessKey": "test" },
    });
    let plain = world.deliver("production", json!({ "aws": aws }));
    let known = plain.delivery.reads().fetch_id("prod/db").await.expect("no failure").expect("a secret");
    let arn = known.arn.expect("an ARN");
    json!({ "aws": aws, "secrets": { "PW": { "aws": "prod/db#pw" }, "USER": { "aws": format!("{arn}#user") } } })
}

#[tokio::test]
async fn a_start_in_an_outage_finds_the_copy_of_the_name_by_the_arn() {
    for from_redis in [false, true] {
        let (world, redis) = (World::new().await, RedisServer::start());
        let mut options = by_name_and_by_arn(&world).await;
        merge(&mut options, if from_redis { redis.options(&json!({})) } else { with_snapshot(&world) });
        let first = world.deliver("production", options.clone());
        assert_eq!([first.value("PW").await, first.value("USER").await], ["p", "u"]);
        if from_redis {
            let shared = || redis.ask::<Vec<String>>("KEYS secret:*prod/db");
            until("it is shared", || !shared().is_empty()).await;
        }
        first.delivery.close().await;
        world.aws.fault(outage());
        world.wait(400);
        let second = world.deliver("production", options.clone());
        for name in ["USER", "PW", "USER"] {
            let expected = if name == "PW" { "p" } else { "u" };
            assert_eq!(second.value(name).await, expected, "from Redis: {from_redis}");
        }
        assert!(second.explain("USER").await.stale);
        world.wait(4000);
        assert_eq!(second.refusal("USER").await, ErrorCode::SourceUnavailable, "older than maxStaleSeconds");
    }
}

#[tokio::test]
async fn the_copy_of_a_name_says_nothing_about_the_arn_of_another_account() {
    let world = World::new().await;
    let mut options = by_name_and_by_arn(&world).await;
    merge(&mut options, with_snapshot(&world));
    let first = world.deliver("production", options.clone());
    assert_eq!(first.value("PW").await, "p");
    first.delivery.close().await;
    world.aws.fault(outage());
    let arn = options["secrets"]["USER"]["aws"].as_str().expect("a reference").replace("000000000000", "111122223333");
    options["secrets"]["USER"]["aws"] = json!(arn);
    let second = world.deliver("production", options);
    assert_eq!(second.value("PW").await, "p");
    assert_eq!(second.refusal("USER").await, ErrorCode::SourceUnavailable);
}
