//! One instance of many asks AWS: locks in the shared cache.

use std::sync::Arc;
use std::time::Duration;

use super::{Shared, TieredCache, Want};
use crate::entry::Entry;
use secret::clock::Moment;
use secret::error::Result;

/// How long one instance may keep the others waiting. A holder that dies costs them no more.
pub const LOCK_LEASE: Duration = Duration::from_secs(1);
/// A lock is given back only well before it ends: afterwards it may be another's.
const UNLOCK_WITHIN: Duration = Duration::from_millis(900);

/// What an attempt to take a lock gave.
#[derive(Debug)]
pub enum Locked {
    /// This instance is the one to ask AWS.
    Ours,
    /// Another one is.
    Theirs,
    /// Another one was: here is its copy.
    Copied(Arc<Entry>),
}

/// Locks taken together.
#[derive(Debug, Default)]
pub struct Locks {
    ids: Vec<String>,
    /// `None`: none were.
    taken: Option<Moment>,
}

impl Locks {
    /// Whether there is nothing to give back.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

impl TieredCache {
    /// Takes the locks of names that are about to be fetched: of many instances one does it. Looks once more for copies,
    /// since the last holder of the lock has left one.
    pub async fn lock(&self, wants: &[Want]) -> (Vec<Locked>, Locks) {
        self.try_lock(wants).await.unwrap_or_else(|_| Self::without_locks(wants))
    }

    /// [`TieredCache::lock`] for callers that have nothing to do without the shared cache.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`.
    pub(super) async fn try_lock(&self, wants: &[Want]) -> Result<(Vec<Locked>, Locks)> {
        let Some(shared) = &self.shared else { return Ok(Self::without_locks(wants)) };
        let ids: Vec<String> = wants.iter().map(|want| self.id(&want.name)).collect();
        let answers = shared.redis.lock_many(&ids, LOCK_LEASE).await?;
        if answers.len() != ids.len() {
            return Ok(Self::without_locks(wants));
        }
        let server = shared.redis.server_clock().await?;
        let mut locks = Locks { ids: Vec::new(), taken: Some(self.clock.now()) };
        let states = wants.iter().zip(ids).zip(answers).map(|((want, id), (ours, envelope))| {
            let copy = self.opened(shared, want, &id, envelope, server, true);
            if ours {
                locks.ids.push(id);
            }
            match copy {
                Shared::Fresh(copy) => Locked::Copied(copy),
                _ if ours => Locked::Ours,
                _ => Locked::Theirs,
            }
        });
        Ok((states.collect(), locks))
    }

    /// Every name is this instance's to fetch, where there is nothing to keep a lock in, or nobody keeps to it.
    pub fn without_locks(wants: &[Want]) -> (Vec<Locked>, Locks) {
        (wants.iter().map(|_| Locked::Ours).collect(), Locks::default())
    }

    /// Gives locks back.
    pub async fn unlock(&self, locks: Locks) {
        let Some(shared) = &self.shared else { return };
        let in_time = locks.taken.is_some_and(|taken| self.clock.now().since(taken) < UNLOCK_WITHIN);
        if in_time
            && !locks.is_empty()
            && let Err(error) = shared.redis.unlock_many(&locks.ids).await
        {
            tracing::debug!(code = %error.code(), "locks were not given back; they end by themselves");
        }
    }
}
