//! Whether this instance should get traffic (`ready`): can each required secret be delivered now?
//!
//! A probe answers within a second and asks AWS once in ten seconds at most, however often it is called. What it asks is
//! read like any read, so that a fresh instance warms up, and the question goes on when nobody waits for it any more.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use aws::{Aws, Probed};
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Delivery;
use crate::audit::Access;
use crate::reads::table::Answer;
use crate::source::runtime::Variables;
use crate::timer::Deadline;
use cache::entry::Entry;
use secret::clock::Moment;
use secret::error::SecretError;
use secret::name::SecretName;

/// How long one answer waits for AWS, Redis and the audit log.
const PATIENCE: Duration = Duration::from_millis(700);
/// How often AWS is asked at most.
const EVERY: Duration = Duration::from_secs(10);
/// How often an optional secret is asked for that was not there.
const OPTIONAL_EVERY: Duration = Duration::from_mins(5);
/// The name that is read to see whether AWS answers. No secret has it.
pub(crate) const PROBE: &str = "TCS_SECRET_DELIVERY_HEALTH_PROBE";

/// Whether an instance should get traffic. The later one of two counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readiness {
    /// Everything can be delivered.
    Ready,
    /// Everything that is required can be delivered, from copies or other sources; something else fails.
    Degraded,
    /// Something that is required cannot be delivered.
    NotReady,
}

impl Readiness {
    /// The name of the state in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::NotReady => "not-ready",
        }
    }
}

/// What is known from the questions of earlier probes.
#[derive(Default)]
pub(super) struct Probes {
    known: Mutex<Known>,
    /// Changes when a question is answered.
    answered: watch::Sender<()>,
}

#[derive(Default)]
struct Known {
    /// Until when probes wait for the question that is under way; `None` when none is.
    under_way: Option<Deadline>,
    asked: Option<Moment>,
    answers: BTreeMap<SecretName, (Moment, Said)>,
    /// Whether AWS answers at all.
    aws: Option<AwsState>,
    /// Whether AWS has answered this process for itself. Copies of others say nothing of its rights.
    is_own: bool,
}

/// Whether AWS answers at all.
pub(crate) enum AwsState {
    /// It does.
    Answers,
    /// Not the question that was asked, but others: it throttles, or it answered reads meanwhile.
    AnswersOthers(SecretError),
    /// It does not.
    Fails(SecretError),
}

/// What a read of a declared secret ended with.
#[derive(Clone)]
enum Said {
    Found,
    Stale,
    Absent,
    Failed(SecretError),
}

/// A declared secret.
struct Declared {
    name: SecretName,
    /// The secret that it is a field of, or itself.
    secret: SecretName,
    /// Which field of it.
    field: Option<Arc<str>>,
    required: bool,
}

impl Delivery {
    /// Whether this instance should get traffic, and each reason against it. Never fails, and waits for less than a
    /// second.
    #[boxed]
    pub async fn ready(self: Arc<Self>, variables: Variables) -> (Readiness, Vec<String>) {
        if self.is_closed() {
            return (Readiness::NotReady, vec!["this SecretDelivery was closed".into()]);
        }
        let declared = self.declared();
        let mut answered = self.probes.answered.subscribe();
        let waits_until = self.ask(&declared, variables);
        let aws = async {
            if let Some(deadline) = waits_until {
                // Late or not: what is known by now is the answer.
                drop(deadline.limit(answered.changed()).await);
            }
        };
        let ((), audit) = tokio::join!(aws, self.audit_says());
        self.judge(&declared, audit)
    }

    fn declared(&self) -> Vec<Declared> {
        let ids = self.reads().ids();
        let all = self.tools.declared().map(|declared| {
            // A field is in the copy of its secret.
            let (secret, field) = ids
                .place(&declared.name)
                .map_or_else(|_| (declared.name.clone(), None), |place| (place.secret, place.field));
            Declared { name: declared.name.clone(), secret, field, required: declared.spec.required }
        });
        all.collect()
    }

    /// The copy that has a declared secret. A copy of a whole secret says nothing of a field that is not in it: whether
    /// another source has that one, a read tells.
    fn copy(&self, Declared { secret, field, .. }: &Declared) -> Option<Arc<Entry>> {
        let cache = self.reads().cache().filter(|cache| !cache.is_denied(secret))?;
        let entry = cache.memory().held(secret.as_str())?;
        let is_in_it = |field: &Arc<str>| matches!(entry.value.field(field), Ok(Some(value)) if !value.is_empty());
        field.as_ref().is_none_or(is_in_it).then_some(entry)
    }

    fn is_fresh(&self, secret: &Declared) -> bool {
        self.copy(secret).is_some_and(|entry| entry.is_fresh(self.clock.now()))
    }

    /// Begins a question if one is due, and gives until when to wait for the one under way.
    fn ask(self: &Arc<Self>, declared: &[Declared], variables: Variables) -> Option<Deadline> {
        let now = self.clock.now();
        let mut known = self.probes.known.lock();
        if known.under_way.is_some() {
            return known.under_way;
        }
        if known.asked.is_some_and(|asked| now < asked.plus(EVERY)) {
            return None;
        }
        let checks_right = self.reads().aws().is_some() && !known.is_own;
        let is_due = |secret: &&Declared| {
            let before = known.answers.get(&secret.name);
            let is_old = before.is_none_or(|(at, _)| secret.required || now >= at.plus(OPTIONAL_EVERY));
            is_old && (!self.is_fresh(secret) || secret.required && checks_right)
        };
        let names: Vec<SecretName> = declared.iter().filter(is_due).map(|secret| secret.name.clone()).collect();
        let probes_aws = self.reads().aws().is_some() && !declared.iter().any(|secret| secret.required);
        if names.is_empty() && !probes_aws {
            return None;
        }
        let deadline = Deadline::after(PATIENCE);
        (known.under_way, known.asked) = (Some(deadline), Some(now));
        drop(known);
        let delivery = self.clone();
        // Read like any read, also when no probe waits any more.
        self.tasks.spawn(async move {
            let question = delivery.question(&names, &variables, (probes_aws, checks_right));
            let answers = tokio::select! {
                () = delivery.stop.cancelled() => None,
                answers = AssertUnwindSafe(question).catch_unwind() => answers.ok(),
            };
            delivery.probed(names, answers);
        });
        Some(deadline)
    }

    async fn question(
        &self,
        names: &[SecretName],
        variables: &Variables,
        (probes_aws, checks_right): (bool, bool),
    ) -> (Vec<Answer>, Option<AwsState>, bool) {
        let answers = async {
            let mut answers = self.read_inspecting("probe", names, variables).await;
            let is_own = !checks_right || self.check_own_right(names, &mut answers).await;
            (answers, is_own)
        };
        let aws = async { if probes_aws { self.probe_aws().await } else { None } };
        let ((answers, is_own), aws) = tokio::join!(answers, aws);
        (answers, aws, is_own)
    }

    /// Where copies of others answered before AWS has answered this process at all, AWS is asked for one of them: else a roll-out with a
    /// broken role would be ready until its first check of rights. A denial takes the place of the copy's answer. Gives `false` where AWS
    /// did not answer.
    async fn check_own_right(&self, names: &[SecretName], answers: &mut [Answer]) -> bool {
        let is_copy = |answer: &Answer| matches!(answer, Ok(Some(found)) if found.origin.is_copy());
        let Some(at) = answers.iter().position(is_copy) else { return true };
        let Ok(place) = self.reads().ids().place(&names[at]) else { return true };
        if self.reads().has_own_answer() {
            return true;
        }
        let said = self.reads().fetch_inspecting(&place.secret).await;
        self.inspected("probe", vec![Access::fetched(names[at].as_str(), &said)]).await;
        match said {
            Err(error) if error.is_denied() => answers[at] = Err(error),
            Err(_) => return false,
            Ok(_) => {}
        }
        true
    }

    /// Asks AWS for a secret that does not exist. AWS refuses it to an identity with narrow permissions, and that is an
    /// answer. `None` where AWS is off, or optional and without credentials.
    pub(crate) async fn probe_aws(&self) -> Option<AwsState> {
        let (aws, name) = (self.reads().aws()?, SecretName::new(PROBE).ok()?);
        aws.probe_now();
        let Probed { answer, answers_others } = aws.probe(&self.reads().id(&name)).await;
        self.inspected("probe", vec![Access::fetched(PROBE, &answer)]).await;
        match answer {
            Ok(_) => Some(AwsState::Answers),
            Err(error) if error.is_denied() => Some(AwsState::Answers),
            Err(error) if error.is_throttled() || (answers_others && error.is_transient()) => {
                Some(AwsState::AnswersOthers(error))
            }
            Err(error) => self.resolver.unless_optional(error).map(AwsState::Fails),
        }
    }

    fn probed(&self, names: Vec<SecretName>, answers: Option<(Vec<Answer>, Option<AwsState>, bool)>) {
        let mut known = self.probes.known.lock();
        known.under_way = None;
        if let Some((answers, aws, is_own)) = answers {
            let now = self.clock.now();
            for (name, answer) in names.into_iter().zip(answers) {
                let said = match answer {
                    Ok(Some(found)) if found.stale => Said::Stale,
                    Ok(Some(_)) => Said::Found,
                    Ok(None) => Said::Absent,
                    Err(error) => Said::Failed(error),
                };
                known.answers.insert(name, (now, said));
            }
            known.aws = aws;
            known.is_own |= is_own;
        }
        drop(known);
        self.probes.answered.send_replace(());
    }

    /// Whether values may be delivered as far as the audit log is concerned.
    async fn audit_says(&self) -> Option<(Readiness, String)> {
        let audit = self.audit.as_ref()?;
        let why = match Deadline::after(PATIENCE).limit(audit.check()).await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the audit log is not open yet".to_owned(),
        };
        Some((if audit.denies() { Readiness::NotReady } else { Readiness::Degraded }, why))
    }

    fn judge(&self, declared: &[Declared], audit: Option<(Readiness, String)>) -> (Readiness, Vec<String>) {
        let known = self.probes.known.lock();
        let mut said: Vec<(Readiness, String)> = audit.into_iter().collect();
        for secret in declared {
            said.extend(self.judge_one(secret, &known));
        }
        if !declared.iter().any(|secret| secret.required) {
            said.extend(self.judge_aws(&known));
        }
        if said.iter().all(|(state, _)| *state == Readiness::Ready)
            && let Some(error) = self.reads().last_failure().filter(|error| !error.is_refused())
            && self.resolver.unless_optional(error.clone()).is_some()
        {
            said.push((Readiness::Degraded, format!("AWS fails, and copies answer: {error}")));
        }
        let state = said.iter().map(|(state, _)| *state).max().unwrap_or(Readiness::Ready);
        (state, said.into_iter().map(|(_, why)| why).collect())
    }

    fn judge_one(&self, declared: &Declared, known: &Known) -> Option<(Readiness, String)> {
        let missing = if declared.required { Readiness::NotReady } else { Readiness::Degraded };
        let copy = self.copy(declared);
        let (key, name) = (&declared.name, declared.name.as_str());
        if copy.as_ref().is_some_and(|entry| entry.is_fresh(self.clock.now())) {
            return None;
        }
        let is_usable = copy.is_some_and(|entry| entry.is_usable(self.clock.now()));
        let degraded = |why: &str| Some((Readiness::Degraded, format!("{name}: a copy answers: {why}")));
        match known.answers.get(key).map(|(_, said)| said) {
            _ if known.under_way.is_some() && is_usable => degraded(self.unanswered()),
            None if is_usable => degraded("AWS was not asked yet"),
            None => Some((missing, format!("{name}: {}", self.unanswered()))),
            Some(Said::Found) => None,
            Some(Said::Stale) if is_usable => degraded("AWS fails"),
            Some(Said::Stale) => Some((missing, format!("{name}: its copy is too old, and AWS fails"))),
            Some(Said::Absent) => Some((missing, format!("{name}: no source has it"))),
            Some(Said::Failed(error)) if error.is_not_shown() => {
                Some((missing, format!("{name}: denied, or not there: {error}")))
            }
            Some(Said::Failed(error)) if error.is_denied() => Some((missing, format!("{name}: {error}"))),
            Some(Said::Failed(error)) if is_usable => degraded(&error.to_string()),
            Some(Said::Failed(error)) => Some((missing, format!("{name}: {error}"))),
        }
    }

    /// Why a question is under way still.
    fn unanswered(&self) -> &'static str {
        if self.reads().aws().is_some_and(Aws::is_throttled) {
            "AWS throttles, and the call that was made is tried again"
        } else {
            "AWS has not answered yet"
        }
    }

    /// Where nothing is required: whether a source is usable.
    fn judge_aws(&self, known: &Known) -> Option<(Readiness, String)> {
        let needs_aws = self.preset.aws_failure_rejects;
        let has_copies = self.reads().cache().is_some_and(|cache| cache.memory().has_values());
        let state = if needs_aws && !has_copies { Readiness::NotReady } else { Readiness::Degraded };
        match (&known.aws, self.reads().aws()) {
            // Copies do not answer for an identity that AWS refuses.
            (Some(AwsState::Fails(error)), Some(_)) if needs_aws && error.is_refused() => {
                Some((Readiness::NotReady, format!("AWS: {error}")))
            }
            (Some(AwsState::Fails(error)), Some(_)) => Some((state, format!("AWS: {error}"))),
            (Some(AwsState::AnswersOthers(error)), Some(_)) => Some((Readiness::Degraded, format!("AWS: {error}"))),
            (None, Some(_)) if known.under_way.is_some() => Some((state, self.unanswered().into())),
            _ => None,
        }
    }
}
