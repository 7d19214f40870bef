//! What a delivery tells its owner without being asked.

use crate::log::LogLevel;
use crate::metrics::alerts::Alert;
use crate::rotation::report::Report;

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
        /// Lower-cased tool.
        tool: String,
        /// Lower-cased secret type.
        secret_type: String,
    },
    /// A secret is to be rotated within the days of notice of its policy.
    RotationAnnounced {
        /// The secret.
        name: String,
        /// Lower-cased tool.
        tool: String,
        /// Lower-cased secret type.
        secret_type: String,
        /// The declared rotation type.
        rotation_type: Option<String>,
        /// When, in milliseconds since 1970.
        due_unix_ms: u64,
        /// Whole days until then.
        days_left: u64,
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
        Self::Warning { code, message: message.into() }
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
