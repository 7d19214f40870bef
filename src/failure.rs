//! Refusals: how an error of the core reaches JavaScript.

use napi_derive::napi;
use secret::error::SecretError;

/// A refusal that JavaScript turns into a `SecretError`.
#[napi(object)]
pub struct NativeFailure {
    /// The stable code.
    pub code: String,
    /// What, why and what to do.
    pub message: String,
}

impl From<SecretError> for NativeFailure {
    fn from(error: SecretError) -> Self {
        Self { code: error.code().as_str().into(), message: error.to_string() }
    }
}
