//! The four validations and the measurement of latencies.

use std::collections::HashMap;

use delivery_core::delivery::Delivery;
use delivery_core::source::runtime::Variables;
use delivery_core::validation::Validated;
use napi_derive::napi;

use super::native::NativeDelivery;
use crate::completions::Outcome;
use crate::migration::NativeScope;
use crate::report;

fn validation(delivery: &Delivery, tool: Option<&str>, secrets: &[Validated]) -> Outcome {
    Outcome::Report(report::validation(delivery.environment(), delivery.clock(), tool, secrets).to_string())
}

#[napi]
impl NativeDelivery {
    /// `validateToolSecrets`.
    #[napi(catch_unwind)]
    pub fn validate_tool_secrets(
        &self,
        id: u32,
        tool: String,
        other_environments: Vec<String>,
        variables: HashMap<String, String>,
    ) {
        let variables = Variables::new(variables);
        self.start(id, |delivery| async move {
            let mut secrets = delivery.validate_tool(&tool, &variables).await?;
            delivery.compare_environments(&mut secrets, &other_environments).await?;
            Ok(validation(&delivery, Some(&tool), &secrets))
        });
    }

    /// `validateSecretAccess`.
    #[napi(catch_unwind)]
    pub fn validate_secret_access(&self, id: u32, scope: NativeScope) {
        self.start(id, |delivery| async move {
            let access = delivery.validate_access(&scope.read()?).await?;
            let mut report = report::validation(delivery.environment(), delivery.clock(), None, &access.secrets);
            report["permissions"] = report::permissions(&access.permissions);
            Ok(Outcome::Report(report.to_string()))
        });
    }

    /// `validateSecretConsistency`.
    #[napi(catch_unwind)]
    pub fn validate_secret_consistency(&self, id: u32, scope: NativeScope) {
        self.start(id, |delivery| async move {
            Ok(validation(&delivery, None, &delivery.validate_consistency(&scope.read()?).await?))
        });
    }

    /// `validateApplicationFunctionality`.
    #[napi(catch_unwind)]
    pub fn validate_application_functionality(&self, id: u32, scope: NativeScope, variables: HashMap<String, String>) {
        let variables = Variables::new(variables);
        self.start(id, |delivery| async move {
            Ok(validation(&delivery, None, &delivery.validate_functionality(&variables, &scope.read()?).await?))
        });
    }

    /// `assessPerformanceImpact`.
    #[napi(catch_unwind)]
    pub fn assess_performance_impact(&self, id: u32) {
        self.start(id, |delivery| async move {
            let layers = delivery.assess_performance().await?;
            let report = report::performance(delivery.environment(), delivery.clock(), &layers);
            Ok(Outcome::Report(report.to_string()))
        });
    }
}
