//! Certificates in the text of a bundle. What is no certificate is left out and counted: one bad entry must not take the
//! others away.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";
/// OpenSSL's form with trust settings behind the certificate.
const BEGIN_TRUSTED: &[u8] = b"-----BEGIN TRUSTED CERTIFICATE-----";

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The certificates of a bundle.
#[derive(Debug, Default)]
pub struct Certificates {
    /// Each once, in their order.
    pub good: Vec<CertificateDer<'static>>,
    /// Entries that are no certificates that can be trusted, by their position from 1 on.
    pub bad: Vec<usize>,
}

/// Reads a bundle: PEM, or one certificate as DER. `X509 CERTIFICATE` is the label of old.
pub fn certificates(bytes: &[u8]) -> Certificates {
    let relabelled = find(bytes, b"-----BEGIN X509 ").map(|_| relabelled(bytes));
    let bytes = relabelled.as_deref().unwrap_or(bytes);
    let mut found = Certificates::default();
    let (mut rest, mut number, mut seen) = (bytes, 0, HashSet::new());
    while let Some(begin) = find(rest, BEGIN) {
        number += 1;
        let body = &rest[begin + BEGIN.len()..];
        // An entry whose end is missing ends where the next one begins.
        let next = find(body, BEGIN).unwrap_or(body.len());
        let end = find(&body[..next], END).unwrap_or(next);
        match decoded(&body[..end]).filter(|der| can_be_trusted(der)) {
            Some(der) if seen.insert(der.clone()) => found.good.push(CertificateDer::from(der)),
            Some(_) => {}
            None => found.bad.push(number),
        }
        rest = &body[end..];
    }
    if number == 0 && can_be_trusted(bytes) {
        found.good.push(CertificateDer::from(bytes.to_vec()));
    }
    found
}

/// Why a bundle that has no certificate has none.
pub fn why_none(bytes: &[u8], found: &Certificates) -> &'static str {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        "it is empty"
    } else if !found.bad.is_empty() {
        "none of its certificates can be read"
    } else if find(bytes, BEGIN_TRUSTED).is_some() {
        "it has certificates in OpenSSL's TRUSTED form only"
    } else if find(bytes, b"-----BEGIN ").is_some() {
        "it has no certificate (but other things in PEM form)"
    } else {
        "it has no certificate in PEM form"
    }
}

/// Certificates as PEM text.
pub fn text_of<'a>(certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>) -> Vec<u8> {
    let mut text = Vec::new();
    for certificate in certificates {
        text.extend_from_slice(BEGIN);
        text.push(b'\n');
        for line in STANDARD.encode(certificate).as_bytes().chunks(64) {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        text.extend_from_slice(END);
        text.push(b'\n');
    }
    text
}

/// With today's label.
fn relabelled(bytes: &[u8]) -> Vec<u8> {
    const OLD: &[u8] = b" X509 CERTIFICATE-----";
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = find(rest, OLD) {
        text.extend_from_slice(&rest[..at]);
        text.extend_from_slice(b" CERTIFICATE-----");
        rest = &rest[at + OLD.len()..];
    }
    text.extend_from_slice(rest);
    text
}

fn decoded(body: &[u8]) -> Option<Vec<u8>> {
    let packed: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    LENIENT.decode(packed).ok().filter(|der| !der.is_empty())
}

fn can_be_trusted(der: &[u8]) -> bool {
    RootCertStore::empty().add(CertificateDer::from(der)).is_ok()
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| *byte == what[0]) {
        if text[from + at..].starts_with(what) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use webpki_root_certs::TLS_SERVER_ROOT_CERTS as MOZILLAS;

    fn two() -> (Vec<u8>, Vec<u8>) {
        (text_of([&MOZILLAS[0]]), text_of([&MOZILLAS[1]]))
    }

    #[test]
    fn a_bad_entry_takes_no_good_one_away() {
        let (first, second) = two();
        for bad in ["AAAAAA==", "!!! not base64 !!!", ""] {
            let bad = format!("-----BEGIN CERTIFICATE-----\n{bad}\n-----END CERTIFICATE-----\n").into_bytes();
            let found = certificates(&[first.clone(), bad, second.clone()].concat());
            assert_eq!((found.good.len(), found.bad), (2, vec![2]));
        }
    }

    #[test]
    fn lenient_where_the_meaning_is_clear() {
        let (first, second) = two();
        let joined = [first.trim_ascii_end(), &second].concat();
        assert_eq!(certificates(&joined).good.len(), 2, "no line end between two");
        let crlf = String::from_utf8(first.clone()).expect("text").replace('\n', "\r\n");
        assert_eq!(certificates(crlf.as_bytes()).good.len(), 1);
        assert_eq!(certificates(&MOZILLAS[0]).good.len(), 1, "DER");
        assert_eq!(certificates(&first.repeat(3)).good.len(), 1, "each once");
        let cut = [&first[..first.len() - 30], &second].concat();
        assert_eq!(certificates(&cut).good.last(), Some(&MOZILLAS[1]));
    }

    #[test]
    fn what_has_none_says_why() {
        let why = |bytes: &[u8]| why_none(bytes, &certificates(bytes));
        assert_eq!(why(b" \n"), "it is empty");
        assert_eq!(why(b"garbage"), "it has no certificate in PEM form");
        assert_eq!(why(b"-----BEGIN PRIVATE KEY-----\n"), "it has no certificate (but other things in PEM form)");
        assert_eq!(why(b"-----BEGIN CERTIFICATE-----\nAA==\n"), "none of its certificates can be read");
        assert_eq!(why(&vec![0xff; 1 << 20]), "it has no certificate in PEM form");
    }
}
