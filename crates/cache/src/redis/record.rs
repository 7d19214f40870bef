//! What stands under a key of the shared cache.
//!
//! ```text
//! 2c | asked (15 digits) | created (15 digits) | version tag (16 hex digits) | environment tag (16) | envelope
//! ```
//!
//! Beside it, under a key of its own, the time of the last drop (15 digits).
//!
//! Times are milliseconds since 1970: `asked` and the drop's on Redis's own clock, written by the script that stores the
//! record, so that no machine's wrong clock makes a copy young; `created` is when AWS made the version, or zeros. The head is
//! plain text because the scripts compare it. The tags are hashes: of the version id, so that a script sees a new version,
//! and of the environment, so that clearing one leaves the others alone.
//!
//! Version 0.1.0 stores bare envelopes, whose first byte is 0 or 1. They are no records: each side takes the other's for
//! unreadable and asks AWS.

use aws_lc_rs::digest::{SHA256, digest};

const TIME: usize = 15;
const TAG: usize = 16;
const COPY: &[u8] = b"2c";
/// The tag of no environment.
pub const NO_TAG: &str = "";
/// The head of a copy, before its envelope.
pub const HEAD: usize = 2 + 2 * TIME + 2 * TAG;

/// A record that was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Record {
    /// A copy; its envelope is what follows the head.
    Copy {
        /// When AWS was asked for it.
        asked_ms: u64,
        /// When AWS made the version.
        created_unix_ms: Option<u64>,
    },
    /// Written by version 0.1.0.
    Old,
    /// Not written by this package.
    Garbage,
}

impl Record {
    /// Reads the head of a record.
    pub fn parse(bytes: &[u8]) -> Self {
        let time = |at: usize| -> Option<u64> { std::str::from_utf8(bytes.get(at..at + TIME)?).ok()?.parse().ok() };
        if matches!(bytes.first(), Some(0 | 1)) {
            return Self::Old;
        }
        if !bytes.starts_with(COPY) || bytes.len() < HEAD {
            return Self::Garbage;
        }
        let created = time(2 + TIME).filter(|created| *created > 0);
        time(2).map_or(Self::Garbage, |asked_ms| Self::Copy { asked_ms, created_unix_ms: created })
    }
}

/// The part of a copy's head after `asked`, which the script writes.
pub fn tail_of_head(created_unix_ms: Option<u64>, version: Option<&str>, environment: &str) -> String {
    let created = created_unix_ms.unwrap_or(0).min(999_999_999_999_999);
    format!("{created:015}{}{}", tag(version.unwrap_or_default()), tag(environment))
}

/// The first 16 hex digits of the SHA-256 of `text`.
pub fn tag(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    let (high, _) = digest.as_ref().split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    format!("{:016x}", u64::from_be_bytes(*high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_back_and_garbage_is_told_apart() {
        let tail = tail_of_head(Some(7), Some("v-1"), "production");
        let copy = format!("2c{:015}{tail}envelope", 1_767_225_600_000_u64);
        assert_eq!(copy.len(), HEAD + "envelope".len());
        let expected = Record::Copy { asked_ms: 1_767_225_600_000, created_unix_ms: Some(7) };
        assert_eq!(Record::parse(copy.as_bytes()), expected);
        for garbage in [&b""[..], b"2c", b"2x", &copy.as_bytes()[..HEAD - 1], &[b'2'; 90], &[0xff; 90]] {
            assert_eq!(Record::parse(garbage), Record::Garbage, "{garbage:?}");
        }
        assert_eq!((Record::parse(&[0; 90]), Record::parse(&[1; 9])), (Record::Old, Record::Old));
    }

    #[test]
    fn tags_do_not_change_between_releases() {
        // Instances of different releases compare them.
        assert_eq!(tag("v-1"), "5beaf05be853dd38");
    }
}
