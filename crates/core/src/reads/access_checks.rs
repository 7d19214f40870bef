//! Asks AWS now and then whether this process may still read what it takes from the copies of others (decision 031).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use secret::clock::Moment;
use secret::name::SecretName;
use tokio::sync::Notify;

use super::Reads;
use crate::audit::Access;

/// Names whose next check is planned; more than any service uses.
const MOST_NAMES: usize = 10_000;

/// When each secret that is used is checked next.
pub struct AccessChecks {
    /// `None`: never.
    every: Option<Duration>,
    due: Mutex<BTreeMap<SecretName, Moment>>,
    planned: Notify,
}

impl AccessChecks {
    /// Nothing is used yet.
    pub fn new(every: Option<Duration>) -> Self {
        Self { every, due: Mutex::default(), planned: Notify::new() }
    }

    /// A copy of another instance is used. The first check comes at a random point of the first period, so that a fleet asks
    /// evenly.
    pub(super) fn used(&self, name: &SecretName, now: Moment) {
        let Some(every) = self.every else { return };
        let mut due = self.due.lock();
        if due.len() < MOST_NAMES && !due.contains_key(name) {
            due.insert(name.clone(), now.plus(every.mul_f64(fastrand::f64())));
            drop(due);
            self.planned.notify_one();
        }
    }

    /// AWS answered this process about `name`: the next check is due within a period.
    pub(super) fn answered(&self, name: &SecretName, now: Moment) {
        let Some(every) = self.every else { return };
        if let Some(due) = self.due.lock().get_mut(name) {
            *due = now.plus(every.mul_f64(0.5 + fastrand::f64() / 2.0));
        }
    }

    /// The names that are due, and when the next one is.
    fn take_due(&self, now: Moment) -> (Vec<SecretName>, Option<Moment>) {
        let mut due = self.due.lock();
        let names: Vec<SecretName> = due.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        for name in &names {
            due.remove(name);
        }
        (names, due.values().min().copied())
    }
}

impl Reads {
    /// Checks what is due, again and again.
    pub(super) async fn check_access(self: &Arc<Self>) {
        loop {
            let now = self.copies.clock.now();
            let (names, next) = self.access_checks.take_due(now);
            for name in names {
                // What is no longer held is no longer used.
                if !self.copies.is_held(&name) {
                    continue;
                }
                self.access_checks.used(&name, self.copies.clock.now());
                let answer = self.refresh(&name).await;
                if let Some(audit) = &self.audit {
                    audit.inspected("access-check", &Access::read(name.as_str(), &answer));
                }
                if let Err(error) = answer {
                    tracing::debug!(code = %error.code(), "an access check was not answered with the secret");
                }
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
}
