//! Builds the clients: region, credentials, and the way to AWS.

use aws_config::identity::IdentityCache;
use aws_config::{Region, SdkConfig};
use aws_sdk_secretsmanager::Client;

use crate::connections::Connections;
use crate::identity::Identity;
use crate::profiles::Profiles;
use crate::sdk::{self, KeepBodiesOutOfLogs, OwnUserAgent, Place, ignores_endpoints, no_endpoint, wrong_region};
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
    if let Some(why) = wrong_region(config, &profiles).filter(|_| !matches!(place, Place::Replica(_))) {
        return Err(SecretError::new(ErrorCode::SourceUnavailable, why));
    }
    let (shared, connections) = shared_by(config, &profiles, identity, place).await;
    let mut service = aws_sdk_secretsmanager::config::Builder::from(&shared)
        .interceptor(KeepBodiesOutOfLogs)
        .interceptor(OwnUserAgent::new(config));
    if matches!(place, Place::Primary)
        && let Some(why) = wrong_endpoint(config, &profiles)
    {
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
    if config.endpoint.is_some() || ignores_endpoints(config, profiles) {
        return None;
    }
    let by_variable = |name: &str| Some((name.to_owned(), config.variables.get(name)?.as_str()));
    let by_profile = || Some((format!("endpoint_url of the profile {}", profiles.name()), profiles.endpoint()?));
    let (name, text) = [OWN_ENDPOINT, "AWS_ENDPOINT_URL"].into_iter().find_map(by_variable).or_else(by_profile)?;
    no_endpoint(&name, text)
}

/// Loads what the clients of all services have in common.
///
/// # Errors
/// `SOURCE_UNAVAILABLE` when AWS's configuration files are on a file system that does not answer, or name a region that is none.
pub(super) async fn shared(
    config: &AwsSettings,
    identity: &Identity,
    place: Place<'_>,
) -> Result<(SdkConfig, Connections)> {
    let profiles = Profiles::load(config).await?;
    match wrong_region(config, &profiles) {
        Some(why) => Err(SecretError::new(ErrorCode::SourceUnavailable, why)),
        None => Ok(shared_by(config, &profiles, identity, place).await),
    }
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
