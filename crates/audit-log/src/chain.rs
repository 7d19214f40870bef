//! The chain: numbered lines, each with the hash of the line before, and counts of their outcomes.

use crate::line::{Form, Line, Varying, detail_number, write_line};
use crate::link::{FIRST, Hash, Link, Unlinked, hex};
use crate::record::Outcome;
use crate::time::TimeText;

/// The number of records by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All records, including those of the log itself.
    pub records: u64,
    /// Outcome `ok`.
    pub ok: u64,
    /// Outcome `absent`.
    pub absent: u64,
    /// Outcome `denied`.
    pub denied: u64,
    /// Outcome `failed`.
    pub failed: u64,
}

impl Counts {
    /// Counts one record, by the text of its outcome.
    pub fn add(&mut self, outcome: &[u8]) {
        self.records += 1;
        match outcome {
            b"ok" => self.ok += 1,
            b"absent" => self.absent += 1,
            b"denied" => self.denied += 1,
            b"failed" => self.failed += 1,
            _ => {}
        }
    }

    fn count(&mut self, outcome: Outcome) {
        self.records += 1;
        match outcome {
            Outcome::None => {}
            Outcome::Ok => self.ok += 1,
            Outcome::Absent => self.absent += 1,
            Outcome::Denied => self.denied += 1,
            Outcome::Failed => self.failed += 1,
        }
    }

    /// The counts as words, for the journal.
    pub fn words(self) -> [u64; 5] {
        [self.records, self.ok, self.absent, self.denied, self.failed]
    }

    /// The counts in `words`.
    pub fn from_words([records, ok, absent, denied, failed]: [u64; 5]) -> Self {
        Self { records, ok, absent, denied, failed }
    }

    /// The counts as text, for a `detail`.
    pub fn text(self) -> String {
        let Self { records, ok, absent, denied, failed } = self;
        format!("records={records} ok={ok} absent={absent} denied={denied} failed={failed}")
    }

    /// The counts that a `detail` holds.
    pub fn parse(detail: &[u8]) -> Option<Self> {
        let number = |name| detail_number(detail, name);
        Some(Self {
            records: number("records")?,
            ok: number("ok")?,
            absent: number("absent")?,
            denied: number("denied")?,
            failed: number("failed")?,
        })
    }
}

/// The end of a chain, at which the next record continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The number of the last record; 0 before the first.
    pub seq: u64,
    /// The link that the next record carries.
    pub last: Hash,
    /// The counts of the current file; for a stream, of the instance.
    pub counts: Counts,
}

impl Default for Chain {
    fn default() -> Self {
        Self { seq: 0, last: FIRST, counts: Counts::default() }
    }
}

impl Chain {
    /// Continues the chain with a line that another writer wrote, if it is the next line.
    pub fn follow(&mut self, link: &Link, bytes: &[u8], line: &Line<'_>) -> bool {
        let next = line.seq == self.seq + 1 && line.prev == self.last;
        if next {
            self.take(link, bytes, line);
        }
        next
    }

    /// Continues the chain with a line, without checking it.
    pub fn take(&mut self, link: &Link, bytes: &[u8], line: &Line<'_>) {
        self.seq = line.seq;
        self.last = link.of(bytes);
        self.counts.add(line.outcome);
    }
}

/// Writes numbered and linked lines into a buffer.
#[derive(Debug, Default)]
pub struct LineWriter {
    link: Link,
    times: TimeText,
    drafts: Vec<Unlinked>,
}

impl LineWriter {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, ..Self::default() }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Goes on with another link. There must be no draft.
    pub(crate) fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    /// Appends the next line of `chain`. [`LineWriter::connect`] fills in its link and the chain's.
    pub fn draft(&mut self, out: &mut Vec<u8>, chain: &mut Chain, form: &Form, varying: Varying) {
        chain.seq += 1;
        chain.counts.count(form.outcome);
        self.drafts.push(write_line(out, &mut self.times, chain.seq, varying, form));
        out.push(b'\n');
    }

    /// Removes the last draft and resets `chain` to `before`.
    pub fn take_back(&mut self, out: &mut Vec<u8>, chain: &mut Chain, before: Chain) {
        if let Some(draft) = self.drafts.pop() {
            out.truncate(draft.start);
            *chain = before;
        }
    }

    /// Links the drafts in `out`.
    pub fn connect(&mut self, out: &mut [u8], chain: &mut Chain) {
        self.link.connect(out, &self.drafts, &mut chain.last);
        self.drafts.clear();
    }

    /// Appends a record of the log itself.
    pub fn own(&mut self, out: &mut Vec<u8>, chain: &mut Chain, form: &Form, time_us: u64) {
        self.draft(out, chain, form, Varying::one(time_us, 0));
        self.connect(out, chain);
    }
}

/// The `detail` of a record with counts: `what`, the counts before it, and a checksum that can be verified without the
/// next record.
pub fn counted(link: &Link, chain: &Chain, what: &str) -> String {
    let mut detail = chain.counts.text();
    if !what.is_empty() {
        detail = format!("{what} {detail}");
    }
    let check = check(link, chain, &detail);
    format!("{detail} check={check}")
}

/// Whether the `detail` of a record with a checksum, which follows `chain`, is unchanged.
pub fn is_checked(link: &Link, chain: &Chain, detail: &[u8]) -> bool {
    let Some((detail, written)) = std::str::from_utf8(detail).ok().and_then(|text| text.split_once(" check=")) else {
        return false;
    };
    check(link, chain, detail) == written
}

/// The `detail` of the first record with a key, after a chain without one: it proves that who wrote it had the key.
pub fn keyed_from(link: &Link, before: &Chain, what: &str) -> String {
    let detail = format!("{what} unkeyed={}", before.seq);
    let check = check(link, before, &detail);
    format!("{detail} check={check}")
}

fn check(link: &Link, before: &Chain, detail: &str) -> String {
    link.check("counts", &format!("{} {} {detail}", before.seq, hex(&before.last)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Identity;
    use crate::link::Key;
    use crate::record::{Cache, Event, Record};

    #[test]
    fn what_is_written_can_be_followed() {
        let (mut writer, mut chain) = (LineWriter::default(), Chain::default());
        let who = Identity::new("0123456789abcdef".into(), 1, "test".into());
        let mut out = Vec::new();
        for outcome in [Outcome::Ok, Outcome::Denied, Outcome::None] {
            let record = Record { outcome, ..Record::new(Event::Access) };
            writer.own(&mut out, &mut chain, &Form::new(&who, &record, ""), 0);
        }
        let mut followed = Chain::default();
        for bytes in out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line = Line::parse(bytes).expect("a line");
            assert!(followed.follow(writer.link(), bytes, &line));
            assert!(!followed.clone().follow(writer.link(), bytes, &line), "not twice");
        }
        assert_eq!(followed, chain);
        assert_eq!(chain.counts.words(), [3, 1, 0, 1, 0]);
        assert_eq!(Counts::from_words(chain.counts.words()), chain.counts);
    }

    /// Covers every length of a text and every character that is escaped: existing logs depend on this format and on
    /// its links.
    #[test]
    fn lines_and_links_stay_as_they_always_were() {
        let last = |link: Link| {
            let (mut writer, mut chain, mut out) = (LineWriter::new(link), Chain::default(), Vec::new());
            let who = Identity::new("0123456789abcdef".into(), 4_194_304, "production".into());
            let text = format!("{}\"\\\u{1}\u{1f}é{}", "x".repeat(100), "y".repeat(149));
            for (length, latency) in (0..=255).filter(|length| text.is_char_boundary(*length)).zip(0_u32..) {
                let record = Record {
                    event: Event::Access,
                    cache: Cache::Hit,
                    outcome: Outcome::Ok,
                    latency_us: latency.pow(4),
                    count: 1,
                    environment: if length % 3 == 0 { "" } else { "staging" },
                    tool: "GITHUB",
                    secret: "GITHUB_API_TOKEN",
                    source: "memory",
                    code: "",
                    version: "7f3a1c52-9d0e-4b8a-a6c4-0d9f5e2b1c77",
                    caller: &text[..length],
                    request: "",
                };
                let time_us = 1_767_225_599_999_990 + 7_003 * u64::from(latency);
                let form = Form::new(&who, &record, "");
                writer.draft(&mut out, &mut chain, &form, Varying::one(time_us, record.latency_us));
                let before = chain;
                writer.draft(&mut out, &mut chain, &form, Varying::one(0, 0));
                writer.take_back(&mut out, &mut chain, before);
                // Drafts of different sizes: 1, 2, 3… lines.
                if out.len() % 3 == 0 {
                    writer.connect(&mut out, &mut chain);
                }
            }
            let form = Form::new(&who, &Record::new(Event::Begin), "file=1 chain=sha256");
            writer.own(&mut out, &mut chain, &form, 0);
            let mut followed = Chain::default();
            for bytes in out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                assert!(followed.follow(writer.link(), bytes, &Line::parse(bytes).expect("a line")));
            }
            assert_eq!(followed, chain);
            (hex(&chain.last), out.len())
        };
        let key = Key::new(b"0123456789abcdef0123456789abcdef");
        assert_eq!(
            last(Link::default()),
            ("dfe03e748faa84add103ce039f8a5aaee12abab8b6153e86554b85b6104e4b68".to_owned(), 132_246)
        );
        assert_eq!(
            last(Link::new(key)),
            ("f75f222b90cfccec023be5d537645827a0672984f93042eee31da3c57955d0c0".to_owned(), 132_246)
        );
    }

    #[test]
    fn counts_are_bound_to_their_place() {
        let (link, chain) = (Link::default(), Chain { seq: 5, ..Chain::default() });
        let detail = counted(&link, &chain, "file=1");
        assert_eq!(Counts::parse(detail.as_bytes()), Some(chain.counts));
        assert!(is_checked(&link, &chain, detail.as_bytes()));
        assert!(!is_checked(&link, &Chain { seq: 6, ..chain }, detail.as_bytes()));
        assert!(!is_checked(&link, &chain, detail.replace("ok=0", "ok=1").as_bytes()));
    }
}
