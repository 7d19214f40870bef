//! An audit log that cannot be opened, or locked, in time.
#![allow(clippy::expect_used, reason = "a test that cannot set up has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use parking_lot::Mutex;
use secret::clock::Stopwatch;
use secret::error::ErrorCode;
use serde_json::{Value as Json, json};
use tcs_secret_delivery_core::audit::Shipper;

use crate::support::{World, until};

/// A sink that takes nothing until the sender is dropped, and how often it was called.
fn stuck() -> (Shipper, Sender<()>, Arc<AtomicU32>) {
    let (release, released) = channel::<()>();
    let (released, calls) = (Mutex::new(released), Arc::new(AtomicU32::new(0)));
    let counted = calls.clone();
    let sink = move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        // Nothing is ever sent: this ends when the sender is dropped.
        released.lock().recv().expect_err("released");
        Ok(())
    };
    (Arc::new(sink), release, calls)
}

fn audited(world: &World, on_failure: &str) -> Json {
    json!({ "audit": { "sink": true, "onFailure": on_failure, "journalDirectory": world.directory.path() } })
}

#[tokio::test]
async fn a_read_that_needs_its_record_ends_when_the_sink_never_settles() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    let (sink, release, calls) = stuck();
    let service = world.deliver_shipping("production", audited(&world, "deny"), Some(sink));
    let watch = Stopwatch::start();
    assert_eq!(service.refusal("A_B").await, ErrorCode::AuditWriteFailed);
    let took = watch.took();
    assert!((Duration::from_secs(2)..Duration::from_secs(4)).contains(&took), "{took:?}");
    assert_eq!(world.calls(), 0, "without its audit log nothing is asked for");
    // The attempt is still under way: later reads do not wait for it, and begin no other.
    let watch = Stopwatch::start();
    for _ in 0..100 {
        assert_eq!(service.refusal("A_B").await, ErrorCode::AuditWriteFailed);
    }
    assert!(watch.took() < Duration::from_secs(1), "{:?}", watch.took());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    drop(release);
    let mut value = service.read("A_B").await;
    let end = Stopwatch::start();
    while value.is_err() && end.took() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        value = service.read("A_B").await;
    }
    assert_eq!(value.expect("the log is open").as_deref(), Some("v"));
}

#[tokio::test]
async fn where_that_is_a_warning_no_read_waits_and_their_records_are_written_once_the_log_is_open() {
    let world = World::new().await;
    world.aws.put("A_B_production", "v");
    let taken = Arc::new(Mutex::new(String::new()));
    let (stuck, release, _calls) = stuck();
    let lines = taken.clone();
    let sink: Shipper = Arc::new(move |text: String| {
        stuck(text.clone())?;
        lines.lock().push_str(&text);
        Ok(())
    });
    let service = world.deliver_shipping("production", audited(&world, "warn"), Some(sink));
    let watch = Stopwatch::start();
    for _ in 0..100 {
        assert_eq!(service.value("A_B").await, "v");
    }
    assert!(watch.took() < Duration::from_secs(1), "{:?}", watch.took());
    until("the delay is reported", || world.heard.warnings().contains(&"AUDIT_FAILING")).await;
    drop(release);
    until("all are recorded", || taken.lock().matches("\"secret\":\"A_B\"").count() == 100).await;
}

#[tokio::test]
async fn a_log_that_opens_after_close_is_closed() {
    let world = World::new().await;
    let (sink, release, calls) = stuck();
    let service = world.deliver_shipping("production", audited(&world, "warn"), Some(sink));
    let (_, ()) = tokio::join!(service.read("A_B"), async {
        until("the sink is asked", || calls.load(Ordering::SeqCst) == 1).await;
        let watch = Stopwatch::start();
        service.delivery.close().await;
        assert!(watch.took() < Duration::from_secs(3), "{:?}", watch.took());
    });
    drop(release);
    let journals = || {
        let names = std::fs::read_dir(world.directory.path()).expect("a directory");
        names.filter(|entry| entry.as_ref().is_ok_and(|e| e.file_name().to_string_lossy().contains("journal"))).count()
    };
    until("its journal is removed", || journals() == 0).await;
}

#[tokio::test]
async fn while_another_process_is_stopped_with_the_lock_records_wait_in_the_journal_and_reads_go_on() {
    let world = World::new().await;
    let path = world.directory.path().join("audit.jsonl");
    for name in ["A_B", "A_C"] {
        world.aws.put(&format!("{name}_production"), "v");
    }
    let audited = json!({ "audit": { "path": path, "onFailure": "deny", "hits": "each" } });
    let service = world.deliver("production", audited);
    assert_eq!(service.value("A_B").await, "v");
    // As a process does that gets SIGSTOP at the wrong moment.
    let lock = std::fs::File::open(world.directory.path().join("audit.jsonl.state")).expect("the state file");
    lock.lock().expect("the lock");
    assert_eq!(service.value("A_B").await, "v");
    until("the log says that it waits", || world.heard.warnings().contains(&"AUDIT_LOG_WAITS")).await;
    for _ in 0..50 {
        assert_eq!((service.hot("A_B").as_deref(), service.value("A_B").await.as_str()), (Some("v"), "v"));
    }
    assert_eq!(service.value("A_C").await, "v");
    lock.unlock().expect("the lock");
    let count = |name: &str| {
        let text = std::fs::read_to_string(&path).expect("the log");
        text.matches(&format!("\"secret\":\"{name}\"")).count()
    };
    until("all is written", || count("A_C") == 1).await;
    assert_eq!(count("A_B"), 102, "nothing is lost");
}
