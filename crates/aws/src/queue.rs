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
use crate::sdk::Place;
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
        // The queue is where its URL says, whatever endpoint Secrets Manager has.
        if let Some((origin, region)) = place(&self.url) {
            own = own.endpoint_url(origin);
            if let Some(region) = region {
                own = own.region(Region::new(region));
            } else if shared.region().is_none() {
                own = own.region(Region::from_static("us-east-1"));
            }
        }
        Ok(Client::from_conf(own.build()))
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

/// The origin of a queue's URL, and the region that AWS's host names hold (`sqs.eu-central-1.amazonaws.com`).
fn place(url: &str) -> Option<(String, Option<String>)> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str().unwrap_or_default();
    let region = host.strip_prefix("sqs.").filter(|rest| rest.contains(".amazonaws.com"));
    let region = region.and_then(|rest| rest.split('.').next()).map(str::to_owned);
    Some((url.origin().ascii_serialization(), region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_where_its_url_says() {
        let aws = place("https://sqs.eu-central-1.amazonaws.com/123456789012/secrets").expect("a place");
        assert_eq!(aws, ("https://sqs.eu-central-1.amazonaws.com".into(), Some("eu-central-1".into())));
        let local = place("http://127.0.0.1:4566/000000000000/secrets").expect("a place");
        assert_eq!(local, ("http://127.0.0.1:4566".into(), None));
    }
}
