//! What AWS's answers do to the copies.

use std::sync::Arc;

use super::{DOUBT, HOLD, LONGEST_RETRY, RETRY, TieredCache, Want};
use crate::entry::{Deadlines, Entry, Known};
use crate::envelope::Contents;
use crate::memory::Stored;
use secret::clock::millis;
use secret::error::{Result, SecretError};
use secret::found::Fetched;
use secret::name::SecretName;

impl TieredCache {
    pub(super) fn keep_in_snapshot(&self, name: &SecretName, entry: &Entry) {
        let Some(snapshot) = &self.snapshot else { return };
        // What was put by hand ends with its TTL, and nothing backs it.
        if entry.version_id.is_none() {
            return;
        }
        let age = millis(self.clock.now().since(entry.asked.at()));
        let contents = Contents {
            value: entry.value.clone(),
            version_id: entry.version_id.clone(),
            fetched_unix_ms: self.clock.unix_ms().saturating_sub(age),
            fresh_for_ms: millis(self.ttl),
        };
        snapshot.put(&self.id(name), &contents);
    }

    /// Remembers what AWS gave, unless something newer is known.
    pub fn store(&self, want: &Want, fetched: &Fetched) -> Stored {
        self.rights.lock().note(&want.name, want.asked, false, self.clock.now());
        let deadlines = self.deadlines(self.ttl, want.asked.at());
        let (value, version) = (fetched.value.clone(), fetched.version_id.clone());
        let entry = Entry::new(value, version, fetched.created_unix_ms, want.asked, deadlines);
        let overtook =
            |known: Known| known.overtook(fetched.version_id.as_deref(), fetched.created_unix_ms, want.asked.at());
        if self.memory.known_without_copy(want.name.as_str()).is_some_and(overtook) {
            return Stored::Outdated;
        }
        // Two questions were under way together: which of the answers is the later one, a third one tells.
        let may_be_older = |held: Arc<Entry>| held.asked < want.asked && held.may_be_later_than(&entry);
        let stored = if self.memory.held(want.name.as_str()).is_some_and(may_be_older) {
            Stored::Outdated
        } else {
            self.remember(&want.name, &entry, want.epoch)
        };
        match &stored {
            Stored::Newest(_) => self.keep_in_snapshot(&want.name, &entry),
            // It may be what the reader gets when there is no time to ask again.
            Stored::Outdated => {
                if let Some(version) = fetched.version_id.clone() {
                    let known = Known::without_copy(version, fetched.created_unix_ms, self.clock.now());
                    self.memory.note_version(&want.name.text(), known);
                }
            }
            Stored::Newer(_) => {}
        }
        stored
    }

    /// AWS gave an older version than the copy in memory: the copy goes on answering, past its TTL flagged and for a moment, and
    /// the older version counts when AWS gives it again (decision D19).
    pub fn doubt(&self, name: &SecretName, older: Option<Arc<str>>) {
        let Some(held) = self.memory.held(name.as_str()) else { return };
        if held.doubted_by == older {
            return;
        }
        let now = self.clock.now();
        let hold_until = held.deadlines.hold_until.max(Some(now.plus(DOUBT)));
        let deadlines = Deadlines { refresh_at: now.plus(DOUBT / 2), hold_until, ..held.deadlines };
        let doubted = held.doubted(deadlines, older);
        doubted.note_doubt(now);
        self.memory.doubt(&name.text(), &held, doubted);
    }

    /// Remembers that AWS has no such secret, and drops the copies of it where there may be some, unless something newer is
    /// known.
    ///
    /// # Errors
    /// As [`TieredCache::invalidate`].
    pub async fn store_absent(&self, want: &Want, may_have_copies: bool) -> (Stored, Result<()>) {
        let (name, now) = (want.name.text(), self.clock.now());
        self.rights.lock().note(&want.name, want.asked, false, now);
        let stored = self.memory.put_absent(&name, want.asked, now, self.negative_ttl);
        if !matches!(stored, Stored::Newest(_)) || !may_have_copies {
            return (stored, Ok(()));
        }
        if let Some(snapshot) = &self.snapshot {
            snapshot.remove(&self.id(&want.name));
        }
        let dropped = self.drop_gone(&want.name, now.since(want.asked.at())).await;
        (stored, dropped)
    }

    /// Remembers that AWS refused this identity, and drops the copies of this process. Those of others stay: they have rights
    /// of their own (decision D20).
    pub fn store_denied(&self, want: &Want, error: &SecretError) -> Stored {
        let (name, now) = (want.name.text(), self.clock.now());
        // Attempts before that had no answer say nothing; what was allowed after them is older than this denial.
        let asked = want.asked.again_at(error.was_asked_at());
        // Not what others asked for, only a later answer to this process says that it may read the secret.
        let is_newest = self.rights.lock().note(&want.name, asked, true, now);
        let stored = self.memory.put_denied(&name, asked, is_newest, now, self.negative_ttl, error);
        if matches!(stored, Stored::Newest(_))
            && let Some(snapshot) = &self.snapshot
        {
            snapshot.remove(&self.id(&want.name));
        }
        stored
    }

    /// Lets a copy answer for a while without waiting for AWS, which failed with `error`; says what became of it: it may have
    /// been dropped while AWS was asked.
    pub fn hold(&self, want: &Want, copy: &Arc<Entry>, error: &SecretError) -> Stored {
        let before = copy.deadlines.retry;
        let longer = if error.is_about_one_request() { before * 2 } else { before };
        let retry = longer.clamp(RETRY, LONGEST_RETRY);
        let refresh_at = self.clock.now().plus(retry.mul_f64(1.0 + fastrand::f64()));
        let held =
            copy.with(Deadlines { refresh_at, hold_until: Some(refresh_at.plus(HOLD)), retry, ..copy.deadlines });
        self.memory.renew(&want.name.text(), held, want.epoch, self.clock.now())
    }
}
