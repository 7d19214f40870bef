//! The copies of secrets in the caches follow what the table says.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache::entry::Entry;
use cache::memory::{Lookup, Stored};
use cache::order::Stamp;
use cache::snapshot::Snapshot;
use cache::tiered::{Asking, Rotated, Shared, TieredCache, Want};
use parking_lot::Mutex;
use secret::aws_ids::AwsIds;
use secret::clock::Clock;
use secret::error::Result;
use secret::found::{Fetched, Origin};
use secret::manifest::Manifest;
use secret::name::SecretName;
use secret::notice::{Notice, Notices};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::calls::Said;
use super::publisher::Contests;
use super::table::{Answer, Fate, Verdict};
use crate::metrics::{Metrics, add};
use crate::tasks::Tasks;
use crate::timer::Deadline;

/// Secrets that are remembered as given.
const MOST_GIVEN: usize = 10_000;
/// Writes of the snapshot are at least this far apart.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);

/// An answer, once the copies have followed.
pub(super) struct Followed {
    pub(super) answer: Answer,
    /// Copies were dropped, or something else was found, after this was asked for: it is to be asked for again.
    pub(super) is_outdated: bool,
}

impl Followed {
    pub(super) fn current(answer: Answer) -> Self {
        Self { answer, is_outdated: false }
    }
}

/// The caches, and who hears of changes in them.
pub struct Copies {
    /// `None` when nothing is cached.
    pub cache: Option<TieredCache>,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    pub(super) stop: CancellationToken,
    metrics: Arc<Metrics>,
    notices: Arc<dyn Notices>,
    names: Names,
    snapshot_is_due: AtomicBool,
    /// Secrets that AWS, or another instance's copy, ever gave this process.
    given: Mutex<HashSet<SecretName>>,
    /// Secrets of which it was told that AWS does not show them.
    told: Mutex<HashSet<SecretName>>,
    /// Asks AWS for those whose shared copy is contested.
    pub(super) contests: Contests,
}

impl Copies {
    pub(super) fn new(
        cache: Option<TieredCache>,
        clock: Clock,
        metrics: Arc<Metrics>,
        notices: Arc<dyn Notices>,
        names: Names,
        tasks: Tasks,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let (snapshot_is_due, given, told) = (AtomicBool::new(false), Mutex::default(), Mutex::default());
        let copies = Arc::new(Self {
            cache,
            clock,
            tasks,
            stop,
            metrics,
            notices,
            names,
            snapshot_is_due,
            given,
            told,
            contests: Contests::default(),
        });
        if let Some(snapshot) = copies.cache.as_ref().and_then(TieredCache::snapshot) {
            let copies = Arc::downgrade(&copies);
            snapshot.on_change(Box::new(move || {
                if let Some(copies) = copies.upgrade() {
                    copies.write_snapshot_soon();
                }
            }));
        }
        copies
    }

    /// The cache, where copies are shared in Redis.
    pub(super) fn shared_cache(&self) -> Option<&TieredCache> {
        self.cache.as_ref().filter(|cache| cache.redis().is_some())
    }

    /// What memory knows of `name`. Looking counts as reading it.
    pub(super) fn lookup(&self, name: &SecretName) -> Lookup {
        self.cache.as_ref().map_or(Lookup::Miss, |cache| cache.lookup(name))
    }

    /// The copy in memory that may answer for a failing AWS.
    pub(super) fn usable(&self, name: &SecretName) -> Option<Arc<Entry>> {
        match self.lookup(name) {
            Lookup::Fresh(entry) | Lookup::Stale(entry) | Lookup::Held(entry) => Some(entry),
            Lookup::Absent | Lookup::Denied(_) | Lookup::Miss => None,
        }
    }

    /// To be taken before `name` is asked for: the answer is as old as that.
    pub(super) fn want(&self, name: &SecretName) -> Want {
        self.ask().of(name)
    }

    /// [`Copies::want`] for an answer about many names.
    pub(super) fn ask(&self) -> Asking {
        self.cache.as_ref().map_or_else(Asking::uncached, TieredCache::ask)
    }

    /// What the shared cache knows, in the order of `wants`. Fresh copies are put into memory.
    pub(super) async fn lookup_shared(&self, wants: &[Want]) -> Vec<Shared> {
        match &self.cache {
            Some(cache) => cache.lookup_shared(wants).await,
            None => wants.iter().map(|_| Shared::Disabled).collect(),
        }
    }

    /// Waits until it is known whether copies of `name` that were asked for by `asked` were dropped, where a message says so.
    pub(super) async fn settled(&self, name: &SecretName, asked: Stamp, deadline: Deadline) {
        if let Some(cache) = &self.cache
            && cache.memory().suspects(name.as_str(), asked)
        {
            drop(deadline.limit(cache.settled(name, asked)).await);
        }
    }

    /// [`Copies::settled`] for what AWS said. The newer copy that an older version is compared with may have been dropped as well.
    /// A denial binds at once.
    pub(super) async fn settled_for(&self, want: &Want, said: &Said, deadline: Deadline) {
        let asked = match said {
            Err(error) if error.is_denied() => return,
            Ok(Some(fetched)) => {
                let held = self.held(&want.name);
                let contradicted =
                    held.filter(|held| held.is_newer_than(fetched.version_id.as_deref(), fetched.created_unix_ms));
                contradicted.map_or(want.asked, |held| held.asked.min(want.asked))
            }
            Ok(None) | Err(_) => want.asked,
        };
        self.settled(&want.name, asked, deadline).await;
    }

    /// Whether `copy`, another instance's, may answer: it was not dropped meanwhile.
    pub(super) async fn may_use(&self, name: &SecretName, copy: &Entry, deadline: Deadline) -> bool {
        self.settled(name, copy.asked, deadline).await;
        let Some(cache) = &self.cache else { return true };
        let memory = cache.memory();
        memory.may_answer(name.as_str(), copy.asked)
    }

    /// The same question, by what the copies of its secret go by: AWS's answer may have shown that it is one with another.
    pub(super) fn one(&self, mut want: Want) -> Want {
        want.name = self.names.ids.one_of(want.name);
        want
    }

    /// Does to the copies what the verdict says.
    pub(super) async fn follow(self: &Arc<Self>, want: &Want, verdict: Verdict) -> Followed {
        let name = &want.name;
        self.count_denied(name, &verdict.answer);
        let Some(cache) = &self.cache else { return Followed::current(verdict.answer) };
        let stored = match verdict.fate {
            Fate::Stay => return Followed::current(verdict.answer),
            // A message says that it was dropped, and the shared cache did not tell in time whether that is true.
            Fate::Hold { copy, failure } if cache.memory().suspects(name.as_str(), copy.asked) => {
                return Followed::current(Err(failure));
            }
            Fate::Hold { copy, failure } => {
                let now = self.clock.now();
                return Followed::current(match cache.hold(want, &copy, &failure) {
                    Stored::Newest(_) => verdict.answer,
                    Stored::Newer(entry) if entry.is_usable(now) => {
                        Ok(Some(entry.found(Origin::Memory, !entry.is_fresh(now))))
                    }
                    // Dropped while AWS was asked.
                    Stored::Newer(_) | Stored::Outdated => Err(failure),
                });
            }
            Fate::Doubt { older } => {
                cache.doubt(name, older);
                return Followed::current(verdict.answer);
            }
            Fate::Replace(fetched) => cache.store(want, &fetched),
            Fate::Absent { had_copies, may_have_copies } => {
                let (stored, dropped) = cache.store_absent(want, may_have_copies).await;
                if dropped.is_err() {
                    self.drop_again_soon(name, want.asked, None);
                }
                if had_copies {
                    self.warn_undropped(name, dropped);
                }
                stored
            }
            Fate::Deny(error) => cache.store_denied(want, &error),
        };
        match stored {
            Stored::Newest(_) => Followed::current(verdict.answer),
            // A later question was answered first: its answer counts.
            Stored::Newer(entry) => Followed::current(Ok(Some(entry.found(Origin::Memory, false)))),
            Stored::Outdated => Followed { answer: verdict.answer, is_outdated: true },
        }
    }

    /// Counts an answer that is a denial.
    pub(super) fn count_denied(&self, secret: &SecretName, answer: &Answer) {
        let Err(error) = answer else { return };
        if error.is_refused() {
            add(&self.metrics.unauthorized);
        }
        if error.is_not_shown() && !self.was_given(secret) {
            add(&self.metrics.not_shown);
        }
    }

    /// AWS, or the copy of another instance, gave `secret`.
    pub(super) fn note_given(&self, secret: &SecretName) {
        let mut given = self.given.lock();
        if given.len() < MOST_GIVEN && !given.contains(secret) {
            given.insert(secret.clone());
        }
    }

    /// Whether this process ever had `secret` from AWS, or from a copy.
    pub(super) fn was_given(&self, secret: &SecretName) -> bool {
        self.given.lock().contains(secret) || self.cache.as_ref().is_some_and(|cache| cache.known(secret).is_some())
    }

    /// Says once that a value of another source answers for a secret that AWS does not show.
    pub(super) fn warn_not_shown(&self, name: &SecretName) {
        let mut told = self.told.lock();
        if told.len() >= MOST_GIVEN || !told.insert(name.clone()) {
            return;
        }
        drop(told);
        let name = name.as_str();
        let message = format!(
            "{name}: AWS denies it, and has it or not: it does not tell this identity which; the value of another source answers"
        );
        self.notices.notice(Notice::warning("SECRET_NOT_SHOWN", message));
    }

    /// Whether `fetched` is another version than the one known here before.
    pub(super) fn is_news(&self, name: &SecretName, fetched: &Fetched) -> bool {
        let known = self.cache.as_ref().and_then(|cache| cache.known(name));
        known.is_some_and(|known| known.is_outdated_by(fetched.version_id.as_deref(), &fetched.value))
    }

    /// Whether memory has a copy of a newer version that may still answer, where a replica gave `fetched`.
    pub(super) fn is_ahead_of(&self, name: &SecretName, fetched: &Fetched) -> bool {
        let (version, created) = (fetched.version_id.as_deref(), fetched.created_unix_ms);
        let is_ahead = |held: Arc<Entry>| held.is_ahead_of(version, created, self.clock.now());
        fetched.is_from_replica() && self.held(name).is_some_and(is_ahead)
    }

    /// What memory holds of `name`, whatever its age.
    pub fn held(&self, name: &SecretName) -> Option<Arc<Entry>> {
        self.cache.as_ref()?.memory().held(name.as_str())
    }

    /// Whether memory knows something about `name`.
    pub(super) fn is_held(&self, name: &SecretName) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.memory().has(name.as_str()))
    }

    /// Whether the service declares a name of `secret`, or memory knows something about it.
    pub(super) fn concerns(&self, secret: &SecretName) -> bool {
        self.names.declare(secret) || self.is_held(secret)
    }

    /// Reports a shared copy that should be gone and may still be there.
    pub(crate) fn warn_undropped(&self, name: &SecretName, dropped: Result<()>) {
        if let Err(error) = dropped {
            let (name, until) = (name.as_str(), "instances may read it until its TTL ends");
            let message = format!("{name}: the shared copy could not be dropped, {until}: {error}");
            self.notices.notice(Notice::warning("SHARED_COPY_NOT_DROPPED", message));
        }
    }

    pub(super) fn warn_unsubscribed(&self, why: &str) {
        let message = format!(
            "what other instances change is not heard: Redis refuses the subscription ({why}); copies here are served \
             until their TTL ends"
        );
        self.notices.notice(Notice::warning("CHANGES_NOT_HEARD", message));
    }

    /// Reports that `name` has another version.
    pub fn notify_rotated(&self, name: &SecretName) {
        self.names.notify_rotated(&*self.notices, name);
    }

    /// Nothing of what AWS gave is known of the account that the credentials are of now.
    pub(super) fn forget_given(&self) {
        self.given.lock().clear();
        self.told.lock().clear();
    }

    /// The reader gets an answer of AWS that is not kept, since it may be older than the copy: nothing says which of the two is live, and a
    /// version that was given is not followed by the one that stood here before.
    pub(super) fn give_unkept(&self, name: &SecretName, answer: Answer) -> Answer {
        if let (Some(cache), Ok(Some(found))) = (&self.cache, &answer)
            && let Some(version) = &found.version_id
        {
            cache.memory().give_unkept(&self.names.ids.one_of(name.clone()).text(), version, self.clock.now());
        }
        answer
    }

    /// Has the file forget what was dropped or replaced so far: whoever waited for the change may end the process. A file system that does not
    /// answer is waited for no longer than a second.
    pub async fn settle_snapshot(self: &Arc<Self>) {
        let Some(snapshot) = self.cache.as_ref().and_then(|cache| cache.snapshot()) else { return };
        if !snapshot.is_outdated() {
            return;
        }
        let (copies, snapshot) = (self.clone(), snapshot.clone());
        let written = self.tasks.spawn(async move { copies.write(&snapshot).await });
        if tokio::time::timeout(SNAPSHOT_EVERY, written).await.is_err() {
            tracing::debug!("the snapshot was not written within a second");
        }
    }

    async fn write(&self, snapshot: &Snapshot) {
        if let Err(error) = snapshot.write().await {
            self.notices.notice(Notice::warning("SNAPSHOT_NOT_WRITTEN", error.to_string()));
        }
    }

    /// Writes the snapshot within a second, once for all changes until then.
    fn write_snapshot_soon(self: &Arc<Self>) {
        let Some(snapshot) = self.cache.as_ref().and_then(|cache| cache.snapshot()) else { return };
        // Outside of the runtime nothing is written: `close` does it.
        let Ok(runtime) = Handle::try_current() else { return };
        if self.snapshot_is_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let (copies, snapshot) = (self.clone(), snapshot.clone());
        let write = async move {
            // `close` writes it itself; a write that has begun is not cut off.
            tokio::select! {
                biased;
                () = copies.stop.cancelled() => return,
                () = tokio::time::sleep(SNAPSHOT_EVERY) => {}
            }
            copies.snapshot_is_due.store(false, Ordering::Release);
            copies.write(&snapshot).await;
        };
        self.tasks.spawn_on(write, &runtime);
    }
}

/// Whose secret a name is, and which names an AWS secret has.
#[derive(Clone)]
pub struct Names {
    /// The declared secrets.
    pub tools: Arc<Manifest>,
    /// The AWS secrets that names are parts of.
    pub ids: AwsIds,
}

impl Names {
    /// What the caches call when a secret has another version than the one known.
    pub fn rotation_notice(&self, notices: &Arc<dyn Notices>) -> Rotated {
        let (names, notices) = (self.clone(), notices.clone());
        Box::new(move |secret| names.notify_rotated(&*notices, secret))
    }

    /// Reports that `secret` has another version, for each of its names.
    fn notify_rotated(&self, notices: &dyn Notices, secret: &SecretName) {
        for name in self.ids.names_of(secret) {
            let (tool, secret_type) = match self.tools.owner(name.as_str()) {
                Some(owner) => (owner.tool.to_ascii_lowercase(), owner.secret_type.to_ascii_lowercase()),
                // As it is, so that `getSecret` takes it.
                None => (String::new(), name.as_str().to_owned()),
            };
            notices.notice(Notice::Rotated { tool, secret_type });
        }
    }

    /// Whether a name of `secret` is declared.
    fn declare(&self, secret: &SecretName) -> bool {
        self.ids.names_of(secret).iter().any(|name| self.tools.declares(name.as_str()))
    }
}
