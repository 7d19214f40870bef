//! Drops that leave something behind: another version is live, AWS has no such secret, or only older answers are outdated.

use std::sync::Arc;

use super::{MemoryCache, Slot};
use crate::entry::Known;
use crate::order::Stamp;
use secret::clock::Moment;

impl MemoryCache {
    /// Wipes the value of `name` unless it is `version`, which is the one that is known from now on.
    pub fn expect_version(&self, name: &Arc<str>, version: &str, dropped: Stamp, now: Moment) {
        let mut marks = self.marks.lock();
        marks.drop_name(name, dropped, now);
        let known = Known { version: version.into(), value: None, created_unix_ms: None, seen: now };
        self.slots.insert(name.clone(), Slot::Dropped(known.into()));
    }

    /// [`MemoryCache::drop_value`] because AWS has no such secret, as another instance heard. "Not there" and "denied" stay: they do
    /// not contradict it, and without them each look for a missing secret would cost every instance a call.
    pub fn drop_gone(&self, name: &Arc<str>, dropped: Stamp, now: Moment) {
        let mut marks = self.marks.lock();
        if matches!(self.slots.peek(&**name), Some(Slot::Absent(_) | Slot::Denied(..))) {
            marks.drop_name(name, dropped, now);
            return;
        }
        drop(marks);
        self.drop_value(name, dropped, now);
    }

    /// AWS gave this version in an answer that is not kept, and a reader may have it. A copy of an older version does not answer
    /// afterwards.
    pub fn note_version(&self, name: &Arc<str>, known: Known) {
        let _marks = self.marks.lock();
        let is_older = match self.slots.peek(name) {
            Some(Slot::Value(entry)) => entry.known().is_some_and(|held| known.is_newer_than(&held)),
            Some(Slot::Dropped(held)) => !held.is_newer_than(&known),
            // AWS is asked once more. Whether this process may read it is remembered elsewhere as well.
            Some(Slot::Absent(_) | Slot::Denied(..)) | None => true,
        };
        if is_older {
            self.slots.insert(name.clone(), Slot::Dropped(known.into()));
        }
    }

    /// The version that is known of `name` without a copy.
    pub fn known_without_copy(&self, name: &str) -> Option<Known> {
        match self.slots.peek(name)? {
            Slot::Dropped(known) => Some(*known),
            Slot::Value(_) | Slot::Absent(_) | Slot::Denied(..) => None,
        }
    }

    /// A reader gets `version` from an answer that is not kept: another version that memory holds does not answer afterwards.
    pub fn give_unkept(&self, name: &Arc<str>, version: &Arc<str>, now: Moment) {
        let _marks = self.marks.lock();
        if let Some(Slot::Value(entry)) = self.slots.peek(&**name)
            && entry.version_id.as_ref().is_some_and(|held| held != version)
        {
            let known = Known { version: version.clone(), value: None, created_unix_ms: None, seen: now };
            self.slots.insert(name.clone(), Slot::Dropped(known.into()));
        }
    }

    /// When "not there" came, where another process asked for its copy between that question and its answer: nothing says which of the
    /// two is the later one.
    pub fn absence_around(&self, name: &str, asked: Stamp) -> Option<Moment> {
        match self.slots.peek(name)? {
            Slot::Absent(absence) if (absence.asked.at()..absence.seen).contains(&asked.at()) => Some(absence.seen),
            _ => None,
        }
    }

    /// What was asked for about `name` before `outdated` is not stored any more. What memory holds stays.
    pub fn outdate(&self, name: &Arc<str>, outdated: Stamp, now: Moment) {
        self.marks.lock().drop_name(name, outdated, now);
    }
}
