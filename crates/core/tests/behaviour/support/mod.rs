//! A delivery over the in-repo AWS endpoint and a clock that moves by hand.
#![allow(dead_code, clippy::expect_used, clippy::unwrap_used, reason = "shared by several test programs")]

pub mod redis_server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_endpoint::{AwsEndpoint, Fault};
use cache::memory::Epoch;
use parking_lot::Mutex;
use secret::clock::{Clock, Moment};
use secret::error::{ErrorCode, Result};
use secret::name::SecretName;
use secret::notice::{Notice, Notices};
use secret::value::SecretValue;
use serde_json::{Value as Json, json};
use tcs_secret_delivery_core::audit::Shipper;
use tcs_secret_delivery_core::config::{Ambient, Config, OptionValue};
use tcs_secret_delivery_core::delivery::{Delivery, Served};
use tcs_secret_delivery_core::explain::Explanation;
use tcs_secret_delivery_core::resolver::Freshness;
use tcs_secret_delivery_core::rotation::hooks::{Hook, HookAnswer, HookContext, HookFailure, Hooks, Stop};
use tcs_secret_delivery_core::source::runtime::Variables;
use tcs_secret_delivery_core::timer::Deadline;
use tempfile::TempDir;

/// What copies outside of the process are sealed with.
pub const ENCRYPTION_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Options as a service would write them.
pub fn options(json: &Json) -> OptionValue {
    match json {
        Json::Null => OptionValue::Null,
        Json::Bool(value) => OptionValue::Bool(*value),
        Json::Number(number) => OptionValue::Number(number.as_f64().unwrap()),
        Json::String(text) => OptionValue::text(text),
        Json::Array(items) => OptionValue::List(items.iter().map(options).collect()),
        Json::Object(fields) => {
            OptionValue::Record(fields.iter().map(|(name, value)| (name.clone(), options(value))).collect())
        }
    }
}

/// Collects notices.
#[derive(Default)]
pub struct Heard(Mutex<Vec<Notice>>);

impl Notices for Heard {
    fn notice(&self, notice: Notice) {
        self.0.lock().push(notice);
    }
}

impl Heard {
    /// The codes of the warnings so far.
    pub fn warnings(&self) -> Vec<&'static str> {
        let heard = self.0.lock();
        heard.iter().filter_map(|n| if let Notice::Warning { code, .. } = n { Some(*code) } else { None }).collect()
    }

    /// The rotations so far, as `tool/type`.
    pub fn rotated(&self) -> Vec<String> {
        let heard = self.0.lock();
        let rotated = |notice: &Notice| match notice {
            Notice::Rotated { tool, secret_type } => Some(format!("{tool}/{secret_type}")),
            _ => None,
        };
        heard.iter().filter_map(rotated).collect()
    }

    /// The announced rotations so far, as name and who rotates it.
    pub fn announced_by(&self) -> Vec<(String, &'static str)> {
        let heard = self.0.lock();
        let announced = |notice: &Notice| match notice {
            Notice::RotationAnnounced { name, by, .. } => Some((name.clone(), *by)),
            _ => None,
        };
        heard.iter().filter_map(announced).collect()
    }

    /// The announced rotations so far, as name and days left.
    pub fn announced(&self) -> Vec<(String, u64)> {
        let heard = self.0.lock();
        let announced = |notice: &Notice| match notice {
            Notice::RotationAnnounced { name, days_left, .. } => Some((name.clone(), *days_left)),
            _ => None,
        };
        heard.iter().filter_map(announced).collect()
    }
}

/// What a test does in place of a service's hook.
type TestHook = Box<dyn Fn(HookContext) -> HookAnswer + Send + Sync>;

/// Hooks that a test fills in.
#[derive(Default)]
pub struct TestHooks(Mutex<Vec<(Hook, Arc<TestHook>)>>);

impl TestHooks {
    /// Sets or replaces a hook that ends at once.
    pub fn on<F>(&self, hook: Hook, answer: F)
    where
        F: Fn(HookContext) -> std::result::Result<Option<SecretValue>, HookFailure> + Send + Sync + 'static,
    {
        self.put(hook, Box::new(move |context| Box::pin(std::future::ready(answer(context)))));
    }

    /// Sets or replaces a hook whose answer takes its time.
    pub fn slow<F>(&self, hook: Hook, answer: F)
    where
        F: Fn(HookContext) -> HookAnswer + Send + Sync + 'static,
    {
        self.put(hook, Box::new(answer));
    }

    /// Sets or replaces a hook that never ends.
    pub fn hangs(&self, hook: Hook) {
        self.put(hook, Box::new(|_| Box::pin(std::future::pending())));
    }

    fn put(&self, hook: Hook, answer: TestHook) {
        let mut all = self.0.lock();
        all.retain(|(own, _)| *own != hook);
        all.push((hook, Arc::new(answer)));
    }

    fn find(&self, hook: Hook) -> Option<Arc<TestHook>> {
        self.0.lock().iter().find(|(own, _)| *own == hook).map(|(_, answer)| answer.clone())
    }
}

impl Hooks for TestHooks {
    fn has(&self, hook: Hook, _: &str) -> bool {
        self.find(hook).is_some()
    }

    fn call(&self, hook: Hook, context: HookContext, _: Stop) -> HookAnswer {
        (self.find(hook).expect("asked for before"))(context)
    }
}

/// One service with its AWS, its directory and its variables.
pub struct World {
    pub aws: AwsEndpoint,
    pub directory: TempDir,
    pub clock: Clock,
    pub heard: Arc<Heard>,
    pub hooks: Arc<TestHooks>,
    pub variables: Vec<(String, String)>,
}

impl World {
    pub async fn new() -> Self {
        Self {
            aws: AwsEndpoint::start().await.expect("a free port"),
            directory: tempfile::tempdir().expect("a directory"),
            clock: Clock::test(),
            heard: Arc::default(),
            hooks: Arc::default(),
            variables: Vec::new(),
        }
    }

    /// Writes a file into the working directory.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        path
    }

    /// Sets a process variable.
    pub fn variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// A delivery in `environment`, with `more` options over the ones that lead to this world.
    pub fn deliver(&self, environment: &str, more: Json) -> Service<'_> {
        self.deliver_shipping(environment, more, None)
    }

    /// [`World::deliver`], with a function that takes the lines of the audit log.
    pub fn deliver_shipping(&self, environment: &str, more: Json, shipper: Option<Shipper>) -> Service<'_> {
        let mut all = json!({
            "environment": environment,
            "aws": {
                "endpoint": self.aws.url(),
                "region": "eu-central-1",
                "credentials": { "accessKeyId": "test", "secretAccessKey": "test" },
                "maxAttempts": 1,
            },
            "audit": false,
            "compliance": false,
            "runtime": { "secretDirectories": [self.directory.path().join("mounted")] },
        });
        merge(&mut all, more);
        let ambient = Ambient { working_directory: self.directory.path().into(), ..Ambient::default() };
        let config = Config::from_options(options(&all), &ambient).expect("valid options");
        let runtime = tokio::runtime::Handle::current();
        let delivery =
            Delivery::new(config, self.heard.clone(), self.hooks.clone(), shipper, self.clock.clone(), runtime)
                .expect("a delivery");
        Service { delivery: Arc::new(delivery), world: self }
    }

    /// Calls of AWS since the last time this was asked.
    pub fn calls(&self) -> u64 {
        let calls = self.aws.calls().total;
        self.aws.reset_calls();
        calls
    }

    pub fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub fn merge(into: &mut Json, more: Json) {
    match (into, more) {
        (Json::Object(into), Json::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name).or_insert(Json::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

/// A delivery and where it lives.
pub struct Service<'w> {
    pub delivery: Arc<Delivery>,
    world: &'w World,
}

impl Service<'_> {
    fn variables(&self) -> Variables {
        Variables::new(self.world.variables.iter().cloned())
    }

    /// The text a read gives.
    pub async fn read(&self, name: &str) -> Result<Option<String>> {
        self.read_as(name, Freshness::Cached).await
    }

    /// The text a read gives that takes copies as `freshness` says.
    pub async fn read_as(&self, name: &str, freshness: Freshness) -> Result<Option<String>> {
        let found = self.delivery.read_one(&secret(name), &self.variables(), freshness).await?;
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: a test compares it")]
        Ok(found.map(|found| found.value.expose().to_owned()))
    }

    /// The text a read gives, which must be one.
    pub async fn value(&self, name: &str) -> String {
        self.read(name).await.expect("no failure").expect("a value")
    }

    /// The texts of several names that are asked for at the same time.
    pub async fn together(&self, names: &[String]) -> Vec<Result<Option<String>>> {
        let (names, variables): (Vec<_>, Vec<_>) = names.iter().map(|name| (secret(name), self.variables())).unzip();
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: a test compares it")]
        let text = |found: secret::found::Found| found.value.expose().to_owned();
        self.delivery
            .read(&names, &variables, Freshness::Cached)
            .await
            .into_iter()
            .map(|answer| Ok(answer?.map(text)))
            .collect()
    }

    fn cached(&self, name: &str) -> Option<Served> {
        let hot = self.delivery.hot_path();
        hot.read(&hot.known(name))
    }

    /// The text that the hot path gives without waiting.
    pub fn hot(&self, name: &str) -> Option<String> {
        let served = self.cached(name)?;
        let entry = served.entry()?;
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: a test compares it")]
        Some(entry.value.expose().to_owned())
    }

    /// When the copy that the hot path gives was asked for.
    pub fn asked_at(&self, name: &str) -> Moment {
        self.cached(name).as_ref().and_then(Served::entry).expect("a copy").asked.at()
    }

    /// Reads `name` and returns once this instance hears of what others change, with a copy that it trusts.
    pub async fn follow(&self, name: &str) {
        self.value(name).await;
        let memory = self.delivery.reads().cache().expect("a cache").memory();
        until("the subscription stands", || memory.epoch() != Epoch::default()).await;
        self.value(name).await;
    }

    /// Reads until the value is `expected`: what is done in the background takes its time.
    pub async fn eventually(&self, name: &str, expected: &str) {
        let end = Deadline::after(Duration::from_secs(10));
        while self.value(name).await != expected {
            assert!(!end.has_passed(), "{name} did not become {expected}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The code a read rejects with.
    pub async fn refusal(&self, name: &str) -> ErrorCode {
        self.read(name).await.expect_err("a rejection").code()
    }

    /// The texts of a tool's secrets.
    pub async fn tool(&self, tool: &str) -> Result<Vec<(String, String)>> {
        self.tool_as(tool, Freshness::Cached).await
    }

    /// The texts of a tool's secrets, with copies as `freshness` says.
    pub async fn tool_as(&self, tool: &str, freshness: Freshness) -> Result<Vec<(String, String)>> {
        let found = self.delivery.get_tool(tool, &self.variables(), freshness, 1).await?;
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: a test compares it")]
        Ok(found.into_iter().map(|(kind, found)| (kind, found.value.expose().to_owned())).collect())
    }

    pub async fn explain(&self, name: &str) -> Explanation {
        self.delivery.explain(&secret(name), &self.variables()).await.expect("an explanation")
    }

    pub async fn refresh(&self, name: &str) -> Result<Option<String>> {
        let found = self.delivery.read_one(&secret(name), &self.variables(), Freshness::Fresh).await?;
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: a test compares it")]
        Ok(found.map(|found| found.value.expose().to_owned()))
    }
}

pub fn secret(name: &str) -> SecretName {
    SecretName::new(name).expect("a name")
}

/// AWS fails whatever it is asked.
pub fn outage() -> Fault {
    Fault::error(500, "InternalServiceError")
}

/// Calls of AWS by operation since the last time this was asked.
pub fn calls(world: &World) -> BTreeMap<String, u64> {
    let calls = world.aws.calls().by_operation;
    world.aws.reset_calls();
    calls
}

/// Expected calls by operation.
pub fn counts(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(operation, count)| ((*operation).to_owned(), *count)).collect()
}

/// Waits until `condition` holds.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Deadline::after(Duration::from_secs(10));
    loop {
        // First of all, so that what was just begun does begin.
        tokio::time::sleep(Duration::from_millis(1)).await;
        if condition() {
            return;
        }
        assert!(!end.has_passed(), "{what}: it did not happen");
    }
}
