//! Checks whether each line continues the chain, and finds out what happened where one does not.
//!
//! A line that does not continue the chain is a suspect. The lines after it decide what happened: the expected line may
//! come later (moved or inserted), or never (removed), and the next line's link shows which of two lines was changed.

use std::collections::VecDeque;

use crate::chain::{Chain, Counts, is_checked};
use crate::error::{Failure, Result};
use crate::fault::FaultKind;
use crate::line::{Line, detail_number, method_in};
use crate::link::{FIRST, Hash, Link};

/// The position of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The index of the file.
    pub file: usize,
    /// The number of the line, from 1.
    pub line: u64,
    /// Its offset in bytes.
    pub offset: u64,
}

/// The number and the link of a record that was noted outside the log.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    /// Its number.
    pub seq: u64,
    /// Its link.
    pub hash: Hash,
}

/// The result.
pub struct Verdict {
    /// The first fault.
    pub fault: Option<(FaultKind, Place, String)>,
    /// All records by outcome.
    pub counts: Counts,
    /// What the records add up to.
    pub sums: Sums,
    /// The number of the first record.
    pub first_seq: u64,
    /// The last record before the fault.
    pub last: (u64, Hash),
    /// The number of the first record with the key.
    pub keyed_from: Option<u64>,
}

/// What the records of a log add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Values that were delivered: the counts of all records `access` with the outcome `ok`.
    pub deliveries: u64,
    /// Values that were delivered while their records had no place, as the records `missed` say.
    pub missed: u64,
    /// The number of the first file that is there.
    pub first_file: u64,
    /// The highest number of a file that was deleted because it was kept long enough.
    pub expired_through: u64,
}

impl Sums {
    fn add(&mut self, line: &Line<'_>) {
        match line.event {
            b"access" if line.outcome == b"ok" => self.deliveries = self.deliveries.saturating_add(line.count),
            b"missed" => {
                self.missed = self.missed.saturating_add(detail_number(line.detail, "deliveries").unwrap_or(0));
            }
            b"begin" if self.first_file == 0 => self.first_file = detail_number(line.detail, "file").unwrap_or(0),
            b"expire" => {
                self.expired_through = self.expired_through.max(detail_number(line.detail, "number").unwrap_or(0));
            }
            _ => {}
        }
    }
}

/// How many lines before a suspect are remembered.
const MEMORY: usize = 64;

/// Reads a log line by line.
pub struct Inspector {
    /// The link of the file that is read.
    link: Link,
    /// The link with the given key, if there is one.
    given: Link,
    keyed_from: Option<u64>,
    anchors: Vec<Anchor>,
    chain: Option<Chain>,
    first_seq: u64,
    counts: Counts,
    sums: Sums,
    /// The lines before, with their hashes.
    memory: VecDeque<(Hash, Place)>,
    at_beginning: bool,
    suspect: Option<Suspect>,
    fault: Option<(FaultKind, Place, String)>,
}

/// A line that does not continue the chain.
struct Suspect {
    place: Place,
    hash: Hash,
    /// The number and the link in the line, when it can be parsed.
    says: Option<(u64, Hash)>,
    /// The number that the line should have.
    expected: u64,
    prev: Hash,
    /// Lines seen after it.
    seen: u64,
    /// The number and the link in the line right after it, when that one can be parsed.
    next: Option<(u64, Hash)>,
    /// Whether the expected line comes later.
    comes_later: bool,
    /// Whether a later line has the same number.
    comes_again: bool,
    /// The highest number that was seen or is known from an anchor.
    highest: u64,
}

impl Inspector {
    /// Begins with the first file.
    pub fn new(given: Link, anchors: Vec<Anchor>) -> Self {
        Self {
            link: Link::default(),
            given,
            keyed_from: None,
            anchors,
            chain: None,
            first_seq: 0,
            counts: Counts::default(),
            sums: Sums::default(),
            memory: VecDeque::with_capacity(MEMORY),
            at_beginning: true,
            suspect: None,
            fault: None,
        }
    }

    /// Declares that the next line is the first one of a file.
    pub fn begin_file(&mut self) {
        self.at_beginning = true;
        if let Some(chain) = &mut self.chain {
            chain.counts = Counts::default();
        }
    }

    /// Takes the next line, without its newline.
    pub fn line(&mut self, place: Place, bytes: &[u8]) -> Result<()> {
        let line = Line::parse(bytes);
        self.counts.add(line.map_or(b"", |line| line.outcome));
        if let Some(line) = &line {
            self.sums.add(line);
        }
        let first_of_file = std::mem::take(&mut self.at_beginning);
        if self.fault.is_some() {
            return Ok(());
        }
        if let Some(suspect) = &mut self.suspect {
            suspect.look_at(line.map(|line| (line.seq, line.prev)));
            return Ok(());
        }
        let Some(mut chain) = self.chain else {
            return self.first(place, bytes, line);
        };
        let before = chain;
        let change = line.filter(|line| first_of_file && line.event == b"begin").map(|line| self.change(&line));
        if let Some(Change::To(link)) = &change {
            self.link = link.clone();
        }
        if !line.is_some_and(|line| chain.follow(&self.link, bytes, &line)) {
            self.suspect = Some(Suspect {
                place,
                hash: self.link.of(bytes),
                says: line.map(|line| (line.seq, line.prev)),
                expected: chain.seq + 1,
                prev: chain.last,
                seen: 0,
                next: None,
                comes_later: false,
                comes_again: false,
                highest: self.anchors.iter().map(|anchor| anchor.seq).max().unwrap_or_default(),
            });
            return Ok(());
        }
        let Some(line) = line else { return Ok(()) };
        if first_of_file && line.event != b"begin" {
            let message = "a file of the log begins without its first record".to_owned();
            self.fault = Some((FaultKind::Removed, place, message));
            return Ok(());
        }
        match change {
            Some(Change::To(_)) => {
                self.keyed_from = Some(line.seq);
                if !is_checked(&self.link, &before, line.detail) {
                    let message = "the first record with the key was written by somebody without it".to_owned();
                    self.fault = Some((FaultKind::Changed, place, message));
                }
            }
            Some(Change::Back(method)) => {
                let message = format!("the chain goes on without its key, or with another one ({method})");
                self.fault = Some((FaultKind::Changed, place, message));
            }
            Some(Change::Unknown(method)) => return Err(Failure::other_key(&method)),
            Some(Change::None) | None => {}
        }
        self.check_counts(place, &before, &line);
        self.accept(place, chain);
        Ok(())
    }

    /// What becomes of the link with the first record of a file. A key can be begun, and not be given up.
    fn change(&self, line: &Line<'_>) -> Change {
        let method = method_in(line.detail).filter(|method| is_method(method)).map(str::to_owned);
        let Some(method) = method.filter(|method| *method != self.link.method()) else { return Change::None };
        if self.link.is_keyed() {
            Change::Back(method)
        } else if method == self.given.method() {
            Change::To(self.given.clone())
        } else {
            Change::Unknown(method)
        }
    }

    fn first(&mut self, place: Place, bytes: &[u8], line: Option<Line<'_>>) -> Result<()> {
        let Some(line) = line else {
            let message = "the first line is not a record: this is no audit log, or its beginning was changed";
            self.fault = Some((FaultKind::Changed, place, message.to_owned()));
            return Ok(());
        };
        self.first_seq = line.seq;
        if line.event != b"begin" {
            let kind = if line.seq == 1 { FaultKind::Changed } else { FaultKind::Removed };
            self.fault = Some((kind, place, "the log begins without its first record".to_owned()));
            return Ok(());
        }
        match self.change(&line) {
            Change::To(link) => (self.link, self.keyed_from) = (link, Some(line.seq)),
            Change::Unknown(method) | Change::Back(method) => return Err(Failure::other_key(&method)),
            Change::None => {}
        }
        // File number 1 begins a chain. A file with a higher number continues a chain whose earlier files are missing.
        if detail_number(line.detail, "file") == Some(1) && (line.seq != 1 || line.prev != FIRST) {
            self.fault = Some((FaultKind::Changed, place, "the first record of the log is changed".to_owned()));
            return Ok(());
        }
        let mut chain = Chain { seq: line.seq.wrapping_sub(1), last: line.prev, counts: Counts::default() };
        chain.take(&self.link, bytes, &line);
        self.accept(place, chain);
        Ok(())
    }

    fn check_counts(&mut self, place: Place, before: &Chain, line: &Line<'_>) {
        if !matches!(line.event, b"checkpoint" | b"end" | b"close") {
            return;
        }
        let right = is_checked(&self.link, before, line.detail) && Counts::parse(line.detail) == Some(before.counts);
        if !right {
            let message = format!("record {} counts other records than there are before it", line.seq);
            self.fault = Some((FaultKind::BadCheckpoint, place, message));
        }
    }

    fn accept(&mut self, place: Place, chain: Chain) {
        if self.fault.is_some() {
            return;
        }
        self.chain = Some(chain);
        if self.anchors.iter().any(|anchor| anchor.seq == chain.seq && anchor.hash != chain.last) {
            let message = format!("record {} is another one than the one that was noted elsewhere", chain.seq);
            self.fault = Some((FaultKind::Changed, place, message));
        }
        if self.memory.len() == MEMORY {
            self.memory.pop_front();
        }
        self.memory.push_back((chain.last, place));
    }

    /// The result after the last line.
    pub fn finish(mut self) -> Verdict {
        if let Some(suspect) = self.suspect.take() {
            let known = |anchor: &&Anchor| suspect.says.is_some_and(|(seq, _)| seq == anchor.seq);
            let confirmed = self.anchors.iter().find(known).map(|anchor| anchor.hash == suspect.hash);
            // The line before is the one that was noted, so it is this one that was changed, or added.
            let is_after_noted =
                |anchor: &Anchor| anchor.seq.wrapping_add(1) == suspect.expected && anchor.hash == suspect.prev;
            let confirmed = confirmed.or_else(|| self.anchors.iter().any(is_after_noted).then_some(false));
            self.fault = Some(suspect.verdict(&self.memory, confirmed));
        }
        let last = self.chain.map_or((0, FIRST), |chain| (chain.seq, chain.last));
        let Self { fault, counts, sums, first_seq, keyed_from, .. } = self;
        Verdict { fault, counts, sums, first_seq, last, keyed_from }
    }
}

/// What the first record of a file does to the link.
enum Change {
    /// Nothing.
    None,
    /// The records have the key from here on.
    To(Link),
    /// A chain with a key goes on with this method.
    Back(String),
    /// A chain without a key goes on with a key that was not given.
    Unknown(String),
}

/// Whether `text` is a valid name of a link method.
fn is_method(text: &str) -> bool {
    let is_key = |key: &str| key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    text == "sha256" || text.strip_prefix("hmac-sha256:").is_some_and(is_key)
}

impl Suspect {
    fn look_at(&mut self, line: Option<(u64, Hash)>) {
        if self.seen == 0 {
            self.next = line;
        }
        self.seen += 1;
        if let Some((seq, prev)) = line {
            self.comes_later |= seq == self.expected && prev == self.prev;
            self.comes_again |= self.says.is_some_and(|(own, _)| own == seq);
            self.highest = self.highest.max(seq);
        }
    }

    fn verdict(self, memory: &VecDeque<(Hash, Place)>, confirmed: Option<bool>) -> (FaultKind, Place, String) {
        let Self { place, expected, .. } = self;
        let before = memory.back().map_or(place, |(_, place)| *place);
        let name = |kind, place, what: &str| (kind, place, format!("{what} (record {expected} was expected)"));
        let moved = self.says.is_some_and(|(seq, _)| seq > expected && seq <= self.highest);
        if self.comes_later {
            return if moved && !self.comes_again {
                name(FaultKind::Reordered, place, "it was moved here from further on")
            } else {
                name(FaultKind::Inserted, place, "it does not belong here")
            };
        }
        let changed = |place| name(FaultKind::Changed, place, "its text is not what was written");
        let Some((seq, prev)) = self.says else { return changed(place) };
        if prev == self.prev {
            return changed(place);
        }
        let next = self.next;
        if seq == expected {
            // Either the line before was changed, or the link in this one. The next line's link or an anchor decides.
            let intact = next.map(|(_, prev)| prev == self.hash).or(confirmed);
            return changed(if intact == Some(false) { place } else { before });
        }
        if seq > expected {
            return if next.is_some_and(|(next, _)| next == expected + 1) {
                changed(place)
            } else {
                let message = format!("records {expected} to {} are missing before it", seq - 1);
                (FaultKind::Removed, place, message)
            };
        }
        // The number was there before: if the line continues an earlier one, those in between were inserted.
        let earlier = memory.iter().position(|(hash, _)| *hash == prev).and_then(|at| memory.get(at + 1));
        let extra = earlier.map_or(place, |(_, place)| *place);
        name(FaultKind::Inserted, extra, "it does not belong here")
    }
}
