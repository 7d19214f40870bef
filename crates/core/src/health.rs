//! State of every source and cache (`health`).

use crate::delivery::Delivery;
use secret::caught::caught;
use secret::error::{ErrorCode, Result};
use secret::name::SecretName;

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

/// The name that is read to see whether AWS answers. No secret has it.
const PROBE: &str = "TCS_SECRET_DELIVERY_HEALTH_PROBE";

/// Returns the state of every part, and that of the delivery, which is `Down` if reads of secrets that are not cached
/// would reject.
///
/// # Errors
/// `CLOSED`.
pub async fn health(delivery: &Delivery) -> Result<(Status, Vec<Check>)> {
    delivery
        .open(async {
            let (aws, env_file, runtime, redis) = tokio::join!(
                answered("aws", aws(delivery)),
                answered("envFile", env_file(delivery)),
                answered("runtime", runtime(delivery)),
                answered("redis", redis(delivery))
            );
            let memory = match delivery.reads().cache() {
                Some(_) => check("memory", Status::Ok, None),
                None => check("memory", Status::Disabled, None),
            };
            let whole = overall(delivery, &aws, &env_file, &redis, &runtime);
            let audit = answered("audit", audit(delivery)).await;
            let whole = whole.max(audit_matters(delivery, &audit));
            Ok((whole, vec![aws, env_file, runtime, memory, redis, audit]))
        })
        .await
}

/// What `look` finds. A part whose check panics does not work; the others are reported all the same.
async fn answered(part: &'static str, look: impl Future<Output = Check>) -> Check {
    caught(look).await.unwrap_or_else(|| check(part, Status::Down, Some("an internal error; please report it".into())))
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
    let reads = delivery.reads();
    let Some(aws) = reads.aws() else {
        return check("aws", Status::Disabled, Some("options.aws.enabled is false".into()));
    };
    aws.probe_now();
    let Ok(name) = SecretName::new(PROBE) else { return check("aws", Status::Ok, None) };
    match aws.fetch(&reads.id(&name)).await {
        // AWS refuses a secret that does not exist to an identity with narrow permissions. That is a normal answer.
        Ok(_) => check("aws", Status::Ok, None),
        Err(error) if error.is_denied() => check("aws", Status::Ok, None),
        Err(error) if delivery.resolver.unless_optional(error.clone()).is_none() => {
            check("aws", Status::Disabled, Some("no AWS credentials were found".into()))
        }
        Err(error) => check("aws", Status::Down, Some(error.to_string())),
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
        Ok(()) => check("redis", Status::Ok, None),
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
