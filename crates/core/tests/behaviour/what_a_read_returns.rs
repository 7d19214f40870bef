//! The table "What a read returns" of `docs/behaviour.md`, row by row: in each environment, for each way AWS can
//! answer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::World;
use aws_endpoint::Fault;
use secret::clock::Stopwatch;
use secret::error::ErrorCode;
use secret::found::Origin;
use serde_json::json;

const ENVIRONMENTS: [&str; 4] = ["development", "test", "staging", "production"];

fn outage() -> Fault {
    Fault::error(500, "InternalServiceError")
}

/// Every kind of failure that is not an answer about the secret.
fn transient() -> Vec<(&'static str, Fault)> {
    vec![
        ("throttled, which is HTTP 400", Fault::error(400, "ThrottlingException")),
        ("server error", outage()),
        ("unavailable", Fault::body(503, "<html>busy</html>")),
        ("no answer", Fault::hang()),
        ("connection closed", Fault::close()),
        ("answer cut short", Fault::truncate()),
        ("credentials expired", Fault::error(400, "ExpiredTokenException")),
    ]
}

// ---- first table: presets ----

#[tokio::test]
async fn each_environment_reads_its_own_env_file_and_production_none() {
    let world = World::new().await;
    for name in [".env", ".env.dev", ".env.test", ".env.staging", ".env.prod", ".env.production"] {
        world.file(name, &format!("A_B={name}\n"));
    }
    let mut read = Vec::new();
    for environment in ENVIRONMENTS {
        read.push(world.deliver(environment, json!({})).read("A_B").await.expect("no failure"));
    }
    assert_eq!(read, [Some(".env.dev".into()), Some(".env.test".into()), Some(".env.staging".into()), None]);
}

#[tokio::test]
async fn only_staging_warns_that_its_env_file_is_deprecated() {
    for (environment, warnings) in
        ENVIRONMENTS.into_iter().zip([vec![], vec![], vec!["ENV_FILE_DEPRECATED"], Vec::<&str>::new()])
    {
        let world = World::new().await;
        for name in [".env.dev", ".env.test", ".env.staging"] {
            world.file(name, "A_B=1\n");
        }
        let service = world.deliver(environment, json!({}));
        service.read("A_B").await.expect("no failure");
        service.read("A_B").await.expect("no failure");
        assert_eq!(world.heard.warnings(), warnings, "{environment}");
    }
}

#[tokio::test]
async fn a_value_is_cached_for_the_environments_ttl_and_development_caches_nothing() {
    for (environment, ttl) in ENVIRONMENTS.into_iter().zip([0, 60, 300, 300]) {
        let world = World::new().await;
        world.aws.put(&format!("A_B_{environment}"), "one");
        let service = world.deliver(environment, json!({}));
        assert_eq!(service.value("A_B").await, "one");
        world.aws.put(&format!("A_B_{environment}"), "two");
        if ttl > 0 {
            world.wait(ttl - 1);
            assert_eq!(service.value("A_B").await, "one", "{environment} before its TTL");
            assert_eq!(world.calls(), 1);
            world.wait(2);
        }
        assert_eq!(service.value("A_B").await, "two", "{environment} after its TTL");
    }
}

#[tokio::test]
async fn every_preset_can_be_overridden_by_option() {
    let world = World::new().await;
    world.file("mine.env", "X_Y=file\n");
    world.aws.put("A_B_production", "one");
    let more = json!({ "envFile": { "path": "mine.env" }, "cache": { "ttlSeconds": 5, "maxStaleSeconds": 7 } });
    let service = world.deliver("production", more);
    assert_eq!(service.value("X_Y").await, "file");
    assert_eq!(service.value("A_B").await, "one");
    world.aws.fault(outage());
    world.wait(11);
    assert_eq!(service.value("A_B").await, "one", "stale by 6 seconds");
    world.wait(2);
    assert_eq!(service.refusal("A_B").await, ErrorCode::SourceUnavailable, "stale by 8 seconds");
    assert!(world.deliver("development", json!({ "cache": {} })).delivery.reads().cache().is_some());
    assert!(world.deliver("production", json!({ "cache": false })).delivery.reads().cache().is_none());
}

#[tokio::test]
async fn an_aws_failure_without_a_stale_copy_rejects_in_production_and_asks_the_next_source_elsewhere() {
    for environment in ENVIRONMENTS {
        let mut world = World::new().await;
        world.variable("A_B", "runtime");
        world.aws.put(&format!("A_B_{environment}"), "aws");
        world.aws.fault(outage());
        let service = world.deliver(environment, json!({}));
        if environment == "production" {
            assert_eq!(service.refusal("A_B").await, ErrorCode::SourceUnavailable);
        } else {
            assert_eq!(service.value("A_B").await, "runtime", "{environment}");
        }
    }
}

#[tokio::test]
async fn only_the_test_environment_clears_when_it_is_closed() {
    // The shared copies are watched in __test__/cache/redis.test.js; memory is wiped by close() everywhere.
    for environment in &ENVIRONMENTS[1..] {
        let world = World::new().await;
        world.aws.put(&format!("A_B_{environment}"), "v");
        let service = world.deliver(environment, json!({}));
        service.value("A_B").await;
        let memory = service.delivery.reads().cache().expect("a cache").memory().clone();
        assert_eq!(memory.len(), 1);
        service.delivery.close().await;
        assert_eq!(memory.len(), 0, "{environment}");
        assert_eq!(service.refusal("A_B").await, ErrorCode::Closed);
    }
}

// ---- second table: AWS answered ----

#[tokio::test]
async fn a_value_is_returned_and_cached() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    let service = world.deliver("production", json!({}));
    for _ in 0..3 {
        assert_eq!(service.value("A_B").await, "v");
    }
    assert_eq!(world.calls(), 1);
    assert_eq!(service.delivery.metrics().retrieved_from(Origin::Memory), 2);
}

#[tokio::test]
async fn a_binary_value_is_base64() {
    let world = World::new().await;
    world.aws.put_binary("A_B_production", &[0, 159, 146, 150]);
    assert_eq!(world.deliver("production", json!({})).value("A_B").await, "AJ+Slg==");
}

#[tokio::test]
async fn not_found_asks_the_next_source_and_is_remembered_for_five_seconds() {
    for environment in ["test", "staging", "production"] {
        let mut world = World::new().await;
        world.variable("A_B", "runtime");
        let service = world.deliver(environment, json!({}));
        for _ in 0..20 {
            assert_eq!(service.value("A_B").await, "runtime");
        }
        assert_eq!(world.calls(), 1, "{environment}");
        world.wait(4);
        service.value("A_B").await;
        assert_eq!(world.calls(), 0);
        world.wait(2);
        world.aws.put(&format!("A_B_{environment}"), "aws");
        assert_eq!(service.value("A_B").await, "aws");
    }
}

#[tokio::test]
async fn not_found_and_marked_for_deletion_drop_the_cached_copy() {
    for deleted in [false, true] {
        let world = World::new().await;
        world.aws.put("A_B_production", "v");
        let service = world.deliver("production", json!({}));
        service.value("A_B").await;
        if deleted {
            world.aws.mark_deleted("A_B_production");
        } else {
            world.aws.remove("A_B_production");
        }
        world.wait(301);
        assert_eq!(service.read("A_B").await.expect("no failure"), None);
        // Not even an outage brings the old value back.
        world.aws.fault(outage());
        world.wait(6);
        assert_eq!(service.refusal("A_B").await, ErrorCode::SourceUnavailable, "deleted: {deleted}");
    }
}

#[tokio::test]
async fn denied_counts_drops_the_copies_and_never_serves_stale() {
    for refused in ["AccessDeniedException", "DecryptionFailure"] {
        for environment in ["staging", "production"] {
            let mut world = World::new().await;
            world.variable("A_B", "runtime");
            world.aws.put(&format!("A_B_{environment}"), "aws");
            let service = world.deliver(environment, json!({}));
            assert_eq!(service.value("A_B").await, "aws");
            world.aws.fault(Fault::error(400, refused));
            world.wait(301);
            if environment == "production" {
                assert_eq!(service.refusal("A_B").await, ErrorCode::SecretAccessDenied);
            } else {
                assert_eq!(service.value("A_B").await, "runtime");
            }
            assert_eq!(service.delivery.metrics().unauthorized.load(Ordering::Relaxed), 1);
            // The copy is gone: an outage that follows finds nothing stale.
            world.aws.clear_faults();
            world.aws.fault(outage());
            world.wait(6);
            if environment == "production" {
                assert_eq!(service.refusal("A_B").await, ErrorCode::SourceUnavailable, "{refused}");
            } else {
                assert_eq!(service.value("A_B").await, "runtime", "{refused}");
            }
        }
    }
}

#[tokio::test]
async fn a_transient_failure_is_retried_inside_one_deadline() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    world.aws.fault(outage().times(2));
    let service = world.deliver("production", json!({ "aws": { "maxAttempts": 3 } }));
    assert_eq!(service.value("A_B").await, "v");
    assert_eq!(world.calls(), 3);
    world.aws.fault(Fault::hang());
    let hasty = world.deliver("production", json!({ "aws": { "maxAttempts": 10, "timeoutMs": 200 } }));
    let started = Stopwatch::start();
    assert_eq!(hasty.refusal("A_B").await, ErrorCode::SourceTimeout);
    assert!(started.took() < Duration::from_secs(2));
}

#[tokio::test]
async fn every_transient_failure_is_covered_by_a_stale_copy_which_is_flagged() {
    for (what, fault) in transient() {
        for environment in ["staging", "production"] {
            let mut world = World::new().await;
            world.variable("A_B", "runtime");
            world.aws.put(&format!("A_B_{environment}"), "aws");
            let service = world.deliver(environment, json!({ "aws": { "timeoutMs": 300 } }));
            assert_eq!(service.value("A_B").await, "aws");
            world.aws.fault(fault.clone());
            world.wait(301);
            assert_eq!(service.value("A_B").await, "aws", "{what} in {environment}");
            assert_eq!(service.delivery.metrics().stale.load(Ordering::Relaxed), 1, "{what}");
            let explanation = service.explain("A_B").await;
            assert_eq!((explanation.answered_by, explanation.stale), (Some(Origin::Memory), true), "{what}");
        }
    }
}

#[tokio::test]
async fn a_stale_copy_older_than_an_hour_no_longer_answers() {
    for (what, fault) in transient() {
        let world = World::new().await;
        world.aws.put("A_B_production", "aws");
        world.aws.put("A_B_staging", "aws");
        let quick = json!({ "aws": { "timeoutMs": 300 } });
        let (production, staging) = (world.deliver("production", quick.clone()), world.deliver("staging", quick));
        production.value("A_B").await;
        staging.value("A_B").await;
        world.file(".env.staging", "A_B=file\n");
        world.aws.fault(fault);
        world.wait(300 + 3599);
        assert_eq!(production.value("A_B").await, "aws", "{what}");
        assert_eq!(staging.value("A_B").await, "aws", "{what}");
        world.wait(2);
        let code = production.refusal("A_B").await;
        let expected = match what {
            "no answer" => ErrorCode::SourceTimeout,
            "answer cut short" => code,
            _ => ErrorCode::SourceUnavailable,
        };
        assert_eq!(code, expected, "{what}");
        assert_eq!(staging.value("A_B").await, "file", "{what}");
    }
}

#[tokio::test]
async fn the_test_environment_serves_nothing_stale() {
    let mut world = World::new().await;
    world.variable("A_B", "runtime");
    world.aws.put("A_B_test", "aws");
    let service = world.deliver("test", json!({}));
    assert_eq!(service.value("A_B").await, "aws");
    world.aws.fault(outage());
    world.wait(61);
    assert_eq!(service.value("A_B").await, "runtime");
}

#[tokio::test]
async fn a_recovered_aws_is_noticed_in_the_background_within_seconds() {
    let world = World::new().await;
    world.aws.put("A_B_production", "old");
    let service = world.deliver("production", json!({}));
    service.value("A_B").await;
    world.wait(301);
    world.aws.fault(outage());
    for _ in 0..50 {
        assert_eq!(service.value("A_B").await, "old");
    }
    assert_eq!(world.calls(), 2, "a failing AWS is not asked for every read");
    world.aws.clear_faults();
    world.aws.put("A_B_production", "new");
    world.wait(2);
    // This read is not made to wait; it begins the refresh.
    assert_eq!(service.value("A_B").await, "old");
    service.eventually("A_B", "new").await;
}

#[tokio::test]
async fn a_failure_is_not_absence_when_no_other_source_has_the_value() {
    for environment in ["development", "test", "staging", "production"] {
        let world = World::new().await;
        world.aws.fault(outage());
        assert_eq!(world.deliver(environment, json!({})).refusal("A_B").await, ErrorCode::SourceUnavailable);
    }
}

#[tokio::test]
async fn no_credentials_at_all_are_a_failure_in_production_and_simply_no_aws_in_development() {
    let world = World::new().await;
    let none = json!({ "aws": { "credentials": null, "profile": "no-such-profile" } });
    let development = world.deliver("development", json!({ "aws": { "credentials": null } }));
    let started = Stopwatch::start();
    assert_eq!(development.read("A_B").await.expect("no failure"), None);
    assert!(started.took() < Duration::from_secs(1), "no metadata service is waited for");
    let production = world.deliver("production", json!({ "aws": { "credentials": null, "timeoutMs": 3000 } }));
    assert!(matches!(production.refusal("A_B").await, ErrorCode::SourceUnavailable | ErrorCode::SourceTimeout));
    assert_eq!(world.deliver("production", none).refusal("A_B").await, ErrorCode::SourceUnavailable);
}

// ---- decisions D1, D4 ----

#[tokio::test]
async fn precedence_last_is_aws_then_env_file_then_runtime() {
    let mut world = World::new().await;
    world.variable("A_B", "runtime");
    let service = world.deliver("staging", json!({ "cache": false }));
    assert_eq!(service.value("A_B").await, "runtime");
    world.file(".env.staging", "A_B=file\n");
    assert_eq!(service.value("A_B").await, "file");
    world.aws.put("A_B_staging", "aws");
    assert_eq!(service.value("A_B").await, "aws");
}

#[tokio::test]
async fn precedence_override_is_runtime_then_aws_then_env_file() {
    let mut world = World::new().await;
    world.file(".env.staging", "A_B=file\nC_D=file\nE_F=file\n");
    world.aws.put("A_B_staging", "aws");
    world.aws.put("C_D_staging", "aws");
    world.variable("A_B", "runtime");
    let service = world.deliver("staging", json!({ "runtime": { "precedence": "override" } }));
    for _ in 0..2 {
        assert_eq!(service.value("A_B").await, "runtime");
        assert_eq!(service.value("C_D").await, "aws");
        assert_eq!(service.value("E_F").await, "file");
    }
    let expected = [("b", "runtime")].map(|(kind, value)| (kind.to_owned(), value.to_owned()));
    assert_eq!(service.tool("a").await.expect("no failure"), expected);
}

#[tokio::test]
async fn an_overriding_variable_answers_even_when_production_cannot_reach_aws() {
    let mut world = World::new().await;
    world.variable("A_B", "runtime");
    world.aws.fault(outage());
    let service = world.deliver("production", json!({ "runtime": { "precedence": "override" } }));
    assert_eq!(service.value("A_B").await, "runtime");
}

#[tokio::test]
async fn an_empty_string_counts_as_absent_in_every_source() {
    let mut world = World::new().await;
    world.aws.put("A_B_staging", "");
    world.file(".env.staging", "A_B=\"\"\n");
    world.variable("A_B", "");
    let service = world.deliver("staging", json!({}));
    assert_eq!(service.read("A_B").await.expect("no failure"), None);
    world.file("mounted/A_B", "");
    assert_eq!(service.read("A_B").await.expect("no failure"), None);
    world.file("mounted/A_B", "mounted");
    assert_eq!(service.value("A_B").await, "mounted");
}
