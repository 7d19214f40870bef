//! Of a fleet of instances one asks AWS; the others take the copy that it shares.

use std::sync::Arc;
use std::time::Duration;

use cache::entry::Entry;
use cache::tiered::{LOCK_LEASE, Locked, Locks, TieredCache, Want};
use futures_util::future::join;
use parking_lot::Mutex;
use secret::backoff::{Backoff, Jitter};
use secret::found::Fetched;
use secret::name::SecretName;
use tokio::time::sleep;

use super::calls::{Calls, Said};
use super::copies::Copies;
use crate::timer::Deadline;

/// How often an instance looks whether another one has shared what both want; the wait doubles.
const FIRST_POLL: Duration = Duration::from_millis(4);
const LAST_POLL: Duration = Duration::from_millis(50);

/// Who answered for one secret.
#[derive(Debug)]
pub enum Heard {
    /// AWS, or AWS failed.
    Aws(Said),
    /// Another instance, which asked AWS meanwhile.
    Peer(Arc<Entry>),
}

/// Hears the answer about one of the secrets that are fetched together; only the first one counts.
pub type Tell<'a> = dyn Fn(usize, Heard) + Send + Sync + 'a;

/// How long a fetch may take.
#[derive(Clone, Copy)]
struct Times {
    /// From then on no other instance is waited for.
    patience: Deadline,
    /// From then on nobody waits.
    deadline: Deadline,
}

/// This instance's part in the fleet.
pub struct Fleet {
    pub(super) calls: Arc<Calls>,
    pub(super) copies: Arc<Copies>,
}

impl Fleet {
    /// Fetches up to 20 secrets until `deadline`. Each has its own answer, which `tell` hears as soon as it is known: others may take
    /// longer, and their readers may give up.
    pub async fn fetch(&self, wants: Vec<Want>, deadline: Deadline, tell: &Tell<'_>) {
        match self.copies.shared_cache() {
            Some(cache) => {
                let polls = Backoff::new(FIRST_POLL, LAST_POLL, Jitter::Around);
                let times = Times { patience: Deadline::after(LOCK_LEASE), deadline };
                self.in_turn(cache, wants, polls, times, tell).await;
            }
            None => self.from_aws(wants, None, deadline, tell).await,
        }
    }

    /// Fetches what no other instance is fetching, and after a wait looks again for the rest.
    async fn in_turn(&self, cache: &TieredCache, wants: Vec<Want>, mut polls: Backoff, times: Times, tell: &Tell<'_>) {
        // A lock that is free again was given back, or its holder is gone.
        let (states, locks) =
            if times.patience.has_passed() { TieredCache::without_locks(&wants) } else { cache.lock(&wants).await };
        let (mut mine, mut theirs) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for (i, (want, state)) in wants.into_iter().zip(states).enumerate() {
            let (indexes, part) = match state {
                Locked::Copied(copy) => {
                    tell(i, Heard::Peer(copy));
                    continue;
                }
                Locked::Ours => &mut mine,
                Locked::Theirs => &mut theirs,
            };
            indexes.push(i);
            part.push(want);
        }
        let later = async {
            if theirs.1.is_empty() {
                return;
            }
            sleep(polls.next_wait()).await;
            let tell = |i: usize, heard| tell(theirs.0[i], heard);
            Box::pin(self.in_turn(cache, theirs.1, polls, times, &tell)).await;
        };
        let tell = |i: usize, heard| tell(mine.0[i], heard);
        join(self.from_aws(mine.1, Some(locks), times.deadline, &tell), later).await;
    }

    /// Asks AWS, shares what it gives, and then gives the locks back. From `deadline` on nobody waits for what is still open.
    async fn from_aws(&self, wants: Vec<Want>, locks: Option<Locks>, deadline: Deadline, tell: &Tell<'_>) {
        if wants.is_empty() && locks.as_ref().is_none_or(Locks::is_empty) {
            return;
        }
        let names: Vec<&SecretName> = wants.iter().map(|want| &want.name).collect();
        let heard = Mutex::new(vec![None; wants.len()]);
        // A denial binds at once, whatever the others of its group wait for.
        let told = |index: usize, said: &Said| {
            if let (Some(cache), Err(error)) = (&self.copies.cache, said)
                && error.is_denied()
            {
                drop(cache.store_denied(&wants[index], error));
            }
            heard.lock()[index] = Some(said.clone());
            tell(index, Heard::Aws(said.clone()));
        };
        // Boxed: with a deadline around it, the future would stand twice on the stack.
        let said = deadline.limit(Box::pin(self.calls.batch(&names, &told))).await.unwrap_or_else(|_| {
            let heard = heard.into_inner().into_iter().zip(&names);
            heard.map(|(said, name)| said.unwrap_or_else(|| self.calls.timed_out(name))).collect()
        });
        let found: Vec<(Want, Fetched)> = wants
            .into_iter()
            .zip(&said)
            .filter_map(|(want, said)| match said {
                Ok(Some(fetched)) if !fetched.value.is_empty() => Some((want, fetched.clone())),
                _ => None,
            })
            .collect();
        self.copies.share_soon(found, locks);
        for (index, said) in said.into_iter().enumerate() {
            tell(index, Heard::Aws(said));
        }
    }
}
