//! AWS Secrets Manager, through AWS's own SDK. No other crate uses the SDK.
//!
//! Each module uses only those before it:
//! - `proxy`: which requests go through a proxy
//! - `settings`: the settings, already parsed
//! - `permission`: which permission is missing
//! - `operation`: AWS's operations and their counters
//! - `way`, `http`: how connections are opened, through proxies too, and the HTTP client over them
//! - `body`, `skew`, `unreached`, `connections`: the HTTP connections of a region: how long an answer may be, with which clock
//!   its request was signed, and why there is none
//! - `profiles`, `process`: AWS's configuration files, and the commands that they name
//! - `sdk`: AWS's SDK with the profiles, certificates and proxies of a delivery
//! - `retry_after`: how long an answer says to wait
//! - `profile_problem`, `identity_problem`, `codes`, `classify`: why there are no credentials, and what AWS's errors mean
//! - `account`, `assume`, `login`, `identity`, `owner`: the account of credentials, roles that are assumed, sessions of
//!   `aws login`, the credentials that all clients share, and whose copies a process shares
//! - `pace`: how fast this process asks while AWS throttles it
//! - `client`, `region`: one client for each region, with its breaker and its paces
//! - `source`: the regions and limits together ([`Aws`])
//! - `answer`: reads values, dates and ids out of AWS's answers
//! - `awake`: deadlines and attempts of a process that may be stopped and continued
//! - `retries`: what follows an attempt
//! - `call`: one call with retries, rate limit and failover
//! - `fetch`, `batch`, `list`, `staging`, `create`, `remove`: the operations
//! - `caller`: who AWS takes this process for
//! - `queue`: the SQS queue that announces changes
#![forbid(unsafe_code)]

mod account;
mod answer;
mod assume;
mod awake;
mod batch;
mod body;
mod call;
mod caller;
#[cfg(any(feature = "canned", fuzzing))]
mod canned;
mod classify;
mod client;
mod codes;
mod connections;
mod create;
mod dates;
mod fetch;
mod http;
mod identity;
mod identity_problem;
mod instance;
mod interim;
mod lasting;
mod list;
mod login;
mod operation;
mod owner;
mod pace;
pub mod permission;
mod process;
mod profile_problem;
mod profiles;
pub mod proxy;
mod queue;
mod region;
mod remove;
mod retries;
mod retry_after;
mod sdk;
pub mod settings;
#[cfg(feature = "simulation")]
pub mod simulated;
#[cfg(feature = "simulation")]
mod simulated_call;
mod skew;
mod source;
mod sso;
mod staging;
mod unreached;
mod way;

pub use answer::{MANAGED_BY, name_in};
pub use batch::{BatchAnswer, Listing, MAX_BATCH};
pub use caller::Caller;
#[cfg(any(feature = "canned", fuzzing))]
pub use canned::Canned;
pub use create::{MARKED, NewSecret};
pub use fetch::Probed;
pub use list::Listed;
pub use operation::{AwsCalls, Operation, OperationCounts};
pub use owner::Owner;
pub use queue::{Message, Queue};
pub use region::RegionState;
pub use sdk::is_region;
pub use source::Aws;
pub use staging::{CURRENT, Description, PENDING, PREVIOUS, Version, Which};
