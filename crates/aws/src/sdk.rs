//! AWS's SDK as this package uses it: variables that were handed over, no retries of its own, and one way to AWS.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::user_agent::{ApiMetadata, AwsUserAgent};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::SensitiveOutput;
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::SdkConfig;
use aws_types::os_shim_internal::{Env, Fs};
use files::File;
use network::{Bundle, named_bundle};
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use crate::connections::{Connections, Tls};
use crate::http::Http;
use crate::profiles::{Profiles, is_endless};
use crate::settings::{AwsSettings, FailoverRegion, STS_ENDPOINTS};
use secret::error::{ErrorCode, Result, SecretError};
use secret::shown::shown;

/// The shortest time that a container's service has for one answer, however short a read may be.
const CONTAINER: Duration = Duration::from_secs(2);
/// How often the places that give credentials are asked in one load.
const ATTEMPTS: u32 = 3;
/// The longest wait before the second time; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Which service is asked, and where.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// Secrets Manager, in the primary region.
    Primary,
    /// Secrets Manager, in a region that holds replicas.
    Replica(&'a FailoverRegion),
    /// Another service, in the primary region: `aws.endpoint` is not its own.
    Other,
    /// STS, in the primary region: a stand-in on this machine has it as well.
    Sts,
}

/// A loader of the SDK's configuration.
pub(crate) fn loader(
    config: &AwsSettings,
    profiles: &Profiles,
    connections: &Connections,
    place: Place<'_>,
) -> ConfigLoader {
    // `call` limits each attempt itself: its clock stands still while this process does.
    let timeouts = TimeoutConfig::builder().connect_timeout(config.connect_timeout).build();
    let (region, endpoint) = match place {
        Place::Primary => (config.region.as_ref(), config.endpoint.as_ref()),
        Place::Replica(replica) => (Some(&replica.region), replica.endpoint.as_ref()),
        Place::Other => (config.region.as_ref(), None),
        Place::Sts => (config.region.as_ref(), config.endpoint_of_sts()),
    };
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .env(environment(config, matches!(place, Place::Replica(_)), None))
        .profile_files(profiles.files())
        .http_client(connections.clone())
        .timeout_config(timeouts)
        // `call` asks again: one place for retries, limits and breakers.
        .retry_config(RetryConfig::disabled());
    if let Ok(name) = AppName::new(concat!("tcs-secret-delivery-", env!("CARGO_PKG_VERSION"))) {
        loader = loader.app_name(name);
    }
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(endpoint) = endpoint {
        // AWS has no such endpoint of somebody else's.
        loader = loader.endpoint_url(endpoint).use_fips(false).use_dual_stack(false);
    } else {
        if let Some(use_fips) = config.use_fips {
            loader = loader.use_fips(use_fips);
        }
        if let Some(use_dual_stack) = config.use_dual_stack {
            loader = loader.use_dual_stack(use_dual_stack);
        }
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region.clone()));
    }
    loader
}

/// The configuration of `loader`. The one place that loads: the SDK's future has 50 KiB of code.
pub(crate) fn load(loader: ConfigLoader) -> Pin<Box<dyn Future<Output = SdkConfig> + Send>> {
    Box::pin(loader.load())
}

/// Whether a text may be a region. The SDK would make a host name of it, so it is a part of one: it begins and ends with a letter or
/// digit.
pub fn is_region(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// What names the region and is none, and what to do.
pub(crate) fn wrong_region(config: &AwsSettings, profiles: &Profiles) -> Option<String> {
    let by_variable = |name: &str| Some((name.to_owned(), config.variables.get(name)?.as_str()));
    let by_profile = || Some((format!("region of the profile {}", shown(profiles.name())), profiles.get("region")?));
    let option = config.region.as_deref().map(|region| ("aws.region".to_owned(), region));
    let named = option.or_else(|| ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(by_variable));
    let (name, region) = named.or_else(by_profile).filter(|(_, region)| !is_region(region))?;
    Some(format!("'{}' is no AWS region, such as eu-central-1: correct {name} or unset it", shown(region)))
}

/// Whether endpoints that variables and profiles name are not used.
pub(crate) fn ignores_endpoints(config: &AwsSettings, profiles: &Profiles) -> bool {
    let is_true = |value: &str| value.eq_ignore_ascii_case("true");
    match config.variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        Some(variable) => is_true(variable),
        None => profiles.get("ignore_configured_endpoint_urls").is_some_and(is_true),
    }
}

/// That a variable which says where a service is names no place, and what to do.
pub(crate) fn no_endpoint(name: &str, text: &str) -> Option<String> {
    let is_one = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    (!is_one)
        .then(|| format!("{name} is no URL of an endpoint (http:// or https://, and a host): correct it or unset it"))
}

/// That the variable which says where EC2's metadata service is names no place.
pub(crate) fn no_ec2(config: &AwsSettings) -> Option<String> {
    const EC2: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    let is_off = config.variables.get("AWS_EC2_METADATA_DISABLED").is_some_and(|off| off.eq_ignore_ascii_case("true"));
    let named = config.variables.get(EC2).filter(|_| !is_off)?;
    no_endpoint(EC2, named)
}

/// Why STS cannot be where the region and the variables say that it is.
pub(crate) fn misplaced_sts(config: &AwsSettings, profiles: &Profiles) -> Option<String> {
    let named = STS_ENDPOINTS.into_iter().find_map(|name| Some((name, config.variables.get(name)?)));
    let named = named.filter(|_| !ignores_endpoints(config, profiles));
    wrong_region(config, profiles).or_else(|| named.and_then(|(name, text)| no_endpoint(name, text)))
}

/// What the SDK's chain of credentials gives; `region`: whose services are asked, where that is not the delivery's; `files`: what is read
/// instead of the file of a session.
pub(crate) async fn chained(
    config: &AwsSettings,
    profiles: &Profiles,
    connections: &Connections,
    region: Option<Region>,
    files: Option<Fs>,
) -> std::result::Result<Credentials, CredentialsError> {
    let mut loader = loader(config, profiles, connections, Place::Other)
        // STS, the portal of SSO and the sign-in service are asked again within this load: a read that failed for credentials
        // asks for none for a moment.
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_WAIT));
    if let Some(region) = region {
        loader = loader.region(region);
    }
    if let Some(files) = files {
        loader = loader.fs(files);
    }
    let loaded = load(with_container_token(loader, config).await).await;
    match loaded.credentials_provider() {
        Some(chain) => Box::pin(chain.provide_credentials()).await,
        None => Err(CredentialsError::not_loaded_no_source()),
    }
}

/// The variables as the SDK sees them. The endpoint that variables and profile name is the primary's: a replica is never asked
/// there, where the signature for its region would be refused.
fn environment(config: &AwsSettings, is_replica: bool, token: Option<&str>) -> Env {
    const IGNORE: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
    let is_named = || config.variables.keys().any(|name| name.starts_with("AWS_ENDPOINT_URL"));
    let is_replica = is_replica || (config.is_elsewhere && !is_named());
    let given = config.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let given = given.filter(|(name, _)| !is_replica || *name != IGNORE);
    let given = given.filter(|(name, _)| token.is_none() || ![TOKEN, TOKEN_FILE].contains(name));
    // The SDK would use them before any profile.
    let are_unused = config.chosen_profile().is_some();
    let given = given.filter(|(name, _)| !are_unused || !KEYS.contains(name));
    let ignored = is_replica.then_some((IGNORE, "true"));
    Env::from_slice(&given.chain(ignored).chain(token.map(|token| (TOKEN, token))).collect::<Vec<_>>())
}

const KEYS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// `loader` with the token for the container's credentials as it stands in its file now, without blanks around it: the SDK
/// refuses the line end that people and templates put behind it.
async fn with_container_token(loader: ConfigLoader, config: &AwsSettings) -> ConfigLoader {
    let Some(path) = config.variables.get(TOKEN_FILE) else { return loader };
    // What cannot be read is the SDK's to judge.
    let Ok(file) = files::request::<File>(Path::new(path)).await else { return loader };
    let bytes = file.0.as_ref().map(|bytes| bytes.as_slice()).unwrap_or_default();
    match std::str::from_utf8(bytes).map(str::trim) {
        Ok(token) if !token.is_empty() => loader.env(environment(config, false, Some(token))),
        _ => loader,
    }
}

/// The connections to AWS: which certificates are trusted and which proxies are on the way.
pub(crate) fn connections(config: &AwsSettings, profiles: &Profiles) -> Connections {
    let profile = profiles.get("ca_bundle").map(|path| {
        let name = format!("ca_bundle of the profile {}", profiles.name());
        named_bundle(&name, path, &config.working_directory)
    });
    let named: Vec<Bundle> = config.bundles.iter().cloned().chain(profile).chain(config.last_bundle.clone()).collect();
    let (trust, named) = (config.trust.clone(), Arc::new(named));
    let load = move || -> Pin<Box<dyn Future<Output = Tls> + Send>> {
        let (trust, named) = (trust.clone(), named.clone());
        Box::pin(async move {
            let roots = trust.roots(&named).await;
            Tls { config: tls(roots.store()), origin: Arc::from(roots.origin) }
        })
    };
    let make = |proxy: Option<&_>, tls: Option<&_>| SharedHttpClient::new(Http::new(proxy, tls));
    Connections::new(make, load, config.proxies.clone(), config.timeout.max(CONTAINER))
}

/// TLS that trusts `roots`.
pub(crate) fn tls(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    #[expect(clippy::expect_used, reason = "this provider has the cipher suites of TLS 1.2 and 1.3")]
    let builder = builder.expect("TLS versions");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// That the files of tokens, which the SDK reads when it asks for credentials, can be read, or fail at once.
pub(crate) async fn tokens_answer(config: &AwsSettings, profiles: &Profiles) -> Result<()> {
    const VARIABLES: [(&str, Option<&str>); 2] =
        [("AWS_WEB_IDENTITY_TOKEN_FILE", Some("AWS_ROLE_ARN")), (TOKEN_FILE, None)];
    const IN_PROFILE: &str = "web_identity_token_file";
    // The SDK reads none that is set without what it needs.
    let is_read = |needs: Option<&str>| needs.is_none_or(|name| config.variables.contains_key(name));
    let named = VARIABLES.iter().filter(|(_, needs)| is_read(*needs));
    let named = named.filter_map(|(name, _)| Some((*name, config.variables.get(*name)?.as_str())));
    let named: Vec<_> = named.chain(profiles.get(IN_PROFILE).map(|path| (IN_PROFILE, path))).collect();
    for (name, path) in named {
        if let Some(error) = endless(Path::new(path)).await {
            let why = format!("the token of {name} cannot be read: {error}");
            return Err(SecretError::new(ErrorCode::SourceUnavailable, why));
        }
    }
    Ok(())
}

/// Why the SDK must not read the file at `path`. It reads on the async threads, which would wait for ever for a dead file
/// system or the writer of a FIFO, and read a device without an end. Any other problem is the SDK's to judge.
async fn endless(path: &Path) -> Option<io::Error> {
    let error = files::request::<File>(path).await.err()?;
    is_endless(&error, path).then_some(error)
}

/// Removes the SDK's "this output is sensitive" mark from each call.
///
/// With the mark the SDK asks the C environment for `LOG_SENSITIVE_BODIES` on each answer, from its own thread (rule
/// 3). Without it the SDK would log bodies at TRACE, which this build compiles out (`max_level_debug` in Cargo.toml).
#[derive(Debug)]
pub(crate) struct KeepBodiesOutOfLogs;

const _: () = assert!(
    matches!(tracing::level_filters::STATIC_MAX_LEVEL, tracing::level_filters::LevelFilter::DEBUG),
    "TRACE must stay compiled out: the AWS SDK would print secrets"
);

#[dyn_dispatch_hint]
impl Intercept for KeepBodiesOutOfLogs {
    fn name(&self) -> &'static str {
        "KeepBodiesOutOfLogs"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        bag: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        bag.interceptor_state().unset::<SensitiveOutput>();
        Ok(())
    }
}

/// What requests say of the program that makes them: with variables that were handed over. The SDK would ask the C environment at each
/// request, from its own thread, and make no request where `AWS_EXECUTION_ENV` holds what no header may.
#[derive(Debug)]
pub(crate) struct OwnUserAgent(Env);

impl OwnUserAgent {
    pub(crate) fn new(config: &AwsSettings) -> Self {
        const PLATFORM: &str = "AWS_EXECUTION_ENV";
        // AWS's own have twenty bytes; a header of a megabyte is answered by none.
        let is_plain = |value: &&str| value.len() <= 256 && value.bytes().all(|byte| byte.is_ascii_graphic());
        let platform = config.variables.get(PLATFORM).map(String::as_str).filter(is_plain);
        Self(Env::from_slice(&platform.map(|value| (PLATFORM, value)).into_iter().collect::<Vec<_>>()))
    }
}

#[dyn_dispatch_hint]
impl Intercept for OwnUserAgent {
    fn name(&self) -> &'static str {
        "OwnUserAgent"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        bag: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let Some(service) = bag.load::<ApiMetadata>() else { return Ok(()) };
        let mut agent = AwsUserAgent::new_from_environment(self.0.clone(), service.clone());
        if let Some(name) = bag.load::<AppName>() {
            agent.set_app_name(name.clone());
        }
        bag.interceptor_state().store_put(agent);
        Ok(())
    }
}
