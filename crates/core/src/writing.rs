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
use aws::{Aws, CURRENT, Description, MANAGED_BY, MARKED, NewSecret, PENDING, Version, Which};
use secret::backoff::{Backoff, Jitter};
use secret::clock::Clock;
use secret::error::{ErrorCode, Result, SecretError};
use secret::value::SecretValue;

/// The value of [`MANAGED_BY`] on secrets that this package made.
pub const PACKAGE: &str = "tcs-secret-delivery";
/// What the labels of versions that are being written begin with.
const LABEL: &str = "tcs-secret-delivery-write";
/// How old a version has to be for its writer to be gone, in milliseconds.
const LEFT_BEHIND_MS: u64 = 600_000;
/// How long other writers, and reads that lag behind a write, are waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a write is repeated that is refused while nothing changes: reads lag behind writes for seconds, and not for longer.
const STUCK: Duration = Duration::from_secs(5);
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

/// What is done to a secret.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// The whole secret, or the field, gets this value.
    Put(&'a SecretValue),
    /// The field is taken out.
    Remove,
}

/// What has to be so for a write to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    #[default]
    Any,
    /// There is no such value yet.
    Absent,
    /// This version is live.
    Version(String),
}

impl Condition {
    /// Whether `live` fits, of which `part` is what is written.
    fn holds(&self, live: Option<&Version>, part: Option<&SecretValue>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => part.is_none(),
            Self::Version(version) => live.is_some_and(|live| live.id == *version),
        }
    }
}

/// What became of a value.
#[derive(Clone, Debug)]
pub struct Written {
    /// The live version.
    pub version: String,
    /// The one that was live before.
    pub previous: Option<String>,
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

/// Changes the AWS secret `id`, or the field `field` of it, if `condition` holds. `is_absent`: there was no such secret a moment ago.
///
/// # Errors
/// AWS's; `SECRET_CHANGED` where the condition does not hold; `SECRET_ACCESS_DENIED` for a secret that something else takes care of;
/// `SOURCE_RESPONSE_INVALID` for a value that is too long, and where a field is to be written into a secret that is no JSON object;
/// `SOURCE_UNAVAILABLE` while others go on writing.
pub async fn write(
    (aws, clock): (&Aws, &Clock),
    id: &str,
    field: Option<&str>,
    (change, condition): (Change<'_>, &Condition),
    (new, mut is_absent): (&NewSecret, bool),
) -> Result<Written> {
    let aws = &Paced { aws, clock };
    let (deadline, mut waits) = (Deadline::after(PATIENCE), Backoff::new(FIRST_WAIT, LONGEST_WAIT, Jitter::Full));
    let mut may_write = false;
    let mut stuck: Option<(Option<String>, Deadline)> = None;
    loop {
        // What was not there a moment ago is made without another look.
        let live = if std::mem::take(&mut is_absent) {
            None
        } else {
            aws.turn().await.version(id, Which::Label(CURRENT)).await?
        };
        let text = changed(id, live.as_ref(), field, change)?;
        // What is there already was written, whatever was live before it: an answer may have been lost.
        if let Some(live) = live.as_ref().filter(|live| text.as_ref().is_none_or(|text| text.is_same(&live.value))) {
            return Ok(Written { version: live.id.clone(), previous: None, how: How::Kept });
        }
        let Some(text) = text else {
            return Err(SecretError::new(ErrorCode::SourceUnavailable, format!("{id}: AWS has no such secret")));
        };
        refuse_another_version(id, field, live.as_ref(), condition)?;
        let token = uuid(fastrand::u128(..));
        let written = match &live {
            None => first(aws, id, &text, &token, new).await?,
            Some(live) => {
                let mut begun = Vec::new();
                if !may_write {
                    let said = aws.turn().await.describe(id).await?.unwrap_or_default();
                    refuse_anothers(id, &said)?;
                    begun = unfinished(&said);
                    may_write = true;
                }
                replace(aws, id, &text, begun_before(aws, id, &text, begun).await?, live).await?
            }
        };
        let refused = match written {
            Ok((version, how)) => return Ok(Written { version, previous: live.map(|live| live.id), how }),
            Err(refused) => refused,
        };
        let seen = live.map(|live| live.id);
        match &stuck {
            Some((before, end)) if *before == seen => {
                if end.left().is_zero() {
                    return Err(refused);
                }
            }
            _ => stuck = Some((seen, Deadline::after(STUCK))),
        }
        if deadline.left().is_zero() {
            let why = format!("{id}: others go on writing it; it is as they left it");
            return Err(SecretError::new(ErrorCode::SourceUnavailable, why));
        }
        sleep(waits.next_wait()).await;
    }
}

/// `SECRET_CHANGED`, where `condition` does not hold.
fn refuse_another_version(id: &str, field: Option<&str>, live: Option<&Version>, condition: &Condition) -> Result<()> {
    let part = live.and_then(|live| match field {
        None => Some(live.value.clone()),
        Some(field) => live.value.field(field).ok().flatten(),
    });
    if condition.holds(live, part.as_ref()) {
        return Ok(());
    }
    let why = match (condition, live) {
        (Condition::Absent, _) => "somebody has made it meanwhile".to_owned(),
        (_, Some(live)) => format!("the version {} is live by now, which is another one than was looked at", live.id),
        (_, None) => "it is not there any more".to_owned(),
    };
    let why = format!("{id}: {why}; nothing was written. Look again, then repeat the change");
    Err(SecretError::new(ErrorCode::SecretChanged, why))
}

/// The whole value that AWS is to have; `None`: what it has stays.
fn changed(id: &str, live: Option<&Version>, field: Option<&str>, change: Change<'_>) -> Result<Option<SecretValue>> {
    if let (Some(field), Some(live), Change::Put(value)) = (field, live, change)
        && !live.is_binary
        && live.value.field(field).ok().flatten().is_some_and(|held| held == *value)
    {
        return Ok(None);
    }
    let text = match (field, live, change) {
        (None, _, Change::Put(value)) => value.clone(),
        (_, None, Change::Remove) | (None, _, Change::Remove) => return Ok(None),
        (Some(_), Some(live), _) if live.is_binary => {
            let why = format!("{id}: AWS has it as bytes, which have no fields");
            return Err(SecretError::new(ErrorCode::SourceResponseInvalid, why));
        }
        (Some(field), Some(live), Change::Remove) => {
            let left = live.value.without_field(field).map_err(|why| {
                let why = format!("{id}: the field '{field}' cannot be taken out: {why}");
                SecretError::new(ErrorCode::SourceResponseInvalid, why)
            })?;
            let Some(left) = left else { return Ok(None) };
            left
        }
        (Some(field), _, Change::Put(value)) if value.is_binary() => {
            let why =
                format!("{id}: bytes cannot be the field '{field}' of a JSON secret; write their base64 as a text");
            return Err(SecretError::new(ErrorCode::SourceResponseInvalid, why));
        }
        (Some(field), live, Change::Put(value)) => {
            let empty = SecretValue::copied("{}");
            let whole = live.map_or(&empty, |live| &live.value);
            whole.with_field(field, value).map_err(|why| {
                let why = format!("{id}: the field '{field}' cannot be written: {why}");
                SecretError::new(ErrorCode::SourceResponseInvalid, why)
            })?
        }
    };
    if let Some(why) = text.too_long() {
        return Err(SecretError::new(ErrorCode::SourceResponseInvalid, format!("{id}: {why}")));
    }
    Ok(Some(text))
}

/// A version that is written, or was written by a process that ended before it made it live.
struct Begun {
    version: String,
    label: String,
    is_there: bool,
}

/// The versions with a label of this package: of writers that are at work, or were interrupted.
fn unfinished(said: &Description) -> Vec<(String, String)> {
    let labelled = said.labels.iter().flat_map(|(id, labels)| labels.iter().map(move |label| (id, label)));
    labelled.filter(|(_, label)| label.starts_with(LABEL)).map(|(id, label)| (id.clone(), label.clone())).collect()
}

/// The version of an interrupted write that has `text`, or a new one: so a write that is begun again makes no second version. Labels
/// that writers left behind are taken away, as AWS allows twenty in all.
async fn begun_before(
    aws: &Paced<'_>,
    id: &str,
    text: &SecretValue,
    unfinished: Vec<(String, String)>,
) -> Result<Begun> {
    for (version, label) in unfinished {
        let Some(held) = aws.turn().await.version(id, Which::Id(&version)).await? else { continue };
        if held.value.is_same(text) {
            return Ok(Begun { version, label, is_there: true });
        }
        let now = aws.clock.unix_ms();
        if held.created_unix_ms.is_some_and(|made| now.saturating_sub(made) > LEFT_BEHIND_MS) {
            tidied(aws, id, &label, &version).await;
        }
    }
    let version = uuid(fastrand::u128(..));
    let label = format!("{LABEL}-{}", version.get(..8).unwrap_or(&version));
    Ok(Begun { version, label, is_there: false })
}

/// Takes a label away. A version without a label is removed by AWS in time; that its label stays changes no reader.
async fn tidied(aws: &Paced<'_>, id: &str, label: &str, version: &str) {
    if let Err(error) = aws.turn().await.move_label(id, label, Some(version), None).await {
        tracing::debug!(code = %error.code(), "{id}: the label {label} stays");
    }
}

/// A write, or why it was refused: another writer may have been faster.
type Tried = std::result::Result<(String, How), SecretError>;

/// Makes the secret, or gives one without a value its first one.
async fn first(aws: &Paced<'_>, id: &str, text: &SecretValue, token: &str, new: &NewSecret) -> Result<Tried> {
    let error = match aws.turn().await.create(id, text, token, new).await {
        Ok(version) => return Ok(Ok((version, How::Created))),
        Err(error) => error,
    };
    if error.is_denied() {
        return Err(error);
    }
    // The answer may be lost after AWS has made it.
    if is_live(aws, id, token).await? {
        return Ok(Ok((token.to_owned(), How::Created)));
    }
    let Some(said) = aws.turn().await.describe(id).await? else { return Err(error) };
    if said.is_marked {
        return Err(marked(id));
    }
    if said.labels.iter().any(|(_, labels)| labels.iter().any(|label| label == CURRENT)) {
        let why = format!(
            "{id}: AWS says that it exists, and shows no value of it. It may be marked for deletion: 'tcs-secrets undelete' brings it back"
        );
        return Ok(Err(SecretError::new(ErrorCode::SourceUnavailable, why)));
    }
    refuse_anothers(id, &said)?;
    // The first version of a secret is live, whatever its label.
    aws.turn().await.put_labelled(id, text, token, CURRENT).await?;
    Ok(Ok((token.to_owned(), How::Filled)))
}

/// Adds a version and makes it live in place of `live`.
async fn replace(
    aws: &Paced<'_>,
    id: &str,
    text: &SecretValue,
    Begun { version: token, label, is_there }: Begun,
    live: &Version,
) -> Result<Tried> {
    if !is_there {
        aws.turn().await.put_labelled(id, text, &token, &label).await?;
    }
    let moved = aws.turn().await.move_label(id, CURRENT, Some(&live.id), Some(&token)).await;
    let is_live = match &moved {
        Ok(()) => true,
        // It may have moved in spite of the error: the answer was lost.
        Err(_) => is_live(aws, id, &token).await?,
    };
    tidied(aws, id, &label, &token).await;
    if is_live && live.has(PENDING) {
        // A rotation has ended with it. Once it is not even the previous version, the label would look like that of another.
        tidied(aws, id, PENDING, &live.id).await;
    }
    match moved {
        Err(error) if !is_live && (error.is_denied() || !error.is_about_one_request()) => Err(error),
        Err(error) if !is_live => Ok(Err(error)),
        _ => Ok(Ok((token, How::Updated))),
    }
}

/// That `id` is marked for deletion.
pub(crate) fn marked(id: &str) -> SecretError {
    SecretError::new(ErrorCode::SourceUnavailable, format!("{id}: {MARKED}"))
}

async fn is_live(aws: &Paced<'_>, id: &str, token: &str) -> Result<bool> {
    let written = aws.turn().await.version(id, Which::Id(token)).await?;
    Ok(written.is_some_and(|version| version.has(CURRENT)))
}

/// A secret that something else takes care of is not overwritten.
pub(crate) fn refuse_anothers(id: &str, said: &Description) -> Result<()> {
    let why = match Keeper::of(id, said) {
        Some(Keeper::Aws) => "AWS rotates it".to_owned(),
        Some(Keeper::Others(why)) => why,
        None if said.managed_by.as_deref().is_none_or(|manager| manager == PACKAGE) => return Ok(()),
        None => format!("its tag {MANAGED_BY} says that it is not this package's"),
    };
    Err(SecretError::new(ErrorCode::SecretAccessDenied, format!("{id}: {why}; it is not overwritten")))
}
