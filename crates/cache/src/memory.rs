//! The bounded in-process cache. A lookup says *why* there is no fresh value.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;

use secret::clock::{AtomicMoment, Moment};
use secret::error::SecretError;
use secret::found::{Found, Origin};
use secret::value::SecretValue;

/// A refresh that was begun and never ended is begun again after so long.
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

/// A value and what is known of it.
#[derive(Debug)]
pub struct Entry {
    /// The secret.
    pub value: SecretValue,
    /// AWS's version id; `None` for values put by hand.
    pub version_id: Option<Arc<str>>,
    /// When AWS gave it, in milliseconds since 1970.
    pub fetched_unix_ms: u64,
    /// When it changes its state.
    pub deadlines: Deadlines,
    /// Until then its refresh is another's.
    claimed_until: AtomicMoment,
    /// Whether anyone read it: what nobody reads is not refreshed.
    used: AtomicBool,
    /// The memory's epoch when it was asked for.
    epoch: AtomicU64,
}

impl Entry {
    /// An entry that is not in memory yet.
    pub fn new(
        value: SecretValue,
        version_id: Option<Arc<str>>,
        fetched_unix_ms: u64,
        deadlines: Deadlines,
    ) -> Arc<Self> {
        let claimed_until = AtomicMoment::new(Moment::FIRST);
        let (used, epoch) = (AtomicBool::new(false), AtomicU64::new(0));
        Arc::new(Self { value, version_id, fetched_unix_ms, deadlines, claimed_until, used, epoch })
    }

    /// The same value with other deadlines.
    pub fn with(&self, deadlines: Deadlines) -> Arc<Self> {
        Self::new(self.value.clone(), self.version_id.clone(), self.fetched_unix_ms, deadlines)
    }

    /// Its version, when AWS gave it.
    pub fn known(&self) -> Option<Known> {
        let version = self.version_id.clone()?;
        Some(Known { version, value: Some(self.value.clone()) })
    }

    /// The value, as read from `origin`.
    pub fn found(&self, origin: Origin, stale: bool) -> Found {
        Found { value: self.value.clone(), origin, version_id: self.version_id.clone(), stale }
    }

    /// Whether it may be returned without asking anyone.
    pub fn is_fresh(&self, now: Moment) -> bool {
        now < self.deadlines.fresh_until
    }

    /// Whether it may answer for a failing AWS.
    pub fn is_usable(&self, now: Moment) -> bool {
        now < self.deadlines.stale_until
    }

    fn is_held(&self, now: Moment) -> bool {
        self.is_usable(now) && self.deadlines.hold_until.is_some_and(|until| now < until)
    }

    #[inline]
    fn note_use(&self) {
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
    version: Arc<str>,
    /// `None` once it was dropped.
    value: Option<SecretValue>,
}

impl Known {
    /// Whether it is `version`.
    pub fn is(&self, version: &str) -> bool {
        &*self.version == version
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

/// Small, since the cache moves slots around.
#[derive(Clone)]
enum Slot {
    Value(Arc<Entry>),
    /// AWS said that it has no such secret; believed until then.
    Absent(Moment),
    /// AWS refused this identity; not asked again until then.
    Denied(Moment, Box<SecretError>),
    /// Dropped. The version id stays, so that a rotation is still noticed.
    Dropped(Arc<str>),
}

/// What a lookup found.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// A fresh value.
    Fresh(Arc<Entry>),
    /// A stale value that answers at once because AWS failed moments ago.
    Held(Arc<Entry>),
    /// A value past its TTL, or from before a lost subscription, that may still answer for a failing AWS.
    Stale(Arc<Entry>),
    /// AWS is known not to have it.
    Absent,
    /// AWS refused it moments ago.
    Denied(SecretError),
    /// Nothing usable.
    Miss,
}

/// The time between two losses of the subscription to other instances' changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch(u64);

/// The in-process cache, by secret name.
///
/// Values stay in Rust and are wiped when they are evicted, invalidated or cleared (decision D12).
pub struct MemoryCache {
    slots: Cache<Arc<str>, Slot>,
    /// Entries of an earlier epoch are not trusted without being looked up again.
    epoch: AtomicU64,
}

impl MemoryCache {
    /// Holds at most `max_entries`, the least useful going first.
    pub fn new(max_entries: usize) -> Self {
        Self { slots: Cache::new(max_entries), epoch: AtomicU64::new(0) }
    }

    /// The value of `name` that may be returned at once, and whether it is stale: the whole of the hot path.
    #[inline]
    pub fn serve(&self, name: &str, now: Moment) -> Option<(Arc<Entry>, bool)> {
        let Slot::Value(entry) = self.slots.get(name)? else { return None };
        entry.note_use();
        if !self.trusts(&entry) {
            None
        } else if entry.is_fresh(now) {
            Some((entry, false))
        } else if entry.is_held(now) {
            Some((entry, true))
        } else {
            None
        }
    }

    #[inline]
    fn trusts(&self, entry: &Entry) -> bool {
        entry.epoch.load(Ordering::Relaxed) == self.epoch.load(Ordering::Relaxed)
    }

    /// What is known of `name`. A value counts as read.
    pub fn lookup(&self, name: &str, now: Moment) -> Lookup {
        let slot = self.slots.get(name);
        if let Some(Slot::Value(entry)) = &slot {
            entry.note_use();
        }
        self.judge(slot, now)
    }

    /// What is known of `name`; a value does not count as read.
    pub fn peek(&self, name: &str, now: Moment) -> Lookup {
        self.judge(self.slots.peek(name), now)
    }

    fn judge(&self, slot: Option<Slot>, now: Moment) -> Lookup {
        match slot {
            Some(Slot::Value(entry)) => match self.trusts(&entry) {
                true if entry.is_fresh(now) => Lookup::Fresh(entry),
                true if entry.is_held(now) => Lookup::Held(entry),
                _ if entry.is_usable(now) => Lookup::Stale(entry),
                _ => Lookup::Miss,
            },
            Some(Slot::Absent(until)) if now < until => Lookup::Absent,
            Some(Slot::Denied(until, error)) if now < until => Lookup::Denied(*error),
            _ => Lookup::Miss,
        }
    }

    /// All entries that may still answer, in the order of their names.
    pub fn entries(&self, now: Moment) -> Vec<(Arc<str>, Arc<Entry>)> {
        let values = self.slots.iter().filter_map(|(name, slot)| match slot {
            Slot::Value(entry) if entry.is_usable(now) => Some((name, entry)),
            _ => None,
        });
        let mut entries: Vec<_> = values.collect();
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        entries
    }

    /// The last version known of `name`, even when its value was dropped.
    pub fn known(&self, name: &str) -> Option<Known> {
        match self.slots.peek(name)? {
            Slot::Value(entry) => entry.known(),
            Slot::Dropped(version) => Some(Known { version, value: None }),
            Slot::Absent(_) | Slot::Denied(..) => None,
        }
    }

    /// When the value of `name` was fetched, whatever else is known of it.
    pub fn fetched_unix_ms(&self, name: &str) -> Option<u64> {
        match self.slots.peek(name)? {
            Slot::Value(entry) => Some(entry.fetched_unix_ms),
            _ => None,
        }
    }

    /// The value of `name` that may be passed on, fresh or not. Looking at it is no use of it.
    pub fn trusted(&self, name: &str) -> Option<Arc<Entry>> {
        match self.slots.peek(name)? {
            Slot::Value(entry) if self.trusts(&entry) => Some(entry),
            _ => None,
        }
    }

    /// To be taken before a value is asked for, and given back with it.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Relaxed))
    }

    /// Puts or replaces the value of `name`, which was asked for in `epoch`.
    pub fn put(&self, name: impl Into<Arc<str>>, entry: Arc<Entry>, epoch: Epoch) {
        entry.epoch.store(epoch.0, Ordering::Relaxed);
        self.slots.insert(name.into(), Slot::Value(entry));
    }

    /// Remembers for `how_long` that AWS has no `name`.
    pub fn put_absent(&self, name: &str, now: Moment, how_long: Duration) {
        self.put_answer(name, how_long, || Slot::Absent(now.plus(how_long)));
    }

    /// Remembers for `how_long` that AWS refused `name`.
    pub fn put_denied(&self, name: &str, now: Moment, how_long: Duration, error: &SecretError) {
        self.put_answer(name, how_long, || Slot::Denied(now.plus(how_long), error.clone().into()));
    }

    fn put_answer(&self, name: &str, how_long: Duration, slot: impl FnOnce() -> Slot) {
        if how_long.is_zero() {
            self.slots.remove(name);
        } else {
            self.slots.insert(name.into(), slot());
        }
    }

    /// Wipes the value of `name`.
    pub fn drop_value(&self, name: &str) {
        match self.known(name) {
            Some(Known { version, .. }) => self.slots.insert(name.into(), Slot::Dropped(version)),
            None => drop(self.slots.remove(name)),
        }
    }

    /// Wipes the value of `name` and takes `version` for the one that is known.
    pub fn expect_version(&self, name: &str, version: Arc<str>) {
        self.slots.insert(name.into(), Slot::Dropped(version));
    }

    /// Lets no entry answer before it was looked up again: what it holds may have been invalidated unheard.
    pub fn distrust(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Wipes everything.
    pub fn clear(&self) {
        self.slots.clear();
    }

    /// Entries held, absences included.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secret::clock::Clock;
    use secret::error::ErrorCode;

    fn entry(now: Moment) -> Arc<Entry> {
        let deadlines = Deadlines {
            soft_at: now.plus(Duration::from_secs(7)),
            refresh_at: now.plus(Duration::from_secs(8)),
            fresh_until: now.plus(Duration::from_secs(10)),
            stale_until: now.plus(Duration::from_secs(30)),
            hold_until: None,
            retry: Duration::ZERO,
        };
        Entry::new(SecretValue::copied("v"), Some("v-1".into()), 0, deadlines)
    }

    #[test]
    fn an_entry_is_fresh_then_stale_then_gone() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(4));
        cache.put("A", entry(clock.now()), cache.epoch());
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Fresh(_)));
        clock.advance(Duration::from_secs(10));
        assert!(cache.serve("A", clock.now()).is_none());
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Stale(_)));
        clock.advance(Duration::from_secs(20));
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
    }

    #[test]
    fn one_reader_after_the_soft_ttl_is_to_refresh_and_another_one_a_second_later() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(4));
        cache.put("A", entry(clock.now()), cache.epoch());
        let claims = || {
            let (entry, _) = cache.serve("A", clock.now()).expect("fresh");
            (0..5).filter(|_| entry.claim_refresh(clock.now())).count()
        };
        assert_eq!(claims(), 0);
        clock.advance(Duration::from_secs(8));
        assert_eq!(claims(), 1);
        assert_eq!(claims(), 0);
        clock.advance(Duration::from_secs(1));
        assert_eq!(claims(), 1);
    }

    #[test]
    fn what_was_read_is_due_from_the_beginning_of_its_soft_ttl_and_in_the_order_of_names() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(8));
        for name in ["C", "A", "B"] {
            cache.put(name, entry(clock.now()), cache.epoch());
        }
        let names = |which: fn(&Entry, Moment) -> bool| {
            let entries = cache.entries(clock.now()).into_iter();
            let named = entries.filter(|(_, entry)| which(entry, clock.now()));
            named.map(|(name, _)| name.to_string()).collect::<Vec<_>>()
        };
        let due = || names(Entry::is_due);
        assert_eq!(names(|_, _| true), ["A", "B", "C"]);
        cache.serve("C", clock.now());
        cache.lookup("A", clock.now());
        clock.advance(Duration::from_secs(6));
        assert_eq!(due(), [""; 0]);
        clock.advance(Duration::from_secs(1));
        assert_eq!(due(), ["A", "C"]);
    }

    #[test]
    fn a_held_entry_answers_at_once_although_it_is_stale() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(4));
        let fetched = entry(clock.now());
        clock.advance(Duration::from_secs(11));
        let hold_until = Some(clock.now().plus(Duration::from_secs(5)));
        cache.put("A", fetched.with(Deadlines { hold_until, ..fetched.deadlines }), cache.epoch());
        assert!(cache.serve("A", clock.now()).is_some_and(|(_, stale)| stale));
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Held(_)));
        clock.advance(Duration::from_secs(5));
        assert!(cache.serve("A", clock.now()).is_none());
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Stale(_)));
    }

    #[test]
    fn distrusted_entries_answer_only_for_a_failing_aws_until_they_are_put_again() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(4));
        let asked = cache.epoch();
        cache.put("A", entry(clock.now()), asked);
        cache.distrust();
        assert!(cache.serve("A", clock.now()).is_none());
        // What was asked for before is no better when it arrives after.
        cache.put("A", entry(clock.now()), asked);
        assert!(cache.serve("A", clock.now()).is_none());
        let Lookup::Stale(again) = cache.lookup("A", clock.now()) else { panic!("not distrusted") };
        cache.put("A", again.with(again.deadlines), cache.epoch());
        assert!(cache.serve("A", clock.now()).is_some());
    }

    #[test]
    fn a_dropped_value_leaves_its_version_id() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(4));
        cache.put("A", entry(clock.now()), cache.epoch());
        cache.drop_value("A");
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
        assert!(cache.known("A").is_some_and(|known| &*known.version == "v-1" && known.value.is_none()));
        cache.drop_value("B");
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn versions_of_one_region_are_compared_and_of_two_their_values() {
        let known = |version: &str| Known { version: version.into(), value: Some(SecretValue::copied("v")) };
        let outdated = |known: &Known, version, value| known.is_outdated_by(Some(version), &SecretValue::copied(value));
        assert!(!outdated(&known("1"), "1", "v"));
        assert!(outdated(&known("1"), "2", "v"));
        assert!(!outdated(&known("1"), "1@west", "v") && !outdated(&known("1@west"), "2", "v"));
        assert!(outdated(&known("1"), "2@west", "w"));
        let dropped = Known { value: None, ..known("1") };
        assert!(outdated(&dropped, "2", "w") && !outdated(&dropped, "2@west", "w"));
        assert!(!known("1").is_outdated_by(None, &SecretValue::copied("w")));
    }

    #[test]
    fn an_absence_and_a_refusal_are_believed_only_for_their_time() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(4));
        let five = Duration::from_secs(5);
        let denied = SecretError::new(ErrorCode::SecretAccessDenied, "denied");
        cache.put_absent("A", clock.now(), five);
        cache.put_denied("B", clock.now(), five, &denied);
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Absent));
        assert!(matches!(cache.lookup("B", clock.now()), Lookup::Denied(_)));
        assert!(cache.serve("A", clock.now()).is_none() && cache.serve("B", clock.now()).is_none());
        clock.advance(five);
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
        assert!(matches!(cache.lookup("B", clock.now()), Lookup::Miss));
    }

    #[test]
    fn a_zero_negative_ttl_remembers_nothing() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(4));
        cache.put("A", entry(clock.now()), cache.epoch());
        cache.put_absent("A", clock.now(), Duration::ZERO);
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(100));
        for i in 0..10_000 {
            cache.put(format!("N{i}"), entry(clock.now()), cache.epoch());
        }
        assert!(cache.len() <= 100, "{}", cache.len());
    }
}
