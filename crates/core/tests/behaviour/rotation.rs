//! The rotation of one secret: steps, failures at each of them, and what is live afterwards.
#![allow(clippy::expect_used, clippy::unnecessary_wraps, reason = "helpers of tests; a hook gives a result")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::{Service, World, secret};
use aws_endpoint::Fault;
use parking_lot::Mutex;
use secret::error::{ErrorCode, SecretError};
use secret::report::{Ending, Report, Step};
use secret::value::SecretValue;
use serde_json::{Value as Json, json};
use tcs_secret_delivery_core::rotation::hooks::{Hook, HookContext, HookFailure};
use tcs_secret_delivery_core::rotation::{Asked, Trigger};
use tcs_secret_delivery_core::timer::Deadline;

const ID: &str = "DB_PASSWORD_test";

/// A world with one secret, `DB_PASSWORD`, whose value is `old`.
async fn world() -> World {
    let world = World::new().await;
    world.aws.put(ID, "old");
    world
}

fn typed(rotation_type: &str) -> Json {
    json!({ "tools": { "db": { "secrets": { "password": { "rotationType": rotation_type } } } } })
}

async fn rotate(service: &Service<'_>) -> Arc<Report> {
    service.delivery.rotate(&secret("DB_PASSWORD"), None, Trigger::SERVICE).await.expect("a report")
}

/// What AWS has with `label`.
fn labelled(world: &World, label: &str) -> Option<String> {
    let labels = world.aws.labels(ID);
    labels.into_iter().find(|(_, labels)| labels.iter().any(|own| own == label)).map(|(value, _)| value)
}

fn live(world: &World) -> String {
    labelled(world, "AWSCURRENT").expect("a live version")
}

fn steps(report: &Report) -> Vec<(Step, bool)> {
    report.steps.iter().map(|step| (step.step, step.error.is_none())).collect()
}

fn code(report: &Report) -> Option<ErrorCode> {
    report.error.as_ref().map(SecretError::code)
}

fn ok(_: HookContext) -> Result<Option<SecretValue>, HookFailure> {
    Ok(None)
}

fn fails(_: HookContext) -> Result<Option<SecretValue>, HookFailure> {
    Err(HookFailure::new("Error", Some("28P01")))
}

#[expect(clippy::disallowed_methods, reason = "EXPOSE: a test compares it")]
fn text(value: Option<&SecretValue>) -> Option<String> {
    value.map(|value| value.expose().to_owned())
}

#[tokio::test]
async fn a_new_value_is_staged_then_live_and_every_reader_has_it() {
    let world = world().await;
    let service = world.deliver("test", json!({}));
    assert_eq!(service.value("DB_PASSWORD").await, "old");
    let report = rotate(&service).await;
    assert_eq!((report.ending, report.error.is_none(), report.resumed), (Ending::Finished, true, false));
    assert_eq!(steps(&report), [(Step::Create, true), (Step::Finish, true)]);
    let new = live(&world);
    assert_eq!(new.len(), 32);
    assert_eq!(labelled(&world, "AWSPREVIOUS").as_deref(), Some("old"));
    world.calls();
    assert_eq!(service.value("DB_PASSWORD").await, new);
    assert_eq!(world.calls(), 0, "the caches followed");
    assert_eq!(world.heard.rotated(), ["db/password"]);
    let explained = service.explain("DB_PASSWORD").await;
    assert_eq!(explained.version_id.as_deref(), report.version.as_deref());
}

#[tokio::test]
async fn without_a_cache_the_rotation_is_told_as_well() {
    let world = World::new().await;
    world.aws.put("DB_PASSWORD_development", "old");
    let service = world.deliver("development", json!({}));
    assert_eq!(rotate(&service).await.ending, Ending::Finished);
    assert_ne!(service.value("DB_PASSWORD").await, "old");
    assert_eq!(world.heard.rotated(), ["db/password"]);
}

#[tokio::test]
async fn hooks_see_both_values_before_the_new_one_is_live() {
    let world = Arc::new(world().await);
    let seen = Arc::new(Mutex::new(Vec::new()));
    for hook in [Hook::Set, Hook::Test, Hook::Verify] {
        let (seen, world) = (seen.clone(), Arc::downgrade(&world));
        world.upgrade().expect("the world").hooks.on(hook, move |context| {
            let world = world.upgrade().expect("the world");
            let is_live = text(context.pending.as_ref()) == Some(live(&world));
            let told = (context.tool.clone(), context.secret_type.clone(), context.rotation_type.clone());
            assert_eq!(told, (Some("db".into()), Some("password".into()), Some("database-credentials".into())));
            seen.lock().push((hook, text(Some(&context.current)), is_live));
            Ok(None)
        });
    }
    let service = world.deliver("test", typed("database-credentials"));
    let report = rotate(&service).await;
    assert_eq!(report.ending, Ending::Finished);
    let old = || Some("old".to_owned());
    assert_eq!(*seen.lock(), [(Hook::Set, old(), false), (Hook::Test, old(), false), (Hook::Verify, old(), true)]);
    assert_eq!(report.steps.len(), 5);
    drop(service);
}

#[tokio::test]
async fn the_create_hook_makes_the_value() {
    let world = world().await;
    world.hooks.on(Hook::Create, |_| Ok(Some(SecretValue::copied("made by the service"))));
    let service = world.deliver("test", json!({}));
    assert_eq!(rotate(&service).await.ending, Ending::Finished);
    assert_eq!(live(&world), "made by the service");
}

#[tokio::test]
async fn a_create_hook_that_gives_the_live_value_again_rotates_nothing() {
    let world = world().await;
    world.hooks.on(Hook::Create, |_| Ok(Some(SecretValue::copied("old"))));
    let report = rotate(&world.deliver("test", json!({}))).await;
    assert_eq!((report.ending, code(&report)), (Ending::Failed, Some(ErrorCode::RotationFailed)));
    assert!(report.error.as_ref().expect("why").to_string().contains("the value that is live"), "{report:?}");
    assert_eq!((live(&world).as_str(), labelled(&world, "AWSPENDING")), ("old", None));
}

#[tokio::test]
async fn a_hook_that_gives_nothing_throws_or_hangs_leaves_the_old_value_live() {
    let quick = json!({ "rotation": { "hookTimeoutMs": 50 } });
    for hook in [Hook::Create, Hook::Set, Hook::Test] {
        for how in ["throws", "hangs", "gives nothing"] {
            let world = world().await;
            match how {
                "throws" => world.hooks.on(hook, fails),
                "hangs" => world.hooks.hangs(hook),
                _ if hook == Hook::Create => world.hooks.on(hook, |_| Ok(Some(SecretValue::copied("")))),
                _ => continue,
            }
            let service = world.deliver("test", quick.clone());
            assert_eq!(service.value("DB_PASSWORD").await, "old");
            let report = rotate(&service).await;
            assert_eq!(
                (report.ending, code(&report)),
                (Ending::Failed, Some(ErrorCode::RotationFailed)),
                "{hook:?} {how}"
            );
            assert_eq!((live(&world), service.value("DB_PASSWORD").await), ("old".into(), "old".into()));
            assert_eq!(world.heard.warnings(), ["ROTATION_FAILED"]);
            assert!(world.heard.rotated().is_empty());
        }
    }
}

#[tokio::test]
async fn a_value_the_target_may_have_stays_pending_and_is_tried_again() {
    let world = world().await;
    world.hooks.on(Hook::Set, ok);
    world.hooks.on(Hook::Test, fails);
    let service = world.deliver("test", json!({}));
    assert_eq!(rotate(&service).await.ending, Ending::Failed);
    let pending = labelled(&world, "AWSPENDING").expect("it stays");
    world.hooks.on(Hook::Test, ok);
    let report = rotate(&service).await;
    assert_eq!((report.ending, report.resumed), (Ending::Finished, true));
    assert_eq!(live(&world), pending);
}

#[tokio::test]
async fn a_target_that_was_put_back_gets_another_value_next_time() {
    let world = world().await;
    let undone = Arc::new(AtomicU32::new(0));
    let count = undone.clone();
    world.hooks.on(Hook::Set, ok);
    world.hooks.on(Hook::Test, fails);
    world.hooks.on(Hook::Undo, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(None)
    });
    let service = world.deliver("test", json!({}));
    let first = rotate(&service).await;
    assert_eq!(steps(&first).last(), Some(&(Step::Undo, true)));
    assert_eq!((undone.load(Ordering::SeqCst), labelled(&world, "AWSPENDING")), (1, None));
    world.hooks.on(Hook::Test, ok);
    let second = rotate(&service).await;
    assert_eq!((second.ending, second.resumed), (Ending::Finished, false));
    assert_ne!(first.version, second.version);
}

#[tokio::test]
async fn a_live_value_that_does_not_hold_up_is_taken_back() {
    let world = world().await;
    world.hooks.on(Hook::Verify, fails);
    world.hooks.on(Hook::Undo, ok);
    let service = world.deliver("test", typed("database-credentials"));
    assert_eq!(service.value("DB_PASSWORD").await, "old");
    let report = rotate(&service).await;
    assert_eq!((report.ending, code(&report)), (Ending::RolledBack, Some(ErrorCode::RotationRolledBack)));
    let back = [(Step::Verify, false), (Step::Rollback, true), (Step::Undo, true)];
    assert_eq!(steps(&report)[2..], back);
    assert_eq!((live(&world), service.value("DB_PASSWORD").await), ("old".into(), "old".into()));
    // The next rotation begins from the old value once more, with a new one.
    world.hooks.on(Hook::Verify, ok);
    let next = rotate(&service).await;
    assert_eq!((next.ending, next.resumed), (Ending::Finished, false));
    assert_ne!(next.version, report.version, "what was refused is not tried again");
    assert_eq!(service.value("DB_PASSWORD").await, live(&world));
}

#[tokio::test]
async fn without_rollback_the_new_value_stays_live_and_the_report_says_so() {
    let world = world().await;
    world.hooks.on(Hook::Verify, fails);
    let service = world.deliver("test", typed("oauth-credentials"));
    let report = rotate(&service).await;
    assert_eq!((report.ending, code(&report)), (Ending::Unverified, Some(ErrorCode::RotationFailed)));
    assert_ne!(live(&world), "old");
    assert_eq!(world.heard.warnings(), ["ROTATION_UNVERIFIED"]);
}

#[tokio::test]
async fn a_refusal_of_aws_at_any_step_leaves_the_old_value_live() {
    for operation in ["GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"] {
        let world = world().await;
        let service = world.deliver("test", json!({}));
        world.aws.deny(&[operation], None);
        let report = rotate(&service).await;
        assert_eq!((report.ending, code(&report)), (Ending::Failed, Some(ErrorCode::RotationFailed)), "{operation}");
        assert_eq!(live(&world), "old", "{operation}");
        world.aws.allow_all();
        assert_eq!(rotate(&service).await.ending, Ending::Finished, "{operation}");
        assert_ne!(live(&world), "old", "{operation}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_out_about() {
    for operation in ["PutSecretValue", "UpdateSecretVersionStage"] {
        let world = world().await;
        world.aws.fault(Fault::lose().operation(operation).times(1));
        let service = world.deliver("test", json!({}));
        let report = rotate(&service).await;
        assert_eq!(report.ending, Ending::Finished, "{operation} {:?}", report.error);
        assert_eq!(service.value("DB_PASSWORD").await, live(&world), "{operation}");
        assert_eq!(world.aws.labels(ID).len(), 2, "one new version: {operation}");
    }
}

#[tokio::test]
async fn an_interrupted_rotation_goes_on_where_it_stopped() {
    // The first service dies in its hook: its future is dropped, as by a kill.
    let world = world().await;
    world.hooks.hangs(Hook::Test);
    world.hooks.on(Hook::Set, ok);
    let first = world.deliver("test", json!({}));
    let (delivery, name) = (first.delivery.clone(), secret("DB_PASSWORD"));
    let dying = tokio::spawn(async move { delivery.rotate(&name, None, Trigger::SERVICE).await });
    let end = Deadline::after(Duration::from_secs(10));
    while labelled(&world, "AWSPENDING").is_none() {
        assert!(!end.has_passed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    first.delivery.close().await;
    assert_eq!(dying.await.expect("ended").expect_err("closed").code(), ErrorCode::Closed);
    let pending = labelled(&world, "AWSPENDING").expect("staged");
    assert_eq!(live(&world), "old");
    world.hooks.on(Hook::Test, ok);
    let second = world.deliver("test", json!({}));
    let report = rotate(&second).await;
    assert_eq!((report.ending, report.resumed, live(&world)), (Ending::Finished, true, pending));
}

#[tokio::test]
async fn two_instances_at_once_make_one_value_live() {
    for _ in 0..5 {
        let world = world().await;
        world.hooks.on(Hook::Set, ok);
        let (a, b) = (world.deliver("test", json!({})), world.deliver("test", json!({})));
        let (one, two) = tokio::join!(rotate(&a), rotate(&b));
        assert_eq!((one.ending, two.ending), (Ending::Finished, Ending::Finished), "{:?} {:?}", one.error, two.error);
        assert_eq!(one.version, two.version);
        assert_eq!(world.aws.labels(ID).len(), 2, "{:?}", world.aws.labels(ID));
        for service in [a, b] {
            service.eventually("DB_PASSWORD", &live(&world)).await;
        }
    }
}

#[tokio::test]
async fn an_instance_that_begins_late_does_not_rotate_again() {
    let world = world().await;
    let (a, b) = (world.deliver("test", json!({})), world.deliver("test", json!({})));
    let asked = Asked::now();
    // So that the version is made later than in the same millisecond.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let first = rotate(&a).await;
    let environment = b.delivery.environment();
    let late = b
        .delivery
        .rotation()
        .rotate(&secret("DB_PASSWORD"), environment, asked, Trigger::SERVICE)
        .await
        .expect("a report");
    assert_eq!((late.ending, late.by_another), (Ending::Finished, true));
    assert_eq!(
        (late.version.as_deref(), late.previous_version.as_deref()),
        (first.version.as_deref(), first.previous_version.as_deref())
    );
    // Asked for from now on, it is another rotation.
    assert_ne!(rotate(&b).await.version, first.version);
    // A version that somebody else made since then is none of ours.
    let asked = Asked::now();
    tokio::time::sleep(Duration::from_millis(2)).await;
    world.aws.put(ID, "by hand");
    let report = b
        .delivery
        .rotation()
        .rotate(&secret("DB_PASSWORD"), environment, asked, Trigger::SERVICE)
        .await
        .expect("a report");
    assert!(!report.by_another);
    assert_ne!(live(&world), "by hand");
}

#[tokio::test]
async fn two_callers_in_one_instance_share_a_rotation() {
    let world = world().await;
    let service = world.deliver("test", json!({}));
    let (one, two) = tokio::join!(rotate(&service), rotate(&service));
    assert!(Arc::ptr_eq(&one, &two));
    assert_eq!(world.aws.labels(ID).len(), 2);
}

#[tokio::test]
async fn a_foreign_pending_version_keeps_its_label_while_somebody_may_be_busy_with_it() {
    let world = world().await;
    world.aws.put_staged(ID, "foreign", None, "AWSPENDING");
    let service = world.deliver("test", json!({}));
    let report = rotate(&service).await;
    assert_eq!((report.ending, live(&world).as_str()), (Ending::Failed, "old"));
    assert!(report.error.as_ref().expect("why").to_string().contains("AWSPENDING for less than an hour"));
    assert_eq!(labelled(&world, "AWSPENDING").as_deref(), Some("foreign"));
    // An hour later nobody is.
    world.aws.date(ID, secret::clock::Clock::system().unix_ms() / 1000 - 3700);
    assert_eq!(rotate(&service).await.ending, Ending::Finished);
    assert!(!["old", "foreign"].contains(&live(&world).as_str()));
    assert!(world.heard.warnings().contains(&"ROTATION_TAKES_LABEL"));
}

#[tokio::test]
async fn a_rotation_function_of_aws_does_it_and_its_outcome_is_followed() {
    let world = world().await;
    let service = world.deliver("test", json!({}));
    assert_eq!(service.value("DB_PASSWORD").await, "old");
    world.aws.rotation_function(ID, Duration::from_millis(300), false);
    let report = rotate(&service).await;
    assert_eq!((report.ending, report.by_aws), (Ending::Finished, true), "{:?}", report.error);
    assert!(service.value("DB_PASSWORD").await.starts_with("by-function-"));
    world.aws.rotation_function(ID, Duration::from_millis(10), true);
    let before = live(&world);
    let report = rotate(&service).await;
    assert_eq!((report.ending, code(&report)), (Ending::Failed, Some(ErrorCode::RotationFailed)));
    assert_eq!(live(&world), before);
    assert_eq!(world.aws.calls().by_operation.get("PutSecretValue"), None);
}

#[tokio::test]
async fn what_cannot_be_rotated_is_refused_with_the_reason() {
    let world = World::new().await;
    world.aws.put_binary("DB_BINARY_test", &[1, 2, 3]);
    world.aws.put("DB_JSON_test", r#"{"token":"x"}"#);
    world.aws.put("DB_DELETED_test", "x");
    world.aws.mark_deleted("DB_DELETED_test");
    let service = world.deliver("test", json!({}));
    let rows = [
        ("DB_BINARY", "binary"),
        ("DB_JSON", "password field is missing"),
        ("DB_DELETED", "no such secret"),
        ("DB_NONE", "no such secret"),
    ];
    for (name, why) in rows {
        let report = service.delivery.rotate(&secret(name), None, Trigger::SERVICE).await.expect("a report");
        let error = report.error.as_ref().expect("an error");
        assert_eq!((report.ending, error.code()), (Ending::Failed, ErrorCode::RotationFailed));
        assert!(error.to_string().contains(why), "{error}");
    }
    let off = world.deliver("test", json!({ "aws": { "enabled": false } }));
    assert_eq!(code(&*rotate(&off).await), Some(ErrorCode::RotationFailed));
    let unknown = service
        .delivery
        .rotate(&secret("DB_PASSWORD"), Some("qa"), Trigger::SERVICE)
        .await
        .expect_err("no environment");
    assert_eq!(unknown.code(), ErrorCode::ConfigInvalid);
}

#[tokio::test]
async fn another_environment_is_rotated_there_and_nothing_here_changes() {
    let world = world().await;
    world.aws.put("DB_PASSWORD_staging", "staged old");
    let service = world.deliver("test", json!({}));
    assert_eq!(service.value("DB_PASSWORD").await, "old");
    let report =
        service.delivery.rotate(&secret("DB_PASSWORD"), Some("stage"), Trigger::SERVICE).await.expect("a report");
    assert_eq!((report.ending, report.aws_id.as_str()), (Ending::Finished, "DB_PASSWORD_staging"));
    assert_eq!((service.value("DB_PASSWORD").await, world.heard.rotated().len()), ("old".into(), 0));
}

#[tokio::test]
async fn the_policy_says_how_a_password_looks_and_which_field_it_is() {
    let world = World::new().await;
    world.aws.put(ID, r#"{"user":"app","secret":"old"}"#);
    let policy = json!([{ "secretType": "own", "rotationInterval": 5, "passwordLength": 12,
        "passwordAlphabet": "abcdefghij", "passwordField": "secret" }]);
    let mut options = typed("own");
    options["rotation"] = json!({ "policies": policy });
    let service = world.deliver("test", options);
    assert_eq!(rotate(&service).await.ending, Ending::Finished);
    let new: Json = serde_json::from_str(&live(&world)).expect("JSON");
    let password = new["secret"].as_str().expect("a password");
    assert_eq!(new["user"], "app");
    assert!(password.len() == 12 && password.bytes().all(|b| (b'a'..=b'j').contains(&b)), "{password}");
    let aws = world.deliver("test", json!({ "rotation": { "generator": "aws" }, "tools": {} }));
    world.aws.put(ID, "plain");
    assert_eq!(rotate(&aws).await.ending, Ending::Finished);
    assert_eq!(world.aws.calls().by_operation["GetRandomPassword"], 1);
}

#[tokio::test]
async fn a_finished_rotation_is_never_in_the_way_of_another() {
    let world = world().await;
    let service = world.deliver("test", json!({}));
    assert_eq!(rotate(&service).await.ending, Ending::Finished);
    assert_eq!(labelled(&world, "AWSPENDING"), None, "as after AWS's own rotations");
    world.aws.put(ID, "by hand");
    world.aws.put(ID, "by hand again");
    assert_eq!(rotate(&service).await.ending, Ending::Finished);
    assert!(!world.heard.warnings().contains(&"ROTATION_TAKES_LABEL"));
}
