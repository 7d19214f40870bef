//! What other instances change. Their messages are hints: the shared cache is looked into, and what stands there counts. Until
//! then a copy that a message names does not answer.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Shared, SharedCache, TieredCache};
use crate::coherence::Hint;
use crate::entry::Entry;
use crate::order::Stamp;
use crate::redis::record::Record;
use crate::redis::{Heard, ServerClock};
use secret::error::{Result, SecretError};
use secret::name::SecretName;

/// Most names whose hints wait to be checked. With more, every copy in memory is checked.
const MOST_HINTS: usize = 1000;
/// Names that are looked up together.
const LOOKED_UP_TOGETHER: usize = 500;

/// Redis's clock is known to within this.
const CLOCKS_DIFFER: Duration = Duration::from_secs(1);

/// An instance that may hear nothing looks into the shared cache for each copy that is read, once in this time.
const UNHEARD_FOR: Duration = Duration::from_secs(1);

/// What another instance changed.
#[derive(Clone, Copy, Debug)]
pub enum Changed<'a> {
    /// The copies of one name were dropped.
    Dropped(&'a SecretName),
    /// The shared copy of one name may be another one.
    Replaced(&'a SecretName),
    /// Any name.
    All,
    /// None is heard, and why.
    Unheard(&'a str),
}

impl TieredCache {
    /// Follows what the other instances change, until the future is dropped. `changed` is called after memory has followed.
    /// `is_for_aws`: of which secrets this process may not use the copies of others before AWS has answered it.
    pub async fn follow(&self, changed: impl Fn(Changed<'_>), is_for_aws: impl Fn(&SecretName) -> bool) {
        let Some(shared) = &self.shared else { return };
        let hints = Hints::default();
        let (is_refused, refused) = (AtomicBool::new(false), Notify::new());
        let heard = |heard| match heard {
            // What was said while nobody listened was not heard.
            Heard::Subscribed => {
                is_refused.store(false, Ordering::Relaxed);
                self.memory.distrust();
                hints.add(|waiting| waiting.is_anew = true);
                changed(Changed::All);
            }
            Heard::Refused(why) => {
                is_refused.store(true, Ordering::Relaxed);
                refused.notify_one();
                changed(Changed::Unheard(&why));
            }
            Heard::Message(message) => match Hint::decode(&message, shared.instance) {
                Some(Hint::Dropped(name, before_ms)) if hints.has_room_for(&name) => {
                    self.memory.suspect(&name.text(), self.clock.now());
                    hints.add(|waiting| waiting.hear(name, Told { because: Because::Outdated, before_ms }));
                }
                Some(Hint::Gone(name, before_ms)) if hints.has_room_for(&name) => {
                    self.memory.suspect(&name.text(), self.clock.now());
                    let told = Told { because: Because::Gone, before_ms: Some(before_ms) };
                    hints.add(|waiting| waiting.hear(name, told));
                }
                Some(Hint::Dropped(..) | Hint::Gone(..) | Hint::ClearedWithoutMark) => {
                    self.memory.suspect_all(self.clock.now());
                    hints.add(|waiting| waiting.all_names = true);
                }
                Some(Hint::Cleared(before_ms)) => {
                    self.memory.suspect_all(self.clock.now());
                    hints.add(|waiting| waiting.cleared_ms = waiting.cleared_ms.max(Some(before_ms)));
                }
                None => {}
            },
        };
        let check = async {
            loop {
                let mut waiting = hints.next().await;
                // What is heard from here on is looked into again.
                let looked = self.memory.ask(self.clock.now());
                if waiting.cleared_ms.is_some() || waiting.is_anew {
                    let heard = waiting.cleared_ms.map(|_| looked);
                    let is_confirmed = self.check_cleared(shared, heard, &changed).await;
                    // Forged, or Redis lost the mark with everything else: the shared copies tell.
                    waiting.all_names |= heard.is_some() && !is_confirmed;
                }
                if waiting.all_names {
                    let told = Told { because: Because::Outdated, before_ms: waiting.cleared_ms };
                    let held = self.memory.entries(self.clock.now());
                    for name in held.iter().filter_map(|(name, _)| SecretName::of_copy(name).ok()) {
                        waiting.hear(name, told);
                    }
                }
                let names: Vec<(SecretName, Told)> = waiting.names.into_iter().collect();
                for names in names.chunks(LOOKED_UP_TOGETHER) {
                    self.check_dropped(shared, names, looked, (&changed, &is_for_aws)).await;
                    shared.settled.notify_waiters();
                }
                self.memory.settle_all(looked);
                shared.settled.notify_waiters();
            }
        };
        // Who may hear nothing looks into the shared cache instead.
        let look = async {
            loop {
                refused.notified().await;
                while is_refused.load(Ordering::Relaxed) {
                    self.memory.distrust();
                    tokio::time::sleep(UNHEARD_FOR).await;
                }
            }
        };
        tokio::join!(shared.redis.follow(shared.environment, heard), check, look);
    }

    /// Waits until no unchecked message says that copies of `name` that were asked for by `asked` were dropped.
    pub async fn settled(&self, name: &SecretName, asked: Stamp) {
        let Some(shared) = &self.shared else { return };
        loop {
            let mut settled = pin!(shared.settled.notified());
            // From here on a change is not missed.
            settled.as_mut().enable();
            if !self.memory.suspects(name.as_str(), asked) {
                return;
            }
            settled.await;
        }
    }

    /// Drops what was asked for before the environment was cleared; says whether it was.
    pub(super) async fn follow_clear(&self, shared: &SharedCache) -> Result<bool> {
        let Some(ms) = shared.redis.cleared_ms(shared.environment).await? else { return Ok(false) };
        let cleared = shared.redis.server_clock().await?.latest_moment_of(ms);
        self.clear_memory(Stamp::foreign(cleared));
        // What was asked for afterwards stays.
        for (name, entry) in self.memory.entries(self.clock.now()) {
            if let Ok(name) = SecretName::of_copy(&name) {
                self.keep_in_snapshot(&name, &entry);
            }
        }
        Ok(true)
    }

    /// Looks whether the environment was cleared after the copies here were asked for, and follows; says whether it may have
    /// been. `heard`: a message says so, and this look began then.
    async fn check_cleared(&self, shared: &SharedCache, heard: Option<Stamp>, changed: &impl Fn(Changed<'_>)) -> bool {
        match self.follow_clear(shared).await {
            Ok(true) => {
                changed(Changed::All);
                true
            }
            Ok(false) => false,
            Err(_) => {
                // Nothing contradicts the message. Without one, what memory holds stays distrusted.
                if let Some(heard) = heard {
                    self.clear_memory(heard);
                    changed(Changed::All);
                }
                true
            }
        }
    }

    /// Looks what became of the copies of `names`, and follows. `looked`: the look began then.
    async fn check_dropped(
        &self,
        shared: &SharedCache,
        names: &[(SecretName, Told)],
        looked: Stamp,
        (changed, is_for_aws): (&impl Fn(Changed<'_>), &impl Fn(&SecretName) -> bool),
    ) {
        let ids: Vec<String> = names.iter().map(|(name, _)| self.id(name)).collect();
        let looked_up = async {
            let server = shared.redis.server_clock().await?;
            let dropped = shared.redis.dropped_ms(&ids).await?;
            Ok::<_, SecretError>((shared.redis.get_many(&ids).await?, dropped, server))
        };
        let Ok((records, dropped, server)) = looked_up.await else {
            // Nothing says that the copies are right.
            for (name, _) in names {
                self.forget(name);
                self.memory.settle(name.as_str(), looked);
                changed(Changed::Dropped(name));
            }
            return;
        };
        for ((((name, told), id), record), dropped_ms) in names.iter().zip(&ids).zip(records).zip(dropped) {
            let is_in_snapshot = match &self.snapshot {
                Some(snapshot) => snapshot.has(id).await,
                None => false,
            };
            let held = self.memory.held(name.as_str());
            if let Some(at) = dropped_ms.map(|ms| Stamp::foreign(server.latest_moment_of(ms)))
                && self.follow_drop(name, at, told.because)
            {
                changed(Changed::Dropped(name));
            }
            self.memory.settle(name.as_str(), looked);
            match record.as_deref().map(Record::parse) {
                Some(Record::Copy { asked_ms, .. }) => {
                    self.ask_where_lost(name, *told, dropped_ms.max(Some(asked_ms)), server);
                    // A copy that this process may not use says nevertheless that older answers are outdated.
                    if self.is_denied(name) {
                        let now = self.clock.now();
                        let at = Stamp::foreign(server.moment_of(asked_ms).min(now));
                        self.memory.outdate(&name.text(), at, now);
                    }
                    // It may be older than "not there", or younger: AWS is asked.
                    let asked = Stamp::foreign(server.moment_of(asked_ms));
                    if let Some(seen) = self.memory.absence_around(name.as_str(), asked) {
                        self.memory.drop_value(&name.text(), Stamp::foreign(seen), self.clock.now());
                    }
                    // Put into memory, it is reported if it is another version.
                    let is_held = held.is_some() || self.known(name).is_some() || is_in_snapshot;
                    let want = self.want(name).for_aws(is_for_aws(name));
                    let opened = self.opened(shared, &want, id, record, server, is_held);
                    // Where it is not put into memory, what was asked for before it is not used either, wherever it is now.
                    if matches!(opened, Shared::Miss) && held.is_none() {
                        self.memory.outdate(&name.text(), asked, self.clock.now());
                    }
                    if let Shared::Stale(copy) | Shared::Fresh(copy) = &opened {
                        let held = self.memory.held(name.as_str());
                        let is_older = |held: &Arc<Entry>| {
                            held.version_id != copy.version_id
                                && held.asked < copy.asked
                                && (copy.is_newer_than(held.version_id.as_deref(), held.created_unix_ms)
                                    || !held.may_be_later_than(copy))
                        };
                        if held.as_ref().is_none_or(is_older) {
                            self.memory.drop_value(&name.text(), copy.asked, self.clock.now());
                        }
                    }
                    if is_in_snapshot && !matches!(opened, Shared::Fresh(_)) {
                        self.leave_out(name);
                    }
                    changed(Changed::Replaced(name));
                }
                // Dropped by version 0.1.0, or forgotten by Redis: nothing says that the copy is right.
                Some(Record::Old | Record::Garbage) | None => {
                    if dropped_ms.is_none() || self.memory.held(name.as_str()).is_some() {
                        self.forget(name);
                        changed(Changed::Dropped(name));
                    }
                }
            }
        }
    }
}

impl TieredCache {
    /// Has AWS asked about `name` where Redis has nothing as young as what a message tells of: it lost that, or nobody said it. `known_ms`:
    /// the youngest that Redis has.
    fn ask_where_lost(&self, name: &SecretName, told: Told, known_ms: Option<u64>, server: ServerClock) {
        let now = self.clock.now();
        let Some(before_ms) = told.before_ms.filter(|before| Some(*before) > known_ms) else { return };
        // Nobody says anything from a time that has not come.
        if before_ms <= server.latest_ms_at(now.plus(CLOCKS_DIFFER)) {
            let outdated = Stamp::foreign(server.latest_moment_of(before_ms).min(now));
            self.memory.want_from_aws(&name.text(), outdated, now);
        }
    }
}

/// What a message tells of one name.
#[derive(Clone, Copy, Debug)]
struct Told {
    because: Because,
    /// From when on Redis's clock, unless version 0.1.0 says it.
    before_ms: Option<u64>,
}

/// Why another instance dropped copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// They are outdated: what was not there may be there now.
    Outdated,
    /// AWS has no such secret.
    Gone,
}

/// What waits to be checked.
#[derive(Debug, Default)]
struct Waiting {
    names: BTreeMap<SecretName, Told>,
    /// Messages named more than can wait one by one, or none of those that they meant.
    all_names: bool,
    /// A message says that the environment was cleared then.
    cleared_ms: Option<u64>,
    /// Messages may have been missed before.
    is_anew: bool,
}

impl Waiting {
    fn hear(&mut self, name: SecretName, told: Told) {
        let last = self.names.entry(name).or_insert(told);
        last.before_ms = last.before_ms.max(told.before_ms);
        if told.because == Because::Outdated {
            last.because = Because::Outdated;
        }
    }
}

/// Hints that were not checked yet; each name once.
#[derive(Default)]
struct Hints {
    waiting: Mutex<Waiting>,
    there_are_some: Arc<Notify>,
}

impl Hints {
    fn has_room_for(&self, name: &SecretName) -> bool {
        let waiting = self.waiting.lock();
        waiting.names.len() < MOST_HINTS || waiting.names.contains_key(name)
    }

    fn add<T>(&self, add: impl FnOnce(&mut Waiting) -> T) {
        add(&mut self.waiting.lock());
        self.there_are_some.notify_one();
    }

    /// Waits for hints and takes them all.
    async fn next(&self) -> Waiting {
        loop {
            {
                let mut waiting = self.waiting.lock();
                if !waiting.names.is_empty() || waiting.all_names || waiting.cleared_ms.is_some() || waiting.is_anew {
                    return std::mem::take(&mut *waiting);
                }
            }
            self.there_are_some.notified().await;
        }
    }
}
