//! One call, with retries, rate limit, breaker and failover inside one timeout. Time in which this process was frozen
//! does not count towards the timeout.

use std::any::Any;
use std::pin::Pin;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::sleep;

use crate::awake::{Attempt, attempt, within};
use crate::classify::{Failure, Nature, classify, late};
use crate::operation::Operation;
use crate::region::Region;
use crate::retries::{OnThrottled, Retries};
use crate::source::Aws;
use crate::unreached::{Trace, Unreached};
use secret::caught::caught;
use secret::clock::Moment;
use secret::error::{ErrorCode, Result, SecretError};
use secret::reference::Arn;
use secret::role::{divided, shown};

/// The attempts for a region when another one can be asked in its place.
const ATTEMPTS_WITH_FAILOVER: u32 = 2;
/// Calls whose last failure is remembered.
const MOST_FAILING: usize = 256;

/// Why an attempt returned no value.
enum Unanswered {
    Absent,
    Failed(SecretError, Nature),
}

/// What one attempt gave: what the call is for, of whatever type; an answer that cannot be read; a failure.
///
/// Without the operation's types, so that all that is around an attempt is compiled once and not for each operation.
type Attempted = std::result::Result<Result<Box<dyn Any + Send>>, Box<Failure>>;

/// Begins one attempt with a region's client. Gets the region when it is a replica's.
type Begin<'a> = dyn Fn(&Client, Option<&str>) -> Pin<Box<dyn Future<Output = Attempted> + Send + 'a>> + Sync + 'a;

/// Where an attempt goes: the region of a replica, or `None` for the primary.
#[derive(Clone, Copy)]
pub(crate) struct There<'a>(pub(crate) Option<&'a str>);

impl There<'_> {
    /// What AWS is asked for there: an id without the role that asks. The ARN of a replica names the replica's region.
    pub(crate) fn id(self, id: &str) -> String {
        let (id, _) = divided(id);
        match (self.0, Arn::parse(id)) {
            (Some(region), Some(arn)) => arn.in_region(region),
            _ => id.to_owned(),
        }
    }
}

/// An operation, and how soon it ends where AWS does not answer.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    /// It ends when AWS throttles it.
    pub(crate) gives_way: bool,
    /// Something else can be asked in place of a region that fails, though not by this call.
    pub(crate) has_others: bool,
}

impl Asked {
    /// `operation`, which single reads replace when AWS throttles it.
    pub(crate) fn giving_way(operation: Operation) -> Self {
        Self { operation, gives_way: true, has_others: false }
    }
}

impl From<Operation> for Asked {
    fn from(operation: Operation) -> Self {
        Self { operation, gives_way: false, has_others: false }
    }
}

/// What one call is about.
struct Question<'a, 'b> {
    asked: Asked,
    id: &'a str,
    /// Whether other regions can be asked in place of one that fails.
    others: bool,
    begin: &'a Begin<'b>,
}

impl Aws {
    /// AWS's answer, as `read` reads it; `None` when there is no such secret. `send` begins one attempt. `read` gets the
    /// region when a replica answered.
    ///
    /// Retries a failing region after a random wait, then tries the next region. Of a replica only a value counts: if it has
    /// no such secret or refuses it, the primary may still have it (a failure is not absence, D4).
    ///
    /// `regions`: all of them, or the primary alone ([`Aws::primary`]) for what replicas cannot do.
    ///
    /// # Errors
    /// The primary's failure.
    pub(crate) async fn call<O, E, T, F>(
        &self,
        regions: &[Region],
        asked: impl Into<Asked>,
        id: &str,
        read: impl Fn(O, Option<&str>) -> Result<T> + Sync,
        send: impl Fn(&Client, There<'_>) -> F + Sync,
    ) -> Result<Option<T>>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: Future<Output = std::result::Result<O, SdkError<E, HttpResponse>>> + Send,
        T: Send + 'static,
    {
        let begin = |client: &Client, replica: Option<&str>| -> Pin<Box<dyn Future<Output = Attempted> + Send + '_>> {
            let (sent, read, replica) = (send(client, There(replica)), &read, replica.map(str::to_owned));
            // Boxed also because the SDK's futures are tens of kilobytes, which every calling future would hold.
            Box::pin(async move {
                match sent.await {
                    Ok(output) => Ok(read(output, replica.as_deref()).map(|answer| Box::new(answer) as Box<_>)),
                    Err(error) => Err(Box::new(classify(&error))),
                }
            })
        };
        let answer = self.asked(regions, asked.into(), id, &begin).await?;
        // It is the type that `begin` has put in.
        Ok(answer.and_then(|answer| answer.downcast().ok()).map(|answer| *answer))
    }

    async fn asked(
        &self,
        regions: &[Region],
        asked: Asked,
        id: &str,
        begin: &Begin<'_>,
    ) -> Result<Option<Box<dyn Any + Send>>> {
        let others = regions.len() > 1;
        let other = self.elsewhere(id);
        let id = &*shown(id);
        let (aws, regions) = match &other {
            Some(other) if others => (&**other, &other.regions[..]),
            Some(other) => (&**other, other.primary()),
            None => (self, regions),
        };
        let question = Question { asked, id, others: regions.len() > 1 || asked.has_others, begin };
        let answered = async {
            // Closing the delivery drops this future; the semaphore itself is never closed.
            let _slot = aws.in_flight.acquire().await;
            let mut first_failure = None;
            for (index, region) in regions.iter().enumerate() {
                if let Some(replica) = region.replica() {
                    tracing::info!(region = replica, "{id}: asking a replica, since the region before did not answer");
                }
                let on_throttled = match asked.gives_way {
                    true => OnThrottled::GiveWay,
                    false if index + 1 < regions.len() => OnThrottled::AskElsewhere,
                    false => OnThrottled::Wait,
                };
                match aws.ask(region, &question, on_throttled).await {
                    Ok(answer) => return Ok(Some(answer)),
                    Err(Unanswered::Absent) if index == 0 => return Ok(None),
                    Err(Unanswered::Failed(error, Nature::Answer)) if index == 0 => return Err(error),
                    Err(Unanswered::Failed(error, _)) => drop(first_failure.get_or_insert(error)),
                    Err(Unanswered::Absent) => {}
                }
            }
            Err(first_failure.unwrap_or_else(|| unasked(id)))
        };
        let ended = within(self.freezes, self.timeout, answered).await;
        if ended.is_some() {
            aws.failing.lock().remove(id);
        }
        ended.unwrap_or_else(|| Err(aws.timed_out(id)))
    }

    /// That AWS did not answer about `id` inside the deadline. A call that AWS throttled until then fails as AWS said.
    pub fn timed_out(&self, id: &str) -> SecretError {
        let (after, id) = (self.timeout.as_millis(), &*shown(id));
        let why = format!("{id}: AWS Secrets Manager did not answer within {after} ms (aws.timeoutMs)");
        let last = self.failing.lock().remove(id);
        // Without an attempt of its own the call waited for its turn.
        let last = last.or_else(|| self.regions[0].pace(Operation::Get).error());
        match last {
            Some(last) if last.is_throttled() => last.instead(format!("{why}: throttled, the last time: {last}")),
            // What happened to the attempts before says more than that there was no time for another one.
            Some(last) => SecretError::new(ErrorCode::SourceTimeout, why).after(&last),
            None => {
                let late = self.identity.late().map(|problem| format!(": {problem}")).unwrap_or_default();
                SecretError::new(ErrorCode::SourceTimeout, format!("{why}{late}"))
            }
        }
    }

    /// Asks one region, again after transient failures.
    async fn ask(
        &self,
        region: &Region,
        question: &Question<'_, '_>,
        on_throttled: OnThrottled,
    ) -> std::result::Result<Box<dyn Any + Send>, Unanswered> {
        let Question { asked: Asked { operation, gives_way, .. }, id, others, .. } = *question;
        let most = if others { self.max_attempts.min(ATTEMPTS_WITH_FAILOVER) } else { self.max_attempts };
        let (mut retries, mut clock_was_wrong) =
            (Retries::new(region, operation, most, on_throttled, self.timeout), false);
        let mut last: Option<SecretError> = None;
        loop {
            if let Err(closed) = retries.turn().await {
                let nature = if gives_way && closed.is_throttled() { Nature::Answer } else { Nature::Transient };
                return Err(Unanswered::Failed(last.unwrap_or_else(|| unadmitted(id, &closed)), nature));
            }
            let mut begun = self.clock.now();
            let answered = self.attempt(region, question, &mut begun).await;
            let (error, nature, wanted) = match answered
                .map_err(|error| Unanswered::Failed(error, Nature::Transient))?
            {
                Ok(Ok(answer)) => {
                    self.calls.count(operation, None);
                    retries.answered();
                    return Ok(answer);
                }
                Ok(Err(error)) => (error, Nature::Transient, None),
                Err(failure) => match *failure {
                    Failure::Absent => {
                        self.calls.count(operation, None);
                        retries.answered();
                        return Err(Unanswered::Absent);
                    }
                    Failure::Refused(refusal) if refusal.is_skewed() && !clock_was_wrong => {
                        // No denial: the same client signs the next request with AWS's clock.
                        tracing::info!("{id}: this machine's clock is minutes off AWS's: the request is signed anew");
                        clock_was_wrong = true;
                        continue;
                    }
                    Failure::Refused(refusal) => {
                        let refusal = refusal.unless_of_clock();
                        let error = refusal.error(operation.as_str(), id);
                        if refusal.is_unaccepted() {
                            self.identity.forget();
                        }
                        if refusal.is_of_credentials() {
                            self.calls.count(operation, Some(&error));
                            // Nothing is known of the region, and another one would not know this identity either.
                            return Err(Unanswered::Failed(error, refusal.nature()));
                        }
                        (error, refusal.nature(), refusal.wait())
                    }
                },
            };
            let error = error.asked_at(begun);
            self.calls.count(operation, Some(&error));
            tracing::debug!(code = %error.code(), "{error}");
            // After a timeout the next region is more likely to answer than this one.
            let hopeless = others && error.code() == ErrorCode::SourceTimeout;
            self.note_failing(id, &error);
            if hopeless {
                retries.failed_there(&error);
            }
            // Another region need not be left alone.
            let wanted = wanted.filter(|_| !others);
            if hopeless || !retries.failed(&error, nature, wanted).await {
                let nature = if gives_way && error.is_throttled() { Nature::Answer } else { nature };
                return Err(Unanswered::Failed(error, nature));
            }
            last = Some(error);
        }
    }

    /// Sends one request, `begun` then. When this process is frozen before the answer comes, that is no failure of AWS: the request is
    /// sent again on a new connection, however often that happens.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE` when the rate limit does not let it through in time, or the client cannot be made.
    async fn attempt(&self, region: &Region, question: &Question<'_, '_>, begun: &mut Moment) -> Result<Attempted> {
        let id = question.id;
        loop {
            self.take_token(id).await?;
            *begun = self.clock.now();
            let (client, connections) = region.client().await.map_err(|error| about(id, &error))?;
            let (pool, trace) = (connections.pool(), Trace::default());
            let asked = caught(trace.of((question.begin)(&client, region.replica())));
            let asked = async { asked.await.map_or(Err(None), |answered| answered.map_err(Some)) };
            match attempt(self.freezes, self.attempt_timeout, asked).await {
                Attempt::Ended(Ok(answer)) => return Ok(Ok(answer)),
                Attempt::Ended(Err(Some(failure))) => return Ok(Err(failure)),
                Attempt::Ended(Err(None)) => {
                    connections.renew(pool);
                    let why = format!("{id}: the request to AWS ended with an internal error; please report it");
                    return Err(SecretError::new(ErrorCode::SourceUnavailable, why));
                }
                Attempt::TimedOut => {
                    // The connection may be dead, and with it those that were idle as long.
                    connections.renew(pool);
                    let identity = &self.identity;
                    return Ok(Err(Box::new(match (identity.late_role(), trace.unanswered(), identity.late()) {
                        (Some(problem), ..) | (None, None, Some(problem)) => late(problem),
                        (None, Some(destination), _) => late(Unreached::late(destination)),
                        (None, None, None) => late("no answer in time"),
                    })));
                }
                Attempt::Frozen => {
                    tracing::info!("{id}: this process was stopped while it waited for AWS: AWS is asked again");
                    connections.renew(pool);
                }
            }
        }
    }

    /// Remembers how an attempt ended, for a deadline that comes before the next one does.
    fn note_failing(&self, id: &str, error: &SecretError) {
        let mut failing = self.failing.lock();
        if failing.len() >= MOST_FAILING {
            failing.clear();
        }
        failing.insert(id.into(), error.clone());
    }

    async fn take_token(&self, id: &str) -> Result<()> {
        let limited = || {
            let why = format!("{id}: this process asks AWS as often as it may (aws.requestsPerSecond)");
            SecretError::new(ErrorCode::SourceUnavailable, why)
        };
        let wait = self.rate_limit.take(self.timeout).ok_or_else(limited)?;
        if !wait.is_zero() {
            sleep(wait).await;
        }
        Ok(())
    }
}

/// Why AWS is not asked about `id`: the failure may name another secret.
fn unadmitted(id: &str, open: &SecretError) -> SecretError {
    let why = if open.is_throttled() { "throttled" } else { "failed" };
    open.instead(format!("{id}: AWS is not asked for a moment, since it {why}: {open}"))
}

fn about(id: &str, error: &SecretError) -> SecretError {
    error.instead(format!("{id}: {error}"))
}

fn unasked(id: &str) -> SecretError {
    SecretError::new(ErrorCode::SourceUnavailable, format!("{id}: no region was asked"))
}
