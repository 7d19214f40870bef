//! AWS behind its caches: what a read returns when AWS answers, refuses or fails (DESIGN section 4, second table).

mod fetch;
mod gather;
mod many;
mod versions;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, Once, PoisonError};

use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::flight::{Flights, Role};
use crate::metrics::{Metrics, add};
use crate::tasks::Tasks;
use aws::Aws;
use cache::memory::{Entry, Lookup};
use cache::tiered::{At, Changed, Shared, TieredCache, Want};
use gather::Gather;
use many::NameList;
use secret::breaker::BreakerState;
use secret::clock::{Clock, Moment};
use secret::error::{Result, SecretError};
use secret::found::Fetched;
use secret::found::Found;
use secret::found::Origin;
use secret::manifest::Manifest;
use secret::name::{AwsIds, SecretName};
use secret::notice::{Notice, Notices};
use versions::Remembered;
pub use versions::Versions;

/// A value, or "AWS has none".
pub type Answer = Result<Option<Found>>;

/// AWS, its caches, and the rules between them.
pub struct AwsLayer {
    /// `None` when AWS is switched off.
    pub aws: Option<Aws>,
    /// `None` when nothing is cached.
    pub cache: Option<TieredCache>,
    /// How names become AWS ids.
    pub ids: AwsIds,
    flights: Flights<Option<Found>>,
    gather: Gather,
    tasks: Tasks,
    stop: CancellationToken,
    clock: Clock,
    metrics: Arc<Metrics>,
    notices: Arc<dyn Notices>,
    tools: Arc<Manifest>,
    batch_refused_until: Mutex<Option<Moment>>,
    listings: Mutex<HashMap<String, NameList>>,
    /// Copies whose refresh is about to begin.
    refreshes: Mutex<BTreeMap<SecretName, Arc<Entry>>>,
    last_failure: Mutex<Option<SecretError>>,
    following: Once,
    snapshot_is_due: std::sync::atomic::AtomicBool,
    versions: Mutex<HashMap<SecretName, Remembered>>,
}

/// What an AWS layer is made of.
pub struct Parts {
    /// See [`AwsLayer::aws`].
    pub aws: Option<Aws>,
    /// See [`AwsLayer::cache`].
    pub cache: Option<TieredCache>,
    /// See [`AwsLayer::ids`].
    pub ids: AwsIds,
    /// Reads time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Hears of rotations.
    pub notices: Arc<dyn Notices>,
    /// Says whose secret a name is.
    pub tools: Arc<Manifest>,
    /// Owns background tasks.
    pub tasks: Tasks,
    /// Ends them.
    pub stop: CancellationToken,
}

impl AwsLayer {
    /// Asks nothing yet.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            aws: parts.aws,
            cache: parts.cache,
            ids: parts.ids,
            flights: Flights::new(parts.tasks.clone(), parts.stop.clone()),
            gather: Gather::default(),
            tasks: parts.tasks,
            stop: parts.stop,
            clock: parts.clock,
            metrics: parts.metrics,
            notices: parts.notices,
            tools: parts.tools,
            batch_refused_until: Mutex::new(None),
            listings: Mutex::default(),
            refreshes: Mutex::default(),
            last_failure: Mutex::new(None),
            following: Once::new(),
            snapshot_is_due: false.into(),
            versions: Mutex::default(),
        })
    }

    /// The AWS id of `name` here.
    pub fn id(&self, name: &SecretName) -> String {
        self.ids.id(name)
    }

    /// Why AWS failed last; `None` when its last answer was one.
    pub fn last_failure(&self) -> Option<SecretError> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether each source is asked at all, the primary region first.
    pub fn breakers(&self) -> Vec<(String, BreakerState)> {
        let regions = self.aws.iter().flat_map(Aws::regions).enumerate().map(|(i, region)| {
            let name = match (i, region.region) {
                (0, _) | (_, None) => "aws".to_owned(),
                (_, Some(name)) => format!("aws:{name}"),
            };
            (name, region.breaker)
        });
        let redis =
            self.cache.iter().filter_map(TieredCache::redis).map(|redis| ("redis".to_owned(), redis.breaker_state()));
        regions.chain(redis).collect()
    }

    /// Reads `name` from the caches or AWS.
    ///
    /// # Errors
    /// AWS's, when no stale copy may answer for it.
    pub async fn read(self: &Arc<Self>, name: &SecretName) -> Answer {
        match self.from_memory(name) {
            Some(answer) => answer,
            None => self.fetch_shared_flight(name).await,
        }
    }

    /// Reads past the caches and replaces their copies. Begins a fetch of its own even when one is under way: that one
    /// may have asked before whatever made the caller want a fresh value.
    ///
    /// # Errors
    /// AWS's. Stale copies do not answer, and a failing AWS leaves the cached copies where they are.
    pub async fn refresh(self: &Arc<Self>, name: &SecretName) -> Answer {
        self.flights.forget(name.as_str());
        let (layer, wanted) = (self.clone(), name.clone());
        let (_, answer) = self
            .flights
            .join(name.as_str(), move || async move {
                // What was asked for earlier may not come back later.
                if let Some(cache) = &layer.cache {
                    cache.supersede_fetches(&wanted);
                }
                let want = layer.want(&wanted);
                let fetched = layer.ask_aws(&wanted).await;
                if let Ok(Some(found)) = &fetched {
                    layer.share_later(vec![(want.clone(), found.clone())], None);
                }
                layer.settle(&want, fetched, None, true).await
            })
            .await;
        answer
    }

    /// Refreshes a copy that is still served, in the background, and takes along what is due as well. Called from any
    /// thread.
    pub fn refresh_ahead(self: &Arc<Self>, name: &str, entry: &Arc<Entry>, runtime: &Handle) {
        let Ok(name) = SecretName::new(name) else { return };
        let is_first = {
            let mut refreshes = self.refreshes.lock().unwrap_or_else(PoisonError::into_inner);
            refreshes.insert(name, entry.clone());
            refreshes.len() == 1
        };
        if !is_first {
            return;
        }
        let layer = self.clone();
        let refresh = async move {
            tokio::time::sleep(gather::WINDOW).await;
            let due = std::mem::take(&mut *layer.refreshes.lock().unwrap_or_else(PoisonError::into_inner));
            layer.refresh_due(due).await;
        };
        self.tasks.spawn_on(self.until_stopped(refresh), runtime);
    }

    /// Whether no fetch is under way.
    pub fn is_idle(&self) -> bool {
        self.flights.is_idle()
    }

    /// Forgets flights that began before an invalidation of `name`.
    pub fn forget(&self, name: &SecretName) {
        self.flights.forget(name.as_str());
    }

    /// Forgets all flights and listings.
    pub fn forget_all(&self) {
        self.flights.forget_all();
        self.listings().clear();
    }

    fn want(&self, name: &SecretName) -> Want {
        match &self.cache {
            Some(cache) => cache.want(name),
            None => Want { name: name.clone(), newer_than: 0, at: At::default() },
        }
    }

    /// The answer that needs no waiting, or `None`.
    fn from_memory(self: &Arc<Self>, name: &SecretName) -> Option<Answer> {
        let cache = self.cache.as_ref()?;
        let (entry, stale) = match cache.lookup(name) {
            Lookup::Fresh(entry) => (entry, false),
            Lookup::Held(entry) => (entry, true),
            Lookup::Absent => {
                add(&self.metrics.hits);
                return Some(Ok(None));
            }
            Lookup::Denied(error) => {
                add(&self.metrics.unauthorized);
                return Some(Err(error));
            }
            Lookup::Stale(_) | Lookup::Miss => return None,
        };
        add(&self.metrics.hits);
        if entry.claim_refresh(self.clock.now()) {
            self.refresh_ahead(name.as_str(), &entry, &Handle::current());
        }
        Some(Ok(Some(entry.found(Origin::Memory, stale))))
    }

    async fn fetch_shared_flight(self: &Arc<Self>, name: &SecretName) -> Answer {
        let (layer, wanted) = (self.clone(), name.clone());
        let (role, answer) =
            self.flights.join(name.as_str(), move || async move { layer.fetch_one(&wanted).await }).await;
        if role == Role::Follower {
            add(&self.metrics.shared_calls);
        }
        answer
    }

    async fn fetch_one(self: &Arc<Self>, name: &SecretName) -> Answer {
        self.follow_changes();
        let (want, deadline) = (self.want(name), self.deadline());
        let shared = match &self.cache {
            Some(cache) => cache.lookup_shared(&want).await,
            None => Shared::Disabled,
        };
        let asked = self.ask(want.clone());
        self.fetch_missed(want, shared, asked, deadline).await
    }

    /// One deadline for a read: looking into Redis and waiting for another instance count as well.
    fn deadline(&self) -> Instant {
        Instant::now() + self.aws.as_ref().map(Aws::timeout).unwrap_or_default()
    }

    /// Goes on from what the shared cache said: to `ask`, unless it had a fresh copy.
    async fn fetch_missed(
        self: &Arc<Self>,
        want: Want,
        shared: Shared,
        ask: impl Future<Output = gather::Asked>,
        deadline: Instant,
    ) -> Answer {
        if let Shared::Fresh(entry) = &shared {
            add(&self.metrics.hits);
            return Ok(Some(self.adopted(&want, entry, None)));
        }
        if self.cache.is_some() {
            add(&self.metrics.misses);
        }
        let stale = younger(self.stale_in_memory(&want.name), shared.stale());
        let may_have_copies = stale.is_some() || matches!(shared, Shared::Failed(_));
        let asked = self.in_time(&want.name, ask, deadline).await;
        self.settle_asked(&want, asked, stale, may_have_copies).await
    }

    async fn in_time(
        &self,
        name: &SecretName,
        ask: impl Future<Output = gather::Asked>,
        deadline: Instant,
    ) -> gather::Asked {
        let Some(aws) = &self.aws else { return gather::Asked::Aws(Ok(None)) };
        match tokio::time::timeout_at(deadline, ask).await {
            Ok(asked) => asked,
            Err(_) => gather::Asked::Aws(Err(aws.timed_out(&self.id(name)))),
        }
    }

    async fn settle_asked(
        self: &Arc<Self>,
        want: &Want,
        asked: gather::Asked,
        stale: Option<Arc<Entry>>,
        may_have_copies: bool,
    ) -> Answer {
        match asked {
            gather::Asked::Aws(fetched) => self.settle(want, fetched, stale, may_have_copies).await,
            gather::Asked::Shared(Shared::Fresh(entry)) => Ok(Some(self.adopted(want, &entry, stale.as_ref()))),
            gather::Asked::Shared(_) => Ok(None),
        }
    }

    /// A copy that another instance shared, in place of the one `before`. No hit by itself: a refresh has no reader, and
    /// a reader who waited for the other instance was counted as a miss.
    fn adopted(&self, want: &Want, entry: &Arc<Entry>, before: Option<&Arc<Entry>>) -> Found {
        let known = before.and_then(|before| before.known());
        if known.is_some_and(|known| known.is_outdated_by(entry.version_id.as_deref(), &entry.value)) {
            self.tell_rotated(&want.name);
        }
        entry.found(Origin::Redis, false)
    }

    async fn ask_aws(&self, name: &SecretName) -> Result<Option<Fetched>> {
        match &self.aws {
            Some(aws) => aws.fetch(&self.id(name)).await,
            None => Ok(None),
        }
    }

    /// Applies the table: caches follow AWS's answer, and a stale copy may answer for a failure.
    async fn settle(
        self: &Arc<Self>,
        want: &Want,
        fetched: Result<Option<Fetched>>,
        stale: Option<Arc<Entry>>,
        may_have_copies: bool,
    ) -> Answer {
        self.note_outcome(&fetched);
        let name = &want.name;
        match fetched {
            // An empty secret counts as absent (decision D4).
            Ok(Some(fetched)) if !fetched.value.is_empty() => Ok(Some(self.keep(want, fetched))),
            Ok(_) => {
                if let Some(cache) = &self.cache {
                    let dropped = cache.store_absent(name, may_have_copies).await;
                    if stale.is_some() {
                        self.note_undropped(name, dropped);
                    }
                    self.write_snapshot_later();
                }
                Ok(None)
            }
            Err(error) if error.is_denied() => {
                add(&self.metrics.unauthorized);
                if let Some(cache) = &self.cache {
                    self.note_undropped(name, cache.store_denied(name, &error).await);
                    self.write_snapshot_later();
                }
                Err(error)
            }
            Err(error) => {
                let Some(cache) = &self.cache else { return Err(error) };
                let stale = match stale {
                    Some(stale) => Some(stale),
                    None => cache.from_snapshot(name).await,
                };
                let held = stale.and_then(|stale| cache.hold(name, &stale, &error, want.at)).ok_or(error)?;
                Ok(Some(held.found(Origin::Memory, !held.is_fresh(self.clock.now()))))
            }
        }
    }

    fn keep(self: &Arc<Self>, want: &Want, fetched: Fetched) -> Found {
        if let Some(cache) = &self.cache {
            let is_news = self.is_news(&want.name, &fetched);
            if cache.store(&want.name, &fetched, want.at) {
                if is_news {
                    self.tell_rotated(&want.name);
                }
                self.write_snapshot_later();
            }
        }
        Found { value: fetched.value, origin: Origin::Aws, version_id: fetched.version_id, stale: false }
    }

    /// Whether another version was known before.
    fn is_news(&self, name: &SecretName, fetched: &Fetched) -> bool {
        let known = self.cache.as_ref().and_then(|cache| cache.known(name));
        known.is_some_and(|known| known.is_outdated_by(fetched.version_id.as_deref(), &fetched.value))
    }

    /// Tells the owner of a shared copy that should be gone and may still be there.
    pub(crate) fn note_undropped(&self, name: &SecretName, dropped: Result<()>) {
        if let Err(error) = dropped {
            let (name, until) = (name.as_str(), "instances may read it until its TTL ends");
            let message = format!("{name}: the shared copy could not be dropped, {until}: {error}");
            self.notices.notice(Notice::warning("SHARED_COPY_NOT_DROPPED", message));
        }
    }

    fn note_unheard(&self, why: &str) {
        let message = format!(
            "what other instances change is not heard: Redis does not let this user subscribe ({why}); copies here are \
             served until their TTL ends"
        );
        self.notices.notice(Notice::warning("CHANGES_NOT_HEARD", message));
    }

    /// Tells the owner that `name` has another version.
    pub fn tell_rotated(&self, name: &SecretName) {
        if let Some(owner) = self.tools.owner(name.as_str()) {
            self.notices.notice(Notice::Rotated {
                tool: owner.tool.to_ascii_lowercase(),
                secret_type: owner.secret_type.to_ascii_lowercase(),
            });
        }
    }

    /// Follows what other instances change, from the first read on.
    fn follow_changes(self: &Arc<Self>) {
        if self.cache.as_ref().is_none_or(|cache| cache.redis().is_none()) {
            return;
        }
        self.following.call_once(|| {
            let layer = self.clone();
            self.tasks.spawn(async move {
                let Some(cache) = &layer.cache else { return };
                let changed = |changed: Changed<'_>| match changed {
                    Changed::One(name) => layer.forget(name),
                    Changed::Rotated(name) => {
                        layer.forget(name);
                        layer.tell_rotated(name);
                    }
                    Changed::All => layer.forget_all(),
                    Changed::Unheard(why) => layer.note_unheard(why),
                };
                tokio::select! {
                    () = layer.stop.cancelled() => {}
                    () = cache.follow(changed) => {}
                }
            });
        });
    }

    fn note_outcome(&self, fetched: &Result<Option<Fetched>>) {
        let failure = fetched.as_ref().err().cloned();
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    fn stale_in_memory(&self, name: &SecretName) -> Option<Arc<Entry>> {
        match self.cache.as_ref()?.lookup(name) {
            Lookup::Fresh(entry) | Lookup::Stale(entry) | Lookup::Held(entry) => Some(entry),
            Lookup::Absent | Lookup::Denied(_) | Lookup::Miss => None,
        }
    }
}

fn younger(a: Option<Arc<Entry>>, b: Option<Arc<Entry>>) -> Option<Arc<Entry>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.fetched_unix_ms >= b.fetched_unix_ms { a } else { b }),
        (a, b) => a.or(b),
    }
}
