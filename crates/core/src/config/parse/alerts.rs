//! `options.alerts`.

use std::time::Duration;

use crate::config::{Field, Section};
use crate::metrics::alerts::AlertsSettings;
use crate::metrics::alerts::Thresholds;
use secret::environment::Preset;
use secret::error::Result;

pub(super) fn alerts(top: &mut Section, preset: &Preset) -> Result<Option<AlertsSettings>> {
    let documented = Thresholds {
        latency: Some(Duration::from_secs(5)),
        hit_rate: preset.alerting.then_some(0.8),
        rotation_failures: Some(0),
        unauthorized: Some(0),
        not_in_aws: Some(0),
        window: Duration::from_mins(5),
        every: Duration::from_secs(10),
    };
    let Some(field) = top.take("alerts") else {
        return Ok(Some(AlertsSettings { thresholds: documented, always: preset.alerting }));
    };
    if field.is_false() {
        return Ok(None);
    }
    let mut section = field.section()?;
    let count = |field: Field| off_or(field, |field| field.integer(0..=1_000_000).map(u64::from));
    let seconds = |field: Field| field.integer(1..=86_400).map(|seconds| Duration::from_secs(u64::from(seconds)));
    let latency = section.read("latencySeconds", |field| {
        off_or(field, |field| field.number(0.001..=600.0).map(Duration::from_secs_f64))
    })?;
    let hit_rate = section.read("minHitRate", |field| off_or(field, |field| field.number(0.0..=1.0)))?;
    let rotation_failures = section.read("rotationFailuresPerDay", count)?;
    let unauthorized = section.read("unauthorizedAccess", count)?;
    let not_in_aws = section.read("secretsNotInAws", count)?;
    let window = section.read("windowSeconds", seconds)?;
    let every = section.read("intervalSeconds", seconds)?;
    section.finish(&[
        "latencySeconds",
        "minHitRate",
        "rotationFailuresPerDay",
        "unauthorizedAccess",
        "secretsNotInAws",
        "windowSeconds",
        "intervalSeconds",
    ])?;
    let thresholds = Thresholds {
        latency: latency.unwrap_or(documented.latency),
        hit_rate: hit_rate.unwrap_or(documented.hit_rate),
        rotation_failures: rotation_failures.unwrap_or(documented.rotation_failures),
        unauthorized: unauthorized.unwrap_or(documented.unauthorized),
        not_in_aws: not_in_aws.unwrap_or(documented.not_in_aws),
        window: window.unwrap_or(documented.window),
        every: every.unwrap_or(documented.every),
    };
    Ok(Some(AlertsSettings { thresholds, always: true }))
}

/// A threshold; `None` if it is `false`.
fn off_or<T>(field: Field, read: impl FnOnce(Field) -> Result<T>) -> Result<Option<T>> {
    if field.is_false() { Ok(None) } else { read(field).map(Some) }
}
