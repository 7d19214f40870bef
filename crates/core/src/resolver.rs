//! Precedence: which source answers (`docs/behaviour.md`). The order of the sources, and when the next one is asked,
//! stand here and nowhere else: [`Resolver::order`] and [`Progress`]. A read, `getToolSecrets` and `explain` follow
//! both.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use secret::error::{Result, SecretError};
use secret::found::{Found, Origin};
use secret::name::SecretName;
use secret::value::SecretValue;

use crate::metrics::Metrics;
use crate::reads::Reads;
use crate::reads::fields::Wanted;
use crate::reads::table::Answer;
use crate::source::env_file::EnvFile;
use crate::source::runtime::{Precedence, Runtime, Variables};

/// Asks the sources in their order.
pub struct Resolver {
    /// AWS and its caches.
    pub reads: Arc<Reads>,
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

/// A source of secrets, as precedence sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// AWS behind its caches.
    Aws,
    /// The env file.
    EnvFile,
    /// The runtime environment.
    Runtime,
}

/// How the AWS part of a read is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Caches may answer.
    Cached,
    /// Past the caches, replacing their copies.
    Fresh,
    /// A copy in memory of this age at most may answer, also for a failing AWS; else as [`Freshness::Fresh`].
    Within(Duration),
}

impl Freshness {
    /// The greatest age of what may answer in place of AWS; `None`: as long as it is fresh.
    pub fn max_age(self) -> Option<Duration> {
        match self {
            Self::Cached => None,
            Self::Fresh => Some(Duration::ZERO),
            Self::Within(age) => Some(age),
        }
    }
}

/// One secret's way through the sources.
#[derive(Debug, Default)]
pub struct Progress {
    end: Option<Answer>,
    /// AWS's failure: the answer if no later source has a value.
    failure: Option<SecretError>,
    aws_has_none: bool,
    /// AWS denied a secret that it never gave this process: denied, or not there.
    is_not_shown: bool,
}

impl Progress {
    /// Whether the next source is asked.
    pub fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// Takes what a source said about `name`.
    pub fn hear(&mut self, resolver: &Resolver, name: &SecretName, source: Source, said: Answer) {
        match (source, said) {
            (Source::Aws, Err(error)) if error.is_not_shown() && !resolver.reads.was_given(name) => {
                let why = format!("{error}; denied, or not there: AWS does not tell this identity which");
                self.failure = Some(error.instead(why));
                self.is_not_shown = true;
            }
            (_, Ok(Some(found))) => self.end = Some(Ok(Some(found))),
            (Source::Aws, Ok(None)) => self.aws_has_none = true,
            (_, Ok(None)) => {}
            (Source::Aws, Err(error)) if !resolver.rejects(&error) => self.failure = resolver.unless_optional(error),
            (_, Err(error)) => self.end = Some(Err(error)),
        }
    }

    /// The answer once every source was asked: a failure of AWS is not absence (decision D4).
    pub fn answer(self) -> Answer {
        self.end.unwrap_or_else(|| self.failure.map_or(Ok(None), Err))
    }
}

impl Resolver {
    /// The sources in the order in which they are asked (decision D1).
    pub fn order(&self) -> [Source; 3] {
        match self.precedence {
            Precedence::Last => [Source::Aws, Source::EnvFile, Source::Runtime],
            Precedence::Override => [Source::Runtime, Source::Aws, Source::EnvFile],
        }
    }

    /// The values of `names`, each with its variables, at the cost of few calls; `None` when every source says that it
    /// has none.
    ///
    /// # Errors
    /// Each answer by itself. In production AWS's failure. Elsewhere the next source is asked, and AWS's failure is the
    /// answer only when no other source has a value.
    pub async fn resolve(&self, names: &[SecretName], variables: &[Variables], freshness: Freshness) -> Vec<Answer> {
        self.resolve_from(names, variables, async |names| self.ask_aws(names, freshness).await).await
    }

    /// AWS's answers behind its caches: of each name's secret, or of the part that it is.
    pub async fn ask_aws(&self, names: &[SecretName], freshness: Freshness) -> Vec<Answer> {
        if self.reads.ids().is_plain() {
            return self.read_secrets(names, freshness).await;
        }
        let mut wanted = Wanted::of(self.reads.ids(), names);
        let mut secrets = wanted.secrets();
        let answers = self.read_wanted(&mut wanted, &mut secrets, freshness).await;
        wanted.parts(&secrets, answers)
    }

    /// The answers about `secrets`, to which it adds what names turn out to mean.
    async fn read_wanted(
        &self,
        wanted: &mut Wanted<'_>,
        secrets: &mut Vec<SecretName>,
        freshness: Freshness,
    ) -> Vec<Answer> {
        let mut answers = self.read_secrets(secrets, freshness).await;
        let others = wanted.taken_apart(secrets, &answers);
        if !others.is_empty() {
            answers.extend(self.read_secrets(&others, freshness).await);
            secrets.extend(others);
        }
        answers
    }

    /// [`Resolver::ask_aws`], with the answer about the whole of `secret` beside it, in the same calls.
    pub async fn ask_aws_and(
        &self,
        names: &[SecretName],
        secret: &SecretName,
        freshness: Freshness,
    ) -> (Vec<Answer>, Answer) {
        let mut wanted = Wanted::of(self.reads.ids(), names);
        let mut secrets = wanted.secrets();
        if !secrets.contains(secret) {
            secrets.push(secret.clone());
        }
        let answers = self.read_wanted(&mut wanted, &mut secrets, freshness).await;
        let whole = secrets.iter().zip(&answers).find(|(asked, _)| *asked == secret).map(|(_, answer)| answer.clone());
        (wanted.parts(&secrets, answers), whole.unwrap_or(Ok(None)))
    }

    async fn read_secrets(&self, secrets: &[SecretName], freshness: Freshness) -> Vec<Answer> {
        match freshness {
            Freshness::Cached => self.reads.read(secrets).await,
            Freshness::Fresh => join_all(secrets.iter().map(|secret| self.reads.refresh(secret))).await,
            Freshness::Within(age) => {
                join_all(secrets.iter().map(async |secret| {
                    if self.reads.holds_one_of(secret, age) {
                        self.reads.read_one(secret).await
                    } else {
                        self.reads.refresh(secret).await
                    }
                }))
                .await
            }
        }
    }

    /// [`Resolver::ask_aws`] for one AWS secret, by what its copies go by.
    pub async fn read_secret(&self, secret: &SecretName, freshness: Freshness) -> Answer {
        self.read_secrets(std::slice::from_ref(secret), freshness).await.into_iter().next().unwrap_or(Ok(None))
    }

    /// [`Resolver::resolve`] with AWS's answers from `ask_aws`.
    pub async fn resolve_from(
        &self,
        names: &[SecretName],
        variables: &[Variables],
        ask_aws: impl AsyncFnOnce(&[SecretName]) -> Vec<Answer>,
    ) -> Vec<Answer> {
        let mut progress: Vec<Progress> = names.iter().map(|_| Progress::default()).collect();
        let mut ask_aws = Some(ask_aws);
        for source in self.order() {
            let open: Vec<usize> = (0..names.len()).filter(|&i| progress[i].is_open()).collect();
            if open.is_empty() {
                break;
            }
            let answers = match source {
                Source::EnvFile => join_all(open.iter().map(|&i| self.from_env_file(&names[i]))).await,
                Source::Runtime => join_all(open.iter().map(|&i| self.from_runtime(&names[i], &variables[i]))).await,
                Source::Aws => {
                    let Some(ask_aws) = ask_aws.take() else { continue };
                    if open.len() == names.len() {
                        ask_aws(names).await
                    } else {
                        let open: Vec<SecretName> = open.iter().map(|&i| names[i].clone()).collect();
                        ask_aws(&open).await
                    }
                }
            };
            for (i, said) in open.into_iter().zip(answers) {
                if source == Source::Aws && matches!(said, Ok(Some(_))) {
                    self.metrics.note_not_in_aws(&names[i], false);
                }
                progress[i].hear(self, &names[i], source, said);
            }
        }
        let ended = progress.into_iter().zip(names).map(|(progress, name)| {
            let (aws_has_none, is_not_shown) = (progress.aws_has_none, progress.is_not_shown);
            let answer = progress.answer();
            if is_not_shown && matches!(answer, Ok(Some(_))) {
                self.reads.warn_not_shown(name);
                self.metrics.note_not_in_aws(name, true);
            }
            if aws_has_none && let Ok(found) = &answer {
                self.metrics.note_not_in_aws(name, found.is_some());
            }
            answer
        });
        ended.collect()
    }

    /// Whether an AWS error ends a read at once.
    pub fn rejects(&self, error: &SecretError) -> bool {
        self.aws_failure_rejects || error.code() == secret::error::ErrorCode::Closed
    }

    /// `error`, unless AWS is optional here and simply not there.
    pub fn unless_optional(&self, error: SecretError) -> Option<SecretError> {
        (!(self.aws_is_optional && error.is_missing_credentials())).then_some(error)
    }

    /// What the env file has.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID`.
    pub async fn from_env_file(&self, name: &SecretName) -> Answer {
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

/// A value of a local source.
pub fn local(value: SecretValue, origin: Origin) -> Found {
    Found { value, origin, version_id: None, stale: false, request_id: None }
}
