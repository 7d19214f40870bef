//! What is due, of all declared secrets (`rotation.due()`).

use super::RotationManager;
use super::policy::{Applied, Dates, Standing};
use crate::audit::Access;
use secret::error::{Result, SecretError};
use secret::name::SecretName;

/// One declared secret's place in the calendar.
#[derive(Clone, Debug)]
pub struct Appointment {
    /// The secret.
    pub name: SecretName,
    /// Lower-cased tool.
    pub tool: String,
    /// Lower-cased secret type.
    pub secret_type: String,
    /// The declared rotation type.
    pub rotation_type: Option<String>,
    /// What applies.
    pub applied: Applied,
    /// The live version.
    pub version: Option<String>,
    /// When it was made, in seconds since 1970.
    pub rotated: Option<u64>,
    /// When the next one is due; `None` where people rotate, or nothing is known.
    pub dates: Option<Dates>,
    /// Why nothing is known.
    pub error: Option<SecretError>,
}

impl Appointment {
    /// Where it stands at `now`, in seconds since 1970.
    pub fn standing(&self, now: u64) -> Option<Standing> {
        Some(self.dates?.standing(now))
    }
}

impl RotationManager {
    /// The calendar of all declared secrets, the earliest first. Asks AWS, 20 secrets a call.
    ///
    /// # Errors
    /// `SECRET_NAME_INVALID` cannot happen for declared names; AWS's errors are in the entries.
    pub async fn calendar(&self) -> Result<Vec<Appointment>> {
        let declared = self.parts.tools.all().map(|(tool, secret_type, spec)| {
            Ok(Appointment {
                name: SecretName::of_tool(tool, secret_type)?,
                tool: tool.to_ascii_lowercase(),
                secret_type: secret_type.to_ascii_lowercase(),
                rotation_type: spec.rotation_type.clone(),
                applied: self.policies().of(Some(spec)),
                version: None,
                rotated: None,
                dates: None,
                error: None,
            })
        });
        let mut calendar = declared.collect::<Result<Vec<_>>>()?;
        let names: Vec<SecretName> = calendar.iter().map(|entry| entry.name.clone()).collect();
        let answers = self.parts.reads.fetch_all(&names).await;
        if let Some(audit) = &self.parts.audit {
            // What is due must be told even while the log cannot be written.
            drop(audit.ready().await);
            for (name, said) in names.iter().zip(&answers) {
                audit.inspected("due", &Access::fetched(name.as_str(), said));
            }
        }
        for (entry, answer) in calendar.iter_mut().zip(answers) {
            match answer {
                Ok(Some(fetched)) => {
                    entry.version = fetched.version_id.as_deref().map(str::to_owned);
                    entry.rotated = fetched.created_unix_ms.map(|ms| ms / 1000);
                    entry.dates = entry.applied.policy.as_ref().zip(entry.rotated).map(|(p, last)| p.dates(last));
                }
                Ok(None) => {}
                Err(error) => entry.error = Some(error),
            }
        }
        calendar.sort_by_key(|entry| (entry.dates.map_or(u64::MAX, |dates| dates.due), entry.name.clone()));
        Ok(calendar)
    }
}
