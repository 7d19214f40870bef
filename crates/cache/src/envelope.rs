//! How a value looks in the shared cache: versioned, encrypted, bound to its place.
//!
//! ```text
//! sealed  1 | key id length | key id | nonce (12) | AES-256-GCM(contents) + tag (16)
//! plain   0 | contents
//! contents  fetched at (u64, ms since 1970) | fresh for (u64, ms) | version id length | version id | value
//! ```
//!
//! The value of a secret that AWS holds as bytes is their base64 text, and its version id ends in `#bytes`: version 0.1.0, which
//! does not know that, reads the text all the same.
//!
//! The additional data of the seal is the format, the environment, the AWS id and the key id, so an envelope moved to
//! another key, another secret or another environment does not open.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use smallvec::SmallVec;
use zeroize::Zeroizing;

use crate::settings::EncryptionKey;
use secret::error::{ErrorCode, Result, SecretError};
use secret::value::SecretValue;

const PLAIN: u8 = 0;
const SEALED: u8 = 1;
const CONTEXT: &[u8] = b"tcs-secret-delivery/envelope/1";
/// The longest version id that is kept; AWS's own are at most 64 characters.
const MAX_VERSION_ID: usize = 255 - BYTES.len();
/// Stands behind the version id where the value is the base64 text of bytes.
const BYTES: &str = "#bytes";

/// On the stack, with ids of the usual length.
type AdditionalData = SmallVec<[u8; 256]>;

/// What an envelope holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The secret.
    pub value: SecretValue,
    /// AWS's version id.
    pub version_id: Option<Arc<str>>,
    /// When AWS was asked for it, in milliseconds since 1970: in the shared cache by Redis's clock, in the snapshot by this
    /// machine's.
    pub fetched_unix_ms: u64,
    /// How long it is fresh from then, in milliseconds.
    pub fresh_for_ms: u64,
}

/// Seals and opens envelopes of one environment.
pub struct Envelopes {
    environment: &'static str,
    keys: Vec<(String, LessSafeKey)>,
}

impl Envelopes {
    /// The first key seals, any opens. Without keys envelopes are plain.
    ///
    /// # Errors
    /// `ENCRYPTION_KEY_INVALID`.
    pub fn new(environment: &'static str, keys: &[EncryptionKey]) -> Result<Self> {
        let keys = keys
            .iter()
            .map(|key| {
                UnboundKey::new(&AES_256_GCM, key.key.as_ref())
                    .map(|unbound| (key.id.clone(), LessSafeKey::new(unbound)))
                    .map_err(|_| {
                        SecretError::new(
                            ErrorCode::EncryptionKeyInvalid,
                            format!("cache key '{}' is not an AES-256 key", key.id),
                        )
                    })
            })
            .collect::<Result<_>>()?;
        Ok(Self { environment, keys })
    }

    /// Makes the envelope of the secret with AWS id `id`.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE` when the machine gives no random numbers or the cipher fails.
    pub fn seal(&self, id: &str, contents: &Contents) -> Result<Vec<u8>> {
        let mut body = encode(contents);
        let Some((key_id, key)) = self.keys.first() else {
            let mut envelope = Vec::with_capacity(1 + body.len());
            envelope.push(PLAIN);
            envelope.extend_from_slice(&body);
            return Ok(envelope);
        };
        let failed = || SecretError::new(ErrorCode::CacheUnavailable, format!("{id}: could not be encrypted"));
        let mut nonce = [0u8; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| failed())?;
        let aad = Aad::from(self.additional_data(id, key_id.as_bytes()));
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, body.as_mut_slice())
            .map_err(|_| failed())?;
        let mut envelope = Vec::with_capacity(2 + key_id.len() + NONCE_LEN + body.len() + tag.as_ref().len());
        envelope.push(SEALED);
        envelope.push(u8::try_from(key_id.len()).map_err(|_| failed())?);
        envelope.extend_from_slice(key_id.as_bytes());
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(&body);
        envelope.extend_from_slice(tag.as_ref());
        Ok(envelope)
    }

    /// Opens the envelope found where the secret with AWS id `id` belongs.
    ///
    /// # Errors
    /// `CACHE_ENTRY_CORRUPT`: truncated, foreign, of an unknown key, tampered with, or plain where keys are set (so
    /// that write access to Redis is not enough to plant a value).
    pub fn open(&self, id: &str, envelope: &[u8]) -> Result<Contents> {
        self.open_in_place(id, &mut Zeroizing::new(envelope.to_vec()))
    }

    /// [`Envelopes::open`] without a copy: afterwards the plain value stands in `envelope`, which is the caller's to wipe.
    ///
    /// # Errors
    /// As [`Envelopes::open`].
    pub fn open_in_place(&self, id: &str, envelope: &mut [u8]) -> Result<Contents> {
        let corrupt = |why: &str| {
            SecretError::new(ErrorCode::CacheEntryCorrupt, format!("{id}: the shared cache entry {why}; it is ignored"))
        };
        match envelope.split_first_mut() {
            Some((&mut PLAIN, body)) if self.keys.is_empty() => decode(body).ok_or_else(|| corrupt("is malformed")),
            Some((&mut PLAIN, _)) => Err(corrupt("is not encrypted although keys are set")),
            Some((&mut SEALED, rest)) => {
                let truncated = || corrupt("is truncated");
                let (length, rest) = rest.split_first_mut().ok_or_else(truncated)?;
                let (key_id, rest) = rest.split_at_mut_checked(usize::from(*length)).ok_or_else(truncated)?;
                let (_, key) = self
                    .keys
                    .iter()
                    .find(|(known, _)| known.as_bytes() == &*key_id)
                    .ok_or_else(|| corrupt("was encrypted with a key that is not configured"))?;
                let (nonce, body) = rest.split_first_chunk_mut::<NONCE_LEN>().ok_or_else(truncated)?;
                let aad = Aad::from(self.additional_data(id, key_id));
                let opened = key
                    .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, body)
                    .map_err(|_| corrupt("does not decrypt (tampered with, or of another secret)"))?;
                decode(opened).ok_or_else(|| corrupt("is malformed"))
            }
            _ => Err(corrupt("is of an unknown format")),
        }
    }

    fn additional_data(&self, id: &str, key_id: &[u8]) -> AdditionalData {
        let mut data = AdditionalData::new();
        for part in [CONTEXT, self.environment.as_bytes(), id.as_bytes()] {
            data.extend_from_slice(part);
            // No part can hold a NUL, so the parts cannot be shifted against each other.
            data.push(0);
        }
        data.extend_from_slice(key_id);
        data
    }
}

fn encode(contents: &Contents) -> Zeroizing<Vec<u8>> {
    let version = contents.version_id.as_deref().filter(|v| v.len() <= MAX_VERSION_ID).unwrap_or_default();
    let mark = if contents.value.is_binary() { BYTES } else { "" };
    let length = version.len() + mark.len();
    let mut body = Zeroizing::new(Vec::with_capacity(17 + length + contents.value.len()));
    body.extend_from_slice(&contents.fetched_unix_ms.to_be_bytes());
    body.extend_from_slice(&contents.fresh_for_ms.to_be_bytes());
    // At most 255, see `MAX_VERSION_ID`.
    body.push(u8::try_from(length).unwrap_or(u8::MAX));
    body.extend_from_slice(version.as_bytes());
    body.extend_from_slice(mark.as_bytes());
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: about to be encrypted; the buffer is wiped")]
    body.extend_from_slice(contents.value.expose().as_bytes());
    body
}

fn decode(body: &[u8]) -> Option<Contents> {
    let (fetched, rest) = body.split_first_chunk::<8>()?;
    let (fresh_for, rest) = rest.split_first_chunk::<8>()?;
    let (version, value) = split_prefixed(rest)?;
    let version = std::str::from_utf8(version).ok()?;
    let value = std::str::from_utf8(value).ok()?;
    let (version, value) = match version.strip_suffix(BYTES) {
        Some(version) => (version, SecretValue::copied_binary(value)),
        None => (version, SecretValue::copied(value)),
    };
    Some(Contents {
        value,
        version_id: Some(version).filter(|v| !v.is_empty()).map(Arc::from),
        fetched_unix_ms: u64::from_be_bytes(*fetched),
        fresh_for_ms: u64::from_be_bytes(*fresh_for),
    })
}

/// One length byte and as many bytes.
fn split_prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, fill: u8) -> EncryptionKey {
        EncryptionKey { id: id.into(), key: Zeroizing::new([fill; 32]) }
    }

    fn contents() -> Contents {
        Contents {
            value: SecretValue::copied("canary-värde\0end"),
            version_id: Some("v-1".into()),
            fetched_unix_ms: 1_767_225_600_000,
            fresh_for_ms: 300_000,
        }
    }

    fn envelopes(environment: &'static str, keys: &[EncryptionKey]) -> Envelopes {
        Envelopes::new(environment, keys).expect("keys")
    }

    #[test]
    fn what_was_sealed_opens_and_is_not_readable() {
        let e = envelopes("production", &[key("k1", 1)]);
        let sealed = e.seal("A_production", &contents()).expect("sealed");
        assert_eq!(e.open("A_production", &sealed).expect("opened"), contents());
        assert!(!sealed.windows(6).any(|w| w == b"canary"));
        assert_ne!(sealed, e.seal("A_production", &contents()).expect("again"), "nonces differ");
    }

    #[test]
    fn bytes_stay_bytes_and_a_text_stays_a_text() {
        let envelopes = envelopes("test", &[key("k1", 1)]);
        for version_id in [None, Some("v-1".into()), Some("v".repeat(249).into())] {
            for value in [SecretValue::copied("/wA="), SecretValue::copied_binary("/wA=")] {
                let is_binary = value.is_binary();
                let contents = Contents { value, version_id: version_id.clone(), ..contents() };
                let opened = envelopes.open("A", &envelopes.seal("A", &contents).expect("sealed")).expect("opened");
                assert_eq!((opened.value.is_binary(), &opened), (is_binary, &contents));
            }
        }
    }

    #[test]
    fn an_envelope_of_another_secret_or_environment_does_not_open() {
        let sealed = envelopes("production", &[key("k1", 1)]).seal("A_production", &contents()).expect("sealed");
        for (environment, id) in [("production", "B_production"), ("staging", "A_production")] {
            let error = envelopes(environment, &[key("k1", 1)]).open(id, &sealed).expect_err("foreign");
            assert_eq!(error.code(), ErrorCode::CacheEntryCorrupt);
        }
    }

    #[test]
    fn any_configured_key_opens_and_an_unknown_one_does_not() {
        let old = envelopes("test", &[key("old", 1)]).seal("A", &contents()).expect("sealed");
        assert!(envelopes("test", &[key("new", 2), key("old", 1)]).open("A", &old).is_ok());
        assert!(envelopes("test", &[key("new", 2)]).open("A", &old).is_err());
        assert!(envelopes("test", &[key("old", 9)]).open("A", &old).is_err(), "same id, other key");
    }

    #[test]
    fn a_plain_envelope_is_refused_where_keys_are_set() {
        let plain = envelopes("test", &[]).seal("A", &contents()).expect("plain");
        assert_eq!(envelopes("test", &[]).open("A", &plain).expect("opened"), contents());
        assert!(envelopes("test", &[key("k", 1)]).open("A", &plain).is_err());
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_is_refused() {
        let e = envelopes("test", &[key("k1", 1)]);
        let sealed = e.seal("A", &contents()).expect("sealed");
        for end in 0..sealed.len() {
            assert!(e.open("A", &sealed[..end]).is_err(), "cut at {end}");
        }
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 0x40;
            assert!(e.open("A", &flipped).is_err(), "flipped at {at}");
        }
    }
}
