//! Moves secrets from the env file to AWS: `plan` shows what would be done, `apply` writes to AWS, `retire` removes
//! from the file what AWS has, `rollback` restores the file. Each may be interrupted at any point and run again.

mod apply;
mod edit;
mod files;
mod retire;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_recursion::async_recursion as boxed;
use futures_util::{StreamExt as _, stream};

pub use apply::{Applied, Progress};
pub use edit::Mode;
pub use retire::{PutBack, RetireReport, Retired};

use crate::audit::Access;
use crate::delivery::Delivery;
use crate::source::env_file::{EnvFile, Values};
use crate::writing::turn;
use aws::{Aws, MAX_BATCH};
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::manifest::Phase;
use secret::name::SecretName;
use secret::value::SecretValue;

/// How many secrets, or batches of secrets, are processed at once.
pub(crate) const AT_ONCE: usize = 8;

/// The secrets that a command is limited to.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The secrets of one phase.
    pub phase: Option<Phase>,
    /// These names, even if they are not declared.
    pub names: Option<Vec<SecretName>>,
}

/// What `apply` would do with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Only the file has the secret: it is created.
    Create,
    /// AWS has another value: it is overwritten only with `overwrite`.
    Update,
    /// AWS has the same value: nothing is done.
    Keep,
    /// Only AWS has the secret.
    OnlyInAws,
    /// Neither the file nor AWS has the secret.
    Missing,
    /// AWS refused or failed.
    Unknown,
}

impl Action {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Keep => "keep",
            Self::OnlyInAws => "only-in-aws",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// A secret of a plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The name of the secret.
    pub name: SecretName,
    /// The phase in which the secret is moved.
    pub phase: Phase,
    /// What `apply` would do.
    pub action: Action,
    /// The id of the live version in AWS.
    pub version: Option<Arc<str>>,
    /// The error, if AWS refused or failed.
    pub error: Option<SecretError>,
    /// The value in the file.
    value: Option<SecretValue>,
}

/// The result of `plan`.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The env file's path, where one is configured.
    pub file: Option<String>,
    /// The secrets, by phase and then by name.
    pub secrets: Vec<Planned>,
    /// Names in the file that are not valid names of secrets.
    pub skipped: Vec<String>,
}

impl Delivery {
    /// Compares the env file with AWS. Changes nothing.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID`; `CONFIG_INVALID` where AWS is switched off; `AUDIT_WRITE_FAILED`, `CLOSED`. An error of AWS
    /// is in the entry of its secret.
    #[boxed]
    pub async fn plan_migration(&self, scope: &Scope) -> Result<Plan> {
        self.audited(self.planned(scope)).await
    }

    pub(crate) async fn planned(&self, scope: &Scope) -> Result<Plan> {
        self.migrating_aws()?;
        let values = match self.env_file() {
            Some(file) => file.values().await?,
            None => Values::default(),
        };
        let mut secrets = self.compared(scope, &values).await?;
        secrets.sort_by(|a, b| (a.phase, &a.name).cmp(&(b.phase, &b.name)));
        let mut skipped: Vec<String> = values.keys().filter(|name| SecretName::new(name).is_err()).cloned().collect();
        skipped.sort();
        Ok(Plan { file: self.env_file().map(EnvFile::path), secrets, skipped })
    }

    /// The plan for the secrets of `scope`, from the file's `values` and the current answers of AWS.
    async fn compared(&self, scope: &Scope, values: &HashMap<String, SecretValue>) -> Result<Vec<Planned>> {
        let names = self.names_in(scope, values);
        let in_aws = self.in_aws(&names).await?;
        let compare = |(name, in_aws): (SecretName, Result<Option<Fetched>>)| {
            let value = in_file(values, &name).map(|(_, value)| value.clone());
            let (version, error, action) = match (in_aws, &value) {
                (Err(error), _) => (None, Some(error), Action::Unknown),
                (Ok(None), Some(_)) => (None, None, Action::Create),
                (Ok(None), None) => (None, None, Action::Missing),
                (Ok(Some(fetched)), None) => (fetched.version_id, None, Action::OnlyInAws),
                (Ok(Some(fetched)), Some(value)) => {
                    let action = if fetched.value == *value { Action::Keep } else { Action::Update };
                    (fetched.version_id, None, action)
                }
            };
            Planned { phase: self.tools.phase(name.as_str()), name, action, version, error, value }
        };
        Ok(names.into_iter().zip(in_aws).map(compare).collect())
    }

    /// AWS's answers for `names`, as fast as the rate limit allows.
    pub(crate) async fn in_aws(&self, names: &[SecretName]) -> Result<Vec<Result<Option<Fetched>>>> {
        let aws = self.migrating_aws()?;
        // If batches are not granted, each costs as many calls as it has names.
        let at_once = (aws.calls_per_second() / MAX_BATCH).clamp(1, AT_ONCE);
        let batches: Vec<Vec<SecretName>> = names.chunks(MAX_BATCH).map(<[_]>::to_vec).collect();
        let asked = batches.into_iter().map(|batch| async move {
            self.turn(aws).await;
            self.reads().fetch_all(&batch).await
        });
        let answers = stream::iter(asked).buffered(at_once).collect::<Vec<_>>().await;
        let answers: Vec<Result<Option<Fetched>>> = answers.into_iter().flatten().collect();
        let accesses = names.iter().zip(&answers).map(|(name, said)| Access::fetched(name.as_str(), said));
        self.inspected("compare", accesses.collect()).await;
        Ok(answers)
    }

    /// Waits for the rate limit without a deadline. A call itself waits only within its own deadline.
    pub(crate) async fn turn(&self, aws: &Aws) {
        turn(aws, self.clock()).await;
    }

    /// The names of `scope`: the given ones, or else all declared names and all names in the file.
    pub(crate) fn names_in(&self, scope: &Scope, values: &HashMap<String, SecretValue>) -> Vec<SecretName> {
        let names = match &scope.names {
            Some(names) => names.iter().cloned().collect(),
            None => self.candidates(values),
        };
        let wanted = |name: &SecretName| scope.phase.is_none_or(|phase| phase == self.tools.phase(name.as_str()));
        names.into_iter().filter(wanted).collect()
    }

    fn candidates(&self, values: &HashMap<String, SecretValue>) -> BTreeSet<SecretName> {
        let mut names: BTreeSet<SecretName> = self.tools.declared().map(|declared| declared.name).collect();
        // `A-B` may be written as `A_B` in the file: both are one secret.
        let taken: BTreeSet<String> = names.iter().flat_map(SecretName::variable_names).collect();
        let others = values.keys().filter(|name| !taken.contains(*name));
        names.extend(others.filter_map(|name| SecretName::new(name).ok()));
        names
    }

    pub(crate) fn migrating_aws(&self) -> Result<&Aws> {
        let off = || SecretError::config("options.aws", "is switched off, and a migration needs it");
        self.reads().aws().ok_or_else(off)
    }

    fn migrating_file(&self) -> Result<&EnvFile> {
        let none = || SecretError::config("options.envFile", "names no env file to migrate (production has none)");
        self.env_file().ok_or_else(none)
    }
}

/// The name under which the file has `name`, and its value. An empty value counts as missing.
fn in_file<'a>(values: &'a HashMap<String, SecretValue>, name: &SecretName) -> Option<(String, &'a SecretValue)> {
    name.variable_names().find_map(|name| values.get(&name).map(|value| (name, value))).filter(|(_, v)| !v.is_empty())
}

/// The error `ENV_FILE_INVALID` for a change of the file that failed.
fn unusable(path: &str, why: &str) -> SecretError {
    SecretError::new(ErrorCode::EnvFileInvalid, format!("env file {path}: {why}"))
}
