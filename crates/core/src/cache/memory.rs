//! The bounded in-process cache. A lookup says *why* there is no fresh value.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;

use crate::clock::Moment;
use crate::value::SecretValue;

/// A value and what is known of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The secret.
    pub value: SecretValue,
    /// AWS's version id; `None` for values put by hand.
    pub version_id: Option<Arc<str>>,
    /// When AWS gave it, in milliseconds since 1970.
    pub fetched_unix_ms: u64,
    /// From then on it must be asked for again.
    pub fresh_until: Moment,
    /// From then on it may not even answer for a failing AWS.
    pub stale_until: Moment,
    /// While AWS is known to fail, the stale copy answers without asking again until then.
    pub hold_until: Option<Moment>,
}

impl Entry {
    /// Whether it may be returned without asking anyone.
    #[inline]
    pub fn is_fresh(&self, now: Moment) -> bool {
        now < self.fresh_until
    }

    /// Whether it may answer for a failing AWS.
    pub fn is_usable(&self, now: Moment) -> bool {
        now < self.stale_until
    }
}

#[derive(Clone)]
enum Slot {
    Value(Arc<Entry>),
    /// AWS said that it has no such secret; believed until then.
    Absent(Moment),
}

/// What a lookup found.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// A fresh value.
    Fresh(Arc<Entry>),
    /// A stale value that answers because AWS failed moments ago.
    Held(Arc<Entry>),
    /// A value past its TTL that may still answer for a failing AWS.
    Stale(Arc<Entry>),
    /// AWS is known not to have it.
    Absent,
    /// Nothing usable.
    Miss,
}

/// The in-process cache, by secret name.
///
/// Values stay in Rust and are wiped when they are evicted, invalidated or cleared (decision D12).
pub struct MemoryCache {
    slots: Cache<Box<str>, Slot>,
}

impl MemoryCache {
    /// Holds at most `max_entries`, the least useful going first.
    pub fn new(max_entries: usize) -> Self {
        Self { slots: Cache::new(max_entries) }
    }

    /// The fresh value of `name`: the whole of the hot path.
    #[inline]
    pub fn fresh(&self, name: &str, now: Moment) -> Option<Arc<Entry>> {
        match self.slots.get(name)? {
            Slot::Value(entry) if entry.is_fresh(now) => Some(entry),
            _ => None,
        }
    }

    /// What is known of `name`.
    pub fn lookup(&self, name: &str, now: Moment) -> Lookup {
        match self.slots.get(name) {
            Some(Slot::Value(entry)) if entry.is_fresh(now) => Lookup::Fresh(entry),
            Some(Slot::Value(entry)) if !entry.is_usable(now) => Lookup::Miss,
            Some(Slot::Value(entry)) if entry.hold_until.is_some_and(|until| now < until) => Lookup::Held(entry),
            Some(Slot::Value(entry)) => Lookup::Stale(entry),
            Some(Slot::Absent(until)) if now < until => Lookup::Absent,
            _ => Lookup::Miss,
        }
    }

    /// The version id of the value held for `name`, however old it is.
    pub fn version(&self, name: &str) -> Option<Arc<str>> {
        match self.slots.peek(name)? {
            Slot::Value(entry) => entry.version_id.clone(),
            Slot::Absent(_) => None,
        }
    }

    /// Puts or replaces the value of `name`.
    pub fn put(&self, name: &str, entry: Arc<Entry>) {
        self.slots.insert(name.into(), Slot::Value(entry));
    }

    /// Remembers for `how_long` that AWS has no `name`.
    pub fn put_absent(&self, name: &str, now: Moment, how_long: Duration) {
        if how_long.is_zero() {
            self.remove(name);
        } else {
            self.slots.insert(name.into(), Slot::Absent(now.plus(how_long)));
        }
    }

    /// Forgets `name`.
    pub fn remove(&self, name: &str) {
        self.slots.remove(name);
    }

    /// Forgets everything.
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
    use crate::clock::Clock;

    fn entry(now: Moment) -> Arc<Entry> {
        Arc::new(Entry {
            value: SecretValue::copied("v"),
            version_id: None,
            fetched_unix_ms: 0,
            fresh_until: now.plus(Duration::from_secs(10)),
            stale_until: now.plus(Duration::from_secs(30)),
            hold_until: None,
        })
    }

    #[test]
    fn an_entry_is_fresh_then_stale_then_gone() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(4));
        cache.put("A", entry(clock.now()));
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Fresh(_)));
        clock.advance(Duration::from_secs(10));
        assert!(cache.fresh("A", clock.now()).is_none());
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Stale(_)));
        clock.advance(Duration::from_secs(20));
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
    }

    #[test]
    fn an_absence_is_believed_only_for_its_time() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(4));
        cache.put_absent("A", clock.now(), Duration::from_secs(5));
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Absent));
        assert!(cache.fresh("A", clock.now()).is_none());
        clock.advance(Duration::from_secs(5));
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
    }

    #[test]
    fn a_zero_negative_ttl_remembers_nothing() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(4));
        cache.put("A", entry(clock.now()));
        cache.put_absent("A", clock.now(), Duration::ZERO);
        assert!(matches!(cache.lookup("A", clock.now()), Lookup::Miss));
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let (clock, cache) = (Clock::test(), MemoryCache::new(100));
        for i in 0..10_000 {
            cache.put(&format!("N{i}"), entry(clock.now()));
        }
        assert!(cache.len() <= 100, "{}", cache.len());
    }
}
