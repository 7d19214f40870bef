//! What the core says to JavaScript: how an operation ended, and everything that it says without being asked.

use std::sync::Arc;

use napi::bindgen_prelude::ToNapiValue;
use napi_derive::napi;
use secret::error::SecretError;
use secret::value::SecretValue;

use crate::raw::Slots;
use crate::reports::AnyReport;

/// How an operation ended.
pub enum Outcome {
    /// The operation has no result, or there is no such secret.
    Null,
    Bool(bool),
    Secret(SecretValue),
    /// The bytes of a secret.
    Bytes(Vec<u8>),
    /// Secrets by type.
    Secrets(Vec<(String, SecretValue)>),
    Report(AnyReport),
}

impl Outcome {
    pub fn report(report: impl ToNapiValue + Send + 'static) -> Self {
        Self::Report(AnyReport::new(report))
    }
}

/// One message of the core's threads to JavaScript. `id` names an operation, or a question that JavaScript answers.
pub enum Message {
    Done {
        id: u32,
        result: Result<Outcome, SecretError>,
    },
    /// The answers of a part of the reads of operation `id`, from its read number `first` on.
    Read {
        id: u32,
        first: u32,
        answers: Vec<Result<Option<SecretValue>, SecretError>>,
        ends: bool,
    },
    Warning {
        code: &'static str,
        message: String,
    },
    Log {
        level: &'static str,
        message: String,
    },
    Rotated {
        tool: String,
        secret_type: String,
    },
    RotationNotice(AnyReport),
    Alert(AnyReport),
    Progress {
        id: u32,
        progress: AnyReport,
    },
    CallHook {
        id: u32,
        context: AnyReport,
    },
    /// Aborts the signal of a hook.
    StopHook {
        id: u32,
    },
    AuditLines {
        id: u32,
        lines: String,
    },
    ReadVariables {
        id: u32,
        name: String,
    },
    AskCredentials {
        id: u32,
    },
    /// The copy of a string that JavaScript holds was dropped.
    LetGo {
        slot: u32,
        slots: Arc<Slots>,
    },
}

/// The kinds of message that do not end an operation with a plain value (`lib/messages.js`).
#[napi]
pub enum MessageKind {
    /// Operation `id` failed: a `NativeFailure`.
    Failed = 1,
    /// Operation `id` ended with a report. Not among the plain values, so that it comes after its `Progress`.
    Report = 2,
    /// For the logger: code, message.
    Warning = 3,
    /// For the logger: level, message.
    Log = 4,
    /// A secret has another version: tool, secret type.
    Rotated = 5,
    /// A `RotationNotice`.
    RotationNotice = 6,
    /// An `Alert`.
    Alert = 7,
    /// A `MigrationProgress` of operation `id`.
    Progress = 8,
    /// Asks for a call of a hook: a `RotationHookContext`.
    CallHook = 9,
    /// Asks the audit sink to take lines.
    AuditLines = 10,
    /// Asks for the variables that may hold a secret: its name.
    ReadVariables = 11,
    /// Aborts the signal of the hook that was called with this id.
    StopHook = 12,
    /// Asks for AWS credentials.
    AskCredentials = 13,
    /// The string with this number is no longer handed out.
    LetGo = 14,
}

impl Message {
    /// How many reads this message settles.
    pub fn reads(&self) -> usize {
        match self {
            Self::Read { answers, .. } => answers.len(),
            Self::LetGo { .. } => 0,
            _ => 1,
        }
    }

    /// Whether this message ends an operation.
    pub fn ends_operation(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Read { ends: true, .. })
    }
}
