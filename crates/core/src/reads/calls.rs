//! Calls of AWS for several names: in batches where they are granted, else one by one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws::{Aws, MAX_BATCH};
use futures_util::future::join_all;
use parking_lot::Mutex;
use secret::clock::{Clock, Moment};
use secret::error::{Result, SecretError};
use secret::found::Fetched;
use secret::name::{AwsIds, SecretName};
use secret::notice::{Notice, Notices};

use crate::metrics::Metrics;

/// How long a refused batch permission is remembered.
const BATCH_REFUSED_FOR: Duration = Duration::from_mins(10);

/// What AWS said about one secret; `None`: it has none.
pub type Said = Result<Option<Fetched>>;

/// AWS, by secret name.
pub struct Calls {
    /// `None` when AWS is switched off: then it has no secret.
    pub aws: Option<Aws>,
    /// How names become AWS ids.
    pub ids: AwsIds,
    clock: Clock,
    metrics: Arc<Metrics>,
    notices: Arc<dyn Notices>,
    batch_refused_until: Mutex<Option<Moment>>,
    last_failure: Mutex<Option<SecretError>>,
}

impl Calls {
    /// Asks nothing yet.
    pub fn new(aws: Option<Aws>, ids: AwsIds, clock: Clock, metrics: Arc<Metrics>, notices: Arc<dyn Notices>) -> Self {
        let (batch_refused_until, last_failure) = (Mutex::default(), Mutex::default());
        Self { aws, ids, clock, metrics, notices, batch_refused_until, last_failure }
    }

    /// Why AWS failed last; `None` when its last answer was one.
    pub fn last_failure(&self) -> Option<SecretError> {
        self.last_failure.lock().clone()
    }

    /// Notes whether AWS answered, for `explain` and `health`.
    pub fn note(&self, said: &Said) {
        *self.last_failure.lock() = said.as_ref().err().cloned();
    }

    /// Asks for one secret.
    ///
    /// # Errors
    /// AWS's.
    pub async fn one(&self, name: &SecretName) -> Said {
        match &self.aws {
            Some(aws) => aws.fetch(&self.ids.id(name)).await,
            None => Ok(None),
        }
    }

    /// Asks for up to 20 secrets, in one call where batches are granted. Each has its own answer, in their order.
    pub async fn batch(&self, names: &[&SecretName]) -> Vec<Said> {
        let Some(aws) = &self.aws else { return names.iter().map(|_| Ok(None)).collect() };
        let ids: Vec<String> = names.iter().map(|name| self.ids.id(name)).collect();
        if ids.len() > 1 && !self.batch_is_refused() {
            match aws.fetch_batch(&ids).await {
                Ok(mut answers) => {
                    self.metrics.shared_calls.fetch_add(ids.len() as u64, Ordering::Relaxed);
                    let answered = ids.iter().map(|id| answers.remove(id));
                    return join_all(ids.iter().zip(answered).map(|(id, answer)| async move {
                        match answer {
                            Some(answer) if !asks_alone(&answer) => answer,
                            // A batch may leave names out; alone they are answered.
                            None | Some(_) => aws.fetch(id).await,
                        }
                    }))
                    .await;
                }
                // Not granted: one by one.
                Err(error) if error.is_denied() => self.refuse_batches(),
                // AWS took offence at one of the ids, or the quota of batches is used up; single reads have a hundred times
                // as many.
                Err(error) if error.is_about_one_request() || error.is_throttled() => {}
                Err(error) => return ids.iter().map(|_| Err(error.clone())).collect(),
            }
        }
        join_all(ids.iter().map(|id| aws.fetch(id))).await
    }

    /// What AWS says about `name` after it said `entry` inside an answer about many.
    pub async fn alone(&self, name: &SecretName, entry: Said) -> Said {
        if asks_alone(&entry) { self.one(name).await } else { entry }
    }

    /// Asks for any number of secrets, 20 in a call.
    pub async fn all(&self, names: &[SecretName]) -> Vec<Said> {
        let names: Vec<&SecretName> = names.iter().collect();
        let calls = names.chunks(MAX_BATCH).map(|names| self.batch(names));
        join_all(calls).await.into_iter().flatten().collect()
    }

    fn batch_is_refused(&self) -> bool {
        self.batch_refused_until.lock().is_some_and(|until| self.clock.now() < until)
    }

    fn refuse_batches(&self) {
        *self.batch_refused_until.lock() = Some(self.clock.now().plus(BATCH_REFUSED_FOR));
        self.notices.notice(Notice::warning(
            "BATCH_NOT_GRANTED",
            "secretsmanager:BatchGetSecretValue is not granted to this identity: secrets are read one by one",
        ));
    }
}

/// Whether an entry of a batch is asked for again by itself: a transient failure is retried as a single read's is, and a denial
/// counts only where the stage was named (decision D30).
fn asks_alone(entry: &Said) -> bool {
    entry.as_ref().is_err_and(|error| error.is_denied() || error.is_transient())
}
