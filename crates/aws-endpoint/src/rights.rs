//! Whether policies allow an operation.

use crate::policy::{Policy, Question};
use crate::state::State;
use crate::store::{ApiError, ApiResult};

/// Asks the policies before the secret is looked for: what is not granted is denied, whether it exists or not.
///
/// # Source
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html> for the condition keys, and that
/// `BatchGetSecretValue`, `ListSecrets` and `GetRandomPassword` have no resource;
/// <https://github.com/jenkinsci/aws-secrets-manager-credentials-provider-plugin/issues/65> for the order.
pub(crate) fn check(
    state: &State,
    session: Option<&Policy>,
    operation: &str,
    id: Option<&str>,
    stage: Option<&str>,
) -> ApiResult<()> {
    let found = id.and_then(|id| state.store.find(id).ok()).map(|(_, secret)| secret);
    let own = found.and_then(|secret| secret.policy.as_ref());
    if session.is_none() && own.is_none() {
        return Ok(());
    }
    let resource = match (id, found) {
        (_, Some(secret)) => secret.arn.clone(),
        (Some(id), None) if id.starts_with("arn:") => id.to_owned(),
        // Of a secret that does not exist, AWS knows the name only.
        (Some(id), None) => state.store.arn_of(id),
        (None, None) => "*".to_owned(),
    };
    let tags = found.into_iter().flat_map(|secret| &secret.tags);
    let tags: Vec<(String, &str)> =
        tags.map(|(key, value)| (format!("aws:ResourceTag/{key}"), value.as_str())).collect();
    let stage = stage.map(|stage| ("secretsmanager:VersionStage", stage));
    let keys: Vec<(&str, &str)> =
        stage.into_iter().chain(tags.iter().map(|(key, value)| (key.as_str(), *value))).collect();
    let question = Question { action: operation, resource: &resource, keys: &keys };
    let is_denied =
        session.is_some_and(|policy| !policy.allows(&question)) || own.is_some_and(|policy| policy.denies(&question));
    if is_denied { Err(denied(operation)) } else { Ok(()) }
}

pub(crate) fn denied(operation: &str) -> ApiError {
    ApiError(
        "AccessDeniedException",
        format!("User: arn:aws:iam::000000000000:user/test is not authorized to perform: secretsmanager:{operation}"),
    )
}
