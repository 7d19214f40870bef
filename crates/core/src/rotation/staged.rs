//! A rotation in AWS's four steps, and back: an untested value is never live (decision D6).
//!
//! ```text
//!            create ──► set ──► test ──► finish ──► verify ──► finished
//!              │         │       │         │           │
//!              ▼         ▼       ▼         ▼           ▼ rollbackEnabled
//!         failed ◄──── undo ◄────┴─────────┘    undo, rollback ──► rolled back
//! ```
//!
//! Every step can be repeated, so any instance can continue an interrupted rotation. All state is in AWS: the version
//! whose id follows from the live one ([`token`]), and its labels.

use std::time::Duration;

use aws_lc_rs::digest;
use tokio::time::{sleep, timeout};

use audit_log::Outcome;

use super::generator;
use super::hooks::{Hook, HookContext, Hooks};
use super::policy::Policy;
use super::steps::{StepLog, failed};
use crate::audit::{Access, Audit};
use crate::timer::Deadline;
use aws::{Aws, CURRENT, PENDING, PREVIOUS, Version, Which};
use secret::backoff::{Backoff, Jitter};
use secret::error::{ErrorCode, Result, SecretError};
use secret::report::Step;
use secret::value::SecretValue;

/// New values that may be given up in a row before the live one changes; AWS itself keeps 100 versions without labels.
const MAX_CANDIDATES: u32 = 100;
/// How long to try to find out whether AWSCURRENT moved, when AWS's answer was lost.
const FIND_OUT: Duration = Duration::from_secs(30);
const FIRST_POLL: Duration = Duration::from_millis(50);
const LONGEST_POLL: Duration = Duration::from_secs(2);

/// One rotation of one secret.
pub(super) struct Job<'a> {
    pub(super) aws: &'a Aws,
    pub(super) hooks: &'a dyn Hooks,
    pub(super) hook_timeout: Duration,
    pub(super) id: &'a str,
    /// What hooks receive, except the new value.
    pub(super) told: HookContext,
    pub(super) policy: &'a Policy,
    /// Whether AWS makes the password.
    pub(super) generate_in_aws: bool,
    pub(super) audit: Option<&'a Audit>,
}

/// A version that is being tried.
pub(super) struct Candidate {
    pub(super) version: String,
    pub(super) value: SecretValue,
    /// An interrupted rotation made it.
    pub(super) resumed: bool,
}

/// The result of the step `create`.
pub(super) enum Created {
    Candidate(Candidate),
    /// It is live already: another instance finished the same rotation.
    Live(Candidate),
}

/// The live version of a secret that can be rotated.
pub(super) async fn live_version(aws: &Aws, id: &str) -> Result<Version> {
    let live = aws.version(id, Which::Label(CURRENT)).await?;
    let live = live.ok_or_else(|| failed(id, "AWS has no such secret, or it has no value"))?;
    if live.is_binary {
        return Err(failed(id, "it is a binary secret; only text is rotated"));
    }
    Ok(live)
}

impl Job<'_> {
    /// Everything up to the moment the new value is live. On failure the old one is, or the error says that it is not
    /// known.
    pub(super) async fn make_live(&self, log: &mut StepLog, live: &Version) -> Result<Candidate> {
        let created = log.step(Step::Create, self.create(live)).await?;
        let candidate = match created {
            Created::Live(candidate) => return Ok(candidate),
            Created::Candidate(candidate) => candidate,
        };
        let tried = self.try_out(log, &candidate).await;
        let moved = match tried {
            Ok(()) => match log.step(Step::Finish, self.finish(live, &candidate)).await {
                Ok(()) => return Ok(candidate),
                Err(NotMoved { error, may_be_live: true }) => return Err(error),
                Err(NotMoved { error, .. }) => error,
            },
            Err(error) => error,
        };
        self.give_up(log, &candidate).await;
        Err(moved)
    }

    /// Finds the candidate of an interrupted rotation or makes one.
    async fn create(&self, live: &Version) -> Result<Created> {
        for number in 0..MAX_CANDIDATES {
            let token = token(self.id, &live.id, number);
            match self.candidate(&token).await? {
                CandidateState::Usable(created) => return Ok(created),
                CandidateState::GivenUp => {}
                CandidateState::Missing => return self.put(live, &token).await,
            }
        }
        Err(failed(self.id, format_args!("{MAX_CANDIDATES} new values were given up one after the other")))
    }

    async fn put(&self, live: &Version, token: &str) -> Result<Created> {
        let value = self.new_value(live).await?;
        let put = self.aws.put_pending(self.id, &value, token).await;
        // AWS's answer may be lost, or another instance may have put its own value first.
        match (self.candidate(token).await?, put) {
            (CandidateState::Usable(Created::Candidate(found)), Ok(_)) if found.value != value => {
                Err(failed(self.id, "the staged value reads back differently; it was not made live"))
            }
            (CandidateState::Usable(Created::Candidate(found)), Ok(_)) => {
                Ok(Created::Candidate(Candidate { resumed: false, ..found }))
            }
            (CandidateState::Usable(found), _) => Ok(found),
            (_, Err(error)) => Err(error),
            (_, Ok(_)) => Err(failed(self.id, "the staged version lost its label AWSPENDING at once")),
        }
    }

    async fn candidate(&self, token: &str) -> Result<CandidateState> {
        let Some(version) = self.aws.version(self.id, Which::Id(token)).await? else {
            return Ok(CandidateState::Missing);
        };
        let (is_live, is_pending) = (version.has(CURRENT), version.has(PENDING));
        let candidate = Candidate { version: version.id, value: version.value, resumed: true };
        Ok(match (is_live, is_pending) {
            (true, _) => CandidateState::Usable(Created::Live(candidate)),
            (_, true) => CandidateState::Usable(Created::Candidate(candidate)),
            _ => CandidateState::GivenUp,
        })
    }

    async fn new_value(&self, live: &Version) -> Result<SecretValue> {
        let rules = &self.policy.password;
        if self.hooks.has(Hook::Create) {
            let made = self.call(Hook::Create, None).await?;
            return made
                .filter(|value| !value.is_empty())
                .ok_or_else(|| failed(self.id, "the create hook gave no value"));
        }
        let password = if self.generate_in_aws {
            self.aws.random_password(rules.length).await?
        } else {
            generator::password(rules)?
        };
        generator::with_password(&live.value, &password, rules)
    }

    async fn try_out(&self, log: &mut StepLog, candidate: &Candidate) -> Result<()> {
        for (hook, step) in [(Hook::Set, Step::Set), (Hook::Test, Step::Test)] {
            if self.hooks.has(hook) {
                log.step(step, self.call(hook, Some(candidate))).await?;
            }
        }
        Ok(())
    }

    async fn finish(&self, live: &Version, candidate: &Candidate) -> std::result::Result<(), NotMoved> {
        let Err(error) = self.aws.move_label(self.id, CURRENT, &live.id, Some(&candidate.version)).await else {
            return Ok(());
        };
        // It may have moved in spite of the error: the answer was lost, or another instance moved it.
        match self.find_live().await {
            Some(version) if version == candidate.version => Ok(()),
            Some(_) => Err(NotMoved { error, may_be_live: false }),
            None => {
                let why = format_args!("whether the new value is live is not known, AWS does not answer: {error}");
                Err(NotMoved { error: failed(self.id, why), may_be_live: true })
            }
        }
    }

    /// The id of the live version. Polls until AWS answers, or the timeout has passed.
    async fn find_live(&self) -> Option<String> {
        let (end, mut polls) = (Deadline::after(FIND_OUT), Backoff::new(FIRST_POLL, LONGEST_POLL, Jitter::Around));
        loop {
            if let Ok(Some(version)) = self.aws.version(self.id, Which::Label(CURRENT)).await {
                return Some(version.id);
            }
            if end.has_passed() {
                return None;
            }
            sleep(polls.next_wait()).await;
        }
    }

    /// Undoes the steps for a value that will not be live. If the target system may have the value and cannot be reset,
    /// the value stays AWSPENDING: the next rotation tries it again, and `withSecret` finds it.
    async fn give_up(&self, log: &mut StepLog, candidate: &Candidate) {
        if self.undo(log, candidate).await {
            self.forget(candidate).await;
        }
    }

    /// Resets the target system. Returns whether it has the old value now.
    async fn undo(&self, log: &mut StepLog, candidate: &Candidate) -> bool {
        if self.hooks.has(Hook::Undo) {
            return log.step(Step::Undo, self.call(Hook::Undo, Some(candidate))).await.is_ok();
        }
        !self.hooks.has(Hook::Set)
    }

    /// Removes AWSPENDING, so that the next rotation makes another value.
    async fn forget(&self, candidate: &Candidate) {
        // When this fails the candidate is tried again, which is what an interrupted rotation does as well.
        if let Err(error) = self.aws.move_label(self.id, PENDING, &candidate.version, None).await {
            tracing::info!(code = %error.code(), secret = self.id, "a value that was given up stays AWSPENDING");
        }
    }

    /// Checks the live value.
    pub(super) async fn verify(&self, log: &mut StepLog, candidate: &Candidate) -> Result<()> {
        if self.hooks.has(Hook::Verify) {
            log.step(Step::Verify, self.call(Hook::Verify, Some(candidate))).await?;
        }
        Ok(())
    }

    /// Makes the old version live again.
    pub(super) async fn roll_back(&self, log: &mut StepLog, live: &str, candidate: &Candidate) -> Result<()> {
        // If this fails the report says so. The old value is made live again in any case: it was in use until now.
        let is_undone = self.undo(log, candidate).await;
        let back = async {
            let Err(error) = self.aws.move_label(self.id, CURRENT, &candidate.version, Some(live)).await else {
                return Ok(());
            };
            match self.find_live().await {
                Some(version) if version == live => Ok(()),
                _ => Err(error),
            }
        };
        log.step(Step::Rollback, back).await?;
        // The value was refused. The next rotation does not try it again, unless the target system still has it.
        if is_undone {
            self.forget(candidate).await;
        }
        Ok(())
    }

    async fn call(&self, hook: Hook, candidate: Option<&Candidate>) -> Result<Option<SecretValue>> {
        let context = HookContext {
            version: candidate.map(|candidate| candidate.version.clone()),
            pending: candidate.map(|candidate| candidate.value.clone()),
            ..self.told.clone()
        };
        if let Some(audit) = self.audit {
            // A hook can read both values.
            for version in [Some(&context.previous_version), context.version.as_ref()].into_iter().flatten() {
                let access = Access::of(&context.name, Outcome::Ok, Duration::ZERO);
                audit.access(&Access { source: "hook", version, ..access }).await?;
            }
        }
        let name = hook.as_str();
        match timeout(self.hook_timeout, self.hooks.call(hook, context)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failure)) => Err(failed(self.id, format_args!("the {name} hook failed: {failure}"))),
            Err(_) => {
                let after = self.hook_timeout.as_millis();
                Err(failed(
                    self.id,
                    format_args!("the {name} hook did not end within {after} ms (rotation.hookTimeoutMs)"),
                ))
            }
        }
    }
}

/// The state of the version with the id that a rotation would use.
enum CandidateState {
    Usable(Created),
    /// An earlier rotation made it and gave it up.
    GivenUp,
    Missing,
}

/// AWSCURRENT was not moved, or it is not known whether it was.
#[derive(Clone)]
struct NotMoved {
    error: SecretError,
    may_be_live: bool,
}

impl From<NotMoved> for SecretError {
    fn from(not_moved: NotMoved) -> Self {
        not_moved.error
    }
}

/// The version id of the `number`th new value after the version `live`. Every instance that rotates a secret from the
/// same live version gets the same id, so two instances, or one before and after a crash, never make two live values.
/// The due date of a rotation follows from the live version, so the id covers it.
fn token(id: &str, live: &str, number: u32) -> String {
    let text = format!("tcs-secret-delivery rotation\0{id}\0{live}\0{number}");
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let number = hash.as_ref().iter().take(16).fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
    uuid(number)
}

/// The version that `live` was made from by a rotation of this package; `None` when it was made otherwise.
pub(super) async fn predecessor(aws: &Aws, id: &str, live: &Version) -> Result<Option<String>> {
    let previous = aws.version(id, Which::Label(PREVIOUS)).await?;
    let is_ours = |old: &Version| (0..MAX_CANDIDATES).any(|number| token(id, &old.id, number) == live.id);
    Ok(previous.filter(is_ours).map(|old| old.id))
}

/// In the shape of AWS's own version ids.
pub(crate) fn uuid(number: u128) -> String {
    let hex = format!("{number:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// `ROTATION_FAILED` for any reason.
pub(super) fn as_failure(id: &str, error: &SecretError) -> SecretError {
    match error.code() {
        ErrorCode::RotationFailed | ErrorCode::Closed => error.clone(),
        _ => failed(id, format_args!("the old value stays live: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_look_like_aws_own_and_differ_with_everything_they_are_made_of() {
        let one = token("A_production", "v-1", 0);
        assert_eq!(one.len(), 36);
        assert_eq!(one, token("A_production", "v-1", 0));
        for other in [token("B_production", "v-1", 0), token("A_production", "v-2", 0), token("A_production", "v-1", 1)]
        {
            assert_ne!(one, other);
        }
    }
}
