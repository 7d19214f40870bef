//! What follows an attempt: the breaker and the pace of the region, and whether the call is tried again.

use std::time::Duration;

use tokio::time::sleep;

use crate::codes::Nature;
use crate::operation::Operation;
use crate::region::Region;
use crate::retry_after;
use secret::backoff::{Backoff, Jitter};
use secret::breaker::Admitted;
use secret::error::{Result, SecretError};

/// The longest wait before the second attempt; doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// What a call does when AWS throttles it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnThrottled {
    /// Waits for its turn, until its deadline. Throttled attempts do not count.
    Wait,
    /// Gives up where it would have to wait: another region is asked next. Throttled attempts count.
    AskElsewhere,
    /// Gives up at once: single reads are made instead, which have a quota of their own.
    GiveWay,
}

/// The attempts of one call in one region.
pub(crate) struct Retries<'a> {
    region: &'a Region,
    operation: Operation,
    on_throttled: OnThrottled,
    /// The most attempts, and how many were made.
    most: u32,
    made: u32,
    backoff: Backoff,
    /// Others wait for what this call finds out about the region.
    probes: bool,
    /// What the whole read has.
    timeout: Duration,
}

impl Drop for Retries<'_> {
    fn drop(&mut self) {
        if self.probes {
            self.region.give_up();
        }
    }
}

impl<'a> Retries<'a> {
    /// At most `most` attempts, in a read that has `timeout`.
    pub(crate) fn new(
        region: &'a Region,
        operation: Operation,
        most: u32,
        on_throttled: OnThrottled,
        timeout: Duration,
    ) -> Self {
        let backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF, Jitter::Full);
        Self { region, operation, on_throttled, most, made: 1, backoff, probes: false, timeout }
    }

    /// Waits until the next attempt may be made.
    ///
    /// # Errors
    /// The failure that opened the region's breaker; what AWS said when it throttled, where the call does not wait.
    pub(crate) async fn turn(&mut self) -> Result<()> {
        let pace = self.region.pace(self.operation);
        match self.on_throttled {
            OnThrottled::Wait => pace.turn().await,
            OnThrottled::AskElsewhere | OnThrottled::GiveWay => pace.turn_now()?,
        }
        let waits = self.on_throttled != OnThrottled::AskElsewhere;
        self.probes |= self.region.admit(waits).await? == Admitted::Probe;
        Ok(())
    }

    /// AWS answered.
    pub(crate) fn answered(&mut self) {
        self.probes = false;
        self.region.answered(self.operation);
    }

    /// An attempt failed, and whoever answered wants to be left alone for `wanted`. Waits and says whether to try again.
    pub(crate) async fn failed(&mut self, error: &SecretError, nature: Nature, wanted: Option<Duration>) -> bool {
        if error.is_throttled() {
            // AWS is there, and says "slower": no breaker opens. The wait is the next turn.
            self.probes = false;
            self.region.is_there();
            self.region.pace(self.operation).throttled(error, |own| retry_after::wait(own, wanted, self.timeout));
            return match self.on_throttled {
                OnThrottled::Wait => true,
                OnThrottled::AskElsewhere => self.count(),
                OnThrottled::GiveWay => false,
            };
        }
        match nature {
            Nature::Answer => self.answered(),
            Nature::Systemic | Nature::Transient => self.failed_there(error),
        }
        if nature != Nature::Transient || !self.count() {
            return false;
        }
        sleep(retry_after::wait(self.backoff.next_wait(), wanted, self.timeout)).await;
        true
    }

    /// An attempt failed in a way that tells something about the region.
    pub(crate) fn failed_there(&mut self, error: &SecretError) {
        self.probes = false;
        self.region.failed(error);
    }

    fn count(&mut self) -> bool {
        self.made += 1;
        self.made <= self.most
    }
}
