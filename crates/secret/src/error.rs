//! One error type with frozen codes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::clock::Moment;
use crate::shown;

/// The stable code of a [`SecretError`]; part of the public contract, never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// An option is unknown, of the wrong type or out of range; the message starts with the option's path.
    ConfigInvalid,
    /// A tool, type or secret name does not match the allowed pattern.
    SecretNameInvalid,
    /// AWS refused access or decryption. Never answered from a stale copy.
    SecretAccessDenied,
    /// STS refused the role that secrets are to be read as. Never answered from a stale copy.
    RoleNotAssumed,
    /// A source failed (network, throttling, 5xx, credentials) and nothing else may answer.
    SourceUnavailable,
    /// A source did not answer inside its deadline.
    SourceTimeout,
    /// A source answered with something that is not a secret.
    SourceResponseInvalid,
    /// The env file exists but cannot be used (unreadable, a directory, not UTF-8).
    EnvFileInvalid,
    /// The shared cache could not carry out an administrative call (`cache.set`, `cache.invalidate`, `cache.clear`).
    CacheUnavailable,
    /// A shared-cache entry was unreadable. Reads go on to AWS; reported by `explain` and `health`.
    CacheEntryCorrupt,
    /// A cache encryption key is missing, malformed or duplicated.
    EncryptionKeyInvalid,
    /// A secret that is declared as required is in no source.
    SecretMissing,
    /// The configuration does not meet what `compliance` enforces.
    ComplianceNotMet,
    /// Another version is live than the one that was to be replaced.
    SecretChanged,
    /// A rotation ended with the old value live.
    RotationFailed,
    /// A rotation was finished and then taken back.
    RotationRolledBack,
    /// The audit record could not be written.
    AuditWriteFailed,
    /// The caller's signal ended the wait.
    Aborted,
    /// The delivery was closed.
    Closed,
}

impl ErrorCode {
    /// Every code, in the documented order.
    pub const ALL: [Self; 19] = [
        Self::ConfigInvalid,
        Self::SecretNameInvalid,
        Self::SecretAccessDenied,
        Self::RoleNotAssumed,
        Self::SourceUnavailable,
        Self::SourceTimeout,
        Self::SourceResponseInvalid,
        Self::EnvFileInvalid,
        Self::CacheUnavailable,
        Self::CacheEntryCorrupt,
        Self::EncryptionKeyInvalid,
        Self::SecretMissing,
        Self::ComplianceNotMet,
        Self::SecretChanged,
        Self::RotationFailed,
        Self::RotationRolledBack,
        Self::AuditWriteFailed,
        Self::Aborted,
        Self::Closed,
    ];

    /// The text that JavaScript sees as `error.code`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigInvalid => "CONFIG_INVALID",
            Self::SecretNameInvalid => "SECRET_NAME_INVALID",
            Self::SecretAccessDenied => "SECRET_ACCESS_DENIED",
            Self::RoleNotAssumed => "ROLE_NOT_ASSUMED",
            Self::SourceUnavailable => "SOURCE_UNAVAILABLE",
            Self::SourceTimeout => "SOURCE_TIMEOUT",
            Self::SourceResponseInvalid => "SOURCE_RESPONSE_INVALID",
            Self::EnvFileInvalid => "ENV_FILE_INVALID",
            Self::CacheUnavailable => "CACHE_UNAVAILABLE",
            Self::CacheEntryCorrupt => "CACHE_ENTRY_CORRUPT",
            Self::EncryptionKeyInvalid => "ENCRYPTION_KEY_INVALID",
            Self::SecretMissing => "SECRET_MISSING",
            Self::ComplianceNotMet => "COMPLIANCE_NOT_MET",
            Self::SecretChanged => "SECRET_CHANGED",
            Self::RotationFailed => "ROTATION_FAILED",
            Self::RotationRolledBack => "ROTATION_ROLLED_BACK",
            Self::AuditWriteFailed => "AUDIT_WRITE_FAILED",
            Self::Aborted => "ABORTED",
            Self::Closed => "CLOSED",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was below a failure: an error code of AWS, or what Node.js calls a failure of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Such as `AccessDeniedException`, `ECONNREFUSED` or `CERT_HAS_EXPIRED`.
    pub code: Cow<'static, str>,
    /// In words.
    pub message: String,
    /// The host and the port that could not be reached.
    pub place: Option<(String, u16)>,
}

/// Why a call was refused or failed: a code and a message that says what, which secret *name*, why and what to do.
///
/// It never holds a value, a URL with credentials or a server's body, so it may be logged as it is.
/// Cloning is cheap: all readers of one flight receive the same error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SecretError {
    cause: Option<Arc<Cause>>,
    request_id: Option<Arc<str>>,
    asked_at: Option<Moment>,
    code: ErrorCode,
    message: Arc<str>,
    missing_credentials: bool,
    about_one_request: bool,
    throttled: bool,
    action: Option<&'static str>,
}

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, SecretError>;

impl SecretError {
    /// An error with `code`; `message` must not hold anything secret.
    pub fn new(code: ErrorCode, message: impl Into<Arc<str>>) -> Self {
        Self {
            code,
            message: shown::message(message.into()),
            missing_credentials: false,
            about_one_request: false,
            throttled: false,
            action: None,
            cause: None,
            request_id: None,
            asked_at: None,
        }
    }

    /// `SOURCE_UNAVAILABLE` because this process has no AWS credentials at all.
    pub fn without_credentials(message: impl Into<Arc<str>>) -> Self {
        Self { missing_credentials: true, ..Self::new(ErrorCode::SourceUnavailable, message) }
    }

    /// The same failure, which says nothing about the next request for another secret.
    #[must_use]
    pub fn about_one_request(self) -> Self {
        Self { about_one_request: true, ..self }
    }

    /// The same failure: AWS was asked too often.
    #[must_use]
    pub fn throttled(self) -> Self {
        Self { throttled: true, ..self }
    }

    /// The same failure, for want of the permission to do `action`.
    #[must_use]
    pub fn for_want_of(self, action: Option<&'static str>) -> Self {
        Self { action, ..self }
    }

    /// The same failure, with what was below it.
    #[must_use]
    pub fn caused_by(self, cause: Option<Cause>) -> Self {
        Self { cause: cause.map(Arc::new), ..self }
    }

    /// The same failure, which AWS knows by this id.
    #[must_use]
    pub fn of_request(self, id: Option<&str>) -> Self {
        Self { request_id: id.map(Arc::from), ..self }
    }

    /// The same failure, of an attempt that was begun then.
    #[must_use]
    pub fn asked_at(self, at: Moment) -> Self {
        Self { asked_at: Some(at), ..self }
    }

    /// When the attempt was begun that ended so; `None` where nobody was asked.
    pub fn was_asked_at(&self) -> Option<Moment> {
        self.asked_at
    }

    /// The same failure, told with another message.
    #[must_use]
    pub fn instead(&self, message: impl Into<Arc<str>>) -> Self {
        Self { message: shown::message(message.into()), ..self.clone() }
    }

    /// `CONFIG_INVALID` at an option's path, such as `options.cache.ttlSeconds`.
    pub fn config(path: &str, why: impl fmt::Display) -> Self {
        Self::new(ErrorCode::ConfigInvalid, format!("{path} {why}"))
    }

    /// `CLOSED`.
    pub fn closed() -> Self {
        Self::new(ErrorCode::Closed, "this SecretDelivery was closed; create a new one to read secrets")
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// What was below it, where that is known.
    pub fn cause(&self) -> Option<&Cause> {
        self.cause.as_deref()
    }

    /// AWS's id of the request that failed, which CloudTrail has as well.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The same failure, after attempts that ended with `last`.
    #[must_use]
    pub fn after(&self, last: &Self) -> Self {
        let told = self.instead(format!("{self}; the attempt before: {last}"));
        Self { cause: last.cause.clone(), request_id: last.request_id.clone(), ..told }
    }

    /// The IAM action that AWS refused, where its answer names one.
    pub fn action(&self) -> Option<&'static str> {
        self.action
    }

    /// Whether trying again later may succeed without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        match self.code {
            ErrorCode::SourceUnavailable
            | ErrorCode::SourceTimeout
            | ErrorCode::SourceResponseInvalid
            | ErrorCode::CacheUnavailable
            | ErrorCode::AuditWriteFailed => true,
            ErrorCode::ConfigInvalid
            | ErrorCode::SecretNameInvalid
            | ErrorCode::SecretAccessDenied
            | ErrorCode::RoleNotAssumed
            | ErrorCode::EnvFileInvalid
            | ErrorCode::CacheEntryCorrupt
            | ErrorCode::EncryptionKeyInvalid
            | ErrorCode::SecretMissing
            | ErrorCode::SecretChanged
            | ErrorCode::Aborted
            | ErrorCode::RotationFailed
            | ErrorCode::RotationRolledBack
            | ErrorCode::ComplianceNotMet
            | ErrorCode::Closed => false,
        }
    }

    /// Whether AWS could not even be asked, for want of credentials.
    pub fn is_missing_credentials(&self) -> bool {
        self.missing_credentials
    }

    /// Whether AWS is there and answered so about this one secret or request: no breaker opens.
    pub fn is_about_one_request(&self) -> bool {
        self.about_one_request
    }

    /// Whether AWS was asked too often: other operations have other quotas.
    pub fn is_throttled(&self) -> bool {
        self.throttled
    }

    /// Whether AWS refused this identity the secret (denied or decryption refused).
    pub fn is_denied(&self) -> bool {
        self.code == ErrorCode::SecretAccessDenied
    }

    /// Whether AWS does not tell this identity if there is such a secret. Where the key refuses, there is one.
    pub fn is_not_shown(&self) -> bool {
        let of_key = ["DecryptionFailure", "KMSAccessDeniedException"];
        self.is_denied() && self.cause().is_none_or(|cause| !of_key.contains(&&*cause.code))
    }

    /// Whether AWS refused: the secret to this identity, or the identity itself. No copy answers, and it counts as unauthorized.
    pub fn is_refused(&self) -> bool {
        self.is_denied() || self.code == ErrorCode::RoleNotAssumed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_upper_case() {
        let mut seen = std::collections::HashSet::new();
        for code in ErrorCode::ALL {
            assert!(seen.insert(code.as_str()));
            assert!(code.as_str().bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
        }
    }

    #[test]
    fn a_config_error_starts_with_the_path() {
        let error = SecretError::config("options.cache.ttlSeconds", "must be positive");
        assert_eq!(error.to_string(), "options.cache.ttlSeconds must be positive");
        assert_eq!(error.code(), ErrorCode::ConfigInvalid);
        assert!(!error.is_transient());
    }
}
