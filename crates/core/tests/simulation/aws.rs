//! A simulated Secrets Manager: answers that were true at some moment between question and answer.

use std::sync::Arc;
use std::time::Duration;

use aws::simulated::{Answering, SimulatedAws};
use aws::{BatchAnswer, Listing};
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::rate_limit::TokenBucket;
use secret::value::SecretValue;
use tokio::time::sleep;

use super::world::{World, id, name_of, value, version_id};

/// AWS as one instance sees it.
#[derive(Debug)]
pub struct Service {
    pub world: Arc<World>,
    pub instance: usize,
}

/// A call under way; ends when the answer came or nobody waits for it.
struct UnderWay<'a> {
    service: &'a Service,
    names: Vec<usize>,
    is_answered: bool,
}

impl UnderWay<'_> {
    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let now = self.service.world.now();
        let mut state = self.service.world.state.lock();
        if !self.is_answered {
            // The instance waits no longer: to it AWS failed.
            state.oracle.failed(self.service.instance, now);
        }
        for name in &self.names {
            if let Some(count) = state.under_way.get_mut(&(self.service.instance, *name)) {
                *count -= 1;
            }
        }
    }
}

/// How a call goes.
struct Fortune {
    there: u64,
    back: u64,
    fails: bool,
    hangs: bool,
    lag: u64,
}

impl Service {
    fn begin(&self, names: Vec<usize>, counts: bool) -> UnderWay<'_> {
        let now = self.world.now();
        let mut state = self.world.state.lock();
        let state = &mut *state;
        state.oracle.called(self.instance, now);
        let names = if counts { names } else { Vec::new() };
        for name in &names {
            let count = state.under_way.entry((self.instance, *name)).or_default();
            *count += 1;
            state.oracle.under_way(self.instance, *name, *count, now);
        }
        UnderWay { service: self, names, is_answered: false }
    }

    fn fortune(&self) -> Fortune {
        let (setting, now) = (&self.world.setting, self.world.now());
        let mut state = self.world.state.lock();
        let (healed, hangs) = (state.healed, now < state.aws_hangs_until);
        let is_slow = !healed && (now < state.aws_slow_until || state.rng.u8(0..100) < setting.aws_slow_percent);
        let most = if is_slow { 900 } else { 40 };
        let fails = now < state.aws_down_until || !healed && state.rng.u8(0..100) < setting.aws_fails_percent;
        let lag = if healed { 0 } else { state.rng.u64(0..=setting.lag_ms) };
        Fortune { there: state.rng.u64(1..=most), back: state.rng.u64(1..=most), fails, hangs, lag }
    }

    /// Goes there and back; `judge` says what is true at the moment in between.
    async fn travel<T>(&self, judge: impl FnOnce(&Fortune) -> Result<T>) -> Result<T> {
        let fortune = self.fortune();
        sleep(Duration::from_millis(fortune.there)).await;
        if fortune.hangs {
            sleep(Duration::from_hours(1)).await;
        }
        let answer = if fortune.fails { Err(unavailable()) } else { judge(&fortune) };
        sleep(Duration::from_millis(fortune.back)).await;
        answer
    }

    /// Whether a call is within AWS's quota.
    fn within(&self, quota: Option<&TokenBucket>) -> Result<()> {
        let Some(quota) = quota else { return Ok(()) };
        let is_within = quota.take(Duration::ZERO).is_some();
        let mut state = self.world.state.lock();
        if is_within {
            state.answered += 1;
            return Ok(());
        }
        state.throttled += 1;
        Err(SecretError::new(ErrorCode::SourceUnavailable, "throttled").throttled())
    }

    fn judge(&self, name: usize, lag: u64) -> Result<Option<Fetched>> {
        let now = self.world.now();
        let state = self.world.state.lock();
        if state.denied[self.instance].contains(&name) {
            return Err(SecretError::new(ErrorCode::SecretAccessDenied, format!("{}: denied", id(name))));
        }
        let history = &state.secrets[name];
        let live = history.at(now.saturating_sub(lag));
        Ok(live.map(|version| Fetched {
            value: SecretValue::new(value(name, version)),
            version_id: Some(version_id(name, version).into()),
            created_unix_ms: Some(history.created[version]),
            request_id: None,
            arn: None,
        }))
    }

    /// Tells the oracle what the instance now knows from AWS itself.
    fn told(&self, name: usize, asked: u64, answer: &Result<Option<Fetched>>) {
        let now = self.world.now();
        let mut state = self.world.state.lock();
        let state = &mut *state;
        let text = match answer {
            Ok(Some(fetched)) => fetched.version_id.as_deref().unwrap_or("?"),
            Ok(None) => "nothing",
            Err(error) => error.code().as_str(),
        };
        state.trace.add(now, format_args!("aws tells {} about {name}, asked at {asked}: {text}", self.instance));
        match answer {
            Ok(_) => state.oracle.allowed(self.instance, name, asked, now),
            Err(error) if error.is_denied() => state.oracle.denied(self.instance, name, asked, now),
            Err(_) => state.oracle.failed(self.instance, now),
        }
    }
}

impl SimulatedAws for Service {
    fn fetch<'a>(&'a self, id: &'a str) -> Answering<'a, Option<Fetched>> {
        Box::pin(async move {
            let Some(name) = name_of(id) else { return Ok(None) };
            let asked = self.world.now();
            let under_way = self.begin(vec![name], true);
            let quota = self.world.quotas.as_ref().map(|(_, reads)| reads);
            let answer = self.travel(|fortune| self.within(quota).and_then(|()| self.judge(name, fortune.lag))).await;
            self.told(name, asked, &answer);
            under_way.answered();
            answer
        })
    }

    fn batch<'a>(&'a self, ids: &'a [String]) -> Answering<'a, BatchAnswer> {
        Box::pin(async move {
            let asked = self.world.now();
            let under_way = self.begin(ids.iter().filter_map(|id| name_of(id)).collect(), true);
            let answers = self
                .travel(|fortune| {
                    self.within(self.world.quotas.as_ref().map(|(batches, _)| batches))?;
                    if !self.world.setting.grants_batches {
                        return Err(SecretError::new(ErrorCode::SecretAccessDenied, "batches are not granted"));
                    }
                    let named = ids.iter().filter_map(|id| Some((id.clone(), name_of(id)?)));
                    Ok(named.map(|(id, name)| (id, self.judge(name, fortune.lag))).collect::<BatchAnswer>())
                })
                .await;
            for (id, answer) in ids.iter().filter_map(|id| Some((id, answers.as_ref().ok()?.get(id)?))) {
                // A denial in a batch is asked again alone.
                if let (Some(name), Ok(_)) = (name_of(id), answer) {
                    self.told(name, asked, answer);
                }
            }
            under_way.answered();
            answers
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Answering<'a, Listing> {
        Box::pin(async move {
            let asked = self.world.now();
            let under_way = self.begin(Vec::new(), false);
            let names = 0..self.world.setting.names;
            let all = names.filter(|name| id(*name).starts_with(prefix));
            let listing = self
                .travel(|fortune| {
                    if !self.world.setting.grants_batches {
                        return Err(SecretError::new(ErrorCode::SecretAccessDenied, "batches are not granted"));
                    }
                    let judged = all.map(|name| (id(name), self.judge(name, fortune.lag)));
                    Ok(judged.filter(|(_, answer)| !matches!(answer, Ok(None))).collect::<Listing>())
                })
                .await;
            for (id, answer) in listing.iter().flatten() {
                if let (Some(name), Ok(_)) = (name_of(id), answer) {
                    self.told(name, asked, answer);
                }
            }
            under_way.answered();
            listing
        })
    }
}

fn unavailable() -> SecretError {
    SecretError::new(ErrorCode::SourceUnavailable, "AWS failed")
}
