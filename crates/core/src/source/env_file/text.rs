//! The bytes of an env file as text: UTF-8, or UTF-16 as PowerShell writes it.

use std::borrow::Cow;
use std::io;

use secret::value::SecretValue;
use zeroize::Zeroizing;

/// What stands for bytes that are no UTF-8.
const FOREIGN: char = char::REPLACEMENT_CHARACTER;

/// A file's text.
pub(super) struct Decoded<'a> {
    pub(super) text: Text<'a>,
    /// Whether some of its bytes are no UTF-8, such as those of a comment in Latin-1.
    has_foreign: bool,
}

/// Wiped when it was made.
pub(super) enum Text<'a> {
    Given(&'a str),
    Made(Zeroizing<String>),
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Given(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl Decoded<'_> {
    /// Whether a value has bytes that are no UTF-8: it would be another one than the file has.
    pub(super) fn is_foreign(&self, value: &SecretValue) -> bool {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: looked through, nothing is kept")]
        let text = value.expose();
        self.has_foreign && text.contains(FOREIGN)
    }

    /// The first line that begins with `name`.
    pub(super) fn line_of(&self, name: &str) -> Option<usize> {
        let begins = |line: &str| {
            let line = line.trim_start();
            line.strip_prefix("export ").unwrap_or(line).trim_start().starts_with(name)
        };
        self.text.lines().position(begins).map(|at| at + 1)
    }
}

/// Whether bytes begin with UTF-16's byte order mark.
pub(super) fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..])
}

/// Reads UTF-8, and UTF-16 with a byte order mark.
///
/// # Errors
/// When it is UTF-16 without a mark, or broken.
pub(super) fn decoded(bytes: &[u8]) -> io::Result<Decoded<'_>> {
    let units: Option<fn([u8; 2]) -> u16> = match bytes {
        [0xff, 0xfe, ..] => Some(u16::from_le_bytes),
        [0xfe, 0xff, ..] => Some(u16::from_be_bytes),
        _ => None,
    };
    if let Some(unit) = units {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
        for character in char::decode_utf16(pairs.iter().skip(1).map(|pair| unit(*pair))) {
            text.push(character.map_err(|_| io::Error::other("it is UTF-16 and broken; save it as UTF-8"))?);
        }
        if !rest.is_empty() {
            return Err(io::Error::other("it is UTF-16 and ends in half a character; save it as UTF-8"));
        }
        return Ok(Decoded { text: Text::Made(text), has_foreign: false });
    }
    if bytes.iter().take(64).filter(|byte| **byte == 0).count() > 1 {
        return Err(io::Error::other("it is UTF-16 without a byte order mark, or binary; save it as UTF-8"));
    }
    Ok(match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => Decoded { text: Text::Given(text), has_foreign: false },
        Cow::Owned(text) => Decoded { text: Text::Made(Zeroizing::new(text)), has_foreign: true },
    })
}
