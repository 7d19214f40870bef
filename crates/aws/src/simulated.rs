//! For the simulation: Secrets Manager in the same process, asked in place of AWS's client. Deadline, attempts, breaker, rate
//! limit and the number of calls at once are those of real calls; the client, its connections and regions are not there.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::awake::{Attempt, attempt as one};
use crate::batch::{BatchAnswer, Listing};
use crate::settings::AwsSettings;
use crate::source::Aws;
use secret::backoff::{Backoff, Jitter};
use secret::clock::Clock;
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::freeze::Freezes;

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// An answer on its way.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Secrets Manager as one instance sees it.
pub trait SimulatedAws: Send + Sync + fmt::Debug {
    /// GetSecretValue.
    fn fetch<'a>(&'a self, id: &'a str) -> Answering<'a, Option<Fetched>>;
    /// BatchGetSecretValue of ids.
    fn batch<'a>(&'a self, ids: &'a [String]) -> Answering<'a, BatchAnswer>;
    /// BatchGetSecretValue of all ids with a prefix.
    fn list<'a>(&'a self, prefix: &'a str) -> Answering<'a, Listing>;
}

impl Aws {
    /// A source that asks `simulated`.
    pub fn simulated(config: &Arc<AwsSettings>, clock: Clock, simulated: Arc<dyn SimulatedAws>) -> Self {
        let mut aws = Self::new(config, clock);
        aws.simulated = Some((simulated, Freezes::new(aws.clock.clone())));
        aws
    }

    pub(crate) async fn ask_simulated<'a, T>(&'a self, id: &str, begin: impl Fn() -> Answering<'a, T>) -> Result<T> {
        let breaker = &self.regions[0].breaker;
        let answered = async {
            let _slot = self.in_flight.acquire().await;
            let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF, Jitter::Full);
            let mut attempt = 1;
            loop {
                breaker.admit()?;
                let wait = self.rate_limit.take(self.timeout);
                let limited =
                    || SecretError::new(ErrorCode::SourceUnavailable, format!("{id}: the rate limit is used up"));
                sleep(wait.ok_or_else(limited)?).await;
                let freezes = self.simulated.as_ref().map_or(self.freezes, |(_, freezes)| freezes);
                let error = match one(freezes, self.attempt_timeout, begin()).await {
                    Attempt::Ended(Ok(answer)) => {
                        breaker.succeeded();
                        return Ok(answer);
                    }
                    Attempt::Ended(Err(error)) if error.is_denied() => {
                        breaker.succeeded();
                        return Err(error);
                    }
                    Attempt::Ended(Err(error)) => error,
                    // Asked again, as real calls are.
                    Attempt::Frozen => continue,
                    Attempt::TimedOut => SecretError::new(ErrorCode::SourceTimeout, format!("{id}: no answer in time")),
                };
                breaker.failed(&error);
                if attempt >= self.max_attempts {
                    return Err(error);
                }
                sleep(backoff.next_wait()).await;
                attempt += 1;
            }
        };
        timeout(self.timeout, answered).await.unwrap_or_else(|_| Err(self.timed_out(id)))
    }
}
