//! Counts invalidations, so that a fetch begun before one cannot put the old value back after it.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;

use secret::name::SecretName;

/// Names that share a counter cost each other a caching now and then, never a wrong value.
const COUNTERS: usize = 256;

/// The state of one name's, or all names', caches at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    counter: usize,
    count: u64,
}

/// The counters of one pair of caches.
pub struct Generations {
    counters: [AtomicU64; COUNTERS],
    any: AtomicU64,
    hasher: RandomState,
}

impl Default for Generations {
    fn default() -> Self {
        Self {
            counters: [const { AtomicU64::new(0) }; COUNTERS],
            any: AtomicU64::new(0),
            hasher: RandomState::default(),
        }
    }
}

impl Generations {
    /// The state of `name` now.
    pub fn of(&self, name: &SecretName) -> Generation {
        let counter = self.counter(name);
        Generation { counter, count: self.counters[counter].load(Ordering::SeqCst) }
    }

    /// Whether the name of `at` was not invalidated since.
    pub fn is_unchanged(&self, at: Generation) -> bool {
        self.counters[at.counter].load(Ordering::SeqCst) == at.count
    }

    /// The state of all names now.
    pub fn of_all(&self) -> Generation {
        Generation { counter: 0, count: self.any.load(Ordering::SeqCst) }
    }

    /// `name` was invalidated.
    pub fn changed(&self, name: &SecretName) {
        self.counters[self.counter(name)].fetch_add(1, Ordering::SeqCst);
        self.any.fetch_add(1, Ordering::SeqCst);
    }

    /// Everything was invalidated.
    pub fn all_changed(&self) {
        for counter in &self.counters {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        self.any.fetch_add(1, Ordering::SeqCst);
    }

    fn counter(&self, name: &SecretName) -> usize {
        let hash = self.hasher.hash_one(name.as_str());
        // The remainder fits: it is below COUNTERS.
        usize::try_from(hash % COUNTERS as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::new(text).expect("a name")
    }

    #[test]
    fn a_change_of_one_name_leaves_most_others_alone() {
        let generations = Generations::default();
        let others: Vec<_> = (0..100).map(|i| name(&format!("N{i}"))).collect();
        let before: Vec<_> = others.iter().map(|other| generations.of(other)).collect();
        let mine = generations.of(&name("MINE"));
        generations.changed(&name("MINE"));
        assert_ne!(generations.of(&name("MINE")), mine);
        assert!(!generations.is_unchanged(mine));
        let moved = others.iter().zip(&before).filter(|(other, before)| generations.of(other) != **before).count();
        assert!(moved < 20, "{moved}");
    }

    #[test]
    fn a_change_of_all_reaches_every_name() {
        let generations = Generations::default();
        let (one, all) = (generations.of(&name("A")), generations.of_all());
        generations.all_changed();
        assert_ne!((generations.of(&name("A")), generations.of_all()), (one, all));
    }
}
