//! What the endpoint holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::faults::Faults;
use crate::store::{OWN_ACCOUNT, Store};
use crate::sts::Sts;

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
    /// The secrets of the own account.
    pub(crate) store: Store,
    /// Those of others, by account.
    pub(crate) others: BTreeMap<String, Store>,
    pub(crate) sts: Sts,
    /// The region that is served; `None`: every one.
    pub(crate) region: Option<String>,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
}

impl State {
    /// Runs `work` with the secrets of `account` as the store.
    pub(crate) fn of_account<T>(&mut self, account: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        if account == OWN_ACCOUNT {
            return work(self);
        }
        let other = self.others.remove(account).unwrap_or_else(|| Store::of_account(account));
        let own = std::mem::replace(&mut self.store, other);
        let done = work(self);
        let other = std::mem::replace(&mut self.store, own);
        self.others.insert(account.to_owned(), other);
        done
    }
}

/// The state that all connections share.
pub(crate) type Shared = Arc<Mutex<State>>;

pub(crate) fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock()
}
