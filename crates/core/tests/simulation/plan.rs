//! What a schedule is: a world and a list of operations, drawn from a seed.

use fastrand::Rng;

use super::oracle::{CALLS_PER_SECOND, TIMEOUT_MS};

/// How a world is made.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "settings that a seed draws, each by itself")]
pub struct Setting {
    pub instances: usize,
    pub names: usize,
    pub has_redis: bool,
    pub has_snapshot: bool,
    pub refresh_ahead: bool,
    pub ttl_ms: u64,
    pub max_stale_ms: u64,
    pub negative_ttl_ms: u64,
    /// `None`: never.
    pub access_check_ms: Option<u64>,
    /// AWS may answer with what was true this long ago.
    pub lag_ms: u64,
    pub aws_slow_percent: u8,
    pub aws_fails_percent: u8,
    pub grants_batches: bool,
    pub redis_latency_ms: u64,
    pub redis_skew_ms: i64,
    pub message_delay_ms: u64,
    /// How wrong each instance's wall clock is.
    pub wall_skew_ms: Vec<i64>,
    /// The deadline of a read, and how often an instance may call AWS in a second.
    pub timeout_ms: u64,
    pub calls_per_second: u32,
    /// How many batches and single reads AWS answers in a second; `None`: all.
    pub quotas: Option<(u32, u32)>,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Act {
    Read {
        instance: usize,
        names: Vec<usize>,
    },
    Refresh {
        instance: usize,
        name: usize,
    },
    Invalidate {
        instance: usize,
        name: usize,
    },
    Clear {
        instance: usize,
    },
    List {
        instance: usize,
    },
    /// A new version; `hear`: instances that get the event, each after so many ms, each so many times.
    Rotate {
        name: usize,
        hear: Vec<(usize, u64, u8)>,
    },
    /// The version before the live one is live again.
    Rollback {
        name: usize,
        hear: Vec<(usize, u64, u8)>,
    },
    Delete {
        name: usize,
        hear: Vec<(usize, u64, u8)>,
    },
    Deny {
        instance: usize,
        name: usize,
    },
    Grant {
        instance: usize,
        name: usize,
    },
    ForgedEvent {
        instance: usize,
        name: usize,
    },
    ForgedMessage {
        name: usize,
        kind: u8,
    },
    RedisDown {
        ms: u64,
    },
    RedisFlush,
    RedisSlow {
        ms: u64,
    },
    /// The instance's connections are dead without a word.
    Cut {
        instance: usize,
    },
    AwsDown {
        ms: u64,
    },
    AwsHangs {
        ms: u64,
    },
    AwsSlow {
        ms: u64,
    },
    Freeze {
        instance: usize,
        ms: u64,
    },
    Restart {
        instance: usize,
    },
}

/// An act, and how long after the one before.
#[derive(Clone, Debug)]
pub struct Step {
    pub after_ms: u64,
    pub act: Act,
}

/// A seed's schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub seed: u64,
    pub setting: Setting,
    pub steps: Vec<Step>,
}

impl Schedule {
    /// The schedule of `seed`.
    pub fn of(seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let mut setting = setting(rng);
        if seed % 2 == 1 {
            (setting.names, setting.aws_slow_percent) = (1, rng.u8(30..70));
        }
        let count = rng.usize(20..70);
        // In every second schedule one secret changes fast, and AWS is slow: much happens at the same time.
        let is_dense = seed % 2 == 1;
        let steps = (0..count).map(|_| if is_dense { dense(rng, &setting) } else { step(rng, &setting) }).collect();
        Self { seed, setting, steps }
    }

    /// The same schedule with other steps.
    pub fn with(&self, steps: Vec<Step>) -> Self {
        Self { seed: self.seed, setting: self.setting.clone(), steps }
    }
}

fn percent(rng: &mut Rng, chance: u8) -> bool {
    rng.u8(0..100) < chance
}

fn setting(rng: &mut Rng) -> Setting {
    let instances = rng.usize(2..=4);
    let second = 1000;
    Setting {
        instances,
        names: rng.usize(1..=3),
        has_redis: percent(rng, 85),
        has_snapshot: percent(rng, 50),
        refresh_ahead: percent(rng, 70),
        ttl_ms: rng.u64(3..=20) * second,
        max_stale_ms: rng.u64(0..=40) * second,
        negative_ttl_ms: rng.u64(1..=5) * second,
        access_check_ms: percent(rng, 50).then(|| rng.u64(20..=60) * second),
        lag_ms: if percent(rng, 25) { rng.u64(20..=150) } else { 0 },
        aws_slow_percent: if percent(rng, 50) { rng.u8(5..40) } else { 0 },
        aws_fails_percent: if percent(rng, 40) { rng.u8(1..20) } else { 0 },
        grants_batches: percent(rng, 70),
        redis_latency_ms: if percent(rng, 70) { 2 } else { rng.u64(5..=200) },
        redis_skew_ms: rng.i64(-3_600_000..=3_600_000),
        message_delay_ms: if percent(rng, 60) { 5 } else { rng.u64(10..=3000) },
        wall_skew_ms: (0..instances).map(|_| rng.i64(-600_000..=600_000)).collect(),
        timeout_ms: TIMEOUT_MS,
        calls_per_second: CALLS_PER_SECOND,
        quotas: None,
    }
}

fn step(rng: &mut Rng, setting: &Setting) -> Step {
    let after_ms = match rng.u8(0..10) {
        0..=2 => 0,
        3..=5 => rng.u64(0..60),
        6..=7 => rng.u64(0..1500),
        8 => rng.u64(0..setting.ttl_ms),
        _ => rng.u64(0..=setting.ttl_ms + setting.max_stale_ms / 2),
    };
    Step { after_ms, act: act(rng, setting) }
}

fn dense(rng: &mut Rng, setting: &Setting) -> Step {
    let after_ms = match rng.u8(0..12) {
        0..=3 => 0,
        4..=8 => rng.u64(0..400),
        9..=10 => rng.u64(0..2000),
        _ => rng.u64(0..=setting.ttl_ms + setting.max_stale_ms / 2),
    };
    let (instance, exact) = (rng.usize(0..setting.instances), setting.lag_ms == 0);
    let act = match rng.u8(0..16) {
        0..=4 => Act::Read { instance, names: vec![0] },
        5..=6 => Act::Refresh { instance, name: 0 },
        7..=9 => Act::Rotate { name: 0, hear: hear(rng, setting) },
        10 if exact => Act::Delete { name: 0, hear: hear(rng, setting) },
        11 if exact => Act::Invalidate { instance, name: 0 },
        12 => Act::List { instance },
        _ => act(rng, setting),
    };
    Step { after_ms, act }
}

fn act(rng: &mut Rng, setting: &Setting) -> Act {
    let instance = rng.usize(0..setting.instances);
    let name = rng.usize(0..setting.names);
    // A host of AWS that lags behind may contradict a drop or a forged event: nothing could be said then.
    let exact = setting.lag_ms == 0;
    match rng.u8(0..100) {
        0..=44 => {
            let names = if percent(rng, 70) { vec![name] } else { (0..setting.names).collect() };
            Act::Read { instance, names }
        }
        45..=49 => Act::Refresh { instance, name },
        50..=54 if exact => Act::Invalidate { instance, name },
        55 if exact => Act::Clear { instance },
        56..=58 => Act::List { instance },
        59..=67 => Act::Rotate { name, hear: hear(rng, setting) },
        68..=70 if exact => Act::Rollback { name, hear: hear(rng, setting) },
        71..=72 if exact => Act::Delete { name, hear: hear(rng, setting) },
        73..=75 => Act::Deny { instance, name },
        76..=78 => Act::Grant { instance, name },
        79 if exact => Act::ForgedEvent { instance, name },
        80..=81 => Act::ForgedMessage { name, kind: rng.u8(0..5) },
        82..=83 => Act::RedisDown { ms: rng.u64(0..8000) },
        84 => Act::RedisFlush,
        85..=86 => Act::RedisSlow { ms: rng.u64(0..5000) },
        87..=88 => Act::Cut { instance },
        89..=90 => Act::AwsDown { ms: rng.u64(0..20_000) },
        91 => Act::AwsHangs { ms: rng.u64(0..5000) },
        92..=93 => Act::AwsSlow { ms: rng.u64(0..10_000) },
        94..=97 => Act::Freeze { instance, ms: if percent(rng, 70) { rng.u64(0..3000) } else { rng.u64(0..40_000) } },
        98 => Act::Restart { instance },
        _ => Act::Read { instance, names: vec![name] },
    }
}

fn hear(rng: &mut Rng, setting: &Setting) -> Vec<(usize, u64, u8)> {
    let mut hear = Vec::new();
    if percent(rng, 50) {
        for instance in 0..setting.instances {
            if percent(rng, 50) {
                let late = if percent(rng, 80) { rng.u64(0..300) } else { rng.u64(0..30_000) };
                hear.push((instance, late, if percent(rng, 80) { 1 } else { 2 }));
            }
        }
    }
    hear
}
