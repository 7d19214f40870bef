//! What a redactor looks for: the values that are held, and those that leave.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use cache::memory::Watcher;
use leaks::ledger::{Ledger, Sighted};
use secret::aws_ids::AwsIds;
use secret::error::Result;
use secret::name::SecretName;
use secret::notice::{Alert, Notice, Watched};
use secret::value::SecretValue;

use super::Delivery;
use crate::reads::Versions;
use crate::reads::table::Answer;
use crate::rotation::hooks::{Hook, HookAnswer, HookContext, Hooks, Stop};
use crate::source::runtime::Variables;
use crate::tool_secrets::ToolSecrets;

/// How often values whose time is over are forgotten.
const EVERY: Duration = Duration::from_mins(1);

impl Delivery {
    /// The values that a redactor looks for. The first call begins to collect them. Called inside a runtime.
    pub fn ledger(&self) -> &Arc<Ledger> {
        if self.ledger.activate() {
            if let Some(cache) = self.reads().cache() {
                let watcher = watcher(&self.ledger, self.reads().ids());
                for (name, entry) in cache.memory().entries(self.clock.now()) {
                    watcher(&name, &entry.value);
                }
            }
            if !self.is_closed() {
                self.keep_ledger();
            }
        }
        &self.ledger
    }

    /// Forgets values in time, and reports when a value is no longer found.
    fn keep_ledger(&self) {
        let (ledger, clock, stop) = (self.ledger.clone(), self.clock.clone(), self.stop.clone());
        let notices = self.alerts.as_ref().map(|_| self.notices.clone());
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = crate::timer::sleep(&clock, EVERY) => {}
                }
                ledger.expire();
                ledger.prepare();
                for sighted in ledger.quiet() {
                    if let Some(notices) = &notices {
                        notices.notice(Notice::Alert(alert(sighted, clock.unix_ms())));
                    }
                }
            }
        });
    }

    /// Reads `names` to look for their values, delivers none, and says what became of each. Called inside a runtime.
    ///
    /// # Errors
    /// `CLOSED`.
    #[boxed]
    pub async fn watch_values(&self, names: &[SecretName], variables: &Variables) -> Result<Vec<Result<bool>>> {
        self.open(async {
            self.ledger();
            let answers = self.read_inspecting("scan", names, variables).await;
            self.note_answers(names, &answers);
            Ok(answers.into_iter().map(|answer| answer.map(|found| found.is_some())).collect())
        })
        .await
    }

    /// A redactor replaced values of `secrets`. They are counted also where alerts are switched off.
    pub fn redacted(&self, secrets: &[Arc<str>]) {
        let sighted = self.ledger.sighted(secrets);
        if self.alerts.is_none() {
            return;
        }
        for sighted in sighted {
            self.warn(Notice::Alert(alert(sighted, self.clock.unix_ms())));
        }
    }

    /// How many values redactors replaced.
    pub fn values_redacted(&self) -> u64 {
        self.ledger.sightings().iter().map(|(_, count)| count).sum()
    }

    pub(super) fn note_answers(&self, names: &[SecretName], answers: &[Answer]) {
        if !self.ledger.is_active() {
            return;
        }
        for (name, answer) in names.iter().zip(answers) {
            if let Ok(Some(found)) = answer {
                self.ledger.note(name.as_str(), &found.value);
            }
        }
        self.ledger.prepare();
    }

    pub(super) fn note_tool(&self, tool: &str, found: &ToolSecrets) {
        for (kind, found) in found {
            self.ledger.note(&format!("{tool}_{kind}").to_ascii_uppercase(), &found.value);
        }
        self.ledger.prepare();
    }

    pub(super) fn note_versions(&self, name: &SecretName, versions: &Versions) {
        for version in [&versions.current, &versions.previous, &versions.pending].into_iter().flatten() {
            self.ledger.note_other(name.as_str(), &version.value);
        }
        self.ledger.prepare();
    }

    pub(super) fn note_others(&self, name: &str, value: Option<&SecretValue>) {
        if let Some(value) = value {
            self.ledger.note_other(name, value);
            self.ledger.prepare();
        }
    }
}

fn alert(sighted: Sighted, now: u64) -> Alert {
    #[expect(clippy::cast_precision_loss, reason = "shown in an alert")]
    let count = sighted.count as f64;
    Alert {
        watched: Watched::SecretInText,
        secret: Some(sighted.secret),
        is_firing: sighted.now,
        value: Some(count),
        threshold: 0.0,
        since_unix_ms: now,
        at_unix_ms: now,
    }
}

/// The names of a secret of AWS, each with the field that it is, or `None` for the whole.
type NamesOf = HashMap<Arc<str>, Vec<(Box<str>, Option<Arc<str>>)>>;

/// Notes each value that comes into memory, and the declared fields of it.
pub(super) fn watcher(ledger: &Arc<Ledger>, ids: &AwsIds) -> Watcher {
    let mut fields = NamesOf::new();
    for (name, place) in ids.places() {
        fields.entry(place.secret.text()).or_default().push((name.as_str().into(), place.field.clone()));
    }
    let ledger = ledger.clone();
    Box::new(move |name, value| {
        if !ledger.is_active() {
            return;
        }
        let Some(names) = fields.get(name) else { return ledger.note(name, value) };
        for (name, field) in names {
            match field {
                None => ledger.note(name, value),
                Some(field) => {
                    if let Ok(Some(part)) = value.field(field) {
                        ledger.note(name, &part);
                    }
                }
            }
        }
        // The whole is a secret as well, whichever of its fields are declared.
        if names.iter().all(|(_, field)| field.is_some()) {
            ledger.note(name, value);
        }
    })
}

/// The service's hooks, whose values are noted before the service has them.
pub(super) struct WatchedHooks {
    hooks: Arc<dyn Hooks>,
    ledger: Arc<Ledger>,
}

impl WatchedHooks {
    pub(super) fn new(hooks: Arc<dyn Hooks>, ledger: Arc<Ledger>) -> Self {
        Self { hooks, ledger }
    }
}

impl Hooks for WatchedHooks {
    fn has(&self, hook: Hook, name: &str) -> bool {
        self.hooks.has(hook, name)
    }

    fn call(&self, hook: Hook, context: HookContext, stop: Stop) -> HookAnswer {
        if !self.ledger.is_active() {
            return self.hooks.call(hook, context, stop);
        }
        for value in [Some(&context.current), context.pending.as_ref()].into_iter().flatten() {
            self.ledger.note_other(&context.name, value);
        }
        self.ledger.prepare();
        let (ledger, name) = (self.ledger.clone(), context.name.clone());
        let answer = self.hooks.call(hook, context, stop);
        Box::pin(async move {
            let answer = answer.await;
            if let Ok(Some(value)) = &answer {
                ledger.note_other(&name, value);
            }
            answer
        })
    }
}
