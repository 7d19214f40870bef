//! What a delivery is built from: checked, with every default filled in.

mod option;
mod parse;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

pub use option::{Field, OptionValue, Section};

use crate::environment::{Environment, Preset};
use crate::manifest::Manifest;
use crate::metrics::alerts::Thresholds;
use crate::name::AwsIdTemplate;
use crate::rotation::hooks::Hook;
use crate::rotation::policy::Policies;
use crate::value::SecretValue;

/// What the process looked like when the delivery was created. Read on the JavaScript thread and handed over, since
/// reading the C environment from another thread races with writes to `process.env` (DESIGN section 5, rule 3).
#[derive(Default)]
pub struct Ambient {
    /// The variables that configuration may read: `AWS_*`, `TCS_*`, `NODE_ENV`, `REDIS_URL`, `HOME`, `SSL_CERT_FILE`.
    pub variables: HashMap<String, String>,
    /// `process.cwd()`.
    pub working_directory: PathBuf,
}

impl Ambient {
    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A checked configuration.
pub struct Config {
    /// Where the service runs.
    pub environment: Environment,
    /// That environment's preset.
    pub preset: Preset,
    /// The declared tools.
    pub tools: Manifest,
    /// AWS Secrets Manager; `None` when switched off.
    pub aws: Option<AwsConfig>,
    /// How secret names become AWS ids; also names shared-cache entries, so it stays when AWS is off.
    pub aws_id_template: AwsIdTemplate,
    /// The env file; `None` when switched off or not part of the environment.
    pub env_file: Option<EnvFileConfig>,
    /// The runtime environment.
    pub runtime: RuntimeConfig,
    /// The caches; `None` when switched off.
    pub cache: Option<CacheConfig>,
    /// Rotation.
    pub rotation: RotationConfig,
    /// Where news of changed secrets comes from.
    pub events: EventsConfig,
    /// The thresholds; `None` when switched off.
    pub alerts: Option<AlertsConfig>,
    /// The audit log; `None` when switched off.
    pub audit: Option<AuditConfig>,
    /// What is logged.
    pub log_level: LevelFilter,
}

/// The audit log.
pub struct AuditConfig {
    /// Where it goes.
    pub sink: AuditSink,
    /// Whether nothing is delivered while it cannot be written.
    pub denies: bool,
    /// Makes every link of the chain an HMAC.
    pub key: Option<Zeroizing<Vec<u8>>>,
    /// A file of this length is rotated away.
    pub max_bytes: u64,
    /// A file of this age is rotated away.
    pub max_age: Duration,
    /// Stands in every record.
    pub label: String,
    /// The directory of the journals; `None`: beside the file.
    pub journals: Option<PathBuf>,
}

/// Where audit records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditSink {
    /// A file.
    File(PathBuf),
    /// Standard output.
    Stdout,
    /// A function of the service.
    Shipper,
}

/// When to tell that something is wrong.
#[derive(Clone, Debug)]
pub struct AlertsConfig {
    /// The thresholds.
    pub thresholds: Thresholds,
    /// Whether they are watched before anybody wants to hear of them.
    pub always: bool,
}

/// Rotation.
#[derive(Clone, Debug)]
pub struct RotationConfig {
    /// When secrets are due and how their values look.
    pub policies: Policies,
    /// The hooks that the service has.
    pub hooks: Vec<Hook>,
    /// One deadline for each call of a hook.
    pub hook_timeout: Duration,
    /// How far the scheduler spreads what is due at the same time.
    pub jitter: Duration,
    /// Whether AWS makes passwords (`GetRandomPassword`).
    pub generate_in_aws: bool,
}

/// Where news of changed secrets comes from, beside the service's own calls of `handleSecretEvent`.
#[derive(Clone, Debug)]
pub struct EventsConfig {
    /// An SQS queue that EventBridge writes to.
    pub queue_url: Option<String>,
    /// How often the versions of known secrets are compared with AWS's; `None`: only when somebody listens.
    pub poll_every: Option<Duration>,
}

/// AWS Secrets Manager.
pub struct AwsConfig {
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

/// Which parser reads the env file (decision D8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvFileSyntax {
    /// npm `dotenv`'s grammar.
    Dotenv,
    /// The Rust crate dotenvy's grammar.
    Dotenvy,
}

/// The env file.
#[derive(Clone, Debug)]
pub struct EnvFileConfig {
    /// Absolute path.
    pub path: PathBuf,
    /// Grammar.
    pub syntax: EnvFileSyntax,
    /// Whether its existence is worth a warning (staging).
    pub deprecated: bool,
    /// Whether it is worth a warning that others than its owner may read it (staging, production). Developers' files are
    /// as their editors make them, and hold nothing that opens anything.
    pub private: bool,
}

/// When the runtime environment is asked (decision D1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// After AWS and the env file: the documented code's order.
    Last,
    /// Before both: the documented prose's "override".
    Override,
}

/// The runtime environment.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// When it is asked.
    pub precedence: Precedence,
    /// Mounted secret directories, asked in order.
    pub directories: Vec<PathBuf>,
}

/// The caches.
pub struct CacheConfig {
    /// How long a copy is fresh.
    pub ttl: Duration,
    /// Most entries in memory.
    pub max_entries: usize,
    /// How long past its TTL a copy may answer for a failing AWS.
    pub max_stale: Duration,
    /// How long "not in AWS" is remembered.
    pub negative_ttl: Duration,
    /// Whether reads shortly before the TTL ends begin a refresh in the background.
    pub refresh_ahead: bool,
    /// The last-known-good file.
    pub snapshot: Option<PathBuf>,
    /// The shared cache.
    pub redis: Option<RedisConfig>,
    /// Keys for values in the shared cache: the first encrypts, any decrypts.
    pub keys: Vec<EncryptionKey>,
}

/// The shared cache.
pub struct RedisConfig {
    /// Standalone, `rediss://`, Sentinel or Cluster URL; may hold a password.
    pub url: Zeroizing<String>,
    /// Comes before the AWS id in every key.
    pub key_prefix: String,
    /// Certificates instead of Mozilla's roots.
    pub tls: Option<RedisTls>,
}

/// PEM texts for a TLS connection to Redis.
pub struct RedisTls {
    /// Root certificates.
    pub ca: Option<Zeroizing<String>>,
    /// Client certificate and key.
    pub identity: Option<(Zeroizing<String>, Zeroizing<String>)>,
}

/// A named AES-256 key.
pub struct EncryptionKey {
    /// Stands in every envelope it made.
    pub id: String,
    /// 32 bytes.
    pub key: Zeroizing<[u8; 32]>,
}

impl Config {
    /// Checks `options` (an object, or unset) against the documented shape and fills in what is missing.
    ///
    /// # Errors
    /// `CONFIG_INVALID` with the option's path, `ENCRYPTION_KEY_INVALID`, or `SECRET_NAME_INVALID` for declared names.
    pub fn from_options(options: OptionValue, ambient: &Ambient) -> crate::error::Result<Self> {
        parse::config(options, ambient)
    }
}
