//! Rotates what is due at its time, one instance of a fleet at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::calendar::Appointment;
use super::keeper::Hand;
use super::policy::Standing;
use super::{Asked, RotationManager, Trigger};
use cache::tiered::{Lease, Leased};
use secret::backoff::around;
use secret::error::Result;
use secret::notice::Notice;
use secret::report::{Ending, Report};

/// The longest pause between two checks of the calendar: secrets can be rotated elsewhere, and clocks can be changed.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// How often an instance without the scheduler's lease tries to get it.
const LEASE_POLL: Duration = Duration::from_secs(15);
/// The waits after failed rotations, in seconds: they double until the next day's rotation time.
const FIRST_RETRY: u64 = 60;
const LONGEST_RETRY: u64 = 4 * 3600;

impl RotationManager {
    /// Starts to rotate declared secrets when they are due. Returns `false`, and starts nothing, if the policy is
    /// manual.
    pub fn start(self: &Arc<Self>) -> bool {
        if self.policies().is_manual() {
            return false;
        }
        let mut scheduler = self.scheduler.lock();
        if scheduler.as_ref().is_none_or(CancellationToken::is_cancelled) {
            let stop = self.parts.stop.child_token();
            *scheduler = Some(stop.clone());
            let manager = self.clone();
            self.parts.tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = manager.keep_rotating() => {}
                }
            });
        }
        true
    }

    /// Stops the scheduler. A rotation that is running is completed.
    pub fn stop(&self) {
        if let Some(stop) = self.scheduler.lock().take() {
            stop.cancel();
        }
    }

    async fn keep_rotating(self: Arc<Self>) {
        let mut diary = Diary::default();
        loop {
            let lease = self.wait_for_turn().await;
            loop {
                let pause = match self.look(&mut diary).await {
                    Ok(pause) => pause,
                    Err(error) => {
                        self.parts.notices.notice(Notice::warning("ROTATION_CALENDAR", error.to_string()));
                        LONGEST_PAUSE
                    }
                };
                crate::timer::sleep(&self.parts.clock, pause).await;
                // The instance keeps its lease until it ends or Redis loses the lease.
                if lease.as_ref().is_none_or(Lease::is_lost) {
                    break;
                }
            }
        }
    }

    /// Waits until this instance holds the scheduler's lease. Without Redis every instance schedules.
    async fn wait_for_turn(&self) -> Option<Lease> {
        let cache = self.parts.reads.cache()?;
        loop {
            match cache.lease("rotation-scheduler").await {
                Leased::Ours(lease, renewal) => {
                    self.parts.tasks.spawn(renewal);
                    return Some(lease);
                }
                Leased::Nowhere => return None,
                Leased::Theirs => crate::timer::sleep(&self.parts.clock, around(LEASE_POLL, 0.2)).await,
            }
        }
    }

    /// Announces and rotates what is due. Returns how long to wait until something else is due.
    async fn look(self: &Arc<Self>, diary: &mut Diary) -> Result<Duration> {
        let calendar = self.calendar().await;
        let now = self.parts.clock.corrected_unix_ms() / 1000;
        diary.forget_all_but(&calendar);
        for entry in &calendar {
            // People have to hear of it also when there is no time of notice.
            let is_time = match entry.standing(now) {
                Some(Standing::Announced) => true,
                Some(Standing::Due) => matches!(entry.hand, Some(Hand::People(_))),
                _ => false,
            };
            if is_time && diary.announce(entry) {
                self.announce(entry, now);
            }
        }
        for entry in calendar.iter().filter(|entry| entry.hand == Some(Hand::Scheduler)) {
            if entry.standing(now) == Some(Standing::Due) && diary.may_try(entry, now, self.jitter()) {
                let report = self.rotate_due(entry).await?;
                let retry_at = entry.applied.policy.as_ref().map_or(0, |policy| policy.day_began(now) + 86_400);
                diary.note(entry, report.ending, self.parts.clock.corrected_unix_ms() / 1000, retry_at);
            }
        }
        let now = self.parts.clock.corrected_unix_ms() / 1000;
        let next = calendar.iter().filter_map(|entry| diary.next(entry, now)).min();
        let pause = next.map_or(LONGEST_PAUSE, |next| Duration::from_secs(next.saturating_sub(now).max(1)));
        Ok(pause.min(LONGEST_PAUSE))
    }

    async fn rotate_due(self: &Arc<Self>, entry: &Appointment) -> Result<Arc<Report>> {
        // Nothing else may have opened the log so far, and hooks are handed no value without a record.
        if let Some(audit) = &self.parts.audit {
            audit.ready().await?;
        }
        let asked = Asked::Of(entry.version.clone());
        self.rotate(&entry.name, self.parts.environment, asked, Trigger::Schedule).await
    }

    fn announce(&self, entry: &Appointment, now: u64) {
        let (Some(dates), Some(hand)) = (entry.dates, &entry.hand) else { return };
        self.parts.notices.notice(Notice::RotationAnnounced {
            name: entry.name.as_str().to_owned(),
            tool: entry.tool.clone(),
            secret_type: entry.secret_type.clone(),
            rotation_type: entry.rotation_type.clone(),
            due_unix_ms: dates.due * 1000,
            days_left: dates.due.saturating_sub(now) / 86_400,
            by: hand.as_str(),
            why: hand.why().map(str::to_owned),
        });
    }

    fn jitter(&self) -> u64 {
        let most = self.parts.config.jitter.as_secs();
        if most == 0 { 0 } else { fastrand::u64(0..=most) }
    }
}

/// What the scheduler has done so far, by secret. It may get lost: AWS has everything that must survive a restart.
#[derive(Debug, Default)]
struct Diary {
    /// Announced rotations, by name and due date.
    announced: BTreeSet<(String, u64)>,
    plans: BTreeMap<String, Plan>,
}

/// When a due secret is tried.
#[derive(Clone, Copy, Debug)]
struct Plan {
    due: u64,
    at: u64,
    wait: u64,
}

impl Diary {
    fn forget_all_but(&mut self, calendar: &[Appointment]) {
        let due = |name: &str| calendar.iter().find(|e| e.name.as_str() == name)?.dates.map(|dates| dates.due);
        self.announced.retain(|(name, date)| due(name) == Some(*date));
        self.plans.retain(|name, plan| due(name) == Some(plan.due));
    }

    /// Whether it is to be announced now.
    fn announce(&mut self, entry: &Appointment) -> bool {
        entry.dates.is_some_and(|dates| self.announced.insert((entry.name.as_str().to_owned(), dates.due)))
    }

    /// Whether its time has come, the jitter included.
    fn may_try(&mut self, entry: &Appointment, now: u64, jitter: u64) -> bool {
        let Some(dates) = entry.dates else { return false };
        let first = Plan { due: dates.due, at: dates.due + jitter, wait: FIRST_RETRY };
        let plan = self.plans.entry(entry.name.as_str().to_owned()).or_insert(first);
        plan.at <= now
    }

    /// Plans the next attempt: later the same day, or at `tomorrow`.
    fn note(&mut self, entry: &Appointment, ending: Ending, now: u64, tomorrow: u64) {
        let Some(plan) = self.plans.get_mut(entry.name.as_str()) else { return };
        if ending.is_live() {
            // AWS's listing can lag behind. The wait keeps the secret from being rotated twice for one date.
            plan.at = now + LONGEST_PAUSE.as_secs();
            return;
        }
        let next = now + plan.wait;
        (plan.at, plan.wait) = if next < tomorrow || tomorrow <= now {
            (next, (plan.wait * 2).min(LONGEST_RETRY))
        } else {
            (tomorrow, FIRST_RETRY)
        };
    }

    /// When the scheduler has to act on it next.
    fn next(&self, entry: &Appointment, now: u64) -> Option<u64> {
        match self.plans.get(entry.name.as_str()) {
            Some(plan) => Some(plan.at),
            None => entry.dates?.next_change(now),
        }
    }
}
