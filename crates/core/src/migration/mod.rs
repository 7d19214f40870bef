//! Moving secrets from the env file to AWS: what is to be done (`plan`), doing it (`apply`), taking what has arrived out of
//! the file (`retire`), and putting the file back (`rollback`). Each may be interrupted anywhere and run again.

mod apply;
mod edit;
mod files;
mod retire;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

pub use apply::{Applied, Progress};
pub use edit::Mode;
pub use retire::{PutBack, RetireReport, Retired};

use crate::delivery::Delivery;
use crate::source::env_file::{EnvFile, Values};
use aws::{Aws, MAX_BATCH};
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::manifest::Phase;
use secret::name::SecretName;
use secret::value::SecretValue;

/// Secrets, or batches of them, worked on at once.
pub(crate) const AT_ONCE: usize = 8;

/// What a command is limited to.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// One phase.
    pub phase: Option<Phase>,
    /// These names, whether declared or not.
    pub names: Option<Vec<SecretName>>,
}

/// What is to be done with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Only the file has it.
    Create,
    /// AWS has another value.
    Update,
    /// AWS has the same value.
    Keep,
    /// The file has none.
    OnlyInAws,
    /// Neither has it.
    Missing,
    /// AWS did not say.
    Unknown,
}

impl Action {
    /// Its name in reports.
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
    /// Its name.
    pub name: SecretName,
    /// When it is moved.
    pub phase: Phase,
    /// What is to be done.
    pub action: Action,
    /// AWS's live version.
    pub version: Option<Arc<str>>,
    /// Why AWS did not say.
    pub error: Option<SecretError>,
    /// What the file has.
    value: Option<SecretValue>,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The env file's path, where one is configured.
    pub file: Option<String>,
    /// By phase, then by name.
    pub secrets: Vec<Planned>,
    /// Names of the file that no AWS secret can have.
    pub skipped: Vec<String>,
}

impl Delivery {
    /// Compares the env file with AWS, and changes nothing.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID`; `CONFIG_INVALID` where AWS is switched off; `AUDIT_WRITE_FAILED`, `CLOSED`. What AWS refuses is
    /// told secret by secret.
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

    /// The secrets of `scope`, as the file's `values` and AWS have them now.
    async fn compared(&self, scope: &Scope, values: &HashMap<String, SecretValue>) -> Result<Vec<Planned>> {
        let names = self.names_in(scope, values)?;
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
        // Where batches are not granted, each costs as many calls as it has names.
        let at_once = (aws.calls_per_second() / MAX_BATCH).clamp(1, AT_ONCE);
        let batches: Vec<Vec<SecretName>> = names.chunks(MAX_BATCH).map(<[_]>::to_vec).collect();
        let asked = batches.into_iter().map(|batch| async move {
            self.turn(aws).await;
            self.reads().fetch_all(&batch).await
        });
        Ok(stream::iter(asked).buffered(at_once).collect::<Vec<_>>().await.into_iter().flatten().collect())
    }

    /// Waits for the rate limit, for as long as it takes: a call itself waits only inside its deadline.
    pub(crate) async fn turn(&self, aws: &Aws) {
        loop {
            let wait = aws.wait();
            if wait.is_zero() {
                return;
            }
            crate::timer::sleep(self.clock(), wait).await;
        }
    }

    /// The names of `scope`: those that were asked for, or else all that are declared and all of the file.
    pub(crate) fn names_in(&self, scope: &Scope, values: &HashMap<String, SecretValue>) -> Result<Vec<SecretName>> {
        let names = match &scope.names {
            Some(names) => names.iter().cloned().collect(),
            None => self.candidates(values)?,
        };
        let wanted = |name: &SecretName| scope.phase.is_none_or(|phase| phase == self.tools.phase(name.as_str()));
        Ok(names.into_iter().filter(wanted).collect())
    }

    fn candidates(&self, values: &HashMap<String, SecretValue>) -> Result<BTreeSet<SecretName>> {
        let declared = self.tools.all().map(|(tool, secret_type, _)| SecretName::of_tool(tool, secret_type));
        let mut names: BTreeSet<SecretName> = declared.collect::<Result<_>>()?;
        // `A-B` is also read as `A_B` from a file: that is one secret.
        let taken: BTreeSet<String> = names.iter().flat_map(SecretName::variable_names).collect();
        let others = values.keys().filter(|name| !taken.contains(*name));
        names.extend(others.filter_map(|name| SecretName::new(name).ok()));
        Ok(names)
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

/// What the file calls `name`, and its value. An empty value is none.
fn in_file<'a>(values: &'a HashMap<String, SecretValue>, name: &SecretName) -> Option<(String, &'a SecretValue)> {
    name.variable_names().find_map(|name| values.get(&name).map(|value| (name, value))).filter(|(_, v)| !v.is_empty())
}

/// `ENV_FILE_INVALID`: what was to be done to the file could not be.
fn unusable(path: &str, why: &str) -> SecretError {
    SecretError::new(ErrorCode::EnvFileInvalid, format!("env file {path}: {why}"))
}
