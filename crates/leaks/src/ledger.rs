//! The values of one delivery that must not appear in text: those that it holds or handed out, and those that they
//! replaced within the last hour.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use secret::clock::{Clock, Moment};
use secret::value::SecretValue;

use crate::finder::Finder;
use crate::forms::{LeftOut, Written, left_out, written};
use crate::parts::parts;

/// How long a value is looked for after it was replaced.
pub const KEPT: Duration = Duration::from_hours(1);
/// A name is reported again when none of its values was found for this long.
const QUIET: Duration = Duration::from_mins(5);
/// Most values that are looked for, of one name and of all.
const MOST_OF_ONE: usize = 100;
const MOST: usize = 100_000;
/// A value that is looked for, or left out.
struct Known {
    value: SecretValue,
    forms: Result<Vec<Written>, LeftOut>,
    /// Not looked for from then on; `None` while it is the name's own.
    until: Option<Moment>,
}

/// How often the values of a name were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sightings {
    /// Since the ledger was made.
    pub count: u64,
    last: Option<Moment>,
    is_reported: bool,
}

/// What a sighting or its end is reported as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighted {
    /// Whose value.
    pub secret: Arc<str>,
    /// Whether it was found now; `false`: it was not found again for five minutes.
    pub now: bool,
    /// How often it was found.
    pub count: u64,
}

/// What is looked for, in numbers.
#[derive(Clone, Debug, Default)]
pub struct Watching {
    /// Values that are looked for.
    pub values: usize,
    /// The names whose values are not looked for, and why.
    pub left_out: Vec<(Arc<str>, LeftOut)>,
}

/// The values of one delivery, from the moment on that somebody wants to find them.
pub struct Ledger {
    clock: Clock,
    is_active: AtomicBool,
    known: Mutex<BTreeMap<Arc<str>, Vec<Known>>>,
    /// Changes of `known`, and the one that `finder` was made from.
    changes: AtomicU64,
    finder: RwLock<(u64, Arc<Finder>)>,
    /// Held while a finder is made.
    making: Mutex<()>,
    sightings: Mutex<HashMap<Arc<str>, Sightings>>,
}

impl Ledger {
    /// Knows nothing, and takes no value, before it is activated.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            is_active: AtomicBool::new(false),
            known: Mutex::default(),
            changes: AtomicU64::new(0),
            finder: RwLock::default(),
            making: Mutex::default(),
            sightings: Mutex::default(),
        }
    }

    /// Takes values from now on; `true` the first time.
    pub fn activate(&self) -> bool {
        !self.is_active() && !self.is_active.swap(true, Ordering::SeqCst)
    }

    /// Whether anybody wants to find values.
    pub fn is_active(&self) -> bool {
        self.is_active.load(Ordering::Relaxed)
    }

    /// `value` is the value of `name` now.
    pub fn note(&self, name: &str, value: &SecretValue) {
        self.add(name, value, true);
    }

    /// `value` was handed out as another version of `name`.
    pub fn note_other(&self, name: &str, value: &SecretValue) {
        self.add(name, value, false);
    }

    fn add(&self, name: &str, value: &SecretValue, is_current: bool) {
        if !self.is_active() || value.is_empty() {
            return;
        }
        let until = self.clock.now().plus(KEPT);
        self.add_one(name, value, is_current, until);
        for (part, value) in parts(name, value) {
            self.add_one(&part, &value, is_current, until);
        }
    }

    fn add_one(&self, name: &str, value: &SecretValue, is_current: bool, until: Moment) {
        let mut known = self.known.lock();
        if !known.contains_key(name) && known.len() >= MOST {
            return;
        }
        let of_name = known.entry(name.into()).or_default();
        if let Some(same) = of_name.iter().position(|known| known.value == *value) {
            let same = &mut of_name[same];
            if !is_current {
                same.until = same.until.map(|_| until);
                return;
            }
            if same.until.is_none() {
                return;
            }
        }
        if is_current {
            of_name.iter_mut().filter(|known| known.until.is_none()).for_each(|known| known.until = Some(until));
        }
        let ends = (!is_current).then_some(until);
        if let Some(same) = of_name.iter_mut().find(|known| known.value == *value) {
            // It is found already: nothing has to be made anew.
            same.until = ends;
            return;
        }
        if of_name.len() >= MOST_OF_ONE {
            // Never the live one.
            if let Some(oldest) = of_name.iter().position(|known| known.until.is_some()) {
                of_name.remove(oldest);
            }
        }
        of_name.push(Known { value: value.clone(), forms: forms(value), until: ends });
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// No value is replaced any more: each is looked for for an hour yet.
    pub fn close(&self) {
        let until = self.clock.now().plus(KEPT);
        for known in self.known.lock().values_mut().flatten() {
            known.until.get_or_insert(until);
        }
    }

    /// Forgets the values whose time is over.
    pub fn expire(&self) {
        let now = self.clock.now();
        let mut known = self.known.lock();
        let mut dropped = false;
        known.retain(|_, of_name| {
            let before = of_name.len();
            of_name.retain(|known| known.until.is_none_or(|until| now < until));
            dropped |= of_name.len() < before;
            !of_name.is_empty()
        });
        if dropped {
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Finds every value that is known by now. Makes the finder when a value is new; [`Ledger::prepare`] does that before.
    pub fn finder(&self) -> Arc<Finder> {
        let changes = self.changes.load(Ordering::SeqCst);
        {
            let made = self.finder.read();
            if made.0 >= changes {
                return made.1.clone();
            }
        }
        let _making = self.making.lock();
        let changes = self.changes.load(Ordering::SeqCst);
        if self.finder.read().0 < changes {
            let finder = {
                let known = self.known.lock();
                // Of names with the same value, one of a secret goes before one of a field of a secret.
                let named = |is_part| known.iter().filter(move |(name, _)| name.contains('#') == is_part);
                let values = named(false).chain(named(true)).flat_map(|(name, of_name)| {
                    of_name.iter().filter_map(|known| Some((name.clone(), known.forms.as_deref().ok()?)))
                });
                Arc::new(Finder::new(values))
            };
            *self.finder.write() = (changes, finder);
        }
        self.finder.read().1.clone()
    }

    /// Makes the finder, so that nobody has to wait for it later.
    pub fn prepare(&self) {
        if self.is_active() {
            drop(self.finder());
        }
    }

    /// Values of `secrets` were found; what is to be reported of that.
    pub fn sighted(&self, secrets: &[Arc<str>]) -> Vec<Sighted> {
        let now = self.clock.now();
        let mut sightings = self.sightings.lock();
        let mut news = Vec::new();
        for secret in secrets {
            let seen = sightings.entry(secret.clone()).or_default();
            seen.count += 1;
            seen.last = Some(now);
            if !seen.is_reported {
                seen.is_reported = true;
                news.push(Sighted { secret: secret.clone(), now: true, count: seen.count });
            }
        }
        news
    }

    /// The names that were reported, and whose values were not found again for a while.
    pub fn quiet(&self) -> Vec<Sighted> {
        let now = self.clock.now();
        let mut sightings = self.sightings.lock();
        let over = sightings
            .iter_mut()
            .filter(|(_, seen)| seen.is_reported && seen.last.is_none_or(|last| now.since(last) >= QUIET));
        over.map(|(secret, seen)| {
            seen.is_reported = false;
            Sighted { secret: secret.clone(), now: false, count: seen.count }
        })
        .collect()
    }

    /// How often values were found, by name.
    pub fn sightings(&self) -> Vec<(Arc<str>, u64)> {
        let mut all: Vec<_> = self.sightings.lock().iter().map(|(name, seen)| (name.clone(), seen.count)).collect();
        all.sort_unstable();
        all
    }

    /// What is looked for.
    pub fn watching(&self) -> Watching {
        let mut watching = Watching::default();
        for (name, of_name) in &*self.known.lock() {
            for known in of_name {
                match known.forms {
                    Ok(_) => watching.values += 1,
                    Err(why) => watching.left_out.push((name.clone(), why)),
                }
            }
        }
        watching
    }
}

fn forms(value: &SecretValue) -> Result<Vec<Written>, LeftOut> {
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: judged by its length and characters")]
    let why = left_out(value.expose());
    why.map_or_else(|| Ok(written(value)), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redacting::redact;

    fn value(text: &str) -> SecretValue {
        SecretValue::copied(text)
    }

    fn shown(ledger: &Ledger, text: &str) -> String {
        let redacted = redact(&ledger.finder(), text.as_bytes(), &|_| false);
        redacted.map_or_else(|| text.to_owned(), |redacted| String::from_utf8_lossy(&redacted.text).into_owned())
    }

    fn active() -> Ledger {
        let ledger = Ledger::new(Clock::test());
        assert!(ledger.activate());
        ledger
    }

    #[test]
    fn nothing_is_kept_before_somebody_wants_to_find_it() {
        let ledger = Ledger::new(Clock::test());
        ledger.note("A", &value("correct-horse"));
        assert!(ledger.finder().is_empty());
        assert_eq!(ledger.watching().values, 0);
    }

    #[test]
    fn a_value_is_found_for_an_hour_after_it_was_replaced() {
        let ledger = active();
        ledger.note("A", &value("first-value"));
        ledger.note("A", &value("second-value"));
        assert_eq!(shown(&ledger, "first-value second-value"), "[secret A] [secret A]");
        ledger.clock.advance(Duration::from_mins(61));
        ledger.expire();
        assert_eq!(shown(&ledger, "first-value second-value"), "first-value [secret A]");
    }

    #[test]
    fn a_value_that_comes_back_is_not_forgotten() {
        let ledger = active();
        ledger.note("A", &value("first-value"));
        ledger.note("A", &value("second-value"));
        ledger.note("A", &value("first-value"));
        ledger.clock.advance(Duration::from_mins(61));
        ledger.expire();
        assert_eq!(shown(&ledger, "first-value second-value"), "[secret A] second-value");
    }

    #[test]
    fn another_version_does_not_end_the_live_one() {
        let ledger = active();
        ledger.note("A", &value("live-value"));
        ledger.note_other("A", &value("previous-value"));
        ledger.note_other("A", &value("live-value"));
        ledger.clock.advance(Duration::from_mins(61));
        ledger.expire();
        assert_eq!(shown(&ledger, "live-value previous-value"), "[secret A] previous-value");
    }

    #[test]
    fn secret_fields_of_a_json_secret_are_found_by_themselves() {
        let ledger = active();
        ledger.note("DB", &value(r#"{"username":"service_user","password":"correct-horse","host":"db.example.com"}"#));
        assert_eq!(
            shown(&ledger, "postgres://service_user:correct-horse@db.example.com"),
            "postgres://service_user:[secret DB#password]@db.example.com"
        );
    }

    #[test]
    fn parts_do_not_end_each_other_or_the_whole() {
        let ledger = active();
        ledger.note(
            "DB",
            &value(r#"{"pass word":"first-value","pass\tword":"second-value","db":{"password":"inner-value"}}"#),
        );
        ledger.clock.advance(Duration::from_hours(2));
        ledger.expire();
        assert_eq!(ledger.watching().values, 4);
        assert_eq!(
            shown(&ledger, "first-value second-value inner-value"),
            "[secret DB#pass_word] [secret DB#pass_word~2] [secret DB#db.password]"
        );
    }

    #[test]
    fn a_value_of_two_secrets_has_the_first_name() {
        let ledger = active();
        ledger.note("B", &value("correct-horse"));
        ledger.note("A", &value("correct-horse"));
        assert_eq!(shown(&ledger, "correct-horse"), "[secret A]");
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let ledger = active();
        ledger.note("A", &value("postgres"));
        ledger.note("B", &value("1234"));
        ledger.note("C", &value("correct-horse"));
        let watching = ledger.watching();
        assert_eq!(watching.values, 1);
        assert_eq!(watching.left_out, [("A".into(), LeftOut::WellKnown), ("B".into(), LeftOut::Short)]);
        assert_eq!(shown(&ledger, "postgres 1234"), "postgres 1234");
    }

    #[test]
    fn a_sighting_is_reported_once_and_its_end_once() {
        let ledger = active();
        let name: Arc<str> = "A".into();
        assert_eq!(ledger.sighted(&[name.clone(), name.clone()]).len(), 1);
        assert!(ledger.sighted(std::slice::from_ref(&name)).is_empty());
        assert!(ledger.quiet().is_empty());
        ledger.clock.advance(Duration::from_mins(6));
        assert_eq!(ledger.quiet(), [Sighted { secret: name.clone(), now: false, count: 3 }]);
        assert!(ledger.quiet().is_empty());
        assert_eq!(ledger.sighted(&[name]).len(), 1);
    }
}
