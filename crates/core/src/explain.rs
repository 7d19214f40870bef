//! Why a secret has the value it has (`explain`). Looks without changing anything and never holds the value.

use std::sync::Arc;
use std::time::Duration;

use crate::layer::AwsLayer;
use crate::resolver::Resolver;
use crate::source::runtime::Precedence;
use crate::source::runtime::Variables;
use cache::memory::{Entry, Lookup};
use cache::tiered::Shared;
use secret::breaker::BreakerState;
use secret::clock::{Clock, Moment, millis};
use secret::error::{Result, SecretError};
use secret::found::Origin;
use secret::name::SecretName;

/// What a layer has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerState {
    /// A value that answers.
    Hit,
    /// A value past its TTL.
    Stale,
    /// Nothing.
    Miss,
    /// It failed.
    Error,
    /// Switched off.
    Disabled,
    /// Not asked: an earlier layer answered.
    Skipped,
}

impl LayerState {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Miss => "miss",
            Self::Error => "error",
            Self::Disabled => "disabled",
            Self::Skipped => "skipped",
        }
    }
}

/// One layer's part.
#[derive(Clone, Debug)]
pub struct LayerReport {
    /// Which layer.
    pub layer: Origin,
    /// What it has to say.
    pub state: LayerState,
    /// File path or AWS id.
    pub place: Option<String>,
    /// AWS's version id.
    pub version_id: Option<Arc<str>>,
    /// How old the copy is, in milliseconds.
    pub age_ms: Option<u64>,
    /// Until when it is fresh, in milliseconds since 1970.
    pub fresh_until_unix_ms: Option<u64>,
    /// Until when it may answer for a failing AWS, in milliseconds since 1970.
    pub stale_until_unix_ms: Option<u64>,
    /// When a read begins its refresh in the background, in milliseconds since 1970.
    pub refresh_at_unix_ms: Option<u64>,
    /// Why it failed.
    pub error: Option<SecretError>,
}

/// What a secret costs in a month, at AWS's list prices, when this instance alone reads it all the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Calls of AWS: one for each refresh.
    pub aws_calls: u64,
    /// Storage and calls, in US dollars.
    pub cost_usd: f64,
}

impl Estimate {
    /// With a copy that is refreshed at about 85 % of `ttl`.
    ///
    /// # Source
    /// <https://aws.amazon.com/secrets-manager/pricing/>
    fn of(ttl: Duration) -> Self {
        const MONTH_SECONDS: f64 = 30.0 * 86_400.0;
        const STORED: f64 = 0.40;
        const PER_CALL: f64 = 0.05 / 10_000.0;
        let calls = (MONTH_SECONDS / (ttl.as_secs_f64() * 0.85)).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most one a second")]
        let aws_calls = calls as u64;
        Self { aws_calls, cost_usd: STORED + calls * PER_CALL }
    }
}

/// The whole explanation.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The secret.
    pub name: String,
    /// Its AWS id.
    pub aws_id: String,
    /// The layer whose value a read returns now.
    pub answered_by: Option<Origin>,
    /// Whether that value is past its TTL.
    pub stale: bool,
    /// That value's version.
    pub version_id: Option<Arc<str>>,
    /// What a read would reject with now.
    pub error: Option<SecretError>,
    /// In the order they are asked.
    pub layers: Vec<LayerReport>,
    /// Which sources are asked at all.
    pub breakers: Vec<(String, BreakerState)>,
    /// `None` where nothing is cached: every read is a call.
    pub estimate: Option<Estimate>,
}

/// Looks at each layer in the order a read would ask it.
pub async fn explain(resolver: &Resolver, name: &SecretName, variables: &Variables, clock: &Clock) -> Explanation {
    let mut story = Story { layers: Vec::new(), answer: None, failure: None };
    if resolver.precedence == Precedence::Override {
        story.runtime(resolver, name, variables).await;
    }
    story.aws(&resolver.layer, name, clock).await;
    if let Some(error) = story.failure.clone().filter(|error| resolver.rejects(error)) {
        story.answer.get_or_insert(Conclusion::Rejected(error));
    }
    story.env_file(resolver, name).await;
    if resolver.precedence == Precedence::Last {
        story.runtime(resolver, name, variables).await;
    }
    let aws_failure = story.failure.and_then(|error| resolver.unless_optional(error).err());
    let (answered_by, stale, error) = match story.answer {
        Some(Conclusion::Value { by, stale }) => (Some(by), stale, None),
        Some(Conclusion::Rejected(error)) => (None, false, Some(error)),
        None => (None, false, aws_failure),
    };
    let version_id =
        story.layers.iter().find(|layer| Some(layer.layer) == answered_by).and_then(|layer| layer.version_id.clone());
    Explanation {
        name: name.as_str().to_owned(),
        aws_id: resolver.layer.id(name),
        answered_by,
        stale,
        version_id,
        error,
        layers: story.layers,
        breakers: resolver.layer.breakers(),
        estimate: resolver.layer.cache.as_ref().map(|cache| Estimate::of(cache.ttl())),
    }
}

enum Conclusion {
    Value { by: Origin, stale: bool },
    Rejected(SecretError),
}

struct Story {
    layers: Vec<LayerReport>,
    answer: Option<Conclusion>,
    failure: Option<SecretError>,
}

impl Story {
    fn add(&mut self, layer: Origin, state: LayerState) -> &mut LayerReport {
        let report = LayerReport {
            layer,
            state,
            place: None,
            version_id: None,
            age_ms: None,
            fresh_until_unix_ms: None,
            stale_until_unix_ms: None,
            refresh_at_unix_ms: None,
            error: None,
        };
        self.layers.push(report);
        let last = self.layers.len() - 1;
        &mut self.layers[last]
    }

    fn answered(&mut self, by: Origin, stale: bool) {
        self.answer.get_or_insert(Conclusion::Value { by, stale });
    }

    /// A local source: hit, miss or error.
    fn local(&mut self, layer: Origin, place: Option<String>, found: Result<bool>) {
        if self.answer.is_some() {
            self.add(layer, LayerState::Skipped).place = place;
            return;
        }
        match found {
            Ok(true) => {
                self.add(layer, LayerState::Hit).place = place;
                self.answered(layer, false);
            }
            Ok(false) => self.add(layer, LayerState::Miss).place = place,
            Err(error) => {
                let report = self.add(layer, LayerState::Error);
                report.place = place;
                report.error = Some(error.clone());
                self.answer = Some(Conclusion::Rejected(error));
            }
        }
    }

    async fn env_file(&mut self, resolver: &Resolver, name: &SecretName) {
        match &resolver.env_file {
            None => drop(self.add(Origin::EnvFile, LayerState::Disabled)),
            Some(file) => {
                let found = resolver.from_env_file(name).await.map(|found| found.is_some());
                self.local(Origin::EnvFile, Some(file.path()), found);
            }
        }
    }

    async fn runtime(&mut self, resolver: &Resolver, name: &SecretName, variables: &Variables) {
        let found = resolver.runtime.get(name, variables).await;
        let place = found.as_ref().ok().and_then(Option::as_ref).map(|located| located.place.clone());
        self.local(Origin::Runtime, place, found.map(|found| found.is_some()));
    }

    async fn aws(&mut self, layer: &AwsLayer, name: &SecretName, clock: &Clock) {
        let before = self.answer.is_some();
        let mut stale: Option<Origin> = None;
        let mut known_absent = false;
        match layer.cache.as_ref().map(|cache| cache.lookup(name)) {
            None => drop(self.add(Origin::Memory, LayerState::Disabled)),
            Some(Lookup::Fresh(entry)) => {
                self.copy(Origin::Memory, LayerState::Hit, &entry, clock);
                self.answered(Origin::Memory, false);
            }
            Some(Lookup::Held(entry)) => {
                self.copy(Origin::Memory, LayerState::Stale, &entry, clock);
                self.answered(Origin::Memory, true);
            }
            Some(Lookup::Stale(entry)) => {
                self.copy(Origin::Memory, LayerState::Stale, &entry, clock);
                stale = Some(Origin::Memory);
            }
            Some(Lookup::Denied(error)) => {
                self.add(Origin::Memory, LayerState::Miss).place = Some("AWS refused it moments ago".into());
                self.failure = Some(error);
            }
            Some(Lookup::Absent) => {
                known_absent = true;
                self.add(Origin::Memory, LayerState::Miss).place = Some("AWS said moments ago that it has none".into());
            }
            Some(Lookup::Miss) => drop(self.add(Origin::Memory, LayerState::Miss)),
        }
        if let Some(shared) = self.shared(layer, name, clock).await {
            stale = stale.or(Some(shared));
        }
        let place = Some(layer.id(name));
        let Some(aws) = &layer.aws else {
            self.add(Origin::Aws, LayerState::Disabled).place = place;
            return;
        };
        if self.answer.is_some() || known_absent || self.failure.is_some() {
            let last = layer.last_failure();
            let report = self.add(Origin::Aws, LayerState::Skipped);
            report.place = place;
            report.error = last.filter(|_| !before);
            return;
        }
        match aws.fetch(&layer.id(name)).await {
            Ok(found) => {
                let found = found.filter(|found| !found.value.is_empty());
                let state = if found.is_some() { LayerState::Hit } else { LayerState::Miss };
                let report = self.add(Origin::Aws, state);
                report.place = place;
                if let Some(found) = found {
                    report.version_id = found.version_id;
                    self.answered(Origin::Aws, false);
                }
            }
            Err(error) => {
                let report = self.add(Origin::Aws, LayerState::Error);
                report.place = place;
                report.error = Some(error.clone());
                match stale.filter(|_| !error.is_denied()) {
                    Some(by) => self.answered(by, true),
                    None => self.failure = Some(error),
                }
            }
        }
    }

    /// Looks into the shared cache; the layer when it has a stale copy.
    async fn shared(&mut self, layer: &AwsLayer, name: &SecretName, clock: &Clock) -> Option<Origin> {
        let Some(cache) = layer.cache.as_ref().filter(|cache| cache.redis().is_some()) else {
            self.add(Origin::Redis, LayerState::Disabled);
            return None;
        };
        if self.answer.is_some() {
            self.add(Origin::Redis, LayerState::Skipped);
            return None;
        }
        match cache.peek_shared(name).await {
            Shared::Fresh(entry) => {
                self.copy(Origin::Redis, LayerState::Hit, &entry, clock);
                self.answered(Origin::Redis, false);
                None
            }
            Shared::Stale(entry) => {
                self.copy(Origin::Redis, LayerState::Stale, &entry, clock);
                Some(Origin::Redis)
            }
            Shared::Failed(error) => {
                self.add(Origin::Redis, LayerState::Error).error = Some(error);
                None
            }
            Shared::Miss | Shared::Disabled => {
                self.add(Origin::Redis, LayerState::Miss);
                None
            }
        }
    }

    fn copy(&mut self, layer: Origin, state: LayerState, entry: &Entry, clock: &Clock) {
        let (now, wall) = (clock.now(), clock.unix_ms());
        let at = |moment: Moment| {
            let (ahead, behind) = (millis(moment.since(now)), millis(now.since(moment)));
            wall.saturating_add(ahead).saturating_sub(behind)
        };
        let report = self.add(layer, state);
        report.version_id.clone_from(&entry.version_id);
        report.age_ms = Some(wall.saturating_sub(entry.fetched_unix_ms));
        report.fresh_until_unix_ms = Some(at(entry.deadlines.fresh_until));
        report.stale_until_unix_ms = Some(at(entry.deadlines.stale_until));
        let refresh_at = entry.deadlines.refresh_at;
        report.refresh_at_unix_ms = (refresh_at != Moment::NEVER).then(|| at(refresh_at));
    }
}
