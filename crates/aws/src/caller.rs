//! Who AWS takes this process for: the answer of STS, which needs no permission.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_sts::Client;

use crate::classify::{Failure, classify};
use crate::client;
use crate::sdk::{KeepBodiesOutOfLogs, OwnUserAgent, Place};
use crate::source::Aws;
use secret::error::{ErrorCode, Result, SecretError};

const DEADLINE: Duration = Duration::from_secs(3);

/// The identity of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account's number.
    pub account: String,
    /// The ARN of the user or of the session of a role.
    pub arn: String,
}

impl Aws {
    /// Asks STS. `None` where Secrets Manager has an endpoint of one's own, and STS has none.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE`, `SOURCE_TIMEOUT`, `SECRET_ACCESS_DENIED`.
    pub async fn caller(&self) -> Result<Option<Caller>> {
        let config = &self.config;
        // A role cannot have been assumed without.
        let has_sts = config.names_sts() || (config.assume_role.is_some() && config.endpoint_of_sts().is_some());
        if config.endpoint.is_some() && !has_sts {
            return Ok(None);
        }
        let place = if config.assume_role.is_some() { Place::Sts } else { Place::Other };
        let (shared, _) = client::shared(config, &self.identity, place).await?;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.config.connect_timeout)
            .operation_attempt_timeout(DEADLINE)
            .operation_timeout(DEADLINE);
        let service = aws_sdk_sts::config::Builder::from(&shared).timeout_config(timeouts.build());
        let client =
            Client::from_conf(service.interceptor(KeepBodiesOutOfLogs).interceptor(OwnUserAgent::new(config)).build());
        let asked = Box::pin(client.get_caller_identity().send()).await;
        let answer = asked.map_err(|error| match classify(&error) {
            Failure::Refused(refusal) => refusal.error("GetCallerIdentity", "identity"),
            Failure::Absent => unreadable(),
        })?;
        let (account, arn) = answer.account.zip(answer.arn).ok_or_else(unreadable)?;
        let is_plain = |text: &str| text.len() <= 2048 && text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if is_plain(&account) && is_plain(&arn) { Ok(Some(Caller { account, arn })) } else { Err(unreadable()) }
    }
}

fn unreadable() -> SecretError {
    SecretError::new(ErrorCode::SourceResponseInvalid, "identity: the answer is not one of STS")
}
