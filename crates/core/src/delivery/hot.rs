//! Cached reads.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::audit::Audit;
use crate::metrics::Metrics;
use crate::reads::Reads;
use cache::entry::Entry;
use cache::memory::MemoryCache;
use secret::clock::{Clock, Stopwatch};

/// What a cached read needs and nothing more: no task, no lock held across anything, no allocation.
pub struct HotPath {
    pub(super) audit: Option<Arc<Audit>>,
    pub(super) memory: Option<Arc<MemoryCache>>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) reads: Weak<Reads>,
    pub(super) runtime: Handle,
}

impl HotPath {
    /// The value of `name` that memory may return at once, counted; `None` when the read has to take the long way.
    #[inline]
    pub fn read(&self, name: &str) -> Option<Arc<Entry>> {
        let watch = Stopwatch::start();
        let (entry, stale) = self.peek(name)?;
        let took = watch.took();
        if !self.is_recorded(name, &entry, stale, took) {
            return None;
        }
        self.metrics.hit_in_memory(stale, took);
        Some(entry)
    }

    /// Whether the read has its audit record, or needs none.
    #[inline]
    pub(super) fn is_recorded(&self, name: &str, entry: &Entry, stale: bool, took: Duration) -> bool {
        self.audit.as_ref().is_none_or(|audit| audit.hit(name, entry.version_id.as_deref(), stale, took))
    }

    /// As `read`, not counted. After `close` the memory is empty, so no flag needs to be read here.
    #[inline]
    pub(super) fn peek(&self, name: &str) -> Option<(Arc<Entry>, bool)> {
        let now = self.clock.now();
        let (entry, stale) = self.memory.as_ref()?.serve(name, now)?;
        if entry.claim_refresh(now) {
            self.refresh_ahead(name, &entry);
        }
        Some((entry, stale))
    }

    #[cold]
    fn refresh_ahead(&self, name: &str, entry: &Arc<Entry>) {
        if let Some(reads) = self.reads.upgrade() {
            reads.refresh_ahead(name, entry, &self.runtime);
        }
    }
}
