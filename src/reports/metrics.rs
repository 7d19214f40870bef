//! `MetricsSnapshot`, `PromClientMetric` and `Alert`.

use std::collections::BTreeMap;

use delivery_core::delivery::Delivery;
use delivery_core::export::{Family, Labels, Series};
use delivery_core::metrics::latency::{Counts, bounds_seconds, seconds};
use delivery_core::metrics::read;
use napi::bindgen_prelude::Either;
use napi_derive::napi;
use secret::clock::iso8601;
use secret::environment::Environment;
use secret::found::Origin;
use secret::notice;

use super::count;

/// Counters since construction.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct MetricsSnapshot {
    pub secrets_retrieved: BTreeMap<String, i64>,
    pub absent: i64,
    pub cache_hits: i64,
    pub cache_misses: i64,
    pub cache_hit_rate: Option<f64>,
    pub cache_efficiency: Option<f64>,
    pub secrets_not_in_aws: i64,
    pub cache_entries: i64,
    pub stale_served: i64,
    pub background_refreshes: i64,
    pub unauthorized_access: i64,
    pub values_redacted: i64,
    pub errors: BTreeMap<String, i64>,
    pub aws_calls: BTreeMap<String, AwsCallCounts>,
    pub rotations: BTreeMap<String, i64>,
    pub recorded: RecordedRetrievals,
}

/// Calls of one AWS operation by outcome.
#[napi(object, object_from_js = false)]
pub struct AwsCallCounts {
    pub ok: i64,
    pub denied: i64,
    pub failed: i64,
}

/// Retrievals that the service reported.
#[napi(object, object_from_js = false)]
pub struct RecordedRetrievals {
    pub count: i64,
    pub failures: i64,
    pub total_latency_ms: f64,
}

/// A metric as `prom-client` holds it.
#[napi(object, object_from_js = false)]
pub struct PromClientMetric {
    pub name: String,
    pub help: &'static str,
    #[napi(js_name = "type")]
    pub kind: &'static str,
    pub aggregator: &'static str,
    pub values: Vec<PromClientValue>,
}

/// One value of a metric.
#[napi(object, object_from_js = false)]
pub struct PromClientValue {
    pub labels: BTreeMap<String, Either<String, f64>>,
    pub value: f64,
    /// The name in the text format, for the parts of a histogram.
    pub metric_name: Option<String>,
}

/// A threshold was crossed, or is no longer crossed.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Alert {
    pub metric: &'static str,
    pub secret: Option<String>,
    pub state: &'static str,
    pub environment: &'static str,
    pub value: Option<f64>,
    pub threshold: f64,
    pub action: &'static str,
    pub since: String,
    pub at: String,
}

impl MetricsSnapshot {
    pub fn of(delivery: &Delivery) -> Self {
        let metrics = delivery.metrics();
        let reads = delivery.reads();
        let retrieved = |origin: Origin| (origin.as_str().to_owned(), count(metrics.retrieved_from(origin)));
        let errors = metrics.errors().filter(|(_, rejections)| *rejections > 0);
        let aws_calls =
            reads.aws().into_iter().flat_map(|aws| aws.calls().operations()).map(|(operation, outcomes)| {
                let (ok, denied, failed) = (&outcomes.ok, &outcomes.denied, &outcomes.failed);
                let counts =
                    AwsCallCounts { ok: count(read(ok)), denied: count(read(denied)), failed: count(read(failed)) };
                (operation.as_str().to_owned(), counts)
            });
        Self {
            secrets_retrieved: Origin::ALL.into_iter().map(retrieved).collect(),
            absent: count(read(&metrics.absent)),
            cache_hits: count(read(&metrics.hits)),
            cache_misses: count(read(&metrics.misses)),
            cache_hit_rate: metrics.hit_rate(),
            cache_efficiency: metrics.efficiency(),
            secrets_not_in_aws: count(metrics.not_in_aws()),
            cache_entries: reads.cache().map_or(0, |cache| count(cache.memory().len())),
            stale_served: count(read(&metrics.stale)),
            background_refreshes: count(read(&metrics.refreshes)),
            unauthorized_access: count(read(&metrics.unauthorized)),
            values_redacted: count(delivery.values_redacted()),
            errors: errors.map(|(code, rejections)| (code.as_str().to_owned(), count(rejections))).collect(),
            aws_calls: aws_calls.collect(),
            rotations: metrics.rotations().map(|(end, ended)| (end.as_str().to_owned(), count(ended))).collect(),
            recorded: RecordedRetrievals {
                count: count(read(&metrics.recorded)),
                failures: count(read(&metrics.recorded_failures)),
                total_latency_ms: metrics.recorded_ms(),
            },
        }
    }
}

impl From<&Family> for PromClientMetric {
    fn from(family: &Family) -> Self {
        let plain = |labels: &Labels, value: f64| PromClientValue { labels: object(labels), value, metric_name: None };
        let (suffix, kind, values) = match &family.series {
            Series::Counter(series) => {
                ("_total", "counter", series.iter().map(|(labels, value)| plain(labels, float(*value))).collect())
            }
            Series::Gauge(series) => {
                ("", "gauge", series.iter().map(|(labels, value)| plain(labels, *value)).collect())
            }
            Series::Histogram(series) => (
                "",
                "histogram",
                series.iter().flat_map(|(labels, counts)| histogram(family.name, labels, counts)).collect(),
            ),
            Series::Info(labels) => ("_info", "gauge", vec![plain(labels, 1.0)]),
        };
        Self { name: format!("{}{suffix}", family.name), help: family.help, kind, aggregator: "sum", values }
    }
}

/// Cumulative buckets, the sum and the count.
fn histogram(name: &str, labels: &Labels, counts: &Counts) -> Vec<PromClientValue> {
    let part =
        |labels, value, suffix: &str| PromClientValue { labels, value, metric_name: Some(format!("{name}_{suffix}")) };
    let mut seen = 0;
    let bounds = bounds_seconds().map(Either::B).chain([Either::A("+Inf".to_owned())]);
    let buckets = bounds.zip(counts.buckets).map(|(bound, in_bucket)| {
        seen += in_bucket;
        let mut labels = object(labels);
        labels.insert("le".to_owned(), bound);
        part(labels, float(seen), "bucket")
    });
    let mut values: Vec<_> = buckets.collect();
    values.push(part(object(labels), seconds(counts.sum_ns), "sum"));
    values.push(part(object(labels), float(counts.total()), "count"));
    values
}

fn object(labels: &Labels) -> BTreeMap<String, Either<String, f64>> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), Either::A(value.clone()))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a JavaScript number is exact up to 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}

impl Alert {
    pub fn of(environment: Environment, alert: &notice::Alert) -> Self {
        Self {
            metric: alert.watched.as_str(),
            secret: alert.secret.as_deref().map(str::to_owned),
            state: if alert.is_firing { "firing" } else { "resolved" },
            environment: environment.as_str(),
            value: alert.value,
            threshold: alert.threshold,
            action: alert.watched.action(),
            since: iso8601(alert.since_unix_ms),
            at: iso8601(alert.at_unix_ms),
        }
    }
}
