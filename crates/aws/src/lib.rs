//! AWS Secrets Manager, through AWS's own SDK. The only room that knows the SDK.
#![forbid(unsafe_code)]

mod batch;
mod call;
#[cfg(any(feature = "canned", fuzzing))]
mod canned;
mod classify;
mod client;
mod create;
pub mod permission;
mod queue;
mod region;
pub mod settings;
mod staging;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::primitives::{Blob, DateTime};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

pub use batch::{BatchAnswer, Listing, MAX_BATCH};
#[cfg(any(feature = "canned", fuzzing))]
pub use canned::Canned;
pub use create::MANAGED_BY;
pub use queue::{Message, Queue};
pub use region::RegionState;
pub use staging::{CURRENT, Description, PENDING, PREVIOUS, Version, Which};

use crate::settings::AwsSettings;
use region::Region;
use secret::clock::Clock;
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::rate_limit::TokenBucket;
use secret::value::SecretValue;

/// Requests under way at once. Each one needs a connection (HTTP/1.1), and without a bound a burst of cold reads was
/// seen to open hundreds of them.
const MAX_IN_FLIGHT: usize = 64;
/// The longest value AWS stores is 65,536 bytes; a binary one grows by a third in base64.
const MAX_VALUE: usize = 65_536 / 3 * 4 + 4;

/// AWS's operations that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `GetSecretValue`.
    Get,
    /// `BatchGetSecretValue`.
    Batch,
    /// `CreateSecret`.
    Create,
    /// `PutSecretValue`.
    Put,
    /// `UpdateSecretVersionStage`.
    Label,
    /// `DescribeSecret`.
    Describe,
    /// `ListSecrets`.
    List,
    /// `RotateSecret`.
    Rotate,
    /// `GetRandomPassword`.
    Random,
}

impl Operation {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 9] = [
        Self::Get,
        Self::Batch,
        Self::Create,
        Self::Put,
        Self::Label,
        Self::Describe,
        Self::List,
        Self::Rotate,
        Self::Random,
    ];

    /// AWS's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GetSecretValue",
            Self::Batch => "BatchGetSecretValue",
            Self::Create => "CreateSecret",
            Self::Put => "PutSecretValue",
            Self::Label => "UpdateSecretVersionStage",
            Self::Describe => "DescribeSecret",
            Self::List => "ListSecrets",
            Self::Rotate => "RotateSecret",
            Self::Random => "GetRandomPassword",
        }
    }
}

/// How AWS answered so far; each attempt counts.
#[derive(Debug, Default)]
pub struct AwsCalls([Outcomes; Operation::ALL.len()]);

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

impl AwsCalls {
    fn count(&self, operation: Operation, error: Option<&SecretError>) {
        let outcomes = &self.0[operation as usize];
        let counter = match error {
            None => &outcomes.ok,
            Some(error) if error.is_denied() => &outcomes.denied,
            Some(_) => &outcomes.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Each operation with its outcomes.
    pub fn operations(&self) -> impl Iterator<Item = (Operation, &Outcomes)> {
        Operation::ALL.into_iter().zip(&self.0)
    }
}

/// AWS Secrets Manager as a source. Clients are made on first use: constructing a delivery does no I/O.
pub struct Aws {
    /// The primary, then those that hold replicas.
    regions: Vec<Region>,
    timeout: Duration,
    max_attempts: u32,
    limit: TokenBucket,
    per_second: u32,
    in_flight: Semaphore,
    calls: AwsCalls,
    account: OnceLock<String>,
    clock: Clock,
}

impl Aws {
    /// Nothing is asked until the first read.
    pub fn new(config: &Arc<AwsSettings>, clock: Clock) -> Self {
        let (timeout, max_attempts) = (config.timeout, config.max_attempts);
        let limit = TokenBucket::new(config.requests_per_second, clock.clone());
        let regions = Region::all(config, &clock);
        let in_flight = Semaphore::new(MAX_IN_FLIGHT);
        Self {
            regions,
            timeout,
            max_attempts,
            limit,
            per_second: config.requests_per_second,
            in_flight,
            calls: AwsCalls::default(),
            account: OnceLock::new(),
            clock,
        }
    }

    /// Calls so far.
    pub fn calls(&self) -> &AwsCalls {
        &self.calls
    }

    /// One deadline for a whole read.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whose secrets these are, once AWS gave one.
    pub fn account(&self) -> Option<&str> {
        self.account.get().map(String::as_str)
    }

    /// An ARN names the account: `arn:aws:secretsmanager:region:account:secret:…`.
    fn note_account(&self, arn: Option<&str>) {
        if self.account.get().is_none()
            && let Some(account) = arn.and_then(|arn| arn.split(':').nth(4)).filter(|account| !account.is_empty())
        {
            self.account.get_or_init(|| account.to_owned());
        }
    }

    /// The primary region. Replicas cannot be written to, and their versions are not yet the primary's.
    fn primary(&self) -> &[Region] {
        &self.regions[..1]
    }

    /// How long the rate limit makes the next call wait.
    pub fn wait(&self) -> Duration {
        self.limit.wait()
    }

    /// How many calls the rate limit allows in a second.
    pub fn calls_per_second(&self) -> usize {
        usize::try_from(self.per_second).unwrap_or(usize::MAX)
    }

    /// How each region is, the primary first.
    pub fn regions(&self) -> Vec<RegionState> {
        self.regions.iter().map(Region::state).collect()
    }

    /// Closes every connection. The next call opens one again.
    pub fn disconnect(&self) {
        self.regions.iter().for_each(Region::disconnect);
    }

    /// Asks the primary next, whatever happened before.
    pub fn probe_now(&self) {
        for region in &self.regions {
            region.breaker.probe_now();
        }
    }

    /// The current value of the AWS secret `id`; `None` when it does not exist or is marked for deletion.
    ///
    /// # Errors
    /// `SECRET_ACCESS_DENIED`, `SOURCE_UNAVAILABLE`, `SOURCE_TIMEOUT`, `SOURCE_RESPONSE_INVALID`.
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
    pub async fn fetch(&self, id: &str) -> Result<Option<Fetched>> {
        let read = |mut output: GetSecretValueOutput, region: Option<&str>| {
            // Taken, not copied: the value's one buffer is wiped when the last holder drops it.
            let (text, binary) = (output.secret_string.take(), output.secret_binary.take());
            let created = unix_ms(output.created_date.as_ref());
            self.note_account(output.arn.as_deref());
            let fetched = self.fetched(id, text, binary, output.version_id, region)?;
            Ok(Fetched { created_unix_ms: created, ..fetched })
        };
        self.call(&self.regions, Operation::Get, id, read, |client| client.get_secret_value().secret_id(id).send())
            .await
    }

    fn fetched(
        &self,
        id: &str,
        text: Option<String>,
        binary: Option<Blob>,
        version: Option<String>,
        region: Option<&str>,
    ) -> Result<Fetched> {
        let invalid = |why: &str| SecretError::new(ErrorCode::SourceResponseInvalid, format!("{id}: {why}"));
        let value = match (text, binary) {
            (Some(text), _) => SecretValue::new(text),
            (None, Some(blob)) => SecretValue::new(STANDARD.encode(Zeroizing::new(blob.into_inner()))),
            (None, None) => return Err(invalid("AWS answered without SecretString and SecretBinary")),
        };
        if value.len() > MAX_VALUE {
            return Err(invalid("AWS answered with a value longer than any it stores"));
        }
        let version_id = version.map(|version| match region {
            None => Arc::from(version),
            Some(region) => Arc::from(format!("{version}@{region}")),
        });
        Ok(Fetched { value, version_id, created_unix_ms: None, fetched_unix_ms: self.clock.unix_ms() })
    }
}

/// The AWS id inside an ARN (`…:secret:NAME-a1b2c3`, or without AWS's six characters), or the id as it is.
pub fn name_in(id: &str) -> &str {
    let Some((_, tail)) = id.rsplit_once(":secret:") else { return id };
    let is_awss = |end: &str| end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric());
    tail.rsplit_once('-').filter(|(_, end)| is_awss(end)).map_or(tail, |(name, _)| name)
}

/// AWS's date in milliseconds since 1970; `None` for none, or one before.
fn unix_ms(date: Option<&DateTime>) -> Option<u64> {
    u64::try_from(date?.to_millis().ok()?).ok()
}
