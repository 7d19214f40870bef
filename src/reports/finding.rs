//! `FoundSecret`.

use delivery_core::delivery::FoundInAws;
use napi_derive::napi;

use super::ReportedError;

/// A secret that AWS has: names and no value.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct FoundSecret {
    pub aws_id: String,
    pub form: &'static str,
    pub fields: Vec<String>,
    pub owning_service: Option<String>,
    pub rotated_by_aws: bool,
    pub error: Option<ReportedError>,
}

impl From<FoundInAws> for FoundSecret {
    fn from(found: FoundInAws) -> Self {
        Self {
            aws_id: found.listed.name,
            form: found.form.as_str(),
            fields: found.fields,
            owning_service: found.listed.owning_service,
            rotated_by_aws: found.listed.is_rotated,
            error: ReportedError::of(found.error.as_ref()),
        }
    }
}
