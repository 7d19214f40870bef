//! `delivery.migration`: what JavaScript asks for, and its reports as JSON text. None of them has a place for a value.

use std::path::PathBuf;
use std::sync::Arc;

use delivery_core::delivery::Delivery;
use delivery_core::migration::{Action, Applied, Mode, Plan, Planned, PutBack, RetireReport, Retired, Scope};
use napi_derive::napi;
use secret::clock::iso8601;
use secret::error::{Result, SecretError};
use secret::manifest::Phase;
use secret::name::SecretName;
use serde_json::{Value, json};

use crate::completions::Completions;
use crate::report::error;

/// What a command or a validation is limited to.
#[napi(object)]
pub struct NativeScope {
    /// One of `critical`, `tool`, `other`.
    pub phase: Option<String>,
    /// Secret names.
    pub names: Option<Vec<String>>,
}

impl NativeScope {
    /// The core's own.
    pub(crate) fn read(self) -> Result<Scope> {
        let known = |text: String| {
            let phase = Phase::ALL.into_iter().find(|phase| phase.as_str() == text);
            phase.ok_or_else(|| SecretError::config("phase", "must be 'critical', 'tool' or 'other'"))
        };
        let names = |names: Vec<String>| names.iter().map(|name| SecretName::new(name)).collect::<Result<_>>();
        Ok(Scope { phase: self.phase.map(known).transpose()?, names: self.names.map(names).transpose()? })
    }
}

/// `migration.plan`.
pub async fn plan(delivery: &Delivery, scope: NativeScope) -> Result<String> {
    let plan = delivery.plan_migration(&scope.read()?).await?;
    Ok(planned(delivery, &plan).to_string())
}

/// `migration.apply`; progress goes to operation `id`.
pub async fn apply(
    delivery: &Delivery,
    completions: &Arc<Completions>,
    id: u32,
    scope: NativeScope,
    overwrite: bool,
) -> Result<String> {
    let progress = |one: &Applied, done: usize, total: usize| {
        let told = json!({ "done": done, "total": total, "secret": applied(one) });
        completions.progress(id, told.to_string());
    };
    let secrets = delivery.apply_migration(&scope.read()?, overwrite, &progress).await?;
    let report = json!({
        "environment": delivery.environment().as_str(),
        "appliedAt": iso8601(delivery.clock().unix_ms()),
        "complete": secrets.iter().all(|one| one.error.is_none() && one.outcome != "different"),
        "secrets": secrets.iter().map(applied).collect::<Vec<_>>(),
    });
    Ok(report.to_string())
}

/// `migration.retire`.
pub async fn retire(delivery: &Delivery, scope: NativeScope, mode: &str) -> Result<String> {
    let mode = match mode {
        "comment" => Mode::Comment,
        "remove" => Mode::Remove,
        _ => return Err(SecretError::config("mode", "must be 'comment' or 'remove'")),
    };
    let report = delivery.retire_migrated(&scope.read()?, mode).await?;
    Ok(retired(delivery, &report).to_string())
}

/// `migration.rollback`.
pub async fn rollback(delivery: &Delivery, backup: Option<String>) -> Result<String> {
    let PutBack { file, backup, replaced } = delivery.roll_back_migration(backup.map(PathBuf::from)).await?;
    let report = json!({
        "environment": delivery.environment().as_str(),
        "file": file,
        "backup": backup,
        "replaced": replaced,
    });
    Ok(report.to_string())
}

/// `MigrationPlan`.
fn planned(delivery: &Delivery, plan: &Plan) -> Value {
    let secret = |planned: &Planned| {
        json!({
            "name": planned.name.as_str(),
            "phase": planned.phase.as_str(),
            "action": planned.action.as_str(),
            "versionId": planned.version.as_deref(),
            "error": error(planned.error.as_ref()),
        })
    };
    let of = |phase: Phase| -> Value { plan.secrets.iter().filter(|one| one.phase == phase).map(secret).collect() };
    let settled = |one: &Planned| matches!(one.action, Action::Keep | Action::OnlyInAws);
    json!({
        "environment": delivery.environment().as_str(),
        "plannedAt": iso8601(delivery.clock().unix_ms()),
        "file": plan.file,
        "complete": plan.secrets.iter().all(settled),
        "phases": Phase::ALL.map(|phase| (phase.as_str().to_owned(), of(phase))).into_iter().collect::<serde_json::Map<_, _>>(),
        "skippedNames": plan.skipped,
    })
}

/// `AppliedSecret`.
fn applied(one: &Applied) -> Value {
    json!({
        "name": one.name.as_str(),
        "phase": one.phase.as_str(),
        "outcome": one.outcome,
        "versionId": one.version,
        "error": error(one.error.as_ref()),
    })
}

/// `RetireReport`.
fn retired(delivery: &Delivery, report: &RetireReport) -> Value {
    let secret = |one: &Retired| {
        json!({
            "name": one.name.as_str(),
            "outcome": one.outcome,
            "versionId": one.version,
            "stillInLines": one.still_in_lines,
            "error": error(one.error.as_ref()),
        })
    };
    json!({
        "environment": delivery.environment().as_str(),
        "file": report.file,
        "backup": report.backup,
        "secrets": report.secrets.iter().map(secret).collect::<Vec<_>>(),
    })
}
