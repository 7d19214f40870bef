//! The audit log as the delivery uses it: one record for each value that leaves, written before it does.
//!
//! The log itself is the crate `audit-log`. Here is when it is opened, what is denied while it fails, and what a record
//! of this delivery says.

mod access;
mod actor;
mod early;
mod hits;
mod opening;
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use audit_log as log;
use audit_log::{
    AppendError, AuditLog, Destination, Event, Failure, Key, Notice as LogNotice, Options, Outcome, Reason, Record,
    State, Tally,
};
use parking_lot::{Mutex, RwLock};
use tokio::time::sleep;

pub use self::access::Access;
use self::access::refusal;
pub use self::actor::Actor;
use self::early::Early;
use self::opening::Opening;
pub use self::settings::{AuditSettings, AuditSink};
use crate::timer::Deadline;
use files::loose_mode;
use secret::clock::Clock;
use secret::error::{ErrorCode, Result, SecretError};
use secret::manifest::Manifest;
use secret::notice::{Notice, Notices};
use secret::report::{Ending, Report};

/// How long to wait for space in the journal. Longer than a disk needs to sync after a burst. A log that is permanently
/// broken is detected by its state, not by this timeout.
const SPACE_TIMEOUT: Duration = Duration::from_secs(4);
/// How often to check for space.
const SPACE_POLL: Duration = Duration::from_millis(1);
/// How long closing may take.
const CLOSE: Duration = Duration::from_secs(2);

/// The service's function that takes lines of the log. Blocks until they are stored, or returns why they are not.
pub type Shipper = Arc<dyn Fn(String) -> std::result::Result<(), String> + Send + Sync>;

/// Writes what was accessed.
pub struct Audit {
    config: AuditSettings,
    environment: &'static str,
    /// Given back by [`Audit::close`], with its journal and its files.
    log: RwLock<Option<Arc<AuditLog>>>,
    /// The records that cached reads are counted in.
    tally: Tally,
    /// What is recorded before the log is open.
    early: Mutex<Early>,
    opening: Opening,
    told: AtomicBool,
    tools: Arc<Manifest>,
    notices: Arc<dyn Notices>,
    shipper: Option<Shipper>,
    clock: Clock,
}

impl Audit {
    /// The log of a delivery in an environment, with its tools and notices. It is opened by [`Audit::ready`].
    pub fn new(
        config: AuditSettings,
        (environment, tools, notices): (&'static str, Arc<Manifest>, Arc<dyn Notices>),
        shipper: Option<Shipper>,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            environment,
            log: RwLock::default(),
            tally: Tally::default(),
            early: Mutex::default(),
            opening: Opening::default(),
            told: false.into(),
            tools,
            notices,
            shipper,
            clock,
        })
    }

    /// Whether nothing is delivered while the log cannot be written.
    pub fn denies(&self) -> bool {
        self.config.denies
    }

    /// Opens the log, once. Where nothing is delivered without it, says why it cannot be.
    ///
    /// # Errors
    /// `AUDIT_WRITE_FAILED`.
    pub async fn ready(self: &Arc<Self>) -> Result<()> {
        if let Some(log) = self.log() {
            return self.judge(&log);
        }
        let opened = self.open().await;
        match (opened, self.log()) {
            (_, Some(log)) => self.judge(&log),
            (Err(error), None) => self.unless_needed(error),
            (Ok(()), None) => Ok(()),
        }
    }

    fn log(&self) -> Option<Arc<AuditLog>> {
        self.log.read().clone()
    }

    fn judge(&self, log: &AuditLog) -> Result<()> {
        if self.config.denies && !log.state().is_kept() { Err(Self::failing(log)) } else { Ok(()) }
    }

    fn failing(log: &AuditLog) -> SecretError {
        log.failure().map_or_else(
            || SecretError::new(ErrorCode::AuditWriteFailed, "the audit log is not written"),
            |failure| unwritable(&failure),
        )
    }

    /// What is made here is private; a file that was there before may not be.
    fn tell_loose_modes(&self) {
        let AuditSink::File(path) = &self.config.sink else { return };
        let mut state = path.clone().into_os_string();
        state.push(".state");
        for loose in [path.clone(), state.into()].iter().filter_map(|path| loose_mode(path)) {
            self.notices.notice(Notice::warning("AUDIT_LOG_MODE", loose));
        }
    }

    fn tell_once(&self, error: &SecretError) {
        if !self.told.swap(true, Ordering::Relaxed) {
            self.notices.notice(Notice::warning("AUDIT_FAILING", error.to_string()));
        }
    }

    /// Repeats at the beginning of each instance which controls are waived, and why, and which AWS secrets its names stand for.
    fn tell_configuration(&self, log: &AuditLog) {
        if self.config.is_guest {
            return;
        }
        let waivers =
            self.config.waivers.iter().map(|(control, reason)| ("waiver", format!("{control}: {reason}"), &**control));
        let places = self.config.places.iter().map(|(name, id)| ("reference", format!("{name}: {id}"), ""));
        for (source, said, code) in waivers.chain(places) {
            let record = Record { source, secret: &said, code, ..Record::new(Event::Config) };
            if let Err(error) = log.try_append(&record) {
                tracing::debug!("a record about the configuration was not written: {error}");
            }
        }
    }

    fn options(self: &Arc<Self>) -> Options {
        let destination = match (&self.config.sink, &self.shipper) {
            (AuditSink::File(path), _) => Destination::File(path.clone()),
            (AuditSink::Shipper, Some(shipper)) => {
                let shipper = shipper.clone();
                Destination::Receiver(Box::new(move |lines| shipper(String::from_utf8_lossy(lines).into_owned())))
            }
            (AuditSink::Stdout | AuditSink::Shipper, _) => Destination::Stdout,
        };
        let (notices, is_guest) = (self.notices.clone(), self.config.is_guest);
        let listener = move |notice: LogNotice| {
            notices.notice(match notice {
                LogNotice::Failing { message, .. } => Notice::warning("AUDIT_FAILING", message),
                LogNotice::Healthy => Notice::warning("AUDIT_RECOVERED", "the audit log is written again"),
                LogNotice::Changed { code: "KEY_BEGINS", message } => Notice::warning("AUDIT_KEY_BEGINS", message),
                LogNotice::Changed { code, message } => {
                    Notice::warning("AUDIT_LOG_CHANGED", format!("{code}: {message}"))
                }
                LogNotice::Waiting { message } => {
                    let why = "records wait in the journal, which outlives this process";
                    Notice::warning("AUDIT_LOG_WAITS", format!("{message}: {why}"))
                }
                LogNotice::InMemory { message } => {
                    let lost = "records wait in memory, and a process that is killed loses those of its last second";
                    let remedy = "set audit.journalDirectory to a directory that can be written";
                    Notice::warning("AUDIT_JOURNAL_IN_MEMORY", format!("{message}: {lost}; {remedy}"))
                }
                LogNotice::Recovered { instance, records } => {
                    return tracing::info!("{records} audit records of the ended instance {instance} were taken over");
                }
            });
        };
        Options {
            key: self.config.key.as_ref().and_then(|key| Key::new(key)),
            journals: self.config.journals.clone(),
            max_bytes: if is_guest { u64::MAX } else { self.config.max_bytes },
            max_age: if is_guest { Duration::MAX } else { self.config.max_age },
            keep: if is_guest { Duration::MAX } else { self.config.keep },
            may_delete: self.config.may_delete,
            is_guest,
            actor: self.config.actor.text(),
            listener: Box::new(listener),
            ..Options::new(destination, self.environment)
        }
    }

    /// Notes the AWS account that secrets come from.
    pub fn note_account(&self, account: &str) {
        if let Some(log) = self.log() {
            log.note_account(account);
        }
    }

    fn record<'a>(&'a self, access: &Access<'a>) -> Record<'a> {
        Record {
            cache: access.cache,
            outcome: access.outcome,
            latency_us: u32::try_from(access.took.as_micros()).unwrap_or(u32::MAX),
            environment: access.environment,
            tool: self.tools.tool_of(access.name),
            secret: access.name,
            source: access.source,
            code: access.code,
            version: access.version,
            count: access.count,
            request: access.request,
            caller: &self.config.label,
            ..Record::new(Event::Access)
        }
    }

    /// Records an access. The value leaves only when this is `Ok`.
    ///
    /// # Errors
    /// `AUDIT_WRITE_FAILED` where nothing is delivered without its record.
    pub async fn access(&self, access: &Access<'_>) -> Result<()> {
        self.write(&self.record(access)).await
    }

    /// Records that AWS was asked about a secret for `what` (such as `plan` or `explain`), and nothing was delivered. Does
    /// not wait, and a record that has no place changes nothing.
    pub fn inspected(&self, what: &str, access: &Access<'_>) {
        let record = Record { event: Event::Inspect, source: what, ..self.record(access) };
        match self.log() {
            Some(log) => {
                if let Err(error) = log.try_append(&record) {
                    tracing::debug!("an inspection was not recorded: {error}");
                }
            }
            None if !self.opening.is_closed() => self.early.lock().keep(&record),
            None => {}
        }
    }

    /// Records an act: what was done to `name` (empty: to everything).
    ///
    /// # Errors
    /// As [`Audit::access`].
    pub async fn act(&self, event: Event, name: &str, result: &Result<()>) -> Result<()> {
        let (outcome, code) = result.as_ref().err().map_or((Outcome::Ok, ""), refusal);
        let tool = self.tools.tool_of(name);
        let request = request_of(result.as_ref().err());
        let caller = &*self.config.label;
        let record = Record { tool, secret: name, outcome, code, request, caller, ..Record::new(event) };
        self.write(&record).await
    }

    /// Records what a migration or a command (`event`) did (`what`) to the AWS secret of `name`, or failed to do.
    ///
    /// # Errors
    /// As [`Audit::access`].
    pub async fn written(
        &self,
        (event, what): (Event, &str),
        name: &str,
        version: &str,
        error: Option<&SecretError>,
    ) -> Result<()> {
        let (outcome, code) = error.map_or((Outcome::Ok, ""), refusal);
        let record = Record {
            outcome,
            tool: self.tools.tool_of(name),
            secret: name,
            source: what,
            code,
            version,
            request: request_of(error),
            caller: &self.config.label,
            ..Record::new(event)
        };
        self.write(&record).await
    }

    /// Records a rotation. It has happened: a record that cannot be written is reported and changes nothing.
    pub async fn rotation(&self, report: &Report) {
        let outcome = if report.ending == Ending::Finished { Outcome::Ok } else { Outcome::Failed };
        let record = Record {
            outcome,
            latency_us: u32::try_from(report.ended_unix_ms.saturating_sub(report.started_unix_ms) * 1000)
                .unwrap_or(u32::MAX),
            environment: if report.environment.as_str() == self.environment { "" } else { report.environment.as_str() },
            tool: self.tools.tool_of(&report.name),
            secret: &report.name,
            source: report.ending.as_str(),
            code: report.error.as_ref().map_or("", |error| error.code().as_str()),
            version: report.version.as_deref().unwrap_or_default(),
            request: request_of(report.error.as_ref()),
            caller: &self.config.label,
            ..Record::new(Event::Rotate)
        };
        if let Err(error) = self.write(&record).await {
            self.tell_once(&error);
        }
    }

    async fn write(&self, record: &Record<'_>) -> Result<()> {
        let Some(log) = self.log() else {
            return self.without_log(record);
        };
        self.judge(&log)?;
        let end = Deadline::after(SPACE_TIMEOUT);
        loop {
            match log.try_append(record) {
                Ok(()) => return Ok(()),
                Err(AppendError::Full) if self.config.denies && !end.has_passed() => sleep(SPACE_POLL).await,
                Err(AppendError::Closed) => return self.unless_needed(SecretError::closed()),
                Err(error) => {
                    log.miss(u64::from(record.count));
                    let error = SecretError::new(ErrorCode::AuditWriteFailed, error.to_string());
                    self.tell_once(&error);
                    return self.unless_needed(error);
                }
            }
        }
    }

    /// What becomes of a record while the log is not open: where nothing waits for the log, it is kept until then.
    fn without_log(&self, record: &Record<'_>) -> Result<()> {
        if self.opening.is_closed() {
            return self.unless_needed(SecretError::closed());
        }
        if self.config.denies {
            return Err(SecretError::new(ErrorCode::AuditWriteFailed, "the audit log is not open"));
        }
        let mut early = self.early.lock();
        match self.log() {
            // It was opened meanwhile.
            Some(log) => {
                if log.try_append(record).is_err() {
                    log.miss(u64::from(record.count));
                }
            }
            None => early.keep(record),
        }
        Ok(())
    }

    fn unless_needed(&self, error: SecretError) -> Result<()> {
        if self.config.denies { Err(error) } else { Ok(()) }
    }

    /// Whether the log cannot be written, as far as is known without waiting. One that was not opened yet is not failing.
    pub fn is_failing(&self) -> bool {
        match self.log() {
            Some(log) => matches!(log.state(), State::Failing(_)),
            None => self.opening.has_failed(),
        }
    }

    /// Whether records are written, and why not.
    ///
    /// # Errors
    /// `AUDIT_WRITE_FAILED`.
    pub async fn check(self: &Arc<Self>) -> Result<()> {
        self.open().await?;
        match self.log() {
            Some(log) if matches!(log.state(), State::Failing(_)) => Err(Self::failing(&log)),
            None if !self.opening.is_closed() => Err(self.opening.failure()),
            _ => Ok(()),
        }
    }

    /// Takes the log away from all that append to it.
    fn taken(&self) -> Option<Arc<AuditLog>> {
        let log = self.log.write().take();
        self.tally.clear();
        log
    }

    /// Writes what is left, ends the log, and gives back its journal and its files.
    ///
    /// # Errors
    /// `AUDIT_WRITE_FAILED`; the records stay in the journal, for the next process.
    pub async fn close(self: &Arc<Self>) -> Result<()> {
        if self.early.lock().len() > 0 {
            self.opening.wait(CLOSE).await;
        }
        self.opening.close();
        let Some(log) = self.taken() else {
            let lost = std::mem::take(&mut *self.early.lock()).len();
            if lost > 0 {
                let why = format!("{lost} audit records were not written, because the log could not be opened");
                self.notices.notice(Notice::warning("AUDIT_RECORDS_LOST", why));
            }
            return Ok(());
        };
        let closed = tokio::task::spawn_blocking(move || log.close(CLOSE)).await;
        match closed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => Err(unwritable(&failure)),
            Err(_) => Err(SecretError::new(ErrorCode::AuditWriteFailed, "the audit log was not closed")),
        }
    }
}

/// AWS's id of the request that was refused or failed.
fn request_of(error: Option<&SecretError>) -> &str {
    error.and_then(SecretError::request_id).unwrap_or_default()
}

fn unwritable(failure: &Failure) -> SecretError {
    let what_to_do = match failure.reason {
        // A function of the service, and no file.
        Reason::Refused => {
            "see why audit.sink does not take them (a function that returns, or a promise that is fulfilled, has taken them)"
        }
        _ => "make the path writable for this user, set audit.path or TCS_AUDIT_LOG (a path or 'stdout')",
    };
    let without = "set audit.onFailure: 'warn' (values are delivered without their records) or audit: false";
    SecretError::new(ErrorCode::AuditWriteFailed, format!("{failure}; {what_to_do}, or {without}"))
}
