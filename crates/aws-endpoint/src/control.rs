//! Lets tests in other processes control the endpoint, under `/_control/`.

use std::time::Duration;

use hyper::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value as Json, json};

use crate::faults::{Denial, Fault};
use crate::state::{Calls, Shared, State, lock};
use crate::store::{Keeper, RotationFunction, Value, Version};
use crate::sts::Role;

/// Returns the HTTP status and the JSON of the answer to a control request.
pub(crate) fn answer(shared: &Shared, method: &Method, path: &str, input: &Json) -> (u16, Json) {
    let mut state = lock(shared);
    let done = (200, json!({}));
    match (method.as_str(), path) {
        ("POST", "reset") => {
            state.reset();
            done
        }
        ("POST", "secrets") => {
            let Some(secrets) = input.as_object() else { return (400, json!({ "error": "an object of values" })) };
            for (name, value) in secrets {
                let Some(value) = value.as_str() else { return (400, json!({ "error": "values are strings" })) };
                if let Err(error) = state.store.upsert(name, Value::Text(value.to_owned())) {
                    return (400, json!({ "error": error.1 }));
                }
            }
            done
        }
        ("POST", path) if path.starts_with("accounts/") => (of_account(&mut state, path, input), json!({})),
        ("POST", "region") => {
            let region = input.get("region").and_then(Json::as_str).unwrap_or("us-east-1");
            state.be_in(region);
            done
        }
        ("POST", "quotas") => (quotas(&mut state, input), json!({})),
        ("POST", "users" | "secret-keys") => (of_keys(&mut state, path, input), json!({})),
        ("POST", "roles") => (role(&mut state, input), json!({})),
        ("DELETE", path) if path.starts_with("roles/") => {
            state.sts.remove(&decoded(path.strip_prefix("roles/").unwrap_or(path)));
            done
        }
        ("POST", "rotation-functions") => {
            let Some(id) = input.get("secret").and_then(Json::as_str) else {
                return (400, json!({ "error": "secret" }));
            };
            let takes = Duration::from_millis(input.get("takesMs").and_then(Json::as_u64).unwrap_or(0));
            let gives_up = input.get("givesUp").and_then(Json::as_bool).unwrap_or(false);
            match state.store.set_function(id, RotationFunction::new(takes, gives_up)) {
                Ok(()) => done,
                Err(error) => (400, json!({ "error": error.1 })),
            }
        }
        ("POST", "keepers") => (keeper(&mut state, input), json!({})),
        ("POST", "late") => {
            state.store.late = Duration::from_millis(input.get("ms").and_then(Json::as_u64).unwrap_or(0));
            done
        }
        ("POST", "date") => {
            let dated = (input.get("secret").and_then(Json::as_str), input.get("unixSeconds").and_then(Json::as_u64));
            let (Some(id), Some(seconds)) = dated else { return (400, json!({ "error": "secret, unixSeconds" })) };
            match state.store.date(id, seconds) {
                Ok(()) => done,
                Err(error) => (400, json!({ "error": error.1 })),
            }
        }
        ("POST", "lag") => {
            state.store.lag = Duration::from_millis(input.get("ms").and_then(Json::as_u64).unwrap_or(0));
            done
        }
        ("GET", "calls") => {
            let calls = &state.calls;
            let body = json!({
                "total": calls.total,
                "byOperation": calls.by_operation,
                "connectionsOpened": calls.connections_opened,
            });
            (200, body)
        }
        ("POST", "calls/reset") => {
            state.calls = Calls::default();
            done
        }
        ("POST", "deny") => {
            let Some(actions) = strings(input.get("actions")) else { return (400, json!({ "error": "actions" })) };
            let access_key_id = input.get("accessKeyId").and_then(Json::as_str).map(str::to_owned);
            state.faults.deny(Denial { actions, secrets: strings(input.get("secrets")), access_key_id });
            done
        }
        ("DELETE", "deny") => {
            state.faults.allow_all();
            done
        }
        ("POST", "faults") => match Fault::from_json(input) {
            Some(fault) => {
                state.faults.add(fault);
                done
            }
            None => (400, json!({ "error": "not a fault" })),
        },
        ("DELETE", "faults") => {
            state.faults.clear();
            done
        }
        ("GET", path) if path.starts_with("secrets/") => versions(&state, &named(path)),
        ("DELETE", path) if path.starts_with("secrets/") => {
            let name = named(path);
            let found = state.store.remove(&name);
            (if found { 200 } else { 404 }, json!({}))
        }
        _ => (404, json!({ "error": "no such control" })),
    }
}

/// Every version of a secret.
fn versions(state: &State, name: &str) -> (u16, Json) {
    match state.store.find(name) {
        Ok((_, secret)) => {
            let version = |(id, version): (&String, &Version)| {
                let (Value::Text(value) | Value::Binary(value)) = &version.value;
                json!({ "versionId": id, "value": value, "labels": version.stages, "wasLive": version.was_live })
            };
            (200, secret.versions.iter().map(version).collect())
        }
        Err(error) => (404, json!({ "error": error.1 })),
    }
}

/// Says of access key ids which account they are of, or with which secret key they sign. Gives the HTTP status.
fn of_keys(state: &mut State, path: &str, input: &Json) -> u16 {
    let Some(keys) = input.as_object() else { return 400 };
    for (key, value) in keys {
        match (path, value.as_str()) {
            ("users", Some(account)) => state.sts.user(key, account),
            (_, Some(secret)) => state.sts.signs_with(key, secret),
            (_, None) => return 400,
        }
    }
    200
}

/// Makes the secrets of another account: `accounts/111122223333`. Gives the HTTP status.
fn of_account(state: &mut State, path: &str, input: &Json) -> u16 {
    let account = path.strip_prefix("accounts/").unwrap_or(path);
    let Some(secrets) = input.as_object() else { return 400 };
    let all = state.of_account(account, |state| {
        let mut values = secrets.iter().map(|(name, value)| (name, value.as_str()));
        values.all(|(name, value)| {
            value.is_some_and(|value| state.store.upsert(name, Value::Text(value.to_owned())).is_ok())
        })
    });
    if all { 200 } else { 400 }
}

/// Sets how many calls of operations a second are answered. Gives the HTTP status.
fn quotas(state: &mut State, input: &Json) -> u16 {
    for (operation, per_second) in input.as_object().into_iter().flatten() {
        let Some(per_second) = per_second.as_f64() else { return 400 };
        state.quotas.set(operation, per_second);
    }
    200
}

/// Makes a role. Gives the HTTP status.
fn role(state: &mut State, input: &Json) -> u16 {
    let Some(arn) = input.get("arn").and_then(Json::as_str) else { return 400 };
    let role = Role {
        external_id: input.get("externalId").and_then(Json::as_str).map(str::to_owned),
        trusts: strings(input.get("trusts")),
        lasts: input.get("lastsMs").and_then(Json::as_u64).map(Duration::from_millis),
    };
    state.sts.put(arn, role);
    200
}

/// Says who takes care of a secret. Gives the HTTP status.
fn keeper(state: &mut State, input: &Json) -> u16 {
    let text = |field| input.get(field).and_then(Json::as_str).map(str::to_owned);
    let keeper = Keeper {
        rotates: input.get("rotationEnabled").and_then(Json::as_bool).unwrap_or(false),
        next_rotation: input.get("nextRotationUnixSeconds").and_then(Json::as_u64),
        owner: text("owningService"),
        external_type: text("type"),
    };
    let id = text("secret").unwrap_or_default();
    if state.store.set_keeper(&id, keeper).is_ok() { 200 } else { 400 }
}

/// The name in `secrets/…`.
fn named(path: &str) -> String {
    decoded(path.strip_prefix("secrets/").unwrap_or(path))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn strings(json: Option<&Json>) -> Option<Vec<String>> {
    Some(json?.as_array()?.iter().filter_map(Json::as_str).map(str::to_owned).collect())
}
