//! Assumes a role: STS gives credentials of the role for those of another identity. What STS says is told in words of its own,
//! so that nobody takes it for a denial of a secret.

use std::time::{Duration, SystemTime};

use aws_config::Region;
use aws_config::identity::IdentityCache;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::types::Tag;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::sleep;

use crate::classify::{Failure, Nature, Refusal, classify};
use crate::codes::shown_code;
use crate::identity_problem::{Problem, Sort};
use crate::profiles::Profiles;
use crate::retry_after;
use crate::sdk::{self, KeepBodiesOutOfLogs, OwnUserAgent, Place};
use crate::settings::{AwsSettings, SESSION_NAME};
use secret::backoff::{Backoff, Jitter};
use secret::role::Role;

/// How long STS has for one answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// How often STS is asked while it fails in ways that pass.
const ATTEMPTS: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// How CloudTrail names the session where neither option nor variable does.
const SESSION: &str = "tcs-secret-delivery";

/// The credentials of `role`, for `credentials`.
///
/// # Source
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub(crate) async fn assume(
    config: &AwsSettings,
    role: &Role,
    credentials: Credentials,
) -> Result<Credentials, Problem> {
    let session = session(config, role)?;
    let client = client(config, role, credentials).await?;
    let mut backoff = Backoff::new(FIRST_BACKOFF, DEADLINE, Jitter::Full);
    let (mut attempt, mut clock_was_wrong) = (1, false);
    loop {
        let request = client.assume_role().role_arn(&*role.arn).role_session_name(session);
        let request = request.set_external_id(role.external_id.as_deref().map(str::to_owned));
        let request = request.set_source_identity(role.source_identity.as_deref().map(str::to_owned));
        let request =
            request.set_duration_seconds(role.duration_seconds.and_then(|seconds| i32::try_from(seconds).ok()));
        let tags = role.tags.iter().filter_map(|(key, value)| Tag::builder().key(&**key).value(&**value).build().ok());
        let tags = tags.collect::<Vec<_>>();
        let request = request.set_tags(Some(tags).filter(|tags| !tags.is_empty()));
        let error = match Box::pin(request.send()).await {
            Ok(answer) => return answer.credentials.and_then(signing).ok_or_else(|| not_of_sts(role)),
            Err(error) => error,
        };
        let refusal = match classify(&error) {
            Failure::Refused(refusal) => refusal,
            Failure::Absent => return Err(not_of_sts(role)),
        };
        if refusal.is_skewed() && !clock_was_wrong {
            // The same client signs the next request with AWS's clock.
            clock_was_wrong = true;
            continue;
        }
        if refusal.nature() != Nature::Transient || attempt == ATTEMPTS {
            return Err(problem(role, &error, &refusal));
        }
        tracing::debug!(attempt, "STS: {}", refusal.why());
        sleep(retry_after::wait(backoff.next_wait(), refusal.wait(), DEADLINE)).await;
        attempt += 1;
    }
}

async fn client(config: &AwsSettings, role: &Role, credentials: Credentials) -> Result<Client, Problem> {
    let profiles = Profiles::load(config).await.map_err(|error| Problem::new(error.to_string()))?;
    if let Some(why) = sdk::misplaced_sts(config, &profiles) {
        return Err(Problem::new(unassumed(role, &why)));
    }
    let connections = sdk::connections(config, &profiles);
    let loader = sdk::loader(config, &profiles, &connections, Place::Sts)
        .credentials_provider(credentials)
        .identity_cache(IdentityCache::no_cache());
    let shared = Box::pin(loader.load()).await;
    let timeouts = TimeoutConfig::builder().connect_timeout(config.connect_timeout).operation_attempt_timeout(DEADLINE);
    let mut own = aws_sdk_sts::config::Builder::from(&shared).timeout_config(timeouts.build());
    if shared.region().is_none() {
        if shared.endpoint_url().is_none() && !config.names_sts() {
            let why = "no AWS region is set, whose STS would be asked: set aws.region or AWS_REGION";
            return Err(Problem::new(unassumed(role, why)));
        }
        own = own.region(Region::from_static("us-east-1"));
    }
    Ok(Client::from_conf(own.interceptor(KeepBodiesOutOfLogs).interceptor(OwnUserAgent::new(config)).build()))
}

/// A name of a variable that STS would refuse is not changed: a trust policy may ask for it, and CloudTrail shows it.
///
/// # Errors
/// STS would refuse it.
fn session<'a>(config: &'a AwsSettings, role: &'a Role) -> Result<&'a str, Problem> {
    if let Some(name) = &role.session_name {
        return Ok(name);
    }
    match config.wrong_session_name() {
        Some(why) => Err(Problem { sort: Sort::Refused, ..Problem::new(unassumed(role, &why)) }),
        None => Ok(config.variables.get(SESSION_NAME).map_or(SESSION, String::as_str)),
    }
}

fn signing(given: aws_sdk_sts::types::Credentials) -> Option<Credentials> {
    let ends = SystemTime::try_from(given.expiration).ok()?;
    let is_whole =
        [&given.access_key_id, &given.secret_access_key, &given.session_token].iter().all(|part| !part.is_empty());
    is_whole.then(|| {
        Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            Some(ends),
            "AssumeRole",
        )
    })
}

/// What STS answers when the role, the identity or the request is the reason. Any other code is a failure: copies answer meanwhile.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const REFUSALS: [&str; 6] = [
    "AccessDenied",
    "AccessDeniedException",
    "MalformedPolicyDocument",
    "PackedPolicyTooLarge",
    "RegionDisabledException",
    "ValidationError",
];

fn problem<E>(role: &Role, error: &SdkError<E, HttpResponse>, refusal: &Refusal) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    let shown = code.map_or("an answer without a code", shown_code);
    // A wrong clock, which nothing corrects, says nothing of the role.
    let is_refused = code.is_some_and(|code| REFUSALS.contains(&code)) && !refusal.is_skewed();
    let why = match code {
        Some(_) if refusal.is_skewed() => {
            format!(
                "STS refused what was signed with a clock that is minutes off its own ({shown}): set this machine's clock"
            )
        }
        Some("AccessDenied" | "AccessDeniedException") => denied(role, shown),
        Some("RegionDisabledException") => {
            format!(
                "STS refused it ({shown}): it is not switched on for this account in the region that is asked (aws.region)"
            )
        }
        _ if is_refused => format!(
            "STS refused it ({shown}): see durationSeconds (no longer than the role allows, and 3600 where a role assumes it), \
             sessionName, sourceIdentity and tags"
        ),
        _ if refusal.is_unaccepted() => {
            format!(
                "STS does not accept the credentials that it is assumed with ({shown}); renew them and check the clock"
            )
        }
        Some(_) => format!("STS failed: {}", refusal.why()),
        None => refusal.why().to_owned(),
    };
    let sort = match () {
        () if is_refused => Sort::Refused,
        () if refusal.is_unaccepted() => Sort::Unaccepted,
        () if refusal.is_late() => Sort::Late,
        () => Sort::Passing,
    };
    Problem { sort, cause: refusal.cause().cloned(), ..Problem::new(unassumed(role, &why)) }
}

fn denied(role: &Role, shown: &str) -> String {
    let mut actions = vec!["sts:AssumeRole"];
    if !role.tags.is_empty() {
        actions.push("sts:TagSession");
    }
    if role.source_identity.is_some() {
        actions.push("sts:SetSourceIdentity");
    }
    let external = if role.external_id.is_some() { ", with this externalId" } else { ", without an externalId" };
    format!(
        "STS refused it ({shown}): allow {} on it to the identity that assumes it, and that identity in the role's trust \
         policy{external}",
        actions.join(", ")
    )
}

fn not_of_sts(role: &Role) -> Problem {
    Problem::new(unassumed(role, "the answer is not one of STS"))
}

fn unassumed(role: &Role, why: &str) -> String {
    format!("the role {} could not be assumed: {why}", role.arn)
}

/// That STS did not give the credentials of `role` in time.
pub(crate) fn late(role: &Role) -> Problem {
    Problem { sort: Sort::Late, ..Problem::new(unassumed(role, "STS did not answer in time (aws.timeoutMs)")) }
}
