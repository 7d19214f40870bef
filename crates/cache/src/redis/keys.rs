//! The keys of one owner in the shared cache: all begin with the prefix, and with the owner where that is known.

use std::fmt;

use redis::{RedisWrite, ToRedisArgs};

/// The keys of one owner.
pub(super) struct Keys(String);

/// A key that is put together where the command is written.
pub(super) struct Key<'a> {
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

impl Keys {
    pub(super) fn of(prefix: &str, owner: Option<&str>) -> Self {
        Self(match owner {
            Some(owner) => format!("{prefix}{owner}:"),
            None => prefix.to_owned(),
        })
    }

    pub(super) fn prefix(&self) -> &str {
        &self.0
    }

    /// The copy of `id`.
    pub(super) fn copy<'a>(&'a self, id: &'a str) -> Key<'a> {
        Key { prefix: &self.0, id }
    }

    /// `:` is in no AWS id of ours, so a lock is never taken for an entry.
    pub(super) fn lock(&self, id: &str) -> String {
        format!("{}lock:{id}", self.0)
    }

    /// Where the last drop of `id` is remembered; in a cluster it lies in the slot of the copy: the braces hash it like the
    /// copy's key, and a prefix with braces of its own hashes both.
    pub(super) fn drop(&self, id: &str) -> String {
        let prefix = &self.0;
        if prefix.contains('{') { format!("{prefix}drop:{id}") } else { format!("{prefix}drop:{{{prefix}{id}}}") }
    }

    /// Where it is remembered when `environment` was cleared.
    pub(super) fn cleared(&self, environment: &str) -> String {
        format!("{}cleared:{environment}", self.0)
    }

    pub(super) fn lease(&self, what: &str) -> String {
        format!("{}lease:{what}", self.0)
    }
}
