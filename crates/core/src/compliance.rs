//! What a configuration meets of a compliance profile. What depends on time or on AWS is judged by JavaScript, which asks.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The controls of the profile, of the configuration first.
///
/// # Source
/// Design, section 8. Which criterion a control serves is this package's reading of the Trust Services Criteria.
pub const CONTROLS: [&str; 13] = [
    "audit-log",
    "audit-on-failure",
    "audit-key",
    "cache-keys",
    "redis-tls",
    "aws-tls",
    "no-env-file",
    "file-modes",
    "secrets-in-aws",
    "customer-managed-key",
    "rotation",
    "required-secrets",
    "versions",
];

/// A control that the configuration alone decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Its id, one of [`CONTROLS`].
    pub id: &'static str,
    /// Criteria that it serves, such as `CC6.7`.
    pub criteria: &'static [&'static str],
    /// Whether it is met; `None`: there is nothing that it is about.
    pub met: Option<bool>,
    /// What was looked at, and how it is set.
    pub evidence: String,
    /// The option or variable that changes it.
    pub setting: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// The profile of a delivery, with what its configuration meets.
#[derive(Clone, Debug, Default)]
pub struct Compliance {
    /// `None`: nothing is looked at.
    pub profile: Option<&'static str>,
    /// Whether what is not met stops the service.
    pub enforced: bool,
    /// Reasons by control.
    pub waived: BTreeMap<String, String>,
    /// Those that the configuration decides.
    pub controls: Vec<Control>,
    /// Files that only their owner should read.
    pub files: Vec<PathBuf>,
}

impl Compliance {
    /// What is neither met nor waived.
    pub fn unmet(&self) -> impl Iterator<Item = &Control> {
        self.controls.iter().filter(|control| control.met == Some(false) && !self.waived.contains_key(control.id))
    }
}
