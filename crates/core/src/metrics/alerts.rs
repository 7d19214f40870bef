//! The thresholds of alerts. An alert is reported once when its threshold is crossed, and once when it no longer is.

use std::collections::VecDeque;
use std::time::Duration;

use super::latency::{Counts, seconds};
use super::{Metrics, read};
use secret::clock::{Clock, Moment};
use secret::notice::{Alert, Watched};

const DAY: Duration = Duration::from_hours(24);
/// With fewer lookups in a window, the hit rate is not watched.
const LEAST_LOOKUPS: u64 = 100;

/// The thresholds. `None` turns an alert off.
#[derive(Clone, Debug)]
pub struct Thresholds {
    /// Fires when the 99th percentile of latencies is longer.
    pub latency: Option<Duration>,
    /// Fires when the hit rate is lower.
    pub hit_rate: Option<f64>,
    /// Fires when more rotations failed within a day.
    pub rotation_failures: Option<u64>,
    /// Fires when AWS refused this identity more often within the window.
    pub unauthorized: Option<u64>,
    /// Fires when more secrets are missing in AWS and have a value in a later source.
    pub not_in_aws: Option<u64>,
    /// The period that the thresholds look back over, except for rotations.
    pub window: Duration,
    /// How often the thresholds are checked.
    pub every: Duration,
}

/// The settings of alerts.
#[derive(Clone, Debug)]
pub struct AlertsSettings {
    /// The thresholds.
    pub thresholds: Thresholds,
    /// Whether the thresholds are checked before a callback is registered.
    pub always: bool,
}

/// The counters at one moment.
#[derive(Clone, Copy, Default)]
struct Sample {
    latencies: Counts,
    hits: u64,
    misses: u64,
    unauthorized: u64,
}

/// Compares the counters with the thresholds at each evaluation.
pub struct Evaluator {
    thresholds: Thresholds,
    clock: Clock,
    /// Samples of the window. The oldest one is from before the window, so that the difference covers all of it.
    samples: VecDeque<(Moment, Sample)>,
    rotation_failures: u64,
    /// The times of failed rotations, and how many failed at each.
    failed: VecDeque<(Moment, u64)>,
    firing: [Option<u64>; Watched::ALL.len()],
}

impl Evaluator {
    /// Starts without samples.
    pub fn new(thresholds: Thresholds, clock: Clock) -> Self {
        let samples = VecDeque::from([(clock.now(), Sample::default())]);
        Self { thresholds, clock, samples, rotation_failures: 0, failed: VecDeque::new(), firing: [None; 5] }
    }

    /// Evaluates the thresholds, and returns the alerts whose state changed.
    pub fn evaluate(&mut self, metrics: &Metrics) -> Vec<Alert> {
        let now = self.clock.now();
        let sample = Sample {
            latencies: metrics.latencies.all(),
            hits: read(&metrics.hits),
            misses: read(&metrics.misses),
            unauthorized: read(&metrics.unauthorized),
        };
        let window = self.thresholds.window;
        while self.samples.get(1).is_some_and(|(at, _)| now.since(*at) >= window) {
            self.samples.pop_front();
        }
        let before = self.samples.front().map(|(_, sample)| *sample).unwrap_or_default();
        self.samples.push_back((now, sample));
        let failures: u64 = metrics.rotations().filter(|(ending, _)| !ending.is_live()).map(|(_, n)| n).sum();
        if failures > self.rotation_failures {
            self.failed.push_back((now, failures - self.rotation_failures));
            self.rotation_failures = failures;
        }
        while self.failed.front().is_some_and(|(at, _)| now.since(*at) >= DAY) {
            self.failed.pop_front();
        }
        Watched::ALL.into_iter().filter_map(|watched| self.judge(watched, &before, &sample, metrics)).collect()
    }

    /// The value, the threshold, and whether it is crossed.
    fn measure(
        &self,
        watched: Watched,
        before: &Sample,
        now: &Sample,
        metrics: &Metrics,
    ) -> Option<(Option<f64>, f64, bool)> {
        let more = |value: u64, most: Option<u64>| {
            #[expect(clippy::cast_precision_loss, reason = "shown in an alert")]
            most.map(|most| (Some(value as f64), most as f64, value > most))
        };
        match watched {
            Watched::RetrievalLatency => {
                let most = self.thresholds.latency?;
                let p99 = now.latencies.since(&before.latencies).p99_ns();
                let crossed = p99.is_some_and(|p99| u128::from(p99) > most.as_nanos());
                Some((p99.map(seconds), most.as_secs_f64(), crossed))
            }
            Watched::CacheHitRate => {
                let least = self.thresholds.hit_rate?;
                let (hits, misses) = (now.hits.saturating_sub(before.hits), now.misses.saturating_sub(before.misses));
                let lookups = hits + misses;
                #[expect(clippy::cast_precision_loss, reason = "a ratio of counters")]
                let rate = (lookups >= LEAST_LOOKUPS).then(|| hits as f64 / lookups as f64);
                Some((rate, least, rate.is_some_and(|rate| rate < least)))
            }
            Watched::RotationFailures => {
                more(self.failed.iter().map(|(_, count)| count).sum(), self.thresholds.rotation_failures)
            }
            Watched::UnauthorizedAccess => {
                more(now.unauthorized.saturating_sub(before.unauthorized), self.thresholds.unauthorized)
            }
            Watched::SecretsNotInAws => more(metrics.not_in_aws() as u64, self.thresholds.not_in_aws),
            // Reported when it is found.
            Watched::SecretInText => None,
        }
    }

    fn judge(&mut self, watched: Watched, before: &Sample, sample: &Sample, metrics: &Metrics) -> Option<Alert> {
        let (value, threshold, is_crossed) = self.measure(watched, before, sample, metrics)?;
        let now = self.clock.unix_ms();
        let firing = &mut self.firing[watched as usize];
        let since_unix_ms = match (*firing, is_crossed) {
            (None, true) => *firing.insert(now),
            (Some(since), false) => {
                *firing = None;
                since
            }
            _ => return None,
        };
        Some(Alert { watched, secret: None, is_firing: is_crossed, value, threshold, since_unix_ms, at_unix_ms: now })
    }

    /// The interval between evaluations.
    pub fn every(&self) -> Duration {
        self.thresholds.every
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::add;
    use secret::error::ErrorCode;
    use secret::found::Origin;
    use secret::name::SecretName;
    use secret::report::Ending;

    fn documented() -> Thresholds {
        Thresholds {
            latency: Some(Duration::from_secs(5)),
            hit_rate: Some(0.8),
            rotation_failures: Some(0),
            unauthorized: Some(0),
            not_in_aws: Some(0),
            window: Duration::from_mins(5),
            every: Duration::from_secs(10),
        }
    }

    /// Advances a minute at a time, and returns every change as metric, state and value.
    fn minutes(
        count: u32,
        clock: &Clock,
        evaluator: &mut Evaluator,
        metrics: &Metrics,
    ) -> Vec<(Watched, bool, Option<f64>)> {
        let mut changes = Vec::new();
        for _ in 0..count {
            clock.advance(Duration::from_mins(1));
            let alerts = evaluator.evaluate(metrics);
            changes.extend(alerts.into_iter().map(|alert| (alert.watched, alert.is_firing, alert.value)));
        }
        changes
    }

    #[test]
    fn each_threshold_is_told_once_and_its_end_once() {
        let (clock, metrics) = (Clock::test(), Metrics::default());
        let mut evaluator = Evaluator::new(documented(), clock.clone());
        assert_eq!(minutes(10, &clock, &mut evaluator, &metrics), []);

        metrics.retrieved(Origin::Aws, false, Duration::from_secs(6));
        let slow = minutes(10, &clock, &mut evaluator, &metrics);
        assert_eq!(slow, [(Watched::RetrievalLatency, true, Some(10.0)), (Watched::RetrievalLatency, false, None)]);

        add(&metrics.unauthorized);
        metrics.not_retrieved(Some(ErrorCode::SecretAccessDenied), Duration::ZERO);
        let denied = minutes(10, &clock, &mut evaluator, &metrics);
        assert_eq!(
            denied,
            [(Watched::UnauthorizedAccess, true, Some(1.0)), (Watched::UnauthorizedAccess, false, Some(0.0))]
        );

        let name = SecretName::new("A_B").expect("a name");
        metrics.note_not_in_aws(&name, true);
        assert_eq!(minutes(10, &clock, &mut evaluator, &metrics), [(Watched::SecretsNotInAws, true, Some(1.0))]);
        metrics.note_not_in_aws(&name, false);
        assert_eq!(minutes(1, &clock, &mut evaluator, &metrics), [(Watched::SecretsNotInAws, false, Some(0.0))]);
    }

    #[test]
    fn a_failed_rotation_is_told_for_a_day() {
        let (clock, metrics) = (Clock::test(), Metrics::default());
        let mut evaluator = Evaluator::new(documented(), clock.clone());
        metrics.rotated(Ending::Finished);
        assert_eq!(minutes(1, &clock, &mut evaluator, &metrics), []);
        metrics.rotated(Ending::Failed);
        metrics.rotated(Ending::RolledBack);
        assert_eq!(minutes(1439, &clock, &mut evaluator, &metrics), [(Watched::RotationFailures, true, Some(2.0))]);
        assert_eq!(minutes(2, &clock, &mut evaluator, &metrics), [(Watched::RotationFailures, false, Some(0.0))]);
    }

    #[test]
    fn a_low_hit_rate_needs_enough_lookups() {
        let (clock, metrics) = (Clock::test(), Metrics::default());
        let mut evaluator = Evaluator::new(documented(), clock.clone());
        for _ in 0..99 {
            add(&metrics.misses);
        }
        assert_eq!(minutes(1, &clock, &mut evaluator, &metrics), []);
        add(&metrics.misses);
        assert_eq!(minutes(1, &clock, &mut evaluator, &metrics), [(Watched::CacheHitRate, true, Some(0.0))]);
        for _ in 0..900 {
            metrics.hit_in_memory(false, Duration::ZERO);
        }
        assert_eq!(minutes(1, &clock, &mut evaluator, &metrics), [(Watched::CacheHitRate, false, Some(0.9))]);
    }

    #[test]
    fn an_alert_says_since_when() {
        let (clock, metrics) = (Clock::test(), Metrics::default());
        let mut evaluator = Evaluator::new(documented(), clock.clone());
        add(&metrics.unauthorized);
        let fired = evaluator.evaluate(&metrics).pop().expect("an alert");
        assert_eq!(fired.since_unix_ms, fired.at_unix_ms);
        clock.advance(Duration::from_mins(6));
        evaluator.evaluate(&metrics);
        clock.advance(Duration::from_mins(6));
        assert!(evaluator.evaluate(&metrics).is_empty());
        assert_eq!(fired.threshold.to_bits(), 0.0f64.to_bits());
    }

    #[test]
    fn what_has_no_threshold_is_not_watched() {
        let (clock, metrics) = (Clock::test(), Metrics::default());
        let none = Thresholds {
            latency: None,
            hit_rate: None,
            rotation_failures: None,
            unauthorized: None,
            not_in_aws: None,
            ..documented()
        };
        let mut evaluator = Evaluator::new(none, clock.clone());
        add(&metrics.unauthorized);
        metrics.rotated(Ending::Failed);
        metrics.retrieved(Origin::Aws, false, Duration::from_mins(1));
        assert_eq!(minutes(3, &clock, &mut evaluator, &metrics), []);
    }
}
