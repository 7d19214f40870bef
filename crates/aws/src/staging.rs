//! What a rotation needs: versions and their staging labels. Only the primary region is asked; replicas follow it.
//!
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::operation::get_random_password::GetRandomPasswordOutput;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueOutput;
use aws_sdk_secretsmanager::operation::rotate_secret::RotateSecretOutput;
use zeroize::Zeroizing;

use crate::answer::{managed_by, missing, no_version_id, sent, unix_ms};
use crate::call::There;
use crate::operation::Operation;
use crate::source::Aws;
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::value::SecretValue;

/// The live version's label.
pub const CURRENT: &str = "AWSCURRENT";
/// The label of the version before it.
pub const PREVIOUS: &str = "AWSPREVIOUS";
/// The label of a version that is being tried.
pub const PENDING: &str = "AWSPENDING";

/// Which version of a secret is meant.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// The one with this label.
    Label(&'a str),
    /// The one with this id, whatever its labels.
    Id(&'a str),
}

/// A version of a secret.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its value.
    pub value: SecretValue,
    /// Whether AWS holds it as bytes; the value is their base64 text then.
    pub is_binary: bool,
    /// AWS's id.
    pub id: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_ms: Option<u64>,
    /// The secret's ARN.
    pub arn: Option<String>,
}

impl Version {
    /// Whether it has `label`.
    pub fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|own| own == label)
    }

    /// The same as the answer to a question for a secret.
    pub fn into_fetched(self) -> Fetched {
        Fetched {
            value: self.value,
            version_id: Some(self.id.into()),
            created_unix_ms: self.created_unix_ms,
            request_id: None,
            arn: self.arn.map(Into::into),
        }
    }
}

/// What AWS says of a secret without its value.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// Whether AWS rotates it by a schedule of its own, whatever does the work: a function, the owning service, a partner.
    pub is_rotated_by_aws: bool,
    /// When AWS rotates it next, in milliseconds since 1970.
    pub next_rotation_unix_ms: Option<u64>,
    /// The AWS service that owns it, such as `rds`. Only that service may write it.
    pub owning_service: Option<String>,
    /// What a partner's secret is, such as `SalesforceClientSecret`.
    pub external_type: Option<String>,
    /// The labels of each version that has any.
    pub labels: BTreeMap<String, Vec<String>>,
    /// Whether it is marked for deletion.
    pub is_marked: bool,
    /// Who manages it, by its own tag.
    pub managed_by: Option<String>,
    /// The customer-managed key that encrypts it; `None`: AWS's own key.
    pub key: Option<String>,
}

impl Description {
    /// The version with `label`.
    pub fn holder(&self, label: &str) -> Option<&str> {
        self.labels.iter().find(|(_, labels)| labels.iter().any(|own| own == label)).map(|(id, _)| id.as_str())
    }
}

impl Aws {
    /// One version; `None` when there is none, or it has no value.
    ///
    /// # Errors
    /// As [`Aws::fetch`].
    pub async fn version(&self, id: &str, which: Which<'_>) -> Result<Option<Version>> {
        let read = |mut output: GetSecretValueOutput, _: Option<&str>| {
            Self::check_answer(&There(None).id(id), output.arn.as_deref(), output.name.as_deref())?;
            let labels = output.version_stages.take().unwrap_or_default();
            let (created, arn) = (unix_ms(output.created_date.as_ref()), output.arn.take());
            let (text, binary) = (output.secret_string.take(), output.secret_binary.take());
            let is_binary = text.is_none();
            let fetched = Self::fetched(id, text, binary, output.version_id.take(), None)?;
            let version = fetched.version_id.as_deref().ok_or_else(|| no_version_id(id, Operation::Get))?;
            let (value, id) = (fetched.value, version.to_owned());
            Ok(Version { value, is_binary, id, labels, created_unix_ms: created, arn })
        };
        self.call(self.primary(), Operation::Get, id, read, |client, there| {
            let request = client.get_secret_value().secret_id(there.id(id));
            match which {
                Which::Label(label) => request.version_stage(label),
                Which::Id(version) => request.version_id(version),
            }
            .send()
        })
        .await
    }

    /// What AWS says of `id` without its value.
    ///
    /// # Errors
    /// As [`Aws::fetch`]; the action is not needed for reads and may not be granted.
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html>
    pub async fn describe(&self, id: &str) -> Result<Option<Description>> {
        let read = |output: DescribeSecretOutput, _: Option<&str>| {
            let given = |text: Option<String>| text.filter(|text| !text.is_empty());
            Ok(Description {
                is_rotated_by_aws: output.rotation_enabled.unwrap_or(false),
                next_rotation_unix_ms: unix_ms(output.next_rotation_date.as_ref()),
                is_marked: output.deleted_date.is_some(),
                owning_service: given(output.owning_service),
                external_type: given(output.r#type),
                key: given(output.kms_key_id).filter(|key| !key.ends_with("alias/aws/secretsmanager")),
                managed_by: output.tags.unwrap_or_default().into_iter().find_map(managed_by),
                labels: output.version_ids_to_stages.unwrap_or_default().into_iter().collect(),
            })
        };
        self.call(self.primary(), Operation::Describe, id, read, |client, there| {
            client.describe_secret().secret_id(there.id(id)).send()
        })
        .await
    }

    /// Adds `value` as a version labelled AWSPENDING, which no reader asks for. `token` becomes its id, so that a
    /// repeated call makes one version; with another value it is refused.
    ///
    /// # Errors
    /// As [`Aws::fetch`], `SOURCE_UNAVAILABLE` when there is no such secret.
    pub async fn put_pending(&self, id: &str, value: &SecretValue, token: &str) -> Result<String> {
        self.put_labelled(id, value, token, PENDING).await
    }

    /// Adds `value` as a version with `label`, as [`Aws::put_pending`] does. The first version of a secret is live, whatever its
    /// label.
    ///
    /// # Errors
    /// As [`Aws::put_pending`].
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html>
    pub async fn put_labelled(&self, id: &str, value: &SecretValue, token: &str, label: &str) -> Result<String> {
        let read = |output: PutSecretValueOutput, _: Option<&str>| {
            output.version_id.ok_or_else(|| no_version_id(id, Operation::Put))
        };
        let put = self.call(self.primary(), Operation::Put, id, read, |client, there| {
            let (text, bytes) = sent(value);
            let request = client.put_secret_value().secret_id(there.id(id)).client_request_token(token);
            request.set_secret_string(text).set_secret_binary(bytes).version_stages(label).send()
        });
        put.await?.ok_or_else(|| missing(id))
    }

    /// Moves `label` from one version to another, adds it, or takes it away. AWS refuses to move it when it is not at `from`.
    /// When AWSCURRENT moves, AWS labels the version it leaves AWSPREVIOUS.
    ///
    /// # Errors
    /// As [`Aws::put_pending`].
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html>
    pub async fn move_label(&self, id: &str, label: &str, from: Option<&str>, to: Option<&str>) -> Result<()> {
        let moved = self.call(
            self.primary(),
            Operation::Label,
            id,
            |_, _| Ok(()),
            |client, there| {
                let request = client.update_secret_version_stage().secret_id(there.id(id)).version_stage(label);
                let request = request.set_remove_from_version_id(from.map(str::to_owned));
                request.set_move_to_version_id(to.map(str::to_owned)).send()
            },
        );
        moved.await?.ok_or_else(|| missing(id))
    }

    /// Has AWS rotate `id` by its own function; the new version gets `token` as its id.
    ///
    /// # Errors
    /// As [`Aws::put_pending`].
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html>
    pub async fn start_rotation(&self, id: &str, token: &str) -> Result<String> {
        let read = |output: RotateSecretOutput, _: Option<&str>| {
            output.version_id.ok_or_else(|| no_version_id(id, Operation::Rotate))
        };
        let started = self.call(self.primary(), Operation::Rotate, id, read, |client, there| {
            client.rotate_secret().secret_id(there.id(id)).client_request_token(token).rotate_immediately(true).send()
        });
        started.await?.ok_or_else(|| missing(id))
    }

    /// A random password of AWS's making: letters and digits.
    ///
    /// # Errors
    /// As [`Aws::fetch`].
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html>
    pub async fn random_password(&self, length: u32) -> Result<Zeroizing<String>> {
        const ABOUT: &str = "a new password";
        let read = |mut output: GetRandomPasswordOutput, _: Option<&str>| {
            let password = output.random_password.take().filter(|password| !password.is_empty());
            password.map(Zeroizing::new).ok_or_else(|| {
                SecretError::new(ErrorCode::SourceResponseInvalid, "AWS GetRandomPassword gave no password")
            })
        };
        let given = self.call(self.primary(), Operation::Random, ABOUT, read, |client, _| {
            let request = client.get_random_password().password_length(i64::from(length));
            request.exclude_punctuation(true).include_space(false).require_each_included_type(true).send()
        });
        given.await?.ok_or_else(|| missing(ABOUT))
    }
}
