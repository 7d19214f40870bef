//! npm `dotenv`'s grammar, value for value (decision D8).
//!
//! dotenv 18 is one regular expression and four string operations. JavaScript's `\s`, `\w` and `.` differ from the
//! regex crate's, so they are spelled out here. The single known difference left: JavaScript's `^` and `$` also see
//! U+2028 and U+2029 as line ends.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use zeroize::Zeroizing;

use secret::value::SecretValue;

/// JavaScript's `\s`.
const SPACE: &str = r"[\t\n\x0B\x0C\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}]";

static LINE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = concat!(
        r"(?m)^\s*(?:export\s+)?([A-Za-z0-9_.\-]+)(?:\s*=\s*?|:\s+?)",
        r#"(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?"#,
        r"\s*(?:#[^\n\r\u{2028}\u{2029}]*)?$",
    )
    .replace(r"\s", SPACE);
    #[expect(clippy::expect_used, reason = "a constant pattern, compiled by every test of this file")]
    Regex::new(&pattern).expect("the grammar is a valid pattern")
});

/// A parsed file: assignments in order (a later duplicate wins) and the lines that are neither assignment nor comment.
pub struct Parsed {
    /// Name and value, in the file's order.
    pub assignments: Vec<(String, SecretValue)>,
    /// The whole lines of each assignment, line end included, as bytes of the text that was given.
    pub lines: Vec<Range<usize>>,
    /// One-based numbers of lines that dotenv skips.
    pub skipped_lines: Vec<usize>,
}

/// Parses `text` as dotenv does.
pub fn parse(text: &str) -> Parsed {
    let original = text;
    let normalized;
    let text = if text.contains('\r') {
        normalized = Zeroizing::new(text.replace("\r\n", "\n").replace('\r', "\n"));
        normalized.as_str()
    } else {
        text
    };
    let mut parsed = Parsed { assignments: Vec::new(), lines: Vec::new(), skipped_lines: Vec::new() };
    let pairs = Pairs::of(original);
    let mut lines = LineCounter { text, at: 0, line: 1 };
    for found in LINE.captures_iter(text) {
        let (Some(whole), Some(name)) = (found.get(0), found.get(1)) else { continue };
        lines.skip_to(whole.start(), &mut parsed.skipped_lines);
        lines.pass_over(whole.end());
        let raw = found.get(2).map_or("", |value| value.as_str());
        parsed.assignments.push((name.as_str().to_owned(), value(raw)));
        // White space at both ends of a match may reach over other lines, and its comment may be theirs.
        let before = whole.as_str().len() - whole.as_str().trim_start_matches(is_js_space).len();
        // Without a value the lines end with the separator, which may stand on a line of its own.
        let separator = || name.end() + text[name.end()..].find(['=', ':']).map_or(0, |at| at + 1);
        let end = found.get(2).map_or_else(separator, |value| value.end());
        parsed.lines.push(pairs.original(whole_lines(text, whole.start() + before, end)));
    }
    lines.skip_to(text.len(), &mut parsed.skipped_lines);
    parsed
}

/// The lines that `start..end` touches, the last line end included. A byte order mark belongs to no line.
fn whole_lines(text: &str, start: usize, end: usize) -> Range<usize> {
    let first = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let first = if text[first..].starts_with('\u{FEFF}') { first + '\u{FEFF}'.len_utf8() } else { first };
    first..text[end..].find('\n').map_or(text.len(), |at| end + at + 1)
}

/// Where CRLF became LF: a place in the text that was parsed, back to the one in the text that was given.
struct Pairs(Vec<usize>);

impl Pairs {
    fn of(original: &str) -> Self {
        Self(original.match_indices("\r\n").enumerate().map(|(before, (at, _))| at - before).collect())
    }

    fn original(&self, range: Range<usize>) -> Range<usize> {
        let moved = |at: usize| at + self.0.partition_point(|pair| *pair < at);
        moved(range.start)..moved(range.end)
    }
}

fn value(raw: &str) -> SecretValue {
    let trimmed = raw.trim_matches(is_js_space);
    let unquoted = match trimmed.as_bytes() {
        [first @ (b'\'' | b'"' | b'`'), .., last] if first == last => &trimmed[1..trimmed.len() - 1],
        _ => trimmed,
    };
    if trimmed.starts_with('"') && unquoted.contains('\\') {
        return SecretValue::new(unquoted.replace("\\n", "\n").replace("\\r", "\r"));
    }
    SecretValue::copied(unquoted)
}

fn is_js_space(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ' | '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{2028}' | '\u{2029}'
        | '\u{202F}' | '\u{205F}' | '\u{3000}' | '\u{FEFF}')
}

/// Walks the text once and keeps count of lines.
struct LineCounter<'text> {
    text: &'text str,
    at: usize,
    line: usize,
}

impl LineCounter<'_> {
    /// Notes the lines between here and `end` that hold something other than space or a comment.
    fn skip_to(&mut self, end: usize, skipped: &mut Vec<usize>) {
        if end <= self.at {
            return;
        }
        for (offset, line) in self.text[self.at..end].split('\n').enumerate() {
            let line = line.trim_matches(is_js_space);
            if !line.is_empty() && !line.starts_with('#') {
                skipped.push(self.line + offset);
            }
        }
        self.pass_over(end);
    }

    fn pass_over(&mut self, end: usize) {
        self.line += self.text[self.at..end].bytes().filter(|b| *b == b'\n').count();
        self.at = end;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "EXPOSE: parsed test values are compared in the clear")]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).assignments.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect()
    }

    fn one(text: &str) -> String {
        let mut pairs = pairs(text);
        assert_eq!(pairs.len(), 1, "{text:?}");
        pairs.remove(0).1
    }

    #[test]
    fn values_keep_what_dotenv_keeps() {
        for (line, expected) in [
            ("A=basic", "basic"),
            ("A= spaced out  ", "spaced out"),
            ("A=", ""),
            ("A=''", ""),
            ("A=pa$$word", "pa$$word"),
            ("A=$2b$10$abc", "$2b$10$abc"),
            ("A=$HOME", "$HOME"),
            ("A=one two", "one two"),
            ("A = 1 ", "1"),
            ("\u{feff}A=bom", "bom"),
            ("A=`back 'tick'`", "back 'tick'"),
            ("my-key=1", "1"),
            ("A=schlüssel", "schlüssel"),
            ("A=abc#def", "abc"),
            ("A='abc#def' # note", "abc#def"),
            (r#"A="a\nb""#, "a\nb"),
            (r"A='a\nb'", r"a\nb"),
            (r#"A="a\tb""#, r"a\tb"),
            (r#"A="say "hi" now""#, r#"say "hi" now"#),
            ("A: yaml", "yaml"),
            ("export A=x", "x"),
            ("A=\"-----BEGIN\nMIIE\n-----END\"", "-----BEGIN\nMIIE\n-----END"),
            ("A='x", "'x"),
            ("A=a=b==", "a=b=="),
        ] {
            assert_eq!(one(line), expected, "{line:?}");
        }
    }

    #[test]
    fn the_last_duplicate_comes_last() {
        assert_eq!(pairs("A=1\nA=2"), [("A".into(), "1".into()), ("A".into(), "2".into())]);
    }

    #[test]
    fn crlf_and_lone_cr_are_line_ends() {
        assert_eq!(pairs("A=1\r\nB=2\rC=3").len(), 3);
    }

    #[test]
    fn skipped_lines_are_named_by_number() {
        let parsed = parse("# comment\nA=1\nnot an assignment\n\nB='x\ny'\n=nothing\n  # more\nC=3");
        assert_eq!(parsed.assignments.len(), 3);
        assert_eq!(parsed.skipped_lines, [3, 7]);
    }

    #[test]
    fn a_mebibyte_is_parsed_without_pathological_time() {
        let text = "SOME_NAME=some value that is not very long # with a comment\n".repeat(18_000);
        assert!(text.len() > 1024 * 1024);
        assert_eq!(parse(&text).assignments.len(), 18_000);
    }
}
