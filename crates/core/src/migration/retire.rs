//! Takes out of the env file what AWS has, and puts the file back.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;

use super::edit::{Mode, lines_with, without};
use super::files::{Held, put_back};
use super::{Action, Delivery, Scope, in_file, unusable};
use crate::source::env_file::EnvFileSyntax;
use crate::source::env_file::grammar::parse;
use files::reason;
use secret::error::{Result, SecretError};
use secret::name::SecretName;

/// What became of a secret.
#[derive(Clone, Debug)]
pub struct Retired {
    /// Its name.
    pub name: SecretName,
    /// `retired`, `different`, `not-in-aws`, `absent` (not in the file) or `failed`.
    pub outcome: &'static str,
    /// AWS's live version.
    pub version: Option<String>,
    /// Why it failed.
    pub error: Option<SecretError>,
    /// Lines of the new file where its value still stands: in comments, or in the value of another secret.
    pub still_in_lines: Vec<usize>,
}

/// What was taken out of the env file.
#[derive(Clone, Debug)]
pub struct RetireReport {
    /// The file, symbolic links followed.
    pub file: String,
    /// What it was before; `None` when it was left alone.
    pub backup: Option<String>,
    /// Each secret.
    pub secrets: Vec<Retired>,
}

/// How the file was put back.
#[derive(Clone, Debug)]
pub struct PutBack {
    /// The env file as it is configured.
    pub file: String,
    /// What it is again.
    pub backup: String,
    /// What it was until now; `None` when it was that already, or not there.
    pub replaced: Option<String>,
}

impl Delivery {
    /// Takes out of the env file what AWS has with the same value, verified now.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID` when the file cannot be edited, or changed meanwhile: it is left alone then. `CONFIG_INVALID`,
    /// `AUDIT_WRITE_FAILED`, `CLOSED`. What AWS refuses is told secret by secret.
    pub async fn retire_migrated(&self, scope: &Scope, mode: Mode) -> Result<RetireReport> {
        self.audited(self.retire(scope, mode)).await
    }

    async fn retire(&self, scope: &Scope, mode: Mode) -> Result<RetireReport> {
        self.migrating_aws()?;
        let file = self.migrating_file()?;
        if file.config().syntax != EnvFileSyntax::Dotenv {
            return Err(SecretError::config("options.envFile.syntax", "must be 'dotenv' for an edit of the file"));
        }
        let path = file.config().path.clone();
        let held = self.on_disk(move || Held::open(&path)).await?;
        let held = held.ok_or_else(|| unusable(&file.path(), "it is not there"))?;
        let text = std::str::from_utf8(&held.bytes).map_err(|_| unusable(&file.path(), "it is not UTF-8"))?;
        let values: HashMap<_, _> = parse(text).assignments.into_iter().collect();
        let mut names = BTreeSet::new();
        let mut secrets = Vec::new();
        for planned in self.compared(scope, &values).await? {
            let assigned = in_file(&values, &planned.name).map(|(name, _)| name);
            // A version that only a replica gave (`…@region`) is no proof of what the primary has.
            let by_replica = planned.version.as_deref().is_some_and(|version| version.contains('@'));
            let outcome = match (planned.action, assigned) {
                (Action::Keep, Some(assigned)) if !by_replica => {
                    names.insert(assigned);
                    "retired"
                }
                (Action::Create, _) => "not-in-aws",
                (Action::Update, _) => "different",
                (Action::Unknown | Action::Keep, _) => "failed",
                (Action::OnlyInAws | Action::Missing, _) if scope.names.is_some() => "absent",
                (Action::OnlyInAws | Action::Missing, _) => continue,
            };
            let only_a_replica = || unverified(&self.aws_id(&planned.name, self.environment()));
            let error = planned.error.or_else(|| (outcome == "failed").then(only_a_replica));
            let version = planned.version.as_deref().map(str::to_owned);
            secrets.push(Retired { name: planned.name, outcome, version, error, still_in_lines: Vec::new() });
        }
        let shown = held.path.display().to_string();
        if names.is_empty() {
            return Ok(RetireReport { file: shown, backup: None, secrets });
        }
        let edited = without(text, &names, mode).ok_or_else(|| {
            unusable(&file.path(), "without these names other lines would be read differently; edit it by hand")
        })?;
        for secret in secrets.iter_mut().filter(|secret| secret.outcome == "retired") {
            if let Some((_, value)) = in_file(&values, &secret.name) {
                secret.still_in_lines = lines_with(&edited, value);
            }
        }
        let now = self.clock().unix_ms();
        let backup = self
            .on_disk(move || {
                let backup = held.back_up(now)?;
                held.replace(edited.as_bytes())?;
                Ok(backup)
            })
            .await?;
        file.forget();
        if let Some(audit) = self.audit() {
            for secret in &secrets {
                let (name, version) = (secret.name.as_str(), secret.version.as_deref().unwrap_or_default());
                if secret.outcome == "retired" {
                    audit.migration("retire", name, version, None).await?;
                }
            }
        }
        Ok(RetireReport { file: shown, backup: Some(backup.display().to_string()), secrets })
    }

    /// Puts the newest backup, or the one that is given by its name, back in place of the env file.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID`, `CONFIG_INVALID`, `AUDIT_WRITE_FAILED`, `CLOSED`.
    pub async fn roll_back_migration(&self, backup: Option<PathBuf>) -> Result<PutBack> {
        let file = self.migrating_file()?;
        let (path, now) = (file.config().path.clone(), self.clock().unix_ms());
        let restored = self.audited(self.on_disk(move || put_back(&path, backup.as_deref(), now))).await;
        file.forget();
        if let Some(audit) = self.audit() {
            audit.migration("rollback", "", "", restored.as_ref().err()).await?;
        }
        let restored = restored?;
        let shown = |path: PathBuf| path.display().to_string();
        Ok(PutBack { file: file.path(), backup: shown(restored.backup), replaced: restored.replaced.map(shown) })
    }

    /// Runs file work off the async threads. Without a deadline: it is done or it is not, and a caller must know.
    async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
        let path = self.migrating_file()?.path();
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done.map_err(|error| unusable(&path, &reason(&error))),
            Err(_) => Err(unusable(&path, "the edit was stopped")),
        }
    }
}

fn unverified(id: &str) -> SecretError {
    let why = format!("{id}: only a replica gave it, which does not prove that the primary region has it");
    SecretError::new(secret::error::ErrorCode::SourceUnavailable, why)
}
