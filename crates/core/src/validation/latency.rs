//! How long reads of a layer take, and which of them failed.

use std::time::Duration;

use secret::clock::Stopwatch;
use secret::error::{Result, SecretError};
use secret::found::Origin;
use secret::name::SecretName;

/// The latencies of one layer.
#[derive(Clone, Debug)]
pub struct LayerLatency {
    /// The layer.
    pub layer: Origin,
    /// Sorted latencies.
    pub sorted: Vec<Duration>,
    /// Secrets that could not be read, and why. They are not in the latencies.
    pub failures: Vec<(SecretName, SecretError)>,
}

impl LayerLatency {
    /// The percentile of the latencies (nearest rank).
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied().unwrap_or_default()
    }
}

/// The reads of one layer while they are measured.
pub(super) struct Timed {
    layer: Origin,
    taken: Vec<Duration>,
    failures: Vec<(SecretName, SecretError)>,
}

impl Timed {
    pub(super) fn of(layer: Origin) -> Self {
        Self { layer, taken: Vec::new(), failures: Vec::new() }
    }

    pub(super) fn sync(&mut self, work: impl FnOnce()) {
        let start = Stopwatch::start();
        work();
        self.taken.push(start.took());
    }

    pub(super) async fn wait<T>(&mut self, work: impl Future<Output = T>) -> T {
        let start = Stopwatch::start();
        let result = work.await;
        self.taken.push(start.took());
        result
    }

    /// Takes the last read out again, where it failed.
    pub(super) fn hear(&mut self, name: &SecretName, failed: Option<SecretError>) {
        if let Some(error) = failed {
            self.taken.pop();
            self.failures.push((name.clone(), error));
        }
    }

    pub(super) fn has_failed(&self, name: &SecretName) -> bool {
        self.failures.iter().any(|(failed, _)| failed == name)
    }

    pub(super) fn layer(mut self) -> LayerLatency {
        self.taken.sort_unstable();
        LayerLatency { layer: self.layer, sorted: self.taken, failures: self.failures }
    }

    /// The layer, unless no read of it succeeded.
    pub(super) fn heard(mut self) -> Result<LayerLatency> {
        if self.taken.is_empty() && !self.failures.is_empty() {
            return Err(self.failures.swap_remove(0).1);
        }
        Ok(self.layer())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let sorted = (1..=100).map(Duration::from_millis).collect();
        let layer = LayerLatency { layer: Origin::Aws, sorted, failures: Vec::new() };
        assert_eq!(layer.percentile(50), Duration::from_millis(50));
        assert_eq!(layer.percentile(99), Duration::from_millis(99));
        let single = LayerLatency { layer: Origin::Aws, sorted: vec![Duration::from_millis(7)], failures: Vec::new() };
        assert_eq!(single.percentile(99), Duration::from_millis(7));
    }
}
