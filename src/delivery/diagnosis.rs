//! `explain` and `health`: why a secret has the value it has, and whether each source and cache works.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use std::collections::HashMap;

use delivery_core::health::health;
use delivery_core::source::runtime::Variables;
use napi_derive::napi;

use super::native::NativeDelivery;
use crate::messages::Outcome;
use crate::reports::explanation::SecretExplanation;
use crate::reports::health::HealthReport;

#[napi]
impl NativeDelivery {
    /// `explain`.
    #[napi(catch_unwind)]
    pub fn explain(&self, id: u32, name: String, variables: HashMap<String, String>) {
        let variables = Variables::new(variables);
        self.start_named(id, &name, |delivery, name| async move {
            let explanation = delivery.explain(&name, &variables).await?;
            Ok(Outcome::report(SecretExplanation::of(delivery.environment(), explanation)))
        });
    }

    /// `health`.
    #[napi(catch_unwind)]
    pub fn health(&self, id: u32) {
        self.start(id, |delivery| async move {
            let (status, checks) = health(&delivery).await?;
            Ok(Outcome::report(HealthReport::of(delivery.environment(), delivery.clock(), status, checks)))
        });
    }
}
