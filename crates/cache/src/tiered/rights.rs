//! Whether AWS lets this process read a secret, as far as it said so itself (decision D20).

use std::collections::HashMap;

use crate::order::{LONGEST_ANSWER, Stamp};
use secret::clock::Moment;
use secret::name::SecretName;

/// Names whose last answer is remembered; pruned by age, denials excepted.
const FIRST_PRUNE: usize = 1024;

/// AWS's newest answer to this process, by name: when it was asked for, and whether it was a denial.
#[derive(Debug, Default)]
pub(super) struct Rights {
    answered: HashMap<SecretName, (Stamp, bool)>,
    prune_at: usize,
}

impl Rights {
    /// AWS answered a question of then; says whether a later question was not answered before.
    pub(super) fn note(&mut self, name: &SecretName, asked: Stamp, is_denied: bool, now: Moment) -> bool {
        if self.answered.get(name).is_some_and(|(newest, _)| *newest > asked) {
            return false;
        }
        if self.answered.len() >= FIRST_PRUNE.max(self.prune_at) {
            self.answered.retain(|_, (asked, is_denied)| *is_denied || now.since(asked.at()) < LONGEST_ANSWER);
            self.prune_at = 2 * self.answered.len();
        }
        self.answered.insert(name.clone(), (asked, is_denied));
        true
    }

    /// Whether the newest answer was a denial.
    pub(super) fn is_denied(&self, name: &SecretName) -> bool {
        self.answered.get(name).is_some_and(|(_, is_denied)| *is_denied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secret::clock::Clock;

    #[test]
    fn a_late_grant_does_not_undo_a_denial_that_was_asked_for_later() {
        let (clock, mut rights) = (Clock::test(), Rights::default());
        let (name, now) = (SecretName::new("A").expect("a name"), clock.now());
        let [first, second, third] = [1, 2, 3].map(|number| Stamp::own(now, number));
        assert!(rights.note(&name, second, true, now));
        assert!(!rights.note(&name, first, false, now));
        assert!(rights.is_denied(&name));
        assert!(rights.note(&name, third, false, now));
        assert!(!rights.note(&name, second, true, now));
        assert!(!rights.is_denied(&name));
    }
}
