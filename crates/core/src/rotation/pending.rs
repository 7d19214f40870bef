//! The label AWSPENDING. That of others is not taken from a rotation that is under way, nor from what somebody is about to
//! make live. The version that hooks are called for has it: whoever is refused with the live value finds it there.

use super::claim::{self, Claim, Claimed};
use super::labels;
use super::staged::{Candidate, Created, GivenUp, Job, Source};
use super::steps::{StepLog, failed};
use super::version_ids::{follows, is_of};
use super::{PATIENCE, describe};
use crate::timer::Deadline;
use aws::{Description, PENDING, PREVIOUS, Version, Which};
use secret::clock::Clock;
use secret::error::Result;
use secret::notice::Notice;
use secret::report::Step;

/// After this long nobody is busy any more with a version that is labelled AWSPENDING.
const BUSY_FOR: u64 = 3_600_000;

/// What a rotation has before it calls hooks.
pub(super) enum Begun {
    /// The value to try, and the right to call hooks for it where they change the target system.
    Ours(Candidate, Option<Claim>),
    /// Another instance made it live.
    Live(Candidate),
}

impl Job<'_> {
    /// Everything before the first hook that tries a value. What was found before the claim was taken may have been given up
    /// by its holder meanwhile. That value is finished with: the rotation begins again, with another one.
    pub(super) async fn begin(
        &mut self,
        log: &mut StepLog,
        live: &Version,
        said: &Description,
        source: Source,
    ) -> std::result::Result<Begun, GivenUp> {
        let is_kept = matches!(source, Source::Kept(_));
        let (mut said, mut source, patience) = (said.clone(), Some(source), Deadline::after(PATIENCE));
        loop {
            let from = source.take().unwrap_or(Source::New);
            let candidate = match log.step(Step::Create, self.create(live, &said, from)).await? {
                Created::Live(candidate) => return Ok(Begun::Live(candidate)),
                Created::Candidate(candidate) => candidate,
            };
            let claim = match self.claim(live, &said, &candidate).await? {
                Some(Claimed::Overtaken(version)) => {
                    let error = failed(self.id, "another instance rotated it");
                    return Err(GivenUp { error, tried: None, overtaken: Some(version) });
                }
                Some(Claimed::Ours(claim)) => claim,
                None => return Ok(Begun::Ours(candidate, None)),
            };
            let is_labelled = if candidate.is_pending { self.label(&candidate, is_kept).await } else { Ok(true) };
            let lost = || failed(self.id, format_args!("version {} lost the label {PENDING}", candidate.version));
            let error = match is_labelled {
                Ok(true) => return Ok(Begun::Ours(candidate, Some(claim))),
                Ok(false) if is_kept || patience.has_passed() => Some(lost()),
                Ok(false) => None,
                Err(error) => Some(error),
            };
            claim.release().await;
            if let Some(error) = error {
                return Err(error.into());
            }
            said = describe(self.aws, self.id).await?;
        }
    }

    /// Makes sure, under the claim, that `candidate` has AWSPENDING; `false` when it was taken away. A read may show what was
    /// there before; the write does not. What somebody asked for by its version gets the label in any case.
    async fn label(&self, candidate: &Candidate, is_kept: bool) -> Result<bool> {
        let version = &*candidate.version;
        let has_it = |found: Option<Version>| found.is_some_and(|found| found.has(PENDING));
        if !is_kept && !has_it(self.aws.version(self.id, Which::Id(version)).await?) {
            return Ok(false);
        }
        match self.aws.move_label(self.id, PENDING, None, Some(version)).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_denied() => Err(error),
            // Another version has it, or the answer was lost.
            Err(_) => Ok(has_it(labels::written(self.aws, self.id, version, PENDING).await?)),
        }
    }

    /// Whether hooks may be called for `candidate` now. Not needed where no hook changes the target system, unless another
    /// instance has such hooks and they run.
    async fn claim(&self, live: &Version, said: &Description, candidate: &Candidate) -> Result<Option<Claimed>> {
        if !self.hooks.change_target() && !claim::is_claimed(said, &live.id) {
            return Ok(None);
        }
        let versions = (live.id.as_str(), candidate.version.as_str());
        let patience = Deadline::after(PATIENCE);
        claim::claim(self.reads, (self.tasks, &self.busy), self.id, versions, patience).await.map(Some)
    }

    /// Looks at the version that holds AWSPENDING before a new one takes the label.
    ///
    /// # Errors
    /// `ROTATION_FAILED`, naming the version and the way on.
    pub(super) async fn check_pending(&self, live: &Version, said: &Description) -> Result<()> {
        // A version that was live keeps the label of its rotation.
        let was_live = |holder: &str| holder == live.id || said.holder(PREVIOUS) == Some(holder);
        let Some(holder) = said.holder(PENDING).filter(|holder| !was_live(holder)) else { return Ok(()) };
        let (key, id) = (&*self.key, self.id);
        if is_of(key, &live.id, true, holder) && !self.hooks.change_target() {
            return Err(failed(
                id,
                format_args!(
                    "version {holder} has the label {PENDING}: a rotation with hooks did not end, and the system that the \
                     secret opens may have that value already. Rotate it with the hooks (in the service), which goes on \
                     where it ended"
                ),
            ));
        }
        let previous = said.holder(PREVIOUS);
        if follows(key, &live.id, holder) || previous.is_some_and(|previous| follows(key, previous, holder)) {
            return Ok(());
        }
        let made = self.aws.version(id, Which::Id(holder)).await?.and_then(|version| version.created_unix_ms);
        let age = made.map(|made| Clock::system().corrected_unix_ms().saturating_sub(made));
        if age.is_some_and(|age| age < BUSY_FOR) {
            return Err(failed(
                id,
                format_args!(
                    "version {holder}, which is none of this rotation, has had the label {PENDING} for less than an hour: \
                     somebody is about to make it live, or another field of the secret is being rotated. Wait for that, or take \
                     the label away: aws secretsmanager update-secret-version-stage --secret-id {id} --version-stage {PENDING} \
                     --remove-from-version-id {holder}"
                ),
            ));
        }
        let why = format!("{id}: the rotation takes the label {PENDING} from version {holder}, which nobody made live");
        self.notices.notice(Notice::warning("ROTATION_TAKES_LABEL", why));
        Ok(())
    }
}
