//! `options.cache`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::aws::bundle;
use super::empty_section;
use crate::config::{Ambient, Field, Section};
use cache::settings::{CacheSettings, EncryptionKey, RedisSettings, RedisTls, SentinelUser};
use network::{Trust, named_bundle};
use secret::environment::Preset;
use secret::error::{ErrorCode, Result, SecretError};

/// The longest duration that an option may have: 100 days, in seconds.
const MAX_SECONDS: u32 = 8_640_000;
/// In seconds.
const DAY: u32 = 86_400;

pub(super) fn cache(
    top: &mut Section,
    preset: &Preset,
    ambient: &Ambient,
    trust: &Arc<Trust>,
) -> Result<Option<CacheSettings>> {
    const KNOWN: &[&str] = &[
        "ttlSeconds",
        "maxEntries",
        "maxStaleSeconds",
        "negativeTtlSeconds",
        "accessCheckSeconds",
        "refreshAhead",
        "snapshotPath",
        "redis",
        "encryptionKeys",
    ];
    let field = top.take("cache");
    let wanted = match &field {
        Some(field) if field.is_false() => return Ok(None),
        given => given.is_some() || preset.cache_ttl.is_some(),
    };
    if !wanted {
        return Ok(None);
    }
    let mut section = match field {
        Some(field) => field.section()?,
        None => empty_section("options.cache")?,
    };
    let seconds = |value: Option<u32>, default: Duration| value.map_or(default, |s| Duration::from_secs(u64::from(s)));
    let default_ttl = preset.cache_ttl.unwrap_or(Duration::from_mins(1));
    let ttl = seconds(section.read("ttlSeconds", |f| f.integer(1..=MAX_SECONDS))?, default_ttl);
    let max_stale = seconds(section.read("maxStaleSeconds", |f| f.integer(0..=MAX_SECONDS))?, preset.max_stale);
    let negative = seconds(section.read("negativeTtlSeconds", |f| f.integer(0..=MAX_SECONDS))?, Duration::from_secs(5));
    let access_check = section.read("accessCheckSeconds", |field| {
        if field.is_false() { Ok(None) } else { field.integer(1..=MAX_SECONDS).map(Some) }
    })?;
    let access_check = access_check.unwrap_or(Some(DAY)).map(|s| Duration::from_secs(u64::from(s)));
    let max_entries = section.read("maxEntries", |f| f.integer(1..=10_000_000))?.unwrap_or(10_000);
    let refresh_ahead = section.read("refreshAhead", Field::bool)?.unwrap_or(true);
    let snapshot = section.read("snapshotPath", Field::string)?.map(|path| ambient.working_directory.join(path));
    let is_asked_for = section.has("redis");
    let redis = redis(&mut section, ambient, trust)?;
    // Nobody needs the variable's keys without a place for what they encrypt.
    let needs_variable = redis.is_some() || snapshot.is_some();
    let keys = keys(&mut section, needs_variable.then_some(ambient))?;
    section.finish(KNOWN)?;
    // The variable may be there for another library, which must not stop this service.
    let needs_keys = redis.is_some() && keys.is_empty() && preset.encryption_required;
    let redis = if needs_keys && !is_asked_for {
        let why = "values in Redis must be encrypted here: set TCS_CACHE_KEYS=id:base64 (32 random bytes) or \
                   cache.encryptionKeys";
        warn_of_redis(trust, why);
        None
    } else {
        redis
    };
    if redis.is_some() && keys.is_empty() && preset.encryption_required {
        return Err(SecretError::new(
            ErrorCode::EncryptionKeyInvalid,
            "options.cache.encryptionKeys is required here: values in Redis must be encrypted in staging and production. \
             Give at least one { id, key } (32 random bytes, base64), set TCS_CACHE_KEYS=id:base64, or set cache.redis to \
             false to cache in memory only",
        ));
    }
    if snapshot.is_some() && keys.is_empty() {
        return Err(SecretError::new(
            ErrorCode::EncryptionKeyInvalid,
            "options.cache.encryptionKeys is required with options.cache.snapshotPath: the file holds encrypted values only",
        ));
    }
    Ok(Some(CacheSettings {
        ttl,
        max_entries: max_entries as usize,
        max_stale,
        access_check,
        negative_ttl: negative,
        refresh_ahead,
        snapshot,
        redis,
        keys,
    }))
}

/// That the variable names a server that is not used.
fn warn_of_redis(trust: &Trust, why: &str) {
    let message = format!(
        "REDIS_URL is not used, and this process shares no copies with others: {why}. If the variable is there for another \
         library, set cache.redis to false"
    );
    trust.warn("REDIS_URL_UNUSED", message);
}

fn redis(cache: &mut Section, ambient: &Ambient, trust: &Arc<Trust>) -> Result<Option<RedisSettings>> {
    const DEFAULT_PREFIX: &str = "secret:";
    let bundle = bundle(ambient, "SSL_CERT_FILE");
    let settings = |url, key_prefix, tls, sentinel| {
        let (trust, bundle) = (trust.clone(), bundle.clone());
        RedisSettings { url, key_prefix, tls, sentinel, trust, bundle }
    };
    let Some(field) = cache.take("redis") else {
        let Some(url) = ambient.variable("REDIS_URL") else {
            return Ok(None);
        };
        let url = Zeroizing::new(url.to_owned());
        if let Err(why) = cache::redis::check_url(&url, false) {
            let hint = "in a user name or password percent-encode what is no letter or digit, such as %23 for #";
            let hint = if why.contains("percent-encode") { String::new() } else { format!(" ({hint})") };
            warn_of_redis(trust, &format!("it {why}{hint}"));
            return Ok(None);
        }
        return Ok(Some(settings(url, DEFAULT_PREFIX.into(), None, None)));
    };
    if field.is_false() {
        return Ok(None);
    }
    let mut section = field.section()?;
    let tls = section.read("tls", |field| redis_tls(field, ambient))?;
    let sentinel = section.read("sentinel", sentinel)?;
    let path = format!("{}.url", section.path());
    let url = match section.read("url", Field::text)? {
        Some(url) => url,
        None => ambient
            .variable("REDIS_URL")
            .map(|url| Zeroizing::new(url.to_owned()))
            .ok_or_else(|| SecretError::config(&path, "is missing (and REDIS_URL is not set)"))?,
    };
    cache::redis::check_url(&url, tls.is_some()).map_err(|why| SecretError::config(&path, why))?;
    let key_prefix = section.read("keyPrefix", Field::string)?.unwrap_or_else(|| DEFAULT_PREFIX.into());
    section.finish(&["url", "keyPrefix", "tls", "sentinel"])?;
    Ok(Some(settings(url, key_prefix, tls, sentinel)))
}

fn sentinel(field: Field) -> Result<SentinelUser> {
    let mut section = field.section()?;
    let username = section.read("username", Field::string)?;
    let password = section.read("password", Field::text)?;
    section.finish(&["username", "password"])?;
    Ok(SentinelUser { username, password })
}

fn redis_tls(field: Field, ambient: &Ambient) -> Result<RedisTls> {
    let mut section = field.section()?;
    let path = section.path().to_owned();
    let ca = section.read("ca", Field::text)?;
    let ca = ca.map(|ca| named_bundle(&format!("{path}.ca"), &ca, &ambient.working_directory));
    let identity = match (section.read("cert", Field::text)?, section.read("key", Field::text)?) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => return Err(SecretError::config(&path, "needs cert and key together")),
    };
    section.finish(&["ca", "cert", "key"])?;
    Ok(RedisTls { ca, identity })
}

fn keys(cache: &mut Section, ambient: Option<&Ambient>) -> Result<Vec<EncryptionKey>> {
    let mut keys = Vec::new();
    if let Some(field) = cache.take("encryptionKeys") {
        for item in field.list()? {
            let mut section = item.section()?;
            let path = section.path().to_owned();
            let id = section.read("id", Field::string)?.ok_or_else(|| key_error(&path, "has no id"))?;
            let (bytes, is_text) =
                section.read("key", Field::text_or_bytes)?.ok_or_else(|| key_error(&path, "has no key"))?;
            section.finish(&["id", "key"])?;
            keys.push(key(&path, &id, bytes, is_text)?);
        }
    } else if let Some(variable) = ambient.and_then(|ambient| ambient.variable("TCS_CACHE_KEYS")) {
        for (index, item) in variable.split(',').enumerate() {
            let path = format!("TCS_CACHE_KEYS entry {}", index + 1);
            let (id, text) = item.trim().split_once(':').ok_or_else(|| key_error(&path, "must be id:base64"))?;
            keys.push(key(&path, id, Zeroizing::new(text.as_bytes().to_vec()), true)?);
        }
    }
    let mut seen = HashSet::new();
    for key in &keys {
        if !seen.insert(key.id.as_str()) {
            return Err(key_error("options.cache.encryptionKeys", &format!("uses the id '{}' twice", key.id)));
        }
    }
    Ok(keys)
}

fn key(path: &str, id: &str, bytes: Zeroizing<Vec<u8>>, is_text: bool) -> Result<EncryptionKey> {
    let id_fits =
        !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if !id_fits {
        return Err(key_error(path, "must have an id of 1 to 64 letters, digits, '_', '.' or '-'"));
    }
    let raw = if is_text { decode_base64(&bytes) } else { Some(bytes) };
    let key = raw
        .and_then(|raw| <[u8; 32]>::try_from(raw.as_slice()).ok())
        .ok_or_else(|| key_error(path, "must have a key of exactly 32 bytes, as base64 or a Uint8Array"))?;
    Ok(EncryptionKey { id: id.to_owned(), key: Zeroizing::new(key) })
}

fn decode_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    [STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD].iter().find_map(|engine| engine.decode(text).ok()).map(Zeroizing::new)
}

fn key_error(path: &str, why: &str) -> SecretError {
    SecretError::new(ErrorCode::EncryptionKeyInvalid, format!("{path} {why}"))
}
