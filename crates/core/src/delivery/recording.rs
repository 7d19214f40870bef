//! What is written down of every operation: counts, latencies, and audit records. A value leaves when its record is
//! there.

use std::iter;
use std::pin::Pin;
use std::time::Duration;

use audit_log::{Event, Outcome};
use aws::Aws;

use super::Delivery;
use crate::audit::{Access, Audit};
use crate::resolver::Freshness;
use crate::source::runtime::Variables;
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
        self.audited_boxed(Box::pin(work))
    }

    /// What is around it exists once for each kind of answer, and not once for each operation.
    fn audited_boxed<'a, T: Send + 'a>(
        &'a self,
        mut work: Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>,
    ) -> Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>> {
        self.open(async move {
            let Some(audit) = &self.audit else { return work.await };
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
        self.recorded_for(name, result, (1, took)).await
    }

    async fn recorded_for(
        &self,
        name: &SecretName,
        result: Result<Option<Found>>,
        (readers, took): (u32, Duration),
    ) -> Result<Option<Found>> {
        let access = match &result {
            Ok(Some(found)) => Access::found(name.as_str(), found, took),
            other => Self::access(name, other, took),
        };
        let access = Access { count: readers, ..access };
        let recorded = self.record(&access).await;
        unless_unrecorded(result, recorded)
    }

    /// The results of reads that were begun together, once the record of each is written. `readers` says for how many
    /// readers each of them is; where it is empty, for one.
    pub(super) async fn recorded_many(
        &self,
        names: &[SecretName],
        readers: &[u32],
        results: Vec<Result<Option<Found>>>,
        took: Duration,
    ) -> Vec<Result<Option<Found>>> {
        if self.audit.is_none() {
            return results;
        }
        let mut recorded = Vec::with_capacity(results.len());
        let readers = readers.iter().copied().chain(iter::repeat(1));
        for ((name, result), readers) in names.iter().zip(results).zip(readers) {
            recorded.push(self.recorded_for(name, result, (readers, took)).await);
        }
        recorded
    }

    /// Writes an access into the audit log, before its value leaves.
    pub(crate) async fn record(&self, access: &Access<'_>) -> Result<()> {
        match &self.audit {
            Some(audit) => {
                self.note_account(audit);
                audit.access(access).await
            }
            None => Ok(()),
        }
    }

    fn note_account(&self, audit: &Audit) {
        if let Some(account) = self.reads().aws().and_then(Aws::account) {
            audit.note_account(&account);
        }
    }

    /// Records that AWS was asked about secrets for `what`, and nothing was delivered. Opens the log if need be.
    pub(crate) async fn inspected(&self, what: &str, accesses: Vec<Access<'_>>) {
        let Some(audit) = &self.audit else { return };
        // What is looked at to find out why the log cannot be written must not depend on it.
        if let Err(error) = audit.ready().await {
            tracing::debug!(code = %error.code(), "an inspection is not recorded");
        }
        self.note_account(audit);
        for access in &accesses {
            audit.inspected(what, access);
        }
    }

    /// Reads `names` like any read, for `what` and not for a caller: nothing is delivered.
    pub(crate) async fn read_inspecting(
        &self,
        what: &str,
        names: &[SecretName],
        variables: &Variables,
    ) -> Vec<Result<Option<Found>>> {
        let (watch, variables) = (Stopwatch::start(), vec![variables.clone(); names.len()]);
        let answers = self.resolver.resolve(names, &variables, Freshness::Cached).await;
        let took = watch.took();
        for answer in &answers {
            self.count(answer, took);
        }
        let accesses = names.iter().zip(&answers).map(|(name, answer)| Access::read(name.as_str(), answer));
        self.inspected(what, accesses.collect()).await;
        answers
    }

    /// Does what changes something, and writes into the audit log that it was done.
    pub(super) async fn acted<'a>(
        &'a self,
        event: Event,
        name: &str,
        act: impl Future<Output = Result<()>> + Send + 'a,
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

    pub(super) async fn recorded_tool(
        &self,
        tool: &str,
        found: ToolSecrets,
        (readers, watch): (u32, Stopwatch),
    ) -> Result<ToolSecrets> {
        if self.audit.is_some() {
            for (secret_type, found) in &found {
                // Not every key of a JSON secret makes a name.
                let name = SecretName::of_tool(tool, secret_type);
                let name = name.map_or_else(|_| format!("{tool}_{secret_type}"), |name| name.as_str().to_owned());
                let access = Access { count: readers, ..Access::found(&name, found, watch.took()) };
                self.record(&access).await?;
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
