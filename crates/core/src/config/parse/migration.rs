//! `options.migration`: what new secrets in AWS get.

use super::sub_section;
use crate::config::{Field, Section};
use aws::NewSecret;
use secret::error::{Result, SecretError};

/// The most tags that AWS takes.
const MAX_TAGS: usize = 50;

/// # Errors
/// `CONFIG_INVALID`.
pub(super) fn migration(top: &mut Section) -> Result<NewSecret> {
    let mut section = sub_section(top, "migration")?;
    let new = NewSecret {
        kms_key: section.read("kmsKeyId", Field::string)?,
        description: section.read("description", Field::string)?,
        tags: section.read("tags", tags)?.unwrap_or_default(),
        replicas: section.read("replicaRegions", replicas)?.unwrap_or_default(),
    };
    section.finish(&["kmsKeyId", "description", "tags", "replicaRegions"])?;
    Ok(new)
}

fn tags(field: Field) -> Result<Vec<(String, String)>> {
    let path = field.path().to_owned();
    let tags = field.section()?.entries().map(|(key, field)| Ok((key, field.string()?))).collect::<Result<Vec<_>>>()?;
    if tags.len() > MAX_TAGS {
        return Err(SecretError::config(&path, format_args!("has {} tags, AWS takes {MAX_TAGS}", tags.len())));
    }
    Ok(tags)
}

/// Each one a region, or `{ region, kmsKeyId }`.
fn replicas(field: Field) -> Result<Vec<(String, Option<String>)>> {
    let replica = |item: Field| {
        if item.is_text() {
            return Ok((item.string()?, None));
        }
        let mut section = item.section()?;
        let path = section.path().to_owned();
        let region =
            section.read("region", Field::string)?.ok_or_else(|| SecretError::config(&path, "has no region"))?;
        let key = section.read("kmsKeyId", Field::string)?;
        section.finish(&["region", "kmsKeyId"])?;
        Ok((region, key))
    };
    field.list()?.into_iter().map(replica).collect()
}
