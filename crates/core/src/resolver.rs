//! Precedence: which source answers (DESIGN sections 2 and 4).

use std::sync::Arc;

use futures_util::future::join_all;

use crate::layer::{Answer, AwsLayer};
use crate::metrics::Metrics;
use crate::source::env_file::EnvFile;
use crate::source::runtime::Precedence;
use crate::source::runtime::{Runtime, Variables};
use secret::error::{Result, SecretError};
use secret::found::Found;
use secret::found::Origin;
use secret::name::SecretName;

/// Asks the sources in their order.
pub struct Resolver {
    /// AWS and its caches.
    pub layer: Arc<AwsLayer>,
    /// Counts what AWS lacks.
    pub metrics: Arc<Metrics>,
    /// `None` when switched off or not part of the environment.
    pub env_file: Option<EnvFile>,
    /// The runtime environment.
    pub runtime: Runtime,
    /// When the runtime environment is asked.
    pub precedence: Precedence,
    /// Production: an AWS failure without a stale copy rejects.
    pub aws_failure_rejects: bool,
    /// Development: having no AWS credentials at all is not a failure, it is having no AWS.
    pub aws_is_optional: bool,
}

/// How the AWS part of a read is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Caches may answer.
    Cached,
    /// Past the caches, replacing their copies.
    Fresh,
}

impl Resolver {
    /// The value of `name`, or `None` when every source says that it has none.
    ///
    /// # Errors
    /// In production AWS's failure. Elsewhere the next source is asked, and AWS's failure is the answer only when no
    /// other source has a value: a failure is not absence (decision D4).
    pub async fn resolve(&self, name: &SecretName, variables: &Variables, freshness: Freshness) -> Answer {
        if self.precedence == Precedence::Override
            && let Some(found) = self.from_runtime(name, variables).await?
        {
            return Ok(Some(found));
        }
        let from_aws = match freshness {
            Freshness::Cached => self.layer.read(name).await,
            Freshness::Fresh => self.layer.refresh(name).await,
        };
        self.after_aws(name, variables, from_aws).await
    }

    /// [`Resolver::resolve`] for many names, each with its variables, at the cost of few calls.
    pub async fn resolve_many(&self, names: &[SecretName], variables: &[Variables]) -> Vec<Answer> {
        if self.precedence == Precedence::Last {
            return self.resolve_many_from_aws(names, variables).await;
        }
        let found = names.iter().zip(variables).map(|(name, variables)| self.from_runtime(name, variables));
        let mut answers = join_all(found).await;
        let open: Vec<usize> = (0..names.len()).filter(|&i| matches!(answers[i], Ok(None))).collect();
        let (open_names, open_variables): (Vec<_>, Vec<_>) =
            open.iter().map(|&i| (names[i].clone(), variables[i].clone())).unzip();
        let from_aws = self.resolve_many_from_aws(&open_names, &open_variables).await;
        for (i, answer) in open.into_iter().zip(from_aws) {
            answers[i] = answer;
        }
        answers
    }

    /// AWS's answers, and where it has none those of the sources after it.
    async fn resolve_many_from_aws(&self, names: &[SecretName], variables: &[Variables]) -> Vec<Answer> {
        let mut answers = self.layer.read_many(names).await;
        let mut later = Vec::new();
        for (i, answer) in answers.iter().enumerate() {
            if let Ok(Some(_)) = answer {
                self.metrics.note_not_in_aws(&names[i], false);
            } else {
                let from_aws = answer.clone();
                later.push(async move { (i, self.after_aws(&names[i], &variables[i], from_aws).await) });
            }
        }
        for (i, answer) in join_all(later).await {
            answers[i] = answer;
        }
        answers
    }

    /// Goes on from AWS's answer: to the env file and, in the default order, to the runtime environment.
    ///
    /// # Errors
    /// As [`Resolver::resolve`].
    pub async fn after_aws(&self, name: &SecretName, variables: &Variables, from_aws: Answer) -> Answer {
        let failure = match from_aws {
            Ok(Some(found)) => {
                self.metrics.note_not_in_aws(name, false);
                return Ok(Some(found));
            }
            Ok(None) => {
                let found = self.after_absent(name, variables).await?;
                self.metrics.note_not_in_aws(name, found.is_some());
                return Ok(found);
            }
            Err(error) if self.rejects(&error) => return Err(error),
            Err(error) => self.remembered(error),
        };
        match (self.after_absent(name, variables).await?, failure) {
            (None, Some(error)) => Err(error),
            (found, _) => Ok(found),
        }
    }

    /// What the sources after AWS have.
    async fn after_absent(&self, name: &SecretName, variables: &Variables) -> Answer {
        if let Some(found) = self.from_env_file(name).await? {
            return Ok(Some(found));
        }
        match self.precedence {
            Precedence::Last => self.from_runtime(name, variables).await,
            Precedence::Override => Ok(None),
        }
    }

    /// Whether an AWS error ends a read at once.
    pub fn rejects(&self, error: &SecretError) -> bool {
        self.aws_failure_rejects || error.code() == secret::error::ErrorCode::Closed
    }

    /// An AWS failure is the answer when nothing else is known, unless AWS is optional here and simply not there.
    ///
    /// # Errors
    /// `error`.
    pub fn unless_optional(&self, error: SecretError) -> Result<()> {
        self.remembered(error).map_or(Ok(()), Err)
    }

    fn remembered(&self, error: SecretError) -> Option<SecretError> {
        (!(self.aws_is_optional && error.is_missing_credentials())).then_some(error)
    }

    /// What the env file has.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID`.
    pub async fn from_env_file(&self, name: &SecretName) -> Result<Option<Found>> {
        let Some(file) = &self.env_file else { return Ok(None) };
        Ok(file.get(name).await?.map(|value| local(value, Origin::EnvFile)))
    }

    /// What the runtime environment has.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE`, `SOURCE_RESPONSE_INVALID`.
    pub async fn from_runtime(&self, name: &SecretName, variables: &Variables) -> Result<Option<Found>> {
        Ok(self.runtime.get(name, variables).await?.map(|located| local(located.value, Origin::Runtime)))
    }
}

fn local(value: secret::value::SecretValue, origin: Origin) -> Found {
    Found { value, origin, version_id: None, stale: false }
}
