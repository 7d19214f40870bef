//! Follows events without letting them take AWS away from readers: one catch-up of a secret at a time and at most one after
//! it, few at once, and a budget of calls for all of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use secret::clock::Clock;
use secret::error::{Result, SecretError};
use secret::name::SecretName;
use secret::rate_limit::TokenBucket;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::reads::flights::Flights;
use crate::reads::{Pace, Reads};
use crate::tasks::Tasks;

/// Catch-ups that ask AWS at the same time.
const MOST_AT_ONCE: usize = 4;
/// First looks of all catch-ups: this many at once, and this many a second in the long run.
const BURST: u32 = 100;
const PER_SECOND: u32 = 10;
/// Further looks, for versions that AWS does not have: the same.
const FURTHER_BURST: u32 = 40;
const FURTHER_PER_SECOND: u32 = 1;
/// Announced versions that one catch-up waits for.
const MOST_VERSIONS: usize = 100;

/// The catch-ups of one delivery.
pub struct CatchUps {
    reads: Arc<Reads>,
    flights: Flights<()>,
    by_name: Mutex<HashMap<SecretName, Arc<Turns>>>,
    pace: Pace,
}

/// The catch-ups of one secret.
#[derive(Default)]
struct Turns {
    /// Held by the one that runs.
    running: AsyncMutex<()>,
    /// What the next one waits for.
    announced: Mutex<Announced>,
}

/// Versions that events announced.
#[derive(Default)]
struct Announced {
    versions: BTreeSet<String>,
    /// An event named no version: whatever is live.
    any: bool,
}

impl CatchUps {
    pub fn new(reads: Arc<Reads>, clock: Clock, tasks: Tasks, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            reads,
            flights: Flights::new(tasks, stop),
            by_name: Mutex::default(),
            pace: Pace {
                slots: Semaphore::new(MOST_AT_ONCE),
                first_looks: TokenBucket::with_burst(PER_SECOND, BURST, clock.clone()),
                further_looks: TokenBucket::with_burst(FURTHER_PER_SECOND, FURTHER_BURST, clock),
            },
        })
    }

    /// Reads `name` from AWS until it has an announced version, and puts that into every cache. A catch-up that has not begun
    /// yet takes the version along.
    ///
    /// # Errors
    /// AWS's.
    pub async fn follow(self: &Arc<Self>, name: &SecretName, version: Option<&str>) -> Result<()> {
        let turns = self.by_name.lock().entry(name.clone()).or_default().clone();
        {
            let mut announced = turns.announced.lock();
            match version {
                Some(version) if announced.versions.len() < MOST_VERSIONS => {
                    announced.versions.insert(version.to_owned());
                }
                Some(_) => {}
                None => announced.any = true,
            }
        }
        let (catch_ups, wanted) = (self.clone(), name.clone());
        let (_, next) = self.flights.enter(name.as_str(), || async move { catch_ups.run(&wanted, &turns).await });
        let followed = self.flights.outcome(name.as_str(), next).await;
        self.by_name.lock().retain(|_, turns| Arc::strong_count(turns) > 1);
        followed
    }

    async fn run(&self, name: &SecretName, turns: &Turns) -> Result<()> {
        let _running = turns.running.lock().await;
        // From here on an event begins the next catch-up.
        self.flights.forget(name.as_str());
        let announced = std::mem::take(&mut *turns.announced.lock());
        let versions: Vec<&str> = announced.versions.iter().map(String::as_str).collect();
        let pace = Some(&self.pace);
        let caught_up = !versions.is_empty() && self.reads.catch_up(name, &versions, pace).await?;
        if !caught_up || announced.any {
            self.reads.catch_up(name, &[], pace).await?;
        }
        Ok(())
    }
}

/// A denial is an answer: asking again changes nothing (decision D31).
pub fn unless_denied(followed: Result<()>) -> Result<()> {
    followed.or_else(|error: SecretError| if error.is_refused() { Ok(()) } else { Err(error) })
}
