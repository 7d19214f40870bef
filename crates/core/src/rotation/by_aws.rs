//! A secret that AWS's own rotation function rotates: starts it and polls until it has ended.

use std::time::Duration;

use tokio::time::sleep;

use super::steps::{StepLog, failed};
use super::version_ids::uuid;
use crate::timer::Deadline;
use aws::{Aws, CURRENT, PENDING, Version, Which};
use secret::backoff::{Backoff, Jitter};
use secret::error::{Result, SecretError};
use secret::report::Step;

/// Rotation functions run for up to 15 minutes; most end within seconds.
const PATIENCE: Duration = Duration::from_mins(15);
const FIRST_POLL: Duration = Duration::from_millis(250);
const LONGEST_POLL: Duration = Duration::from_secs(10);
/// How many polls in a row may fail.
const FAILURES: u32 = 10;

/// Has AWS rotate `id` and waits until its new version is live. Gives that version.
pub(super) async fn rotate(aws: &Aws, id: &str, before: &Version, log: &mut StepLog) -> Result<String> {
    let token = uuid(fastrand::u128(..));
    let started = async {
        match aws.start_rotation(id, &token).await {
            Ok(version) => Ok(version),
            Err(error) => Err(in_the_way(aws, id, error).await),
        }
    };
    let version = log.step(Step::Create, started).await?;
    log.step(Step::Finish, until_live(aws, id, before, &version)).await?;
    Ok(version)
}

/// `error` with the version that keeps AWS from rotating, where there is one: a rotation before this one stopped half-way.
async fn in_the_way(aws: &Aws, id: &str, error: SecretError) -> SecretError {
    let Ok(Some(said)) = aws.describe(id).await else { return error };
    match said.holder(PENDING).filter(|pending| said.holder(CURRENT) != Some(pending)) {
        Some(pending) => error.instead(format!(
            "{error}; version {pending} has the label {PENDING}: an earlier rotation has not ended. If AWS does not go on with \
             it, remove that label from that version"
        )),
        None => error,
    }
}

async fn until_live(aws: &Aws, id: &str, before: &Version, version: &str) -> Result<()> {
    let (end, mut polls, mut failures) =
        (Deadline::after(PATIENCE), Backoff::new(FIRST_POLL, LONGEST_POLL, Jitter::Around), 0);
    loop {
        match progress(aws, id, version).await {
            Ok(AwsRotation::Live) => return Ok(()),
            Ok(AwsRotation::GivenUp) => {
                let why = format_args!("AWS's rotation gave up version {version}, which it had made");
                return Err(failed(id, why));
            }
            Ok(AwsRotation::Pending) => failures = 0,
            Err(error) if failures >= FAILURES => return Err(error),
            Err(_) => failures += 1,
        }
        if end.has_passed() {
            let live = &before.id;
            let why = format_args!(
                "AWS's rotation did not end within 15 minutes: version {live} is live, and version {version} has the label \
                 {PENDING}"
            );
            return Err(failed(id, why));
        }
        sleep(polls.next_wait()).await;
    }
}

enum AwsRotation {
    Live,
    Pending,
    GivenUp,
}

async fn progress(aws: &Aws, id: &str, version: &str) -> Result<AwsRotation> {
    let missing = || -> SecretError { failed(id, "AWS has no such secret any more") };
    let described = aws.describe(id).await?.ok_or_else(missing)?;
    let labels = described.labels.get(version);
    let has = |label: &str| labels.is_some_and(|labels| labels.iter().any(|own| own == label));
    Ok(match () {
        () if has(CURRENT) => AwsRotation::Live,
        () if has(PENDING) => AwsRotation::Pending,
        // AWS sets the labels a moment after the call. A version that exists and has no label was given up.
        () if described.holder(PENDING).is_none() && aws.version(id, Which::Id(version)).await?.is_some() => {
            AwsRotation::GivenUp
        }
        () => AwsRotation::Pending,
    })
}
