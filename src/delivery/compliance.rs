//! What `compliance()` and `monitoring: true` need of the core.

use napi_derive::napi;

use super::native::NativeDelivery;
use crate::messages::Outcome;
use crate::reports::compliance::{ConfiguredCompliance, SecretFacts};

#[napi]
impl NativeDelivery {
    /// What the configuration says of the profile, and meets of it.
    #[napi(catch_unwind)]
    pub fn configured_compliance(&self) -> ConfiguredCompliance {
        self.delivery.compliance().into()
    }

    /// What AWS says of each declared secret.
    #[napi(catch_unwind)]
    pub fn secret_facts(&self, id: u32) {
        self.start(id, |delivery| async move {
            let calendar = delivery.calendar().await?.into_iter();
            Ok(Outcome::report(calendar.map(|entry| SecretFacts::of(delivery.clock(), entry)).collect::<Vec<_>>()))
        });
    }

    /// Files of this delivery that only their owner should read.
    #[napi(catch_unwind)]
    pub fn private_files(&self) -> Vec<String> {
        self.delivery.compliance().files.iter().map(|path| path.display().to_string()).collect()
    }

    /// Whether metrics go to the process's meter provider.
    #[napi(catch_unwind)]
    pub fn is_monitored(&self) -> bool {
        self.delivery.is_monitored()
    }

    /// The service's name, in the labels of metrics.
    #[napi(catch_unwind)]
    pub fn service(&self) -> Option<String> {
        self.delivery.service().map(str::to_owned)
    }
}
