//! What `withSecret` tries: versions that are read once for many callers, and recorded when they are handed out.

use std::sync::Arc;
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use audit_log::Outcome;

use super::Delivery;
use crate::audit::Access;
use crate::reads::Versions;
use secret::clock::Stopwatch;
use secret::error::Result;
use secret::found::Origin;
use secret::name::SecretName;

impl Delivery {
    /// The versions of `name`, of which [`Delivery::hand_out`] records those that are used.
    ///
    /// # Errors
    /// As `Delivery::versions`.
    #[boxed]
    pub async fn versions_to_try(&self, name: &SecretName, fresh: bool) -> Result<Arc<Versions>> {
        let watch = Stopwatch::start();
        let versions = self.audited(self.versions_of(name, fresh)).await;
        if let Ok(versions) = &versions {
            self.note_versions(name, versions);
        }
        if let Some(audit) = &self.audit
            && fresh
        {
            let ended = Access::ended(name.as_str(), versions.as_ref().err(), watch.took());
            audit.inspected("withSecret", &Access { source: Origin::Aws.as_str(), ..ended });
        }
        versions
    }

    /// Records that `version` of `name` is handed out.
    ///
    /// # Errors
    /// `AUDIT_WRITE_FAILED`, `CLOSED`.
    #[boxed]
    pub async fn hand_out(&self, name: &SecretName, version: &str) -> Result<()> {
        let access = Access::of(name.as_str(), Outcome::Ok, Duration::ZERO);
        let access = Access { source: Origin::Aws.as_str(), version, ..access };
        self.audited(async { self.record(&access).await }).await
    }
}
