//! Hooks that end late, instances that rotate at the same time, answers of AWS that are late, and going back.
#![allow(clippy::expect_used, clippy::unnecessary_wraps, reason = "helpers of tests; a hook gives a result")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::support::redis_server::RedisServer;
use crate::support::{Service, World, secret, until};
use aws_endpoint::Fault;
use secret::error::SecretError;
use secret::report::{Ending, Report, Step};
use secret::value::SecretValue;
use serde_json::{Value as Json, json};
use tcs_secret_delivery_core::rotation::Trigger;
use tcs_secret_delivery_core::rotation::hooks::{Hook, HookContext, HookFailure};

const ID: &str = "DB_PASSWORD_test";
const CLAIM: &str = "tcs-rotation";

async fn world() -> World {
    let world = World::new().await;
    world.aws.put(ID, "old");
    world
}

fn quick() -> Json {
    json!({ "rotation": { "hookTimeoutMs": 100 } })
}

async fn rotate(service: &Service<'_>) -> Arc<Report> {
    service.delivery.rotate(&secret("DB_PASSWORD"), None, Trigger::SERVICE).await.expect("a report")
}

async fn restore(service: &Service<'_>, version: &str) -> Arc<Report> {
    let name = secret("DB_PASSWORD");
    service.delivery.restore(&name, None, version.to_owned()).await.expect("a report")
}

fn ok(_: HookContext) -> Result<Option<SecretValue>, HookFailure> {
    Ok(None)
}

/// What AWS has with `label`.
fn labelled(world: &World, label: &str) -> Option<String> {
    let labels = world.aws.labels(ID);
    labels.into_iter().find(|(_, labels)| labels.iter().any(|own| own == label)).map(|(value, _)| value)
}

fn why(report: &Report) -> String {
    report.error.as_ref().map(SecretError::to_string).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "EXPOSE: a test compares it")]
fn text(value: &SecretValue) -> String {
    value.expose().to_owned()
}

/// A system that a `set` hook changes at the end of its work, which `release` begins.
#[derive(Default)]
struct Target {
    value: Mutex<String>,
    release: Notify,
    running: AtomicUsize,
    most: AtomicUsize,
    sets: AtomicUsize,
}

impl Target {
    fn of(world: &World) -> Arc<Self> {
        let target = Arc::new(Self { value: Mutex::new("old".into()), ..Self::default() });
        let set = target.clone();
        world.hooks.slow(Hook::Set, move |context| {
            let target = set.clone();
            Box::pin(async move {
                let running = target.running.fetch_add(1, Ordering::SeqCst) + 1;
                target.most.fetch_max(running, Ordering::SeqCst);
                target.release.notified().await;
                *target.value.lock() = text(&context.pending.expect("the new value"));
                target.running.fetch_sub(1, Ordering::SeqCst);
                target.sets.fetch_add(1, Ordering::SeqCst);
                Ok(None)
            })
        });
        target
    }

    fn undone(self: &Arc<Self>, world: &World) {
        let target = self.clone();
        world.hooks.on(Hook::Undo, move |context| {
            *target.value.lock() = text(&context.current);
            Ok(None)
        });
    }
}

#[tokio::test]
async fn a_set_hook_that_ends_late_is_undone_after_its_end_and_not_before() {
    let world = world().await;
    let target = Target::of(&world);
    target.undone(&world);
    let service = world.deliver("test", quick());
    let report = rotate(&service).await;
    assert_eq!(report.ending, Ending::Failed);
    let pending = labelled(&world, "AWSPENDING").expect("it keeps its label while nothing is known");
    assert!(why(&report).contains("AWSPENDING") && report.steps.iter().all(|step| step.step != Step::Undo));
    target.release.notify_one();
    until("set has ended, and the value is given up", || labelled(&world, "AWSPENDING").is_none()).await;
    assert_eq!((target.value.lock().clone(), labelled(&world, "AWSCURRENT")), ("old".into(), Some("old".into())));
    until("the claim is given back", || labelled(&world, CLAIM).is_none()).await;
    world.hooks.on(Hook::Set, ok);
    assert_eq!(rotate(&service).await.ending, Ending::Finished);
    assert_ne!(labelled(&world, "AWSCURRENT"), Some(pending), "what was undone is not tried again");
}

#[tokio::test]
async fn without_undo_a_value_that_is_set_late_keeps_its_label_until_the_next_rotation_tries_it() {
    let world = world().await;
    let target = Target::of(&world);
    let service = world.deliver("test", quick());
    assert_eq!(rotate(&service).await.ending, Ending::Failed);
    target.release.notify_one();
    until("set has ended", || target.sets.load(Ordering::SeqCst) == 1).await;
    until("the claim is given back", || labelled(&world, CLAIM).is_none()).await;
    assert_eq!(labelled(&world, "AWSPENDING"), Some(target.value.lock().clone()));
    target.release.notify_one();
    let report = rotate(&service).await;
    assert_eq!((report.ending, report.resumed), (Ending::Finished, true), "{}", why(&report));
    assert_eq!(labelled(&world, "AWSCURRENT"), Some(target.value.lock().clone()));
}

#[tokio::test]
async fn another_instance_waits_for_a_hook_that_is_late() {
    let world = world().await;
    let target = Target::of(&world);
    let (one, two) = (world.deliver("test", quick()), world.deliver("test", quick()));
    assert_eq!(rotate(&one).await.ending, Ending::Failed);
    let second = rotate(&two);
    tokio::pin!(second);
    tokio::select! {
        _ = &mut second => panic!("it did not wait"),
        () = tokio::time::sleep(Duration::from_millis(500)) => {}
    }
    target.release.notify_one();
    until("the first set has ended", || target.sets.load(Ordering::SeqCst) == 1).await;
    target.release.notify_one();
    let report = second.await;
    assert_eq!((report.ending, report.resumed), (Ending::Finished, true), "{}", why(&report));
    assert_eq!(target.most.load(Ordering::SeqCst), 1, "set never ran twice at the same time");
    assert_eq!(labelled(&world, "AWSCURRENT"), Some(target.value.lock().clone()));
}

#[tokio::test]
async fn what_was_undone_while_another_instance_waited_is_not_set_without_a_label() {
    let world = Arc::new(world().await);
    // The first `set` fails once it may; later ones say which labels there are.
    let (may_fail, given, seen) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())), Arc::downgrade(&world));
    let (begun, fails) = (given.clone(), may_fail.clone());
    world.hooks.slow(Hook::Set, move |context| {
        let value = text(&context.pending.expect("the new value"));
        let pending = labelled(&seen.upgrade().expect("the world"), "AWSPENDING");
        begun.lock().push((value, pending));
        let (is_first, fails) = (begun.lock().len() == 1, fails.clone());
        Box::pin(async move {
            if is_first {
                fails.notified().await;
                return Err(HookFailure::new("Error", None));
            }
            Ok(None)
        })
    });
    world.hooks.on(Hook::Undo, ok);
    let (one, two) = (world.deliver("test", json!({})), world.deliver("test", json!({})));
    let both = async {
        until("set runs", || given.lock().len() == 1).await;
        let second = rotate(&two);
        tokio::pin!(second);
        tokio::select! {
            _ = &mut second => panic!("it did not wait"),
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
        may_fail.notify_one();
        second.await
    };
    let (first, second) = tokio::join!(rotate(&one), both);
    assert_eq!((first.ending, second.ending), (Ending::Failed, Ending::Finished), "{}", why(&second));
    let given = given.lock().clone();
    for (value, pending) in &given {
        assert_eq!(Some(value), pending.as_ref(), "what `set` gives to the target system has the label");
    }
    assert!(given.len() == 2 && given[0].0 != given[1].0, "what was undone is finished with");
    assert_eq!((labelled(&world, "AWSCURRENT"), labelled(&world, CLAIM)), (Some(given[1].0.clone()), None));
}

#[tokio::test]
async fn set_runs_in_one_instance_at_a_time_whatever_happens_to_redis() {
    for fault in ["none", "flush", "clear", "lost"] {
        let redis = RedisServer::start();
        let shared = redis.options(&json!({}));
        let world = world().await;
        let target = Target::of(&world);
        let (one, two) = (world.deliver("test", shared.clone()), world.deliver("test", shared.clone()));
        one.value("DB_PASSWORD").await;
        let first = rotate(&one);
        let both = async {
            until("set runs", || target.running.load(Ordering::SeqCst) == 1).await;
            match fault {
                "flush" => drop(redis.ask::<String>("FLUSHALL")),
                "clear" => two.delivery.cache_clear().await.expect("cleared"),
                "lost" => drop(redis.ask::<i64>("DEL secret:lease:rotation:DB_PASSWORD_test")),
                _ => {}
            }
            let second = rotate(&two);
            tokio::pin!(second);
            tokio::select! {
                _ = &mut second => panic!("{fault}: it did not wait"),
                () = tokio::time::sleep(Duration::from_millis(700)) => {}
            }
            target.release.notify_one();
            second.await
        };
        let (first, second) = tokio::join!(first, both);
        assert_eq!((first.ending, second.ending), (Ending::Finished, Ending::Finished), "{fault}: {}", why(&second));
        assert!(second.by_another, "{fault}");
        assert_eq!((target.most.load(Ordering::SeqCst), target.sets.load(Ordering::SeqCst)), (1, 1), "{fault}");
    }
}

#[tokio::test]
async fn the_claim_of_an_instance_that_died_is_taken_over() {
    let world = world().await;
    let target = Target::of(&world);
    let one = world.deliver("test", json!({}));
    let (delivery, name) = (one.delivery.clone(), secret("DB_PASSWORD"));
    let dying = tokio::spawn(async move { delivery.rotate(&name, None, Trigger::SERVICE).await });
    until("set runs", || target.running.load(Ordering::SeqCst) == 1).await;
    one.delivery.close().await;
    drop(dying.await);
    let pending = labelled(&world, CLAIM).expect("a claim that nobody gave back");
    world.hooks.on(Hook::Set, ok);
    let two = world.deliver("test", json!({}));
    let report = rotate(&two).await;
    assert_eq!((report.ending, report.resumed), (Ending::Finished, true), "{}", why(&report));
    assert_eq!((labelled(&world, "AWSCURRENT"), labelled(&world, CLAIM)), (Some(pending), None));
}

#[tokio::test]
async fn a_rotation_goes_on_although_aws_shows_the_old_state_for_seconds() {
    let world = world().await;
    world.hooks.on(Hook::Set, ok);
    world.aws.late(Duration::from_millis(1500));
    let service = world.deliver("test", json!({}));
    assert_eq!(service.value("DB_PASSWORD").await, "old");
    let report = rotate(&service).await;
    assert_eq!((report.ending, report.resumed), (Ending::Finished, false), "{}", why(&report));
    service.eventually("DB_PASSWORD", &labelled(&world, "AWSCURRENT").expect("live")).await;
    assert_eq!(world.aws.labels(ID).len(), 2);
}

#[tokio::test]
async fn a_lost_answer_and_old_reads_together_do_not_undo_what_is_live() {
    let world = Arc::new(world().await);
    let undone = Arc::new(AtomicUsize::new(0));
    let count = undone.clone();
    world.hooks.on(Hook::Undo, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(None)
    });
    let service = world.deliver("test", json!({}));
    world.aws.late(Duration::from_secs(2));
    // What comes after the test is the move of AWSCURRENT.
    let weak = Arc::downgrade(&world);
    world.hooks.on(Hook::Test, move |_| {
        let lost = Fault::lose().operation("UpdateSecretVersionStage").times(2);
        weak.upgrade().expect("the world").aws.fault(lost);
        Ok(None)
    });
    let report = rotate(&service).await;
    world.aws.clear_faults();
    assert_eq!(report.ending, Ending::Finished, "{}", why(&report));
    assert_eq!(undone.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn going_back_makes_a_version_live_that_aws_still_has() {
    let world = world().await;
    let given = Arc::new(Mutex::new(Vec::new()));
    let seen = given.clone();
    world.hooks.on(Hook::Set, move |context| {
        seen.lock().push(text(&context.pending.expect("the value")));
        Ok(None)
    });
    let service = world.deliver("test", json!({}));
    assert_eq!(service.value("DB_PASSWORD").await, "old");
    let first = rotate(&service).await;
    let old = first.previous_version.clone().expect("a version");
    world.wait(1);
    let report = restore(&service, &old).await;
    assert_eq!(report.ending, Ending::Finished, "{}", why(&report));
    assert_eq!(
        (report.version.as_deref(), report.previous_version.as_ref()),
        (Some(old.as_str()), first.version.as_ref())
    );
    assert_eq!(labelled(&world, "AWSCURRENT").as_deref(), Some("old"));
    assert_eq!(given.lock().last().map(String::as_str), Some("old"), "the target system got it as well");
    assert_eq!(service.value("DB_PASSWORD").await, "old", "the caches followed");
    assert_eq!(world.heard.rotated(), ["db/password", "db/password"]);
    // What is live already needs nothing, and what AWS does not have is refused.
    let again = restore(&service, &old).await;
    assert_eq!((again.ending, again.steps.len()), (Ending::Finished, 0));
    let none = restore(&service, "00000000-0000-4000-8000-000000000000").await;
    assert_eq!(none.ending, Ending::Failed);
    assert!(why(&none).contains("no such version"), "{}", why(&none));
    world.hooks.on(Hook::Test, |_| Err(HookFailure::new("Error", None)));
    world.hooks.on(Hook::Undo, ok);
    let refused = restore(&service, first.version.as_deref().expect("a version")).await;
    assert_eq!(refused.ending, Ending::Failed);
    assert_eq!((labelled(&world, "AWSCURRENT").as_deref(), labelled(&world, "AWSPENDING")), (Some("old"), None));
    world.aws.rotation_function(ID, Duration::ZERO, false);
    let by_aws = restore(&service, first.version.as_deref().expect("a version")).await;
    assert_eq!(by_aws.ending, Ending::Failed, "what AWS rotates is not written here");
}
