//! Reports as JSON text, with the names of `index.d.ts`. None of them has a place for a value.

use serde_json::{Map, Value, json};
use tcs_secret_delivery_core::clock::{Clock, iso8601};
use tcs_secret_delivery_core::delivery::Delivery;
use tcs_secret_delivery_core::environment::Environment;
use tcs_secret_delivery_core::error::SecretError;
use tcs_secret_delivery_core::explain::{Explanation, LayerReport};
use tcs_secret_delivery_core::health::{Check, Status};
use tcs_secret_delivery_core::metrics::{Origin, read};
use tcs_secret_delivery_core::validation::{Issue, LATENCY_BOUND, LayerLatency, Severity, Validated, is_valid};

/// `EnvironmentDefaults`.
pub fn environment_defaults(environment: Environment) -> Value {
    let preset = environment.preset();
    json!({
        "environment": environment.as_str(),
        "source": "aws-secrets-manager",
        "fallback": preset.env_file,
        "fallbackDeprecated": preset.env_file_deprecated,
        "cache": preset.cache_ttl.is_some(),
        "cacheTtlSeconds": preset.cache_ttl.map(|ttl| ttl.as_secs()),
        "maxStaleSeconds": preset.max_stale.as_secs(),
        "audit": preset.audit,
        "rotation": match preset.rotation_interval_days {
            None => "manual",
            Some(7) => "weekly",
            Some(_) => "bi-weekly",
        },
        "rotationIntervalDays": preset.rotation_interval_days,
        "encryption": preset.encryption_required,
        "compliance": preset.compliance,
        "monitoring": preset.monitoring,
        "alerting": preset.alerting,
        "onAwsFailure": if preset.aws_failure_rejects { "reject" } else { "next-source" },
    })
}

/// `SecretExplanation`.
pub fn explanation(environment: Environment, explanation: &Explanation) -> Value {
    json!({
        "name": explanation.name,
        "environment": environment.as_str(),
        "awsId": explanation.aws_id,
        "answeredBy": explanation.answered_by.map(Origin::as_str),
        "stale": explanation.stale,
        "versionId": explanation.version_id.as_deref(),
        "error": error(explanation.error.as_ref()),
        "layers": explanation.layers.iter().map(layer).collect::<Vec<_>>(),
    })
}

fn layer(report: &LayerReport) -> Value {
    json!({
        "layer": report.layer.as_str(),
        "state": report.state.as_str(),
        "place": report.place,
        "versionId": report.version_id.as_deref(),
        "ageSeconds": report.age_ms.map(|ms| ms / 1000),
        "freshUntil": report.fresh_until_unix_ms.map(iso8601),
        "staleUntil": report.stale_until_unix_ms.map(iso8601),
        "error": error(report.error.as_ref()),
    })
}

fn error(error: Option<&SecretError>) -> Value {
    error.map_or(Value::Null, |error| json!({ "code": error.code().as_str(), "message": error.to_string() }))
}

/// `HealthReport`.
pub fn health(environment: Environment, clock: &Clock, status: Status, checks: &[Check]) -> Value {
    let checks: Map<String, Value> = checks
        .iter()
        .map(|check| (check.part.to_owned(), json!({ "status": check.status.as_str(), "reason": check.reason })))
        .collect();
    json!({
        "status": status.as_str(),
        "environment": environment.as_str(),
        "checkedAt": iso8601(clock.unix_ms()),
        "checks": checks,
    })
}

/// `MetricsSnapshot`.
pub fn metrics(delivery: &Delivery) -> Value {
    let metrics = delivery.metrics();
    let layer = delivery.layer();
    let retrieved: Map<String, Value> =
        Origin::ALL.iter().map(|origin| (origin.as_str().to_owned(), metrics.retrieved_from(*origin).into())).collect();
    let errors: Map<String, Value> = metrics
        .errors()
        .filter(|(_, count)| *count > 0)
        .map(|(code, count)| (code.as_str().to_owned(), count.into()))
        .collect();
    let calls: Map<String, Value> = layer.aws.as_ref().map_or_else(Map::new, |aws| {
        aws.calls()
            .operations()
            .map(|(operation, outcomes)| {
                let counts = json!({
                    "ok": read(&outcomes.ok),
                    "denied": read(&outcomes.denied),
                    "failed": read(&outcomes.failed),
                });
                (operation.as_str().to_owned(), counts)
            })
            .collect()
    });
    json!({
        "secretsRetrieved": retrieved,
        "absent": read(&metrics.absent),
        "cacheHits": read(&metrics.hits),
        "cacheMisses": read(&metrics.misses),
        "cacheHitRate": metrics.hit_rate(),
        "cacheEfficiency": metrics.efficiency(),
        "cacheEntries": layer.cache.as_ref().map_or(0, |cache| cache.memory().len()),
        "staleServed": read(&metrics.stale),
        "backgroundRefreshes": read(&metrics.refreshes),
        "unauthorizedAccess": read(&metrics.unauthorized),
        "errors": errors,
        "awsCalls": calls,
        "recorded": {
            "count": read(&metrics.recorded),
            "failures": read(&metrics.recorded_failures),
            "totalLatencyMs": metrics.recorded_ms(),
        },
    })
}

/// `ValidationResult`.
pub fn validation(environment: Environment, clock: &Clock, tool: Option<&str>, secrets: &[Validated]) -> Value {
    json!({
        "valid": is_valid(secrets),
        "tool": tool,
        "environment": environment.as_str(),
        "checkedAt": iso8601(clock.unix_ms()),
        "secrets": secrets.iter().map(validated).collect::<Vec<_>>(),
    })
}

fn validated(secret: &Validated) -> Value {
    let issue = |issue: &Issue| {
        let severity = match issue.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        json!({ "code": issue.code, "severity": severity, "message": issue.message })
    };
    json!({
        "name": secret.name.as_str(),
        "secretType": secret.secret_type,
        "present": secret.source.is_some(),
        "source": secret.source.map(Origin::as_str),
        "versionId": secret.version_id,
        "issues": secret.issues.iter().map(issue).collect::<Vec<_>>(),
    })
}

/// `PerformanceMetrics`.
pub fn performance(environment: Environment, clock: &Clock, layers: &[LayerLatency]) -> Value {
    let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1000.0;
    let summary = |layer: &LayerLatency| {
        json!({
            "layer": layer.layer.as_str(),
            "reads": layer.sorted.len(),
            "p50Ms": ms(layer.percentile(50)),
            "p95Ms": ms(layer.percentile(95)),
            "p99Ms": ms(layer.percentile(99)),
        })
    };
    json!({
        "environment": environment.as_str(),
        "measuredAt": iso8601(clock.unix_ms()),
        "layers": layers.iter().map(summary).collect::<Vec<_>>(),
        "thresholdMs": ms(LATENCY_BOUND),
        "withinThreshold": layers.iter().all(|layer| layer.percentile(99) < LATENCY_BOUND),
    })
}
