//! The only reader of time in this crate, and the format of times.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads the wall clock: microseconds since 1970-01-01T00:00:00Z.
pub type Clock = fn() -> u64;

/// The machine's wall clock.
#[expect(clippy::disallowed_methods, reason = "CLOCK: this crate's one reader of wall-clock time")]
pub fn system_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Monotonic time, for deadlines and intervals.
#[expect(clippy::disallowed_methods, reason = "CLOCK: this crate's one reader of monotonic time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn since(earlier: Instant) -> Duration {
    now().duration_since(earlier)
}

const SECOND: u64 = 1_000_000;
/// The end of the year 9999, the last one with four digits.
const LAST: u64 = 253_402_300_799 * SECOND;

/// Formats times. For consecutive times of one second only the last six digits are formatted.
#[derive(Debug)]
pub struct TimeText {
    time_us: u64,
    second: u64,
    text: [u8; 27],
}

impl Default for TimeText {
    fn default() -> Self {
        Self { time_us: 0, second: 0, text: *b"1970-01-01T00:00:00.000000Z" }
    }
}

impl TimeText {
    /// Formats a time as `2026-01-01T00:00:00.000000Z`.
    pub fn of(&mut self, time_us: u64) -> &[u8; 27] {
        let time_us = time_us.min(LAST);
        if time_us == self.time_us {
            return &self.text;
        }
        self.time_us = time_us;
        let second = time_us / SECOND;
        if second != self.second {
            self.second = second;
            let ((year, month, day), rest) = (date(second / 86_400), second % 86_400);
            digits(&mut self.text[0..4], year);
            digits(&mut self.text[5..7], month);
            digits(&mut self.text[8..10], day);
            digits(&mut self.text[11..13], rest / 3600);
            digits(&mut self.text[14..16], rest / 60 % 60);
            digits(&mut self.text[17..19], rest % 60);
        }
        digits(&mut self.text[20..26], time_us % SECOND);
        &self.text
    }
}

/// Formats a time as `20260101T000000Z`, for file names.
pub fn file_stamp(time_us: u64) -> String {
    let mut text = TimeText::default();
    let text = text.of(time_us);
    text[..19].iter().filter(|byte| !b"-:".contains(byte)).map(|byte| char::from(*byte)).chain(['Z']).collect()
}

fn digits(out: &mut [u8], mut number: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// The year, month and day of a day counted from 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn date(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_microseconds() {
        let mut text = TimeText::default();
        let mut written = |time| String::from_utf8_lossy(text.of(time)).into_owned();
        assert_eq!(written(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(written(1_709_210_096_000_007), "2024-02-29T12:34:56.000007Z");
        assert_eq!(written(1_709_210_096_999_999), "2024-02-29T12:34:56.999999Z");
        assert_eq!(written(1_767_225_600_000_000), "2026-01-01T00:00:00.000000Z");
        assert_eq!(written(u64::MAX), "9999-12-31T23:59:59.000000Z");
        assert_eq!(file_stamp(1_709_210_096_000_007), "20240229T123456Z");
    }

    #[test]
    fn the_machines_clock_is_past_2026() {
        assert!(system_clock() > 1_767_225_600_000_000);
    }
}
