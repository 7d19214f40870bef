//! Builds the clients: credential chain, region, TLS, deadlines, retries.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_secretsmanager::Client;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder as HttpBuilder, Connector};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::SensitiveOutput;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::os_shim_internal::Env;
use files::File;

use crate::connections::Connections;
use crate::settings::{AwsSettings, FailoverRegion};
use secret::error::{ErrorCode, Result, SecretError};

/// Where Linux distributions keep the certificate bundle.
const CA_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Makes the client of the primary region, or of a replica's, and the connections that it uses.
///
/// # Errors
/// As [`shared`].
pub(super) async fn build(config: &AwsSettings, replica: Option<&FailoverRegion>) -> Result<(Client, Connections)> {
    let (shared, connections) = shared(config, replica).await?;
    let mut service = aws_sdk_secretsmanager::config::Builder::from(&shared).interceptor(KeepBodiesOutOfLogs);
    if shared.region().is_none() && shared.endpoint_url().is_some() {
        // An endpoint of one's own needs no region, but the signature names one.
        service = service.region(Region::from_static("us-east-1"));
    }
    Ok((Client::from_conf(service.build()), connections))
}

/// Loads what the clients of all services have in common.
///
/// # Errors
/// `SOURCE_UNAVAILABLE` when AWS's configuration files are on a file system that does not answer.
pub(super) async fn shared(config: &AwsSettings, replica: Option<&FailoverRegion>) -> Result<(SdkConfig, Connections)> {
    profile_files_answer(&config.variables).await?;
    let variables: Vec<(&str, &str)> = config.variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    // `call` limits each attempt itself: its clock stands still while this process does.
    let timeouts = TimeoutConfig::builder().connect_timeout(config.connect_timeout).build();
    let ca_bundle = config.variables.get("SSL_CERT_FILE").or_else(|| config.variables.get("AWS_CA_BUNDLE"));
    let connections = connections(ca_bundle.map(PathBuf::from)).await;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .env(Env::from_slice(&variables))
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
    let (region, endpoint) = match replica {
        Some(replica) => (Some(&replica.region), replica.endpoint.as_ref()),
        None => (config.region.as_ref(), config.endpoint.as_ref()),
    };
    if let Some(endpoint) = endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(given) = &config.credentials {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: the SDK signs with it")]
        let credentials = Credentials::new(
            &given.access_key_id,
            given.secret_access_key.expose(),
            given.session_token.as_ref().map(|token| token.expose().to_owned()),
            None,
            "options.aws.credentials",
        );
        loader = loader.credentials_provider(credentials);
    }
    Ok((loader.load().await, connections))
}

async fn connections(ca_bundle: Option<PathBuf>) -> Connections {
    let store = trust_store(ca_bundle).await;
    let context = TlsContext::builder().with_trust_store(store).build();
    let context = context.unwrap_or_default();
    Connections::new(move || http_client(context.clone()))
}

fn http_client(context: TlsContext) -> SharedHttpClient {
    HttpBuilder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context.clone())
            .enable_tcp_nodelay(true);
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

/// The system's roots. On Linux the bundle is read here, because the library that finds it asks the C environment,
/// which another thread must not do while JavaScript may set a variable.
async fn trust_store(named: Option<PathBuf>) -> TrustStore {
    for path in named.into_iter().chain(CA_BUNDLES.iter().map(PathBuf::from)) {
        if let Ok(file) = files::request::<File>(&path).await
            && let Some(pem) = &file.0
        {
            return TrustStore::empty().with_pem_certificate(pem.as_slice());
        }
    }
    TrustStore::default()
}

/// That AWS's configuration files can be read, or fail at once. The SDK reads them on the async threads, which would wait
/// for a dead home directory for ever.
async fn profile_files_answer(variables: &HashMap<String, String>) -> Result<()> {
    let home = variables.get("HOME").map(PathBuf::from);
    for (variable, default) in [("AWS_CONFIG_FILE", ".aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")]
    {
        let named = variables.get(variable).map(PathBuf::from);
        let Some(path) = named.or_else(|| Some(home.as_ref()?.join(default))) else { continue };
        // Any other problem is the SDK's to judge.
        if let Err(error) = files::request::<File>(&path).await
            && error.kind() == ErrorKind::TimedOut
        {
            let why = format!("AWS's configuration file cannot be read: {error} ({variable}, or {default} in HOME)");
            return Err(SecretError::new(ErrorCode::SourceUnavailable, why));
        }
    }
    Ok(())
}

/// Removes the SDK's "this output is sensitive" mark from each call.
///
/// With the mark the SDK asks the C environment for `LOG_SENSITIVE_BODIES` on each answer, from its own thread (rule
/// 3). Without it the SDK would log bodies at TRACE, which this build compiles out (`max_level_debug` in Cargo.toml).
#[derive(Debug)]
pub(super) struct KeepBodiesOutOfLogs;

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
