//! The ways in which a value is written where it leaks, and the values that are too ordinary to look for.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secret::value::SecretValue;
use zeroize::Zeroizing;

/// Values with fewer characters are not looked for: they stand in too much text that is no leak.
pub const LEAST_CHARACTERS: usize = 8;
/// Lines of a value with several lines are looked for by themselves from this length on.
const LEAST_LINE: usize = 16;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As it is.
    Plain,
    /// As part of a JSON string, once or twice escaped.
    Json,
    /// Percent-encoded, in one of the sets of characters in use.
    Url,
    /// As part of base64 text, standard or URL-safe, at any of the three alignments.
    Base64,
    /// One line of a value with several lines.
    Line,
}

impl Form {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
            Self::Url => "url",
            Self::Base64 => "base64",
            Self::Line => "line",
        }
    }
}

/// Why a value is not looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// It has fewer than [`LEAST_CHARACTERS`] characters.
    Short,
    /// It is a common word, or almost all of it is one character.
    WellKnown,
}

impl LeftOut {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::WellKnown => "well-known",
        }
    }
}

/// Words that are set as secrets and stand in ordinary text all the same. Lower case.
const WELL_KNOWN: [&str; 49] = [
    "12345678",
    "123456789",
    "1234567890",
    "administrator",
    "application",
    "basic auth",
    "changeit",
    "changeme",
    "client_id",
    "client_secret",
    "database",
    "debug,info",
    "default-value",
    "development",
    "disabled",
    "dynamodb",
    "elasticsearch",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "undefined",
    "http://localhost",
    "https://",
    "internal",
    "localhost",
    "localhost:5432",
    "localhost:6379",
    "not-set",
    "password",
    "password1",
    "password123",
    "passw0rd",
    "placeholder",
    "postgres",
    "postgresql",
    "production",
    "readonly",
    "replaceme",
    "required",
    "root@localhost",
    "secret-key",
    "sqlserver",
    "superuser",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "username",
];

/// Why `value` is not looked for; `None` when it is.
pub fn left_out(value: &str) -> Option<LeftOut> {
    let value = value.trim();
    if value.chars().take(LEAST_CHARACTERS).count() < LEAST_CHARACTERS {
        return Some(LeftOut::Short);
    }
    let mut seen = [None; 2];
    let is_varied = value.chars().any(|character| {
        let known = seen.contains(&Some(character));
        if !known {
            match seen.iter_mut().find(|place| place.is_none()) {
                Some(place) => *place = Some(character),
                None => return true,
            }
        }
        false
    });
    let is_word = WELL_KNOWN.iter().any(|word| value.eq_ignore_ascii_case(word));
    (!is_varied || is_word).then_some(LeftOut::WellKnown)
}

/// One text to look for.
pub(crate) struct Written {
    pub(crate) form: Form,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// Every way in which `value` is written, each once; the first form of equal ones counts.
pub(crate) fn written(value: &SecretValue) -> Vec<Written> {
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: what is looked for; kept in memory that is overwritten")]
    let plain = value.expose();
    let mut all = Vec::new();
    add_all(&mut all, plain);
    // Files and variables end in a line end that the leak does not have.
    let trimmed = plain.trim();
    if trimmed.len() < plain.len() && left_out(trimmed).is_none() {
        add_all(&mut all, trimmed);
    }
    for line in lines(plain) {
        add(&mut all, Form::Line, line.as_bytes().to_vec());
    }
    let mut once: Vec<Written> = Vec::with_capacity(all.len());
    for written in all {
        if written.bytes.len() >= LEAST_CHARACTERS && once.iter().all(|known| known.bytes != written.bytes) {
            once.push(written);
        }
    }
    once
}

fn add(all: &mut Vec<Written>, form: Form, bytes: Vec<u8>) {
    all.push(Written { form, bytes: Zeroizing::new(bytes) });
}

fn add_all(all: &mut Vec<Written>, plain: &str) {
    add(all, Form::Plain, plain.as_bytes().to_vec());
    for ascii in [false, true] {
        let once = json(plain, ascii);
        add(all, Form::Json, json(&once, ascii).as_bytes().to_vec());
        add(all, Form::Json, once.replace('/', "\\/").into_bytes());
        add(all, Form::Json, once.as_bytes().to_vec());
    }
    for set in [COMPONENT, STRICT, USER_INFO, QUERY] {
        for hex in [UPPER, LOWER] {
            let encoded = percent(plain, set, hex);
            add(all, Form::Url, encoded.replace("%20", "+").into_bytes());
            add(all, Form::Url, encoded.into_bytes());
        }
    }
    for offset in 0..3 {
        for url_safe in [false, true] {
            add(all, Form::Base64, base64_at(plain.as_bytes(), offset, url_safe));
        }
    }
}

/// The lines of a value with several lines, without those that say what it is (`-----BEGIN PRIVATE KEY-----`).
fn lines(plain: &str) -> impl Iterator<Item = &str> {
    let several = plain.trim_end().contains('\n');
    plain.lines().map(str::trim).filter(move |line| {
        several && line.len() >= LEAST_LINE && !line.starts_with("-----") && left_out(line).is_none()
    })
}

/// As `JSON.stringify` writes it, without the quotes; `ascii`: as encoders do that write ASCII only.
fn json(plain: &str, ascii: bool) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * plain.len() + 16));
    for character in plain.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            character if character < ' ' || (ascii && !character.is_ascii()) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    text.push_str("\\u");
                    for shift in [12, 8, 4, 0] {
                        text.push(char::from(LOWER[usize::from(*unit >> shift) & 15]));
                    }
                }
            }
            character => text.push(character),
        }
    }
    text
}

const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const LOWER: &[u8; 16] = b"0123456789abcdef";

/// Whether a character stays as it is.
type Set = fn(u8) -> bool;
/// `encodeURIComponent`.
const COMPONENT: Set = |byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
/// RFC 3986's unreserved characters.
const STRICT: Set = |byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
/// The user name and password of a WHATWG URL.
const USER_INFO: Set = |byte| byte.is_ascii_graphic() && !b"\"#<>?`{}/:;=@[\\]^|".contains(&byte);
/// The query of a WHATWG URL, as it is written into its text.
const QUERY: Set = |byte| byte.is_ascii_graphic() && !b"\"#<>'".contains(&byte);

fn percent(plain: &str, stays: Set, hex: &[u8; 16]) -> String {
    let mut text = String::with_capacity(3 * plain.len());
    for byte in plain.bytes() {
        if stays(byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(hex[usize::from(byte >> 4)]));
            text.push(char::from(hex[usize::from(byte & 15)]));
        }
    }
    text
}

/// The characters of base64 text that depend on `plain` alone, when `offset` bytes stand before it in its group of three.
fn base64_at(plain: &[u8], offset: usize, url_safe: bool) -> Vec<u8> {
    let mut padded = Zeroizing::new(vec![0; offset]);
    padded.extend_from_slice(plain);
    let engine = if url_safe { &URL_SAFE_NO_PAD } else { &STANDARD_NO_PAD };
    let encoded = Zeroizing::new(engine.encode(&*padded));
    // Whole groups of 6 bits that lie within the bytes of `plain`.
    let (from, to) = ((8 * offset).div_ceil(6), 8 * padded.len() / 6);
    encoded.as_bytes().get(from..to).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(value: &str) -> Vec<(Form, String)> {
        let value = SecretValue::copied(value);
        let text = |written: &Written| String::from_utf8(written.bytes.to_vec()).unwrap_or_default();
        written(&value).iter().map(|written| (written.form, text(written))).collect()
    }

    fn has(value: &str, form: Form, text: &str) -> bool {
        texts(value).contains(&(form, text.to_owned()))
    }

    #[test]
    fn a_value_is_written_in_all_its_forms() {
        assert!(has("pa\"ss\nword", Form::Json, "pa\\\"ss\\nword"));
        assert!(has("pa\"ss\nword", Form::Json, "pa\\\\\\\"ss\\\\nword"));
        assert!(has("schlüssel", Form::Json, "schl\\u00fcssel"));
        assert!(has("p@ss/wörd", Form::Url, "p%40ss%2Fw%C3%B6rd"));
        assert!(has("p@ss/wörd", Form::Url, "p%40ss%2fw%c3%b6rd"));
        assert!(has("p@ss word", Form::Url, "p%40ss+word"));
        assert!(has("p$ss@word", Form::Url, "p$ss%40word"));
    }

    #[test]
    fn base64_is_known_at_each_alignment() {
        for before in ["", "u", "us", "usr", "user:"] {
            for after in ["", "x", "xy", "xyz"] {
                let text = STANDARD_NO_PAD.encode(format!("{before}correct-horse{after}"));
                let found =
                    texts("correct-horse").iter().any(|(form, part)| *form == Form::Base64 && text.contains(part));
                assert!(found, "{before:?} {after:?}");
            }
        }
    }

    #[test]
    fn each_line_of_a_key_is_known() {
        let key =
            "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEA\n-----END PRIVATE KEY-----\n";
        let lines: Vec<String> =
            texts(key).into_iter().filter(|(form, _)| *form == Form::Line).map(|(_, text)| text).collect();
        assert_eq!(lines, ["MIIEvQIBADANBgkqhkiG9w0B", "AQEFAASCBKcwggSjAgEA"]);
    }

    #[test]
    fn ordinary_values_are_left_out() {
        assert_eq!(left_out("short"), Some(LeftOut::Short));
        assert_eq!(left_out("äöüäöüä"), Some(LeftOut::Short));
        assert_eq!(left_out("        x"), Some(LeftOut::Short));
        assert_eq!(left_out("Postgres"), Some(LeftOut::WellKnown));
        assert_eq!(left_out("----------"), Some(LeftOut::WellKnown));
        assert_eq!(left_out("0101010101"), Some(LeftOut::WellKnown));
        assert_eq!(left_out("correct-horse"), None);
    }
}
