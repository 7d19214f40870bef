//! The ways in which a value is written where it leaks, and the values that are too ordinary to look for.

use std::collections::HashSet;

use secret::value::SecretValue;
use zeroize::Zeroizing;

use crate::encodings::{
    COMPONENT, FOR_ATTRIBUTES, FOR_HTML, FOR_SCRIPTS, FORM, FRAGMENT, LOWER, NONE, NOT_ASCII, NOT_PLAIN, PATH, QUERY,
    SEGMENT, STRICT, Stays, UPPER, USER_INFO, WHOLE, WITH_SLASH, base64_at, decimal, decoded, doubled, hexadecimal,
    html, inspected, is_plain, json, members, percent, shell, sql,
};

/// Values with fewer characters are not looked for: they stand in too much text that is no leak.
pub const LEAST_CHARACTERS: usize = 8;
/// Lines of a value with several lines are looked for by themselves from this length on.
const LEAST_LINE: usize = 16;
/// Longer values are looked for in the usual ways only: each way costs memory of their length.
const LONG: usize = 2048;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As it is.
    Plain,
    /// As part of a JSON string, escaped up to three times.
    Json,
    /// Percent-encoded once or twice, in one of the sets of characters in use.
    Url,
    /// In HTML or XML.
    Html,
    /// In the quotes of a shell, of SQL or CSV, or as `util.inspect` and Python show a text.
    Quoted,
    /// As part of base64 text, standard or URL-safe, at any of the three alignments.
    Base64,
    /// In hexadecimal.
    Hex,
    /// As the numbers of its bytes.
    Bytes,
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
            Self::Html => "html",
            Self::Quoted => "quoted",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::Bytes => "bytes",
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
    if value.is_binary()
        && let Some(bytes) = decoded(plain)
    {
        // Services have the bytes (`getToolSecretBytes`), or the text that they are.
        match std::str::from_utf8(&bytes) {
            Ok(text) if left_out(text).is_none() => add_all(&mut all, text),
            _ => {
                add(&mut all, Form::Plain, bytes.to_vec());
                add_bytes(&mut all, &bytes);
            }
        }
    }
    // Files and variables end in a line end that the leak does not have.
    let trimmed = plain.trim();
    if trimmed.len() < plain.len() && left_out(trimmed).is_none() {
        add_all(&mut all, trimmed);
    }
    for line in lines(plain) {
        add(&mut all, Form::Line, line.as_bytes().to_vec());
    }
    let mut seen = HashSet::new();
    let is_kept: Vec<bool> =
        all.iter().map(|written| written.bytes.len() >= LEAST_CHARACTERS && seen.insert(&*written.bytes)).collect();
    let mut is_kept = is_kept.into_iter();
    all.retain(|_| is_kept.next().unwrap_or(false));
    all
}

fn add(all: &mut Vec<Written>, form: Form, bytes: Vec<u8>) {
    all.push(Written { form, bytes: Zeroizing::new(bytes) });
}

/// In every way in which texts are written. Long texts, which are mostly JSON or keys of several lines, in the usual ones.
fn add_all(all: &mut Vec<Written>, plain: &str) {
    add(all, Form::Plain, plain.as_bytes().to_vec());
    add_bytes(all, plain.as_bytes());
    if plain.len() <= LONG {
        add_units(all, plain);
    }
    if plain.bytes().all(is_plain) {
        return;
    }
    for escaped in [NONE, NOT_ASCII] {
        let once = json(plain, escaped, LOWER);
        let twice = json(&once, escaped, LOWER);
        add(all, Form::Json, twice.as_bytes().to_vec());
        add(all, Form::Json, once.replace('/', "\\/").into_bytes());
        add(all, Form::Json, once.as_bytes().to_vec());
    }
    for set in [COMPONENT, STRICT, FORM, USER_INFO, QUERY] {
        add_percent(all, plain, set);
    }
    for quote in [false, true] {
        add(all, Form::Quoted, inspected(plain, quote, UPPER).as_bytes().to_vec());
    }
    if plain.len() <= LONG {
        add_rare(all, plain);
    }
}

fn add_percent(all: &mut Vec<Written>, plain: &str, set: Stays) {
    for hex in [UPPER, LOWER] {
        let encoded = percent(plain, set, hex);
        add(all, Form::Url, encoded.replace("%20", "+").into_bytes());
        add(all, Form::Url, encoded.into_bytes());
    }
}

fn add_rare(all: &mut Vec<Written>, plain: &str) {
    for hex in [UPPER, LOWER] {
        for escaped in [NOT_ASCII, FOR_HTML, FOR_ATTRIBUTES, FOR_SCRIPTS, NOT_PLAIN] {
            let once = json(plain, escaped, hex);
            add(all, Form::Json, json(&once, escaped, hex).as_bytes().to_vec());
            add(all, Form::Json, json(&once, NONE, hex).as_bytes().to_vec());
            add(all, Form::Json, once.as_bytes().to_vec());
        }
    }
    let twice = json(&json(plain, NONE, LOWER), NONE, LOWER);
    add(all, Form::Json, json(&twice, NONE, LOWER).as_bytes().to_vec());
    for set in [PATH, FRAGMENT, WHOLE, SEGMENT, WITH_SLASH] {
        add_percent(all, plain, set);
    }
    for set in [COMPONENT, STRICT, FORM] {
        for hex in [UPPER, LOWER] {
            let once = percent(plain, set, hex);
            add(all, Form::Url, percent(&once, set, hex).into_bytes());
            add(all, Form::Url, percent(&once.replace("%20", "+"), set, hex).into_bytes());
        }
    }
    for text in html(plain) {
        add(all, Form::Html, text.as_bytes().to_vec());
    }
    let doubled = ['\'', '"'].map(|quote| doubled(plain, quote));
    let inspected = [UPPER, LOWER].map(|hex| [false, true].map(|quote| inspected(plain, quote, hex)));
    for text in shell(plain).into_iter().chain(sql(plain)).chain(doubled).chain(inspected.into_iter().flatten()) {
        // Loggers write JSON: a failed statement of a driver, a command that was run.
        add(all, Form::Json, json(&text, NONE, LOWER).as_bytes().to_vec());
        add(all, Form::Quoted, text.as_bytes().to_vec());
    }
}

/// In the ways in which bytes are written.
fn add_bytes(all: &mut Vec<Written>, bytes: &[u8]) {
    for offset in 0..3 {
        for url_safe in [false, true] {
            add(all, Form::Base64, base64_at(bytes, offset, url_safe));
        }
    }
    add_lines(all, bytes);
    add(all, Form::Hex, hexadecimal(bytes, LOWER, "", "").into_bytes());
    if bytes.len() > LONG {
        return;
    }
    add(all, Form::Hex, hexadecimal(bytes, UPPER, "", "").into_bytes());
    for hex in [LOWER, UPPER] {
        // `util.inspect` and `xxd`; OpenSSL; .NET.
        for between in [" ", ":", "-"] {
            add(all, Form::Hex, hexadecimal(bytes, hex, "", between).into_bytes());
        }
        add(all, Form::Url, hexadecimal(bytes, hex, "%", "").into_bytes());
    }
    // Source code; Python, C and shells.
    for (before, between) in [("0x", ", "), ("0x", ","), ("\\x", "")] {
        add(all, Form::Hex, hexadecimal(bytes, LOWER, before, between).into_bytes());
    }
    // `JSON.stringify`; source code and Python; Go.
    for between in [",", ", ", " "] {
        add(all, Form::Bytes, decimal(bytes.iter(), between).into_bytes());
    }
    add(all, Form::Bytes, members(bytes.iter()).into_bytes());
    // `JSON.stringify` with an indent of two, in an object, in one within it, and in a third.
    for between in [",\n  ", ",\n    ", ",\n      ", ",\n        "] {
        add(all, Form::Bytes, decimal(bytes.iter(), between).into_bytes());
    }
}

/// Base64 in lines. The finder goes on behind line ends, once it has seen [`LEAST_LINE`] characters: what is left is a line that ends
/// before, behind which the rest is looked for. Groups of four characters are never broken.
fn add_lines(all: &mut Vec<Written>, bytes: &[u8]) {
    if bytes.len() > LONG {
        // Pieces of a long text may begin anywhere in a line: its own lines, as `openssl` and `base64` break them.
        let whole = Zeroizing::new(base64_at(bytes, 0, false));
        for line in [64, 76].iter().flat_map(|length| whole.chunks(*length)).filter(|line| line.len() >= LEAST_LINE) {
            add(all, Form::Base64, line.to_vec());
        }
        return;
    }
    for offset in 0..3 {
        let text = Zeroizing::new(base64_at(bytes, offset, false));
        // The characters of the first group that depend on other bytes as well.
        let before = (8 * offset).div_ceil(6);
        let rests = (1..).map(|group| 4 * group - before).take_while(|end| *end < LEAST_LINE);
        for rest in rests.filter_map(|end| text.get(end..)).filter(|rest| rest.len() >= LEAST_LINE.min(bytes.len())) {
            add(all, Form::Base64, rest.to_vec());
        }
    }
}

/// As the numbers of its characters, and with each of them escaped. Where all are ASCII the numbers are those of the bytes.
fn add_units(all: &mut Vec<Written>, plain: &str) {
    if !plain.is_ascii() {
        for between in [",", ", ", " "] {
            add(all, Form::Bytes, decimal(plain.encode_utf16(), between).into_bytes());
        }
    }
    add(all, Form::Json, json(plain, |_| true, LOWER).as_bytes().to_vec());
    // PowerShell's `-EncodedCommand` is base64 of UTF-16.
    let wide = Zeroizing::new(plain.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    for offset in 0..3 {
        add(all, Form::Base64, base64_at(&wide, offset, false));
    }
}

/// The lines of a value with several lines, without those that say what it is (`-----BEGIN PRIVATE KEY-----`).
fn lines(plain: &str) -> impl Iterator<Item = &str> {
    let several = plain.trim_end().contains('\n');
    plain.lines().map(str::trim).filter(move |line| {
        several && line.len() >= LEAST_LINE && !line.starts_with("-----") && left_out(line).is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD_NO_PAD;

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
    fn a_value_is_known_by_the_numbers_of_its_bytes() {
        for (form, text) in [
            (Form::Hex, "70:c3:b6:73:73:2d:31:32:33"),
            (Form::Hex, "70-C3-B6-73-73-2D-31-32-33"),
            (Form::Hex, "0x70, 0xc3, 0xb6, 0x73, 0x73, 0x2d, 0x31, 0x32, 0x33"),
            (Form::Hex, "\\x70\\xc3\\xb6\\x73\\x73\\x2d\\x31\\x32\\x33"),
            (Form::Url, "%70%c3%b6%73%73%2d%31%32%33"),
            (Form::Bytes, "112, 195, 182, 115, 115, 45, 49, 50, 51"),
            (Form::Bytes, "112 195 182 115 115 45 49 50 51"),
            (Form::Bytes, "112,246,115,115,45,49,50,51"),
            (Form::Bytes, "\"0\":112,\"1\":195,\"2\":182,\"3\":115,\"4\":115,\"5\":45,\"6\":49,\"7\":50,\"8\":51"),
            (Form::Bytes, "112,\n  195,\n  182,\n  115,\n  115,\n  45,\n  49,\n  50,\n  51"),
            (Form::Json, "\\u0070\\u00f6\\u0073\\u0073\\u002d\\u0031\\u0032\\u0033"),
        ] {
            assert!(has("p\u{f6}ss-123", form, text), "{text}");
        }
        assert!(has("a#\u{fc}/secret", Form::Url, "a#%C3%BC/secret"));
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
    fn drivers_of_databases_and_shells_quote_in_their_own_ways_and_json_quotes_that_again() {
        let value = "Kx93'Qz\\pw\"81\u{1a}LmTa";
        for quoted in [
            // mysql2, mysql_real_escape_string; PHP's addslashes; pg's escapeLiteral; SQL; shells.
            r#"Kx93\'Qz\\pw\"81\ZLmTa"#,
            "Kx93\\'Qz\\\\pw\\\"81\u{1a}LmTa",
            "Kx93''Qz\\\\pw\"81\u{1a}LmTa",
            "Kx93''Qz\\pw\"81\u{1a}LmTa",
            "Kx93'\\''Qz\\pw\"81\u{1a}LmTa",
            "Kx93'\"'\"'Qz\\pw\"81\u{1a}LmTa",
            "Kx93'Qz\\\\pw\\\"81\u{1a}LmTa",
        ] {
            assert!(has(value, Form::Quoted, quoted) || has(value, Form::Json, quoted), "{quoted}");
            let in_json = json(quoted, NONE, LOWER);
            assert!(has(value, Form::Json, &in_json) || has(value, Form::Quoted, &in_json), "{}", *in_json);
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
