//! A record as words for the ring, and back.
//!
//! ```text
//! word 0   checksum (u32) | length in bytes (u16) | secret's length (u16)
//! word 1   time, µs since 1970
//! word 2   latency (u32) | event (u8) | cache (u8) | outcome (u8) | 0
//! word 3   lengths of environment, tool, source, code, version, caller (u8 each) | 0
//! word 4…  environment, tool, secret, source, code, version, caller
//! ```

use crate::line::{Entry, is_plain};
use crate::record::{Cache, Event, MAX_SECRET, MAX_TEXT, Outcome, Record};
use crate::ring::PAYLOAD;

const FIXED: usize = 32;
const SLOT_BYTES: usize = PAYLOAD * 8;
/// Slots of the longest record.
const MAX_SLOTS: usize = (FIXED + MAX_SECRET + 6 * MAX_TEXT).div_ceil(SLOT_BYTES);

/// Packs `record` and hands the words to `put`; `None` when one of its texts is too long.
#[inline]
pub fn pack<T>(record: &Record<'_>, time_us: u64, put: impl FnOnce(&[u64]) -> T) -> Option<T> {
    let texts = texts(record);
    let length = FIXED + texts.iter().map(|text| text.len()).sum::<usize>();
    if record.secret.len() > MAX_SECRET {
        return None;
    }
    // Nearly every record fits into one slot; clearing room for the longest would cost more than the rest of this.
    if length <= SLOT_BYTES {
        let mut bytes = [0; SLOT_BYTES];
        let mut words = [0; PAYLOAD];
        fill(&mut bytes, &mut words, record, &texts, time_us, length)?;
        Some(put(&words))
    } else {
        let mut bytes = [0; MAX_SLOTS * SLOT_BYTES];
        let mut words = [0; MAX_SLOTS * PAYLOAD];
        fill(&mut bytes, &mut words, record, &texts, time_us, length)?;
        Some(put(&words[..length.div_ceil(SLOT_BYTES) * PAYLOAD]))
    }
}

fn texts<'a>(record: &Record<'a>) -> [&'a str; 7] {
    [record.environment, record.tool, record.secret, record.source, record.code, record.version, record.caller]
}

#[inline]
fn fill(
    bytes: &mut [u8],
    words: &mut [u64],
    record: &Record<'_>,
    texts: &[&str; 7],
    time_us: u64,
    length: usize,
) -> Option<()> {
    let small = |text: &str| u8::try_from(text.len()).ok();
    bytes[4..6].copy_from_slice(&u16::try_from(length).ok()?.to_le_bytes());
    bytes[6..8].copy_from_slice(&u16::try_from(record.secret.len()).ok()?.to_le_bytes());
    bytes[8..16].copy_from_slice(&time_us.to_le_bytes());
    bytes[16..20].copy_from_slice(&record.latency_us.to_le_bytes());
    bytes[20] = record.event as u8;
    bytes[21] = record.cache as u8;
    bytes[22] = record.outcome as u8;
    bytes[24] = small(record.environment)?;
    bytes[25] = small(record.tool)?;
    bytes[26] = small(record.source)?;
    bytes[27] = small(record.code)?;
    bytes[28] = small(record.version)?;
    bytes[29] = small(record.caller)?;
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

/// Tells a record from a mixture of two, as a power cut can leave; no defence against anyone.
#[inline]
fn checksum(first: u64, rest: &[u64]) -> u64 {
    let mut sum = 0x9e37_79b9_7f4a_7c15 ^ first;
    for word in rest {
        sum = (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    sum >> 32
}

/// Unpacks what [`pack`] made, by way of `scratch`; `None` when it is not whole.
pub fn unpack<'a>(words: &[u64], scratch: &'a mut Vec<u8>) -> Option<Entry<'a>> {
    scratch.resize(words.len() * 8, 0);
    for (bytes, word) in scratch.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    let number = |at: usize| Some(usize::from(u16::from_le_bytes([*scratch.get(at)?, *scratch.get(at + 1)?])));
    let (length, secret) = (number(4)?, number(6)?);
    let used = words.get(..length.div_ceil(8))?;
    let (first, rest) = used.split_first()?;
    let (stored, plain) = (first & 0xffff_ffff, first & !0xffff_ffff);
    if length < FIXED || checksum(plain, rest) != stored {
        return None;
    }
    let bytes = &scratch[..length];
    let time_us = u64::from_le_bytes(*bytes[8..].first_chunk()?);
    let mut rest = std::str::from_utf8(&bytes[FIXED..]).ok()?;
    let mut next = |length: usize| {
        let (text, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(text)
    };
    let size = |at: usize| usize::from(bytes[at]);
    let record = Record {
        event: Event::from_byte(bytes[20])?,
        cache: Cache::from_byte(bytes[21])?,
        outcome: Outcome::from_byte(bytes[22])?,
        latency_us: u32::from_le_bytes(*bytes[16..].first_chunk()?),
        environment: next(size(24))?,
        tool: next(size(25))?,
        secret: next(secret)?,
        source: next(size(26))?,
        code: next(size(27))?,
        version: next(size(28))?,
        caller: next(size(29))?,
    };
    Some(Entry { time_us, record, detail: "", plain: is_plain(&bytes[FIXED..]) })
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
            environment: "",
            tool: "GITHUB",
            secret: "GITHUB_API_TOKEN",
            source: "memory",
            code: "",
            version: "v-1",
            caller: "zürich",
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
            let words = pack(&record, 42, <[u64]>::to_vec).expect("short enough");
            let mut scratch = Vec::new();
            let entry = unpack(&words, &mut scratch).expect("whole");
            assert_eq!((format!("{:?}", entry.record), entry.time_us), (format!("{record:?}"), 42));
            assert!(entry.plain);
        }
    }

    #[test]
    fn what_has_to_be_escaped_is_seen_wherever_it_stands() {
        let plain = "x".repeat(40);
        for at in 0..=plain.len() {
            for special in ['"', '\\', '\u{0}', '\n', '\u{1f}'] {
                let mut caller = plain.clone();
                caller.insert(at, special);
                let words = pack(&Record { caller: &caller, ..record() }, 42, <[u64]>::to_vec).expect("short enough");
                assert!(!unpack(&words, &mut Vec::new()).expect("whole").plain, "{caller:?}");
            }
        }
    }

    #[test]
    fn texts_that_are_too_long_are_refused() {
        let long = "x".repeat(MAX_SECRET + 1);
        assert!(pack(&Record { secret: &long, ..record() }, 0, |_| ()).is_none());
        assert!(pack(&Record { caller: &long[..=MAX_TEXT], ..record() }, 0, |_| ()).is_none());
    }

    #[test]
    fn a_changed_bit_is_noticed() {
        let words = pack(&record(), 42, <[u64]>::to_vec).expect("short enough");
        let used = (FIXED + 6 + 16 + 6 + 3 + 7).div_euclid(8);
        for bit in 0..used * 64 {
            let mut changed = words.clone();
            changed[bit / 64] ^= 1 << (bit % 64);
            assert!(unpack(&changed, &mut Vec::new()).is_none(), "bit {bit}");
        }
    }
}
