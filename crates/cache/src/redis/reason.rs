//! Why Redis did not carry a command out, in words. What a server sends is read, and never repeated.

use network::{Remedy, cause_of};
use redis::{ErrorKind, RedisError};
use secret::error::{Cause, ErrorCode, SecretError};

/// Who is asked.
pub(super) struct Place {
    /// Hosts and ports, or a socket.
    pub(super) shown: String,
    /// Whether TLS is spoken. A server without it waits for the end of what it takes for a command.
    pub(super) is_tls: bool,
}

impl Place {
    fn why_late(&self) -> &'static str {
        if self.is_tls { " (does it speak TLS there?)" } else { "" }
    }
}

/// The error of a command.
pub(super) fn unavailable(place: &Place, why: &str) -> SecretError {
    let at = if place.shown.is_empty() { String::new() } else { format!("{}: ", place.shown) };
    SecretError::new(ErrorCode::CacheUnavailable, format!("Redis is not available: {at}{why}"))
}

/// That `place` did not answer in time.
pub(super) fn late(place: &Place, why: &str) -> SecretError {
    let why = format!("{why}{}", place.why_late());
    let message = format!("{}: {why}", place.shown);
    let cause = Cause { code: "ETIMEDOUT".into(), message, place: split(&place.shown) };
    unavailable(place, &why).caused_by(Some(cause))
}

/// The error that `error` of `place` is.
pub(super) fn failed(place: &Place, error: &RedisError) -> SecretError {
    told(place, error, "")
}

/// The error of a connection to `place` that could not be opened. A server that speaks TLS closes one without, and does not say why.
pub(super) fn unopened(place: &Place, error: &RedisError) -> SecretError {
    let is_closed = network_cause(error).is_some_and(|cause| CLOSED.contains(&cause.code));
    let may_speak_tls = is_closed && server_code(error).is_none() && !place.is_tls && !place.shown.starts_with('/');
    told(
        place,
        error,
        if may_speak_tls { " (does it speak TLS there? Then begin cache.redis.url with rediss)" } else { "" },
    )
}

/// What Node calls a connection that the other side ended.
const CLOSED: [&str; 3] = ["ECONNRESET", "EPIPE", "ECONNABORTED"];

fn told(place: &Place, error: &RedisError, hint: &str) -> SecretError {
    let mut why = reason(error);
    if network_cause(error).is_some_and(|cause| cause.code == "ETIMEDOUT") {
        why.push_str(place.why_late());
    }
    why.push_str(hint);
    let cause = match (server_code(error).filter(|code| is_plain(code)), network_cause(error), kind(error)) {
        (Some(code), ..) => Some((code.into(), None)),
        (_, Some(cause), _) => Some((cause.code.into(), split(&place.shown))),
        // The client keeps no answer to a password: it is this one, unless no password is wanted.
        (.., ErrorKind::AuthenticationFailed) => Some(("WRONGPASS".into(), split(&place.shown))),
        (.., ErrorKind::Parse) => Some(("EPROTO".into(), split(&place.shown))),
        _ => None,
    };
    let cause = cause.map(|(code, at)| Cause { code, message: format!("{}: {why}", place.shown), place: at });
    unavailable(place, &why).caused_by(cause)
}

/// The kind of `error`. A cluster's client keeps only the texts of what failed while it connected.
fn kind(error: &RedisError) -> ErrorKind {
    let says = |words: &str| error.detail().is_some_and(|text| text.contains(words));
    match error.kind() {
        ErrorKind::Io if says("Password authentication failed") => ErrorKind::AuthenticationFailed,
        kind => kind,
    }
}

/// What a failure says about the next command.
pub(super) enum Blame {
    /// Only this one was refused: an entry of another type, no memory, no right to write.
    Command,
    /// The server became a replica: another connection may lead to the primary.
    Connection,
    /// Nothing works.
    Server,
}

pub(super) fn blame(error: &RedisError) -> Blame {
    match server_code(error).as_deref() {
        Some("READONLY") => Blame::Connection,
        Some("NOAUTH" | "WRONGPASS" | "LOADING" | "CLUSTERDOWN" | "MASTERDOWN" | "DENIED") => Blame::Server,
        Some(_) => Blame::Command,
        _ if error.kind() == ErrorKind::UnexpectedReturnType => Blame::Command,
        _ => Blame::Server,
    }
}

/// The code the server answered with; of several commands sent together, the first one's.
pub(super) fn server_code(error: &RedisError) -> Option<String> {
    let answered = error.clone().into_server_errors();
    let first = answered.as_ref().and_then(|errors| errors.first()).map(|(_, error)| error.code());
    first.or_else(|| error.code()).map(str::to_owned)
}

/// The reason without any text of the server's.
pub(super) fn reason(error: &RedisError) -> String {
    if let Some(code) = server_code(error).filter(|code| is_plain(code)) {
        return match meaning(&code, &error.to_string()) {
            "" => format!("it answered {code}"),
            meaning => format!("it answered {code}: {meaning}"),
        };
    }
    if let Some(cause) = network_cause(error) {
        let remedy = match cause.remedy {
            Remedy::Trust => "; name the root certificate in cache.redis.tls.ca or NODE_EXTRA_CA_CERTS",
            Remedy::None | Remedy::Place | Remedy::Credentials => "",
        };
        return format!("{cause}{remedy}");
    }
    match kind(error) {
        ErrorKind::AuthenticationFailed => {
            "authentication failed: it does not accept the user and password of cache.redis.url, or wants none".into()
        }
        ErrorKind::MasterNameNotFoundBySentinel => {
            "the Sentinels know no such service (the name after the hosts in cache.redis.url), or it has no master now"
                .into()
        }
        ErrorKind::Parse => "it does not answer in Redis's protocol (is it rediss:// there, or another port?)".into(),
        ErrorKind::RESP3NotSupported => "it is older than Redis 6, which this package needs to hear of changes".into(),
        ErrorKind::InvalidClientConfig => unusable(&error.to_string()).into(),
        ErrorKind::ClusterConnectionNotFound => "no node of the cluster can be reached".into(),
        _ => error.category().to_owned(),
    }
}

/// Why the client does not take its configuration. `text` is the client's own.
fn unusable(text: &str) -> &'static str {
    let says = |words: &str| text.contains(words);
    if says("not point to a sentinel") {
        "no Sentinel answers there: begin cache.redis.url with redis:// (rediss://) for a server, redis+cluster:// for a cluster"
    } else if says("insecure") {
        "certificates are always checked: leave #insecure out of cache.redis.url, and name the root certificate in \
         cache.redis.tls.ca or NODE_EXTRA_CA_CERTS"
    } else if says("resolve to any addresses") || says("No address found") {
        "its name has no address"
    } else if says("wildcard address") {
        "0.0.0.0 and :: are addresses to listen on, and none to connect to"
    } else if says("TLS parameters") {
        "its certificates cannot be used: cache.redis.tls.cert and key do not belong together, or the certificate is of \
         version 1 (make it with extensions: openssl x509 -req -extfile)"
    } else {
        "the Redis client does not take this configuration (cache.redis)"
    }
}

const UNKNOWN_COMMAND: &str = "it does not know a command that this package needs, or the command was renamed (docs/permissions.md \
                               has them), or it is a Sentinel (redis+sentinel://)";
const NOT_ALLOWED: &str = "this user may not do that (docs/permissions.md has the rights)";

/// What an answer means for who set this up.
fn meaning(code: &str, text: &str) -> &'static str {
    let says = |words: &str| text.contains(words);
    match code {
        // Until Redis 7 a script's error has the code of what failed in its text only.
        "ERR" if says("Error running script") && says("-READONLY ") => meaning("READONLY", text),
        "ERR" if says("Error running script") && says("-OOM ") => meaning("OOM", text),
        "ERR" if says("Error running script") && says("-MISCONF ") => meaning("MISCONF", text),
        "ERR" if says("ACL failure in script") || says("executing the script can't run this command") => NOT_ALLOWED,
        "ERR" if says("Unknown Redis command called from") => UNKNOWN_COMMAND,
        "ERR" if says("not allowed from script") => "it does not let scripts run a command that this package needs",
        "ERR" if says("cluster support disabled") => {
            "it is no Redis Cluster: begin cache.redis.url with redis:// (rediss://)"
        }
        "ERR" if says("DB index is out of range") => "it has no database of that number (the path of cache.redis.url)",
        "ERR" if says("max number of clients") => "it has as many connections as it allows (maxclients)",
        "ERR" if says("unknown command") => UNKNOWN_COMMAND,
        "ERR" if says("SELECT is not allowed") => "it has one database only: leave the number out of cache.redis.url",
        "MISCONF" => "it takes no writes, since it cannot save its data",
        "BUSY" => "a script of somebody else's keeps it busy",
        "NOREPLICAS" => "it takes no writes, since it has too few replicas",
        "TRYAGAIN" => "the cluster is being resharded",
        "NOAUTH" => "it wants a password (user:password@ in cache.redis.url)",
        "WRONGPASS" => "the user or the password of cache.redis.url is wrong",
        "NOPERM" => NOT_ALLOWED,
        "MOVED" | "CROSSSLOT" | "ASK" => "it is a node of a Redis Cluster; use redis+cluster:// (rediss+cluster://)",
        "CLUSTERDOWN" => "the cluster does not have all its slots now",
        "READONLY" => {
            "it is a replica, which takes no writes: name the primary, or begin cache.redis.url with redis+sentinel://"
        }
        "LOADING" => "it is reading its data",
        "MASTERDOWN" => "it is a replica without its master",
        "OOM" => "its memory is full (maxmemory; a policy that evicts helps)",
        "DENIED" => "it is in protected mode: it accepts loopback only",
        _ => "",
    }
}

fn is_plain(code: &str) -> bool {
    code.len() <= 20 && code.bytes().all(|b| b.is_ascii_uppercase())
}

/// A cluster's client keeps the texts of its nodes' errors only.
fn network_cause(error: &RedisError) -> Option<network::Cause> {
    cause_of(error).or_else(|| network::cause_in_text(&error.to_string()))
}

fn split(place: &str) -> Option<(String, u16)> {
    let (host, port) = place.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn place(shown: &str) -> Place {
        Place { shown: shown.to_owned(), is_tls: false }
    }

    #[test]
    fn nothing_of_the_server_is_repeated() {
        let told = failed(&place("h:6379"), &answered("-WRONGPASS canary\r\n"));
        assert!(told.to_string().contains("WRONGPASS: the user or the password"), "{told}");
        assert!(!format!("{told:?}").contains("canary"));
    }

    #[test]
    fn a_failure_of_the_network_names_the_place() {
        let refused = RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        let told = failed(&place("[::1]:6379"), &refused);
        assert_eq!(told.to_string(), "Redis is not available: [::1]:6379: connection refused (nothing listens there)");
        assert_eq!(told.cause().and_then(|cause| cause.place.clone()), Some(("::1".into(), 6379)));
    }

    fn answered(text: &str) -> RedisError {
        redis::parse_redis_value(text.as_bytes()).and_then(redis::Value::extract_error).expect_err("an error")
    }

    #[test]
    fn each_configuration_that_the_client_refuses_has_words_of_its_own() {
        let told = |text: &'static str| reason(&RedisError::from((ErrorKind::InvalidClientConfig, text)));
        for (text, words) in [
            (
                "Address does not point to a sentinel node",
                "no Sentinel answers there: begin cache.redis.url with redis://",
            ),
            ("Cannot create insecure client without the feature", "leave #insecure out"),
            ("No address found for host", "its name has no address"),
            ("Cannot connect to a wildcard address (0.0.0.0 or ::)", "none to connect to"),
            ("something new", "does not take this configuration"),
        ] {
            assert!(
                told(text).contains(words) && !told(text).contains("certificates cannot be used"),
                "{}",
                told(text)
            );
        }
        assert!(told("Unable to build client with TLS parameters provided").contains("do not belong together"));
    }

    #[test]
    fn what_fails_in_a_script_is_told_as_outside_of_one() {
        for (text, words) in [
            (
                "-ERR ACL failure in script: User x has no permissions to run the 'time' command canary\r\n",
                "docs/permissions.md",
            ),
            ("-ERR Error running script (call to f_1): @user_script:3: -READONLY canary\r\n", "it is a replica"),
            ("-ERR Error running script (call to f_1): @user_script:3: -OOM canary\r\n", "its memory is full"),
            (
                "-ERR Error running script: The user executing the script can't run this command or subcommand canary\r\n",
                "docs/permissions.md",
            ),
            ("-ERR Unknown Redis command called from script canary\r\n", "the command was renamed"),
            ("-ERR This Redis command is not allowed from script canary\r\n", "does not let scripts run"),
        ] {
            let told = reason(&answered(text));
            assert!(told.contains(words) && !told.contains("canary"), "{told}");
        }
    }

    #[test]
    fn a_refused_password_and_another_protocol_have_a_cause_with_host_and_port() {
        let cause = |error: &RedisError| {
            let told = failed(&place("h:6379"), error);
            let cause = told.cause().cloned().expect("a cause");
            (cause.code.into_owned(), cause.place)
        };
        let at = Some(("h".to_owned(), 6379));
        let wrong = RedisError::from((ErrorKind::AuthenticationFailed, "Password authentication failed"));
        assert_eq!(cause(&wrong), ("WRONGPASS".to_owned(), at.clone()));
        let of_cluster = (
            ErrorKind::Io,
            "Failed to create initial connections",
            "Password authentication failed - canary".to_owned(),
        );
        assert_eq!(cause(&RedisError::from(of_cluster)), ("WRONGPASS".to_owned(), at.clone()));
        let http = redis::parse_redis_value(b"HTTP/1.1 400 Bad Request\r\n").expect_err("no Redis");
        assert_eq!(cause(&http), ("EPROTO".to_owned(), at));
    }

    #[test]
    fn a_server_that_closes_may_speak_tls() {
        for kind in [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof] {
            let closed = RedisError::from(io::Error::from(kind));
            assert!(unopened(&place("h:6379"), &closed).to_string().contains("rediss"), "{kind}");
            for told in [
                // A connection that worked before.
                failed(&place("h:6379"), &closed),
                unopened(&place("/run/redis.sock"), &closed),
                unopened(&Place { shown: "h:6379".into(), is_tls: true }, &closed),
            ] {
                assert!(!told.to_string().contains("rediss"), "{told}");
            }
        }
        let refused = RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(!unopened(&place("h:6379"), &refused).to_string().contains("rediss"));
    }

    #[test]
    fn what_a_server_means_by_err_is_told_without_its_text() {
        for (text, words) in [
            (
                "-ERR This instance has cluster support disabled canary\r\n",
                "no Redis Cluster: begin cache.redis.url with redis://",
            ),
            ("-NOPERM canary\r\n", "docs/permissions.md"),
            ("-ERR DB index is out of range canary\r\n", "no database of that number"),
            ("-ERR max number of clients reached canary\r\n", "maxclients"),
            ("-ERR unknown command 'EVAL' canary\r\n", "does not know a command"),
            ("-ERR something canary\r\n", "it answered ERR"),
            ("-MISCONF canary\r\n", "cannot save its data"),
        ] {
            let told = reason(&answered(text));
            assert!(told.contains(words) && !told.contains("canary"), "{told}");
        }
    }
}
