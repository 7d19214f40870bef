//! State of every source and cache (`health`).

use std::panic::AssertUnwindSafe;

use async_recursion::async_recursion as boxed;
use futures_util::FutureExt as _;

use crate::delivery::{AwsState, Delivery};
use secret::error::ErrorCode;

/// The state of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Switched off.
    Disabled,
    /// Works.
    Ok,
    /// Works with a restriction.
    Degraded,
    /// Does not work.
    Down,
}

impl Status {
    /// The name of the state in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// A part of the delivery, and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The name of the part in reports.
    pub part: &'static str,
    /// The state.
    pub status: Status,
    /// The reason, if the state is not `Ok`.
    pub reason: Option<String>,
}

/// Returns the state of every part, and that of the delivery, which is `Down` if reads of secrets that are not cached
/// would reject. Never fails: a part whose check panics is `Down`, and so is everything once the delivery is closed.
#[boxed]
pub async fn health(delivery: &Delivery) -> (Status, Vec<Check>) {
    let checked = delivery
        .open(async {
            let (aws, env_file, runtime, redis) = tokio::join!(
                guarded("aws", aws(delivery)),
                guarded("envFile", env_file(delivery)),
                guarded("runtime", runtime(delivery)),
                guarded("redis", redis(delivery))
            );
            let memory = match delivery.reads().cache() {
                Some(_) => check("memory", Status::Ok, None),
                None => check("memory", Status::Disabled, None),
            };
            let whole = overall(delivery, &aws, &env_file, &redis, &runtime);
            let audit = guarded("audit", audit(delivery)).await;
            let whole = whole.max(audit_matters(delivery, &audit));
            Ok((whole, vec![aws, env_file, runtime, memory, redis, audit]))
        })
        .await;
    checked.unwrap_or_else(|error| {
        let down = |part| check(part, Status::Down, Some(error.to_string()));
        (Status::Down, ["aws", "envFile", "runtime", "memory", "redis", "audit"].map(down).into())
    })
}

/// A check that panics says so, instead of leaving the caller without an answer.
async fn guarded(part: &'static str, checking: impl Future<Output = Check>) -> Check {
    let checked = AssertUnwindSafe(checking).catch_unwind().await;
    checked.unwrap_or_else(|_| check(part, Status::Down, Some("its check panicked; please report this".into())))
}

fn overall(delivery: &Delivery, aws: &Check, env_file: &Check, redis: &Check, runtime: &Check) -> Status {
    let strict = delivery.environment().preset().aws_failure_rejects;
    let parts = [aws, env_file, redis, runtime];
    if (aws.status == Status::Down && strict) || env_file.status == Status::Down {
        Status::Down
    } else if parts.iter().any(|part| part.status > Status::Ok) {
        Status::Degraded
    } else {
        Status::Ok
    }
}

async fn aws(delivery: &Delivery) -> Check {
    if delivery.reads().aws().is_none() {
        return check("aws", Status::Disabled, Some("options.aws.enabled is false".into()));
    }
    match delivery.probe_aws().await {
        Some(AwsState::Answers) => check("aws", Status::Ok, None),
        Some(AwsState::AnswersOthers(error)) => check("aws", Status::Degraded, Some(error.to_string())),
        Some(AwsState::Fails(error)) => check("aws", Status::Down, Some(error.to_string())),
        None => check("aws", Status::Disabled, Some("no AWS credentials were found".into())),
    }
}

async fn env_file(delivery: &Delivery) -> Check {
    let Some(file) = delivery.env_file() else { return check("envFile", Status::Disabled, None) };
    match file.values().await {
        Ok(_) => check("envFile", Status::Ok, None),
        Err(error) => check("envFile", Status::Down, Some(error.to_string())),
    }
}

async fn runtime(delivery: &Delivery) -> Check {
    let problems: Vec<String> = delivery
        .runtime()
        .directories()
        .await
        .into_iter()
        .filter_map(|(directory, problem)| problem.map(|problem| format!("{directory}: {problem}")))
        .collect();
    if problems.is_empty() {
        check("runtime", Status::Ok, None)
    } else {
        check("runtime", Status::Degraded, Some(problems.join("; ")))
    }
}

async fn redis(delivery: &Delivery) -> Check {
    let Some(redis) = delivery.reads().cache().and_then(|cache| cache.redis()) else {
        return check("redis", Status::Disabled, None);
    };
    match redis.ping().await {
        Ok(()) => match (redis.refused(), redis.unheard()) {
            (None, None) => check("redis", Status::Ok, None),
            (Some(error), _) => check("redis", Status::Degraded, Some(format!("it keeps no copies: {error}"))),
            (None, Some(error)) => {
                let why = format!("it does not tell what other instances change: {error}");
                check("redis", Status::Degraded, Some(why))
            }
        },
        Err(error) => {
            debug_assert_eq!(error.code(), ErrorCode::CacheUnavailable);
            check("redis", Status::Down, Some(error.to_string()))
        }
    }
}

async fn audit(delivery: &Delivery) -> Check {
    let Some(audit) = delivery.audit() else { return check("audit", Status::Disabled, None) };
    match audit.check().await {
        Ok(()) => check("audit", Status::Ok, None),
        Err(error) => check("audit", Status::Down, Some(error.to_string())),
    }
}

/// A failing log means `Down` if no value is delivered without its record.
fn audit_matters(delivery: &Delivery, check: &Check) -> Status {
    let denies = delivery.audit().is_some_and(|audit| audit.denies());
    match check.status {
        Status::Down if denies => Status::Down,
        Status::Down => Status::Degraded,
        _ => Status::Ok,
    }
}

fn check(part: &'static str, status: Status, reason: Option<String>) -> Check {
    Check { part, status, reason }
}
