//! Writes the metrics as text, with the encoder of the Prometheus project.

use std::fmt::Write as _;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::{Family, Labels, Series};
use crate::metrics::latency::{bounds_seconds, seconds};

/// The media type of [`openmetrics`].
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of [`prometheus`].
pub const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for Family { name, help, series } in &self.0 {
            match series {
                Series::Counter(series) => {
                    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
                    for (labels, value) in series {
                        ConstCounter::new(*value).encode(metric.encode_family(labels)?)?;
                    }
                }
                Series::Gauge(series) => {
                    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                    for (labels, value) in series {
                        ConstGauge::new(*value).encode(metric.encode_family(labels)?)?;
                    }
                }
                Series::Histogram(series) => {
                    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
                    for (labels, counts) in series {
                        let bounds = bounds_seconds().chain([f64::INFINITY]);
                        let buckets: Vec<(f64, u64)> = bounds.zip(counts.buckets).collect();
                        let mut metric = metric.encode_family(labels)?;
                        metric.encode_histogram::<Labels>(seconds(counts.sum_ns), counts.total(), &buckets, None)?;
                    }
                }
                Series::Info(labels) => {
                    let metric = encoder.encode_descriptor(name, help, None, MetricType::Info)?;
                    Info::new(labels.clone()).encode(metric)?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the metrics in the OpenMetrics text format.
///
/// # Errors
/// None in practice, since it writes to memory.
pub fn openmetrics(families: Vec<Family>) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

/// Returns the metrics in the text format that every Prometheus reads. It differs from OpenMetrics in the full names of
/// counters, and in information metrics, which are gauges.
///
/// # Errors
/// Those of [`openmetrics`].
pub fn prometheus(families: Vec<Family>) -> Result<String, std::fmt::Error> {
    let openmetrics = openmetrics(families)?;
    let mut out = String::with_capacity(openmetrics.len());
    // The HELP line comes before the TYPE line, whose type decides the name in both lines.
    let mut help: Option<(&str, &str)> = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
            continue;
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            if let Some((_, text)) = help.take() {
                writeln!(out, "# HELP {name}{suffix} {}", text.trim_end_matches('.'))?;
            }
            writeln!(out, "# TYPE {name}{suffix} {kind}")?;
            continue;
        }
        if !line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
    Ok(out)
}
