//! AWS behind its caches: what a read returns when AWS answers, refuses or fails (DESIGN section 4, second table).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::memory::{Entry, Lookup};
use crate::cache::tiered::{Generation, Shared, TieredCache};
use crate::clock::{Clock, Moment};
use crate::error::{Result, SecretError};
use crate::flight::{Flights, Role};
use crate::manifest::Manifest;
use crate::metrics::{Metrics, Origin, add};
use crate::name::{AwsIdTemplate, SecretName};
use crate::notice::{Notice, Notices};
use crate::source::aws::{Aws, Fetched, MAX_BATCH};
use crate::value::SecretValue;

/// How long a refused batch permission is remembered.
const BATCH_REFUSED_FOR: Duration = Duration::from_mins(10);
/// Tools whose list of names is remembered; more than any service has.
const MAX_LISTINGS: usize = 1000;

/// A value and where it came from.
#[derive(Clone, Debug)]
pub struct Found {
    /// The secret.
    pub value: SecretValue,
    /// Where it came from.
    pub origin: Origin,
    /// AWS's version id, where AWS gave the value.
    pub version_id: Option<Arc<str>>,
    /// Past its TTL, returned because AWS failed.
    pub stale: bool,
}

impl Found {
    fn cached(entry: &Entry, origin: Origin, stale: bool) -> Self {
        Self { value: entry.value.clone(), origin, version_id: entry.version_id.clone(), stale }
    }
}

/// A value, or "AWS has none".
pub type Answer = Result<Option<Found>>;

/// AWS, its caches, and the rules between them.
pub struct AwsLayer {
    /// `None` when AWS is switched off.
    pub aws: Option<Aws>,
    /// `None` when nothing is cached.
    pub cache: Option<TieredCache>,
    /// How names become AWS ids.
    pub ids: AwsIdTemplate,
    /// This delivery's environment.
    pub environment: &'static str,
    flights: Flights<Option<Found>>,
    tasks: TaskTracker,
    clock: Clock,
    metrics: Arc<Metrics>,
    notices: Arc<dyn Notices>,
    tools: Arc<Manifest>,
    batch_refused_until: Mutex<Option<Moment>>,
    listings: Mutex<HashMap<String, NameList>>,
    last_failure: Mutex<Option<SecretError>>,
}

/// The names a listing found.
#[derive(Clone)]
struct NameList {
    names: Vec<SecretName>,
    fresh_until: Moment,
    at: Option<Generation>,
}

/// What an AWS layer is made of.
pub struct Parts {
    /// See [`AwsLayer::aws`].
    pub aws: Option<Aws>,
    /// See [`AwsLayer::cache`].
    pub cache: Option<TieredCache>,
    /// See [`AwsLayer::ids`].
    pub ids: AwsIdTemplate,
    /// See [`AwsLayer::environment`].
    pub environment: &'static str,
    /// Reads time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Hears of rotations.
    pub notices: Arc<dyn Notices>,
    /// Says whose secret a name is.
    pub tools: Arc<Manifest>,
    /// Owns background tasks.
    pub tasks: TaskTracker,
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
            environment: parts.environment,
            flights: Flights::new(parts.tasks.clone(), parts.stop),
            tasks: parts.tasks,
            clock: parts.clock,
            metrics: parts.metrics,
            notices: parts.notices,
            tools: parts.tools,
            batch_refused_until: Mutex::new(None),
            listings: Mutex::default(),
            last_failure: Mutex::new(None),
        })
    }

    /// The AWS id of `name` here.
    pub fn id(&self, name: &SecretName) -> String {
        self.ids.id(name, self.environment)
    }

    /// Why AWS failed last; `None` when its last answer was one.
    pub fn last_failure(&self) -> Option<SecretError> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
                let at = layer.generation();
                let fetched = layer.ask_aws(&wanted).await;
                layer.settle(&wanted, fetched, None, true, at).await
            })
            .await;
        answer
    }

    /// Reads many names at the cost of few calls: memory, one MGET, batches of 20.
    pub async fn read_many(self: &Arc<Self>, names: &[SecretName]) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = names.iter().map(|name| self.from_memory(name)).collect();
        let at = self.generation();
        let mut candidates: Vec<Option<Arc<Entry>>> = vec![None; names.len()];
        let missing = |answers: &[Option<Answer>]| -> Vec<usize> {
            answers.iter().enumerate().filter(|(_, a)| a.is_none()).map(|(i, _)| i).collect()
        };
        let pending = missing(&answers);
        if let (Some(cache), false) = (&self.cache, pending.is_empty()) {
            let asked: Vec<SecretName> = pending.iter().map(|&i| names[i].clone()).collect();
            for (&i, shared) in pending.iter().zip(cache.lookup_shared_many(&asked, at).await) {
                candidates[i] = younger(self.stale_in_memory(&names[i]), stale_of(&shared));
                if let Shared::Fresh(entry) = shared {
                    add(&self.metrics.hits);
                    answers[i] = Some(Ok(Some(Found::cached(&entry, Origin::Redis, false))));
                }
            }
        }
        let pending = missing(&answers);
        let batches = pending.chunks(MAX_BATCH).map(|chunk| {
            let asked: Vec<SecretName> = chunk.iter().map(|&i| names[i].clone()).collect();
            let layer = self.clone();
            async move { (chunk.to_vec(), layer.fetch_batch(asked).await) }
        });
        for (chunk, fetched) in join_all(batches).await {
            for (i, fetched) in chunk.into_iter().zip(fetched) {
                let answer = match fetched {
                    Asked::Raw(result) => self.settle(&names[i], result, candidates[i].take(), true, at).await,
                    Asked::Settled(answer) => answer,
                };
                answers[i] = Some(answer);
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or(Ok(None))).collect()
    }

    /// Every secret in AWS whose name starts with `prefix` (upper case, ends in `_`), by name.
    ///
    /// # Errors
    /// AWS's, when the names are not known from an earlier listing. `SECRET_ACCESS_DENIED` when batches or ListSecrets
    /// are not granted.
    pub async fn read_prefix(self: &Arc<Self>, prefix: &str) -> Result<Vec<(SecretName, Answer)>> {
        let Some(aws) = &self.aws else { return Ok(Vec::new()) };
        let at = self.generation();
        let known = self.listings().get(prefix).cloned();
        if let Some(list) = known.as_ref().filter(|list| self.clock.now() < list.fresh_until && list.at == Some(at)) {
            let answers = self.read_many(&list.names).await;
            return Ok(list.names.iter().cloned().zip(answers).collect());
        }
        let [before, _] = self.ids.around(self.environment);
        let listing = match aws.fetch_by_prefix(&format!("{before}{prefix}")).await {
            Ok(listing) => listing,
            Err(error) if error.is_denied() || known.is_none() => return Err(error),
            Err(error) => {
                // The names are known: each one's stale copy may answer for it.
                let names = known.map(|list| list.names).unwrap_or_default();
                let mut answers = Vec::with_capacity(names.len());
                for name in names {
                    let stale = self.stale_in_memory(&name);
                    let answer = self.settle(&name, Err(error.clone()), stale, true, at).await;
                    answers.push((name, answer));
                }
                return Ok(answers);
            }
        };
        let mut answers = Vec::with_capacity(listing.len());
        for (id, fetched) in listing {
            let Some(name) = self.ids.name_in(&id, self.environment) else { continue };
            // AWS compares prefixes without case; only upper-cased names are reachable by tool and type.
            if !name.starts_with(prefix) || name.bytes().any(|b| b.is_ascii_lowercase()) {
                continue;
            }
            let Ok(name) = SecretName::new(name) else { continue };
            add(&self.metrics.misses);
            add(&self.metrics.shared_calls);
            let stale = self.stale_in_memory(&name);
            let answer = self.settle(&name, fetched, stale, true, at).await;
            answers.push((name, answer));
        }
        self.remember_listing(prefix, answers.iter().map(|(name, _)| name.clone()).collect(), at);
        Ok(answers)
    }

    /// Forgets flights and listings that began before an invalidation of `name`.
    pub fn forget(&self, name: &SecretName) {
        self.flights.forget(name.as_str());
    }

    /// Forgets all flights and listings.
    pub fn forget_all(&self) {
        self.flights.forget_all();
        self.listings().clear();
    }

    fn generation(&self) -> Generation {
        self.cache.as_ref().map_or_else(Generation::default, TieredCache::generation)
    }

    /// The answer that needs no waiting, or `None`.
    fn from_memory(&self, name: &SecretName) -> Option<Answer> {
        let cache = self.cache.as_ref()?;
        match cache.lookup(name) {
            Lookup::Fresh(entry) => {
                add(&self.metrics.hits);
                Some(Ok(Some(Found::cached(&entry, Origin::Memory, false))))
            }
            Lookup::Held(entry) => {
                add(&self.metrics.hits);
                add(&self.metrics.stale);
                Some(Ok(Some(Found::cached(&entry, Origin::Memory, true))))
            }
            Lookup::Absent => {
                add(&self.metrics.hits);
                Some(Ok(None))
            }
            Lookup::Stale(_) | Lookup::Miss => None,
        }
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
        let at = self.generation();
        let shared = match &self.cache {
            Some(cache) => cache.lookup_shared(name, at).await,
            None => Shared::Disabled,
        };
        if let Shared::Fresh(entry) = &shared {
            add(&self.metrics.hits);
            return Ok(Some(Found::cached(entry, Origin::Redis, false)));
        }
        if self.cache.is_some() {
            add(&self.metrics.misses);
        }
        let stale = younger(self.stale_in_memory(name), stale_of(&shared));
        let may_have_copies = stale.is_some() || matches!(shared, Shared::Failed(_) | Shared::Stale(_));
        let fetched = self.ask_aws(name).await;
        self.settle(name, fetched, stale, may_have_copies, at).await
    }

    async fn ask_aws(&self, name: &SecretName) -> Result<Option<Fetched>> {
        match &self.aws {
            Some(aws) => aws.fetch(&self.id(name)).await,
            None => Ok(None),
        }
    }

    /// Fetches up to 20 names in one call, or one by one where batches are not granted.
    async fn fetch_batch(self: &Arc<Self>, names: Vec<SecretName>) -> Vec<Asked> {
        let Some(aws) = &self.aws else { return names.iter().map(|_| Asked::Settled(Ok(None))).collect() };
        if names.len() > 1 && !self.batch_is_refused() {
            let ids: Vec<String> = names.iter().map(|name| self.id(name)).collect();
            match aws.fetch_batch(&ids).await {
                Ok(mut answers) => {
                    for _ in &names {
                        add(&self.metrics.misses);
                        add(&self.metrics.shared_calls);
                    }
                    return ids.iter().map(|id| Asked::Raw(answers.remove(id).unwrap_or(Ok(None)))).collect();
                }
                Err(error) if error.is_denied() => self.refuse_batches(),
                Err(error) => return names.iter().map(|_| Asked::Raw(Err(error.clone()))).collect(),
            }
        }
        join_all(names.iter().map(|name| self.fetch_shared_flight(name)))
            .await
            .into_iter()
            .map(Asked::Settled)
            .collect()
    }

    /// Applies the table: caches follow AWS's answer, and a stale copy may answer for a failure.
    async fn settle(
        &self,
        name: &SecretName,
        fetched: Result<Option<Fetched>>,
        stale: Option<Arc<Entry>>,
        may_have_copies: bool,
        at: Generation,
    ) -> Answer {
        self.note_outcome(&fetched);
        match fetched {
            // An empty secret counts as absent (decision D4).
            Ok(Some(fetched)) if !fetched.value.is_empty() => Ok(Some(self.keep(name, fetched, at))),
            Ok(_) => {
                if let Some(cache) = &self.cache {
                    cache.store_absent(name, may_have_copies).await;
                }
                Ok(None)
            }
            Err(error) if error.is_denied() => {
                add(&self.metrics.unauthorized);
                if let Some(cache) = &self.cache {
                    cache.drop_copies(name).await;
                }
                Err(error)
            }
            Err(error) => {
                let held = match (&self.cache, &stale) {
                    (Some(cache), Some(stale)) => cache.hold(name, stale, at),
                    _ => None,
                };
                let entry = held.ok_or(error)?;
                add(&self.metrics.stale);
                Ok(Some(Found::cached(&entry, Origin::Memory, true)))
            }
        }
    }

    fn keep(&self, name: &SecretName, fetched: Fetched, at: Generation) -> Found {
        if let Some(cache) = &self.cache {
            let before = cache.known_version(name);
            let entry = cache.store(name, &fetched, at);
            if before.is_some() && before != fetched.version_id {
                self.tell_rotated(name);
            }
            if cache.redis().is_some() {
                self.share_later(name, &entry, at);
            }
        }
        Found { value: fetched.value, origin: Origin::Aws, version_id: fetched.version_id, stale: false }
    }

    /// Readers do not wait for Redis to take the copy.
    fn share_later(&self, name: &SecretName, entry: &Arc<Entry>, at: Generation) {
        let Some(sharing) = self.cache.as_ref().and_then(|cache| cache.sharing(name, entry, at)) else { return };
        let name = name.clone();
        self.tasks.spawn(async move {
            if let Err(error) = sharing.await {
                tracing::debug!(name = name.as_str(), code = %error.code(), "the copy was not shared");
            }
        });
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

    fn note_outcome(&self, fetched: &Result<Option<Fetched>>) {
        let failure = fetched.as_ref().err().cloned();
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    fn stale_in_memory(&self, name: &SecretName) -> Option<Arc<Entry>> {
        match self.cache.as_ref()?.lookup(name) {
            Lookup::Stale(entry) | Lookup::Held(entry) => Some(entry),
            _ => None,
        }
    }

    fn batch_is_refused(&self) -> bool {
        let until = *self.batch_refused_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| self.clock.now() < until)
    }

    fn refuse_batches(&self) {
        let until = self.clock.now().plus(BATCH_REFUSED_FOR);
        *self.batch_refused_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        self.notices.notice(Notice::warning(
            "BATCH_NOT_GRANTED",
            "secretsmanager:BatchGetSecretValue is not granted to this identity: the secrets of a tool are read one by one",
        ));
    }

    fn remember_listing(&self, prefix: &str, names: Vec<SecretName>, at: Generation) {
        let Some(cache) = &self.cache else { return };
        let mut listings = self.listings();
        if listings.len() >= MAX_LISTINGS {
            listings.clear();
        }
        let fresh_until = self.clock.now().plus(cache.ttl());
        listings.insert(prefix.to_owned(), NameList { names, fresh_until, at: Some(at) });
    }

    fn listings(&self) -> std::sync::MutexGuard<'_, HashMap<String, NameList>> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch's answer for one name: as AWS gave it, or through the single-read path, which settles for itself.
enum Asked {
    Raw(Result<Option<Fetched>>),
    Settled(Answer),
}

fn stale_of(shared: &Shared) -> Option<Arc<Entry>> {
    match shared {
        Shared::Stale(entry) => Some(entry.clone()),
        _ => None,
    }
}

fn younger(a: Option<Arc<Entry>>, b: Option<Arc<Entry>>) -> Option<Arc<Entry>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.fetched_unix_ms >= b.fetched_unix_ms { a } else { b }),
        (a, b) => a.or(b),
    }
}
