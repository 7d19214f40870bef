//! `options.aws`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::sub_section;
use crate::config::{Ambient, Field, Section};
use aws::is_region;
use aws::proxy::{Proxies, Proxy};
use aws::settings::{AwsCredentials, AwsSettings, CredentialsSource, FailoverRegion};
use network::{Bundle, Trust, named_bundle, named_directories};
use secret::aws_ids::AwsIdTemplate;
use secret::environment::Environment;
use secret::error::{Result, SecretError};
use secret::value::SecretValue;

/// What `timeoutMs` may be at most: a read has one deadline, and nobody waits ten minutes for a secret.
const MAX_TIMEOUT_MILLIS: u32 = 600_000;

pub(super) fn aws(
    top: &mut Section,
    environment: Environment,
    ambient: &Ambient,
    trust: &Arc<Trust>,
) -> Result<(Option<AwsSettings>, AwsIdTemplate)> {
    const KNOWN: &[&str] = &[
        "enabled",
        "region",
        "endpoint",
        "profile",
        "credentials",
        "assumeRole",
        "timeoutMs",
        "connectTimeoutMs",
        "maxAttempts",
        "secretIdTemplate",
        "requestsPerSecond",
        "batch",
        "failoverRegions",
        "ca",
        "proxy",
        "useFipsEndpoint",
        "useDualstackEndpoint",
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
    let requests_per_second = section.read("requestsPerSecond", |f| f.integer(1..=1_000_000))?.unwrap_or(200);
    let batch = section.read("batch", Field::bool)?.unwrap_or(true);
    let failover = section.read("failoverRegions", failover_regions)?.unwrap_or_default();
    let region = section.read("region", region)?;
    let endpoint = section.read("endpoint", http_url)?;
    let profile = section.read("profile", Field::string)?;
    let credentials = section.read("credentials", credentials)?;
    let assume_role = section.read("assumeRole", super::role::role)?;
    let ca = section.read("ca", Field::string)?;
    let proxy = section.read("proxy", proxy)?;
    let use_fips = section.read("useFipsEndpoint", Field::bool)?;
    let use_dual_stack = section.read("useDualstackEndpoint", Field::bool)?;
    section.finish(KNOWN)?;
    for (option, is_set) in [("useFipsEndpoint", use_fips), ("useDualstackEndpoint", use_dual_stack)] {
        if is_set == Some(true) && endpoint.is_some() {
            let why = "and aws.endpoint exclude each other: AWS has no such endpoint there";
            return Err(SecretError::config(&format!("options.aws.{option}"), why));
        }
    }
    let template = template.read_as(assume_role.as_deref());
    if !enabled {
        return Ok((None, template));
    }

    let mut variables = variables(ambient);
    kinds_of_endpoints(&variables, endpoint.is_some(), [use_fips, use_dual_stack], trust)?;
    // In development the first read must not wait for a metadata service; AWS_EC2_METADATA_DISABLED=false asks for it.
    let asked = ambient.variable("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("false"));
    let instance_metadata = environment.preset().instance_metadata || asked;
    if !instance_metadata {
        variables.insert("AWS_EC2_METADATA_DISABLED".into(), "true".into());
    }
    let ca = ca.map(|ca| named_bundle("aws.ca", &ca, &ambient.working_directory));
    let config = AwsSettings {
        region,
        endpoint,
        profile,
        credentials,
        assume_role,
        timeout: Duration::from_millis(u64::from(timeout)),
        connect_timeout: Duration::from_millis(u64::from(connect)),
        max_attempts,
        batch,
        requests_per_second,
        failover,
        instance_metadata,
        use_fips,
        use_dual_stack,
        variables,
        working_directory: ambient.working_directory.clone(),
        trust: trust.clone(),
        bundles: ca.into_iter().chain(bundle(ambient, "AWS_CA_BUNDLE")).collect(),
        last_bundle: bundle(ambient, "SSL_CERT_FILE"),
        proxies: proxies(proxy, ambient, trust),
        is_elsewhere: false,
    };
    Ok((Some(config), template))
}

/// Those that the SDK reads.
fn variables(ambient: &Ambient) -> HashMap<String, String> {
    let is_read = |name: &str| name.starts_with("AWS_") || matches!(name, "HOME" | "USERPROFILE");
    let given = ambient.variables.iter().filter(|(name, value)| is_read(name) && !value.is_empty());
    given.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// FIPS and dual-stack endpoints are AWS's. What keeps them from being used is told: traffic that must not go elsewhere would.
fn kinds_of_endpoints(
    variables: &HashMap<String, String>,
    has_endpoint: bool,
    options: [Option<bool>; 2],
    trust: &Trust,
) -> Result<()> {
    let ignores = variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let own = ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"].into_iter();
    let own = own.filter(|_| !ignores).find(|name| variables.contains_key(*name));
    let kinds = [("useFipsEndpoint", "AWS_USE_FIPS_ENDPOINT"), ("useDualstackEndpoint", "AWS_USE_DUALSTACK_ENDPOINT")];
    for ((option, variable), wanted) in kinds.into_iter().zip(options) {
        if let (Some(true), Some(own)) = (wanted, own) {
            let why = format!("and {own} exclude each other: AWS has no such endpoint there");
            return Err(SecretError::config(&format!("options.aws.{option}"), &why));
        }
        let Some(value) = variables.get(variable).filter(|_| wanted.is_none()) else { continue };
        let is = |text: &str| value.eq_ignore_ascii_case(text);
        if !is("true") && !is("false") {
            let why = format!("{variable} is neither true nor false: it counts as false");
            trust.warn("AWS_ENDPOINT_KIND_UNUSED", why);
        } else if is("true") && has_endpoint {
            let why = format!("{variable} is not used: aws.endpoint names an endpoint that is not of AWS");
            trust.warn("AWS_ENDPOINT_KIND_UNUSED", why);
        }
    }
    Ok(())
}

/// What is trusted beside the bundles that are named.
pub(super) fn trust(ambient: &Ambient) -> Trust {
    const DIRECTORIES: &str = "SSL_CERT_DIR";
    let listed = |given| named_directories(DIRECTORIES, given, &ambient.working_directory);
    // Node.js has it as a switch for tests. A value that anybody on the way may read is no secret.
    let is_blind = ambient.variable("NODE_TLS_REJECT_UNAUTHORIZED") == Some("0");
    Trust::new(bundle(ambient, "NODE_EXTRA_CA_CERTS"))
        .with_directories(ambient.variable(DIRECTORIES).map(listed))
        .with_remark(if is_blind { "; NODE_TLS_REJECT_UNAUTHORIZED=0 is not followed" } else { "" })
}

/// The certificates that a variable names.
pub(super) fn bundle(ambient: &Ambient, name: &str) -> Option<Bundle> {
    ambient.variable(name).map(|path| named_bundle(name, path, &ambient.working_directory))
}

/// `aws.proxy`.
enum OwnProxy {
    /// None, whatever the variables say.
    Off,
    Url(Proxy),
}

fn proxy(field: Field) -> Result<OwnProxy> {
    if field.is_false() {
        return Ok(OwnProxy::Off);
    }
    let path = field.path().to_owned();
    Proxy::parse("aws.proxy", &field.text()?).map(OwnProxy::Url).map_err(|why| SecretError::config(&path, why))
}

/// Lower case wins, as with curl and Node.js.
const HTTPS_PROXY: [&str; 2] = ["https_proxy", "HTTPS_PROXY"];
const HTTP_PROXY: [&str; 2] = ["http_proxy", "HTTP_PROXY"];
/// curl's, for what has no variable of its own.
const ALL_PROXY: [&str; 2] = ["all_proxy", "ALL_PROXY"];

fn proxies(option: Option<OwnProxy>, ambient: &Ambient, trust: &Trust) -> Proxies {
    let of_variable = |own: [&'static str; 2]| {
        let set = |name| Some((name, ambient.variable(name)?));
        let (name, text) = own.into_iter().chain(ALL_PROXY).find_map(set)?;
        match Proxy::parse(name, text) {
            Ok(proxy) => Some(proxy),
            Err(why) => {
                trust.warn("PROXY_UNUSABLE", format!("{name} is not used, AWS is asked directly: it {why}"));
                None
            }
        }
    };
    let (https, http) = match option {
        Some(OwnProxy::Off) => (None, None),
        Some(OwnProxy::Url(proxy)) => (Some(proxy.clone()), Some(proxy)),
        None => (of_variable(HTTPS_PROXY), of_variable(HTTP_PROXY)),
    };
    let exceptions = ambient.variable("no_proxy").or_else(|| ambient.variable("NO_PROXY")).unwrap_or_default();
    let credentials = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"];
    let credentials: Vec<&str> = credentials.iter().filter_map(|name| ambient.variable(name)).collect();
    Proxies::new(https, http, exceptions, &credentials)
}

fn region(field: Field) -> Result<String> {
    let path = field.path().to_owned();
    let region = field.string()?;
    if is_region(&region) {
        Ok(region)
    } else {
        Err(SecretError::config(&path, "must be a region such as 'eu-central-1'"))
    }
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

/// Each one a region, or `{ region, endpoint }`.
fn failover_regions(field: Field) -> Result<Vec<FailoverRegion>> {
    field
        .list()?
        .into_iter()
        .map(|item| {
            if item.is_text() {
                return Ok(FailoverRegion { region: region(item)?, endpoint: None });
            }
            let mut section = item.section()?;
            let path = section.path().to_owned();
            let name = section.read("region", region)?.ok_or_else(|| SecretError::config(&path, "has no region"))?;
            let endpoint = section.read("endpoint", http_url)?;
            section.finish(&["region", "endpoint"])?;
            Ok(FailoverRegion { region: name, endpoint })
        })
        .collect()
}

/// The latest date of JavaScript, in milliseconds since 1970.
const LATEST_DATE: f64 = 8.64e15;

/// `true` stands for a function, which stays in JavaScript.
fn credentials(field: Field) -> Result<CredentialsSource> {
    if field.is_true() {
        return Ok(CredentialsSource::Unconnected);
    }
    let mut section = field.section()?;
    let path = section.path().to_owned();
    let missing = |name: &str| SecretError::config(&format!("{path}.{name}"), "is missing");
    let access_key_id = section.read("accessKeyId", Field::string)?.ok_or_else(|| missing("accessKeyId"))?;
    let secret = section.read("secretAccessKey", Field::text)?.ok_or_else(|| missing("secretAccessKey"))?;
    let token = section.read("sessionToken", Field::text)?;
    let ends = section.read("expiration", |field| field.number(0.0..=LATEST_DATE))?;
    // What a provider of AWS's SDK resolves to has them. The account is known by the key.
    for unused in ["accountId", "credentialScope"] {
        section.read(unused, Field::string)?;
    }
    section.finish(&["accessKeyId", "secretAccessKey", "sessionToken", "expiration"])?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in the range of dates")]
    let ends_unix_ms = ends.map(|ends| ends as u64);
    Ok(CredentialsSource::Fixed(AwsCredentials {
        access_key_id,
        secret_access_key: SecretValue::copied(&secret),
        session_token: token.map(|token| SecretValue::copied(&token)),
        ends_unix_ms,
    }))
}
