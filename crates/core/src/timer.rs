//! Waits on the delivery's clock.

use std::time::Duration;

use secret::clock::Clock;

/// Waits on `clock`. With a test clock the wait ends when the test has moved the clock far enough.
pub async fn sleep(clock: &Clock, how_long: Duration) {
    let end = clock.now().plus(how_long);
    while let Some(wait) = clock.wait_before(end) {
        tokio::time::sleep(wait).await;
    }
}
