//! The secret itself: shared, redacted, wiped.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::json_change::{self, Changes};
use crate::json_field::{self, Unreadable};

/// The most bytes that AWS stores.
const MOST_STORED: usize = 65_536;

/// A secret value. It can be cloned cheaply and never printed.
///
/// All clones share one allocation, which is overwritten when the last of them is dropped. There is no `Display`,
/// no serialization, and `Debug` shows `SecretValue(***)`. The text leaves only through [`SecretValue::expose`],
/// which clippy forbids outside of sites that state why.
#[derive(Clone)]
pub struct SecretValue(Arc<Inner>);

struct Inner {
    text: SecretString,
    /// Decided once, so that the hot path can hand ASCII to V8 as Latin-1 without scanning it again.
    ascii: bool,
    /// The text is the base64 of bytes that AWS holds (decision D10).
    binary: bool,
}

impl SecretValue {
    /// Takes `text` over and wipes its buffer: turning a `String` with spare capacity into a secret in place would
    /// reallocate and leave the old copy behind.
    pub fn new(text: String) -> Self {
        Self::copied(&Zeroizing::new(text))
    }

    /// Copies UTF-8 bytes; `None` when they are not UTF-8.
    pub fn from_utf8(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(Self::copied)
    }

    /// Copies `text`.
    pub fn copied(text: &str) -> Self {
        Self::made(text, false)
    }

    /// Copies `base64`, the text of a secret that AWS holds as bytes.
    pub fn copied_binary(base64: &str) -> Self {
        Self::made(base64, true)
    }

    fn made(text: &str, binary: bool) -> Self {
        // Byte by byte: `str::is_ascii`, not optimised, leaves 64 of them at a time on the stack.
        let ascii = text.bytes().all(|byte| byte.is_ascii());
        Self(Arc::new(Inner { ascii, binary, text: SecretString::from(Box::<str>::from(text)) }))
    }

    /// The plaintext. Each use is a place where a secret could leak, so each one states its reason.
    pub fn expose(&self) -> &str {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: the one door; its own callers are checked in turn")]
        self.0.text.expose_secret()
    }

    /// The field `name` of a JSON object, as a secret (decision D16); `None` when it is missing, `null` or empty.
    ///
    /// # Errors
    /// When this is no JSON object, or the field no Unicode text.
    pub fn field(&self, name: &str) -> Result<Option<Self>, Unreadable> {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: a part of it becomes another secret")]
        let text = self.expose();
        let Some(field) = json_field::find(text, name)? else { return Ok(None) };
        Ok(field.value(text)?.map(|value| Self::copied(&value)))
    }

    /// The JSON object with `value` as its field `name`; every other byte stays.
    ///
    /// # Errors
    /// When this is no JSON object.
    pub fn with_field(&self, name: &str, value: &Self) -> Result<Self, Unreadable> {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: both become a part of another secret")]
        let changed = json_field::with_field(self.expose(), name, value.expose())?;
        Ok(Self::copied(&changed))
    }

    /// The JSON object without its field `name`; `None` when it has none.
    ///
    /// # Errors
    /// When this is no JSON object.
    pub fn without_field(&self, name: &str) -> Result<Option<Self>, Unreadable> {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: a part of it becomes another secret")]
        let left = json_change::without_field(self.expose(), name)?;
        Ok(left.map(|left| Self::copied(&left)))
    }

    /// The names of the fields in which `after` differs; `None` where one of the two is no JSON object.
    pub fn changes(&self, after: &Self) -> Option<Changes> {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: only names of fields are taken")]
        json_change::changes(self.expose(), after.expose()).ok()
    }

    /// The keys of a JSON object, in their order.
    ///
    /// # Errors
    /// When this is no JSON object.
    pub fn keys(&self) -> Result<Vec<String>, Unreadable> {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: only its keys are taken")]
        json_field::keys(self.expose())
    }

    /// Whether every byte is ASCII.
    pub fn is_ascii(&self) -> bool {
        self.0.ascii
    }

    /// Whether AWS holds it as bytes. Its text is their base64 then.
    pub fn is_binary(&self) -> bool {
        self.0.binary
    }

    /// Whether there is no text at all. An empty secret counts as absent (decision D4).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both are one text, or the same bytes. A text that looks like the base64 of bytes is another secret than the bytes.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.binary == other.0.binary && self == other
    }

    /// Why AWS would not store it, for its length.
    pub fn too_long(&self) -> Option<String> {
        let bytes = self.stored_len();
        (bytes > MOST_STORED).then(|| format!("its value would have {bytes} bytes, AWS stores {MOST_STORED}"))
    }

    /// How many bytes AWS stores: those of the text, or those that the base64 stands for.
    pub fn stored_len(&self) -> usize {
        if !self.0.binary {
            return self.len();
        }
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: only the padding is counted")]
        let padding = self.expose().bytes().rev().take_while(|byte| *byte == b'=').count();
        (self.len() / 4 * 3).saturating_sub(padding)
    }

    /// Length in bytes of UTF-8.
    pub fn len(&self) -> usize {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: only the length is taken")]
        self.expose().len()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(***)")
    }
}

/// Constant in time for values of one length; the length itself is not hidden.
impl PartialEq for SecretValue {
    fn eq(&self, other: &Self) -> bool {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: compared in constant time, nothing is kept")]
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl Eq for SecretValue {}

#[cfg(test)]
mod tests {
    use super::*;

    static_assertions::assert_not_impl_any!(SecretValue: std::fmt::Display, serde::Serialize, Copy);

    #[test]
    fn debug_output_never_shows_the_value() {
        let value = SecretValue::copied("canary-4711");
        assert!(!format!("{value:?} {:?}", Some(&value)).contains("canary"));
    }

    #[test]
    fn equality_is_by_content() {
        assert_eq!(SecretValue::copied("a"), SecretValue::new("a".to_owned()));
        assert_ne!(SecretValue::copied("a"), SecretValue::copied("b"));
        assert_ne!(SecretValue::copied("a"), SecretValue::copied("aa"));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        assert!(SecretValue::from_utf8(&[0xff, 0xfe]).is_none());
        assert!(SecretValue::from_utf8(b"a\0b").is_some());
    }

    #[test]
    fn a_text_that_looks_like_bytes_is_another_secret() {
        let (text, bytes) = (SecretValue::copied("/wD+"), SecretValue::copied_binary("/wD+"));
        assert!(bytes.is_same(&bytes.clone()) && !bytes.is_same(&text));
        assert_eq!((text.stored_len(), bytes.stored_len()), (4, 3));
        assert_eq!(SecretValue::copied_binary("/w==").stored_len(), 1);
        assert_eq!(SecretValue::copied_binary("").stored_len(), 0);
    }

    #[test]
    fn ascii_is_known_without_another_scan() {
        assert!(SecretValue::copied("plain").is_ascii());
        assert!(!SecretValue::copied("schlüssel").is_ascii());
    }
}
