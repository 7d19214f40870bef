//! Packs a record into words for the ring, and unpacks it.
//!
//! ```text
//! word 0   checksum (u32) | length in bytes (u16) | secret's length (u16)
//! word 1   time, µs since 1970
//! word 2   latency (u32) | event (u8) | cache (u8) | outcome (u8) | 1 if there is a counter, else 0
//! word 3   lengths of environment, tool, source, code, version, caller, request (u8 each) | 0
//! word 4…  environment, tool, secret, source, code, version, caller, request
//! last     the counter, which changes later and is not part of the checksum
//! ```

use crate::line::Varying;
use crate::record::{Cache, Event, MAX_SECRET, MAX_TEXT, Outcome, Record};
use crate::ring::{Counter, PAYLOAD};

const FIXED: usize = 32;
/// The bytes of a counter.
const COUNTER: usize = 8;
const SLOT_BYTES: usize = PAYLOAD * 8;
/// The number of slots of the longest record.
const MAX_SLOTS: usize = (FIXED + MAX_SECRET + 7 * MAX_TEXT + COUNTER).div_ceil(SLOT_BYTES);

/// Packs `record` and passes the words to `put`; `None` if one of its texts is too long. With `is_counted` the last word
/// is left free for a counter.
#[inline]
pub fn pack<T>(record: &Record<'_>, time_us: u64, is_counted: bool, put: impl FnOnce(&mut [u64]) -> T) -> Option<T> {
    let texts = texts(record);
    let length = FIXED + texts.iter().map(|text| text.len()).sum::<usize>();
    if record.secret.len() > MAX_SECRET {
        return None;
    }
    let needed = length + if is_counted { COUNTER } else { 0 };
    // Nearly every record fits into one slot. Zeroing a buffer for the longest record would cost more than everything
    // else.
    if needed <= SLOT_BYTES {
        let mut bytes = [0; SLOT_BYTES];
        let mut words = [0; PAYLOAD];
        fill(&mut bytes, &mut words, record, &texts, (time_us, length, is_counted))?;
        Some(put(&mut words))
    } else {
        let mut bytes = [0; MAX_SLOTS * SLOT_BYTES];
        let mut words = [0; MAX_SLOTS * PAYLOAD];
        fill(&mut bytes, &mut words, record, &texts, (time_us, length, is_counted))?;
        Some(put(&mut words[..needed.div_ceil(SLOT_BYTES) * PAYLOAD]))
    }
}

fn texts<'a>(record: &Record<'a>) -> [&'a str; 8] {
    let Record { environment, tool, secret, source, code, version, caller, request, .. } = record;
    [environment, tool, secret, source, code, version, caller, request]
}

#[inline]
fn fill(
    bytes: &mut [u8],
    words: &mut [u64],
    record: &Record<'_>,
    texts: &[&str; 8],
    (time_us, length, is_counted): (u64, usize, bool),
) -> Option<()> {
    let small = |text: &str| u8::try_from(text.len()).ok();
    bytes[4..6].copy_from_slice(&u16::try_from(length).ok()?.to_le_bytes());
    bytes[6..8].copy_from_slice(&u16::try_from(record.secret.len()).ok()?.to_le_bytes());
    bytes[8..16].copy_from_slice(&time_us.to_le_bytes());
    bytes[16..20].copy_from_slice(&record.latency_us.to_le_bytes());
    bytes[20] = record.event as u8;
    bytes[21] = record.cache as u8;
    bytes[22] = record.outcome as u8;
    bytes[23] = is_counted.into();
    bytes[24] = small(record.environment)?;
    bytes[25] = small(record.tool)?;
    bytes[26] = small(record.source)?;
    bytes[27] = small(record.code)?;
    bytes[28] = small(record.version)?;
    bytes[29] = small(record.caller)?;
    bytes[30] = small(record.request)?;
    let mut at = FIXED;
    for text in texts {
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        at += text.len();
    }
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words[0] |= checksum(words[0], &words[1..length.div_ceil(8)]);
    Some(())
}

/// Detects a mixture of two records, which a power cut can leave. It does not protect against an attacker.
#[inline]
fn checksum(first: u64, rest: &[u64]) -> u64 {
    let mut sum = 0x9e37_79b9_7f4a_7c15 ^ first;
    for word in rest {
        sum = (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    sum >> 32
}

/// A record as [`pack`] made it.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// The words without the counter.
    used: &'a [u64],
    counter: Option<Counter>,
}

impl<'a> Packed<'a> {
    /// The record in `words`; `None` if it is incomplete.
    pub fn new(words: &'a [u64]) -> Option<Self> {
        let length = length_of(*words.first()?);
        let used = words.get(..length.div_ceil(8))?;
        let (first, rest) = used.split_first()?;
        let (stored, plain) = (first & 0xffff_ffff, first & !0xffff_ffff);
        let is_whole = length >= FIXED && checksum(plain, rest) == stored;
        is_whole.then(|| Self { used, counter: counter_of(words) })
    }

    /// What differs between two records of one form.
    pub fn varying(self) -> Varying {
        let [a, b, c, d, ..] = self.used[2].to_le_bytes();
        let one = Varying::one(self.used[1], u32::from_le_bytes([a, b, c, d]));
        self.counter.map_or(one, |counter| Varying {
            count: counter.count().max(1),
            last_after_us: u32::try_from(counter.last_after_ms() * 1000).unwrap_or(u32::MAX),
            ..one
        })
    }

    /// Everything except the times. Two records with the same content have the same form.
    pub fn said(self) -> (u64, &'a [u64]) {
        ((self.used[0] >> 32) | (self.used[2] & !0xffff_ffff), &self.used[3..])
    }

    /// The record, whose texts are copied to `scratch`; `None` if it is invalid.
    pub fn unpack(self, scratch: &mut Vec<u8>) -> Option<Record<'_>> {
        scratch.clear();
        scratch.extend(self.used.iter().flat_map(|word| word.to_le_bytes()));
        let bytes = &scratch[..length_of(self.used[0])];
        let secret = usize::from(u16::from_le_bytes(*bytes[6..].first_chunk()?));
        let mut rest = std::str::from_utf8(&bytes[FIXED..]).ok()?;
        let mut next = |length: usize| {
            let (text, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(text)
        };
        let size = |at: usize| usize::from(bytes[at]);
        Some(Record {
            event: Event::from_byte(bytes[20])?,
            cache: Cache::from_byte(bytes[21])?,
            outcome: Outcome::from_byte(bytes[22])?,
            latency_us: self.varying().latency_us,
            count: self.varying().count,
            environment: next(size(24))?,
            tool: next(size(25))?,
            secret: next(secret)?,
            source: next(size(26))?,
            code: next(size(27))?,
            version: next(size(28))?,
            caller: next(size(29))?,
            request: next(size(30))?,
        })
    }
}

/// The counter at the end of the words of a record, if it has one.
pub fn counter_of(words: &[u64]) -> Option<Counter> {
    let is_counted = words.get(2).is_some_and(|word| word.to_le_bytes()[7] == 1);
    words.last().filter(|_| is_counted).map(|word| Counter(*word))
}

/// The time in `words`, in µs since 1970.
pub fn time_of(words: &[u64]) -> u64 {
    words.get(1).copied().unwrap_or_default()
}

/// The length of a record in bytes, as its first word says.
fn length_of(first: u64) -> usize {
    let [_, _, _, _, low, high, ..] = first.to_le_bytes();
    usize::from(u16::from_le_bytes([low, high]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record<'static> {
        Record {
            event: Event::Access,
            cache: Cache::Hit,
            outcome: Outcome::Ok,
            latency_us: 7,
            count: 1,
            environment: "",
            tool: "GITHUB",
            secret: "GITHUB_API_TOKEN",
            source: "memory",
            code: "",
            version: "v-1",
            caller: "zürich",
            request: "r-1",
        }
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let long = "x".repeat(MAX_SECRET);
        let text = "é".repeat(MAX_TEXT / 2);
        for record in [
            record(),
            Record::new(Event::Clear),
            Record { secret: &long, tool: &text, caller: &text, code: &text, source: &text, ..record() },
        ] {
            for is_counted in [false, true] {
                let mut words = pack(&record, 42, is_counted, |words| words.to_vec()).expect("short enough");
                if is_counted {
                    *words.last_mut().expect("a counter") = (5 << 24) | 9;
                }
                let mut scratch = Vec::new();
                let packed = Packed::new(&words).expect("whole");
                let (count, last_after_us) = if is_counted { (9, 5000) } else { (1, 0) };
                let expected = Varying { count, last_after_us, ..Varying::one(42, record.latency_us) };
                assert_eq!(packed.varying(), expected);
                let unpacked = packed.unpack(&mut scratch).expect("a record");
                assert_eq!(format!("{unpacked:?}"), format!("{:?}", Record { count, ..record }));
            }
        }
    }

    #[test]
    fn texts_that_are_too_long_are_refused() {
        let long = "x".repeat(MAX_SECRET + 1);
        assert!(pack(&Record { secret: &long, ..record() }, 0, false, |_| ()).is_none());
        assert!(pack(&Record { caller: &long[..=MAX_TEXT], ..record() }, 0, false, |_| ()).is_none());
    }

    #[test]
    fn a_changed_bit_is_noticed() {
        let words = pack(&record(), 42, false, |words| words.to_vec()).expect("short enough");
        let used = (FIXED + 6 + 16 + 6 + 3 + 7 + 3).div_euclid(8);
        for bit in 0..used * 64 {
            let mut changed = words.clone();
            changed[bit / 64] ^= 1 << (bit % 64);
            assert!(Packed::new(&changed).is_none(), "bit {bit}");
        }
    }
}
