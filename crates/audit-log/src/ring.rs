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
        let count = (payload.len() / PAYLOAD) as u64;
        let mut head = self.head.0.load(Ordering::Relaxed);
        let filled = loop {
            if head & CLOSED != 0 {
                return Err(NoPlace::Closed);
            }
            // Acquire: the reader has finished with the slots that are overwritten next.
            let filled = (head + count).saturating_sub(self.tail.0.load(Ordering::Acquire));
            if filled > self.slots {
                return Err(NoPlace::Full);
            }
            match self.head.0.compare_exchange_weak(head, head + count, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break filled,
                Err(now) => head = now,
            }
        };
        for (position, part) in (head..).zip(payload.chunks_exact(PAYLOAD)) {
            for (word, value) in self.slot(position)[1..].iter().zip(part) {
                word.store(*value, Ordering::Relaxed);
            }
        }
        // Release: a thread that sees the commit word also sees the record.
        self.slot(head)[0].store(commit_word(head, count), Ordering::Release);
        Ok(filled)
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
