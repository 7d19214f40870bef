//! The delivery: everything put together, and ended again.

mod changing;
mod finding;
mod handing;
mod hot;
mod life;
mod readiness;
mod reading;
mod recording;
mod redaction;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_recursion::async_recursion as boxed;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use finding::{FoundForm, FoundInAws};
use hot::Views;
pub use hot::{HotPath, Known, Served};
pub(crate) use readiness::AwsState;
pub use readiness::Readiness;
pub use reading::bytes_of;
use redaction::WatchedHooks;

use crate::audit::{Audit, Shipper};
use crate::compliance::Compliance;
use crate::config::Config;
use crate::events::{Events, Parts as EventParts};
use crate::export::{Family, State, families};
use crate::metrics::Metrics;
use crate::metrics::alerts::AlertsSettings;
use crate::reads::copies::Names;
use crate::reads::{Parts, Reads};
use crate::resolver::Resolver;
use crate::rotation::hooks::Hooks;
use crate::rotation::{Parts as RotationParts, RotationManager};
use crate::source::env_file::EnvFile;
use crate::source::runtime::Precedence;
use crate::source::runtime::Runtime;
use crate::tasks::Tasks;
use aws::{Aws, Caller, NewSecret, Queue};
use cache::memory::MemoryCache;
use cache::owner::{Owner, Whose};
use cache::tiered::TieredCache;
use leaks::ledger::Ledger;
use secret::aws_ids::AwsIdTemplate;
use secret::clock::Clock;
use secret::environment::{Environment, Environments, Preset};
use secret::error::{ErrorCode, Result, SecretError};
use secret::manifest::Manifest;
use secret::notice::{Notice, Notices};

/// Delivers secrets. Made without I/O; every method may be called from any task.
pub struct Delivery {
    environment: Environment,
    environments: Environments,
    preset: Preset,
    aws_ids: AwsIdTemplate,
    pub(crate) tools: Arc<Manifest>,
    pub(crate) resolver: Resolver,
    metrics: Arc<Metrics>,
    notices: Arc<dyn Notices>,
    clock: Clock,
    tasks: Tasks,
    stop: CancellationToken,
    hot: Arc<HotPath>,
    rotation: Arc<RotationManager>,
    pub(crate) migration: NewSecret,
    events: Arc<Events>,
    alerts: Option<AlertsSettings>,
    watching_alerts: AtomicBool,
    audit: Option<Arc<Audit>>,
    probes: readiness::Probes,
    ledger: Arc<Ledger>,
    compliance: Arc<Compliance>,
    service: Option<String>,
}

impl Delivery {
    /// Puts the parts together. Background work that cached reads ask for runs on `handle`.
    ///
    /// # Errors
    /// `ENCRYPTION_KEY_INVALID`.
    #[expect(clippy::too_many_lines, reason = "the parts, one after the other, each handed to those that use it")]
    pub fn new(
        config: Config,
        notices: Arc<dyn Notices>,
        hooks: Arc<dyn Hooks>,
        shipper: Option<Shipper>,
        clock: Clock,
        handle: Handle,
    ) -> Result<Self> {
        let Config {
            environment,
            environments,
            preset,
            tools,
            aws,
            aws_id_template,
            env_file,
            runtime,
            cache,
            rotation,
            migration,
            events,
            alerts,
            audit,
            log_level,
            trust,
            compliance,
            service,
        } = config;
        trust.warn_to(&notices);
        let (tasks, stop) = (Tasks::new(crate::log::dispatch(log_level, notices.clone())), CancellationToken::new());
        let (metrics, tools) = (Arc::new(Metrics::default()), Arc::new(tools));
        let names = Names { tools: tools.clone(), ids: aws_id_template.of(environment.as_str()) };
        let (ids, access_check) = (names.ids.clone(), cache.as_ref().and_then(|cache| cache.access_check));
        let parts = (ids.clone(), environment.as_str(), names.rotation_notice(&notices));
        let aws = aws.map(|config| Aws::new(&Arc::new(config), &clock));
        let owners = (aws.as_ref().map(shared_as), aws.as_ref().map(kept_as));
        let cache = cache.map(|cache| TieredCache::new(cache, parts, owners, clock.clone(), notices.clone()));
        let cache = cache.transpose()?;
        let memory = hot_memory(cache.as_ref(), runtime.precedence);
        let ledger = Arc::new(Ledger::new(clock.clone()));
        if let Some(cache) = &cache {
            cache.memory().watch(redaction::watcher(&ledger, &ids));
        }
        let audited = (environment.as_str(), tools.clone(), notices.clone());
        let audit = audit.map(|config| Audit::new(config.with_places(&ids), audited, shipper, clock.clone()));
        let reads = Reads::new(Parts {
            aws,
            cache,
            access_check,
            names,
            clock: clock.clone(),
            metrics: metrics.clone(),
            notices: notices.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
            audit: audit.clone(),
        });
        if let Some(aws) = reads.aws() {
            let reads = Arc::downgrade(&reads);
            aws.on_another_account(move || {
                if let Some(reads) = reads.upgrade() {
                    reads.forget_account();
                }
            });
        }
        let views = Views::of(&ids);
        let hot = Arc::new(HotPath {
            audit: audit.clone(),
            memory,
            clock: clock.clone(),
            metrics: metrics.clone(),
            reads: Arc::downgrade(&reads),
            tools: hot::Tools::of_declared(&tools, &ids, views.as_ref(), audit.as_deref()),
            views,
            runtime: handle,
        });
        let rotation = RotationManager::new(RotationParts {
            config: rotation,
            hooks: Arc::new(WatchedHooks::new(hooks, ledger.clone())),
            reads: reads.clone(),
            aws_ids: aws_id_template.clone(),
            tools: tools.clone(),
            environment,
            clock: clock.clone(),
            metrics: metrics.clone(),
            notices: notices.clone(),
            audit: audit.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
        let events = Events::new(EventParts {
            audit: audit.clone(),
            queue: events.queue_url.zip(reads.aws()).map(|(url, aws)| Queue::new(url, aws)),
            poll_every: events.poll_every,
            reads: reads.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            notices: notices.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
        let resolver = Resolver {
            reads,
            metrics: metrics.clone(),
            env_file: env_file.map(|config| EnvFile::new(config, notices.clone())),
            runtime: Runtime::new(&runtime),
            precedence: runtime.precedence,
            aws_failure_rejects: preset.aws_failure_rejects,
            aws_is_optional: environment.base() == Environment::Development,
        };
        Ok(Self {
            environment,
            environments,
            preset,
            aws_ids: aws_id_template,
            tools,
            resolver,
            metrics,
            notices,
            clock,
            tasks,
            stop,
            hot,
            rotation,
            migration,
            events,
            alerts,
            watching_alerts: false.into(),
            audit,
            probes: readiness::Probes::default(),
            ledger,
            compliance,
            service,
        })
    }

    /// Tells the owner.
    pub(crate) fn warn(&self, notice: Notice) {
        self.notices.notice(notice);
    }

    /// Where the service runs.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The reads that need no waiting.
    pub fn hot_path(&self) -> &Arc<HotPath> {
        &self.hot
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// AWS and its caches.
    pub fn reads(&self) -> &Arc<Reads> {
        &self.resolver.reads
    }

    /// Who AWS takes this process for; `None` where AWS is off, or cannot be asked.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE`, `SOURCE_TIMEOUT`, `SECRET_ACCESS_DENIED`, `CLOSED`.
    #[boxed]
    pub async fn identity(&self) -> Result<Option<Caller>> {
        let Some(aws) = self.reads().aws() else { return Ok(None) };
        self.open(aws.caller()).await
    }

    /// Rotation.
    pub fn rotation(&self) -> &Arc<RotationManager> {
        &self.rotation
    }

    pub(super) fn environment_or_own(&self, given: Option<&str>) -> Result<Environment> {
        given.map_or(Ok(self.environment), |text| self.parse_environment("environment", text))
    }

    /// Reads an environment name given to a method.
    ///
    /// # Errors
    /// `CONFIG_INVALID`.
    pub(crate) fn parse_environment(&self, path: &str, text: &str) -> Result<Environment> {
        let known = || SecretError::config(path, format_args!("must be one of {}", self.environments.names()));
        self.environments.parse(text).ok_or_else(known)
    }

    /// The env file, when there is one.
    pub fn env_file(&self) -> Option<&EnvFile> {
        self.resolver.env_file.as_ref()
    }

    /// The runtime environment.
    pub fn runtime(&self) -> &Runtime {
        &self.resolver.runtime
    }

    /// Whether process variables are asked before AWS, or AWS not at all: a read then needs them at once.
    pub fn variables_come_first(&self) -> bool {
        self.resolver.precedence == Precedence::Override || self.reads().aws().is_none()
    }

    /// Reads time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What the configuration meets of what `compliance` demands.
    pub fn compliance(&self) -> &Compliance {
        &self.compliance
    }

    /// The service's name, in the labels of metrics.
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// Whether metrics go to the process's meter provider.
    pub fn is_monitored(&self) -> bool {
        self.preset.monitoring
    }

    /// The audit log.
    pub fn audit(&self) -> Option<&Arc<Audit>> {
        self.audit.as_ref()
    }

    /// Every metric as it is now.
    pub fn metric_families(&self) -> Vec<Family> {
        let state = State {
            redacted: self.values_redacted(),
            audit_fails: self.audit.as_ref().is_some_and(|audit| audit.is_failing()),
            not_compliant: self.compliance.unmet().count(),
        };
        let found = families(&self.metrics, self.reads(), self.environment, &state);
        if !self.is_monitored() {
            return found;
        }
        let mut labels = vec![("environment", self.environment.as_str().to_owned())];
        labels.extend(self.service.clone().map(|service| ("service", service)));
        found.into_iter().map(|family| family.labelled(&labels)).collect()
    }
}

/// Whose copies this process shares.
fn shared_as(aws: &Aws) -> Owner {
    let owner = aws.owner();
    Arc::new(move || {
        let owner = owner.clone();
        Box::pin(async move { owner.scope().await })
    })
}

/// Whose copies the file has.
fn kept_as(aws: &Aws) -> Whose {
    let (known, now) = (aws.owner(), aws.owner());
    Whose {
        known: Arc::new(move || known.known()),
        now: Arc::new(move || {
            let now = now.clone();
            Box::pin(async move { now.now().await })
        }),
    }
}

/// The memory in which a read may end. Overriding sources must be asked first, so then there is none.
fn hot_memory(cache: Option<&TieredCache>, precedence: Precedence) -> Option<Arc<MemoryCache>> {
    cache.filter(|_| precedence == Precedence::Last).map(|cache| cache.memory().clone())
}

/// Reads an environment name given to a method.
///
/// # Errors
/// `CONFIG_INVALID`.
pub fn parse_environment(path: &str, text: &str) -> Result<Environment> {
    Environment::parse(text).ok_or_else(|| {
        SecretError::new(
            ErrorCode::ConfigInvalid,
            format!("{path} must be 'development', 'test', 'staging' or 'production' (or 'dev', 'stage', 'prod')"),
        )
    })
}
