//! The records of cached reads.

use std::sync::Arc;
use std::time::Duration;

use super::{Access, Audit};
use audit_log::{AppendError, Cache, Counted, CountedSecret, Outcome};
use secret::clock::Moment;
use secret::found::Origin;

impl Audit {
    /// A secret whose cached reads are counted.
    pub fn secret(&self, name: &str) -> CountedSecret {
        self.tally.secret(name)
    }

    /// Records a cached read at `now`, without waiting. `false`: the read takes the slow path, which says why.
    #[inline]
    pub fn hit(
        &self,
        secret: &CountedSecret,
        version: Option<&Arc<str>>,
        stale: bool,
        (took, now): (Duration, Moment),
    ) -> bool {
        let cache = if stale { Cache::Stale } else { Cache::Hit };
        let counted = Counted { secret, version, cache };
        (!self.config.is_each && counted.add(now.as_millis(), self.config.denies)) || self.first_hit(counted, took, now)
    }

    /// Records a cached read that no open record can count.
    fn first_hit(&self, counted: Counted<'_>, took: Duration, now: Moment) -> bool {
        // The lock is held for writing only while the log is opened or closed. It is held here until the tally has the log:
        // `close` clears the tally afterwards.
        let Some(held) = self.log.try_read() else { return false };
        let Some(log) = &*held else { return false };
        if self.config.denies && !log.state().is_kept() {
            return false;
        }
        let Counted { secret, version, cache } = counted;
        let (source, version) = (Origin::Memory.as_str(), version.map_or("", |version| version));
        let record =
            || self.record(&Access { source, cache, version, ..Access::of(secret.as_str(), Outcome::Ok, took) });
        let recorded =
            if self.config.is_each { log.try_append(&record()) } else { counted.begin(log, now.as_millis(), record) };
        match recorded {
            Ok(()) => true,
            Err(AppendError::Full) if !self.config.denies => {
                log.miss(1);
                true
            }
            Err(_) => false,
        }
    }
}
