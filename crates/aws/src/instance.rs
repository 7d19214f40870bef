//! What EC2's metadata service answers, before AWS's SDK reads it. The SDK makes a URL of the role and a date of the token's life, and
//! panics where they are none; another server may listen at that address.
//!
//! - <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use network::Cause;
use url::Url;
use zeroize::Zeroizing;

/// Where a token is given.
const TOKEN: &str = "/latest/api/token";
/// Where the roles of an instance are listed: one, or it is not found.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const REGION: &str = "/latest/meta-data/placement/region";
/// How long a token lives, in seconds.
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// The longest life of a token, for which the SDK asks.
const LONGEST_TTL: u64 = 21_600;
/// The longest line that is used: a role has 64 characters, a token 56.
const LONGEST_LINE: usize = 2048;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// A token.
    Token,
    /// The role of the instance.
    Role,
    /// The credentials of the role.
    Credentials,
    /// The region of the instance.
    Region,
}

impl Question {
    /// What `request` asks, where it is one for the metadata service.
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        let url = Url::parse(request.uri()).ok()?;
        match url.path() {
            path if path.ends_with(TOKEN) => Some(Self::Token),
            path if path.ends_with(ROLES) => Some(Self::Role),
            path if path.ends_with(REGION) => Some(Self::Region),
            path if path.contains(ROLES) => Some(Self::Credentials),
            _ => None,
        }
    }

    /// `response` as the SDK can read it. One that is no success is the SDK's to judge.
    ///
    /// # Errors
    /// What answered is no metadata service, or its answer ended early.
    pub(crate) async fn checked(self, mut response: HttpResponse) -> Result<HttpResponse, NotRead> {
        if !response.status().is_success() {
            return Ok(response);
        }
        let body = ByteStream::new(response.take_body()).collect().await;
        let body = Zeroizing::new(body.map_err(|error| NotRead::Ended(ConnectorError::io(error.into())))?.to_vec());
        let line = line(&body);
        let kept: &[u8] = match self {
            Self::Token => line.filter(|line| line.iter().all(|byte| matches!(byte, b' '..=b'~' | 0x80..))),
            Self::Role => line.filter(|line| line.iter().all(|byte| is_of_role(*byte))),
            Self::Region => line.filter(|line| line.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')),
            Self::Credentials => Some(&**body).filter(|body| body.trim_ascii().starts_with(b"{")),
        }
        .ok_or(NotRead::Another(self))?;
        // The SDK compares it with what it reads.
        response.headers_mut().insert("content-length", kept.len().to_string());
        *response.body_mut() = SdkBody::from(kept);
        if self == Self::Token {
            let ttl = response.headers().get(TTL).and_then(|ttl| ttl.trim().parse().ok());
            let ttl = ttl.map_or(LONGEST_TTL, |ttl: u64| ttl.min(LONGEST_TTL));
            response.headers_mut().insert(TTL, ttl.to_string());
        }
        Ok(response)
    }
}

/// Why an answer cannot be handed on.
#[derive(Debug)]
pub(crate) enum NotRead {
    /// It ended early.
    Ended(ConnectorError),
    /// It is no answer of a metadata service to this question.
    Another(Question),
}

impl Question {
    /// That what answered is no metadata service.
    pub(crate) fn unanswered(self) -> Cause {
        let what = match self {
            Self::Token => "a token",
            Self::Role => "the name of a role",
            Self::Credentials => "credentials",
            Self::Region => "a region",
        };
        Cause::another_service(format!("what answered there is no metadata service of EC2 (it was asked for {what})"))
    }
}

/// The first line of `body` that is not blank, without the blanks around it.
fn line(body: &[u8]) -> Option<&[u8]> {
    let line = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty())?;
    (line.len() <= LONGEST_LINE).then_some(line)
}

/// What the names of roles are made of, with paths and ARNs, as stand-ins give them.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>
fn is_of_role(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-/:".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(body: impl AsRef<[u8]>, ttl: Option<&'static str>) -> HttpResponse {
        let mut response = HttpResponse::new(200.try_into().expect("a status"), SdkBody::from(body.as_ref()));
        response.headers_mut().insert("content-length", body.as_ref().len().to_string());
        if let Some(ttl) = ttl {
            response.headers_mut().insert(TTL, ttl);
        }
        response
    }

    async fn kept(question: Question, body: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let checked = question.checked(answered(body, None)).await.ok()?;
        let length = checked.headers().get("content-length").and_then(|length| length.parse().ok());
        assert_eq!(length, checked.body().bytes().map(<[u8]>::len));
        checked.body().bytes().map(<[u8]>::to_vec)
    }

    #[tokio::test]
    async fn the_first_line_of_a_list_of_roles_counts() {
        for (list, role) in [
            ("role", Some("role")),
            ("role\n", Some("role")),
            ("\r\n role_+=,.@-1 \r\nother\r\n", Some("role_+=,.@-1")),
            ("a b", None),
            ("a\0b", None),
            ("<html><body>log in</body></html>", None),
            ("%zz", None),
            ("a?b", None),
            ("", None),
            ("\n", None),
        ] {
            let expected = role.map(|role| role.as_bytes().to_vec());
            assert_eq!(kept(Question::Role, list).await, expected, "{list:?}");
        }
        assert_eq!(kept(Question::Role, "a".repeat(70_000)).await, None);
    }

    #[tokio::test]
    async fn a_token_is_what_a_header_may_hold() {
        assert_eq!(kept(Question::Token, "token==\n").await, Some(b"token==".to_vec()));
        assert_eq!(kept(Question::Token, "t\u{f6}k").await, Some("t\u{f6}k".as_bytes().to_vec()));
        for body in ["", "a\0", "a\tb"] {
            assert_eq!(kept(Question::Token, body).await, None, "{body:?}");
        }
    }

    #[tokio::test]
    async fn a_token_lives_as_long_as_is_said_or_six_hours() {
        for (ttl, expected) in [
            (None, "21600"),
            (Some("60"), "60"),
            (Some(" 60 "), "60"),
            (Some("-1"), "21600"),
            (Some("abc"), "21600"),
            (Some("9223372036854775807"), "21600"),
            (Some("99999999999999999999"), "21600"),
        ] {
            let checked = Question::Token.checked(answered("token", ttl)).await.expect("a token");
            assert_eq!(checked.headers().get(TTL), Some(expected), "{ttl:?}");
        }
    }

    #[tokio::test]
    async fn a_region_and_credentials_are_looked_at() {
        assert_eq!(kept(Question::Region, "eu-central-1\n").await, Some(b"eu-central-1".to_vec()));
        assert_eq!(kept(Question::Region, "eu central").await, None);
        assert_eq!(kept(Question::Credentials, "\n{}").await, Some(b"\n{}".to_vec()));
        for body in ["<html>", "[]", "null", ""] {
            assert_eq!(kept(Question::Credentials, body).await, None, "{body:?}");
        }
    }

    #[test]
    fn what_is_asked_is_known_by_its_path() {
        let asked = |path: &str| {
            let request = http::Request::get(format!("http://169.254.169.254{path}")).body(SdkBody::empty());
            Question::of(&request.expect("a request").try_into().expect("a request"))
        };
        assert_eq!(asked("/latest/api/token"), Some(Question::Token));
        assert_eq!(asked("/prefix/latest/meta-data/iam/security-credentials/"), Some(Question::Role));
        assert_eq!(asked("/latest/meta-data/iam/security-credentials/role"), Some(Question::Credentials));
        assert_eq!(asked("/latest/meta-data/placement/region"), Some(Question::Region));
        assert_eq!(asked("/v2/credentials/x"), None);
    }
}
