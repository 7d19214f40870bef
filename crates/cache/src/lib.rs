//! Caches: a bounded one in the process, over a shared one in Redis whose values are sealed, and a file for the worst
//! case.
#![forbid(unsafe_code)]

pub mod coherence;
pub mod entry;
pub mod envelope;
pub mod memory;
pub mod order;
pub mod redis;
pub mod settings;
pub mod snapshot;
pub mod tiered;
