//! What AWS says about a secret, as EventBridge passes it on.
//!
//! - <https://docs.aws.amazon.com/secretsmanager/latest/userguide/monitoring-eventbridge.html>
//! - <https://docs.aws.amazon.com/secretsmanager/latest/userguide/monitoring-cloudtrail_log-entries.html>
//!
//! An event is only a hint to look again: a forged one costs a read.

use serde_json::Value as Json;

use aws::{CURRENT, name_in};
use secret::error::{ErrorCode, Result, SecretError};
use secret::reference::Arn;

/// EventBridge's events have at most 256 KiB, an SQS message at most 1 MiB.
pub const MAX_EVENT: usize = 1024 * 1024;

/// What happened to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Another version may be live: this one, where the event says.
    Live(Option<String>),
    /// A label other than AWSCURRENT moved.
    OtherLabel,
    /// AWS's own rotation failed. AWS tries it again.
    RotationFailed,
    /// Nothing that a reader would see.
    Nothing,
}

/// One event about one secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretEvent {
    /// The name of the AWS secret that it is about.
    pub aws_id: String,
    /// Its ARN, where the event has it.
    pub arn: Option<String>,
    /// Whose secret it is: as its ARN says, else the event.
    pub account: Option<String>,
    /// Whose event it is.
    pub sender: Option<String>,
    /// Where the secret is: as its ARN says, else the event.
    pub region: Option<String>,
    /// When it happened, in milliseconds since 1970.
    pub unix_ms: Option<u64>,
    /// What happened.
    pub happened: Happened,
}

/// Reads an event; `None` when it is not about a secret.
///
/// # Errors
/// `SOURCE_RESPONSE_INVALID` for what is no event, or one about a secret that does not say which.
pub fn parse(text: &str) -> Result<Option<SecretEvent>> {
    if text.len() > MAX_EVENT {
        return Err(invalid("is longer than 1 MiB"));
    }
    let event: Json = serde_json::from_str(text).map_err(|_| invalid("is not JSON"))?;
    // Through SNS: the event is the message's text.
    if event.get("Type").and_then(Json::as_str) == Some("Notification")
        && let Some(message) = event.get("Message").and_then(Json::as_str)
    {
        return parse_event(&serde_json::from_str(message).map_err(|_| invalid("is an SNS message that is not JSON"))?);
    }
    parse_event(&event)
}

fn parse_event(event: &Json) -> Result<Option<SecretEvent>> {
    if !event.is_object() {
        return Err(invalid("is not an object"));
    }
    let kind = text(event, &["detail-type"]).ok_or_else(|| invalid("has no detail-type"))?;
    let about = |id: Option<&str>, arn: Option<&str>, happened| {
        let aws_id = id.or(arn).map(|id| name_in(id).to_owned());
        let aws_id =
            aws_id.filter(|id| !id.is_empty()).ok_or_else(|| invalid("does not say which secret it is about"))?;
        let arn = arn.filter(|arn| arn.starts_with("arn:")).map(str::to_owned);
        // CloudTrail tells the account and region of a caller as well, whose event is about a secret of another account.
        let place = arn.as_deref().and_then(Arn::parse);
        let sender = text(event, &["account"]).map(str::to_owned);
        let account = place.map(|arn| arn.account.to_owned()).or_else(|| sender.clone());
        let region = place.map(|arn| arn.region).or_else(|| text(event, &["region"])).map(str::to_owned);
        let at = text(event, &["time"]).and_then(unix_ms);
        Ok(Some(SecretEvent { account, sender, region, unix_ms: at, aws_id, arn, happened }))
    };
    if text(event, &["source"]) != Some("aws.secretsmanager") {
        return Ok(None);
    }
    match kind {
        "Secret Label Updated" => {
            let arn = event.get("resources").and_then(|all| all.get(0)).and_then(Json::as_str);
            let id = text(event, &["detail", "name"]);
            let happened = match text(event, &["detail", "labelUpdated"]) {
                Some(CURRENT) => Happened::Live(text(event, &["detail", "versionId"]).map(str::to_owned)),
                Some(_) => Happened::OtherLabel,
                None => return Err(invalid("does not say which label moved")),
            };
            about(id, arn, happened)
        }
        "AWS Service Event via CloudTrail" | "AWS API Call via CloudTrail" => {
            let detail = event.get("detail").ok_or_else(|| invalid("has no detail"))?;
            let places: [&[&str]; 6] = [
                &["additionalEventData", "SecretId"],
                &["responseElements", "arn"],
                &["responseElements", "aRN"],
                &["requestParameters", "secretId"],
                &["responseElements", "name"],
                &["requestParameters", "name"],
            ];
            let said = || places.into_iter().filter_map(|place| text(detail, place));
            let (id, arn) = (said().next(), said().find(|id| id.starts_with("arn:")));
            match happened(detail) {
                Happened::Nothing if id.is_none() => Ok(None),
                happened => about(id, arn, happened),
            }
        }
        _ => Ok(None),
    }
}

/// What a CloudTrail record means to a reader.
fn happened(detail: &Json) -> Happened {
    if text(detail, &["errorCode"]).is_some() {
        return Happened::Nothing;
    }
    let owned = |place: &[&str]| text(detail, place).map(str::to_owned);
    match text(detail, &["eventName"]).unwrap_or_default() {
        // A rotation is abandoned because somebody put a new version meanwhile, and that version is live.
        "RotationSucceeded"
        | "RotationAbandoned"
        | "DeleteSecret"
        | "CreateSecret"
        | "RestoreSecret"
        | "ReplicateSecretToRegions" => Happened::Live(None),
        "RotationFailed" => Happened::RotationFailed,
        "UpdateSecret" => Happened::Live(owned(&["responseElements", "versionId"])),
        "PutSecretValue" => {
            let labels = detail.get("requestParameters").and_then(|given| given.get("versionStages"));
            let is_live = labels.and_then(Json::as_array).is_none_or(|labels| labels.iter().any(|own| own == CURRENT));
            let version = owned(&["responseElements", "versionId"]);
            if is_live {
                Happened::Live(version.or_else(|| owned(&["requestParameters", "clientRequestToken"])))
            } else {
                Happened::OtherLabel
            }
        }
        "UpdateSecretVersionStage" => match text(detail, &["requestParameters", "versionStage"]) {
            Some(CURRENT) => Happened::Live(owned(&["requestParameters", "moveToVersionId"])),
            _ => Happened::OtherLabel,
        },
        _ => Happened::Nothing,
    }
}

fn text<'a>(json: &'a Json, path: &[&str]) -> Option<&'a str> {
    let mut at = json;
    for field in path {
        at = at.get(field)?;
    }
    at.as_str().filter(|text| !text.is_empty())
}

fn unix_ms(text: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(text).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(secret::clock::millis(since))
}

fn invalid(why: &str) -> SecretError {
    SecretError::new(ErrorCode::SourceResponseInvalid, format!("the event {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:GITHUB_API_TOKEN_production-a1B2c3";

    fn event(kind: &str, detail: &Json) -> Json {
        json!({
            "version": "0", "id": "1", "detail-type": kind, "source": "aws.secretsmanager", "account": "123456789012",
            "time": "2026-11-24T02:00:00Z", "region": "eu-central-1", "resources": [ARN], "detail": detail,
        })
    }

    fn happened_in(kind: &str, detail: &Json) -> Happened {
        let parsed = parse(&event(kind, detail).to_string()).expect("valid").expect("about a secret");
        assert_eq!(parsed.aws_id, "GITHUB_API_TOKEN_production");
        assert_eq!(parsed.account.as_deref(), Some("123456789012"));
        assert_eq!(parsed.region.as_deref(), Some("eu-central-1"));
        assert_eq!(parsed.unix_ms, Some(1_795_485_600_000));
        parsed.happened
    }

    fn live(version: &str) -> Happened {
        Happened::Live(Some(version.into()))
    }

    #[test]
    fn eventbridges_own_event_names_the_version() {
        let kind = "Secret Label Updated";
        let detail =
            |label: &str| json!({ "name": "GITHUB_API_TOKEN_production", "labelUpdated": label, "versionId": "v-2" });
        assert_eq!(happened_in(kind, &detail("AWSCURRENT")), live("v-2"));
        assert_eq!(happened_in(kind, &detail("mine")), Happened::OtherLabel);
        assert_eq!(happened_in(kind, &json!({ "labelUpdated": "AWSCURRENT" })), Happened::Live(None), "by its ARN");
    }

    #[test]
    fn calls_and_service_events_come_through_cloudtrail() {
        let call = "AWS API Call via CloudTrail";
        let rows = [
            (
                json!({ "eventName": "PutSecretValue", "requestParameters": { "secretId": ARN, "clientRequestToken": "v-3" } }),
                live("v-3"),
            ),
            (
                json!({ "eventName": "PutSecretValue", "responseElements": { "arn": ARN, "versionId": "v-4" } }),
                live("v-4"),
            ),
            (
                json!({ "eventName": "PutSecretValue", "requestParameters": { "secretId": ARN, "versionStages": ["AWSPENDING"] } }),
                Happened::OtherLabel,
            ),
            (
                json!({ "eventName": "UpdateSecret", "responseElements": { "aRN": ARN, "versionId": "v-5" } }),
                live("v-5"),
            ),
            (
                json!({ "eventName": "UpdateSecretVersionStage", "requestParameters": { "secretId": "GITHUB_API_TOKEN_production",
                    "versionStage": "AWSCURRENT", "moveToVersionId": "v-6" } }),
                live("v-6"),
            ),
            (
                json!({ "eventName": "UpdateSecretVersionStage", "requestParameters": { "secretId": ARN, "versionStage": "mine" } }),
                Happened::OtherLabel,
            ),
            (json!({ "eventName": "DeleteSecret", "responseElements": { "aRN": ARN } }), Happened::Live(None)),
            (json!({ "eventName": "GetSecretValue", "requestParameters": { "secretId": ARN } }), Happened::Nothing),
            (
                json!({ "eventName": "PutSecretValue", "errorCode": "AccessDenied", "requestParameters": { "secretId": ARN } }),
                Happened::Nothing,
            ),
        ];
        for (detail, expected) in rows {
            assert_eq!(happened_in(call, &detail), expected, "{detail}");
        }
        let service = "AWS Service Event via CloudTrail";
        let of = |name: &str| json!({ "eventName": name, "additionalEventData": { "SecretId": ARN } });
        assert_eq!(happened_in(service, &of("RotationSucceeded")), Happened::Live(None));
        assert_eq!(happened_in(service, &of("RotationFailed")), Happened::RotationFailed);
        assert_eq!(happened_in(service, &of("RotationStarted")), Happened::Nothing);
    }

    #[test]
    fn an_event_through_sns_is_read_as_well() {
        let inner = event("Secret Label Updated", &json!({ "name": "A_test", "labelUpdated": "AWSCURRENT" }));
        let outer = json!({ "Type": "Notification", "Message": inner.to_string() });
        assert_eq!(parse(&outer.to_string()).expect("valid").expect("about a secret").aws_id, "A_test");
    }

    #[test]
    fn what_is_no_event_is_refused_and_what_is_another_ones_passes_by() {
        let kind = "Secret Label Updated";
        let nameless =
            json!({ "detail-type": kind, "source": "aws.secretsmanager", "detail": { "labelUpdated": "AWSCURRENT" } });
        let labelless = event(kind, &json!({ "name": "A_test" }));
        let wrong = [
            "",
            "null",
            "[]",
            "\"text\"",
            "{",
            "{}",
            &nameless.to_string(),
            &labelless.to_string(),
            &event(kind, &json!({ "name": "arn:aws:secretsmanager:r:1:secret:", "labelUpdated": "x" })).to_string(),
            &" ".repeat(MAX_EVENT + 1),
        ];
        for text in wrong {
            let shown: String = text.chars().take(60).collect();
            assert_eq!(parse(text).expect_err(&shown).code(), ErrorCode::SourceResponseInvalid);
        }
        let other = [
            json!({ "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "detail": {} }),
            event("Something New", &json!({})),
        ];
        for event in other {
            assert_eq!(parse(&event.to_string()).expect("an event"), None);
        }
    }

    #[test]
    fn the_arn_says_whose_a_secret_is_before_the_event_does() {
        let foreign = "arn:aws:secretsmanager:us-east-1:999999999999:secret:A_test-a1B2c3";
        let detail = json!({ "eventName": "PutSecretValue", "requestParameters": { "secretId": foreign } });
        let of_caller = event("AWS API Call via CloudTrail", &detail);
        let parsed = parse(&of_caller.to_string()).expect("valid").expect("about a secret");
        assert_eq!((parsed.account.as_deref(), parsed.region.as_deref()), (Some("999999999999"), Some("us-east-1")));
        let mut nameless = event("Secret Label Updated", &json!({ "name": "A_test", "labelUpdated": "AWSCURRENT" }));
        nameless["resources"] = json!(["arn:of:something:else"]);
        let parsed = parse(&nameless.to_string()).expect("valid").expect("about a secret");
        assert_eq!((parsed.account.as_deref(), parsed.region.as_deref()), (Some("123456789012"), Some("eu-central-1")));
    }

    #[test]
    fn ids_are_read_from_arns_with_and_without_awss_own_ending() {
        assert_eq!(name_in(ARN), "GITHUB_API_TOKEN_production");
        assert_eq!(name_in("arn:aws:secretsmanager:x:1:secret:A_B_production"), "A_B_production");
        assert_eq!(name_in("arn:aws:secretsmanager:x:1:secret:a/MY-NAME-a1B2c3"), "a/MY-NAME");
        assert_eq!(name_in("A-abcdef"), "A-abcdef");
    }
}
