//! A rotation in AWS's four steps, and back: an untested value is never live (decision D6).
//!
//! ```text
//!            create ──► set ──► test ──► finish ──► verify ──► finished
//!              │         │       │         │           │
//!              ▼         ▼       ▼         ▼           ▼ rollbackEnabled
//!         failed ◄──── undo ◄────┴─────────┘    rollback, undo ──► rolled back
//! ```
//!
//! Every step can be repeated, so any instance can continue an interrupted rotation. All state is in AWS: the version
//! whose id follows from the live one (`version_ids`), and its labels.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use audit_log::Outcome;

use super::claim::Claim;
use super::hooks::{Hook, HookAnswer, HookContext, HooksOf};
use super::keeper::refusal;
use super::labels::{self, NotMoved};
use super::pending::Begun;
use super::policy::Policy;
use super::steps::{StepLog, failed};
use super::version_ids::{MAX_CANDIDATES, follows, token};
use super::{Place, Trigger, generator};
use crate::audit::{Access, Audit};
use crate::reads::Reads;
use crate::tasks::Tasks;
use aws::{Aws, CURRENT, Description, PENDING, PREVIOUS, Version, Which};
use secret::error::{ErrorCode, Result, SecretError};
use secret::notice::Notices;
use secret::report::Step;
use secret::value::SecretValue;

/// How long a hook that ran into its deadline has to heed its signal.
const GRACE: Duration = Duration::from_secs(2);

/// One rotation of one secret.
pub(super) struct Job<'a> {
    pub(super) aws: &'a Aws,
    pub(super) reads: &'a Arc<Reads>,
    pub(super) tasks: &'a Tasks,
    pub(super) hooks: HooksOf<'a>,
    pub(super) notices: &'a dyn Notices,
    pub(super) hook_timeout: Duration,
    pub(super) id: &'a str,
    /// What is rotated: the secret, or a field of it.
    pub(super) key: String,
    pub(super) place: &'a Place,
    /// What hooks receive, except the new value.
    pub(super) told: HookContext,
    pub(super) policy: &'a Policy,
    /// Whether AWS makes the password.
    pub(super) generate_in_aws: bool,
    pub(super) audit: Option<&'a Audit>,
    /// Whether the secret is declared with `rotate: 'generate'`.
    pub(super) is_declared: bool,
    pub(super) trigger: Trigger,
    /// Whether a hook that changes the target system runs.
    pub(super) busy: Arc<AtomicBool>,
    /// Hooks that change the target system and went on after their deadline: which value it has in the end is not known.
    pub(super) late: Mutex<Vec<(Hook, HookAnswer)>>,
}

/// A version that is being tried.
pub(super) struct Candidate {
    pub(super) version: String,
    pub(super) value: SecretValue,
    /// An interrupted rotation made it.
    pub(super) resumed: bool,
    /// Whether it has the label AWSPENDING.
    pub(super) is_pending: bool,
    /// When AWS got it, in milliseconds since 1970.
    pub(super) created_unix_ms: Option<u64>,
}

/// Where the new value comes from.
pub(super) enum Source {
    /// A hook or the generator makes it.
    New,
    /// A version that AWS has (`rotation.restore`); of a field only its part of it, since other fields have moved on.
    Kept(Version),
}

/// A version that was made live.
pub(super) struct Made {
    pub(super) candidate: Candidate,
    /// What was live before: the way back leads there.
    pub(super) replaced: Version,
    pub(super) claim: Option<Claim>,
    /// Whether another instance made it live, which ends that rotation as well.
    pub(super) is_anothers: bool,
}

/// A rotation that left the old value live.
pub(super) struct GivenUp {
    pub(super) error: SecretError,
    /// What was tried. While hooks are late the claim is kept.
    pub(super) tried: Option<(Candidate, Option<Claim>)>,
    /// Another instance made this version live meanwhile.
    pub(super) overtaken: Option<String>,
}

impl From<SecretError> for GivenUp {
    fn from(error: SecretError) -> Self {
        Self { error, tried: None, overtaken: None }
    }
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
    let live = live.ok_or_else(|| {
        failed(id, "AWS has no such secret, it has no value, or it is marked for deletion (undelete brings it back)")
    })?;
    if live.is_binary {
        return Err(failed(id, "it is a binary secret; only text is rotated"));
    }
    Ok(live)
}

impl Job<'_> {
    /// Everything up to the moment the new value is live. On failure the old one is, or the error says that it is not
    /// known.
    pub(super) async fn make_live(
        &mut self,
        log: &mut StepLog,
        live: &Version,
        said: &Description,
        source: Source,
    ) -> std::result::Result<Made, GivenUp> {
        let (mut replaced, begun) = (live.clone(), self.begin(log, live, said, source).await?);
        let (mut candidate, claim) = match begun {
            Begun::Live(candidate) => return Ok(Made { candidate, replaced, claim: None, is_anothers: true }),
            Begun::Ours(candidate, claim) => (candidate, claim),
        };
        let tried = self.try_out(log, &candidate).await;
        let (error, may_be_live) = match tried {
            Ok(()) => {
                let finish = self.finish(&mut replaced, &mut candidate);
                match log.step(Step::Finish, finish).await {
                    Ok(()) => return Ok(Made { candidate, replaced, claim, is_anothers: false }),
                    Err(NotMoved { error, may_be_live }) => (error, may_be_live),
                }
            }
            Err(error) => (error, false),
        };
        let error = if may_be_live { error } else { self.give_up(log, &replaced, &candidate, error).await };
        Err(GivenUp { error, tried: Some((candidate, claim)), overtaken: None })
    }

    /// Finds the candidate of an interrupted rotation or makes one.
    pub(super) async fn create(&mut self, live: &Version, said: &Description, source: Source) -> Result<Created> {
        if let Source::Kept(version) = source {
            return match &self.place.field {
                None => self.take_up(said, version).await,
                Some(field) => self.put_part(live, said, &version, field).await,
            };
        }
        self.check_pending(live, said).await?;
        for number in 0..MAX_CANDIDATES {
            let token = token(&self.key, &live.id, (number, self.hooks.change_target()));
            match self.candidate(&token).await? {
                CandidateState::Usable(created) => return Ok(created),
                CandidateState::GivenUp => {}
                CandidateState::Missing => {
                    let value = self.new_value(live).await?;
                    return self.put(&value, &token).await;
                }
            }
        }
        Err(failed(self.id, format_args!("{MAX_CANDIDATES} new values were given up one after the other")))
    }

    /// Labels a version that AWS has, so that whoever is refused with the live value finds it while hooks run.
    async fn take_up(&self, said: &Description, version: Version) -> Result<Created> {
        let is_pending = self.hooks.has(Hook::Set) || version.has(PENDING);
        if is_pending && !version.has(PENDING) {
            let holder = said.holder(PENDING);
            self.aws.move_label(self.id, PENDING, holder, Some(&version.id)).await?;
        }
        let (version, value) = (version.id, version.value);
        Ok(Created::Candidate(Candidate { version, value, resumed: false, is_pending, created_unix_ms: None }))
    }

    pub(super) async fn put(&self, value: &SecretValue, token: &str) -> Result<Created> {
        if let Some(why) = value.too_long() {
            return Err(failed(self.id, why));
        }
        let put = self.aws.put_pending(self.id, value, token).await;
        // AWS's answer may be lost, or another instance may have put its own value first. What was put may be seen late.
        let found = match &put {
            Err(error) if error.is_denied() => self.aws.version(self.id, Which::Id(token)).await?,
            _ => labels::written(self.aws, self.id, token, PENDING).await?,
        };
        match (found.map_or(CandidateState::Missing, CandidateState::of), put) {
            (CandidateState::Usable(Created::Candidate(found)), Ok(_)) if found.value != *value => {
                Err(failed(self.id, "the staged value reads back differently; it was not made live"))
            }
            (CandidateState::Usable(Created::Candidate(found)), Ok(_)) => {
                Ok(Created::Candidate(Candidate { resumed: false, ..found }))
            }
            (CandidateState::Usable(found), _) => Ok(found),
            (_, Err(error)) => Err(error),
            (_, Ok(_)) => Err(failed(
                self.id,
                format_args!("version {token} was put and AWS does not show it with the label {PENDING}"),
            )),
        }
    }

    pub(super) async fn candidate(&self, token: &str) -> Result<CandidateState> {
        let found = self.aws.version(self.id, Which::Id(token)).await?;
        Ok(found.map_or(CandidateState::Missing, CandidateState::of))
    }

    async fn new_value(&mut self, live: &Version) -> Result<SecretValue> {
        let rules = &self.policy.password;
        if self.hooks.has(Hook::Create) {
            let made = self.call(Hook::Create, None).await?;
            let made = made.filter(|value| !value.is_empty());
            let made = made.ok_or_else(|| failed(self.id, "the create hook gave no value"))?;
            if made == self.place.part(&live.value)? {
                return Err(failed(self.id, "the create hook gave the value that is live: nothing would change"));
            }
            return match &self.place.field {
                Some(field) => generator::with_field(&live.value, &made, field),
                None => Ok(made),
            };
        }
        let part = self.place.part(&live.value)?;
        if let Some(why) = refusal(self.is_declared, self.hooks, &part, self.place.rules(rules)) {
            return Err(failed(self.id, why));
        }
        let is_allowed = self.is_declared || self.hooks.has(Hook::Set);
        if self.trigger == (Trigger::Demand { generate: false }) && !is_allowed {
            return Err(failed(
                self.id,
                "no hook makes its value or gives it to the system that it opens; a generated value has to be asked for \
                 (--generate)",
            ));
        }
        let password = if self.generate_in_aws {
            self.aws.random_password(rules.length).await?
        } else {
            generator::password(rules)?
        };
        match &self.place.field {
            Some(field) => generator::with_field(&live.value, &SecretValue::copied(&password), field),
            None => generator::with_password(&live.value, &password, rules),
        }
    }

    async fn try_out(&mut self, log: &mut StepLog, candidate: &Candidate) -> Result<()> {
        for (hook, step) in [(Hook::Set, Step::Set), (Hook::Test, Step::Test)] {
            if self.hooks.has(hook) {
                log.step(step, self.call(hook, Some(candidate))).await?;
            }
        }
        Ok(())
    }

    /// Checks the live value.
    pub(super) async fn verify(&mut self, log: &mut StepLog, candidate: &Candidate) -> Result<()> {
        if self.hooks.has(Hook::Verify) {
            log.step(Step::Verify, self.call(Hook::Verify, Some(candidate))).await?;
        }
        Ok(())
    }

    /// Takes AWSPENDING from the live version, as AWS's own rotations do. It would stay there when other versions become
    /// live, and a later rotation would take it for that of one under way.
    pub(super) async fn end(&self, candidate: &Candidate) {
        if !candidate.is_pending {
            return;
        }
        if let Err(error) = self.aws.move_label(self.id, PENDING, Some(&candidate.version), None).await {
            tracing::info!(code = %error.code(), secret = self.id, "a value that is live stays AWSPENDING");
        }
    }

    pub(super) async fn call(&mut self, hook: Hook, candidate: Option<&Candidate>) -> Result<Option<SecretValue>> {
        let context = HookContext {
            version: candidate.map(|candidate| candidate.version.clone()),
            pending: candidate.map(|candidate| self.place.part(&candidate.value)).transpose()?,
            ..self.told.clone()
        };
        if let Some(audit) = self.audit {
            // A hook can read both values.
            for version in [Some(&context.previous_version), context.version.as_ref()].into_iter().flatten() {
                let (environment, access) =
                    (context.environment, Access::of(&context.name, Outcome::Ok, Duration::ZERO));
                audit.access(&Access { environment, source: "hook", version, ..access }).await?;
            }
        }
        let (name, stop) = (hook.as_str(), CancellationToken::new());
        self.busy.store(hook.changes_target(), Ordering::Release);
        let mut answer = self.hooks.all.call(hook, context, stop.clone());
        let answered = timeout(self.hook_timeout, &mut answer).await;
        let is_late = answered.is_err() && {
            stop.cancel();
            timeout(GRACE.min(self.hook_timeout), &mut answer).await.is_err()
        };
        if is_late && hook.changes_target() {
            self.late.get_mut().push((hook, answer));
        } else {
            self.busy.store(false, Ordering::Release);
        }
        match answered {
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
pub(super) enum CandidateState {
    Usable(Created),
    /// An earlier rotation made it and gave it up.
    GivenUp,
    Missing,
}

impl CandidateState {
    fn of(version: Version) -> Self {
        let (is_live, is_pending) = (version.has(CURRENT), version.has(PENDING));
        let created_unix_ms = version.created_unix_ms;
        let (version, value) = (version.id, version.value);
        let candidate = Candidate { version, value, resumed: true, is_pending, created_unix_ms };
        match (is_live, is_pending) {
            (true, _) => Self::Usable(Created::Live(candidate)),
            (_, true) => Self::Usable(Created::Candidate(candidate)),
            _ => Self::GivenUp,
        }
    }
}

/// The version that `live` was made from by a rotation of this package; `None` when it was made otherwise.
pub(super) async fn predecessor(aws: &Aws, (id, key): (&str, &str), live: &Version) -> Result<Option<String>> {
    let previous = aws.version(id, Which::Label(PREVIOUS)).await?;
    Ok(previous.filter(|old| follows(key, &old.id, &live.id)).map(|old| old.id))
}

/// `ROTATION_FAILED` for any reason.
pub(super) fn as_failure(id: &str, error: &SecretError) -> SecretError {
    match error.code() {
        ErrorCode::RotationFailed | ErrorCode::Closed => error.clone(),
        _ => failed(id, format_args!("the old value stays live: {error}")),
    }
}
