//! What is due, of all declared secrets (`rotation.due()`).

use std::sync::atomic::Ordering;

use futures_util::stream::{self, StreamExt as _};

use super::keeper::{self, Hand, Keeper};
use super::policy::{Applied, Dates, Policy, Standing};
use super::{RotationManager, describe};
use crate::audit::Access;
use aws::Description;
use secret::error::{Result, SecretError};
use secret::found::Fetched;
use secret::manifest::Declared;
use secret::name::SecretName;

/// Secrets that AWS is asked about at the same time.
const AT_ONCE: usize = 16;

/// One declared secret's place in the calendar.
#[derive(Clone, Debug)]
pub struct Appointment {
    /// The secret.
    pub name: SecretName,
    /// Lower-cased tool; `None` when the name has no type part.
    pub tool: Option<String>,
    /// Lower-cased secret type; `None` when the name has no type part.
    pub secret_type: Option<String>,
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
    /// Who rotates it then; `None` where nothing is known of it.
    pub hand: Option<Hand>,
    /// Why nothing is known, or not enough to rotate it.
    pub error: Option<SecretError>,
    /// Its customer-managed key (`None`: AWS's own), where AWS describes it.
    pub key: Option<Option<String>>,
}

impl Appointment {
    /// Where it stands at `now`, in seconds since 1970.
    pub fn standing(&self, now: u64) -> Option<Standing> {
        Some(self.dates?.standing(now))
    }
}

impl RotationManager {
    /// The calendar of all declared secrets, the earliest first. Asks AWS for values, 20 secrets a call, and what it says of
    /// each secret.
    ///
    /// AWS's errors are in the entries.
    pub async fn calendar(&self) -> Vec<Appointment> {
        let declared = self.parts.tools.declared().map(|Declared { name, spec }| {
            let owner = self.parts.tools.owner(name.as_str());
            Appointment {
                name,
                tool: owner.as_ref().map(|owner| owner.tool.to_ascii_lowercase()),
                secret_type: owner.map(|owner| owner.secret_type.to_ascii_lowercase()),
                rotation_type: spec.rotation_type.clone(),
                applied: self.policies().of(Some(spec)),
                version: None,
                rotated: None,
                dates: None,
                hand: None,
                error: None,
                key: None,
            }
        });
        let mut calendar: Vec<_> = declared.collect();
        let names: Vec<SecretName> = calendar.iter().map(|entry| entry.name.clone()).collect();
        let answers = self.parts.reads.fetch_all(&names).await;
        if let Some(audit) = &self.parts.audit {
            // What is due must be told even while the log cannot be written.
            drop(audit.ready().await);
            for (name, said) in names.iter().zip(&answers) {
                audit.inspected("due", &Access::fetched(name.as_str(), said));
            }
        }
        let described =
            names.iter().zip(&answers).map(|(name, answer)| self.described(name, matches!(answer, Ok(Some(_)))));
        let described: Vec<_> = stream::iter(described.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await;
        for ((entry, answer), said) in calendar.iter_mut().zip(answers).zip(described) {
            match answer {
                Ok(Some(fetched)) => self.enter(entry, &fetched, said),
                Ok(None) => {}
                Err(error) => entry.error = Some(error),
            }
        }
        let now = self.parts.clock.corrected_unix_ms() / 1000;
        let overdue = calendar.iter().filter(|entry| entry.standing(now) == Some(Standing::Due)).count();
        self.parts.metrics.overdue.store(overdue as u64, Ordering::Relaxed);
        calendar.sort_by_key(|entry| (entry.dates.map_or(u64::MAX, |dates| dates.due), entry.name.clone()));
        calendar
    }

    /// What AWS says of a secret that it has; `None` of any other.
    async fn described(&self, name: &SecretName, is_in_aws: bool) -> Option<Result<Description>> {
        if !is_in_aws {
            return None;
        }
        let aws = self.parts.reads.aws()?;
        let place = self.parts.reads.ids().place(name).ok()?;
        Some(describe(aws, &self.parts.reads.id(&place.secret)).await)
    }

    /// When AWS rotates `name` by a schedule of its own, in seconds since 1970; `Some(None)` when it shows no date, and
    /// `None` when AWS does not rotate it, or does not say.
    pub async fn next_by_aws(&self, name: &SecretName) -> Option<Option<u64>> {
        let said = self.described(name, true).await?.ok()?;
        said.is_rotated_by_aws.then(|| said.next_rotation_unix_ms.map(|ms| ms / 1000))
    }

    fn enter(&self, entry: &mut Appointment, fetched: &Fetched, said: Option<Result<Description>>) {
        entry.version = fetched.version_id.as_deref().map(str::to_owned);
        entry.rotated = fetched.created_unix_ms.map(|ms| ms / 1000);
        entry.dates = entry.applied.policy.as_ref().zip(entry.rotated).map(|(policy, last)| policy.dates(last));
        let said = said.and_then(|said| match said {
            Ok(said) => Some(said),
            Err(error) => {
                entry.error = Some(error);
                None
            }
        });
        entry.key = said.as_ref().map(|said| said.key.clone());
        let Ok(place) = self.place(&entry.name, self.parts.environment) else { return };
        let keeper = said.as_ref().and_then(|said| Keeper::of(&place.id, said));
        let rules = entry.applied.policy.as_ref().map(|policy| policy.password.clone()).unwrap_or_default();
        let spec = self.spec(&entry.name);
        let hand = keeper::hand(keeper, spec, self.hooks_of(&place.name), &fetched.value, place.rules(&rules));
        if hand == Hand::Aws {
            let due = said.and_then(|said| said.next_rotation_unix_ms).map(|ms| ms / 1000);
            let notice = entry.applied.policy.as_ref().map_or(0, Policy::notice_seconds);
            entry.dates = due.map(|due| Dates { notice: due.saturating_sub(notice), due });
        }
        entry.hand = Some(hand);
    }
}
