//! `ValidationResult`, `AccessValidationResult` and `PerformanceMetrics`.

use std::time::Duration;

use delivery_core::delivery::Delivery;
use delivery_core::validation::{
    Access, Issue, LATENCY_BOUND, LayerLatency, Permission, Severity, Validated, is_valid,
};
use napi_derive::napi;
use secret::clock::iso8601;
use secret::error::SecretError;
use secret::found::Origin;
use secret::name::SecretName;

use super::count;

/// The outcome of a validation.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct ValidationResult {
    pub valid: bool,
    pub tool: Option<String>,
    pub environment: &'static str,
    pub checked_at: String,
    pub secrets: Vec<ValidatedSecret>,
}

/// A [`ValidationResult`] with what this identity may do in AWS.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct AccessValidationResult {
    pub valid: bool,
    pub tool: Option<String>,
    pub environment: &'static str,
    pub checked_at: String,
    pub secrets: Vec<ValidatedSecret>,
    pub permissions: Vec<PermissionState>,
}

/// A secret as a validation saw it.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct ValidatedSecret {
    pub name: String,
    pub secret_type: Option<String>,
    pub present: bool,
    pub source: Option<&'static str>,
    pub version_id: Option<String>,
    pub age_seconds: Option<i64>,
    pub issues: Vec<ValidationIssue>,
}

/// One problem that a validation found.
#[napi(object, object_from_js = false)]
pub struct ValidationIssue {
    pub code: &'static str,
    pub severity: &'static str,
    pub message: String,
    /// The IAM action that AWS refused. Missing where AWS did not name it.
    pub action: Option<&'static str>,
}

/// Whether this identity may do something.
#[napi(object, object_from_js = false)]
pub struct PermissionState {
    pub action: &'static str,
    pub state: &'static str,
    pub refused_for: Vec<String>,
}

/// What delivery costs, layer by layer.
#[napi(object, object_from_js = false)]
pub struct PerformanceMetrics {
    pub environment: &'static str,
    pub measured_at: String,
    pub layers: Vec<LatencySummary>,
    pub threshold_ms: f64,
    pub within_threshold: bool,
}

/// Latencies of one layer.
#[napi(object, object_from_js = false)]
pub struct LatencySummary {
    pub layer: &'static str,
    pub reads: i64,
    #[napi(js_name = "p50Ms")]
    pub p50_ms: f64,
    #[napi(js_name = "p95Ms")]
    pub p95_ms: f64,
    #[napi(js_name = "p99Ms")]
    pub p99_ms: f64,
    pub failures: Vec<ReadFailure>,
}

/// A secret that a layer could not give.
#[napi(object, object_from_js = false)]
pub struct ReadFailure {
    pub name: String,
    pub code: &'static str,
    pub message: String,
}

impl ValidationResult {
    /// `tool` is `None` when all declared tools were validated.
    pub fn of(delivery: &Delivery, tool: Option<String>, secrets: &[Validated]) -> Self {
        Self {
            valid: is_valid(secrets),
            tool,
            environment: delivery.environment().as_str(),
            checked_at: iso8601(delivery.clock().unix_ms()),
            secrets: secrets.iter().map(ValidatedSecret::of).collect(),
        }
    }
}

impl AccessValidationResult {
    pub fn of(delivery: &Delivery, access: &Access) -> Self {
        let ValidationResult { valid, tool, environment, checked_at, secrets } =
            ValidationResult::of(delivery, None, &access.secrets);
        let permissions = access.permissions.iter().map(PermissionState::of).collect();
        Self { valid, tool, environment, checked_at, secrets, permissions }
    }
}

impl ValidatedSecret {
    fn of(secret: &Validated) -> Self {
        Self {
            name: secret.name.as_str().to_owned(),
            secret_type: secret.secret_type.clone(),
            present: secret.source.is_some(),
            source: secret.source.map(Origin::as_str),
            version_id: secret.version_id.clone(),
            age_seconds: secret.age.map(|age| count(age.as_secs())),
            issues: secret.issues.iter().map(ValidationIssue::of).collect(),
        }
    }
}

impl ValidationIssue {
    fn of(issue: &Issue) -> Self {
        Self {
            code: issue.code,
            severity: match issue.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: issue.message.clone(),
            action: issue.action,
        }
    }
}

impl PermissionState {
    fn of(permission: &Permission) -> Self {
        Self {
            action: permission.action,
            state: permission.granted.as_str(),
            refused_for: permission.refused_for.iter().map(|name| name.as_str().to_owned()).collect(),
        }
    }
}

impl PerformanceMetrics {
    pub fn of(delivery: &Delivery, layers: &[LayerLatency]) -> Self {
        Self {
            environment: delivery.environment().as_str(),
            measured_at: iso8601(delivery.clock().unix_ms()),
            layers: layers.iter().map(LatencySummary::of).collect(),
            threshold_ms: ms(LATENCY_BOUND),
            within_threshold: layers.iter().all(|layer| layer.percentile(99) < LATENCY_BOUND),
        }
    }
}

impl LatencySummary {
    fn of(layer: &LayerLatency) -> Self {
        Self {
            layer: layer.layer.as_str(),
            reads: count(layer.sorted.len()),
            p50_ms: ms(layer.percentile(50)),
            p95_ms: ms(layer.percentile(95)),
            p99_ms: ms(layer.percentile(99)),
            failures: layer.failures.iter().map(ReadFailure::of).collect(),
        }
    }
}

impl ReadFailure {
    fn of((name, error): &(SecretName, SecretError)) -> Self {
        Self { name: name.as_str().to_owned(), code: error.code().as_str(), message: error.to_string() }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
