//! What is decided of the audit log when the options are read.

use std::path::PathBuf;
use std::time::Duration;

use secret::aws_ids::AwsIds;
use zeroize::Zeroizing;

use super::Actor;

/// The audit log.
pub struct AuditSettings {
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
    /// A rotated file is deleted this long after its end.
    pub keep: Duration,
    /// Whether the machine's clock is known to be right: until then nothing is deleted.
    pub may_delete: fn() -> bool,
    /// Whether each cached read has a record of its own, and is not only counted.
    pub is_each: bool,
    /// Whether the log is another program's: no file of it is ended, and none deleted.
    pub is_guest: bool,
    /// Who writes: the detail of the instance's first record.
    pub actor: Actor,
    /// Stands in every record.
    pub label: String,
    /// The directory of the journals; `None`: beside the file.
    pub journals: Option<PathBuf>,
    /// Controls of `compliance` that are waived, with the reasons.
    pub waivers: Vec<(String, String)>,
    /// Which AWS secret, and which field of it, stands behind a declared name that the template does not lead to.
    pub places: Vec<(String, String)>,
}

impl AuditSettings {
    /// The same, with the AWS secrets that the declared names stand for.
    pub(crate) fn with_places(mut self, ids: &AwsIds) -> Self {
        let places = ids.places().map(|(name, place)| {
            let id = ids.id(&place.secret);
            let (id, stage) = place.secret.aws_id().unwrap_or((&id, None));
            let field = place.field.as_deref().map(|field| format!("#{field}")).unwrap_or_default();
            let stage = stage.map(|stage| format!(" ({stage})")).unwrap_or_default();
            (name.as_str().to_owned(), format!("{id}{field}{stage}"))
        });
        self.places = places.collect();
        self.places.sort();
        self
    }
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
