//! Follows what other instances change in the shared cache.

use std::sync::Arc;

use cache::tiered::Changed;

use super::Reads;

impl Reads {
    /// Begins to follow, once, with the first read that looks into the shared cache, or the first value put by hand.
    pub fn follow_changes(self: &Arc<Self>) {
        if self.copies.shared_cache().is_none() {
            return;
        }
        self.following.call_once(|| {
            let reads = self.clone();
            self.copies.tasks.spawn_until(&self.copies.stop, async move {
                let Some(cache) = reads.cache() else { return };
                let is_overdue = |name: &_| reads.access_checks.is_overdue(name, reads.copies.clock.now());
                tokio::join!(cache.follow(|changed| reads.changed(&changed), is_overdue), reads.check_access());
            });
        });
    }

    fn changed(&self, changed: &Changed<'_>) {
        match changed {
            Changed::Dropped(name) | Changed::Replaced(name) => {
                self.forget(name);
                match changed {
                    Changed::Replaced(_) => self.listings.heard_of(name),
                    _ => self.listings.heard_of_drop(name),
                }
                self.versions.forget(name);
                // Its reads find the copy of the other instance in memory.
                let now = self.copies.clock.now();
                if matches!(changed, Changed::Replaced(_))
                    && self.copies.is_held(name)
                    && !self.access_checks.is_overdue(name, now)
                {
                    self.access_checks.used(name, now);
                }
            }
            Changed::All => {
                self.forget_all();
                self.forget_versions();
            }
            Changed::Unheard(why) => self.copies.warn_unsubscribed(why),
        }
    }
}
