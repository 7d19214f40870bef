//! Options to [`Config`]: one function a section, in the order of the documented shape.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex::Regex;
use url::Url;
use zeroize::Zeroizing;

use super::{
    Ambient, AwsConfig, AwsCredentials, CacheConfig, Config, EncryptionKey, EnvFileConfig, EnvFileSyntax, Field,
    OptionValue, Precedence, RedisConfig, RedisTls, RuntimeConfig, Section,
};
use crate::environment::{Environment, Preset};
use crate::error::{ErrorCode, Result, SecretError};
use crate::manifest::{Manifest, SecretSpec};
use crate::name::{AwsIdTemplate, check_part};
use crate::value::SecretValue;

/// The longest duration an option may give: 100 days in seconds.
const MAX_SECONDS: u32 = 8_640_000;
/// What `timeoutMs` may be at most: a read has one deadline, and nobody waits ten minutes for a secret.
const MAX_TIMEOUT_MILLIS: u32 = 600_000;

const TOP: &[&str] = &["environment", "tools", "aws", "envFile", "runtime", "cache", "audit", "rotation", "events"];

pub(super) fn config(options: OptionValue, ambient: &Ambient) -> Result<Config> {
    let options = match options {
        OptionValue::Null => OptionValue::Record(BTreeMap::new()),
        given => given,
    };
    let mut top = Field::new("options", options).section()?;
    let environment = environment(&mut top, ambient)?;
    let preset = environment.preset();
    let tools = top.read("tools", tools)?.unwrap_or_default();
    let (aws, aws_id_template) = aws(&mut top, environment, ambient)?;
    let env_file = env_file(&mut top, &preset, ambient)?;
    let runtime = runtime(&mut top, ambient)?;
    let cache = cache(&mut top, &preset, ambient)?;
    not_yet(&mut top)?;
    top.finish(TOP)?;
    Ok(Config { environment, preset, tools, aws, aws_id_template, env_file, runtime, cache })
}

/// Options whose system is not part of this version are refused instead of being ignored: an operator who asks for
/// an audit log must not believe that there is one. `audit: false` asks for nothing and is accepted.
fn not_yet(top: &mut Section) -> Result<()> {
    for name in ["audit", "rotation", "events"] {
        match top.take(name) {
            None => {}
            Some(field) if field.is_false() && name == "audit" => {}
            Some(field) => return Err(field.refuse("is not available in this version")),
        }
    }
    Ok(())
}

fn environment(top: &mut Section, ambient: &Ambient) -> Result<Environment> {
    let known = "must be 'development', 'test', 'staging' or 'production'";
    if let Some(field) = top.take("environment") {
        let path = field.path().to_owned();
        return Environment::parse(&field.string()?).ok_or_else(|| SecretError::config(&path, known));
    }
    for variable in ["TCS_ENVIRONMENT", "NODE_ENV"] {
        if let Some(value) = ambient.variable(variable) {
            return Environment::parse(value).ok_or_else(|| {
                SecretError::config(
                    "options.environment",
                    format_args!("is not given and the variable {variable} {known}"),
                )
            });
        }
    }
    Ok(Environment::Development)
}

fn tools(field: Field) -> Result<Manifest> {
    let mut manifest = Manifest::default();
    for (tool, field) in field.section()?.entries() {
        check_part("tool name", &tool)
            .map_err(|error| SecretError::config("options.tools", format_args!("has a bad key: {error}")))?;
        let path = field.path().to_owned();
        let mut section = field.section()?;
        let secrets = section.read("secrets", secrets)?.unwrap_or_default();
        section.finish(&["secrets"])?;
        if !manifest.declare(&tool, secrets) {
            return Err(SecretError::config(&path, "is declared twice (names differ only in case)"));
        }
    }
    Ok(manifest)
}

fn secrets(field: Field) -> Result<BTreeMap<String, SecretSpec>> {
    let parent = field.path().to_owned();
    let mut secrets = BTreeMap::new();
    for (secret_type, field) in field.section()?.entries() {
        check_part("secret type", &secret_type)
            .map_err(|error| SecretError::config(&parent, format_args!("has a bad key: {error}")))?;
        let path = field.path().to_owned();
        let spec = secret_spec(field)?;
        if secrets.insert(secret_type.to_ascii_uppercase(), spec).is_some() {
            return Err(SecretError::config(&path, "is declared twice (names differ only in case)"));
        }
    }
    Ok(secrets)
}

fn secret_spec(field: Field) -> Result<SecretSpec> {
    let mut section = field.section()?;
    let spec = SecretSpec {
        required: section.read("required", Field::bool)?.unwrap_or(false),
        pattern: section.read("pattern", pattern)?,
        min_length: section.read("minLength", |f| f.integer(0..=65_536))?,
        json_fields: section.read("json", json_fields)?.flatten(),
        rotation_type: section.read("rotationType", Field::string)?,
    };
    section.finish(&["required", "pattern", "minLength", "json", "rotationType"])?;
    Ok(spec)
}

fn pattern(field: Field) -> Result<Regex> {
    let path = field.path().to_owned();
    let text = field.string()?;
    Regex::new(&text).map_err(|_| {
        SecretError::config(
            &path,
            "is not a regular expression (Rust regex syntax: no look-around, no back-references)",
        )
    })
}

/// `true` asks for JSON of any shape, an array for top-level fields.
fn json_fields(field: Field) -> Result<Option<Vec<String>>> {
    if field.is_false() {
        return Ok(None);
    }
    let path = field.path().to_owned();
    match field.list() {
        Ok(items) => items.into_iter().map(Field::string).collect::<Result<_>>().map(Some),
        Err(_) => Err(SecretError::config(&path, "must be an array of field names (empty for any JSON) or false")),
    }
}

fn aws(top: &mut Section, environment: Environment, ambient: &Ambient) -> Result<(Option<AwsConfig>, AwsIdTemplate)> {
    const KNOWN: &[&str] = &[
        "enabled",
        "region",
        "endpoint",
        "profile",
        "credentials",
        "timeoutMs",
        "connectTimeoutMs",
        "maxAttempts",
        "secretIdTemplate",
        "failoverRegions",
    ];
    let mut section = sub_section(top, "aws")?;
    let enabled = section.read("enabled", Field::bool)?.unwrap_or(true);
    let timeout = section.read("timeoutMs", |f| f.integer(1..=MAX_TIMEOUT_MILLIS))?.unwrap_or(4500);
    let connect = section.read("connectTimeoutMs", |f| f.integer(1..=MAX_TIMEOUT_MILLIS))?.unwrap_or(1000);
    let max_attempts = section.read("maxAttempts", |f| f.integer(1..=10))?.unwrap_or(3);
    let template = section.read("secretIdTemplate", |field| {
        let path = field.path().to_owned();
        AwsIdTemplate::parse(&field.string()?).map_err(|why| SecretError::config(&path, why))
    })?;
    let template = match template {
        Some(template) => template,
        None => AwsIdTemplate::parse(AwsIdTemplate::DEFAULT)
            .map_err(|why| SecretError::config("options.aws.secretIdTemplate", why))?,
    };
    if let Some(field) = section.take("failoverRegions") {
        return Err(field.refuse("is not available in this version"));
    }
    let region = section.read("region", region)?;
    let endpoint = section.read("endpoint", http_url)?;
    let profile = section.read("profile", Field::string)?;
    let credentials = section.read("credentials", credentials)?;
    section.finish(KNOWN)?;

    let mut variables: std::collections::HashMap<String, String> = ambient
        .variables
        .iter()
        .filter(|(name, _)| {
            name.starts_with("AWS_") || matches!(name.as_str(), "HOME" | "USERPROFILE" | "SSL_CERT_FILE")
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // In development the first read must not wait for a metadata service; AWS_EC2_METADATA_DISABLED=false asks for it.
    let asked = ambient.variable("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("false"));
    let instance_metadata = environment.preset().instance_metadata || asked;
    if !instance_metadata {
        variables.insert("AWS_EC2_METADATA_DISABLED".into(), "true".into());
    }
    let config = AwsConfig {
        region,
        endpoint,
        profile,
        credentials,
        timeout: Duration::from_millis(u64::from(timeout)),
        connect_timeout: Duration::from_millis(u64::from(connect)),
        max_attempts,
        instance_metadata,
        variables,
    };
    Ok((enabled.then_some(config), template))
}

fn region(field: Field) -> Result<String> {
    let path = field.path().to_owned();
    let region = field.string()?;
    let fits = region.len() <= 40 && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits { Ok(region) } else { Err(SecretError::config(&path, "must be a region such as 'eu-central-1'")) }
}

fn http_url(field: Field) -> Result<String> {
    let path = field.path().to_owned();
    let text = field.string()?;
    let refuse = |why: &str| Err(SecretError::config(&path, why));
    match Url::parse(&text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => refuse("must be an http:// or https:// URL"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => refuse("must not hold credentials"),
        Ok(url) if !url.has_host() => refuse("must name a host"),
        Ok(_) => Ok(text),
        Err(_) => refuse("must be an http:// or https:// URL"),
    }
}

fn credentials(field: Field) -> Result<AwsCredentials> {
    let mut section = field.section()?;
    let path = section.path().to_owned();
    let missing = |name: &str| SecretError::config(&format!("{path}.{name}"), "is missing");
    let access_key_id = section.read("accessKeyId", Field::string)?.ok_or_else(|| missing("accessKeyId"))?;
    let secret = section.read("secretAccessKey", Field::text)?.ok_or_else(|| missing("secretAccessKey"))?;
    let token = section.read("sessionToken", Field::text)?;
    section.finish(&["accessKeyId", "secretAccessKey", "sessionToken"])?;
    Ok(AwsCredentials {
        access_key_id,
        secret_access_key: SecretValue::copied(&secret),
        session_token: token.map(|token| SecretValue::copied(&token)),
    })
}

fn env_file(top: &mut Section, preset: &Preset, ambient: &Ambient) -> Result<Option<EnvFileConfig>> {
    let Some(field) = top.take("envFile") else {
        return Ok(preset.env_file.map(|name| EnvFileConfig {
            path: ambient.working_directory.join(name),
            syntax: EnvFileSyntax::Dotenv,
            deprecated: preset.env_file_deprecated,
        }));
    };
    if field.is_false() {
        return Ok(None);
    }
    let mut section = field.section()?;
    let path = section.read("path", Field::string)?.map(PathBuf::from);
    let directory = section.read("directory", Field::string)?;
    let syntax = section
        .read("syntax", |f| f.one_of(&[("dotenv", EnvFileSyntax::Dotenv), ("dotenvy", EnvFileSyntax::Dotenvy)]))?
        .unwrap_or(EnvFileSyntax::Dotenv);
    section.finish(&["path", "directory", "syntax"])?;
    let directory = directory
        .map_or_else(|| ambient.working_directory.clone(), |directory| ambient.working_directory.join(directory));
    // A path that is asked for by name is used in production too; the preset only decides the default.
    let Some(path) = path.or_else(|| preset.env_file.map(PathBuf::from)) else {
        return Ok(None);
    };
    Ok(Some(EnvFileConfig { path: directory.join(path), syntax, deprecated: preset.env_file_deprecated }))
}

fn runtime(top: &mut Section, ambient: &Ambient) -> Result<RuntimeConfig> {
    let mut section = sub_section(top, "runtime")?;
    let precedence = section
        .read("precedence", |f| f.one_of(&[("last", Precedence::Last), ("override", Precedence::Override)]))?
        .unwrap_or(Precedence::Last);
    // The variables themselves stay on the JavaScript side, which reads them at each call; here they are checked.
    if let Some(field) = section.take("variables") {
        for (_, variable) in field.section()?.entries() {
            variable.text_or_empty()?;
        }
    }
    let directories = section.read("secretDirectories", |field| {
        field
            .list()?
            .into_iter()
            .map(|item| item.string().map(|dir| ambient.working_directory.join(dir)))
            .collect::<Result<Vec<_>>>()
    })?;
    section.finish(&["precedence", "variables", "secretDirectories"])?;
    Ok(RuntimeConfig {
        precedence,
        directories: directories.unwrap_or_else(|| vec![Path::new("/run/secrets").to_owned()]),
    })
}

fn cache(top: &mut Section, preset: &Preset, ambient: &Ambient) -> Result<Option<CacheConfig>> {
    const KNOWN: &[&str] = &[
        "ttlSeconds",
        "maxEntries",
        "maxStaleSeconds",
        "negativeTtlSeconds",
        "refreshAhead",
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
    let max_entries = section.read("maxEntries", |f| f.integer(1..=10_000_000))?.unwrap_or(10_000);
    if let Some(field) = section.take("refreshAhead") {
        return Err(field.refuse("is not available in this version"));
    }
    let redis = redis(&mut section, ambient)?;
    let keys = keys(&mut section, ambient)?;
    section.finish(KNOWN)?;
    if redis.is_some() && keys.is_empty() && preset.encryption_required {
        return Err(SecretError::new(
            ErrorCode::EncryptionKeyInvalid,
            "options.cache.encryptionKeys is required here: values in Redis must be encrypted in staging and production. \
             Give at least one { id, key } (32 random bytes, base64), set TCS_CACHE_KEYS=id:base64, or set cache.redis to \
             false to cache in memory only",
        ));
    }
    Ok(Some(CacheConfig { ttl, max_entries: max_entries as usize, max_stale, negative_ttl: negative, redis, keys }))
}

fn redis(cache: &mut Section, ambient: &Ambient) -> Result<Option<RedisConfig>> {
    const DEFAULT_PREFIX: &str = "secret:";
    let Some(field) = cache.take("redis") else {
        let Some(url) = ambient.variable("REDIS_URL") else {
            return Ok(None);
        };
        let url = Zeroizing::new(url.to_owned());
        crate::cache::redis::check_url(&url, false)
            .map_err(|why| SecretError::config("options.cache.redis.url", format_args!("(from REDIS_URL) {why}")))?;
        return Ok(Some(RedisConfig { url, key_prefix: DEFAULT_PREFIX.into(), tls: None }));
    };
    if field.is_false() {
        return Ok(None);
    }
    let mut section = field.section()?;
    let tls = section.read("tls", redis_tls)?;
    let path = format!("{}.url", section.path());
    let url = match section.read("url", Field::text)? {
        Some(url) => url,
        None => ambient
            .variable("REDIS_URL")
            .map(|url| Zeroizing::new(url.to_owned()))
            .ok_or_else(|| SecretError::config(&path, "is missing (and REDIS_URL is not set)"))?,
    };
    crate::cache::redis::check_url(&url, tls.is_some()).map_err(|why| SecretError::config(&path, why))?;
    let key_prefix = section.read("keyPrefix", Field::string)?.unwrap_or_else(|| DEFAULT_PREFIX.into());
    section.finish(&["url", "keyPrefix", "tls"])?;
    Ok(Some(RedisConfig { url, key_prefix, tls }))
}

fn redis_tls(field: Field) -> Result<RedisTls> {
    let mut section = field.section()?;
    let path = section.path().to_owned();
    let ca = section.read("ca", Field::text)?;
    let identity = match (section.read("cert", Field::text)?, section.read("key", Field::text)?) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => return Err(SecretError::config(&path, "needs cert and key together")),
    };
    section.finish(&["ca", "cert", "key"])?;
    Ok(RedisTls { ca, identity })
}

fn keys(cache: &mut Section, ambient: &Ambient) -> Result<Vec<EncryptionKey>> {
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
    } else if let Some(variable) = ambient.variable("TCS_CACHE_KEYS") {
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

fn sub_section(top: &mut Section, name: &str) -> Result<Section> {
    match top.take(name) {
        Some(field) => field.section(),
        None => empty_section(&format!("options.{name}")),
    }
}

fn empty_section(path: &str) -> Result<Section> {
    Field::new(path, OptionValue::Record(BTreeMap::new())).section()
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
