//! What messages of other instances say, until it was looked into.

use std::sync::Arc;

use super::MemoryCache;
use crate::order::Stamp;
use secret::clock::Moment;

impl MemoryCache {
    /// A message says that the copies of `name` were dropped: those that were asked for before do not answer until
    /// [`MemoryCache::settle`].
    pub fn suspect(&self, name: &Arc<str>, now: Moment) {
        let mut marks = self.marks.lock();
        marks.suspect(name, self.ask(now));
        if let Some(entry) = self.held(name) {
            entry.set_epoch(0);
        }
    }

    /// [`MemoryCache::suspect`] for all names.
    pub fn suspect_all(&self, now: Moment) {
        let mut marks = self.marks.lock();
        marks.suspect_all(self.ask(now));
        self.distrust();
    }

    /// Whether a copy of `name` that was asked for then may have been dropped, as a message says that was not checked yet.
    pub fn suspects(&self, name: &str, asked: Stamp) -> bool {
        self.marks.lock().suspects(name, asked)
    }

    /// Copies of `name` that were asked for before `outdated` answer for a failing AWS only.
    pub fn want_from_aws(&self, name: &Arc<str>, outdated: Stamp, now: Moment) {
        let mut marks = self.marks.lock();
        marks.want_from_aws(name, outdated, now);
        if let Some(entry) = self.held(name).filter(|entry| entry.asked < outdated) {
            entry.set_epoch(0);
        }
    }

    /// Whether a copy of `name` that was asked for then answers for a failing AWS only.
    pub fn wants_from_aws(&self, name: &str, asked: Stamp) -> bool {
        self.marks.lock().wants_from_aws(name, asked)
    }

    /// When a message said last that copies of `name` were dropped, which was not checked yet, or when a version of it came last that is
    /// known without a copy: an answer to a question from before may be older.
    pub fn outdated_since(&self, name: &str) -> Moment {
        let suspected = self.marks.lock().suspected_at(name).at();
        self.known_without_copy(name).map_or(suspected, |known| suspected.max(known.seen))
    }

    /// Whether a copy that was asked for then may answer: it was not dropped, and no unchecked message says so.
    pub fn may_answer(&self, name: &str, asked: Stamp) -> bool {
        let marks = self.marks.lock();
        !marks.was_dropped(name, asked) && !marks.suspects(name, asked)
    }

    /// Whether a message that says that all copies were dropped waits to be checked.
    pub fn suspects_all(&self) -> bool {
        self.marks.lock().suspects_all()
    }

    /// What was heard about `name` by `heard` is known to be right or wrong.
    pub fn settle(&self, name: &str, heard: Stamp) {
        self.marks.lock().settle(name, heard);
    }

    /// What was heard about all names by `heard` is known to be right or wrong.
    pub fn settle_all(&self, heard: Stamp) {
        self.marks.lock().settle_all(heard);
    }
}
