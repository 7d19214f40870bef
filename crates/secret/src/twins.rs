//! AWS secrets that are declared in two ways, as a name here and as an ARN there, and that only AWS's answer shows to be one
//! (decision D15). All but one of them are then other words for that one: one copy, one fetch, one notice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::name::SecretName;
use crate::reference::Arn;

/// The declared AWS secrets whose names are alike.
#[derive(Debug, Default)]
pub struct Twins {
    groups: Vec<Mutex<Group>>,
    /// The group of each.
    places: HashMap<SecretName, (usize, Arc<Twin>)>,
}

/// Those with one name in AWS, in some account and region.
#[derive(Debug, Default)]
struct Group(Vec<Member>);

#[derive(Debug)]
struct Member {
    id: Box<str>,
    /// The ARN that AWS gave last.
    arn: Option<Box<str>>,
    twin: Arc<Twin>,
}

/// One of them.
#[derive(Debug)]
pub struct Twin {
    secret: SecretName,
    is_other_word: AtomicBool,
    of: RwLock<Option<SecretName>>,
}

impl Twin {
    /// The secret that this is another word for.
    #[inline]
    pub fn other_word_for(&self) -> Option<SecretName> {
        // Nearly always the answer, at the cost of one load.
        if !self.is_other_word.load(Ordering::Acquire) {
            return None;
        }
        self.of.read().clone()
    }

    fn set(&self, of: Option<SecretName>) {
        let is_one = of.is_some();
        *self.of.write() = of;
        self.is_other_word.store(is_one, Ordering::Release);
    }
}

impl Member {
    /// Names first, then complete ARNs: what every instance chooses alike.
    fn rank(&self) -> (usize, &str) {
        let rank = match Arn::parse(&self.id) {
            None => 0,
            Some(arn) if arn.name() != arn.resource => 1,
            Some(_) => 2,
        };
        (rank, &self.id)
    }

    /// Whether it is certainly the secret with this ARN, which AWS gave.
    fn is(&self, arn: &str) -> bool {
        let names = || Arn::parse(&self.id).zip(Arn::parse(arn)).is_some_and(|(own, given)| own.names(&given));
        self.arn.as_deref().map_or_else(names, |known| known == arn)
    }
}

impl Twins {
    /// Those of the declared secrets, each with its AWS id, that may be one.
    pub fn of(secrets: impl Iterator<Item = (SecretName, String)>) -> Self {
        let mut by_name: HashMap<String, Vec<(SecretName, String)>> = HashMap::new();
        for (secret, id) in secrets {
            let name = Arn::parse(&id).map_or(id.as_str(), |arn| arn.name()).to_owned();
            let alike = by_name.entry(name).or_default();
            if alike.iter().all(|(known, _)| *known != secret) {
                alike.push((secret, id));
            }
        }
        let mut twins = Self::default();
        for alike in by_name.into_values().filter(|alike| alike.len() > 1) {
            let member = |(secret, id): (SecretName, String)| {
                let twin = Twin { secret, is_other_word: AtomicBool::new(false), of: RwLock::default() };
                Member { id: id.into(), arn: None, twin: Arc::new(twin) }
            };
            let members: Vec<Member> = alike.into_iter().map(member).collect();
            for Member { twin, .. } in &members {
                twins.places.insert(twin.secret.clone(), (twins.groups.len(), twin.clone()));
            }
            twins.groups.push(Mutex::new(Group(members)));
        }
        twins
    }

    /// The twin of a name's secret, where it has others.
    pub fn get(&self, secret: &SecretName) -> Option<&Arc<Twin>> {
        self.places.get(secret).map(|(_, twin)| twin)
    }

    /// Which of the groups a secret is in: two of a group may turn out to be one.
    pub fn group(&self, secret: &SecretName) -> Option<usize> {
        self.places.get(secret).map(|(group, _)| *group)
    }

    /// What the copies of `secret` go by.
    pub fn one_of(&self, secret: SecretName) -> SecretName {
        self.get(&secret).and_then(|twin| twin.other_word_for()).unwrap_or(secret)
    }

    /// The other words for `secret`.
    pub fn words_for(&self, secret: &SecretName) -> Vec<SecretName> {
        let Some(group) = self.group(secret).and_then(|group| self.groups.get(group)) else { return Vec::new() };
        let group = group.lock();
        let words = group.0.iter().filter(|member| member.twin.other_word_for().as_ref() == Some(secret));
        words.map(|member| member.twin.secret.clone()).collect()
    }

    /// AWS answered the question for `asked` with the secret `arn`.
    pub fn learn(&self, asked: &SecretName, arn: &str) {
        let Some(group) = self.group(asked).and_then(|group| self.groups.get(group)) else { return };
        let mut group = group.lock();
        let Some(member) = group.0.iter_mut().find(|member| member.twin.secret == *asked) else { return };
        if member.arn.as_deref() == Some(arn) {
            return;
        }
        // A secret that was deleted and made again has another ARN: who refers to the old one does not mean it.
        member.arn = Some(arn.into());
        for member in &group.0 {
            let known = member
                .arn
                .as_deref()
                .or_else(|| group.0.iter().filter_map(|m| m.arn.as_deref()).find(|arn| member.is(arn)));
            let alike = group.0.iter().filter(|other| known.is_some_and(|arn| other.is(arn)));
            let one = alike.min_by(|a, b| a.rank().cmp(&b.rank()));
            let of = one.filter(|one| !Arc::ptr_eq(&one.twin, &member.twin)).map(|one| one.twin.secret.clone());
            member.twin.set(of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shared/db-AbCdEf";
    const PARTIAL: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shared/db";
    const ELSEWHERE: &str = "arn:aws:secretsmanager:eu-west-1:999999999999:secret:shared/db-AbCdEf";

    fn secret(id: &str) -> SecretName {
        SecretName::of_aws(id, None, None)
    }

    fn twins(ids: &[&str]) -> Twins {
        Twins::of(ids.iter().map(|id| (secret(id), (*id).to_owned())))
    }

    #[test]
    fn a_name_and_its_arns_are_one_once_aws_says_so() {
        let twins = twins(&["shared/db", ARN, PARTIAL, ELSEWHERE, "other"]);
        for id in ["shared/db", ARN, PARTIAL, ELSEWHERE] {
            assert_eq!(twins.one_of(secret(id)), secret(id), "before anything was asked");
        }
        twins.learn(&secret("shared/db"), ARN);
        for (id, one) in
            [("shared/db", "shared/db"), (ARN, "shared/db"), (PARTIAL, "shared/db"), (ELSEWHERE, ELSEWHERE)]
        {
            assert_eq!(twins.one_of(secret(id)), secret(one), "{id}");
        }
        assert_eq!(twins.words_for(&secret("shared/db")).len(), 2);
        assert!(twins.get(&secret("other")).is_none(), "it has no twin");
    }

    #[test]
    fn an_arn_in_two_forms_is_one_without_the_name() {
        let twins = twins(&[ARN, PARTIAL]);
        twins.learn(&secret(PARTIAL), ARN);
        assert_eq!(twins.one_of(secret(PARTIAL)), secret(ARN));
    }

    #[test]
    fn a_secret_that_was_made_anew_is_no_longer_the_one_of_the_old_arn() {
        let twins = twins(&["shared/db", ARN]);
        twins.learn(&secret("shared/db"), ARN);
        assert_eq!(twins.one_of(secret(ARN)), secret("shared/db"));
        twins.learn(&secret("shared/db"), &ARN.replace("AbCdEf", "GhIjKl"));
        assert_eq!(twins.one_of(secret(ARN)), secret(ARN));
    }
}
