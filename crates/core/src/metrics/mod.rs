//! Counters and latencies. No label and no field can hold a value.
//!
//! - this file: the counters
//! - `latency`: the histogram of latencies
//! - `alerts`: thresholds and when they are crossed

pub mod alerts;
pub mod latency;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use latency::{Latencies, ReadOutcome, Source};
use parking_lot::Mutex;
use secret::error::ErrorCode;
use secret::found::Origin;
use secret::name::SecretName;
use secret::report::Ending;

/// The most names that are remembered as missing in AWS. No service has as many.
const MAX_NOT_IN_AWS: usize = 10_000;

/// The counters of a delivery since its construction.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The latencies of retrievals.
    pub latencies: Latencies,
    not_in_aws: Mutex<HashSet<SecretName>>,
    not_in_aws_count: AtomicUsize,
    errors: [AtomicU64; ErrorCode::ALL.len()],
    rotations: [AtomicU64; Ending::ALL.len()],
    /// Reads that found no secret in any source.
    pub absent: AtomicU64,
    /// Lookups that a cache answered.
    pub hits: AtomicU64,
    /// What the last measured hit in memory took.
    last_hit_ns: AtomicU64,
    /// Lookups that no cache answered.
    pub misses: AtomicU64,
    /// Retrievals that shared an AWS call with another one.
    pub shared_calls: AtomicU64,
    /// Reads that a copy past its TTL answered while AWS failed.
    pub stale: AtomicU64,
    /// Refreshes that were started in the background.
    pub refreshes: AtomicU64,
    /// How often AWS refused this identity.
    pub unauthorized: AtomicU64,
    /// Of these, refusals of secrets that AWS never gave this process: they may not be there at all.
    pub not_shown: AtomicU64,
    /// Declared secrets whose rotation was overdue when they were last looked at.
    pub overdue: AtomicU64,
    /// Retrievals that the service reported (`recordSecretRetrieval`).
    pub recorded: AtomicU64,
    /// Reported retrievals that failed.
    pub recorded_failures: AtomicU64,
}

/// Of so many hits in memory, one is measured.
const MEASURED: u64 = 64;

impl Metrics {
    /// Whether the next hit in memory is to be measured: hits are also counted elsewhere, so the first one here is.
    #[inline]
    pub fn is_measured(&self) -> bool {
        self.hits.load(Ordering::Relaxed).is_multiple_of(MEASURED) || self.last_hit_ns.load(Ordering::Relaxed) == 0
    }

    /// What a hit in memory took: as measured, or as the last one that was.
    #[inline]
    pub fn hit_took(&self, measured: Option<Duration>) -> Duration {
        match measured {
            Some(took) => {
                self.last_hit_ns.store(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
                took
            }
            None => Duration::from_nanos(self.last_hit_ns.load(Ordering::Relaxed)),
        }
    }

    /// Counts a cached read. These three additions are what the hot path pays for metrics.
    #[inline]
    pub fn hit_in_memory(&self, stale: bool, took: Duration) {
        self.hits.fetch_add(1, Ordering::Relaxed);
        self.retrieved(Origin::Memory, stale, took);
    }

    /// Counts a returned value.
    #[inline]
    pub fn retrieved(&self, origin: Origin, stale: bool, took: Duration) {
        let outcome = if stale { ReadOutcome::Stale } else { ReadOutcome::Ok };
        self.latencies.observe(Source::Of(origin), outcome, took);
        if stale {
            add(&self.stale);
        }
    }

    /// Counts a retrieval that ended without a value.
    pub fn not_retrieved(&self, error: Option<ErrorCode>, took: Duration) {
        let outcome = if let Some(code) = error {
            self.failed(code);
            ReadOutcome::Error
        } else {
            add(&self.absent);
            ReadOutcome::Absent
        };
        self.latencies.observe(Source::None, outcome, took);
    }

    /// The number of values that `origin` gave.
    pub fn retrieved_from(&self, origin: Origin) -> u64 {
        let of = |outcome| self.latencies.of(Source::Of(origin), outcome).counts().total();
        of(ReadOutcome::Ok) + of(ReadOutcome::Stale)
    }

    /// Notes whether `name` is missing in AWS and was found in a later source.
    pub fn note_not_in_aws(&self, name: &SecretName, is_missing: bool) {
        if !is_missing && self.not_in_aws() == 0 {
            return;
        }
        let mut names = self.not_in_aws.lock();
        if !is_missing {
            names.remove(name);
        } else if names.len() < MAX_NOT_IN_AWS {
            names.insert(name.clone());
        }
        self.not_in_aws_count.store(names.len(), Ordering::Relaxed);
    }

    /// The number of secrets that are missing in AWS and were found in a later source.
    pub fn not_in_aws(&self) -> usize {
        self.not_in_aws_count.load(Ordering::Relaxed)
    }

    /// Counts a rejection with this code.
    pub fn failed(&self, code: ErrorCode) {
        self.errors[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The number of rejections by code.
    pub fn errors(&self) -> impl Iterator<Item = (ErrorCode, u64)> {
        ErrorCode::ALL.into_iter().zip(self.errors.iter().map(|counter| counter.load(Ordering::Relaxed)))
    }

    /// Counts a rotation that ended like this.
    pub fn rotated(&self, ending: Ending) {
        add(&self.rotations[ending as usize]);
    }

    /// The number of rotations by ending.
    pub fn rotations(&self) -> impl Iterator<Item = (Ending, u64)> {
        Ending::ALL.into_iter().zip(self.rotations.iter().map(read))
    }

    /// Counts a retrieval that the service reports (`recordSecretRetrieval`).
    pub fn record(&self, took: Duration, success: bool) {
        add(&self.recorded);
        if !success {
            add(&self.recorded_failures);
        }
        let outcome = if success { ReadOutcome::Ok } else { ReadOutcome::Error };
        self.latencies.observe(Source::Reported, outcome, took);
    }

    /// The sum of the reported latencies, in milliseconds.
    pub fn recorded_ms(&self) -> f64 {
        let sum = |outcome| self.latencies.of(Source::Reported, outcome).counts().sum_ns;
        latency::seconds(sum(ReadOutcome::Ok) + sum(ReadOutcome::Error)) * 1000.0
    }

    /// hits ÷ lookups; `None` before the first lookup (decision D11).
    pub fn hit_rate(&self) -> Option<f64> {
        let (hits, misses) = (read(&self.hits), read(&self.misses));
        ratio(hits, hits + misses)
    }

    /// The share of retrievals that cost no AWS call of their own; `None` before the first (decision D11).
    pub fn efficiency(&self) -> Option<f64> {
        let from_aws = self.retrieved_from(Origin::Aws);
        let cached = self.retrieved_from(Origin::Memory) + self.retrieved_from(Origin::Redis);
        let free = cached + read(&self.shared_calls).min(from_aws);
        ratio(free, cached + from_aws)
    }
}

/// Adds one to a counter.
pub fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The value of a counter.
pub fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a ratio of counters")]
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_follow_their_definitions() {
        let metrics = Metrics::default();
        assert_eq!((metrics.hit_rate(), metrics.efficiency()), (None, None));
        for _ in 0..3 {
            metrics.hit_in_memory(false, Duration::ZERO);
        }
        add(&metrics.misses);
        metrics.retrieved(Origin::Aws, false, Duration::ZERO);
        assert_eq!(metrics.hit_rate(), Some(0.75));
        assert_eq!(metrics.efficiency(), Some(0.75));
        add(&metrics.shared_calls);
        assert_eq!(metrics.efficiency(), Some(1.0));
    }

    #[test]
    fn error_codes_have_their_own_counters() {
        let metrics = Metrics::default();
        metrics.failed(ErrorCode::Closed);
        let seen: Vec<_> = metrics.errors().filter(|(_, count)| *count > 0).collect();
        assert_eq!(seen, [(ErrorCode::Closed, 1)]);
    }
}
