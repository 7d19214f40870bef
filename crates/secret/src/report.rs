//! What a rotation did, step by step. Never holds a value.

use crate::environment::Environment;
use crate::error::SecretError;

/// A step of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The new value becomes AWSPENDING.
    Create,
    /// The target system gets it.
    Set,
    /// It is tried.
    Test,
    /// It becomes AWSCURRENT.
    Finish,
    /// The live value is checked.
    Verify,
    /// The target system gets the old value back.
    Undo,
    /// The old value becomes AWSCURRENT again.
    Rollback,
}

impl Step {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Set => "set",
            Self::Test => "test",
            Self::Finish => "finish",
            Self::Verify => "verify",
            Self::Undo => "undo",
            Self::Rollback => "rollback",
        }
    }
}

/// A step that was taken.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// Which.
    pub step: Step,
    /// When it began, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Why it failed.
    pub error: Option<SecretError>,
}

/// How a rotation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The new value is live.
    Finished,
    /// The new value is live, and the check of it failed; the policy takes nothing back.
    Unverified,
    /// The old value is live.
    Failed,
    /// The new value was live and the old one is again.
    RolledBack,
}

impl Ending {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 4] = [Self::Finished, Self::Unverified, Self::Failed, Self::RolledBack];

    /// The name in reports and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Unverified => "unverified",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
        }
    }

    /// Whether the new value is live.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Finished | Self::Unverified)
    }
}

/// A whole rotation.
#[derive(Clone, Debug)]
pub struct Report {
    /// The secret.
    pub name: String,
    /// Where.
    pub environment: Environment,
    /// The AWS id.
    pub aws_id: String,
    /// The declared rotation type.
    pub rotation_type: Option<String>,
    /// How it ended.
    pub ending: Ending,
    /// Whether it went on with the value of an earlier, interrupted rotation.
    pub resumed: bool,
    /// Whether AWS's own rotation function did it.
    pub by_aws: bool,
    /// Whether another instance did it meanwhile.
    pub by_another: bool,
    /// When it began, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// When it ended, in milliseconds since 1970.
    pub ended_unix_ms: u64,
    /// What was done, in order.
    pub steps: Vec<StepReport>,
    /// The version that was live before.
    pub previous_version: Option<String>,
    /// The new version, where one was made.
    pub version: Option<String>,
    /// `ROTATION_FAILED` or `ROTATION_ROLLED_BACK` with the reason; the reason as well when the check of a live value
    /// failed.
    pub error: Option<SecretError>,
}
