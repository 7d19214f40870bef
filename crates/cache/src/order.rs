//! The order of answers: everything that comes back is as old as the moment it was asked for (decision D19).
//!
//! An answer never replaces what was asked for later. [`Marks`] remember, by name, the newest question whose answer was
//! applied and the newest drop, also when the memory cache has evicted the entry.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use secret::clock::Moment;

/// When something was asked for. Questions of this process are in the order in which they were asked; what another process
/// asked for is placed by its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    at: Moment,
    /// Tells questions of this process within one tick of the clock from each other. 0: another process asked.
    number: u64,
}

impl Stamp {
    /// Older than everything.
    pub const FIRST: Self = Self { at: Moment::FIRST, number: 0 };

    /// A question of this process.
    pub fn own(at: Moment, number: u64) -> Self {
        Self { at, number }
    }

    /// A question of another process, asked at `at` by this process's clock, or a little later.
    pub fn foreign(at: Moment) -> Self {
        Self { at, number: 0 }
    }

    /// The same question, asked again at `at`, when that was later.
    #[must_use]
    pub fn again_at(self, at: Option<Moment>) -> Self {
        Self { at: at.map_or(self.at, |at| at.max(self.at)), ..self }
    }

    /// Whether this process asked.
    pub fn is_own(self) -> bool {
        self.number > 0
    }

    /// When it was asked.
    pub fn at(self) -> Moment {
        self.at
    }
}

/// An answer takes less than this: the longest deadline of a call, with room for a process that was stopped. An answer that
/// is older is not cached.
pub const LONGEST_ANSWER: Duration = Duration::from_mins(1);
/// Names whose drop is remembered one by one.
const MOST_DROPPED: usize = 10_000;
/// Names of which a message told that nothing confirmed.
const MOST_UNCONFIRMED: usize = 1000;
const UNCONFIRMED_EVERY: Duration = Duration::from_secs(1);
/// Names whose last stored answer is remembered; pruned by age.
const FIRST_PRUNE: usize = 1024;

/// The newest question that was applied, and the newest drop, by name.
#[derive(Debug)]
pub struct Marks {
    /// How long a copy may live anywhere: a drop is remembered for as long.
    keep: Duration,
    stored: HashMap<Arc<str>, Stamp>,
    dropped: HashMap<Arc<str>, Stamp>,
    /// Every name was dropped then.
    floor: Stamp,
    /// When messages said last that a name was dropped. What was asked for before does not answer until the shared cache was
    /// looked into.
    suspected: HashMap<Arc<str>, Stamp>,
    /// The same for all names.
    all_suspected: Stamp,
    /// A message spoke of something from then that nothing confirms: for what was asked for before, AWS is asked first.
    unconfirmed: HashMap<Arc<str>, Stamp>,
    prune_at: usize,
}

impl Marks {
    /// Nothing happened yet.
    pub fn new(keep: Duration) -> Self {
        let (stored, dropped) = (HashMap::new(), HashMap::new());
        let (suspected, unconfirmed) = (HashMap::new(), HashMap::new());
        let (floor, all_suspected) = (Stamp::FIRST, Stamp::FIRST);
        Self { keep, stored, dropped, floor, suspected, all_suspected, unconfirmed, prune_at: FIRST_PRUNE }
    }

    /// Whether an answer to a question of then may still be applied to `name`.
    pub fn allow(&self, name: &str, asked: Stamp) -> bool {
        let newer = |marks: &HashMap<Arc<str>, Stamp>| marks.get(name).is_some_and(|mark| asked < *mark);
        asked >= self.floor && !newer(&self.dropped) && !newer(&self.stored)
    }

    /// Whether `name` was dropped after a question of then.
    pub fn was_dropped(&self, name: &str, asked: Stamp) -> bool {
        asked < self.floor || self.dropped.get(name).is_some_and(|mark| asked < *mark)
    }

    /// A message said at `heard` that the copies of `name` were dropped.
    pub fn suspect(&mut self, name: &Arc<str>, heard: Stamp) {
        self.suspected.insert(name.clone(), heard);
    }

    /// A message said at `heard` that all copies were dropped.
    pub fn suspect_all(&mut self, heard: Stamp) {
        self.all_suspected = heard;
    }

    /// Whether a copy of `name` that was asked for then may have been dropped, as a message says.
    pub fn suspects(&self, name: &str, asked: Stamp) -> bool {
        asked < self.all_suspected || self.suspected.get(name).is_some_and(|heard| asked < *heard)
    }

    /// When a message said last that copies of `name` were dropped, which was not checked yet.
    pub fn suspected_at(&self, name: &str) -> Stamp {
        self.suspected.get(name).map_or(self.all_suspected, |heard| self.all_suspected.max(*heard))
    }

    /// Whether a message that says that all copies were dropped waits to be checked.
    pub fn suspects_all(&self) -> bool {
        self.all_suspected > Stamp::FIRST
    }

    /// What was heard about `name` by `heard` is known to be right or wrong.
    pub fn settle(&mut self, name: &str, heard: Stamp) {
        if self.suspected.get(name).is_some_and(|last| *last <= heard) {
            self.suspected.remove(name);
        }
    }

    /// What was heard about all names by `heard` is known to be right or wrong.
    pub fn settle_all(&mut self, heard: Stamp) {
        if self.all_suspected <= heard {
            self.all_suspected = Stamp::FIRST;
        }
    }

    /// What was asked for about `name` before `outdated` answers for a failing AWS only. Messages that nothing confirms do so once a second,
    /// since they may be forged.
    pub fn want_from_aws(&mut self, name: &Arc<str>, outdated: Stamp, now: Moment) {
        if self.unconfirmed.len() >= MOST_UNCONFIRMED {
            self.unconfirmed.retain(|_, mark| now.since(mark.at) < self.keep);
        }
        if self.unconfirmed.len() >= MOST_UNCONFIRMED && !self.unconfirmed.contains_key(name) {
            return self.drop_name(name, outdated, now);
        }
        let mark = self.unconfirmed.entry(name.clone()).or_insert(outdated);
        if outdated.at >= mark.at.plus(UNCONFIRMED_EVERY) {
            *mark = outdated;
        }
    }

    /// Whether a copy of `name` that was asked for then answers for a failing AWS only.
    pub fn wants_from_aws(&self, name: &str, asked: Stamp) -> bool {
        self.unconfirmed.get(name).is_some_and(|mark| asked < *mark)
    }

    /// An answer was applied.
    pub fn store(&mut self, name: &Arc<str>, asked: Stamp, now: Moment) {
        if self.stored.len() >= self.prune_at {
            self.stored.retain(|_, mark| now.since(mark.at) < LONGEST_ANSWER);
            self.prune_at = FIRST_PRUNE.max(2 * self.stored.len());
        }
        self.stored.insert(name.clone(), asked);
    }

    /// The copies of `name` were dropped: what was asked for before is outdated.
    pub fn drop_name(&mut self, name: &Arc<str>, stamp: Stamp, now: Moment) {
        #[cfg(feature = "simulation")]
        if crate::simulation::has(crate::simulation::Defect::DropsForgotten) {
            return;
        }
        if self.dropped.len() >= MOST_DROPPED {
            self.dropped.retain(|_, mark| now.since(mark.at) < self.keep);
        }
        if self.dropped.len() >= MOST_DROPPED {
            // Too many to remember one by one: all names count as dropped with the newest of them.
            let newest = self.dropped.drain().map(|(_, mark)| mark).max();
            self.floor = self.floor.max(newest.unwrap_or(Stamp::FIRST));
        }
        let mark = self.dropped.entry(name.clone()).or_insert(stamp);
        *mark = stamp.max(*mark);
    }

    /// All copies were dropped.
    pub fn drop_all(&mut self, stamp: Stamp) {
        #[cfg(feature = "simulation")]
        if crate::simulation::has(crate::simulation::Defect::DropsForgotten) {
            return;
        }
        self.dropped.retain(|_, mark| *mark > stamp);
        self.stored.retain(|_, mark| *mark > stamp);
        self.floor = self.floor.max(stamp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secret::clock::Clock;

    fn stamps(clock: &Clock) -> impl FnMut() -> Stamp {
        let mut number = 0;
        move || {
            number += 1;
            Stamp::own(clock.now(), number)
        }
    }

    #[test]
    fn an_older_answer_is_refused_after_a_newer_one_or_a_drop() {
        let clock = Clock::test();
        let mut ask = stamps(&clock);
        let (mut marks, name) = (Marks::new(Duration::from_mins(1)), Arc::from("A"));
        let (first, second) = (ask(), ask());
        assert!(marks.allow("A", first));
        marks.store(&name, second, clock.now());
        assert!(!marks.allow("A", first));
        assert!(marks.allow("A", second));
        marks.drop_name(&name, ask(), clock.now());
        assert!(!marks.allow("A", second));
        assert!(marks.allow("A", ask()));
        assert!(marks.allow("B", first));
        marks.drop_all(ask());
        assert!(!marks.allow("B", first));
        assert!(marks.allow("B", ask()));
    }

    #[test]
    fn a_suspicion_ends_with_the_look_that_began_after_it_and_no_other() {
        let clock = Clock::test();
        let mut ask = stamps(&clock);
        let (mut marks, name) = (Marks::new(Duration::from_mins(1)), Arc::from("A"));
        let (copy, first, looked, second) = (ask(), ask(), ask(), ask());
        marks.suspect(&name, first);
        assert!(marks.suspects("A", copy) && !marks.suspects("B", copy) && !marks.suspects("A", second));
        marks.suspect(&name, second);
        marks.settle("A", looked);
        assert!(marks.suspects("A", copy), "a message came after the look");
        marks.settle("A", ask());
        assert!(!marks.suspects("A", copy));
        let heard = ask();
        marks.suspect_all(heard);
        marks.settle_all(looked);
        assert!(marks.suspects("B", copy) && marks.suspects_all());
        marks.settle_all(heard);
        assert!(!marks.suspects("B", copy) && !marks.suspects_all());
    }

    #[test]
    fn what_nothing_confirms_sends_a_name_to_aws_once_a_second() {
        let clock = Clock::test();
        let mut ask = stamps(&clock);
        let (mut marks, name) = (Marks::new(Duration::from_mins(1)), Arc::from("A"));
        let (before, outdated, after) = (ask(), ask(), ask());
        marks.want_from_aws(&name, outdated, clock.now());
        assert!(marks.wants_from_aws("A", before) && !marks.wants_from_aws("A", after));
        assert!(marks.allow("A", before), "it may answer for a failing AWS");
        let soon = Stamp::foreign(outdated.at.plus(UNCONFIRMED_EVERY / 2));
        marks.want_from_aws(&name, soon, clock.now());
        assert!(!marks.wants_from_aws("A", after));
        let later = Stamp::foreign(outdated.at.plus(UNCONFIRMED_EVERY));
        marks.want_from_aws(&name, later, clock.now());
        assert!(marks.wants_from_aws("A", after));
        for i in 0..=MOST_UNCONFIRMED {
            marks.want_from_aws(&format!("N{i}").into(), outdated, clock.now());
        }
        assert!(marks.unconfirmed.len() <= MOST_UNCONFIRMED);
        let last = format!("N{MOST_UNCONFIRMED}");
        assert!(!marks.allow(&last, before), "with too many it is as if it had been dropped");
    }

    #[test]
    fn a_drop_of_one_name_never_hides_an_answer_of_another() {
        let clock = Clock::test();
        let mut ask = stamps(&clock);
        let mut marks = Marks::new(Duration::from_mins(1));
        let mine = ask();
        for i in 0..1000 {
            marks.drop_name(&format!("N{i}").into(), ask(), clock.now());
        }
        assert!(marks.allow("MINE", mine));
    }

    #[test]
    fn drops_beyond_the_bound_are_not_forgotten() {
        let clock = Clock::test();
        let mut ask = stamps(&clock);
        let mut marks = Marks::new(Duration::from_hours(1));
        let before = ask();
        for i in 0..=MOST_DROPPED {
            marks.drop_name(&format!("N{i}").into(), ask(), clock.now());
        }
        assert!(marks.dropped.len() <= MOST_DROPPED);
        assert!((0..=MOST_DROPPED).all(|i| !marks.allow(&format!("N{i}"), before)));
    }
}
