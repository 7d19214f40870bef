//! A copy of a secret in this process, and what is known of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secret::clock::{AtomicMoment, Moment};
use secret::found::{Found, Origin};
use secret::value::SecretValue;

use crate::order::Stamp;

/// AWS gives one version everywhere after this long.
const SETTLES: Duration = Duration::from_secs(1);
/// A refresh that was begun and never ended is begun again after this long.
const REFRESH_LEASE: Duration = Duration::from_secs(1);

/// When an entry changes its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From then on another one's refresh takes it along.
    pub soft_at: Moment,
    /// From then on a read begins a refresh in the background.
    pub refresh_at: Moment,
    /// From then on it must be asked for again.
    pub fresh_until: Moment,
    /// From then on it may not even answer for a failing AWS.
    pub stale_until: Moment,
    /// While AWS is known to fail, the stale copy answers without waiting for AWS until then.
    pub hold_until: Option<Moment>,
    /// What its next refresh waits for, before jitter, since its last one failed; zero when none failed.
    pub retry: Duration,
}

/// A string that JavaScript holds under a number. JavaScript is told to let go of it when the last copy with this value is
/// dropped.
pub struct Hold {
    number: u32,
    let_go: Arc<dyn Fn(u32) + Send + Sync>,
}

impl Hold {
    /// The string with this number. `let_go` may be called from any thread, and must not block.
    pub fn new(number: u32, let_go: Arc<dyn Fn(u32) + Send + Sync>) -> Self {
        Self { number, let_go }
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        (self.let_go)(self.number);
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hold").field(&self.number).finish()
    }
}

/// A value and what is known of it.
#[derive(Debug)]
pub struct Entry {
    /// The secret.
    pub value: SecretValue,
    /// AWS's version id; `None` for values put by hand.
    pub version_id: Option<Arc<str>>,
    /// When AWS made this version, in milliseconds since 1970, where AWS said so.
    pub created_unix_ms: Option<u64>,
    /// When AWS was asked for it: the copy is as old as the question.
    pub asked: Stamp,
    /// When it changes its state.
    pub deadlines: Deadlines,
    /// Until then its refresh is another's.
    claimed_until: AtomicMoment,
    /// Whether anyone read it: what nobody reads is not refreshed.
    used: AtomicBool,
    /// An older version that AWS gave once after this one. It counts when AWS gives it again (decision D19).
    pub doubted_by: Option<Arc<str>>,
    /// When that answer came.
    doubted_at: AtomicMoment,
    /// When it was first put into memory: by then AWS had given it.
    seen: AtomicMoment,
    /// When it was told last that this version is live, without AWS being asked.
    confirmed: AtomicMoment,
    /// The memory's epoch when it was asked for.
    epoch: AtomicU64,
    /// What JavaScript holds of it, once it was read.
    hold: OnceLock<Arc<Hold>>,
    /// The declared fields of its value, each as an entry: made when the first of them is read.
    fields: OnceLock<Box<[Option<Arc<Entry>>]>>,
}

impl Entry {
    /// An entry that is not in memory yet.
    pub fn new(
        value: SecretValue,
        version_id: Option<Arc<str>>,
        created_unix_ms: Option<u64>,
        asked: Stamp,
        deadlines: Deadlines,
    ) -> Arc<Self> {
        Arc::new(Self::built(value, version_id, created_unix_ms, asked, deadlines, None))
    }

    fn built(
        value: SecretValue,
        version_id: Option<Arc<str>>,
        created_unix_ms: Option<u64>,
        asked: Stamp,
        deadlines: Deadlines,
        doubted_by: Option<Arc<str>>,
    ) -> Self {
        let claimed_until = AtomicMoment::new(Moment::FIRST);
        let (doubted_at, seen) = (AtomicMoment::new(Moment::FIRST), AtomicMoment::new(Moment::FIRST));
        let (used, epoch, fields) = (AtomicBool::new(false), AtomicU64::new(0), OnceLock::new());
        let (hold, confirmed) = (OnceLock::new(), AtomicMoment::new(Moment::FIRST));
        Self {
            value,
            version_id,
            created_unix_ms,
            asked,
            deadlines,
            claimed_until,
            used,
            doubted_by,
            doubted_at,
            seen,
            confirmed,
            epoch,
            hold,
            fields,
        }
    }

    /// The field of its value at `index` of `names`, which is the same list at each call; `None` when the value has no such
    /// field.
    #[inline]
    pub fn field(&self, index: usize, names: &[Arc<str>]) -> Option<&Arc<Self>> {
        self.fields.get_or_init(|| self.all_fields(names)).get(index)?.as_ref()
    }

    /// A field that [`Entry::field`] gave before.
    #[inline]
    pub fn known_field(&self, index: usize) -> Option<&Arc<Self>> {
        self.fields.get()?.get(index)?.as_ref()
    }

    #[cold]
    fn all_fields(&self, names: &[Arc<str>]) -> Box<[Option<Arc<Self>>]> {
        let field = |name: &Arc<str>| {
            let value = self.value.field(name).ok()??;
            Some(Self::new(value, self.version_id.clone(), self.created_unix_ms, self.asked, self.deadlines))
        };
        names.iter().map(field).collect()
    }

    /// What JavaScript holds of it.
    #[inline]
    pub fn hold(&self) -> Option<&Hold> {
        self.hold.get().map(|hold| &**hold)
    }

    /// JavaScript holds it from now on.
    pub fn held_as(&self, hold: Hold) {
        drop(self.hold.set(Arc::new(hold)));
    }

    /// What JavaScript holds of `other` is what it holds of this, which has the same value.
    pub(crate) fn adopt(&self, other: &Self) {
        if let Some(hold) = other.hold.get() {
            drop(self.hold.set(hold.clone()));
        }
    }

    /// The same value with other deadlines.
    pub fn with(&self, deadlines: Deadlines) -> Arc<Self> {
        self.doubted(deadlines, self.doubted_by.clone())
    }

    /// The same copy where nothing says that it was not dropped: from now on it only answers for a failing AWS.
    pub fn unconfirmed(&self, now: Moment) -> Arc<Self> {
        let copy = self.with(Deadlines { fresh_until: self.deadlines.fresh_until.min(now), ..self.deadlines });
        copy.note_use();
        copy
    }

    /// The same value with other deadlines, doubted by an older version.
    pub fn doubted(&self, deadlines: Deadlines, by: Option<Arc<str>>) -> Arc<Self> {
        let (value, version) = (self.value.clone(), self.version_id.clone());
        let copy = Self::built(value, version, self.created_unix_ms, self.asked, deadlines, by);
        copy.adopt(self);
        copy.note_seen(self.seen.get());
        copy.note_doubt(self.doubted_at.get());
        copy.note_confirmed(self.confirmed.get());
        Arc::new(copy)
    }

    /// The older version that contradicted it was given at `now`.
    pub(crate) fn note_doubt(&self, now: Moment) {
        self.doubted_at.advance(self.doubted_at.get(), now);
    }

    /// Without a doubt that an answer to a question of then, under way at the same time, could not confirm.
    #[must_use]
    pub fn for_question_of(self: &Arc<Self>, asked: Moment) -> Arc<Self> {
        if self.doubted_by.is_some() && asked < self.doubted_at.get() {
            self.doubted(self.deadlines, None)
        } else {
            self.clone()
        }
    }

    /// The same copy, doubted by an older version that AWS gave another instance, which asked at `asked`; `None` when that may have
    /// been before AWS gave this copy.
    pub(crate) fn doubted_from(&self, asked: Moment, by: Option<Arc<str>>) -> Option<Arc<Self>> {
        if self.seen.get() >= asked {
            return None;
        }
        let doubted = self.doubted(self.deadlines, by);
        doubted.note_doubt(asked);
        Some(doubted)
    }

    /// An event said at `now` that its version is live.
    pub fn note_confirmed(&self, now: Moment) {
        self.confirmed.advance(self.confirmed.get(), now);
    }

    /// Whether `theirs`, a copy that another process made, is the one to answer for a failing AWS.
    pub fn gives_way_to(&self, theirs: &Self) -> bool {
        self.asked < theirs.asked && (self.confirmed.get() <= theirs.asked.at() || self.version_id == theirs.version_id)
    }

    pub(crate) fn note_seen(&self, now: Moment) {
        self.seen.advance(Moment::FIRST, now);
    }

    /// Its version, when AWS gave it.
    pub fn known(&self) -> Option<Known> {
        let version = self.version_id.clone()?;
        let (value, seen) = (Some(self.value.clone()), self.seen.get());
        Some(Known { version, value, created_unix_ms: self.created_unix_ms, seen })
    }

    /// Whether AWS made `version` before the version of this copy, so that it is a late answer or a version gone back to.
    pub fn is_newer_than(&self, version: Option<&str>, created_unix_ms: Option<u64>) -> bool {
        let own = self.version_id.as_deref();
        is_newer((own, self.created_unix_ms), (version, created_unix_ms))
    }

    /// [`Entry::is_newer_than`], of a copy that may still answer.
    pub fn is_ahead_of(&self, version: Option<&str>, created_unix_ms: Option<u64>, now: Moment) -> bool {
        self.is_usable(now) && self.is_newer_than(version, created_unix_ms)
    }

    /// Whether the answer with this copy may be a later one than `theirs`, a copy of another version that was asked for
    /// after this one was asked for, but before its answer came, or before it was confirmed: a version may have been gone back to
    /// meanwhile.
    pub(crate) fn may_be_later_than(&self, theirs: &Self) -> bool {
        let are_others =
            self.version_id.is_some() && theirs.version_id.is_some() && self.version_id != theirs.version_id;
        let asked = theirs.asked.at();
        let overlaps = self.asked.is_own() && (self.asked.at()..self.seen.get()).contains(&asked);
        are_others && (overlaps || asked < self.confirmed.get())
    }

    pub(crate) fn set_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// The value, as read from `origin`.
    pub fn found(&self, origin: Origin, stale: bool) -> Found {
        Found { value: self.value.clone(), origin, version_id: self.version_id.clone(), stale, request_id: None }
    }

    /// Whether it may be returned without asking anyone.
    pub fn is_fresh(&self, now: Moment) -> bool {
        now < self.deadlines.fresh_until
    }

    /// Whether it may answer for a failing AWS.
    pub fn is_usable(&self, now: Moment) -> bool {
        now < self.deadlines.stale_until
    }

    pub(crate) fn is_held(&self, now: Moment) -> bool {
        self.is_usable(now) && self.deadlines.hold_until.is_some_and(|until| now < until)
    }

    #[inline]
    pub(crate) fn note_use(&self) {
        // Read first: the line stays shared between cores.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether another one's refresh is to take it along: it was read, and is past the beginning of its soft TTL.
    pub fn is_due(&self, now: Moment) -> bool {
        now >= self.deadlines.soft_at && self.used.load(Ordering::Relaxed)
    }

    /// Whether the caller is to refresh it in the background: `true` for one reader after `refresh_at`, and for one
    /// more each second until it is replaced.
    #[inline]
    pub fn claim_refresh(&self, now: Moment) -> bool {
        now >= self.deadlines.refresh_at && self.claim(now)
    }

    /// Claims its refresh, due or not; `false` when one was begun moments ago.
    pub fn claim(&self, now: Moment) -> bool {
        let until = self.claimed_until.get();
        now >= until && self.claimed_until.advance(until, now.plus(REFRESH_LEASE))
    }
}

/// A version that is, or was, in memory.
#[derive(Clone, Debug)]
pub struct Known {
    pub(crate) version: Arc<str>,
    /// `None` once it was dropped.
    pub(crate) value: Option<SecretValue>,
    pub(crate) created_unix_ms: Option<u64>,
    /// When it was first put into memory.
    pub(crate) seen: Moment,
}

/// Whether AWS made the first version after the second.
fn is_newer(mine: (Option<&str>, Option<u64>), theirs: (Option<&str>, Option<u64>)) -> bool {
    let ((Some(own), Some(made)), (Some(other), Some(other_made))) = (mine, theirs) else { return false };
    own != other && other_made < made
}

impl Known {
    /// A version that AWS gave at `seen`, without its value.
    pub(crate) fn without_copy(version: Arc<str>, created_unix_ms: Option<u64>, seen: Moment) -> Self {
        Self { version, value: None, created_unix_ms, seen }
    }

    /// Whether AWS made it after `other`.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        is_newer((Some(&*self.version), self.created_unix_ms), (Some(&*other.version), other.created_unix_ms))
    }

    /// Whether an answer with an older version, asked for at `asked`, was under way when this version came.
    pub(crate) fn overtook(&self, version: Option<&str>, created_unix_ms: Option<u64>, asked: Moment) -> bool {
        is_newer((Some(&*self.version), self.created_unix_ms), (version, created_unix_ms)) && asked <= self.seen
    }

    /// Whether it is `version`.
    pub fn is(&self, version: &str) -> bool {
        &*self.version == version
    }

    /// Whether a copy of an older version, which another process asked for at `asked`, may come from an answer that this version
    /// overtook, or from a host of AWS that lags behind.
    pub fn may_be_later_than(&self, version: Option<&str>, created_unix_ms: Option<u64>, asked: Moment) -> bool {
        let own = (Some(&*self.version), self.created_unix_ms);
        is_newer(own, (version, created_unix_ms)) && asked < self.seen.plus(SETTLES)
    }

    /// Whether AWS gave another version since. Version ids of two regions cannot be compared; their values can.
    pub fn is_outdated_by(&self, version: Option<&str>, value: &SecretValue) -> bool {
        let Some(version) = version else { return false };
        let region = |version: &str| version.split_once('@').map(|(_, region)| region.to_owned());
        if *self.version == *version {
            false
        } else if region(&self.version) == region(version) {
            true
        } else {
            self.value.as_ref().is_some_and(|known| known != value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(version: &str, created: u64, asked: Stamp) -> Arc<Entry> {
        let end = Moment::NEVER;
        let deadlines = Deadlines {
            soft_at: end,
            refresh_at: end,
            fresh_until: end,
            stale_until: end,
            hold_until: None,
            retry: Duration::ZERO,
        };
        Entry::new(SecretValue::copied(version), Some(version.into()), Some(created), asked, deadlines)
    }

    #[test]
    fn a_version_that_another_process_asked_for_before_the_own_answer_came_is_not_taken_to_be_the_later_one() {
        let [asked, between, seen, after] = [800, 900, 1000, 1001].map(Moment::from_millis);
        let theirs = |at, version| copy(version, 3, Stamp::foreign(at));
        let own = copy("v-2", 2, Stamp::own(asked, 1));
        own.note_seen(seen);
        assert!(own.may_be_later_than(&theirs(between, "v-3")));
        assert!(!own.may_be_later_than(&theirs(between, "v-2")), "the same");
        assert!(!own.may_be_later_than(&theirs(after, "v-3")), "asked for after the answer came");
        assert!(!own.may_be_later_than(&theirs(Moment::from_millis(700), "v-3")), "older");
        let adopted = copy("v-2", 2, Stamp::foreign(asked));
        adopted.note_seen(seen);
        assert!(!adopted.may_be_later_than(&theirs(between, "v-3")), "when its answer came is not known");
    }
}
