//! An SQS queue with events about secrets.

use std::sync::Arc;
use std::time::Duration;

use aws_config::Region;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::sync::OnceCell;
use url::Url;

use crate::classify::{Failure, classify};
use crate::client;
use crate::identity::Identity;
use crate::sdk::{OwnUserAgent, Place};
use crate::settings::AwsSettings;
use crate::source::Aws;
use secret::error::{ErrorCode, Result, SecretError};

/// SQS's longest.
const LONG_POLL_SECONDS: i32 = 20;
const POLL_DEADLINE: Duration = Duration::from_secs(30);
/// SQS's limit.
const MOST: i32 = 10;

/// A message as the queue has it.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its text.
    pub body: String,
    receipt: String,
}

/// A queue. Nothing is asked until the first poll.
pub struct Queue {
    url: String,
    config: Arc<AwsSettings>,
    identity: Identity,
    client: OnceCell<Client>,
}

impl Queue {
    /// The queue at `url`, with the credentials of the delivery.
    pub fn new(url: String, aws: &Aws) -> Self {
        Self { url, config: aws.config.clone(), identity: aws.identity.clone(), client: OnceCell::new() }
    }

    /// Waits for messages, up to 20 seconds.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE`, `SOURCE_TIMEOUT`, `SECRET_ACCESS_DENIED`.
    pub async fn receive(&self) -> Result<Vec<Message>> {
        let request = self.client().await?.receive_message().queue_url(&self.url);
        let polled = Box::pin(request.wait_time_seconds(LONG_POLL_SECONDS).max_number_of_messages(MOST).send()).await;
        let messages = polled.map_err(|error| self.refused("ReceiveMessage", &error))?.messages;
        let read = |message: aws_sdk_sqs::types::Message| {
            Some(Message { body: message.body.unwrap_or_default(), receipt: message.receipt_handle? })
        };
        Ok(messages.unwrap_or_default().into_iter().filter_map(read).collect())
    }

    /// Deletes messages that were handled.
    ///
    /// # Errors
    /// As [`Queue::receive`].
    pub async fn delete(&self, messages: Vec<&Message>) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let entries = messages.into_iter().enumerate().filter_map(|(i, message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(i.to_string());
            // It has both fields.
            entry.receipt_handle(&message.receipt).build().ok()
        });
        let request = self.client().await?.delete_message_batch().queue_url(&self.url);
        let deleted = Box::pin(request.set_entries(Some(entries.collect())).send()).await;
        let deleted = deleted.map_err(|error| self.refused("DeleteMessageBatch", &error))?;
        if deleted.failed.is_empty() {
            return Ok(());
        }
        Err(self.unavailable(&format!("{} handled messages were not deleted", deleted.failed.len())))
    }

    async fn client(&self) -> Result<&Client> {
        self.client.get_or_try_init(|| Box::pin(self.connect())).await
    }

    async fn connect(&self) -> Result<Client> {
        let (shared, _) = client::shared(&self.config, &self.identity, Place::Other).await?;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.config.connect_timeout)
            .operation_attempt_timeout(POLL_DEADLINE)
            .operation_timeout(POLL_DEADLINE);
        let mut own = aws_sdk_sqs::config::Builder::from(&shared).timeout_config(timeouts.build());
        let at = place(&self.url);
        if let Some(region) = at.region {
            own = own.region(Region::new(region));
        } else if shared.region().is_none() {
            own = own.region(Region::from_static("us-east-1"));
        }
        // The queue is where its URL says, whatever endpoint Secrets Manager has. AWS's own hosts are FIPS's or dual-stack's
        // by themselves, and the SDK refuses to be told so twice.
        if let Some(origin) = at.origin {
            own = own.endpoint_url(origin).use_fips(false).use_dual_stack(false);
        }
        Ok(Client::from_conf(own.interceptor(OwnUserAgent::new(&self.config)).build()))
    }

    fn refused<E>(&self, operation: &str, error: &SdkError<E, HttpResponse>) -> SecretError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        const NONE: [&str; 2] = ["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"];
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        match classify(error) {
            Failure::Refused(refusal) if !code.is_some_and(|code| NONE.contains(&code)) => {
                let refused = refusal.error(operation, &self.url);
                refused.instead(format!("{refused} (events.sqsQueueUrl)"))
            }
            _ => self.unavailable("there is no such queue"),
        }
    }

    fn unavailable(&self, why: &str) -> SecretError {
        SecretError::new(ErrorCode::SourceUnavailable, format!("{}: {why} (events.sqsQueueUrl)", self.url))
    }
}

/// Where a queue is.
#[derive(Debug, Default, PartialEq, Eq)]
struct At {
    origin: Option<String>,
    /// The one that its host names: `sqs.eu-central-1.amazonaws.com`.
    region: Option<String>,
}

/// Reads a queue's URL. Each of AWS's hosts names the region, in a label that looks like one: `sqs.REGION.amazonaws.com`, also
/// with `.cn`, `sqs-fips.REGION…`, `sqs.REGION.api.aws`, `REGION.queue.amazonaws.com`, `vpce-….sqs.REGION.vpce.amazonaws.com`,
/// and those of the isolated and European partitions.
fn place(url: &str) -> At {
    const DOMAINS: [&str; 10] = [
        ".amazonaws.com",
        ".amazonaws.com.cn",
        ".api.aws",
        ".api.amazonwebservices.com.cn",
        ".amazonaws.eu",
        ".c2s.ic.gov",
        ".sc2s.sgov.gov",
        ".csp.hci.ic.gov",
        ".cloud.adc-e.uk",
        ".api.amazonwebservices.eu",
    ];
    let Ok(url) = Url::parse(url) else { return At::default() };
    let host = url.host_str().unwrap_or_default();
    let is_aws = DOMAINS.iter().any(|domain| host.ends_with(domain));
    let region = host.split('.').find(|label| is_aws && looks_like_region(label)).map(str::to_owned);
    At { origin: Some(url.origin().ascii_serialization()), region }
}

/// Two letters or more, words, and a number: `eu-central-1`, `us-gov-west-1`, `us-isob-east-1`, `eusc-de-east-1`.
fn looks_like_region(label: &str) -> bool {
    let mut parts: Vec<&str> = label.split('-').collect();
    let number = parts.pop().unwrap_or_default();
    let is_number = !number.is_empty() && number.len() <= 2 && number.bytes().all(|b| b.is_ascii_digit());
    is_number
        && parts.len() >= 2
        && parts.iter().all(|part| part.len() >= 2 && part.bytes().all(|b| b.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_where_its_url_says() {
        for (url, region) in [
            ("https://sqs.eu-central-1.amazonaws.com/123456789012/secrets", Some("eu-central-1")),
            ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", Some("cn-north-1")),
            ("https://sqs-fips.us-east-1.amazonaws.com/1/q", Some("us-east-1")),
            ("https://sqs.us-gov-west-1.amazonaws.com/1/q", Some("us-gov-west-1")),
            ("https://sqs.eu-west-1.api.aws/1/q", Some("eu-west-1")),
            ("https://eu-west-2.queue.amazonaws.com/1/q", Some("eu-west-2")),
            ("https://vpce-0a1b2c3d-abcdefgh.sqs.eu-north-1.vpce.amazonaws.com/1/q", Some("eu-north-1")),
            ("https://sqs.eusc-de-east-1.amazonaws.eu/1/q", Some("eusc-de-east-1")),
            ("https://sqs.us-iso-east-1.c2s.ic.gov/1/q", Some("us-iso-east-1")),
            ("https://queue.amazonaws.com/1/q", None),
            ("http://127.0.0.1:4566/000000000000/secrets", None),
            ("http://sqs.eu-central-1.localhost.localstack.cloud:4566/0/q", None),
        ] {
            let found = place(url);
            assert_eq!(found.region.as_deref(), region, "{url}");
            assert!(found.origin.is_some_and(|origin| url.starts_with(&origin)), "{url}");
        }
    }
}
