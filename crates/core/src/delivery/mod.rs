//! The delivery: everything put together, and ended again.

mod hot;
mod recording;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audit_log::{Cache as AuditCache, Event, Outcome};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use hot::HotPath;
use recording::unless_unrecorded;

use crate::audit::{Access, Audit, Shipper};
use crate::config::Config;
use crate::events::{Events, Parts as EventParts};
use crate::explain::{Explanation, explain};
use crate::export::{Family, families};
use crate::layer::{AwsLayer, Parts, Versions};
use crate::metrics::alerts::AlertsSettings;
use crate::metrics::alerts::Evaluator;
use crate::metrics::{Metrics, add};
use crate::resolver::{Freshness, Resolver};
use crate::rotation::calendar::Appointment;
use crate::rotation::hooks::Hooks;
use crate::rotation::{Asked, Parts as RotationParts, RotationManager};
use crate::source::env_file::EnvFile;
use crate::source::runtime::Precedence;
use crate::source::runtime::{Runtime, Variables};
use crate::tasks::Tasks;
use crate::tools::{ToolSecrets, declared_names, read_tool};
use aws::{Aws, Queue};
use cache::memory::Entry;
use cache::tiered::TieredCache;
use secret::clock::{Clock, Stopwatch};
use secret::environment::{Environment, Preset};
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Found;
use secret::found::Origin;
use secret::manifest::Manifest;
use secret::name::{AwsIdTemplate, SecretName};
use secret::notice::{Notice, Notices};
use secret::report::Report;
use secret::value::SecretValue;

/// How long `close()` waits for background work that is past its own deadlines.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);

/// Delivers secrets. Made without I/O; every method may be called from any task.
pub struct Delivery {
    environment: Environment,
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
    events: Arc<Events>,
    alerts: Option<AlertsSettings>,
    watching_alerts: AtomicBool,
    audit: Option<Arc<Audit>>,
}

impl Delivery {
    /// Puts the parts together. Background work that cached reads ask for runs on `handle`.
    ///
    /// # Errors
    /// `ENCRYPTION_KEY_INVALID`.
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
            preset,
            tools,
            aws,
            aws_id_template,
            env_file,
            runtime,
            cache,
            rotation,
            events,
            alerts,
            audit,
            log_level,
        } = config;
        let aws = aws.map(Arc::new);
        let log = crate::log::dispatch(log_level, notices.clone());
        let (tasks, stop) = (Tasks::new(log), CancellationToken::new());
        let (metrics, tools) = (Arc::new(Metrics::default()), Arc::new(tools));
        let ids = aws_id_template.of(environment.as_str());
        let cache = cache
            .map(|cache| TieredCache::new(cache, ids.clone(), environment.as_str(), clock.clone(), notices.clone()))
            .transpose()?;
        // Overriding sources must be asked first, so no read ends in memory.
        let hot_memory =
            cache.as_ref().filter(|_| runtime.precedence == Precedence::Last).map(|cache| cache.memory().clone());
        let layer = AwsLayer::new(Parts {
            aws: aws.as_ref().map(|config| Aws::new(config, clock.clone())),
            cache,
            ids,
            clock: clock.clone(),
            metrics: metrics.clone(),
            notices: notices.clone(),
            tools: tools.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
        let audit = audit.map(|config| {
            Audit::new(config, environment.as_str(), tools.clone(), notices.clone(), shipper, clock.clone())
        });
        let hot = Arc::new(HotPath {
            audit: audit.clone(),
            memory: hot_memory,
            clock: clock.clone(),
            metrics: metrics.clone(),
            layer: Arc::downgrade(&layer),
            runtime: handle,
        });
        let rotation = RotationManager::new(RotationParts {
            config: rotation,
            hooks,
            layer: layer.clone(),
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
            queue: events.queue_url.zip(aws).map(|(url, aws)| Queue::new(url, aws)),
            poll_every: events.poll_every,
            layer: layer.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            notices: notices.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
        let resolver = Resolver {
            layer,
            metrics: metrics.clone(),
            env_file: env_file.map(|config| EnvFile::new(config, notices.clone())),
            runtime: Runtime::new(&runtime),
            precedence: runtime.precedence,
            aws_failure_rejects: preset.aws_failure_rejects,
            aws_is_optional: environment == Environment::Development,
        };
        Ok(Self {
            environment,
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
            events,
            alerts,
            watching_alerts: false.into(),
            audit,
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
    pub fn layer(&self) -> &Arc<AwsLayer> {
        &self.resolver.layer
    }

    /// Rotation.
    pub fn rotation(&self) -> &Arc<RotationManager> {
        &self.rotation
    }

    /// Gives `name` a new value in `environment`, or here, and reports how that went.
    ///
    /// # Errors
    /// `CONFIG_INVALID` for an unknown environment, `CLOSED`. A rotation that fails is told in the report.
    pub async fn rotate(&self, name: &SecretName, environment: Option<&str>) -> Result<Arc<Report>> {
        let environment = self.environment_or_own(environment)?;
        // Before anything is waited for.
        let asked = Asked::now();
        self.audited(self.rotation.rotate(name, environment, asked)).await
    }

    /// When each declared secret is due.
    ///
    /// # Errors
    /// `CLOSED`.
    pub async fn calendar(&self) -> Result<Vec<Appointment>> {
        self.open(self.rotation.calendar()).await
    }

    /// Begins to rotate what is due. Gives `false`, and begins nothing, where people rotate. Called inside a runtime.
    pub fn start_rotating(&self) -> bool {
        let starts = !self.is_closed() && self.rotation.start();
        if !starts && !self.is_closed() {
            let environment = self.environment.as_str();
            let message = format!("rotation.start() does nothing in {environment}, where secrets are rotated by hand");
            self.warn(Notice::warning("ROTATION_MANUAL", message));
        }
        starts
    }

    /// Somebody wants to hear of changes. Called inside a runtime.
    pub fn watch(&self) {
        if !self.is_closed() {
            self.events.watch();
        }
    }

    /// Follows an event that AWS sent (`handleSecretEvent`); gives whether it concerned this environment.
    ///
    /// # Errors
    /// See [`Events::handle`]; `CLOSED`.
    pub async fn handle_event(&self, text: &str) -> Result<bool> {
        self.open(self.events.handle(text)).await
    }

    /// The live version of `name` and those around it; past the copies of them when `fresh`.
    ///
    /// # Errors
    /// See [`AwsLayer::versions`]; `CLOSED`.
    pub async fn versions(&self, name: &SecretName, fresh: bool) -> Result<Arc<Versions>> {
        let watch = Stopwatch::start();
        let versions = self.audited(self.layer().versions(name, fresh)).await;
        match &versions {
            Ok(versions) => {
                for version in [&versions.current, &versions.previous, &versions.pending].into_iter().flatten() {
                    let access = Access::of(name.as_str(), Outcome::Ok, watch.took());
                    self.record(&Access { source: Origin::Aws.as_str(), version: &version.id, ..access }).await?;
                }
            }
            // It is refused all the same when that cannot be recorded.
            Err(error) => drop(self.record(&Access::ended(name.as_str(), Some(error), watch.took())).await),
        }
        versions
    }

    fn environment_or_own(&self, given: Option<&str>) -> Result<Environment> {
        given.map_or(Ok(self.environment), |text| parse_environment("environment", text))
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
        self.resolver.precedence == Precedence::Override || self.layer().aws.is_none()
    }

    /// Whether copies are shared in Redis: a read that memory does not answer may then cost no call.
    pub fn has_shared_cache(&self) -> bool {
        self.layer().cache.as_ref().and_then(TieredCache::redis).is_some()
    }

    /// Reads time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The secret `name`.
    ///
    /// # Errors
    /// See [`Resolver::resolve`]; `CLOSED`.
    pub async fn get(&self, name: &SecretName, variables: &Variables) -> Result<Option<Found>> {
        self.counted(name, self.resolver.resolve(name, variables, Freshness::Cached)).await
    }

    /// Several secrets that are asked for at the same time, each with its variables and its own answer.
    ///
    /// # Errors
    /// Each as [`Delivery::get`].
    pub async fn get_many(&self, names: &[SecretName], variables: &[Variables]) -> Vec<Result<Option<Found>>> {
        let watch = Stopwatch::start();
        let answers = self.audited(async { Ok(self.resolver.resolve_many(names, variables).await) }).await;
        let answers = answers.unwrap_or_else(|error| names.iter().map(|_| Err(error.clone())).collect());
        let took = watch.took();
        let answers = self.recorded_many(names, answers, took).await;
        for answer in &answers {
            self.count(answer, took);
        }
        answers
    }

    /// The secret `name`, past the caches.
    ///
    /// # Errors
    /// As [`Delivery::get`].
    pub async fn refresh(&self, name: &SecretName, variables: &Variables) -> Result<Option<Found>> {
        self.counted(name, self.resolver.resolve(name, variables, Freshness::Fresh)).await
    }

    /// What AWS has now, in `environment` or here.
    ///
    /// # Errors
    /// AWS's, in every environment: the caller asked AWS and nobody else. `CONFIG_INVALID` for an unknown environment.
    pub async fn get_from_aws(&self, name: &SecretName, environment: Option<&str>) -> Result<Option<SecretValue>> {
        let environment = self.environment_or_own(environment)?;
        let (id, watch) = (self.aws_id(name, environment), Stopwatch::start());
        let fetched = self
            .audited(async {
                let Some(aws) = &self.layer().aws else { return Ok(None) };
                Ok(aws.fetch(&id).await?.filter(|fetched| !fetched.value.is_empty()))
            })
            .await;
        if fetched.as_ref().is_err_and(SecretError::is_denied) {
            add(&self.metrics.unauthorized);
        }
        let version = fetched.as_ref().ok().and_then(|fetched| fetched.as_ref()?.version_id.clone());
        let access = Access {
            environment: if environment == self.environment { "" } else { environment.as_str() },
            source: Origin::Aws.as_str(),
            cache: AuditCache::Bypass,
            version: version.as_deref().unwrap_or_default(),
            ..Self::access(name, &fetched, watch.took())
        };
        let recorded = self.record(&access).await;
        Ok(unless_unrecorded(fetched, recorded)?.map(|fetched| fetched.value))
    }

    /// The AWS id of `name` in any environment.
    pub(crate) fn aws_id(&self, name: &SecretName, environment: Environment) -> String {
        self.aws_ids.of(environment.as_str()).id(name)
    }

    /// What the env file has now.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID`, `CLOSED`.
    pub async fn get_from_env_file(&self, name: &SecretName) -> Result<Option<SecretValue>> {
        let watch = Stopwatch::start();
        let found = self.audited(self.resolver.from_env_file(name)).await;
        let found = self.recorded(name, found, watch.took()).await?;
        Ok(found.map(|found| found.value))
    }

    /// What the runtime environment has now.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE`, `SOURCE_RESPONSE_INVALID`, `CLOSED`.
    pub async fn get_from_runtime(&self, name: &SecretName, variables: &Variables) -> Result<Option<SecretValue>> {
        let watch = Stopwatch::start();
        let found = self.audited(self.resolver.from_runtime(name, variables)).await;
        let found = self.recorded(name, found, watch.took()).await?;
        Ok(found.map(|found| found.value))
    }

    /// Every secret of `tool`.
    ///
    /// # Errors
    /// As a single read of any of them.
    pub async fn get_tool(&self, tool: &str, variables: &Variables) -> Result<ToolSecrets> {
        let watch = Stopwatch::start();
        let result = self.audited(read_tool(&self.resolver, &self.tools, tool, variables)).await;
        let result = match result {
            Ok(found) => self.recorded_tool(tool, found, watch).await,
            Err(error) => Err(error),
        };
        match &result {
            Ok(found) => {
                let took = watch.took();
                for found in found.values() {
                    self.metrics.retrieved(found.origin, found.stale, took);
                }
            }
            Err(error) => self.metrics.not_retrieved(Some(error.code()), watch.took()),
        }
        result
    }

    /// The declared secrets of `tool` when every one of them is fresh in memory: no waiting.
    pub fn tool_in_memory(&self, tool: &str) -> Option<Vec<(String, Arc<Entry>)>> {
        let watch = Stopwatch::start();
        let names = declared_names(&self.tools, tool).ok().flatten()?;
        let entries = names
            .into_iter()
            .map(|name| {
                let (entry, stale) = self.hot.peek(name.as_str())?;
                Some((name, entry, stale))
            })
            .collect::<Option<Vec<_>>>()?;
        let took = watch.took();
        // One that could not be recorded sends all of them the long way; what was recorded until then is read there.
        if !entries.iter().all(|(name, entry, stale)| self.hot.is_recorded(name.as_str(), entry, *stale, took)) {
            return None;
        }
        let found = entries.into_iter().map(|(name, entry, stale)| {
            self.metrics.hit_in_memory(stale, took);
            Some((name.as_str().get(tool.len() + 1..)?.to_ascii_lowercase(), entry))
        });
        found.collect()
    }

    /// Why `name` has the value it has.
    ///
    /// # Errors
    /// `CLOSED`.
    pub async fn explain(&self, name: &SecretName, variables: &Variables) -> Result<Explanation> {
        self.open(async { Ok(explain(&self.resolver, name, variables, &self.clock).await) }).await
    }

    /// The fresh cached value of `name` (`cache.get`).
    ///
    /// # Errors
    /// `CLOSED`.
    pub async fn cache_get(&self, name: &SecretName) -> Result<Option<SecretValue>> {
        let watch = Stopwatch::start();
        let found = self
            .audited(async {
                match &self.layer().cache {
                    Some(cache) => Ok(cache.get(name).await),
                    None => Ok(None),
                }
            })
            .await;
        let access = Access { source: "cache", cache: AuditCache::Hit, ..Self::access(name, &found, watch.took()) };
        let recorded = self.record(&access).await;
        unless_unrecorded(found, recorded)
    }

    /// Puts a value by hand (`cache.set`); nothing happens where caching is off.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`, `CLOSED`.
    pub async fn cache_set(&self, name: &SecretName, value: SecretValue, ttl: Option<Duration>) -> Result<()> {
        self.acted(Event::Set, name.as_str(), async {
            match &self.layer().cache {
                Some(cache) => {
                    self.layer().forget(name);
                    cache.set(name, value, ttl).await
                }
                None => Ok(()),
            }
        })
        .await
    }

    /// Drops the copies of `name` (`cache.invalidate`).
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`, `CLOSED`.
    pub async fn cache_invalidate(&self, name: &SecretName) -> Result<()> {
        self.acted(Event::Invalidate, name.as_str(), async {
            self.layer().forget(name);
            match &self.layer().cache {
                Some(cache) => cache.invalidate(name).await,
                None => Ok(()),
            }
        })
        .await
    }

    /// Drops every copy of this environment (`cache.clear`).
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`, `CLOSED`.
    pub async fn cache_clear(&self) -> Result<()> {
        self.acted(Event::Clear, "", self.clear()).await
    }

    async fn clear(&self) -> Result<()> {
        self.layer().forget_all();
        match &self.layer().cache {
            Some(cache) => cache.clear().await,
            None => Ok(()),
        }
    }

    /// Ends everything: readers under way receive `CLOSED`, background work is stopped, cached values are wiped; in
    /// the test environment the shared copies go too. May be called any number of times.
    pub async fn close(&self) {
        self.end().await;
        if let Some(audit) = &self.audit
            && let Err(error) = audit.close().await
        {
            self.warn(Notice::warning("AUDIT_FAILING", error.to_string()));
        }
    }

    async fn end(&self) {
        let first = !self.stop.is_cancelled();
        self.abandon();
        if tokio::time::timeout(CLOSE_DEADLINE, self.tasks.wait()).await.is_err() {
            self.warn(Notice::warning("CLOSE_INCOMPLETE", "background work did not end within 3 seconds of close()"));
        }
        if let Some(aws) = &self.layer().aws {
            aws.disconnect();
        }
        let Some(cache) = &self.layer().cache else { return };
        if let Some(snapshot) = cache.snapshot()
            && let Err(error) = snapshot.write().await
        {
            self.warn(Notice::warning("SNAPSHOT_NOT_WRITTEN", error.to_string()));
        }
        if first
            && self.preset.close_clears_cache
            && let Err(error) = self.clear().await
        {
            tracing::debug!(code = %error.code(), "the shared cache was not cleared; its entries end by themselves");
        }
        // What ended after the first wipe may have left a copy.
        self.wipe();
        if let Some(redis) = cache.redis() {
            redis.close().await;
        }
    }

    /// Wipes and stops without waiting, when the owner disappears without `close()`.
    pub fn abandon(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.wipe();
    }

    fn wipe(&self) {
        if let Some(cache) = &self.layer().cache {
            cache.wipe();
        }
        self.layer().forget_versions();
        if let Some(file) = self.env_file() {
            file.forget();
        }
    }

    /// Whether `close` was called.
    pub fn is_closed(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Runs `work` unless the delivery is closed, and gives it up when it is closed meanwhile. Boxed, so that what is
    /// around it exists once for each kind of answer, and not once for each operation.
    pub(crate) fn open<'a, T: Send + 'a>(
        &'a self,
        work: impl Future<Output = Result<T>> + Send + 'a,
    ) -> Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>> {
        self.open_boxed(Box::pin(work))
    }

    fn open_boxed<'a, T: Send + 'a>(
        &'a self,
        work: Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>,
    ) -> Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>> {
        Box::pin(async {
            self.events.begin();
            if self.alerts.as_ref().is_some_and(|alerts| alerts.always) {
                self.watch_alerts();
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => Err(SecretError::closed()),
                result = self.tasks.logged(work) => result,
            }
        })
    }

    /// The audit log.
    pub fn audit(&self) -> Option<&Arc<Audit>> {
        self.audit.as_ref()
    }

    /// Every metric as it is now.
    pub fn metric_families(&self) -> Vec<Family> {
        families(&self.metrics, self.layer(), self.environment)
    }

    /// Begins to compare the metrics with their thresholds. Called inside a runtime.
    pub fn watch_alerts(&self) {
        let Some(alerts) = &self.alerts else { return };
        if self.is_closed() || self.watching_alerts.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut evaluator = Evaluator::new(alerts.thresholds.clone(), self.clock.clone());
        let (metrics, notices) = (self.metrics.clone(), self.notices.clone());
        let (clock, stop) = (self.clock.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = crate::timer::sleep(&clock, evaluator.every()) => {}
                }
                for alert in evaluator.evaluate(&metrics) {
                    notices.notice(Notice::Alert(alert));
                }
            }
        });
    }
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
