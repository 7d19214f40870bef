//! Replaces what is found by the name of its secret.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::finder::{Finder, Match, Skips};

/// Text without values, and whose values it had.
pub struct Redacted {
    /// The text.
    pub text: Vec<u8>,
    /// The secrets whose values were replaced, one for each occurrence.
    pub secrets: Vec<Arc<str>>,
}

impl Redacted {
    fn with_room(room: usize) -> Self {
        Self { text: Vec::with_capacity(room), secrets: Vec::new() }
    }

    fn replace(&mut self, name: &Arc<str>) {
        self.text.extend_from_slice(b"[secret ");
        self.text.extend_from_slice(name.as_bytes());
        self.text.push(b']');
        self.secrets.push(name.clone());
    }
}

/// `text` with each value replaced by `[secret NAME]`; `None` when it has none. `skips` names secrets that stay.
pub fn redact(finder: &Finder, text: &[u8], skips: Skips<'_>) -> Option<Redacted> {
    let mut found = finder.find_except(text, skips).peekable();
    found.peek()?;
    let (redacted, done) = replaced(finder, text, found);
    let mut redacted = redacted;
    redacted.text.extend_from_slice(&text[done..]);
    Some(redacted)
}

/// `text` up to the end of the last of `found`.
fn replaced(finder: &Finder, text: &[u8], found: impl Iterator<Item = Match>) -> (Redacted, usize) {
    let (mut redacted, mut done) = (Redacted::with_room(text.len()), 0);
    for found in found {
        redacted.text.extend_from_slice(&text[done..found.start]);
        redacted.replace(finder.secret(found.secret));
        done = found.end;
    }
    (redacted, done)
}

/// Text that arrives in pieces. What may be the beginning of a value is held back until the next piece.
#[derive(Default)]
pub struct Stream {
    held: Zeroizing<Vec<u8>>,
}

impl Stream {
    /// What can be passed on once `piece` has come.
    pub fn push(&mut self, finder: &Finder, piece: &[u8], skips: Skips<'_>) -> Redacted {
        let text = self.with(piece);
        // Every value that begins before it is here as a whole, with all its pieces, also where value stands upon value.
        let sure = text.len().saturating_sub(4 * finder.whole());
        let mut pending = finder.pending(&text).max(sure);
        let mut found = Vec::new();
        for one in finder.find_except(&text, skips) {
            if one.start >= pending {
                break;
            }
            if one.end > pending || one.is_piece && one.end == pending {
                // A longer value may begin in it, or go on.
                if one.start >= sure {
                    pending = one.start;
                    break;
                }
                pending = one.end;
            }
            found.push(one);
        }
        let (mut redacted, done) = replaced(finder, &text[..pending], found.into_iter());
        redacted.text.extend_from_slice(&text[done..pending]);
        self.held = Zeroizing::new(text[pending..].to_vec());
        redacted
    }

    /// What was held back, once nothing comes any more. A value whose beginning of eight bytes or more came is replaced.
    pub fn end(&mut self, finder: &Finder, skips: Skips<'_>) -> Redacted {
        let text = self.with(&[]);
        let found = finder.find_except(&text, skips);
        let (mut redacted, done) = replaced(finder, &text, found);
        let rest = &text[done..];
        let cut = (0..rest.len()).find_map(|at| Some((at, finder.cut(&rest[at..], skips)?)));
        match cut {
            Some((at, secret)) => {
                redacted.text.extend_from_slice(&rest[..at]);
                redacted.replace(finder.secret(secret));
            }
            None => redacted.text.extend_from_slice(rest),
        }
        redacted
    }

    fn with(&mut self, piece: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(Vec::with_capacity(self.held.len() + piece.len()));
        text.extend_from_slice(&self.held);
        text.extend_from_slice(piece);
        self.held = Zeroizing::default();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::written;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use secret::value::SecretValue;

    fn finder(values: &[(&str, &str)]) -> Finder {
        let texts: Vec<_> =
            values.iter().map(|(name, value)| (Arc::from(*name), written(&SecretValue::copied(value)))).collect();
        Finder::new(texts.iter().map(|(name, texts)| (Arc::clone(name), texts.as_slice())))
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn whole(finder: &Finder, given: &str) -> String {
        redact(finder, given.as_bytes(), &|_| false).map_or_else(|| given.to_owned(), |redacted| text(&redacted.text))
    }

    fn in_pieces(finder: &Finder, given: &[u8], size: usize) -> String {
        let (mut stream, mut all) = (Stream::default(), Vec::new());
        for piece in given.chunks(size) {
            all.extend(stream.push(finder, piece, &|_| false).text);
        }
        all.extend(stream.end(finder, &|_| false).text);
        text(&all)
    }

    #[test]
    fn nothing_but_the_name_is_left() {
        let finder = finder(&[("GITHUB_TOKEN", "ghp_correct/horse"), ("OTHER", "battery-staple")]);
        assert_eq!(
            whole(&finder, "a ghp_correct/horse b ghp_correct%2Fhorse c battery-staple"),
            "a [secret GITHUB_TOKEN] b [secret GITHUB_TOKEN] c [secret OTHER]"
        );
        assert!(redact(&finder, b"nothing here", &|_| false).is_none());
        let kept = redact(&finder, b"battery-staple", &|name| name == "OTHER");
        assert!(kept.is_none());
    }

    #[test]
    fn pieces_of_any_size_give_the_text_that_the_whole_gives() {
        let values =
            [("A", "abcdefgh12345678"), ("B", "12345678-klmnopqr"), ("C", "schlüssel\nmit Zeile"), ("D", "abcdefgh")];
        let finder = finder(&values);
        let given =
            "x abcdefgh12345678-klmnopqr y abcdefghi schlüssel\\nmit Zeile z abcdefgh1234567 schlüssel\nmit Zeile.";
        let expected = whole(&finder, given);
        for size in 1..given.len() {
            assert_eq!(in_pieces(&finder, given.as_bytes(), size), expected, "{size}");
        }
    }

    /// As `base64` (76 columns, 64 for OpenSSL) writes it, with the line ends of Windows, and in a JSON text.
    #[test]
    fn base64_that_is_broken_into_lines_is_found_wherever_the_value_begins_in_them() {
        let mut random = fastrand::Rng::with_seed(5);
        for length in [30, 44, 200] {
            let value: String = std::iter::repeat_with(|| random.alphanumeric()).take(length).collect();
            let finder = finder(&[("A", &value)]);
            for before in 0..60 {
                let encoded = STANDARD.encode(format!("{}{value}", "u".repeat(before)));
                for (columns, end) in [(76, "\n"), (64, "\n"), (76, "\r\n"), (64, "\\n"), (76, "\\r\\n")] {
                    let lines: Vec<_> = encoded.as_bytes().chunks(columns).map(text).collect();
                    let given = format!("<{}>", lines.join(end));
                    let shown = whole(&finder, &given);
                    assert!(shown.contains("[secret A]"), "{length} {before} {columns} {end:?}: {shown}");
                    // Of a line that has only a few characters of the value, those stay.
                    let left = shown.replace("[secret A]", "").replace(end, "").replace(['<', '>', '='], "");
                    let beside = before * 8 / 6 + 2;
                    assert!(left.len() < beside + 16, "{length} {before} {columns} {end:?}: {shown}");
                    for size in [7, 77].into_iter().filter(|_| before % 5 == 0) {
                        let streamed = in_pieces(&finder, given.as_bytes(), size);
                        assert_eq!(streamed, shown, "{length} {before} {columns} {end:?} {size}");
                    }
                }
            }
        }
    }

    #[test]
    fn little_is_held_back_of_value_upon_value() {
        let value = "abcabcabc-".repeat(20);
        let finder = finder(&[("A", &value)]);
        let mut stream = Stream::default();
        for _ in 0..200 {
            let shown = stream.push(&finder, value.as_bytes(), &|_| false);
            assert!(!text(&shown.text).contains("abcabc"));
            assert!(stream.held.len() <= 5 * finder.whole());
        }
        assert!(!text(&stream.end(&finder, &|_| false).text).contains("abcabc"));
    }

    #[test]
    fn no_end_of_a_value_is_shown_of_value_upon_value_of_any_length() {
        for length in [21, 25, 30, 37, 59] {
            let value = &"abcabcabc-".repeat(8)[..length];
            let finder = finder(&[("A", value)]);
            let given = value.repeat(100);
            for size in [1, 7, length, 1000] {
                let shown = in_pieces(&finder, given.as_bytes(), size);
                // Values that overlap may be shown as one.
                assert_eq!(shown.replace("[secret A]", ""), "", "{length} {size}");
            }
        }
    }

    #[test]
    fn a_value_of_many_pieces_is_replaced_however_it_is_cut() {
        let mut random = fastrand::Rng::with_seed(3);
        for length in [9_000, 20_000] {
            let value: String = std::iter::repeat_with(|| random.alphanumeric()).take(length).collect();
            let finder = finder(&[("A", &value)]);
            let given = format!("before {value} between {value} after");
            for size in [700, 1024, 4096, 16_384] {
                let shown = in_pieces(&finder, given.as_bytes(), size);
                assert_eq!(shown, "before [secret A] between [secret A] after", "{length} {size}");
            }
        }
    }

    #[test]
    fn a_stream_that_ends_inside_a_value_shows_nothing_of_it() {
        let finder = finder(&[("A", "correct-horse-battery")]);
        assert_eq!(in_pieces(&finder, b"token=correct-horse", 7), "token=[secret A]");
        assert_eq!(in_pieces(&finder, b"token=corr", 7), "token=corr");
    }
}
