//! The API's actions over the store.
//!
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html>

use serde_json::{Value as Json, json};

use crate::clock::unix_seconds;
use crate::policy::Policy;
use crate::rights::{check, denied};
use crate::state::State;
use crate::store::{ApiError, ApiResult, Secret, Value, name_of, uuid};

const MAX_BATCH: usize = 20;

/// Carries out `operation` for the identity with `access_key_id`, within the policy of its session.
pub(crate) fn run(
    state: &mut State,
    access_key_id: &str,
    session: Option<&Policy>,
    operation: &str,
    input: &Json,
) -> ApiResult<Json> {
    state.store.run_functions();
    let id = text(input, if operation == "CreateSecret" { "Name" } else { "SecretId" });
    let name = id.as_deref().map(name_of);
    if operation != "BatchGetSecretValue" && state.faults.is_denied(access_key_id, operation, name) {
        return Err(denied(operation));
    }
    check(state, session, operation, id.as_deref(), text(input, "VersionStage").as_deref())?;
    match operation {
        "GetSecretValue" => get(state, input),
        "BatchGetSecretValue" => batch(state, access_key_id, session, input),
        "PutResourcePolicy" => {
            let policy = Policy::parse(&required(input, "ResourcePolicy")?).ok_or_else(|| {
                ApiError("MalformedPolicyDocumentException", "This resource policy is malformed.".into())
            })?;
            set_policy(state, input, Some(policy))
        }
        "DeleteResourcePolicy" => set_policy(state, input, None),
        "ReplicateSecretToRegions" => {
            let id = required(input, "SecretId")?;
            state.replicate(&id, &regions(input))?;
            Ok(json!({ "ARN": state.store.find(&id)?.1.arn }))
        }
        "RemoveRegionsFromReplication" => {
            let id = required(input, "SecretId")?;
            let list = input.get("RemoveReplicaRegions").and_then(Json::as_array).into_iter().flatten();
            let removed: Vec<String> = list.filter_map(Json::as_str).map(str::to_owned).collect();
            state.unreplicate(&id, &removed)?;
            Ok(json!({ "ARN": state.store.find(&id)?.1.arn }))
        }
        "CreateSecret" => create(state, input),
        "PutSecretValue" => put(state, input),
        "UpdateSecret" => update(state, input),
        "UpdateSecretVersionStage" => move_stage(state, input),
        "DescribeSecret" => describe(state, input),
        "RotateSecret" => {
            let id = required(input, "SecretId")?;
            let token = text(input, "ClientRequestToken").unwrap_or_else(uuid);
            let version = state.store.rotate(&id, &token)?;
            Ok(json!({ "ARN": state.store.find(&id)?.1.arn, "Name": name_of(&id), "VersionId": version }))
        }
        "ListSecrets" => list(state, input),
        "DeleteSecret" => {
            let force = input.get("ForceDeleteWithoutRecovery").and_then(Json::as_bool).unwrap_or(false);
            let id = required(input, "SecretId")?;
            let days = input.get("RecoveryWindowInDays").and_then(Json::as_u64);
            if days.is_some_and(|days| force || !(7..=30).contains(&days)) {
                let why = "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).";
                return Err(ApiError("InvalidParameterException", why.to_owned()));
            }
            let arn = state.store.delete(&id, force)?;
            let days = u32::try_from(days.unwrap_or(30)).unwrap_or_default();
            let date = unix_seconds() + f64::from(days) * 86_400.0;
            Ok(json!({ "ARN": arn, "Name": name_of(&id), "DeletionDate": date }))
        }
        "RestoreSecret" => {
            let id = required(input, "SecretId")?;
            state.store.restore(&id).map(|arn| json!({ "ARN": arn, "Name": name_of(&id) }))
        }
        "GetRandomPassword" => {
            let length = input.get("PasswordLength").and_then(Json::as_u64).unwrap_or(32);
            let password: String = (0..length).map(|_| fastrand::alphanumeric()).collect();
            Ok(json!({ "RandomPassword": password }))
        }
        _ => Err(ApiError("InvalidAction", format!("{operation} is not known here"))),
    }
}

fn set_policy(state: &mut State, input: &Json, policy: Option<Policy>) -> ApiResult<Json> {
    let id = required(input, "SecretId")?;
    let secret = state.store.live(&id)?;
    secret.policy = policy;
    Ok(json!({ "ARN": secret.arn, "Name": name_of(&id) }))
}

/// The regions of `AddReplicaRegions`.
fn regions(input: &Json) -> Vec<String> {
    let list = input.get("AddReplicaRegions").and_then(Json::as_array).into_iter().flatten();
    list.filter_map(|replica| text(replica, "Region")).collect()
}

fn text(input: &Json, field: &str) -> Option<String> {
    input.get(field).and_then(Json::as_str).map(str::to_owned)
}

fn required(input: &Json, field: &str) -> ApiResult<String> {
    text(input, field)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| ApiError("InvalidParameterException", format!("{field} is missing")))
}

/// The value of a write.
///
/// # Source
/// <https://github.com/hashicorp/terraform-provider-aws/issues/19731>, of an empty text: "`InvalidParameterException`: You must provide
/// either `SecretString` or `SecretBinary`".
fn value(input: &Json) -> ApiResult<Option<Value>> {
    let value = text(input, "SecretString").map(Value::Text);
    match value.or_else(|| text(input, "SecretBinary").map(Value::Binary)) {
        Some(Value::Text(text) | Value::Binary(text)) if text.is_empty() => {
            Err(ApiError("InvalidParameterException", "You must provide either SecretString or SecretBinary.".into()))
        }
        value => Ok(value),
    }
}

fn shown(name: &str, secret: &Secret, version_id: &str) -> Json {
    // A version that readers cannot see yet is shown after the write that made it.
    let version = secret.shown().get(version_id).unwrap_or(&secret.versions[version_id]);
    let mut shown = json!({
        "ARN": secret.arn,
        "Name": name,
        "VersionId": version_id,
        "VersionStages": version.stages,
        "CreatedDate": version.created,
    });
    match &version.value {
        Value::Text(text) => shown["SecretString"] = json!(text),
        Value::Binary(base64) => shown["SecretBinary"] = json!(base64),
    }
    shown
}

fn get(state: &State, input: &Json) -> ApiResult<Json> {
    let id = required(input, "SecretId")?;
    let (version, stage) = (text(input, "VersionId"), text(input, "VersionStage"));
    let (name, secret, version) = state.store.read(&id, version.as_deref(), stage.as_deref())?;
    Ok(shown(name, secret, version))
}

fn batch(state: &State, access_key_id: &str, session: Option<&Policy>, input: &Json) -> ApiResult<Json> {
    if state.faults.is_denied(access_key_id, "BatchGetSecretValue", None) {
        return Err(denied("BatchGetSecretValue"));
    }
    let invalid = |why: &str| Err(ApiError("InvalidParameterException", why.to_owned()));
    let ids: Option<Vec<String>> = input
        .get("SecretIdList")
        .and_then(Json::as_array)
        .map(|ids| ids.iter().filter_map(Json::as_str).map(str::to_owned).collect());
    let prefixes = name_filter(input);
    let (ids, next) = match (ids, prefixes) {
        (Some(_), Some(_)) => return invalid("Either SecretIdList or Filters must be given, not both"),
        (None, None) => return invalid("Either SecretIdList or Filters must be given"),
        (Some(ids), None) if ids.is_empty() || ids.len() > MAX_BATCH => {
            return invalid("SecretIdList must have 1 to 20 members");
        }
        // <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html>, MaxResults: "If you use this
        // parameter, you must also specify Filters."
        (Some(_), None) if input.get("MaxResults").is_some_and(|most| !most.is_null()) => {
            return invalid("MaxResults can be given together with Filters only");
        }
        (Some(ids), None) => (ids, None),
        (None, Some(prefixes)) => {
            if state.faults.is_denied(access_key_id, "ListSecrets", None) {
                return Err(denied("ListSecrets"));
            }
            page(state, &prefixes, input, MAX_BATCH)?
        }
    };
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for id in ids {
        let answer = if state.faults.is_denied(access_key_id, "GetSecretValue", Some(name_of(&id))) {
            Err(denied("GetSecretValue"))
        } else {
            check(state, session, "GetSecretValue", Some(&id), None).and_then(|()| state.store.read(&id, None, None))
        };
        match answer {
            Ok((name, secret, version)) => values.push(shown(name, secret, version)),
            Err(ApiError(code, message)) => {
                errors.push(json!({ "SecretId": id, "ErrorCode": code, "Message": message }));
            }
        }
    }
    Ok(with_token(json!({ "SecretValues": values, "Errors": errors }), next))
}

/// An answer with the token of the next page: AWS leaves the member out where there is none.
///
/// # Source
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html>: "Secrets Manager includes this value if
/// there's more output available than what is included in the current response."
fn with_token(mut answer: Json, next: Option<String>) -> Json {
    if let Some(next) = next {
        answer["NextToken"] = json!(next);
    }
    answer
}

/// The prefixes of a `name` filter.
///
/// # Source
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Filter.html>: "name: Prefix match, case-sensitive."
fn name_filter(input: &Json) -> Option<Vec<String>> {
    let filters = input.get("Filters")?.as_array()?;
    let values = filters.iter().filter(|filter| text(filter, "Key").as_deref() == Some("name"));
    Some(
        values
            .filter_map(|filter| filter.get("Values").and_then(Json::as_array))
            .flatten()
            .filter_map(Json::as_str)
            .map(str::to_owned)
            .collect(),
    )
}

/// One page of matching names and the token of the next.
fn page(state: &State, prefixes: &[String], input: &Json, most: usize) -> ApiResult<(Vec<String>, Option<String>)> {
    let size = match input.get("MaxResults").and_then(Json::as_u64).map(usize::try_from) {
        None => most,
        Some(Ok(size)) if (1..=most).contains(&size) => size,
        Some(_) => return Err(ApiError("InvalidParameterException", format!("MaxResults must be 1 to {most}"))),
    };
    let after = text(input, "NextToken");
    let with_deleted = input.get("IncludePlannedDeletion").and_then(Json::as_bool).unwrap_or(false);
    let mut matching = state
        .store
        .names()
        .filter(|name| prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix)))
        // <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>, IncludePlannedDeletion: "By default, secrets
        // scheduled for deletion aren't included."
        .filter(|name| with_deleted || !state.store.find(name).is_ok_and(|(_, secret)| secret.deleted))
        .skip_while(|name| after.as_ref().is_some_and(|after| *name <= after));
    let names: Vec<String> = matching.by_ref().take(size).cloned().collect();
    let next = matching.next().and_then(|_| names.last().cloned());
    Ok((names, next))
}

fn create(state: &mut State, input: &Json) -> ApiResult<Json> {
    let name = required(input, "Name")?;
    // <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>: "The secret name can contain ASCII letters,
    // numbers, and the following characters: /_+=.@-". AWS's own services make names with an exclamation mark.
    if name.contains('!') {
        let why = "Invalid name. Must be a valid name containing alphanumeric characters, or any of: -/_+=.@";
        return Err(ApiError("InvalidParameterException", why.into()));
    }
    let (arn, version) = state.store.create(&name, value(input)?, text(input, "ClientRequestToken").as_deref())?;
    if let Some(tags) = input.get("Tags").and_then(Json::as_array) {
        let tag = |tag: &Json| Some((text(tag, "Key")?, text(tag, "Value").unwrap_or_default()));
        state.store.tag(&name, tags.iter().filter_map(tag).collect());
    }
    if let Some(description) = text(input, "Description").filter(|text| !text.is_empty()) {
        state.store.live(&name)?.description = Some(description);
    }
    let replicas = regions(input);
    if !replicas.is_empty() {
        state.replicate(&name, &replicas)?;
    }
    Ok(json!({ "ARN": arn, "Name": name, "VersionId": version }))
}

fn put(state: &mut State, input: &Json) -> ApiResult<Json> {
    let id = required(input, "SecretId")?;
    let Some(value) = value(input)? else {
        return Err(ApiError("InvalidParameterException", "SecretString or SecretBinary must be given".into()));
    };
    let stages: Vec<String> = input
        .get("VersionStages")
        .and_then(Json::as_array)
        .map(|stages| stages.iter().filter_map(Json::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let token = text(input, "ClientRequestToken").unwrap_or_else(uuid);
    state.store.check_owner(&id)?;
    let version = state.store.put(&id, value, Some(&token), &stages)?;
    let (name, secret) = state.store.find(&id)?;
    Ok(
        json!({ "ARN": secret.arn, "Name": name, "VersionId": version, "VersionStages": secret.versions[&version].stages }),
    )
}

fn update(state: &mut State, input: &Json) -> ApiResult<Json> {
    let id = required(input, "SecretId")?;
    state.store.check_owner(&id)?;
    let version = match value(input)? {
        Some(value) => Some(state.store.put(&id, value, text(input, "ClientRequestToken").as_deref(), &[])?),
        None => None,
    };
    let (name, secret) = state.store.find(&id)?;
    Ok(json!({ "ARN": secret.arn, "Name": name, "VersionId": version }))
}

fn move_stage(state: &mut State, input: &Json) -> ApiResult<Json> {
    let (id, stage) = (required(input, "SecretId")?, required(input, "VersionStage")?);
    let (from, to) = (text(input, "RemoveFromVersionId"), text(input, "MoveToVersionId"));
    state.store.check_owner(&id)?;
    let arn = state.store.move_stage(&id, &stage, from.as_deref(), to.as_deref())?;
    Ok(json!({ "ARN": arn, "Name": name_of(&id) }))
}

fn describe(state: &State, input: &Json) -> ApiResult<Json> {
    let id = required(input, "SecretId")?;
    let (name, secret) = state.store.find(&id)?;
    let labelled = secret.shown().iter().filter(|(_, version)| !version.stages.is_empty());
    let stages: serde_json::Map<String, Json> =
        labelled.map(|(id, version)| (id.clone(), json!(version.stages))).collect();
    let tags: Json = secret.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    let mut described = json!({ "ARN": secret.arn, "Name": name, "VersionIdsToStages": stages, "Tags": tags });
    if let Some(description) = &secret.description {
        described["Description"] = json!(description);
    }
    if secret.function.is_some() || secret.keeper.rotates {
        described["RotationEnabled"] = json!(true);
    }
    if secret.function.is_some() && secret.keeper.owner.is_none() && secret.keeper.external_type.is_none() {
        described["RotationLambdaARN"] = json!("arn:aws:lambda:us-east-1:000000000000:function:rotate");
    }
    if secret.deleted {
        described["DeletedDate"] = json!(unix_seconds());
    }
    if let Some(next) = secret.keeper.next_rotation {
        described["NextRotationDate"] = json!(next);
    }
    if let Some(owner) = &secret.keeper.owner {
        described["OwningService"] = json!(owner);
    }
    if let Some(external_type) = &secret.keeper.external_type {
        described["Type"] = json!(external_type);
    }
    Ok(described)
}

fn list(state: &State, input: &Json) -> ApiResult<Json> {
    let prefixes = name_filter(input).unwrap_or_default();
    let (names, next) = page(state, &prefixes, input, 100)?;
    let secrets = names.iter().map(|name| describe(state, &json!({ "SecretId": name })));
    let secrets = secrets.collect::<ApiResult<Vec<Json>>>()?;
    Ok(with_token(json!({ "SecretList": secrets }), next))
}
