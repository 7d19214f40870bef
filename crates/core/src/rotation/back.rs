//! The way back from a value that was refused. What is live in the end opens the door, also where another writer changed the
//! secret meanwhile (decision 129): AWS moves AWSCURRENT only from where it is, so the label goes first, and the target system is
//! put back to what is live then.

use super::hooks::{Hook, HookContext};
use super::labels::{self, NotMoved};
use super::staged::{Candidate, Job};
use super::steps::{StepLog, failed};
use aws::{CURRENT, PENDING, Version, Which};
use secret::clock::Clock;
use secret::error::{ErrorCode, Result, SecretError};
use secret::report::Step;

/// After this long no hook that was called with a value is running any more, in whatever instance.
const HOOKS_HAVE_ENDED: u64 = 3_600_000;

/// Where a value led that was found wrong when it was live.
pub(super) enum Back {
    /// The old value is live again.
    Old,
    /// Another writer made this version live meanwhile, and it stays.
    Anothers {
        live: String,
        /// Whether it has the new value: something else of the secret was changed.
        has_new: bool,
        /// Whether the target system has what is live.
        is_given: bool,
    },
}

impl Job<'_> {
    /// Undoes the steps for a value that will not be live, and says in the error what is left. If the target system may have the
    /// value and cannot be reset, the value stays AWSPENDING: the next rotation tries it again, and `withSecret` finds it.
    pub(super) async fn give_up(
        &mut self,
        log: &mut StepLog,
        old: &Version,
        candidate: &Candidate,
        error: SecretError,
    ) -> SecretError {
        let keeps = |error: SecretError, why| {
            error.instead(format!("{error}; version {} keeps the label {PENDING}: {why}", candidate.version))
        };
        // A hook that still runs has the last word: undone now, it would be done again.
        if !self.late.get_mut().is_empty() {
            return keeps(error, "which value the target system has is known once the hook has ended");
        }
        let anothers = self.anothers(old, candidate).await;
        let is_undone = match &anothers {
            Some(live) if has_new(self, live, old, candidate) => true,
            live => self.undo(log, candidate, live.as_ref()).await,
        };
        let error = match anothers {
            Some(live) if error.code() != ErrorCode::Closed => {
                let live = live.id;
                failed(self.id, format_args!("version {live}, which was put meanwhile, is live and stays: {error}"))
            }
            _ => error,
        };
        if is_undone && self.forget(candidate).await {
            return error;
        }
        let why = if self.late.get_mut().is_empty() {
            "the next rotation tries it again"
        } else {
            "which value the target system has is known once the hook has ended"
        };
        keeps(error, why)
    }

    /// Makes the old version live again, and gives the target system what is live then.
    pub(super) async fn roll_back(&mut self, log: &mut StepLog, old: &Version, candidate: &Candidate) -> Result<Back> {
        let moving = labels::make_current(self.aws, self.id, &candidate.version, &old.id);
        let anothers = match log.step(Step::Rollback, moving).await {
            Ok(()) => None,
            Err(NotMoved { error, may_be_live: true }) => return Err(error),
            // The new value is live, and the target system keeps it.
            Err(NotMoved { error, .. }) => Some(self.anothers(old, candidate).await.ok_or(error)?),
        };
        let has_new = anothers.as_ref().is_some_and(|live| has_new(self, live, old, candidate));
        let is_given = has_new || self.undo(log, candidate, anothers.as_ref()).await;
        if has_new {
            self.end(candidate).await;
        } else if is_given {
            // The value was refused. The next rotation does not try it again, unless the target system still has it.
            self.forget(candidate).await;
        }
        Ok(anothers.map_or(Back::Old, |live| Back::Anothers { live: live.id, has_new, is_given }))
    }

    /// The version that is live in place of both, as far as AWS says so.
    async fn anothers(&self, old: &Version, candidate: &Candidate) -> Option<Version> {
        let live = self.aws.version(self.id, Which::Label(CURRENT)).await.ok().flatten()?;
        (live.id != old.id && live.id != candidate.version).then_some(live)
    }

    /// Gives the target system the old value, or that of the version that another writer made `live`. Returns whether it has it.
    pub(super) async fn undo(&mut self, log: &mut StepLog, candidate: &Candidate, live: Option<&Version>) -> bool {
        if !self.hooks.has(Hook::Undo) {
            return !self.hooks.has(Hook::Set);
        }
        if let Some(live) = live {
            let Ok(current) = self.place.part(&live.value) else { return false };
            self.told = HookContext { current, previous_version: live.id.clone(), ..self.told.clone() };
        }
        log.step(Step::Undo, self.call(Hook::Undo, Some(candidate))).await.is_ok()
    }

    /// Removes AWSPENDING, so that the next rotation makes another value. `false` when the label stays: a hook of the
    /// instance that made the value may still be running, and may give the target system that value after all.
    pub(super) async fn forget(&self, candidate: &Candidate) -> bool {
        let age = candidate.created_unix_ms.map(|made| Clock::system().corrected_unix_ms().saturating_sub(made));
        let may_be_set = candidate.resumed && self.hooks.has(Hook::Set);
        if may_be_set && age.is_none_or(|age| age < HOOKS_HAVE_ENDED) {
            return false;
        }
        // When this fails the candidate is tried again, which is what an interrupted rotation does as well.
        if let Err(error) = self.aws.move_label(self.id, PENDING, Some(&candidate.version), None).await {
            tracing::info!(code = %error.code(), secret = self.id, "a value that was given up stays AWSPENDING");
        }
        true
    }
}

/// Whether `live` has what the rotation changed from `old` to `candidate`, and differs from them in something else only.
fn has_new(job: &Job<'_>, live: &Version, old: &Version, candidate: &Candidate) -> bool {
    let (Ok(now), Ok(new), Ok(before)) =
        (job.place.part(&live.value), job.place.part(&candidate.value), job.place.part(&old.value))
    else {
        return false;
    };
    if now.is_same(&new) {
        return true;
    }
    let Some(changes) = before.changes(&new) else { return false };
    let mut names = changes.changed.iter().chain(&changes.added).peekable();
    let is_in_it = |name: &String| matches!((now.field(name), new.field(name)), (Ok(now), Ok(new)) if now == new);
    names.peek().is_some() && names.all(is_in_it)
}
