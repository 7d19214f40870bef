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
    /// AWS said that it has no secret with this ARN.
    is_gone: bool,
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

    /// Whether it can mean one secret only. A name, and an ARN without its ending, mean whichever has that name now.
    fn is_complete(&self) -> bool {
        Arn::parse(&self.id).is_some_and(|arn| arn.name() != arn.resource)
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
                Member { id: id.into(), arn: None, is_gone: false, twin: Arc::new(twin) }
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

    /// The plain name that is declared beside `secret`, an ARN with that name: in the account and the region in which plain names are
    /// asked for they are one. `None` also where AWS has said that they are not.
    pub fn plain_of(&self, secret: &SecretName) -> Option<SecretName> {
        let group = self.group(secret).and_then(|group| self.groups.get(group))?.lock();
        let member = group.0.iter().find(|member| member.twin.secret == *secret)?;
        if member.is_gone || Arn::parse(&member.id).is_none() {
            return None;
        }
        let plain = group.0.iter().find(|other| Arn::parse(&other.id).is_none())?;
        let is_another = plain.arn.as_deref().is_some_and(|arn| !member.is(arn));
        (!is_another).then(|| plain.twin.secret.clone())
    }

    /// AWS answered the question for `asked` with the secret `arn`. `is_own`: of the account and the region in which it is asked
    /// for plain names.
    pub fn learn(&self, asked: &SecretName, arn: &str, is_own: bool) {
        let Some(group) = self.group(asked).and_then(|group| self.groups.get(group)) else { return };
        group.lock().learn(asked, arn, is_own);
    }

    /// AWS has no secret that `asked` means.
    pub fn learn_absent(&self, asked: &SecretName) {
        let Some(group) = self.group(asked).and_then(|group| self.groups.get(group)) else { return };
        group.lock().learn_absent(asked);
    }
}

impl Group {
    fn learn(&mut self, asked: &SecretName, arn: &str, is_own: bool) {
        let mut changed = false;
        let Some(member) = self.0.iter_mut().find(|member| member.twin.secret == *asked) else { return };
        if member.arn.as_deref() != Some(arn) {
            changed = true;
            // A secret that was deleted and made again has another ARN: who refers to the old one does not mean it.
            if let Some(before) = member.arn.replace(arn.into()) {
                self.forget(&before);
            }
        }
        for member in &mut self.0 {
            if member.is_gone && &*member.id == arn {
                (member.is_gone, changed) = (false, true);
            }
            // A name means one secret of its account and region. Copies of other instances may have answered for it until now,
            // and those do not have the ARN.
            if is_own && member.arn.is_none() && Arn::parse(&member.id).is_none() {
                (member.arn, changed) = (Some(arn.into()), true);
            }
        }
        if changed {
            self.choose();
        }
    }

    fn learn_absent(&mut self, asked: &SecretName) {
        let Some(member) = self.0.iter_mut().find(|member| member.twin.secret == *asked) else { return };
        if member.is_gone || !member.is_complete() {
            return;
        }
        member.is_gone = true;
        let arn = member.id.clone();
        self.forget(&arn);
        self.choose();
    }

    /// What has the name of the secret `arn` may be another one now.
    fn forget(&mut self, arn: &str) {
        for member in self.0.iter_mut().filter(|member| !member.is_complete()) {
            member.arn.take_if(|known| &**known == arn);
        }
    }

    /// Which of them are words for which.
    fn choose(&self) {
        let group = &self.0;
        for member in group {
            let known = member
                .arn
                .as_deref()
                .or_else(|| group.iter().filter_map(|m| m.arn.as_deref()).find(|arn| member.is(arn)));
            let alike = group.iter().filter(|other| known.is_some_and(|arn| !other.is_gone && other.is(arn)));
            let one = alike.min_by(|a, b| a.rank().cmp(&b.rank()));
            let of = one.filter(|one| !member.is_gone && !Arc::ptr_eq(&one.twin, &member.twin));
            member.twin.set(of.map(|one| one.twin.secret.clone()));
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
        twins.learn(&secret("shared/db"), ARN, false);
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
        twins.learn(&secret(PARTIAL), ARN, false);
        assert_eq!(twins.one_of(secret(PARTIAL)), secret(ARN));
    }

    #[test]
    fn a_secret_that_was_made_anew_is_no_longer_the_one_of_the_old_arn() {
        let twins = twins(&["shared/db", ARN]);
        twins.learn(&secret("shared/db"), ARN, false);
        assert_eq!(twins.one_of(secret(ARN)), secret("shared/db"));
        twins.learn(&secret("shared/db"), &ARN.replace("AbCdEf", "GhIjKl"), false);
        assert_eq!(twins.one_of(secret(ARN)), secret(ARN));
    }
    #[test]
    fn a_name_and_a_partial_arn_follow_a_secret_that_was_made_anew() {
        let (twins, anew) = (twins(&["shared/db", ARN, PARTIAL]), ARN.replace("AbCdEf", "GhIjKl"));
        for id in ["shared/db", ARN, PARTIAL] {
            twins.learn(&secret(id), ARN, false);
        }
        assert_eq!(twins.one_of(secret(PARTIAL)), secret("shared/db"));
        twins.learn(&secret("shared/db"), &anew, false);
        let words = [PARTIAL, ARN].map(|id| twins.one_of(secret(id)));
        assert_eq!(words, [secret("shared/db"), secret(ARN)], "the partial ARN does not stay with the old one");
    }

    #[test]
    fn what_went_by_an_arn_that_is_gone_goes_by_itself() {
        let twins = twins(&[ARN, PARTIAL]);
        twins.learn(&secret(PARTIAL), ARN, false);
        assert_eq!(twins.one_of(secret(PARTIAL)), secret(ARN));
        twins.learn_absent(&secret(ARN));
        assert_eq!(twins.one_of(secret(PARTIAL)), secret(PARTIAL), "it may mean another secret now");
        // It was restored.
        twins.learn(&secret(PARTIAL), ARN, false);
        assert_eq!(twins.one_of(secret(PARTIAL)), secret(ARN));
    }

    #[test]
    fn a_name_of_the_own_account_is_one_with_an_arn_of_it_without_being_asked_for() {
        let twins = twins(&["shared/db", ARN, ELSEWHERE]);
        twins.learn(&secret(ELSEWHERE), ELSEWHERE, false);
        assert_eq!(twins.one_of(secret(ELSEWHERE)), secret(ELSEWHERE));
        twins.learn(&secret(ARN), ARN, false);
        assert_eq!(twins.one_of(secret(ARN)), secret(ARN), "its account is not known to be the own one");
        twins.learn(&secret(ARN), ARN, true);
        assert_eq!(twins.one_of(secret(ARN)), secret("shared/db"));
        assert_eq!(twins.one_of(secret(ELSEWHERE)), secret(ELSEWHERE));
    }

    #[test]
    fn the_plain_name_of_an_arn_is_known_before_aws_answers_and_not_when_it_says_otherwise() {
        let twins = twins(&["shared/db", ARN, PARTIAL, "other"]);
        for id in [ARN, PARTIAL] {
            assert_eq!(twins.plain_of(&secret(id)), Some(secret("shared/db")), "{id}");
        }
        assert_eq!([twins.plain_of(&secret("shared/db")), twins.plain_of(&secret("other"))], [None, None]);
        twins.learn(&secret("shared/db"), &ARN.replace("AbCdEf", "GhIjKl"), true);
        assert_eq!(twins.plain_of(&secret(ARN)), None, "another secret has the name");
    }
}
