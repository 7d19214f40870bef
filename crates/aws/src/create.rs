//! What a migration needs: secrets that AWS does not have yet, and new live versions of those it has.

use aws_sdk_secretsmanager::operation::create_secret::CreateSecretOutput;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueOutput;
use aws_sdk_secretsmanager::types::Tag;

use crate::answer::missing;
use crate::operation::Operation;
use crate::source::Aws;
use secret::error::{ErrorCode, Result, SecretError};
use secret::value::SecretValue;

impl Aws {
    /// Makes the secret `id`. `token` becomes the id of its first version, so that a repeated attempt makes one secret.
    ///
    /// # Errors
    /// As [`Aws::fetch`], `SOURCE_UNAVAILABLE` when it exists or is marked for deletion.
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
    pub async fn create(&self, id: &str, value: &SecretValue, token: &str, tags: &[(&str, &str)]) -> Result<()> {
        let tags: Vec<Tag> = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect();
        let read = |_: CreateSecretOutput, _: Option<&str>| Ok(());
        let created = self.call(self.primary(), Operation::Create, id, read, |client| {
            #[expect(clippy::disallowed_methods, reason = "EXPOSE: it is sent to AWS")]
            let text = value.expose();
            let request = client.create_secret().name(id).client_request_token(token);
            request.secret_string(text).set_tags(Some(tags.clone())).send()
        });
        let deleted = || {
            let why = format!("{id}: it is marked for deletion in AWS; restore it, or wait until it is deleted");
            SecretError::new(ErrorCode::SourceUnavailable, why)
        };
        created.await?.ok_or_else(deleted)
    }

    /// Adds `value` as the live version of `id`, with `token` as its id.
    ///
    /// # Errors
    /// As [`Aws::put_pending`].
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html>
    pub async fn put_live(&self, id: &str, value: &SecretValue, token: &str) -> Result<()> {
        let read = |_: PutSecretValueOutput, _: Option<&str>| Ok(());
        let put = self.call(self.primary(), Operation::Put, id, read, |client| {
            #[expect(clippy::disallowed_methods, reason = "EXPOSE: it is sent to AWS")]
            let text = value.expose();
            client.put_secret_value().secret_id(id).client_request_token(token).secret_string(text).send()
        });
        put.await?.ok_or_else(|| missing(id))
    }
}
