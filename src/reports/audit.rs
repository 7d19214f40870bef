//! `AuditVerification`.

use delivery_core::audit::log::{FaultKind, Verification, hex};
use napi_derive::napi;

use super::count;

/// What the verification of an audit log found.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct AuditVerification {
    pub valid: bool,
    pub untampered: bool,
    pub fault: Option<AuditFault>,
    pub files: i64,
    pub bytes: i64,
    pub first_sequence: i64,
    pub last_sequence: i64,
    pub end_confirmed: bool,
    pub unrecovered_journals: i64,
    pub outcomes: AuditOutcomes,
    pub deliveries: i64,
    pub missed_deliveries: i64,
    pub first_file: i64,
    pub expired_files: i64,
    pub last_link: String,
    pub keyed_sequence: Option<i64>,
}

/// The first fault of an audit log.
#[napi(object, object_from_js = false)]
pub struct AuditFault {
    pub kind: &'static str,
    pub file: String,
    pub line: i64,
    pub byte_offset: i64,
    pub message: String,
}

/// Records by outcome.
#[napi(object, object_from_js = false)]
pub struct AuditOutcomes {
    pub ok: i64,
    pub absent: i64,
    pub denied: i64,
    pub failed: i64,
}

impl From<Verification> for AuditVerification {
    fn from(verification: Verification) -> Self {
        let untampered = verification.is_untampered();
        let fault = verification.fault.map(|fault| AuditFault {
            kind: match fault.kind {
                FaultKind::Changed => "changed",
                FaultKind::Removed => "removed",
                FaultKind::Inserted => "inserted",
                FaultKind::Reordered => "reordered",
                FaultKind::BadCheckpoint => "bad-checkpoint",
                FaultKind::TornTail => "torn-tail",
            },
            file: fault.file.display().to_string(),
            line: count(fault.line),
            byte_offset: count(fault.offset),
            message: fault.message,
        });
        Self {
            valid: fault.is_none(),
            untampered,
            fault,
            files: count(verification.files),
            bytes: count(verification.bytes),
            first_sequence: count(verification.first_seq),
            last_sequence: count(verification.last.0),
            end_confirmed: verification.end_confirmed,
            unrecovered_journals: count(verification.unrecovered),
            deliveries: count(verification.sums.deliveries),
            missed_deliveries: count(verification.sums.missed),
            first_file: count(verification.sums.first_file),
            expired_files: count(verification.sums.expired_through),
            last_link: hex(&verification.last.1),
            keyed_sequence: verification.keyed_from.map(count),
            outcomes: AuditOutcomes {
                ok: count(verification.counts.ok),
                absent: count(verification.counts.absent),
                denied: count(verification.counts.denied),
                failed: count(verification.counts.failed),
            },
        }
    }
}
