//! Finds the secrets that AWS has: their names and fields, never a value.

use async_recursion::async_recursion as boxed;
use aws::{Listed, MAX_BATCH};
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::name::SecretName;
use secret::value::SecretValue;

use super::Delivery;
use crate::audit::Access;

/// Fields of one secret that are named.
const MOST_FIELDS: usize = 200;

/// A secret that AWS has.
#[derive(Debug)]
pub struct FoundInAws {
    /// What AWS's listing says of it.
    pub listed: Listed,
    /// What its value is.
    pub form: FoundForm,
    /// The keys of a JSON object whose values are neither `null` nor empty, in their order.
    pub fields: Vec<String>,
    /// Why the value could not be read.
    pub error: Option<SecretError>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundForm {
    /// A text.
    Text,
    /// A JSON object.
    Json,
    /// Bytes.
    Bytes,
    /// There is no value, or an empty one.
    Nothing,
    /// It could not be read.
    Unread,
}

impl FoundForm {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Bytes => "bytes",
            Self::Nothing => "nothing",
            Self::Unread => "unread",
        }
    }
}

impl Delivery {
    /// The secrets whose AWS names start with `prefix` (empty: all), as far as this identity sees them. Lists 100 and reads 20
    /// in a call, past the caches; nothing is delivered.
    ///
    /// # Errors
    /// AWS's, when the secrets cannot be listed; `SOURCE_UNAVAILABLE` where AWS is switched off; `CLOSED`.
    #[boxed]
    pub async fn find_in_aws(&self, prefix: &str) -> Result<Vec<FoundInAws>> {
        self.open(async {
            let Some(aws) = self.reads().aws() else {
                return Err(SecretError::new(
                    ErrorCode::SourceUnavailable,
                    "AWS is switched off (options.aws.enabled)",
                ));
            };
            let listed = aws.list(prefix).await?;
            let names: Vec<SecretName> = listed.iter().map(|one| SecretName::of_aws(&one.name, None, None)).collect();
            let mut answers = Vec::with_capacity(names.len());
            // Not all at once: nobody waits for it, and a service may be using the same quota.
            for names in names.chunks(4 * MAX_BATCH) {
                answers.extend(self.reads().fetch_all(names).await);
            }
            let accesses = listed.iter().zip(&answers).map(|(one, answer)| Access::fetched(&one.name, answer));
            self.inspected("find", accesses.collect()).await;
            Ok(listed.into_iter().zip(answers).map(|(listed, answer)| found(listed, answer)).collect())
        })
        .await
    }
}

fn found(listed: Listed, answer: Result<Option<Fetched>>) -> FoundInAws {
    let (form, fields, error) = match answer {
        Ok(Some(fetched)) => match form_of(&fetched.value) {
            FoundForm::Json => (FoundForm::Json, fields_of(&fetched.value), None),
            form => (form, Vec::new(), None),
        },
        Ok(None) => (FoundForm::Nothing, Vec::new(), None),
        Err(error) => (FoundForm::Unread, Vec::new(), Some(error)),
    };
    FoundInAws { listed, form, fields, error }
}

fn form_of(value: &SecretValue) -> FoundForm {
    match value {
        value if value.is_empty() => FoundForm::Nothing,
        value if value.is_binary() => FoundForm::Bytes,
        value if value.keys().is_ok() => FoundForm::Json,
        _ => FoundForm::Text,
    }
}

fn fields_of(value: &SecretValue) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for key in value.keys().unwrap_or_default() {
        let has_one = fields.len() < MOST_FIELDS && !fields.contains(&key) && matches!(value.field(&key), Ok(Some(_)));
        if has_one {
            fields.push(key);
        }
    }
    fields
}
