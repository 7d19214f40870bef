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

/// How long a read waits for the log to be opened. Well above the half second for which its lock is waited for.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How long it waits where no delivery depends on the log: a working log is opened within that time.
const SHORT_PATIENCE: Duration = Duration::from_millis(100);
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
    /// Until when the attempt that is under way is not reported.
    overdue: Option<Deadline>,
    /// How the last attempt ended.
    failed: Option<SecretError>,
    /// Whether an attempt took longer than readers wait. They do not wait for the next one.
    was_late: bool,
    retry_at: Moment,
}

impl Default for Progress {
    fn default() -> Self {
        Self { under_way: None, overdue: None, failed: None, was_late: false, retry_at: Moment::FIRST }
    }
}

impl Opening {
    /// Has a log that is opened from now on be closed at once.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Whether the delivery was closed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Waits until no attempt is under way, for `limit` at most.
    pub(super) async fn wait(&self, limit: Duration) {
        let mut ended = self.ended.subscribe();
        let is_under_way = self.progress.lock().under_way.is_some();
        if is_under_way {
            // Either way the caller looks at the log next.
            drop(Deadline::after(limit).limit(ended.changed()).await);
        }
    }

    /// Whether the last attempt failed.
    pub(super) fn has_failed(&self) -> bool {
        self.progress.lock().failed.is_some()
    }

    /// Why the log is not open.
    pub(super) fn failure(&self) -> SecretError {
        let failed = self.progress.lock().failed.clone();
        failed.unwrap_or_else(|| SecretError::new(ErrorCode::AuditWriteFailed, "the audit log is not open yet"))
    }
}

impl Audit {
    /// Waits until the log is open, for 2.5 seconds at most, and for 0.1 seconds where no delivery depends on it. One attempt is under way at a time, for as long as it takes.
    ///
    /// # Errors
    /// `AUDIT_WRITE_FAILED`, also while an attempt takes too long.
    pub(super) async fn open(self: &Arc<Self>) -> Result<()> {
        let mut ended = self.opening.ended.subscribe();
        let deadline = {
            let mut progress = self.opening.progress.lock();
            if self.log().is_some() {
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
            if self.config.denies {
                self.tell_once(&late);
            }
            let mut progress = self.opening.progress.lock();
            if progress.under_way == Some(deadline) {
                (progress.was_late, progress.failed) = (true, Some(late.clone()));
            }
            return Err(late);
        }
        if self.log().is_some() {
            return Ok(());
        }
        self.opening.progress.lock().failed.clone().map_or(Ok(()), Err)
    }

    /// Reports an attempt that is still under way after 2.5 seconds, where no reader has waited that long.
    fn tell_when_overdue(self: &Arc<Self>, overdue: Deadline) {
        let audit = Arc::downgrade(self);
        let mut ended = self.opening.ended.subscribe();
        // It ends by itself, 2.5 seconds from now at the latest.
        tokio::spawn(async move {
            if overdue.limit(ended.changed()).await.is_err()
                && let Some(audit) = audit.upgrade()
                && audit.opening.progress.lock().overdue == Some(overdue)
            {
                audit.tell_once(&late());
            }
        });
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
        let overdue = Deadline::after(PATIENCE);
        progress.overdue = Some(overdue);
        if self.config.denies {
            progress.under_way = Some(overdue);
        } else {
            progress.under_way = Some(Deadline::after(SHORT_PATIENCE));
            self.tell_when_overdue(overdue);
        }
        Ok(())
    }

    /// Ends an attempt.
    fn opened(&self, opened: Result<AuditLog>) {
        let mut progress = self.opening.progress.lock();
        (progress.under_way, progress.overdue) = (None, None);
        match opened {
            Ok(log) => {
                progress.failed = None;
                // Locked until the log is in its place: no record may come between the early ones and the log.
                let mut early = self.early.lock();
                early.move_to(&log);
                self.tell_configuration(&log);
                *self.log.write() = Some(Arc::new(log));
            }
            Err(error) => {
                self.tell_once(&error);
                progress.retry_at = self.clock.now().plus(RETRY);
                progress.failed = Some(error);
            }
        }
        drop(progress);
        self.opening.ended.send_replace(());
        if self.opening.is_closed()
            && let Some(Err(failure)) = self.taken().map(|log| log.close(CLOSE))
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
