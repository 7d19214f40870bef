//! Versions: following a rotation, and reading the versions around the live one.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::{join_all, try_join3};
use tokio::time::{Instant, sleep};

use super::AwsLayer;
use aws::{CURRENT, MAX_BATCH, PENDING, PREVIOUS, Version, Which};
use cache::tiered::{At, News, Want};
use secret::clock::{Moment, millis};
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::name::SecretName;

/// How long AWS may go on giving the version before: labels move in one place first.
const CATCH_UP: Duration = Duration::from_secs(10);
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_secs(1);
/// Names whose versions are remembered.
const MAX_REMEMBERED: usize = 1000;
/// How long they are, where caching is on: verifiers ask for each request they check.
const REMEMBERED_FOR: Duration = Duration::from_mins(1);

/// The versions around the live one (`getSecretVersions`).
#[derive(Clone, Debug, Default)]
pub struct Versions {
    /// AWSCURRENT.
    pub current: Option<Version>,
    /// AWSPREVIOUS.
    pub previous: Option<Version>,
    /// AWSPENDING, unless it is the live one.
    pub pending: Option<Version>,
}

pub(super) struct Remembered {
    versions: Arc<Versions>,
    until: Moment,
    at: At,
}

impl AwsLayer {
    /// AWS's answers for `names`, past the caches and leaving them alone.
    pub async fn fetch_all(&self, names: &[SecretName]) -> Vec<Result<Option<Fetched>>> {
        let wants: Vec<Want> = names.iter().map(|name| self.want(name)).collect();
        let calls = wants.chunks(MAX_BATCH).map(|wants| self.call_aws(wants));
        join_all(calls).await.into_iter().flatten().collect()
    }

    /// Whether memory holds `version` of `name`.
    pub fn has_live(&self, name: &SecretName, version: &str) -> bool {
        let entry = self.stale_in_memory(name);
        entry.is_some_and(|entry| entry.version_id.as_deref() == Some(version))
    }

    /// Whether `version` is the last one known of `name`.
    pub fn knows(&self, name: &SecretName, version: &str) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.knows(name, version))
    }

    /// The names in memory whose copies AWS gave longer ago than `how_long`: no reader keeps them fresh.
    pub fn unseen_for(&self, how_long: Duration) -> Vec<SecretName> {
        let Some(cache) = &self.cache else { return Vec::new() };
        let before = self.clock.unix_ms().saturating_sub(millis(how_long));
        let copies = cache.memory().entries(self.clock.now()).into_iter();
        let unseen = copies.filter(|(_, entry)| entry.version_id.is_some() && entry.fetched_unix_ms < before);
        unseen.filter_map(|(name, _)| SecretName::new(&name).ok()).collect()
    }

    /// After `version` of `name` was made live here: the caches of every instance follow to it.
    pub async fn follow_rotation(self: &Arc<Self>, name: &SecretName, version: &str) {
        if self.catch_up(name, Some(version)).await.is_ok_and(|caught_up| caught_up) {
            return;
        }
        // AWS does not give it yet, or at all. The value before it may open nothing any more.
        self.forget(name);
        if let Some(cache) = &self.cache {
            self.note_undropped(name, cache.supersede(name, version).await);
        }
        self.tell_rotated(name);
    }

    /// Reads `name` until AWS gives `version` (any, when none is named), puts it into every cache and tells everybody
    /// who did not know. Gives `false` when AWS has another version, or none, for ten seconds.
    ///
    /// # Errors
    /// AWS's, after ten seconds where a version is waited for; the caches stay as they are.
    pub async fn catch_up(self: &Arc<Self>, name: &SecretName, version: Option<&str>) -> Result<bool> {
        let (end, mut look) = (Instant::now() + CATCH_UP, FIRST_LOOK);
        loop {
            self.forget(name);
            if let Some(cache) = &self.cache {
                cache.supersede_fetches(name);
            }
            let want = self.want(name);
            let fetched = self.ask_aws(name).await;
            let found = match &fetched {
                Ok(Some(fetched)) if !fetched.value.is_empty() => {
                    let is_it = version.is_none_or(|version| fetched.primary_version() == Some(version));
                    is_it.then(|| fetched.clone())
                }
                Ok(_) if version.is_none() => {
                    self.settle(&want, fetched, None, true).await?;
                    return Ok(true);
                }
                Err(error) if version.is_none() && !error.is_denied() => return Err(error.clone()),
                // Asking again would change nothing.
                Err(error) if error.is_denied() => {
                    let error = error.clone();
                    return self.settle(&want, fetched, None, true).await.and(Err(error));
                }
                _ => None,
            };
            if let Some(found) = found {
                self.adopt_everywhere(&want, found).await;
                return Ok(true);
            }
            if Instant::now() >= end {
                return fetched.map(|_| false);
            }
            sleep(look.mul_f64(0.5 + fastrand::f64())).await;
            look = (look * 2).min(LAST_LOOK);
        }
    }

    /// Puts what AWS gave into every cache, and tells everybody who did not know that version. The shared copy comes
    /// before the word of it: who hears it looks there.
    async fn adopt_everywhere(self: &Arc<Self>, want: &Want, fetched: Fetched) {
        let Some(cache) = &self.cache else { return self.tell_rotated(&want.name) };
        let was_known = cache.known(&want.name).is_some();
        self.keep(want, fetched.clone());
        if !was_known {
            self.tell_rotated(&want.name);
        }
        let news = vec![News::of(&want.name, &fetched)];
        if let Err(error) = cache.share(vec![(want.clone(), fetched)], &news).await {
            tracing::debug!(code = %error.code(), "a new version was not shared");
            let layer = self.clone();
            self.tasks.spawn(async move {
                if let Some(cache) = &layer.cache {
                    layer.tell_again(cache, news).await;
                }
            });
        }
    }

    /// The live version of `name`, the one before it, and the one that is being tried. Remembered for up to a minute
    /// where caching is on, and never past a change of the secret that this instance hears of.
    ///
    /// # Errors
    /// AWS's; `SOURCE_UNAVAILABLE` when AWS is switched off.
    pub async fn versions(self: &Arc<Self>, name: &SecretName, fresh: bool) -> Result<Arc<Versions>> {
        let Some(aws) = &self.aws else {
            let why = format!("{}: versions are AWS's, which is switched off (options.aws.enabled)", name.as_str());
            return Err(SecretError::new(ErrorCode::SourceUnavailable, why));
        };
        self.follow_changes();
        let at = self.want(name).at;
        if !fresh && let Some(remembered) = self.remembered(name, at) {
            return Ok(remembered);
        }
        let id = self.id(name);
        let read = |label| aws.version(&id, Which::Label(label));
        let (current, previous, pending) = try_join3(read(CURRENT), read(PREVIOUS), read(PENDING)).await?;
        let pending = pending.filter(|pending| !pending.has(CURRENT));
        let versions = Arc::new(Versions { current, previous, pending });
        self.remember_versions(name, &versions, at);
        Ok(versions)
    }

    fn remembered(&self, name: &SecretName, at: At) -> Option<Arc<Versions>> {
        let all = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(name).filter(|found| found.at == at && self.clock.now() < found.until)?;
        Some(found.versions.clone())
    }

    fn remember_versions(&self, name: &SecretName, versions: &Arc<Versions>, at: At) {
        let Some(cache) = &self.cache else { return };
        let until = self.clock.now().plus(cache.ttl().min(REMEMBERED_FOR));
        let mut all = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_REMEMBERED {
            all.clear();
        }
        all.insert(name.clone(), Remembered { versions: versions.clone(), until, at });
    }

    /// Wipes the remembered versions.
    pub fn forget_versions(&self) {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
