//! AWS Secrets Manager, through AWS's own SDK. The only room that knows the SDK.

mod batch;
mod classify;
mod client;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::{OnceCell, Semaphore};
use zeroize::Zeroizing;

pub use batch::{BatchAnswer, Listing, MAX_BATCH};

use crate::config::AwsConfig;
use crate::error::{ErrorCode, Result, SecretError};
use crate::value::SecretValue;
use classify::{Failure, classify};

/// Requests under way at once. Each one needs a connection (HTTP/1.1), and without a bound a burst of cold reads was
/// seen to open hundreds of them.
const MAX_IN_FLIGHT: usize = 64;

/// A secret as AWS has it.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The value; binary secrets as base64 text (decision D10).
    pub value: SecretValue,
    /// AWS's version id.
    pub version_id: Option<Arc<str>>,
}

/// How AWS answered so far; counted per call, not per retry.
#[derive(Debug, Default)]
pub struct AwsCalls {
    get: Outcomes,
    batch: Outcomes,
}

/// Outcomes of one operation.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// Answered with what was asked, or that it does not exist.
    pub ok: AtomicU64,
    /// Refused: access denied or decryption refused.
    pub denied: AtomicU64,
    /// Failed: throttled, 5xx, timeout, network, credentials.
    pub failed: AtomicU64,
}

impl Outcomes {
    fn count<T>(&self, result: &Result<T>) {
        let counter = match result {
            Ok(_) => &self.ok,
            Err(error) if error.is_denied() => &self.denied,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl AwsCalls {
    /// Each operation by AWS's name.
    pub fn operations(&self) -> [(&'static str, &Outcomes); 2] {
        [("GetSecretValue", &self.get), ("BatchGetSecretValue", &self.batch)]
    }

    /// All calls so far.
    pub fn total(&self) -> u64 {
        self.operations()
            .iter()
            .flat_map(|(_, o)| [&o.ok, &o.denied, &o.failed])
            .map(|counter| counter.load(Ordering::Relaxed))
            .sum()
    }
}

/// AWS Secrets Manager as a source. One client, made on first use: constructing a delivery does no I/O.
pub struct Aws {
    config: AwsConfig,
    client: OnceCell<Client>,
    in_flight: Semaphore,
    calls: AwsCalls,
}

impl Aws {
    /// Nothing is asked until the first read.
    pub fn new(config: AwsConfig) -> Self {
        Self { config, client: OnceCell::new(), in_flight: Semaphore::new(MAX_IN_FLIGHT), calls: AwsCalls::default() }
    }

    /// Calls so far.
    pub fn calls(&self) -> &AwsCalls {
        &self.calls
    }

    /// The current value of the AWS secret `id`; `None` when it does not exist or is marked for deletion.
    ///
    /// # Errors
    /// `SECRET_ACCESS_DENIED`, `SOURCE_UNAVAILABLE`, `SOURCE_TIMEOUT`, `SOURCE_RESPONSE_INVALID`.
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
    pub async fn fetch(&self, id: &str) -> Result<Option<Fetched>> {
        self.get(id, None).await
    }

    /// One version, whatever its labels.
    ///
    /// # Errors
    /// As [`Aws::fetch`].
    pub async fn fetch_version(&self, id: &str, version: &str) -> Result<Option<Fetched>> {
        self.get(id, Some(version.to_owned())).await
    }

    async fn get(&self, id: &str, version: Option<String>) -> Result<Option<Fetched>> {
        let result = self
            .within_deadline(id, async {
                // The SDK's futures are tens of kilobytes; boxed, they do not swell every future above.
                let request = self.client().await.get_secret_value().secret_id(id).set_version_id(version);
                match Box::pin(request.send()).await {
                    Ok(mut output) => {
                        // Taken, not copied: the value's one buffer is wiped when the last holder drops it.
                        let (text, binary) = (output.secret_string.take(), output.secret_binary.take());
                        fetched(id, text, binary, output.version_id.as_deref()).map(Some)
                    }
                    Err(error) => match classify(&error) {
                        Failure::Absent => Ok(None),
                        Failure::Refused(refusal) => Err(refusal.error("GetSecretValue", id)),
                    },
                }
            })
            .await;
        self.calls.get.count(&result);
        result
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| Box::pin(client::build(&self.config))).await
    }

    /// One deadline over everything a call may wait for: a free slot, credentials, connection, retries.
    async fn within_deadline<T>(&self, id: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let bounded = async {
            let _slot = self.in_flight.acquire().await;
            call.await
        };
        match tokio::time::timeout(self.config.timeout, bounded).await {
            Ok(result) => result,
            Err(_) => Err(timed_out(id, self.config.timeout)),
        }
    }
}

fn timed_out(id: &str, after: Duration) -> SecretError {
    SecretError::new(
        ErrorCode::SourceTimeout,
        format!("{id}: AWS Secrets Manager did not answer within {} ms (aws.timeoutMs)", after.as_millis()),
    )
}

fn fetched(id: &str, text: Option<String>, binary: Option<Blob>, version: Option<&str>) -> Result<Fetched> {
    let value = match (text, binary) {
        (Some(text), _) => SecretValue::new(text),
        (None, Some(blob)) => SecretValue::new(STANDARD.encode(Zeroizing::new(blob.into_inner()))),
        (None, None) => {
            return Err(SecretError::new(
                ErrorCode::SourceResponseInvalid,
                format!("{id}: AWS answered without SecretString and SecretBinary"),
            ));
        }
    };
    Ok(Fetched { value, version_id: version.map(Arc::from) })
}
