//! What the client of AWS is built from.

use std::collections::HashMap;
use std::time::Duration;

use secret::value::SecretValue;

/// AWS Secrets Manager.
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
    /// Calls this process makes at most in a second.
    pub requests_per_second: u32,
    /// Asked in order when the region before fails.
    pub failover: Vec<FailoverRegion>,
    /// Whether the chain may ask the instance metadata service.
    pub instance_metadata: bool,
    /// The variables the chain reads.
    pub variables: HashMap<String, String>,
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
pub struct AwsCredentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: SecretValue,
    /// Session token of temporary credentials.
    pub session_token: Option<SecretValue>,
}
