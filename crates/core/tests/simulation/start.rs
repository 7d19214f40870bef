//! Many instances that start at once, within AWS's quotas: the real core of each, in one thread, on a simulated clock.

use std::sync::Arc;
use std::time::Duration;

use cache::simulation;
use secret::name::SecretName;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::instance::Instance;
use super::plan::Setting;
use super::world::{World, secret_name};

const SECRETS: usize = 100;
/// AWS's quotas of batches and of single reads, in calls a second, for 1,000 instances; fewer get their share.
const QUOTAS: (usize, usize) = (100, 10_000);
/// Instances that have not started by then never will.
const GIVE_UP_MS: u64 = 300_000;

/// How an instance reads its secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As `SecretDelivery.open` does.
    AllAtOnce,
    /// Ten tools of ten secrets, one after the other, and again what failed.
    ToolByTool,
}

/// What starts.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    pub instances: usize,
    pub has_redis: bool,
    pub reading: Reading,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Started {
    /// When half of the instances had all secrets, and when the last one had.
    pub half_ms: u64,
    pub last_ms: u64,
    /// Calls of AWS that were answered, and that were throttled.
    pub answered: u64,
    pub throttled: u64,
    /// Reads that were rejected and made again.
    pub rejected: u64,
}

/// Starts the instances, and waits for the last one.
pub fn run(fleet: &Fleet) -> Started {
    fastrand::seed(1);
    simulation::reset();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let started = runtime.expect("a runtime").block_on(go(fleet));
    simulation::reset();
    started
}

async fn go(fleet: &Fleet) -> Started {
    let world = World::new(1, &setting(fleet), false);
    let names: Arc<[SecretName]> = (0..SECRETS).map(|i| SecretName::new(&secret_name(i)).expect("a name")).collect();
    let instances: Vec<Instance> = (0..fleet.instances).map(|number| Instance::start(&world, number)).collect();
    let mut starting = JoinSet::new();
    for instance in &instances {
        starting.spawn(start(world.clone(), instance.clone(), names.clone(), fleet.reading));
    }
    let mut ended = Vec::new();
    let mut rejected = 0;
    while let Some(one) = starting.join_next().await {
        let (at, again) = one.expect("a start");
        ended.push(at);
        rejected += again;
    }
    for instance in &instances {
        instance.stop.cancel();
    }
    sleep(Duration::from_millis(1)).await;
    ended.sort_unstable();
    let state = world.state.lock();
    Started {
        half_ms: ended[ended.len() / 2],
        last_ms: ended[ended.len() - 1],
        answered: state.answered,
        throttled: state.throttled,
        rejected,
    }
}

/// Reads until everything is there; gives when that was, and how many reads were rejected.
async fn start(world: Arc<World>, instance: Instance, names: Arc<[SecretName]>, reading: Reading) -> (u64, u64) {
    let size = if reading == Reading::AllAtOnce { names.len() } else { names.len() / 10 };
    let mut rejected = 0;
    for tool in names.chunks(size) {
        loop {
            let answers = instance.reads.read(tool).await;
            let missing = answers.iter().filter(|answer| !matches!(answer, Ok(Some(_)))).count() as u64;
            if missing == 0 {
                break;
            }
            rejected += missing;
            if world.now() > GIVE_UP_MS {
                return (world.now(), rejected);
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
    (world.now(), rejected)
}

fn setting(fleet: &Fleet) -> Setting {
    let share = |quota: usize| u32::try_from((quota * fleet.instances / 1000).max(1)).unwrap_or(u32::MAX);
    Setting {
        instances: fleet.instances,
        names: SECRETS,
        has_redis: fleet.has_redis,
        has_snapshot: false,
        refresh_ahead: true,
        ttl_ms: 300_000,
        max_stale_ms: 3_600_000,
        negative_ttl_ms: 5000,
        access_check_ms: Some(86_400_000),
        lag_ms: 0,
        aws_slow_percent: 0,
        aws_fails_percent: 0,
        grants_batches: true,
        redis_latency_ms: 2,
        redis_skew_ms: 0,
        message_delay_ms: 5,
        wall_skew_ms: vec![0; fleet.instances],
        timeout_ms: 4500,
        calls_per_second: 200,
        quotas: Some((share(QUOTAS.0), share(QUOTAS.1))),
    }
}
