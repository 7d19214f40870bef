//! What an AWS failure means. Told apart by error *code*: access denied and throttling are both HTTP 400.

use std::error::Error;
use std::time::Duration;

use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::RequestId as _;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::body::TooLong;
pub(super) use crate::codes::Nature;
use crate::codes::{TOO_MANY_REQUESTS, by_code, is_throttling, is_unaccepted, refused_action, shown_code, throttled};
use crate::identity_problem::{Problem, Sort as ProblemSort};
use crate::retry_after;
use crate::skew;
use crate::unreached::Unreached;
use network::{Remedy, chain};
use secret::error::{Cause, ErrorCode, SecretError};

/// Absent, or refused for a reason.
pub(super) enum Failure {
    Absent,
    Refused(Refusal),
}

/// Why AWS, or the way to it, refused.
pub(super) struct Refusal {
    code: ErrorCode,
    why: String,
    nature: Nature,
    /// The IAM action that was refused.
    action: Option<&'static str>,
    request_id: Option<String>,
    cause: Option<Cause>,
    sort: Sort,
    skewed: bool,
    /// How long the next attempt shall wait.
    wait: Option<Duration>,
}

/// What else counts about a refusal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Other,
    /// Asked too often.
    Throttled,
    /// AWS does not accept the credentials.
    Unaccepted,
    /// There are no credentials: nothing names any, or they could not be had.
    NoCredentials {
        is_missing: bool,
    },
}

impl Refusal {
    fn new((code, why, nature): (ErrorCode, String, Nature)) -> Self {
        Self {
            code,
            why,
            nature,
            action: None,
            request_id: None,
            cause: None,
            sort: Sort::Other,
            skewed: false,
            wait: None,
        }
    }

    /// As an error about the secret `id`.
    pub(super) fn error(&self, operation: &str, id: &str) -> SecretError {
        let request = self.request_id.as_ref().map_or(String::new(), |request| format!(" (request {request})"));
        let message = format!("{id}: AWS {operation} failed: {}{request}", self.why);
        if self.sort == (Sort::NoCredentials { is_missing: true }) {
            return SecretError::without_credentials(message);
        }
        let error = SecretError::new(self.code, message).for_want_of(self.action);
        let error = error.caused_by(self.cause.clone()).of_request(self.request_id.as_deref());
        let error = if self.sort == Sort::Throttled { error.throttled() } else { error };
        if self.nature == Nature::Answer { error.about_one_request() } else { error }
    }

    /// The reason.
    pub(super) fn why(&self) -> &str {
        &self.why
    }

    /// What was below it.
    pub(super) fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// Whether nothing answered in time.
    pub(super) fn is_late(&self) -> bool {
        self.code == ErrorCode::SourceTimeout
    }

    pub(super) fn nature(&self) -> Nature {
        self.nature
    }

    /// Whether there were no credentials to ask AWS with: it says nothing of the region.
    pub(super) fn is_of_credentials(&self) -> bool {
        matches!(self.sort, Sort::NoCredentials { .. })
    }

    /// Whether AWS does not accept the credentials: they may have been replaced.
    pub(super) fn is_unaccepted(&self) -> bool {
        self.sort == Sort::Unaccepted
    }

    /// The same, unless it is a denial of what was signed with a wrong clock once more, where nothing corrects that: it says
    /// nothing of any right.
    pub(super) fn unless_of_clock(self) -> Self {
        if !self.skewed || self.code != ErrorCode::SecretAccessDenied {
            return self;
        }
        let why = "AWS refused what was signed with a clock that is minutes off its own: set this machine's clock \
                   (AWS_DISABLE_CLOCK_SKEW_CORRECTION)";
        let (code, nature) = (ErrorCode::SourceUnavailable, Nature::Systemic);
        Self { code, why: why.into(), nature, action: None, ..self }
    }

    /// How long whoever answered wants to be left alone.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// Whether the reason may be the clock that the request was signed with. The next one is signed with AWS's.
    pub(super) fn is_skewed(&self) -> bool {
        self.skewed
    }
}

/// That no answer came in time, for a reason.
pub(super) fn late(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
    // Which operation it was does not matter: it did not answer.
    classify(&SdkError::<GetSecretValueError, HttpResponse>::timeout_error(reason))
}

/// Classifies any operation's failure.
pub(super) fn classify<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let mut refusal = match error {
        SdkError::ServiceError(service) => {
            let (metadata, raw) = (service.err().meta(), service.raw());
            let status = raw.status().as_u16();
            match metadata.code() {
                Some(aws_code) => match by_code(aws_code, metadata.message(), status) {
                    Some(meaning) => of_code(meaning, aws_code, metadata.message(), Some(raw)),
                    None => return Failure::Absent,
                },
                None => unnamed(status),
            }
        }
        SdkError::ResponseError(response) => match too_long(error) {
            // The way to AWS is there, and asking again would be as long.
            Some(too_long) => Refusal::new((ErrorCode::SourceResponseInvalid, too_long.to_string(), Nature::Answer)),
            None => unnamed(response.raw().status().as_u16()),
        },
        other => match chain(other).find_map(|link| link.downcast_ref::<Problem>()) {
            Some(problem) => {
                let meaning = match problem.sort {
                    ProblemSort::Refused => (ErrorCode::RoleNotAssumed, problem.message.clone(), Nature::Answer),
                    ProblemSort::Late => (ErrorCode::SourceTimeout, problem.message.clone(), Nature::Systemic),
                    _ => (ErrorCode::SourceUnavailable, problem.message.clone(), Nature::Systemic),
                };
                let (cause, sort) =
                    (problem.cause.clone(), Sort::NoCredentials { is_missing: problem.sort == ProblemSort::Missing });
                Refusal { cause, sort, ..Refusal::new(meaning) }
            }
            None => unreached(other),
        },
    };
    refusal.request_id = request_id(error);
    refusal.wait = error.raw_response().and_then(retry_after::wanted);
    Failure::Refused(refusal)
}

fn of_code(
    meaning: (ErrorCode, String, Nature),
    aws_code: &str,
    message: Option<&str>,
    raw: Option<&HttpResponse>,
) -> Refusal {
    let status = raw.map_or(400, |raw| raw.status().as_u16());
    let sort = match aws_code {
        code if meaning.2 == Nature::Transient && is_throttling(code, status) => Sort::Throttled,
        code if is_unaccepted(code) => Sort::Unaccepted,
        _ => Sort::Other,
    };
    let cause = Cause { code: shown_code(aws_code).to_owned().into(), message: meaning.1.clone(), place: None };
    Refusal {
        action: refused_action(aws_code, message),
        cause: Some(cause),
        sort,
        skewed: skew::may_be_meant_by(aws_code) && raw.is_some_and(skew::is_marked),
        ..Refusal::new(meaning)
    }
}

/// An error inside a batch answer: `None` when it only says that the secret does not exist.
pub(super) fn batch_entry(aws_code: &str, message: Option<&str>) -> Option<Refusal> {
    by_code(aws_code, message, 400).map(|meaning| of_code(meaning, aws_code, message, None))
}

/// A failure that names no code of AWS: a proxy or a gateway on the way says it. Its status counts, as in AWS's SDKs.
fn unnamed(status: u16) -> Refusal {
    let meaning = by_status(status);
    let is_unavailable = meaning.0 == ErrorCode::SourceUnavailable;
    let named = || Cause { code: format!("HTTP {status}").into(), message: meaning.1.clone(), place: None };
    let cause = is_unavailable.then(named);
    let sort = if status == TOO_MANY_REQUESTS { Sort::Throttled } else { Sort::Other };
    Refusal { cause, sort, ..Refusal::new(meaning) }
}

fn by_status(status: u16) -> (ErrorCode, String, Nature) {
    let (code, why) = match status {
        TOO_MANY_REQUESTS => (ErrorCode::SourceUnavailable, throttled(&format!("HTTP {status}"))),
        // `isPassing` in lib/errors.js reads the cause that is made of this.
        500..=599 => (ErrorCode::SourceUnavailable, format!("HTTP {status}, without an error code of AWS")),
        _ => {
            let why = format!(
                "the answer (HTTP {status}) is not Secrets Manager's: another server, a proxy or a login page may answer there \
                 (aws.endpoint, AWS_ENDPOINT_URL, HTTPS_PROXY, HTTP_PROXY)"
            );
            (ErrorCode::SourceResponseInvalid, why)
        }
    };
    (code, why, Nature::Transient)
}

/// Nothing answered.
fn unreached<E>(error: &SdkError<E, HttpResponse>) -> Refusal
where
    E: Error + Send + Sync + 'static,
{
    if let Some(unreached) = Unreached::within(error) {
        let (code, hint) = match error {
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                (ErrorCode::SourceTimeout, " (aws.connectTimeoutMs)")
            }
            SdkError::TimeoutError(_) => (ErrorCode::SourceTimeout, " (aws.timeoutMs)"),
            _ => (ErrorCode::SourceUnavailable, ""),
        };
        let is_final = unreached.cause.remedy == Remedy::Credentials;
        let nature = if is_final { Nature::Systemic } else { Nature::Transient };
        let meaning = (code, format!("{unreached}{hint}"), nature);
        return Refusal { cause: Some(unreached.as_cause()), ..Refusal::new(meaning) };
    }
    let (code, why) = match error {
        SdkError::TimeoutError(_) => (ErrorCode::SourceTimeout, "no answer in time"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            (ErrorCode::SourceTimeout, "no connection in time (aws.connectTimeoutMs)")
        }
        other => (ErrorCode::SourceUnavailable, unbuilt(other)),
    };
    Refusal::new((code, why.into(), Nature::Transient))
}

/// Why a request could not even be made.
fn unbuilt(error: &(dyn Error + 'static)) -> &'static str {
    let says = |what: &str| chain(error).any(|link| link.to_string().contains(what));
    if says("Missing Region") || says("missing signing region") || says("region must be set") || says("no region") {
        "no AWS region is set: set aws.region or AWS_REGION (or region in the profile)"
    } else if says("FIPS and custom endpoint") {
        "FIPS endpoints and an endpoint of one's own exclude each other (AWS_USE_FIPS_ENDPOINT, aws.useFipsEndpoint)"
    } else if says("Dualstack and custom endpoint") {
        "dual-stack endpoints and an endpoint of one's own exclude each other (AWS_USE_DUALSTACK_ENDPOINT, \
         aws.useDualstackEndpoint)"
    } else if says("FIPS is enabled but this partition") || says("DualStack is enabled but this partition") {
        "this partition of AWS has no such endpoint (FIPS, dual-stack)"
    } else {
        "the request could not be sent"
    }
}

/// That the answer was cut off because of its length.
fn too_long<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TooLong> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(too_long) = current.downcast_ref::<TooLong>() {
            return Some(too_long);
        }
        cause = current.source();
    }
    None
}

fn request_id<E>(error: &SdkError<E, HttpResponse>) -> Option<String>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let raw = error.raw_response()?;
    let id = raw.headers().get("x-amzn-requestid").or_else(|| error.as_service_error()?.meta().request_id())?;
    let looks_like_one = (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    looks_like_one.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(code: &str, message: Option<&str>) -> Option<ErrorCode> {
        by_code(code, message, 400).map(|(code, ..)| code)
    }

    #[test]
    fn only_what_may_pass_by_itself_is_asked_again() {
        let nature = |code, status| by_code(code, None, status).expect("a failure").2;
        assert_eq!(nature("ThrottlingException", 400), Nature::Transient);
        assert_eq!(nature("InternalServiceError", 500), Nature::Transient);
        assert_eq!(nature("SomethingNewException", 503), Nature::Transient);
        assert_eq!(nature("SomethingNewException", 400), Nature::Answer);
        assert_eq!(nature("AccessDeniedException", 400), Nature::Answer);
        assert_eq!(nature("ExpiredTokenException", 400), Nature::Systemic);
    }

    #[test]
    fn a_status_without_a_code_of_aws_is_asked_again() {
        let failed = |status| {
            let refusal = unnamed(status);
            let error = refusal.error("GetSecretValue", "A_B");
            (refusal.nature(), error.is_throttled(), error.cause().map(|cause| cause.code.to_string()))
        };
        assert_eq!(failed(429), (Nature::Transient, true, Some("HTTP 429".into())));
        for status in [500, 502, 503, 504] {
            assert_eq!(failed(status), (Nature::Transient, false, Some(format!("HTTP {status}"))));
        }
        assert_eq!(failed(404), (Nature::Transient, false, None));
        // A gateway has codes of its own.
        let refusal = of_code(by_code("RATE_LIMITED", None, 429).expect("a failure"), "RATE_LIMITED", None, None);
        assert_eq!((refusal.nature(), refusal.why()), (Nature::Transient, "throttled (an unknown error code)"));
    }

    #[test]
    fn not_found_and_marked_for_deletion_are_absent() {
        assert_eq!(code_of("ResourceNotFoundException", None), None);
        let deleted = "You can't perform this operation on the secret because it was marked for deletion.";
        assert_eq!(code_of("InvalidRequestException", Some(deleted)), None);
    }

    #[test]
    fn another_invalid_request_is_a_failure() {
        assert_eq!(
            code_of("InvalidRequestException", Some("managed by another service")),
            Some(ErrorCode::SourceUnavailable)
        );
    }

    #[test]
    fn what_aws_matched_is_shown() {
        let why = |code| by_code(code, None, 400).expect("a failure").1;
        for code in ["SlowDown", "ExpiredToken", "SignatureDoesNotMatch", "Throttling", "OptInRequired"] {
            assert!(why(code).contains(code), "{}", why(code));
        }
    }

    #[test]
    fn messages_of_aws_are_told_in_own_words() {
        let why = |code, message| by_code(code, Some(message), 400).expect("a failure").1;
        let managed = "The secret is managed by another service, and you must use that service to update it. canary";
        assert!(why("InvalidRequestException", managed).starts_with("the secret is managed by another AWS service"));
        let replica = "Operation not permitted on a replica secret. Call must be made in primary secret's region.";
        assert!(why("InvalidParameterException", replica).contains("primary region"));
        let key = "Access to KMS is not allowed. This version of secret is not encrypted with the current KMS key.";
        assert!(why("AccessDeniedException", key).contains("put the value again"));
        assert!(!why("InvalidRequestException", "canary").contains("canary"));
    }

    #[test]
    fn a_key_that_cannot_decrypt_is_no_missing_permission() {
        let refused = batch_entry("DecryptionFailure", None).expect("a refusal").error("GetSecretValue", "A_B");
        assert_eq!((refused.code(), refused.action()), (ErrorCode::SecretAccessDenied, None));
        assert!(refused.to_string().contains("KMS key is disabled"), "{refused}");
        let quota = by_code("LimitExceededException", None, 400).expect("a failure");
        assert_eq!(quota.2, Nature::Answer);
    }

    #[test]
    fn denied_and_throttled_are_told_apart_although_both_are_http_400() {
        assert_eq!(code_of("AccessDeniedException", None), Some(ErrorCode::SecretAccessDenied));
        assert_eq!(code_of("DecryptionFailure", None), Some(ErrorCode::SecretAccessDenied));
        assert_eq!(code_of("ThrottlingException", None), Some(ErrorCode::SourceUnavailable));
        assert_eq!(code_of("ExpiredTokenException", None), Some(ErrorCode::SourceUnavailable));
    }

    #[test]
    fn a_refusal_names_the_action_and_repeats_nothing_else() {
        let message = "User: arn:aws:iam::1:user/canary is not authorized to perform: secretsmanager:TagResource";
        let refused =
            batch_entry("AccessDeniedException", Some(message)).expect("a refusal").error("CreateSecret", "A_B");
        assert_eq!(refused.action(), Some("secretsmanager:TagResource"));
        assert!(refused.to_string().ends_with("grant this identity secretsmanager:TagResource on the secret"));
        let other =
            batch_entry("AccessDeniedException", Some("canary")).expect("a refusal").error("CreateSecret", "A_B");
        assert_eq!(other.action(), None);
        assert!(![refused, other].iter().any(|error| error.to_string().contains("canary")));
    }

    #[test]
    fn a_code_that_is_none_of_aws_is_not_repeated() {
        let why = |code| by_code(code, None, 400).expect("a failure").1;
        assert_eq!(why("InternalServiceError"), "InternalServiceError");
        for hostile in ["Bad\nCode\u{1b}[31m", "canary-1234Exception", "hunter", ""] {
            assert_eq!(why(hostile), "an unknown error code");
        }
    }
}
