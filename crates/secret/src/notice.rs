//! What a delivery tells its owner without being asked.

use std::sync::Arc;

use crate::report::Report;
use crate::shown;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// An operator should look at it.
    Warn,
    /// Worth knowing.
    Info,
    /// For people who look for a fault.
    Debug,
}

impl LogLevel {
    /// The logger's method.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The 99th percentile of retrievals, in seconds.
    RetrievalLatency,
    /// hits ÷ lookups.
    CacheHitRate,
    /// Rotations that failed or were taken back, in a day.
    RotationFailures,
    /// Refusals of this identity.
    UnauthorizedAccess,
    /// Secrets that AWS lacks and a later source has.
    SecretsNotInAws,
    /// A value that a redactor found in text of the service.
    SecretInText,
}

impl Watched {
    /// Those that have thresholds, in the document's order.
    pub const ALL: [Self; 5] = [
        Self::RetrievalLatency,
        Self::CacheHitRate,
        Self::RotationFailures,
        Self::UnauthorizedAccess,
        Self::SecretsNotInAws,
    ];

    /// The name in alerts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RetrievalLatency => "retrieval-latency",
            Self::CacheHitRate => "cache-hit-rate",
            Self::RotationFailures => "rotation-failures",
            Self::UnauthorizedAccess => "unauthorized-access",
            Self::SecretsNotInAws => "secrets-not-in-aws",
            Self::SecretInText => "secret-in-text",
        }
    }

    /// The documented action.
    pub const fn action(self) -> &'static str {
        match self {
            Self::RetrievalLatency => "Alert DevOps",
            Self::CacheHitRate => "Optimize cache config",
            Self::RotationFailures => "Immediate alert",
            Self::UnauthorizedAccess => "Security incident",
            Self::SecretsNotInAws => "Migration alert",
            Self::SecretInText => "Stop logging it",
        }
    }
}

/// A threshold was crossed, or is no longer.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What.
    pub watched: Watched,
    /// Whose value was found, where that is what is watched.
    pub secret: Option<Arc<str>>,
    /// Whether it is crossed now.
    pub is_firing: bool,
    /// What was measured; `None` when there is nothing to measure any more.
    pub value: Option<f64>,
    /// What was crossed.
    pub threshold: f64,
    /// Since when, in milliseconds since 1970.
    pub since_unix_ms: u64,
    /// When that was found out, in milliseconds since 1970.
    pub at_unix_ms: u64,
}

/// Something worth telling.
#[derive(Clone, Debug)]
pub enum Notice {
    /// An operator should look at this.
    Warning {
        /// Stable code, such as `ENV_FILE_DEPRECATED`.
        code: &'static str,
        /// What and where; never a value.
        message: String,
    },
    /// A secret has another version than the one known before.
    Rotated {
        /// Lower-cased tool; empty for a name without one.
        tool: String,
        /// Lower-cased secret type; a name without a tool as it is.
        secret_type: String,
    },
    /// A secret is to be rotated within the days of notice of its policy.
    RotationAnnounced {
        /// The secret.
        name: String,
        /// Lower-cased tool; `None` when the name has no type part.
        tool: Option<String>,
        /// Lower-cased secret type; `None` when the name has no type part.
        secret_type: Option<String>,
        /// The declared rotation type.
        rotation_type: Option<String>,
        /// When, in milliseconds since 1970.
        due_unix_ms: u64,
        /// Whole days until then.
        days_left: u64,
        /// Who rotates it: `scheduler`, `hand` or `aws`.
        by: &'static str,
        /// Why it is left to people.
        why: Option<String>,
    },
    /// A threshold was crossed, or is no longer.
    Alert(Alert),
    /// Something happened inside, for the logger.
    Log {
        /// How much it matters.
        level: LogLevel,
        /// What happened; never a value.
        message: String,
    },
    /// A rotation ended.
    RotationEnded(Box<Report>),
}

impl Notice {
    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::Warning { code, message: shown::message(message.into().into()).to_string() }
    }
}

/// Receives notices, from any thread. Must not block.
pub trait Notices: Send + Sync {
    /// Takes one notice.
    fn notice(&self, notice: Notice);
}

/// Drops every notice.
#[derive(Debug, Default)]
pub struct Silent;

impl Notices for Silent {
    fn notice(&self, _: Notice) {}
}
