//! An answer is as old as its question: it never replaces what was asked for later (decision 030).

use std::time::Duration;

use aws_endpoint::Fault;
use serde_json::json;

use crate::support::redis_server::RedisServer;
use crate::support::{World, secret, until};

const COPY: &str = "secret:A_B_production";

/// An answer that is on its way while the world changes.
fn late() -> Fault {
    Fault::late(Duration::from_millis(300)).times(1)
}

#[tokio::test]
async fn a_late_listing_does_not_put_an_old_value_back() {
    let world = World::new().await;
    world.aws.put("A_B_production", "one");
    let service = world.deliver("production", json!({}));
    world.aws.fault(late());
    let (listed, ()) = tokio::join!(service.tool("a"), async {
        until("the listing is asked for", || world.aws.calls().total == 1).await;
        world.aws.put("A_B_production", "two");
        assert_eq!(service.refresh("A_B").await.expect("refreshed").as_deref(), Some("two"));
    });
    let listed = listed.expect("listed");
    assert_eq!(listed, [("b".to_owned(), "two".to_owned())], "what was asked for later is known by then");
    assert_eq!(service.hot("A_B").as_deref(), Some("two"));
}

#[tokio::test]
async fn a_late_not_there_does_not_destroy_what_was_fetched_later() {
    let (world, redis) = (World::new().await, RedisServer::start());
    let service = world.deliver("production", redis.options(&json!({})));
    world.aws.fault(late());
    let (first, ()) = tokio::join!(service.read("A_B"), async {
        until("it is asked for", || world.aws.calls().total == 1).await;
        world.aws.put("A_B_production", "one");
        assert_eq!(service.refresh("A_B").await.expect("refreshed").as_deref(), Some("one"));
        until("it is shared", || redis.has(COPY)).await;
    });
    assert_eq!(first.expect("read").as_deref(), Some("one"), "the later answer counts");
    assert_eq!(service.hot("A_B").as_deref(), Some("one"));
    assert!(redis.has(COPY));
}

#[tokio::test]
async fn an_answer_from_before_an_invalidation_is_asked_for_again() {
    let world = World::new().await;
    world.aws.put("A_B_production", "one");
    let service = world.deliver("production", json!({}));
    world.aws.fault(late());
    let (read, ()) = tokio::join!(service.value("A_B"), async {
        until("it is asked for", || world.aws.calls().total == 1).await;
        world.aws.put("A_B_production", "two");
        service.delivery.cache_invalidate(&secret("A_B")).await.expect("invalidated");
    });
    assert_eq!(read, "two");
    assert_eq!(world.calls(), 2);
}

#[tokio::test]
async fn the_slow_holder_of_a_lock_does_not_overwrite_a_newer_shared_copy() {
    let (world, redis) = (World::new().await, RedisServer::start());
    world.aws.put("A_B_production", "one");
    let [slow, fast, third] = [0; 3].map(|_| world.deliver("production", redis.options(&json!({}))));
    // Longer than the lease of the lock.
    world.aws.fault(Fault::late(Duration::from_millis(1500)).times(1));
    let (first, ()) = tokio::join!(slow.value("A_B"), async {
        until("the slow one asks", || world.aws.calls().total == 1).await;
        world.aws.put("A_B_production", "two");
        world.wait(1);
        assert_eq!(fast.value("A_B").await, "two");
        until("it is shared", || redis.has(COPY)).await;
    });
    assert!(["one", "two"].contains(&first.as_str()));
    world.calls();
    until("the slow one takes the newer copy", || slow.hot("A_B").as_deref() == Some("two")).await;
    assert_eq!(third.value("A_B").await, "two");
    assert_eq!(world.calls(), 0);
}
