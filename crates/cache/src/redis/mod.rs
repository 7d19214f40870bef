//! The shared cache. A cache, never a dependency: each call has a deadline, and after a failure nothing is asked of
//! Redis for a moment. The only room that knows the Redis client.

mod link;
pub mod record;
#[cfg(not(feature = "simulation"))]
mod scripts;
#[cfg(feature = "simulation")]
pub mod scripts;
mod subscription;
mod target;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, RedisWrite, ToRedisArgs, Value, from_redis_value};
use tokio::sync::Mutex as AsyncMutex;

pub use subscription::Heard;
pub use target::check_url;

use crate::coherence::Message;
use crate::settings::RedisSettings;
use link::Link;
use parking_lot::Mutex;
use secret::breaker::{Breaker, BreakerRules, BreakerState};
use secret::clock::{Clock, Moment, millis};
use secret::error::{ErrorCode, Result, SecretError};
use secret::name::AwsIds;
use target::Opener;

/// For opening a connection.
const CONNECT_DEADLINE: Duration = Duration::from_millis(500);
/// For one command on an open connection. A healthy Redis answers in well under a millisecond.
const OPERATION_DEADLINE: Duration = Duration::from_millis(250);
/// For one step of an administrative scan.
const SCAN_DEADLINE: Duration = Duration::from_secs(2);
/// After one failure reads go straight to AWS for a moment.
const BREAKER: BreakerRules =
    BreakerRules { threshold: 1, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(5) };

/// The difference to the server's clock is read again after this long.
const SERVER_CLOCK_FOR: Duration = Duration::from_mins(1);

const MGET: &str = "MGET";

/// A key that is put together where the command is written.
struct Key<'a> {
    prefix: &'a str,
    id: &'a str,
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix, self.id)
    }
}

impl ToRedisArgs for Key<'_> {
    fn write_redis_args<W: RedisWrite + ?Sized>(&self, out: &mut W) {
        out.write_arg_fmt(self);
    }
}

/// The shared cache's commands, by AWS id.
pub struct RedisCache {
    config: RedisSettings,
    opener: AsyncMutex<Option<Opener>>,
    link: AsyncMutex<Option<Link>>,
    breaker: Breaker,
    closed: AtomicBool,
    clock: Clock,
    server_clock: Mutex<Option<(ServerClock, Moment)>>,
}

/// How the server's clock and this process's differ.
#[derive(Clone, Copy, Debug)]
pub struct ServerClock {
    ahead_ms: i64,
    /// How long it took to read the server's clock: the difference may be smaller by so much.
    took: Duration,
}

impl ServerClock {
    fn new(server_ms: u64, now: Moment, took: Duration) -> Self {
        Self { ahead_ms: server_ms.cast_signed().saturating_sub(now.as_millis().cast_signed()), took }
    }

    /// The latest moment at which the server's clock may have shown `ms`. A drop counts from then on.
    pub fn latest_moment_of(self, ms: u64) -> Moment {
        self.moment_of(ms).plus(self.took)
    }

    /// The moment at which the server's clock shows `ms`, by this process's clock.
    pub fn moment_of(self, ms: u64) -> Moment {
        let moment = ms.min(i64::MAX as u64).cast_signed().saturating_sub(self.ahead_ms);
        Moment::from_millis(moment.max(0).cast_unsigned())
    }

    /// What the server's clock shows at `moment`.
    pub fn ms_at(self, moment: Moment) -> u64 {
        moment.as_millis().saturating_add_signed(self.ahead_ms)
    }
}

/// A copy on its way to the shared cache.
pub struct SharedCopy<'a> {
    /// How long ago AWS was asked for it.
    pub age: Duration,
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

impl RedisCache {
    /// Does not connect; the first command does.
    pub fn new(config: RedisSettings, clock: Clock) -> Self {
        // Redis over TLS needs a process-wide cryptography provider; whoever installed one first is fine.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        Self {
            config,
            opener: AsyncMutex::new(None),
            link: AsyncMutex::new(None),
            breaker: Breaker::new(BREAKER, clock.clone()),
            closed: AtomicBool::new(false),
            clock,
            server_clock: Mutex::default(),
        }
    }

    fn key<'a>(&'a self, id: &'a str) -> Key<'a> {
        Key { prefix: &self.config.key_prefix, id }
    }

    /// `:` is in no AWS id of ours, so a lock is never taken for an entry.
    fn lock_key(&self, id: &str) -> String {
        format!("{}lock:{id}", self.config.key_prefix)
    }

    /// Where the last drop of `id` is remembered; in a cluster it lies in the slot of the copy: the braces hash it like the
    /// copy's key, and a prefix with braces of its own hashes both.
    fn drop_key(&self, id: &str) -> String {
        let prefix = &self.config.key_prefix;
        if prefix.contains('{') { format!("{prefix}drop:{id}") } else { format!("{prefix}drop:{{{prefix}{id}}}") }
    }

    /// When each of `ids` was dropped, by the server's clock; in their order.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`.
    pub async fn dropped_ms(&self, ids: &[String]) -> Result<Vec<Option<u64>>> {
        let mut command = redis::cmd(MGET);
        for id in ids {
            command.arg(self.drop_key(id));
        }
        let found: Vec<Option<String>> = self.run(command).await?;
        Ok(found.into_iter().map(|text| text.and_then(|text| text.parse().ok())).collect())
    }

    fn cleared_key(&self, environment: &str) -> String {
        format!("{}cleared:{environment}", self.config.key_prefix)
    }

    fn lease_key(&self, what: &str) -> String {
        format!("{}lease:{what}", self.config.key_prefix)
    }

    fn channel(&self, environment: &str) -> String {
        format!("{}events:{environment}", self.config.key_prefix)
    }

    /// The envelope of `id`.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`, as every command here.
    pub async fn get(&self, id: &str) -> Result<Option<Vec<u8>>> {
        let mut command = redis::cmd("GET");
        command.arg(self.key(id));
        self.run(command).await
    }

    /// The envelopes of `ids`, in their order.
    pub async fn get_many(&self, ids: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
        let size = MGET.len() + ids.iter().map(|id| self.config.key_prefix.len() + id.len()).sum::<usize>();
        let mut command = Cmd::with_capacity(1 + ids.len(), size);
        command.arg(MGET);
        for id in ids {
            command.arg(self.key(id));
        }
        self.run(command).await
    }

    /// Stores a copy unless a newer one, or a later drop, stands there; says whether it did. The other instances hear of a
    /// version that stood in no record.
    pub async fn share(&self, id: &str, copy: &SharedCopy<'_>, message: &Message) -> Result<bool> {
        let tail = record::tail_of_head(copy.created_unix_ms, copy.version, copy.environment);
        let arguments = |command: &mut Cmd| {
            command.arg(self.test_time()).arg(millis(copy.age)).arg(&tail).arg(copy.envelope);
            command.arg(millis(copy.keep).max(1)).arg(self.channel(copy.environment));
            command.arg(&message.beginning).arg(&message.end).arg(&message.old);
        };
        Ok(self.run_on_copy(scripts::SHARE, id, arguments).await? == 1)
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
        self.run_on_copy(scripts::DROP, id, arguments).await.map(drop)
    }

    /// Runs a script on the copy of `id` and on its drop.
    async fn run_on_copy(&self, script: &str, id: &str, arguments: impl Fn(&mut Cmd)) -> Result<i64> {
        let command = |keys: u32| {
            let mut command = redis::cmd("EVAL");
            command.arg(script).arg(keys).arg(self.key(id));
            if keys > 1 {
                command.arg(self.drop_key(id));
            }
            arguments(&mut command);
            command
        };
        let link = self.link(OPERATION_DEADLINE).await?;
        let asked = async {
            match link.query(command(2)).await {
                Err(error) if server_code(&error).as_deref() == Some("TRYAGAIN") => link.query(command(1)).await,
                answered => answered,
            }
        };
        self.bounded(asked, OPERATION_DEADLINE).await
    }

    /// Milliseconds on a test's clock; 0 where the server's own clock counts.
    fn test_time(&self) -> u64 {
        if self.clock.is_test() { self.clock.unix_ms() } else { 0 }
    }

    /// The server's clock, as far as this process knows it.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`.
    pub async fn server_clock(&self) -> Result<ServerClock> {
        if self.clock.is_test() {
            return Ok(ServerClock::new(self.clock.unix_ms(), self.clock.now(), Duration::ZERO));
        }
        let known = *self.server_clock.lock();
        if let Some((clock, read_at)) = known
            && self.clock.now().since(read_at) < SERVER_CLOCK_FOR
        {
            return Ok(clock);
        }
        let read_at = self.clock.now();
        let link = self.link(OPERATION_DEADLINE).await?;
        let ms = self.bounded(link.time_ms(), OPERATION_DEADLINE).await?;
        // The server read its clock after `read_at`, so copies may look older, never younger.
        let clock = ServerClock::new(ms, read_at, self.clock.now().since(read_at));
        *self.server_clock.lock() = Some((clock, read_at));
        Ok(clock)
    }

    /// Takes the locks of `ids`, each for `lease`, and then reads their envelopes; says of each whether its lock was
    /// free, and what it holds. In one go, so that two processes that ask for the same ids do not each get half of them.
    pub async fn lock_many(&self, ids: &[String], lease: Duration) -> Result<Vec<(bool, Option<Vec<u8>>)>> {
        let locks = ids.iter().map(|id| {
            let mut command = redis::cmd("SET");
            command.arg(self.lock_key(id)).arg(1).arg("NX").arg("PX").arg(millis(lease));
            command
        });
        let reads = ids.iter().map(|id| {
            let mut command = redis::cmd("GET");
            command.arg(self.key(id));
            command
        });
        let mut answers: Vec<Value> = self.run_all(locks.chain(reads).collect()).await?;
        let envelopes = answers.split_off(ids.len().min(answers.len()));
        let answers = answers.into_iter().zip(envelopes).map(|(lock, envelope)| {
            // An entry of another type is no copy.
            let envelope = from_redis_value(envelope).unwrap_or_default();
            (lock != Value::Nil, envelope)
        });
        Ok(answers.collect())
    }

    /// Gives locks back.
    pub async fn unlock_many(&self, ids: &[String]) -> Result<()> {
        let commands = ids.iter().map(|id| {
            let mut command = redis::cmd("UNLINK");
            command.arg(self.lock_key(id));
            command
        });
        self.run_all::<i64>(commands.collect()).await.map(drop)
    }

    /// Takes the lease `what` for `term` unless it is another's; `token` tells whose it is.
    pub async fn take_lease(&self, what: &str, token: &str, term: Duration) -> Result<bool> {
        let mut command = redis::cmd("SET");
        command.arg(self.lease_key(what)).arg(token).arg("NX").arg("PX").arg(millis(term));
        Ok(self.run::<Value>(command).await? != Value::Nil)
    }

    /// Prolongs the lease `what`; `false` when it is no longer `token`'s.
    pub async fn keep_lease(&self, what: &str, token: &str, term: Duration) -> Result<bool> {
        let mut command = redis::cmd("EVAL");
        command.arg(scripts::KEEP_LEASE).arg(1).arg(self.lease_key(what)).arg(token).arg(millis(term));
        Ok(self.run::<i64>(command).await? == 1)
    }

    /// Gives the lease `what` back if it is still `token`'s.
    pub async fn end_lease(&self, what: &str, token: &str) -> Result<()> {
        let mut command = redis::cmd("EVAL");
        command.arg(scripts::END_LEASE).arg(1).arg(self.lease_key(what)).arg(token);
        self.run::<i64>(command).await.map(drop)
    }

    /// Follows what instances of `environment` tell each other, until the future is dropped. `heard` is called for each
    /// message, and whenever the subscription stands anew: what was told before that was not heard.
    pub async fn follow(&self, environment: &str, heard: impl FnMut(Heard)) {
        subscription::follow(&self.config, &self.channel(environment), heard).await;
    }

    /// When `environment` was cleared, by the server's clock.
    pub async fn cleared_ms(&self, environment: &str) -> Result<Option<u64>> {
        let mut command = redis::cmd("GET");
        command.arg(self.cleared_key(environment));
        let text: Option<String> = self.run(command).await?;
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// Marks `environment` as cleared, and removes its copies by SCAN: never FLUSHDB, never KEYS. What is not a copy of this
    /// environment stays: leases, locks, drops, and other environments, whatever the ids look like.
    pub async fn clear(&self, ids: &AwsIds, keep: Duration, environment: &str, message: &Message) -> Result<()> {
        let mut command = redis::cmd("EVAL");
        command.arg(scripts::CLEAR).arg(1).arg(self.cleared_key(environment)).arg(self.test_time());
        command.arg(millis(keep).max(1)).arg(self.channel(environment)).arg(&message.beginning).arg(&message.old);
        self.run::<Value>(command).await?;
        let pattern = format!("{}*{}", glob_literal(&self.key(&ids.before).to_string()), glob_literal(&ids.after));
        let tag = record::tag(environment);
        let link = self.link(SCAN_DEADLINE).await?;
        for node in self.bounded(link.nodes(), SCAN_DEADLINE).await? {
            let mut cursor: u64 = 0;
            loop {
                let step = link.scan_step(&node, cursor, &pattern);
                let (next, keys) = self.bounded(step, SCAN_DEADLINE).await?;
                let removals = keys.into_iter().map(|key| {
                    let mut command = redis::cmd("EVAL");
                    command.arg(scripts::REMOVE).arg(1).arg(key).arg(&tag);
                    command
                });
                self.bounded(link.query_all::<i64>(removals.collect()), SCAN_DEADLINE).await?;
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Asks whether Redis answers, breaker or not.
    pub async fn ping(&self) -> Result<()> {
        self.breaker.probe_now();
        self.run::<String>(redis::cmd("PING")).await.map(drop)
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

    async fn run<T: FromRedisValue + Send>(&self, command: Cmd) -> Result<T> {
        let link = self.link(OPERATION_DEADLINE).await?;
        self.bounded(link.query(command), OPERATION_DEADLINE).await
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
                *opener = Some(target::opener(&self.config).map_err(|why| unavailable(&why))?);
            }
            let Some(opener) = opener.as_mut() else { return Err(unavailable("no client")) };
            let link = Link::open(opener).await.map_err(|error| unavailable(&reason(&error)))?;
            *held = Some(link.clone());
            Ok(link)
        };
        match tokio::time::timeout(CONNECT_DEADLINE.max(deadline), opening).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(error)) => Err(self.failed(error)),
            Err(_) => Err(self.failed(unavailable("no connection in time"))),
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
                return Err(self.failed(unavailable("no answer in time")));
            }
        };
        let unavailable = unavailable(&reason(&error));
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

/// What a failure says about the next command.
enum Blame {
    /// Only this one was refused: an entry of another type, no memory, no right to write.
    Command,
    /// The server became a replica: another connection may lead to the primary.
    Connection,
    /// Nothing works.
    Server,
}

fn blame(error: &redis::RedisError) -> Blame {
    match server_code(error).as_deref() {
        Some("READONLY") => Blame::Connection,
        Some("NOAUTH" | "WRONGPASS" | "LOADING" | "CLUSTERDOWN" | "MASTERDOWN") => Blame::Server,
        Some(_) => Blame::Command,
        _ if error.kind() == redis::ErrorKind::UnexpectedReturnType => Blame::Command,
        _ => Blame::Server,
    }
}

fn unavailable(why: &str) -> SecretError {
    SecretError::new(ErrorCode::CacheUnavailable, format!("Redis is not available: {why}"))
}

/// The code the server answered with; of several commands sent together, the first one's.
fn server_code(error: &redis::RedisError) -> Option<String> {
    let answered = error.clone().into_server_errors();
    let first = answered.as_ref().and_then(|errors| errors.first()).map(|(_, error)| error.code());
    first.or_else(|| error.code()).map(str::to_owned)
}

/// The kind of a failure, never the server's own text.
fn reason(error: &redis::RedisError) -> String {
    match server_code(error) {
        Some(code) if code.bytes().all(|b| b.is_ascii_uppercase()) && code.len() <= 20 => format!("it answered {code}"),
        _ => error.category().to_owned(),
    }
}

/// Escapes what SCAN's MATCH would read as a pattern.
fn glob_literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '^' | '\\') {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_cannot_become_a_pattern() {
        assert_eq!(glob_literal("a*b[c]?\\"), "a\\*b\\[c\\]\\?\\\\");
    }
}
