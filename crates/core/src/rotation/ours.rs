//! A rotation that is made here and not by AWS: whose turn it is, the steps, the check of what is live.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::sleep;

use super::back::Back;
use super::hooks::HookContext;
use super::policy::Policy;
use super::staged::{self, GivenUp, Job, Made, Source};
use super::steps::{StepLog, failed};
use super::{FIRST_POLL, LONGEST_POLL, PATIENCE, Place, RotationManager, StepsEnded, Trigger, late};
use crate::timer::Deadline;
use aws::{Aws, Description, Version};
use cache::tiered::{Lease, Leased};
use secret::backoff::{Backoff, Jitter};
use secret::error::{ErrorCode, Result, SecretError};
use secret::report::Ending;
use secret::value::SecretValue;

impl RotationManager {
    /// The steps that are taken here, once it is clear that they may be.
    pub(super) async fn make_live(
        self: &Arc<Self>,
        place: &Place,
        before: Version,
        said: &Description,
        (source, trigger): (Source, Trigger),
        log: &mut StepLog,
    ) -> Result<StepsEnded> {
        let aws = self.aws(&place.id)?;
        let (lease, live) = match self.wait_for_others(aws, place, before).await? {
            Turn::Finished(version) => return Ok(StepsEnded::by_another(version)),
            Turn::Ours(lease, live) => (lease, *live),
        };
        let spec = self.spec(&place.name);
        let policy = self.policies().of(spec).policy.unwrap_or_else(Policy::by_hand);
        let current = match &source {
            // What is brought back may be missing now.
            Source::Kept(_) => place.part(&live.value).unwrap_or_else(|_| SecretValue::copied("")),
            Source::New => place.part(&live.value)?,
        };
        let mut job = self.job(aws, place, self.told(place, &live, current), &policy, trigger);
        match job.make_live(log, &live, said, source).await {
            Ok(made) => {
                self.follow(place, &made.candidate.version).await;
                let replaced = made.replaced.clone();
                let late = |late| self.settle(place, &replaced, &policy, late, lease);
                self.check(place, job, log, made, late).await
            }
            Err(GivenUp { overtaken: Some(version), .. }) if place.is_done(&live.id, &version) => {
                Ok(StepsEnded::by_another(version))
            }
            Err(GivenUp { error, tried, .. }) => {
                if let Some((candidate, claim)) = tried {
                    let late = late::Late { candidate, claim, hooks: job.late.into_inner() };
                    self.settle(place, &live, &policy, late, lease).await;
                }
                Err(error)
            }
        }
    }

    pub(super) fn job<'a>(
        &'a self,
        aws: &'a Aws,
        place: &'a Place,
        told: HookContext,
        policy: &'a Policy,
        trigger: Trigger,
    ) -> Job<'a> {
        let parts = &self.parts;
        Job {
            aws,
            reads: &parts.reads,
            tasks: &parts.tasks,
            hooks: self.hooks_of(&place.name),
            notices: &*parts.notices,
            hook_timeout: parts.config.hook_timeout,
            id: &place.id,
            key: place.key(),
            place,
            told,
            policy,
            generate_in_aws: parts.config.generate_in_aws,
            audit: parts.audit.as_deref(),
            is_declared: self.spec(&place.name).is_some_and(|spec| spec.generate),
            trigger,
            busy: Arc::default(),
            late: Mutex::default(),
        }
    }

    /// Checks the live value, and takes it back where the policy says so.
    async fn check<F>(
        &self,
        place: &Place,
        mut job: Job<'_>,
        log: &mut StepLog,
        made: Made,
        settle: impl FnOnce(late::Late) -> F,
    ) -> Result<StepsEnded>
    where
        F: Future<Output = ()>,
    {
        let Made { candidate, replaced, mut claim, is_anothers } = made;
        let version = candidate.version.clone();
        let ended = StepsEnded { resumed: candidate.resumed, version: Some(version.clone()), ..StepsEnded::finished() };
        let verified = job.verify(log, &candidate).await;
        let ended = match verified {
            Ok(()) => ended,
            Err(error) if !job.policy.rollback => {
                let why = format!("the new value stays live (the policy takes nothing back): {error}");
                StepsEnded { ending: Ending::Unverified, error: Some(error.instead(why)), ..ended }
            }
            Err(error) => {
                let is_free = match &mut claim {
                    Some(claim) => claim.keep(&replaced.id).await,
                    None => true,
                };
                let back = if is_free {
                    job.roll_back(log, &replaced, &candidate).await
                } else {
                    Err(failed(job.id, "another rotation has begun since"))
                };
                match back {
                    Ok(Back::Anothers { live, has_new, is_given }) => {
                        self.follow(place, &live).await;
                        overtaken(ended, (job.id, &live), (has_new, is_given), &error)
                    }
                    Ok(Back::Old) => {
                        self.follow(place, &replaced.id).await;
                        let why = format!("{}: the old value is live again: {error}", job.id);
                        let error = SecretError::new(ErrorCode::RotationRolledBack, why);
                        StepsEnded { ending: Ending::RolledBack, error: Some(error), ..ended }
                    }
                    Err(stuck) => {
                        let why = format!(
                            "{}: the new value (version {version}) is live, was found wrong ({error}) and not taken back: \
                             {stuck}",
                            job.id
                        );
                        StepsEnded { ending: Ending::Unverified, error: Some(error.instead(why)), ..ended }
                    }
                }
            }
        };
        // After a check that failed, the next rotation of a policy that takes back finds the value by its label.
        let is_over = ended.ending == Ending::Finished || (ended.ending == Ending::Unverified && !job.policy.rollback);
        if is_over && !is_anothers {
            job.end(&candidate).await;
        }
        settle(late::Late { candidate, claim, hooks: job.late.into_inner() }).await;
        Ok(ended)
    }

    /// Waits until no other instance rotates this secret, which a lease in Redis shows. Without Redis two instances may
    /// rotate it at the same time; they still make one and the same version ([`staged`]).
    /// The live version of the secret at `place`. Where AWS refuses it, reads here heed that as well.
    pub(super) async fn live(&self, aws: &Aws, place: &Place) -> Result<Version> {
        let live = staged::live_version(aws, &place.id);
        if place.environment != self.parts.environment {
            return live.await;
        }
        self.parts.reads.heeding_denial(&place.secret, live).await
    }

    async fn wait_for_others(&self, aws: &Aws, place: &Place, mut before: Version) -> Result<Turn> {
        let id = &place.id;
        let Some(cache) = self.parts.reads.cache() else { return Ok(Turn::Ours(None, Box::new(before))) };
        let (end, mut polls) = (Deadline::after(PATIENCE), Backoff::new(FIRST_POLL, LONGEST_POLL, Jitter::Around));
        loop {
            // The renewal also gives the lease back, so it runs in any case.
            let leased = match cache.lease(&format!("rotation:{id}")).await {
                Leased::Ours(lease, renewal) => {
                    self.parts.tasks.spawn(renewal);
                    Some(Some(lease))
                }
                Leased::Nowhere => Some(None),
                Leased::Theirs => None,
            };
            let live = staged::live_version(aws, id).await?;
            if live.id != before.id {
                if place.is_done(&before.id, &live.id) {
                    return Ok(Turn::Finished(live.id));
                }
                before = live.clone();
            }
            match leased {
                Some(lease) => return Ok(Turn::Ours(lease, Box::new(live))),
                None if end.has_passed() => return Err(failed(id, "another instance is still rotating it")),
                None => {}
            }
            sleep(polls.next_wait()).await;
        }
    }

    pub(super) fn told(&self, place: &Place, live: &Version, current: SecretValue) -> HookContext {
        let Place { name, environment, id, .. } = place;
        let owner = self.parts.tools.owner(name.as_str());
        HookContext {
            name: name.as_str().to_owned(),
            environment: environment.as_str(),
            aws_id: id.to_owned(),
            tool: owner.as_ref().map(|owner| owner.tool.to_ascii_lowercase()),
            secret_type: owner.map(|owner| owner.secret_type.to_ascii_lowercase()),
            rotation_type: self.spec(name).and_then(|spec| spec.rotation_type.clone()),
            previous_version: live.id.clone(),
            version: None,
            current,
            pending: None,
        }
    }
}

/// The end of a rotation whose value was found wrong, where the version `live` of another writer has its place.
fn overtaken(
    ended: StepsEnded,
    (id, live): (&str, &str),
    (has_new, is_given): (bool, bool),
    error: &SecretError,
) -> StepsEnded {
    let wrong = ended.version.as_deref().unwrap_or_default();
    let what = match (has_new, is_given) {
        (true, _) => {
            "it has the new value and a change of something else, so nothing was undone. Make sure that the system accepts \
             the value, and rotate the secret again where it does not"
        }
        (false, true) => "the system was given its value back. Rotate the secret again",
        (false, false) => {
            "the system may still have the refused value, which keeps its labels. Give it the value that is live, or rotate \
             the secret again"
        }
    };
    let why = format!(
        "{id}: the new value (version {wrong}) was found wrong ({error}). Version {live}, which another writer put \
         meanwhile, is live and stays: {what}"
    );
    let ending = if has_new { Ending::Unverified } else { Ending::Failed };
    StepsEnded { ending, error: Some(error.instead(why)), ..ended }
}

/// Whether this instance has to rotate the secret.
enum Turn {
    /// Yes. Holds the lease, if there is Redis, and the live version.
    Ours(Option<Lease>, Box<Version>),
    /// No: another instance has made this version live.
    Finished(String),
}
