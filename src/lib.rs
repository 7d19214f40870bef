//! The Node face of the delivery core: converts options and results, decides nothing.
//!
//! JavaScript starts an operation with an id (`delivery`) and hears of its end through one function that takes messages
//! in bulk (`completions`); `lib/` turns both into promises. A cached read does not go that way: it is one synchronous
//! call (`raw`).
//!
//! The modules below stand in the order of their arrows: each may use those above it.

mod allocator;
mod runtime;

mod raw;

mod failure;
mod options;
mod reports;
mod scope;

mod audit;
mod words;

mod messages;

mod batch;

mod completions;
mod questions;

mod credentials;
mod hooks;
mod notices;
mod sink;
mod variables;

mod delivery;
