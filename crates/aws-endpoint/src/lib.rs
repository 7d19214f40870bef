//! A Secrets Manager endpoint for tests and benchmarks. It follows AWS's documented rules where MiniStack does not
//! (limits, IAM denials, idempotency), and fails on demand.
//!
//! Each module uses only those before it:
//! - `clock`: the only reader of time
//! - `policy`: policies of secrets and of sessions
//! - `store`: secrets, versions and staging labels
//! - `sts`: roles and their sessions
//! - `faults`: injected delays, errors, malformed answers and denials
//! - `quotas`: how often operations may be called
//! - `state`: what all connections share
//! - `replicas`: secrets in other regions
//! - `rights`: what policies allow
//! - `operations`: the API's actions
//! - `control`: lets other processes fill the store and inject faults, under `/_control/`
//! - `signature`: whether requests are signed right
//! - `server`: HTTP

mod clock;
mod control;
mod faults;
mod operations;
mod policy;
mod quotas;
mod replicas;
mod rights;
mod server;
mod signature;
mod state;
mod store;
mod sts;

pub use faults::Fault;
pub use server::AwsEndpoint;
pub use state::Calls;
pub use store::Keeper;
pub use sts::Role;
