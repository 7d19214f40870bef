//! Signatures of requests: their scope, and the signature itself where the secret key is known.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use hyper::http::request::Parts;
use sha2::{Digest as _, Sha256};

use crate::store::ApiError;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const INVALID: &str = "InvalidSignatureException";

/// What the header `authorization` says.
pub(crate) struct Signed<'a> {
    pub(crate) access_key_id: &'a str,
    date: &'a str,
    pub(crate) region: &'a str,
    service: &'a str,
    end: &'a str,
    headers: &'a str,
    signature: &'a str,
}

impl<'a> Signed<'a> {
    /// Reads `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=…, Signature=…`.
    pub(crate) fn read(authorization: &'a str) -> Option<Self> {
        let parts = authorization.strip_prefix(ALGORITHM)?;
        let part = |name: &str| {
            parts.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
        };
        let mut scope = part("Credential").split('/');
        let mut next = || scope.next().unwrap_or_default();
        let (access_key_id, date, region, service, end) = (next(), next(), next(), next(), next());
        let (headers, signature) = (part("SignedHeaders"), part("Signature"));
        Some(Self { access_key_id, date, region, service, end, headers, signature })
    }

    /// Whether it was made for `service`, at the time that the request names, and with `secret` where that is known.
    ///
    /// # Errors
    /// What AWS says, as
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html> quotes it.
    pub(crate) fn check(
        &self,
        service: &str,
        parts: &Parts,
        body: &[u8],
        secret: Option<&str>,
    ) -> Result<(), ApiError> {
        let refused = |why: String| Err(ApiError(INVALID, why));
        if self.service != service {
            return refused(format!("Credential should be scoped to correct service: '{service}'."));
        }
        if self.end != "aws4_request" {
            return refused("Credential should be scoped with a valid terminator: 'aws4_request'.".into());
        }
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let at = header("x-amz-date");
        if !at.is_empty() && !at.starts_with(self.date) {
            let why = format!("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: {at}.");
            return refused(why);
        }
        let Some(secret) = secret else { return Ok(()) };
        let headers: Vec<String> =
            self.headers.split(';').map(|name| format!("{name}:{}\n", header(name).trim())).collect();
        let query = parts.uri.query().unwrap_or_default();
        let request = format!(
            "{}\n{}\n{query}\n{}\n{}\n{}",
            parts.method,
            parts.uri.path(),
            headers.concat(),
            self.headers,
            hex(&Sha256::digest(body))
        );
        let scope = [self.date, self.region, self.service, self.end].join("/");
        let text = format!("{ALGORITHM}\n{at}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let key = [self.date, self.region, self.service, self.end]
            .iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac_of(&key, part));
        if hex(&hmac_of(&key, &text)) == self.signature {
            return Ok(());
        }
        refused(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and \
             signing method. Consult the service documentation for details."
                .into(),
        )
    }
}

/// HMAC-SHA256 (RFC 2104); keys here are shorter than a block.
fn hmac_of(key: &[u8], text: &str) -> Vec<u8> {
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(byte, of_key)| *byte = *of_key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from_digit(u32::from(digit), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    /// A request of AWS's own test suite for signatures (`get-vanilla`), and its secret key.
    fn vanilla(authorization: &str, secret: &str) -> Result<(), ApiError> {
        let request =
            Request::get("/").header("host", "example.amazonaws.com").header("x-amz-date", "20150830T123600Z");
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        Signed::read(authorization).expect("signed").check("service", &parts, b"", Some(secret))
    }

    #[test]
    fn a_request_of_awss_test_suite_is_signed_right() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let signed = |scope: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}/aws4_request, SignedHeaders=host;x-amz-date, \
                 Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
            )
        };
        let right = signed("20150830/us-east-1/service");
        assert!(vanilla(&right, secret).is_ok());
        assert!(vanilla(&right, "another").is_err());
        for wrong in ["20150830/eu-west-1/service", "20150830/us-east-1/s3", "20150829/us-east-1/service"] {
            assert!(vanilla(&signed(wrong), secret).is_err_and(|error| error.0 == INVALID), "{wrong}");
        }
        assert!(Signed::read("Bearer token").is_none());
    }
}
