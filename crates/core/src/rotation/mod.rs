//! Rotation: policies and dates, the staged rotation of one secret, and the scheduler.
//!
//! - `policy`: when a secret is due
//! - `form`, `keeper`: what a generated text may replace, and who else takes care of a secret
//! - `generator`, `hooks`: where a new value comes from, and who applies it
//! - `staged`, `by_aws`: the steps, taken here or by AWS's own rotation function; `ours`: whose turn it is, and what follows
//! - `labels`, `pending`, `claim`: AWSCURRENT moves, AWSPENDING of others stays, and one instance at a time calls hooks
//! - `version_ids`: all instances try one and the same version
//! - `late`: hooks that end after their deadline
//! - `restore`: going back to a version that AWS still has
//! - `calendar`: what is due, of all declared secrets
//! - `scheduler`: rotates what is due

mod back;
mod by_aws;
pub mod calendar;
mod claim;
mod field;
pub mod form;
mod form_patterns;
pub mod generator;
pub mod hooks;
pub mod keeper;
mod labels;
mod late;
mod ours;
mod pending;
pub mod policy;
mod restore;
mod scheduler;
mod staged;
mod steps;
mod version_ids;

pub(crate) use version_ids::uuid;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::metrics::Metrics;
use crate::reads::Reads;
use crate::reads::flights::Flights;
use crate::tasks::Tasks;
use aws::{Aws, Description};
use hooks::{Hook, Hooks, HooksOf};
use keeper::Keeper;
use policy::Policies;
use secret::aws_ids::AwsIdTemplate;
use secret::clock::Clock;
use secret::environment::Environment;
use secret::error::{Result, SecretError};
use secret::manifest::{Manifest, SecretSpec};
use secret::name::SecretName;
use secret::notice::{Notice, Notices};
use secret::report::{Ending, Report};
use secret::value::SecretValue;
use staged::Source;
use steps::{StepLog, failed};

/// Rotation.
#[derive(Clone, Debug)]
pub struct RotationSettings {
    /// When secrets are due and how their values look.
    pub policies: Policies,
    /// The hooks that the service has.
    pub hooks: Vec<Hook>,
    /// Those of single secrets, in place of the others.
    pub hooks_of: HashMap<String, Vec<Hook>>,
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
    /// By AWS id: fields of one secret are rotated one after the other, and a restore waits for a rotation.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
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
        Self::At(Clock::system().corrected_unix_ms())
    }
}

/// Who wants a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The scheduler.
    Schedule,
    /// People or the service.
    Demand {
        /// Whether a value may be generated although no hook and no declaration speaks for it.
        generate: bool,
    },
}

impl Trigger {
    /// The service's own code.
    pub const SERVICE: Self = Self::Demand { generate: true };
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
        Arc::new(Self { parts, flights, turns: Mutex::default(), scheduler: Mutex::new(None) })
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
        trigger: Trigger,
    ) -> Result<Arc<Report>> {
        let place = self.place(name, environment)?;
        let (manager, key) = (self.clone(), place.key());
        let rotation = move || async move { Ok(Arc::new(manager.run(&place, Wanted::New(asked, trigger)).await)) };
        self.flights.join(&key, rotation).await.1
    }

    fn place(&self, name: &SecretName, environment: Environment) -> Result<Place> {
        let ids = self.parts.aws_ids.of(environment.as_str());
        let at = ids.place(name)?;
        let id = ids.id(&at.secret);
        if let Some((_, Some(stage))) = at.secret.aws_id() {
            return Err(failed(&id, format_args!("it refers to the label {stage}; only the live version is rotated")));
        }
        Ok(Place { name: name.clone(), environment, id, secret: at.secret, field: at.field })
    }

    async fn run(self: &Arc<Self>, place: &Place, wanted: Wanted) -> Report {
        let (parts, Place { name, environment, id, .. }) = (&self.parts, place);
        let turn = self.turns.lock().entry(id.clone()).or_default().clone();
        let turn = turn.lock().await;
        let started_unix_ms = parts.clock.unix_ms();
        let (mut log, mut previous) = (StepLog::new(parts.clock.clone()), None);
        let ended = match wanted {
            Wanted::New(asked, trigger) => self.steps(place, asked, trigger, &mut log, &mut previous).await,
            Wanted::Kept(version) => self.go_back(place, &version, &mut log, &mut previous).await,
        };
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
            environment: *environment,
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
        drop(turn);
        parts.reads.settle_snapshot().await;
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
        place: &Place,
        asked: Asked,
        trigger: Trigger,
        log: &mut StepLog,
        previous: &mut Option<String>,
    ) -> Result<StepsEnded> {
        let id = &place.id;
        let aws = self.aws(id)?;
        let before = self.live(aws, place).await?;
        *previous = Some(before.id.clone());
        match asked {
            Asked::Of(Some(expected)) if expected != before.id && place.is_done(&expected, &before.id) => {
                *previous = Some(expected);
                return Ok(StepsEnded::by_another(before.id));
            }
            Asked::Of(_) => {}
            Asked::At(unix_ms) => {
                // Another instance finished the rotation before this one started.
                if before.created_unix_ms.is_some_and(|made| made > unix_ms)
                    && let Some(old) = staged::predecessor(aws, (id, &place.key()), &before).await?
                {
                    *previous = Some(old);
                    return Ok(StepsEnded::by_another(before.id));
                }
            }
        }
        let said = describe(aws, id).await?;
        match Keeper::of(id, &said) {
            // It has a schedule of its own.
            Some(Keeper::Aws) if trigger == Trigger::Schedule => {
                return Err(failed(id, "AWS rotates it by a schedule of its own"));
            }
            Some(Keeper::Aws) => {
                let version = by_aws::rotate(aws, id, &before, log).await?;
                self.follow(place, &version).await;
                return Ok(StepsEnded { by_aws: true, version: Some(version), ..StepsEnded::finished() });
            }
            Some(Keeper::Others(why)) => return Err(failed(id, format_args!("{why}; only that may change it"))),
            None => {}
        }
        self.make_live(place, before, &said, (Source::New, trigger), log).await
    }

    fn aws(&self, id: &str) -> Result<&Aws> {
        self.parts.reads.aws().ok_or_else(|| failed(id, "AWS is switched off (options.aws.enabled)"))
    }

    /// The caches of this environment follow to the version that is live now.
    async fn follow(&self, place: &Place, version: &str) {
        if place.environment == self.parts.environment {
            self.parts.reads.follow_rotation(&place.secret, version).await;
        }
    }

    fn hooks_of<'a>(&'a self, name: &'a SecretName) -> HooksOf<'a> {
        HooksOf { all: &*self.parts.hooks, name: name.as_str() }
    }

    fn spec(&self, name: &SecretName) -> Option<&SecretSpec> {
        self.parts.tools.spec(name.as_str())
    }
}

/// Which secret is rotated.
#[derive(Clone)]
struct Place {
    name: SecretName,
    environment: Environment,
    id: String,
    /// What the copies of the AWS secret go by.
    secret: SecretName,
    /// The field of a JSON secret that the name is.
    field: Option<Arc<str>>,
}

impl Place {
    /// What is rotated: of two fields of a secret each has rotations of its own.
    fn key(&self) -> String {
        self.field.as_ref().map_or_else(|| self.id.clone(), |field| format!("{}#{field}", self.id))
    }

    /// Whether `live` in the place of `before` means that another instance did what was asked for. Of a field that is so only
    /// when the version was made by a rotation of that field.
    fn is_done(&self, before: &str, live: &str) -> bool {
        self.field.is_none() || version_ids::follows(&self.key(), before, live)
    }

    /// The rules of a policy, where they say which part of the secret is the password.
    fn rules<'r>(&self, rules: &'r policy::PasswordRules) -> Option<&'r policy::PasswordRules> {
        self.field.is_none().then_some(rules)
    }

    /// The part of the AWS secret that the name is.
    fn part(&self, whole: &SecretValue) -> Result<SecretValue> {
        let Some(field) = &self.field else { return Ok(whole.clone()) };
        let part =
            whole.field(field).map_err(|why| failed(&self.id, format_args!("it has no field '{field}': {why}")))?;
        part.ok_or_else(|| failed(&self.id, format_args!("it has no field '{field}', or an empty one")))
    }
}

/// What a rotation is to make live.
enum Wanted {
    /// A new value.
    New(Asked, Trigger),
    /// The version with this id.
    Kept(String),
}

/// What AWS says of a secret that is to be changed: without it, it is not known whether AWS or somebody else rotates it, and
/// AWS refuses nobody who overwrites its own rotation.
async fn describe(aws: &Aws, id: &str) -> Result<Description> {
    match aws.describe(id).await {
        Ok(Some(said)) => Ok(said),
        Ok(None) => Err(failed(id, "AWS does not describe it; it was left alone")),
        Err(error) if error.is_denied() => {
            let action = aws::permission::DESCRIBE;
            let why = format_args!(
                "without {action} it is not known whether AWS rotates it, so it was left alone; grant this identity {action} \
                 on the secret"
            );
            Err(failed(id, why).for_want_of(Some(action)))
        }
        Err(error) => {
            Err(failed(id, format_args!("it is not known whether AWS rotates it, so it was left alone: {error}")))
        }
    }
}

impl StepsEnded {
    fn finished() -> Self {
        Self { ending: Ending::Finished, resumed: false, by_aws: false, by_another: false, version: None, error: None }
    }

    fn by_another(version: String) -> Self {
        Self { by_another: true, version: Some(version), ..Self::finished() }
    }
}
