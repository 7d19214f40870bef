//! One instance: the real reads, caches and events over the simulated world.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws::Aws;
use aws::settings::{AwsCredentials, AwsSettings, CredentialsSource};
use cache::settings::{CacheSettings, EncryptionKey, RedisSettings};
use cache::tiered::TieredCache;
use secret::aws_ids::AwsIdTemplate;
use secret::clock::Clock;
use secret::manifest::Manifest;
use secret::notice::{Notices, Silent};
use secret::value::SecretValue;
use tcs_secret_delivery_core::events::{Events, Parts as EventParts};
use tcs_secret_delivery_core::metrics::Metrics;
use tcs_secret_delivery_core::reads::copies::Names;
use tcs_secret_delivery_core::reads::{Parts, Reads};
use tcs_secret_delivery_core::tasks::Tasks;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::aws::Service;
use super::plan::Setting;
use super::redis_server::Reached;
use super::world::{ENVIRONMENT, MachineTime, World};

/// A process of the service.
#[derive(Clone)]
pub struct Instance {
    pub reads: Arc<Reads>,
    pub events: Arc<Events>,
    pub stop: CancellationToken,
}

impl Instance {
    /// Starts it.
    pub fn start(world: &Arc<World>, number: usize) -> Self {
        let setting = &world.setting;
        let url = format!("simulation:{number}");
        cache::simulation::serve(&url, Arc::new(Reached { world: world.clone(), instance: number }));
        let time = MachineTime {
            start: world.start,
            first_ms: 1_000_000 * (number as u64 + 1),
            wall_skew_ms: setting.wall_skew_ms[number],
        };
        let clock = Clock::simulated(Arc::new(time));
        let (notices, tools): (Arc<dyn Notices>, _) = (Arc::new(Silent), Arc::new(Manifest::default()));
        let redis = setting.has_redis.then(|| RedisSettings {
            url: Zeroizing::new(url.clone()),
            key_prefix: "sim:".into(),
            tls: None,
            sentinel: None,
            trust: Arc::default(),
            bundle: None,
        });
        let settings = CacheSettings {
            ttl: Duration::from_millis(setting.ttl_ms),
            max_entries: 1000,
            max_stale: Duration::from_millis(setting.max_stale_ms),
            negative_ttl: Duration::from_millis(setting.negative_ttl_ms),
            access_check: setting.access_check_ms.map(Duration::from_millis),
            refresh_ahead: setting.refresh_ahead,
            snapshot: setting.has_snapshot.then(|| PathBuf::from(format!("simulation:/{number}"))),
            redis,
            keys: vec![EncryptionKey { id: "k1".into(), key: Zeroizing::new([7; 32]) }],
        };
        let ids = AwsIdTemplate::parse(AwsIdTemplate::DEFAULT).expect("a template").of(ENVIRONMENT);
        let names = Names { tools, ids: ids.clone() };
        let parts = (ids.clone(), ENVIRONMENT, names.rotation_notice(&notices));
        let access_check = settings.access_check;
        let cache = TieredCache::new(settings, parts, (None, None), clock.clone(), notices.clone()).expect("a cache");
        let service = Arc::new(Service { world: world.clone(), instance: number });
        let aws = Aws::simulated(&Arc::new(aws_settings(setting)), &clock, service);
        let (metrics, tasks) = (Arc::new(Metrics::default()), Tasks::behind(world.gates[number].clone()));
        let stop = CancellationToken::new();
        let reads = Reads::new(Parts {
            aws: Some(aws),
            cache: Some(cache),
            access_check,
            names,
            clock: clock.clone(),
            metrics: metrics.clone(),
            notices: notices.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
            audit: None,
        });
        let events = Events::new(EventParts {
            audit: None,
            queue: None,
            poll_every: None,
            reads: reads.clone(),
            clock,
            metrics,
            notices,
            tasks,
            stop: stop.clone(),
        });
        Self { reads, events, stop }
    }
}

fn aws_settings(setting: &Setting) -> AwsSettings {
    AwsSettings {
        region: Some("eu-central-1".into()),
        credentials: Some(CredentialsSource::Fixed(AwsCredentials {
            access_key_id: "simulated".into(),
            secret_access_key: SecretValue::copied("simulated"),
            session_token: None,
            ends_unix_ms: None,
        })),
        timeout: Duration::from_millis(setting.timeout_ms),
        connect_timeout: Duration::from_millis(500),
        max_attempts: 3,
        requests_per_second: setting.calls_per_second,
        instance_metadata: false,
        ..AwsSettings::default()
    }
}
