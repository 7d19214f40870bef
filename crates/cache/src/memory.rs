//! The bounded in-process cache. A lookup says *why* there is no fresh value; a write says whether it was newer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use quick_cache::sync::Cache;

use crate::entry::{Entry, Known};
use crate::order::{LONGEST_ANSWER, Marks, Stamp};
use secret::clock::Moment;
use secret::error::SecretError;
use secret::value::SecretValue;

mod drops;
mod hints;

/// Small, since the cache moves slots around.
#[derive(Clone)]
enum Slot {
    Value(Arc<Entry>),
    /// AWS said that it has no such secret.
    Absent(Absence),
    /// AWS refused this identity; not asked again until then.
    Denied(Moment, Box<SecretError>),
    /// Dropped. The version stays, so that a rotation is still noticed.
    Dropped(Box<Known>),
}

impl Slot {
    fn known(&self) -> Option<Known> {
        match self {
            Self::Value(entry) => entry.known(),
            Self::Dropped(known) => Some((**known).clone()),
            Self::Absent(_) | Self::Denied(..) => None,
        }
    }
}

/// "Not there", as AWS said it.
#[derive(Clone, Copy, Debug)]
struct Absence {
    /// Believed until then.
    until: Moment,
    asked: Stamp,
    /// When the answer came.
    seen: Moment,
}

/// An absence is remembered as if AWS had been asked when it answered, unless that took longer than this.
const SLOWEST_ABSENCE: Duration = Duration::from_secs(3);

/// What became of an answer.
#[derive(Clone, Debug)]
pub enum Stored {
    /// It is what memory holds now. The version that was known before, if any.
    Newest(Option<Known>),
    /// Memory holds this value, which was asked for later.
    Newer(Arc<Entry>),
    /// The name was dropped after the question, or a later question found nothing.
    Outdated,
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
    /// Held during every write, so that the comparison with the newest answer and the write are one step.
    marks: Mutex<Marks>,
    /// The number of the last question.
    asked: AtomicU64,
    /// Entries of an earlier epoch are not trusted without being looked up again.
    epoch: AtomicU64,
    /// Hears of each value before it can be read.
    watcher: OnceLock<Watcher>,
}

/// Hears of the name and the value of each copy before it can be read. Called while writes wait.
pub type Watcher = Box<dyn Fn(&Arc<str>, &SecretValue) + Send + Sync>;

impl MemoryCache {
    /// Holds at most `max_entries`, the least useful going first. `keep`: the greatest age of a copy anywhere.
    pub fn new(max_entries: usize, keep: Duration) -> Self {
        Self {
            slots: Cache::new(max_entries),
            marks: Mutex::new(Marks::new(keep)),
            asked: AtomicU64::new(0),
            // Entries of epoch 0 are never trusted.
            epoch: AtomicU64::new(1),
            watcher: OnceLock::new(),
        }
    }

    /// Has `watcher` hear of each value from now on. Only the first one counts.
    pub fn watch(&self, watcher: Watcher) {
        drop(self.watcher.set(watcher));
    }

    /// To be taken before something is asked for, and given back with the answer.
    pub fn ask(&self, now: Moment) -> Stamp {
        Stamp::own(now, self.asked.fetch_add(1, Ordering::SeqCst) + 1)
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
        entry.epoch() == self.epoch.load(Ordering::Relaxed)
    }

    /// What is known of `name`. A value counts as read.
    pub fn lookup(&self, name: &str, now: Moment) -> Lookup {
        let slot = self.slots.get(name);
        if let Some(Slot::Value(entry)) = &slot {
            entry.note_use();
        }
        self.judge(name, slot, now)
    }

    /// What is known of `name`; a value does not count as read.
    pub fn peek(&self, name: &str, now: Moment) -> Lookup {
        self.judge(name, self.slots.peek(name), now)
    }

    fn judge(&self, name: &str, slot: Option<Slot>, now: Moment) -> Lookup {
        match slot {
            Some(Slot::Value(entry)) => match self.trusts(&entry) {
                true if entry.is_fresh(now) => Lookup::Fresh(entry),
                true if entry.is_held(now) => Lookup::Held(entry),
                true if entry.is_usable(now) => Lookup::Stale(entry),
                // It answers for a failing AWS, flagged, unless a message says that it was dropped.
                false if entry.is_usable(now) && !self.suspects(name, entry.asked) => {
                    Lookup::Stale(entry.unconfirmed(now))
                }
                _ => Lookup::Miss,
            },
            Some(Slot::Absent(absence)) if now < absence.until => Lookup::Absent,
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
        self.slots.peek(name)?.known()
    }

    /// The value of `name`, whatever its state. Looking at it is no use of it.
    pub fn held(&self, name: &str) -> Option<Arc<Entry>> {
        match self.slots.peek(name)? {
            Slot::Value(entry) => Some(entry),
            _ => None,
        }
    }

    /// The value of `name` that may be passed on, fresh or not. Looking at it is no use of it.
    pub fn trusted(&self, name: &str) -> Option<Arc<Entry>> {
        self.held(name).filter(|entry| self.trusts(entry))
    }

    /// The value of `name` as an answer of AWS is compared with it: one that is not trusted is past its TTL.
    pub fn judged(&self, name: &str, now: Moment) -> Option<Arc<Entry>> {
        let held = self.held(name)?;
        Some(if self.trusts(&held) { held } else { held.unconfirmed(now) })
    }

    /// Whether anything is held about `name`.
    pub fn has(&self, name: &str) -> bool {
        self.slots.peek(name).is_some()
    }

    /// To be taken before a value is asked for, and given back with it.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Relaxed))
    }

    /// Puts the value of `name`, which was asked for in `epoch`, unless something newer is known.
    pub fn put(&self, name: &Arc<str>, entry: Arc<Entry>, epoch: Epoch, now: Moment) -> Stored {
        entry.set_epoch(epoch.0);
        entry.note_seen(now);
        let asked = entry.asked;
        self.answer(name, asked, now, || Slot::Value(entry))
    }

    /// Puts the value of `name` again, with other deadlines, unless something newer is known.
    pub fn renew(&self, name: &Arc<str>, entry: Arc<Entry>, epoch: Epoch, now: Moment) -> Stored {
        entry.set_epoch(epoch.0);
        let (asked, marks) = (entry.asked, self.marks.lock());
        if let Some(known) = self.known_without_copy(name)
            && known.seen > asked.at()
            && entry.version_id.as_ref().is_some_and(|version| *version != known.version)
        {
            return Stored::Outdated;
        }
        self.write_in(marks, name, asked, now, || Slot::Value(entry))
    }

    /// Puts a doubted copy of `name` in the place of the same copy; it is trusted as that was.
    pub fn doubt(&self, name: &Arc<str>, held: &Entry, doubted: Arc<Entry>) {
        let _marks = self.marks.lock();
        if let Some(Slot::Value(entry)) = self.slots.peek(name)
            && std::ptr::eq(&raw const *entry, held)
        {
            doubted.set_epoch(entry.epoch());
            self.slots.insert(name.clone(), Slot::Value(doubted));
        }
    }

    /// Remembers for `how_long` that AWS, asked then, has no `name`.
    pub fn put_absent(&self, name: &Arc<str>, asked: Stamp, now: Moment, how_long: Duration) -> Stored {
        #[cfg(feature = "simulation")]
        if crate::simulation::has(crate::simulation::Defect::LateAbsence) {
            let known = self.known(name);
            let absence = Absence { until: now.plus(how_long), asked, seen: now };
            self.slots.insert(name.clone(), Slot::Absent(absence));
            return Stored::Newest(known);
        }
        // An answer that came while the process was stopped is old by now.
        let until = now.plus(how_long).min(asked.at().plus(how_long + SLOWEST_ABSENCE));
        self.answer(name, asked, now, || Slot::Absent(Absence { until, asked, seen: now }))
    }

    /// Remembers for `how_long` that AWS, asked then, refused `name`. `is_newest`: AWS answered this process nothing later. Then
    /// neither a drop nor what another process asked for later contradicts it.
    pub fn put_denied(
        &self,
        name: &Arc<str>,
        asked: Stamp,
        is_newest: bool,
        now: Moment,
        how_long: Duration,
        error: &SecretError,
    ) -> Stored {
        let slot = || Slot::Denied(now.plus(how_long), error.clone().into());
        let stored = self.answer(name, asked, now, slot);
        let is_refuted = match &stored {
            Stored::Newest(_) => true,
            Stored::Newer(entry) => entry.asked.is_own(),
            Stored::Outdated => false,
        };
        if !is_newest || is_refuted {
            return stored;
        }
        let _marks = self.marks.lock();
        let known = self.known(name);
        self.slots.insert(name.clone(), slot());
        Stored::Newest(known)
    }

    /// Whether an answer to a question of then may still be used.
    pub fn allows(&self, name: &str, asked: Stamp) -> bool {
        self.marks.lock().allow(name, asked)
    }

    /// An answer of AWS. One that took too long may be older than what is remembered of others.
    fn answer(&self, name: &Arc<str>, asked: Stamp, now: Moment, slot: impl FnOnce() -> Slot) -> Stored {
        if asked.is_own() && now.since(asked.at()) > LONGEST_ANSWER {
            return Stored::Outdated;
        }
        self.write(name, asked, now, slot)
    }

    fn write(&self, name: &Arc<str>, asked: Stamp, now: Moment, slot: impl FnOnce() -> Slot) -> Stored {
        self.write_in(self.marks.lock(), name, asked, now, slot)
    }

    fn write_in(
        &self,
        mut marks: MutexGuard<'_, Marks>,
        name: &Arc<str>,
        asked: Stamp,
        now: Moment,
        slot: impl FnOnce() -> Slot,
    ) -> Stored {
        #[cfg(feature = "simulation")]
        if crate::simulation::has(crate::simulation::Defect::LateAnswers) {
            let known = self.known(name);
            self.slots.insert(name.clone(), slot());
            return Stored::Newest(known);
        }
        if !marks.allow(name, asked) {
            return match self.slots.peek(name) {
                Some(Slot::Value(entry)) if entry.asked > asked => Stored::Newer(entry),
                _ => Stored::Outdated,
            };
        }
        if let Some(Slot::Value(entry)) = self.slots.peek(name)
            && entry.asked > asked
        {
            return Stored::Newer(entry);
        }
        let (known, slot) = (self.known(name), slot());
        if let Slot::Value(entry) = &slot {
            if let Some(Slot::Value(old)) = self.slots.peek(name)
                && old.value == entry.value
            {
                entry.adopt(&old);
            }
            if let Some(watcher) = self.watcher.get() {
                watcher(name, &entry.value);
            }
        }
        marks.store(name, asked, now);
        if let Slot::Value(entry) = &slot
            && marks.suspects(name, asked)
        {
            entry.set_epoch(0);
        }
        self.slots.insert(name.clone(), slot);
        Stored::Newest(known)
    }

    /// Wipes the value of `name`; what was asked for before `dropped` does not come back.
    pub fn drop_value(&self, name: &Arc<str>, dropped: Stamp, now: Moment) {
        let mut marks = self.marks.lock();
        marks.drop_name(name, dropped, now);
        self.leave(name, self.known(name));
    }

    /// Lets no entry answer before it was looked up again: what it holds may have been invalidated unheard.
    pub fn distrust(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Trusts the value of `name` again.
    pub fn trust_one(&self, name: &str) {
        if let Some(entry) = self.held(name) {
            entry.set_epoch(self.epoch.load(Ordering::Relaxed));
        }
    }

    /// Wipes everything but values that were asked for after `dropped`; what was asked for before does not come back. The versions
    /// stay, so that a rotation is still noticed.
    pub fn clear(&self, dropped: Stamp) {
        let mut marks = self.marks.lock();
        marks.drop_all(dropped);
        let outlasts = |slot: &Slot| matches!(slot, Slot::Value(entry) if entry.asked > dropped);
        let gone = self.slots.iter().filter(|(_, slot)| !outlasts(slot));
        let gone: Vec<(Arc<str>, Option<Known>)> = gone.map(|(name, slot)| (name, slot.known())).collect();
        for (name, known) in gone {
            self.leave(&name, known);
        }
    }

    /// Wipes everything, versions included, but values that were asked for after `dropped`: it is of another account.
    pub fn forget_all(&self, dropped: Stamp) {
        let mut marks = self.marks.lock();
        marks.drop_all(dropped);
        self.slots.retain(|_, slot| matches!(slot, Slot::Value(entry) if entry.asked > dropped));
    }

    /// Leaves only the version of `name`, where one is known. Called while writes wait.
    fn leave(&self, name: &Arc<str>, known: Option<Known>) {
        match known {
            Some(known) => self.slots.insert(name.clone(), Slot::Dropped(Known { value: None, ..known }.into())),
            None => drop(self.slots.remove(&**name)),
        }
    }

    /// Wipes everything without remembering that it was dropped: the delivery is closed.
    pub fn wipe(&self) {
        self.slots.clear();
    }

    /// Entries held, absences included.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether a value is held: absences and versions are none.
    pub fn has_values(&self) -> bool {
        self.slots.iter().any(|(_, slot)| matches!(slot, Slot::Value(_)))
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests;
