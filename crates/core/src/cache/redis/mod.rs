//! The shared cache. A cache, never a dependency: each call has a deadline, and after a failure nothing is asked of
//! Redis for a moment. The only room that knows the Redis client.

mod link;
mod target;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;

pub use target::check_url;

use crate::clock::{Clock, Moment};
use crate::config::RedisConfig;
use crate::error::{ErrorCode, Result, SecretError};
use link::Link;
use target::Opener;

/// For opening a connection.
const CONNECT_DEADLINE: Duration = Duration::from_millis(500);
/// For one command on an open connection. A healthy Redis answers in well under a millisecond.
const OPERATION_DEADLINE: Duration = Duration::from_millis(250);
/// For one step of an administrative scan.
const SCAN_DEADLINE: Duration = Duration::from_secs(2);
/// After a failure reads go straight to AWS for so long.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// The shared cache's commands, by AWS id.
pub struct RedisCache {
    config: RedisConfig,
    clock: Clock,
    opener: AsyncMutex<Option<Opener>>,
    link: AsyncMutex<Option<Link>>,
    down_until: Mutex<Option<(Moment, SecretError)>>,
    closed: AtomicBool,
}

impl RedisCache {
    /// Does not connect; the first command does.
    pub fn new(config: RedisConfig, clock: Clock) -> Self {
        // Redis over TLS needs a process-wide cryptography provider; whoever installed one first is fine.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        Self {
            config,
            clock,
            opener: AsyncMutex::new(None),
            link: AsyncMutex::new(None),
            down_until: Mutex::new(None),
            closed: AtomicBool::new(false),
        }
    }

    fn key(&self, id: &str) -> String {
        format!("{}{id}", self.config.key_prefix)
    }

    /// The envelope of `id`.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`, as every command here.
    pub async fn get(&self, id: &str) -> Result<Option<Vec<u8>>> {
        let mut command = redis::cmd("GET");
        command.arg(self.key(id));
        self.run(command, OPERATION_DEADLINE).await
    }

    /// The envelopes of `ids`, in their order.
    pub async fn get_many(&self, ids: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
        let mut command = redis::cmd("MGET");
        for id in ids {
            command.arg(self.key(id));
        }
        self.run(command, OPERATION_DEADLINE).await
    }

    /// Stores an envelope that Redis itself forgets after `keep`.
    pub async fn set(&self, id: &str, envelope: &[u8], keep: Duration) -> Result<()> {
        let mut command = redis::cmd("SET");
        command.arg(self.key(id)).arg(envelope).arg("PX").arg(crate::clock::millis(keep).max(1));
        self.run(command, OPERATION_DEADLINE).await
    }

    /// Drops the entry of `id`.
    pub async fn remove(&self, id: &str) -> Result<()> {
        let mut command = redis::cmd("UNLINK");
        command.arg(self.key(id));
        self.run::<i64>(command, OPERATION_DEADLINE).await.map(drop)
    }

    /// Drops every entry whose id stands between `before` and `after`, by SCAN: never FLUSHDB, never KEYS.
    pub async fn clear(&self, before: &str, after: &str) -> Result<()> {
        let pattern = format!("{}*{}", glob_literal(&self.key(before)), glob_literal(after));
        let link = self.link(SCAN_DEADLINE).await?;
        for node in self.bounded(link.nodes(), SCAN_DEADLINE).await? {
            let mut cursor: u64 = 0;
            loop {
                let step = link.scan_step(&node, cursor, &pattern);
                let (next, keys) = self.bounded(step, SCAN_DEADLINE).await?;
                for key in keys {
                    self.bounded(link.unlink(&key), OPERATION_DEADLINE).await?;
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Asks whether Redis answers, cool-down or not.
    pub async fn ping(&self) -> Result<()> {
        *self.down() = None;
        self.run::<String>(redis::cmd("PING"), OPERATION_DEADLINE).await.map(drop)
    }

    /// Drops the connection and refuses further commands.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        *self.link.lock().await = None;
    }

    async fn run<T: redis::FromRedisValue + Send>(&self, command: redis::Cmd, deadline: Duration) -> Result<T> {
        let link = self.link(deadline).await?;
        self.bounded(link.query(command), deadline).await
    }

    /// The open connection, or a new one. Waiters share the attempt.
    async fn link(&self, deadline: Duration) -> Result<Link> {
        if let Some((until, error)) = &*self.down()
            && self.clock.now() < *until
        {
            return Err(error.clone());
        }
        if self.closed.load(Ordering::SeqCst) {
            return Err(SecretError::closed());
        }
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
            Ok(Err(error)) => Err(self.cool_down(error)),
            Err(_) => Err(self.cool_down(unavailable("no connection in time"))),
        }
    }

    async fn bounded<T>(&self, call: impl Future<Output = redis::RedisResult<T>>, deadline: Duration) -> Result<T> {
        match tokio::time::timeout(deadline, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let unavailable = unavailable(&reason(&error));
                // An answer of the wrong type is the entry's fault; anything else, the connection's or the server's.
                if error.kind() == redis::ErrorKind::UnexpectedReturnType || is_wrong_type(&error) {
                    return Err(unavailable);
                }
                *self.link.lock().await = None;
                Err(self.cool_down(unavailable))
            }
            Err(_) => {
                *self.link.lock().await = None;
                Err(self.cool_down(unavailable("no answer in time")))
            }
        }
    }

    fn cool_down(&self, error: SecretError) -> SecretError {
        *self.down() = Some((self.clock.now().plus(COOL_DOWN), error.clone()));
        error
    }

    fn down(&self) -> std::sync::MutexGuard<'_, Option<(Moment, SecretError)>> {
        self.down_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_wrong_type(error: &redis::RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}

fn unavailable(why: &str) -> SecretError {
    SecretError::new(ErrorCode::CacheUnavailable, format!("Redis is not available: {why}"))
}

/// The kind of a failure, never the server's own text.
fn reason(error: &redis::RedisError) -> String {
    match error.code() {
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
