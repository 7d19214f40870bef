//! Builds the clients: region, credentials, and the way to AWS.

use aws_config::identity::IdentityCache;
use aws_config::{Region, SdkConfig};
use aws_sdk_secretsmanager::Client;
use url::Url;

use crate::connections::Connections;
use crate::identity::Identity;
use crate::profiles::Profiles;
use crate::sdk::{self, KeepBodiesOutOfLogs, OwnUserAgent, Place, is_region};
use crate::settings::AwsSettings;
use secret::error::{ErrorCode, Result, SecretError};

/// Makes the client of the primary region, or of a replica's, and the connections that it uses.
///
/// # Errors
/// As [`shared`], and `SOURCE_UNAVAILABLE` when nothing names a region.
pub(super) async fn build(
    config: &AwsSettings,
    identity: &Identity,
    place: Place<'_>,
) -> Result<(Client, Connections)> {
    let profiles = Profiles::load(config).await?;
    let (shared, connections) = shared_by(config, &profiles, identity, place).await;
    let mut service = aws_sdk_secretsmanager::config::Builder::from(&shared)
        .interceptor(KeepBodiesOutOfLogs)
        .interceptor(OwnUserAgent::new(config));
    if let Some(region) = shared.region().map(Region::as_ref).filter(|region| !is_region(region)) {
        let shown: String = region.escape_debug().take(60).collect();
        let why = format!("'{shown}' is no AWS region, such as eu-central-1 (aws.region, AWS_REGION, the profile)");
        return Err(SecretError::new(ErrorCode::SourceUnavailable, why));
    }
    if matches!(place, Place::Primary)
        && let Some(named) = wrong_endpoint(config, &profiles)
    {
        let why = format!("{named} is no URL of an endpoint (http:// or https://, and a host): correct it or unset it");
        return Err(SecretError::new(ErrorCode::SourceUnavailable, why));
    }
    if shared.region().is_none() {
        let is_placed = shared.endpoint_url().is_some() || config.variables.contains_key(OWN_ENDPOINT);
        if !is_placed {
            return Err(if identity.is_missing().await {
                // Neither: this process has no AWS, which is no failure where people develop.
                let half = config.half_identity().map(|half| format!("; {half}")).unwrap_or_default();
                SecretError::without_credentials(format!("no AWS credentials were found, and {NO_REGION}{half}"))
            } else {
                SecretError::new(ErrorCode::SourceUnavailable, NO_REGION)
            });
        }
        // An endpoint of one's own needs no region, but the signature names one.
        service = service.region(Region::from_static("us-east-1"));
    }
    Ok((Client::from_conf(service.build()), connections))
}

const OWN_ENDPOINT: &str = "AWS_ENDPOINT_URL_SECRETS_MANAGER";
const NO_REGION: &str = "no AWS region is set: set aws.region or AWS_REGION (or region in the profile)";

/// The variable or profile that counts and names no endpoint: the SDK would only say that the request cannot be sent.
fn wrong_endpoint(config: &AwsSettings, profiles: &Profiles) -> Option<String> {
    let is_true = |value: &str| value.eq_ignore_ascii_case("true");
    let is_ignored = match config.variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        Some(variable) => is_true(variable),
        None => profiles.get("ignore_configured_endpoint_urls").is_some_and(is_true),
    };
    if config.endpoint.is_some() || is_ignored {
        return None;
    }
    let by_variable = |name: &str| Some((name.to_owned(), config.variables.get(name)?.as_str()));
    let by_profile = || Some((format!("endpoint_url of the profile {}", profiles.name()), profiles.endpoint()?));
    let (name, text) = [OWN_ENDPOINT, "AWS_ENDPOINT_URL"].into_iter().find_map(by_variable).or_else(by_profile)?;
    let is_one = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    (!is_one).then_some(name)
}

/// Loads what the clients of all services have in common.
///
/// # Errors
/// `SOURCE_UNAVAILABLE` when AWS's configuration files are on a file system that does not answer.
pub(super) async fn shared(
    config: &AwsSettings,
    identity: &Identity,
    place: Place<'_>,
) -> Result<(SdkConfig, Connections)> {
    let profiles = Profiles::load(config).await?;
    Ok(shared_by(config, &profiles, identity, place).await)
}

async fn shared_by(
    config: &AwsSettings,
    profiles: &Profiles,
    identity: &Identity,
    place: Place<'_>,
) -> (SdkConfig, Connections) {
    let connections = sdk::connections(config, profiles);
    let loader = sdk::loader(config, profiles, &connections, place)
        .credentials_provider(identity.clone())
        // The identity keeps them, for all clients together.
        .identity_cache(IdentityCache::no_cache());
    (sdk::load(loader).await, connections)
}
