//! `delivery.rotation`, and the values that the service's hooks ask for and give.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use delivery_core::rotation::Trigger;
use delivery_core::rotation::hooks::HookFailure;
use napi::bindgen_prelude::within_runtime_if_available;
use napi_derive::napi;
use secret::value::SecretValue;

use super::native::NativeDelivery;
use crate::messages::Outcome;
use crate::raw::SecretText;
use crate::reports::rotation::{RotationDue, RotationReport, SecretRotationPolicy};
use crate::reports::versions::SecretVersions;

#[napi]
impl NativeDelivery {
    /// `rotation.rotate`.
    #[napi(catch_unwind)]
    pub fn rotate(&self, id: u32, name: String, environment: Option<String>, generate: bool) {
        self.start_named(id, &name, move |delivery, name| async move {
            let trigger = Trigger::Demand { generate };
            Ok(Outcome::report(RotationReport::from(&*delivery.rotate(&name, environment.as_deref(), trigger).await?)))
        });
    }

    /// `rotation.restore`.
    #[napi(catch_unwind)]
    pub fn rotation_restore(&self, id: u32, name: String, version: String, environment: Option<String>) {
        self.start_named(id, &name, |delivery, name| async move {
            Ok(Outcome::report(RotationReport::from(&*delivery.restore(&name, environment.as_deref(), version).await?)))
        });
    }

    /// The versions that `withSecret` may try; what it hands out is recorded by `handOut`.
    #[napi(catch_unwind)]
    pub fn versions_to_try(&self, id: u32, name: String, fresh: bool) {
        self.start_named(id, &name, move |delivery, name| async move {
            Ok(Outcome::report(SecretVersions::from(&*delivery.versions_to_try(&name, fresh).await?)))
        });
    }

    /// Records that `withSecret` hands out a version.
    #[napi(catch_unwind)]
    pub fn hand_out(&self, id: u32, name: String, version: String) {
        self.start_named(id, &name, move |delivery, name| async move {
            delivery.hand_out(&name, &version).await?;
            Ok(Outcome::Null)
        });
    }

    /// `rotation.due`.
    #[napi(catch_unwind)]
    pub fn rotation_due(&self, id: u32) {
        self.start(id, |delivery| async move {
            let calendar = delivery.calendar().await?.into_iter();
            Ok(Outcome::report(calendar.map(|entry| RotationDue::of(delivery.clock(), entry)).collect::<Vec<_>>()))
        });
    }

    /// `rotation.policies`.
    #[napi(catch_unwind)]
    pub fn rotation_policies(&self) -> Vec<SecretRotationPolicy> {
        self.delivery.rotation().policies().all().map(SecretRotationPolicy::of).collect()
    }

    /// `rotation.start`.
    #[napi(catch_unwind)]
    pub fn rotation_start(&self) -> bool {
        within_runtime_if_available(|| self.delivery.start_rotating())
    }

    /// `rotation.stop`.
    #[napi(catch_unwind)]
    pub fn rotation_stop(&self) {
        self.delivery.rotation().stop();
    }

    /// A value that a hook asks for. `null` after the hook has ended.
    #[napi(ts_return_type = "string | null", catch_unwind)]
    pub fn hook_value(&self, id: u32, pending: bool) -> Option<SecretText> {
        self.hooks.value(id, pending).map(SecretText)
    }

    /// A hook ended with a value or without.
    #[napi(catch_unwind)]
    pub fn hook_done(&self, id: u32, value: Option<String>) {
        self.hooks.finish(id, Ok(value.map(SecretValue::new)));
    }

    /// A hook failed with an error of a class and, where there is one, a code. `explained`: the words of a ready-made hook.
    #[napi(catch_unwind)]
    pub fn hook_failed(&self, id: u32, error_class: String, code: Option<String>, explained: Option<String>) {
        let failure = match explained {
            Some(words) => HookFailure::explained(code.as_deref(), &words),
            None => HookFailure::new(&error_class, code.as_deref()),
        };
        self.hooks.finish(id, Err(failure));
    }
}
