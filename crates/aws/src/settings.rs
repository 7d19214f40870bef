//! What the client of AWS is built from.

use std::collections::HashMap;
use std::time::Duration;

use secret::value::SecretValue;

/// AWS Secrets Manager.
#[derive(Clone)]
pub struct AwsSettings {
    /// Region; `None` leaves it to the variables and the profile.
    pub region: Option<String>,
    /// Endpoint instead of AWS's own.
    pub endpoint: Option<String>,
    /// Profile instead of the default one.
    pub profile: Option<String>,
    /// Credentials instead of the standard chain.
    pub credentials: Option<AwsCredentials>,
    /// One deadline for a whole read, retries included.
    pub timeout: Duration,
    /// Deadline for opening a connection.
    pub connect_timeout: Duration,
    /// Calls a read may cost, the first one included.
    pub max_attempts: u32,
    /// Whether several secrets are asked for in one call.
    pub batch: bool,
    /// Calls this process makes at most in a second.
    pub requests_per_second: u32,
    /// Asked in order when the region before fails.
    pub failover: Vec<FailoverRegion>,
    /// Whether the chain may ask the instance metadata service.
    pub instance_metadata: bool,
    /// The variables the chain reads.
    pub variables: HashMap<String, String>,
}

impl AwsSettings {
    /// The region that is asked, where options or variables name it; a profile may name it as well.
    pub fn own_region(&self) -> Option<&str> {
        let variable = |name: &str| self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        self.region.as_deref().or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"))
    }

    /// The same for another region. An endpoint belongs to its own region, unless it is on this machine: a stand-in answers for
    /// all of them.
    #[must_use]
    pub fn of_region(&self, region: &str) -> Self {
        let mut other = Self { region: Some(region.to_owned()), failover: Vec::new(), ..self.clone() };
        other.endpoint = other.endpoint.filter(|endpoint| is_on_this_machine(endpoint));
        for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"] {
            if other.variables.get(variable).is_some_and(|endpoint| !is_on_this_machine(endpoint)) {
                other.variables.remove(variable);
            }
        }
        other
    }
}

/// Whether the host of a URL is the loopback interface.
fn is_on_this_machine(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    host.starts_with("localhost") || host.starts_with("127.") || host.starts_with("[::1]")
}

/// A region that holds replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverRegion {
    /// Its name.
    pub region: String,
    /// Endpoint instead of AWS's own.
    pub endpoint: Option<String>,
}

/// Explicit AWS credentials.
#[derive(Clone)]
pub struct AwsCredentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: SecretValue,
    /// Session token of temporary credentials.
    pub session_token: Option<SecretValue>,
}
