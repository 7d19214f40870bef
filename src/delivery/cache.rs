//! `delivery.cache`.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use std::time::Duration;

use napi_derive::napi;
use secret::value::SecretValue;

use super::native::{NativeDelivery, secret};
use crate::messages::Outcome;

#[napi]
impl NativeDelivery {
    /// `cache.get`.
    #[napi(catch_unwind)]
    pub fn cache_get(&self, id: u32, name: String) {
        self.start_named(id, &name, |delivery, name| async move { delivery.cache_get(&name).await.map(secret) });
    }

    /// `cache.set`; the TTL is whole seconds, checked by the caller.
    #[napi(catch_unwind)]
    pub fn cache_set(&self, id: u32, name: String, value: String, ttl_seconds: Option<u32>) {
        let value = SecretValue::new(value);
        let ttl = ttl_seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
        self.start_named(id, &name, |delivery, name| async move {
            delivery.cache_set(&name, value, ttl).await.map(|()| Outcome::Null)
        });
    }

    /// `cache.invalidate`.
    #[napi(catch_unwind)]
    pub fn cache_invalidate(&self, id: u32, name: String) {
        self.start_named(id, &name, |delivery, name| async move {
            delivery.cache_invalidate(&name).await.map(|()| Outcome::Null)
        });
    }

    /// `cache.clear`.
    #[napi(catch_unwind)]
    pub fn cache_clear(&self, id: u32) {
        self.start(id, |delivery| async move { delivery.cache_clear().await.map(|()| Outcome::Null) });
    }
}
