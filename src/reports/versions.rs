//! `SecretVersions`, the only report with values.

use aws::Version;
use delivery_core::reads::Versions;
use napi_derive::napi;
use secret::clock::iso8601;

use crate::raw::SecretText;

/// The versions around the live one, by AWS's labels.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct SecretVersions {
    pub current: Option<SecretVersion>,
    pub previous: Option<SecretVersion>,
    pub pending: Option<SecretVersion>,
}

/// One version of a secret.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct SecretVersion {
    #[napi(ts_type = "string")]
    pub value: SecretText,
    pub version_id: String,
    pub created_at: Option<String>,
}

impl From<&Versions> for SecretVersions {
    fn from(versions: &Versions) -> Self {
        let version = |version: &Option<Version>| {
            version.as_ref().map(|version| SecretVersion {
                value: SecretText(version.value.clone()),
                version_id: version.id.clone(),
                created_at: version.created_unix_ms.map(iso8601),
            })
        };
        Self {
            current: version(&versions.current),
            previous: version(&versions.previous),
            pending: version(&versions.pending),
        }
    }
}
