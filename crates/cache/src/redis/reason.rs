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
    let mut why = reason(error);
    if network_cause(error).is_some_and(|cause| cause.code == "ETIMEDOUT") {
        why.push_str(place.why_late());
    }
    let cause = match (server_code(error), network_cause(error)) {
        (Some(code), _) if is_plain(&code) => Some((code.into(), None)),
        (_, Some(cause)) => Some((cause.code.into(), split(&place.shown))),
        _ => None,
    };
    let cause = cause.map(|(code, at)| Cause { code, message: format!("{}: {why}", place.shown), place: at });
    unavailable(place, &why).caused_by(cause)
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
            Remedy::None => "",
        };
        return format!("{cause}{remedy}");
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => {
            "authentication failed: it does not accept the user and password of cache.redis.url, or wants none".into()
        }
        ErrorKind::MasterNameNotFoundBySentinel => {
            "the Sentinels know no such service (the name after the hosts in cache.redis.url), or it has no master now"
                .into()
        }
        ErrorKind::Parse => "it does not answer in Redis's protocol (is it rediss:// there, or another port?)".into(),
        ErrorKind::RESP3NotSupported => "it is older than Redis 6, which this package needs to hear of changes".into(),
        ErrorKind::InvalidClientConfig => {
            "its certificates cannot be used: cache.redis.tls.cert and key do not belong together, or the certificate is of \
             version 1 (make it with extensions: openssl x509 -req -extfile)"
                .into()
        }
        ErrorKind::ClusterConnectionNotFound => "no node of the cluster can be reached".into(),
        _ => error.category().to_owned(),
    }
}

/// What an answer means for who set this up.
fn meaning(code: &str, text: &str) -> &'static str {
    let says = |words: &str| text.contains(words);
    match code {
        "ERR" if says("DB index is out of range") => "it has no database of that number (the path of cache.redis.url)",
        "ERR" if says("max number of clients") => "it has as many connections as it allows (maxclients)",
        "ERR" if says("unknown command") => {
            "it does not know a command that this package needs, or the command was renamed (docs/scaling.md has them)"
        }
        "ERR" if says("SELECT is not allowed") => "it has one database only: leave the number out of cache.redis.url",
        "MISCONF" => "it takes no writes, since it cannot save its data",
        "BUSY" => "a script of somebody else's keeps it busy",
        "NOREPLICAS" => "it takes no writes, since it has too few replicas",
        "TRYAGAIN" => "the cluster is being resharded",
        "NOAUTH" => "it wants a password (user:password@ in cache.redis.url)",
        "WRONGPASS" => "the user or the password of cache.redis.url is wrong",
        "NOPERM" => "this user may not do that (docs/scaling.md has the rights)",
        "MOVED" | "CROSSSLOT" | "ASK" => "it is a node of a Redis Cluster; use redis+cluster:// (rediss+cluster://)",
        "CLUSTERDOWN" => "the cluster does not have all its slots now",
        "READONLY" => "it is a replica",
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
        let parse = redis::parse_redis_value(b"-WRONGPASS canary\r\n");
        let error = parse.and_then(redis::Value::extract_error).expect_err("an error");
        let told = failed(&place("h:6379"), &error);
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

    #[test]
    fn what_a_server_means_by_err_is_told_without_its_text() {
        for (text, words) in [
            ("-ERR DB index is out of range canary\r\n", "no database of that number"),
            ("-ERR max number of clients reached canary\r\n", "maxclients"),
            ("-ERR unknown command 'EVAL' canary\r\n", "does not know a command"),
            ("-ERR something canary\r\n", "it answered ERR"),
            ("-MISCONF canary\r\n", "cannot save its data"),
        ] {
            let parse = redis::parse_redis_value(text.as_bytes());
            let told = reason(&parse.and_then(redis::Value::extract_error).expect_err("an error"));
            assert!(told.contains(words) && !told.contains("canary"), "{told}");
        }
        let certificates = RedisError::from((ErrorKind::InvalidClientConfig, "canary"));
        assert!(reason(&certificates).contains("do not belong together"));
    }
}
