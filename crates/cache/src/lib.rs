//! Caches: a bounded one in the process, over a shared one in Redis whose values are sealed, and a file for the worst
//! case.
#![forbid(unsafe_code)]

pub mod coherence;
pub mod entry;
pub mod envelope;
pub mod memory;
pub mod order;
pub mod owner;
pub mod redis;
pub mod settings;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod snapshot;
pub mod tiered;
