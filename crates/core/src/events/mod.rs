//! News of changed secrets: events that the service hands over, a queue of them, and a slow look at versions.

mod catch_ups;
pub mod parse;
mod queue;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::audit::{Access, Audit};
use crate::metrics::Metrics;
use crate::reads::Reads;
use crate::tasks::Tasks;
use aws::{Aws, Queue};
use catch_ups::{CatchUps, unless_denied};
use parse::{Happened, SecretEvent};
use secret::backoff::around;
use secret::clock::{Clock, millis};
use secret::error::{Result, SecretError};
use secret::name::SecretName;
use secret::notice::{Notice, Notices};
use secret::reference::Arn;
use secret::report::Ending;

/// An event can arrive before every AWS host has the version that it announces, so a read waits for that version. Not
/// for older events: their version is everywhere by now, or was replaced.
const MAY_OUTRUN: Duration = Duration::from_mins(5);
/// Names whose last event is remembered.
const MAX_REMEMBERED: usize = 10_000;
/// How often versions are compared when the service listens for changes and sets no interval.
pub const DEFAULT_POLL: Duration = Duration::from_mins(15);

/// Where news of changed secrets comes from, beside the service's own calls of `handleSecretEvent`.
#[derive(Clone, Debug)]
pub struct EventsSettings {
    /// An SQS queue that EventBridge writes to.
    pub queue_url: Option<String>,
    /// How often the versions of known secrets are compared with AWS's; `None`: only while the service listens.
    pub poll_every: Option<Duration>,
}

/// The parts of [`Events`].
pub struct Parts {
    /// `None` when nothing is audited.
    pub audit: Option<Arc<Audit>>,
    /// The queue, where there is one.
    pub queue: Option<Queue>,
    /// How often versions are compared; `None`: only while the service listens for changes.
    pub poll_every: Option<Duration>,
    /// AWS and its caches.
    pub reads: Arc<Reads>,
    /// Reads time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Hears what an operator should know.
    pub notices: Arc<dyn Notices>,
    /// Owns the tasks.
    pub tasks: Tasks,
    /// Cancels the tasks.
    pub stop: CancellationToken,
}

/// Follows what happens to secrets outside this service.
pub struct Events {
    parts: Parts,
    catch_ups: Arc<CatchUps>,
    begun: AtomicBool,
    polling: AtomicBool,
    /// The last event that was followed, by name: its version, and when that became live. A repeated event changes nothing.
    last: Mutex<BTreeMap<SecretName, (String, u64)>>,
}

impl Events {
    /// Follows nothing until [`Events::begin`].
    pub fn new(parts: Parts) -> Arc<Self> {
        let (reads, clock) = (parts.reads.clone(), parts.clock.clone());
        let catch_ups = CatchUps::new(reads, clock, parts.tasks.clone(), parts.stop.clone());
        Arc::new(Self { parts, catch_ups, begun: false.into(), polling: false.into(), last: Mutex::default() })
    }

    /// Starts following the queue and comparing versions, as configured. Called with every operation; only the first
    /// call has an effect.
    pub fn begin(self: &Arc<Self>) {
        if self.begun.load(Ordering::Relaxed) || self.begun.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.parts.queue.is_some() {
            let events = self.clone();
            self.spawn(async move { events.follow_queue().await });
        }
        if let Some(every) = self.parts.poll_every {
            self.poll(every);
        }
    }

    /// Starts comparing versions, since the service listens for changes.
    pub fn watch(self: &Arc<Self>) {
        self.poll(self.parts.poll_every.unwrap_or(DEFAULT_POLL));
    }

    fn poll(self: &Arc<Self>, every: Duration) {
        if !self.polling.swap(true, Ordering::AcqRel) {
            let events = self.clone();
            self.spawn(async move { events.keep_looking(every).await });
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.parts.stop.clone();
        self.parts.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Handles an event that AWS sent. Returns whether it concerned this environment.
    ///
    /// # Errors
    /// `SOURCE_RESPONSE_INVALID` for text that is no event. After AWS's errors, hand the event over again.
    pub async fn handle(&self, text: &str) -> Result<bool> {
        let Some(event) = parse::parse(text)? else { return Ok(false) };
        let secrets = self.secrets_of(&event);
        if secrets.is_empty() {
            return Ok(false);
        }
        match &event.happened {
            Happened::Nothing => {}
            Happened::OtherLabel => self.parts.reads.forget_versions(),
            Happened::RotationFailed => {
                self.parts.metrics.rotated(Ending::Failed);
                let message = format!(
                    "{}: AWS's rotation of it failed; the old value stays live, and AWS tries again",
                    event.aws_id
                );
                self.parts.notices.notice(Notice::warning("ROTATION_FAILED", message));
            }
            Happened::Live(version) => {
                for secret in &secrets {
                    self.follow(secret, version.as_deref(), &event).await?;
                }
                self.parts.reads.settle_snapshot().await;
            }
        }
        Ok(true)
    }

    /// The secret that an event is about, when it is one of this environment, and this process declared it, holds it or was asked
    /// for it (decision D31). A plain name is one of the own account, or of the account of the role that reads it, and of a region
    /// that is asked for names (decision 115). More than one, where it is declared as a name and as an ARN.
    fn secrets_of(&self, event: &SecretEvent) -> Vec<SecretName> {
        let aws = self.parts.reads.aws();
        let own = aws.and_then(Aws::own_account);
        let is_of = |account: &str| event.account.as_deref().is_none_or(|named| named == account);
        let is_own = own.is_none_or(|own| is_of(&own) && event.sender.as_deref().is_none_or(|sender| *sender == *own));
        let is_here = event.region.as_deref().is_none_or(|region| aws.is_none_or(|aws| aws.asks_in(region)));
        let ids = self.parts.reads.ids();
        let mut secrets = ids.secrets_with(event.arn.as_deref().unwrap_or(&event.aws_id));
        let is_named = !secrets.is_empty();
        secrets.retain(|secret| match (arn_of(secret), secret.role()) {
            (Some(arn), _) => is_of(arn.account) && event.region.as_deref().is_none_or(|region| region == arn.region),
            (None, Some(role)) => is_here && is_of(role.account()),
            (None, None) => is_here && is_own,
        });
        let is_of_others = is_named && secrets.is_empty();
        secrets.retain(|secret| self.parts.reads.concerns(secret));
        if is_of_others {
            tracing::debug!(account = ?shown(event.account.as_deref()), region = ?shown(event.region.as_deref()), "an event about a secret of another account or region is not followed");
        } else if secrets.is_empty() {
            tracing::debug!("an event about a secret that nobody here declared, holds or asked for is not followed");
        }
        secrets
    }

    async fn follow(&self, name: &SecretName, version: Option<&str>, event: &SecretEvent) -> Result<()> {
        let reads = &self.parts.reads;
        reads.forget_versions();
        let Some(version) = version else { return self.catch_up(name, None).await };
        if self.is_last(name, version, event) || reads.has_live(name, version) {
            return Ok(());
        }
        let now = self.parts.clock.unix_ms();
        let is_recent = event.unix_ms.is_none_or(|at| at.saturating_add(millis(MAY_OUTRUN)) >= now);
        self.catch_up(name, is_recent.then_some(version)).await?;
        self.note(name, version, event);
        Ok(())
    }

    async fn catch_up(&self, name: &SecretName, version: Option<&str>) -> Result<()> {
        unless_denied(self.catch_ups.follow(name, version).await)
    }

    /// Whether it is the same event once more. An older version may become live again, which is another event.
    fn is_last(&self, name: &SecretName, version: &str, event: &SecretEvent) -> bool {
        let last = self.last.lock();
        last.get(name).is_some_and(|(last, at)| last == version && event.unix_ms == Some(*at))
    }

    fn note(&self, name: &SecretName, version: &str, event: &SecretEvent) {
        let mut last = self.last.lock();
        if last.len() >= MAX_REMEMBERED {
            last.clear();
        }
        match event.unix_ms {
            Some(at) => drop(last.insert(name.clone(), (version.to_owned(), at))),
            None => drop(last.remove(name)),
        }
    }

    /// Events can get lost. This loop finds changes without them: it compares the versions that no read has refreshed.
    async fn keep_looking(&self, every: Duration) {
        loop {
            crate::timer::sleep(&self.parts.clock, around(every, 0.1)).await;
            if let Err(error) = self.look(every).await {
                tracing::debug!(code = %error.code(), "versions were not compared");
            }
        }
    }

    async fn look(&self, every: Duration) -> Result<()> {
        let reads = &self.parts.reads;
        let names = reads.unseen_for(every);
        let mut failure: Option<SecretError> = None;
        for (name, answer) in names.iter().zip(reads.fetch_all(&names).await) {
            if let Some(audit) = &self.parts.audit {
                drop(audit.ready().await);
                audit.inspected("watch", &Access::fetched(name.as_str(), &answer));
            }
            match answer {
                Ok(Some(fetched)) => {
                    // A replica may lag behind, and its ids are its own: what it says is no news.
                    if let Some(version) = &fetched.version_id
                        && !fetched.is_from_replica()
                        && !reads.knows(name, version)
                    {
                        self.catch_up(name, Some(version)).await?;
                    }
                }
                Ok(None) => self.catch_up(name, None).await?,
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

/// The ARN that its copies go by, which names an account and a region.
fn arn_of(secret: &SecretName) -> Option<Arn<'_>> {
    Arn::parse(secret.aws_id()?.0)
}

/// What an event says, cut where no account or region is so long.
fn shown(text: Option<&str>) -> String {
    const MOST: usize = 40;
    secret::shown::at_most(MOST, text.unwrap_or("none"))
}
