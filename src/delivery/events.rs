//! Events of AWS, and listeners for changed secrets and alerts.

use napi::bindgen_prelude::within_runtime_if_available;
use napi_derive::napi;

use super::native::NativeDelivery;
use crate::messages::Outcome;

#[napi]
impl NativeDelivery {
    /// `handleSecretEvent`.
    #[napi(catch_unwind)]
    pub fn handle_event(&self, id: u32, event: String) {
        self.start(id, |delivery| async move { delivery.handle_event(&event).await.map(Outcome::Bool) });
    }

    /// Starts to look for changed secrets, unless that has started already.
    #[napi(catch_unwind)]
    pub fn watch(&self) {
        within_runtime_if_available(|| self.delivery.watch());
    }

    /// Starts to watch the thresholds, unless that has started already.
    #[napi(catch_unwind)]
    pub fn watch_alerts(&self) {
        within_runtime_if_available(|| self.delivery.watch_alerts());
    }
}
