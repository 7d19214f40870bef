//! `aws.assumeRole`, and that of a reference.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Field;
use secret::error::{Result, SecretError};
use secret::role::Role;

const KNOWN: &[&str] = &["roleArn", "sessionName", "externalId", "durationSeconds", "sourceIdentity", "tags"];

/// Reads a role.
///
/// # Errors
/// `CONFIG_INVALID` for what STS would refuse as well.
pub(super) fn role(field: Field) -> Result<Arc<Role>> {
    let mut section = field.section()?;
    let path = section.path().to_owned();
    let text = |section: &mut crate::config::Section, name| section.read(name, Field::string);
    let arn = text(&mut section, "roleArn")?;
    let session_name = text(&mut section, "sessionName")?;
    let external_id = text(&mut section, "externalId")?;
    let duration_seconds = section.read("durationSeconds", |field| field.integer(900..=43_200))?;
    let source_identity = text(&mut section, "sourceIdentity")?;
    let tags = section.read("tags", tags)?.unwrap_or_default();
    section.finish(KNOWN)?;
    let arn = arn.ok_or_else(|| SecretError::config(&format!("{path}.roleArn"), "is missing"))?;
    let role = Role {
        arn: arn.into(),
        session_name: session_name.map(Into::into),
        external_id: external_id.map(Into::into),
        duration_seconds,
        source_identity: source_identity.map(Into::into),
        tags,
    };
    role.checked().map(Arc::new).map_err(|(part, why)| SecretError::config(&format!("{path}.{part}"), why))
}

fn tags(field: Field) -> Result<BTreeMap<Box<str>, Box<str>>> {
    let mut tags = BTreeMap::new();
    for (key, field) in field.section()?.entries() {
        tags.insert(key.into(), field.string()?.into());
    }
    Ok(tags)
}
