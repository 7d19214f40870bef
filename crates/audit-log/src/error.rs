//! What can go wrong, by name.

use std::io;

/// Why nothing can be written at the moment.
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
    /// Another process holds the log's lock for too long.
    Locked,
    /// The receiver of the lines does not take them.
    Refused,
    /// The log's thread ended unexpectedly.
    Stopped,
    /// Anything else the system says.
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
    /// What, where, and what to do.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The log was written with another key than the one that was given.
    pub(crate) fn other_key(method: &str) -> Self {
        let message = format!("the audit log was written with another key ({method}); give that key");
        Self::new(Reason::Foreign, message)
    }

    /// The system's `error` while doing `what` (such as "write the audit log") at `path`.
    pub(crate) fn io(what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Self::new(Reason::of(error), format!("could not {what} {}: {error}", path.display()))
    }
}

/// The result of what the log does to files.
pub type Result<T> = std::result::Result<T, Failure>;

/// Whether records reach their destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// They do.
    Healthy,
    /// They wait in the journal, for this reason.
    Failing(Reason),
}

/// Why a record was not taken. Nothing of it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The journal is full: the log is written more slowly than records come, or not at all.
    #[error("the audit journal is full; the log is not written fast enough, or not at all")]
    Full,
    /// A text of the record is longer than `MAX_TEXT` or `MAX_SECRET` bytes.
    #[error("a text of the audit record is too long")]
    TooLong,
    /// The event is one that only the log itself writes.
    #[error("this event is written by the audit log itself")]
    Reserved,
    /// The log was closed.
    #[error("the audit log was closed")]
    Closed,
}

/// Something an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Writing began to fail; records wait in the journal.
    Failing {
        /// Why.
        reason: Reason,
        /// The same for people.
        message: String,
    },
    /// Writing works again.
    Healthy,
    /// Records of a dead process were taken over.
    Recovered {
        /// Its instance.
        instance: String,
        /// How many.
        records: u64,
    },
    /// The log was changed by someone else; the code is also in the log, in a record `tamper`, `recover` or `begin`.
    Changed {
        /// Such as `LOG_TRUNCATED`.
        code: &'static str,
        /// The same for people.
        message: String,
    },
}
