//! A region: its client, the breaker that shows whether it answers, and the paces that it sets.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use parking_lot::Mutex;
use tokio::sync::{Notify, OnceCell};

use crate::client;
use crate::connections::Connections;
use crate::identity::Identity;
use crate::operation::Operation;
use crate::pace::Pace;
use crate::sdk::Place;
use crate::settings::{AwsSettings, FailoverRegion};
use secret::breaker::{Admitted, Breaker, BreakerRules, BreakerState};
use secret::clock::Clock;
use secret::error::{Result, SecretError};

const BREAKER: BreakerRules =
    BreakerRules { threshold: 5, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(15) };

/// One of the regions of a delivery.
pub(super) struct Region {
    config: Arc<AwsSettings>,
    identity: Identity,
    /// `None` for the primary, which the configuration names or leaves to the profile.
    replica: Option<FailoverRegion>,
    client: Mutex<Arc<OnceCell<(Client, Connections)>>>,
    breaker: Breaker,
    /// A probe of the breaker has ended.
    probed: Notify,
    /// By operation: each has a quota of its own.
    paces: [Pace; Operation::ALL.len()],
    /// So many calls it answered.
    answers: AtomicU64,
}

/// The state of a region, for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionState {
    /// The region's name; `None` when the profile decides.
    pub region: Option<String>,
    /// The ARN of the role that asks it, where a reference names one.
    pub role: Option<Box<str>>,
    /// Whether calls to it are let through.
    pub breaker: BreakerState,
}

impl Region {
    /// The primary and its replicas, in the order they are asked.
    pub(super) fn all(config: &Arc<AwsSettings>, identity: &Identity, clock: &Clock) -> Vec<Self> {
        let replicas = config.failover.clone();
        let region = |replica| Self {
            config: config.clone(),
            identity: identity.clone(),
            replica,
            client: Mutex::default(),
            breaker: Breaker::new(BREAKER, clock.clone()),
            probed: Notify::new(),
            paces: std::array::from_fn(|_| Pace::new(clock.clone())),
            answers: AtomicU64::new(0),
        };
        std::iter::once(None).chain(replicas.into_iter().map(Some)).map(region).collect()
    }

    /// Its client, and the connections that the client uses.
    ///
    /// # Errors
    /// When it cannot be made now.
    pub(super) async fn client(&self) -> Result<(Client, Connections)> {
        let cell = self.client.lock().clone();
        let place = self.replica.as_ref().map_or(Place::Primary, Place::Replica);
        cell.get_or_try_init(|| Box::pin(client::build(&self.config, &self.identity, place))).await.cloned()
    }

    /// Closes its connections: their buffers hold the last answers.
    pub(super) fn disconnect(&self) {
        *self.client.lock() = Arc::default();
    }

    /// Asks through `client`.
    #[cfg(any(feature = "canned", fuzzing))]
    pub(super) fn connect_by(&self, client: Client, connections: Connections) {
        *self.client.lock() = Arc::new(OnceCell::new_with(Some((client, connections))));
    }

    /// How fast an operation may be called while AWS throttles it.
    pub(super) fn pace(&self, operation: Operation) -> &Pace {
        &self.paces[operation as usize]
    }

    /// It answered a call.
    pub(super) fn answered(&self, operation: Operation) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.pace(operation).answered();
        self.is_there();
    }

    /// It said something.
    pub(super) fn is_there(&self) {
        self.breaker.succeeded();
        self.probed.notify_waiters();
    }

    /// It failed, which may have it left alone for a while.
    pub(super) fn failed(&self, error: &SecretError) {
        self.breaker.failed(error);
        self.probed.notify_waiters();
    }

    /// Whether it may be asked. With `waits`, a call that comes while another one finds out whether the region is back goes by what
    /// that one finds; the caller has a deadline.
    ///
    /// # Errors
    /// The failure that opened its breaker.
    pub(super) async fn admit(&self, waits: bool) -> Result<Admitted> {
        loop {
            let mut probed = pin!(self.probed.notified());
            // From here on an outcome is not missed.
            probed.as_mut().enable();
            match self.breaker.admit() {
                Err(_) if waits && self.breaker.is_probing() => probed.await,
                admitted => return admitted,
            }
        }
    }

    /// Whether a call finds out whether it is back.
    pub(super) fn is_probed(&self) -> bool {
        self.breaker.is_probing()
    }

    /// The call that should have found out whether it is back did not.
    pub(super) fn give_up(&self) {
        self.breaker.give_up();
        self.probed.notify_waiters();
    }

    /// Lets the next call through, whatever happened before.
    pub(super) fn probe_now(&self) {
        self.breaker.probe_now();
    }

    /// So many calls it answered.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Its name when it is a replica's.
    pub(super) fn replica(&self) -> Option<&str> {
        self.replica.as_ref().map(|replica| replica.region.as_str())
    }

    pub(super) fn state(&self) -> RegionState {
        let region = match &self.replica {
            Some(replica) => Some(replica.region.clone()),
            None => self.config.region.clone(),
        };
        RegionState { region, role: None, breaker: self.breaker.state_now() }
    }
}

#[cfg(test)]
mod tests {
    use secret::error::ErrorCode;
    use tokio::time::timeout;

    use super::*;

    fn failure() -> SecretError {
        SecretError::new(ErrorCode::SourceUnavailable, "down")
    }

    /// What it says at once; `None` where it waits.
    async fn at_once(admit: impl Future<Output = Result<Admitted>>) -> Option<Result<Admitted>> {
        timeout(Duration::ZERO, admit).await.ok()
    }

    /// A region that failed until it was left alone, and is asked again by one call.
    async fn probed() -> Region {
        let clock = Clock::test();
        let config = Arc::new(AwsSettings::default());
        let region = Region::all(&config, &Identity::new(config.clone(), clock.clone()), &clock).remove(0);
        for _ in 0..BREAKER.threshold {
            region.failed(&failure());
        }
        assert!(at_once(region.admit(true)).await.is_some_and(|refused| refused.is_err()), "nobody asks it");
        clock.advance(BREAKER.longest_wait);
        let admitted = at_once(region.admit(true)).await.expect("at once").expect("let through");
        assert_eq!(admitted, Admitted::Probe);
        region
    }

    #[tokio::test]
    async fn calls_that_come_while_another_one_asks_whether_a_region_is_back_go_by_its_outcome() {
        for end in ["answered", "failed", "given up"] {
            let region = probed().await;
            let refused = at_once(region.admit(false)).await;
            assert!(refused.is_some_and(|refused| refused.is_err()), "another region is asked");
            assert!(region.is_probed());
            let mut waiting = pin!(region.admit(true));
            assert!(at_once(waiting.as_mut()).await.is_none());
            let expected = match end {
                "answered" => {
                    region.answered(Operation::Get);
                    Some(Admitted::Call)
                }
                "failed" => {
                    region.failed(&failure());
                    None
                }
                _ => {
                    region.give_up();
                    Some(Admitted::Probe)
                }
            };
            let admitted = timeout(Duration::from_secs(10), waiting).await.expect("it goes on").ok();
            assert_eq!(admitted, expected, "{end}");
        }
    }
}
