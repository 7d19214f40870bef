//! Removes secrets that AWS has from the env file, and restores the file.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;

use audit_log::Event;

use super::edit::{Mode, lines_with, without};
use super::files::{Held, put_back};
use super::{Action, Delivery, Scope, in_file, unusable};
use crate::source::env_file::EnvFileSyntax;
use crate::source::env_file::grammar::parse;
use async_recursion::async_recursion as boxed;
use files::reason;
use secret::error::{Result, SecretError};
use secret::found::is_of_replica;
use secret::name::SecretName;

/// The result for one secret.
#[derive(Clone, Debug)]
pub struct Retired {
    /// The name of the secret.
    pub name: SecretName,
    /// `retired`, `different`, `not-in-aws`, `absent` (not in the file) or `failed`.
    pub outcome: &'static str,
    /// The id of the live version in AWS.
    pub version: Option<String>,
    /// The error of a failure.
    pub error: Option<SecretError>,
    /// The lines of the new file that still contain the value: in comments, or in the value of another secret.
    pub still_in_lines: Vec<usize>,
}

/// The result of `retire`.
#[derive(Clone, Debug)]
pub struct RetireReport {
    /// The path of the file, with symbolic links followed.
    pub file: String,
    /// The path of the backup; `None` if the file was not changed.
    pub backup: Option<String>,
    /// The result for each secret.
    pub secrets: Vec<Retired>,
}

/// The result of `rollback`.
#[derive(Clone, Debug)]
pub struct PutBack {
    /// The configured path of the env file.
    pub file: String,
    /// The copy that was restored.
    pub backup: String,
    /// The copy of the replaced file; `None` if it had the same content or did not exist.
    pub replaced: Option<String>,
}

impl Delivery {
    /// Removes from the env file the secrets that AWS has with the same value. AWS is read now.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID` when the file cannot be edited, or was changed meanwhile; then it is not changed.
    /// `CONFIG_INVALID`, `AUDIT_WRITE_FAILED`, `CLOSED`. An error of AWS is in the entry of its secret.
    #[boxed]
    pub async fn retire_migrated(&self, scope: &Scope, mode: Mode) -> Result<RetireReport> {
        self.audited(self.retire(scope, mode)).await
    }

    async fn retire(&self, scope: &Scope, mode: Mode) -> Result<RetireReport> {
        self.migrating_aws()?;
        let file = self.migrating_file()?;
        if file.config().syntax != EnvFileSyntax::Dotenv {
            return Err(SecretError::config("options.envFile.syntax", "must be 'dotenv' for an edit of the file"));
        }
        let path = file.main().await;
        let held = self.on_disk(move || Held::open(&path)).await?;
        let held = held.ok_or_else(|| unusable(&file.path(), "it is not there"))?;
        let text = std::str::from_utf8(&held.bytes).map_err(|_| unusable(&file.path(), "it is not UTF-8"))?;
        let values: HashMap<_, _> = parse(text).assignments.into_iter().collect();
        let mut names = BTreeSet::new();
        let mut secrets = Vec::new();
        for planned in self.compared(scope, &values).await? {
            let assigned = in_file(&values, &planned.name).map(|(name, _)| name);
            // A version from a replica (`…@region`) does not prove what the primary region has.
            let by_replica = is_of_replica(planned.version.as_deref());
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
                    audit.written((Event::Migrate, "retire"), name, version, None).await?;
                }
            }
        }
        Ok(RetireReport { file: shown, backup: Some(backup.display().to_string()), secrets })
    }

    /// Restores the newest backup of the env file, or the named one.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID`, `CONFIG_INVALID`, `AUDIT_WRITE_FAILED`, `CLOSED`.
    #[boxed]
    pub async fn roll_back_migration(&self, backup: Option<PathBuf>) -> Result<PutBack> {
        let file = self.migrating_file()?;
        let (path, now) = (file.main().await, self.clock().unix_ms());
        let restored = self.audited(self.on_disk(move || put_back(&path, backup.as_deref(), now))).await;
        file.forget();
        if let Some(audit) = self.audit() {
            audit.written((Event::Migrate, "rollback"), "", "", restored.as_ref().err()).await?;
        }
        let restored = restored?;
        let shown = |path: PathBuf| path.display().to_string();
        Ok(PutBack { file: file.path(), backup: shown(restored.backup), replaced: restored.replaced.map(shown) })
    }

    /// Runs file work off the async threads. Has no deadline, because the caller must know whether the file was
    /// changed.
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
