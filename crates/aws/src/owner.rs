//! Whose copies of secrets these are: the account of the credentials, told without a call of AWS.

use std::sync::Arc;

use crate::identity::Identity;
use crate::settings::AwsSettings;
use secret::error::{ErrorCode, Result, SecretError};

/// Says whose copies a process shares with others.
#[derive(Clone)]
pub struct Owner {
    pub(crate) identity: Identity,
    pub(crate) config: Arc<AwsSettings>,
}

impl Owner {
    /// The account and the region, as one text, such as `123456789012:eu-central-1`; `None` where the credentials name no account,
    /// where there are none, and where the copies go by the role that reads them (`aws.assumeRole`).
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE` when the credentials could not be loaded, or not soon enough, and nothing else says whose they are.
    pub async fn scope(&self) -> Result<Option<String>> {
        if self.config.assume_role.is_some() {
            return Ok(None);
        }
        let account = self.identity.account().await.map_err(|problem| {
            let why = "the shared cache is not used while it is not known which AWS account this process is of";
            SecretError::new(ErrorCode::CacheUnavailable, format!("{why}: {problem}"))
        })?;
        Ok(account.map(|account| match self.config.own_region() {
            Some(region) => format!("{account}:{region}"),
            None => account.to_string(),
        }))
    }
}
