//! The records that cached reads are counted in. A service reads the same few secrets again and again: instead of a
//! record for each read, one record in the journal carries a counter, which every further read raises.
//!
//! Only the places of these records are kept here. The counters are in the mapped journal, so they survive a kill.

use parking_lot::{Mutex, MutexGuard};

use crate::record::Cache;
use crate::ring::Ring;

/// The number of records that are open for counting, a power of two. A secret has one possible place.
const PLACES: usize = 512;
/// How long a record is counted in, in µs.
pub const WINDOW_US: u64 = 1_000_000;

/// Which record a delivery belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// The secret.
    pub secret: &'a str,
    /// Its version.
    pub version: &'a str,
    /// What the caches knew of it.
    pub cache: Cache,
}

/// The places of the open records.
pub struct Tally(Box<[Mutex<Kept>]>);

/// An open record.
#[derive(Default)]
pub struct Kept {
    secret: String,
    version: String,
    cache: Cache,
    /// The position of its last slot.
    last: u64,
    first_us: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self((0..PLACES).map(|_| Mutex::default()).collect())
    }
}

impl Tally {
    /// The place of `counted`; `None` while another thread uses it.
    #[inline]
    pub fn place(&self, counted: Counted<'_>) -> Option<MutexGuard<'_, Kept>> {
        self.0[hash(counted.secret) % PLACES].try_lock()
    }
}

impl Kept {
    /// Counts a delivery at `now_us` in the record at this place, if that is its record and is open for counting.
    #[inline]
    pub fn add(&self, ring: &Ring, counted: Counted<'_>, now_us: u64) -> bool {
        // A clock that went back makes the difference large.
        let after_us = now_us.wrapping_sub(self.first_us);
        after_us < WINDOW_US && self.is_of(counted) && ring.add(self.last, after_us / 1000)
    }

    /// Does the same whatever the age of the record, while there is no place for another one.
    pub fn add_late(&self, ring: &Ring, counted: Counted<'_>, now_us: u64) -> bool {
        let is_known = self.first_us > 0 && self.is_of(counted);
        is_known && ring.add(self.last, now_us.saturating_sub(self.first_us) / 1000)
    }

    /// Notes the record that was just appended for `counted`.
    pub fn set(&mut self, counted: Counted<'_>, last: u64, first_us: u64) {
        if !self.is_of(counted) {
            counted.secret.clone_into(&mut self.secret);
            counted.version.clone_into(&mut self.version);
            self.cache = counted.cache;
        }
        (self.last, self.first_us) = (last, first_us);
    }

    #[inline]
    fn is_of(&self, counted: Counted<'_>) -> bool {
        self.secret == counted.secret && self.version == counted.version && self.cache == counted.cache
    }
}

#[inline]
fn hash(secret: &str) -> usize {
    let sum = secret.as_bytes().chunks(8).fold(0_u64, |sum, chunk| {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        (sum.rotate_left(5) ^ u64::from_le_bytes(bytes)).wrapping_mul(0x517c_c1b7_2722_0a95)
    });
    usize::try_from(sum >> 40).unwrap_or_default()
}
