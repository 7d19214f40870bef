//! Secrets, their versions and staging labels.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::clock::{now, unix_seconds};

/// The live version's label.
pub const CURRENT: &str = "AWSCURRENT";
/// The one before it.
pub const PREVIOUS: &str = "AWSPREVIOUS";
/// The one that is being tried.
pub const PENDING: &str = "AWSPENDING";
/// AWS's limit for a value, in bytes.
pub const MAX_VALUE: usize = 65_536;

/// Text or bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `SecretString`.
    Text(String),
    /// `SecretBinary`, as base64.
    Binary(String),
}

/// One version.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its value; a version made for staging may have none.
    pub value: Value,
    /// Its labels.
    pub stages: BTreeSet<String>,
    /// Seconds since 1970.
    pub created: f64,
    /// Whether it ever was the current one.
    pub was_live: bool,
}

/// One secret.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Its ARN.
    pub arn: String,
    /// Versions by id.
    pub versions: BTreeMap<String, Version>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// Marked for deletion.
    pub deleted: bool,
    /// What rotates it.
    pub function: Option<RotationFunction>,
    /// Reads of the live version still give this one until then.
    lagging: Option<(String, Instant)>,
}

impl Secret {
    /// Reads of the live version give the one that it is now for a while longer.
    fn lag_behind(&mut self, lag: Duration) {
        let live = self.versions.iter().find(|(_, version)| version.stages.contains(CURRENT));
        self.lagging = live.filter(|_| !lag.is_zero()).map(|(id, _)| (id.clone(), now() + lag));
    }
}

/// A rotation function, as AWS would call it.
#[derive(Clone, Copy, Debug)]
pub struct RotationFunction {
    /// How long it takes.
    pub takes: Duration,
    /// Whether the new version is given up in the end.
    pub gives_up: bool,
    /// When the rotation under way ends.
    ends: Option<Instant>,
}

impl RotationFunction {
    /// A function that is not at work.
    pub fn new(takes: Duration, gives_up: bool) -> Self {
        Self { takes, gives_up, ends: None }
    }
}

/// An API error: code and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError(pub &'static str, pub String);

/// What an operation gives.
pub type ApiResult<T> = Result<T, ApiError>;

/// All secrets, by name.
#[derive(Debug, Default)]
pub struct Store {
    secrets: BTreeMap<String, Secret>,
    /// How long reads of the live version give the one before, after its label moved.
    pub lag: Duration,
}

fn error<T>(code: &'static str, message: &str) -> ApiResult<T> {
    Err(ApiError(code, message.to_owned()))
}

impl Store {
    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.secrets.keys()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.secrets.clear();
    }

    /// Removes a secret at once.
    pub fn remove(&mut self, name: &str) -> bool {
        self.secrets.remove(name).is_some()
    }

    /// The name and secret of an id (name or ARN).
    pub fn find(&self, id: &str) -> ApiResult<(&String, &Secret)> {
        let name = name_of(id);
        self.secrets.get_key_value(name).filter(|(_, secret)| !id.starts_with("arn:") || secret.arn == id).ok_or_else(
            || ApiError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.".into()),
        )
    }

    fn live(&mut self, id: &str) -> ApiResult<&mut Secret> {
        let name = self.find(id)?.0.clone();
        match self.secrets.get_mut(&name) {
            Some(secret) if secret.deleted => Err(marked_for_deletion()),
            Some(secret) => Ok(secret),
            None => error("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
        }
    }

    /// A version by id or label; the current one by default.
    pub fn read(&self, id: &str, version: Option<&str>, stage: Option<&str>) -> ApiResult<(&String, &Secret, &String)> {
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
        let found = secret.versions.iter().find(|(version_id, candidate)| {
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

    /// Makes a secret with a first version, if a value is given.
    pub fn create(
        &mut self,
        name: &str,
        value: Option<Value>,
        token: Option<&str>,
    ) -> ApiResult<(String, Option<String>)> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b);
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
        let arn = format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:{name}-{suffix}");
        let (versions, tags) = (BTreeMap::new(), BTreeMap::new());
        let secret = Secret { arn: arn.clone(), versions, tags, deleted: false, function: None, lagging: None };
        self.secrets.insert(name.to_owned(), secret);
        let version = match value {
            Some(value) => Some(self.put(name, value, token, &[])?),
            None => None,
        };
        Ok((arn, version))
    }

    /// Tags a secret that was made.
    pub fn tag(&mut self, name: &str, tags: BTreeMap<String, String>) {
        if let Some(secret) = self.secrets.get_mut(name) {
            secret.tags = tags;
        }
    }

    /// Adds a version. Without `stages` it becomes the current one at once.
    pub fn put(&mut self, id: &str, value: Value, token: Option<&str>, stages: &[String]) -> ApiResult<String> {
        check_size(&value)?;
        let lag = self.lag;
        let secret = self.live(id)?;
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
        if stages.is_empty() {
            secret.lag_behind(lag);
            move_label(secret, CURRENT, Some(&version_id));
        }
        for stage in stages {
            move_label(secret, stage, Some(&version_id));
        }
        Ok(version_id)
    }

    /// Moves a label, as `UpdateSecretVersionStage` does.
    pub fn move_stage(&mut self, id: &str, stage: &str, from: Option<&str>, to: Option<&str>) -> ApiResult<String> {
        let lag = self.lag;
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
        if stage == CURRENT {
            secret.lag_behind(lag);
        }
        move_label(secret, stage, to);
        Ok(secret.arn.clone())
    }

    /// Dates the live version, in seconds since 1970.
    pub fn date(&mut self, id: &str, unix_seconds: u64) -> ApiResult<()> {
        let live = self.live(id)?.versions.values_mut().find(|version| version.stages.contains(CURRENT));
        if let Some(version) = live {
            #[expect(clippy::cast_precision_loss, reason = "exact for millions of years")]
            let seconds = unix_seconds as f64;
            version.created = seconds;
        }
        Ok(())
    }

    /// Gives a secret a rotation function.
    pub fn set_function(&mut self, id: &str, function: RotationFunction) -> ApiResult<()> {
        self.live(id)?.function = Some(function);
        Ok(())
    }

    /// Begins a rotation by the secret's function, as `RotateSecret` does. Gives the new version.
    pub fn rotate(&mut self, id: &str, token: &str) -> ApiResult<String> {
        let secret = self.live(id)?;
        let holder =
            |label: &str| secret.versions.iter().find(|(_, v)| v.stages.contains(label)).map(|(id, _)| id.clone());
        if holder(PENDING).is_some_and(|pending| Some(&pending) != holder(CURRENT).as_ref()) {
            return error(
                "InvalidRequestException",
                "A previous rotation isn't complete. That rotation will be reattempted.",
            );
        }
        let Some(function) = &mut secret.function else {
            return error("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.");
        };
        function.ends = Some(now() + function.takes);
        self.put(id, Value::Text(format!("by-function-{token}")), Some(token), &[PENDING.to_owned()])
    }

    /// Lets rotation functions end whose time has come.
    pub fn run_functions(&mut self) {
        for secret in self.secrets.values_mut() {
            let Some(function) = &mut secret.function else { continue };
            if function.ends.is_none_or(|ends| now() < ends) {
                continue;
            }
            function.ends = None;
            let gives_up = function.gives_up;
            let pending = secret.versions.iter().find(|(_, v)| v.stages.contains(PENDING)).map(|(id, _)| id.clone());
            if gives_up {
                move_label(secret, PENDING, None);
            } else if let Some(pending) = pending {
                move_label(secret, CURRENT, Some(&pending));
            }
        }
    }

    /// Marks a secret for deletion, or removes it at once.
    pub fn delete(&mut self, id: &str, force: bool) -> ApiResult<String> {
        let secret = self.live(id)?;
        let arn = secret.arn.clone();
        secret.deleted = true;
        if force {
            self.remove(name_of(id));
        }
        Ok(arn)
    }

    /// Takes the mark back.
    pub fn restore(&mut self, id: &str) -> ApiResult<String> {
        let name = self.find(id)?.0.clone();
        match self.secrets.get_mut(&name) {
            Some(secret) => {
                secret.deleted = false;
                Ok(secret.arn.clone())
            }
            None => error("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
        }
    }

    /// Makes the secret or gives it another version, whatever it was.
    pub fn upsert(&mut self, name: &str, value: Value) -> ApiResult<()> {
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
        Value::Binary(base64) => base64.len() / 4 * 3,
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

/// The name inside an id.
pub fn name_of(id: &str) -> &str {
    match id.rsplit_once(":secret:") {
        Some((_, tail)) => tail.rsplit_once('-').map_or(tail, |(name, _)| name),
        None => id,
    }
}

/// A random version id.
pub fn uuid() -> String {
    let n = fastrand::u128(..);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        n >> 96,
        (n >> 80) & 0xffff,
        (n >> 68) & 0xfff,
        (n >> 56) & 0xfff,
        n & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.into())
    }

    #[test]
    fn a_put_without_stages_moves_current_and_keeps_previous() {
        let mut store = Store::default();
        store.create("A", Some(text("1")), Some("v1")).expect("created");
        store.put("A", text("2"), Some("v2"), &[]).expect("put");
        assert_eq!(store.read("A", None, None).expect("current").2, "v2");
        assert_eq!(store.read("A", None, Some(PREVIOUS)).expect("previous").2, "v1");
    }

    #[test]
    fn a_token_is_idempotent_and_refuses_other_data() {
        let mut store = Store::default();
        store.create("A", Some(text("1")), Some("v1")).expect("created");
        assert!(store.put("A", text("1"), Some("v1"), &[]).is_ok());
        assert_eq!(store.put("A", text("2"), Some("v1"), &[]).expect_err("refused").0, "ResourceExistsException");
    }

    #[test]
    fn a_pending_version_is_not_live_until_its_label_moves() {
        let mut store = Store::default();
        store.create("A", Some(text("1")), Some("v1")).expect("created");
        store.put("A", text("2"), Some("v2"), &["AWSPENDING".into()]).expect("pending");
        assert_eq!(store.read("A", None, None).expect("current").2, "v1");
        assert!(store.move_stage("A", CURRENT, None, Some("v2")).is_err(), "must say whom it leaves");
        store.move_stage("A", CURRENT, Some("v1"), Some("v2")).expect("moved");
        assert_eq!(store.read("A", None, None).expect("current").2, "v2");
    }

    #[test]
    fn a_deleted_secret_says_so_and_can_be_restored() {
        let mut store = Store::default();
        store.create("A", Some(text("1")), None).expect("created");
        store.delete("A", false).expect("deleted");
        let refused = store.read("A", None, None).expect_err("deleted");
        assert!(refused.1.contains("marked for deletion"));
        store.restore("A").expect("restored");
        assert!(store.read("A", None, None).is_ok());
    }

    #[test]
    fn limits_are_aws_limits() {
        let mut store = Store::default();
        assert!(store.create("A", Some(text(&"x".repeat(MAX_VALUE))), None).is_ok());
        assert_eq!(
            store.create("B", Some(text(&"x".repeat(MAX_VALUE + 1))), None).expect_err("large").0,
            "InvalidParameterException"
        );
        assert!(store.create("bad name", None, None).is_err());
    }
}
