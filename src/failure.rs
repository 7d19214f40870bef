//! Refusals: how an error of the core reaches JavaScript.

use napi_derive::napi;
use secret::error::{Cause, SecretError};

/// A refusal that JavaScript turns into a `SecretError`.
#[napi(object)]
pub struct NativeFailure {
    /// The stable code.
    pub code: String,
    /// What, why and what to do.
    pub message: String,
    /// AWS's id of the request.
    pub request_id: Option<String>,
    /// What was below it.
    pub cause: Option<NativeCause>,
}

/// What was below a failure.
#[napi(object)]
pub struct NativeCause {
    /// A code of AWS's or Node's.
    pub code: String,
    /// In words.
    pub message: String,
    /// The host that could not be reached.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
}

impl From<NativeCause> for Cause {
    fn from(cause: NativeCause) -> Self {
        Self { code: cause.code.into(), message: cause.message, place: cause.host.zip(cause.port) }
    }
}

impl From<SecretError> for NativeFailure {
    fn from(error: SecretError) -> Self {
        let cause = error.cause().map(|cause| NativeCause {
            code: cause.code.as_ref().to_owned(),
            message: cause.message.clone(),
            host: cause.place.as_ref().map(|(host, _)| host.clone()),
            port: cause.place.as_ref().map(|(_, port)| *port),
        });
        Self {
            code: error.code().as_str().into(),
            message: error.to_string(),
            request_id: error.request_id().map(str::to_owned),
            cause,
        }
    }
}
