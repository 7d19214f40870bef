//! What a delivery is built from: checked, with every default filled in.

mod option;
mod parse;

use std::collections::HashMap;
use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

pub use option::{Field, OptionValue, Section};

use crate::audit::AuditSettings;
use crate::events::EventsSettings;
use crate::metrics::alerts::AlertsSettings;
use crate::rotation::RotationSettings;
use crate::source::env_file::EnvFileSettings;
use crate::source::runtime::RuntimeSettings;
use aws::settings::AwsSettings;
use cache::settings::CacheSettings;
use secret::environment::{Environment, Preset};
use secret::manifest::Manifest;
use secret::name::AwsIdTemplate;

/// What the process looked like when the delivery was created. Read on the JavaScript thread and handed over, since
/// reading the C environment from another thread races with writes to `process.env` (DESIGN section 5, rule 3).
#[derive(Default)]
pub struct Ambient {
    /// The variables that configuration may read: `AWS_*`, `TCS_*`, `NODE_ENV`, `REDIS_URL`, `HOME`, `SSL_CERT_FILE`.
    pub variables: HashMap<String, String>,
    /// `process.cwd()`.
    pub working_directory: PathBuf,
}

impl Ambient {
    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A checked configuration.
pub struct Config {
    /// Where the service runs.
    pub environment: Environment,
    /// That environment's preset.
    pub preset: Preset,
    /// The declared tools.
    pub tools: Manifest,
    /// AWS Secrets Manager; `None` when switched off.
    pub aws: Option<AwsSettings>,
    /// How secret names become AWS ids; also names shared-cache entries, so it stays when AWS is off.
    pub aws_id_template: AwsIdTemplate,
    /// The env file; `None` when switched off or not part of the environment.
    pub env_file: Option<EnvFileSettings>,
    /// The runtime environment.
    pub runtime: RuntimeSettings,
    /// The caches; `None` when switched off.
    pub cache: Option<CacheSettings>,
    /// Rotation.
    pub rotation: RotationSettings,
    /// Where news of changed secrets comes from.
    pub events: EventsSettings,
    /// The thresholds; `None` when switched off.
    pub alerts: Option<AlertsSettings>,
    /// The audit log; `None` when switched off.
    pub audit: Option<AuditSettings>,
    /// What is logged.
    pub log_level: LevelFilter,
}

impl Config {
    /// Checks `options` (an object, or unset) against the documented shape and fills in what is missing.
    ///
    /// # Errors
    /// `CONFIG_INVALID` with the option's path, `ENCRYPTION_KEY_INVALID`, or `SECRET_NAME_INVALID` for declared names.
    pub fn from_options(options: OptionValue, ambient: &Ambient) -> secret::error::Result<Self> {
        parse::config(options, ambient)
    }
}
