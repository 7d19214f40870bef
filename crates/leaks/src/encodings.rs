//! How programs write a text where some of its characters mean something else: JSON, URLs, HTML, shells, source code, bytes.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

pub(crate) const UPPER: &[u8; 16] = b"0123456789ABCDEF";
pub(crate) const LOWER: &[u8; 16] = b"0123456789abcdef";

fn digit(hex: &[u8; 16], value: u32) -> char {
    char::from(hex[(value & 15) as usize])
}

/// `plain` with every character for which `write` returns `true` replaced by what `write` wrote.
fn mapped(plain: &str, write: impl Fn(char, &mut String) -> bool) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * plain.len() + 16));
    for character in plain.chars() {
        if !write(character, &mut text) {
            text.push(character);
        }
    }
    text
}

/// `plain` with the replacements of a table.
fn replaced(plain: &str, table: &[(char, &str)]) -> Zeroizing<String> {
    mapped(plain, |character, text| {
        let found = table.iter().find(|(from, _)| *from == character);
        found.inspect(|(_, to)| text.push_str(to)).is_some()
    })
}

/// Which characters an encoder of JSON writes as `\u....` although it need not.
pub(crate) type Escaped = fn(char) -> bool;
/// `JSON.stringify`.
pub(crate) const NONE: Escaped = |_| false;
/// Encoders that write ASCII only, such as Python's.
pub(crate) const NOT_ASCII: Escaped = |character| !(' '..='~').contains(&character);
/// Go, Rails: what HTML would read.
pub(crate) const FOR_HTML: Escaped = |character| "<>&\u{2028}\u{2029}".contains(character);
/// Gson.
pub(crate) const FOR_ATTRIBUTES: Escaped = |character| "<>&='\u{2028}\u{2029}".contains(character);
/// .NET, and PHP with all of its `JSON_HEX_` options.
pub(crate) const FOR_SCRIPTS: Escaped = |character| "\"&'+<>`".contains(character) || NOT_ASCII(character);
/// Encoders that trust letters and digits only.
pub(crate) const NOT_PLAIN: Escaped = |character| u8::try_from(character).map_or(true, |byte| !is_plain(byte));

/// Whether every program writes a character of a text as it is.
pub(crate) fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

/// As part of a JSON string, without the quotes.
pub(crate) fn json(plain: &str, escaped: Escaped, hex: &[u8; 16]) -> Zeroizing<String> {
    mapped(plain, |character, text| {
        let short = match character {
            character if escaped(character) && !NOT_ASCII(character) => None,
            '"' => Some("\\\""),
            '\\' => Some("\\\\"),
            '\n' => Some("\\n"),
            '\r' => Some("\\r"),
            '\t' => Some("\\t"),
            '\u{8}' => Some("\\b"),
            '\u{c}' => Some("\\f"),
            _ => None,
        };
        if let Some(short) = short {
            text.push_str(short);
        } else if character < ' ' || escaped(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                text.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    text.push(digit(hex, u32::from(*unit) >> shift));
                }
            }
        } else {
            return false;
        }
        true
    })
}

/// Whether a byte stays as it is in a URL.
pub(crate) type Stays = fn(u8) -> bool;
/// `encodeURIComponent`.
pub(crate) const COMPONENT: Stays = |byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
/// RFC 3986's unreserved characters.
pub(crate) const STRICT: Stays = |byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
/// Forms (`URLSearchParams`, Java).
pub(crate) const FORM: Stays = |byte| byte.is_ascii_alphanumeric() || b"*-._".contains(&byte);
/// The user name and password of a WHATWG URL.
pub(crate) const USER_INFO: Stays = |byte| byte.is_ascii_graphic() && !b"\"#<>?`{}/:;=@[\\]^|".contains(&byte);
/// The query of a WHATWG URL, as it is written into its text.
pub(crate) const QUERY: Stays = |byte| byte.is_ascii_graphic() && !b"\"#<>'".contains(&byte);
/// The fragment of a WHATWG URL.
pub(crate) const FRAGMENT: Stays = |byte| byte.is_ascii_graphic() && !b"\"<>`".contains(&byte);
/// The path of a WHATWG URL.
pub(crate) const PATH: Stays = |byte| byte.is_ascii_graphic() && !b"\"#<>?`{}".contains(&byte);
/// `encodeURI`.
pub(crate) const WHOLE: Stays = |byte| COMPONENT(byte) || b";,/?:@&=+$#".contains(&byte);
/// A segment of a path, as Go writes it.
pub(crate) const SEGMENT: Stays = |byte| STRICT(byte) || b"$&+=:@".contains(&byte);
/// Python's `quote`.
pub(crate) const WITH_SLASH: Stays = |byte| STRICT(byte) || byte == b'/';

/// Percent-encoded.
pub(crate) fn percent(plain: &str, stays: Stays, hex: &[u8; 16]) -> String {
    let mut text = String::with_capacity(3 * plain.len());
    for byte in plain.bytes() {
        if stays(byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(digit(hex, u32::from(byte) >> 4));
            text.push(digit(hex, u32::from(byte)));
        }
    }
    text
}

const TEXT: [(char, &str); 3] = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;")];
/// What else escapers of HTML and XML replace, each in its own way.
const HTML: [&[(char, &str)]; 9] = [
    &[],
    &[('"', "&quot;")],
    &[('"', "&quot;"), ('\'', "&#39;")],
    &[('"', "&quot;"), ('\'', "&#x27;")],
    &[('"', "&quot;"), ('\'', "&apos;")],
    &[('"', "&#34;"), ('\'', "&#39;")],
    &[('"', "&quot;"), ('\'', "&#39;"), ('`', "&#96;")],
    &[('"', "&quot;"), ('\'', "&#x27;"), ('`', "&#x60;"), ('=', "&#x3D;")],
    &[('"', "&quot;"), ('\'', "&#39;"), ('/', "&#x2F;"), ('`', "&#x60;"), ('=', "&#x3D;")],
];

/// In HTML and XML, in the ways that are in use.
pub(crate) fn html(plain: &str) -> impl Iterator<Item = Zeroizing<String>> {
    HTML.iter().map(|more| replaced(plain, &[&TEXT, *more].concat()))
}

/// Within the quotes of a POSIX shell, behind its backslashes, and as bash shows what has control characters (`$'…'`).
pub(crate) fn shell(plain: &str) -> [Zeroizing<String>; 7] {
    const DOUBLE: [(char, &str); 4] = [('\\', "\\\\"), ('"', "\\\""), ('$', "\\$"), ('`', "\\`")];
    let backslashes = |stays: &'static str| {
        mapped(plain, move |character, text| {
            if character.is_ascii_graphic() && !character.is_ascii_alphanumeric() && !stays.contains(character)
                || character == ' '
            {
                text.push('\\');
            }
            false
        })
    };
    [
        replaced(plain, &[('\'', "'\\''")]),
        replaced(plain, &[('\'', "'\"'\"'")]),
        replaced(plain, &DOUBLE),
        replaced(plain, &[DOUBLE.as_slice(), &[('!', "\\!")]].concat()),
        backslashes("%+-./:=@_"),
        backslashes("%+-./:=@_#~"),
        mapped(plain, |character, text| {
            let short = match character {
                '\'' | '\\' => Some(character),
                '\u{7}' => Some('a'),
                '\u{8}' => Some('b'),
                '\t' => Some('t'),
                '\n' => Some('n'),
                '\u{b}' => Some('v'),
                '\u{c}' => Some('f'),
                '\r' => Some('r'),
                '\u{1b}' => Some('E'),
                _ => None,
            };
            match short {
                Some(short) => text.extend(['\\', short]),
                None if character.is_ascii_control() => {
                    text.push('\\');
                    for shift in [6, 3, 0] {
                        text.push(digit(LOWER, (u32::from(character) >> shift) & 7));
                    }
                }
                None => return false,
            }
            true
        }),
    ]
}

/// As part of a text in single or other quotes, as `util.inspect` (`hex` in upper case) and Python's `repr` show it.
pub(crate) fn inspected(plain: &str, quote: bool, hex: &[u8; 16]) -> Zeroizing<String> {
    let is_node = hex == UPPER;
    mapped(plain, |character, text| {
        match character {
            '\'' if quote => text.push_str("\\'"),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' if is_node => text.push_str("\\b"),
            '\u{c}' if is_node => text.push_str("\\f"),
            '\0'..' ' | '\u{7f}'..'\u{a0}' => {
                text.push_str("\\x");
                text.push(digit(hex, u32::from(character) >> 4));
                text.push(digit(hex, u32::from(character)));
            }
            _ => return false,
        }
        true
    })
}

/// As drivers of databases write it between single quotes, where a backslash means something: mysql2 and `MySQL`'s own client library;
/// PHP's `addslashes`; pg and libpq (`E'…'`).
pub(crate) fn sql(plain: &str) -> [Zeroizing<String>; 3] {
    const SLASHES: [(char, &str); 4] = [('\\', "\\\\"), ('"', "\\\""), ('\'', "\\'"), ('\0', "\\0")];
    const CONTROL: [(char, &str); 6] =
        [('\n', "\\n"), ('\r', "\\r"), ('\t', "\\t"), ('\u{8}', "\\b"), ('\u{1a}', "\\Z"), ('\0', "\\0")];
    [
        replaced(plain, &[SLASHES.as_slice(), &CONTROL].concat()),
        replaced(plain, &SLASHES),
        replaced(plain, &[('\'', "''"), ('\\', "\\\\")]),
    ]
}

/// With quotes that are doubled, as in SQL and CSV.
pub(crate) fn doubled(plain: &str, quote: char) -> Zeroizing<String> {
    mapped(plain, |character, text| {
        if character == quote {
            text.push(quote);
        }
        false
    })
}

/// Bytes in hexadecimal, each behind `before`, with `between` between them.
pub(crate) fn hexadecimal(bytes: &[u8], hex: &[u8; 16], before: &str, between: &str) -> String {
    let mut text = String::with_capacity((2 + before.len() + between.len()) * bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        text.push_str(if at > 0 { between } else { "" });
        text.push_str(before);
        text.push(digit(hex, u32::from(*byte) >> 4));
        text.push(digit(hex, u32::from(*byte)));
    }
    text
}

/// Numbers in decimal, with `between` between them: bytes, or the code units of a text.
pub(crate) fn decimal<N: ToString>(numbers: impl Iterator<Item = N>, between: &str) -> String {
    let mut text = String::with_capacity((3 + between.len()) * numbers.size_hint().0);
    for (at, number) in numbers.enumerate() {
        text.push_str(if at > 0 { between } else { "" });
        text.push_str(&number.to_string());
    }
    text
}

/// The members of the JSON object that a `Uint8Array` becomes.
pub(crate) fn members<N: ToString>(numbers: impl Iterator<Item = N>) -> String {
    let mut text = String::with_capacity(9 * numbers.size_hint().0);
    for (at, number) in numbers.enumerate() {
        text.push_str(if at > 0 { "," } else { "" });
        text.extend(["\"", &at.to_string(), "\":", &number.to_string()]);
    }
    text
}

/// The characters of base64 text that depend on `bytes` alone, when `offset` bytes stand before it in its group of three.
pub(crate) fn base64_at(bytes: &[u8], offset: usize, url_safe: bool) -> Vec<u8> {
    let mut padded = Zeroizing::new(vec![0; offset]);
    padded.extend_from_slice(bytes);
    let engine = if url_safe { &URL_SAFE_NO_PAD } else { &STANDARD_NO_PAD };
    let encoded = Zeroizing::new(engine.encode(&*padded));
    // Whole groups of 6 bits that lie within the bytes of `plain`.
    let (from, to) = ((8 * offset).div_ceil(6), 8 * padded.len() / 6);
    encoded.as_bytes().get(from..to).unwrap_or_default().to_vec()
}

/// The bytes of a base64 text, with or without its end.
pub(crate) fn decoded(base64: &str) -> Option<Zeroizing<Vec<u8>>> {
    STANDARD_NO_PAD.decode(base64.trim_end_matches('=')).ok().map(Zeroizing::new)
}
