//! Validates the secrets of a tool, and the state of a migration.

mod access;
mod latency;
mod value;

use std::collections::HashMap;
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};

pub use access::{Access, Granted, Permission};
pub use latency::LayerLatency;

use crate::audit::Access as Recorded;
use crate::delivery::Delivery;
use crate::migration::{AT_ONCE, Action, Planned, Scope};
use crate::reads::table::Answer;
use crate::resolver::Freshness;
use crate::rotation::policy::Standing;
use crate::source::runtime::Variables;
use crate::tool_secrets::{declared_names, read_tool};
use aws::Aws;
use latency::Timed;
use secret::clock::iso8601;
use secret::environment::Environment;
use secret::error::{Result, SecretError};
use secret::found::Origin;
use secret::manifest::SecretSpec;
use secret::name::SecretName;
use secret::value::SecretValue;

/// The severity of an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Makes the validation fail.
    Error,
    /// Does not make the validation fail.
    Warning,
}

/// A problem that a validation found. Names the secret and the reason, never a value.
#[derive(Clone, Debug)]
pub struct Issue {
    /// A stable code, listed in `index.d.ts`.
    pub code: &'static str,
    /// The severity.
    pub severity: Severity,
    /// The problem and its reason as a sentence.
    pub message: String,
    /// The IAM action that AWS refused.
    pub action: Option<&'static str>,
}

/// A validated secret.
#[derive(Clone, Debug)]
pub struct Validated {
    /// The name of the secret.
    pub name: SecretName,
    /// The lower-cased type, if the name has one.
    pub secret_type: Option<String>,
    /// The source of the value; `None` if the secret is missing.
    pub source: Option<Origin>,
    /// The version id in AWS.
    pub version_id: Option<String>,
    /// The age of that version.
    pub age: Option<Duration>,
    /// The problems of this secret.
    pub issues: Vec<Issue>,
}

impl Validated {
    fn of(name: SecretName, secret_type: Option<String>) -> Self {
        Self { name, secret_type, source: None, version_id: None, age: None, issues: Vec::new() }
    }

    fn add(&mut self, code: &'static str, severity: Severity, message: String) {
        self.issues.push(Issue { code, severity, message, action: None });
    }

    fn failed(&mut self, error: &SecretError) {
        self.failed_as(Severity::Error, error);
    }

    fn failed_as(&mut self, severity: Severity, error: &SecretError) {
        let message = format!("{}: {error}", error.code());
        self.issues.push(Issue { code: "SOURCE_ERROR", severity, message, action: error.action() });
    }
}

/// Whether no issue is an error.
pub fn is_valid(secrets: &[Validated]) -> bool {
    secrets.iter().flat_map(|secret| &secret.issues).all(|issue| issue.severity != Severity::Error)
}

/// The documented bound for the 99th percentile of retrievals.
pub const LATENCY_BOUND: Duration = Duration::from_secs(5);

impl Delivery {
    /// Checks whether the secrets of `tool` exist and fit their declarations. Reads them as the service does.
    ///
    /// # Errors
    /// `SECRET_NAME_INVALID`, `CLOSED`; for a tool without declared secrets also the errors of `getToolSecrets`.
    #[boxed]
    pub async fn validate_tool(&self, tool: &str, variables: &Variables) -> Result<Vec<Validated>> {
        let names = match declared_names(&self.tools, tool)? {
            Some(names) => names,
            None => self.types_of(tool, variables).await?,
        };
        self.audited(async { Ok(self.validate_names(names, variables).await) }).await
    }

    /// Checks whether every declared secret of `scope` exists and fits its declaration. Reads it as the service does.
    ///
    /// # Errors
    /// `CLOSED`.
    #[boxed]
    pub async fn validate_functionality(&self, variables: &Variables, scope: &Scope) -> Result<Vec<Validated>> {
        let names = self.names_in(scope, &HashMap::new());
        self.audited(async { Ok(self.validate_names(names, variables).await) }).await
    }

    /// The secrets of a tool that declares none.
    async fn types_of(&self, tool: &str, variables: &Variables) -> Result<Vec<SecretName>> {
        let read = read_tool(&self.resolver, &self.tools, tool, variables, Freshness::Cached);
        let found = self.audited(read).await?;
        let named = found.iter().filter_map(|(kind, found)| Some((SecretName::of_tool(tool, kind).ok()?, found)));
        let (names, found): (Vec<SecretName>, Vec<_>) = named.unzip();
        let accesses = names.iter().zip(found).map(|(name, found)| {
            Recorded::answered(name.as_str(), Ok(Some(found.version_id.as_deref().unwrap_or_default())))
        });
        self.inspected("validate", accesses.collect()).await;
        Ok(names)
    }

    async fn validate_names(&self, names: Vec<SecretName>, variables: &Variables) -> Vec<Validated> {
        // Dates are in the answers of AWS; a refused secret has none.
        let in_aws = self.reads().fetch_all(&names).await;
        let accesses = names.iter().zip(&in_aws).map(|(name, said)| Recorded::fetched(name.as_str(), said));
        self.inspected("validate", accesses.collect()).await;
        let found = self.read_inspecting("validate", &names, variables).await;
        let checks = names.into_iter().zip(in_aws).zip(found).map(|((name, in_aws), found)| {
            let made = in_aws.ok().flatten().and_then(|fetched| fetched.created_unix_ms);
            self.validate_one(name, found, made)
        });
        join_all(checks).await
    }

    async fn validate_one(&self, name: SecretName, found: Answer, made_unix_ms: Option<u64>) -> Validated {
        let spec = self.spec(&name);
        let mut seen = self.seen(name);
        let now = self.clock().unix_ms();
        match found {
            Ok(Some(found)) => {
                seen.source = Some(found.origin);
                seen.version_id = found.version_id.as_deref().map(str::to_owned);
                if seen.version_id.is_some() {
                    seen.age = made_unix_ms.map(|made| Duration::from_millis(now.saturating_sub(made)));
                    self.check_rotation(&mut seen, spec.as_ref(), made_unix_ms, now).await;
                }
                value::check(&mut seen, &found.value, spec.as_ref(), (self.environment(), now / 1000));
                if matches!(found.origin, Origin::EnvFile | Origin::Runtime) {
                    let message = format!("it comes from the {} and not from AWS", found.origin.as_str());
                    seen.add("NOT_IN_AWS", Severity::Warning, message);
                }
            }
            Ok(None) if self.is_empty_in_file(&seen.name).await => {
                seen.add("EMPTY", Severity::Error, "it is empty in the env file".into());
            }
            Ok(None) => missing(&mut seen, spec.as_ref(), "no source has it"),
            // As `ready`: denied, or not there, and nothing needs it.
            Err(error) if error.is_not_shown() && spec.is_some_and(|spec| !spec.required) => {
                seen.failed_as(Severity::Warning, &error);
            }
            Err(error) => seen.failed(&error),
        }
        seen
    }

    /// Whether the env file has `name` without a value.
    async fn is_empty_in_file(&self, name: &SecretName) -> bool {
        let Some(file) = self.env_file() else { return false };
        let values = file.values().await;
        values.is_ok_and(|values| values.get(name.as_str()).is_some_and(SecretValue::is_empty))
    }

    async fn check_rotation(
        &self,
        seen: &mut Validated,
        spec: Option<&SecretSpec>,
        made_unix_ms: Option<u64>,
        now: u64,
    ) {
        let applied = self.rotation().policies().of(spec);
        // Only secrets with a declared rotation can be late.
        let is_declared = spec.is_some_and(|spec| spec.rotation_type.is_some());
        let Some((policy, made)) = applied.policy.zip(made_unix_ms).filter(|_| is_declared) else { return };
        let dates = policy.dates(made / 1000);
        if dates.standing(now / 1000) == Standing::Due {
            // What AWS rotates is late by AWS's own date.
            let due = match self.rotation().next_by_aws(&seen.name).await {
                Some(next) if next.is_none_or(|next| next >= now / 1000) => return,
                Some(next) => next.unwrap_or(dates.due),
                None => dates.due,
            };
            let due = iso8601(due * 1000);
            seen.add("ROTATION_OVERDUE", Severity::Warning, format!("its rotation was due at {due}"));
        }
    }

    /// Adds a warning to each validated secret that has the same value in another environment in AWS, or that could not
    /// be read there.
    ///
    /// # Errors
    /// `CONFIG_INVALID` for an unknown environment, `CLOSED`.
    #[boxed]
    pub async fn compare_environments(&self, secrets: &mut [Validated], others: &[String]) -> Result<()> {
        let others = others
            .iter()
            .map(|other| self.parse_environment("otherEnvironments", other))
            .collect::<Result<Vec<_>>>()?;
        let others: Vec<Environment> = others.into_iter().filter(|other| *other != self.environment()).collect();
        self.open(async {
            let Some(aws) = self.reads().aws() else { return Ok(()) };
            let at_once = aws.calls_per_second().clamp(1, AT_ONCE);
            let asked: Vec<(usize, SecretName)> = secrets
                .iter()
                .enumerate()
                .filter(|(_, seen)| seen.version_id.is_some())
                .map(|(at, seen)| (at, seen.name.clone()))
                .collect();
            let compared = asked.into_iter().map(|(at, name)| {
                let others = &others;
                async move { (at, self.equals(aws, &name, others).await) }
            });
            let compared: Vec<_> = stream::iter(compared).buffered(at_once).collect().await;
            for (at, issues) in compared {
                for (code, message) in issues {
                    secrets[at].add(code, Severity::Warning, message);
                }
            }
            Ok(())
        })
        .await
    }

    /// The environments of `others` that have the same value as this one, and those that could not be read.
    async fn equals(&self, aws: &Aws, name: &SecretName, others: &[Environment]) -> Vec<(&'static str, String)> {
        if others.is_empty() {
            return Vec::new();
        }
        let mut issues = Vec::new();
        let own = self.in_environment(aws, name, self.environment()).await;
        for other in others {
            let theirs = self.in_environment(aws, name, *other).await;
            match (&own, &theirs) {
                (Ok(Some(own)), Ok(Some(theirs))) if own == theirs => {
                    issues.push(("SAME_IN_OTHER_ENVIRONMENT", format!("{} has the same value", other.as_str())));
                }
                (Err(error), _) | (_, Err(error)) => {
                    issues.push(("NOT_COMPARED", format!("not compared with {}: {error}", other.as_str())));
                }
                _ => {}
            }
        }
        issues
    }

    /// Reads the secret of another `environment` from AWS. Not counted in metrics, because this identity may not be
    /// meant to have access there.
    async fn in_environment(
        &self,
        aws: &Aws,
        name: &SecretName,
        environment: Environment,
    ) -> Result<Option<SecretValue>> {
        self.turn(aws).await;
        let fetched = aws.fetch(&self.aws_id(name, environment)).await;
        let access = Recorded { environment: environment.as_str(), ..Recorded::fetched(name.as_str(), &fetched) };
        self.inspected("compare", vec![access]).await;
        Ok(fetched?.map(|fetched| fetched.value))
    }

    /// Checks whether the env file and AWS agree, for each declared secret and each secret-like name in the file.
    /// Compares values in constant time and never shows them.
    ///
    /// # Errors
    /// Those of [`Delivery::plan_migration`], whose comparison is used.
    #[boxed]
    pub async fn validate_consistency(&self, scope: &Scope) -> Result<Vec<Validated>> {
        let plan = self.audited(self.planned(scope)).await?;
        let mut secrets: Vec<Validated> = plan.secrets.into_iter().map(|planned| self.judged(planned)).collect();
        secrets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(secrets)
    }

    fn judged(&self, Planned { name, action, version, error, .. }: Planned) -> Validated {
        let spec = self.spec(&name);
        let mut seen = self.seen(name);
        seen.source = match action {
            Action::Create => Some(Origin::EnvFile),
            Action::Update | Action::Keep | Action::OnlyInAws => Some(Origin::Aws),
            Action::Missing | Action::Unknown => None,
        };
        seen.version_id = version.as_deref().map(str::to_owned);
        match action {
            Action::Keep | Action::OnlyInAws => {}
            Action::Create => {
                seen.add("ONLY_IN_ENV_FILE", Severity::Error, "the env file has it and AWS has not".into());
            }
            Action::Update => {
                seen.add("DIFFERENT", Severity::Error, "the env file and AWS have different values".into());
            }
            Action::Missing => missing(&mut seen, spec.as_ref(), "neither the env file nor AWS has it"),
            Action::Unknown => error.iter().for_each(|error| seen.failed(error)),
        }
        seen
    }

    /// Measures the latency of each layer that is switched on, with the declared secrets. Those that cannot be read are named.
    ///
    /// # Errors
    /// Errors of AWS or the env file where none of the secrets can be read there; `CLOSED`.
    #[boxed]
    pub async fn assess_performance(&self) -> Result<Vec<LayerLatency>> {
        const READS: usize = 20;
        let mut names: Vec<SecretName> = self.tools.declared().map(|declared| declared.name).collect();
        if names.is_empty() {
            names.push(SecretName::new("TCS_SECRET_DELIVERY_LATENCY_PROBE")?);
        }
        let names: Vec<SecretName> = names.into_iter().cycle().take(READS).collect();
        Box::pin(self.open(async {
            let mut layers = Vec::new();
            if let Some(cache) = self.reads().cache() {
                let mut timed = Timed::of(Origin::Memory);
                for name in &names {
                    timed.sync(|| drop(cache.lookup(name)));
                }
                layers.push(timed.layer());
                if cache.redis().is_some() {
                    let mut timed = Timed::of(Origin::Redis);
                    for name in &names {
                        timed.wait(Box::pin(cache.peek_shared(name))).await;
                    }
                    layers.push(timed.layer());
                }
            }
            if self.reads().aws().is_some() {
                let mut timed = Timed::of(Origin::Aws);
                for name in &names {
                    if !timed.has_failed(name) {
                        let fetched = timed.wait(Box::pin(self.fetch_from_aws(name))).await;
                        self.inspected("measure", vec![Recorded::fetched(name.as_str(), &fetched)]).await;
                        timed.hear(name, fetched.err());
                    }
                }
                layers.push(timed.heard()?);
            }
            if self.env_file().is_some() {
                let mut timed = Timed::of(Origin::EnvFile);
                for name in &names {
                    if !timed.has_failed(name) {
                        let found = timed.wait(self.resolver.from_env_file(name)).await;
                        timed.hear(name, found.err());
                    }
                }
                layers.push(timed.heard()?);
            }
            Ok(layers)
        }))
        .await
    }

    fn spec(&self, name: &SecretName) -> Option<SecretSpec> {
        self.tools.spec(name.as_str()).cloned()
    }

    fn seen(&self, name: SecretName) -> Validated {
        let secret_type = self.tools.owner(name.as_str()).map(|owner| owner.secret_type.to_ascii_lowercase());
        Validated::of(name, secret_type)
    }
}

fn missing(seen: &mut Validated, spec: Option<&SecretSpec>, why: &str) {
    let required = spec.is_some_and(|spec| spec.required);
    let severity = if required { Severity::Error } else { Severity::Warning };
    seen.add("MISSING", severity, why.to_owned());
}
