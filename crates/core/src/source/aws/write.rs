//! The writes of a staged rotation.
//!
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>

use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::Aws;
use super::classify::{Failure, classify};
use crate::error::{ErrorCode, Result, SecretError};
use crate::value::SecretValue;

impl Aws {
    /// Adds `value` as a version labelled AWSPENDING, which no reader asks for. Gives its version id. The SDK adds an
    /// idempotency token, so a retried call makes one version.
    ///
    /// # Errors
    /// As [`Aws::fetch`], `SOURCE_UNAVAILABLE` when there is no such secret.
    pub async fn put_pending(&self, id: &str, value: &SecretValue) -> Result<String> {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: it is sent to AWS")]
        let text = value.expose().to_owned();
        self.within_deadline(id, async {
            let request =
                self.client().await.put_secret_value().secret_id(id).secret_string(text).version_stages("AWSPENDING");
            let output = Box::pin(request.send()).await.map_err(|error| refused("PutSecretValue", id, &error))?;
            output.version_id.ok_or_else(|| {
                SecretError::new(
                    ErrorCode::SourceResponseInvalid,
                    format!("{id}: AWS PutSecretValue gave no version id"),
                )
            })
        })
        .await
    }

    /// Moves AWSCURRENT from `old` to `new`; AWS labels the old version AWSPREVIOUS.
    ///
    /// # Errors
    /// As [`Aws::put_pending`].
    pub async fn make_current(&self, id: &str, old: &str, new: &str) -> Result<()> {
        self.within_deadline(id, async {
            let request = self
                .client()
                .await
                .update_secret_version_stage()
                .secret_id(id)
                .version_stage("AWSCURRENT")
                .remove_from_version_id(old)
                .move_to_version_id(new);
            Box::pin(request.send()).await.map(drop).map_err(|error| refused("UpdateSecretVersionStage", id, &error))
        })
        .await
    }
}

fn refused<E>(operation: &str, id: &str, error: &SdkError<E, HttpResponse>) -> SecretError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match classify(error) {
        Failure::Absent => SecretError::new(ErrorCode::SourceUnavailable, format!("{id}: AWS has no such secret")),
        Failure::Refused(refusal) => refusal.error(operation, id),
    }
}
