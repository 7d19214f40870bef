//! Finds one field of a JSON secret and replaces it, byte for byte.
//!
//! A parser would lose what it does not need: `12345678901234567890123` becomes a rounded number, one of two equal keys
//! disappears, `\u00e9` becomes `é`, the layout is gone. Here the text is only scanned. [`find`] gives the bytes that a
//! field's value takes up, [`Field::with_text`] replaces them, and every other byte stays as it was (decision D18).
//!
//! ```
//! # use tcs_secret_delivery_secret::json_field::{Kind, find};
//! let secret = r#"{ "user": "app", "password": "old", "id": 12345678901234567890123 }"#;
//! let field = find(secret, "password")?.expect("it has the field");
//! assert_eq!((field.raw(secret), field.kind()), (r#""old""#, Kind::Text));
//! let changed = field.with_text(secret, "n\"ew");
//! assert_eq!(*changed, r#"{ "user": "app", "password": "n\"ew", "id": 12345678901234567890123 }"#);
//! # Ok::<(), tcs_secret_delivery_secret::json_field::Unreadable>(())
//! ```
//!
//! # Which field
//! The key that is exactly the field's name; else the name is a path of keys with dots between them. The same rule holds
//! in each object on the path, so `a.b.c` is also the key `b.c` of the object `a`. An element of an array cannot be
//! named. Keys are compared as they read, escapes decoded. Of equal keys in one object the last one counts, as with
//! `JSON.parse`.
//!
//! # Limits
//! - A text of up to [`MAX_BYTES`], which is AWS's limit for a secret. A longer one is [`Unreadable::TooLong`].
//! - Any depth: the open objects and arrays are kept in a list, a byte each, and nothing is recursive.
//! - A name of up to [`MAX_NAME_BYTES`]: each dot may cost another scan of a part of the text. A longer name is not found.
//! - What `JSON.parse` refuses is refused: comments, trailing commas, a byte order mark, text after the object.
//! - A string with half a surrogate pair (`"\ud800"`) is valid JSON and no Unicode text: [`decode`] gives `None` for it, and the
//!   value of such a field is [`Unreadable::NoText`].
//!
//! Results of this module hold parts of the secret where the type is `Zeroizing` or `&str`. [`Field`] and
//! [`Unreadable`] hold none and may be printed.

use std::ops::Range;

use zeroize::Zeroizing;

/// AWS's limit for the text of a secret.
pub const MAX_BYTES: usize = 65_536;
/// The longest name of a field, dots included.
pub const MAX_NAME_BYTES: usize = 1024;

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// `null`.
    Null,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// Where the value of a field stands in the text that [`find`] was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    span: Range<usize>,
    kind: Kind,
}

/// Why a text has no fields. Names no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no JSON object: no JSON at all, or another value.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// It begins with a byte order mark, as editors and PowerShell write it. No JSON parser of JavaScript reads that.
    #[error("it begins with a byte order mark, which JSON has not: write it without")]
    ByteOrderMark,
    /// It has more than [`MAX_BYTES`].
    #[error("it is longer than {} bytes", MAX_BYTES)]
    TooLong,
    /// It is a string with half a surrogate pair, which is no Unicode text.
    #[error("its text has half of a surrogate pair, which is no character")]
    NoText,
}

/// The field `name` of the JSON object `text`; `None` when it has no such field. A field whose value is `null` is found.
///
/// # Errors
/// [`Unreadable`], when `text` is not a JSON object.
pub fn find(text: &str, name: &str) -> Result<Option<Field>, Unreadable> {
    let whole = object(text)?;
    if name.len() > MAX_NAME_BYTES {
        return Ok(None);
    }
    let (mut within, mut path) = (whole, name);
    loop {
        let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
        let (mut exact, mut first) = (None, None);
        let mut members = Members::of(text, within.start);
        while let Some((key, value)) = members.next()? {
            if is_key(&text[key.clone()], path) {
                exact = Some(value);
            } else if rest.is_some() && is_key(&text[key], head) {
                first = Some(value);
            }
        }
        match (exact, first, rest) {
            (Some(field), ..) => return Ok(Some(field)),
            (None, Some(Field { span, kind: Kind::Object }), Some(rest)) => (within, path) = (span, rest),
            _ => return Ok(None),
        }
    }
}

/// `text` with `value` as its field `name`: in place of the field that is there, else behind the last one of the object that
/// the name's path leads to. Every other byte stays. A number or a truth value stays one, where `value` reads as such.
///
/// # Errors
/// [`Unreadable`], when `text` is not a JSON object.
pub fn with_field(text: &str, name: &str, value: &str) -> Result<Zeroizing<String>, Unreadable> {
    if let Some(field) = find(text, name)? {
        let stays = matches!(field.kind, Kind::Number | Kind::Boolean) && is_number_or_truth(value);
        return Ok(if stays { field.with_raw(text, value) } else { field.with_text(text, value) });
    }
    if let Some((head, rest)) = name.split_once('.')
        && let Some(inner) = find(text, head)?
        && inner.kind == Kind::Object
    {
        let changed = with_field(inner.raw(text), rest, value)?;
        return Ok(inner.with_raw(text, &changed));
    }
    let whole = object(text)?;
    let is_empty = text.as_bytes().get(after_space(text.as_bytes(), whole.start + 1)) == Some(&b'}');
    let inside = text.get(..whole.end - 1).unwrap_or_default();
    // Behind the last value, before the layout that leads to the brace.
    let behind = if is_empty { inside } else { inside.trim_end_matches([' ', '\t', '\n', '\r']) };
    let (key, value) = (encode(name), encode(value));
    let comma = if is_empty { "" } else { "," };
    let rest = text.get(behind.len()..).unwrap_or_default();
    let length = text.len() + key.len() + value.len() + 2;
    let mut changed = Zeroizing::new(String::with_capacity(length));
    for part in [behind, comma, &key, ":", &value, rest] {
        changed.push_str(part);
    }
    Ok(changed)
}

fn is_number_or_truth(value: &str) -> bool {
    matches!(value, "true" | "false") || number_end(value.as_bytes(), 0) == Ok(value.len())
}

/// The keys of the object `text` itself, decoded, in their order; equal ones more than once. Keys that are no Unicode
/// text are left out.
///
/// # Errors
/// [`Unreadable`], when `text` is not a JSON object.
pub fn keys(text: &str) -> Result<Vec<String>, Unreadable> {
    let (mut members, mut keys) = (Members::of(text, object(text)?.start), Vec::new());
    while let Some((key, _)) = members.next()? {
        keys.extend(decode(&text[key]).map(|key| key.as_str().to_owned()));
    }
    Ok(keys)
}

impl Field {
    /// The bytes that the value takes up, the quotes of a string included.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What the value is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The value as it is written.
    pub fn raw<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.span.clone()).unwrap_or_default()
    }

    /// The value as a secret (decision D16): a string as the text that it stands for, anything else as it is written,
    /// digit for digit. `None` for `null` and for `""`.
    ///
    /// # Errors
    /// [`Unreadable::NoText`]: it is there and cannot be delivered, which is not the same as missing.
    pub fn value(&self, text: &str) -> Result<Option<Zeroizing<String>>, Unreadable> {
        let value = match self.kind {
            Kind::Null => return Ok(None),
            Kind::Text => decode(self.raw(text)).ok_or(Unreadable::NoText)?,
            _ => Zeroizing::new(self.raw(text).to_owned()),
        };
        Ok((!value.is_empty()).then_some(value))
    }

    /// `text` with the string `new` in this field's place.
    pub fn with_text(&self, text: &str, new: &str) -> Zeroizing<String> {
        self.with_raw(text, &encode(new))
    }

    /// `text` with the JSON text `raw` in this field's place. The caller answers for `raw`.
    pub fn with_raw(&self, text: &str, raw: &str) -> Zeroizing<String> {
        let (before, after) = (text.get(..self.span.start), text.get(self.span.end..));
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        let mut changed = Zeroizing::new(String::with_capacity(before.len() + raw.len() + after.len()));
        for part in [before, raw, after] {
            changed.push_str(part);
        }
        changed
    }
}

/// The text that a JSON string stands for, which is given with its quotes. `None` when it is no JSON string, or when it
/// holds half a surrogate pair.
pub fn decode(literal: &str) -> Option<Zeroizing<String>> {
    if string_end(literal.as_bytes(), 0) != Ok(literal.len()) {
        return None;
    }
    let inner = &literal[1..literal.len() - 1];
    // The text is never longer than its literal, so the buffer does not move and leave a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(inner.len()));
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let (character, length) = unescape(escaped)?;
        text.push(character);
        rest = &escaped[length..];
    }
    text.push_str(rest);
    Some(text)
}

/// `text` as a JSON string with its quotes. Escapes what JSON demands and nothing else.
pub fn encode(text: &str) -> Zeroizing<String> {
    let longest = text.bytes().map(|byte| if byte < 0x20 { 6 } else { 2 }).sum::<usize>();
    let mut literal = Zeroizing::new(String::with_capacity(longest + 2));
    literal.push('"');
    for character in text.chars() {
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            '\u{0}'..'\u{20}' => {
                literal.push_str("\\u00");
                for digit in [u32::from(character) >> 4, u32::from(character) & 15] {
                    literal.extend(char::from_digit(digit, 16));
                }
            }
            _ => literal.push(character),
        }
    }
    literal.push('"');
    literal
}

/// The character that an escape stands for, and how many bytes it has after the backslash.
fn unescape(escaped: &str) -> Option<(char, usize)> {
    let character = match escaped.as_bytes().first()? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'u' => return unicode(escaped),
        plain => char::from(*plain),
    };
    Some((character, 1))
}

/// `uXXXX`, or two of them that are one character.
fn unicode(escaped: &str) -> Option<(char, usize)> {
    let unit = |text: &str| u16::from_str_radix(text.get(1..5)?, 16).ok();
    let first = unit(escaped)?;
    let second = escaped.get(5..).and_then(|rest| rest.strip_prefix('\\')).filter(|rest| rest.starts_with('u'));
    let units = [Some(first), second.and_then(unit)];
    let is_half = (0xd800..0xdc00).contains(&first);
    let character = char::decode_utf16(units.into_iter().flatten()).next()?.ok()?;
    Some((character, if is_half { 11 } else { 5 }))
}

/// Whether the JSON string `literal` reads as `name`.
fn is_key(literal: &str, name: &str) -> bool {
    if literal.contains('\\') {
        return decode(literal).is_some_and(|key| *key == name);
    }
    literal.len() == name.len() + 2 && literal[1..literal.len() - 1] == *name
}

/// Where the object that `text` is begins and ends.
pub(crate) fn object(text: &str) -> Result<Range<usize>, Unreadable> {
    let bytes = text.as_bytes();
    if bytes.len() > MAX_BYTES {
        return Err(Unreadable::TooLong);
    }
    if text.starts_with('\u{feff}') {
        return Err(Unreadable::ByteOrderMark);
    }
    let start = after_space(bytes, 0);
    let end = value_end(bytes, start)?;
    if bytes.get(start) == Some(&b'{') && after_space(bytes, end) == bytes.len() {
        return Ok(start..end);
    }
    Err(Unreadable::NotAnObject)
}

/// The members of one object: where each key stands, with its quotes, and each value.
pub(crate) struct Members<'a> {
    bytes: &'a [u8],
    /// Behind the brace or the comma before the next member; at the closing brace when there is none.
    at: usize,
}

impl<'a> Members<'a> {
    /// Those of the object that begins at `start`.
    pub(crate) fn of(text: &'a str, start: usize) -> Self {
        Self { bytes: text.as_bytes(), at: start + 1 }
    }

    pub(crate) fn next(&mut self) -> Result<Option<(Range<usize>, Field)>, Unreadable> {
        let start = after_space(self.bytes, self.at);
        if self.bytes.get(start) == Some(&b'}') {
            return Ok(None);
        }
        let key = start..string_end(self.bytes, start)?;
        let value = after_space(self.bytes, after_colon(self.bytes, key.end)?);
        let end = value_end(self.bytes, value)?;
        let kind = match self.bytes.get(value) {
            Some(b'"') => Kind::Text,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        };
        self.at = after_space(self.bytes, end);
        if self.bytes.get(self.at) == Some(&b',') {
            self.at += 1;
        }
        Ok(Some((key, Field { span: value..end, kind })))
    }
}

/// The end of the value that begins at `at`, whatever is in it.
fn value_end(bytes: &[u8], mut at: usize) -> Result<usize, Unreadable> {
    // What is open: `{` or `[`.
    let mut open: Vec<u8> = Vec::new();
    loop {
        at = after_space(bytes, at);
        match bytes.get(at) {
            Some(opening @ (b'{' | b'[')) => {
                let inside = after_space(bytes, at + 1);
                if bytes.get(inside) == Some(&closing(*opening)) {
                    at = inside + 1;
                } else {
                    open.push(*opening);
                    at = if *opening == b'{' { after_key(bytes, inside)? } else { inside };
                    continue;
                }
            }
            Some(b'"') => at = string_end(bytes, at)?,
            Some(b'-' | b'0'..=b'9') => at = number_end(bytes, at)?,
            Some(b't') => at = word_end(bytes, at, b"true")?,
            Some(b'f') => at = word_end(bytes, at, b"false")?,
            Some(b'n') => at = word_end(bytes, at, b"null")?,
            _ => return Err(Unreadable::NotAnObject),
        }
        // A value has ended: what it is in may end as well, or go on.
        loop {
            let Some(opening) = open.last().copied() else { return Ok(at) };
            at = after_space(bytes, at);
            match bytes.get(at) {
                Some(b',') => {
                    at = if opening == b'{' { after_key(bytes, after_space(bytes, at + 1))? } else { at + 1 };
                    break;
                }
                Some(byte) if *byte == closing(opening) => {
                    open.pop();
                    at += 1;
                }
                _ => return Err(Unreadable::NotAnObject),
            }
        }
    }
}

const fn closing(opening: u8) -> u8 {
    if opening == b'{' { b'}' } else { b']' }
}

fn after_space(bytes: &[u8], at: usize) -> usize {
    let space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    at + bytes.iter().skip(at).take_while(space).count()
}

fn after_key(bytes: &[u8], at: usize) -> Result<usize, Unreadable> {
    after_colon(bytes, string_end(bytes, at)?)
}

fn after_colon(bytes: &[u8], at: usize) -> Result<usize, Unreadable> {
    let colon = after_space(bytes, at);
    if bytes.get(colon) == Some(&b':') { Ok(colon + 1) } else { Err(Unreadable::NotAnObject) }
}

fn word_end(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Unreadable> {
    let end = at + word.len();
    if bytes.get(at..end) == Some(word) { Ok(end) } else { Err(Unreadable::NotAnObject) }
}

fn string_end(bytes: &[u8], start: usize) -> Result<usize, Unreadable> {
    if bytes.get(start) != Some(&b'"') {
        return Err(Unreadable::NotAnObject);
    }
    let mut at = start + 1;
    loop {
        at += match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                Some(b'u') if bytes.get(at + 2..at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => 6,
                _ => return Err(Unreadable::NotAnObject),
            },
            Some(0x20..) => 1,
            _ => return Err(Unreadable::NotAnObject),
        };
    }
}

fn number_end(bytes: &[u8], start: usize) -> Result<usize, Unreadable> {
    let digits = |at: usize| bytes.iter().skip(at).take_while(|byte| byte.is_ascii_digit()).count();
    let some_digits = |at: usize| match digits(at) {
        0 => Err(Unreadable::NotAnObject),
        count => Ok(at + count),
    };
    let whole = start + usize::from(bytes.get(start) == Some(&b'-'));
    let mut at = if bytes.get(whole) == Some(&b'0') { whole + 1 } else { some_digits(whole)? };
    if bytes.get(at) == Some(&b'.') {
        at = some_digits(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = some_digits(at + 1 + sign)?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests;
