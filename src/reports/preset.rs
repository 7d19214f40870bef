//! `EnvironmentDefaults`.

use napi_derive::napi;
use secret::environment::Environment;

use super::count;

/// What an environment means when no option says otherwise.
#[napi(object, object_from_js = false, use_nullable = true)]
#[expect(clippy::struct_excessive_bools, reason = "the shape is that of `index.d.ts`")]
pub struct EnvironmentDefaults {
    pub environment: &'static str,
    pub source: &'static str,
    pub fallback: Option<&'static str>,
    pub fallback_deprecated: bool,
    pub cache: bool,
    pub cache_ttl_seconds: Option<i64>,
    pub max_stale_seconds: i64,
    pub audit: bool,
    pub rotation: &'static str,
    pub rotation_interval_days: Option<u32>,
    pub encryption: bool,
    pub compliance: Option<&'static str>,
    pub monitoring: bool,
    pub alerting: bool,
    pub on_aws_failure: &'static str,
}

impl From<Environment> for EnvironmentDefaults {
    fn from(environment: Environment) -> Self {
        let preset = environment.preset();
        Self {
            environment: environment.as_str(),
            source: "aws-secrets-manager",
            fallback: preset.env_file,
            fallback_deprecated: preset.env_file_deprecated,
            cache: preset.cache_ttl.is_some(),
            cache_ttl_seconds: preset.cache_ttl.map(|ttl| count(ttl.as_secs())),
            max_stale_seconds: count(preset.max_stale.as_secs()),
            audit: preset.audit,
            rotation: match preset.rotation_interval_days {
                None => "manual",
                Some(7) => "weekly",
                Some(_) => "bi-weekly",
            },
            rotation_interval_days: preset.rotation_interval_days,
            encryption: preset.encryption_required,
            compliance: preset.compliance,
            monitoring: preset.monitoring,
            alerting: preset.alerting,
            on_aws_failure: if preset.aws_failure_rejects { "reject" } else { "next-source" },
        }
    }
}
