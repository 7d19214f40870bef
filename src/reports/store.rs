//! What `delivery.store` reports.

use delivery_core::delivery::Delivery;
use delivery_core::store::{Compared, Stored};
use napi_derive::napi;
use secret::clock::iso8601;
use secret::json_change::Changes;
use secret::name::SecretName;

use super::ReportedError;

/// What putting a value would do.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct ComparedSecret {
    pub name: String,
    pub aws_id: String,
    pub field: Option<String>,
    pub change: &'static str,
    pub version_id: Option<String>,
    pub fields: Option<FieldChanges>,
    pub error: Option<ReportedError>,
}

/// The fields in which two JSON objects differ.
#[napi(object, object_from_js = false)]
pub struct FieldChanges {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

/// What became of a secret.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct StoreReport {
    pub name: String,
    pub environment: &'static str,
    pub aws_id: String,
    pub field: Option<String>,
    pub outcome: &'static str,
    pub version_id: Option<String>,
    pub previous_version_id: Option<String>,
    pub deleted_at: Option<String>,
}

impl From<Compared> for ComparedSecret {
    fn from(compared: Compared) -> Self {
        let Compared { name, aws_id, field, change, version, fields, error } = compared;
        let fields = fields.map(|Changes { added, changed, removed }| FieldChanges { added, changed, removed });
        let (name, error) = (name.as_str().to_owned(), ReportedError::of(error.as_ref()));
        Self { name, aws_id, field, change, version_id: version, fields, error }
    }
}

impl StoreReport {
    pub fn of(delivery: &Delivery, name: &SecretName, stored: Stored) -> Self {
        let Stored { aws_id, field, outcome, version, previous, deleted_unix_ms } = stored;
        Self {
            name: name.as_str().to_owned(),
            environment: delivery.environment().as_str(),
            aws_id,
            field,
            outcome,
            version_id: version,
            previous_version_id: previous,
            deleted_at: deleted_unix_ms.map(iso8601),
        }
    }
}
