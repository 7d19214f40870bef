//! Instances that share a Redis.

use std::time::Duration;

use aws_endpoint::Fault;
use secret::breaker::BreakerState;
use secret::clock::Stopwatch;
use secret::found::Origin;
use serde_json::json;
use tcs_secret_delivery_core::metrics::read;

use crate::support::redis_server::RedisServer;
use crate::support::{Service, World, outage, secret, until};

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
        let (old_copy, old_fetch) = (copy(), second.asked_at("A_B"));
        world.calls();
        world.aws.fault(Fault::delay(Duration::from_millis(100)));
        world.wait(271);
        first.hot("A_B").expect("due for a refresh");
        until("it is refreshed", || if under_way { world.aws.calls().total == 1 } else { copy() != old_copy }).await;
        until("the copy is adopted", || second.asked_at("A_B") > old_fetch).await;
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

/// Whether a script waits until Redis takes writes again; on a closed connection it is never run.
fn is_waiting(redis: &RedisServer) -> bool {
    redis.ask::<String>("CLIENT LIST").contains("cmd=eval")
}

/// Two instances that hold `one`, when the first one found `two` and Redis has not taken it in time. Redis takes writes
/// again, but the first one does not ask it for anything until the clock moves.
#[expect(clippy::expect_used, reason = "the beginning of tests")]
async fn found_but_not_shared<'w>(world: &'w World, redis: &RedisServer) -> [Service<'w>; 2] {
    world.aws.put("A_B_production", "one");
    let [first, second] = [0, 1].map(|_| world.deliver("production", redis.options(&json!({}))));
    first.follow("A_B").await;
    until("it is shared", || redis.has(COPY)).await;
    second.follow("A_B").await;
    // What is fetched from here on was fetched later.
    world.clock.advance(Duration::from_millis(10));
    world.aws.put("A_B_production", "two");
    redis.ask::<()>("CLIENT PAUSE 60000 WRITE");
    assert_eq!(first.refresh("A_B").await.expect("refreshed").as_deref(), Some("two"));
    let asked = || first.delivery.reads().cache().and_then(|cache| cache.redis()).expect("Redis").breaker_state();
    until("Redis was too slow", || asked() == BreakerState::Open).await;
    until("it gave up", || !is_waiting(redis)).await;
    redis.ask::<()>("CLIENT UNPAUSE");
    assert_eq!(second.hot("A_B").as_deref(), Some("one"));
    world.clock.advance(Duration::from_millis(10));
    [first, second]
}

#[tokio::test]
async fn a_new_version_that_redis_did_not_take_in_time_is_shared_a_moment_later() {
    let (world, redis) = (World::new().await, RedisServer::start());
    let [_first, second] = found_but_not_shared(&world, &redis).await;
    world.calls();
    world.wait(2);
    second.eventually("A_B", "two").await;
    assert_eq!(world.calls(), 0, "the copy was shared, not only dropped");
}

#[tokio::test]
async fn what_is_shared_late_does_not_replace_what_was_fetched_later() {
    let (world, redis) = (World::new().await, RedisServer::start());
    let [first, second] = found_but_not_shared(&world, &redis).await;
    let copy = || redis.ask::<Vec<u8>>(&format!("GET {COPY}"));
    let old = copy();
    world.aws.put("A_B_production", "three");
    // To this instance it is no news, so it tells nobody.
    let third = world.deliver("production", redis.options(&json!({})));
    third.refresh("A_B").await.expect("refreshed");
    until("it is shared", || copy() != old).await;
    let newest = copy();
    world.wait(2);
    second.eventually("A_B", "three").await;
    assert_eq!(copy(), newest);
    first.eventually("A_B", "three").await;
}

#[tokio::test]
async fn what_is_shared_late_does_not_undo_an_invalidation() {
    let (world, redis) = (World::new().await, RedisServer::start());
    let [first, second] = found_but_not_shared(&world, &redis).await;
    second.delivery.cache_invalidate(&secret("A_B")).await.expect("Redis is there");
    until("the other one heard of it", || first.hot("A_B").is_none()).await;
    world.wait(2);
    // The first retry comes after 1 to 1.25 seconds.
    let end = Stopwatch::start();
    while end.took() < Duration::from_secs(2) {
        assert!(!redis.has(COPY));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn close_does_not_wait_for_what_is_shared_late() {
    let (world, redis) = (World::new().await, RedisServer::start());
    let [first, _second] = found_but_not_shared(&world, &redis).await;
    first.delivery.close().await;
    assert!(world.heard.warnings().is_empty(), "{:?}", world.heard.warnings());
}

#[tokio::test]
async fn a_lost_subscription_does_not_bring_an_older_version_back() {
    let (world, redis) = (World::new().await, RedisServer::start());
    let [first, _second] = found_but_not_shared(&world, &redis).await;
    let memory = first.delivery.reads().cache().expect("a cache").memory();
    let epoch = memory.epoch();
    redis.ask::<i64>("CLIENT KILL TYPE pubsub");
    until("it subscribed anew", || memory.epoch() != epoch).await;
    // Redis may be asked again, and has the version before.
    world.wait(2);
    assert_eq!(first.value("A_B").await, "two");
}

#[tokio::test]
async fn a_drop_that_redis_did_not_take_is_told_again() {
    for by_hand in [false, true] {
        let (world, redis) = (World::new().await, RedisServer::start());
        world.aws.put("A_B_production", "v");
        let [first, second] = [0, 1].map(|_| world.deliver("production", redis.options(&json!({}))));
        first.follow("A_B").await;
        until("it is shared", || redis.has(COPY)).await;
        second.follow("A_B").await;
        world.clock.advance(Duration::from_millis(10));
        redis.ask::<()>("CLIENT PAUSE 60000 WRITE");
        if by_hand {
            first.delivery.cache_invalidate(&secret("A_B")).await.expect_err("Redis takes no writes");
        } else {
            world.aws.mark_deleted("A_B_production");
            assert_eq!(first.refresh("A_B").await.expect("an answer"), None);
        }
        until("it gave up", || !is_waiting(&redis)).await;
        redis.ask::<()>("CLIENT UNPAUSE");
        assert_eq!(second.hot("A_B").as_deref(), Some("v"), "it has not heard of it yet");
        world.wait(2);
        until("it heard of it", || second.hot("A_B").is_none()).await;
        until("the shared copy is gone", || by_hand || !redis.has(COPY)).await;
    }
}

#[tokio::test]
async fn what_may_have_been_dropped_unheard_answers_flagged_where_aws_and_redis_fail() {
    let (world, redis) = (World::new().await, RedisServer::start());
    world.aws.put("A_B_production", "v");
    let service = world.deliver("production", redis.options(&json!({})));
    service.follow("A_B").await;
    until("it is shared", || redis.has(COPY)).await;
    let stale = || read(&service.delivery.metrics().stale);
    assert_eq!((service.value("A_B").await, stale()), ("v".into(), 0));
    let memory = service.delivery.reads().cache().expect("a cache").memory();
    let epoch = memory.epoch();
    world.aws.fault(outage());
    redis.ask::<i64>("CLIENT KILL TYPE pubsub");
    until("it subscribed anew", || memory.epoch() != epoch).await;
    redis.ask::<()>(&format!("DEL {COPY}"));
    // The copy is within its TTL, but nobody can say that it was not dropped.
    assert_eq!((service.value("A_B").await, stale()), ("v".into(), 1));
    assert_eq!((service.value("A_B").await, stale()), ("v".into(), 2), "also at once, while AWS fails");
}
