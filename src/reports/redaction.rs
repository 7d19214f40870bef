//! `RedactorWatching`, and what a scan reports.

use leaks::ledger;
use leaks::scanning::{Place, Scanned};
use napi_derive::napi;
use secret::error::SecretError;
use secret::name::SecretName;

use super::count;

/// What a redactor looks for.
#[napi(object, object_from_js = false, js_name = "RedactorWatching")]
pub struct Watching {
    pub values: i64,
    pub left_out: Vec<UnwatchedSecret>,
}

/// A secret whose value is not looked for.
#[napi(object, object_from_js = false)]
pub struct UnwatchedSecret {
    pub secret: String,
    pub reason: &'static str,
}

impl From<ledger::Watching> for Watching {
    fn from(watching: ledger::Watching) -> Self {
        let left_out = watching.left_out.into_iter();
        Self {
            values: count(watching.values),
            left_out: left_out
                .map(|(secret, why)| UnwatchedSecret { secret: secret.to_string(), reason: why.as_str() })
                .collect(),
        }
    }
}

/// Which values a scan looks for.
#[napi(object, object_from_js = false)]
pub struct WatchedValues {
    pub values: i64,
    pub left_out: Vec<UnwatchedSecret>,
    /// Names that no source has.
    pub absent: Vec<String>,
    pub failed: Vec<FailedValue>,
}

/// A secret that could not be read.
#[napi(object, object_from_js = false)]
pub struct FailedValue {
    pub secret: String,
    pub code: String,
    pub message: String,
}

impl WatchedValues {
    pub fn of(names: &[SecretName], answers: Vec<Result<bool, SecretError>>, watching: ledger::Watching) -> Self {
        let (mut absent, mut failed) = (Vec::new(), Vec::new());
        for (name, answer) in names.iter().zip(answers) {
            let secret = name.as_str().to_owned();
            match answer {
                Ok(true) => {}
                Ok(false) => absent.push(secret),
                Err(error) => {
                    let (code, message) = (error.code().as_str().to_owned(), error.to_string());
                    failed.push(FailedValue { secret, code, message });
                }
            }
        }
        let Watching { values, left_out } = watching.into();
        Self { values, left_out, absent, failed }
    }
}

/// Where a value stands.
#[napi(object, object_from_js = false)]
pub struct FoundValue {
    /// Missing where it is not in a file.
    pub path: Option<String>,
    pub secret: String,
    pub form: &'static str,
    pub line: i64,
    pub column: i64,
}

impl FoundValue {
    pub fn of(path: Option<String>, place: &Place) -> Self {
        let (line, column) = (count(place.line), count(place.column));
        Self { path, secret: place.secret.to_string(), form: place.form.as_str(), line, column }
    }
}

/// What was found in files.
#[napi(object, object_from_js = false)]
pub struct ScannedFiles {
    pub found: Vec<FoundValue>,
    pub files: i64,
    pub bytes: i64,
    pub unread: Vec<UnreadFile>,
    /// Paths that were given as those of files, and are folders.
    pub folders: Vec<String>,
}

/// What could not be read.
#[napi(object, object_from_js = false)]
pub struct UnreadFile {
    pub path: String,
    pub reason: String,
}

impl From<Scanned> for ScannedFiles {
    fn from(scanned: Scanned) -> Self {
        let path = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        let found = scanned.found.into_iter().map(|(file, place)| FoundValue::of(Some(path(file)), &place));
        let unread = scanned.unread.into_iter().map(|(file, reason)| UnreadFile { path: path(file), reason });
        Self {
            found: found.collect(),
            files: count(scanned.files),
            bytes: count(scanned.bytes),
            unread: unread.collect(),
            folders: scanned.folders.into_iter().map(path).collect(),
        }
    }
}
