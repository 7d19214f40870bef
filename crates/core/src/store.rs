//! What people do with one secret in AWS (`delivery.store`): compare, put, generate, delete, undelete.
//!
//! Each of them writes an audit record, and drops or replaces the copies of the secret here and in the other instances, so that
//! running services follow.

use async_recursion::async_recursion as boxed;
use audit_log::Event;

use crate::delivery::Delivery;
use crate::rotation::form::Form;
use crate::rotation::generator;
use crate::rotation::keeper::Keeper;
use crate::rotation::policy::PasswordRules;
use crate::writing::{Change, Condition, How, Written, marked, refuse_anothers, write};
use aws::{CURRENT, Which};
use secret::aws_ids::Place;
use secret::error::{ErrorCode, Result, SecretError};
use secret::json_change::Changes;
use secret::name::SecretName;
use secret::value::SecretValue;

/// The longest and the shortest generated value, in characters.
pub const LENGTHS: std::ops::RangeInclusive<u32> = 8..=4096;
/// The days after which AWS deletes a secret that is marked.
pub const RECOVERY_DAYS: std::ops::RangeInclusive<u32> = 7..=30;

/// What putting a value would do.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The name of the secret.
    pub name: SecretName,
    /// The id in AWS.
    pub aws_id: String,
    /// The field of a JSON secret that the name is.
    pub field: Option<String>,
    /// `create`, `update`, `keep`, or `unknown` where AWS refused or failed.
    pub change: &'static str,
    /// The live version.
    pub version: Option<String>,
    /// In which fields two JSON objects differ.
    pub fields: Option<Changes>,
    /// Why AWS refused or failed.
    pub error: Option<SecretError>,
}

/// What became of a secret.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The id in AWS.
    pub aws_id: String,
    /// The field of a JSON secret that the name is.
    pub field: Option<String>,
    /// `created`, `filled`, `updated`, `kept`; `scheduled` (for deletion), `removed` (a field), `restored`, `absent`.
    pub outcome: &'static str,
    /// The live version.
    pub version: Option<String>,
    /// The one that was live before.
    pub previous: Option<String>,
    /// When AWS deletes it, in milliseconds since 1970.
    pub deleted_unix_ms: Option<u64>,
}

impl Stored {
    fn of(place: &Place, aws_id: &str, outcome: &'static str) -> Self {
        let (aws_id, field) = (aws_id.to_owned(), field_of(place));
        Self { aws_id, field, outcome, version: None, previous: None, deleted_unix_ms: None }
    }

    fn written(place: &Place, aws_id: &str, Written { version, previous, how }: Written) -> Self {
        let outcome = match how {
            How::Created => "created",
            How::Filled => "filled",
            How::Updated => "updated",
            How::Kept => "kept",
        };
        Self { version: Some(version), previous, ..Self::of(place, aws_id, outcome) }
    }
}

impl Delivery {
    /// Compares `values` with AWS, twenty secrets in a call. Changes nothing.
    ///
    /// # Errors
    /// `CONFIG_INVALID` where AWS is switched off; `AUDIT_WRITE_FAILED`, `CLOSED`. An error of AWS is in the entry of its secret.
    #[boxed]
    pub async fn compare_values(&self, values: Vec<(SecretName, SecretValue)>) -> Result<Vec<Compared>> {
        self.audited(async {
            let names: Vec<SecretName> = values.iter().map(|(name, _)| name.clone()).collect();
            let held = self.in_aws(&names).await?;
            let compare = |((name, value), held): ((SecretName, SecretValue), _)| self.compared_one(name, &value, held);
            Ok(values.into_iter().zip(held).map(compare).collect())
        })
        .await
    }

    fn compared_one(
        &self,
        name: SecretName,
        value: &SecretValue,
        held: Result<Option<secret::found::Fetched>>,
    ) -> Compared {
        let place = self.written_place(&name);
        let held = place.as_ref().map_err(Clone::clone).and(held);
        let (aws_id, field) = place.map(|(place, id)| (id, field_of(&place))).unwrap_or_default();
        let (change, version, fields, error) = match held {
            Err(error) => ("unknown", None, None, Some(error)),
            Ok(None) => ("create", None, None, None),
            Ok(Some(held)) => {
                let change = if held.value.is_same(value) { "keep" } else { "update" };
                let fields = if change == "update" { held.value.changes(value) } else { None };
                (change, held.version_id.as_deref().map(str::to_owned), fields, None)
            }
        };
        Compared { name, aws_id, field, change, version, fields, error }
    }

    /// Gives `name` the value `value` in AWS, if `condition` holds.
    ///
    /// # Errors
    /// `SECRET_CHANGED` where it does not hold; those of [`write()`]; `CONFIG_INVALID`, `AUDIT_WRITE_FAILED`, `CLOSED`.
    #[boxed]
    pub async fn put(&self, name: &SecretName, value: &SecretValue, condition: &Condition) -> Result<Stored> {
        let (place, id) = &self.written_place(name)?;
        self.stored(("put", name), place, async {
            refuse_unfit(id, value)?;
            // What a comparison did not find is made without another look.
            let is_absent = *condition == Condition::Absent && place.field.is_none();
            Ok(Stored::written(place, id, self.write(name, value, (condition, is_absent)).await?))
        })
        .await
    }

    /// Gives `name` a random value in AWS, if `condition` holds. The value is nowhere else.
    ///
    /// # Errors
    /// As [`Delivery::put`]; `SOURCE_RESPONSE_INVALID` where the live value is nothing that a random text may replace (decision D17).
    #[boxed]
    pub async fn generate(&self, name: &SecretName, rules: &PasswordRules, condition: &Condition) -> Result<Stored> {
        let (place, id) = &self.written_place(name)?;
        self.stored(("generate", name), place, async {
            let aws = self.migrating_aws()?;
            self.turn(aws).await;
            let live = aws.version(id, Which::Label(CURRENT)).await?;
            let live = match (live, place.field.as_deref()) {
                (Some(live), Some(field)) => live.value.field(field).ok().flatten(),
                (live, _) => live.map(|live| live.value),
            };
            let is_declared = self.tools.spec(name.as_str()).is_some_and(|spec| spec.generate);
            if let Some(Form::Foreign { what, is_text }) = live.map(|live| Form::of(&live, None))
                && !(is_text && is_declared)
            {
                let why = format!("{id}: it is {what}, and no generated text may take its place");
                return Err(SecretError::new(ErrorCode::SourceResponseInvalid, why));
            }
            let value = SecretValue::copied(&generator::password(rules)?);
            Ok(Stored::written(place, id, self.write(name, &value, (condition, false)).await?))
        })
        .await
    }

    /// Has AWS delete the secret of `name` in `days`, or takes the field out that it is, if `condition` holds.
    ///
    /// # Errors
    /// As [`Delivery::put`].
    #[boxed]
    pub async fn delete_stored(&self, name: &SecretName, days: u32, condition: &Condition) -> Result<Stored> {
        let (place, id) = &self.written_place(name)?;
        self.stored(("delete", name), place, async {
            let aws = self.migrating_aws()?;
            if let Some(field) = place.field.as_deref() {
                let new = self.new_secret(name);
                let change = (Change::Remove, condition);
                let written = write((aws, self.clock()), id, Some(field), change, (&new, false)).await;
                let written = match written {
                    Err(error) if error.code() == ErrorCode::SourceUnavailable => match aws.describe(id).await {
                        Ok(None) => return Ok(Stored::of(place, id, "absent")),
                        Ok(Some(said)) if said.is_marked => return Err(marked(id)),
                        _ => return Err(error),
                    },
                    written => written?,
                };
                let outcome = if written.how == How::Kept { "absent" } else { "removed" };
                return Ok(Stored { outcome, ..Stored::written(place, id, written) });
            }
            self.turn(aws).await;
            let Some(said) = aws.describe(id).await? else { return Ok(Stored::of(place, id, "absent")) };
            let live = said.holder(CURRENT).map(str::to_owned);
            if said.is_marked {
                return Ok(Stored { version: live, ..Stored::of(place, id, "scheduled") });
            }
            // What AWS rotates may be deleted; what another service owns may not.
            if Keeper::of(id, &said) != Some(Keeper::Aws) {
                refuse_anothers(id, &said)?;
            }
            if let Condition::Version(version) = condition
                && live.as_deref() != Some(version)
            {
                let why = format!("{id}: another version is live than the one that was looked at; nothing was deleted");
                return Err(SecretError::new(ErrorCode::SecretChanged, why));
            }
            self.turn(aws).await;
            let Some(date) = aws.delete(id, days).await? else { return Ok(Stored::of(place, id, "absent")) };
            let deleted_unix_ms = (date > 0).then_some(date);
            Ok(Stored { deleted_unix_ms, version: live, ..Stored::of(place, id, "scheduled") })
        })
        .await
    }

    /// Takes the mark for deletion away from the secret of `name`.
    ///
    /// # Errors
    /// As [`Delivery::put`].
    #[boxed]
    pub async fn undelete(&self, name: &SecretName) -> Result<Stored> {
        let (place, id) = &self.written_place(name)?;
        self.stored(("undelete", name), place, async {
            let aws = self.migrating_aws()?;
            self.turn(aws).await;
            let Some(said) = aws.describe(id).await? else { return Ok(Stored::of(place, id, "absent")) };
            let version = said.holder(CURRENT).map(str::to_owned);
            if !said.is_marked {
                return Ok(Stored { version, ..Stored::of(place, id, "kept") });
            }
            self.turn(aws).await;
            let outcome = if aws.restore(id).await?.is_some() { "restored" } else { "absent" };
            Ok(Stored { version, ..Stored::of(place, id, outcome) })
        })
        .await
    }

    /// The end of `act`, which does `what` to `name`: the copies follow, and it is recorded.
    async fn stored(
        &self,
        (what, name): (&str, &SecretName),
        place: &Place,
        act: impl Future<Output = Result<Stored>> + Send,
    ) -> Result<Stored> {
        let result = self
            .audited(async {
                let stored = act.await?;
                match (stored.outcome, &stored.version) {
                    ("kept" | "absent", _) => {}
                    // Running services get it as they get a rotated one.
                    ("updated" | "removed", Some(version)) => {
                        self.reads().follow_rotation(&place.secret, version).await;
                    }
                    _ => self.reads().drop_copies(&place.secret).await,
                }
                Ok(stored)
            })
            .await;
        let Some(audit) = self.audit() else { return result };
        let (outcome, version) = result
            .as_ref()
            .map_or((what, ""), |stored| (stored.outcome, stored.version.as_deref().unwrap_or_default()));
        audit.written((Event::Write, outcome), name.as_str(), version, result.as_ref().err()).await?;
        result
    }
}

fn field_of(place: &Place) -> Option<String> {
    place.field.as_deref().map(str::to_owned)
}

/// AWS takes no empty text, and what holds nothing counts as absent.
fn refuse_unfit(id: &str, value: &SecretValue) -> Result<()> {
    if value.is_empty() {
        let why = format!("{id}: the value is empty, and an empty secret counts as absent; delete it instead");
        return Err(SecretError::new(ErrorCode::SourceResponseInvalid, why));
    }
    Ok(())
}
