//! The secrets that a migration command or a validation is limited to.

use delivery_core::migration::Scope;
use napi_derive::napi;
use secret::error::{Result, SecretError};
use secret::manifest::Phase;
use secret::name::SecretName;

/// `MigrationScope`.
#[napi(object)]
pub struct NativeScope {
    /// One of `critical`, `tool`, `other`.
    pub phase: Option<String>,
    /// Secret names.
    pub names: Option<Vec<String>>,
}

impl NativeScope {
    /// # Errors
    /// `CONFIG_INVALID` for an unknown phase, `SECRET_NAME_INVALID`.
    pub fn read(self) -> Result<Scope> {
        let known = |text: String| {
            let phase = Phase::ALL.into_iter().find(|phase| phase.as_str() == text);
            phase.ok_or_else(|| SecretError::config("phase", "must be 'critical', 'tool' or 'other'"))
        };
        let names = |names: Vec<String>| names.iter().map(|name| SecretName::new(name)).collect::<Result<_>>();
        Ok(Scope { phase: self.phase.map(known).transpose()?, names: self.names.map(names).transpose()? })
    }
}
