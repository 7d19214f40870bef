//! The Node face of the delivery core: converts options and results, decides nothing.
//!
//! JavaScript starts an operation with an id and hears of its end through one function that takes finished operations
//! in bulk (`completions`); `lib/delivery.js` turns both into promises. A cached read does not go that way: it is one
//! synchronous call (`raw`).

mod allocator;
mod audit;
mod completions;
mod delivery;
mod failure;
mod hooks;
mod migration;
mod options;
mod questions;
mod raw;
mod report;
mod runtime;
mod shipping;
mod variables;
mod words;

/// The version of this addon, which the package that loads it compares with its own.
#[napi_derive::napi]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
