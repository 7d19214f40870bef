//! Why a host cannot be reached: read out of the errors that the libraries nest, and told in words, with the code that Node
//! has for the same failure.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError};

/// What can be done about a [`Cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing that is the same everywhere.
    None,
    /// Name the authority that signed the certificate.
    Trust,
    /// Correct the place: another service answers there.
    Place,
    /// Give other credentials. With the same ones nothing is asked again: a directory may lock an account after a few failures.
    Credentials,
}

/// Why a host cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Node's code, such as `ECONNREFUSED` or `CERT_HAS_EXPIRED`.
    pub code: &'static str,
    /// In words.
    pub text: Cow<'static, str>,
    /// What to do.
    pub remedy: Remedy,
}

impl Cause {
    const fn new(code: &'static str, text: &'static str) -> Self {
        Self { code, text: Cow::Borrowed(text), remedy: Remedy::None }
    }

    const fn untrusted(code: &'static str, text: &'static str) -> Self {
        Self { code, text: Cow::Borrowed(text), remedy: Remedy::Trust }
    }

    /// The libraries do not say why.
    pub const fn unknown() -> Self {
        Self::new("ECONNABORTED", "the connection failed")
    }

    /// Another service than the one that is asked answered, which `text` says.
    pub const fn another_service(text: String) -> Self {
        Self { code: "EPROTO", text: Cow::Owned(text), remedy: Remedy::Place }
    }

    /// No connection, or no answer, in time.
    pub const fn timed_out() -> Self {
        Self::new("ETIMEDOUT", "it does not answer in time")
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A proxy opens no way to the host, for this reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub Cause);

impl Refused {
    /// The answer 407: the proxy does not accept the user and password that it got, or got none.
    pub fn wants_credentials() -> Self {
        let refused = Self::by_proxy("the proxy wants other credentials (HTTP 407); give them in its URL");
        Self(Cause { remedy: Remedy::Credentials, ..refused.0 })
    }

    /// In the words of `text`.
    pub(crate) fn by_proxy(text: impl Into<Cow<'static, str>>) -> Self {
        Self(Cause { code: "ERR_PROXY_TUNNEL", text: text.into(), remedy: Remedy::None })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy opens no way: {}", self.0)
    }
}

impl Error for Refused {}

/// What libraries share an error by.
type Shared = Arc<dyn Error + Send + Sync>;

/// `error` and everything that it is made of. An `io::Error` does not name what it wraps as its source, and neither does an
/// error that is shared.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let next = |error: &&'a (dyn Error + 'static)| -> Option<&'a (dyn Error + 'static)> {
        let error: &'a (dyn Error + 'static) = *error;
        if let Some(shared) = error.downcast_ref::<Shared>() {
            return Some(&**shared);
        }
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    };
    std::iter::successors(Some(error), next)
}

/// Why the network failed, where `error` says so.
pub fn cause_of(error: &(dyn Error + 'static)) -> Option<Cause> {
    let links = || chain(error);
    let tls = links().find_map(|link| link.downcast_ref::<rustls::Error>()).map(of_tls);
    let proxy = || links().find_map(|link| link.downcast_ref::<Refused>()).map(|refused| refused.0.clone());
    let name = || links().any(is_name_error).then(|| of_name(links()));
    let io = || links().filter_map(|link| link.downcast_ref::<io::Error>()).last().and_then(of_io);
    let http = || links().find_map(|link| of_http(&link.to_string()));
    tls.or_else(proxy).or_else(name).or_else(io).or_else(http)
}

/// How hyper says that an answer is no HTTP.
const NO_HTTP: [&str; 4] =
    ["invalid HTTP", "received unexpected message", "invalid content-length", "invalid transfer-encoding"];

/// What hyper says of an answer that is none: its kinds are private.
fn of_http(text: &str) -> Option<Cause> {
    if text.starts_with("connection closed before message completed") {
        return Some(Cause::new("ECONNRESET", "the connection was closed before the answer"));
    }
    if text.starts_with("too many interim answers") {
        return Some(Cause::new("EPROTO", "it sends interim answers (HTTP 1xx) without an end, and no answer"));
    }
    if text.starts_with("message head is too large") {
        return Some(Cause::new("EPROTO", "its answer has more headers than any of HTTP has"));
    }
    // One that speaks first, such as SSH, is heard before the request is sent, or afterwards.
    let is_none = NO_HTTP.iter().any(|words| text.starts_with(words)) || text.contains("parse error");
    is_none.then(|| Cause::new("EPROTO", "it does not answer in HTTP (is it https://, or another port?)"))
}

/// Why the network failed, where a library keeps the texts of errors only. `text` is not repeated.
pub fn cause_in_text(text: &str) -> Option<Cause> {
    let known = [
        ("Connection refused", ErrorKind::ConnectionRefused),
        ("Connection reset", ErrorKind::ConnectionReset),
        ("roken pipe", ErrorKind::BrokenPipe),
        ("No route to host", ErrorKind::HostUnreachable),
        ("Network is unreachable", ErrorKind::NetworkUnreachable),
        ("timed out", ErrorKind::TimedOut),
    ];
    if text.contains("failed to lookup address information") {
        return Some(Cause::new("ENOTFOUND", "its name is not known (it does not resolve)"));
    }
    if text.contains("invalid peer certificate: UnknownIssuer") {
        return Some(of_certificate(&CertificateError::UnknownIssuer));
    }
    let kind = known.into_iter().find(|(words, _)| text.contains(words))?.1;
    of_io(&kind.into())
}

fn is_name_error(error: &(dyn Error + 'static)) -> bool {
    // WSAHOST_NOT_FOUND, WSATRY_AGAIN, WSANO_DATA.
    let windows =
        || error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error).map(|code| (code, cfg!(windows)));
    let text = error.to_string();
    text.starts_with("failed to lookup address information")
        || text == "dns error"
        || matches!(windows(), Some((11001 | 11002 | 11004, true)))
}

fn of_name<'a>(mut links: impl Iterator<Item = &'a (dyn Error + 'static)>) -> Cause {
    let again = links.any(|link| {
        let text = link.to_string();
        text.contains("Temporary failure in name resolution") || text.contains("Try again")
    });
    if again {
        return Cause::new("EAI_AGAIN", "its name cannot be resolved now (the name server does not answer)");
    }
    Cause::new("ENOTFOUND", "its name is not known (it does not resolve)")
}

fn of_io(error: &io::Error) -> Option<Cause> {
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => Cause::new("ECONNREFUSED", "connection refused (nothing listens there)"),
        ErrorKind::ConnectionReset => Cause::new("ECONNRESET", "the connection was reset"),
        ErrorKind::ConnectionAborted => Cause::new("ECONNABORTED", "the connection was aborted"),
        ErrorKind::BrokenPipe => Cause::new("EPIPE", "the connection was closed"),
        ErrorKind::UnexpectedEof => Cause::new("ECONNRESET", "the connection was closed before the answer"),
        ErrorKind::HostUnreachable => Cause::new("EHOSTUNREACH", "there is no way to the host"),
        ErrorKind::NetworkUnreachable => Cause::new("ENETUNREACH", "there is no way to its network"),
        ErrorKind::TimedOut => Cause::timed_out(),
        ErrorKind::NotFound => Cause::new("ENOENT", "there is no such socket"),
        ErrorKind::PermissionDenied => Cause::new("EACCES", "permission denied"),
        ErrorKind::AddrNotAvailable => Cause::new("EADDRNOTAVAIL", "no local address can be used for it"),
        _ => return None,
    })
}

const NOTHING_IN_COMMON: &str =
    "no TLS version and cipher in common (TLS 1.2 or 1.3 is needed, and no CBC, DHE or RSA key exchange)";

fn of_tls(error: &rustls::Error) -> Cause {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(problem) => of_certificate(problem),
        Tls::InvalidMessage(_) => {
            Cause::new("EPROTO", "it does not speak TLS there (is it http:// or redis://, or another port?)")
        }
        Tls::AlertReceived(alert) => of_alert(*alert),
        Tls::PeerIncompatible(_) => Cause::new("EPROTO", NOTHING_IN_COMMON),
        Tls::NoCertificatesPresented => Cause::new("EPROTO", "it showed no certificate"),
        _ => Cause::new("EPROTO", "the TLS handshake failed"),
    }
}

fn of_alert(alert: AlertDescription) -> Cause {
    match alert {
        AlertDescription::CertificateRequired
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => Cause::new(
            "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
            "it wants a client certificate (TLS), or does not accept the one it got",
        ),
        AlertDescription::HandshakeFailure => Cause::new(
            "EPROTO",
            "it refused the TLS handshake: no cipher or group in common (here TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM or \
                 ChaCha20; no CBC, no DHE, no RSA key exchange), or it wants a client certificate",
        ),
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
            Cause::new("EPROTO", NOTHING_IN_COMMON)
        }
        AlertDescription::UnrecognisedName => Cause::new("EPROTO", "it does not know this host name (TLS)"),
        _ => Cause::new("EPROTO", "it refused the TLS handshake"),
    }
}

fn of_certificate(problem: &CertificateError) -> Cause {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Cause {
            code: "CERT_HAS_EXPIRED",
            text: format!("its TLS certificate has expired{} (or this machine's clock is wrong)", since(problem))
                .into(),
            remedy: Remedy::None,
        },
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Cause::new("CERT_NOT_YET_VALID", "its TLS certificate is not valid yet (or this machine's clock is wrong)")
        }
        CertificateError::NotValidForName => other_name(&[]),
        CertificateError::NotValidForNameContext { presented, .. } => other_name(presented),
        CertificateError::UnknownIssuer => Cause::untrusted(
            "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
            "its TLS certificate is not trusted: no known root certificate signed it",
        ),
        CertificateError::BadSignature => {
            Cause::untrusted("CERT_SIGNATURE_FAILURE", "its TLS certificate is not trusted: the signature is wrong")
        }
        CertificateError::Revoked => Cause::new("CERT_REVOKED", "its TLS certificate was revoked"),
        CertificateError::BadEncoding => Cause::new("EPROTO", "its TLS certificate cannot be read"),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Cause::new("INVALID_PURPOSE", "its TLS certificate is not one of a server")
        }
        // webpki's reasons are in an error of their own, which is known by its name.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => Cause::new(
            "DEPTH_ZERO_SELF_SIGNED_CERT",
            "its TLS certificate is made as an authority's (CA:TRUE), and cannot be a server's as well: make it with \
             basicConstraints=CA:FALSE",
        ),
        CertificateError::Other(other) if other.to_string().contains("UnsupportedCriticalExtension") => Cause::new(
            "UNHANDLED_CRITICAL_EXTENSION",
            "its TLS certificate has a critical extension that is not known here",
        ),
        CertificateError::Other(_) => Cause::untrusted(
            "DEPTH_ZERO_SELF_SIGNED_CERT",
            "its TLS certificate is not trusted: it is self-signed, or made as an authority's",
        ),
        _ => Cause::untrusted("CERT_UNTRUSTED", "its TLS certificate is not trusted"),
    }
}

fn since(problem: &CertificateError) -> String {
    let CertificateError::ExpiredContext { time, not_after } = problem else { return String::new() };
    let days = time.as_secs().saturating_sub(not_after.as_secs()) / 86_400;
    if days == 0 { " today".to_owned() } else { format!(", {days} days ago") }
}

/// The names come from the other side: only what looks like a host is repeated.
fn other_name(presented: &[String]) -> Cause {
    let names = presented.iter().filter_map(|name| {
        let name = name.strip_prefix("DnsName(\"").and_then(|rest| rest.strip_suffix("\")")).unwrap_or(name);
        let plain = name.len() <= 100 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-*:".contains(&b));
        (plain && !name.is_empty()).then_some(name)
    });
    let names: Vec<&str> = names.take(3).collect();
    let shown = if !names.is_empty() {
        format!(" ({})", names.join(", "))
    } else if presented.is_empty() {
        ", or names none (subjectAltName; a common name does not count)".to_owned()
    } else {
        String::new()
    };
    Cause {
        code: "ERR_TLS_CERT_ALTNAME_INVALID",
        text: format!("its TLS certificate is for another name{shown}").into(),
        remedy: Remedy::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(error: &(dyn Error + 'static)) -> &'static str {
        cause_of(error).map_or("", |cause| cause.code)
    }

    #[test]
    fn what_io_errors_wrap_is_found() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let nested = io::Error::other(io::Error::new(ErrorKind::InvalidData, tls));
        assert_eq!(code(&nested), "UNABLE_TO_GET_ISSUER_CERT_LOCALLY");
        assert_eq!(cause_of(&nested).map(|cause| cause.remedy), Some(Remedy::Trust));
        assert_eq!(code(&io::Error::from(ErrorKind::ConnectionRefused)), "ECONNREFUSED");
        assert_eq!(
            code(&io::Error::other("failed to lookup address information: Name or service not known")),
            "ENOTFOUND"
        );
        assert_eq!(cause_of(&io::Error::other("something else")), None);
    }

    #[test]
    fn an_answer_that_is_none_of_http_is_told_by_its_words() {
        for text in ["invalid HTTP version parsed", "received unexpected message from connection", "parse error"] {
            assert_eq!(code(&io::Error::other(text)), "EPROTO", "{text}");
        }
        let dropped = io::Error::other("connection closed before message completed");
        assert_eq!(code(&dropped), "ECONNRESET");
        assert_eq!(cause_in_text("Broken pipe (os error 32)").map(|cause| cause.code), Some("EPIPE"));
    }

    #[test]
    fn names_of_a_certificate_are_repeated_only_when_they_are_names() {
        let presented = vec!["DnsName(\"a.example\")".to_owned(), "evil\u{1b}[31m".to_owned()];
        assert_eq!(other_name(&presented).text, "its TLS certificate is for another name (a.example)");
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_and_a_closed_port_are_told_apart() {
        let unknown = tokio::net::TcpStream::connect("no-such-host.invalid:1").await.expect_err("no such name");
        assert!(["ENOTFOUND", "EAI_AGAIN"].contains(&code(&unknown)), "{unknown}");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let refused = tokio::net::TcpStream::connect(address).await.expect_err("nothing listens");
        assert_eq!(code(&refused), "ECONNREFUSED");
    }
}
