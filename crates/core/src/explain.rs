//! Why a secret has the value it has (`explain`). Looks without changing anything and never holds the value.

use std::sync::Arc;
use std::time::Duration;

use cache::entry::Entry;
use cache::memory::Lookup;
use cache::tiered::Shared;
use secret::breaker::BreakerState;
use secret::clock::{Clock, Moment, millis};
use secret::error::{Result, SecretError};
use secret::found::{Fetched, Origin};
use secret::name::SecretName;

use crate::reads::Reads;
use crate::reads::fields::part_of;
use crate::reads::table::{Answer, Course, Step};
use crate::resolver::{Progress, Resolver, Source, local};
use crate::source::runtime::Variables;

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
    /// The field of the AWS secret that it is; `None`: the whole.
    pub field: Option<Arc<str>>,
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

/// Follows the course of a read without changing anything, and writes down what each layer says.
pub async fn explain(resolver: &Resolver, name: &SecretName, variables: &Variables, clock: &Clock) -> Explanation {
    let mut report = Recorder { layers: Vec::new(), clock };
    let mut progress = Progress::default();
    for source in resolver.order() {
        let asked = progress.is_open();
        match source {
            Source::Aws => match resolver.reads.ids().place(name) {
                Ok(place) => {
                    if let Some(said) = report.aws(&resolver.reads, &place.secret, asked).await {
                        progress.hear(
                            resolver,
                            name,
                            source,
                            part_of(resolver.reads.ids(), name.as_str(), &place, said),
                        );
                    }
                }
                Err(error) if asked => progress.hear(resolver, name, source, Err(error)),
                Err(_) => {}
            },
            Source::EnvFile => {
                let Some(file) = &resolver.env_file else {
                    report.add(Origin::EnvFile, LayerState::Disabled);
                    continue;
                };
                let said = if asked { Some(resolver.from_env_file(name).await) } else { None };
                // Of several files the one whose value counts.
                let place = match &said {
                    Some(Ok(Some(_))) => file.place_of(name).await,
                    _ => None,
                };
                report.local(Origin::EnvFile, Some(place.unwrap_or_else(|| file.path())), said.as_ref());
                if let Some(said) = said {
                    progress.hear(resolver, name, source, said);
                }
            }
            Source::Runtime => {
                // Looked at even when an earlier source answers: its place tells which value would override.
                let located = resolver.runtime.get(name, variables).await;
                let place = located.as_ref().ok().and_then(Option::as_ref).map(|located| located.place.clone());
                let said = located.map(|located| located.map(|located| local(located.value, Origin::Runtime)));
                report.local(Origin::Runtime, place, asked.then_some(&said));
                if asked {
                    progress.hear(resolver, name, source, said);
                }
            }
        }
    }
    let answer = progress.answer();
    let found = answer.as_ref().ok().and_then(Option::as_ref);
    Explanation {
        name: name.as_str().to_owned(),
        aws_id: resolver.reads.id(name),
        field: resolver.reads.ids().place(name).ok().and_then(|place| place.field),
        answered_by: found.map(|found| found.origin),
        stale: found.is_some_and(|found| found.stale),
        version_id: found.and_then(|found| found.version_id.clone()),
        error: answer.err(),
        layers: report.layers,
        breakers: resolver.reads.breakers(),
        estimate: resolver.reads.cache().map(|cache| Estimate::of(cache.ttl())),
    }
}

/// Writes down what the layers say.
struct Recorder<'a> {
    layers: Vec<LayerReport>,
    clock: &'a Clock,
}

impl Recorder<'_> {
    fn add(&mut self, layer: Origin, state: LayerState) -> &mut LayerReport {
        self.layers.push(LayerReport {
            layer,
            state,
            place: None,
            version_id: None,
            age_ms: None,
            fresh_until_unix_ms: None,
            stale_until_unix_ms: None,
            refresh_at_unix_ms: None,
            error: None,
        });
        let last = self.layers.len() - 1;
        &mut self.layers[last]
    }

    /// A local source; `said` is `None` when an earlier source answered.
    fn local(&mut self, layer: Origin, place: Option<String>, said: Option<&Answer>) {
        let state = match said {
            None => LayerState::Skipped,
            Some(Ok(Some(_))) => LayerState::Hit,
            Some(Ok(None)) => LayerState::Miss,
            Some(Err(_)) => LayerState::Error,
        };
        let report = self.add(layer, state);
        report.place = place;
        report.error = said.and_then(|said| said.as_ref().err().cloned());
    }

    /// AWS behind its caches, by the course of a read. `None`: an earlier source answered, so a read would not ask.
    async fn aws(&mut self, reads: &Arc<Reads>, name: &SecretName, asked: bool) -> Option<Answer> {
        let mut step = self.memory(reads, name);
        if !asked {
            self.skipped(reads, name, None);
            return None;
        }
        let now = self.clock.now();
        loop {
            step = match step {
                Step::End(verdict) => {
                    // A refusal is of one secret; what was refused is in the answer.
                    let failure = verdict.answer.as_ref().err().cloned();
                    let failure = failure.or_else(|| reads.last_failure().filter(|error| !error.is_refused()));
                    self.skipped(reads, name, failure.as_ref());
                    return Some(verdict.answer);
                }
                Step::AskShared(course) => {
                    let shared = match reads.cache() {
                        Some(cache) => cache.peek_shared(name).await,
                        None => Shared::Disabled,
                    };
                    self.shared(&shared);
                    course.shared(shared)
                }
                Step::AskAws(course) => {
                    let held = reads.copies().held(name);
                    let said = reads.fetch_inspecting(name).await;
                    self.called(reads, name, &said);
                    course.aws(said, held, now)
                }
                Step::AskSnapshot(course, error) => {
                    let last = reads.last_copy(name).await;
                    if let Some(last) = &last {
                        self.copy(last.origin, LayerState::Stale, &last.copy);
                    } else if reads.cache().is_some_and(|cache| cache.snapshot().is_some()) {
                        self.add(Origin::Snapshot, LayerState::Miss);
                    }
                    Step::End(reads.last(course, error, last.as_ref()))
                }
            };
        }
    }

    fn memory(&mut self, reads: &Reads, name: &SecretName) -> Step {
        let lookup = reads.cache().map_or(Lookup::Miss, |cache| cache.peek(name));
        match &lookup {
            _ if reads.cache().is_none() => drop(self.add(Origin::Memory, LayerState::Disabled)),
            Lookup::Fresh(entry) => self.copy(Origin::Memory, LayerState::Hit, entry),
            Lookup::Held(entry) | Lookup::Stale(entry) => self.copy(Origin::Memory, LayerState::Stale, entry),
            Lookup::Denied(_) => {
                self.add(Origin::Memory, LayerState::Miss).place = Some("AWS refused it moments ago".into());
            }
            Lookup::Absent => {
                self.add(Origin::Memory, LayerState::Miss).place = Some("AWS said moments ago that it has none".into());
            }
            Lookup::Miss => drop(self.add(Origin::Memory, LayerState::Miss)),
        }
        Course::begin(lookup, reads.cache().is_some_and(|cache| cache.is_denied(name)))
    }

    fn shared(&mut self, shared: &Shared) {
        match shared {
            Shared::Fresh(entry) => self.copy(Origin::Redis, LayerState::Hit, entry),
            Shared::Stale(entry) => self.copy(Origin::Redis, LayerState::Stale, entry),
            Shared::Failed(error) => self.add(Origin::Redis, LayerState::Error).error = Some(error.clone()),
            Shared::Miss => drop(self.add(Origin::Redis, LayerState::Miss)),
            Shared::Disabled => drop(self.add(Origin::Redis, LayerState::Disabled)),
        }
    }

    fn called(&mut self, reads: &Reads, name: &SecretName, said: &Result<Option<Fetched>>) {
        let (state, version_id, error) = match said {
            _ if reads.aws().is_none() => (LayerState::Disabled, None, None),
            Ok(Some(fetched)) if !fetched.value.is_empty() => (LayerState::Hit, fetched.version_id.clone(), None),
            Ok(_) => (LayerState::Miss, None, None),
            Err(error) => (LayerState::Error, None, Some(error.clone())),
        };
        let report = self.add(Origin::Aws, state);
        report.place = Some(reads.id(name));
        report.version_id = version_id;
        report.error = error;
    }

    /// The layers that a read does not ask, since an earlier one answered.
    fn skipped(&mut self, reads: &Reads, name: &SecretName, last_failure: Option<&SecretError>) {
        let redis = reads.cache().and_then(|cache| cache.redis()).is_some();
        for (layer, is_there) in [(Origin::Redis, redis), (Origin::Aws, reads.aws().is_some())] {
            if self.layers.iter().any(|report| report.layer == layer) {
                continue;
            }
            let report = self.add(layer, if is_there { LayerState::Skipped } else { LayerState::Disabled });
            if layer == Origin::Aws {
                report.place = Some(reads.id(name));
                report.error = last_failure.cloned();
            }
        }
    }

    fn copy(&mut self, layer: Origin, state: LayerState, entry: &Entry) {
        let (now, wall) = (self.clock.now(), self.clock.unix_ms());
        let at = |moment: Moment| {
            let (ahead, behind) = (millis(moment.since(now)), millis(now.since(moment)));
            wall.saturating_add(ahead).saturating_sub(behind)
        };
        let report = self.add(layer, state);
        report.version_id.clone_from(&entry.version_id);
        report.age_ms = Some(millis(now.since(entry.asked.at())));
        report.fresh_until_unix_ms = Some(at(entry.deadlines.fresh_until));
        report.stale_until_unix_ms = Some(at(entry.deadlines.stale_until));
        let refresh_at = entry.deadlines.refresh_at;
        report.refresh_at_unix_ms = (refresh_at != Moment::NEVER).then(|| at(refresh_at));
    }
}
