//! How a log is kept.

use std::path::PathBuf;
use std::time::Duration;

use crate::link::Key;
#[cfg(doc)]
use crate::record::MAX_TEXT;
use crate::stream_sink::Receiver;
use crate::time::{Clock, system_clock};
use crate::worker::Listener;

/// Where the lines go.
pub enum Destination {
    /// A file, shared by any number of processes.
    File(PathBuf),
    /// Standard output; needs [`Options::journals`].
    Stdout,
    /// A receiver in this process, called on the log's thread; needs [`Options::journals`]. If it returns an error, the
    /// same lines are offered again. While it blocks, new records wait in the journal.
    Receiver(Receiver),
}

/// How a log is kept.
pub struct Options {
    /// The destination of the lines.
    pub destination: Destination,
    /// The environment of records that do not name one; at most [`MAX_TEXT`] bytes.
    pub environment: String,
    /// Who writes, as `name=value` pairs that a space separates: the detail of the instance's first record, which is
    /// repeated in each file. At most 1,024 bytes; more is cut off.
    pub actor: String,
    /// With a key every link is an HMAC, so that the chain can be forged only by those who know the key. All writers of
    /// a file need the same key. A log without one goes on with the key in a new file.
    pub key: Option<Key>,
    /// Whether the log is another program's: one that has no key goes on without one, although a key is given.
    pub is_guest: bool,
    /// The directory of the journals. Default: beside the file.
    pub journals: Option<PathBuf>,
    /// The size of the journal in bytes, rounded up to a power of two; a usual record takes 128 bytes. Default 4 MiB.
    pub journal_bytes: u64,
    /// A file of this size in bytes is rotated. Default 256 MiB.
    pub max_bytes: u64,
    /// A file of this age is rotated. Default: never.
    pub max_age: Duration,
    /// A rotated file is deleted this long after its end. Default: never.
    pub keep: Duration,
    /// Whether the wall clock is known to be right: until then nothing is deleted. Default: it is taken for right.
    pub may_delete: fn() -> bool,
    /// Counts are written after this many records. Default 10,000.
    pub checkpoint_records: u64,
    /// Counts are written this long after the last ones, if there were records since. Default 60 s.
    pub checkpoint_after: Duration,
    /// Reads the wall clock.
    pub clock: Clock,
    /// Called on the log's thread with messages for the operator. Must not block.
    pub listener: Listener,
}

impl Options {
    /// The default options for a destination.
    pub fn new(destination: Destination, environment: impl Into<String>) -> Self {
        Self {
            destination,
            environment: environment.into(),
            actor: String::new(),
            key: None,
            is_guest: false,
            journals: None,
            journal_bytes: 4 << 20,
            max_bytes: 256 << 20,
            max_age: Duration::MAX,
            keep: Duration::MAX,
            may_delete: || true,
            checkpoint_records: 10_000,
            checkpoint_after: Duration::from_mins(1),
            clock: system_clock,
            listener: Box::new(|_| {}),
        }
    }
}
