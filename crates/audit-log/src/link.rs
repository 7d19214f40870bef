//! The links of the chain: the SHA-256 of a line, or its HMAC-SHA-256 if there is a key.

use hmac::{Hmac, KeyInit as _};
use sha2::digest::typenum::U32;
use sha2::digest::{FixedOutput, Update};
use sha2::{Digest as _, Sha256};

/// A link: what the next record carries as `prev`.
pub type Hash = [u8; 32];

/// The `prev` of the very first record.
pub const FIRST: Hash = [0; 32];

/// A line whose link, its last field, is not filled in yet.
#[derive(Clone, Copy, Debug)]
pub struct Unlinked {
    /// The offset of the line.
    pub start: usize,
    /// The offset of its link.
    pub link: usize,
    /// The offset of its newline.
    pub end: usize,
}

/// SHA-256 or its HMAC.
trait Hasher: Update + FixedOutput<OutputSize = U32> + Clone {}

impl<T: Update + FixedOutput<OutputSize = U32> + Clone> Hasher for T {}

fn link(mut hasher: impl Hasher, bytes: &[u8]) -> Hash {
    hasher.update(bytes);
    hasher.finalize_fixed().into()
}

/// Nearly all of a line can be hashed before its link is known. Two lines are hashed side by side, block by block: each
/// SHA-256 instruction of one line waits for the one before, and meanwhile the processor works on the other line.
fn connect<H: Hasher>(fresh: &H, out: &mut [u8], lines: &[Unlinked], last: &mut Hash) {
    for pair in lines.chunks(2) {
        let mut hashers = [fresh.clone(), fresh.clone()];
        let [first, second] = &mut hashers;
        let blocks = |line: &Unlinked| out[line.start..line.link].as_chunks::<BLOCK>().0;
        let (a, b) = (blocks(&pair[0]), pair.get(1).map_or(&[][..], blocks));
        for (block, other) in a.iter().zip(b) {
            first.update(block);
            second.update(other);
        }
        let done = a.len().min(b.len()) * BLOCK;
        for (line, hasher) in pair.iter().zip(hashers) {
            if let Some(place) = out[line.link..].first_chunk_mut() {
                *place = hex_of(last);
            }
            *last = link(hasher, &out[line.start + done..line.end]);
        }
    }
}

/// The block size of SHA-256 in bytes.
const BLOCK: usize = 64;

/// The key of a keyed chain. Prints as `Key(***)`.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// The shortest key that is accepted, in bytes.
    pub const MIN: usize = 16;

    /// A key of at least [`Key::MIN`] bytes; `None` when it is shorter.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < Self::MIN {
            return None;
        }
        // An HMAC accepts a key of any length.
        Hmac::new_from_slice(bytes).ok().map(Self)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(***)")
    }
}

/// How links are made.
#[derive(Clone, Debug, Default)]
pub struct Link(Option<Key>);

impl Link {
    /// HMAC if there is a key, else SHA-256.
    pub fn new(key: Option<Key>) -> Self {
        Self(key)
    }

    /// Whether there is a key.
    pub fn is_keyed(&self) -> bool {
        self.0.is_some()
    }

    /// The link over `bytes`.
    pub fn of(&self, bytes: &[u8]) -> Hash {
        match &self.0 {
            None => link(Sha256::new(), bytes),
            Some(Key(key)) => link(key.clone(), bytes),
        }
    }

    /// Fills in the links of consecutive lines of `out`. The first one links to `last`, which is then set to the link
    /// of the last line.
    pub fn connect(&self, out: &mut [u8], lines: &[Unlinked], last: &mut Hash) {
        match &self.0 {
            None => connect(&Sha256::new(), out, lines, last),
            Some(Key(key)) => connect(key, out, lines, last),
        }
    }

    /// Covers `hash` so that only the key uncovers it, or uncovers it. `nonce` must be another one for each hash.
    pub fn cover(&self, nonce: &str, hash: &Hash) -> Hash {
        let mut covered = self.of(format!("tcs-audit cover\n{nonce}").as_bytes());
        covered.iter_mut().zip(hash).for_each(|(byte, with)| *byte ^= with);
        covered
    }

    /// A short checksum of `text`, which differs for each `purpose`.
    pub fn check(&self, purpose: &str, text: &str) -> String {
        let hash = self.of(format!("tcs-audit {purpose}\n{text}").as_bytes());
        hex(&hash[..16])
    }

    /// The name of the method, with the key's fingerprint: `sha256` or `hmac-sha256:0123456789abcdef`.
    pub fn method(&self) -> String {
        match &self.0 {
            None => "sha256".to_owned(),
            Some(_) => format!("hmac-sha256:{}", &self.check("key", "")[..16]),
        }
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// `hash` as 64 hexadecimal digits. Computes the digits without a table, so that the compiler can vectorise it.
fn hex_of(hash: &Hash) -> [u8; 64] {
    let digit = |nibble: u8| nibble + b'0' + u8::from(nibble > 9) * (b'a' - b'0' - 10);
    let mut text = [0; 64];
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(hash) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    text
}

/// `bytes` as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads 64 lower-case hexadecimal digits; anything else is `None`, so that a hash has one spelling.
pub fn parse_hex(text: &[u8]) -> Option<Hash> {
    let mut hash = FIRST;
    let mut wrong = text.len() != 64;
    for (pair, byte) in text.chunks_exact(2).zip(&mut hash) {
        let (high, low) = (nibble(pair[0]), nibble(pair[1]));
        wrong |= (high | low) > 15;
        *byte = (high << 4) | (low & 15);
    }
    (!wrong).then_some(hash)
}

/// The value of a digit; above 15 if it is not a lower-case hexadecimal digit.
fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => 0x80,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_one_spelling() {
        let hash = Link::default().of(b"line");
        let text = hex(&hash);
        assert_eq!(parse_hex(text.as_bytes()), Some(hash));
        assert_eq!(parse_hex(text.to_uppercase().as_bytes()), None);
        assert_eq!(parse_hex(&text.as_bytes()[1..]), None);
        assert_eq!(hex(&Link::default().of(b""))[..16], *"e3b0c44298fc1c14");
    }

    /// The first case of RFC 4231, and of NIST's examples for SHA-256.
    #[test]
    fn links_are_sha_256_and_hmac_sha_256() {
        let keyed = Link::new(Key::new(&[0x0b; 20]));
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(hex(&keyed.of(b"Hi There")), expected);
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&Link::default().of(b"abc")), expected);
    }

    #[test]
    fn a_covered_hash_is_uncovered_by_its_key_and_nonce_only() {
        let link = |key: &[u8]| Link::new(Key::new(key));
        let (hash, key) = (Link::default().of(b"line"), link(&[1; 16]));
        let covered = key.cover("nonce", &hash);
        assert_ne!(covered, hash);
        assert_eq!(key.cover("nonce", &covered), hash);
        assert_ne!(key.cover("another", &covered), hash);
        assert_ne!(link(&[2; 16]).cover("nonce", &covered), hash);
    }

    #[test]
    fn a_key_changes_every_link_and_never_prints() {
        let key = Key::new(b"0123456789abcdef").expect("long enough");
        assert_eq!(format!("{key:?}"), "Key(***)");
        let (keyed, plain) = (Link::new(Some(key)), Link::default());
        assert_ne!(keyed.of(b"line"), plain.of(b"line"));
        assert!(keyed.method().starts_with("hmac-sha256:"));
        assert!(Key::new(b"short").is_none());
    }
}
