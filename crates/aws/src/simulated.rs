//! For the simulation: Secrets Manager in the same process, asked in place of AWS's client.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use secret::error::Result;
use secret::found::Fetched;

/// An answer on its way.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Secrets Manager as one instance sees it.
pub trait SimulatedAws: Send + Sync + fmt::Debug {
    /// GetSecretValue.
    fn fetch<'a>(&'a self, id: &'a str) -> Answering<'a, Option<Fetched>>;
    /// BatchGetSecretValue of ids.
    fn batch<'a>(&'a self, ids: &'a [String]) -> Answering<'a, HashMap<String, Result<Option<Fetched>>>>;
    /// BatchGetSecretValue of all ids with a prefix.
    fn list<'a>(&'a self, prefix: &'a str) -> Answering<'a, BTreeMap<String, Result<Option<Fetched>>>>;
}
