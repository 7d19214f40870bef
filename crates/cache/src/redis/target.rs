//! Where the shared cache is: a URL read into what the Redis client needs.

use percent_encoding::percent_decode_str;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates,
    TlsMode,
};
use zeroize::Zeroizing;

use super::link::Pushes;
use super::reason::Place;
use super::{CONNECT_DEADLINE, OPERATION_DEADLINE};
use crate::settings::{RedisSettings, SentinelUser};

const DEFAULT_PORT: u16 = 6379;
const DEFAULT_SENTINEL_PORT: u16 = 26379;
const UNENCODED: &str =
    "has an @ behind its host: in a user name or password percent-encode what is no letter or digit, such as %23 for #";

/// A client that can open connections, one variant a topology.
pub(super) enum Opener {
    Standalone(Box<Client>),
    Cluster(Box<ClusterClient>),
    Sentinel(Box<SentinelClient>),
    #[cfg(feature = "simulation")]
    Simulated(std::sync::Arc<dyn crate::simulation::Server>),
}

/// Checks a URL without connecting.
///
/// # Errors
/// What is wrong, without any part of the URL: it may hold a password.
pub fn check_url(url: &str, has_tls_options: bool) -> Result<(), String> {
    let target = Target::parse(url)?;
    if has_tls_options && !target.is_tls() {
        return Err("must begin with rediss when tls options are given".into());
    }
    Ok(())
}

/// Who is asked at a URL, without user and password.
pub(super) fn place(url: &str) -> Place {
    let Ok(target) = Target::parse(url) else { return Place { shown: String::new(), is_tls: false } };
    let shown = match &target {
        Target::Standalone(info) => match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => at(host, *port),
            other => other.to_string(),
        },
        Target::Nodes(nodes) => nodes.hosts.iter().map(|(host, port)| at(host, *port)).collect::<Vec<_>>().join(", "),
    };
    Place { shown, is_tls: target.is_tls() }
}

fn at(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

enum Target {
    Standalone(Box<ConnectionInfo>),
    Nodes(Nodes),
}

/// The several-hosts form: `redis+cluster://user:password@host:port,host:port` or
/// `redis+sentinel://…/service/database`.
struct Nodes {
    tls: bool,
    sentinel: bool,
    username: Option<String>,
    password: Option<Zeroizing<String>>,
    hosts: Vec<(String, u16)>,
    service: String,
    database: i64,
}

impl Target {
    fn parse(url: &str) -> Result<Self, String> {
        const FORMS: &str = "must be a redis://, rediss://, unix://, redis+cluster:// or redis+sentinel:// URL";
        let (scheme, rest) = url.trim().split_once("://").ok_or(FORMS)?;
        let scheme = scheme.to_ascii_lowercase();
        // The host ends at the first of these, so what is taken for the host may be a part of the password. A path of a socket may
        // have any sign.
        let is_socket = scheme.ends_with("unix");
        if !is_socket && rest.split_once(['/', '?', '#']).is_some_and(|(_, behind)| behind.contains('@')) {
            return Err(UNENCODED.into());
        }
        let (tls, sentinel) = match scheme.as_str() {
            "redis" | "rediss" | "valkey" | "valkeys" | "unix" | "redis+unix" => {
                let url = Zeroizing::new(format!("{scheme}://{rest}"));
                let info = url.as_str().into_connection_info().map_err(|_| FORMS)?;
                return Ok(Self::Standalone(Box::new(with_database(info, rest)?)));
            }
            "redis+cluster" => (false, false),
            "rediss+cluster" => (true, false),
            "redis+sentinel" => (false, true),
            "rediss+sentinel" => (true, true),
            _ => return Err(FORMS.into()),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        let (username, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            Some((name, password)) => (text(name)?, text(password)?.map(Zeroizing::new)),
            None => (None, None),
        };
        let default_port = if sentinel { DEFAULT_SENTINEL_PORT } else { DEFAULT_PORT };
        let hosts = hosts.split(',').map(|host| host_and_port(host, default_port)).collect::<Result<Vec<_>, _>>()?;
        let mut path = path.trim_end_matches('/').split('/');
        let service = path.next().unwrap_or_default().to_owned();
        if sentinel && service.is_empty() {
            return Err("must name the sentinel service, as in redis+sentinel://host:26379/mymaster".into());
        }
        let database = match path.next() {
            None => 0,
            Some(text) => text.parse().map_err(|_| "must end in a database number")?,
        };
        Ok(Self::Nodes(Nodes { tls, sentinel, username, password, hosts, service, database }))
    }

    fn is_tls(&self) -> bool {
        match self {
            Self::Standalone(info) => matches!(info.addr(), ConnectionAddr::TcpTls { .. }),
            Self::Nodes(nodes) => nodes.tls,
        }
    }
}

/// `?db=2`, as other clients write it: the Redis client reads it for sockets only.
fn with_database(info: ConnectionInfo, rest: &str) -> Result<ConnectionInfo, String> {
    let query = rest.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default());
    let named = query.and_then(|query| query.split('&').find_map(|part| part.strip_prefix("db=")));
    let Some(named) = named else { return Ok(info) };
    let database: i64 = named.parse().map_err(|_| "has a db that is no number")?;
    let settings = info.redis_settings();
    if settings.db() != 0 && settings.db() != database {
        return Err("names two databases, in its path and in db".into());
    }
    let settings = settings.clone().set_db(database);
    Ok(info.set_redis_settings(settings))
}

fn text(encoded: &str) -> Result<Option<String>, String> {
    if encoded.is_empty() {
        return Ok(None);
    }
    let decoded = percent_decode_str(encoded).decode_utf8().map_err(|_| "holds credentials that are not UTF-8")?;
    Ok(Some(decoded.into_owned()))
}

fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16), String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            (host, port.parse().map_err(|_| "holds a port that is not a number")?)
        }
        _ => (text, default_port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err("must name a host".into());
    }
    Ok((host.to_owned(), port))
}

/// Makes the client for a checked configuration.
pub(super) async fn opener(config: &RedisSettings) -> Result<Opener, String> {
    opener_for(config, &Purpose::Commands).await
}

/// Makes the client of a connection that the server sends messages to.
pub(super) async fn subscriber(config: &RedisSettings, pushes: Pushes) -> Result<Opener, String> {
    opener_for(config, &Purpose::Subscription(pushes)).await
}

/// What connections are for.
enum Purpose {
    Commands,
    /// Only RESP3 mixes messages with answers. A cluster's client takes the receiver here, the others with each
    /// connection.
    Subscription(Pushes),
}

async fn opener_for(config: &RedisSettings, purpose: &Purpose) -> Result<Opener, String> {
    #[cfg(feature = "simulation")]
    if let Some(server) = crate::simulation::server(&config.url) {
        return Ok(Opener::Simulated(server));
    }
    let failed = |_: redis::RedisError| {
        "the Redis client could not be made: cache.redis.tls.cert and key must be PEM texts, not paths, and the key must have no \
         password"
            .to_owned()
    };
    let target = Target::parse(&config.url)?;
    let certificates = if target.is_tls() { Some(certificates(config).await?) } else { None };
    match target {
        Target::Standalone(info) => {
            let info = match purpose {
                Purpose::Commands => *info,
                Purpose::Subscription(_) => {
                    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
                    info.set_redis_settings(settings)
                }
            };
            match certificates {
                Some(certificates) => Client::build_with_tls(info, certificates),
                None => Client::open(info),
            }
            .map(|client| Opener::Standalone(Box::new(client)))
            .map_err(failed)
        }
        Target::Nodes(nodes) if nodes.sentinel => {
            sentinel(&nodes, config.sentinel.as_ref(), certificates, purpose).map_err(failed)
        }
        Target::Nodes(nodes) => cluster(&nodes, certificates, purpose).map_err(failed),
    }
}

fn cluster(nodes: &Nodes, certificates: Option<TlsCertificates>, purpose: &Purpose) -> redis::RedisResult<Opener> {
    let scheme = if nodes.tls { "rediss" } else { "redis" };
    let urls = nodes.hosts.iter().map(|(host, port)| {
        if host.contains(':') { format!("{scheme}://[{host}]:{port}") } else { format!("{scheme}://{host}:{port}") }
    });
    let mut builder = ClusterClientBuilder::new(urls)
        .connection_timeout(CONNECT_DEADLINE)
        .response_timeout(OPERATION_DEADLINE)
        .retries(1);
    if let Some(username) = &nodes.username {
        builder = builder.username(username);
    }
    if let Some(password) = &nodes.password {
        builder = builder.password(password.as_str());
    }
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    if let Purpose::Subscription(pushes) = purpose {
        builder = builder.use_protocol(ProtocolVersion::RESP3).push_sender(pushes.clone());
    }
    builder.build().map(|client| Opener::Cluster(Box::new(client)))
}

fn sentinel(
    nodes: &Nodes,
    user: Option<&SentinelUser>,
    certificates: Option<TlsCertificates>,
    purpose: &Purpose,
) -> redis::RedisResult<Opener> {
    let addresses = nodes.hosts.iter().map(|(host, port)| {
        if nodes.tls {
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host.clone(), *port)
        }
    });
    let mut builder = SentinelClientBuilder::new(addresses, &nodes.service, SentinelServerType::Master)?
        .set_client_to_redis_db(nodes.database);
    if nodes.tls {
        builder =
            builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    // Sentinels have the same user and password unless others are given: none, perhaps.
    let (sentinel_username, sentinel_password) = match user {
        Some(user) => (&user.username, &user.password),
        None => (&nodes.username, &nodes.password),
    };
    if let Some(username) = &nodes.username {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = &nodes.password {
        builder = builder.set_client_to_redis_password(password.as_str());
    }
    if let Some(username) = sentinel_username {
        builder = builder.set_client_to_sentinel_username(username);
    }
    if let Some(password) = sentinel_password {
        builder = builder.set_client_to_sentinel_password(password.as_str());
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    if matches!(purpose, Purpose::Subscription(_)) {
        builder = builder.set_client_to_redis_protocol(ProtocolVersion::RESP3);
    }
    Ok(Opener::Sentinel(Box::new(builder.build()?)))
}

/// The certificates of `cache.redis.tls`, or those that everything else trusts.
async fn certificates(config: &RedisSettings) -> Result<TlsCertificates, String> {
    let ca = config.tls.as_ref().and_then(|tls| tls.ca.as_ref());
    let root_cert = match ca {
        Some(ca) => config.trust.only(ca).await?,
        None => config.trust.roots(config.bundle.as_slice()).await.pem,
    };
    let identity = config.tls.as_ref().and_then(|tls| tls.identity.as_ref());
    let client_tls = identity.map(|(cert, key)| ClientTlsConfig {
        client_cert: cert.as_bytes().to_vec(),
        client_key: key.as_bytes().to_vec(),
    });
    Ok(TlsCertificates { client_tls, root_cert: Some(root_cert) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_forms_are_understood() {
        for url in [
            "redis://127.0.0.1:6379/1",
            "rediss://user:pass@cache.example:6380",
            "redis+cluster://a:7000,b:7001,c",
            "rediss+cluster://user:p%40ss@a:7000",
            "redis+sentinel://a:26379,b/mymaster",
            "redis+sentinel://:pw@a/mymaster/2",
            "redis+cluster://[::1]:7000",
        ] {
            check_url(url, false).expect(url);
        }
    }

    #[test]
    fn the_database_is_read_in_each_of_its_places() {
        for (url, database) in [
            ("redis://h/3", 3),
            ("redis://h?db=4", 4),
            ("redis://:p@h/?family=4&db=4", 4),
            ("REDIS://h/4?db=4", 4),
            ("unix:///run/r.sock?db=5", 5),
            (" redis://h ", 0),
        ] {
            let Ok(Target::Standalone(info)) = Target::parse(url) else { panic!("{url}") };
            assert_eq!(info.redis_settings().db(), database, "{url}");
        }
        assert!(check_url("redis://h/3?db=4", false).is_err());
        assert!(check_url("redis://h?db=x", false).is_err());
    }

    #[test]
    fn wrong_urls_are_refused_without_repeating_them() {
        for url in [
            "",
            "localhost:6379",
            "http://canary:canary@x",
            "redis+cluster://",
            "redis+cluster://canary@:1",
            "redis+sentinel://canary:26379",
            "redis+sentinel://a:canary/m",
            "redis://canary@:x",
        ] {
            let why = check_url(url, false).expect_err(url);
            assert!(!why.contains("canary"), "{why}");
        }
    }

    #[test]
    fn tls_options_need_a_tls_url() {
        assert!(check_url("redis://h", true).is_err());
        assert!(check_url("rediss://h", true).is_ok());
        assert!(check_url("rediss+sentinel://h/m", true).is_ok());
    }
}
