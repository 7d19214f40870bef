//! Caches: a bounded one in the process, over a shared one in Redis whose values are sealed.

pub mod envelope;
pub mod memory;
pub mod redis;
pub mod tiered;
