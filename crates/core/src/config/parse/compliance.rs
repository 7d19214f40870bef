//! `options.compliance`, and what the other options meet of it.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::audit::AuditSink;
use crate::compliance::{CONTROLS, Compliance, Control};
use crate::config::{Config, Field, Section};
use secret::environment::{Environment, Preset};
use secret::error::{ErrorCode, Result, SecretError};

/// The one profile there is.
pub(super) const PROFILE: &str = "soc2";
/// The reason of a waiver, as long as the audit log has room for it.
const LONGEST_REASON: usize = 900;

/// What the option says.
pub(super) struct Settings {
    /// Whether the profile is looked at.
    pub(super) is_watched: bool,
    is_enforced: bool,
    waived: BTreeMap<String, String>,
}

pub(super) fn settings(top: &mut Section, preset: &Preset) -> Result<Settings> {
    let none = |is_watched| Settings { is_watched, is_enforced: false, waived: BTreeMap::new() };
    let Some(field) = top.take("compliance") else { return Ok(none(preset.compliance.is_some())) };
    if field.is_false() {
        return Ok(none(false));
    }
    let profile = |field: Field| field.one_of(&[(PROFILE, ())]);
    if field.is_text() {
        profile(field)?;
        return Ok(none(true));
    }
    let mut section = field.section()?;
    section.read("profile", profile)?;
    let is_enforced = section.read("enforce", Field::bool)?.unwrap_or(false);
    let waived = section.read("waive", waived)?.unwrap_or_default();
    section.finish(&["profile", "enforce", "waive"])?;
    Ok(Settings { is_watched: true, is_enforced, waived })
}

/// Reasons by control.
fn waived(field: Field) -> Result<BTreeMap<String, String>> {
    let reasons = field.section()?.entries().map(|(control, field)| {
        let path = field.path().to_owned();
        if !CONTROLS.contains(&control.as_str()) {
            let why = format_args!("is not a control; there are {}", CONTROLS.join(", "));
            return Err(SecretError::config(&path, why));
        }
        let reason = field.string()?;
        let is_said = !reason.trim().is_empty() && reason.len() <= LONGEST_REASON && !reason.contains(char::is_control);
        let must = "must say why, in one line of up to 900 bytes: the audit log and every report repeat it";
        if is_said { Ok((control, reason.trim().to_owned())) } else { Err(SecretError::config(&path, must)) }
    });
    reasons.collect()
}

/// The configuration with what it meets, or why it is refused.
pub(super) fn judged(mut config: Config, settings: Settings) -> Result<Config> {
    if !settings.is_watched {
        return Ok(config);
    }
    let compliance = Compliance {
        profile: Some(PROFILE),
        enforced: settings.is_enforced,
        controls: controls(&config),
        files: files(&config),
        waived: settings.waived,
    };
    let unmet: Vec<String> = compliance.unmet().map(told).collect();
    if !unmet.is_empty() {
        let count = if unmet.len() == 1 {
            "1 control of soc2 is".to_owned()
        } else {
            format!("{} controls of soc2 are", unmet.len())
        };
        let message = format!("{count} not met: {}", unmet.join("; "));
        if compliance.enforced {
            let way_out = "a control that cannot be met needs compliance.waive with a reason";
            return Err(SecretError::new(ErrorCode::ComplianceNotMet, format!("{message}; {way_out}")));
        }
        config.trust.warn("COMPLIANCE_NOT_MET", format!("{message}; see compliance(), or set compliance to false"));
    }
    if let Some(audit) = &mut config.audit {
        audit.waivers = compliance.waived.clone().into_iter().collect();
    }
    config.compliance = Arc::new(compliance);
    Ok(config)
}

/// The files of this delivery that hold names or values.
fn files(config: &Config) -> Vec<PathBuf> {
    let log = config.audit.as_ref().and_then(|audit| match &audit.sink {
        AuditSink::File(path) => Some(path.clone()),
        AuditSink::Stdout | AuditSink::Shipper => None,
    });
    let env_files = config.env_file.iter().flat_map(|file| file.paths.clone());
    let snapshot = config.cache.as_ref().and_then(|cache| cache.snapshot.clone());
    log.into_iter().chain(env_files).chain(snapshot).collect()
}

fn told(control: &Control) -> String {
    format!("{}: {} ({}: {})", control.id, control.evidence, control.setting, control.remedy)
}

fn controls(config: &Config) -> Vec<Control> {
    vec![
        audit_log(config),
        audit_on_failure(config),
        audit_key(config),
        cache_keys(config),
        redis_tls(config),
        aws_tls(config),
        no_env_file(config),
    ]
}

fn audit_log(config: &Config) -> Control {
    let met = config.audit.is_some();
    Control {
        id: "audit-log",
        criteria: &["CC7.2"],
        met: Some(met),
        evidence: (if met { "the audit log is on" } else { "the audit log is off" }).into(),
        setting: "audit",
        remedy: "leave out audit: false",
    }
}

fn audit_on_failure(config: &Config) -> Control {
    let denies = config.audit.as_ref().map(|audit| audit.denies);
    Control {
        id: "audit-on-failure",
        criteria: &["CC7.2"],
        met: Some(denies == Some(true)),
        evidence: match denies {
            Some(true) => "no value is delivered without its record".into(),
            Some(false) => "values are delivered while the log cannot be written".into(),
            None => "the audit log is off".into(),
        },
        setting: "audit.onFailure",
        remedy: "set 'deny'",
    }
}

fn audit_key(config: &Config) -> Control {
    let has_key = config.audit.as_ref().is_some_and(|audit| audit.key.is_some());
    let is_guessed = config.audit.as_ref().and_then(|audit| audit.key.as_ref()).is_some_and(|key| is_guessed(key));
    Control {
        id: "audit-key",
        criteria: &["CC7.2", "CC7.3"],
        met: Some(has_key && !is_guessed),
        evidence: match (has_key, is_guessed) {
            (true, false) => "the chain of the log has a key".into(),
            (true, true) => "the key of the chain is not random".into(),
            _ => "the chain of the log has no key: who can write it can write all of it anew".into(),
        },
        setting: "TCS_AUDIT_KEY, audit.key",
        remedy: "set the base64 text of 32 random bytes (openssl rand -base64 32)",
    }
}

fn cache_keys(config: &Config) -> Control {
    let cache = config.cache.as_ref().filter(|cache| cache.redis.is_some() || cache.snapshot.is_some());
    let weak: Vec<&str> = cache
        .map(|cache| cache.keys.iter().filter(|key| is_guessed(&*key.key)).map(|key| key.id.as_str()).collect())
        .unwrap_or_default();
    let (met, evidence) = match cache {
        None => (None, "there are no copies outside of the process".into()),
        Some(cache) if cache.keys.is_empty() => (Some(false), "copies are stored in clear".into()),
        Some(_) if !weak.is_empty() => {
            (Some(false), format!("{}: not random, so that anybody can guess it", weak.join(", ")))
        }
        Some(cache) => (Some(true), format!("copies are encrypted with the key {} (AES-256-GCM)", cache.keys[0].id)),
    };
    Control {
        id: "cache-keys",
        criteria: &["CC6.1", "CC6.7"],
        met,
        evidence,
        setting: "TCS_CACHE_KEYS, cache.encryptionKeys",
        remedy: "set 32 random bytes (openssl rand -base64 32)",
    }
}

fn redis_tls(config: &Config) -> Control {
    let redis = config.cache.as_ref().and_then(|cache| cache.redis.as_ref());
    let clear = redis.filter(|redis| redis.tls.is_none()).and_then(|redis| host_in_clear(&redis.url));
    Control {
        id: "redis-tls",
        criteria: &["CC6.7"],
        met: redis.map(|_| clear.is_none()),
        evidence: match (redis, clear) {
            (None, _) => "there is no Redis".into(),
            (_, Some(host)) => format!("password and names go to {host} without TLS"),
            _ => "Redis is asked with TLS, or on this machine".into(),
        },
        setting: "REDIS_URL, cache.redis.url",
        remedy: "use rediss://",
    }
}

fn aws_tls(config: &Config) -> Control {
    let endpoints = config.aws.as_ref().map(|aws| {
        let variable = |name: &str| aws.variables.get(name).map(String::as_str);
        let named = aws.endpoint.as_deref().or_else(|| variable("AWS_ENDPOINT_URL_SECRETS_MANAGER"));
        let others = aws.failover.iter().filter_map(|other| other.endpoint.as_deref());
        named.or_else(|| variable("AWS_ENDPOINT_URL")).into_iter().chain(others).filter_map(host_in_clear).collect()
    });
    let endpoints: Option<Vec<String>> = endpoints;
    Control {
        id: "aws-tls",
        criteria: &["CC6.7"],
        met: endpoints.as_ref().map(Vec::is_empty),
        evidence: match endpoints.as_deref() {
            None => "AWS is not asked".into(),
            Some([]) => "AWS is asked with TLS, or a stand-in on this machine".into(),
            Some(hosts) => format!("secrets come from {} without TLS", hosts.join(", ")),
        },
        setting: "aws.endpoint, AWS_ENDPOINT_URL",
        remedy: "use https://",
    }
}

fn no_env_file(config: &Config) -> Control {
    let is_production = config.environment.base() == Environment::Production;
    Control {
        id: "no-env-file",
        criteria: &["CC6.1"],
        met: is_production.then_some(config.env_file.is_none()),
        evidence: match (is_production, config.env_file.is_some()) {
            (false, _) => "only production must do without".into(),
            (true, true) => "an env file is read".into(),
            (true, false) => "no env file is read".into(),
        },
        setting: "envFile, fallback",
        remedy: "move its secrets to AWS (tcs-secrets migrate) and leave the option out",
    }
}

/// The first host of a URL that is asked in clear and is not this machine. A URL of a cluster or of Sentinels has several.
fn host_in_clear(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let is_clear = scheme == "http"
        || ["redis", "valkey"].iter().any(|own| scheme == *own || scheme.starts_with(&format!("{own}+")));
    if !is_clear || scheme.contains("unix") {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    hosts.split(',').map(host_of).find(|host| !is_here(host)).map(str::to_owned)
}

/// A host without its port.
fn host_of(place: &str) -> &str {
    if let Some(end) = place.find(']') {
        return &place[..=end];
    }
    place.split(':').next().unwrap_or_default()
}

/// Whether a host is the loopback interface.
fn is_here(host: &str) -> bool {
    let octets =
        || host.strip_prefix("127.").is_some_and(|rest| rest.split('.').all(|part| part.parse::<u8>().is_ok()));
    host.is_empty() || host.eq_ignore_ascii_case("localhost") || host == "[::1]" || octets()
}

/// Whether a key has few different bytes, bytes in a row, or repeats itself: 32 random ones have 30 different ones.
fn is_guessed(key: &[u8]) -> bool {
    let steps: HashSet<u8> = key.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    let different: HashSet<u8> = key.iter().copied().collect();
    let repeats = (1..=key.len() / 2).any(|period| key.iter().skip(period).eq(&key[..key.len() - period]));
    steps.len() <= 1 || different.len() < key.len() / 2 || repeats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_in_clear_are_found_and_this_machine_is_none() {
        for (url, host) in [
            ("redis://cache.internal:6379/0", Some("cache.internal")),
            ("redis://user:p@ss@10.0.0.1", Some("10.0.0.1")),
            ("redis+cluster://127.0.0.1:1,10.0.0.2:2", Some("10.0.0.2")),
            ("redis://localhost:6379", None),
            ("redis://127.0.0.1.attacker.example", Some("127.0.0.1.attacker.example")),
            ("redis://[::1]:6379", None),
            ("redis+unix:///run/redis.sock", None),
            ("rediss://cache.internal", None),
            ("http://vpce.example", Some("vpce.example")),
            ("HTTP://vpce.example", Some("vpce.example")),
            ("https://vpce.example", None),
            ("http://localhost.example", Some("localhost.example")),
        ] {
            assert_eq!(host_in_clear(url).as_deref(), host, "{url}");
        }
    }

    #[test]
    fn keys_that_anybody_guesses() {
        assert!(is_guessed(&[0; 32]));
        assert!(is_guessed(&(0..32).collect::<Vec<u8>>()));
        assert!(is_guessed(b"0123456789abcdef0123456789abcdef"));
        assert!(!is_guessed(b"9b1e37c5d80671f32abe19608f12a044"));
        assert!(!is_guessed(b"\x8f\x12\xa0\x44\x9b\xe1\x37\x5c\xd8\x06\x71\xf3\x2a\xbe\x19\x60"));
    }
}
