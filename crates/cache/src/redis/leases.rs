//! Locks, which one short fetch holds, and leases, which a long piece of work renews.

use std::time::Duration;

use redis::{Value, from_redis_value};

use super::{RedisCache, scripts};
use secret::clock::millis;
use secret::error::Result;

impl RedisCache {
    /// Takes the locks of `ids`, each for `lease`, and then reads their envelopes; says of each whether its lock was
    /// free, and what it holds. In one go, so that two processes that ask for the same ids do not each get half of them.
    pub async fn lock_many(&self, ids: &[String], lease: Duration) -> Result<Vec<(bool, Option<Vec<u8>>)>> {
        let keys = self.keys().await?;
        let locks = ids.iter().map(|id| {
            let mut command = redis::cmd("SET");
            command.arg(keys.lock(id)).arg(1).arg("NX").arg("PX").arg(millis(lease));
            command
        });
        let reads = ids.iter().map(|id| {
            let mut command = redis::cmd("GET");
            command.arg(keys.copy(id));
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
        let keys = self.keys().await?;
        let commands = ids.iter().map(|id| {
            let mut command = redis::cmd("UNLINK");
            command.arg(keys.lock(id));
            command
        });
        self.run_all::<i64>(commands.collect()).await.map(drop)
    }

    /// Takes the lease `what` for `term` unless it is another's; `token` tells whose it is.
    pub async fn take_lease(&self, what: &str, token: &str, term: Duration) -> Result<bool> {
        let keys = self.keys().await?;
        let mut command = redis::cmd("SET");
        command.arg(keys.lease(what)).arg(token).arg("NX").arg("PX").arg(millis(term));
        Ok(self.run::<Value>(command).await? != Value::Nil)
    }

    /// Prolongs the lease `what`; `false` when it is no longer `token`'s.
    pub async fn keep_lease(&self, what: &str, token: &str, term: Duration) -> Result<bool> {
        let keys = self.keys().await?;
        let mut command = redis::cmd("EVAL");
        command.arg(scripts::KEEP_LEASE).arg(1).arg(keys.lease(what)).arg(token).arg(millis(term));
        Ok(self.run::<i64>(command).await? == 1)
    }

    /// Gives the lease `what` back if it is still `token`'s.
    pub async fn end_lease(&self, what: &str, token: &str) -> Result<()> {
        let keys = self.keys().await?;
        let mut command = redis::cmd("EVAL");
        command.arg(scripts::END_LEASE).arg(1).arg(keys.lease(what)).arg(token);
        self.run::<i64>(command).await.map(drop)
    }
}
