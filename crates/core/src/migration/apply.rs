//! Writes secrets of a plan into AWS, and verifies them.

use futures_util::{StreamExt as _, stream};

use super::{AT_ONCE, Action, Delivery, Planned, Scope, unusable};
use crate::rotation::uuid;
use aws::{Aws, MANAGED_BY, Which};
use secret::error::{ErrorCode, Result, SecretError};
use secret::manifest::Phase;
use secret::name::SecretName;
use secret::value::SecretValue;

/// The longest value that AWS stores, in bytes.
const MAX_VALUE: usize = 65_536;
const PACKAGE: &str = "tcs-secret-delivery";

/// The result for one secret.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The name of the secret.
    pub name: SecretName,
    /// The phase in which the secret is moved.
    pub phase: Phase,
    /// `created`, `updated`, `kept`, `different` (not overwritten), `absent` (not in the file) or `failed`.
    pub outcome: &'static str,
    /// The id of the live version in AWS.
    pub version: Option<String>,
    /// The error, or the reason why nothing was written.
    pub error: Option<SecretError>,
}

/// Is called after each secret, with the number of finished secrets and the number of all.
pub type Progress<'a> = dyn Fn(&Applied, usize, usize) + Send + Sync + 'a;

impl Delivery {
    /// Writes into AWS the secrets that only the file has and, with `overwrite`, those whose values differ. Secrets
    /// that AWS already has are left alone, so that an interrupted run can be continued by another one.
    ///
    /// # Errors
    /// Those of [`Delivery::plan_migration`]. The error of one secret is in its entry.
    pub async fn apply_migration(
        &self,
        scope: &Scope,
        overwrite: bool,
        progress: &Progress<'_>,
    ) -> Result<Vec<Applied>> {
        let file = self.migrating_file()?;
        let values = self.audited(file.values()).await?;
        if values.is_empty() {
            return Err(unusable(&file.path(), "it is not there, or has nothing to migrate"));
        }
        let mut plan = self.plan_migration(scope).await?.secrets;
        let asked = scope.names.is_some();
        plan.retain(|planned| asked || !matches!(planned.action, Action::OnlyInAws | Action::Missing));
        let total = plan.len();
        // At most as many at once as the rate limit allows in a second, so that none is refused because of its
        // deadline.
        let at_once = self.migrating_aws()?.calls_per_second().clamp(1, AT_ONCE);
        self.open(async {
            let work = plan
                .into_iter()
                .enumerate()
                .map(|(at, planned)| async move { (at, self.apply_one(planned, overwrite).await) });
            let mut working = stream::iter(work).buffer_unordered(at_once);
            let mut applied = Vec::with_capacity(total);
            while let Some((at, one)) = working.next().await {
                progress(&one, applied.len() + 1, total);
                applied.push((at, one));
            }
            applied.sort_by_key(|(at, _)| *at);
            Ok(applied.into_iter().map(|(_, one)| one).collect())
        })
        .await
    }

    async fn apply_one(&self, planned: Planned, overwrite: bool) -> Applied {
        let Planned { name, phase, action, version, error, value } = planned;
        let version = version.as_deref().map(str::to_owned);
        let (outcome, version, error) = match (action, value) {
            (Action::Create, Some(value)) => self.written("created", &name, &value).await,
            (Action::Update, Some(value)) if overwrite => self.written("updated", &name, &value).await,
            (Action::Update, _) => ("different", version, None),
            (Action::Keep, _) => ("kept", version, None),
            (Action::Unknown, _) => ("failed", None, error),
            (Action::OnlyInAws | Action::Missing | Action::Create, _) => ("absent", version, None),
        };
        Applied { name, phase, outcome, version, error }
    }

    /// Writes, verifies and records one secret, and drops copies of its old value.
    async fn written(
        &self,
        outcome: &'static str,
        name: &SecretName,
        value: &SecretValue,
    ) -> (&'static str, Option<String>, Option<SecretError>) {
        let creates = outcome == "created";
        let result = self.audited(self.write(name, value, creates)).await;
        let mut left_undone = None;
        if result.is_ok() {
            self.reads().forget(name);
            if let Some(cache) = self.reads().cache() {
                left_undone = cache.invalidate(name).await.err();
            }
        }
        if let Some(audit) = self.audit() {
            let version = result.as_deref().unwrap_or_default();
            let what = if creates { "create" } else { "update" };
            let recorded = audit.migration(what, name.as_str(), version, result.as_ref().err()).await;
            left_undone = left_undone.or(recorded.err());
        }
        match result {
            Ok(version) => (outcome, Some(version), left_undone),
            Err(error) => ("failed", None, Some(error)),
        }
    }

    async fn write(&self, name: &SecretName, value: &SecretValue, creates: bool) -> Result<String> {
        let (aws, id) = (self.migrating_aws()?, self.aws_id(name, self.environment()));
        if value.len() > MAX_VALUE {
            let why = format!("{id}: its value in the env file has {} bytes, AWS stores {MAX_VALUE}", value.len());
            return Err(SecretError::new(ErrorCode::SourceResponseInvalid, why));
        }
        // A random version id: one that is computed from the value would reveal something about it. AWS is read first,
        // so a second run does not write again.
        let token = uuid(fastrand::u128(..));
        self.turn(aws).await;
        let written = if creates {
            let tool = self.tools.tool_of(name.as_str());
            let mut tags = vec![(MANAGED_BY, PACKAGE), ("environment", self.environment().as_str())];
            // AWS accepts an empty tag value, but a search for it finds nothing.
            tags.extend((!tool.is_empty()).then_some(("tool", tool)));
            aws.create(&id, value, &token, &tags).await
        } else {
            refuse_anothers(aws, &id).await?;
            aws.put_live(&id, value, &token).await
        };
        if let Err(error) = &written
            && error.is_denied()
        {
            return Err(error.clone());
        }
        // The answer may be lost after AWS has written the value, so AWS is read again.
        self.turn(aws).await;
        match (written, aws.version(&id, Which::Id(&token)).await) {
            (_, Ok(Some(held))) if held.value == *value => Ok(held.id),
            (Err(error), _) | (Ok(()), Err(error)) => Err(error),
            (Ok(()), Ok(_)) => {
                let why = format!("{id}: AWS does not give back what was written");
                Err(SecretError::new(ErrorCode::SourceResponseInvalid, why))
            }
        }
    }
}

/// A secret with the tag of another program that manages it is not overwritten.
async fn refuse_anothers(aws: &Aws, id: &str) -> Result<()> {
    let described = aws.describe(id).await?.unwrap_or_default();
    if described.managed_by.is_none_or(|manager| manager == PACKAGE) {
        return Ok(());
    }
    let why = format!("{id}: its tag {MANAGED_BY} says that it is not this package's; it is not overwritten");
    Err(SecretError::new(ErrorCode::SecretAccessDenied, why))
}
