//! The delivery core: names, sources, resolver, caches. No Node-API and no process globals.
//!
//! Arrows point down only: `delivery` → `resolver`, `cache`, `metrics` → `source` → the domain words (`name`,
//! `value`, `environment`, `error`, `clock`, `notice`). The AWS SDK is known to `source::aws` alone, Redis to
//! `cache::redis` alone.
#![forbid(unsafe_code)]

pub mod audit;
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
pub mod tasks;
pub mod timer;
pub mod tool_secrets;
pub mod validation;
