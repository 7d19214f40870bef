//! The file in which the AWS CLI keeps a session of SSO. AWS's SDK for Rust reads dates in one form only, AWS's SDK for JavaScript
//! whatever `new Date()` takes, such as those of older versions of the CLI, which end in `UTC`.
//!
//! - <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html>

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_types::os_shim_internal::Fs;
use files::File;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use crate::dates::in_utc;
use crate::profiles::Profiles;
use crate::settings::AwsSettings;

/// Below HOME.
const DIRECTORY: &str = ".aws/sso/cache";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// A file of a session whose dates the SDK does not read, with others.
pub(crate) struct Redated {
    path: PathBuf,
    text: Zeroizing<Vec<u8>>,
    files: Fs,
}

impl Redated {
    /// That of the session that the credentials of the profile that counts come from; `None` where the SDK reads it as it is.
    pub(crate) async fn of(config: &AwsSettings, profiles: &Profiles) -> Option<Self> {
        let mut seen = vec![profiles.name()];
        let name = loop {
            let name = *seen.last()?;
            let source = profiles.of(name, "source_profile").filter(|_| profiles.of(name, "role_arn").is_some());
            match source {
                Some(next) if next != name => {
                    if seen.contains(&next) {
                        return None;
                    }
                    seen.push(next);
                }
                _ => break name,
            }
        };
        let key = profiles.of(name, "sso_session").or_else(|| profiles.of(name, "sso_start_url"))?;
        let home = ["HOME", "USERPROFILE"].iter().find_map(|name| config.variables.get(*name))?;
        let path = Path::new(home).join(DIRECTORY).join(file_of(key));
        // What cannot be read is the SDK's to judge.
        let file = files::request::<File>(&path).await.ok()?;
        let text = redated(file.0.as_ref()?)?;
        let files = Fs::from_map(HashMap::from([(path.to_str()?.to_owned(), text.to_vec())]));
        Some(Self { path, text, files })
    }

    /// What the SDK reads and writes instead of the file.
    pub(crate) fn files(&self) -> Fs {
        self.files.clone()
    }

    /// Writes a session that the SDK renewed into the file: what renewed it is used up.
    pub(crate) async fn keep(self) {
        let Ok(renewed) = self.files.read_to_end(&self.path).await.map(Zeroizing::new) else { return };
        if *renewed != *self.text && tokio::fs::write(&self.path, &*renewed).await.is_err() {
            tracing::warn!(
                "the session of SSO was renewed, and its file could not be written: run aws sso login when it ends"
            );
        }
    }
}

/// `text` with dates that the SDK reads; `None` where it reads those that are there, or the text is no session.
fn redated(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut json: Json = serde_json::from_slice(text).ok()?;
    let fields = json.as_object_mut()?;
    let mut is_other = false;
    for name in ["expiresAt", "registrationExpiresAt"] {
        let Some(given) = fields.get(name).and_then(Json::as_str) else { continue };
        match in_utc(given) {
            Some(date) if date == given => {}
            Some(date) => {
                is_other = true;
                fields.insert(name.to_owned(), date.into());
            }
            // Nothing but the SDK for Rust reads it.
            None if name == "registrationExpiresAt" => {
                is_other = true;
                fields.remove(name);
            }
            None => return None,
        }
    }
    if is_other { serde_json::to_vec(&json).ok().map(Zeroizing::new) } else { None }
}

/// The name of the file of a session, as the AWS CLI makes it.
fn file_of(key: &str) -> String {
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    let digits = digest.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(HEX[usize::from(digit)])).chain(".json".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_in_utc_and_the_rest_stays() {
        let read = |text: &str| redated(text.as_bytes()).map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!(read(r#"{"expiresAt":"2030-01-01T00:00:00Z","a":1}"#), None);
        for end in ["2030-01-01T00:00:00UTC", "2030-01-01T01:00:00+01:00"] {
            let told = read(&format!(r#"{{"accessToken":"t","expiresAt":"{end}"}}"#));
            assert_eq!(told.as_deref(), Some(r#"{"accessToken":"t","expiresAt":"2030-01-01T00:00:00Z"}"#), "{end}");
        }
        let unread = r#"{"expiresAt":"2030-01-01T00:00:00Z","registrationExpiresAt":"soon"}"#;
        assert_eq!(read(unread).as_deref(), Some(r#"{"expiresAt":"2030-01-01T00:00:00Z"}"#));
        for none in [r#"{"expiresAt":"soon"}"#, "[]", "", r#"{"accessToken":"t"}"#] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn the_file_has_the_name_that_the_cli_gives_it() {
        assert_eq!(file_of("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d.json");
    }
}
