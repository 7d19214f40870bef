//! What the endpoint holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::faults::Faults;
use crate::quotas::Quotas;
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
    /// Replicas, by region.
    pub(crate) regions: BTreeMap<String, Store>,
    pub(crate) sts: Sts,
    pub(crate) quotas: Quotas,
    /// The region that is served; `None`: every one.
    pub(crate) region: Option<String>,
    pub(crate) faults: Faults,
    pub(crate) calls: Calls,
}

impl State {
    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Has secrets made from now on be of `region`, and serves no other one that has no replicas.
    pub(crate) fn be_in(&mut self, region: &str) {
        region.clone_into(&mut self.store.region);
        self.region = Some(region.to_owned());
    }

    /// Whether what was signed for `region` is served.
    pub(crate) fn serves(&self, region: &str) -> bool {
        self.region.as_deref().is_none_or(|own| own == region) || self.regions.contains_key(region)
    }

    /// Runs `work` with the replicas of `region` as the store, where there are some.
    pub(crate) fn of_region<T>(&mut self, region: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let Some(replicas) = self.regions.remove(region) else {
            let done = work(self);
            if !self.regions.is_empty() {
                self.follow_primaries();
            }
            return done;
        };
        let own = std::mem::replace(&mut self.store, replicas);
        let done = work(self);
        let replicas = std::mem::replace(&mut self.store, own);
        self.regions.insert(region.to_owned(), replicas);
        done
    }

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
