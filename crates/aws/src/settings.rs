//! What the client of AWS is built from.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use network::{Bundle, Trust};

use crate::proxy::Proxies;
use secret::error::Result;
use secret::role::{Role, checked_session_name};
use secret::shown::shown;
use secret::value::SecretValue;

/// What says where STS is, the first one first.
pub(crate) const STS_ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"];

/// How the sessions of roles are named.
pub(crate) const SESSION_NAME: &str = "AWS_ROLE_SESSION_NAME";

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
    pub credentials: Option<CredentialsSource>,
    /// The role that all secrets are read as which name no other one.
    pub assume_role: Option<Arc<Role>>,
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
    /// FIPS endpoints; `None` leaves it to the variables and the profile.
    pub use_fips: Option<bool>,
    /// Dual-stack endpoints; `None` leaves it to the variables and the profile.
    pub use_dual_stack: Option<bool>,
    /// The variables the chain reads. None of them is empty.
    pub variables: HashMap<String, String>,
    /// Relative paths of a profile are relative to it.
    pub working_directory: PathBuf,
    /// What is trusted beside the bundles below.
    pub trust: Arc<Trust>,
    /// Certificates instead of all others: the first usable bundle counts, `ca_bundle` of the profile comes after them.
    pub bundles: Vec<Bundle>,
    /// The certificates that OpenSSL would use, after the profile's.
    pub last_bundle: Option<Bundle>,
    /// Which requests go through a proxy.
    pub proxies: Proxies,
    /// Whether an endpoint that the profile names is another region's.
    pub is_elsewhere: bool,
}

impl Default for AwsSettings {
    fn default() -> Self {
        Self {
            region: None,
            endpoint: None,
            profile: None,
            credentials: None,
            assume_role: None,
            timeout: Duration::from_millis(4500),
            connect_timeout: Duration::from_secs(1),
            max_attempts: 3,
            requests_per_second: 200,
            batch: true,
            failover: Vec::new(),
            instance_metadata: true,
            use_fips: None,
            use_dual_stack: None,
            variables: HashMap::new(),
            working_directory: PathBuf::new(),
            trust: Arc::default(),
            bundles: Vec::new(),
            last_bundle: None,
            proxies: Proxies::default(),
            is_elsewhere: false,
        }
    }
}

/// Where credentials come from instead of the standard chain.
#[derive(Clone)]
pub enum CredentialsSource {
    /// They are these.
    Fixed(AwsCredentials),
    /// The service is asked for them.
    Asked(Arc<dyn AskCredentials>),
    /// The service is to be asked, by what takes this one's place before the first read.
    Unconnected,
}

/// The service's answer.
pub type AskedCredentials<'a> = Pin<Box<dyn Future<Output = Result<AwsCredentials>> + Send + 'a>>;

/// Asks the service for credentials.
pub trait AskCredentials: Send + Sync {
    /// The credentials as they are now.
    fn ask(&self) -> AskedCredentials<'_>;
}

impl AwsSettings {
    /// The profile that an option or a variable chooses.
    pub(crate) fn chosen_profile(&self) -> Option<&str> {
        self.profile.as_deref().or_else(|| self.variables.get("AWS_PROFILE").map(String::as_str))
    }

    /// Whether keys in variables count: a profile that is chosen comes before them, as in AWS's SDK for JavaScript.
    pub(crate) fn has_keys(&self) -> bool {
        self.chosen_profile().is_none() && self.names_keys()
    }

    /// Whether there are keys in variables.
    pub(crate) fn names_keys(&self) -> bool {
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].iter().all(|name| self.variables.contains_key(*name))
    }

    /// The region that is asked, where options or variables name it; a profile may name it as well.
    pub fn own_region(&self) -> Option<&str> {
        let variable = |name: &str| self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        self.region.as_deref().or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"))
    }

    /// The variable that is set without the other one that it needs to say who this is, and what to do. AWS's SDKs pass over it.
    pub(crate) fn half_identity(&self) -> Option<String> {
        const PAIRS: [(&str, &str, &str); 2] = [
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", ""),
            (
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                "AWS_ROLE_ARN",
                " (aws.assumeRole is the role that other credentials assume)",
            ),
        ];
        let is_set = |name: &str| self.variables.contains_key(name);
        let half = PAIRS.into_iter().find(|(one, other, _)| is_set(one) != is_set(other));
        half.map(|(one, other, more)| {
            let missing = if is_set(one) { other } else { one };
            format!("{one} and {other} are needed together, and {missing} is not set{more}")
        })
    }

    /// What is wrong with the name that `AWS_ROLE_SESSION_NAME` gives the sessions of roles, where STS would refuse it.
    pub(crate) fn wrong_session_name(&self) -> Option<String> {
        let name = self.variables.get(SESSION_NAME)?;
        let why = checked_session_name(name).err()?;
        Some(format!("{SESSION_NAME} ('{}') {why}: correct it or unset it", shown(name)))
    }

    /// Whether variables say where STS is.
    pub(crate) fn names_sts(&self) -> bool {
        STS_ENDPOINTS.iter().any(|name| self.variables.contains_key(*name))
    }

    /// Where STS is, unless variables or AWS say so: a stand-in on this machine for Secrets Manager has STS as well.
    pub(crate) fn endpoint_of_sts(&self) -> Option<&String> {
        self.endpoint.as_ref().filter(|endpoint| is_on_this_machine(endpoint) && !self.names_sts())
    }

    /// The same for another region. An endpoint belongs to its own region, unless it is on this machine: a stand-in answers for
    /// all of them.
    #[must_use]
    pub fn of_region(&self, region: &str) -> Self {
        let mut other = Self { region: Some(region.to_owned()), ..self.clone() };
        other.is_elsewhere = true;
        other.failover.retain(|replica| replica.region != region);
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

/// AWS credentials that were given.
#[derive(Clone)]
pub struct AwsCredentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: SecretValue,
    /// Session token of temporary credentials.
    pub session_token: Option<SecretValue>,
    /// When they end, in milliseconds since 1970.
    pub ends_unix_ms: Option<u64>,
}
