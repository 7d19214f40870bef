//! The last-known-good file: a start with AWS down.

use std::sync::atomic::Ordering;

use secret::error::ErrorCode;
use secret::found::Origin;
use serde_json::{Value as Json, json};

use crate::support::{ENCRYPTION_KEY, World, outage};

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
