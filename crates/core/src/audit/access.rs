//! What is recorded of one delivery or refusal.

use std::time::Duration;

use audit_log::{Cache, Outcome};

use secret::error::{Result, SecretError};
use secret::found::{Fetched, Found, Origin};

/// One value that was delivered or refused.
pub struct Access<'a> {
    /// The secret.
    pub name: &'a str,
    /// The environment, where it is not the delivery's.
    pub environment: &'a str,
    /// The source that answered.
    pub source: &'a str,
    /// Whether a cache had it.
    pub cache: Cache,
    /// How it ended.
    pub outcome: Outcome,
    /// The error's code.
    pub code: &'a str,
    /// The version that left.
    pub version: &'a str,
    /// The id of the request with which AWS was asked.
    pub request: &'a str,
    /// How many readers it stands for.
    pub count: u32,
    /// How long it took.
    pub took: Duration,
}

impl<'a> Access<'a> {
    /// The value `found` of `name`.
    pub fn found(name: &'a str, found: &'a Found, took: Duration) -> Self {
        let cache = match found.origin {
            _ if found.stale => Cache::Stale,
            Origin::Memory | Origin::Redis | Origin::Snapshot => Cache::Hit,
            Origin::Aws => Cache::Miss,
            Origin::EnvFile | Origin::Runtime => Cache::None,
        };
        let version = found.version_id.as_deref().unwrap_or_default();
        let request = found.request_id.as_deref().unwrap_or_default();
        Self { source: found.origin.as_str(), cache, version, request, ..Self::of(name, Outcome::Ok, took) }
    }

    /// A read of `name` that ended without a value.
    pub fn ended(name: &'a str, error: Option<&'a SecretError>, took: Duration) -> Self {
        let (outcome, code) = error.map_or((Outcome::Absent, ""), refusal);
        let request = error.and_then(SecretError::request_id).unwrap_or_default();
        Self { code, request, ..Self::of(name, outcome, took) }
    }

    /// What AWS said of `name`: the version of its value, that it has none, or an error.
    pub fn answered(name: &'a str, answer: std::result::Result<Option<&'a str>, &'a SecretError>) -> Self {
        let ended = |error| Self::ended(name, error, Duration::ZERO);
        match answer {
            Ok(Some(version)) => Self { version, ..Self::of(name, Outcome::Ok, Duration::ZERO) },
            Ok(None) => ended(None),
            Err(error) => ended(Some(error)),
        }
    }

    /// What AWS said of `name` when it was fetched.
    pub fn fetched(name: &'a str, answer: &'a Result<Option<Fetched>>) -> Self {
        let version = |fetched: &'a Fetched| fetched.version_id.as_deref().unwrap_or_default();
        let request = answer.as_ref().ok().and_then(|fetched| fetched.as_ref()?.request_id.as_deref());
        let answered = Self::answered(name, answer.as_ref().map(|fetched| fetched.as_ref().map(version)));
        Self { request: request.unwrap_or(answered.request), ..answered }
    }

    /// What a read of `name` ended with.
    pub fn read(name: &'a str, answer: &'a Result<Option<Found>>) -> Self {
        let version = |found: &'a Found| found.version_id.as_deref().unwrap_or_default();
        let request = answer.as_ref().ok().and_then(|found| found.as_ref()?.request_id.as_deref());
        let answered = Self::answered(name, answer.as_ref().map(|found| found.as_ref().map(version)));
        Self { request: request.unwrap_or(answered.request), ..answered }
    }

    /// A read of `name` past the caches.
    pub fn of(name: &'a str, outcome: Outcome, took: Duration) -> Self {
        let (environment, source, code, version) = ("", "", "", "");
        Self { name, environment, source, cache: Cache::None, outcome, code, version, request: "", count: 1, took }
    }
}

/// What a record says of an error.
pub(super) fn refusal(error: &SecretError) -> (Outcome, &'static str) {
    let outcome = if error.is_refused() { Outcome::Denied } else { Outcome::Failed };
    (outcome, error.code().as_str())
}
