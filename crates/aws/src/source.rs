//! AWS Secrets Manager as a source: its regions, its limits, and what it was asked so far.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::identity::Identity;
use crate::operation::{AwsCalls, Operation};
use crate::owner::Owner;
use crate::region::{Region, RegionState};
use crate::settings::AwsSettings;
#[cfg(feature = "simulation")]
use crate::simulated::SimulatedAws;
use secret::clock::Clock;
use secret::error::{ErrorCode, Result, SecretError};
use secret::freeze::Freezes;
use secret::rate_limit::TokenBucket;
use secret::reference::Arn;
use secret::role::{Role, divided, is_account};

/// The most requests under way at once. Each needs a connection of its own (HTTP/1.1); without a limit, a burst of cold
/// reads opened hundreds of them.
const MAX_IN_FLIGHT: usize = 64;
/// The most other regions and roles that clients are kept for: references can be made while a service runs.
const MOST_ELSEWHERE: usize = 256;

/// A region and the key of a role; empty: the own one.
type Place = (Box<str>, Box<str>);

/// AWS Secrets Manager as a source. Clients are made on first use: constructing a delivery does no I/O.
pub struct Aws {
    pub(crate) identity: Identity,
    /// The primary, then those that hold replicas.
    pub(crate) regions: Vec<Region>,
    pub(crate) timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) max_attempts: u32,
    pub(crate) rate_limit: TokenBucket,
    per_second: u32,
    pub(crate) in_flight: Semaphore,
    pub(crate) calls: Arc<AwsCalls>,
    /// How the attempts ended of calls that are under way, by what they ask for.
    pub(crate) failing: Mutex<BTreeMap<Box<str>, SecretError>>,
    account: Arc<Mutex<Option<Arc<str>>>>,
    pub(crate) config: Arc<AwsSettings>,
    pub(crate) clock: Clock,
    /// Other regions that ARNs named, and other roles that references named.
    elsewhere: Mutex<BTreeMap<Place, Arc<Self>>>,
    /// The identities of roles that references named.
    roles: Mutex<BTreeMap<Box<str>, Identity>>,
    pub(crate) freezes: &'static Freezes,
    #[cfg(feature = "simulation")]
    pub(crate) simulated: Option<(Arc<dyn SimulatedAws>, Freezes)>,
}

impl Aws {
    /// Makes the source. AWS is not called until the first read.
    pub fn new(config: &Arc<AwsSettings>, clock: &Clock) -> Self {
        Self::of(config, Identity::new(config.clone(), clock.clone()), clock)
    }

    fn of(config: &Arc<AwsSettings>, identity: Identity, clock: &Clock) -> Self {
        let (timeout, max_attempts) = (config.timeout, config.max_attempts);
        let rate_limit = TokenBucket::new(config.requests_per_second, clock.clone());
        let regions = Region::all(config, &identity, clock);
        let account = config.assume_role.as_ref().map(|role| role.account().into());
        let account = Arc::new(Mutex::new(account));
        let in_flight = Semaphore::new(MAX_IN_FLIGHT);
        Self {
            identity,
            regions,
            timeout,
            attempt_timeout: attempt_timeout(config),
            max_attempts,
            rate_limit,
            per_second: config.requests_per_second,
            in_flight,
            calls: Arc::default(),
            failing: Mutex::default(),
            account,
            config: config.clone(),
            clock: clock.clone(),
            elsewhere: Mutex::default(),
            roles: Mutex::default(),
            freezes: Freezes::process(),
            #[cfg(feature = "simulation")]
            simulated: None,
        }
    }

    /// The client of another region, where `id` is an ARN that names one, and of another role, where one stands behind it. AWS does
    /// not route by ARN: elsewhere the answer is that there is no such secret, or that it is denied. It has limits and breakers of
    /// its own, and a role has credentials of its own.
    pub(crate) fn elsewhere(&self, id: &str) -> Option<Arc<Self>> {
        let (id, key) = divided(id);
        let region = Arn::parse(id).map(|arn| arn.region).filter(|region| self.config.own_region() != Some(region));
        if region.is_none() && key.is_none() {
            return None;
        }
        let place = (region.unwrap_or_default().into(), key.unwrap_or_default().into());
        let mut elsewhere = self.elsewhere.lock();
        if elsewhere.len() >= MOST_ELSEWHERE && !elsewhere.contains_key(&place) {
            // Calls that are under way keep theirs; connections that nothing uses end with the last of them.
            elsewhere.clear();
            self.roles.lock().clear();
        }
        let other = elsewhere.entry(place).or_insert_with(|| {
            let settings = region.map_or_else(|| self.config.clone(), |region| Arc::new(self.config.of_region(region)));
            let identity = key.map_or_else(|| self.identity.clone(), |key| self.role(key, &settings));
            Arc::new(Self { calls: self.calls.clone(), ..Self::of(&settings, identity, &self.clock) })
        });
        Some(other.clone())
    }

    /// The identity of a role, for all regions in which it reads: STS is asked in the own region, where that is known.
    fn role(&self, key: &str, settings: &Arc<AwsSettings>) -> Identity {
        let mut roles = self.roles.lock();
        let identity = roles.entry(key.into()).or_insert_with(|| {
            // What is no role is refused by STS, and never read by the own identity instead.
            let role = Role::of_key(key).unwrap_or_else(|| Role { arn: key.into(), ..Role::default() });
            let place = if self.config.own_region().is_some() { &self.config } else { settings };
            self.identity.assuming(Arc::new(role), place.clone())
        });
        identity.clone()
    }

    /// Whether an ARN is of the own account, as far as that is known, and of the own region.
    pub fn is_own(&self, arn: &Arn<'_>) -> bool {
        self.account().as_deref() == Some(arn.account) && self.config.own_region() == Some(arn.region)
    }

    /// [`Aws::is_own`], also where only the credentials have told the account until now.
    pub async fn is_of_own_account(&self, arn: &Arn<'_>) -> bool {
        if self.account().is_some() || self.config.own_region() != Some(arn.region) {
            return self.is_own(arn);
        }
        self.identity.account().await.is_ok_and(|account| account.as_deref() == Some(arn.account))
    }

    /// Whose copies this process shares with others.
    pub fn owner(&self) -> Owner {
        Owner { identity: self.identity.clone(), config: self.config.clone() }
    }

    /// Calls so far.
    pub fn calls(&self) -> &AwsCalls {
        &self.calls
    }

    /// Whether several secrets may be asked for in one call.
    pub fn batches(&self) -> bool {
        self.config.batch
    }

    /// One deadline for a whole read.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The AWS account, known once AWS has sent a secret.
    pub fn account(&self) -> Option<Arc<str>> {
        self.account.lock().clone()
    }

    /// The own account, as AWS's answers say it, else as the credentials do; `None` where neither does.
    pub fn own_account(&self) -> Option<Arc<str>> {
        self.account().or_else(|| self.identity.known_account().flatten())
    }

    /// Whether secrets are asked for in `region` by name: the own region, or one with replicas. Where only a profile names the own
    /// region, any may be that.
    pub fn asks_in(&self, region: &str) -> bool {
        let is_of_replicas = || self.config.failover.iter().any(|replica| replica.region == region);
        self.config.own_region().is_none_or(|own| own == region) || is_of_replicas()
    }

    /// Calls `heard` whenever the credentials are those of another account than before. The own account is then told anew.
    pub fn on_another_account(&self, heard: impl Fn() + Send + Sync + 'static) {
        let (account, role) = (self.account.clone(), self.config.assume_role.clone());
        self.identity.on_another_account(Box::new(move || {
            *account.lock() = role.as_ref().map(|role| role.account().into());
            heard();
        }));
    }

    /// The ARN of a secret that was asked for by name has the own account: `arn:aws:secretsmanager:region:account:secret:…`.
    pub(crate) fn note_account(&self, asked: &str, arn: Option<&str>) {
        if !asked.starts_with("arn:")
            && divided(asked).1.is_none()
            && let Some(arn) = arn.and_then(Arn::parse).filter(|arn| is_account(arn.account))
        {
            let is_of_credentials = || self.identity.known_account().flatten().as_deref() == Some(arn.account);
            let mut account = self.account.lock();
            // A late answer may have named the account of the credentials before; what answers in AWS's place may name any.
            if account.as_deref() != Some(arn.account) && (account.is_none() || is_of_credentials()) {
                *account = Some(arn.account.into());
            }
        }
    }

    /// That an answer is about the secret that was asked for, and not about one of another account, region or name.
    ///
    /// # Errors
    /// `SOURCE_RESPONSE_INVALID`.
    pub(crate) fn check_answer(asked: &str, arn: Option<&str>, name: Option<&str>) -> Result<()> {
        let is_another = match Arn::parse(asked) {
            Some(asked) => arn.is_some_and(|given| !Arn::parse(given).is_some_and(|given| asked.names(&given))),
            None => name.is_some_and(|name| name != asked),
        };
        if !is_another {
            return Ok(());
        }
        Err(SecretError::new(ErrorCode::SourceResponseInvalid, format!("{asked}: what answered is another secret")))
    }

    /// The primary region. Replicas cannot be written to, and their versions are not yet the primary's.
    pub(crate) fn primary(&self) -> &[Region] {
        &self.regions[..1]
    }

    /// How long the rate limit makes the next call wait.
    pub fn wait(&self) -> Duration {
        self.rate_limit.wait()
    }

    /// Whether AWS throttles single reads at the moment.
    pub fn is_throttled(&self) -> bool {
        self.regions[0].pace(Operation::Get).error().is_some()
    }

    /// Whether a call that is under way finds out whether AWS is back, and others wait for what it finds.
    pub fn is_probed(&self) -> bool {
        self.regions.last().is_some_and(Region::is_probed)
    }

    /// So many calls the regions answered that read by name.
    pub(crate) fn answers(&self) -> u64 {
        self.regions.iter().map(Region::answers).sum()
    }

    /// How many calls the rate limit allows in a second.
    pub fn calls_per_second(&self) -> usize {
        usize::try_from(self.per_second).unwrap_or(usize::MAX)
    }

    /// The state of each region, the primary first, then its replicas, then those that ARNs named.
    pub fn regions(&self) -> Vec<RegionState> {
        let own = self.regions.iter().map(Region::state);
        let elsewhere = self.elsewhere.lock();
        let elsewhere = elsewhere.iter().flat_map(|((_, key), other)| {
            let role = key.split(';').next().filter(|arn| !arn.is_empty());
            other.regions().into_iter().map(move |state| RegionState { role: role.map(Into::into), ..state })
        });
        own.chain(elsewhere).collect()
    }

    /// Closes every connection. The next call opens one again.
    pub fn disconnect(&self) {
        self.regions.iter().for_each(Region::disconnect);
        self.identity.close();
        self.elsewhere.lock().values().for_each(|other| other.disconnect());
    }

    /// Lets the next call through every region's breaker, whatever happened before.
    pub fn probe_now(&self) {
        for region in &self.regions {
            region.probe_now();
        }
        self.elsewhere.lock().values().for_each(|other| other.probe_now());
    }
}

/// Leaves room for a second attempt when the first one hangs, and for every region.
fn attempt_timeout(config: &AwsSettings) -> Duration {
    let regions = u32::try_from(1 + config.failover.len()).unwrap_or(u32::MAX);
    config.timeout.mul_f64(0.6) / regions
}
