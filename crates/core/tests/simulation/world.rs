//! The simulated world: what is true in AWS, what goes wrong, and what was heard.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use secret::clock::{Clock, Moment, SimulatedTime};
use secret::rate_limit::TokenBucket;
use tcs_secret_delivery_core::tasks::Gate;
use tokio::time::Instant;

use super::oracle::Oracle;
use super::plan::Setting;
use super::redis_server::Line;
use super::store::Store;

/// Where the true wall clock starts: 2026-01-01T00:00:00Z.
pub const EPOCH_MS: u64 = 1_767_225_600_000;
/// For ever, as far as a schedule is concerned.
pub const NEVER: u64 = u64::MAX;
pub const ENVIRONMENT: &str = "production";

/// The AWS id of name number `name`.
pub fn id(name: usize) -> String {
    format!("{}_{ENVIRONMENT}", secret_name(name))
}

/// The secret's name.
pub fn secret_name(name: usize) -> String {
    format!("SIM_N{name}")
}

/// The number of the name in an AWS id.
pub fn name_of(id: &str) -> Option<usize> {
    id.strip_prefix("SIM_N")?.split('_').next()?.parse().ok()
}

/// AWS's id of a version.
pub fn version_id(name: usize, version: usize) -> String {
    format!("v-{name}-{version}")
}

/// The value of a version.
pub fn value(name: usize, version: usize) -> String {
    format!("{name}#{version}")
}

/// A time in which one version was live.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    pub version: usize,
    pub from: u64,
    pub until: u64,
}

/// What AWS has had of one secret.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub live: Vec<Live>,
    /// When each version was made.
    pub created: Vec<u64>,
}

impl History {
    /// The version that was live at `at`.
    pub fn at(&self, at: u64) -> Option<usize> {
        self.live.iter().rev().find(|live| live.from <= at && at < live.until).map(|live| live.version)
    }

    fn end(&mut self, now: u64) {
        if let Some(last) = self.live.last_mut()
            && last.until == NEVER
        {
            last.until = now;
        }
    }

    /// Makes `version` live.
    pub fn promote(&mut self, version: usize, now: u64) {
        self.end(now);
        self.live.push(Live { version, from: now, until: NEVER });
    }

    /// Makes a new version live.
    pub fn rotate(&mut self, now: u64) -> usize {
        let version = self.created.len();
        self.created.push(EPOCH_MS + now);
        self.promote(version, now);
        version
    }

    /// No version is live.
    pub fn delete(&mut self, now: u64) {
        self.end(now);
    }
}

/// All that changes.
pub struct State {
    pub rng: Rng,
    pub secrets: Vec<History>,
    pub denied: Vec<BTreeSet<usize>>,
    pub store: Store,
    pub lines: Vec<Weak<Line>>,
    pub aws_down_until: u64,
    pub aws_hangs_until: u64,
    pub aws_slow_until: u64,
    pub redis_down_until: u64,
    pub redis_slow_until: u64,
    /// Nothing goes wrong any more.
    pub healed: bool,
    pub oracle: Oracle,
    /// Calls of AWS under way, by instance and name.
    pub under_way: BTreeMap<(usize, usize), u32>,
    /// Calls of AWS that were within its quotas, and that were not.
    pub answered: u64,
    pub throttled: u64,
    pub trace: Trace,
}

/// What happened, as text if it is wanted, and as a number.
pub struct Trace {
    pub text: Option<String>,
    pub hash: u64,
    pub lines: u64,
}

impl Trace {
    pub fn new(keeps_text: bool) -> Self {
        Self { text: keeps_text.then(String::new), hash: 0xcbf2_9ce4_8422_2325, lines: 0 }
    }

    pub fn add(&mut self, now: u64, what: fmt::Arguments<'_>) {
        let _ = writeln!(self, "{now:>8} {what}");
        self.lines += 1;
    }
}

impl fmt::Write for Trace {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for byte in part.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(text) = &mut self.text {
            text.push_str(part);
        }
        Ok(())
    }
}

/// The world of one schedule.
pub struct World {
    pub setting: Setting,
    pub start: Instant,
    pub gates: Vec<Arc<Freezer>>,
    /// AWS's quotas of batches and of single reads.
    pub quotas: Option<(TokenBucket, TokenBucket)>,
    pub state: Mutex<State>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

impl World {
    pub fn new(seed: u64, setting: &Setting, keeps_text: bool) -> Arc<Self> {
        let start = now();
        let mut secrets = vec![History::default(); setting.names];
        for history in &mut secrets {
            history.rotate(0);
        }
        let quotas = setting.quotas.map(|(batches, reads)| {
            let clock = Clock::simulated(Arc::new(MachineTime { start, first_ms: 0, wall_skew_ms: 0 }));
            (TokenBucket::new(batches, clock.clone()), TokenBucket::new(reads, clock))
        });
        Arc::new(Self {
            quotas,
            setting: setting.clone(),
            start,
            gates: (0..setting.instances).map(|_| Arc::default()).collect(),
            state: Mutex::new(State {
                rng: Rng::with_seed(seed ^ 0x5eed),
                secrets,
                denied: vec![BTreeSet::new(); setting.instances],
                store: Store::default(),
                lines: Vec::new(),
                aws_down_until: 0,
                aws_hangs_until: 0,
                aws_slow_until: 0,
                redis_down_until: 0,
                redis_slow_until: 0,
                healed: false,
                oracle: Oracle::new(setting),
                under_way: BTreeMap::new(),
                answered: 0,
                throttled: 0,
                trace: Trace::new(keeps_text),
            }),
        })
    }

    /// True milliseconds since the start.
    pub fn now(&self) -> u64 {
        u64::try_from((now() - self.start).as_millis()).unwrap_or(NEVER)
    }

    /// What Redis's clock shows.
    pub fn redis_now(&self) -> u64 {
        (EPOCH_MS + self.now()).saturating_add_signed(self.setting.redis_skew_ms)
    }

    pub fn note(&self, what: fmt::Arguments<'_>) {
        let now = self.now();
        self.state.lock().trace.add(now, what);
    }

    pub fn redis_is_down(&self) -> bool {
        self.now() < self.state.lock().redis_down_until
    }

    pub fn redis_latency(&self) -> Duration {
        let now = self.now();
        let mut state = self.state.lock();
        let slow = now < state.redis_slow_until;
        let most = if slow { 600 } else { self.setting.redis_latency_ms };
        Duration::from_millis(state.rng.u64(0..=most))
    }

    pub fn message_delay(&self) -> u64 {
        let mut state = self.state.lock();
        if state.healed { 1 } else { state.rng.u64(0..=self.setting.message_delay_ms) }
    }

    /// Sends a message to every subscriber. `took`: how long the command of instance `from` took to the server.
    pub fn publish(&self, channel: &[u8], message: &[u8], took: u64, from: Option<usize>) {
        self.note(format_args!("published {}", String::from_utf8_lossy(message)));
        let lines: Vec<_> = {
            let mut state = self.state.lock();
            state.lines.retain(|line| line.strong_count() > 0);
            state.lines.iter().filter_map(Weak::upgrade).collect()
        };
        for line in lines {
            line.tell(channel, message, took, from);
        }
    }

    /// A message arrived at an instance, which follows once it runs.
    pub fn heard(&self, instance: usize, message: &[u8], took: u64, from: Option<usize>) {
        let now = self.now();
        // It binds from then on, whether Redis confirms it or does not answer.
        let closed = self.gates[instance].closed_until();
        let effective = if closed > now { closed + 2 } else { now };
        let message = String::from_utf8_lossy(message).into_owned();
        self.note(format_args!("{instance} hears {message}"));
        // The time in the message, by the true clock, when the instance that dropped it sent the command.
        let before = message.split(' ').nth(if message.contains(" clear") { 3 } else { 4 });
        let before = before.and_then(|ms| ms.parse::<u64>().ok()).map_or(0, |ms| {
            ms.saturating_add_signed(-self.setting.redis_skew_ms).saturating_sub(EPOCH_MS).saturating_sub(took)
        });
        let mut state = self.state.lock();
        state.oracle.excuse(instance, None, effective + 6000);
        // It knows better what it said itself.
        if from != Some(instance) {
            state.oracle.heard(instance, &message, before, effective);
        }
    }

    /// The instance's connections, or all of them.
    pub fn lines(&self, instance: Option<usize>) -> Vec<Arc<Line>> {
        let lines: Vec<_> = self.state.lock().lines.iter().filter_map(Weak::upgrade).collect();
        lines.into_iter().filter(|line| instance.is_none_or(|own| own == line.instance)).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "CLOCK: the simulated world's time is tokio's")]
fn now() -> Instant {
    Instant::now()
}

/// Stops an instance and continues it.
#[derive(Debug, Default)]
pub struct Freezer {
    state: Mutex<Frozen>,
}

#[derive(Debug, Default)]
struct Frozen {
    until: Option<u64>,
    /// How long it stood still so far.
    total: u64,
    since: u64,
    waiting: Vec<Waker>,
}

impl Freezer {
    /// Stops the instance at `now` until `until` at least.
    pub fn close(&self, now: u64, until: u64) {
        let mut state = self.state.lock();
        if state.until.is_none() {
            state.since = now;
        }
        state.until = Some(state.until.map_or(until, |before| before.max(until)));
    }

    /// Continues it if its time has come.
    pub fn open(&self, now: u64) {
        let waiting = {
            let mut state = self.state.lock();
            if state.until.is_none_or(|until| until > now) {
                return;
            }
            state.until = None;
            state.total += now - state.since;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How long it stood still until now.
    pub fn stood(&self, now: u64) -> u64 {
        let state = self.state.lock();
        state.total + if state.until.is_some() { now - state.since } else { 0 }
    }

    /// When it runs again; 0 while it runs.
    pub fn closed_until(&self) -> u64 {
        self.state.lock().until.unwrap_or(0)
    }
}

impl Gate for Freezer {
    fn is_open(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if state.until.is_some() && !state.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        state.until.is_none()
    }
}

/// The clocks of an instance's machine.
#[derive(Debug)]
pub struct MachineTime {
    pub start: Instant,
    /// What the monotonic clock shows at the start.
    pub first_ms: u64,
    pub wall_skew_ms: i64,
}

impl SimulatedTime for MachineTime {
    fn now(&self) -> Moment {
        Moment::from_millis(self.first_ms + self.passed())
    }

    fn unix_ms(&self) -> u64 {
        (EPOCH_MS + self.passed()).saturating_add_signed(self.wall_skew_ms)
    }
}

impl MachineTime {
    fn passed(&self) -> u64 {
        u64::try_from((now() - self.start).as_millis()).unwrap_or(NEVER)
    }
}
