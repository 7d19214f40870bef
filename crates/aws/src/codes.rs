//! What an error code of AWS means. Codes decide, not HTTP statuses: access denied and throttling are both HTTP 400. Where AWS
//! says something in its message only, its beginning is recognized and told in own words: what answers in AWS's place must
//! not choose what stands in a log.

use crate::permission::{self, named_in};
use secret::error::ErrorCode;

/// What a failure says about the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// AWS answered: about this secret, this identity or this request. Asking again would change nothing.
    Answer,
    /// Every call fails like this until an operator acts (credentials).
    Systemic,
    /// It may pass by itself: throttling, 5xx, timeout, network, half an answer.
    Transient,
}

/// Code, reason and nature of a failure.
pub(super) type Meaning = (ErrorCode, String, Nature);

/// The codes of the SDK (`THROTTLING_ERRORS` of aws-runtime) but `LimitExceededException`, which is a quota where Secrets
/// Manager says it.
const THROTTLING: [&str; 13] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
];
/// The HTTP status of "asked too often". AWS's own answers have a code as well, and HTTP 400.
pub(super) const TOO_MANY_REQUESTS: u16 = 429;
/// They pass by themselves.
const PASSING: [&str; 7] = [
    "RequestTimeout",
    "RequestTimeoutException",
    "InternalServiceError",
    "InternalServiceErrorException",
    "InternalFailure",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];
const DENIED: [&str; 3] = ["AccessDeniedException", "AccessDenied", "NotAuthorized"];
/// The credentials, or the signature that was made with them.
const UNACCEPTED: [&str; 16] = [
    "ExpiredTokenException",
    "ExpiredToken",
    "RequestExpired",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "SignatureExpired",
    "IncompleteSignature",
    "MissingAuthenticationTokenException",
    "MissingAuthenticationToken",
    "RequestTimeTooSkewed",
    "RequestInTheFuture",
    "AuthFailure",
    "OptInRequired",
];
/// The text and what it means, where a code alone does not say it. Each is the beginning of what AWS writes.
const MESSAGES: [(&str, &str); 6] = [
    (
        "The secret is managed by another service",
        "the secret is managed by another AWS service: only that service may change it",
    ),
    ("Operation not permitted on a replica secret", "the secret is a replica: write in its primary region"),
    (
        "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS",
        "a secret of another account must be encrypted with a KMS key of its own, not with aws/secretsmanager",
    ),
    ("A previous rotation isn't complete", "the rotation before is not complete: see its version AWSPENDING"),
    ("You can't create this version", "the version cannot be made in this state of the secret"),
    ("This version of secret is not encrypted with the current KMS key", NOT_CURRENT_KEY),
];
const NOT_CURRENT_KEY: &str = "this version of the secret is not encrypted with its current KMS key: put the value again after a change of the key";

/// `None` means absent.
pub(super) fn by_code(code: &str, message: Option<&str>, status: u16) -> Option<Meaning> {
    let shown = shown_code(code);
    if code == "ResourceNotFoundException" {
        return None;
    }
    // The only difference between "deleted" and any other invalid request is its text.
    if code == "InvalidRequestException" && message.is_some_and(says_deleted) {
        return None;
    }
    if DENIED.contains(&code) {
        let why = denied(shown, code, message);
        return Some((ErrorCode::SecretAccessDenied, why, Nature::Answer));
    }
    let told = message.and_then(told_by);
    Some(match code {
        "DecryptionFailure" => {
            let why = format!(
                "decryption refused ({shown}): the secret's KMS key is disabled, pending deletion or unavailable, or cannot \
                 decrypt this version"
            );
            (ErrorCode::SecretAccessDenied, why, Nature::Answer)
        }
        "KMSAccessDeniedException" => {
            let why = format!("decryption refused ({shown}); grant this identity kms:Decrypt on the secret's key");
            (ErrorCode::SecretAccessDenied, why, Nature::Answer)
        }
        "EncryptionFailure" => {
            let why = format!(
                "encryption refused ({shown}): the secret's KMS key is disabled, pending deletion or unavailable"
            );
            (ErrorCode::SourceUnavailable, why, Nature::Answer)
        }
        "LimitExceededException" => {
            let why = format!("a quota of AWS is used up ({shown}): of secrets, or of versions of this secret");
            (ErrorCode::SourceUnavailable, why, Nature::Answer)
        }
        code if is_throttling(code, status) => (ErrorCode::SourceUnavailable, throttled(shown), Nature::Transient),
        code if is_unaccepted(code) => {
            let why = format!("credentials not accepted ({shown}); renew them and check the clock");
            (ErrorCode::SourceUnavailable, why, Nature::Systemic)
        }
        code if PASSING.contains(&code) => (ErrorCode::SourceUnavailable, shown.into(), Nature::Transient),
        _ => {
            let nature = if status >= 500 { Nature::Transient } else { Nature::Answer };
            let why = told.map_or_else(|| shown.to_owned(), |told| format!("{told} ({shown})"));
            (ErrorCode::SourceUnavailable, why, nature)
        }
    })
}

/// Why a throttled call failed. `isPassing` in lib/errors.js reads this.
pub(super) fn throttled(shown: &str) -> String {
    format!("throttled ({shown})")
}

fn denied(shown: &str, code: &str, message: Option<&str>) -> String {
    if message.is_some_and(|message| message.contains("not encrypted with the current KMS key")) {
        return format!("access denied ({shown}): {NOT_CURRENT_KEY}");
    }
    let grant = match refused_action(code, message) {
        Some(permission::DECRYPT) => "kms:Decrypt on the secret's key, and kms:GenerateDataKey to write",
        Some(action) => &format!("{action} on the secret"),
        None => "the action on the secret",
    };
    format!("access denied ({shown}); grant this identity {grant}")
}

fn told_by(message: &str) -> Option<&'static str> {
    MESSAGES.iter().find(|(beginning, _)| message.starts_with(beginning)).map(|(_, told)| *told)
}

/// AWS's quota of calls is used up for now, or that of something on the way, which has codes of its own.
pub(super) fn is_throttling(code: &str, status: u16) -> bool {
    THROTTLING.contains(&code) || status == TOO_MANY_REQUESTS
}

/// AWS does not accept the credentials, or what was signed with them.
pub(super) fn is_unaccepted(code: &str) -> bool {
    UNACCEPTED.contains(&code)
}

/// The IAM action whose want is the reason, where that is known.
pub(super) fn refused_action(code: &str, message: Option<&str>) -> Option<&'static str> {
    match code {
        code if DENIED.contains(&code) => named_in(message?),
        "KMSAccessDeniedException" => Some(permission::DECRYPT),
        _ => None,
    }
}

fn says_deleted(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("marked for deletion")
        || message.contains("marked deleted")
        || message.contains("scheduled for deletion")
}

/// An error code of AWS, for a message. What only claims to be one is not repeated.
pub(super) fn shown_code(code: &str) -> &str {
    const ENDINGS: [&str; 5] = ["Exception", "Error", "Failure", "Unavailable", "Denied"];
    let is_known =
        THROTTLING.contains(&code) || is_unaccepted(code) || PASSING.contains(&code) || DENIED.contains(&code);
    let plain = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphabetic());
    let ends_like_one = plain && ENDINGS.iter().any(|ending| code.ends_with(ending));
    if is_known || ends_like_one { code } else { "an unknown error code" }
}
