//! What may be the beginning of an occurrence, in text that has not come as a whole.

use std::cmp::Ordering;

use zeroize::Zeroizing;

use super::{Finder, Pattern, Skips};
use crate::bits::{HEAD, head_at};
use crate::forms::Form;

impl Finder {
    /// Where the end of `text` may be the beginning of an occurrence whose rest has not come yet; the length of `text` when
    /// nothing of it is.
    pub fn pending(&self, text: &[u8]) -> usize {
        // With the line ends in base64, whose lines have 16 bytes and more.
        let from = text.len().saturating_sub((self.longest + self.longest / 4).saturating_sub(1));
        (from..text.len()).find(|start| self.is_beginning(text, *start)).unwrap_or(text.len())
    }

    /// Whether everything from `start` on is the beginning of a longer text that is looked for.
    fn is_beginning(&self, text: &[u8], start: usize) -> bool {
        if head_at(text, start).is_some_and(|hash| !self.heads.has(hash)) {
            return false;
        }
        let rest = &text[start..];
        self.beginnings(rest).next().is_some()
            || self.all_unfolded(rest).is_some_and(|text| self.beginnings(&text).any(|one| one.form == Form::Base64))
    }

    /// Base64 that is all of `rest`, without its line ends.
    fn all_unfolded(&self, rest: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.unfolded(rest).filter(|unfolded| unfolded.is_all_of(rest)).map(|unfolded| unfolded.text)
    }

    /// The texts that begin with `rest`.
    fn beginnings(&self, rest: &[u8]) -> impl Iterator<Item = &Pattern> {
        let at = self.patterns.partition_point(|pattern| self.text(pattern).cmp(rest) != Ordering::Greater);
        self.patterns.iter().skip(at).take_while(move |pattern| self.text(pattern).starts_with(rest))
    }

    /// The secret with whose beginning, of at least eight bytes, `rest` is all that came; none that `skips` names.
    pub fn cut(&self, rest: &[u8], skips: Skips<'_>) -> Option<u32> {
        if rest.len() < HEAD {
            return None;
        }
        self.beginnings(rest).find_map(|pattern| self.owner(pattern, skips)).or_else(|| {
            let text = self.all_unfolded(rest).filter(|text| text.len() >= HEAD)?;
            let mut found = self.beginnings(&text).filter(|pattern| pattern.form == Form::Base64);
            found.find_map(|pattern| self.owner(pattern, skips))
        })
    }
}
