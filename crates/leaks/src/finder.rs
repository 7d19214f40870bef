//! Finds many texts in one pass over another.
//!
//! Every text that is looked for has at least `window` bytes. Of the text that is searched, only `gram` bytes (four or six) at
//! every `step` = `window` + 1 - `gram` places are looked at: each occurrence covers one of these places completely. A bitmap says
//! whether such bytes stand in the beginning of any text that is looked for. Where they do, the places around them are
//! compared by the first eight bytes, and only then with the sorted texts (decision 85).

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::bits::{Bits, HEAD, gram_at, head_at};
use crate::forms::{Form, Written};
use crate::lines::Unfolded;

mod beginnings;

/// Longer texts are looked for in pieces of at most this many bytes. Bounds what a stream holds back, and finds a value
/// whose beginning or end was cut off.
const LONGEST: usize = 2048;
/// So many bytes of the beginning of a text count as an occurrence when the rest is missing.
const OPENING: usize = 128;
/// The bytes that are looked at at each step. Digits and commas, which numbers, hexadecimal and lists of bytes have in common with what
/// services log, are told apart by six; with texts of eight bytes there would be too many steps.
const fn gram_of(least: usize) -> usize {
    if least >= LONG { 6 } else { 4 }
}
/// Where every text has as many bytes, the steps are longer.
const LONG: usize = 16;

/// A text that is looked for.
struct Pattern {
    start: usize,
    length: usize,
    secret: u32,
    /// Other secrets that are written alike.
    others: Vec<u32>,
    form: Form,
    /// The longest other text with which this one begins.
    parent: Option<u32>,
    /// Whether it is a piece of a longer one.
    is_piece: bool,
}

/// An occurrence: the bytes from `start` to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
    /// Which of the secrets.
    pub secret: u32,
    /// How it is written.
    pub form: Form,
    /// Whether a piece of a longer text was found.
    pub(crate) is_piece: bool,
}

/// Whether the values of a secret are left where they are.
pub type Skips<'a> = &'a dyn Fn(&str) -> bool;

/// A set of texts to look for. Their bytes are overwritten when it is dropped.
#[derive(Default)]
pub struct Finder {
    secrets: Vec<Arc<str>>,
    bytes: Zeroizing<Vec<u8>>,
    /// In the order of their bytes.
    patterns: Vec<Pattern>,
    grams: Bits,
    heads: Bits,
    gram: usize,
    step: usize,
    longest: usize,
    whole: usize,
}

/// In the order of their bytes; equal ones in the order in which they came. Most are told apart by their first bytes, which are
/// compared without looking into the memory of the texts.
fn sorted<'a>(patterns: Vec<Pattern>, text: impl Fn(&Pattern) -> &'a [u8]) -> Vec<Pattern> {
    let first = |pattern: &Pattern| {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(text(pattern)).for_each(|(to, from)| *to = *from);
        u128::from_be_bytes(bytes)
    };
    let mut keyed: Vec<_> = patterns.into_iter().map(|pattern| (first(&pattern), pattern)).collect();
    keyed.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| text(one).cmp(text(other))));
    keyed.into_iter().map(|(_, pattern)| pattern).collect()
}

fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

impl Finder {
    /// Looks for the texts of each secret. Of equal texts the first counts.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = (Arc<str>, &'a [Written])>) -> Self {
        let (mut names, mut bytes, mut patterns) = (Vec::new(), Zeroizing::new(Vec::new()), Vec::new());
        let mut whole = 0;
        let secrets: Vec<_> = secrets.into_iter().collect();
        // At once: a vector that grows leaves its old memory behind.
        bytes.reserve_exact(secrets.iter().flat_map(|(_, texts)| *texts).map(|written| written.bytes.len()).sum());
        for (name, texts) in secrets {
            let secret = u32::try_from(names.len()).unwrap_or(u32::MAX);
            names.push(name);
            for Written { form, bytes: text } in texts {
                let count = text.len().div_ceil(LONGEST);
                whole = whole.max(text.len());
                for piece in text.chunks(text.len().div_ceil(count.max(1)).max(HEAD)) {
                    if piece.len() >= HEAD {
                        let (start, length, is_piece) = (bytes.len(), piece.len(), count > 1);
                        bytes.extend_from_slice(piece);
                        let (parent, others) = (None, Vec::new());
                        patterns.push(Pattern { start, length, secret, others, form: *form, parent, is_piece });
                    }
                }
            }
        }
        let text = |pattern: &Pattern| &bytes[pattern.start..pattern.start + pattern.length];
        patterns = sorted(patterns, text);
        patterns.dedup_by(|next, kept| {
            let is_equal = text(next) == text(kept);
            if is_equal && next.secret != kept.secret && !kept.others.contains(&next.secret) {
                kept.others.push(next.secret);
            }
            is_equal
        });
        let mut open: Vec<u32> = Vec::new();
        for at in 0..patterns.len() {
            while let Some(&last) = open.last()
                && !text(&patterns[at]).starts_with(text(&patterns[last as usize]))
            {
                open.pop();
            }
            let parent = open.last().copied();
            open.push(u32::try_from(at).unwrap_or(u32::MAX));
            patterns[at].parent = parent;
        }
        let least = patterns.iter().map(|pattern| pattern.length).min().unwrap_or(HEAD);
        let gram = gram_of(least);
        let step = least.clamp(HEAD, LONG) + 1 - gram;
        let (mut grams, mut heads) = (Bits::new(patterns.len() * step, 23), Bits::new(patterns.len(), 20));
        for pattern in &patterns {
            let text = text(pattern);
            (0..step).filter_map(|at| gram_at(text, at, gram)).for_each(|hash| grams.insert(hash));
            if let Some(hash) = head_at(text, 0) {
                heads.insert(hash);
            }
        }
        let longest = patterns.iter().map(|pattern| pattern.length).max().unwrap_or(0);
        Self { secrets: names, bytes, patterns, grams, heads, gram, step, longest, whole }
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The bytes of the longest text that is looked for in one piece.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The bytes of the longest text that is looked for.
    pub fn whole(&self) -> usize {
        self.whole
    }

    /// The name of a secret.
    pub fn secret(&self, secret: u32) -> &Arc<str> {
        &self.secrets[secret as usize]
    }

    fn text(&self, pattern: &Pattern) -> &[u8] {
        &self.bytes[pattern.start..pattern.start + pattern.length]
    }

    /// The occurrences in `text`, in their order. Where occurrences of different texts overlap they are one, of the first;
    /// of those that begin at one place the longest counts.
    pub fn find<'a>(&'a self, text: &'a [u8]) -> Matches<'a> {
        self.find_except(text, &|_| false)
    }

    /// The same without the values of the secrets that `skips` names. A value that another secret has as well is found.
    pub fn find_except<'a>(&'a self, text: &'a [u8], skips: Skips<'a>) -> Matches<'a> {
        Matches { finder: self, text, skips, at: 0 }
    }

    /// Whose value a text is.
    fn owner(&self, pattern: &Pattern, skips: Skips<'_>) -> Option<u32> {
        let mut secrets = std::iter::once(&pattern.secret).chain(&pattern.others);
        secrets.find(|secret| !skips(self.secret(**secret))).copied()
    }

    /// The first occurrence that begins at `from` or later.
    fn next(&self, text: &[u8], from: usize, skips: Skips<'_>) -> Option<Match> {
        if self.patterns.is_empty() {
            return None;
        }
        let mut at = from + self.step - 1;
        loop {
            while self.grams.has_none_of_eight(text, at, self.step, self.gram) {
                at += 8 * self.step;
            }
            for _ in 0..8 {
                let hash = gram_at(text, at, self.gram)?;
                if self.grams.has(hash)
                    && let Some(found) = (at + 1 - self.step..=at).find_map(|start| self.at(text, start, skips))
                {
                    return Some(self.joined(text, found, skips));
                }
                at += self.step;
            }
        }
    }

    /// The longest occurrence that begins at `start`.
    #[inline]
    fn at(&self, text: &[u8], start: usize, skips: Skips<'_>) -> Option<Match> {
        if !self.heads.has(head_at(text, start)?) {
            return None;
        }
        self.compare(text, start, skips)
    }

    fn compare(&self, text: &[u8], start: usize, skips: Skips<'_>) -> Option<Match> {
        let found = self.compared(&text[start..text.len().min(start + self.longest)], start, |_| true, skips);
        let Some(unfolded) = self.unfolded(&text[start..]) else { return found };
        let Some(over) = self.compared(&unfolded.text, start, |form| form == Form::Base64, skips) else { return found };
        let end = start + unfolded.end(over.end - start);
        found.filter(|found| found.end >= end).or(Some(Match { end, ..over }))
    }

    /// The longest occurrence at the beginning of `rest`, which stands at `start`, of a form that `counts`.
    fn compared(&self, rest: &[u8], start: usize, counts: fn(Form) -> bool, skips: Skips<'_>) -> Option<Match> {
        let after = self.patterns.partition_point(|pattern| self.text(pattern) <= rest);
        let matched = |pattern: &Pattern, length: usize| {
            let secret = self.owner(pattern, skips).filter(|_| counts(pattern.form))?;
            Some(Match { start, end: start + length, secret, form: pattern.form, is_piece: pattern.is_piece })
        };
        // The sorted neighbours are those that share most with it.
        let openings = [after.checked_sub(1), Some(after)].into_iter().flatten().filter_map(|at| {
            let pattern = self.patterns.get(at)?;
            let length = shared(self.text(pattern), rest);
            (length >= OPENING).then(|| matched(pattern, length)).flatten()
        });
        let opening = openings.max_by_key(|found| found.end);
        let mut at = after.checked_sub(1);
        let whole = loop {
            let Some(pattern) = at.and_then(|at| self.patterns.get(at)) else { break None };
            if rest.starts_with(self.text(pattern))
                && let Some(found) = matched(pattern, pattern.length)
            {
                break Some(found);
            }
            at = pattern.parent.map(|parent| parent as usize);
        };
        match (whole, opening) {
            (Some(whole), Some(opening)) if opening.end > whole.end => Some(opening),
            (whole, opening) => whole.or(opening),
        }
    }

    /// `found` and what overlaps it, and the pieces of the same value that follow.
    fn joined(&self, text: &[u8], mut found: Match, skips: Skips<'_>) -> Match {
        let mut at = found.start + 1;
        while at < found.end {
            if let Some(other) = self.at(text, at, skips)
                && other.end > found.end
            {
                found.end = other.end;
                found.is_piece |= other.is_piece;
            }
            at += 1;
            if at == found.end
                && found.is_piece
                && let Some(next) = self.at(text, at, skips).filter(|next| next.is_piece && next.secret == found.secret)
            {
                found.end = next.end;
                at += 1;
            }
        }
        found
    }

    /// Base64 at the beginning of `text` without its line ends. Its first line has to have what is looked at in any text: whether it is
    /// found does not depend on where it stands.
    fn unfolded(&self, text: &[u8]) -> Option<Unfolded> {
        Unfolded::of(text, (self.step + self.gram).saturating_sub(1), self.longest)
    }
}

/// The occurrences in a text.
pub struct Matches<'a> {
    finder: &'a Finder,
    text: &'a [u8],
    skips: Skips<'a>,
    at: usize,
}

impl Iterator for Matches<'_> {
    type Item = Match;

    fn next(&mut self) -> Option<Match> {
        let found = self.finder.next(self.text, self.at, self.skips)?;
        self.at = found.end;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secret::value::SecretValue;

    fn finder(values: &[(&str, &str)]) -> Finder {
        let texts: Vec<_> = values
            .iter()
            .map(|(name, value)| (Arc::from(*name), crate::forms::written(&SecretValue::copied(value))))
            .collect();
        Finder::new(texts.iter().map(|(name, texts)| (Arc::clone(name), texts.as_slice())))
    }

    fn found<'a>(finder: &Finder, text: &'a str) -> Vec<(String, &'a str)> {
        finder.find(text.as_bytes()).map(|at| (finder.secret(at.secret).to_string(), &text[at.start..at.end])).collect()
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        let finder = finder(&[("A", "abcdefgh"), ("B", "0123456789-0123456789")]);
        for pad in 0..40 {
            let text =
                format!("{}abcdefgh{}0123456789-0123456789{}", "x".repeat(pad), "y".repeat(pad), "z".repeat(pad));
            let names: Vec<String> = found(&finder, &text).into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["A", "B"], "{pad}");
        }
    }

    #[test]
    fn the_longest_of_values_that_begin_alike_is_found() {
        let finder = finder(&[("SHORT", "abcdefgh"), ("LONG", "abcdefghijkl"), ("OTHER", "abcdefghix-z")]);
        let text = "abcdefgh abcdefghijkl abcdefghij abcdefghix-z";
        let expected =
            [("SHORT", "abcdefgh"), ("LONG", "abcdefghijkl"), ("SHORT", "abcdefgh"), ("OTHER", "abcdefghix-z")];
        assert_eq!(found(&finder, text), expected.map(|(name, text)| (name.to_owned(), text)));
    }

    #[test]
    fn values_that_overlap_are_covered_to_the_end_of_the_last() {
        let finder = finder(&[("A", "abcdefgh12345678"), ("B", "12345678-klmnopqr")]);
        assert_eq!(found(&finder, "<abcdefgh12345678-klmnopqr>"), [("A".to_owned(), "abcdefgh12345678-klmnopqr")]);
    }

    #[test]
    fn what_is_left_out_hides_no_value_that_is_looked_for() {
        let finder = finder(&[
            ("HOST", "db.internal.example"),
            ("EQUAL", "db.internal.example"),
            ("NEXT", "example-and-more"),
            ("LONG", "db.internal.example:5432"),
        ]);
        let shown = |names: &[&str], text: &'static str| {
            let skips = |name: &str| names.contains(&name);
            let found = finder.find_except(text.as_bytes(), &skips);
            found.map(|at| (finder.secret(at.secret).to_string(), &text[at.start..at.end])).collect::<Vec<_>>()
        };
        let one = |name: &str, text: &'static str| vec![(name.to_owned(), text)];
        assert_eq!(shown(&["HOST"], "db.internal.example"), one("EQUAL", "db.internal.example"));
        assert_eq!(shown(&["HOST", "EQUAL"], "db.internal.example-and-more"), one("NEXT", "example-and-more"));
        assert_eq!(shown(&["LONG"], "db.internal.example:5432"), one("HOST", "db.internal.example"));
        assert_eq!(shown(&["HOST", "EQUAL", "LONG"], "db.internal.example:5432"), []);
    }

    #[test]
    fn a_long_value_is_one_occurrence_also_where_its_ends_are_cut_off() {
        let mut random = fastrand::Rng::with_seed(1);
        let value: String = std::iter::repeat_with(|| random.alphanumeric()).take(65_536).collect();
        let finder = finder(&[("LONG", &value)]);
        let whole = format!("<{value}>");
        assert_eq!(found(&finder, &whole), [("LONG".to_owned(), value.as_str())]);
        let beginning = format!("<{}... 55536 more characters", &value[..10_000]);
        assert_eq!(found(&finder, &beginning), [("LONG".to_owned(), &value[..10_000])]);
    }

    #[test]
    fn what_stays_pending_is_the_beginning_of_a_value_and_nothing_else() {
        let finder = finder(&[("A", "abcdefghijkl")]);
        for (text, pending) in [("xyz", 3), ("xyzabc", 3), ("xyzabcdefghijk", 3), ("abcdefghijkl", 12), ("xa b", 4)] {
            assert_eq!(finder.pending(text.as_bytes()), pending, "{text}");
        }
        assert_eq!(finder.cut(b"abcdefgh", &|_| false), Some(0));
        assert_eq!(finder.cut(b"abcdefg", &|_| false), None);
    }

    /// Against a search for each form by itself.
    #[test]
    fn nothing_that_a_plain_search_finds_is_left() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let word = |random: &mut fastrand::Rng, least: usize| -> String {
                let length = random.usize(least..least + 24);
                std::iter::repeat_with(|| random.choice(['a', 'b', 'c', '"', '/', 'é', '\n']).unwrap_or('a'))
                    .take(length)
                    .collect()
            };
            let values: Vec<String> = (0..random.usize(1..20)).map(|_| word(&mut random, 8)).collect();
            let pairs: Vec<(&str, &str)> = values.iter().map(|value| ("N", value.as_str())).collect();
            let finder = finder(&pairs);
            let mut text = word(&mut random, 0);
            for _ in 0..8 {
                text.push_str(random.choice(&values).map_or("", String::as_str));
                text.push_str(&word(&mut random, 0));
            }
            let mut covered = vec![false; text.len()];
            finder.find(text.as_bytes()).for_each(|at| covered[at.start..at.end].fill(true));
            for value in &values {
                let mut from = 0;
                while let Some(at) = text[from..].find(value.as_str()) {
                    let (start, end) = (from + at, from + at + value.len());
                    assert!(covered[start..end].iter().all(|covered| *covered), "{value:?} in {text:?}");
                    from = start + value.chars().next().map_or(1, char::len_utf8);
                }
            }
        }
    }
}
