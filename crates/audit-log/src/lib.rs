//! A tamper-evident, append-only audit log that survives the death of the process.
//!
//! [`AuditLog::try_append`] puts a record into a memory-mapped journal: about 100 ns, no system call. The log's own
//! thread turns the records into JSON lines, chained by hashes, in a file that several processes share. When a process
//! was killed, the next one writes the records that are left in its journal, each exactly once. [`verify`] names the
//! first record that was changed, removed, inserted or moved. `docs/audit.md` has the format and the guarantees.
//!
//! `__test__/architecture/rooms.js` has the order of the modules; each uses only those before it. `map`
//! and, for macOS and Windows, `boot` have all the `unsafe`.
#![deny(unsafe_code)]

#[cfg_attr(
    any(target_os = "macos", windows),
    expect(unsafe_code, reason = "these systems tell it by functions of C; the file says why each call is sound")
)]
mod boot;
mod chain;
mod drain;
mod error;
mod fault;
mod file_sink;
mod files;
mod forms;
mod head;
mod inspect;
mod journal;
mod line;
mod link;
mod log;
#[expect(unsafe_code, reason = "a mapped file is a pointer; the file says why what it does is sound")]
mod map;
mod options;
mod packed;
pub mod pause;
mod record;
mod ring;
mod stream_sink;
mod tally;
mod time;
mod verify;
mod walk;
mod worker;

pub use chain::Counts;
pub use error::{AppendError, Failure, Notice, Reason, Result, State};
pub use fault::{Fault, FaultKind};
pub use inspect::Sums;
pub use link::{Hash, Key, hex, parse_hex};
pub use log::{AuditLog, Figures, Recovery, recover};
pub use options::{Destination, Options};
pub use record::{Cache, Event, MAX_SECRET, MAX_TEXT, Outcome, Record};
pub use stream_sink::Receiver;
pub use tally::{Counted, CountedSecret, Tally};
pub use time::{Clock, system_clock};
pub use verify::{Progress, Verification, VerifyOptions, verify};
pub use worker::Listener;
