//! For the simulation: one call of simulated AWS. Deadline, attempts, breaker, pace, rate limit and the number of calls at
//! once are those of real calls; the client, its connections and regions are not there.

use std::sync::Arc;

use tokio::time::{sleep, timeout};

use crate::awake::{Attempt, attempt as one};
use crate::call::Asked;
use crate::codes::Nature;
use crate::retries::{OnThrottled, Retries};
use crate::settings::AwsSettings;
use crate::simulated::{Answering, SimulatedAws};
use crate::source::Aws;
use secret::clock::Clock;
use secret::error::{ErrorCode, Result, SecretError};
use secret::freeze::Freezes;

impl Aws {
    /// A source that asks `simulated`.
    pub fn simulated(config: &Arc<AwsSettings>, clock: &Clock, simulated: Arc<dyn SimulatedAws>) -> Self {
        let mut aws = Self::new(config, clock);
        aws.simulated = Some((simulated, Freezes::new(clock.clone())));
        aws
    }

    pub(crate) async fn ask_simulated<'a, T>(
        &'a self,
        asked: impl Into<Asked>,
        id: &str,
        begin: impl Fn() -> Answering<'a, T>,
    ) -> Result<T> {
        let Asked { operation, gives_way, .. } = asked.into();
        let on_throttled = if gives_way { OnThrottled::GiveWay } else { OnThrottled::Wait };
        let answered = async {
            let _slot = self.in_flight.acquire().await;
            let mut retries = Retries::new(&self.regions[0], operation, self.max_attempts, on_throttled, self.timeout);
            loop {
                retries.turn().await?;
                let wait = self.rate_limit.take(self.timeout);
                let limited =
                    || SecretError::new(ErrorCode::SourceUnavailable, format!("{id}: the rate limit is used up"));
                sleep(wait.ok_or_else(limited)?).await;
                let begun = self.clock.now();
                let freezes = self.simulated.as_ref().map_or(self.freezes, |(_, freezes)| freezes);
                let error = match one(freezes, self.attempt_timeout, begin()).await {
                    Attempt::Ended(Ok(answer)) => {
                        retries.answered();
                        return Ok(answer);
                    }
                    Attempt::Ended(Err(error)) => error,
                    // Asked again, as real calls are.
                    Attempt::Frozen => continue,
                    Attempt::TimedOut => SecretError::new(ErrorCode::SourceTimeout, format!("{id}: no answer in time")),
                };
                let nature = if error.is_denied() { Nature::Answer } else { Nature::Transient };
                if !retries.failed(&error, nature, None).await {
                    return Err(error.asked_at(begun));
                }
            }
        };
        timeout(self.timeout, answered).await.unwrap_or_else(|_| Err(self.timed_out(id)))
    }
}
