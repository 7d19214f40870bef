//! The records that cached reads are counted in. A service reads the same few secrets again and again: instead of a
//! record for each read, one record in the journal carries a counter, which every further read raises.
//!
//! Only the places of these records are kept here. The counters are in the mapped journal, so they survive a kill. A further
//! read takes one lock, that of its place, and reads no clock.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::AppendError;
use crate::log::AuditLog;
use crate::record::{Cache, Record};
use crate::ring::WINDOW_MS;

/// The number of records that are open for counting, a power of two. A secret has one possible place.
const PLACES: usize = 512;

/// A secret whose deliveries are counted. Made once for many reads: where its record is is found out here, and a read
/// only compares.
#[derive(Clone, Debug)]
pub struct CountedSecret {
    name: Arc<str>,
    place: usize,
}

impl CountedSecret {
    /// The secret of this name.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), place: hash(name) % PLACES }
    }

    /// Its name.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// Which record a delivery belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// The secret.
    pub secret: &'a CountedSecret,
    /// Its version; `None` where it has none.
    pub version: Option<&'a Arc<str>>,
    /// What the caches knew of it.
    pub cache: Cache,
}

/// The places of the open records.
///
/// Times are milliseconds of any clock that does not go back, such as a coarse one that the caller has read anyway: they
/// say how long after the first delivery of a record the last one was. The time of the first is read from the log's own clock.
pub struct Tally(Box<[Mutex<Kept>]>);

/// An open record.
#[derive(Default)]
struct Kept {
    /// Where it was appended; `None`: there is no record.
    log: Option<Arc<AuditLog>>,
    secret: Option<Arc<str>>,
    version: Option<Arc<str>>,
    cache: Cache,
    /// The position of its last slot.
    last: u64,
    first_ms: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self((0..PLACES).map(|_| Mutex::default()).collect())
    }
}

impl Tally {
    /// Counts one delivery in the record of the same secret, version and cache, if that was appended less than a second
    /// ago and is open. `false`: [`Tally::begin`] is the way. With `needs_log` it is `false` too while the log cannot be written.
    #[inline]
    pub fn add(&self, counted: Counted<'_>, now_ms: u64, needs_log: bool) -> bool {
        // Another thread uses the place. It is quick, but this thread does not wait.
        let Some(kept) = self.place(counted).try_lock() else { return false };
        let Some(log) = &kept.log else { return false };
        // A clock that went back all the same makes the difference large.
        let after_ms = now_ms.wrapping_sub(kept.first_ms);
        after_ms < WINDOW_MS
            && kept.is_of(counted)
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
        &self,
        log: &Arc<AuditLog>,
        counted: Counted<'_>,
        now_ms: u64,
        record: impl FnOnce() -> Record<'a>,
    ) -> Result<(), AppendError> {
        let Some(mut kept) = self.place(counted).try_lock() else { return log.try_append(&record()) };
        match log.try_begin(&record()) {
            Ok(last) => {
                kept.set(log, counted, last, now_ms);
                Ok(())
            }
            Err(AppendError::Full) if kept.add_late(log, counted, now_ms) => Ok(()),
            Err(refused) => Err(refused),
        }
    }

    /// Lets go of all records, and of their log. Nothing may be begun in that log any more.
    pub fn clear(&self) {
        for place in &self.0 {
            *place.lock() = Kept::default();
        }
    }

    #[inline]
    fn place(&self, counted: Counted<'_>) -> &Mutex<Kept> {
        &self.0[counted.secret.place]
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
        self.secret = Some(counted.secret.name.clone());
        self.version = counted.version.cloned();
        self.cache = counted.cache;
        if !self.log.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, log)) {
            self.log = Some(log.clone());
        }
        (self.last, self.first_ms) = (last, first_ms);
    }

    #[inline]
    fn is_of(&self, counted: Counted<'_>) -> bool {
        is_same(self.secret.as_ref(), Some(&counted.secret.name))
            && is_same(self.version.as_ref(), counted.version)
            && self.cache == counted.cache
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

fn hash(secret: &str) -> usize {
    let sum = secret.as_bytes().chunks(8).fold(0_u64, |sum, chunk| {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        (sum.rotate_left(5) ^ u64::from_le_bytes(bytes)).wrapping_mul(0x517c_c1b7_2722_0a95)
    });
    usize::try_from(sum >> 40).unwrap_or_default()
}
