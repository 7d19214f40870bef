//! What a delivery tells its owner without being asked.

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
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
