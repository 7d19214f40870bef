//! What the caches are built from.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use network::{Bundle, Trust};
use zeroize::Zeroizing;

/// The caches.
pub struct CacheSettings {
    /// How long a copy is fresh.
    pub ttl: Duration,
    /// Most entries in memory.
    pub max_entries: usize,
    /// How long past its TTL a copy may answer for a failing AWS.
    pub max_stale: Duration,
    /// How long "not in AWS" is remembered.
    pub negative_ttl: Duration,
    /// How often each process asks AWS itself for a secret that it takes from the copies of others; `None`: never.
    pub access_check: Option<Duration>,
    /// Whether reads shortly before the TTL ends begin a refresh in the background.
    pub refresh_ahead: bool,
    /// The last-known-good file.
    pub snapshot: Option<PathBuf>,
    /// The shared cache.
    pub redis: Option<RedisSettings>,
    /// Keys for values in the shared cache: the first encrypts, any decrypts.
    pub keys: Vec<EncryptionKey>,
}

/// The shared cache.
pub struct RedisSettings {
    /// Standalone, `rediss://`, Sentinel or Cluster URL; may hold a password.
    pub url: Zeroizing<String>,
    /// Comes before the AWS id in every key.
    pub key_prefix: String,
    /// Certificates of a TLS connection.
    pub tls: Option<RedisTls>,
    /// User and password of the Sentinels, where they have others than Redis.
    pub sentinel: Option<SentinelUser>,
    /// What is trusted where `tls` names nothing.
    pub trust: Arc<Trust>,
    /// Certificates instead of Mozilla's and the system's: those that OpenSSL would use.
    pub bundle: Option<Bundle>,
}

/// Who one is for the Sentinels.
pub struct SentinelUser {
    /// The name of an ACL user.
    pub username: Option<String>,
    /// `None`: the Sentinels want none.
    pub password: Option<Zeroizing<String>>,
}

/// PEM texts for a TLS connection to Redis.
pub struct RedisTls {
    /// Root certificates, instead of all others.
    pub ca: Option<Bundle>,
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
