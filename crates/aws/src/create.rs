//! What a migration needs: secrets that AWS does not have yet.

use aws_sdk_secretsmanager::operation::create_secret::CreateSecretOutput;
use aws_sdk_secretsmanager::types::{ReplicaRegionType, Tag};

use crate::answer::sent;
use crate::operation::Operation;
use crate::source::Aws;
use secret::error::{ErrorCode, Result, SecretError};
use secret::value::SecretValue;

/// What a new secret gets beside its value.
#[derive(Clone, Debug, Default)]
pub struct NewSecret {
    /// A customer-managed key, by its ARN, id or alias; `None`: AWS's own.
    pub kms_key: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Regions that get replicas, each with a key of its own or AWS's.
    pub replicas: Vec<(String, Option<String>)>,
}

/// What stands in the way of a write, and the way out.
pub const MARKED: &str = "it is marked for deletion in AWS: bring it back ('tcs-secrets undelete', store.undelete), or wait until it is gone";

impl Aws {
    /// Makes the secret `id`. `token` becomes the id of its first version, so that a repeated attempt makes one secret. Gives
    /// the id that AWS says, since not everything that speaks like AWS takes the token.
    ///
    /// # Errors
    /// As [`Aws::fetch`], `SOURCE_UNAVAILABLE` when it exists or is marked for deletion.
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
    pub async fn create(&self, id: &str, value: &SecretValue, token: &str, new: &NewSecret) -> Result<String> {
        let tags: Vec<Tag> = new.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        let replica = |(region, key): &(String, Option<String>)| {
            ReplicaRegionType::builder().region(region).set_kms_key_id(key.clone()).build()
        };
        let replicas: Vec<ReplicaRegionType> = new.replicas.iter().map(replica).collect();
        let read =
            |output: CreateSecretOutput, _: Option<&str>| Ok(output.version_id.unwrap_or_else(|| token.to_owned()));
        let created = self.call(self.primary(), Operation::Create, id, read, |client, there| {
            let (text, bytes) = sent(value);
            let request = client.create_secret().name(there.id(id)).client_request_token(token);
            let request = request.set_kms_key_id(new.kms_key.clone()).set_description(new.description.clone());
            let request = request.set_add_replica_regions((!replicas.is_empty()).then(|| replicas.clone()));
            request.set_secret_string(text).set_secret_binary(bytes).set_tags(Some(tags.clone())).send()
        });
        let deleted = || {
            let why = format!("{id}: {MARKED}");
            SecretError::new(ErrorCode::SourceUnavailable, why)
        };
        created.await?.ok_or_else(deleted)
    }
}
