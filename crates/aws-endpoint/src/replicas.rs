//! Replicas of secrets in other regions.
//!
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/replicate-secrets.html>: "The ARN for a replica secret is the same as
//! the primary secret except for the Region"; a replica cannot be updated by itself.

use std::collections::BTreeSet;

use crate::state::State;
use crate::store::{ApiResult, Store};

impl State {
    /// Replicates a secret to more regions.
    pub(crate) fn replicate(&mut self, id: &str, regions: &[String]) -> ApiResult<()> {
        let secret = self.store.live(id)?;
        secret.replicas.extend(regions.iter().cloned());
        self.follow_primaries();
        Ok(())
    }

    /// Removes replicas.
    pub(crate) fn unreplicate(&mut self, id: &str, regions: &[String]) -> ApiResult<()> {
        let secret = self.store.live(id)?;
        for region in regions {
            secret.replicas.remove(region);
        }
        self.follow_primaries();
        Ok(())
    }

    /// Makes the replicas what their primaries are now.
    pub(crate) fn follow_primaries(&mut self) {
        let regions: BTreeSet<String> = self.store.replicas().flat_map(|(_, secret)| secret.replicas.clone()).collect();
        self.regions.retain(|region, _| regions.contains(region));
        for region in regions {
            let mut store = Store::default();
            store.region.clone_from(&region);
            for (name, secret) in self.store.replicas().filter(|(_, secret)| secret.replicas.contains(&region)) {
                store.put_replica(name, secret.in_region(&region));
            }
            self.regions.insert(region, store);
        }
    }
}
