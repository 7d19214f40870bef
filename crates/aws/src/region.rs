//! A region: its client, the breaker that shows whether it answers, and the paces that it sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::client;
use crate::connections::Connections;
use crate::identity::Identity;
use crate::operation::Operation;
use crate::pace::Pace;
use crate::sdk::Place;
use crate::settings::{AwsSettings, FailoverRegion};
use secret::breaker::{Breaker, BreakerRules, BreakerState};
use secret::clock::Clock;
use secret::error::Result;

const BREAKER: BreakerRules =
    BreakerRules { threshold: 5, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(15) };

/// One of the regions of a delivery.
pub(super) struct Region {
    config: Arc<AwsSettings>,
    identity: Identity,
    /// `None` for the primary, which the configuration names or leaves to the profile.
    replica: Option<FailoverRegion>,
    client: Mutex<Arc<OnceCell<(Client, Connections)>>>,
    pub(super) breaker: Breaker,
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
        self.breaker.succeeded();
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
