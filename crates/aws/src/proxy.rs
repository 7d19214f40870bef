//! Which proxy a request goes through, and what it speaks: the rules of `HTTPS_PROXY` and `NO_PROXY`, as curl and Node.js read them.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::uri::Scheme;
use network::tunnel::Login;
use percent_encoding::percent_decode_str;
use url::{Host, Url};
use zeroize::Zeroizing;

/// The longest variable that is read. More is garbage.
const LONGEST: usize = 64 * 1024;

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HTTP, with or without TLS.
    Http,
    /// SOCKS 5.
    Socks5(Resolver),
    /// SOCKS 4; where the proxy resolves names, 4a.
    Socks4(Resolver),
}

/// Who resolves the names of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolver {
    /// This machine.
    Here,
    /// The proxy.
    Proxy,
}

/// The schemes of proxies, with the port where none is given: as curl has them. `socks` means here what it means to the proxy
/// agents of Node.js.
const SCHEMES: [(&str, Kind, u16); 7] = [
    ("http", Kind::Http, 80),
    ("https", Kind::Http, 443),
    ("socks5", Kind::Socks5(Resolver::Here), 1080),
    ("socks5h", Kind::Socks5(Resolver::Proxy), 1080),
    ("socks", Kind::Socks5(Resolver::Proxy), 1080),
    ("socks4", Kind::Socks4(Resolver::Here), 1080),
    ("socks4a", Kind::Socks4(Resolver::Proxy), 1080),
];
/// The longest user or password of SOCKS 5.
const LONGEST_LOGIN: usize = 255;
const NO_URL: &str = "is no URL (percent-encode special characters of a password)";

/// A proxy.
#[derive(Clone)]
pub struct Proxy {
    kind: Kind,
    /// Where it is, without credentials.
    uri: Uri,
    /// May hold credentials.
    url: Zeroizing<String>,
    place: Place,
}

/// Where a proxy is, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The option or variable that names it.
    name: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, name } = self;
        write!(f, "{host}:{port} ({name})")
    }
}

impl Proxy {
    /// Reads what the option or variable `name` gives; without a scheme it is an HTTP proxy.
    ///
    /// # Errors
    /// What is wrong, without any part of the text: it may hold a password.
    pub fn parse(name: &str, text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.starts_with(['/', '.']) {
            return Err("is a path and no URL");
        }
        if text.len() > LONGEST {
            return Err("is too long for a URL");
        }
        let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
        let url = url.map_err(|_| NO_URL)?;
        // The host ends at the first of these, so what is taken for the host may be a part of the password.
        if [Some(url.path()), url.query(), url.fragment()].into_iter().flatten().any(|rest| rest.contains('@')) {
            return Err(NO_URL);
        }
        let (scheme, kind, port) = SCHEMES
            .into_iter()
            .find(|(scheme, ..)| *scheme == url.scheme())
            .ok_or("must begin with http://, https://, socks5://, socks5h:// or socks4://")?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("must name a host")?.to_owned();
        let place = Place { port: url.port().unwrap_or(port), host, name: name.to_owned() };
        let scheme = if scheme == "https" { scheme } else { "http" };
        let uri = format!("{scheme}://{}:{}", place.host, place.port).parse().map_err(|_| "names no host")?;
        let proxy = Self { kind, uri, url: Zeroizing::new(url.as_str().to_owned()), place };
        match (kind, proxy.login()) {
            (Kind::Socks5(_), Some(Login { user, password })) if user.len().max(password.len()) > LONGEST_LOGIN => {
                Err("has a user or a password that is too long for SOCKS 5 (255 bytes)")
            }
            // The end of the user in SOCKS 4.
            (Kind::Socks4(_), Some(Login { user, .. })) if user.contains(&0) => {
                Err("has a user that SOCKS 4 cannot send")
            }
            _ => Ok(proxy),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the connection to the proxy itself is TLS.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// Where it is, without credentials: `https://` for one that speaks TLS, else `http://`.
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The user and the password.
    pub(crate) fn login(&self) -> Option<Login> {
        let url = Url::parse(&self.url).ok()?;
        let decoded = |text: &str| Zeroizing::new(percent_decode_str(text).collect::<Vec<u8>>());
        let (user, password) = (url.username(), url.password());
        (!user.is_empty() || password.is_some())
            .then(|| Login { user: decoded(user), password: decoded(password.unwrap_or_default()) })
    }

    /// The value of `Proxy-Authorization`.
    pub(crate) fn authorization(&self) -> Option<Zeroizing<String>> {
        let Login { user, password } = self.login()?;
        let plain = Zeroizing::new([user.as_slice(), b":", password.as_slice()].concat());
        Some(Zeroizing::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(&*plain)))))
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.place, f)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The proxies of a delivery, and what is asked without them.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// For `https://`.
    pub https: Option<Proxy>,
    /// For `http://`.
    pub http: Option<Proxy>,
    exceptions: Vec<Exception>,
    /// Origins of credentials, which a proxy does not know.
    direct: Vec<(String, u16)>,
}

impl Proxies {
    /// `exceptions` is the text of `NO_PROXY`. `credentials` are URLs at which the machine gives credentials.
    pub fn new(https: Option<Proxy>, http: Option<Proxy>, exceptions: &str, credentials: &[&str]) -> Self {
        let exceptions = if exceptions.len() > LONGEST { "" } else { exceptions };
        let exceptions = exceptions.split([',', ' ', '\t', '\n']).filter_map(Exception::parse).collect();
        let place = |url: &&str| Url::parse(url).ok().and_then(|url| host_and_port(&url));
        let direct = credentials.iter().filter_map(place).collect();
        Self { https, http, exceptions, direct }
    }

    /// The proxy for a request to `url`.
    pub(crate) fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http }.as_ref()?;
        let (host, port) = host_and_port(url)?;
        let is_direct = gives_credentials(&host)
            || self.is_metadata(&host, port)
            || self.exceptions.iter().any(|exception| exception.holds(&host, port));
        (!is_direct).then_some(proxy)
    }
}

impl Proxies {
    /// Whether the machine gives credentials at this place.
    pub(crate) fn is_metadata(&self, host: &str, port: u16) -> bool {
        self.direct.iter().any(|(other, at)| other == host && *at == port)
    }
}

/// A host without brackets, in lower case, and its port.
pub(crate) fn host_and_port(url: &Url) -> Option<(String, u16)> {
    let host = match url.host()? {
        Host::Domain(name) => name.trim_end_matches('.').to_ascii_lowercase(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    Some((host, url.port_or_known_default()?))
}

/// Whether `host` is one of the addresses at which EC2, ECS and EKS give credentials, or another link-local one.
pub(crate) fn gives_credentials(host: &str) -> bool {
    match host.parse().map(|address: IpAddr| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        // fd00:ec2::254 (EC2) and fd00:ec2::23 (EKS).
        Ok(IpAddr::V6(address)) => address.is_unicast_link_local() || address.segments()[..2] == [0xfd00, 0x0ec2],
        Err(_) => false,
    }
}

/// Whether `host` is EC2's instance metadata service.
pub(crate) fn is_ec2(host: &str) -> bool {
    matches!(host, "169.254.169.254" | "fd00:ec2::254")
}

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Every,
    /// A host and its subdomains, on one port where one is given.
    Name(String, Option<u16>),
    /// Hosts that end so (`*corp.example`).
    End(String, Option<u16>),
    Address(IpAddr, Option<u16>),
    /// Addresses whose first bits are those of this one.
    Network(IpAddr, u32),
    /// From one address to another.
    Range(IpAddr, IpAddr),
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::Every);
        }
        let entry = entry.to_ascii_lowercase();
        if let Some((first, last)) = entry.split_once('-')
            && let (Ok(first), Ok(last)) = (first.parse(), last.parse())
        {
            return Some(Self::Range(first, last));
        }
        if let Some((address, bits)) = entry.split_once('/')
            && let (Ok(address), Ok(bits)) = (address.parse(), bits.parse())
        {
            return Some(Self::Network(address, bits));
        }
        let (host, port) = match entry.rsplit_once(':') {
            // A bare IPv6 address has colons and no port.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port.parse().ok()?)),
            _ => (entry.as_str(), None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse() {
            return Some(Self::Address(address, port));
        }
        if let Some(end) =
            host.strip_prefix('*').filter(|end| !end.is_empty() && !end.starts_with('.') && !end.contains('*'))
        {
            return Some(Self::End(end.trim_end_matches('.').to_owned(), port));
        }
        let name = host.strip_prefix("*.").or_else(|| host.strip_prefix('.')).unwrap_or(host).trim_end_matches('.');
        (!name.is_empty()).then(|| Self::Name(name.to_owned(), port))
    }

    fn holds(&self, host: &str, port: u16) -> bool {
        let fits = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        // `::ffff:10.0.0.5` is 10.0.0.5.
        let address = || host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        match self {
            Self::Every => true,
            Self::Name(name, wanted) => {
                let is_below = || host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
                fits(wanted) && (host == name || is_below())
            }
            Self::End(end, wanted) => fits(wanted) && host.ends_with(end.as_str()),
            Self::Address(wanted, of_port) => fits(of_port) && address() == Some(*wanted),
            Self::Network(network, bits) => address().is_some_and(|address| is_in(address, *network, *bits)),
            Self::Range(first, last) => address().is_some_and(|address| {
                address.is_ipv4() == first.is_ipv4()
                    && address.is_ipv4() == last.is_ipv4()
                    && (*first..=*last).contains(&address)
            }),
        }
    }
}

fn is_in(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        bits <= width && (bits == 0 || (a ^ b).checked_shr(width - bits).unwrap_or(0) == 0)
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_proxied(exceptions: &str, url: &str) -> bool {
        let proxy = || Proxy::parse("HTTPS_PROXY", "http://proxy.corp:3128").ok();
        let credentials = ["http://127.0.0.1:51678/credentials"];
        let proxies = Proxies::new(proxy(), proxy(), exceptions, &credentials);
        proxies.of(&Url::parse(url).expect("a URL")).is_some()
    }

    #[test]
    fn exceptions_are_read_as_curl_and_node_read_them() {
        const AWS: &str = "https://secretsmanager.eu-west-1.amazonaws.com/";
        for (exceptions, url, proxied) in [
            ("", AWS, true),
            ("*", AWS, false),
            ("other.example,amazonaws.com", AWS, false),
            (".amazonaws.com", AWS, false),
            ("*.AmazonAWS.com", AWS, false),
            ("x.test .amazonaws.com", AWS, false),
            ("azonaws.com", AWS, true),
            ("*azonaws.com", AWS, false),
            ("*azonaws.com:8443", AWS, true),
            ("10.0.0.0/8", "https://[::ffff:10.1.2.3]/", false),
            ("secretsmanager.eu-west-1.amazonaws.com:443", AWS, false),
            ("secretsmanager.eu-west-1.amazonaws.com:8443", AWS, true),
            ("amazonaws.com.", AWS, false),
            ("*.*", AWS, true),
            (",, ,", AWS, true),
            ("10.0.0.0/8", "https://10.1.2.3/", false),
            ("10.0.0.0/8", "https://11.1.2.3/", true),
            ("0.0.0.0/0", "https://11.1.2.3/", false),
            ("10.0.0.0/99", "https://10.1.2.3/", true),
            ("10.0.0.1-10.0.0.9", "https://10.0.0.5/", false),
            ("10.0.0.1-10.0.0.9", "https://10.0.0.10/", true),
            ("10.0.0.5", "https://10.0.0.5:8443/", false),
            ("[::1]:8443", "https://[::1]:8443/", false),
            ("::1", "https://[::1]/", false),
            ("fd00::/8", "https://[fd00::1]/", false),
            ("localhost", "http://localhost:4566/", false),
            ("", "http://localhost:4566/", true),
        ] {
            assert_eq!(is_proxied(exceptions, url), proxied, "NO_PROXY={exceptions} {url}");
        }
    }

    #[test]
    fn what_gives_credentials_is_asked_directly() {
        for url in [
            "http://169.254.169.254/latest/api/token",
            "http://169.254.170.2/v2/credentials",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://[fd00:ec2::254]/latest",
            "http://127.0.0.1:51678/credentials",
        ] {
            assert!(!is_proxied("", url), "{url}");
        }
        assert!(is_proxied("", "http://127.0.0.1:51679/"));
    }

    #[test]
    fn a_proxy_is_shown_without_its_credentials() {
        let proxy = Proxy::parse("HTTPS_PROXY", " us%40er:canary@proxy.corp:3128 ").expect("a proxy");
        assert_eq!(proxy.to_string(), "proxy.corp:3128 (HTTPS_PROXY)");
        assert!(!format!("{proxy:?}").contains("canary"));
        assert_eq!(proxy.uri(), "http://proxy.corp:3128/");
        let login = proxy.login().expect("a login");
        assert_eq!((&**login.user, &**login.password), (&b"us@er"[..], &b"canary"[..]));
        assert_eq!(proxy.authorization().as_deref().map(String::as_str), Some("Basic dXNAZXI6Y2FuYXJ5"));
    }

    #[test]
    fn the_schemes_of_curl_are_known() {
        for (text, kind, uri) in [
            ("proxy.corp", Kind::Http, "http://proxy.corp:80/"),
            ("https://proxy.corp", Kind::Http, "https://proxy.corp:443/"),
            ("socks5://[::1]", Kind::Socks5(Resolver::Here), "http://[::1]:1080/"),
            ("SOCKS5H://proxy.corp:9050/", Kind::Socks5(Resolver::Proxy), "http://proxy.corp:9050/"),
            ("socks://proxy.corp/", Kind::Socks5(Resolver::Proxy), "http://proxy.corp:1080/"),
            ("socks4://10.0.0.1:1", Kind::Socks4(Resolver::Here), "http://10.0.0.1:1/"),
            ("socks4a://user@proxy.corp", Kind::Socks4(Resolver::Proxy), "http://proxy.corp:1080/"),
        ] {
            let proxy = Proxy::parse("HTTPS_PROXY", text).expect(text);
            assert_eq!((proxy.kind(), proxy.uri().to_string().as_str()), (kind, uri), "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_repeating_it() {
        let long = "x".repeat(1 << 20);
        let login = format!("socks5://canary:{}@h", "x".repeat(256));
        for text in [
            "ftp://canary:1",
            "socks5://",
            "socks5://can ary",
            "socks4://can%00ary@h",
            &login,
            "http://",
            "http://us:can#ary@h:1x",
            "/tmp/canary",
            "\u{1b}canary",
            &long,
        ] {
            let why = Proxy::parse("HTTPS_PROXY", text).err();
            assert!(why.is_some_and(|why| !why.contains("canary")), "{}", &text[..text.len().min(40)]);
        }
    }
}
