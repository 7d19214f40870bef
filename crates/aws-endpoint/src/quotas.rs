//! How often operations may be called: more often is `ThrottlingException`.
//!
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>: `BatchGetSecretValue` 100 a second,
//! `GetSecretValue` 10,000, each counted by itself.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::clock::now;

/// The quotas that are set, by operation; none of the others has one.
#[derive(Debug, Default)]
pub(crate) struct Quotas(BTreeMap<String, Bucket>);

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Quotas {
    pub(crate) fn set(&mut self, operation: &str, per_second: f64) {
        let tokens = per_second.max(1.0);
        self.0.insert(operation.to_owned(), Bucket { per_second, tokens, filled: now() });
    }

    /// Whether a call is within its quota, and counts it.
    pub(crate) fn take(&mut self, operation: &str) -> bool {
        let Some(bucket) = self.0.get_mut(operation) else { return true };
        let at = now();
        let earned = at.duration_since(bucket.filled).as_secs_f64() * bucket.per_second;
        bucket.tokens = (bucket.tokens + earned).min(bucket.per_second.max(1.0));
        bucket.filled = at;
        let is_within = bucket.tokens >= 1.0;
        if is_within {
            bucket.tokens -= 1.0;
        }
        is_within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_too_often_is_refused_and_only_that() {
        let mut quotas = Quotas::default();
        quotas.set("GetSecretValue", 2.0);
        let taken: Vec<bool> = (0..3).map(|_| quotas.take("GetSecretValue")).collect();
        assert_eq!(taken, [true, true, false]);
        assert!((0..100).all(|_| quotas.take("BatchGetSecretValue")));
    }
}
