//! `close()` waits for what must not be cut off.

use std::pin::pin;
use std::time::Duration;

use aws_endpoint::Fault;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::snapshot::with_snapshot;
use crate::support::redis_server::RedisServer;
use crate::support::{World, outage, until};

#[test]
fn close_waits_for_a_snapshot_that_is_being_written() {
    // Files are written on blocking threads; while the only one is busy, a write that has begun does not end.
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().expect("a runtime");
    runtime.block_on(async {
        let world = World::new().await;
        world.aws.put("A_B_production", "v");
        let service = world.deliver("production", with_snapshot(&world));
        // The file was looked into before, so that writing it is all that is left to do.
        world.aws.fault(Fault::error(500, "InternalServiceError").times(1));
        service.refusal("A_B").await;
        let (release, released) = oneshot::channel::<()>();
        let busy = spawn_blocking(move || released.blocking_recv());
        service.value("A_B").await;
        let snapshot = service.delivery.reads().cache().and_then(|cache| cache.snapshot()).expect("a snapshot");
        until("the write has begun", || !snapshot.is_dirty()).await;
        {
            let mut closing = pin!(service.delivery.close());
            assert!(timeout(Duration::from_millis(100), &mut closing).await.is_err(), "it waits for the write");
            release.send(()).expect("still busy");
            closing.await;
        }
        busy.await.expect("ended").expect("released");
        world.aws.fault(outage());
        assert_eq!(world.deliver("production", with_snapshot(&world)).value("A_B").await, "v");
    });
}

#[tokio::test]
async fn close_waits_for_a_copy_on_its_way_to_redis_and_for_its_lock() {
    let (world, redis) = (World::new().await, RedisServer::start());
    world.aws.put("A_B_production", "v");
    let service = world.deliver("production", redis.options(&json!({})));
    service.value("A_B").await;
    service.delivery.close().await;
    assert!(redis.has("secret:A_B_production"), "the others find the copy");
    assert!(!redis.has("secret:lock:A_B_production"), "and wait for nobody");
}
