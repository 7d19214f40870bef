//! `options.audit`.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::audit::{Actor, AuditSettings, AuditSink};
use crate::config::{Ambient, Field, OptionValue, Section};
use secret::environment::{Environment, Preset};
use secret::error::{Result, SecretError};

const DEFAULT_FILE: &str = "secret-audit.jsonl";
/// Standard output, also by the names that containers know for it: a log needs a file of its own, and these are none.
const STDOUT: [&str; 4] = ["stdout", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
const DEFAULT_MAX_BYTES: u64 = 256 << 20;
const LEAST_KEY: usize = 16;
const LONGEST_LABEL: usize = 255;

pub(super) fn audit(
    top: &mut Section,
    environment: Environment,
    preset: &Preset,
    ambient: &Ambient,
) -> Result<Option<AuditSettings>> {
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
    let key = key.map_or_else(|| key_variable(ambient), |key| Ok(Some(key)))?;
    let max_megabytes = section.read("maxMegabytes", |f| f.integer(1..=1_048_576))?;
    let rotate_hours = section.read("rotateHours", |f| f.integer(1..=8760))?;
    let label = section.read("label", |field| {
        let path = field.path().to_owned();
        let label = field.string()?;
        let fits = label.len() <= LONGEST_LABEL && !label.chars().any(char::is_control);
        fits.then_some(label).ok_or_else(|| SecretError::config(&path, "must be up to 255 bytes of printable text"))
    })?;
    let journals = section.read("journalDirectory", Field::string)?;
    let is_each = section.read("hits", |field| field.one_of(&[("counted", false), ("each", true)]))?;
    let keep =
        section.read("keepDays", |f| f.integer(1..=36_500))?.map(|days| Duration::from_hours(24 * u64::from(days)));
    let program = section.read("program", Field::string)?;
    // Set by the command line.
    let is_guest = section.read("isGuest", Field::bool)?.unwrap_or(false);
    section.finish(&[
        "path",
        "onFailure",
        "sink",
        "key",
        "maxMegabytes",
        "rotateHours",
        "label",
        "journalDirectory",
        "hits",
        "keepDays",
        "program",
        "isGuest",
    ])?;
    let from_variable = ambient.variable("TCS_AUDIT_LOG").map(str::to_owned);
    let sink = match path.or(from_variable) {
        _ if is_shipped => AuditSink::Shipper,
        Some(path) if STDOUT.contains(&path.as_str()) => AuditSink::Stdout,
        Some(path) => AuditSink::File(ambient.working_directory.join(path)),
        None => AuditSink::File(default_file(environment, ambient)),
    };
    // Who reads a stream counts its lines, and its collector has limits and samples of its own.
    let is_each = is_each.unwrap_or(sink == AuditSink::Stdout);
    let journals = journals.map(|directory| ambient.working_directory.join(directory));
    // A stream has no file beside which a journal could be.
    let journals = match (&sink, journals) {
        (AuditSink::File(_), journals) => journals,
        (_, Some(journals)) => Some(journals),
        (_, None) => Some(temporary(ambient)),
    };
    // What is older is deleted with its file, so a file must end at some time.
    let default_age = if keep.is_some() { Duration::from_hours(24) } else { Duration::MAX };
    Ok(Some(AuditSettings {
        sink,
        denies: denies.unwrap_or(preset.compliance.is_some()),
        key,
        max_bytes: max_megabytes.map_or(DEFAULT_MAX_BYTES, |megabytes| u64::from(megabytes) << 20),
        max_age: rotate_hours.map_or(default_age, |hours| Duration::from_hours(u64::from(hours))),
        label: label.unwrap_or_default(),
        journals,
        keep: keep.unwrap_or(Duration::MAX),
        may_delete: || true,
        is_each,
        is_guest,
        actor: actor(program, ambient),
        waivers: Vec::new(),
        places: Vec::new(),
    }))
}

/// Where the log is if nobody says so, below the working directory of `ambient`. Tests leave nothing there.
pub fn default_file(environment: Environment, ambient: &Ambient) -> PathBuf {
    if environment.base() != Environment::Test {
        return ambient.working_directory.join(DEFAULT_FILE);
    }
    let of = format!("{} {}", ambient.working_directory.display(), ambient.variable("HOME").unwrap_or_default());
    let sum =
        of.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    temporary(ambient).join(format!("secret-audit-test-{sum:016x}.jsonl"))
}

/// The system's temporary directory.
fn temporary(ambient: &Ambient) -> PathBuf {
    let named = ["TMPDIR", "TEMP", "TMP"].into_iter().find_map(|name| ambient.variable(name));
    named.map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)
}

/// Who writes the log.
fn actor(program: Option<String>, ambient: &Ambient) -> Actor {
    let sudo_user = ambient.variable("SUDO_USER").map(str::to_owned);
    Actor { program: program.or_else(|| ambient.actor.program.clone()), sudo_user, ..ambient.actor.clone() }
}

/// Reads `TCS_AUDIT_KEY`.
fn key_variable(ambient: &Ambient) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(text) = ambient.variable("TCS_AUDIT_KEY") else { return Ok(None) };
    let key = STANDARD.decode(text.trim()).map(Zeroizing::new).ok().filter(|key| key.len() >= LEAST_KEY);
    let why = "must be the base64 text of at least 16 random bytes, as `openssl rand -base64 32` writes it";
    key.map(Some).ok_or_else(|| SecretError::config("TCS_AUDIT_KEY", why))
}

/// Reads `audit.key`: bytes, or their base64 text.
fn key(field: Field) -> Result<Zeroizing<Vec<u8>>> {
    let path = field.path().to_owned();
    let (given, is_text) = field.text_or_bytes()?;
    let key = if is_text { STANDARD.decode(&*given).map(Zeroizing::new).ok() } else { Some(given) };
    key.filter(|key| key.len() >= LEAST_KEY)
        .ok_or_else(|| SecretError::config(&path, "must be at least 16 random bytes, or their base64 text"))
}
