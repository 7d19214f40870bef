//! What reports say of the sources.

use aws::Aws;
use cache::tiered::TieredCache;
use secret::breaker::BreakerState;
use secret::error::SecretError;

use super::Reads;

impl Reads {
    /// Why AWS failed last; `None` when its last answer was one.
    pub fn last_failure(&self) -> Option<SecretError> {
        self.calls.last_failure()
    }

    /// Whether each source is asked at all, the primary region first. Of several clients for one region and role the worst state
    /// counts.
    pub fn breakers(&self) -> Vec<(String, BreakerState)> {
        let mut breakers: Vec<(String, BreakerState)> = Vec::new();
        for (i, region) in self.aws().into_iter().flat_map(Aws::regions).enumerate() {
            let name = match (i, region.region) {
                (0, _) | (_, None) => "aws".to_owned(),
                (_, Some(name)) => format!("aws:{name}"),
            };
            let name = region.role.map_or(name.clone(), |role| format!("{name} as {role}"));
            match breakers.iter_mut().find(|(other, _)| *other == name) {
                Some((_, state)) if *state == BreakerState::Closed || region.breaker == BreakerState::Open => {
                    *state = region.breaker;
                }
                Some(_) => {}
                None => breakers.push((name, region.breaker)),
            }
        }
        let redis = self.copies.shared_cache().and_then(TieredCache::redis);
        breakers.extend(redis.map(|redis| ("redis".to_owned(), redis.breaker_state())));
        breakers
    }

    /// Whether no fetch is under way.
    pub fn is_idle(&self) -> bool {
        self.flights.is_idle()
    }
}
