//! Reads of one chosen source, past the caches: AWS, the env file, the runtime environment, AWS's versions.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use std::collections::HashMap;

use delivery_core::config::reference_of;
use delivery_core::resolver::Freshness;
use delivery_core::source::runtime::Variables;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;
use secret::error::{ErrorCode, SecretError};

use super::native::{NativeDelivery, secret};
use crate::messages::Outcome;
use crate::options;
use crate::reports::versions::SecretVersions;

#[napi]
impl NativeDelivery {
    /// `refresh`.
    #[napi(catch_unwind)]
    pub fn refresh(&self, id: u32, name: String, variables: HashMap<String, String>) {
        let variables = Variables::new(variables);
        self.start_named(id, &name, |delivery, name| async move {
            Ok(secret(delivery.read_one(&name, &variables, Freshness::Fresh).await?.map(|found| found.value)))
        });
    }

    /// `getSecretFromAWS`.
    #[napi(catch_unwind)]
    pub fn get_secret_from_aws(&self, id: u32, name: String, environment: Option<String>) {
        self.start_named(id, &name, |delivery, name| async move {
            delivery.get_from_aws(&name, environment.as_deref()).await.map(secret)
        });
    }

    /// `getSecretFromAWS` of a reference.
    #[napi(catch_unwind)]
    pub fn get_reference_from_aws(
        &self,
        id: u32,
        #[napi(ts_arg_type = "unknown")] reference: Unknown<'_>,
        environment: Option<String>,
    ) -> napi::Result<()> {
        let reference = reference_of(options::read(reference)?)
            .map_err(|error| SecretError::new(ErrorCode::SecretNameInvalid, error.to_string()));
        self.start(id, |delivery| async move {
            delivery.get_reference_from_aws(&reference?, environment.as_deref()).await.map(secret)
        });
        Ok(())
    }

    /// `getSecretFromEnvFile`.
    #[napi(catch_unwind)]
    pub fn get_secret_from_env_file(&self, id: u32, name: String) {
        self.start_named(
            id,
            &name,
            |delivery, name| async move { delivery.get_from_env_file(&name).await.map(secret) },
        );
    }

    /// `getSecretFromRuntime`.
    #[napi(catch_unwind)]
    pub fn get_secret_from_runtime(&self, id: u32, name: String, variables: HashMap<String, String>) {
        let variables = Variables::new(variables);
        self.start_named(id, &name, |delivery, name| async move {
            delivery.get_from_runtime(&name, &variables).await.map(secret)
        });
    }

    /// `getSecretVersions`.
    #[napi(catch_unwind)]
    pub fn get_secret_versions(&self, id: u32, name: String, fresh: bool, readers: Option<u32>) {
        self.start_named(id, &name, |delivery, name| async move {
            Ok(Outcome::report(SecretVersions::from(&*delivery.versions(&name, fresh, readers.unwrap_or(1)).await?)))
        });
    }
}
