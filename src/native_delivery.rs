//! The class behind `lib/delivery.js`. Methods start an operation and return; `completions` tells how it ended.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use delivery_core::config::{Ambient, Config};
use delivery_core::delivery::{Delivery, parse_environment};
use delivery_core::export::text;
use delivery_core::health::health;
use delivery_core::resolver::Freshness;
use delivery_core::rotation::hooks::HookFailure;
use delivery_core::source::runtime::Variables;
use delivery_core::validation::Validated;
use napi::Env;
use napi::bindgen_prelude::{Either, Object, Result, Unknown, spawn, within_runtime_if_available};
use napi_derive::napi;
use secret::clock::Clock;
use secret::error::SecretError;
use secret::name::SecretName;
use secret::value::SecretValue;
use tokio::runtime::Handle;

use crate::completions::{Batch, Completions, Outcome};
use crate::hooks::JsHooks;
use crate::migration::{self, NativeScope};
use crate::options;
use crate::raw::{CachedReader, SecretMap, SecretText};
use crate::report;
use crate::shipping::Shipping;
use crate::variables::JsVariables;

/// A refusal that JavaScript turns into a `SecretError`.
#[napi(object)]
pub struct NativeFailure {
    /// The stable code.
    pub code: String,
    /// What, why and what to do.
    pub message: String,
}

impl From<SecretError> for NativeFailure {
    fn from(error: SecretError) -> Self {
        Self { code: error.code().as_str().into(), message: error.to_string() }
    }
}

/// What the process looks like, read on the JavaScript thread.
#[napi(object)]
pub struct NativeAmbient {
    /// The variables that configuration may read.
    pub variables: HashMap<String, String>,
    /// `process.cwd()`.
    pub working_directory: String,
}

/// Opens a delivery, or says why not.
#[napi(catch_unwind)]
pub fn open_delivery(
    env: Env,
    options: Unknown<'_>,
    ambient: NativeAmbient,
    #[napi(
        ts_arg_type = "{ settle(batch: { ids: Array<number>, values: Array<unknown>, others: Array<number | string> }): void, hasRef(): boolean }"
    )]
    target: Object<'_>,
) -> Result<Either<NativeDelivery, NativeFailure>> {
    let options = options::read(options)?;
    let ambient = Ambient { variables: ambient.variables, working_directory: PathBuf::from(ambient.working_directory) };
    let completions = Completions::new(env, target)?;
    let handle = within_runtime_if_available(Handle::try_current)
        .map_err(|_| napi::Error::from_reason("the addon's runtime is not there (is the environment closing?)"))?;
    let opened = Config::from_options(options, &ambient).and_then(|config| {
        let hooks = Arc::new(JsHooks::new(config.rotation.hooks.clone(), completions.clone()));
        let variables = Arc::new(JsVariables::new(completions.clone()));
        let shipping = Arc::new(Shipping::default());
        let shipper = {
            let (shipping, completions) = (shipping.clone(), completions.clone());
            Arc::new(move |lines| shipping.ship(&completions, lines))
        };
        let (notices, clock) = (completions.clone(), Clock::system());
        let delivery = Delivery::new(config, notices, hooks.clone(), Some(shipper), clock, handle)?;
        Ok(NativeDelivery { delivery: Arc::new(delivery), completions, hooks, variables, shipping })
    });
    Ok(match opened {
        Ok(delivery) => Either::A(delivery),
        Err(error) => Either::B(error.into()),
    })
}

/// The documented preset of an environment as JSON text, or why there is none.
#[napi(catch_unwind)]
pub fn environment_defaults(environment: String) -> Either<String, NativeFailure> {
    match parse_environment("environment", &environment) {
        Ok(environment) => Either::A(report::environment_defaults(environment).to_string()),
        Err(error) => Either::B(error.into()),
    }
}

/// The name of a tool's secret, or why it has none.
#[napi(catch_unwind)]
pub fn secret_name(tool: String, secret_type: String) -> Either<String, NativeFailure> {
    match SecretName::of_tool(&tool, &secret_type) {
        Ok(name) => Either::A(name.as_str().to_owned()),
        Err(error) => Either::B(error.into()),
    }
}

/// One delivery. Dropping it (garbage collection, end of a worker) stops and wipes everything.
#[napi]
pub struct NativeDelivery {
    delivery: Arc<Delivery>,
    completions: Arc<Completions>,
    hooks: Arc<JsHooks>,
    variables: Arc<JsVariables>,
    shipping: Arc<Shipping>,
}

impl Drop for NativeDelivery {
    fn drop(&mut self) {
        self.delivery.abandon();
    }
}

type Answer = std::result::Result<Outcome, SecretError>;

impl NativeDelivery {
    /// Runs `work` as operation `id`.
    fn start<F>(&self, id: u32, work: impl FnOnce(Arc<Delivery>) -> F)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let ticket = self.completions.ticket(id);
        let work = work(self.delivery.clone());
        spawn(async move { ticket.finish(work.await) });
    }

    /// What JavaScript read when the call was made; what it did not read is asked for.
    fn variables(&self, read: Option<HashMap<String, String>>) -> Variables {
        read.map_or_else(|| Variables::asked(self.variables.clone()), Variables::new)
    }

    /// Runs `work` on a valid `name`; an invalid one is refused before any source is asked.
    fn start_named<F>(&self, id: u32, name: &str, work: impl FnOnce(Arc<Delivery>, SecretName) -> F)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        match SecretName::new(name) {
            Ok(name) => self.start(id, |delivery| work(delivery, name)),
            Err(error) => self.completions.ticket(id).finish(Err(error)),
        }
    }
}

fn validation(delivery: &Delivery, tool: Option<&str>, secrets: &[Validated]) -> Outcome {
    Outcome::Report(report::validation(delivery.environment(), delivery.clock(), tool, secrets).to_string())
}

fn secret(value: Option<SecretValue>) -> Outcome {
    value.map_or(Outcome::Null, Outcome::Secret)
}

#[napi]
impl NativeDelivery {
    /// Lets pending operations keep the process alive (`true`) or not (`false`).
    #[napi(catch_unwind)]
    pub fn hold(&self, env: Env, hold: bool) -> Result<()> {
        self.completions.hold(env, hold)
    }

    /// What ended since the last batch; `null` when that is nothing, and `settle` is called for what ends later.
    #[napi(
        ts_return_type = "{ ids: Array<number>, values: Array<unknown>, others: Array<number | string> } | null",
        catch_unwind
    )]
    pub fn more(&self) -> Option<Batch> {
        self.completions.more()
    }

    /// The function of cached reads; see `raw`.
    #[napi(ts_return_type = "(toolOrName: string, secretType?: string) => string | undefined", catch_unwind)]
    pub fn cached_reader(&self) -> CachedReader {
        CachedReader(self.delivery.hot_path().clone())
    }

    /// The full name of the environment.
    #[napi(catch_unwind)]
    pub fn environment(&self) -> String {
        self.delivery.environment().as_str().to_owned()
    }

    /// A declared tool's secrets when all of them are fresh in memory.
    #[napi(ts_return_type = "Record<string, string> | null", catch_unwind)]
    pub fn cached_tool(&self, tool: String) -> Option<SecretMap> {
        let entries = self.delivery.tool_in_memory(&tool)?;
        Some(SecretMap(entries.into_iter().map(|(kind, entry)| (kind, entry.value.clone())).collect()))
    }

    /// `getSecret`, of one secret. Variables that are not given are asked for when they are needed.
    #[napi(catch_unwind)]
    pub fn get_secret(&self, id: u32, name: String, variables: Option<HashMap<String, String>>) {
        let variables = self.variables(variables);
        self.start_named(id, &name, |delivery, name| async move {
            Ok(secret(delivery.read_one(&name, &variables, Freshness::Cached).await?.map(|found| found.value)))
        });
    }

    /// Several `getSecret` that were called in one turn, as one operation: what none of them finds in the caches is
    /// fetched together. `names` are joined by line ends; `variables`, where given, has each one's. Gives `false`, and
    /// begins nothing, when there are not `count` names: one of them holds a line end.
    #[napi(catch_unwind)]
    pub fn get_secrets(
        &self,
        id: u32,
        count: u32,
        names: String,
        variables: Option<Vec<HashMap<String, String>>>,
    ) -> bool {
        let count = usize::try_from(count).unwrap_or_default();
        let mut given = variables.map(Vec::into_iter);
        let (mut valid, mut variables, mut refused) =
            (Vec::with_capacity(count), Vec::with_capacity(count), Vec::new());
        for (at, name) in names.split('\n').enumerate() {
            let read = given.as_mut().map(|given| given.next().unwrap_or_default());
            match SecretName::new(name) {
                Ok(name) => {
                    valid.push(name);
                    variables.push(self.variables(read));
                }
                Err(error) => refused.push((at, error)),
            }
        }
        if valid.len() + refused.len() != count {
            return false;
        }
        self.start(id, |delivery| async move {
            let answers = delivery.read(&valid, &variables, Freshness::Cached).await.into_iter();
            let mut answers: Vec<_> = answers.map(|answer| Ok(answer?.map(|found| found.value))).collect();
            for (at, error) in refused {
                answers.insert(at, Err(error));
            }
            Ok(Outcome::Answers(answers))
        });
        true
    }

    /// Whether a read needs the process variables at once.
    #[napi(catch_unwind)]
    pub fn variables_come_first(&self) -> bool {
        self.delivery.variables_come_first()
    }

    /// Whether copies are shared in Redis.
    #[napi(catch_unwind)]
    pub fn has_shared_cache(&self) -> bool {
        self.delivery.has_shared_cache()
    }

    /// The variables that were asked for; unset when they could not be read.
    #[napi(catch_unwind)]
    pub fn variables_are(&self, id: u32, variables: Option<HashMap<String, String>>) {
        let secret = |(name, value)| (name, SecretValue::new(value));
        self.variables.answer(id, variables.map(|read| read.into_iter().map(secret).collect()));
    }

    /// `refresh`.
    #[napi(catch_unwind)]
    pub fn refresh(&self, id: u32, name: String, variables: HashMap<String, String>) {
        let variables = Variables::new(variables);
        self.start_named(id, &name, |delivery, name| async move {
            Ok(secret(delivery.read_one(&name, &variables, Freshness::Fresh).await?.map(|found| found.value)))
        });
    }

    /// `getSecretFromAWS`.
    #[napi(catch_unwind)]
    pub fn get_secret_from_aws(&self, id: u32, name: String, environment: Option<String>) {
        self.start_named(id, &name, |delivery, name| async move {
            delivery.get_from_aws(&name, environment.as_deref()).await.map(secret)
        });
    }

    /// `getSecretFromEnvFile`.
    #[napi(catch_unwind)]
    pub fn get_secret_from_env_file(&self, id: u32, name: String) {
        self.start_named(
            id,
            &name,
            |delivery, name| async move { delivery.get_from_env_file(&name).await.map(secret) },
        );
    }

    /// `getSecretFromRuntime`.
    #[napi(catch_unwind)]
    pub fn get_secret_from_runtime(&self, id: u32, name: String, variables: HashMap<String, String>) {
        let variables = Variables::new(variables);
        self.start_named(id, &name, |delivery, name| async move {
            delivery.get_from_runtime(&name, &variables).await.map(secret)
        });
    }

    /// `getToolSecrets`.
    #[napi(catch_unwind)]
    pub fn get_tool_secrets(&self, id: u32, tool: String, variables: HashMap<String, String>) {
        let variables = Variables::new(variables);
        self.start(id, |delivery| async move {
            let found = delivery.get_tool(&tool, &variables).await?;
            Ok(Outcome::Secrets(found.into_iter().map(|(kind, found)| (kind, found.value)).collect()))
        });
    }

    /// `explain`.
    #[napi(catch_unwind)]
    pub fn explain(&self, id: u32, name: String, variables: HashMap<String, String>) {
        let variables = Variables::new(variables);
        self.start_named(id, &name, |delivery, name| async move {
            let explanation = delivery.explain(&name, &variables).await?;
            Ok(Outcome::Report(report::explanation(delivery.environment(), &explanation).to_string()))
        });
    }

    /// `health`.
    #[napi(catch_unwind)]
    pub fn health(&self, id: u32) {
        self.start(id, |delivery| async move {
            let (status, checks) = health(&delivery).await?;
            let report = report::health(delivery.environment(), delivery.clock(), status, &checks);
            Ok(Outcome::Report(report.to_string()))
        });
    }

    /// `validateToolSecrets`.
    #[napi(catch_unwind)]
    pub fn validate_tool_secrets(
        &self,
        id: u32,
        tool: String,
        other_environments: Vec<String>,
        variables: HashMap<String, String>,
    ) {
        let variables = Variables::new(variables);
        self.start(id, |delivery| async move {
            let mut secrets = delivery.validate_tool(&tool, &variables).await?;
            delivery.compare_environments(&mut secrets, &other_environments).await?;
            Ok(validation(&delivery, Some(&tool), &secrets))
        });
    }

    /// `validateSecretAccess`.
    #[napi(catch_unwind)]
    pub fn validate_secret_access(&self, id: u32, scope: NativeScope) {
        self.start(id, |delivery| async move {
            let access = delivery.validate_access(&scope.read()?).await?;
            let mut report = report::validation(delivery.environment(), delivery.clock(), None, &access.secrets);
            report["permissions"] = report::permissions(&access.permissions);
            Ok(Outcome::Report(report.to_string()))
        });
    }

    /// `validateSecretConsistency`.
    #[napi(catch_unwind)]
    pub fn validate_secret_consistency(&self, id: u32, scope: NativeScope) {
        self.start(id, |delivery| async move {
            Ok(validation(&delivery, None, &delivery.validate_consistency(&scope.read()?).await?))
        });
    }

    /// `validateApplicationFunctionality`.
    #[napi(catch_unwind)]
    pub fn validate_application_functionality(&self, id: u32, scope: NativeScope, variables: HashMap<String, String>) {
        let variables = Variables::new(variables);
        self.start(id, |delivery| async move {
            Ok(validation(&delivery, None, &delivery.validate_functionality(&variables, &scope.read()?).await?))
        });
    }

    /// `assessPerformanceImpact`.
    #[napi(catch_unwind)]
    pub fn assess_performance_impact(&self, id: u32) {
        self.start(id, |delivery| async move {
            let layers = delivery.assess_performance().await?;
            let report = report::performance(delivery.environment(), delivery.clock(), &layers);
            Ok(Outcome::Report(report.to_string()))
        });
    }

    /// `rotation.rotate`.
    #[napi(catch_unwind)]
    pub fn rotate(&self, id: u32, name: String, environment: Option<String>) {
        self.start_named(id, &name, |delivery, name| async move {
            let report = delivery.rotate(&name, environment.as_deref()).await?;
            Ok(Outcome::Report(report::rotation(&report).to_string()))
        });
    }

    /// `rotation.due`.
    #[napi(catch_unwind)]
    pub fn rotation_due(&self, id: u32) {
        self.start(id, |delivery| async move {
            let calendar = delivery.calendar().await?;
            Ok(Outcome::Report(report::calendar(delivery.clock(), &calendar).to_string()))
        });
    }

    /// `migration.plan`.
    #[napi(catch_unwind)]
    pub fn migration_plan(&self, id: u32, scope: NativeScope) {
        self.start(id, |delivery| async move { migration::plan(&delivery, scope).await.map(Outcome::Report) });
    }

    /// `migration.apply`.
    #[napi(catch_unwind)]
    pub fn migration_apply(&self, id: u32, scope: NativeScope, overwrite: bool) {
        let completions = self.completions.clone();
        self.start(id, |delivery| async move {
            migration::apply(&delivery, &completions, id, scope, overwrite).await.map(Outcome::Report)
        });
    }

    /// `migration.retire`.
    #[napi(catch_unwind)]
    pub fn migration_retire(&self, id: u32, scope: NativeScope, mode: String) {
        self.start(id, |delivery| async move { migration::retire(&delivery, scope, &mode).await.map(Outcome::Report) });
    }

    /// `migration.rollback`.
    #[napi(catch_unwind)]
    pub fn migration_rollback(&self, id: u32, backup: Option<String>) {
        self.start(id, |delivery| async move { migration::rollback(&delivery, backup).await.map(Outcome::Report) });
    }

    /// `rotation.policies` as JSON text.
    #[napi(catch_unwind)]
    pub fn rotation_policies(&self) -> String {
        report::policies(self.delivery.rotation().policies()).to_string()
    }

    /// `rotation.start`.
    #[napi(catch_unwind)]
    pub fn rotation_start(&self) -> bool {
        within_runtime_if_available(|| self.delivery.start_rotating())
    }

    /// `rotation.stop`.
    #[napi(catch_unwind)]
    pub fn rotation_stop(&self) {
        self.delivery.rotation().stop();
    }

    /// A value that a hook under way asks for; `null` once it ended.
    #[napi(ts_return_type = "string | null", catch_unwind)]
    pub fn hook_value(&self, id: u32, pending: bool) -> Option<SecretText> {
        self.hooks.value(id, pending).map(SecretText)
    }

    /// A hook ended with a value or without.
    #[napi(catch_unwind)]
    pub fn hook_done(&self, id: u32, value: Option<String>) {
        self.hooks.finish(id, Ok(value.map(SecretValue::new)));
    }

    /// A hook failed with an error of a class and, where there is one, a code.
    #[napi(catch_unwind)]
    pub fn hook_failed(&self, id: u32, error_class: String, code: Option<String>) {
        self.hooks.finish(id, Err(HookFailure::new(&error_class, code.as_deref())));
    }

    /// Audit lines were taken, or refused with a reason.
    #[napi(catch_unwind)]
    pub fn ship_done(&self, id: u32, refused: Option<String>) {
        self.shipping.done(id, refused.map_or(Ok(()), Err));
    }

    /// `getSecretVersions`: the values by label, and under `details` the rest as JSON text.
    #[napi(catch_unwind)]
    pub fn get_secret_versions(&self, id: u32, name: String, fresh: bool) {
        self.start_named(id, &name, |delivery, name| async move {
            let versions = delivery.versions(&name, fresh).await?;
            let labelled =
                [("current", &versions.current), ("previous", &versions.previous), ("pending", &versions.pending)];
            let values = labelled
                .into_iter()
                .filter_map(|(label, version)| Some((label.to_owned(), version.as_ref()?.value.clone())));
            let details = SecretValue::new(report::versions(&versions).to_string());
            Ok(Outcome::Secrets(values.chain([("details".to_owned(), details)]).collect()))
        });
    }

    /// `handleSecretEvent`.
    #[napi(catch_unwind)]
    pub fn handle_event(&self, id: u32, event: String) {
        self.start(id, |delivery| async move { delivery.handle_event(&event).await.map(Outcome::Bool) });
    }

    /// Somebody wants to hear of changes.
    #[napi(catch_unwind)]
    pub fn watch(&self) {
        within_runtime_if_available(|| self.delivery.watch());
    }

    /// `cache.get`.
    #[napi(catch_unwind)]
    pub fn cache_get(&self, id: u32, name: String) {
        self.start_named(id, &name, |delivery, name| async move { delivery.cache_get(&name).await.map(secret) });
    }

    /// `cache.set`; the TTL is whole seconds, checked by the caller.
    #[napi(catch_unwind)]
    pub fn cache_set(&self, id: u32, name: String, value: String, ttl_seconds: Option<u32>) {
        let value = SecretValue::new(value);
        let ttl = ttl_seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
        self.start_named(id, &name, |delivery, name| async move {
            delivery.cache_set(&name, value, ttl).await.map(|()| Outcome::Null)
        });
    }

    /// `cache.invalidate`.
    #[napi(catch_unwind)]
    pub fn cache_invalidate(&self, id: u32, name: String) {
        self.start_named(id, &name, |delivery, name| async move {
            delivery.cache_invalidate(&name).await.map(|()| Outcome::Null)
        });
    }

    /// `cache.clear`.
    #[napi(catch_unwind)]
    pub fn cache_clear(&self, id: u32) {
        self.start(id, |delivery| async move { delivery.cache_clear().await.map(|()| Outcome::Null) });
    }

    /// `metrics.recordSecretRetrieval`.
    #[napi(catch_unwind)]
    pub fn record_retrieval(&self, latency_ms: f64, success: bool) {
        // Checked by the caller; what no duration can hold is as good as endless.
        let took = Duration::try_from_secs_f64(latency_ms / 1000.0).unwrap_or(Duration::MAX);
        self.delivery.metrics().record(took, success);
    }

    /// Every metric as text: for Prometheus, or in the OpenMetrics format.
    #[napi(catch_unwind)]
    pub fn metrics_text(&self, openmetrics: bool) -> Result<String> {
        let families = self.delivery.metric_families();
        let text = if openmetrics { text::openmetrics(families) } else { text::prometheus(families) };
        text.map_err(|error| napi::Error::from_reason(error.to_string()))
    }

    /// Every metric as `prom-client` holds it, as JSON text.
    #[napi(catch_unwind)]
    pub fn metric_families(&self) -> String {
        report::families(&self.delivery.metric_families()).to_string()
    }

    /// Somebody wants to hear of alerts.
    #[napi(catch_unwind)]
    pub fn watch_alerts(&self) {
        within_runtime_if_available(|| self.delivery.watch_alerts());
    }

    /// `metrics.snapshot` as JSON text.
    #[napi(catch_unwind)]
    pub fn metrics_snapshot(&self) -> String {
        report::metrics(&self.delivery).to_string()
    }

    /// `close`.
    #[napi(catch_unwind)]
    pub fn close(&self, id: u32) {
        self.start(id, |delivery| async move {
            delivery.close().await;
            Ok(Outcome::Null)
        });
    }
}
