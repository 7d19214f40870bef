//! The delivery core: names, sources, resolver, caches. No Node-API and no process globals.
//!
//! `ARCHITECTURE.md` has the modules, and `__test__/architecture/arrows.test.js` their order: each uses only those
//! before it.
//!
//! What the addon calls is `#[boxed]`: its future is compiled here, for size, and not a second time in the addon (decision 9).
#![forbid(unsafe_code)]
#![recursion_limit = "256"]

pub mod audit;
pub mod compliance;
pub mod config;
pub mod delivery;
pub mod events;
pub mod explain;
pub mod export;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod health;
pub mod log;
pub mod metrics;
pub mod migration;
pub mod reads;
pub mod resolver;
pub mod rotation;
pub mod source;
pub mod store;
pub mod tasks;
pub mod timer;
pub mod tool_secrets;
pub mod validation;
pub mod writing;
