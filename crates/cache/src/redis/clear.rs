//! Clears the copies of one environment, and nothing else.

use std::time::Duration;

use redis::Value;

use super::keys::Keys;
use super::{RedisCache, SCAN_DEADLINE, get, record, scripts};
use crate::coherence::Message;
use secret::aws_ids::AwsIds;
use secret::clock::millis;
use secret::error::Result;

impl RedisCache {
    /// When `environment` was cleared, by the server's clock.
    pub async fn cleared_ms(&self, environment: &str) -> Result<Option<u64>> {
        let text: Option<String> = self.run(get(self.keys().await?.cleared(environment))).await?;
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// Marks `environment` as cleared, and removes its copies by SCAN: never FLUSHDB, never KEYS. What is not a copy of this
    /// environment stays: leases, locks, drops, and other environments, whatever the ids look like.
    pub async fn clear(&self, ids: &AwsIds, keep: Duration, environment: &str, message: &Message) -> Result<()> {
        let keys = self.keys().await?;
        let mut command = redis::cmd("EVAL");
        command.arg(scripts::CLEAR).arg(1).arg(keys.cleared(environment)).arg(self.test_time());
        command.arg(millis(keep).max(1)).arg(self.channel(environment)).arg(&message.beginning).arg(&message.old);
        self.run::<Value>(command).await?;
        self.remove_all(&keys, ids, &record::tag(environment)).await?;
        let unowned = Keys::of(&self.config.key_prefix, None);
        // Copies of version 0.1.0, which knows no owners, and nothing else.
        if keys.prefix() == unowned.prefix() { Ok(()) } else { self.remove_all(&unowned, ids, record::NO_TAG).await }
    }

    async fn remove_all(&self, keys: &Keys, ids: &AwsIds, tag: &str) -> Result<()> {
        // Copies of references and roles have other ids. The tag says whose each one is.
        let (before, after) = if ids.fits_all() { (ids.before(), ids.after()) } else { ("", "") };
        let pattern = format!("{}*{}", glob_literal(&keys.copy(before).to_string()), glob_literal(after));
        let link = self.link(SCAN_DEADLINE).await?;
        for node in self.bounded(link.nodes(), SCAN_DEADLINE).await? {
            let mut cursor: u64 = 0;
            loop {
                let step = link.scan_step(&node, cursor, &pattern);
                let (next, keys) = self.bounded(step, SCAN_DEADLINE).await?;
                let removals = keys.into_iter().map(|key| {
                    let mut command = redis::cmd("EVAL");
                    command.arg(scripts::REMOVE).arg(1).arg(key).arg(tag);
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
