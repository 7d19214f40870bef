//! Secrets, their versions and staging labels.

mod functions;
mod keeper;
mod names;
mod removal;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::{now, unix_seconds};
use crate::policy::Policy;
pub(crate) use functions::RotationFunction;
pub use keeper::Keeper;
use keeper::Past;
use names::without_ending;
pub(crate) use names::{name_of, uuid};

/// The account of everybody who assumed no role.
pub(crate) const OWN_ACCOUNT: &str = "000000000000";
pub(crate) const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
const PENDING: &str = "AWSPENDING";
/// AWS's limit for a value, in bytes.
const MAX_VALUE: usize = 65_536;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    /// `SecretBinary`, as base64.
    Binary(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) value: Value,
    pub(crate) stages: BTreeSet<String>,
    /// Seconds since 1970.
    pub(crate) created: f64,
    /// Whether this version ever had the label `AWSCURRENT`.
    pub(crate) was_live: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) arn: String,
    /// By version id.
    pub(crate) versions: BTreeMap<String, Version>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    /// The policy of the secret, as `PutResourcePolicy` sets it.
    pub(crate) policy: Option<Policy>,
    /// The regions that have replicas of it.
    pub(crate) replicas: BTreeSet<String>,
    /// Whether it is a replica itself.
    pub(crate) is_replica: bool,
    /// Marked for deletion, as `DeleteSecret` does; `RestoreSecret` takes the mark away.
    pub(crate) deleted: bool,
    pub(crate) function: Option<RotationFunction>,
    pub(crate) keeper: Keeper,
    past: Past,
    /// Reads of the live version return this older version until that time.
    lagging: Option<(String, Instant)>,
}

impl Secret {
    /// For this long, reads of the live version return the version that is live now.
    fn lag_behind(&mut self, lag: Duration) {
        let live = self.versions.iter().find(|(_, version)| version.stages.contains(CURRENT));
        self.lagging = live.filter(|_| !lag.is_zero()).map(|(id, _)| (id.clone(), now() + lag));
    }
}

/// The code and the message of an API error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError(pub(crate) &'static str, pub(crate) String);

pub(crate) type ApiResult<T> = Result<T, ApiError>;

#[derive(Debug)]
pub(crate) struct Store {
    account: String,
    /// The one of the ARNs.
    pub(crate) region: String,
    /// By name.
    secrets: BTreeMap<String, Secret>,
    /// The names of those whose rotation functions run.
    rotating: BTreeSet<String>,
    /// How long reads of the live version return the one before it, after the label `AWSCURRENT` moved.
    pub(crate) lag: Duration,
    /// How long reads by id and label, and `DescribeSecret`, show what was there before a write.
    pub(crate) late: Duration,
}

fn error<T>(code: &'static str, message: &str) -> ApiResult<T> {
    Err(ApiError(code, message.to_owned()))
}

impl Default for Store {
    fn default() -> Self {
        Self::of_account(OWN_ACCOUNT)
    }
}

impl Store {
    /// The secrets of an account: none yet.
    pub(crate) fn of_account(account: &str) -> Self {
        let (lag, late) = (Duration::ZERO, Duration::ZERO);
        let region = "us-east-1".to_owned();
        let (secrets, rotating) = (BTreeMap::new(), BTreeSet::new());
        Self { account: account.to_owned(), region, secrets, rotating, lag, late }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.secrets.keys()
    }

    /// Removes a secret at once; false when there was none.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.secrets.remove(name).is_some()
    }

    /// Finds a secret by its name, its ARN, or its ARN without the random ending.
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html#ARN_secretnamehyphen>: a partial ARN that ends in a
    /// hyphen and six characters is taken for a complete one, so "Secrets Manager assumes that [it] is part of the ARN".
    pub(crate) fn find(&self, id: &str) -> ApiResult<(&String, &Secret)> {
        let found = if id.starts_with("arn:") {
            let is_whole = without_ending(id) != id;
            self.secrets.iter().find(|(_, secret)| secret.arn == id || !is_whole && without_ending(&secret.arn) == id)
        } else {
            self.secrets.get_key_value(id)
        };
        found.ok_or_else(|| {
            ApiError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.".into())
        })
    }

    pub(crate) fn live(&mut self, id: &str) -> ApiResult<&mut Secret> {
        let name = self.find(id)?.0.clone();
        match self.secrets.get_mut(&name) {
            Some(secret) if secret.deleted => Err(marked_for_deletion()),
            Some(secret) => Ok(secret),
            None => error("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
        }
    }

    /// Finds a version by its id or a label; by default the one with the label `AWSCURRENT`.
    pub(crate) fn read(
        &self,
        id: &str,
        version: Option<&str>,
        stage: Option<&str>,
    ) -> ApiResult<(&String, &Secret, &String)> {
        let (name, secret) = self.find(id)?;
        if secret.deleted {
            return Err(marked_for_deletion());
        }
        let is_current = version.is_none() && stage.is_none_or(|stage| stage == CURRENT);
        if is_current
            && let Some((before, until)) = &secret.lagging
            && now() < *until
            && let Some((version_id, _)) = secret.versions.get_key_value(before)
        {
            return Ok((name, secret, version_id));
        }
        let found = secret.shown().iter().find(|(version_id, candidate)| {
            version.is_none_or(|wanted| wanted == version_id.as_str())
                && (version.is_some() && stage.is_none() || candidate.stages.contains(stage.unwrap_or(CURRENT)))
        });
        match found {
            Some((version_id, _)) => Ok((name, secret, version_id)),
            None => Err(ApiError(
                "ResourceNotFoundException",
                format!(
                    "Secrets Manager can't find the specified secret value for staging label: {}",
                    stage.unwrap_or(CURRENT)
                ),
            )),
        }
    }

    /// Creates a secret, with a first version when a value is given. Returns the ARN and the id of that version.
    pub(crate) fn create(
        &mut self,
        name: &str,
        value: Option<Value>,
        token: Option<&str>,
    ) -> ApiResult<(String, Option<String>)> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@-!".contains(&b);
        if name.is_empty() || name.len() > 512 || !name.bytes().all(allowed) {
            return error(
                "InvalidParameterException",
                "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
            );
        }
        match self.secrets.get(name) {
            Some(secret) if secret.deleted => {
                return error(
                    "InvalidRequestException",
                    "You can't create this secret because a secret with this name is already scheduled for deletion.",
                );
            }
            Some(_) => {
                return error("ResourceExistsException", "The operation failed because the secret already exists.");
            }
            None => {}
        }
        if let Some(value) = &value {
            check_size(value)?;
        }
        let suffix: String = std::iter::repeat_with(fastrand::alphanumeric).take(6).collect();
        let arn = format!("{}-{suffix}", self.arn_of(name));
        let secret = Secret {
            arn: arn.clone(),
            versions: BTreeMap::new(),
            tags: BTreeMap::new(),
            description: None,
            policy: None,
            replicas: BTreeSet::new(),
            is_replica: false,
            deleted: false,
            function: None,
            keeper: Keeper::default(),
            past: Past::default(),
            lagging: None,
        };
        self.secrets.insert(name.to_owned(), secret);
        let version = match value {
            Some(value) => Some(self.put(name, value, token, &[])?),
            None => None,
        };
        Ok((arn, version))
    }

    /// The ARN of a secret of this name, as far as it is known without it.
    pub(crate) fn arn_of(&self, name: &str) -> String {
        format!("arn:aws:secretsmanager:{}:{}:secret:{name}", self.region, self.account)
    }

    /// The secrets that have replicas.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = (&String, &Secret)> {
        self.secrets.iter().filter(|(_, secret)| !secret.replicas.is_empty())
    }

    pub(crate) fn put_replica(&mut self, name: &str, secret: Secret) {
        if secret.function.is_some() {
            self.rotating.insert(name.to_owned());
        }
        self.secrets.insert(name.to_owned(), secret);
    }

    pub(crate) fn tag(&mut self, name: &str, tags: BTreeMap<String, String>) {
        if let Some(secret) = self.secrets.get_mut(name) {
            secret.tags = tags;
        }
    }

    /// Adds a version. Without `stages` it becomes the current one at once.
    pub(crate) fn put(&mut self, id: &str, value: Value, token: Option<&str>, stages: &[String]) -> ApiResult<String> {
        check_size(&value)?;
        let (lag, late) = (self.lag, self.late);
        let secret = self.live(id)?;
        secret.before_write(late);
        let version_id = token.map_or_else(uuid, str::to_owned);
        if let Some(existing) = secret.versions.get(&version_id) {
            if existing.value == value {
                return Ok(version_id);
            }
            return error(
                "ResourceExistsException",
                "You can't use ClientRequestToken for a version that already exists with other data.",
            );
        }
        let version = Version { value, stages: BTreeSet::new(), created: unix_seconds(), was_live: false };
        secret.versions.insert(version_id.clone(), version);
        // The first version of a secret is live, whatever its labels.
        if stages.is_empty() || secret.versions.len() == 1 {
            secret.lag_behind(lag);
            move_label(secret, CURRENT, Some(&version_id));
        }
        for stage in stages {
            move_label(secret, stage, Some(&version_id));
        }
        Ok(version_id)
    }

    /// Moves a label, as `UpdateSecretVersionStage` does.
    pub(crate) fn move_stage(
        &mut self,
        id: &str,
        stage: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> ApiResult<String> {
        let (lag, late) = (self.lag, self.late);
        let secret = self.live(id)?;
        let holder = secret.versions.iter().find(|(_, v)| v.stages.contains(stage)).map(|(id, _)| id.clone());
        if holder.is_some() && to.is_some() && holder.as_deref() != from && holder.as_deref() != to {
            return error(
                "InvalidParameterException",
                "The parameter RemoveFromVersionId can't be empty. Staging label is currently attached to another version.",
            );
        }
        if from.is_some() && holder.as_deref() != from {
            return error(
                "InvalidParameterException",
                "The staging label isn't attached to the version in RemoveFromVersionId.",
            );
        }
        if let Some(to) = to.filter(|to| !secret.versions.contains_key(*to)) {
            return error("ResourceNotFoundException", &format!("Secrets Manager can't find version {to}"));
        }
        secret.before_write(late);
        if stage == CURRENT {
            secret.lag_behind(lag);
        }
        move_label(secret, stage, to);
        Ok(secret.arn.clone())
    }

    /// Sets when the live version was created, in seconds since 1970.
    pub(crate) fn date(&mut self, id: &str, unix_seconds: u64) -> ApiResult<()> {
        for version in self.live(id)?.versions.values_mut().filter(|version| !version.stages.is_empty()) {
            #[expect(clippy::cast_precision_loss, reason = "exact for millions of years")]
            let seconds = unix_seconds as f64;
            version.created = seconds;
        }
        Ok(())
    }

    pub(crate) fn set_keeper(&mut self, id: &str, keeper: Keeper) -> ApiResult<()> {
        self.live(id)?.keeper = keeper;
        Ok(())
    }

    /// Refuses a write of a user where another service owns the secret.
    pub(crate) fn check_owner(&self, id: &str) -> ApiResult<()> {
        self.find(id)?.1.check_owner()
    }

    /// Creates the secret or gives it another version, even when it is marked for deletion.
    pub(crate) fn upsert(&mut self, name: &str, value: Value) -> ApiResult<()> {
        if self.secrets.get(name).is_some_and(|secret| secret.deleted) {
            self.remove(name);
        }
        if self.secrets.contains_key(name) {
            let current = self.read(name, None, None).ok().map(|(_, secret, id)| secret.versions[id].value.clone());
            if current.as_ref() != Some(&value) {
                self.put(name, value, None, &[])?;
            }
            return Ok(());
        }
        self.create(name, Some(value), None).map(drop)
    }
}

fn move_label(secret: &mut Secret, stage: &str, to: Option<&str>) {
    let before = secret.versions.iter().find(|(_, v)| v.stages.contains(stage)).map(|(id, _)| id.clone());
    for version in secret.versions.values_mut() {
        version.stages.remove(stage);
    }
    if let Some(version) = to.and_then(|to| secret.versions.get_mut(to)) {
        version.stages.insert(stage.to_owned());
        version.was_live |= stage == CURRENT;
    }
    // The version that was current becomes the previous one.
    if stage == CURRENT
        && before.as_deref() != to
        && let Some(before) = before
    {
        move_label(secret, PREVIOUS, Some(&before));
    }
}

fn check_size(value: &Value) -> ApiResult<()> {
    let size = match value {
        Value::Text(text) => text.len(),
        // <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>: 65,536 bytes, of the bytes themselves.
        Value::Binary(base64) => STANDARD.decode(base64).map_or(base64.len(), |bytes| bytes.len()),
    };
    if size > MAX_VALUE {
        return error("InvalidParameterException", "The secret value is larger than 65536 bytes.");
    }
    Ok(())
}

fn marked_for_deletion() -> ApiError {
    ApiError(
        "InvalidRequestException",
        "You can't perform this operation on the secret because it was marked for deletion.".into(),
    )
}

#[cfg(test)]
mod tests;
