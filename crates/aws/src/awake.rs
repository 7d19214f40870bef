//! Deadlines and attempts of a process that may be stopped and continued ([`secret::freeze`]).

use std::pin::pin;
use std::time::Duration;

use secret::freeze::{Freezes, Look, TICK};
use tokio::time::{sleep, timeout};

/// How long an answer that came during a freeze may take to be read afterwards. Only the runtime has to get to it.
const GRACE: Duration = Duration::from_millis(20);

/// Runs `work` until it ends; `None` when this process ran for `limit` meanwhile. A freeze does not count.
pub(crate) async fn within<T>(freezes: &Freezes, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut watch, mut left) = (pin!(work), freezes.watch(), limit);
    loop {
        tokio::select! {
            biased;
            result = &mut work => return Some(result),
            () = sleep(left.min(TICK)) => {}
        }
        if let Look::Ran(ran) = watch.look() {
            left = left.saturating_sub(ran);
        }
        if left.is_zero() {
            return None;
        }
    }
}

/// How an attempt ended.
pub(crate) enum Attempt<T, E> {
    /// With a result.
    Ended(Result<T, E>),
    /// This process ran for the whole limit, and no result came.
    TimedOut,
    /// This process was frozen meanwhile, and no answer came: the attempt is to be begun anew.
    Frozen,
}

/// Makes an attempt, which may take `limit` of the time in which this process runs.
///
/// Nothing in `attempt` itself may end with a freeze, if an answer that came meanwhile is to count: so no timeout of the
/// SDK's is used but the one for opening a connection.
pub(crate) async fn attempt<T, E>(
    freezes: &Freezes,
    limit: Duration,
    attempt: impl Future<Output = Result<T, E>>,
) -> Attempt<T, E> {
    let (mut attempt, mut watch, mut left) = (pin!(attempt), freezes.watch(), limit);
    let result = loop {
        tokio::select! {
            biased;
            result = &mut attempt => break result,
            () = sleep(left.min(TICK)) => {}
        }
        match watch.look() {
            Look::Ran(ran) => left = left.saturating_sub(ran),
            Look::Frozen(_) => {
                return match timeout(GRACE, attempt).await {
                    Ok(Ok(answer)) => Attempt::Ended(Ok(answer)),
                    _ => Attempt::Frozen,
                };
            }
        }
        if left.is_zero() {
            return Attempt::TimedOut;
        }
    };
    // The connection may have been closed during the freeze, for instance.
    let frozen = result.is_err() && matches!(watch.look(), Look::Frozen(_));
    if frozen { Attempt::Frozen } else { Attempt::Ended(result) }
}
