//! A value, and where it came from.

use std::sync::Arc;

use crate::value::SecretValue;

/// Where a returned value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The in-process cache.
    Memory,
    /// The shared cache.
    Redis,
    /// The last-known-good file.
    Snapshot,
    /// AWS Secrets Manager.
    Aws,
    /// The env file.
    EnvFile,
    /// The runtime environment.
    Runtime,
}

impl Origin {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 6] = [Self::Memory, Self::Redis, Self::Snapshot, Self::Aws, Self::EnvFile, Self::Runtime];

    /// Whether it is a copy of what AWS gave, maybe to another process.
    pub const fn is_copy(self) -> bool {
        matches!(self, Self::Memory | Self::Redis | Self::Snapshot)
    }

    /// The name in reports and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Snapshot => "snapshot",
            Self::Aws => "aws",
            Self::EnvFile => "env-file",
            Self::Runtime => "runtime",
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub struct Found {
    /// The secret.
    pub value: SecretValue,
    /// Where it came from.
    pub origin: Origin,
    /// AWS's version id, where AWS gave the value.
    pub version_id: Option<Arc<str>>,
    /// Past its TTL, returned because AWS failed.
    pub stale: bool,
    /// The id of the request with which AWS was asked for this answer.
    pub request_id: Option<Arc<str>>,
}

/// A secret as AWS has it.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The value; binary secrets as base64 text (decision D10).
    pub value: SecretValue,
    /// AWS's version id, with `@region` when a replica gave it.
    pub version_id: Option<Arc<str>>,
    /// When AWS got this version, in milliseconds since 1970.
    pub created_unix_ms: Option<u64>,
    /// The id of the request that AWS answered.
    pub request_id: Option<Arc<str>>,
    /// The ARN, as AWS says it.
    pub arn: Option<Arc<str>>,
}

impl Fetched {
    /// The version's id without the region of the replica that gave it.
    pub fn primary_version(&self) -> Option<&str> {
        self.version_id.as_deref()?.split('@').next()
    }

    /// Whether a replica gave it.
    pub fn is_from_replica(&self) -> bool {
        is_of_replica(self.version_id.as_deref())
    }
}

/// Whether a replica gave what has this version: its id ends in `@region` then.
pub fn is_of_replica(version_id: Option<&str>) -> bool {
    version_id.is_some_and(|version| version.contains('@'))
}
