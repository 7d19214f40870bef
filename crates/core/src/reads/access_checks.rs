//! Asks AWS now and then whether this process may still read what it takes from the copies of others (decision 031).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};
use secret::backoff::around;
use secret::clock::Moment;
use secret::name::SecretName;
use tokio::sync::Notify;

use super::Reads;
use crate::audit::Access;

/// Names whose next check is planned; more than any service uses.
const MOST_NAMES: usize = 10_000;
/// Checks that ask AWS at the same time.
const MOST_AT_ONCE: usize = 4;

/// After a check that AWS did not answer: an eighth of the period, within these.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(30);

/// When each secret that is used is checked next.
pub struct AccessChecks {
    /// `None`: never.
    every: Option<Duration>,
    /// Whether AWS has answered this process at all.
    has_answer: AtomicBool,
    plans: Mutex<Plans>,
    /// A check is planned before all others.
    planned: Notify,
}

#[derive(Default)]
struct Plans {
    of: HashMap<SecretName, Plan>,
    /// When the task that checks looks again; `None`: once something is planned.
    next: Option<Moment>,
}

impl Plans {
    /// That of `name`; `None` where there are too many.
    fn plan(&mut self, name: &SecretName) -> Option<&mut Plan> {
        if self.of.len() >= MOST_NAMES && !self.of.contains_key(name) {
            return None;
        }
        Some(self.of.entry(name.clone()).or_default())
    }
}

/// The checks of one secret.
#[derive(Default)]
struct Plan {
    /// When AWS answered this process last: that is a check as well.
    answered: Option<Moment>,
    /// The next check; `None` while no copy of another instance is used.
    due: Option<Moment>,
    /// When a check was left out, since no copy was there whose use it would have allowed; AWS has not answered since.
    left_out: Option<Moment>,
}

impl AccessChecks {
    /// Nothing is used yet.
    pub fn new(every: Option<Duration>) -> Self {
        Self { every, has_answer: AtomicBool::new(false), plans: Mutex::default(), planned: Notify::new() }
    }

    /// Whether AWS has answered this process at all, with a secret or that there is none.
    pub(super) fn has_answer(&self) -> bool {
        self.has_answer.load(Ordering::Relaxed)
    }

    /// A copy of another instance is used. The next check comes within a period after AWS's last answer to this process, or at once
    /// if that has passed. After a pause, or where there was no answer yet, it comes at a random point of the next period, so that a
    /// fleet asks evenly.
    pub(super) fn used(&self, name: &SecretName, now: Moment) {
        let Some(every) = self.every else { return };
        let mut plans = self.plans.lock();
        let Some(plan) = plans.plan(name) else { return };
        if plan.due.is_some() {
            return;
        }
        // The copy that AWS gave then may have been used for another period.
        let last = plan.answered.filter(|last| now.since(*last) < 2 * every);
        let due = last.map_or_else(|| now.plus(every.mul_f64(fastrand::f64())), |last| last.plus(next(every)));
        plan.due = Some(due);
        self.is_planned(plans, due);
    }

    /// Whether AWS has to answer this process before it uses a copy of another instance: no check is planned, and its last answer is a
    /// period ago, since the process lived on its own copies until now, or a check was left out.
    pub(super) fn is_overdue(&self, name: &SecretName, now: Moment) -> bool {
        let Some(every) = self.every else { return false };
        let plans = self.plans.lock();
        let Some(Plan { answered, due: None, left_out }) = plans.of.get(name) else { return false };
        let is_of_last_period = |last: Moment| (every..2 * every).contains(&now.since(last));
        answered.is_some_and(is_of_last_period) || left_out.is_some_and(|at| now.since(at) < 2 * every)
    }

    /// AWS answered what this process asked at `asked` about `name`: the next check is due within a period of that.
    pub(super) fn answered(&self, name: &SecretName, asked: Moment) {
        self.has_answer.store(true, Ordering::Relaxed);
        let Some(every) = self.every else { return };
        let mut plans = self.plans.lock();
        let Some(plan) = plans.plan(name) else { return };
        let last = plan.answered.map_or(asked, |last| last.max(asked));
        plan.answered = Some(last);
        plan.left_out = plan.left_out.filter(|at| *at > asked);
        if plan.due.is_some() {
            let due = last.plus(next(every));
            plan.due = Some(due);
            self.is_planned(plans, due);
        }
    }

    /// The task hears only of what comes before all else: to find the next one it looks at every plan.
    fn is_planned(&self, mut plans: MutexGuard<'_, Plans>, due: Moment) {
        if plans.next.is_some_and(|next| next <= due) {
            return;
        }
        plans.next = Some(due);
        drop(plans);
        self.planned.notify_one();
    }

    /// The names that are due, and when the next one is.
    fn take_due(&self, now: Moment) -> (Vec<SecretName>, Option<Moment>) {
        let Some(every) = self.every else { return (Vec::new(), None) };
        let mut plans = self.plans.lock();
        let is_due = |plan: &Plan| plan.due.is_some_and(|due| due <= now);
        let due = plans.of.iter().filter(|(_, plan)| is_due(plan)).map(|(name, _)| name.clone());
        let mut names: Vec<SecretName> = due.collect();
        // So that what is random is random in the same order, when a simulation is run again.
        names.sort();
        for name in &names {
            if let Some(plan) = plans.of.get_mut(name) {
                // AWS's answer sets the time of the next one; without an answer it comes in any case.
                plan.due = Some(now.plus(next(every)));
            }
        }
        plans.next = plans.of.values().filter_map(|plan| plan.due).min();
        (names, plans.next)
    }

    /// AWS did not answer a check: the next one comes soon, since nothing is known of the right meanwhile.
    fn unanswered(&self, name: &SecretName, now: Moment) {
        let Some(every) = self.every else { return };
        let mut plans = self.plans.lock();
        let Some(plan) = plans.of.get_mut(name) else { return };
        let due = now.plus(around((every / 8).clamp(SOONEST, LATEST), 0.5));
        if plan.due.is_some_and(|planned| due < planned) {
            plan.due = Some(due);
            self.is_planned(plans, due);
        }
    }

    /// `name` is not used any more at `now`.
    fn end(&self, name: &SecretName, now: Moment) {
        if let Some(plan) = self.plans.lock().of.get_mut(name) {
            (plan.due, plan.left_out) = (None, Some(now));
        }
    }
}

/// From one check to the next one.
fn next(every: Duration) -> Duration {
    every.mul_f64(0.5 + fastrand::f64() / 2.0)
}

impl Reads {
    /// Checks what is due, again and again.
    pub(super) async fn check_access(self: &Arc<Self>) {
        loop {
            let now = self.copies.clock.now();
            let (names, next) = self.access_checks.take_due(now);
            for names in names.chunks(MOST_AT_ONCE) {
                join_all(names.iter().map(|name| self.check_one(name))).await;
            }
            let wait = async {
                match next {
                    Some(next) => crate::timer::sleep(&self.copies.clock, next.since(self.copies.clock.now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = wait => {}
                () = self.access_checks.planned.notified() => {}
            }
        }
    }

    async fn check_one(self: &Arc<Self>, name: &SecretName) {
        // What is no longer held is no longer used.
        if !self.copies.is_held(name) {
            self.access_checks.end(name, self.copies.clock.now());
            return;
        }
        let answer = self.refresh(name).await;
        if let Some(audit) = &self.audit {
            audit.inspected("access-check", &Access::read(name.as_str(), &answer));
        }
        if let Err(error) = answer {
            tracing::debug!(code = %error.code(), "an access check was not answered with the secret");
            if !error.is_refused() {
                self.access_checks.unanswered(name, self.copies.clock.now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use secret::clock::Clock;

    use super::*;

    const EVERY: Duration = Duration::from_secs(100);

    #[test]
    fn a_check_comes_within_a_period_after_awss_last_answer() {
        for _ in 0..100 {
            let (clock, checks) = (Clock::test(), AccessChecks::new(Some(EVERY)));
            let (name, began) = (SecretName::new("A").expect("a name"), clock.now());
            checks.answered(&name, began);
            assert_eq!(checks.take_due(began).1, None, "nothing of others is used");
            clock.advance(Duration::from_secs(40));
            checks.used(&name, clock.now());
            let (due, next) = checks.take_due(clock.now());
            let next = next.expect("planned");
            assert!(due.is_empty() && next >= began.plus(EVERY / 2) && next <= began.plus(EVERY));
            assert!(!checks.is_overdue(&name, began.plus(EVERY)), "it is planned");
            // Whatever AWS says or not, the one after it is planned.
            let (due, after) = checks.take_due(next);
            assert_eq!(due.len(), 1);
            assert!(after.is_some_and(|after| after <= next.plus(EVERY)));
        }
    }

    #[test]
    fn what_lives_on_its_own_copies_is_overdue_after_a_period_and_a_beginner_after_a_pause() {
        let (clock, checks) = (Clock::test(), AccessChecks::new(Some(EVERY)));
        let (name, began) = (SecretName::new("A").expect("a name"), clock.now());
        assert!(!checks.is_overdue(&name, began), "AWS was not asked yet");
        checks.answered(&name, began);
        clock.advance(EVERY / 2);
        assert!(!checks.is_overdue(&name, clock.now()));
        clock.advance(EVERY / 2);
        assert!(checks.is_overdue(&name, clock.now()));
        checks.used(&name, clock.now());
        assert_eq!(checks.take_due(clock.now()).0.len(), 1, "at once");
        checks.end(&name, clock.now());
        assert!(checks.is_overdue(&name, clock.now()), "a copy that comes back is asked for");
        clock.advance(2 * EVERY);
        assert!(!checks.is_overdue(&name, clock.now()), "after a pause as at the beginning");
        checks.used(&name, clock.now());
        assert!(checks.take_due(clock.now()).1.is_some_and(|due| due <= clock.now().plus(EVERY)));
    }

    #[test]
    fn a_check_that_was_left_out_is_made_before_the_next_use() {
        let (clock, checks) = (Clock::test(), AccessChecks::new(Some(EVERY)));
        let name = SecretName::new("A").expect("a name");
        checks.used(&name, clock.now());
        clock.advance(EVERY);
        assert_eq!(checks.take_due(clock.now()).0.len(), 1);
        checks.end(&name, clock.now());
        clock.advance(EVERY / 2);
        assert!(checks.is_overdue(&name, clock.now()));
        checks.answered(&name, clock.now());
        assert!(!checks.is_overdue(&name, clock.now()));
    }

    #[test]
    fn a_check_that_aws_did_not_answer_is_made_again_soon() {
        let (clock, checks) = (Clock::test(), AccessChecks::new(Some(EVERY)));
        let name = SecretName::new("A").expect("a name");
        checks.used(&name, clock.now());
        clock.advance(EVERY);
        assert_eq!(checks.take_due(clock.now()).0.len(), 1);
        checks.unanswered(&name, clock.now());
        let (due, next) = checks.take_due(clock.now());
        assert!(due.is_empty() && next.is_some_and(|next| next <= clock.now().plus(EVERY / 4)));
    }

    #[tokio::test]
    async fn who_checks_hears_only_of_what_comes_first() {
        let (clock, checks) = (Clock::test(), AccessChecks::new(Some(EVERY)));
        let mut heard = 0;
        for number in 0..1000 {
            checks.used(&SecretName::new(&format!("N{number}")).expect("a name"), clock.now());
            if checks.planned.notified().now_or_never().is_some() {
                heard += 1;
            }
        }
        // Of random times, as many as the harmonic sum of 1,000: about 7.5.
        assert!((1..50).contains(&heard), "{heard} times");
        let first = checks.plans.lock().of.values().filter_map(|plan| plan.due).min();
        assert_eq!(checks.plans.lock().next, first);
    }

    #[test]
    fn where_rights_are_never_checked_nothing_is_planned() {
        let (clock, checks) = (Clock::test(), AccessChecks::new(None));
        let name = SecretName::new("A").expect("a name");
        checks.used(&name, clock.now());
        checks.answered(&name, clock.now());
        assert_eq!(checks.take_due(clock.now().plus(EVERY)), (Vec::new(), None));
    }
}
