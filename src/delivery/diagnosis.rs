//! `explain`, `health` and `ready`: why a secret has the value it has, whether each source and cache works, and whether
//! this instance should get traffic.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use std::collections::HashMap;

use delivery_core::delivery::Readiness;
use delivery_core::health::health;
use delivery_core::source::runtime::Variables;
use napi_derive::napi;

use super::native::NativeDelivery;
use crate::messages::Outcome;
use crate::reports::explanation::SecretExplanation;
use crate::reports::health::{HealthReport, ReadinessReport};

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
            let (status, checks) = health(&delivery).await;
            Ok(Outcome::report(HealthReport::of(delivery.environment(), delivery.clock(), status, checks)))
        });
    }

    /// `ready`.
    #[napi(catch_unwind)]
    pub fn ready(&self, id: u32, variables: HashMap<String, String>) {
        let variables = Variables::new(variables);
        self.start(id, |delivery| async move {
            let (status, reasons) = delivery.ready(variables).await;
            let ready = status != Readiness::NotReady;
            Ok(Outcome::report(ReadinessReport { ready, status: status.as_str(), reasons }))
        });
    }
}
