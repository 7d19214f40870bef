//! `HealthReport` and `Readiness`.

use std::collections::BTreeMap;

use delivery_core::health::{Check, Status};
use napi_derive::napi;
use secret::clock::{Clock, iso8601};
use secret::environment::Environment;

/// State of every source and cache.
#[napi(object, object_from_js = false)]
pub struct HealthReport {
    pub status: &'static str,
    pub environment: &'static str,
    pub checked_at: String,
    pub checks: BTreeMap<String, HealthCheck>,
}

/// State of one source or cache.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct HealthCheck {
    pub status: &'static str,
    pub reason: Option<String>,
}

/// Whether this instance should get traffic.
#[napi(object, object_from_js = false, js_name = "Readiness")]
pub struct ReadinessReport {
    pub ready: bool,
    pub status: &'static str,
    pub reasons: Vec<String>,
}

impl HealthReport {
    pub fn of(environment: Environment, clock: &Clock, status: Status, checks: Vec<Check>) -> Self {
        let check =
            |check: Check| (check.part.to_owned(), HealthCheck { status: check.status.as_str(), reason: check.reason });
        Self {
            status: status.as_str(),
            environment: environment.as_str(),
            checked_at: iso8601(clock.unix_ms()),
            checks: checks.into_iter().map(check).collect(),
        }
    }
}
