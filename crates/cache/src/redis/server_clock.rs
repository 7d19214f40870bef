//! The clock of the server, which places copies in time: no machine's wrong clock makes a copy look young.

use std::time::Duration;

use super::{OPERATION_DEADLINE, RedisCache};
use secret::clock::Moment;
use secret::error::Result;

/// The difference to the server's clock is read again after this long.
const SERVER_CLOCK_FOR: Duration = Duration::from_mins(1);

/// How the server's clock and this process's differ.
#[derive(Clone, Copy, Debug)]
pub struct ServerClock {
    ahead_ms: i64,
    /// How long it took to read the server's clock: the difference may be smaller by as much.
    took: Duration,
}

impl ServerClock {
    fn new(server_ms: u64, now: Moment, took: Duration) -> Self {
        Self { ahead_ms: server_ms.cast_signed().saturating_sub(now.as_millis().cast_signed()), took }
    }

    /// The latest moment at which the server's clock may have shown `ms`. A drop counts from then on.
    pub fn latest_moment_of(self, ms: u64) -> Moment {
        self.moment_of(ms).plus(self.took)
    }

    /// The moment at which the server's clock shows `ms`, by this process's clock.
    pub fn moment_of(self, ms: u64) -> Moment {
        let moment = ms.min(i64::MAX as u64).cast_signed().saturating_sub(self.ahead_ms);
        Moment::from_millis(moment.max(0).cast_unsigned())
    }

    /// What the server's clock showed at `moment`, or a little less: a copy never looks younger than it is.
    pub fn earliest_ms_at(self, moment: Moment) -> u64 {
        moment.minus(self.took).as_millis().saturating_add_signed(self.ahead_ms)
    }

    /// What the server's clock showed at `moment`, or a little more.
    pub fn latest_ms_at(self, moment: Moment) -> u64 {
        moment.as_millis().saturating_add_signed(self.ahead_ms)
    }
}

impl RedisCache {
    /// The server's clock, as far as this process knows it.
    ///
    /// # Errors
    /// `CACHE_UNAVAILABLE`.
    pub async fn server_clock(&self) -> Result<ServerClock> {
        if self.clock.is_test() {
            return Ok(ServerClock::new(self.clock.unix_ms(), self.clock.now(), Duration::ZERO));
        }
        let known = *self.server_clock.lock();
        if let Some((clock, read_at)) = known
            && self.clock.now().since(read_at) < SERVER_CLOCK_FOR
        {
            return Ok(clock);
        }
        let read_at = self.clock.now();
        let link = self.link(OPERATION_DEADLINE).await?;
        // Without it no copy can be placed in time, so none is shared.
        let asked = async { link.time_ms().await.inspect_err(|error| self.note_refusal(error)) };
        let ms = self.bounded(asked, OPERATION_DEADLINE).await?;
        // The server read its clock after `read_at`, so copies may look older, never younger.
        let clock = ServerClock::new(ms, read_at, self.clock.now().since(read_at));
        *self.server_clock.lock() = Some((clock, read_at));
        Ok(clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_looks_younger_than_it_is() {
        // The server showed 1,000 at a moment between 100 and 140.
        let clock = ServerClock::new(1000, Moment::from_millis(100), Duration::from_millis(40));
        assert_eq!(clock.earliest_ms_at(Moment::from_millis(140)), 1000);
        assert_eq!(clock.moment_of(1000), Moment::from_millis(100));
        assert_eq!(clock.latest_moment_of(1000), Moment::from_millis(140));
    }
}
