//! What JavaScript asks the addon instead of knowing it itself: names, presets, versions.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use delivery_core::delivery::parse_environment;
use napi::bindgen_prelude::Either;
use napi_derive::napi;
use secret::name::SecretName;

use crate::failure::NativeFailure;
use crate::report;

/// The documented preset of an environment as JSON text, or why there is none.
#[napi(catch_unwind)]
pub fn environment_defaults(environment: String) -> Either<String, NativeFailure> {
    match parse_environment("environment", &environment) {
        Ok(environment) => Either::A(report::environment_defaults(environment).to_string()),
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
