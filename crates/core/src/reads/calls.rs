//! Calls of AWS for several names: in batches where they are granted, else one by one.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws::{Aws, BatchAnswer, MAX_BATCH, Version, Which};
use futures_util::future::join_all;
use parking_lot::Mutex;
use secret::aws_ids::AwsIds;
use secret::clock::{Clock, Moment};
use secret::error::{Result, SecretError};
use secret::found::Fetched;
use secret::name::SecretName;
use secret::notice::{Notice, Notices};
use secret::reference::Arn;
use secret::role::divided;
use tokio::time::sleep;

use crate::metrics::Metrics;
use crate::timer::Deadline;

/// How long a refused batch permission is remembered.
const BATCH_REFUSED_FOR: Duration = Duration::from_mins(10);
/// Batches that failed while a single read was answered are not tried again before this.
const BATCH_FAILED_FOR: Duration = Duration::from_secs(30);

/// While AWS throttles, or another call finds out whether it is back, a read that has a copy waits this long for a newer one: about as
/// long as for an AWS that answers with errors.
const WITH_A_COPY: Duration = Duration::from_millis(300);
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

    /// What AWS says when it does not answer in time.
    pub fn timed_out(&self, name: &SecretName) -> Said {
        self.aws.as_ref().map_or(Ok(None), |aws| Err(aws.timed_out(&self.ids.id(name))))
    }

    /// Asks for one secret.
    ///
    /// # Errors
    /// AWS's.
    pub async fn one(&self, name: &SecretName) -> Said {
        let said = self.of_id(&self.ids.id(name)).await;
        self.learn(name, &said).await;
        said
    }

    /// Which of the declared secrets are one, AWS's answer may show.
    async fn learn(&self, name: &SecretName, said: &Said) {
        let twins = self.ids.twins();
        if twins.get(name).is_none() {
            return;
        }
        match (said, &self.aws) {
            (Ok(Some(Fetched { arn: Some(arn), .. })), Some(aws)) => {
                let is_own = match Arn::parse(arn) {
                    Some(parsed) => aws.is_of_own_account(&parsed).await,
                    None => false,
                };
                twins.learn(name, arn, is_own);
            }
            (Ok(None), _) => twins.learn_absent(name),
            _ => {}
        }
    }

    /// The declared plain name of `secret`, where that is an ARN of the own account and region, and nothing says that another secret
    /// has the name by now.
    pub async fn plain_of(&self, secret: &SecretName) -> Option<SecretName> {
        let plain = self.ids.twins().plain_of(secret)?;
        let arn = Arn::parse(secret.aws_id()?.0)?;
        self.aws.as_ref()?.is_of_own_account(&arn).await.then_some(plain)
    }

    /// Asks for one secret by its AWS id.
    ///
    /// # Errors
    /// AWS's.
    pub async fn of_id(&self, id: &str) -> Said {
        let Some(aws) = &self.aws else { return Ok(None) };
        // No name and no ARN has a question mark: a label other than AWSCURRENT follows it.
        let Some((id, label)) = id.split_once('?') else { return aws.fetch(id).await };
        let version = aws.version(id, Which::Label(label)).await?;
        Ok(version.map(Version::into_fetched))
    }

    /// Waits for a flight until the deadline; where a copy can answer, only for a moment while AWS throttles or is probed. The flight
    /// goes on.
    pub async fn patiently<T, E>(
        &self,
        deadline: Deadline,
        has_copy: bool,
        outcome: impl Future<Output = std::result::Result<T, E>>,
    ) -> Option<std::result::Result<T, E>> {
        let mut outcome = pin!(deadline.limit(outcome));
        loop {
            tokio::select! {
                biased;
                answer = &mut outcome => return answer.ok(),
                () = sleep(WITH_A_COPY), if has_copy => {
                    if self.aws.as_ref().is_some_and(|aws| aws.is_throttled() || aws.is_probed()) {
                        return None;
                    }
                }
            }
        }
    }

    /// Whether a secret may be asked for together with others. BatchGetSecretValue gives live versions only, and has no effect
    /// across accounts. What a role reads is asked for as that role.
    fn goes_in_batches(&self, id: &str) -> bool {
        let is_own = |arn: Arn<'_>| self.aws.as_ref().is_some_and(|aws| aws.is_own(&arn));
        !id.contains('?') && divided(id).1.is_none() && Arn::parse(id).is_none_or(is_own)
    }

    /// Asks for up to 20 secrets, in one call where batches are granted. Each has its own answer, in their order. `told` hears of
    /// each as soon as AWS gives it, while others are still asked for.
    pub async fn batch(&self, names: &[&SecretName], told: &(dyn Fn(usize, &Said) + Send + Sync)) -> Vec<Said> {
        let Some(aws) = &self.aws else { return names.iter().map(|_| Ok(None)).collect() };
        let ids: Vec<String> = names.iter().map(|name| self.ids.id(name)).collect();
        let together: Vec<String> = ids.iter().filter(|id| self.goes_in_batches(id)).cloned().collect();
        let answers = async {
            if together.len() > 1 && aws.batches() && !self.batch_is_refused() {
                self.together(aws, &together).await
            } else {
                Ok(BatchAnswer::new())
            }
        };
        // What has to be asked for alone does not wait for the batch.
        let one = async |(index, id): (usize, &String)| {
            let said = self.of_id(id).await;
            if let Some(name) = names.get(index) {
                self.learn(name, &said).await;
            }
            told(index, &said);
            said
        };
        let alone = join_all(ids.iter().enumerate().map(|(index, id)| {
            let is_alone = !together.contains(id);
            async move { if is_alone { Some(one((index, id)).await) } else { None } }
        }));
        let (answers, alone) = tokio::join!(answers, alone);
        let mut answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                let first = together.first().map_or("", String::as_str);
                let failed =
                    ids.iter().zip(alone).map(|(id, alone)| alone.unwrap_or_else(|| Err(of(id, first, &error))));
                return failed.collect();
            }
        };
        let answered: Vec<Option<Said>> = ids.iter().map(|id| answers.remove(id)).collect();
        for (index, answer) in answered.iter().enumerate() {
            if let Some(said) = answer.as_ref().filter(|said| !asks_alone(said)) {
                told(index, said);
            }
        }
        let said = join_all(ids.iter().enumerate().zip(alone).zip(answered).map(|((id, alone), answer)| async move {
            match (alone, answer) {
                (Some(said), _) => said,
                (None, Some(answer)) if !asks_alone(&answer) => answer,
                // A batch may leave names out; alone they are answered.
                (None, _) => one(id).await,
            }
        }))
        .await;
        for (name, said) in names.iter().zip(&said) {
            self.learn(name, said).await;
        }
        said
    }

    /// The answers of one call about `ids`; none where they are to be asked for one by one.
    async fn together(&self, aws: &Aws, ids: &[String]) -> Result<BatchAnswer> {
        match aws.fetch_batch(ids).await {
            Ok(answers) => {
                self.metrics.shared_calls.fetch_add(ids.len() as u64, Ordering::Relaxed);
                Ok(answers)
            }
            // The key of one of them refuses: alone each has its own answer.
            Err(error) if error.is_denied() && !error.is_not_shown() => Ok(BatchAnswer::new()),
            // Not granted: one by one.
            Err(error) if error.is_denied() => {
                self.refuse_batches();
                Ok(BatchAnswer::new())
            }
            // AWS took offence at one of the ids, or the quota of batches is used up; single reads have a hundred times
            // as many.
            Err(error) if error.is_about_one_request() || error.is_throttled() => Ok(BatchAnswer::new()),
            // AWS answers, and batches may fail where single reads work: one of those tells.
            Err(error) if error.is_transient() && error.request_id().is_some() => {
                let Some(first) = ids.first() else { return Err(error) };
                match self.of_id(first).await {
                    Err(alone) if alone.is_transient() => Err(error),
                    said => {
                        self.avoid_batches(BATCH_FAILED_FOR);
                        Ok(BatchAnswer::from([(first.clone(), said)]))
                    }
                }
            }
            Err(error) => Err(error),
        }
    }

    /// What AWS says about `name` after it said `entry` inside an answer about many.
    pub async fn alone(&self, name: &SecretName, entry: Said) -> Said {
        if asks_alone(&entry) { self.one(name).await } else { entry }
    }

    /// Asks for any number of secrets, 20 in a call.
    pub async fn all(&self, names: &[SecretName]) -> Vec<Said> {
        let names: Vec<&SecretName> = names.iter().collect();
        let calls = names.chunks(MAX_BATCH).map(|names| self.batch(names, &|_, _| {}));
        join_all(calls).await.into_iter().flatten().collect()
    }

    fn batch_is_refused(&self) -> bool {
        self.batch_refused_until.lock().is_some_and(|until| self.clock.now() < until)
    }

    /// Has names asked for one by one for `how_long`.
    fn avoid_batches(&self, how_long: Duration) {
        *self.batch_refused_until.lock() = Some(self.clock.now().plus(how_long));
    }

    fn refuse_batches(&self) {
        self.avoid_batches(BATCH_REFUSED_FOR);
        self.notices.notice(Notice::warning(
            "BATCH_NOT_GRANTED",
            "secretsmanager:BatchGetSecretValue is not granted to this identity: secrets are read one by one",
        ));
    }
}

/// The failure of a call about several secrets, as one about `id`: its message names the first of them.
fn of(id: &str, first: &str, error: &SecretError) -> SecretError {
    let message = error.to_string();
    let why = message.strip_prefix(first).filter(|why| why.starts_with(": "));
    why.map_or_else(|| error.clone(), |why| error.instead(format!("{id}{why}")))
}

/// Whether an entry of a batch is asked for again by itself: a transient failure is retried as a single read's is, and a denial
/// counts only where the stage was named (decision D30).
fn asks_alone(entry: &Said) -> bool {
    entry.as_ref().is_err_and(|error| error.is_denied() || error.is_transient())
}
