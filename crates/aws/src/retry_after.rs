//! How long an answer says to wait before the next attempt: `x-amz-retry-after` of AWS in milliseconds, and `Retry-After` of
//! whatever answers in AWS's place, in seconds or as a date. As AWS's SDK for JavaScript reads both.

use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use secret::clock::Clock;

/// The longest wait that is added to this process's own, as in AWS's SDKs for JavaScript and Rust.
const MOST: Duration = Duration::from_secs(5);

/// What `response` wants. Anything else than a time is passed over.
pub(crate) fn wanted(response: &HttpResponse) -> Option<Duration> {
    let header = |name: &str| response.headers().get(name).map(str::trim);
    let by_aws = || Some(Duration::from_millis(header("x-amz-retry-after")?.parse().ok()?));
    by_aws().or_else(|| read(header("retry-after")?, now()))
}

/// A date is the wall clock's, whatever the delivery's clock shows.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(Clock::system().unix_ms())
}

fn read(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = SystemTime::try_from(DateTime::from_str(text, Format::HttpDate).ok()?).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// How long the next attempt waits that would wait for `own` by itself. At most half of `timeout`, which the whole read has: the attempt
/// needs some of it.
pub(crate) fn wait(own: Duration, wanted: Option<Duration>, timeout: Duration) -> Duration {
    let wanted = wanted.unwrap_or_default().min(own + MOST).min(timeout / 2);
    own.max(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn seconds_and_dates_are_read_and_nothing_else() {
        let now = SystemTime::UNIX_EPOCH + 784_111_777 * SECOND;
        for (text, wanted) in [
            ("2", Some(2 * SECOND)),
            ("0.5", Some(SECOND / 2)),
            ("0", Some(Duration::ZERO)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3 * SECOND)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(Duration::ZERO)),
            ("-1", None),
            ("1e400", None),
            ("NaN", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(read(text, now), wanted, "{text}");
        }
    }

    #[test]
    fn the_wait_is_bounded_and_never_shorter_than_the_own_one() {
        let own = SECOND / 10;
        assert_eq!(wait(own, None, 30 * SECOND), own);
        assert_eq!(wait(own, Some(SECOND / 100), 30 * SECOND), own);
        assert_eq!(wait(own, Some(2 * SECOND), 30 * SECOND), 2 * SECOND);
        assert_eq!(wait(own, Some(3600 * SECOND), 30 * SECOND), own + MOST);
        assert_eq!(wait(own, Some(3600 * SECOND), 4 * SECOND), 2 * SECOND);
    }

    #[test]
    fn awss_own_header_counts_first() {
        let mut response = HttpResponse::new(503.try_into().expect("a status"), "".into());
        response.headers_mut().insert("retry-after", "7");
        assert_eq!(wanted(&response), Some(7 * SECOND));
        response.headers_mut().insert("x-amz-retry-after", "1500");
        assert_eq!(wanted(&response), Some(SECOND + SECOND / 2));
        response.headers_mut().insert("x-amz-retry-after", "canary");
        assert_eq!(wanted(&response), Some(7 * SECOND));
    }
}
