//! `SecretExplanation`.

use std::collections::BTreeMap;

use delivery_core::explain::{Estimate, Explanation, LayerReport};
use napi_derive::napi;
use secret::clock::iso8601;
use secret::environment::Environment;
use secret::found::Origin;

use super::{ReportedError, count};

/// Why a secret has the value it has.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct SecretExplanation {
    pub name: String,
    pub environment: &'static str,
    pub aws_id: String,
    pub field: Option<String>,
    pub answered_by: Option<&'static str>,
    pub stale: bool,
    pub version_id: Option<String>,
    pub error: Option<ReportedError>,
    pub layers: Vec<LayerExplanation>,
    pub breakers: BTreeMap<String, String>,
    pub estimate: Option<CostEstimate>,
}

/// One layer's part of an explanation.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct LayerExplanation {
    pub layer: &'static str,
    pub state: &'static str,
    pub place: Option<String>,
    pub version_id: Option<String>,
    pub age_seconds: Option<i64>,
    pub fresh_until: Option<String>,
    pub stale_until: Option<String>,
    pub refresh_at: Option<String>,
    pub error: Option<ReportedError>,
}

/// What a secret costs in a month.
#[napi(object, object_from_js = false)]
pub struct CostEstimate {
    pub aws_calls_per_month: i64,
    pub cost_per_month_usd: f64,
}

impl SecretExplanation {
    pub fn of(environment: Environment, explanation: Explanation) -> Self {
        let breaker = |(source, state): (String, secret::breaker::BreakerState)| (source, state.as_str().to_owned());
        Self {
            name: explanation.name,
            environment: environment.as_str(),
            aws_id: explanation.aws_id,
            field: explanation.field.as_deref().map(str::to_owned),
            answered_by: explanation.answered_by.map(Origin::as_str),
            stale: explanation.stale,
            version_id: explanation.version_id.as_deref().map(str::to_owned),
            error: ReportedError::of(explanation.error.as_ref()),
            layers: explanation.layers.iter().map(LayerExplanation::of).collect(),
            breakers: explanation.breakers.into_iter().map(breaker).collect(),
            estimate: explanation.estimate.map(CostEstimate::of),
        }
    }
}

impl LayerExplanation {
    fn of(report: &LayerReport) -> Self {
        Self {
            layer: report.layer.as_str(),
            state: report.state.as_str(),
            place: report.place.clone(),
            version_id: report.version_id.as_deref().map(str::to_owned),
            age_seconds: report.age_ms.map(|ms| count(ms / 1000)),
            fresh_until: report.fresh_until_unix_ms.map(iso8601),
            stale_until: report.stale_until_unix_ms.map(iso8601),
            refresh_at: report.refresh_at_unix_ms.map(iso8601),
            error: ReportedError::of(report.error.as_ref()),
        }
    }
}

impl CostEstimate {
    fn of(estimate: Estimate) -> Self {
        Self {
            aws_calls_per_month: count(estimate.aws_calls),
            cost_per_month_usd: (estimate.cost_usd * 100.0).round() / 100.0,
        }
    }
}
