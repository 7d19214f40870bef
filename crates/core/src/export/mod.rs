//! The exported metrics, each with its help, type and series. No label holds a secret's name.

pub mod text;

use crate::metrics::latency::{Counts, ReadOutcome, Source};
use crate::metrics::{Metrics, read};
use crate::reads::Reads;
use secret::breaker::BreakerState;
use secret::environment::Environment;
use secret::found::Origin;

/// The labels of a series: names and values.
pub type Labels = Vec<(&'static str, String)>;

/// The type of a metric, with its series.
#[derive(Clone, Debug)]
pub enum Series {
    /// A count that only grows.
    Counter(Vec<(Labels, u64)>),
    /// A value that goes up and down.
    Gauge(Vec<(Labels, f64)>),
    /// Counts by bucket; the bounds are in seconds.
    Histogram(Vec<(Labels, Counts)>),
    /// Labels that stay the same while the process lives.
    Info(Labels),
}

/// A metric.
#[derive(Clone, Debug)]
pub struct Family {
    /// The name without the suffix `_total` or `_info`.
    pub name: &'static str,
    /// The help text.
    pub help: &'static str,
    /// The type and the series.
    pub series: Series,
}

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

fn single<T>(value: T) -> Vec<(Labels, T)> {
    vec![(Vec::new(), value)]
}

/// What the metrics tell beside counters and reads.
pub struct State {
    /// Values that redactors took out of texts.
    pub redacted: u64,
    /// Whether the audit log cannot be written.
    pub audit_fails: bool,
    /// Controls of `compliance` that the configuration does not meet.
    pub not_compliant: usize,
}

impl Family {
    /// The same with these labels in every series that does not have them.
    #[must_use]
    pub fn labelled(mut self, labels: &[(&'static str, String)]) -> Self {
        let add = |own: &mut Labels| {
            let new = labels.iter().filter(|(name, _)| own.iter().all(|(known, _)| known != name));
            let new: Labels = new.cloned().collect();
            own.extend(new);
        };
        match &mut self.series {
            Series::Counter(series) => series.iter_mut().for_each(|(own, _)| add(own)),
            Series::Gauge(series) => series.iter_mut().for_each(|(own, _)| add(own)),
            Series::Histogram(series) => series.iter_mut().for_each(|(own, _)| add(own)),
            Series::Info(own) => add(own),
        }
        self
    }
}

/// Returns every metric with its current values.
#[expect(clippy::too_many_lines, reason = "a list of metrics")]
pub fn families(metrics: &Metrics, reads: &Reads, environment: Environment, state: &State) -> Vec<Family> {
    let retrieved = Origin::ALL.map(|origin| (label("source", origin.as_str()), metrics.retrieved_from(origin)));
    let reported = (label("source", Source::Reported.as_str()), read(&metrics.recorded));
    let errors = metrics.errors().map(|(code, count)| (label("code", code.as_str()), count));
    let rotations = metrics.rotations().map(|(ending, count)| (label("outcome", ending.as_str()), count));
    let failures = metrics.rotations().filter(|(ending, _)| !ending.is_live()).map(|(_, count)| count).sum();
    #[expect(clippy::cast_precision_loss, reason = "a count of entries")]
    let count = |count: usize| count as f64;
    let entries = reads.cache().map_or(0, |cache| cache.memory().len());
    // 1 before the first lookup, so that no alert fires.
    let ratio = |ratio: Option<f64>| single(ratio.unwrap_or(1.0));
    vec![
        Family {
            name: "secret_delivery_retrieval_latency_seconds",
            help: "How long retrievals of secrets took",
            series: Series::Histogram(latencies(metrics)),
        },
        Family {
            name: "secret_delivery_secrets_retrieved",
            help: "Values returned, by the layer that gave them",
            series: Series::Counter(retrieved.into_iter().chain([reported]).collect()),
        },
        Family {
            name: "secret_delivery_errors",
            help: "Retrievals and rotations that ended with an error, by code",
            series: Series::Counter(errors.collect()),
        },
        Family {
            name: "secret_delivery_unauthorized_access",
            help: "Times that AWS refused this identity access or decryption",
            series: Series::Counter(single(read(&metrics.unauthorized))),
        },
        Family {
            name: "secret_delivery_not_shown",
            help: "Of these, refusals of secrets that AWS never gave this process: denied, or not there",
            series: Series::Counter(single(read(&metrics.not_shown))),
        },
        Family {
            name: "secret_delivery_values_redacted",
            help: "Values that redactors replaced in text of the service",
            series: Series::Counter(single(state.redacted)),
        },
        Family {
            name: "secret_delivery_rotation_failures",
            help: "Rotations that ended with the old value live",
            series: Series::Counter(single(failures)),
        },
        Family {
            name: "secret_delivery_rotations",
            help: "Rotations, by how they ended",
            series: Series::Counter(rotations.collect()),
        },
        Family {
            name: "secret_delivery_cache_hit_ratio",
            help: "Share of lookups that a cache answered; 1 before the first",
            series: Series::Gauge(ratio(metrics.hit_rate())),
        },
        Family {
            name: "secret_delivery_cache_hits",
            help: "Lookups that a cache answered",
            series: Series::Counter(single(read(&metrics.hits))),
        },
        Family {
            name: "secret_delivery_cache_misses",
            help: "Lookups that no cache answered",
            series: Series::Counter(single(read(&metrics.misses))),
        },
        Family {
            name: "secret_delivery_cache_efficiency",
            help: "Share of retrievals that cost no AWS call of their own; 1 before the first",
            series: Series::Gauge(ratio(metrics.efficiency())),
        },
        Family {
            name: "secret_delivery_cache_entries",
            help: "Entries in the in-process cache",
            series: Series::Gauge(single(count(entries))),
        },
        Family {
            name: "secret_delivery_stale_served",
            help: "Values past their TTL that answered for a failing AWS",
            series: Series::Counter(vec![(label("reason", "aws_failure"), read(&metrics.stale))]),
        },
        Family {
            name: "secret_delivery_secrets_not_in_aws",
            help: "Secrets that AWS lacks and a later source had when they were last read",
            series: Series::Gauge(single(count(metrics.not_in_aws()))),
        },
        Family {
            name: "secret_delivery_audit_failing",
            help: "1 while the audit log cannot be written",
            series: Series::Gauge(single(f64::from(u8::from(state.audit_fails)))),
        },
        Family {
            name: "secret_delivery_rotations_overdue",
            help: "Declared secrets whose rotation was overdue when due() or the scheduler last looked",
            series: Series::Gauge(single(count(usize::try_from(read(&metrics.overdue)).unwrap_or(usize::MAX)))),
        },
        Family {
            name: "secret_delivery_compliance_not_met",
            help: "Controls of the compliance profile that the configuration does not meet, and that are not waived",
            series: Series::Gauge(single(count(state.not_compliant))),
        },
        Family {
            name: "secret_delivery_aws_calls",
            help: "Calls of AWS, by operation and outcome",
            series: Series::Counter(aws_calls(reads)),
        },
        Family {
            name: "secret_delivery_breaker_state",
            help: "Whether a source is asked: 0 closed (asked), 1 half-open (probed), 2 open (not asked)",
            series: Series::Gauge(breakers(reads)),
        },
        Family {
            name: "secret_delivery_build",
            help: "The version of this package, and its environment",
            series: Series::Info(vec![
                ("version", env!("CARGO_PKG_VERSION").to_owned()),
                ("environment", environment.as_str().to_owned()),
            ]),
        },
    ]
}

fn latencies(metrics: &Metrics) -> Vec<(Labels, Counts)> {
    let series = Source::ALL.into_iter().flat_map(|source| {
        ReadOutcome::ALL.into_iter().filter_map(move |outcome| {
            let counts = metrics.latencies.of(source, outcome).counts();
            let labels = vec![("source", source.as_str().to_owned()), ("outcome", outcome.as_str().to_owned())];
            (counts.total() > 0).then_some((labels, counts))
        })
    });
    series.collect()
}

fn aws_calls(reads: &Reads) -> Vec<(Labels, u64)> {
    let Some(aws) = reads.aws() else { return Vec::new() };
    let calls = aws.calls().operations().flat_map(|(operation, outcomes)| {
        let labels =
            |outcome: &str| vec![("operation", operation.as_str().to_owned()), ("outcome", outcome.to_owned())];
        [
            (labels("ok"), read(&outcomes.ok)),
            (labels("denied"), read(&outcomes.denied)),
            (labels("failed"), read(&outcomes.failed)),
        ]
    });
    calls.collect()
}

fn breakers(reads: &Reads) -> Vec<(Labels, f64)> {
    let state = |state: BreakerState| match state {
        BreakerState::Closed => 0.0,
        BreakerState::HalfOpen => 1.0,
        BreakerState::Open => 2.0,
    };
    reads.breakers().into_iter().map(|(source, breaker)| (label("source", &source), state(breaker))).collect()
}
