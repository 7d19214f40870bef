//! Writes values into AWS: a new secret, the first value of one that has none, a new version, or one field of it.
//!
//! `PutSecretValue` makes a version live whatever is live by then. Here the version gets a label of this package first, and then
//! AWSCURRENT is moved to it from the version that was read, which AWS refuses when another one is live: of two writers at once
//! the second reads again, and nothing is lost. AWSPENDING is left alone, which rotations need.
//!
//! # Source
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html>

use std::time::Duration;

use tokio::time::sleep;

use crate::rotation::keeper::Keeper;
use crate::rotation::uuid;
use crate::timer::Deadline;
use aws::{Aws, CURRENT, Description, MANAGED_BY, NewSecret, Version, Which};
use secret::backoff::{Backoff, Jitter};
use secret::clock::Clock;
use secret::error::{ErrorCode, Result, SecretError};
use secret::value::SecretValue;

/// The longest value that AWS stores, in bytes.
const MAX_VALUE: usize = 65_536;
/// The value of [`MANAGED_BY`] on secrets that this package made.
pub const PACKAGE: &str = "tcs-secret-delivery";
/// What the labels of versions that are being written begin with.
const LABEL: &str = "tcs-secret-delivery-write";
/// How long other writers, and reads that lag behind a write, are waited for.
const PATIENCE: Duration = Duration::from_mins(1);
const FIRST_WAIT: Duration = Duration::from_millis(30);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// AWS, as fast as the rate limit allows.
struct Paced<'a> {
    aws: &'a Aws,
    clock: &'a Clock,
}

impl Paced<'_> {
    async fn turn(&self) -> &Aws {
        turn(self.aws, self.clock).await;
        self.aws
    }
}

/// Waits for the rate limit without a deadline. A call itself waits only within its own deadline.
pub async fn turn(aws: &Aws, clock: &Clock) {
    loop {
        let wait = aws.wait();
        if wait.is_zero() {
            return;
        }
        crate::timer::sleep(clock, wait).await;
    }
}

/// What became of a value.
#[derive(Clone, Debug)]
pub struct Written {
    /// The live version.
    pub version: String,
    /// How it got there.
    pub how: How,
}

/// How a value got into AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// As a new secret.
    Created,
    /// As the first value of a secret that had none.
    Filled,
    /// As a new version.
    Updated,
    /// It was there already.
    Kept,
}

/// Writes `value` as the AWS secret `id`, or as the field `field` of it.
///
/// # Errors
/// AWS's; `SECRET_ACCESS_DENIED` for a secret that something else takes care of; `SOURCE_RESPONSE_INVALID` for a value that is too
/// long, and where a field is to be written into a secret that is no JSON object; `SOURCE_UNAVAILABLE` while others go on writing.
pub async fn write(
    (aws, clock): (&Aws, &Clock),
    id: &str,
    field: Option<&str>,
    value: &SecretValue,
    new: &NewSecret,
) -> Result<Written> {
    let aws = &Paced { aws, clock };
    let (deadline, mut waits) = (Deadline::after(PATIENCE), Backoff::new(FIRST_WAIT, LONGEST_WAIT, Jitter::Full));
    let mut may_write = false;
    loop {
        let live = aws.turn().await.version(id, Which::Label(CURRENT)).await?;
        let text = changed(id, live.as_ref(), field, value)?;
        let token = uuid(fastrand::u128(..));
        let written = match &live {
            None => first(aws, id, &text, &token, new).await?,
            Some(live) if live.value == text => return Ok(Written { version: live.id.clone(), how: How::Kept }),
            Some(live) => {
                if !may_write {
                    refuse_anothers(id, &aws.turn().await.describe(id).await?.unwrap_or_default())?;
                    may_write = true;
                }
                replace(aws, id, &text, &token, live).await?
            }
        };
        if let Some(how) = written {
            return Ok(Written { version: token, how });
        }
        if deadline.left().is_zero() {
            let why = format!("{id}: others go on writing it; it is as they left it");
            return Err(SecretError::new(ErrorCode::SourceUnavailable, why));
        }
        sleep(waits.next_wait()).await;
    }
}

/// The whole value that AWS is to have.
fn changed(id: &str, live: Option<&Version>, field: Option<&str>, value: &SecretValue) -> Result<SecretValue> {
    let text = match (field, live) {
        (None, _) => value.clone(),
        (Some(_), Some(live)) if live.is_binary => {
            let why = format!("{id}: AWS has it as bytes, which have no fields");
            return Err(SecretError::new(ErrorCode::SourceResponseInvalid, why));
        }
        (Some(field), live) => {
            let empty = SecretValue::copied("{}");
            let whole = live.map_or(&empty, |live| &live.value);
            whole.with_field(field, value).map_err(|why| {
                let why = format!("{id}: the field '{field}' cannot be written: {why}");
                SecretError::new(ErrorCode::SourceResponseInvalid, why)
            })?
        }
    };
    if text.len() > MAX_VALUE {
        let why = format!("{id}: its value would have {} bytes, AWS stores {MAX_VALUE}", text.len());
        return Err(SecretError::new(ErrorCode::SourceResponseInvalid, why));
    }
    Ok(text)
}

/// Makes the secret, or gives one without a value its first one. `None`: another writer was faster.
async fn first(aws: &Paced<'_>, id: &str, text: &SecretValue, token: &str, new: &NewSecret) -> Result<Option<How>> {
    let Err(error) = aws.turn().await.create(id, text, token, new).await else { return Ok(Some(How::Created)) };
    if error.is_denied() {
        return Err(error);
    }
    // The answer may be lost after AWS has made it.
    if is_live(aws, id, token).await? {
        return Ok(Some(How::Created));
    }
    let Some(said) = aws.turn().await.describe(id).await? else { return Err(error) };
    if said.labels.iter().any(|(_, labels)| labels.iter().any(|label| label == CURRENT)) {
        return Ok(None);
    }
    refuse_anothers(id, &said)?;
    // The first version of a secret is live, whatever its label.
    aws.turn().await.put_labelled(id, text, token, CURRENT).await?;
    Ok(Some(How::Filled))
}

/// Adds a version and makes it live in place of `live`. `None`: another version is live by now.
async fn replace(aws: &Paced<'_>, id: &str, text: &SecretValue, token: &str, live: &Version) -> Result<Option<How>> {
    let label = format!("{LABEL}-{}", token.get(..8).unwrap_or(token));
    aws.turn().await.put_labelled(id, text, token, &label).await?;
    let moved = aws.turn().await.move_label(id, CURRENT, Some(&live.id), Some(token)).await;
    let is_live = match &moved {
        Ok(()) => true,
        // It may have moved in spite of the error: the answer was lost.
        Err(_) => is_live(aws, id, token).await?,
    };
    // A version without a label is removed by AWS in time; that its label cannot be taken away changes no reader.
    if let Err(error) = aws.turn().await.move_label(id, &label, Some(token), None).await {
        tracing::debug!(code = %error.code(), "{id}: the label {label} stays");
    }
    match moved {
        _ if is_live => Ok(Some(How::Updated)),
        Err(error) if !error.is_about_one_request() => Err(error),
        _ => Ok(None),
    }
}

async fn is_live(aws: &Paced<'_>, id: &str, token: &str) -> Result<bool> {
    let written = aws.turn().await.version(id, Which::Id(token)).await?;
    Ok(written.is_some_and(|version| version.has(CURRENT)))
}

/// A secret that something else takes care of is not overwritten.
fn refuse_anothers(id: &str, said: &Description) -> Result<()> {
    let why = match Keeper::of(id, said) {
        Some(Keeper::Aws) => "AWS rotates it".to_owned(),
        Some(Keeper::Others(why)) => why,
        None if said.managed_by.as_deref().is_none_or(|manager| manager == PACKAGE) => return Ok(()),
        None => format!("its tag {MANAGED_BY} says that it is not this package's"),
    };
    Err(SecretError::new(ErrorCode::SecretAccessDenied, format!("{id}: {why}; it is not overwritten")))
}
