//! AWS's operations, and how often each of them was answered, refused or failed.

use std::sync::atomic::{AtomicU64, Ordering};

use secret::error::SecretError;

/// An operation of AWS Secrets Manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `GetSecretValue`.
    Get,
    /// `BatchGetSecretValue`.
    Batch,
    /// `CreateSecret`.
    Create,
    /// `PutSecretValue`.
    Put,
    /// `UpdateSecretVersionStage`.
    Label,
    /// `DescribeSecret`.
    Describe,
    /// `ListSecrets`.
    List,
    /// `RotateSecret`.
    Rotate,
    /// `GetRandomPassword`.
    Random,
    /// `DeleteSecret`.
    Delete,
    /// `RestoreSecret`.
    Restore,
}

impl Operation {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 11] = [
        Self::Get,
        Self::Batch,
        Self::Create,
        Self::Put,
        Self::Label,
        Self::Describe,
        Self::List,
        Self::Rotate,
        Self::Random,
        Self::Delete,
        Self::Restore,
    ];

    /// AWS's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GetSecretValue",
            Self::Batch => "BatchGetSecretValue",
            Self::Create => "CreateSecret",
            Self::Put => "PutSecretValue",
            Self::Label => "UpdateSecretVersionStage",
            Self::Describe => "DescribeSecret",
            Self::List => "ListSecrets",
            Self::Rotate => "RotateSecret",
            Self::Random => "GetRandomPassword",
            Self::Delete => "DeleteSecret",
            Self::Restore => "RestoreSecret",
        }
    }
}

/// Counts AWS's answers. Each attempt counts, so a call that is retried counts more than once.
#[derive(Debug, Default)]
pub struct AwsCalls([OperationCounts; Operation::ALL.len()]);

/// The answers to one operation.
#[derive(Debug, Default)]
pub struct OperationCounts {
    /// Answered with what was asked, or that it does not exist.
    pub ok: AtomicU64,
    /// Refused: access denied or decryption refused.
    pub denied: AtomicU64,
    /// Failed: throttled, 5xx, timeout, network, credentials.
    pub failed: AtomicU64,
}

impl AwsCalls {
    pub(crate) fn count(&self, operation: Operation, error: Option<&SecretError>) {
        let counts = &self.0[operation as usize];
        let counter = match error {
            None => &counts.ok,
            Some(error) if error.is_denied() => &counts.denied,
            Some(_) => &counts.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Each operation with its counts.
    pub fn operations(&self) -> impl Iterator<Item = (Operation, &OperationCounts)> {
        Operation::ALL.into_iter().zip(&self.0)
    }
}
