//! Events of AWS: what each of them changes, and what does not.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::time::Duration;

use crate::support::{Service, World, secret, until};
use aws_endpoint::Fault;
use futures_util::future::join_all;
use secret::clock::Stopwatch;
use secret::error::{ErrorCode, Result};
use serde_json::{Value as Json, json};
use tcs_secret_delivery_core::timer::Deadline;

const ID: &str = "DB_PASSWORD_production";
const ACCOUNT: &str = "000000000000";

/// A world with one secret, and a service that has read it.
async fn known(world: &World, more: Json) -> Service<'_> {
    world.aws.put(ID, "old");
    let service = world.deliver("production", more);
    assert_eq!(service.value("DB_PASSWORD").await, "old");
    service
}

/// The version of `value` that is live.
fn version(world: &World) -> String {
    world.aws.live_version(ID)
}

fn event(account: &str, id: &str, version: &str) -> Json {
    json!({
        "source": "aws.secretsmanager", "detail-type": "Secret Label Updated", "account": account,
        "detail": { "name": id, "labelUpdated": "AWSCURRENT", "versionId": version },
    })
}

async fn handle(service: &Service<'_>, event: &Json) -> Result<bool> {
    service.delivery.handle_event(&event.to_string()).await
}

#[tokio::test]
async fn a_changed_secret_is_in_the_cache_when_the_event_is_handled() {
    let world = World::new().await;
    let service = known(&world, json!({})).await;
    world.aws.put(ID, "new");
    assert_eq!(service.value("DB_PASSWORD").await, "old", "cached");
    assert!(handle(&service, &event(ACCOUNT, ID, &version(&world))).await.expect("handled"));
    world.calls();
    assert_eq!((service.hot("DB_PASSWORD").as_deref(), world.calls()), (Some("new"), 0));
    assert_eq!(world.heard.rotated(), ["db/password"]);
}

#[tokio::test]
async fn an_event_that_is_faster_than_aws_is_waited_for() {
    let world = World::new().await;
    let service = known(&world, json!({})).await;
    world.aws.lag(Duration::from_millis(300));
    world.aws.put(ID, "new");
    let began = Stopwatch::start();
    assert!(handle(&service, &event(ACCOUNT, ID, &version(&world))).await.expect("handled"));
    assert!(began.took() >= Duration::from_millis(250), "AWS gave the old version until then");
    assert_eq!(service.hot("DB_PASSWORD").as_deref(), Some("new"));
    assert_eq!(world.heard.rotated(), ["db/password"]);
}

#[tokio::test]
async fn a_repeated_event_costs_nothing_and_an_old_one_a_read() {
    let world = World::new().await;
    let service = known(&world, json!({})).await;
    let first = version(&world);
    world.aws.put(ID, "new");
    let event_of = |version: &str| event(ACCOUNT, ID, version);
    for _ in 0..3 {
        assert!(handle(&service, &event_of(&version(&world))).await.expect("handled"));
    }
    assert_eq!(world.heard.rotated().len(), 1);
    world.calls();
    assert!(handle(&service, &event_of(&version(&world))).await.expect("handled"));
    assert_eq!(world.calls(), 0);
    // An event from before the last change, dated by AWS: nothing is waited for.
    let mut old = event_of(&first);
    old["time"] = json!("2025-12-31T23:00:00Z");
    assert!(handle(&service, &old).await.expect("handled"));
    assert_eq!(world.calls(), 1);
    assert_eq!((service.value("DB_PASSWORD").await, world.heard.rotated().len()), ("new".into(), 1));
}

#[tokio::test]
async fn a_version_that_becomes_live_again_is_followed_again() {
    let world = World::new().await;
    let service = known(&world, json!({})).await;
    let first = version(&world);
    world.aws.put(ID, "new");
    let at = |version: &str, second: u8| {
        let mut event = event(ACCOUNT, ID, version);
        event["time"] = json!(format!("2026-01-01T00:00:{second:02}Z"));
        event
    };
    let second = version(&world);
    assert!(handle(&service, &at(&second, 1)).await.expect("handled"));
    // Rolled back without an event, which this process reads by itself, and forward again.
    world.aws.put(ID, "third");
    assert_eq!(service.refresh("DB_PASSWORD").await.expect("read").as_deref(), Some("third"));
    let (aws, third) = (service.delivery.reads().aws().expect("AWS"), version(&world));
    aws.move_label(ID, "AWSCURRENT", Some(&third), Some(&second)).await.expect("moved");
    world.calls();
    assert!(handle(&service, &at(&second, 1)).await.expect("handled"));
    assert_eq!(world.calls(), 0, "the same event once more");
    // A host of AWS may lag behind the version that came a moment ago.
    world.clock.advance(Duration::from_secs(2));
    assert!(handle(&service, &at(&second, 9)).await.expect("handled"));
    assert_eq!(service.hot("DB_PASSWORD").as_deref(), Some("new"));
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_deleted_secret_is_dropped() {
    let world = World::new().await;
    let service = known(&world, json!({})).await;
    world.aws.mark_deleted(ID);
    let deleted = json!({
        "source": "aws.secretsmanager", "detail-type": "AWS API Call via CloudTrail", "account": ACCOUNT,
        "detail": { "eventName": "DeleteSecret", "responseElements": { "aRN": format!("arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:{ID}-a1B2c3") } },
    });
    assert!(handle(&service, &deleted).await.expect("handled"));
    assert_eq!(service.read("DB_PASSWORD").await.expect("an answer"), None);
}

#[tokio::test]
async fn what_is_not_ours_changes_nothing() {
    let world = World::new().await;
    let service = known(&world, json!({})).await;
    world.calls();
    let other_label = {
        let mut event = event(ACCOUNT, ID, "v");
        event["detail"]["labelUpdated"] = json!("canary");
        event
    };
    let of = |arn: &str| {
        let mut event = event(ACCOUNT, ID, "v");
        event["resources"] = json!([format!("{arn}:secret:{ID}-a1B2c3")]);
        event
    };
    let elsewhere = {
        let mut event = event(ACCOUNT, ID, "v");
        event["region"] = json!("us-east-1");
        event
    };
    let rows = [
        (event("999999999999", ID, "v"), false),
        // The ARN decides (decision 115).
        (of("arn:aws:secretsmanager:eu-central-1:999999999999"), false),
        (of(&format!("arn:aws:secretsmanager:us-east-1:{ACCOUNT}")), false),
        (elsewhere, false),
        (event(ACCOUNT, "DB_PASSWORD_staging", "v"), false),
        (event(ACCOUNT, "../DB_production", "v"), false),
        (json!({ "source": "aws.ec2", "detail-type": "x" }), false),
        (other_label, true),
    ];
    for (event, concerns) in rows {
        assert_eq!(handle(&service, &event).await.expect("handled"), concerns, "{event}");
    }
    assert_eq!((world.calls(), world.heard.rotated().len()), (0, 0));
}

#[tokio::test]
async fn what_is_no_event_is_refused_and_a_failing_aws_is_told() {
    let world = World::new().await;
    let service = known(&world, json!({})).await;
    for text in ["", "{}", "[1]", "not json", &"x".repeat(2 << 20)] {
        let refused = service.delivery.handle_event(text).await.expect_err("no event");
        assert_eq!(refused.code(), ErrorCode::SourceResponseInvalid);
    }
    // Dated long ago, it is not waited for.
    let mut event = event(ACCOUNT, ID, "v-2");
    event["time"] = json!("2025-12-31T23:00:00Z");
    world.aws.fault(Fault::error(500, "InternalServiceError"));
    let failed = handle(&service, &event).await.expect_err("AWS fails");
    assert_eq!(failed.code(), ErrorCode::SourceUnavailable);
    assert_eq!(service.value("DB_PASSWORD").await, "old", "the copy stays");
    world.aws.clear_faults();
    service.delivery.close().await;
    assert_eq!(handle(&service, &event).await.expect_err("closed").code(), ErrorCode::Closed);
}

#[tokio::test]
async fn a_failed_rotation_of_aws_is_counted_and_told() {
    let world = World::new().await;
    let service = known(&world, json!({})).await;
    let failed = json!({
        "source": "aws.secretsmanager", "detail-type": "AWS Service Event via CloudTrail", "account": ACCOUNT,
        "detail": { "eventName": "RotationFailed", "additionalEventData": { "SecretId": format!("arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:{ID}-a1B2c3") } },
    });
    assert!(handle(&service, &failed).await.expect("handled"));
    assert_eq!(world.heard.warnings(), ["ROTATION_FAILED"]);
    let failures: u64 = service.delivery.metrics().rotations().filter(|(e, _)| !e.is_live()).map(|(_, n)| n).sum();
    assert_eq!(failures, 1);
}

#[tokio::test]
async fn without_events_versions_are_compared_now_and_then() {
    let world = World::new().await;
    let options = json!({ "events": { "pollSeconds": 60 }, "cache": { "ttlSeconds": 3000, "refreshAhead": false } });
    let service = known(&world, options).await;
    world.aws.put(ID, "new");
    let end = Deadline::after(Duration::from_secs(10));
    while world.heard.rotated().is_empty() {
        assert!(!end.has_passed(), "the change was not noticed");
        world.wait(10);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(service.hot("DB_PASSWORD").as_deref(), Some("new"));
}

#[tokio::test]
async fn the_versions_around_the_live_one_are_remembered_until_they_change() {
    let world = World::new().await;
    let service = known(&world, json!({})).await;
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: a test compares it")]
    let values = async || {
        let versions = service.delivery.versions(&secret("DB_PASSWORD"), false, 1).await.expect("versions");
        [&versions.current, &versions.previous, &versions.pending]
            .map(|version| version.as_ref().map(|version| version.value.expose().to_owned()))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(values().await, [some("old"), None, None]);
    world.calls();
    assert_eq!(values().await, [some("old"), None, None]);
    assert_eq!(world.calls(), 0, "remembered");
    world.aws.put(ID, "new");
    world.aws.put_staged(ID, "newer", None, "AWSPENDING");
    assert!(handle(&service, &event(ACCOUNT, ID, &version(&world))).await.expect("handled"));
    assert_eq!(values().await, [some("new"), some("old"), some("newer")]);
    world.wait(61);
    world.calls();
    values().await;
    assert_eq!(world.calls(), 3, "after a minute");
}

#[tokio::test]
async fn a_thousand_forged_events_cost_few_calls_and_an_honest_one_among_them_is_followed() {
    let world = World::new().await;
    let service = known(&world, json!({})).await;
    world.calls();
    let forged: Vec<_> = (0..1000).map(|i| event(ACCOUNT, ID, &format!("00000000-0000-4000-8000-{i:012}"))).collect();
    let forged = join_all(forged.iter().map(|event| handle(&service, event)));
    let honest = async {
        until("the first one is followed", || world.aws.calls().total > 0).await;
        world.aws.put(ID, "new");
        let began = Stopwatch::start();
        assert!(handle(&service, &event(ACCOUNT, ID, &version(&world))).await.expect("handled"));
        assert_eq!(service.hot("DB_PASSWORD").as_deref(), Some("new"));
        assert!(began.took() < Duration::from_secs(21), "one catch-up that waits in vain, at most, comes before");
    };
    tokio::select! {
        (answers, ()) = async { tokio::join!(forged, honest) } => assert_eq!(answers.len(), 1000),
        () = tokio::time::sleep(Duration::from_secs(40)) => panic!("they end"),
    }
    assert!(world.calls() < 200);
}

#[tokio::test]
async fn events_about_secrets_of_other_services_cost_nothing() {
    let world = World::new().await;
    let service = known(&world, json!({})).await;
    world.calls();
    for i in 0..200 {
        let other = event(ACCOUNT, &format!("OTHER_S{i}_production"), "00000000-0000-4000-8000-000000000000");
        assert!(!handle(&service, &other).await.expect("handled"));
    }
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn an_event_about_a_secret_that_aws_denies_is_done() {
    let world = World::new().await;
    let service = known(&world, json!({})).await;
    world.aws.deny(&["GetSecretValue"], None);
    world.aws.put(ID, "new");
    assert!(handle(&service, &event(ACCOUNT, ID, &version(&world))).await.expect("nothing to hand over again"));
    assert!(service.hot("DB_PASSWORD").is_none());
}

#[tokio::test]
async fn an_event_is_about_the_account_of_the_role_that_reads_the_secret() {
    const OTHER: &str = "111122223333";
    const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
    let world = World::new().await;
    world.aws.role(ROLE, aws_endpoint::Role::default());
    world.aws.put_in(OTHER, "shared/db", "old");
    world.aws.put("shared/db", "own");
    let place = |role: Json| json!({ "aws": { "id": "shared/db", "assumeRole": role } });
    let secrets = json!({ "THEIRS": place(json!({ "roleArn": ROLE })), "OWN": place(Json::Null) });
    let service = world.deliver("production", json!({ "secrets": secrets }));
    assert_eq!(service.value("THEIRS").await, "old");
    assert_eq!(service.value("OWN").await, "own");
    world.aws.put_in(OTHER, "shared/db", "new");
    world.aws.put("shared/db", "own, new");
    assert!(handle(&service, &event("999999999999", "shared/db", "v")).await.is_ok_and(|concerned| !concerned));
    assert_eq!(service.hot("THEIRS").as_deref(), Some("old"));
    handle(&service, &event(OTHER, "shared/db", "")).await.expect("handled");
    assert_eq!(service.hot("THEIRS").as_deref(), Some("new"));
    assert_eq!(service.hot("OWN").as_deref(), Some("own"), "another account's event");
}
