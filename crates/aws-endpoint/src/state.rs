//! What the endpoint holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::faults::Faults;
use crate::store::Store;

/// How often the endpoint was called.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// Calls of all operations together.
    pub total: u64,
    /// Calls by the name of the operation, such as `GetSecretValue`.
    pub by_operation: BTreeMap<String, u64>,
    /// Connections that the endpoint has accepted.
    pub connections_opened: u64,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
}

/// The state that all connections share.
pub(crate) type Shared = Arc<Mutex<State>>;

pub(crate) fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock()
}
