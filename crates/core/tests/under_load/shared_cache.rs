//! Instances that share a Redis.

use std::time::Duration;

use aws_endpoint::Fault;
use serde_json::json;
use tcs_secret_delivery_core::metrics::{Origin, read};

use crate::support::redis_server::RedisServer;
use crate::support::{Service, World, until};

const COPY: &str = "secret:A_B_production";

/// Cached lookups, uncached ones, and the values that the caches gave.
fn counted(service: &Service<'_>) -> (u64, u64, u64) {
    let metrics = service.delivery.metrics();
    let from_caches = metrics.retrieved_from(Origin::Memory) + metrics.retrieved_from(Origin::Redis);
    (read(&metrics.hits), read(&metrics.misses), from_caches)
}

#[tokio::test]
async fn a_copy_that_is_adopted_in_the_background_is_nobodys_cache_hit() {
    // The other instance has shared its copy, or is about to.
    for under_way in [false, true] {
        let (world, redis) = (World::new().await, RedisServer::start());
        world.aws.put("A_B_production", "v");
        let [first, second] = [0, 1].map(|_| world.deliver("production", redis.options(&json!({}))));
        first.follow("A_B").await;
        until("it is shared", || redis.has(COPY)).await;
        second.follow("A_B").await;
        let copy = || redis.ask::<Vec<u8>>(&format!("GET {COPY}"));
        let (old_copy, old_fetch) = (copy(), second.fetched_at("A_B"));
        world.calls();
        world.aws.fault(Fault::delay(Duration::from_millis(100)));
        world.wait(271);
        first.hot("A_B").expect("due for a refresh");
        until("it is refreshed", || if under_way { world.aws.calls().total == 1 } else { copy() != old_copy }).await;
        until("the copy is adopted", || second.fetched_at("A_B") > old_fetch).await;
        assert_eq!(world.calls(), 1, "one instance asks");
        let (hits, misses, from_caches) = counted(&second);
        assert_eq!((hits, misses), (from_caches, 0), "under way: {under_way}");
    }
}

#[tokio::test]
async fn a_read_that_waits_for_another_instances_fetch_is_one_miss() {
    let (world, redis) = (World::new().await, RedisServer::start());
    world.aws.put("A_B_production", "v");
    world.aws.fault(Fault::delay(Duration::from_millis(100)));
    let [first, second] = [0, 1].map(|_| world.deliver("production", redis.options(&json!({}))));
    let later = async {
        until("the other one asks", || world.aws.calls().total == 1).await;
        second.value("A_B").await
    };
    tokio::join!(first.value("A_B"), later);
    assert_eq!((world.calls(), counted(&second)), (1, (0, 1, 1)));
}
