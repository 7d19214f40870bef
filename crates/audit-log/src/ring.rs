//! A bounded ring buffer over mapped words: many writers, one reader. No record is lost when the process is killed.
//!
//! A record takes one or more consecutive slots of sixteen words. The first word of its first slot, the commit word, is
//! stored last. It says that the record is complete, and in which turn of the ring. A record without it was never
//! finished.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::map::Map;

/// The number of words in a slot, including the commit word.
const SLOT: usize = 16;
/// The number of words of a slot that hold a record.
pub const PAYLOAD: usize = SLOT - 1;
/// How long a record is counted in.
pub const WINDOW_MS: u64 = 1000;
/// Set in `head` when the ring is closed.
const CLOSED: u64 = 1 << 63;

/// Puts values that several threads write into different cache lines.
#[repr(align(128))]
struct Apart(AtomicU64);

/// Why a record was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// The ring is full.
    Full,
    /// The ring is closed.
    Closed,
}

/// The last word of a record that stands for several deliveries: a number that tells the turns of the ring apart, whether
/// it is sealed, when the last delivery was, and how many there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(pub u64);

impl Counter {
    const MOST: u32 = (1 << 24) - 1;
    const AFTER: u32 = 24;
    const LATEST_MS: u64 = (1 << 20) - 1;
    const SEALED: u64 = 1 << 44;
    const TURN_AT: u32 = 45;
    const TURN: u64 = !0 << Self::TURN_AT;

    /// The number of deliveries.
    #[expect(clippy::cast_possible_truncation, reason = "24 bits")]
    pub fn count(self) -> u32 {
        (self.0 & u64::from(Self::MOST)) as u32
    }

    /// How long after the first delivery the last one was, in ms; at most 17 minutes.
    pub fn last_after_ms(self) -> u64 {
        (self.0 >> Self::AFTER) & Self::LATEST_MS
    }

    /// Whether it does not change any more.
    pub fn is_sealed(self) -> bool {
        self.0 & Self::SEALED != 0
    }
}

/// The ring. Positions count slots and only grow; the slot of a position is its remainder.
pub struct Ring {
    map: Map,
    /// The offset of the slots, in words.
    base: usize,
    slots: u64,
    head: Apart,
    tail: Apart,
}

impl Ring {
    /// A ring of `slots` (a power of two) that begins at word `base` and has been read up to `tail`.
    pub fn new(map: Map, base: usize, slots: u64, tail: u64) -> Self {
        debug_assert!(slots.is_power_of_two());
        Self { map, base, slots, head: Apart(AtomicU64::new(tail)), tail: Apart(AtomicU64::new(tail)) }
    }

    /// The number of words of `slots` slots.
    pub const fn words(slots: usize) -> usize {
        slots * SLOT
    }

    /// The words before the slots.
    pub fn header(&self) -> &[AtomicU64] {
        &self.map.words()[..self.base]
    }

    /// The slots.
    pub fn all(&self) -> &[AtomicU64] {
        &self.map.words()[self.base..]
    }

    /// Appends a record of whole slots ([`PAYLOAD`] words each); returns how many slots are filled now.
    #[inline]
    pub fn put(&self, payload: &[u64]) -> Result<u64, NoPlace> {
        let (head, filled) = self.reserve((payload.len() / PAYLOAD) as u64)?;
        self.fill(head, payload);
        Ok(filled)
    }

    /// Does the same with a record whose last word is a counter that begins at `count`. Returns the position of its
    /// last slot as well. While the counter is not sealed, [`Ring::add`] raises it.
    #[inline]
    pub fn put_counted(&self, payload: &mut [u64], count: u32, is_sealed: bool) -> Result<(u64, u64), NoPlace> {
        let slots = (payload.len() / PAYLOAD) as u64;
        let (head, filled) = self.reserve(slots)?;
        let last = head + slots - 1;
        if let Some(word) = payload.last_mut() {
            let sealed = if is_sealed { Counter::SEALED } else { 0 };
            *word = self.turn_of(last) | sealed | u64::from(count.min(Counter::MOST));
        }
        self.fill(head, payload);
        Ok((filled, last))
    }

    #[inline]
    fn reserve(&self, count: u64) -> Result<(u64, u64), NoPlace> {
        let mut head = self.head.0.load(Ordering::Relaxed);
        loop {
            if head & CLOSED != 0 {
                return Err(NoPlace::Closed);
            }
            // Acquire: the reader has finished with the slots that are overwritten next.
            let filled = (head + count).saturating_sub(self.tail.0.load(Ordering::Acquire));
            if filled > self.slots {
                return Err(NoPlace::Full);
            }
            match self.head.0.compare_exchange_weak(head, head + count, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok((head, filled)),
                Err(now) => head = now,
            }
        }
    }

    #[inline]
    fn fill(&self, head: u64, payload: &[u64]) {
        for (position, part) in (head..).zip(payload.chunks_exact(PAYLOAD)) {
            let slot = self.slot(position);
            for (word, value) in slot[1..].iter().zip(part) {
                word.store(*value, Ordering::Relaxed);
            }
            // Release: a thread that takes this word for the counter of an earlier record sees that the slot was released.
            slot[SLOT - 1].store(part[PAYLOAD - 1], Ordering::Release);
        }
        // Release: a thread that sees the commit word also sees the record.
        self.slot(head)[0].store(commit_word(head, (payload.len() / PAYLOAD) as u64), Ordering::Release);
    }

    /// Raises the counter at the end of slot `last` by one, `after_ms` after its record was appended. `false`: it is
    /// sealed or full, or the slot holds another record by now. The whole counter is one word, so a kill at any point
    /// leaves it as it was or raised.
    #[inline]
    pub fn add(&self, last: u64, after_ms: u64) -> bool {
        let (word, turn) = (&self.slot(last)[SLOT - 1], self.turn_of(last));
        let mut now = word.load(Ordering::Acquire);
        // A slot is reused only after the reader has released it. So far it was not, and the word is the counter.
        if last < self.tail.0.load(Ordering::Acquire) {
            return false;
        }
        loop {
            let counter = Counter(now);
            if now & (Counter::TURN | Counter::SEALED) != turn || counter.count() == Counter::MOST {
                return false;
            }
            let after = after_ms.clamp(counter.last_after_ms(), Counter::LATEST_MS);
            let next = turn | (after << Counter::AFTER) | u64::from(counter.count() + 1);
            match word.compare_exchange_weak(now, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
    }

    /// Seals the counter at the end of slot `last`, and returns its word, which does not change any more.
    pub fn seal(&self, last: u64) -> u64 {
        self.slot(last)[SLOT - 1].fetch_or(Counter::SEALED, Ordering::AcqRel) | Counter::SEALED
    }

    /// Tells the turns of the ring apart, so that nobody adds to a record that replaced another one.
    fn turn_of(&self, position: u64) -> u64 {
        (position / self.slots) << Counter::TURN_AT
    }

    /// Reads the record that begins at `position` into `payload`; returns the number of its slots.
    pub fn get(&self, position: u64, payload: &mut Vec<u64>) -> Option<u64> {
        let word = self.slot(position)[0].load(Ordering::Acquire);
        let count = word & 0xff;
        if count == 0 || count > self.slots || word != commit_word(position, count) {
            return None;
        }
        payload.clear();
        for position in position..position + count {
            payload.extend(self.slot(position)[1..].iter().map(|word| word.load(Ordering::Relaxed)));
        }
        Some(count)
    }

    /// Lets writers reuse the slots before `position`.
    pub fn release(&self, position: u64) {
        self.tail.0.store(position, Ordering::Release);
    }

    /// The position up to which the ring was read.
    pub fn tail(&self) -> u64 {
        self.tail.0.load(Ordering::Relaxed)
    }

    /// The position up to which slots are reserved.
    pub fn head(&self) -> u64 {
        self.head.0.load(Ordering::Acquire) & !CLOSED
    }

    /// Slots.
    pub fn slots(&self) -> u64 {
        self.slots
    }

    /// Makes the ring refuse further records.
    pub fn close(&self) {
        self.head.0.fetch_or(CLOSED, Ordering::AcqRel);
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below the number of mapped slots")]
    fn slot(&self, position: u64) -> &[AtomicU64] {
        let first = self.base + (position & (self.slots - 1)) as usize * SLOT;
        &self.map.words()[first..first + SLOT]
    }
}

/// The commit word of a record of `count` slots at `position`. Never zero, and different in every turn of the ring.
const fn commit_word(position: u64, count: u64) -> u64 {
    ((position + 1) << 8) | count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(slots: u64) -> Ring {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(slots * 128).expect("long enough");
        let words = Ring::words(usize::try_from(slots).expect("small"));
        Ring::new(Map::new(&file, words).expect("mapped"), 0, slots, 0)
    }

    #[test]
    fn records_come_out_in_order_and_whole_over_several_turns() {
        let (ring, mut payload, mut position) = (ring(8), Vec::new(), 0);
        for turn in 0..100_u64 {
            let long = vec![turn; PAYLOAD * 3];
            ring.put(&long).expect("a place");
            ring.put(&[turn; PAYLOAD]).expect("a place");
            assert_eq!(ring.get(position, &mut payload), Some(3));
            assert_eq!(payload, long);
            assert_eq!(ring.get(position + 1, &mut payload), None, "the middle of a record is no record");
            assert_eq!(ring.get(position + 3, &mut payload), Some(1));
            position += 4;
            ring.release(position);
        }
        assert_eq!(ring.get(position, &mut payload), None);
    }

    #[test]
    fn a_counter_counts_until_it_is_sealed_and_never_for_another_record() {
        let (ring, mut payload) = (ring(4), Vec::new());
        let (_, last) = ring.put_counted(&mut [7; 2 * PAYLOAD], 3, false).expect("a place");
        assert_eq!(last, 1);
        assert!(ring.add(last, 20) && ring.add(last, 10) && ring.add(last, u64::MAX));
        let word = Counter(ring.seal(last));
        assert_eq!((word.count(), word.last_after_ms(), word.is_sealed()), (6, Counter::LATEST_MS, true));
        assert!(!ring.add(last, 0));
        assert_eq!(ring.get(0, &mut payload), Some(2));
        assert_eq!(payload[2 * PAYLOAD - 1], word.0);
        for turn in 1..5 {
            ring.release(4 * turn - 2);
            assert!(!ring.add(last, 0), "its slots were released");
            ring.put_counted(&mut [0; 2 * PAYLOAD], 1, false).expect("a place");
            ring.put_counted(&mut [0; 2 * PAYLOAD], 1, false).expect("a place");
            assert!(!ring.add(last, 0), "the slot has another record");
            ring.release(4 * turn + 2);
        }
        let (_, sealed) = ring.put_counted(&mut [0; PAYLOAD], 1, true).expect("a place");
        assert!(!ring.add(sealed, 0));
    }

    #[test]
    fn a_full_ring_refuses_and_overwrites_nothing() {
        let (ring, mut payload) = (ring(4), Vec::new());
        for n in 0..4 {
            ring.put(&[n; PAYLOAD]).expect("a place");
        }
        assert_eq!(ring.put(&[9; PAYLOAD]), Err(NoPlace::Full));
        assert_eq!(ring.get(0, &mut payload), Some(1));
        assert_eq!(payload, [0; PAYLOAD]);
        ring.release(1);
        assert_eq!(ring.put(&[9; 2 * PAYLOAD]), Err(NoPlace::Full));
        ring.put(&[9; PAYLOAD]).expect("a place");
        ring.close();
        assert_eq!(ring.put(&[9; PAYLOAD]), Err(NoPlace::Closed));
        assert_eq!(ring.head(), 5);
    }
}
