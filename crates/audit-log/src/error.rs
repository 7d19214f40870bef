//! What can go wrong: the reasons, errors and notices of the log.

use std::io;

/// Why records cannot be written at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The disk, the quota or the largest allowed file is full.
    Full = 1,
    /// The file system is read-only.
    ReadOnly,
    /// The user of this process may not write there.
    Denied,
    /// The directory does not exist.
    Missing,
    /// The path is a directory, FIFO, device or symbolic link.
    NotAFile,
    /// The file is not an audit log, or was begun with another key.
    Foreign,
    /// Another process has held the lock of the log for too long.
    Locked,
    /// The receiver of the lines returned an error.
    Refused,
    /// The log's thread ended unexpectedly.
    Stopped,
    /// Any other error of the operating system.
    Io,
}

impl Reason {
    const ALL: [Self; 10] = [
        Self::Full,
        Self::ReadOnly,
        Self::Denied,
        Self::Missing,
        Self::NotAFile,
        Self::Foreign,
        Self::Locked,
        Self::Refused,
        Self::Stopped,
        Self::Io,
    ];

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u8 == byte)
    }

    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => Self::NotAFile,
            _ => Self::Io,
        }
    }
}

/// Why the log cannot be opened, written or recovered: the reason, and a message for people.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The reason.
    pub reason: Reason,
    /// Says what failed, at which path, and what to do.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The failure of a log that was written with another key than the given one.
    pub(crate) fn other_key(method: &str) -> Self {
        let message = format!("the audit log has a key ({method}): give that key");
        Self::new(Reason::Foreign, message)
    }

    /// The failure for an `error` of the system while doing `what` (such as "write the audit log") at `path`.
    pub(crate) fn io(what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        let reason = Reason::of(error);
        match path.parent().filter(|directory| reason == Reason::Missing && !directory.exists()) {
            // The system's own words would not say whether the file or its directory is missing.
            Some(directory) => {
                let directory = directory.display();
                Self::new(
                    reason,
                    format!(
                        "could not {what} {}: make the directory {directory}, which does not exist",
                        path.display()
                    ),
                )
            }
            None => Self::new(reason, format!("could not {what} {}: {error}", path.display())),
        }
    }
}

/// The result of an operation on the log's files.
pub type Result<T> = std::result::Result<T, Failure>;

/// Whether records reach their destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Records are written.
    Healthy,
    /// Another process has had the lock for too long, and records wait in the journal, on the disk. That process may be stopped, or
    /// this one was.
    Waiting,
    /// Records wait in the journal, for this reason. [`Reason::Locked`]: half of it is full.
    Failing(Reason),
}

impl State {
    /// Whether records that are appended now are as good as written: they are, or only the lock is missing. Once the journal is full
    /// they are refused one by one.
    #[inline]
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Healthy | Self::Waiting | Self::Failing(Reason::Locked))
    }
}

/// Why the log did not accept a record. No part of the record was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The journal is full: records arrive faster than they can be written, or writing fails.
    #[error("the audit journal is full; the log is not written fast enough, or not at all")]
    Full,
    /// A text of the record is longer than `MAX_TEXT` or `MAX_SECRET` bytes.
    #[error("a text of the audit record is too long")]
    TooLong,
    /// Only the log itself may write this event.
    #[error("this event is written by the audit log itself")]
    Reserved,
    /// The log was closed.
    #[error("the audit log was closed")]
    Closed,
}

/// A message for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Writing has begun to fail, and records wait in the journal.
    Failing {
        /// The kind of failure.
        reason: Reason,
        /// The failure as a sentence.
        message: String,
    },
    /// The state is [`State::Waiting`] from now on.
    Waiting {
        /// The failure as a sentence.
        message: String,
    },
    /// Writing works again.
    Healthy,
    /// The records of a dead process were written to the log.
    Recovered {
        /// The instance that died.
        instance: String,
        /// The number of records.
        records: u64,
    },
    /// The journal could not be made in its directory and is in memory: what is not written yet is lost if the process
    /// is killed.
    InMemory {
        /// Why.
        message: String,
    },
    /// Another program changed the log. The code is also in the log, in a record `tamper`, `recover` or `begin`.
    Changed {
        /// A code such as `LOG_TRUNCATED`.
        code: &'static str,
        /// The change as a sentence.
        message: String,
    },
}
