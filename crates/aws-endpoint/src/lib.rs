//! A Secrets Manager endpoint for tests and benchmarks. Follows AWS's documented rules where MiniStack does not
//! (limits, IAM denials, idempotency), and fails on demand.
//!
//! - `store`: secrets, versions and staging labels
//! - `operations`: the API's actions over the store
//! - `faults`: injected delays, errors, malformed answers, denials
//! - `control`: the same for other processes, under `/_control/`
//! - `server`: HTTP

mod clock;
mod control;
pub mod faults;
mod operations;
mod server;
pub mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

pub use faults::Fault;
use faults::Faults;
pub use server::AwsEndpoint;
use store::Store;

/// What was asked so far.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// Calls of all operations.
    pub total: u64,
    /// Calls by operation.
    pub by_operation: BTreeMap<String, u64>,
    /// Connections accepted.
    pub connections_opened: u64,
}

/// Everything the endpoint knows; shared by all connections.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
}

pub(crate) type Shared = Arc<Mutex<State>>;

pub(crate) fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock()
}
