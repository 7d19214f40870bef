//! What is written down of every operation: counts, latencies, and audit records. A value leaves when its record is
//! there.

use std::pin::{Pin, pin};
use std::time::Duration;

use audit_log::{Event, Outcome};

use super::Delivery;
use crate::audit::Access;
use crate::tool_secrets::ToolSecrets;
use secret::clock::Stopwatch;
use secret::error::Result;
use secret::found::Found;
use secret::name::SecretName;

impl Delivery {
    /// [`Delivery::open`] for what gives values or changes something: without its audit log nothing is done, where that
    /// is the rule; elsewhere the log is opened meanwhile. Boxed: the futures of reads are large.
    pub(crate) fn audited<'a, T: Send + 'a>(
        &'a self,
        work: impl Future<Output = Result<T>> + Send + 'a,
    ) -> Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>> {
        self.open(async {
            let Some(audit) = &self.audit else { return work.await };
            let mut work = pin!(work);
            if audit.denies() {
                audit.ready().await?;
                return work.await;
            }
            let (ready, result) = tokio::join!(audit.ready(), &mut work);
            ready.and(result)
        })
    }

    /// The result of a read, once its record is written.
    pub(super) async fn recorded(
        &self,
        name: &SecretName,
        result: Result<Option<Found>>,
        took: Duration,
    ) -> Result<Option<Found>> {
        let access = match &result {
            Ok(Some(found)) => Access::found(name.as_str(), found, took),
            other => Self::access(name, other, took),
        };
        let recorded = self.record(&access).await;
        unless_unrecorded(result, recorded)
    }

    /// The results of reads that were begun together, once the record of each is written.
    pub(super) async fn recorded_many(
        &self,
        names: &[SecretName],
        results: Vec<Result<Option<Found>>>,
        took: Duration,
    ) -> Vec<Result<Option<Found>>> {
        if self.audit.is_none() {
            return results;
        }
        let mut recorded = Vec::with_capacity(results.len());
        for (name, result) in names.iter().zip(results) {
            recorded.push(self.recorded(name, result, took).await);
        }
        recorded
    }

    /// Writes an access into the audit log, before its value leaves.
    pub(crate) async fn record(&self, access: &Access<'_>) -> Result<()> {
        match &self.audit {
            Some(audit) => audit.access(access).await,
            None => Ok(()),
        }
    }

    /// Does what changes something, and writes into the audit log that it was done.
    pub(super) async fn acted(
        &self,
        event: Event,
        name: &str,
        act: impl Future<Output = Result<()>> + Send,
    ) -> Result<()> {
        let result = self.audited(act).await;
        if let Some(audit) = &self.audit {
            let recorded = audit.act(event, name, &result).await;
            return unless_unrecorded(result, recorded);
        }
        result
    }

    pub(super) fn count(&self, result: &Result<Option<Found>>, took: Duration) {
        match result {
            Ok(Some(found)) => self.metrics.retrieved(found.origin, found.stale, took),
            Ok(None) => self.metrics.not_retrieved(None, took),
            Err(error) => self.metrics.not_retrieved(Some(error.code()), took),
        }
    }

    pub(super) async fn recorded_tool(&self, tool: &str, found: ToolSecrets, watch: Stopwatch) -> Result<ToolSecrets> {
        if self.audit.is_some() {
            for (secret_type, found) in &found {
                // Not every key of a JSON secret makes a name.
                let name = SecretName::of_tool(tool, secret_type);
                let name = name.map_or_else(|_| format!("{tool}_{secret_type}"), |name| name.as_str().to_owned());
                self.record(&Access::found(&name, found, watch.took())).await?;
            }
        }
        Ok(found)
    }

    /// What is recorded of a read, but for where it came from.
    pub(super) fn access<'a, T>(name: &'a SecretName, result: &'a Result<Option<T>>, took: Duration) -> Access<'a> {
        match result {
            Ok(Some(_)) => Access::of(name.as_str(), Outcome::Ok, took),
            Ok(None) => Access::ended(name.as_str(), None, took),
            Err(error) => Access::ended(name.as_str(), Some(error), took),
        }
    }
}

/// A result whose record could not be written is none; a failure stays the failure that it is.
pub(super) fn unless_unrecorded<T>(result: Result<T>, recorded: Result<()>) -> Result<T> {
    let value = result?;
    recorded.map(|()| value)
}
