//! What an AWS failure means. Told apart by error *code*: access denied and throttling are both HTTP 400.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::RequestId as _;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::body::TooLong;
use crate::permission::{self, named_in};
use secret::error::{ErrorCode, SecretError};

/// Absent, or refused for a reason.
pub(super) enum Failure {
    Absent,
    Refused(Refusal),
}

/// What a failure says about the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// AWS answered: about this secret, this identity or this request. Asking again would change nothing.
    Answer,
    /// Every call fails like this until an operator acts (credentials).
    Systemic,
    /// It may pass by itself: throttling, 5xx, timeout, network, half an answer.
    Transient,
}

/// Why AWS, or the way to it, refused.
pub(super) struct Refusal {
    code: ErrorCode,
    why: String,
    /// The IAM action that was refused.
    action: Option<&'static str>,
    request_id: Option<String>,
    missing_credentials: bool,
    throttled: bool,
    nature: Nature,
}

impl Refusal {
    /// As an error about the secret `id`.
    pub(super) fn error(&self, operation: &str, id: &str) -> SecretError {
        let request = self.request_id.as_ref().map_or(String::new(), |request| format!(" (request {request})"));
        let message = format!("{id}: AWS {operation} failed: {}{request}", self.why);
        if self.missing_credentials {
            return SecretError::without_credentials(message);
        }
        let error = SecretError::new(self.code, message).for_want_of(self.action);
        let error = if self.throttled { error.throttled() } else { error };
        if self.nature == Nature::Answer { error.about_one_request() } else { error }
    }

    pub(super) fn nature(&self) -> Nature {
        self.nature
    }
}

/// Classifies any operation's failure.
pub(super) fn classify<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let mut action = None;
    let (code, why, nature) = match error {
        SdkError::ServiceError(service) => {
            let metadata = service.err().meta();
            let status = service.raw().status().as_u16();
            action = metadata.code().and_then(|code| refused_action(code, metadata.message()));
            match metadata.code() {
                Some(aws_code) => match by_code(aws_code, metadata.message(), status) {
                    Some(refused) => refused,
                    None => return Failure::Absent,
                },
                None => by_status(status),
            }
        }
        SdkError::ResponseError(response) => match too_long(error) {
            // The way to AWS is there, and asking again would be as long.
            Some(too_long) => (ErrorCode::SourceResponseInvalid, too_long.to_string(), Nature::Answer),
            None => by_status(response.raw().status().as_u16()),
        },
        SdkError::TimeoutError(_) => (ErrorCode::SourceTimeout, "no answer in time".into(), Nature::Transient),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            (ErrorCode::SourceTimeout, "no connection in time (aws.connectTimeoutMs)".into(), Nature::Transient)
        }
        other => match credentials_problem(other) {
            Some((why, missing_credentials)) => {
                let (code, nature) = (ErrorCode::SourceUnavailable, Nature::Systemic);
                return Failure::Refused(Refusal {
                    code,
                    why,
                    action: None,
                    request_id: None,
                    missing_credentials,
                    throttled: false,
                    nature,
                });
            }
            None => unreachable_endpoint(other),
        },
    };
    let throttled = aws_code_of(error).is_some_and(is_throttling);
    let (request_id, missing_credentials) = (request_id(error), false);
    Failure::Refused(Refusal { code, why, action, request_id, missing_credentials, throttled, nature })
}

/// An error inside a batch answer: `None` when it only says that the secret does not exist.
pub(super) fn batch_entry(aws_code: &str, message: Option<&str>) -> Option<Refusal> {
    by_code(aws_code, message, 400).map(|(code, why, nature)| Refusal {
        code,
        why,
        action: refused_action(aws_code, message),
        request_id: None,
        missing_credentials: false,
        throttled: is_throttling(aws_code),
        nature,
    })
}

fn aws_code_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    match error {
        SdkError::ServiceError(service) => service.err().meta().code(),
        _ => None,
    }
}

/// AWS's quota of an operation is used up.
fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "LimitExceededException"
    )
}

/// `None` means absent.
fn by_code(code: &str, message: Option<&str>, status: u16) -> Option<(ErrorCode, String, Nature)> {
    let shown = shown_code(code);
    Some(match code {
        "ResourceNotFoundException" => return None,
        // The only difference between "deleted" and any other invalid request is its text.
        "InvalidRequestException" if message.is_some_and(says_deleted) => return None,
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" => {
            let grant = match refused_action(code, message) {
                Some(permission::DECRYPT) => "kms:Decrypt on the secret's key, and kms:GenerateDataKey to write",
                Some(action) => &format!("{action} on the secret"),
                None => "the action on the secret",
            };
            let why = format!("access denied ({shown}); grant this identity {grant}");
            (ErrorCode::SecretAccessDenied, why, Nature::Answer)
        }
        "DecryptionFailure" | "KMSAccessDeniedException" => (
            ErrorCode::SecretAccessDenied,
            format!("decryption refused ({shown}); grant this identity kms:Decrypt on the secret's key"),
            Nature::Answer,
        ),
        code if is_throttling(code) => {
            (ErrorCode::SourceUnavailable, format!("throttled ({shown})"), Nature::Transient)
        }
        "ExpiredTokenException"
        | "ExpiredToken"
        | "RequestExpired"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationTokenException"
        | "MissingAuthenticationToken"
        | "OptInRequired" => (
            ErrorCode::SourceUnavailable,
            format!("credentials not accepted ({shown}); renew them and check the clock"),
            Nature::Systemic,
        ),
        "InternalServiceError" | "InternalServiceErrorException" | "InternalFailure" | "ServiceUnavailable" => {
            (ErrorCode::SourceUnavailable, shown.into(), Nature::Transient)
        }
        _ => {
            let nature = if status >= 500 { Nature::Transient } else { Nature::Answer };
            (ErrorCode::SourceUnavailable, shown.into(), nature)
        }
    })
}

/// The IAM action whose want is the reason, where that is known.
fn refused_action(code: &str, message: Option<&str>) -> Option<&'static str> {
    match code {
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" => named_in(message?),
        "DecryptionFailure" | "KMSAccessDeniedException" => Some(permission::DECRYPT),
        _ => None,
    }
}

fn says_deleted(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("marked for deletion")
        || message.contains("marked deleted")
        || message.contains("scheduled for deletion")
}

fn by_status(status: u16) -> (ErrorCode, String, Nature) {
    let (code, why) = match status {
        500..=599 | 429 => (ErrorCode::SourceUnavailable, format!("HTTP {status}")),
        _ => (ErrorCode::SourceResponseInvalid, format!("the answer (HTTP {status}) is not Secrets Manager's")),
    };
    (code, why, Nature::Transient)
}

/// Why there are no credentials to sign with, and whether there are none at all; `None` when that is not the problem.
fn credentials_problem<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Option<(String, bool)> {
    const SEE: &str = "see aws.credentials, aws.profile or the AWS_* variables";
    let mut cause = match error {
        SdkError::DispatchFailure(failure) => failure.as_connector_error().and_then(|e| e.source()),
        other => other.source(),
    };
    while let Some(current) = cause {
        match current.downcast_ref::<CredentialsError>() {
            Some(CredentialsError::CredentialsNotLoaded(_)) => {
                return Some((format!("no AWS credentials were found; {SEE}"), true));
            }
            Some(CredentialsError::ProviderTimedOut(_)) => {
                return Some((format!("AWS credentials did not arrive in time; {SEE}"), false));
            }
            Some(_) => return Some((format!("AWS credentials could not be loaded; {SEE}"), false)),
            None => cause = current.source(),
        }
    }
    None
}

fn unreachable_endpoint<E>(error: &SdkError<E, HttpResponse>) -> (ErrorCode, String, Nature) {
    let why = match error {
        SdkError::ConstructionFailure(_) => {
            "the request could not be built (is a region set? aws.region or AWS_REGION)"
        }
        _ => "the endpoint cannot be reached",
    };
    (ErrorCode::SourceUnavailable, why.into(), Nature::Transient)
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

/// An error code of AWS, for a message. What only claims to be one is not repeated: what answers in AWS's place
/// must not choose what stands in a log.
fn shown_code(code: &str) -> &str {
    const ENDINGS: [&str; 5] = ["Exception", "Error", "Failure", "Unavailable", "Denied"];
    let plain = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphabetic());
    if plain && ENDINGS.iter().any(|ending| code.ends_with(ending)) { code } else { "an unknown error code" }
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
