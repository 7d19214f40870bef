//! `delivery.metrics`.

use std::time::Duration;

use delivery_core::export::text;
use napi::bindgen_prelude::Result;
use napi_derive::napi;

use super::native::NativeDelivery;
use crate::reports::metrics::{MetricsSnapshot, PromClientMetric};

#[napi]
impl NativeDelivery {
    /// `metrics.recordSecretRetrieval`.
    #[napi(catch_unwind)]
    pub fn record_retrieval(&self, latency_ms: f64, success: bool) {
        // The caller has checked that it is not negative. A latency too large for a `Duration` counts as the longest.
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

    /// Every metric as `prom-client` holds it.
    #[napi(catch_unwind)]
    pub fn prom_client_metrics(&self) -> Vec<PromClientMetric> {
        self.delivery.metric_families().iter().map(PromClientMetric::from).collect()
    }

    /// `metrics.snapshot`.
    #[napi(catch_unwind)]
    pub fn metrics_snapshot(&self) -> MetricsSnapshot {
        MetricsSnapshot::of(&self.delivery)
    }
}
