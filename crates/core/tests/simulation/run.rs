//! Runs a schedule: the same one always goes the same way.

use std::sync::Arc;
use std::time::Duration;

use cache::simulation::{self, Defect};
use secret::name::SecretName;
use tcs_secret_delivery_core::reads::table::Answer;
use tcs_secret_delivery_core::tasks::Gated;
use tokio::time::sleep;

use super::instance::Instance;
use super::oracle::{Begun, FORGER, TIMEOUT_MS};
use super::plan::{Act, Schedule};
use super::world::{ENVIRONMENT, EPOCH_MS, World, id, secret_name, version_id};

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    pub violations: Vec<String>,
    /// What happened, as a number.
    pub hash: u64,
    pub trace: Option<String>,
    /// Answers that were judged.
    pub judged: u64,
    pub lines: u64,
}

/// Runs `schedule`, with a defect put back or without.
pub fn run(schedule: &Schedule, defect: Option<Defect>, keeps_text: bool) -> Outcome {
    fastrand::seed(schedule.seed);
    simulation::reset();
    simulation::set_defect(defect);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let outcome = runtime.expect("a runtime").block_on(go(schedule, defect, keeps_text));
    simulation::set_defect(None);
    simulation::reset();
    outcome
}

/// The schedule under way.
struct Course {
    world: Arc<World>,
    instances: Vec<Instance>,
    names: Vec<SecretName>,
}

async fn go(schedule: &Schedule, defect: Option<Defect>, keeps_text: bool) -> Outcome {
    let world = World::new(schedule.seed, &schedule.setting, keeps_text);
    {
        let mut state = world.state.lock();
        state.store.shares_blindly = defect == Some(Defect::BlindShare);
        state.store.drops_blindly = defect == Some(Defect::LateAbsence);
    }
    let setting = &schedule.setting;
    let names = (0..setting.names).map(|name| SecretName::new(&secret_name(name)).expect("a name")).collect();
    let instances = (0..setting.instances).map(|number| Instance::start(&world, number)).collect();
    let mut course = Course { world: world.clone(), instances, names };
    for step in &schedule.steps {
        sleep(Duration::from_millis(step.after_ms)).await;
        course.act(&step.act);
    }
    course.settle().await;
    for instance in &course.instances {
        instance.stop.cancel();
    }
    sleep(Duration::from_millis(1)).await;
    let mut state = world.state.lock();
    Outcome {
        violations: std::mem::take(&mut state.oracle.violations),
        hash: state.trace.hash,
        trace: state.trace.text.take(),
        judged: state.oracle.judged,
        lines: state.trace.lines,
    }
}

impl Course {
    /// Runs `work` as a task of the instance: not while it stands still.
    fn spawn(&self, instance: usize, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.instances[instance].stop.clone();
        let work = async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = work => {}
            }
        };
        tokio::spawn(Gated::new(self.world.gates[instance].clone(), work));
    }

    fn act(&mut self, act: &Act) {
        let (world, now) = (self.world.clone(), self.world.now());
        world.note(format_args!("{act:?}"));
        match act {
            Act::Read { instance, names } => self.read(*instance, names.clone()),
            Act::Refresh { instance, name } => self.refresh(*instance, *name),
            Act::Invalidate { instance, name } => self.invalidate(*instance, Some(*name)),
            Act::Clear { instance } => self.invalidate(*instance, None),
            Act::List { instance } => self.list(*instance),
            Act::Rotate { name, hear } => {
                let version = world.state.lock().secrets[*name].rotate(now);
                self.announce(*name, Some(version), hear);
            }
            Act::Rollback { name, hear } => {
                let version = {
                    let history = &mut world.state.lock().secrets[*name];
                    let before = history.at(now).and_then(|live| live.checked_sub(1));
                    before.inspect(|version| history.promote(*version, now))
                };
                if version.is_some() {
                    self.announce(*name, version, hear);
                }
            }
            Act::Delete { name, hear } => {
                world.state.lock().secrets[*name].delete(now);
                self.announce(*name, None, hear);
            }
            Act::Deny { instance, name } => self.rights(*instance, *name, true),
            Act::Grant { instance, name } => self.rights(*instance, *name, false),
            Act::ForgedEvent { instance, name } => {
                let text = event(*name, Some("v-forged"), now);
                self.event(*instance, *name, text, 0, None);
            }
            Act::ForgedMessage { name, kind } => forge(&world, *name, *kind),
            Act::RedisDown { ms } => {
                world.state.lock().redis_down_until = now + ms;
                world.lines(None).iter().for_each(|line| line.close());
            }
            Act::RedisFlush => world.state.lock().store.flush(),
            Act::RedisSlow { ms } => world.state.lock().redis_slow_until = now + ms,
            Act::Cut { instance } => {
                for line in world.lines(Some(*instance)) {
                    line.is_dead.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            }
            Act::AwsDown { ms } => {
                world.state.lock().aws_down_until = now + ms;
                self.aws_fails_until(now + ms + 16_000);
            }
            Act::AwsHangs { ms } => {
                world.state.lock().aws_hangs_until = now + ms;
                self.aws_fails_until(now + ms + 16_000);
            }
            Act::AwsSlow { ms } => {
                world.state.lock().aws_slow_until = now + ms;
                self.aws_fails_until(now + ms);
            }
            Act::Freeze { instance, ms } => self.freeze(*instance, now + ms),
            Act::Restart { instance } => {
                self.instances[*instance].stop.cancel();
                // Its connections end with it, also while it stands still.
                world.lines(Some(*instance)).iter().for_each(|line| line.close());
                world.state.lock().oracle.restarted(*instance, now);
                self.instances[*instance] = Instance::start(&world, *instance);
            }
        }
    }

    fn aws_fails_until(&self, until: u64) {
        let oracle = &mut self.world.state.lock().oracle;
        (0..self.instances.len()).for_each(|instance| oracle.failed(instance, until));
    }

    fn rights(&self, instance: usize, name: usize, is_denied: bool) {
        let now = self.world.now();
        let mut state = self.world.state.lock();
        if is_denied {
            state.denied[instance].insert(name);
        } else {
            state.denied[instance].remove(&name);
        }
        state.oracle.rights(instance, name, is_denied, now);
    }

    fn freeze(&self, instance: usize, until: u64) {
        let (world, now) = (self.world.clone(), self.world.now());
        world.gates[instance].close(now, until);
        world.state.lock().oracle.frozen(instance, now, until);
        tokio::spawn(async move {
            sleep(Duration::from_millis(until - now)).await;
            world.gates[instance].open(world.now());
        });
    }

    fn read(&self, instance: usize, names: Vec<usize>) {
        let (world, reads) = (self.world.clone(), self.instances[instance].reads.clone());
        let asked: Vec<SecretName> = names.iter().map(|name| self.names[*name].clone()).collect();
        self.spawn(instance, async move {
            let begun: Vec<Begun> = names.iter().map(|name| begin(&world, instance, *name)).collect();
            let answers = reads.read(&asked).await;
            for ((name, begun), answer) in names.into_iter().zip(begun).zip(&answers) {
                end(&world, (instance, name), begun, answer, "read");
            }
        });
    }

    fn refresh(&self, instance: usize, name: usize) {
        let (world, reads, asked) =
            (self.world.clone(), self.instances[instance].reads.clone(), self.names[name].clone());
        self.spawn(instance, async move {
            world.state.lock().oracle.excuse(instance, Some(name), world.now() + 8000);
            let begun = begin(&world, instance, name);
            let answer = reads.refresh(&asked).await;
            judge(&world, (instance, name), begun, &answer, "refresh");
        });
    }

    fn list(&self, instance: usize) {
        let (world, reads) = (self.world.clone(), self.instances[instance].reads.clone());
        let names: Vec<usize> = (0..self.names.len()).collect();
        self.spawn(instance, async move {
            world.state.lock().oracle.excuse(instance, None, world.now() + 8000);
            let begun: Vec<Begun> = names.iter().map(|name| begin(&world, instance, *name)).collect();
            let Ok(listed) = reads.list("SIM_", None).await else { return };
            for (name, begun) in names.into_iter().zip(begun) {
                if let Some((_, answer)) = listed.answers.iter().find(|(found, _)| found.as_str() == secret_name(name))
                {
                    judge(&world, (instance, name), begun, answer, "list");
                }
            }
        });
    }

    fn invalidate(&self, instance: usize, name: Option<usize>) {
        let (world, reads) = (self.world.clone(), self.instances[instance].reads.clone());
        let asked = name.map(|name| self.names[name].clone());
        self.spawn(instance, async move {
            {
                let now = world.now();
                let oracle = &mut world.state.lock().oracle;
                oracle.dropped(instance, name, now);
                oracle.excuse(instance, name, now + 5000);
            }
            let Some(cache) = reads.cache() else { return };
            let done = if let Some(asked) = &asked {
                reads.invalidate(asked).await
            } else {
                reads.forget_all();
                cache.clear().await
            };
            world.note(format_args!("{instance} dropped {name:?}: {}", done.is_ok()));
        });
    }

    /// Tells instances of a change, some late, some twice.
    fn announce(&self, name: usize, version: Option<usize>, hear: &[(usize, u64, u8)]) {
        let now = self.world.now();
        for (instance, late, times) in hear {
            for again in 0..u64::from(*times) {
                let version = version.map(|version| version_id(name, version));
                let text = event(name, version.as_deref(), now);
                self.event(*instance, name, text, late + again * 700, Some(now));
            }
        }
    }

    fn event(&self, instance: usize, name: usize, text: String, late: u64, happened: Option<u64>) {
        let world = self.world.clone();
        let (events, reads, asked) =
            (self.instances[instance].events.clone(), self.instances[instance].reads.clone(), self.names[name].clone());
        self.spawn(instance, async move {
            sleep(Duration::from_millis(late)).await;
            world.state.lock().oracle.excuse(instance, Some(name), world.now() + 40_000);
            let concerns = reads.concerns(&asked);
            let handled = events.handle(&text).await;
            let now = world.now();
            world.note(format_args!("{instance} handled an event about {name}: {:?}", handled.as_ref().ok()));
            if let (Ok(true), Some(happened), true) = (handled, happened, concerns) {
                world.state.lock().oracle.followed(instance, name, happened, now);
            }
        });
    }

    /// Everything is well from now on; in the end every instance gives what is there.
    async fn settle(&self) {
        let (world, setting) = (&self.world, &self.world.setting);
        for instance in 0..self.instances.len() {
            let gate = world.gates[instance].clone();
            let closed = gate.closed_until();
            sleep(Duration::from_millis(closed.saturating_sub(world.now()))).await;
            gate.open(world.now());
        }
        {
            let mut state = world.state.lock();
            (state.aws_down_until, state.aws_hangs_until, state.aws_slow_until) = (0, 0, 0);
            (state.redis_down_until, state.redis_slow_until, state.healed) = (0, 0, true);
        }
        // Breakers, catch-ups and what AWS denied or lacked end within this time.
        sleep(Duration::from_millis(setting.ttl_ms + 45_000)).await;
        for (instance, one) in self.instances.iter().enumerate() {
            // The first read begins a refresh where a copy was used until now.
            let mut answers = Vec::new();
            for _ in 0..2 {
                answers = one.reads.read(&self.names).await;
                sleep(Duration::from_millis(1500)).await;
            }
            let now = world.now();
            let mut state = world.state.lock();
            let state = &mut *state;
            for (name, answer) in answers.iter().enumerate() {
                let expected = if state.denied[instance].contains(&name) && !setting.has_redis {
                    "SECRET_ACCESS_DENIED".to_owned()
                } else {
                    state.secrets[name].at(now).map_or("nothing".into(), |version| version_id(name, version))
                };
                let got = told(answer);
                state.trace.add(now, format_args!("in the end {instance} gives {got} for {name}"));
                if !(state.denied[instance].contains(&name) && got == "SECRET_ACCESS_DENIED") {
                    state.oracle.settled(instance, name, now, &got, &expected);
                }
            }
        }
    }
}

fn told(answer: &Answer) -> String {
    match answer {
        Ok(Some(found)) => found.version_id.as_deref().unwrap_or("?").to_owned(),
        Ok(None) => "nothing".into(),
        Err(error) => error.code().as_str().into(),
    }
}

fn begin(world: &World, instance: usize, name: usize) -> Begun {
    let now = world.now();
    world.state.lock().oracle.begin(instance, name, now, world.gates[instance].stood(now))
}

/// Judges an answer, and how long it took.
fn end(world: &World, who: (usize, usize), begun: Begun, answer: &Answer, what: &str) {
    let now = world.now();
    world.state.lock().oracle.end(who.0, who.1, begun, now, world.gates[who.0].stood(now));
    judge(world, who, begun, answer, what);
}

fn judge(world: &World, (instance, name): (usize, usize), begun: Begun, answer: &Answer, what: &str) {
    let now = world.now();
    let mut state = world.state.lock();
    let state = &mut *state;
    let stale = answer.as_ref().is_ok_and(|found| found.as_ref().is_some_and(|found| found.stale));
    let origin = answer.as_ref().ok().and_then(|found| found.as_ref()).map_or("", |found| found.origin.as_str());
    let got = told(answer);
    state.trace.add(now, format_args!("{what} of {name} by {instance} gives {got} {origin} {stale} {begun:?}"));
    match answer {
        Ok(Some(found)) => {
            // The call that the read waited for may outlive it.
            if stale {
                state.oracle.excuse(instance, Some(name), now + TIMEOUT_MS);
            }
            state.oracle.value((instance, name), begun, now, found, &state.secrets[name]);
        }
        Ok(None) => state.oracle.absent((instance, name), begun, now, &state.secrets[name]),
        Err(_) => state.oracle.excuse(instance, Some(name), now + TIMEOUT_MS),
    }
}

/// What EventBridge says when a version became live, or a secret was deleted.
fn event(name: usize, version: Option<&str>, at: u64) -> String {
    let time = secret::clock::iso8601(EPOCH_MS + at);
    match version {
        Some(version) => format!(
            r#"{{"source":"aws.secretsmanager","detail-type":"Secret Label Updated","time":"{time}","detail":{{"name":"{}","labelUpdated":"AWSCURRENT","versionId":"{version}"}}}}"#,
            id(name)
        ),
        None => format!(
            r#"{{"source":"aws.secretsmanager","detail-type":"AWS API Call via CloudTrail","time":"{time}","detail":{{"eventName":"DeleteSecret","requestParameters":{{"secretId":"{}"}}}}}}"#,
            id(name)
        ),
    }
}

/// Somebody publishes what no instance said.
fn forge(world: &Arc<World>, name: usize, kind: u8) {
    let (name, far) = (secret_name(name), world.redis_now() + 1_000_000);
    let message = match kind {
        0 => format!("2 {FORGER} drop {name} {far:015}"),
        1 => format!("2 {FORGER} drop {name} {:015} v-forged", 1),
        2 => format!("2 {FORGER} clear {far:015}"),
        3 => format!("1 {FORGER} drop {name} v-forged"),
        _ => format!("2 {FORGER} drop"),
    };
    world.publish(format!("sim:events:{ENVIRONMENT}").as_bytes(), message.as_bytes(), 0, None);
}
