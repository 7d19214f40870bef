//! The writes of a staged rotation.
//!
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>

use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueOutput;

use super::{Aws, Operation};
use crate::error::{ErrorCode, Result, SecretError};
use crate::value::SecretValue;

impl Aws {
    /// Adds `value` as a version labelled AWSPENDING, which no reader asks for. Gives its version id. `token` becomes
    /// it, so that a repeated call makes one version.
    ///
    /// # Errors
    /// As [`Aws::fetch`], `SOURCE_UNAVAILABLE` when there is no such secret.
    pub async fn put_pending(&self, id: &str, value: &SecretValue, token: &str) -> Result<String> {
        let read = |output: PutSecretValueOutput, _: Option<&str>| {
            output.version_id.ok_or_else(|| {
                SecretError::new(
                    ErrorCode::SourceResponseInvalid,
                    format!("{id}: AWS PutSecretValue gave no version id"),
                )
            })
        };
        let put = self.call(Operation::Put, id, read, |client| {
            #[expect(clippy::disallowed_methods, reason = "EXPOSE: it is sent to AWS")]
            let text = value.expose();
            let request = client.put_secret_value().secret_id(id).client_request_token(token);
            request.secret_string(text).version_stages("AWSPENDING").send()
        });
        put.await?.ok_or_else(|| missing(id))
    }

    /// Moves AWSCURRENT from `old` to `new`; AWS labels the old version AWSPREVIOUS.
    ///
    /// # Errors
    /// As [`Aws::put_pending`].
    pub async fn make_current(&self, id: &str, old: &str, new: &str) -> Result<()> {
        let moved = self.call(
            Operation::Stage,
            id,
            |_, _| Ok(()),
            |client| {
                let request = client.update_secret_version_stage().secret_id(id).version_stage("AWSCURRENT");
                request.remove_from_version_id(old).move_to_version_id(new).send()
            },
        );
        moved.await?.ok_or_else(|| missing(id))
    }
}

fn missing(id: &str) -> SecretError {
    SecretError::new(ErrorCode::SourceUnavailable, format!("{id}: AWS has no such secret"))
}
