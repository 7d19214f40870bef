//! Lists secrets (`ListSecrets`): their names and who takes care of them, never a value.

use aws_sdk_secretsmanager::operation::list_secrets::ListSecretsOutput;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};

use crate::operation::Operation;
use crate::source::Aws;
use secret::error::{ErrorCode, Result, SecretError};

/// AWS's limit for results a page.
const MOST_A_PAGE: i32 = 100;
/// Pages a listing may have, against a server that never stops giving tokens. AWS keeps 500,000 secrets for an account.
const MAX_PAGES: usize = 5_000;

/// A secret that a listing shows.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The AWS service that owns it, such as `rds`.
    pub owning_service: Option<String>,
    /// Whether AWS rotates it.
    pub is_rotated: bool,
}

impl Aws {
    /// The secrets that this identity sees and whose names start with `prefix`, in the order of their names. Those that are
    /// marked for deletion are left out.
    ///
    /// # Errors
    /// `SECRET_ACCESS_DENIED`, `SOURCE_UNAVAILABLE`, `SOURCE_TIMEOUT` (of a page), `SOURCE_RESPONSE_INVALID`.
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let about = if prefix.is_empty() { "ListSecrets" } else { prefix };
        let filter = || Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
        let mut found: Vec<Listed> = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let read = |mut output: ListSecretsOutput, _: Option<&str>| {
                let next = output.next_token.take();
                Ok((output.secret_list.unwrap_or_default(), next))
            };
            let page = self
                .call(self.primary(), Operation::List, about, read, |client, _| {
                    let page = client.list_secrets().max_results(MOST_A_PAGE).set_next_token(token.clone());
                    if prefix.is_empty() { page } else { page.filters(filter()) }.send()
                })
                .await?;
            let Some((entries, next)) = page else { break };
            // AWS compares prefixes without case.
            found.extend(entries.into_iter().filter(|entry| entry.deleted_date.is_none()).filter_map(|entry| {
                let name = entry.name.filter(|name| name.starts_with(prefix))?;
                let owning_service = entry.owning_service.filter(|owner| !owner.is_empty());
                Some(Listed { name, owning_service, is_rotated: entry.rotation_enabled.unwrap_or(false) })
            }));
            token = next.filter(|token| !token.is_empty());
            if token.is_none() {
                found.sort_by(|a, b| a.name.cmp(&b.name));
                found.dedup_by(|a, b| a.name == b.name);
                return Ok(found);
            }
        }
        let why = format!("{about}: AWS ListSecrets did not end after {MAX_PAGES} pages");
        Err(SecretError::new(ErrorCode::SourceResponseInvalid, why))
    }
}
