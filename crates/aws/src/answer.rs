//! Reads what AWS's answers hold: values, dates, ids, tags, and what is missing in them.

use std::sync::Arc;

use aws_sdk_secretsmanager::operation::RequestId;
use aws_sdk_secretsmanager::primitives::{Blob, DateTime};
use aws_sdk_secretsmanager::types::Tag;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::operation::Operation;
use crate::source::Aws;
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::role::shown;
use secret::value::SecretValue;

/// The longest value AWS stores is 65,536 bytes; a binary one grows by a third in base64.
const MAX_VALUE: usize = 65_536 / 3 * 4 + 4;

/// The key of the tag that says who manages a secret.
pub const MANAGED_BY: &str = "managed-by";

/// The id of a request, as AWS gives it. What does not look like one is left out: what answers in AWS's place must not
/// choose what stands in a log.
pub(crate) fn request_id(answer: &impl RequestId) -> Option<Arc<str>> {
    let id = answer.request_id()?;
    let looks_like_one = (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    looks_like_one.then(|| id.into())
}

impl Aws {
    /// A value with its version. A version read from a replica is marked with `region`: its ids are the replica's own.
    pub(crate) fn fetched(
        id: &str,
        text: Option<String>,
        binary: Option<Blob>,
        version: Option<String>,
        region: Option<&str>,
    ) -> Result<Fetched> {
        let invalid = |why: &str| SecretError::new(ErrorCode::SourceResponseInvalid, format!("{}: {why}", shown(id)));
        let value = match (text, binary) {
            (Some(text), _) => SecretValue::new(text),
            (None, Some(blob)) => {
                let bytes = Zeroizing::new(blob.into_inner());
                SecretValue::copied_binary(&Zeroizing::new(STANDARD.encode(&*bytes)))
            }
            (None, None) => return Err(invalid("AWS answered without SecretString and SecretBinary")),
        };
        if value.len() > MAX_VALUE {
            return Err(invalid("AWS answered with a value longer than any it stores"));
        }
        let version_id = version.map(|version| match region {
            None => Arc::from(version),
            Some(region) => Arc::from(format!("{version}@{region}")),
        });
        Ok(Fetched { value, version_id, created_unix_ms: None, request_id: None, arn: None })
    }
}

/// A value as AWS is given it: as a text, or as bytes.
pub(crate) fn sent(value: &SecretValue) -> (Option<String>, Option<Blob>) {
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: it is sent to AWS")]
    let text = value.expose();
    match value.is_binary().then(|| STANDARD.decode(text)) {
        Some(Ok(bytes)) => (None, Some(Blob::new(bytes))),
        _ => (Some(text.to_owned()), None),
    }
}

/// The AWS id inside an ARN (`…:secret:NAME-a1b2c3`, or without AWS's six characters), or the id as it is.
pub fn name_in(id: &str) -> &str {
    let Some((_, tail)) = id.rsplit_once(":secret:") else { return id };
    let is_awss = |end: &str| end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric());
    tail.rsplit_once('-').filter(|(_, end)| is_awss(end)).map_or(tail, |(name, _)| name)
}

/// AWS's date in milliseconds since 1970; `None` for none, or one before.
pub(crate) fn unix_ms(date: Option<&DateTime>) -> Option<u64> {
    u64::try_from(date?.to_millis().ok()?).ok()
}

/// The value of the tag [`MANAGED_BY`]; `None` when `tag` is another one.
pub(crate) fn managed_by(tag: Tag) -> Option<String> {
    if tag.key.as_deref() == Some(MANAGED_BY) { tag.value } else { None }
}

pub(crate) fn missing(id: &str) -> SecretError {
    SecretError::new(ErrorCode::SourceUnavailable, format!("{}: AWS has no such secret", shown(id)))
}

pub(crate) fn no_version_id(id: &str, operation: Operation) -> SecretError {
    let why = format!("{}: AWS {} gave no version id", shown(id), operation.as_str());
    SecretError::new(ErrorCode::SourceResponseInvalid, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_gives_its_name() {
        assert_eq!(name_in("arn:aws:secretsmanager:eu-central-1:1:secret:A_B_test-Ab12Cd"), "A_B_test");
        assert_eq!(name_in("A_B_test"), "A_B_test");
    }
}
