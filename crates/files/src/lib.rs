//! Files that are read while a secret is: regular, bounded, and never waited for longer than a deadline.
//!
//! - `pool`: the threads that wait for file systems
//! - `requests`: what is asked of them: a file, its stamp, a directory, a link
#![forbid(unsafe_code)]

mod pool;
mod problem;
mod requests;

pub use pool::{Request, request};
pub use requests::{Directory, File, Link, LooseMode, MAX_FILE, Stamp, is_absent, loose_mode, read_regular, reason};
