//! Words that JavaScript asks the addon for, so that they stand in one place.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use std::collections::HashMap;

use delivery_core::config::{Ambient, default_audit_file as core_default_file};
use delivery_core::delivery::parse_environment;
use delivery_core::export::text;
use delivery_core::rotation::hooks::Hook;
use napi::bindgen_prelude::Either;
use napi_derive::napi;
use secret::json_field::{self, Kind};
use secret::name::SecretName;
use zeroize::Zeroizing;

use crate::failure::NativeFailure;
use crate::reports::preset::EnvironmentDefaults;

/// The version of this addon, which the package that loads it compares with its own.
#[napi]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The content type of `metrics.prometheus()`.
#[napi]
pub const PROMETHEUS_CONTENT_TYPE: &str = text::PROMETHEUS;

/// The content type of `metrics.openMetrics()`.
#[napi]
pub const OPENMETRICS_CONTENT_TYPE: &str = text::OPENMETRICS;

/// The names of the rotation hooks, in the order in which a rotation calls them.
#[napi]
pub fn hook_names() -> Vec<&'static str> {
    Hook::ALL.into_iter().map(Hook::as_str).collect()
}

/// The JSON object `json` with `text` in its field `field`, and every other byte as it was. `null` where the field is no
/// string.
#[napi(catch_unwind)]
pub fn with_json_text(json: String, field: String, text: String) -> Option<String> {
    let (json, text) = (Zeroizing::new(json), Zeroizing::new(text));
    let found = json_field::find(&json, &field).ok()??;
    (found.kind() == Kind::Text).then(|| found.with_text(&json, &text).to_string())
}

/// The documented preset of an environment, or why there is none.
#[napi(catch_unwind)]
pub fn environment_defaults(environment: String) -> Either<EnvironmentDefaults, NativeFailure> {
    match parse_environment("environment", &environment) {
        Ok(environment) => Either::A(environment.into()),
        Err(error) => Either::B(error.into()),
    }
}

/// Where the audit log of a delivery in one of the four environments is, if nobody says so.
#[napi(catch_unwind)]
pub fn default_audit_file(
    environment: String,
    working_directory: String,
    variables: HashMap<String, String>,
) -> Either<String, NativeFailure> {
    match parse_environment("environment", &environment) {
        Ok(environment) => {
            let ambient = Ambient { variables, working_directory: working_directory.into(), ..Ambient::default() };
            Either::A(core_default_file(environment, &ambient).to_string_lossy().into_owned())
        }
        Err(error) => Either::B(error.into()),
    }
}

/// The name of a tool's secret, or why it has none.
#[napi(catch_unwind)]
pub fn secret_name(tool: String, secret_type: String) -> Either<String, NativeFailure> {
    match SecretName::of_tool(&tool, &secret_type) {
        Ok(name) => Either::A(name.as_str().to_owned()),
        Err(error) => Either::B(error.into()),
    }
}
