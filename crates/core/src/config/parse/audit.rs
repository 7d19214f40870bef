//! `options.audit`.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::audit::{AuditSettings, AuditSink};
use crate::config::{Ambient, Field, OptionValue, Section};
use secret::environment::Preset;
use secret::error::{Result, SecretError};

const DEFAULT_FILE: &str = "secret-audit.jsonl";
const STDOUT: &str = "stdout";
const DEFAULT_MAX_BYTES: u64 = 256 << 20;
const LEAST_KEY: usize = 16;
const LONGEST_LABEL: usize = 255;

pub(super) fn audit(top: &mut Section, preset: &Preset, ambient: &Ambient) -> Result<Option<AuditSettings>> {
    let field = match top.take("audit") {
        Some(field) if field.is_false() => return Ok(None),
        Some(field) => field,
        None if !preset.audit => return Ok(None),
        None => Field::new("options.audit", OptionValue::Record(std::collections::BTreeMap::new())),
    };
    let mut section = field.section()?;
    let path = section.read("path", Field::string)?;
    let denies = section.read("onFailure", |field| field.one_of(&[("deny", true), ("warn", false)]))?;
    let is_shipped = section.read("sink", Field::bool)?.unwrap_or(false);
    let key = section.read("key", key)?;
    let max_megabytes = section.read("maxMegabytes", |f| f.integer(1..=1_048_576))?;
    let rotate_hours = section.read("rotateHours", |f| f.integer(1..=8760))?;
    let label = section.read("label", |field| {
        let path = field.path().to_owned();
        let label = field.string()?;
        let fits = label.len() <= LONGEST_LABEL && !label.chars().any(char::is_control);
        fits.then_some(label).ok_or_else(|| SecretError::config(&path, "must be up to 255 bytes of printable text"))
    })?;
    let journals = section.read("journalDirectory", Field::string)?;
    section.finish(&[
        "path",
        "onFailure",
        "sink",
        "key",
        "maxMegabytes",
        "rotateHours",
        "label",
        "journalDirectory",
    ])?;
    let from_variable = ambient.variable("TCS_AUDIT_LOG").map(str::to_owned);
    let sink = match path.or(from_variable) {
        _ if is_shipped => AuditSink::Shipper,
        Some(path) if path == STDOUT => AuditSink::Stdout,
        Some(path) => AuditSink::File(ambient.working_directory.join(path)),
        None => AuditSink::File(ambient.working_directory.join(DEFAULT_FILE)),
    };
    let journals = journals.map(|directory| ambient.working_directory.join(directory));
    // A stream has no file beside which a journal could be.
    let journals = match (&sink, journals) {
        (AuditSink::File(_), journals) => journals,
        (_, Some(journals)) => Some(journals),
        (_, None) => Some(ambient.variable("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)),
    };
    Ok(Some(AuditSettings {
        sink,
        denies: denies.unwrap_or(preset.compliance.is_some()),
        key,
        max_bytes: max_megabytes.map_or(DEFAULT_MAX_BYTES, |megabytes| u64::from(megabytes) << 20),
        max_age: rotate_hours.map_or(Duration::MAX, |hours| Duration::from_hours(u64::from(hours))),
        label: label.unwrap_or_default(),
        journals,
    }))
}

/// Reads `audit.key`: bytes, or their base64 text.
fn key(field: Field) -> Result<Zeroizing<Vec<u8>>> {
    let path = field.path().to_owned();
    let (given, is_text) = field.text_or_bytes()?;
    let key = if is_text { STANDARD.decode(&*given).map(Zeroizing::new).ok() } else { Some(given) };
    key.filter(|key| key.len() >= LEAST_KEY)
        .ok_or_else(|| SecretError::config(&path, "must be at least 16 random bytes, or their base64 text"))
}
