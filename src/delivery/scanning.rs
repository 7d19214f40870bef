//! `tcs-secrets scan`: where values stand in files and elsewhere.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use std::path::PathBuf;

use delivery_core::source::runtime::Variables;
use leaks::scanning::{Scan, Scanned, files_below, scan_files};
use napi::bindgen_prelude::BufferSlice;
use napi::tokio::task::spawn_blocking;
use napi_derive::napi;
use secret::error::{ErrorCode, SecretError};
use secret::name::SecretName;

use super::native::NativeDelivery;
use crate::messages::Outcome;
use crate::reports::redaction::{FoundValue, ScannedFiles, WatchedValues};

#[napi]
impl NativeDelivery {
    /// Reads secrets to look for their values. Gives a `WatchedValues`.
    #[napi(catch_unwind)]
    pub fn watch_values(&self, id: u32, names: Vec<String>) {
        let variables = Variables::asked(self.variables.clone());
        self.start(id, |delivery| async move {
            let names: Vec<SecretName> =
                names.iter().map(|name| SecretName::new(name)).collect::<std::result::Result<_, _>>()?;
            let answers = delivery.watch_values(&names, &variables).await?;
            Ok(Outcome::report(WatchedValues::of(&names, answers, delivery.ledger().watching())))
        });
    }

    /// Searches files and folders for the values that are looked for. Gives a `ScannedFiles`.
    #[napi(catch_unwind)]
    pub fn scan_files(&self, id: u32, files: Vec<String>, folders: Vec<String>) {
        self.start(id, |delivery| async move {
            let finder = delivery.ledger().finder();
            let scanned = spawn_blocking(move || {
                let (mut unread, mut all) = (Vec::new(), files.into_iter().map(PathBuf::from).collect::<Vec<_>>());
                for folder in folders {
                    all.extend(files_below(&PathBuf::from(folder), &mut unread));
                }
                let mut scanned: Scanned = scan_files(&finder, &all);
                scanned.unread.extend(unread);
                scanned
            });
            let scanned =
                scanned.await.map_err(|_| SecretError::new(ErrorCode::SourceUnavailable, "the scan ended early"))?;
            Ok(Outcome::report(ScannedFiles::from(scanned)))
        });
    }

    /// Begins to search texts that are not in files. On JavaScript's thread: for the command line.
    #[napi(catch_unwind)]
    pub fn scan_texts(&self) -> NativeScan {
        NativeScan { scan: Scan::new(self.delivery.ledger().finder()) }
    }
}

/// Searches texts that arrive in pieces, one after the other.
#[napi]
pub struct NativeScan {
    scan: Scan,
}

#[napi]
impl NativeScan {
    /// The next piece of the text.
    #[napi(catch_unwind)]
    pub fn push(&mut self, piece: BufferSlice<'_>) {
        self.scan.push(&piece);
    }

    /// What the text has. The next piece begins another text.
    #[napi(catch_unwind)]
    pub fn end(&mut self) -> Vec<FoundValue> {
        self.scan.end().iter().map(|place| FoundValue::of(None, place)).collect()
    }
}
