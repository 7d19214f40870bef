//! What the shared cache knows.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::follow::Because;
use super::{SAME_COPY, Shared, SharedCache, TieredCache, Want};
use crate::entry::{Entry, Known};
use crate::envelope::Contents;
use crate::memory::Stored;
use crate::order::Stamp;
use crate::redis::ServerClock;
use crate::redis::record::{HEAD, Record};
use secret::error::{ErrorCode, SecretError};
use secret::found::is_of_replica;
use secret::name::SecretName;

/// How long a copy from the file waits for Redis, which may be what fails: the reader has waited for AWS before.
const LOOK_BEFORE_FILE: Duration = Duration::from_millis(100);

impl TieredCache {
    /// What the shared cache knows, in the order of `wants`, at the cost of one command. Fresh copies are put into memory.
    /// What AWS denied this process is not asked for.
    pub async fn lookup_shared(&self, wants: &[Want]) -> Vec<Shared> {
        self.look_into_shared(wants, true).await
    }

    /// What the shared cache knows of `name`, leaving memory as it is.
    pub async fn peek_shared(&self, name: &SecretName) -> Shared {
        let want = self.want(name);
        self.look_into_shared(std::slice::from_ref(&want), false).await.pop().unwrap_or(Shared::Miss)
    }

    async fn look_into_shared(&self, wants: &[Want], remember: bool) -> Vec<Shared> {
        let Some(shared) = &self.shared else { return wants.iter().map(|_| Shared::Disabled).collect() };
        let ids: Vec<String> = wants.iter().map(|want| self.id(&want.name)).collect();
        let looked = async {
            // A clear that was heard of removes the shared copies one by one.
            if self.memory.suspects_all() {
                self.follow_clear(shared).await?;
            }
            let found = match &ids[..] {
                [] => Vec::new(),
                [id] => vec![shared.redis.get(id).await?],
                ids => shared.redis.get_many(ids).await?,
            };
            Ok::<_, SecretError>((found, shared.redis.server_clock().await?))
        };
        match looked.await {
            Ok((found, server)) if found.len() == wants.len() => {
                let found = wants.iter().zip(&ids).zip(found);
                let opened = found.map(|((want, id), found)| self.opened(shared, want, id, found, server, remember));
                let answers: Vec<Shared> = opened.collect();
                if remember {
                    Box::pin(self.follow_missed_drops(shared, (wants, &ids, &answers), server)).await;
                }
                answers
            }
            Ok(_) => wants.iter().map(|_| Shared::Miss).collect(),
            Err(error) => wants.iter().map(|_| Shared::Failed(error.clone())).collect(),
        }
    }

    /// Drops the copies that others dropped while this instance may have heard nothing. Redis has no copy of these either, and where
    /// AWS fails nothing else would tell that they are not to be used.
    async fn follow_missed_drops(
        &self,
        shared: &SharedCache,
        (wants, ids, answers): (&[Want], &[String], &[Shared]),
        server: ServerClock,
    ) {
        // One that answers for a failing AWS may have begun to while Redis failed as well.
        let is_doubtful = |name: &str| match self.memory.held(name) {
            Some(held) => held.deadlines.hold_until.is_some() || self.memory.trusted(name).is_none(),
            None => false,
        };
        let asked = wants.iter().zip(ids).zip(answers);
        let doubtful = asked.filter(|((want, _), answer)| {
            !matches!(answer, Shared::Fresh(_) | Shared::Stale(_)) && is_doubtful(want.name.as_str())
        });
        let (names, ids): (Vec<&SecretName>, Vec<String>) =
            doubtful.map(|((want, id), _)| (&want.name, id.clone())).unzip();
        if names.is_empty() {
            return;
        }
        // Where Redis does not tell, the copies answer for a failing AWS, flagged.
        let Ok(dropped) = shared.redis.dropped_ms(&ids).await else { return };
        for (name, at) in names.into_iter().zip(dropped) {
            if let Some(at) = at {
                self.follow_drop(name, Stamp::foreign(server.latest_moment_of(at)), Because::Outdated);
            }
        }
    }

    /// Drops the copies of `name` that were asked for by `at`, when another instance dropped them; says whether it did.
    pub(super) fn follow_drop(&self, name: &SecretName, at: Stamp, because: Because) -> bool {
        let is_dropped = self.memory.held(name.as_str()).is_none_or(|held| held.asked <= at);
        if is_dropped {
            let (text, now) = (name.text(), self.clock.now());
            match because {
                Because::Outdated => self.memory.drop_value(&text, at, now),
                Because::Gone => self.memory.drop_gone(&text, at, now),
            }
            self.leave_out(name);
        }
        is_dropped
    }

    /// When the others dropped `name`, as far as Redis tells soon: a copy from the file may be from before, and wants to answer for a
    /// failing AWS.
    pub(super) async fn dropped_elsewhere(&self, name: &SecretName) -> Option<Stamp> {
        let shared = self.shared.as_ref()?;
        let look = async {
            self.follow_clear(shared).await?;
            let dropped = shared.redis.dropped_ms(&[self.id(name)]).await?;
            Ok::<_, SecretError>((dropped.first().copied().flatten(), shared.redis.server_clock().await?))
        };
        let (dropped, server) = tokio::time::timeout(LOOK_BEFORE_FILE, look).await.ok()?.ok()?;
        Some(Stamp::foreign(server.latest_moment_of(dropped?)))
    }

    /// Judges a record of the shared cache.
    pub(super) fn opened(
        &self,
        shared: &SharedCache,
        want: &Want,
        id: &str,
        record: Option<Vec<u8>>,
        server: ServerClock,
        remember: bool,
    ) -> Shared {
        let Some(record) = record else { return Shared::Miss };
        let mut record = Zeroizing::new(record);
        let (asked_ms, created_unix_ms) = match Record::parse(&record) {
            Record::Copy { asked_ms, created_unix_ms } => (asked_ms, created_unix_ms),
            // Its age is by the clock of the machine that wrote it.
            Record::Old => return Shared::Miss,
            Record::Garbage => return Shared::Failed(unknown_format(id)),
        };
        if self.is_denied(&want.name) {
            return Shared::Miss;
        }
        let contents = match shared.envelopes.open_in_place(id, &mut record[HEAD..]) {
            Ok(contents) => contents,
            Err(error) => return Shared::Failed(error),
        };
        // The head is as easily changed as the whole record; what is sealed is not.
        let asked_ms = asked_ms.min(contents.fetched_unix_ms);
        let now = self.clock.now();
        let held = self.memory.held(want.name.as_str());
        let is_by_hand = contents.version_id.is_none();
        if is_by_hand
            && remember
            && let Some(entry) = self.put_by_others(shared, want, held.as_ref(), &contents, asked_ms)
        {
            return Shared::Fresh(entry);
        }
        // What was put by hand is nobody's answer that could be late: where it is not known which is the later one, it counts. What
        // others have put after it is compared in the same way.
        let is_after_one = held.as_ref().is_some_and(|held| held.version_id.is_none());
        let asked =
            if is_by_hand || is_after_one { server.latest_moment_of(asked_ms) } else { server.moment_of(asked_ms) };
        let asked = Stamp::foreign(asked);
        if want.newer_than.is_some_and(|than| asked.at() < than.plus(SAME_COPY)) {
            return Shared::Miss;
        }
        // A replica that lags behind: version 0.1.0 shares what it gave.
        let version = contents.version_id.as_deref();
        let is_ahead = |held: &Arc<Entry>| held.is_ahead_of(version, created_unix_ms, now);
        if is_of_replica(version) && held.as_ref().is_some_and(is_ahead) {
            return Shared::Miss;
        }
        // AWS tells which of the two is live.
        let is_overtaken =
            |known: Known| known.may_be_later_than(contents.version_id.as_deref(), created_unix_ms, asked.at());
        if self.known(&want.name).is_some_and(is_overtaken) {
            // AWS gave the older version once: when it does so again, that counts (decision D19).
            if let Some(held) = held.as_ref().filter(|_| remember)
                && let Some(doubted) = held.doubted_from(asked.at(), contents.version_id.clone())
            {
                self.memory.doubt(&want.name.text(), held, doubted);
            }
            return Shared::Miss;
        }
        let entry = match &held {
            // The copy that memory holds, seen again: its own place in time is more exact.
            Some(held)
                if contents.version_id.is_some()
                    && held.version_id == contents.version_id
                    && asked.at() < held.asked.at().plus(SAME_COPY) =>
            {
                held.with(self.deadlines(Duration::from_millis(contents.fresh_for_ms).min(self.ttl), held.asked.at()))
            }
            _ => self.entry_of(contents, created_unix_ms, asked),
        };
        if !entry.is_usable(now) {
            return Shared::Miss;
        }
        // Where two questions overlap, nothing says which of the answers is the later one: AWS does.
        if held.is_none() && self.memory.absence_around(want.name.as_str(), entry.asked).is_some() {
            return Shared::Miss;
        }
        let is_for_aws = want.is_for_aws || self.memory.wants_from_aws(want.name.as_str(), entry.asked);
        if is_for_aws || held.is_some_and(|held| held.may_be_later_than(&entry)) {
            let allowed = self.memory.allows(want.name.as_str(), entry.asked);
            return if allowed { Shared::Stale(entry) } else { Shared::Miss };
        }
        let entry = if remember && entry.is_fresh(now) {
            match self.remember(&want.name, &entry, want.epoch) {
                Stored::Newest(_) => {
                    self.keep_in_snapshot(&want.name, &entry);
                    entry
                }
                // The server's clock is known only so well: AWS tells which of the two was asked for later.
                Stored::Newer(newer)
                    if newer.version_id != entry.version_id
                        && newer.asked.at() <= server.latest_moment_of(asked_ms) =>
                {
                    return Shared::Miss;
                }
                Stored::Newer(newer) => {
                    // A drop after it would stand in its place.
                    self.memory.trust_one(want.name.as_str());
                    newer
                }
                Stored::Outdated => return Shared::Miss,
            }
        } else if self.memory.allows(want.name.as_str(), entry.asked) {
            entry
        } else {
            // Redis may not know of the drop.
            return Shared::Miss;
        };
        if entry.is_fresh(now) { Shared::Fresh(entry) } else { Shared::Stale(entry) }
    }

    /// What stands in Redis in place of a value that this instance put there by hand. Redis has the order of such values: the one that
    /// stands there is the last.
    fn put_by_others(
        &self,
        shared: &SharedCache,
        want: &Want,
        held: Option<&Arc<Entry>>,
        contents: &Contents,
        asked_ms: u64,
    ) -> Option<Arc<Entry>> {
        let own = held.filter(|held| held.version_id.is_none() && held.asked.is_own())?;
        let from = shared.placed.from(&want.name, own.asked).filter(|_| own.value != contents.value)?;
        // Redis was read before the own value had arrived there.
        let now = self.clock.now();
        if asked_ms < from && own.is_fresh(now) {
            return Some(own.clone());
        }
        let asked = self.memory.ask(now);
        let deadlines = Self::deadlines_by_hand(Duration::from_millis(contents.fresh_for_ms), now);
        let entry = Entry::new(contents.value.clone(), None, None, asked, deadlines);
        shared.placed.note(&want.name, asked, asked_ms);
        matches!(self.remember(&want.name, &entry, want.epoch), Stored::Newest(_)).then_some(entry)
    }

    /// An entry from a copy that was made elsewhere, as old as it is.
    pub(super) fn entry_of(&self, contents: Contents, created_unix_ms: Option<u64>, asked: Stamp) -> Arc<Entry> {
        let fresh_for = Duration::from_millis(contents.fresh_for_ms);
        let deadlines = match contents.version_id {
            // Another instance may have a longer TTL; the shorter of both holds.
            Some(_) => self.deadlines(fresh_for.min(self.ttl), asked.at()),
            None => Self::deadlines_by_hand(fresh_for, asked.at()),
        };
        Entry::new(contents.value, contents.version_id, created_unix_ms, asked, deadlines)
    }
}

fn unknown_format(id: &str) -> SecretError {
    let why = format!("{id}: the shared cache entry is of an unknown format; it is ignored");
    SecretError::new(ErrorCode::CacheEntryCorrupt, why)
}
