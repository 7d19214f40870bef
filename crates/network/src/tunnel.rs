//! How a proxy is asked for a way to a host: HTTP's `CONNECT`, SOCKS 5 and SOCKS 4. Each asks over a connection that is open, and
//! leaves it where the bytes of the host begin.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use crate::cause::Refused;

/// The longest head of an answer to `CONNECT`: what Node.js accepts (`--max-http-header-size`).
const LONGEST_HEAD: usize = 16 * 1024;

/// A connection to a proxy.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why there is no way through a proxy.
#[derive(Debug)]
pub enum NoWay {
    /// The connection to the proxy failed.
    Io(io::Error),
    /// The proxy said so, or does not speak the protocol.
    Refused(Refused),
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no way through the proxy")
    }
}

impl std::error::Error for NoWay {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            Self::Io(error) => error,
            Self::Refused(refused) => refused,
        })
    }
}

impl From<io::Error> for NoWay {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => refused("the proxy closed the connection"),
            _ => Self::Io(error),
        }
    }
}

fn refused(text: impl Into<std::borrow::Cow<'static, str>>) -> NoWay {
    NoWay::Refused(Refused::by_proxy(text))
}

/// The user and the password for a proxy.
pub struct Login {
    /// May be empty.
    pub user: Zeroizing<Vec<u8>>,
    /// May be empty.
    pub password: Zeroizing<Vec<u8>>,
}

/// Asks an HTTP proxy for a way to `host` (IPv6 in brackets). `authorization` is the value of `Proxy-Authorization`. Any 2xx is a
/// way (RFC 9110, 9.3.6).
///
/// # Errors
/// What the proxy answered instead, or that the connection failed.
pub async fn connect(
    stream: &mut dyn Stream,
    host: &str,
    port: u16,
    authorization: Option<&Zeroizing<String>>,
) -> Result<(), NoWay> {
    let mut request = Zeroizing::new(format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"));
    if let Some(authorization) = authorization {
        request.extend(["Proxy-Authorization: ", authorization.as_str(), "\r\n"]);
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut left = LONGEST_HEAD;
    loop {
        match status(stream, &mut left).await? {
            100..=199 => {}
            200..=299 => return Ok(()),
            407 => return Err(NoWay::Refused(Refused::wants_credentials())),
            status => return Err(refused(format!("the proxy refuses to connect to it (HTTP {status})"))),
        }
    }
}

/// Reads the head of one answer, and nothing behind it. Byte by byte: what follows is the host's.
async fn status(stream: &mut dyn Stream, left: &mut usize) -> Result<u16, NoWay> {
    let mut status = None;
    let mut line = Vec::new();
    loop {
        if *left == 0 {
            return Err(refused("it does not answer as an HTTP proxy"));
        }
        *left -= 1;
        let byte = stream.read_u8().await?;
        if byte != b'\n' {
            line.push(byte);
            continue;
        }
        let text = line.strip_suffix(b"\r").unwrap_or(&line);
        match status {
            None => status = Some(status_of(text).ok_or_else(|| refused("it does not answer as an HTTP proxy"))?),
            Some(status) if text.is_empty() => return Ok(status),
            Some(_) => {}
        }
        line.clear();
    }
}

/// `HTTP/1.1 200 Connection established`
fn status_of(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?.get(1..)?.strip_prefix(b" ")?;
    let digits = rest.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let ends = matches!(rest.get(3), None | Some(b' '));
    ends.then(|| digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
}

/// A host as SOCKS names it.
pub enum Target<'a> {
    /// The proxy resolves it.
    Name(&'a str),
    /// It was resolved here.
    Address(IpAddr),
}

/// Asks a SOCKS 5 proxy (RFC 1928, RFC 1929) for a way.
///
/// # Errors
/// What the proxy answered instead, or that the connection failed.
pub async fn socks5(
    stream: &mut dyn Stream,
    target: &Target<'_>,
    port: u16,
    login: Option<&Login>,
) -> Result<(), NoWay> {
    const NO_SOCKS: &str = "it does not answer as a SOCKS 5 proxy";
    // 0: no credentials; 2: user and password.
    let methods: &[u8] = if login.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(methods).await?;
    stream.flush().await?;
    match answer::<2>(stream).await? {
        [5, 0] => {}
        [5, 2] => {
            let Some(Login { user, password }) = login else { return Err(refused(NO_SOCKS)) };
            let mut request = Zeroizing::new(vec![1]);
            for text in [user, password] {
                request.push(short(text.len())?);
                request.extend_from_slice(text);
            }
            stream.write_all(&request).await?;
            stream.flush().await?;
            let [_, state] = answer::<2>(stream).await?;
            if state != 0 {
                return Err(refused(
                    "the proxy does not accept the user and password (SOCKS 5); correct them in its URL",
                ));
            }
        }
        [5, 255] if login.is_some() => return Err(refused("the proxy accepts no user and password (SOCKS 5)")),
        [5, 255] => return Err(refused("the proxy wants a user and a password (SOCKS 5); give them in its URL")),
        _ => return Err(refused(NO_SOCKS)),
    }
    let mut request = vec![5, 1, 0];
    match target {
        Target::Name(name) => {
            request.extend([3, short(name.len())?]);
            request.extend_from_slice(name.as_bytes());
        }
        Target::Address(IpAddr::V4(address)) => {
            request.push(1);
            request.extend(address.octets());
        }
        Target::Address(IpAddr::V6(address)) => {
            request.push(4);
            request.extend(address.octets());
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request).await?;
    stream.flush().await?;
    let [version, state, _, kind] = answer::<4>(stream).await?;
    if version != 5 {
        return Err(refused(NO_SOCKS));
    }
    if state != 0 {
        return Err(refused(why_not(state)));
    }
    // The address that the proxy uses towards the host, which nobody needs.
    let rest = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(refused(NO_SOCKS)),
    };
    let mut bound = vec![0; rest + 2];
    stream.read_exact(&mut bound).await?;
    Ok(())
}

fn why_not(state: u8) -> &'static str {
    match state {
        2 => "the proxy's rules do not allow it (SOCKS 5)",
        3 => "the proxy has no way to its network (SOCKS 5)",
        4 => "the proxy cannot reach or resolve the host (SOCKS 5)",
        5 => "the host refused the proxy's connection (SOCKS 5)",
        6 => "the proxy's connection to it took too long (SOCKS 5)",
        _ => "the proxy could not connect to it (SOCKS 5)",
    }
}

/// Asks a SOCKS 4 proxy for a way; by name it is SOCKS 4a.
///
/// # Errors
/// What the proxy answered instead, that it knows no IPv6, or that the connection failed.
pub async fn socks4(
    stream: &mut dyn Stream,
    target: &Target<'_>,
    port: u16,
    login: Option<&Login>,
) -> Result<(), NoWay> {
    let (address, name) = match target {
        Target::Address(IpAddr::V4(address)) => (*address, None),
        Target::Address(IpAddr::V6(_)) => return Err(refused("SOCKS 4 knows no IPv6: name the proxy as socks5://")),
        // An address that cannot be: the name follows.
        Target::Name(name) => (Ipv4Addr::new(0, 0, 0, 1), Some(*name)),
    };
    let mut request = Zeroizing::new(vec![4, 1]);
    request.extend(port.to_be_bytes());
    request.extend(address.octets());
    if let Some(login) = login {
        request.extend_from_slice(&login.user);
    }
    request.push(0);
    if let Some(name) = name {
        request.extend_from_slice(name.as_bytes());
        request.push(0);
    }
    stream.write_all(&request).await?;
    stream.flush().await?;
    match answer::<8>(stream).await? {
        [0, 90, ..] => Ok(()),
        [0, 92 | 93, ..] => Err(refused("the proxy does not accept this user (SOCKS 4)")),
        [0, 91, ..] => Err(refused("the proxy refuses or fails to connect to it (SOCKS 4)")),
        _ => Err(refused("it does not answer as a SOCKS 4 proxy")),
    }
}

async fn answer<const LENGTH: usize>(stream: &mut dyn Stream) -> Result<[u8; LENGTH], NoWay> {
    let mut answer = [0; LENGTH];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// A length in one byte.
fn short(length: usize) -> Result<u8, NoWay> {
    u8::try_from(length).map_err(|_| refused("SOCKS 5 knows no name, user or password of more than 255 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    /// What `ask` makes of a proxy that answers with `answers`, one for each of its requests; what it left; what was asked.
    macro_rules! asked {
        ($answers:expr, $ask:expr) => {{
            let (mut here, mut there) = duplex(65_536);
            let answers: Vec<Vec<u8>> = $answers;
            let proxy = tokio::spawn(async move {
                let mut asked = Vec::new();
                for answer in answers {
                    let mut buffer = vec![0; 4096];
                    let read = there.read(&mut buffer).await.expect("a request");
                    asked.extend_from_slice(&buffer[..read]);
                    there.write_all(&answer).await.expect("room");
                }
                drop(there);
                asked
            });
            let ask = $ask;
            let ended = ask(&mut here).await;
            let mut left = Vec::new();
            here.read_to_end(&mut left).await.expect("the rest");
            let why = ended.err().map(|no_way| match no_way {
                NoWay::Refused(Refused(cause)) => cause.text.into_owned(),
                NoWay::Io(error) => error.to_string(),
            });
            (why, left, proxy.await.expect("the proxy"))
        }};
    }

    async fn connected(answer: &[u8]) -> (Option<String>, Vec<u8>) {
        let (why, left, _) = asked!(vec![answer.to_vec()], async |here: &mut tokio::io::DuplexStream| connect(
            here, "aws.test", 443, None
        )
        .await);
        (why, left)
    }

    #[tokio::test]
    async fn any_2xx_is_a_way_and_what_follows_the_head_is_left() {
        for status in ["200 Connection established", "201 Created", "204", "299 ?"] {
            let answer = format!("HTTP/1.1 {status}\r\nVia: x\r\n\r\nhost");
            assert_eq!(connected(answer.as_bytes()).await, (None, b"host".to_vec()), "{status}");
        }
        let early = b"HTTP/1.0 103 Early\n\nHTTP/1.1 200 OK\n\nhost";
        assert_eq!(connected(early).await, (None, b"host".to_vec()));
    }

    #[tokio::test]
    async fn what_opens_no_way_says_why() {
        let long = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".repeat(4096)].concat();
        for (answer, words) in [
            (&b"HTTP/1.1 407 No\r\n\r\n"[..], "HTTP 407"),
            (b"HTTP/1.1 302 Login\r\nLocation: canary\r\n\r\n", "refuses to connect to it (HTTP 302)"),
            (b"HTTP/1.1 2000 ?\r\n\r\n", "does not answer as an HTTP proxy"),
            (b"SSH-2.0-canary\r\n", "does not answer as an HTTP proxy"),
            (b"HTTP/1.1 200 OK\r\n", "closed the connection"),
            (b"", "closed the connection"),
            (&long, "does not answer as an HTTP proxy"),
        ] {
            let (why, _) = connected(answer).await;
            assert!(
                why.as_deref().is_some_and(|why| why.contains(words) && !why.contains("canary")),
                "{why:?} {words}"
            );
        }
    }

    fn login() -> Login {
        Login { user: Zeroizing::new(b"us er".to_vec()), password: Zeroizing::new(b"p:w".to_vec()) }
    }

    #[tokio::test]
    async fn socks_5_is_asked_by_name_or_address_with_a_login_where_it_is_wanted() {
        let answers = || vec![vec![5, 2], vec![1, 0], [&[5, 0, 0, 3, 2][..], b"ab", &[1, 2], b"host"].concat()];
        let (why, left, asked) = asked!(answers(), async |here: &mut tokio::io::DuplexStream| {
            socks5(here, &Target::Name("aws.test"), 443, Some(&login())).await
        });
        assert_eq!((why, left), (None, b"host".to_vec()));
        let wanted =
            [&[5, 2, 0, 2, 1, 5][..], b"us er", &[3], b"p:w", &[5, 1, 0, 3, 8], b"aws.test", &[1, 187]].concat();
        assert_eq!(asked, wanted);
        let answers = vec![vec![5, 0], [&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"host"].concat()];
        let (why, left, asked) = asked!(answers, async |here: &mut tokio::io::DuplexStream| {
            socks5(here, &Target::Address(IpAddr::from([127, 0, 0, 1])), 80, None).await
        });
        assert_eq!((why, left), (None, b"host".to_vec()));
        assert_eq!(asked, [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80]);
    }

    #[tokio::test]
    async fn what_a_socks_5_proxy_refuses_is_told() {
        let long = Login { user: Zeroizing::new(vec![b'x'; 300]), password: Zeroizing::default() };
        for (answers, login, words) in [
            (vec![vec![5, 255]], None, "wants a user and a password"),
            (vec![vec![5, 255]], Some(login()), "accepts no user and password"),
            (vec![vec![5, 2], vec![1, 1]], Some(login()), "does not accept the user and password"),
            (vec![vec![5, 2]], Some(long), "more than 255 bytes"),
            (vec![vec![5, 2]], None, "does not answer as a SOCKS 5 proxy"),
            (vec![b"HTTP/1.1 400\r\n\r\n".to_vec()], None, "does not answer as a SOCKS 5 proxy"),
            (vec![vec![5, 0], vec![5, 2, 0, 1]], None, "rules do not allow it"),
            (vec![vec![5, 0], vec![5, 5, 0, 1]], None, "the host refused"),
            (vec![vec![5, 0], vec![5, 77, 0, 1]], None, "could not connect"),
            (vec![vec![5]], None, "closed the connection"),
        ] {
            let (why, ..) = asked!(answers, async |here: &mut tokio::io::DuplexStream| {
                socks5(here, &Target::Name("aws.test"), 443, login.as_ref()).await
            });
            assert!(why.as_deref().is_some_and(|why| why.contains(words)), "{why:?} {words}");
        }
    }

    #[tokio::test]
    async fn socks_4_is_asked_by_address_and_4a_by_name() {
        let granted = || vec![[&[0, 90, 0, 0, 0, 0, 0, 0][..], b"host"].concat()];
        let (why, left, asked) = asked!(granted(), async |here: &mut tokio::io::DuplexStream| {
            socks4(here, &Target::Name("aws.test"), 443, Some(&login())).await
        });
        assert_eq!((why, left), (None, b"host".to_vec()));
        assert_eq!(asked, [&[4, 1, 1, 187, 0, 0, 0, 1][..], b"us er\0aws.test\0"].concat());
        let (why, _, asked) = asked!(granted(), async |here: &mut tokio::io::DuplexStream| {
            socks4(here, &Target::Address(IpAddr::from([10, 0, 0, 9])), 443, None).await
        });
        assert_eq!((why, asked), (None, vec![4, 1, 1, 187, 10, 0, 0, 9, 0]));
        let (why, ..) = asked!(vec![vec![0, 91, 0, 0, 0, 0, 0, 0]], async |here: &mut tokio::io::DuplexStream| {
            socks4(here, &Target::Name("aws.test"), 443, None).await
        });
        assert_eq!(why.as_deref(), Some("the proxy refuses or fails to connect to it (SOCKS 4)"));
    }
}
