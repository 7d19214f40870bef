//! What `delivery.migration` reports: the plan, the progress and the report of each command.

use std::collections::BTreeMap;

use delivery_core::delivery::Delivery;
use delivery_core::migration::{Action, Applied, Plan, Planned, PutBack, RetireReport as CoreRetireReport, Retired};
use napi_derive::napi;
use secret::clock::iso8601;
use secret::manifest::Phase;

use super::{ReportedError, count};

/// What is to be done to move the env file's secrets to AWS.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct MigrationPlan {
    pub environment: &'static str,
    pub planned_at: String,
    pub file: Option<String>,
    pub complete: bool,
    pub phases: BTreeMap<String, Vec<PlannedSecret>>,
    pub skipped_names: Vec<String>,
}

/// A secret of a plan.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct PlannedSecret {
    pub name: String,
    pub phase: &'static str,
    pub action: &'static str,
    pub version_id: Option<String>,
    pub error: Option<ReportedError>,
}

/// What an `apply` did.
#[napi(object, object_from_js = false)]
pub struct ApplyReport {
    pub environment: &'static str,
    pub applied_at: String,
    pub complete: bool,
    pub secrets: Vec<AppliedSecret>,
}

/// What an `apply` did with one secret.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct AppliedSecret {
    pub name: String,
    pub phase: &'static str,
    pub outcome: &'static str,
    pub version_id: Option<String>,
    pub error: Option<ReportedError>,
}

/// How far an `apply` is.
#[napi(object, object_from_js = false)]
pub struct MigrationProgress {
    pub done: i64,
    pub total: i64,
    pub secret: AppliedSecret,
}

/// What a `retire` did.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct RetireReport {
    pub environment: &'static str,
    pub file: String,
    pub backup: Option<String>,
    pub secrets: Vec<RetiredSecret>,
}

/// What a `retire` did with one secret.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct RetiredSecret {
    pub name: String,
    pub outcome: &'static str,
    pub version_id: Option<String>,
    pub still_in_lines: Vec<i64>,
    pub error: Option<ReportedError>,
}

/// What a `rollback` did.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct RollbackReport {
    pub environment: &'static str,
    pub file: String,
    pub backup: String,
    pub replaced: Option<String>,
}

impl MigrationPlan {
    pub fn of(delivery: &Delivery, plan: Plan) -> Self {
        let secrets =
            |phase: Phase| plan.secrets.iter().filter(|one| one.phase == phase).map(PlannedSecret::of).collect();
        let settled = |one: &Planned| matches!(one.action, Action::Keep | Action::OnlyInAws);
        Self {
            environment: delivery.environment().as_str(),
            planned_at: iso8601(delivery.clock().unix_ms()),
            file: plan.file,
            complete: plan.secrets.iter().all(settled),
            phases: Phase::ALL.into_iter().map(|phase| (phase.as_str().to_owned(), secrets(phase))).collect(),
            skipped_names: plan.skipped,
        }
    }
}

impl PlannedSecret {
    fn of(planned: &Planned) -> Self {
        Self {
            name: planned.name.as_str().to_owned(),
            phase: planned.phase.as_str(),
            action: planned.action.as_str(),
            version_id: planned.version.as_deref().map(str::to_owned),
            error: ReportedError::of(planned.error.as_ref()),
        }
    }
}

impl ApplyReport {
    pub fn of(delivery: &Delivery, secrets: &[Applied]) -> Self {
        Self {
            environment: delivery.environment().as_str(),
            applied_at: iso8601(delivery.clock().unix_ms()),
            complete: secrets.iter().all(|one| one.error.is_none() && one.outcome != "different"),
            secrets: secrets.iter().map(AppliedSecret::of).collect(),
        }
    }
}

impl AppliedSecret {
    fn of(one: &Applied) -> Self {
        Self {
            name: one.name.as_str().to_owned(),
            phase: one.phase.as_str(),
            outcome: one.outcome,
            version_id: one.version.clone(),
            error: ReportedError::of(one.error.as_ref()),
        }
    }
}

impl MigrationProgress {
    pub fn of(one: &Applied, done: usize, total: usize) -> Self {
        Self { done: count(done), total: count(total), secret: AppliedSecret::of(one) }
    }
}

impl RetireReport {
    pub fn of(delivery: &Delivery, report: CoreRetireReport) -> Self {
        Self {
            environment: delivery.environment().as_str(),
            file: report.file,
            backup: report.backup,
            secrets: report.secrets.iter().map(RetiredSecret::of).collect(),
        }
    }
}

impl RetiredSecret {
    fn of(one: &Retired) -> Self {
        Self {
            name: one.name.as_str().to_owned(),
            outcome: one.outcome,
            version_id: one.version.clone(),
            still_in_lines: one.still_in_lines.iter().map(|line| count(*line)).collect(),
            error: ReportedError::of(one.error.as_ref()),
        }
    }
}

impl RollbackReport {
    pub fn of(delivery: &Delivery, PutBack { file, backup, replaced }: PutBack) -> Self {
        Self { environment: delivery.environment().as_str(), file, backup, replaced }
    }
}
