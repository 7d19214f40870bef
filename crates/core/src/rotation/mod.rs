//! Rotation: policies and dates, the staged rotation of one secret, and the scheduler.
//!
//! - `policy`: when a secret is due
//! - `generator`, `hooks`: where a new value comes from, and who applies it
//! - `staged`, `by_aws`: the steps, taken here or by AWS's own rotation function
//! - `calendar`: what is due, of all declared secrets
//! - `scheduler`: rotates what is due
//! - `report`: what was done

mod by_aws;
pub mod calendar;
pub mod generator;
pub mod hooks;
pub mod policy;
mod scheduler;
mod staged;
mod steps;

pub(crate) use staged::uuid;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::metrics::Metrics;
use crate::reads::Reads;
use crate::reads::flights::Flights;
use crate::tasks::Tasks;
use crate::timer::Deadline;
use aws::{Aws, Version};
use cache::tiered::{Lease, Leased};
use hooks::{Hook, HookContext, Hooks};
use policy::{Policies, Policy};
use secret::aws_ids::AwsIdTemplate;
use secret::backoff::{Backoff, Jitter};
use secret::clock::Clock;
use secret::environment::Environment;
use secret::error::{ErrorCode, Result, SecretError};
use secret::manifest::{Manifest, SecretSpec};
use secret::name::SecretName;
use secret::notice::{Notice, Notices};
use secret::report::{Ending, Report};
use staged::Job;
use steps::{StepLog, failed};

/// Rotation.
#[derive(Clone, Debug)]
pub struct RotationSettings {
    /// When secrets are due and how their values look.
    pub policies: Policies,
    /// The hooks that the service has.
    pub hooks: Vec<Hook>,
    /// One deadline for each call of a hook.
    pub hook_timeout: Duration,
    /// How far the scheduler spreads what is due at the same time.
    pub jitter: Duration,
    /// Whether AWS makes passwords (`GetRandomPassword`).
    pub generate_in_aws: bool,
}

/// How long a rotation waits for another instance that rotates the same secret.
const PATIENCE: Duration = Duration::from_mins(2);
const FIRST_POLL: Duration = Duration::from_millis(50);
const LONGEST_POLL: Duration = Duration::from_secs(1);

/// The parts of [`RotationManager`].
pub struct Parts {
    /// Policies and limits.
    pub config: RotationSettings,
    /// The service's hooks.
    pub hooks: Arc<dyn Hooks>,
    /// AWS and its caches.
    pub reads: Arc<Reads>,
    /// How names become AWS ids, in any environment.
    pub aws_ids: AwsIdTemplate,
    /// The declared tools.
    pub tools: Arc<Manifest>,
    /// Where the service runs.
    pub environment: Environment,
    /// Reads time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Hears how rotations end.
    pub notices: Arc<dyn Notices>,
    /// Records how they end, and which values hooks were handed.
    pub audit: Option<Arc<Audit>>,
    /// Owns rotations under way.
    pub tasks: Tasks,
    /// Cancels them.
    pub stop: CancellationToken,
}

/// Rotates secrets.
pub struct RotationManager {
    parts: Parts,
    /// By AWS id: a second caller waits for the rotation under way.
    flights: Flights<Arc<Report>>,
    scheduler: Mutex<Option<CancellationToken>>,
}

/// What a rotation was asked for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// To replace this version. If another one is live, the rotation has been done already.
    Of(Option<String>),
    /// At this time, in milliseconds since 1970. A version that an instance of this package made later is the one that
    /// was asked for.
    At(u64),
}

impl Asked {
    /// At this moment. In real time, as AWS's dates are, also with a test clock.
    pub fn now() -> Self {
        Self::At(Clock::system().unix_ms())
    }
}

/// How the steps of a rotation went.
struct StepsEnded {
    ending: Ending,
    resumed: bool,
    by_aws: bool,
    by_another: bool,
    version: Option<String>,
    error: Option<SecretError>,
}

impl RotationManager {
    /// Calls nothing until the first rotation.
    pub fn new(parts: Parts) -> Arc<Self> {
        let flights = Flights::new(parts.tasks.clone(), parts.stop.clone());
        Arc::new(Self { parts, flights, scheduler: Mutex::new(None) })
    }

    /// The policies in force.
    pub fn policies(&self) -> &Policies {
        &self.parts.config.policies
    }

    /// Gives `name` a new value in `environment` and reports the result. A failed rotation is a report, not an error.
    ///
    /// # Errors
    /// `CLOSED`.
    pub async fn rotate(
        self: &Arc<Self>,
        name: &SecretName,
        environment: Environment,
        asked: Asked,
    ) -> Result<Arc<Report>> {
        let id = self.parts.aws_ids.of(environment.as_str()).id(name);
        let (manager, name, key) = (self.clone(), name.clone(), id.clone());
        let rotation = move || async move { Ok(Arc::new(manager.run(&name, environment, &id, asked).await)) };
        self.flights.join(&key, rotation).await.1
    }

    async fn run(self: &Arc<Self>, name: &SecretName, environment: Environment, id: &str, asked: Asked) -> Report {
        let parts = &self.parts;
        let started_unix_ms = parts.clock.unix_ms();
        let (mut log, mut previous) = (StepLog::new(parts.clock.clone()), None);
        let ended = self.steps(name, environment, id, asked, &mut log, &mut previous).await;
        let ended = ended.unwrap_or_else(|error| StepsEnded {
            ending: Ending::Failed,
            resumed: false,
            by_aws: false,
            by_another: false,
            version: None,
            error: Some(staged::as_failure(id, &error)),
        });
        let report = Report {
            name: name.as_str().to_owned(),
            environment,
            aws_id: id.to_owned(),
            rotation_type: self.spec(name).and_then(|spec| spec.rotation_type.clone()),
            ending: ended.ending,
            resumed: ended.resumed,
            by_aws: ended.by_aws,
            by_another: ended.by_another,
            started_unix_ms,
            ended_unix_ms: parts.clock.unix_ms(),
            steps: log.steps,
            previous_version: previous,
            version: ended.version,
            error: ended.error,
        };
        self.tell(&report);
        if let Some(audit) = &parts.audit {
            audit.rotation(&report).await;
        }
        report
    }

    /// Counts a rotation and reports how it ended.
    fn tell(&self, report: &Report) {
        self.parts.metrics.rotated(report.ending);
        if let Some(error) = &report.error {
            self.parts.metrics.failed(error.code());
            let why = error.to_string();
            self.parts.notices.notice(match report.ending {
                Ending::Finished | Ending::Unverified => Notice::warning("ROTATION_UNVERIFIED", why),
                Ending::Failed => Notice::warning("ROTATION_FAILED", why),
                Ending::RolledBack => Notice::warning("ROTATION_ROLLED_BACK", why),
            });
        }
        self.parts.notices.notice(Notice::RotationEnded(Box::new(report.clone())));
    }

    async fn steps(
        self: &Arc<Self>,
        name: &SecretName,
        environment: Environment,
        id: &str,
        asked: Asked,
        log: &mut StepLog,
        previous: &mut Option<String>,
    ) -> Result<StepsEnded> {
        let aws = self.parts.reads.aws();
        let aws = aws.ok_or_else(|| failed(id, "AWS is switched off (options.aws.enabled)"))?;
        let spec = self.spec(name);
        let policy = self.policies().of(spec).policy.unwrap_or_else(Policy::by_hand);
        let before = staged::live_version(aws, id).await?;
        *previous = Some(before.id.clone());
        let is_ours = environment == self.parts.environment;
        match asked {
            Asked::Of(Some(expected)) if expected != before.id => {
                *previous = Some(expected);
                return Ok(StepsEnded::by_another(before.id));
            }
            Asked::Of(_) => {}
            Asked::At(unix_ms) => {
                // Another instance finished the rotation before this one started.
                if before.created_unix_ms.is_some_and(|made| made > unix_ms)
                    && let Some(old) = staged::predecessor(aws, id, &before).await?
                {
                    *previous = Some(old);
                    return Ok(StepsEnded::by_another(before.id));
                }
            }
        }
        // Without the permission to describe the secret it is rotated here. If AWS rotates it, AWS refuses the new
        // version.
        let described = match aws.describe(id).await {
            Err(error) if error.is_denied() => None,
            described => described?,
        };
        if described.is_some_and(|described| described.rotated_by_aws) {
            let version = by_aws::rotate(aws, id, &before, log).await?;
            self.follow(name, is_ours, &version).await;
            return Ok(StepsEnded { by_aws: true, version: Some(version), ..StepsEnded::finished() });
        }
        let (lease, live) = match self.wait_for_others(aws, id, before).await? {
            Turn::Finished(version) => return Ok(StepsEnded::by_another(version)),
            Turn::Ours(lease, live) => (lease, *live),
        };
        let job = Job {
            aws,
            hooks: &*self.parts.hooks,
            hook_timeout: self.parts.config.hook_timeout,
            id,
            told: self.told(name, environment, id, &live),
            policy: &policy,
            generate_in_aws: self.parts.config.generate_in_aws,
            audit: self.parts.audit.as_deref(),
        };
        let candidate = job.make_live(log, &live).await?;
        self.follow(name, is_ours, &candidate.version).await;
        let ended = self.check(name, &job, log, &live, candidate, is_ours).await;
        drop(lease);
        ended
    }

    /// Checks the live value, and takes it back where the policy says so.
    async fn check(
        &self,
        name: &SecretName,
        job: &Job<'_>,
        log: &mut StepLog,
        live: &Version,
        candidate: staged::Candidate,
        is_ours: bool,
    ) -> Result<StepsEnded> {
        let finished = StepsEnded { resumed: candidate.resumed, ..StepsEnded::finished() };
        let Err(error) = job.verify(log, &candidate).await else {
            return Ok(StepsEnded { version: Some(candidate.version), ..finished });
        };
        if !job.policy.rollback {
            let why = format!("the new value stays live (the policy takes nothing back): {error}");
            return Ok(StepsEnded {
                ending: Ending::Unverified,
                version: Some(candidate.version),
                error: Some(error.instead(why)),
                ..finished
            });
        }
        match job.roll_back(log, &live.id, &candidate).await {
            Ok(()) => {
                self.follow(name, is_ours, &live.id).await;
                let why = format!("{}: the old value is live again: {error}", job.id);
                let error = SecretError::new(ErrorCode::RotationRolledBack, why);
                Ok(StepsEnded {
                    ending: Ending::RolledBack,
                    version: Some(candidate.version),
                    error: Some(error),
                    ..finished
                })
            }
            Err(stuck) => {
                let why =
                    format!("{}: the new value is live, was found wrong ({error}) and not taken back: {stuck}", job.id);
                Ok(StepsEnded {
                    ending: Ending::Unverified,
                    version: Some(candidate.version),
                    error: Some(error.instead(why)),
                    ..finished
                })
            }
        }
    }

    /// The caches of this environment follow to the version that is live now.
    async fn follow(&self, name: &SecretName, is_ours: bool, version: &str) {
        if is_ours {
            self.parts.reads.follow_rotation(name, version).await;
        }
    }

    /// Waits until no other instance rotates this secret, which a lease in Redis shows. Without Redis two instances may
    /// rotate it at the same time; they still make one and the same version ([`staged`]).
    async fn wait_for_others(&self, aws: &Aws, id: &str, before: Version) -> Result<Turn> {
        let Some(cache) = self.parts.reads.cache() else { return Ok(Turn::Ours(None, Box::new(before))) };
        let (end, mut polls) = (Deadline::after(PATIENCE), Backoff::new(FIRST_POLL, LONGEST_POLL, Jitter::Around));
        loop {
            let leased = cache.lease(&format!("rotation:{id}")).await;
            let live = staged::live_version(aws, id).await?;
            if live.id != before.id {
                return Ok(Turn::Finished(live.id));
            }
            match leased {
                Leased::Ours(lease, renewal) => {
                    self.parts.tasks.spawn(renewal);
                    return Ok(Turn::Ours(Some(lease), Box::new(live)));
                }
                Leased::Nowhere => return Ok(Turn::Ours(None, Box::new(live))),
                Leased::Theirs if end.has_passed() => {
                    return Err(failed(id, "another instance is still rotating it"));
                }
                Leased::Theirs => {}
            }
            sleep(polls.next_wait()).await;
        }
    }

    fn told(&self, name: &SecretName, environment: Environment, id: &str, live: &Version) -> HookContext {
        let owner = self.parts.tools.owner(name.as_str());
        HookContext {
            name: name.as_str().to_owned(),
            environment: environment.as_str(),
            aws_id: id.to_owned(),
            tool: owner.as_ref().map(|owner| owner.tool.to_ascii_lowercase()),
            secret_type: owner.map(|owner| owner.secret_type.to_ascii_lowercase()),
            rotation_type: self.spec(name).and_then(|spec| spec.rotation_type.clone()),
            previous_version: live.id.clone(),
            version: None,
            current: live.value.clone(),
            pending: None,
        }
    }

    fn spec(&self, name: &SecretName) -> Option<&SecretSpec> {
        let owner = self.parts.tools.owner(name.as_str())?;
        self.parts.tools.secrets(&owner.tool)?.get(&owner.secret_type)
    }
}

/// Whether this instance has to rotate the secret.
enum Turn {
    /// Yes. Holds the lease, if there is Redis, and the live version.
    Ours(Option<Lease>, Box<Version>),
    /// No: another instance has made this version live.
    Finished(String),
}

impl StepsEnded {
    fn finished() -> Self {
        Self { ending: Ending::Finished, resumed: false, by_aws: false, by_another: false, version: None, error: None }
    }

    fn by_another(version: String) -> Self {
        Self { by_another: true, version: Some(version), ..Self::finished() }
    }
}
