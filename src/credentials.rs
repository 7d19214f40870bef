//! Credentials that the service gives: a function of `options.aws.credentials`, which stays in JavaScript.

use std::sync::Arc;

use aws::settings::{AskCredentials, AskedCredentials, AwsCredentials};
use napi_derive::napi;
use secret::error::{Cause, ErrorCode, SecretError};
use secret::value::SecretValue;

use crate::completions::Completions;
use crate::failure::NativeCause;
use crate::messages::Message;
use crate::questions::Questions;

/// Credentials as the function gave them.
#[napi(object)]
pub struct NativeCredentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
    /// When they end, in milliseconds since 1970.
    pub expires_at: Option<f64>,
}

/// Without any: why, and what was below it.
type Given = Result<NativeCredentials, (String, Option<NativeCause>)>;

/// Asks the function.
pub struct JsCredentials {
    completions: Arc<Completions>,
    asked: Questions<(), Given>,
}

impl JsCredentials {
    pub fn new(completions: Arc<Completions>) -> Self {
        Self { completions, asked: Questions::default() }
    }

    /// Takes what the function gave, or why it gave nothing.
    pub fn answer(&self, id: u32, given: Given) {
        self.asked.answer(id, given);
    }
}

impl AskCredentials for JsCredentials {
    fn ask(&self) -> AskedCredentials<'_> {
        let (id, given) = self.asked.open(());
        self.completions.push(Message::AskCredentials { id });
        Box::pin(async move {
            // No answer comes when JavaScript's environment has ended.
            let given = given.wait().await.ok_or_else(SecretError::closed)?;
            let given = given.map_err(|(why, cause)| {
                SecretError::new(ErrorCode::SourceUnavailable, why).caused_by(cause.map(Cause::from))
            })?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "JavaScript checked its range")]
            let ends_unix_ms = given.expires_at.map(|at| at as u64);
            Ok(AwsCredentials {
                access_key_id: given.access_key_id,
                secret_access_key: SecretValue::new(given.secret_access_key),
                session_token: given.session_token.map(SecretValue::new),
                ends_unix_ms,
            })
        })
    }
}
