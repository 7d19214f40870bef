//! The configuration of a delivery: checked, with every default filled in.

mod option;
mod parse;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use network::Trust;
use tracing::level_filters::LevelFilter;

pub use option::{Field, OptionValue, Section, did_you_mean};
pub use parse::audit::default_file as default_audit_file;
pub use parse::reference_of;

use crate::audit::AuditSettings;
use crate::compliance::Compliance;
use crate::events::EventsSettings;
use crate::metrics::alerts::AlertsSettings;
use crate::rotation::RotationSettings;
use crate::source::env_file::EnvFileSettings;
use crate::source::runtime::RuntimeSettings;
use aws::NewSecret;
use aws::settings::AwsSettings;
use cache::settings::CacheSettings;
use secret::aws_ids::AwsIdTemplate;
use secret::environment::{Environment, Environments, Preset};
use secret::manifest::Manifest;

/// The variables and the working directory of the process when the delivery was created. JavaScript reads them on its
/// thread and passes them on, since reading the C environment from another thread races with writes to `process.env`
/// (`ARCHITECTURE.md`, rule 3).
#[derive(Default)]
pub struct Ambient {
    /// The variables that configuration may read: `AWS_*`, `TCS_*`, `NODE_ENV`, `REDIS_URL`, `HOME`, those of
    /// certificates and proxies.
    pub variables: HashMap<String, String>,
    /// The working directory: `process.cwd()`.
    pub working_directory: PathBuf,
    /// Who runs this process.
    pub actor: crate::audit::Actor,
}

impl Ambient {
    /// The value of a variable; `None` if it is unset or empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A checked configuration.
pub struct Config {
    /// The environment in which the service runs.
    pub environment: Environment,
    /// The environments that the service knows.
    pub environments: Environments,
    /// The preset of the environment.
    pub preset: Preset,
    /// The declared tools.
    pub tools: Manifest,
    /// AWS Secrets Manager; `None` if `aws.enabled` is `false`.
    pub aws: Option<AwsSettings>,
    /// How secret names become AWS ids. The keys of the shared cache are made of these ids too, so it is set even if
    /// AWS is off.
    pub aws_id_template: AwsIdTemplate,
    /// The env file; `None` if it is switched off or the environment has none.
    pub env_file: Option<EnvFileSettings>,
    /// The runtime environment.
    pub runtime: RuntimeSettings,
    /// The caches; `None` if they are switched off.
    pub cache: Option<CacheSettings>,
    /// Rotation.
    pub rotation: RotationSettings,
    /// What new secrets in AWS get beside their value.
    pub migration: NewSecret,
    /// How this instance learns of changed secrets.
    pub events: EventsSettings,
    /// The thresholds of alerts; `None` if alerts are switched off.
    pub alerts: Option<AlertsSettings>,
    /// The audit log; `None` if it is switched off.
    pub audit: Option<AuditSettings>,
    /// How much internal activity is logged.
    pub log_level: LevelFilter,
    /// What is trusted on the network, and the settings of it that cannot be used.
    pub trust: Arc<Trust>,
    /// The service's name, in the labels of metrics.
    pub service: Option<String>,
    /// What the configuration meets of what `compliance` demands.
    pub compliance: Arc<Compliance>,
}

impl Config {
    /// Checks `options` (an object, or unset) and fills in the defaults.
    ///
    /// # Errors
    /// `CONFIG_INVALID` with the option's path, `ENCRYPTION_KEY_INVALID`, `COMPLIANCE_NOT_MET`, or `SECRET_NAME_INVALID` for declared
    /// names.
    pub fn from_options(options: OptionValue, ambient: &Ambient) -> secret::error::Result<Self> {
        parse::config(options, ambient)
    }
}
