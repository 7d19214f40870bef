//! The state file beside a log, which holds the end of the chain. Its file lock is the lock of all writers.
//!
//! It is one line of JSON, written in place and padded to a fixed length, with a checksum. It makes it possible to
//! notice that a log was shortened, replaced or deleted, which the log itself cannot show.
//!
//! With a key, the link of the last record is covered: an attacker who reads it could append a record with that link,
//! which would pass for the record of a writer that died before it noted the record here.

use crate::chain::{Chain, Counts, LineWriter};
use crate::files::FileId;
use crate::link::{Hash, Link, hex, parse_hex};

/// The length of the state file in bytes.
pub const LENGTH: usize = 1024;

/// What the state file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the current file, from 1.
    pub number: u64,
    /// The current file.
    pub file: FileId,
    /// Its length in bytes.
    pub size: u64,
    /// The number of bytes that are synced, and so survive a power cut.
    pub synced: u64,
    /// The time at which the file was begun, in µs since 1970.
    pub began_us: u64,
    /// The chain at its end.
    pub chain: Chain,
    /// The `seq` of the last record with counts.
    pub counted: u64,
    /// The boot of the machine in which this was written.
    pub boot: u64,
    /// The new name of the current file while it is being rotated; otherwise empty.
    pub rotating: String,
}

/// The content of a state file.
#[derive(Debug)]
pub enum ParsedHead {
    /// The file is empty.
    Nothing,
    /// The end of the chain.
    Head(Box<Head>),
    /// It was written with another key, or with none.
    OtherKey(String),
    /// It was damaged or edited.
    Invalid,
}

impl Head {
    /// The bytes of the state file.
    pub fn to_bytes(&self, writer: &LineWriter) -> Vec<u8> {
        let Self { number, file, size, synced, began_us, chain, counted, boot, rotating } = self;
        let Chain { seq, last, counts } = chain;
        let [records, ok, absent, denied, failed] = counts.words();
        let method = writer.link().method();
        let with = |last: &str| {
            format!(
                "{{\"chain\":\"{method}\",\"file\":{number},\"device\":{},\"inode\":{},\"size\":{size},\"synced\":{synced},\
                 \"began\":{began_us},\"seq\":{seq},{last},\"records\":{records},\"ok\":{ok},\"absent\":{absent},\
                 \"denied\":{denied},\"failed\":{failed},\"counted\":{counted},\"boot\":{boot},\"rotating\":\"{rotating}\"",
                file.device, file.inode
            )
        };
        let text = with(&open_last(last));
        let check = writer.link().check("state", &text);
        let text = if writer.link().is_keyed() {
            // The checksum covers the link and all around it, so it is another nonce for each link.
            with(&format!("\"{COVERED}\":\"{}\"", hex(&writer.link().cover(&check, last))))
        } else {
            text
        };
        let mut bytes = format!("{text},\"check\":\"{check}\"}}").into_bytes();
        bytes.resize(LENGTH - 1, b' ');
        bytes.push(b'\n');
        bytes
    }

    /// Reads the bytes of a state file.
    pub fn parse(bytes: &[u8], link: &Link) -> ParsedHead {
        let Ok(text) = std::str::from_utf8(bytes) else { return ParsedHead::Invalid };
        let text = text.trim_ascii_end();
        if text.is_empty() {
            return ParsedHead::Nothing;
        }
        match method_of(bytes) {
            None => ParsedHead::Invalid,
            Some(method) if method != link.method() => ParsedHead::OtherKey(method.to_owned()),
            Some(_) => {
                Self::parse_checked(text, link).map_or(ParsedHead::Invalid, |head| ParsedHead::Head(Box::new(head)))
            }
        }
    }

    fn parse_checked(text: &str, link: &Link) -> Option<Self> {
        let (body, check) = text.strip_suffix("\"}")?.rsplit_once(",\"check\":\"")?;
        let body = &uncovered(body, check, link)?;
        if link.check("state", body) != check {
            return None;
        }
        let after = |name: &str| {
            let (_, after) = body.split_once(&format!(",\"{name}\":"))?;
            Some(after)
        };
        let number = |name: &str| after(name)?.split(',').next()?.parse::<u64>().ok();
        let quoted = |name: &str| after(name)?.strip_prefix('"')?.split('"').next();
        let counts = [number("records")?, number("ok")?, number("absent")?, number("denied")?, number("failed")?];
        Some(Self {
            number: number("file")?,
            file: FileId { device: number("device")?, inode: number("inode")? },
            size: number("size")?,
            synced: number("synced")?,
            began_us: number("began")?,
            chain: Chain {
                seq: number("seq")?,
                last: parse_hex(quoted("last")?.as_bytes())?,
                counts: Counts::from_words(counts),
            },
            counted: number("counted")?,
            boot: number("boot")?,
            rotating: quoted("rotating")?.to_owned(),
        })
    }
}

/// The method of the links, as the bytes of a state file say.
pub fn method_of(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.strip_prefix("{\"chain\":\"")?.split('"').next()
}

/// The name of the covered link.
const COVERED: &str = "covered";

fn open_last(last: &Hash) -> String {
    format!("\"last\":\"{}\"", hex(last))
}

/// `body` with the link of the last record as it is. Earlier versions did not cover it.
fn uncovered(body: &str, check: &str, link: &Link) -> Option<String> {
    let Some((before, after)) = body.split_once(&format!("\"{COVERED}\":\"")) else { return Some(body.to_owned()) };
    let (covered, after) = after.split_once('"')?;
    let last = link.cover(check, &parse_hex(covered.as_bytes())?);
    Some(format!("{before}{}{after}", open_last(&last)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Key;

    #[test]
    fn a_state_is_read_back_and_no_edit_goes_unnoticed() {
        let head = Head {
            number: 3,
            file: FileId { device: 5, inode: 6 },
            size: 7,
            synced: 8,
            began_us: 9,
            chain: Chain { seq: 10, last: [11; 32], counts: Counts::from_words([1, 2, 3, 4, 5]) },
            counted: 12,
            boot: u64::MAX,
            rotating: "audit-20260101T000000Z-000001.jsonl".into(),
        };
        let keyed = Link::new(Key::new(&[1; 32]));
        for writer in [LineWriter::default(), LineWriter::new(keyed.clone())] {
            let bytes = head.to_bytes(&writer);
            assert_eq!(bytes.len(), LENGTH);
            assert!(matches!(Head::parse(&bytes, writer.link()), ParsedHead::Head(found) if *found == head));
            let used = bytes.trim_ascii_end().len();
            for at in 0..used {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                assert!(
                    matches!(Head::parse(&changed, writer.link()), ParsedHead::Invalid | ParsedHead::OtherKey(_)),
                    "byte {at}"
                );
            }
            assert!(matches!(Head::parse(&bytes[..used - 1], writer.link()), ParsedHead::Invalid));
            assert!(matches!(Head::parse(b"", writer.link()), ParsedHead::Nothing));
        }
        let bytes = head.to_bytes(&LineWriter::default());
        assert!(matches!(Head::parse(&bytes, &keyed), ParsedHead::OtherKey(method) if method == "sha256"));
        assert_eq!(method_of(&bytes), Some("sha256"));
    }

    #[test]
    fn with_a_key_nobody_reads_the_link_of_the_last_record() {
        let last = [11; 32];
        let head = Head {
            number: 1,
            file: FileId { device: 5, inode: 6 },
            size: 7,
            synced: 7,
            began_us: 9,
            chain: Chain { seq: 10, last, counts: Counts::default() },
            counted: 10,
            boot: 1,
            rotating: String::new(),
        };
        let text =
            |head: &Head, link: &Link| String::from_utf8(head.to_bytes(&LineWriter::new(link.clone()))).expect("UTF-8");
        let keyed = Link::new(Key::new(&[1; 32]));
        assert!(text(&head, &Link::default()).contains(&hex(&last)));
        let covered = |head: &Head| {
            let text = text(head, &keyed);
            assert!(!text.contains(&hex(&last)));
            text.split("\"covered\":\"").nth(1).expect("covered")[..64].to_owned()
        };
        // Not the same cover twice: the difference of two would show one link by the other.
        assert_ne!(covered(&head), covered(&Head { size: 8, ..head.clone() }));
    }
}
