//! Writes secrets of a plan into AWS, and verifies them.

use std::time::Duration;

use async_recursion::async_recursion as boxed;
use futures_util::{StreamExt as _, stream};
use tokio::time::sleep;

use audit_log::Event;

use super::{AT_ONCE, Action, Delivery, Planned, Scope, unusable};
use crate::reads::fields::part_of;
use crate::writing::{Change, Condition, How, PACKAGE, Written, write};
use aws::{MANAGED_BY, NewSecret, Which};
use secret::aws_ids::Place;
use secret::backoff::{Backoff, Jitter};
use secret::error::{ErrorCode, Result, SecretError};
use secret::manifest::Phase;
use secret::name::SecretName;
use secret::value::SecretValue;

/// How often, and how long, what was written is looked for: about ten seconds in all.
const LOOKS: u32 = 12;
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LAST_LOOK: Duration = Duration::from_secs(2);

/// The result for one secret.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The name of the secret.
    pub name: SecretName,
    /// The phase in which the secret is moved.
    pub phase: Phase,
    /// `created`, `filled` (a secret that had no value), `updated`, `kept`, `different` (not overwritten), `absent` (not in the file) or `failed`.
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
    #[boxed]
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
        let condition = &Condition::Any;
        let result = self.audited(self.write(name, value, (condition, outcome == "created"))).await;
        let creates = result.as_ref().map_or(outcome == "created", |written| written.how == How::Created);
        let mut left_undone = None;
        if result.is_ok() {
            let secret = self.reads().ids().place(name).map_or_else(|_| name.clone(), |place| place.secret);
            self.reads().forget(&secret);
            if let Some(cache) = self.reads().cache() {
                left_undone = cache.invalidate(&secret).await.err();
            }
        }
        if let Some(audit) = self.audit() {
            let version = result.as_ref().map_or("", |written| &written.version);
            let what = if creates { "create" } else { "update" };
            let recorded = audit.written((Event::Migrate, what), name.as_str(), version, result.as_ref().err()).await;
            left_undone = left_undone.or(recorded.err());
        }
        match result {
            Ok(written) => {
                let outcome = match written.how {
                    How::Created => "created",
                    How::Filled => "filled",
                    How::Updated => "updated",
                    How::Kept => "kept",
                };
                (outcome, Some(written.version), left_undone)
            }
            Err(error) => ("failed", None, Some(error)),
        }
    }

    /// Writes a value, and reads it back.
    pub(crate) async fn write(
        &self,
        name: &SecretName,
        value: &SecretValue,
        (condition, is_absent): (&Condition, bool),
    ) -> Result<Written> {
        let aws = self.migrating_aws()?;
        let (place, id) = self.written_place(name)?;
        let new = self.new_secret(name);
        let change = (Change::Put(value), condition);
        let written = write((aws, self.clock()), &id, place.field.as_deref(), change, (&new, is_absent)).await?;
        // A write of AWS may show for seconds what was there before it.
        let mut waits = Backoff::new(FIRST_LOOK, LAST_LOOK, Jitter::Around);
        for _ in 0..LOOKS {
            self.turn(aws).await;
            let held = aws.version(&id, Which::Id(&written.version)).await?;
            let held = part_of(self.reads().ids(), name.as_str(), &place, Ok(held))?;
            if held.is_some_and(|held| held.value == *value) {
                return Ok(written);
            }
            sleep(waits.next_wait()).await;
        }
        let why = format!("{id}: AWS does not give back what was written");
        Err(SecretError::new(ErrorCode::SourceResponseInvalid, why))
    }

    /// Where `name` is written, with the AWS id.
    ///
    /// # Errors
    /// `SOURCE_RESPONSE_INVALID` for a reference to a label.
    pub(crate) fn written_place(&self, name: &SecretName) -> Result<(Place, String)> {
        let place = self.reads().ids().place(name)?;
        let id = self.reads().id(&place.secret);
        if let Some((_, Some(stage))) = place.secret.aws_id() {
            let why = format!("{id}: it refers to the label {stage}; only the live version is written");
            return Err(SecretError::new(ErrorCode::SourceResponseInvalid, why));
        }
        Ok((place, id))
    }

    /// What the secret of `name` gets, if it is made.
    pub(crate) fn new_secret(&self, name: &SecretName) -> NewSecret {
        let tool = self.tools.tool_of(name.as_str());
        let mut new = self.migration.clone();
        new.tags.retain(|(key, _)| key != MANAGED_BY);
        let mut own = vec![(MANAGED_BY, PACKAGE), ("environment", self.environment().as_str())];
        // AWS accepts an empty tag value, but a search for it finds nothing.
        own.extend((!tool.is_empty()).then_some(("tool", tool)));
        for (key, value) in own {
            if !new.tags.iter().any(|(known, _)| known == key) {
                new.tags.push((key.to_owned(), value.to_owned()));
            }
        }
        new
    }
}
