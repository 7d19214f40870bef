//! What `compliance()` is made from.

use std::collections::HashMap;

use delivery_core::compliance::{CONTROLS, Compliance};
use delivery_core::rotation::calendar::Appointment;
use napi_derive::napi;

use super::ReportedError;
use super::rotation::RotationDue;
use secret::clock::Clock;

/// What the configuration says of the profile.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct ConfiguredCompliance {
    pub profile: Option<&'static str>,
    pub enforced: bool,
    pub waived: HashMap<String, String>,
    pub known: Vec<&'static str>,
    pub controls: Vec<ConfiguredControl>,
}

/// A control that the configuration decides. `met` is `null` where there is nothing that it is about.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct ConfiguredControl {
    pub control: &'static str,
    pub criteria: Vec<&'static str>,
    pub met: Option<bool>,
    pub evidence: String,
    pub setting: &'static str,
    pub remedy: &'static str,
}

impl From<&Compliance> for ConfiguredCompliance {
    fn from(compliance: &Compliance) -> Self {
        let controls = compliance.controls.iter().map(|control| ConfiguredControl {
            control: control.id,
            criteria: control.criteria.to_vec(),
            met: control.met,
            evidence: control.evidence.clone(),
            setting: control.setting,
            remedy: control.remedy,
        });
        Self {
            profile: compliance.profile,
            enforced: compliance.enforced,
            waived: compliance.waived.clone().into_iter().collect(),
            known: CONTROLS.to_vec(),
            controls: controls.collect(),
        }
    }
}

/// What AWS says of a declared secret.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct SecretFacts {
    pub due: RotationDue,
    /// Whether AWS has it; `null`: AWS did not say.
    pub in_aws: Option<bool>,
    /// Whether AWS described it.
    pub described: bool,
    /// Its customer-managed key; `null`: AWS's own, or not described.
    pub key: Option<String>,
    pub error: Option<ReportedError>,
}

impl SecretFacts {
    pub fn of(clock: &Clock, entry: Appointment) -> Self {
        Self {
            in_aws: if entry.version.is_some() { Some(true) } else { entry.error.is_none().then_some(false) },
            described: entry.key.is_some(),
            key: entry.key.clone().flatten(),
            error: ReportedError::of(entry.error.as_ref()),
            due: RotationDue::of(clock, entry),
        }
    }
}
