//! The shared cache. A cache, never a dependency: each call has a deadline, and after a failure nothing is asked of
//! Redis for a moment. The only room that knows the Redis client.

mod clear;
mod keys;
mod leases;
mod link;
mod reason;
pub mod record;
#[cfg(not(feature = "simulation"))]
mod scripts;
#[cfg(feature = "simulation")]
pub mod scripts;
mod server_clock;
mod subscription;
mod target;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, ToRedisArgs};
use tokio::sync::Mutex as AsyncMutex;

use keys::Keys;
pub use server_clock::ServerClock;
pub use subscription::Heard;
pub use target::check_url;

use crate::coherence::Message;
use crate::owner::Owner;
use crate::settings::RedisSettings;
use link::Link;
use parking_lot::Mutex;
use reason::{Blame, Place, blame, failed, late, server_code, unavailable, unopened};
use secret::breaker::{Breaker, BreakerRules, BreakerState};
use secret::caught::caught;
use secret::clock::{Clock, Moment, millis};
use secret::error::{Result, SecretError};
use target::Opener;

/// For opening a connection.
const CONNECT_DEADLINE: Duration = Duration::from_millis(500);
/// For one command on an open connection. A healthy Redis answers in well under a millisecond.
const OPERATION_DEADLINE: Duration = Duration::from_millis(250);
/// For one step of an administrative scan.
pub(super) const SCAN_DEADLINE: Duration = Duration::from_secs(2);
/// After one failure reads go straight to AWS for a moment.
const BREAKER: BreakerRules =
    BreakerRules { threshold: 1, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(5) };

const MGET: &str = "MGET";
/// So many keys lie on one of two servers with a chance of 1 in 65,536.
const PROBES: u32 = 16;

/// The shared cache's commands, by AWS id.
pub struct RedisCache {
    config: RedisSettings,
    /// `None`: without AWS nobody in particular.
    owner: Option<Owner>,
    opener: AsyncMutex<Option<Opener>>,
    link: AsyncMutex<Option<Link>>,
    breaker: Breaker,
    closed: AtomicBool,
    clock: Clock,
    server_clock: Mutex<Option<(ServerClock, Moment)>>,
    /// The hosts and ports of the URL, for messages.
    place: Place,
    /// Whether it refuses commands with keys of several slots: then it is a node of a cluster.
    has_slots: AtomicBool,
    /// Whether it is a node of a cluster of several, where that was asked.
    one_of_many: Mutex<Option<bool>>,
    /// Why it did not take the last copy or drop; `None` after one that it took.
    refused: Mutex<Option<SecretError>>,
    /// Why it refused the subscription; `None` while one is active, or was not refused.
    unheard: Mutex<Option<SecretError>>,
}

/// A copy on its way to the shared cache.
pub struct SharedCopy<'a> {
    /// How many milliseconds ago AWS was asked for it; less than 0 where it counts from a moment ahead, after this instance's copy before.
    pub age_ms: i64,
    /// When AWS was asked for it by the server's clock, or a little earlier; `None` for a value put by hand, which counts from now.
    pub asked_ms: Option<u64>,
    /// When AWS made the version, in milliseconds since 1970.
    pub created_unix_ms: Option<u64>,
    /// AWS's version id.
    pub version: Option<&'a str>,
    /// The environment it belongs to.
    pub environment: &'a str,
    /// The sealed value.
    pub envelope: &'a [u8],
    /// Redis forgets it after that.
    pub keep: Duration,
}

/// What became of a copy that was to be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It stands there, and counts from then by the server's clock.
    From(u64),
    /// Another one stands there that is as new, or newer.
    Newer,
    /// The secret was dropped since.
    Dropped,
}

impl RedisCache {
    /// Does not connect; the first command does.
    pub fn new(config: RedisSettings, owner: Option<Owner>, clock: Clock) -> Self {
        // Redis over TLS needs a process-wide cryptography provider; the first one installed is fine.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        Self {
            place: target::place(&config.url),
            has_slots: AtomicBool::new(false),
            one_of_many: Mutex::default(),
            refused: Mutex::default(),
            unheard: Mutex::default(),
            config,
            owner,
            opener: AsyncMutex::new(None),
            link: AsyncMutex::new(None),
            breaker: Breaker::new(BREAKER, clock.clone()),
            closed: AtomicBool::new(false),
            clock,
            server_clock: Mutex::default(),
        }
    }

    /// The keys of whoever this process is for AWS: accounts that share a Redis have the same names for secrets of their own.
    async fn keys(&self) -> Result<Keys> {
        let owner = match &self.owner {
            // What is closed does not ask.
            Some(owner) if !self.closed.load(Ordering::SeqCst) => owner().await?,
            _ => None,
        };
        Ok(Keys::of(&self.config.key_prefix, owner.as_deref()))
    }

    /// When each of `ids` was dropped, by the server's clock; in their order.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`.
    pub async fn dropped_ms(&self, ids: &[String]) -> Result<Vec<Option<u64>>> {
        let keys = self.keys().await?;
        let mut command = redis::cmd(MGET);
        for id in ids {
            command.arg(keys.drop(id));
        }
        let one = |id: &String| get(keys.drop(id));
        let found: Vec<Option<String>> = self.run_many(command, || ids.iter().map(one).collect()).await?;
        Ok(found.into_iter().map(|text| text.and_then(|text| text.parse().ok())).collect())
    }

    /// Of all owners: a message is a reason to look, and everyone looks at keys of their own.
    fn channel(&self, environment: &str) -> String {
        format!("{}events:{environment}", self.config.key_prefix)
    }

    /// The envelope of `id`.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`, as every command here.
    pub async fn get(&self, id: &str) -> Result<Option<Vec<u8>>> {
        self.run(get(self.keys().await?.copy(id))).await
    }

    /// The envelopes of `ids`, in their order.
    pub async fn get_many(&self, ids: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
        let keys = self.keys().await?;
        let size = MGET.len() + ids.iter().map(|id| keys.prefix().len() + id.len()).sum::<usize>();
        let mut command = Cmd::with_capacity(1 + ids.len(), size);
        command.arg(MGET);
        for id in ids {
            command.arg(keys.copy(id));
        }
        self.run_many(command, || ids.iter().map(|id| get(keys.copy(id))).collect()).await
    }

    /// Stores a copy unless a newer one, or a later drop, stands there. The other instances hear of a version that stood in no
    /// record.
    pub async fn share(&self, id: &str, copy: &SharedCopy<'_>, message: &Message) -> Result<Put> {
        let tail = record::tail_of_head(copy.created_unix_ms, copy.version, copy.environment);
        let arguments = |command: &mut Cmd| {
            let by = copy.asked_ms.map_or(scripts::BY_HAND, u64::cast_signed);
            command.arg(self.test_time()).arg(copy.age_ms).arg(by).arg(&tail).arg(copy.envelope);
            command.arg(millis(copy.keep).max(1)).arg(self.channel(copy.environment));
            command.arg(&message.beginning).arg(&message.end).arg(&message.old);
        };
        Ok(match self.run_on_copy(scripts::SHARE, id, arguments).await? {
            0 => Put::Dropped,
            from => u64::try_from(from).map_or(Put::Newer, Put::From),
        })
    }

    /// Drops the entry of `id`, as of `age` ago, unless something newer stands there. The other instances hear of it.
    pub async fn drop(
        &self,
        id: &str,
        age: Duration,
        keep: Duration,
        environment: &str,
        message: &Message,
    ) -> Result<()> {
        let arguments = |command: &mut Cmd| {
            command.arg(self.test_time()).arg(millis(age)).arg(millis(keep).max(1)).arg(self.channel(environment));
            command.arg(&message.beginning).arg(&message.end).arg(&message.old);
        };
        self.run_on_copy(scripts::DROP, id, arguments).await?;
        self.remove_unowned(id).await
    }

    /// Removes the copy of version 0.1.0, which knows no owners, where this process has one: instances of that version would go on
    /// reading it.
    async fn remove_unowned(&self, id: &str) -> Result<()> {
        let unowned = Keys::of(&self.config.key_prefix, None);
        if self.keys().await?.prefix() == unowned.prefix() {
            return Ok(());
        }
        let mut command = redis::cmd("EVAL");
        command.arg(scripts::REMOVE).arg(1).arg(unowned.copy(id)).arg(record::NO_TAG);
        self.run::<i64>(command).await.map(drop)
    }

    /// Runs a script on the copy of `id` and on its drop.
    async fn run_on_copy(&self, script: &str, id: &str, arguments: impl Fn(&mut Cmd)) -> Result<i64> {
        let keys = self.keys().await?;
        let command = |number: u32| {
            let mut command = redis::cmd("EVAL");
            command.arg(script).arg(number).arg(keys.copy(id));
            if number > 1 {
                command.arg(keys.drop(id));
            }
            arguments(&mut command);
            command
        };
        let link = self.link(OPERATION_DEADLINE).await?;
        let asked = async {
            let answered = match link.query(command(2)).await {
                Err(error) if server_code(&error).as_deref() == Some("TRYAGAIN") => link.query(command(1)).await,
                answered => answered,
            };
            match &answered {
                Ok(_) => *self.refused.lock() = None,
                Err(error) => self.note_refusal(error),
            }
            answered
        };
        self.bounded(asked, OPERATION_DEADLINE).await
    }

    /// Notes that a copy was not taken, where Redis answered: what it does not answer at all shows in [`RedisCache::ping`].
    fn note_refusal(&self, error: &redis::RedisError) {
        if matches!(blame(error), Blame::Command | Blame::Connection) {
            *self.refused.lock() = Some(failed(&self.place, error));
        }
    }

    /// Why it does not keep what it is given, although it answers: a user without the right, no memory, a replica, a script or a
    /// clock that it does not give.
    pub fn refused(&self) -> Option<SecretError> {
        self.refused.lock().clone()
    }

    /// Why it does not tell what other instances change, although it answers.
    pub fn unheard(&self) -> Option<SecretError> {
        self.unheard.lock().clone()
    }

    /// Milliseconds on a test's clock; 0 where the server's own clock counts.
    fn test_time(&self) -> u64 {
        if self.clock.is_test() { self.clock.unix_ms() } else { 0 }
    }

    /// Follows what instances of `environment` tell each other, until the future is dropped. `heard` is called for each
    /// message, and whenever the subscription stands anew: what was told before that was not heard.
    pub async fn follow(&self, environment: &str, mut heard: impl FnMut(Heard)) {
        let heard = |event| {
            match &event {
                Heard::Subscribed => *self.unheard.lock() = None,
                Heard::Refused(why) => *self.unheard.lock() = Some(unavailable(&self.place, why)),
                Heard::Message(_) => {}
            }
            heard(event);
        };
        subscription::follow(&self.config, &self.channel(environment), heard).await;
    }

    /// Asks whether Redis answers and gives copies, breaker or not; one node of several is not the whole cluster.
    pub async fn ping(&self) -> Result<()> {
        self.breaker.probe_now();
        self.run::<String>(redis::cmd("PING")).await?;
        self.may_read().await?;
        if self.is_one_of_many().await {
            let why = "it is one of several nodes of a Redis Cluster, and only its own part of the keys is used: begin \
                       cache.redis.url with redis+cluster:// (rediss+cluster://)";
            return Err(unavailable(&self.place, why));
        }
        Ok(())
    }

    /// Whether it is asked at all.
    pub fn breaker_state(&self) -> BreakerState {
        self.breaker.state_now()
    }

    /// Drops the connection and refuses further commands.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        *self.link.lock().await = None;
    }

    /// Whether this is a node of a cluster of several, behind a URL of a single server: it sends clients elsewhere for some of
    /// the keys. Asked once in a connection, with no more rights than reads need.
    async fn is_one_of_many(&self) -> bool {
        let Ok(link) = self.link(OPERATION_DEADLINE).await else { return false };
        let known = *self.one_of_many.lock();
        if let Some(known) = known {
            return known;
        }
        if link.is_cluster() {
            return false;
        }
        let keys = (0..PROBES).map(|number| get(format!("{}probe:{number}", self.config.key_prefix)));
        let asked = link.query_all::<redis::Value>(keys.collect());
        let Ok(asked) = tokio::time::timeout(OPERATION_DEADLINE, asked).await else { return false };
        let is_moved = asked.is_err_and(|error| server_code(&error).as_deref() == Some("MOVED"));
        *self.one_of_many.lock().insert(is_moved)
    }

    /// That copies can be read in both ways, one and many: a key of the same prefix is asked for. A user may lack the right, and
    /// a Sentinel, which answers a ping, knows neither command. Another node's key is another matter.
    async fn may_read(&self) -> Result<()> {
        let link = self.link(OPERATION_DEADLINE).await?;
        for name in ["GET", MGET] {
            let mut command = redis::cmd(name);
            command.arg(format!("{}probe:0", self.config.key_prefix));
            let asked = link.query::<redis::Value>(command);
            let Ok(Err(error)) = tokio::time::timeout(OPERATION_DEADLINE, asked).await else { continue };
            match server_code(&error).as_deref() {
                None | Some("MOVED" | "ASK" | "TRYAGAIN" | "WRONGTYPE") => {}
                Some(_) => return Err(failed(&self.place, &error)),
            }
        }
        Ok(())
    }

    async fn run<T: FromRedisValue + Send>(&self, command: Cmd) -> Result<T> {
        let link = self.link(OPERATION_DEADLINE).await?;
        self.bounded(link.query(command), OPERATION_DEADLINE).await
    }

    /// Runs `whole`, or its parts where the server wants all keys of a command in one slot.
    async fn run_many<T: FromRedisValue + Send>(&self, whole: Cmd, parts: impl Fn() -> Vec<Cmd>) -> Result<Vec<T>> {
        if self.has_slots.load(Ordering::Relaxed) {
            return self.run_all(parts()).await;
        }
        let link = self.link(OPERATION_DEADLINE).await?;
        let asked = async {
            match link.query(whole).await {
                Err(error) if server_code(&error).as_deref() == Some("CROSSSLOT") => {
                    self.has_slots.store(true, Ordering::Relaxed);
                    link.query_all(parts()).await
                }
                answered => answered,
            }
        };
        self.bounded(asked, OPERATION_DEADLINE).await
    }

    async fn run_all<T: FromRedisValue + Send>(&self, commands: Vec<Cmd>) -> Result<Vec<T>> {
        let link = self.link(OPERATION_DEADLINE).await?;
        self.bounded(link.query_all(commands), OPERATION_DEADLINE).await
    }

    /// The open connection, or a new one. Waiters share the attempt.
    async fn link(&self, deadline: Duration) -> Result<Link> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(SecretError::closed());
        }
        self.breaker.admit()?;
        let opening = async {
            let mut held = self.link.lock().await;
            if let Some(link) = &*held {
                return Ok(link.clone());
            }
            let mut opener = self.opener.lock().await;
            if opener.is_none() {
                *opener = Some(target::opener(&self.config).await.map_err(|why| unavailable(&self.place, &why))?);
            }
            let Some(opener) = opener.as_mut() else { return Err(unavailable(&self.place, "no client")) };
            let link = Link::open(opener).await.map_err(|error| unopened(&self.place, &error))?;
            *held = Some(link.clone());
            *self.one_of_many.lock() = None;
            Ok(link)
        };
        let limit = CONNECT_DEADLINE.max(deadline);
        match tokio::time::timeout(limit, caught(opening)).await {
            Ok(Some(Ok(link))) => Ok(link),
            Ok(Some(Err(error))) => Err(self.failed(error)),
            Ok(None) => Err(self.failed(unavailable(&self.place, "its client failed; please report it"))),
            Err(_) => {
                let why = format!("no connection within {} ms", limit.as_millis());
                Err(self.failed(late(&self.place, &why)))
            }
        }
    }

    async fn bounded<T>(&self, call: impl Future<Output = redis::RedisResult<T>>, deadline: Duration) -> Result<T> {
        let error = match tokio::time::timeout(deadline, call).await {
            Ok(Ok(value)) => {
                self.breaker.succeeded();
                return Ok(value);
            }
            Ok(Err(error)) => error,
            Err(_) => {
                *self.link.lock().await = None;
                let why = format!("no answer within {} ms", deadline.as_millis());
                return Err(self.failed(late(&self.place, &why)));
            }
        };
        let unavailable = failed(&self.place, &error);
        match blame(&error) {
            // It answered, so it is there: reads go on.
            Blame::Command => {
                self.breaker.succeeded();
                Err(unavailable)
            }
            Blame::Connection => {
                *self.link.lock().await = None;
                self.breaker.succeeded();
                Err(unavailable)
            }
            Blame::Server => {
                *self.link.lock().await = None;
                Err(self.failed(unavailable))
            }
        }
    }

    fn failed(&self, error: SecretError) -> SecretError {
        self.breaker.failed(&error);
        error
    }
}

fn get(key: impl ToRedisArgs) -> Cmd {
    let mut command = redis::cmd("GET");
    command.arg(key);
    command
}
