//! The faults that a verification finds in a log.

use std::path::PathBuf;

/// What was done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Its text was changed.
    Changed,
    /// Records are missing before the named place.
    Removed,
    /// It does not belong there.
    Inserted,
    /// It stands before records that were written earlier.
    Reordered,
    /// It counts other records than there are, or its check is wrong.
    BadCheckpoint,
    /// The end of the log is missing or unfinished, as a power cut or a kill can leave it. Not tampering by itself.
    TornTail,
}

/// The first record that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was done to it.
    pub kind: FaultKind,
    /// Its file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: u64,
    /// Where the line begins, in bytes.
    pub offset: u64,
    /// The same for people.
    pub message: String,
}
