//! Whose a secret's next value is: nothing is made up, and what AWS or others rotate is left to them.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::time::Duration;

use crate::support::{Service, World, secret, until};
use aws_endpoint::Keeper;
use secret::error::SecretError;
use secret::report::{Ending, Report};
use secret::value::SecretValue;
use serde_json::{Value as Json, json};
use tcs_secret_delivery_core::rotation::Trigger;
use tcs_secret_delivery_core::rotation::hooks::Hook;
use tcs_secret_delivery_core::rotation::keeper::Hand;
use tcs_secret_delivery_core::rotation::policy::Standing;

const START: u64 = 1_767_225_600;
const DAY: u64 = 86_400;
const URL: &str = "postgres://app:old@db.internal:5432/shop";

/// A world with secrets that were last changed 400 days before the clock's start, and their declaration.
async fn world(secrets: &[(&str, &str, Json)]) -> (World, Json) {
    let (world, mut types) = (World::new().await, json!({}));
    for (kind, value, spec) in secrets {
        let id = format!("DB_{}_production", kind.to_uppercase());
        world.aws.put(&id, value);
        world.aws.date(&id, START - 400 * DAY);
        types[*kind] = spec.clone();
    }
    let options = json!({ "tools": { "db": { "secrets": types } }, "rotation": { "jitterSeconds": 0 } });
    (world, options)
}

async fn rotate(service: &Service<'_>, name: &str, trigger: Trigger) -> Report {
    (*service.delivery.rotate(&secret(name), None, trigger).await.expect("a report")).clone()
}

fn why(report: &Report) -> String {
    report.error.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn writes(world: &World) -> Vec<String> {
    let reads = ["GetSecretValue", "BatchGetSecretValue", "DescribeSecret"];
    world.aws.calls().by_operation.into_keys().filter(|operation| !reads.contains(&operation.as_str())).collect()
}

fn keeper(rotates: bool, owner: Option<&str>, external_type: Option<&str>) -> Keeper {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let next_rotation = rotates.then_some(START + 3 * DAY);
    Keeper { rotates, next_rotation, owner: text(owner), external_type: text(external_type) }
}

#[tokio::test]
async fn the_scheduler_replaces_nothing_that_nobody_declared_or_knows_how_to_make() {
    let typed = json!({ "rotationType": "database-credentials" });
    let (world, options) = world(&[
        ("password", "undeclared", json!({})),
        ("typed", "no hook", typed.clone()),
        ("made", "declared", json!({ "rotate": "generate" })),
        ("object", r#"{"user":"a"}"#, json!({ "rotate": "generate" })),
    ])
    .await;
    let service = world.deliver("production", options);
    let calendar = service.delivery.calendar().await.expect("a calendar");
    let hands: Vec<_> =
        calendar.iter().map(|entry| (entry.name.as_str(), entry.hand.clone().expect("a hand"))).collect();
    for (name, hand) in &hands {
        match *name {
            "DB_MADE" => assert_eq!(*hand, Hand::Scheduler),
            name => {
                let said = hand.why().expect(name);
                let expected = match name {
                    "DB_PASSWORD" => "neither rotate: 'generate' nor a rotationType",
                    "DB_TYPED" => "no create or set hook",
                    _ => "JSON",
                };
                assert!(said.contains(expected), "{name}: {said}");
            }
        }
    }
    assert!(service.delivery.start_rotating());
    until("all are announced, and one is rotated", || {
        world.heard.announced_by().len() == 3 && world.aws.labels("DB_MADE_production").len() == 2
    })
    .await;
    assert!(world.heard.announced_by().iter().all(|(_, by)| *by == "hand"));
    for name in ["PASSWORD", "TYPED", "OBJECT"] {
        assert_eq!(world.aws.labels(&format!("DB_{name}_production")).len(), 1, "{name}");
    }
    drop(service);
}

#[tokio::test]
async fn with_a_set_hook_a_password_is_made_and_a_url_is_not() {
    let typed = json!({ "rotationType": "database-credentials" });
    let (world, options) = world(&[("password", "old", typed.clone()), ("url", URL, typed)]).await;
    world.hooks.on(Hook::Set, |_| Ok(None));
    let service = world.deliver("production", options);
    assert!(service.delivery.start_rotating());
    until("rotated and announced", || {
        world.aws.labels("DB_PASSWORD_production").len() == 2 && !world.heard.announced_by().is_empty()
    })
    .await;
    assert_eq!(world.heard.announced_by(), [("DB_URL".to_owned(), "hand")]);
    assert_eq!(world.aws.labels("DB_URL_production").len(), 1);
    // The create hook knows how.
    world.hooks.on(Hook::Create, |_| Ok(Some(SecretValue::copied("postgres://app:new@db.internal/shop"))));
    assert_eq!(rotate(&service, "DB_URL", Trigger::Schedule).await.ending, Ending::Finished);
}

#[tokio::test]
async fn a_value_that_aws_cannot_store_is_refused_before_it_is_sent() {
    let (world, options) = world(&[("password", "old", json!({}))]).await;
    world.hooks.on(Hook::Create, |_| Ok(Some(SecretValue::copied(&"x".repeat(65_537)))));
    let service = world.deliver("production", options);
    let report = rotate(&service, "DB_PASSWORD", Trigger::SERVICE).await;
    assert_eq!(why(&report), "DB_PASSWORD_production: its value would have 65537 bytes, AWS stores 65536");
    assert_eq!(writes(&world), Vec::<String>::new());
}

#[tokio::test]
async fn on_demand_only_a_password_is_generated() {
    let (world, options) = world(&[
        ("password", "old", json!({})),
        ("object", r#"{"password":"old"}"#, json!({})),
        ("url", URL, json!({})),
        ("pem", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", json!({})),
        ("token", "ghp_0123456789abcdefghijABCDEFGHIJ012345", json!({})),
        ("session", "sk-live", json!({ "rotate": "generate" })),
    ])
    .await;
    let service = world.deliver("production", options);
    for (name, is_made) in
        [("PASSWORD", true), ("OBJECT", true), ("URL", false), ("PEM", false), ("TOKEN", false), ("SESSION", true)]
    {
        let quiet = rotate(&service, &format!("DB_{name}"), Trigger::Demand { generate: false }).await;
        assert_eq!(quiet.ending == Ending::Finished, name == "SESSION", "{name}: {}", why(&quiet));
        let report = rotate(&service, &format!("DB_{name}"), Trigger::SERVICE).await;
        assert_eq!(report.ending == Ending::Finished, is_made, "{name}: {}", why(&report));
        if !is_made {
            assert!(why(&report).contains("no generated text may take its place"), "{}", why(&report));
            assert_eq!(world.aws.labels(&format!("DB_{name}_production")).len(), 1, "{name}");
        }
    }
}

#[tokio::test]
async fn what_aws_rotates_is_rotated_by_its_schedule_and_never_written_here() {
    let spec = json!({ "rotate": "generate", "rotationType": "database-credentials" });
    let kinds = ["lambda", "managed", "partner"];
    let secrets = kinds.map(|kind| (kind, r#"{"username":"a","password":"old"}"#, spec.clone()));
    let (world, options) = world(&secrets).await;
    world.hooks.on(Hook::Create, |_| Ok(Some(SecretValue::copied("made up"))));
    world.hooks.on(Hook::Set, |_| Ok(None));
    for (kind, owner, external) in
        [("LAMBDA", None, None), ("MANAGED", Some("rds"), None), ("PARTNER", None, Some("SalesforceClientSecret"))]
    {
        let id = format!("DB_{kind}_production");
        world.aws.rotation_function(&id, Duration::ZERO, false);
        world.aws.keeper(&id, keeper(true, owner, external));
    }
    let service = world.deliver("production", options);
    let calendar = service.delivery.calendar().await.expect("a calendar");
    for entry in &calendar {
        assert_eq!(entry.hand, Some(Hand::Aws), "{:?}", entry.name);
        assert_eq!(
            (entry.dates.expect("AWS's").due, entry.standing(START)),
            (START + 3 * DAY, Some(Standing::Announced))
        );
    }
    assert!(service.delivery.start_rotating());
    until("announced", || world.heard.announced_by().len() == 3).await;
    world.wait(4 * DAY);
    let described = || world.aws.calls().by_operation["DescribeSecret"];
    let before = described();
    until("the scheduler looked once more", || described() >= before + 3).await;
    assert_eq!(writes(&world), Vec::<String>::new(), "not even RotateSecret");
    let report = rotate(&service, "DB_LAMBDA", Trigger::SERVICE).await;
    assert_eq!((report.ending, report.by_aws), (Ending::Finished, true), "{}", why(&report));
    assert_eq!(writes(&world), ["RotateSecret"]);
}

#[tokio::test]
async fn what_others_own_is_refused_before_anything_is_staged() {
    let spec = json!({ "rotate": "generate", "rotationType": "database-credentials" });
    let (world, options) = world(&[("owned", "old", spec.clone()), ("partner", "old", spec)]).await;
    world.hooks.on(Hook::Create, |_| Ok(Some(SecretValue::copied("made up"))));
    world.aws.keeper("DB_OWNED_production", keeper(false, Some("rds"), None));
    world.aws.keeper("DB_PARTNER_production", keeper(false, None, Some("SnowflakeKeyPairAuthentication")));
    let service = world.deliver("production", options);
    for (name, owner) in [("DB_OWNED", "rds"), ("DB_PARTNER", "SnowflakeKeyPairAuthentication")] {
        let report = rotate(&service, name, Trigger::SERVICE).await;
        assert_eq!(report.ending, Ending::Failed);
        assert!(why(&report).contains(owner), "{}", why(&report));
        assert!(report.steps.is_empty());
    }
    assert!(service.delivery.start_rotating());
    until("announced", || world.heard.announced_by().len() == 2).await;
    assert_eq!(writes(&world), Vec::<String>::new());
    drop(service);
}

#[tokio::test]
async fn without_describe_secret_nothing_is_rotated_and_the_permission_is_named() {
    let (world, options) = world(&[("password", "old", json!({ "rotate": "generate" }))]).await;
    world.aws.deny(&["DescribeSecret"], None);
    let service = world.deliver("production", options);
    let report = rotate(&service, "DB_PASSWORD", Trigger::SERVICE).await;
    assert_eq!(report.ending, Ending::Failed);
    assert!(why(&report).contains("grant this identity secretsmanager:DescribeSecret"), "{}", why(&report));
    assert_eq!(report.error.as_ref().and_then(SecretError::action), Some("secretsmanager:DescribeSecret"));
    let entry = &service.delivery.calendar().await.expect("a calendar")[0];
    assert_eq!(entry.standing(START), Some(Standing::Due));
    assert!(entry.error.as_ref().expect("an error").to_string().contains("DescribeSecret"));
    world.heard.warnings();
    assert!(service.delivery.start_rotating());
    until("the scheduler says so", || world.heard.warnings().len() >= 2).await;
    assert_eq!(writes(&world), Vec::<String>::new());
    world.aws.allow_all();
    assert_eq!(rotate(&service, "DB_PASSWORD", Trigger::SERVICE).await.ending, Ending::Finished);
}

#[tokio::test]
async fn a_rotation_of_aws_that_is_stuck_is_named_with_version_and_label() {
    let (world, options) = world(&[("password", "old", json!({}))]).await;
    let id = "DB_PASSWORD_production";
    world.aws.rotation_function(id, Duration::ZERO, false);
    world.aws.put_staged(id, "stuck", Some("ffffffff-aaaa-4bbb-8ccc-dddddddddddd"), "AWSPENDING");
    let service = world.deliver("production", options);
    let report = rotate(&service, "DB_PASSWORD", Trigger::SERVICE).await;
    assert_eq!(report.ending, Ending::Failed);
    let said = why(&report);
    assert!(said.contains("ffffffff-aaaa-4bbb-8ccc-dddddddddddd") && said.contains("AWSPENDING"), "{said}");
}

#[tokio::test]
async fn only_the_bytes_of_the_password_change() {
    let old = "{ \"port\":5432.00,\"id\":123456789012345678901,\"id\":2,\n\t\"password\" : \"o\\u006cd\" ,\"é\":\"\\u00e9\\/\" }\n";
    let (world, options) = world(&[("password", old, json!({ "rotate": "generate" }))]).await;
    let service = world.deliver("production", options);
    assert_eq!(rotate(&service, "DB_PASSWORD", Trigger::SERVICE).await.ending, Ending::Finished);
    let new = service.value("DB_PASSWORD").await;
    let (before, after) = old.split_once("\"o\\u006cd\"").expect("in two");
    assert!(new.starts_with(before) && new.ends_with(after), "{new}");
    assert_eq!(new.len(), before.len() + after.len() + 34);
}

#[tokio::test]
async fn of_a_secret_with_several_names_only_the_fields_that_are_rotated_change() {
    let world = World::new().await;
    let old =
        "{ \"user\":\"app\", \"main\" : {\"pw\":\"one\"},\n \"other\":\"two\", \"url\":\"https://h\", \"n\":1.0 }";
    world.aws.put("shared/db", old);
    let spec = |aws: &str| json!({ "aws": aws, "rotate": "generate" });
    let secrets = json!({
        "main": spec("shared/db#main.pw"), "other": spec("shared/db#other"), "n": spec("shared/db#n"),
        "url": { "aws": "shared/db#url" },
    });
    let service = world.deliver("production", json!({ "tools": { "db": { "secrets": secrets } } }));
    let seen = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let hook = seen.clone();
    world.hooks.on(Hook::Test, move |context| {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: a test compares it")]
        hook.lock().push(context.pending.expect("the new value").expose().to_owned());
        Ok(None)
    });
    assert_eq!(service.value("DB_MAIN").await, "one");
    let (main, other) =
        tokio::join!(rotate(&service, "DB_MAIN", Trigger::SERVICE), rotate(&service, "DB_OTHER", Trigger::SERVICE));
    assert_eq!((main.ending, other.ending), (Ending::Finished, Ending::Finished), "{} {}", why(&main), why(&other));
    let (one, two) = (service.value("DB_MAIN").await, service.value("DB_OTHER").await);
    assert!(one.len() == 32 && two.len() == 32 && one != two);
    let mut handed = seen.lock().clone();
    handed.sort();
    let mut expected = vec![one.clone(), two.clone()];
    expected.sort();
    assert_eq!(handed, expected, "hooks get what readers get");
    let live = world.aws.labels("shared/db").into_iter().find(|(_, labels)| labels.contains(&"AWSCURRENT".to_owned()));
    let expected = old.replace("\"one\"", &format!("\"{one}\"")).replace("\"two\"", &format!("\"{two}\""));
    assert_eq!(live.expect("live").0, expected);
    for name in ["DB_N", "DB_URL"] {
        assert_eq!(rotate(&service, name, Trigger::SERVICE).await.ending, Ending::Failed, "{name}");
    }
}
