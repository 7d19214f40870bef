//! The latencies of retrievals, by source and outcome.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use secret::found::Origin;

/// Upper bounds of the buckets, in nanoseconds: 1 µs to 10 s.
pub const BOUNDS_NS: [u64; 22] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// The buckets' upper bounds in seconds.
pub fn bounds_seconds() -> impl Iterator<Item = f64> {
    BOUNDS_NS.iter().map(|ns| seconds(*ns))
}

/// Nanoseconds as seconds.
pub fn seconds(ns: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a metric")]
    let ns = ns as f64;
    ns / 1e9
}

/// The number of buckets, including the one above all bounds.
pub const BUCKETS: usize = BOUNDS_NS.len() + 1;

/// The label `source`: what answered a retrieval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This layer gave the value.
    Of(Origin),
    /// No layer gave a value.
    None,
    /// The service reported the retrieval (`recordSecretRetrieval`).
    Reported,
}

impl Source {
    /// All sources, in the order of their series.
    pub const ALL: [Self; Origin::ALL.len() + 2] = [
        Self::Of(Origin::Memory),
        Self::Of(Origin::Redis),
        Self::Of(Origin::Snapshot),
        Self::Of(Origin::Aws),
        Self::Of(Origin::EnvFile),
        Self::Of(Origin::Runtime),
        Self::None,
        Self::Reported,
    ];

    /// The text of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Of(origin) => origin.as_str(),
            Self::None => "none",
            Self::Reported => "reported",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Of(origin) => origin as usize,
            Self::None => Origin::ALL.len(),
            Self::Reported => Origin::ALL.len() + 1,
        }
    }
}

/// The label `outcome`: how a retrieval ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// It returned a value.
    Ok,
    /// It returned a value past its TTL, since AWS failed.
    Stale,
    /// No source had the secret.
    Absent,
    /// It failed.
    Error,
}

impl ReadOutcome {
    /// All outcomes, in the order of their series.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Stale, Self::Absent, Self::Error];

    /// The text of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Stale => "stale",
            Self::Absent => "absent",
            Self::Error => "error",
        }
    }
}

/// The counters of one series.
#[derive(Debug, Default)]
pub struct Series {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl Series {
    /// Counts one latency. Costs a cached read two additions.
    #[inline]
    fn observe(&self, ns: u64) {
        let bucket = BOUNDS_NS.iter().position(|bound| ns <= *bound).unwrap_or(BOUNDS_NS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// The current counts.
    pub fn counts(&self) -> Counts {
        let buckets = std::array::from_fn(|i| self.buckets[i].load(Ordering::Relaxed));
        Counts { buckets, sum_ns: self.sum_ns.load(Ordering::Relaxed) }
    }
}

/// The counts of one or more series at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// The count of each bucket, not cumulative.
    pub buckets: [u64; BUCKETS],
    /// The sum of all latencies, in nanoseconds.
    pub sum_ns: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], sum_ns: 0 }
    }
}

impl Counts {
    /// The number of retrievals.
    pub fn total(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of both counts.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (own, other) in self.buckets.iter_mut().zip(other.buckets) {
            *own += other;
        }
        self.sum_ns += other.sum_ns;
        self
    }

    /// The difference to an `earlier` moment.
    #[must_use]
    pub fn since(mut self, earlier: &Self) -> Self {
        for (own, earlier) in self.buckets.iter_mut().zip(earlier.buckets) {
            *own = own.saturating_sub(earlier);
        }
        self.sum_ns = self.sum_ns.saturating_sub(earlier.sum_ns);
        self
    }

    /// The upper bound of the bucket that holds the 99th percentile, in nanoseconds; the largest number if that is the
    /// bucket above all bounds. `None` without retrievals.
    pub fn p99_ns(&self) -> Option<u64> {
        let total = self.total();
        let rank = total - total / 100;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank && total > 0 {
                return Some(BOUNDS_NS.get(bucket).copied().unwrap_or(u64::MAX));
            }
        }
        None
    }
}

/// All series.
#[derive(Debug, Default)]
pub struct Latencies([[Series; ReadOutcome::ALL.len()]; Source::ALL.len()]);

impl Latencies {
    /// Counts one retrieval.
    #[inline]
    pub fn observe(&self, source: Source, outcome: ReadOutcome, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.of(source, outcome).observe(ns);
    }

    /// The counters of one series.
    #[inline]
    pub fn of(&self, source: Source, outcome: ReadOutcome) -> &Series {
        &self.0[source.index()][outcome as usize]
    }

    /// The retrievals of all layers, without those that the service reported.
    pub fn all(&self) -> Counts {
        let own = Source::ALL.into_iter().filter(|source| *source != Source::Reported);
        own.flat_map(|source| ReadOutcome::ALL.map(|outcome| self.of(source, outcome).counts()))
            .fold(Counts::default(), |all, counts| all.plus(&counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observations_fall_into_their_buckets() {
        let latencies = Latencies::default();
        let (source, outcome) = (Source::Of(Origin::Memory), ReadOutcome::Ok);
        for took in [0, 1_000, 1_001, 10_000_000_000, 10_000_000_001, u64::MAX] {
            latencies.observe(source, outcome, Duration::from_nanos(took));
        }
        let counts = latencies.of(source, outcome).counts();
        assert_eq!((counts.buckets[0], counts.buckets[1]), (2, 1));
        assert_eq!((counts.buckets[21], counts.buckets[22]), (1, 2));
        assert_eq!(counts.total(), 6);
        assert_eq!(latencies.of(source, ReadOutcome::Stale).counts(), Counts::default());
        for (i, source) in Source::ALL.into_iter().enumerate() {
            assert_eq!(source.index(), i);
        }
    }

    #[test]
    fn the_99th_percentile_is_a_bound() {
        let latencies = Latencies::default();
        assert_eq!(latencies.all().p99_ns(), None);
        let observe = |count, ms| {
            for _ in 0..count {
                latencies.observe(Source::Of(Origin::Aws), ReadOutcome::Ok, Duration::from_millis(ms));
            }
        };
        observe(99, 1);
        observe(1, 6_000);
        assert_eq!(latencies.all().p99_ns(), Some(1_000_000));
        let before = latencies.all();
        observe(1, 6_000);
        assert_eq!(latencies.all().p99_ns(), Some(10_000_000_000));
        assert_eq!(latencies.all().since(&before).total(), 1);
        latencies.observe(Source::Reported, ReadOutcome::Ok, Duration::from_secs(100));
        assert_eq!(latencies.all().total(), 101, "what the service reports is not ours");
    }
}
