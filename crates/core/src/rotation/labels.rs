//! Moves AWSCURRENT, and finds out what became of a write whose answer was lost. AWS is eventually consistent: for
//! seconds after a write that succeeded a read may show what was there before it. Only a write tells at once where a
//! label is, because AWS refuses to move one from where it is not.

use std::time::Duration;

use tokio::time::sleep;

use super::steps::failed;
use crate::timer::Deadline;
use aws::{Aws, CURRENT, Version, Which};
use secret::backoff::{Backoff, Jitter};
use secret::error::{Result, SecretError};

/// How long to try to find out whether AWSCURRENT moved, while AWS does not answer.
const FIND_OUT: Duration = Duration::from_secs(30);
/// How long reads may lag behind a write.
pub(super) const MAY_LAG: Duration = Duration::from_secs(10);
const FIRST_POLL: Duration = Duration::from_millis(50);
const LONGEST_POLL: Duration = Duration::from_secs(2);

/// AWSCURRENT was not moved, or it is not known whether it was.
#[derive(Clone)]
pub(super) struct NotMoved {
    pub(super) error: SecretError,
    pub(super) may_be_live: bool,
}

impl From<NotMoved> for SecretError {
    fn from(not_moved: NotMoved) -> Self {
        not_moved.error
    }
}

/// Moves AWSCURRENT of `id` from one version to another.
pub(super) async fn make_current(aws: &Aws, id: &str, from: &str, to: &str) -> std::result::Result<(), NotMoved> {
    let (unknown, lag) = (Deadline::after(FIND_OUT), Deadline::after(MAY_LAG));
    let mut polls = polls();
    loop {
        let Err(error) = aws.move_label(id, CURRENT, Some(from), Some(to)).await else { return Ok(()) };
        // It may have moved in spite of the error: the answer was lost, or another instance moved it.
        match aws.version(id, Which::Label(CURRENT)).await {
            Ok(Some(live)) if live.id == to => return Ok(()),
            // Another version altogether, or AWS denies the write: nothing was moved by it.
            Ok(Some(live)) if live.id != from || error.is_denied() => {
                return Err(NotMoved { error, may_be_live: false });
            }
            // What it was before; that may be an old answer.
            Ok(_) if lag.has_passed() => return Err(NotMoved { error, may_be_live: false }),
            Err(_) if unknown.has_passed() => {
                let why = format_args!("whether the new value is live is not known, AWS does not answer: {error}");
                return Err(NotMoved { error: failed(id, why), may_be_live: true });
            }
            Ok(_) | Err(_) => {}
        }
        sleep(polls.next_wait()).await;
    }
}

/// A version by its id, just after a write that made or labelled it: looks again for as long as reads may lag.
pub(super) async fn written(aws: &Aws, id: &str, version: &str, label: &str) -> Result<Option<Version>> {
    let (lag, mut polls) = (Deadline::after(MAY_LAG), polls());
    loop {
        let found = aws.version(id, Which::Id(version)).await;
        if lag.has_passed() || found.as_ref().is_ok_and(|found| found.as_ref().is_some_and(|found| found.has(label))) {
            return found;
        }
        if let Err(error) = &found
            && error.is_denied()
        {
            return found;
        }
        sleep(polls.next_wait()).await;
    }
}

pub(super) fn polls() -> Backoff {
    Backoff::new(FIRST_POLL, LONGEST_POLL, Jitter::Around)
}
