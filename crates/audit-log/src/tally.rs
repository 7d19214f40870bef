//! The records that cached reads are counted in. A service reads the same few secrets again and again: instead of a
//! record for each read, one record in the journal carries a counter, which every further read raises.
//!
//! Only the places of these records are kept here, one for each secret. The counters are in the mapped journal, so they survive
//! a kill. A further read takes one lock, that of its secret, and reads no clock.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::AppendError;
use crate::log::AuditLog;
use crate::record::{Cache, Record};
use crate::ring::WINDOW_MS;

/// Secrets whose open record is kept; more than any service has. Of others each delivery has a record.
const MOST_SECRETS: usize = 200_000;

/// A secret whose deliveries are counted. Made once for many reads, which then look nothing up. Two secrets never share a record's
/// place: read in turn, each would end the other's record.
#[derive(Clone)]
pub struct CountedSecret {
    name: Arc<str>,
    kept: Arc<Mutex<Kept>>,
}

impl CountedSecret {
    /// The secret of this name, where nothing is counted.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), kept: Arc::default() }
    }

    /// Its name.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// Which record a delivery belongs to.
#[derive(Clone, Copy)]
pub struct Counted<'a> {
    /// The secret.
    pub secret: &'a CountedSecret,
    /// Its version; `None` where it has none.
    pub version: Option<&'a Arc<str>>,
    /// What the caches knew of it.
    pub cache: Cache,
}

impl Counted<'_> {
    /// Counts one delivery in the record of the same secret, version and cache, if that was appended less than a second
    /// ago and is open. `false`: [`Counted::begin`] is the way. With `needs_log` it is `false` too while the log cannot be written.
    #[inline]
    pub fn add(self, now_ms: u64, needs_log: bool) -> bool {
        // Another thread uses the place. It is quick, but this thread does not wait.
        let Some(kept) = self.secret.kept.try_lock() else { return false };
        let Some(log) = &kept.log else { return false };
        // A clock that went back all the same makes the difference large.
        let after_ms = now_ms.wrapping_sub(kept.first_ms);
        after_ms < WINDOW_MS
            && kept.is_of(self)
            && (!needs_log || log.state().is_kept())
            && log.ring().add(kept.last, after_ms)
    }

    /// Counts one delivery in a new record, which `record` makes. The counter is in the journal, so this is as safe as
    /// [`AuditLog::try_append`]. While the journal is full, the old record goes on counting.
    ///
    /// Until [`Tally::clear`] the log stays open.
    ///
    /// # Errors
    /// Those of [`AuditLog::try_append`].
    pub fn begin<'a>(
        self,
        log: &Arc<AuditLog>,
        now_ms: u64,
        record: impl FnOnce() -> Record<'a>,
    ) -> Result<(), AppendError> {
        let Some(mut kept) = self.secret.kept.try_lock() else { return log.try_append(&record()) };
        match log.try_begin(&record()) {
            Ok(last) => {
                kept.set(log, self, last, now_ms);
                Ok(())
            }
            Err(AppendError::Full) if kept.add_late(log, self, now_ms) => Ok(()),
            Err(refused) => Err(refused),
        }
    }
}

/// The places of the open records.
///
/// Times are milliseconds of any clock that does not go back, such as a coarse one that the caller has read anyway: they
/// say how long after the first delivery of a record the last one was. The time of the first is read from the log's own clock.
#[derive(Default)]
pub struct Tally(Mutex<HashMap<Arc<str>, Arc<Mutex<Kept>>>>);

/// An open record.
#[derive(Default)]
struct Kept {
    /// Where it was appended; `None`: there is no record.
    log: Option<Arc<AuditLog>>,
    version: Option<Arc<str>>,
    cache: Cache,
    /// The position of its last slot.
    last: u64,
    first_ms: u64,
}

impl Tally {
    /// The secret of this name.
    pub fn secret(&self, name: &str) -> CountedSecret {
        let mut all = self.0.lock();
        if let Some((name, kept)) = all.get_key_value(name) {
            return CountedSecret { name: name.clone(), kept: kept.clone() };
        }
        let secret = CountedSecret::new(name);
        if all.len() < MOST_SECRETS {
            all.insert(secret.name.clone(), secret.kept.clone());
        }
        secret
    }

    /// Lets go of all records, and of their log. Nothing may be begun in that log any more.
    pub fn clear(&self) {
        for kept in self.0.lock().values() {
            *kept.lock() = Kept::default();
        }
    }
}

impl Kept {
    /// Counts a delivery whatever the age of the record, while there is no place for another one.
    fn add_late(&self, log: &Arc<AuditLog>, counted: Counted<'_>, now_ms: u64) -> bool {
        let is_known = self.log.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, log)) && self.is_of(counted);
        is_known && log.ring().add(self.last, now_ms.saturating_sub(self.first_ms))
    }

    /// Notes the record that was just appended for `counted`.
    fn set(&mut self, log: &Arc<AuditLog>, counted: Counted<'_>, last: u64, first_ms: u64) {
        self.version = counted.version.cloned();
        self.cache = counted.cache;
        if !self.log.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, log)) {
            self.log = Some(log.clone());
        }
        (self.last, self.first_ms) = (last, first_ms);
    }

    #[inline]
    fn is_of(&self, counted: Counted<'_>) -> bool {
        self.cache == counted.cache && is_same(self.version.as_ref(), counted.version)
    }
}

/// Whether two texts are equal: mostly they are one, and their bytes need not be looked at.
#[inline]
fn is_same(one: Option<&Arc<str>>, other: Option<&Arc<str>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
        (one, other) => one.is_none() && other.is_none(),
    }
}
