//! Hooks that end after their deadline. Nobody can end them from outside, and what they do to the target system they may do
//! at any time. Until they have ended, the value keeps its label AWSPENDING and no other instance calls hooks.

use std::sync::Arc;
use std::time::Duration;

use super::claim::Claim;
use super::hooks::{Hook, HookAnswer};
use super::labels::polls;
use super::policy::Policy;
use super::staged::Candidate;
use super::steps::StepLog;
use super::{Place, RotationManager, Trigger};
use crate::timer::Deadline;
use aws::{CURRENT, Version, Which};
use cache::tiered::Lease;

/// A hook that has not ended after this long never will.
const AT_MOST: Duration = Duration::from_hours(1);

/// A rotation that has ended, and what is left to do for it.
pub(super) struct Late {
    pub(super) candidate: Candidate,
    pub(super) claim: Option<Claim>,
    pub(super) hooks: Vec<(Hook, HookAnswer)>,
}

impl RotationManager {
    /// Gives the claim back; where hooks are late, in the background, after they have ended and the target system was put
    /// back to the value that is live.
    pub(super) async fn settle(
        self: &Arc<Self>,
        place: &Place,
        live: &Version,
        policy: &Policy,
        late: Late,
        lease: Option<Lease>,
    ) {
        if late.hooks.is_empty() {
            if let Some(claim) = late.claim {
                claim.release().await;
            }
            return;
        }
        let (manager, stop) = (self.clone(), self.parts.stop.clone());
        let (place, live, policy) = (place.clone(), live.clone(), policy.clone());
        self.parts.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = manager.wait_for_end(&place, &live, &policy, late) => {}
            }
            drop(lease);
        });
    }

    async fn wait_for_end(&self, place: &Place, live: &Version, policy: &Policy, late: Late) {
        let Late { candidate, claim, hooks } = late;
        let (end, mut is_undone, mut is_known) = (Deadline::after(AT_MOST), false, true);
        for (hook, answer) in hooks {
            match end.limit(answer).await {
                Ok(ended) => is_undone = hook == Hook::Undo && ended.is_ok(),
                Err(_) => is_known = false,
            }
        }
        if is_known && self.is_live(place, &live.id).await {
            self.put_back(place, live, policy, &candidate, is_undone).await;
        }
        if let Some(claim) = claim {
            claim.release().await;
        }
    }

    async fn put_back(&self, place: &Place, live: &Version, policy: &Policy, candidate: &Candidate, is_undone: bool) {
        let (Ok(aws), Ok(current)) = (self.aws(&place.id), place.part(&live.value)) else { return };
        let told = self.told(place, live, current);
        let mut log = StepLog::new(self.parts.clock.clone());
        let mut job = self.job(aws, place, told, policy, Trigger::Schedule);
        let is_undone = is_undone || job.undo(&mut log, candidate, None).await;
        let is_forgotten = is_undone && job.late.get_mut().is_empty() && job.forget(candidate).await;
        tracing::info!(secret = place.id, is_undone, is_forgotten, "the hooks of a rotation that failed have ended");
    }

    /// Whether AWS says so, within a few seconds.
    async fn is_live(&self, place: &Place, version: &str) -> bool {
        let (end, mut polls) = (Deadline::after(super::labels::MAY_LAG), polls());
        let Ok(aws) = self.aws(&place.id) else { return false };
        loop {
            match aws.version(&place.id, Which::Label(CURRENT)).await {
                Ok(live) => return live.is_some_and(|live| live.id == version),
                Err(_) if end.has_passed() => return false,
                Err(_) => tokio::time::sleep(polls.next_wait()).await,
            }
        }
    }
}
