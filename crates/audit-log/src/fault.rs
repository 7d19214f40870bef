//! The faults that a verification finds in a log.

use std::path::PathBuf;

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The text of a record was changed.
    Changed,
    /// Records are missing before the named place.
    Removed,
    /// A record was inserted.
    Inserted,
    /// A record stands before records that were written earlier.
    Reordered,
    /// The counts of a record differ from the records before it, or its checksum is wrong.
    BadCheckpoint,
    /// The end of the log is missing or incomplete, as a power cut or a kill can leave it. This alone is not tampering.
    TornTail,
}

/// The first record that differs from what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened to it.
    pub kind: FaultKind,
    /// The file that it is in.
    pub file: PathBuf,
    /// The number of its line, from 1.
    pub line: u64,
    /// The offset of the line in bytes.
    pub offset: u64,
    /// The fault as a sentence.
    pub message: String,
}
