//! Opens the audit log, on a thread of its own and within a deadline: its file system may hang, another process may hold
//! its lock, and `audit.sink` may never settle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Audit, CLOSE, unwritable};
use crate::timer::Deadline;
use audit_log::AuditLog;
use secret::clock::Moment;
use secret::error::{ErrorCode, Result, SecretError};

/// How long a read waits for the log to be opened. Above the two seconds for which another process may hold its lock.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How long to wait before the log is opened again after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// How far the opening of the log has got.
#[derive(Default)]
pub(super) struct Opening {
    progress: Mutex<Progress>,
    /// Changes when an attempt ends.
    ended: watch::Sender<()>,
    closed: AtomicBool,
}

struct Progress {
    /// Until when readers wait for the attempt that is under way; `None` when none is.
    under_way: Option<Deadline>,
    /// How the last attempt ended.
    failed: Option<SecretError>,
    /// Whether an attempt took longer than readers wait. They do not wait for the next one.
    was_late: bool,
    retry_at: Moment,
}

impl Default for Progress {
    fn default() -> Self {
        Self { under_way: None, failed: None, was_late: false, retry_at: Moment::FIRST }
    }
}

impl Opening {
    /// Has a log that is opened from now on be closed at once.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}

impl Audit {
    /// Waits until the log is open, for 2.5 seconds at most. One attempt is under way at a time, for as long as it takes.
    ///
    /// # Errors
    /// `AUDIT_WRITE_FAILED`, also while an attempt takes too long.
    pub(super) async fn open(self: &Arc<Self>) -> Result<()> {
        let mut ended = self.opening.ended.subscribe();
        let deadline = {
            let mut progress = self.opening.progress.lock();
            if self.log.get().is_some() {
                return Ok(());
            }
            if progress.under_way.is_none() && self.clock.now() >= progress.retry_at {
                self.begin(&mut progress)?;
            }
            match (progress.under_way, &progress.failed) {
                (Some(_), Some(error)) if progress.was_late => return Err(error.clone()),
                (Some(deadline), _) => deadline,
                (None, failed) => return failed.clone().map_or(Ok(()), Err),
            }
        };
        if deadline.limit(ended.changed()).await.is_err() {
            let late = late();
            self.tell_once(&late);
            let mut progress = self.opening.progress.lock();
            if progress.under_way == Some(deadline) {
                (progress.was_late, progress.failed) = (true, Some(late.clone()));
            }
            return Err(late);
        }
        if self.log.get().is_some() {
            return Ok(());
        }
        self.opening.progress.lock().failed.clone().map_or(Ok(()), Err)
    }

    fn begin(self: &Arc<Self>, progress: &mut Progress) -> Result<()> {
        let audit = self.clone();
        let attempt = move || {
            let opened = AuditLog::open(audit.options());
            if opened.is_ok() {
                audit.tell_loose_modes();
            }
            audit.opened(opened.map_err(|failure| unwritable(&failure)));
        };
        let spawned = thread::Builder::new().name("audit-open".into()).spawn(attempt);
        spawned
            .map_err(|error| SecretError::new(ErrorCode::AuditWriteFailed, format!("no thread: {}", error.kind())))?;
        progress.under_way = Some(Deadline::after(PATIENCE));
        Ok(())
    }

    /// Ends an attempt.
    fn opened(&self, opened: Result<AuditLog>) {
        let mut progress = self.opening.progress.lock();
        progress.under_way = None;
        match opened {
            Ok(log) => {
                progress.failed = None;
                // One attempt at a time opens it, and none once it is open.
                drop(self.log.set(log));
            }
            Err(error) => {
                self.tell_once(&error);
                progress.retry_at = self.clock.now().plus(RETRY);
                progress.failed = Some(error);
            }
        }
        drop(progress);
        self.opening.ended.send_replace(());
        if self.opening.closed.load(Ordering::SeqCst)
            && let Some(Err(failure)) = self.log.get().map(|log| log.close(CLOSE))
        {
            tracing::warn!("the audit log was opened after close() and could not be closed: {failure}");
        }
    }
}

fn late() -> SecretError {
    let seconds = PATIENCE.as_secs_f32();
    let why = "the file system, another process that holds the log, or audit.sink does not answer";
    let message = format!("the audit log could not be opened within {seconds} s: {why}");
    SecretError::new(ErrorCode::AuditWriteFailed, message)
}
