//! The way back from a value that was refused, while another writer changes the secret.
#![allow(clippy::expect_used, clippy::unnecessary_wraps, reason = "helpers of tests; a hook gives a result")]

use std::sync::Arc;

use parking_lot::Mutex;

use crate::support::{Service, World, secret};
use secret::error::SecretError;
use secret::report::{Ending, Report, Step};
use secret::value::SecretValue;
use serde_json::{Value as Json, json};
use tcs_secret_delivery_core::rotation::Trigger;
use tcs_secret_delivery_core::rotation::hooks::{Hook, HookContext, HookFailure};

const ID: &str = "DB_LOGIN_test";

/// A rotation whose hook `fails` finds the value wrong, after another writer put what `write` makes of the new value.
struct Refused {
    world: Arc<World>,
    report: Arc<Report>,
    /// What the target system has.
    target: Json,
    /// How often `undo` was called.
    undone: usize,
}

#[expect(clippy::disallowed_methods, reason = "EXPOSE: a test compares it")]
fn json_of(value: &SecretValue) -> Json {
    serde_json::from_str(value.expose()).expect("JSON")
}

fn old() -> Json {
    json!({ "username": "app", "password": "old" })
}

async fn rotate(service: &Service<'_>) -> Arc<Report> {
    service.delivery.rotate(&secret("DB_LOGIN"), None, Trigger::SERVICE).await.expect("a report")
}

/// What AWS has with `label`.
fn labelled(world: &World, label: &str) -> Option<Json> {
    let labels = world.aws.labels(ID);
    let found = labels.into_iter().find(|(_, labels)| labels.iter().any(|own| own == label));
    found.map(|(value, _)| serde_json::from_str(&value).expect("JSON"))
}

async fn refused(fails: Hook, write: fn(Json) -> Json) -> Refused {
    let world = Arc::new(World::new().await);
    world.aws.put(ID, &old().to_string());
    let target = Arc::new(Mutex::new((old(), 0)));
    let ok = |_: HookContext| -> Result<Option<SecretValue>, HookFailure> { Ok(None) };
    for hook in [Hook::Test, Hook::Verify] {
        world.hooks.on(hook, ok);
    }
    let set = target.clone();
    world.hooks.on(Hook::Set, move |context| {
        set.lock().0 = json_of(&context.pending.expect("the new value"));
        Ok(None)
    });
    let undo = target.clone();
    world.hooks.on(Hook::Undo, move |context| {
        let mut target = undo.lock();
        *target = (json_of(&context.current), target.1 + 1);
        Ok(None)
    });
    let weak = Arc::downgrade(&world);
    world.hooks.on(fails, move |context| {
        let new = json_of(&context.pending.expect("the new value"));
        weak.upgrade().expect("the world").aws.put(ID, &write(new).to_string());
        Err(HookFailure::new("Error", None))
    });
    let service = world.deliver("test", json!({}));
    let report = rotate(&service).await;
    let (target, undone) = target.lock().clone();
    drop(service);
    Refused { world, report, target, undone }
}

fn why(report: &Report) -> String {
    report.error.as_ref().map(SecretError::to_string).unwrap_or_default()
}

#[tokio::test]
async fn a_live_value_that_got_another_field_meanwhile_is_not_undone() {
    let with_host = |mut new: Json| {
        new["host"] = json!("db2");
        new
    };
    let Refused { world, report, target, undone } = refused(Hook::Verify, with_host).await;
    let live = labelled(&world, "AWSCURRENT").expect("a live version");
    assert_eq!((report.ending, undone), (Ending::Unverified, 0), "{}", why(&report));
    assert_eq!((&live["password"], &live["host"]), (&target["password"], &json!("db2")), "what is live opens the door");
    assert_eq!(labelled(&world, "AWSPENDING"), None);
    assert!(why(&report).contains(&world.aws.live_version(ID)), "{}", why(&report));
    world.hooks.on(Hook::Verify, |_| Ok(None));
    let next = rotate(&world.deliver("test", json!({}))).await;
    assert_eq!(next.ending, Ending::Finished, "{}", why(&next));
}

#[tokio::test]
async fn the_target_system_is_given_what_another_writer_made_live() {
    let by_hand = |_| json!({ "username": "app", "password": "by hand" });
    let from_the_old_one = |_| json!({ "username": "app", "password": "old", "host": "db2" });
    for write in [by_hand as fn(Json) -> Json, from_the_old_one] {
        for hook in [Hook::Set, Hook::Test, Hook::Verify] {
            let Refused { world, report, target, undone } = refused(hook, write).await;
            let live = labelled(&world, "AWSCURRENT").expect("a live version");
            assert_eq!((&live, report.ending, undone), (&target, Ending::Failed, 1), "{hook:?}: {}", why(&report));
            assert_eq!(labelled(&world, "AWSPENDING"), None, "{hook:?}");
            assert!(why(&report).contains(&world.aws.live_version(ID)), "{hook:?}: {}", why(&report));
            assert!(!why(&report).contains("old value stays live"), "{}", why(&report));
        }
    }
}

#[tokio::test]
async fn what_aws_does_not_take_back_stays_in_the_target_system() {
    let world = Arc::new(World::new().await);
    world.aws.put(ID, &old().to_string());
    for hook in [Hook::Set, Hook::Undo] {
        world.hooks.on(hook, |_| Ok(None));
    }
    let weak = Arc::downgrade(&world);
    world.hooks.on(Hook::Verify, move |_| {
        weak.upgrade().expect("the world").aws.deny(&["UpdateSecretVersionStage"], None);
        Err(HookFailure::new("Error", None))
    });
    let service = world.deliver("test", json!({}));
    let report = rotate(&service).await;
    assert_eq!(report.ending, Ending::Unverified, "{}", why(&report));
    assert!(report.steps.iter().all(|step| step.step != Step::Undo), "the new value is live");
    assert_ne!(labelled(&world, "AWSCURRENT"), Some(old()));
}
