//! What rotations report: `RotationReport`, `RotationDue`, `RotationNotice`, the policies, and the context of a hook.

use delivery_core::rotation::calendar::Appointment;
use delivery_core::rotation::hooks::{Hook, HookContext};
use delivery_core::rotation::keeper::Hand;
use delivery_core::rotation::policy::Policy;
use napi_derive::napi;
use secret::clock::{Clock, iso8601};
use secret::report::{Report, StepReport};

use super::{ReportedError, count};

/// How a rotation ended, and what was done.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct RotationReport {
    pub name: String,
    pub environment: &'static str,
    pub aws_id: String,
    pub rotation_type: Option<String>,
    pub outcome: &'static str,
    pub resumed: bool,
    pub by_aws: bool,
    pub by_another_instance: bool,
    pub started_at: String,
    pub ended_at: String,
    pub steps: Vec<RotationStep>,
    pub previous_version_id: Option<String>,
    pub version_id: Option<String>,
    pub error: Option<ReportedError>,
}

/// One step of a rotation.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct RotationStep {
    pub step: &'static str,
    pub started_at: String,
    pub duration_ms: i64,
    pub error: Option<ReportedError>,
}

/// When a declared secret is to be rotated.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct RotationDue {
    pub name: String,
    pub tool: Option<String>,
    pub secret_type: Option<String>,
    pub rotation_type: Option<String>,
    pub policy: Option<String>,
    pub state: &'static str,
    pub version_id: Option<String>,
    pub rotated_at: Option<String>,
    pub notice_at: Option<String>,
    pub due_at: Option<String>,
    pub by: Option<&'static str>,
    pub why: Option<String>,
    pub error: Option<ReportedError>,
}

/// A policy in force.
#[napi(object, object_from_js = false)]
pub struct SecretRotationPolicy {
    pub secret_type: String,
    pub rotation_interval: u32,
    pub rotation_time: String,
    pub notification_days: u32,
    pub rollback_enabled: bool,
    pub password_length: u32,
    pub password_alphabet: String,
    pub password_field: String,
}

/// The `RotationNotice` of a rotation to come.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct RotationAnnounced {
    #[napi(ts_type = "'announced'")]
    pub kind: &'static str,
    pub name: String,
    pub tool: Option<String>,
    pub secret_type: Option<String>,
    pub rotation_type: Option<String>,
    pub due_at: String,
    pub days_left: i64,
    #[napi(ts_type = "'scheduler' | 'hand' | 'aws'")]
    pub by: &'static str,
    pub why: Option<String>,
}

/// The `RotationNotice` of a rotation that ended.
#[napi(object, object_from_js = false)]
pub struct RotationEnded {
    #[napi(ts_type = "'ended'")]
    pub kind: &'static str,
    pub report: RotationReport,
}

/// A `RotationContext` without the methods that return values, and the hook to call with it.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct RotationHookContext {
    pub hook: &'static str,
    pub name: String,
    pub environment: &'static str,
    pub aws_id: String,
    pub tool: Option<String>,
    pub secret_type: Option<String>,
    pub rotation_type: Option<String>,
    pub previous_version_id: String,
    pub version_id: Option<String>,
}

impl From<&Report> for RotationReport {
    fn from(report: &Report) -> Self {
        Self {
            name: report.name.clone(),
            environment: report.environment.as_str(),
            aws_id: report.aws_id.clone(),
            rotation_type: report.rotation_type.clone(),
            outcome: report.ending.as_str(),
            resumed: report.resumed,
            by_aws: report.by_aws,
            by_another_instance: report.by_another,
            started_at: iso8601(report.started_unix_ms),
            ended_at: iso8601(report.ended_unix_ms),
            steps: report.steps.iter().map(RotationStep::of).collect(),
            previous_version_id: report.previous_version.clone(),
            version_id: report.version.clone(),
            error: ReportedError::of(report.error.as_ref()),
        }
    }
}

impl RotationStep {
    fn of(step: &StepReport) -> Self {
        Self {
            step: step.step.as_str(),
            started_at: iso8601(step.started_unix_ms),
            duration_ms: count(step.duration_ms),
            error: ReportedError::of(step.error.as_ref()),
        }
    }
}

impl RotationDue {
    pub fn of(clock: &Clock, entry: Appointment) -> Self {
        let date = |seconds: u64| iso8601(seconds * 1000);
        let state = match (entry.standing(clock.unix_ms() / 1000), &entry.applied.policy) {
            (Some(standing), _) => standing.as_str(),
            (None, None) => "manual",
            (None, Some(_)) => "unknown",
        };
        Self {
            name: entry.name.as_str().to_owned(),
            tool: entry.tool,
            secret_type: entry.secret_type,
            rotation_type: entry.rotation_type,
            policy: entry.applied.policy_type,
            state,
            version_id: entry.version,
            rotated_at: entry.rotated.map(date),
            notice_at: entry.dates.map(|dates| date(dates.notice)),
            due_at: entry.dates.map(|dates| date(dates.due)),
            by: entry.hand.as_ref().map(Hand::as_str),
            why: entry.hand.as_ref().and_then(Hand::why).map(str::to_owned),
            error: ReportedError::of(entry.error.as_ref()),
        }
    }
}

impl SecretRotationPolicy {
    pub fn of((secret_type, policy): (&str, &Policy)) -> Self {
        Self {
            secret_type: secret_type.to_owned(),
            rotation_interval: policy.interval_days,
            rotation_time: policy.time.text(),
            notification_days: policy.notification_days,
            rollback_enabled: policy.rollback,
            password_length: policy.password.length,
            password_alphabet: policy.password.alphabet.clone(),
            password_field: policy.password.field.clone(),
        }
    }
}

impl From<&Report> for RotationEnded {
    fn from(report: &Report) -> Self {
        Self { kind: "ended", report: report.into() }
    }
}

impl RotationHookContext {
    pub fn of(hook: Hook, context: &HookContext) -> Self {
        Self {
            hook: hook.as_str(),
            name: context.name.clone(),
            environment: context.environment,
            aws_id: context.aws_id.clone(),
            tool: context.tool.clone(),
            secret_type: context.secret_type.clone(),
            rotation_type: context.rotation_type.clone(),
            previous_version_id: context.previous_version.clone(),
            version_id: context.version.clone(),
        }
    }
}
