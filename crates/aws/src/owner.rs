//! Whose copies of secrets these are: the account of the credentials and the region, told without a call of AWS.

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
    /// and where there are none. The region alone where the copies go by the role that reads them (`aws.assumeRole`): one role reads
    /// in several regions.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE` when the credentials could not be loaded, or not soon enough, and nothing else says whose they are.
    pub async fn scope(&self) -> Result<Option<String>> {
        if self.config.assume_role.is_some() {
            return Ok(self.config.own_region().map(str::to_owned));
        }
        let account = self.identity.account().await.map_err(|problem| {
            let why = "the shared cache is not used while it is not known which AWS account this process is of";
            SecretError::new(ErrorCode::CacheUnavailable, format!("{why}: {problem}"))
        })?;
        Ok(account.map(|account| self.place(&account)))
    }

    /// Whose copies a file has that this process writes now: as [`Owner::scope`], and with `aws.assumeRole` the account of the
    /// role. `None` while that is not known.
    pub fn known(&self) -> Option<Option<String>> {
        match &self.config.assume_role {
            Some(role) => Some(Some(self.place(role.account()))),
            None => self.identity.known_account().map(|account| account.map(|account| self.place(&account))),
        }
    }

    /// Whose copies this process may take from a file: as [`Owner::known`], or as the configuration says while there are no
    /// credentials. Nothing is waited for.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE` when nothing says whose they are.
    pub async fn now(&self) -> Result<Option<String>> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let account = self.identity.account_now().await.map_err(|problem| {
            let why = "the snapshot is not used while it is not known which AWS account this process is of";
            SecretError::new(ErrorCode::CacheUnavailable, format!("{why}: {problem}"))
        })?;
        Ok(account.map(|account| self.place(&account)))
    }

    fn place(&self, account: &str) -> String {
        match self.config.own_region() {
            Some(region) => format!("{account}:{region}"),
            None => account.to_owned(),
        }
    }
}
