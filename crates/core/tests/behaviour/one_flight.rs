//! One flight, wide: misses of different names share calls.

use std::time::Duration;

use aws_endpoint::Fault;
use futures_util::future::join_all;
use secret::error::ErrorCode;
use serde_json::json;

use crate::support::{World, calls, counts};

/// Puts `A_N0`, `A_N1` and so on, with the values `v0`, `v1`; gives their names.
fn put_numbered(world: &World, count: usize) -> Vec<String> {
    let put = |i| {
        world.aws.put(&format!("A_N{i}_production"), &format!("v{i}"));
        format!("A_N{i}")
    };
    (0..count).map(put).collect()
}

#[tokio::test]
async fn a_hundred_concurrent_misses_cost_five_batch_calls() {
    let world = World::new().await;
    let names = vec![put_numbered(&world, 100); 10].concat();
    let service = world.deliver("production", json!({}));
    for (name, value) in names.iter().zip(service.together(&names).await) {
        assert_eq!(value.expect("no failure"), Some(name.replace("A_N", "v")));
    }
    assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 5)]));
}

#[tokio::test]
async fn misses_that_meet_by_chance_share_calls() {
    let world = World::new().await;
    let names = put_numbered(&world, 41);
    let service = world.deliver("production", json!({}));
    join_all(names.iter().map(|name| service.value(name))).await;
    let calls = calls(&world);
    // The first one is alone and does not wait.
    assert_eq!(calls.get("GetSecretValue"), Some(&1));
    assert!(calls["BatchGetSecretValue"] <= 4, "{calls:?}");
}

#[tokio::test]
async fn a_lone_miss_does_not_wait_for_others_and_needs_no_batch_permission() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    world.aws.deny(&["BatchGetSecretValue"], None);
    let service = world.deliver("production", json!({}));
    assert_eq!(service.value("A_B").await, "v");
    assert_eq!(calls(&world), counts(&[("GetSecretValue", 1)]));
    assert!(world.heard.warnings().is_empty());
}

#[tokio::test]
async fn each_name_of_a_gathered_call_has_its_own_answer() {
    let mut world = World::new().await;
    world.variable("A_GONE", "runtime");
    world.aws.put("A_ONE_production", "1");
    world.aws.put("A_TWO_production", "2");
    world.aws.put("A_DENIED_production", "x");
    world.aws.deny(&["GetSecretValue"], Some(&["A_DENIED_production"]));
    let service = world.deliver("production", json!({}));
    let names = ["A_ONE", "A_DENIED", "A_GONE", "A_TWO"].map(str::to_owned);
    let [one, denied, gone, two] = service.together(&names).await.try_into().expect("four");
    assert_eq!((one.expect("read"), two.expect("read")), (Some("1".into()), Some("2".into())));
    assert_eq!(gone.expect("read").as_deref(), Some("runtime"));
    assert_eq!(denied.expect_err("denied").code(), ErrorCode::SecretAccessDenied);
    // What a batch denies is asked for again alone, with its stage.
    assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 1), ("GetSecretValue", 1)]));
}

#[tokio::test]
async fn without_the_batch_permission_gathered_misses_are_read_one_by_one() {
    let world = World::new().await;
    let names = put_numbered(&world, 30);
    world.aws.deny(&["BatchGetSecretValue"], None);
    let service = world.deliver("production", json!({}));
    assert!(service.together(&names).await.iter().all(Result::is_ok));
    assert_eq!(calls(&world).get("GetSecretValue"), Some(&30));
    service.delivery.cache_clear().await.expect("memory only");
    assert!(service.together(&names).await.iter().all(Result::is_ok));
    assert_eq!(calls(&world), counts(&[("GetSecretValue", 30)]), "the refusal is remembered");
}

#[tokio::test]
async fn a_reader_who_gives_up_does_not_stop_the_others() {
    let world = World::new().await;
    for name in ["A_ONE", "A_TWO"] {
        world.aws.put(&format!("{name}_production"), "v");
    }
    world.aws.fault(Fault::delay(Duration::from_millis(50)));
    let service = world.deliver("production", json!({}));
    let impatient = tokio::time::timeout(Duration::from_millis(5), service.read("A_ONE"));
    let (gave_up, other) = tokio::join!(impatient, service.value("A_TWO"));
    assert!(gave_up.is_err());
    assert_eq!(other, "v");
}

#[tokio::test]
async fn what_whole_calls_leave_over_shares_a_call() {
    let world = World::new().await;
    let names = put_numbered(&world, 100);
    let service = world.deliver("production", json!({}));
    let answers = join_all(names.chunks(25).map(|portion| service.together(portion))).await;
    for (name, value) in names.iter().zip(answers.into_iter().flatten()) {
        assert_eq!(value.expect("no failure"), Some(name.replace("A_N", "v")));
    }
    assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 5)]));
}

#[tokio::test]
async fn tools_that_are_read_at_once_share_calls() {
    let world = World::new().await;
    let mut tools = serde_json::Map::new();
    for tool in 0..10 {
        let secrets: serde_json::Map<_, _> = (0..3).map(|i| (format!("n{i}"), json!({}))).collect();
        tools.insert(format!("t{tool}"), json!({ "secrets": secrets }));
        (0..3).for_each(|i| world.aws.put(&format!("T{tool}_N{i}_production"), &format!("{tool}-{i}")));
    }
    let service = world.deliver("production", json!({ "tools": tools }));
    let names: Vec<String> = (0..10).map(|tool| format!("t{tool}")).collect();
    let answers = join_all(names.iter().map(|tool| service.tool(tool))).await;
    for (tool, secrets) in answers.into_iter().enumerate() {
        let expected: Vec<_> = (0..3).map(|i| (format!("n{i}"), format!("{tool}-{i}"))).collect();
        assert_eq!(secrets.expect("no failure"), expected);
    }
    // The first one is alone and does not wait; the other nine have 27 secrets.
    assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 3)]));
}

#[tokio::test]
async fn a_failing_entry_of_a_batch_is_retried_as_a_single_read_is() {
    let world = World::new().await;
    world.aws.put("A_ONE_production", "1");
    world.aws.put("A_TWO_production", "2");
    world.aws.fault(
        Fault::body(
            200,
            r#"{"SecretValues":[],"Errors":[{"SecretId":"A_ONE_production","ErrorCode":"InternalServiceError"},
           {"SecretId":"A_TWO_production","ErrorCode":"ThrottlingException"}]}"#,
        )
        .times(1),
    );
    let service = world.deliver("production", json!({}));
    let read = service.together(&["A_ONE", "A_TWO"].map(str::to_owned)).await;
    let read: Vec<_> = read.into_iter().map(|read| read.expect("read")).collect();
    assert_eq!(read, [Some("1".to_owned()), Some("2".to_owned())]);
    assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 1), ("GetSecretValue", 2)]));
}

#[tokio::test]
async fn a_batch_that_is_throttled_or_refused_for_one_id_is_read_one_by_one() {
    for (status, code) in [(400, "ThrottlingException"), (400, "InvalidParameterException")] {
        let world = World::new().await;
        world.aws.put("A_ONE_production", "1");
        world.aws.put("A_TWO_production", "2");
        world.aws.fault(Fault::error(status, code).times(1));
        let service = world.deliver("production", json!({}));
        let read = service.together(&["A_ONE", "A_TWO"].map(str::to_owned)).await;
        assert!(read.into_iter().all(|read| read.expect("read").is_some()), "{code}");
        assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 1), ("GetSecretValue", 2)]), "{code}");
    }
}

#[tokio::test]
async fn a_batch_that_fails_where_single_reads_work_is_read_one_by_one_for_a_while() {
    let world = World::new().await;
    for name in ["A_ONE", "A_TWO", "A_THREE", "A_FOUR"] {
        world.aws.put(&format!("{name}_production"), "v");
    }
    world.aws.fault(Fault::error(500, "InternalServiceError").operation("BatchGetSecretValue"));
    let service = world.deliver("production", json!({ "aws": { "maxAttempts": 2 } }));
    let both = async |names: [&str; 2]| {
        let read = service.together(&names.map(str::to_owned)).await;
        read.into_iter().all(|read| read.is_ok_and(|value| value.as_deref() == Some("v")))
    };
    assert!(both(["A_ONE", "A_TWO"]).await);
    assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 2), ("GetSecretValue", 2)]));
    assert!(both(["A_THREE", "A_FOUR"]).await);
    assert_eq!(calls(&world), counts(&[("GetSecretValue", 2)]), "batches are left alone");
    world.aws.clear_faults();
    world.wait(400);
    assert!(both(["A_ONE", "A_TWO"]).await);
    assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 1)]), "and tried again");
}

#[tokio::test]
async fn where_everything_fails_a_failed_batch_costs_one_more_read() {
    let world = World::new().await;
    world.aws.fault(Fault::error(500, "InternalServiceError"));
    let service = world.deliver("production", json!({ "aws": { "maxAttempts": 1 } }));
    let names: Vec<String> = (0..20).map(|i| format!("A_N{i}")).collect();
    assert!(service.together(&names).await.into_iter().all(|read| read.is_err()));
    assert_eq!(calls(&world), counts(&[("BatchGetSecretValue", 1), ("GetSecretValue", 1)]));
}
