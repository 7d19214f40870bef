//! Reports as JSON text, with the names of `index.d.ts`. None of them has a place for a value.

use aws::Version;
use delivery_core::audit::log::{FaultKind, Verification};
use delivery_core::delivery::Delivery;
use delivery_core::explain::{Explanation, LayerReport};
use delivery_core::export::{Family, Labels, Series};
use delivery_core::health::{Check, Status};
use delivery_core::metrics::latency::{Counts, bounds_seconds, seconds};
use delivery_core::metrics::read;
use delivery_core::reads::Versions;
use delivery_core::rotation::calendar::Appointment;
use delivery_core::rotation::hooks::{Hook, HookContext};
use delivery_core::rotation::policy::{Policies, Policy};
use delivery_core::validation::{Issue, LATENCY_BOUND, LayerLatency, Permission, Severity, Validated, is_valid};
use secret::clock::{Clock, iso8601};
use secret::environment::Environment;
use secret::error::SecretError;
use secret::found::Origin;
use secret::name::SecretName;
use secret::notice::Alert;
use secret::notice::Notice;
use secret::report::{Report, StepReport};
use serde_json::{Map, Value, json};

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
        "breakers": explanation.breakers.iter().map(|(source, state)| (source.clone(), state.as_str().into())).collect::<Map<_, _>>(),
        "estimate": explanation.estimate.map(|estimate| {
            json!({ "awsCallsPerMonth": estimate.aws_calls, "costPerMonthUsd": (estimate.cost_usd * 100.0).round() / 100.0 })
        }),
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
        "refreshAt": report.refresh_at_unix_ms.map(iso8601),
        "error": error(report.error.as_ref()),
    })
}

pub(crate) fn error(error: Option<&SecretError>) -> Value {
    error.map_or(Value::Null, |error| {
        with_action(json!({ "code": error.code().as_str(), "message": error.to_string() }), error.action())
    })
}

/// Names the IAM action that AWS refused, where one is known.
fn with_action(mut report: Value, action: Option<&str>) -> Value {
    if let Some(action) = action {
        report["action"] = action.into();
    }
    report
}

/// A rotation hook's context, but for the values.
pub fn hook_context(hook: Hook, context: &HookContext) -> Value {
    json!({
        "hook": hook.as_str(),
        "name": context.name,
        "environment": context.environment,
        "awsId": context.aws_id,
        "tool": context.tool,
        "secretType": context.secret_type,
        "rotationType": context.rotation_type,
        "previousVersionId": context.previous_version,
        "versionId": context.version,
    })
}

/// `RotationReport`.
pub fn rotation(report: &Report) -> Value {
    let step = |step: &StepReport| {
        json!({
            "step": step.step.as_str(),
            "startedAt": iso8601(step.started_unix_ms),
            "durationMs": step.duration_ms,
            "error": error(step.error.as_ref()),
        })
    };
    json!({
        "name": report.name,
        "environment": report.environment.as_str(),
        "awsId": report.aws_id,
        "rotationType": report.rotation_type,
        "outcome": report.ending.as_str(),
        "resumed": report.resumed,
        "byAws": report.by_aws,
        "byAnotherInstance": report.by_another,
        "startedAt": iso8601(report.started_unix_ms),
        "endedAt": iso8601(report.ended_unix_ms),
        "steps": report.steps.iter().map(step).collect::<Vec<_>>(),
        "previousVersionId": report.previous_version,
        "versionId": report.version,
        "error": error(report.error.as_ref()),
    })
}

/// `RotationNotice`; `null` for notices of other kinds.
pub fn rotation_notice(notice: &Notice) -> Value {
    match notice {
        Notice::RotationAnnounced { name, tool, secret_type, rotation_type, due_unix_ms, days_left } => json!({
            "kind": "announced",
            "name": name,
            "tool": tool,
            "secretType": secret_type,
            "rotationType": rotation_type,
            "dueAt": iso8601(*due_unix_ms),
            "daysLeft": days_left,
        }),
        Notice::RotationEnded(report) => json!({ "kind": "ended", "report": rotation(report) }),
        Notice::Warning { .. } | Notice::Rotated { .. } | Notice::Alert(_) | Notice::Log { .. } => Value::Null,
    }
}

/// `Alert`, but for the environment.
pub fn alert(alert: &Alert) -> Value {
    json!({
        "metric": alert.watched.as_str(),
        "state": if alert.is_firing { "firing" } else { "resolved" },
        "value": alert.value,
        "threshold": alert.threshold,
        "action": alert.watched.action(),
        "since": iso8601(alert.since_unix_ms),
        "at": iso8601(alert.at_unix_ms),
    })
}

/// Metrics in the shape of `prom-client`'s `getMetricsAsJSON`.
pub fn families(families: &[Family]) -> Value {
    fn object(labels: &Labels) -> Map<String, Value> {
        labels.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect()
    }
    fn plain<T: Copy + Into<Value>>(series: &[(Labels, T)]) -> Value {
        series.iter().map(|(labels, value)| json!({ "labels": object(labels), "value": (*value).into() })).collect()
    }
    let family = |family: &Family| {
        let (suffix, kind, values) = match &family.series {
            Series::Counter(series) => ("_total", "counter", plain(series)),
            Series::Gauge(series) => ("", "gauge", plain(series)),
            Series::Histogram(series) => {
                let values = series.iter().flat_map(|(labels, counts)| histogram(family.name, &object(labels), counts));
                ("", "histogram", values.collect())
            }
            Series::Info(labels) => ("_info", "gauge", json!([{ "labels": object(labels), "value": 1 }])),
        };
        json!({
            "name": format!("{}{suffix}", family.name),
            "help": family.help,
            "type": kind,
            "values": values,
            "aggregator": "sum",
        })
    };
    families.iter().map(family).collect()
}

/// Cumulative buckets, the sum and the count.
fn histogram(name: &str, labels: &Map<String, Value>, counts: &Counts) -> Vec<Value> {
    let mut seen = 0;
    let bounds = bounds_seconds().map(Value::from).chain([Value::from("+Inf")]);
    let buckets = bounds.zip(counts.buckets).map(|(bound, count)| {
        seen += count;
        let mut labels = labels.clone();
        labels.insert("le".to_owned(), bound);
        json!({ "labels": labels, "value": seen, "metricName": format!("{name}_bucket") })
    });
    let mut values: Vec<Value> = buckets.collect();
    values.push(json!({ "labels": labels, "value": seconds(counts.sum_ns), "metricName": format!("{name}_sum") }));
    values.push(json!({ "labels": labels, "value": counts.total(), "metricName": format!("{name}_count") }));
    values
}

/// `SecretRotationPolicy[]`.
pub fn policies(policies: &Policies) -> Value {
    let policy = |(secret_type, policy): (&str, &Policy)| {
        json!({
            "secretType": secret_type,
            "rotationInterval": policy.interval_days,
            "rotationTime": policy.time.text(),
            "notificationDays": policy.notification_days,
            "rollbackEnabled": policy.rollback,
            "passwordLength": policy.password.length,
            "passwordAlphabet": policy.password.alphabet,
            "passwordField": policy.password.field,
        })
    };
    policies.all().map(policy).collect()
}

/// `RotationDue[]`.
pub fn calendar(clock: &Clock, calendar: &[Appointment]) -> Value {
    let now = clock.unix_ms() / 1000;
    let date = |seconds: u64| iso8601(seconds * 1000);
    let entry = |entry: &Appointment| {
        let standing = match (entry.standing(now), &entry.applied.policy) {
            (Some(standing), _) => standing.as_str(),
            (None, None) => "manual",
            (None, Some(_)) => "unknown",
        };
        json!({
            "name": entry.name.as_str(),
            "tool": entry.tool,
            "secretType": entry.secret_type,
            "rotationType": entry.rotation_type,
            "policy": entry.applied.policy_type,
            "state": standing,
            "versionId": entry.version,
            "rotatedAt": entry.rotated.map(date),
            "noticeAt": entry.dates.map(|dates| date(dates.notice)),
            "dueAt": entry.dates.map(|dates| date(dates.due)),
            "error": error(entry.error.as_ref()),
        })
    };
    calendar.iter().map(entry).collect()
}

/// What `SecretVersions` says beside the values.
pub fn versions(versions: &Versions) -> Value {
    let details = |version: &Option<Version>| {
        version
            .as_ref()
            .map(|version| json!({ "versionId": version.id, "createdAt": version.created_unix_ms.map(iso8601) }))
    };
    json!({
        "current": details(&versions.current),
        "previous": details(&versions.previous),
        "pending": details(&versions.pending),
    })
}

/// `AuditVerification`.
pub fn verification(verification: &Verification) -> Value {
    let fault = verification.fault.as_ref().map(|fault| {
        let kind = match fault.kind {
            FaultKind::Changed => "changed",
            FaultKind::Removed => "removed",
            FaultKind::Inserted => "inserted",
            FaultKind::Reordered => "reordered",
            FaultKind::BadCheckpoint => "bad-checkpoint",
            FaultKind::TornTail => "torn-tail",
        };
        json!({
            "kind": kind,
            "file": fault.file.display().to_string(),
            "line": fault.line,
            "byteOffset": fault.offset,
            "message": fault.message,
        })
    });
    json!({
        "valid": verification.fault.is_none(),
        "untampered": verification.is_untampered(),
        "fault": fault,
        "files": verification.files,
        "bytes": verification.bytes,
        "firstSequence": verification.first_seq,
        "lastSequence": verification.last.0,
        "endConfirmed": verification.end_confirmed,
        "unrecoveredJournals": verification.unrecovered,
        "outcomes": {
            "ok": verification.counts.ok,
            "absent": verification.counts.absent,
            "denied": verification.counts.denied,
            "failed": verification.counts.failed,
        },
    })
}

/// A log that cannot be read at all.
pub fn unreadable(message: &str) -> Value {
    json!({ "unreadable": message })
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
    let reads = delivery.reads();
    let retrieved: Map<String, Value> =
        Origin::ALL.iter().map(|origin| (origin.as_str().to_owned(), metrics.retrieved_from(*origin).into())).collect();
    let errors: Map<String, Value> = metrics
        .errors()
        .filter(|(_, count)| *count > 0)
        .map(|(code, count)| (code.as_str().to_owned(), count.into()))
        .collect();
    let calls: Map<String, Value> = reads.aws().map_or_else(Map::new, |aws| {
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
        "secretsNotInAws": metrics.not_in_aws(),
        "cacheEntries": reads.cache().map_or(0, |cache| cache.memory().len()),
        "staleServed": read(&metrics.stale),
        "backgroundRefreshes": read(&metrics.refreshes),
        "unauthorizedAccess": read(&metrics.unauthorized),
        "errors": errors,
        "awsCalls": calls,
        "rotations": metrics.rotations().map(|(ending, count)| (ending.as_str().to_owned(), count.into())).collect::<Map<_, _>>(),
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

/// The `permissions` of a `ValidationResult`.
pub fn permissions(permissions: &[Permission]) -> Value {
    let one = |permission: &Permission| {
        json!({
            "action": permission.action,
            "state": permission.granted.as_str(),
            "refusedFor": permission.refused_for.iter().map(SecretName::as_str).collect::<Vec<_>>(),
        })
    };
    permissions.iter().map(one).collect()
}

fn validated(secret: &Validated) -> Value {
    let issue = |issue: &Issue| {
        let severity = match issue.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        with_action(json!({ "code": issue.code, "severity": severity, "message": issue.message }), issue.action)
    };
    json!({
        "name": secret.name.as_str(),
        "secretType": secret.secret_type,
        "present": secret.source.is_some(),
        "source": secret.source.map(Origin::as_str),
        "versionId": secret.version_id,
        "ageSeconds": secret.age.map(|age| age.as_secs()),
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
