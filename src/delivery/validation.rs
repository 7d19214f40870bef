//! The four validations and the measurement of latencies.

use std::collections::HashMap;

use delivery_core::source::runtime::Variables;
use napi_derive::napi;

use super::native::NativeDelivery;
use crate::messages::Outcome;
use crate::reports::validation::{AccessValidationResult, PerformanceMetrics, ValidationResult};
use crate::scope::NativeScope;

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
            Ok(Outcome::report(ValidationResult::of(&delivery, Some(tool), &secrets)))
        });
    }

    /// `validateSecretAccess`.
    #[napi(catch_unwind)]
    pub fn validate_secret_access(&self, id: u32, scope: NativeScope) {
        self.start(id, |delivery| async move {
            let access = delivery.validate_access(&scope.read()?).await?;
            Ok(Outcome::report(AccessValidationResult::of(&delivery, &access)))
        });
    }

    /// `validateSecretConsistency`.
    #[napi(catch_unwind)]
    pub fn validate_secret_consistency(&self, id: u32, scope: NativeScope) {
        self.start(id, |delivery| async move {
            let secrets = delivery.validate_consistency(&scope.read()?).await?;
            Ok(Outcome::report(ValidationResult::of(&delivery, None, &secrets)))
        });
    }

    /// `validateApplicationFunctionality`.
    #[napi(catch_unwind)]
    pub fn validate_application_functionality(&self, id: u32, scope: NativeScope, variables: HashMap<String, String>) {
        let variables = Variables::new(variables);
        self.start(id, |delivery| async move {
            let secrets = delivery.validate_functionality(&variables, &scope.read()?).await?;
            Ok(Outcome::report(ValidationResult::of(&delivery, None, &secrets)))
        });
    }

    /// `assessPerformanceImpact`.
    #[napi(catch_unwind)]
    pub fn assess_performance_impact(&self, id: u32) {
        self.start(id, |delivery| async move {
            let layers = delivery.assess_performance().await?;
            Ok(Outcome::report(PerformanceMetrics::of(&delivery, &layers)))
        });
    }
}
