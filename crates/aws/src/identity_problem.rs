//! Why there are no credentials, in words that say what to do. What the SDK says is read, and never repeated: it quotes what
//! processes print and servers send.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::display::DisplayErrorContext;
use network::{Remedy, chain};
use url::Url;

use crate::codes::{is_throttling, shown_code, throttled};
use crate::connections::Connections;
use crate::profile_problem::{problem, unreadable};
use crate::profiles::Profiles;
use crate::proxy::{host_and_port, is_ec2};
use crate::sdk::{misplaced_sts, no_ec2};
use crate::settings::AwsSettings;
use crate::unreached::{Destination, Unreached};
use secret::error::{Cause, SecretError};
use secret::shown::shown;

const SEE: &str = "see aws.credentials, aws.profile or the AWS_* variables";
/// How many names of profiles a message lists.
const LISTED: usize = 8;

/// What follows from a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// They may be there the next time.
    Passing,
    /// Nothing at all names any.
    Missing,
    /// They did not arrive in time.
    Late,
    /// STS refused a role.
    Refused,
    /// STS did not accept the credentials with which it was asked for a role.
    Unaccepted,
}

/// Why there are no credentials.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) sort: Sort,
    pub(crate) cause: Option<Cause>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Problem {}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), sort: Sort::Passing, cause: None }
    }

    /// They did not arrive in time.
    pub(crate) fn late(config: &AwsSettings) -> Self {
        let from = match &config.credentials {
            Some(_) => "aws.credentials, the service's own function, did not settle".to_owned(),
            None => {
                "no place that names some answered (a credential_process, SSO, `aws login`, STS, a container or EC2)"
                    .to_owned()
            }
        };
        Self {
            sort: Sort::Late,
            ..Self::new(format!("AWS credentials did not arrive in time: {from} (aws.timeoutMs)"))
        }
    }

    /// The service's own function gave none, for the reason `error`.
    pub(crate) fn of_service(error: &SecretError) -> Self {
        Self { cause: error.cause().cloned(), ..Self::new(error.to_string()) }
    }

    /// The `credential_process` of `profile` gave none, for the reason `how`.
    pub(crate) fn of_process(profile: &str, how: &str) -> Self {
        let profile = shown(profile);
        Self::new(format!(
            "the credential_process of the profile '{profile}' {how}; run its command by hand to see why"
        ))
    }

    /// The chosen profile is not there, or cannot be read.
    pub(crate) fn of_profile(profiles: &Profiles, config: &AwsSettings) -> Option<Self> {
        let chosen = profiles.chosen.as_deref()?;
        if profiles.has(chosen) {
            return None;
        }
        let names = profiles.names();
        let listed: Vec<String> = names.iter().take(LISTED).map(|name| format!("'{}'", shown(name))).collect();
        let more = if names.len() > LISTED { ", …" } else { "" };
        let unread = profiles.unread.as_ref().map(|why| format!(", and one cannot be read: {why}")).unwrap_or_default();
        let there =
            if listed.is_empty() { "there are none".to_owned() } else { format!("there are {}", listed.join(", ")) };
        Some(Self::new(format!(
            "there is no profile '{}' in AWS's configuration files ({there}{more}{unread}): correct aws.profile or AWS_PROFILE, or \
             run: aws configure --profile {}{}",
            shown(chosen),
            shown(chosen),
            unused_keys(config)
        )))
    }

    /// Reads `error`, which the SDK's chain ended with.
    pub(crate) async fn of(
        error: &CredentialsError,
        config: &AwsSettings,
        profiles: &Profiles,
        connections: &Connections,
    ) -> Self {
        let unreached = Unreached::within(error);
        let answered = Answered::within(error);
        let cause = unreached.map(Unreached::as_cause).or_else(|| answered.as_ref().map(Answered::as_cause));
        let is_missing = matches!(error, CredentialsError::CredentialsNotLoaded(_));
        let by_profile = if config.has_keys() { None } else { problem(profiles).await };
        let message = if let Some(told) = by_profile {
            told
        } else if is_missing {
            not_found(config, profiles, connections)
        } else {
            let text = DisplayErrorContext(error).to_string();
            let way = unreached.map(ToString::to_string);
            let failed = Failed { config, profiles, text: &text, way, answered };
            match failed.of_profile() {
                Some(told) => told,
                None => failed.of_machine().await,
            }
        };
        let half = config.half_identity().map(|half| format!("; {half}")).unwrap_or_default();
        let message = message + &half;
        let asked_for = profiles.chosen.is_some() && !config.has_keys();
        let sort = if is_missing && !asked_for { Sort::Missing } else { Sort::Passing };
        Self { sort, cause, ..Self::new(message) }
    }
}

fn not_found(config: &AwsSettings, profiles: &Profiles, connections: &Connections) -> String {
    if let Some(problem) = Problem::of_profile(profiles, config) {
        return problem.message;
    }
    if let Some(chosen) = &profiles.chosen {
        let chosen = shown(chosen);
        let unused = unused_keys(config);
        return format!("the profile '{chosen}' has no credentials; run: aws configure --profile {chosen}{unused}");
    }
    if let Some(why) = no_ec2(config) {
        return format!("no AWS credentials were found, and {why}; {SEE}");
    }
    match connections.metadata_problem() {
        Some((place, why)) => {
            let named = names_ec2(config, profiles, &place);
            format!("no AWS credentials were found, and {}; {SEE}", metadata(&place, named, &why))
        }
        None if connections.has_no_role() => format!(
            "no AWS credentials were found: this EC2 instance has no role (attach an instance profile), and nothing else names \
             any; {SEE}"
        ),
        None => format!("no AWS credentials were found; {SEE}"),
    }
}

/// Whether `place` is where the configuration says that EC2's metadata service is.
fn names_ec2(config: &AwsSettings, profiles: &Profiles, place: &Destination) -> bool {
    let named = config.variables.get("AWS_EC2_METADATA_SERVICE_ENDPOINT").map(String::as_str);
    let named = named.or_else(|| profiles.get("ec2_metadata_service_endpoint"));
    let named = named.and_then(|url| Url::parse(url).ok()).and_then(|url| host_and_port(&url));
    named.is_some_and(|(host, port)| host == place.host && port == place.port)
}

/// That there are keys, which a profile that is chosen keeps from being used.
fn unused_keys(config: &AwsSettings) -> &'static str {
    if config.names_keys() {
        "; or unset AWS_PROFILE (aws.profile), so that AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY count"
    } else {
        ""
    }
}

fn metadata(place: &Destination, is_named_ec2: bool, why: &network::Cause) -> String {
    if why.remedy == Remedy::Place {
        let variable = if is_named_ec2 { " (AWS_EC2_METADATA_SERVICE_ENDPOINT)" } else { "" };
        return format!("{place} was asked, and {why}{variable}");
    }
    if is_ec2(&place.host) {
        format!(
            "EC2's metadata service {place} cannot be reached: {why} (in a container on EC2 the hop limit must be 2: aws ec2 \
             modify-instance-metadata-options --http-put-response-hop-limit 2; or use IRSA, Pod Identity or a task role)"
        )
    } else if is_named_ec2 {
        format!("EC2's metadata service {place} cannot be reached: {why} (AWS_EC2_METADATA_SERVICE_ENDPOINT)")
    } else {
        format!("the container's credentials service {place} cannot be reached: {why}")
    }
}

/// What STS answered, when it gave no credentials.
struct Answered {
    /// AWS's code, or the HTTP status of an answer without one. Safe to show.
    shown: String,
    is_throttled: bool,
    /// Whether it may give some the next time, whatever the role allows.
    is_passing: bool,
}

impl Answered {
    fn within(error: &CredentialsError) -> Option<Self> {
        let web = |link: &(dyn Error + 'static)| {
            let error = link.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>()?;
            Some((error.code().map(str::to_owned), error.raw_response()?.status().as_u16()))
        };
        let role = |link: &(dyn Error + 'static)| {
            let error = link.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>()?;
            Some((error.code().map(str::to_owned), error.raw_response()?.status().as_u16()))
        };
        let (code, status) = chain(error).find_map(|link| web(link).or_else(|| role(link)))?;
        let is_throttled = is_throttling(code.as_deref().unwrap_or_default(), status);
        let shown = match code.as_deref() {
            Some(code) if CODES.contains(&code) => code.to_owned(),
            Some(code) => shown_code(code).to_owned(),
            None => format!("HTTP {status}"),
        };
        Some(Self { shown, is_throttled, is_passing: is_throttled || code.is_none() || status >= 500 })
    }

    fn as_cause(&self) -> Cause {
        let message = if self.is_throttled { throttled(&self.shown) } else { format!("STS answered {}", self.shown) };
        Cause { code: self.shown.clone().into(), message, place: None }
    }
}

/// Codes of STS that are shown.
const CODES: [&str; 8] = [
    "AccessDenied",
    "InvalidIdentityToken",
    "ExpiredToken",
    "IDPRejectedClaim",
    "IDPCommunicationError",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "RegionDisabledException",
];

/// A place that should give credentials, and did not.
struct Failed<'a> {
    config: &'a AwsSettings,
    profiles: &'a Profiles,
    /// What the SDK says. Never repeated.
    text: &'a str,
    /// The host that could not be reached.
    way: Option<String>,
    /// What STS answered.
    answered: Option<Answered>,
}

impl Failed<'_> {
    /// What the profile's kind of credentials means.
    fn of_profile(&self) -> Option<String> {
        let (profiles, name) = (self.profiles, shown(self.profiles.name()));
        let has = |key: &str| profiles.get(key).is_some();
        if has("sso_session") || has("sso_start_url") {
            return Some(self.of_sso(&name));
        }
        if has("role_arn") {
            let expired = match profiles.get("web_identity_token_file") {
                Some(_) => "the token of web_identity_token_file",
                None => "the session of its source (source_profile, credential_source)",
            };
            let (why, is_about_role) = match misplaced_sts(self.config, self.profiles) {
                Some(misplaced) => (Some(misplaced), false),
                _ => self.of_sts("role_arn", profiles.get("role_arn").unwrap_or_default(), expired),
            };
            let why = why.unwrap_or_else(|| "its source gave no credentials".into());
            let see = if is_about_role { "; see role_arn and source_profile or credential_source there" } else { "" };
            return Some(format!("the role of the profile '{name}' could not be assumed: {why}{see}"));
        }
        None
    }

    fn of_sso(&self, name: &str) -> String {
        if let Some(way) = &self.way {
            return format!("the SSO credentials of the profile '{name}' could not be fetched: {way}");
        }
        if self.text.contains("ForbiddenException") {
            return format!(
                "the SSO session of the profile '{name}' may not use its account and role (sso_account_id, sso_role_name): ask \
                 who assigns them, or run: aws sso login --profile {name}"
            );
        }
        format!(
            "the SSO session of the profile '{name}' has expired, or nobody signed in: run: aws sso login --profile {name}"
        )
    }

    /// What the machine or the container provides.
    async fn of_machine(&self) -> String {
        let variables = &self.config.variables;
        let is_set = |name: &str| variables.contains_key(name);
        if is_set("AWS_WEB_IDENTITY_TOKEN_FILE") && is_set("AWS_ROLE_ARN") {
            if let Some(why) = self.unreadable("AWS_WEB_IDENTITY_TOKEN_FILE").await {
                return why;
            }
            if let Some(why) = self.config.wrong_session_name() {
                return format!(
                    "the web identity (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN) gave no credentials: {why}"
                );
            }
            let role = variables.get("AWS_ROLE_ARN").map_or("", String::as_str);
            let (why, is_about_role) = if let Some(misplaced) = misplaced_sts(self.config, self.profiles) {
                (misplaced, false)
            } else {
                let expired = "the token in the file of AWS_WEB_IDENTITY_TOKEN_FILE";
                let (why, is_about_role) = self.of_sts("AWS_ROLE_ARN", role, expired);
                (why.unwrap_or_else(|| "STS gave no credentials".into()), is_about_role)
            };
            let see = if is_about_role {
                "; see the trust policy of the role and the identity provider of the account"
            } else {
                ""
            };
            return format!(
                "the web identity (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN) gave no credentials: {why}{see}"
            );
        }
        let container = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
        if let Some(variable) = container.into_iter().find(|name| is_set(name)) {
            if let Some(why) = self.unreadable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").await {
                return why;
            }
            let why = self.way.clone().unwrap_or_else(|| self.of_container().into());
            return format!("the container's credentials service ({variable}) gave no credentials: {why}");
        }
        if let Some(why) = no_ec2(self.config) {
            return format!("EC2's metadata service gave no credentials: {why}");
        }
        match &self.way {
            Some(way) => format!("AWS credentials could not be fetched: {way}; {SEE}"),
            None if self.text.contains("AssumeRoleUnauthorizedAccess") => {
                "EC2 may not assume the role of this instance (AssumeRoleUnauthorizedAccess): allow sts:AssumeRole to \
                 ec2.amazonaws.com in the role's trust policy"
                    .into()
            }
            None if self.text.contains("retrieving credentials from IMDS") => {
                format!("EC2's metadata service has no credentials of this instance's role now; {SEE}")
            }
            None if self.text.contains("IMDS") => {
                format!(
                    "EC2's metadata service gave no credentials: it refused, or it is one that knows no session tokens \
                     (IMDSv2), which this package needs; {SEE}"
                )
            }
            None => format!("AWS credentials could not be loaded; {SEE}"),
        }
    }

    fn of_container(&self) -> &'static str {
        let says = |words: &str| self.text.contains(words);
        if says("invalid full URI") || says("invalid relative URI") {
            "its address may not be asked: only https:// and the addresses of the machine and the container are (http:// of loopback, \
             169.254.170.2, 169.254.170.23)"
        } else if says("auth token") || says("authorization token") {
            "its token has characters that no request may hold (AWS_CONTAINER_AUTHORIZATION_TOKEN)"
        } else if says("invalid JSON") || says("Expected field `") || says("Invalid field in response") {
            "what it answered are no credentials (AccessKeyId, SecretAccessKey, Token, Expiration)"
        } else {
            "it refused (is the role allowed for this task or pod, and the token of \
             AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE fresh?)"
        }
    }

    /// That the file which `variable` names cannot be read.
    async fn unreadable(&self, variable: &str) -> Option<String> {
        let path = self.config.variables.get(variable)?;
        let why = unreadable(path).await?;
        Some(format!("the token of {variable} ({}) cannot be read: {why}", shown(path)))
    }

    /// Why STS gave no credentials, where that is known, and whether what the role allows may be the reason. `named` says where the
    /// role `arn` is from, `expired` what was sent and may have expired.
    fn of_sts(&self, named: &str, arn: &str, expired: &str) -> (Option<String>, bool) {
        if let Some(way) = &self.way {
            return (Some(way.clone()), false);
        }
        let Some(answered) = &self.answered else {
            let code = CODES.into_iter().find(|code| self.text.contains(code));
            return (code.map(|code| format!("STS refused it ({code})")), true);
        };
        let shown = &answered.shown;
        let why = match &**shown {
            _ if answered.is_throttled => format!("STS is asked too often: {}", throttled(shown)),
            _ if answered.is_passing => format!("STS failed ({shown})"),
            "ExpiredToken" | "ExpiredTokenException" => {
                format!("STS says that it has expired ({shown}): renew {expired}, and check the clock")
            }
            "ValidationError" if !is_role(arn) => {
                format!("{named} is no ARN of a role, such as arn:aws:iam::111122223333:role/NAME ({shown})")
            }
            "ValidationError" => {
                format!(
                    "STS does not accept the request ({shown}): see {named}, and AWS_ROLE_SESSION_NAME (role_session_name)"
                )
            }
            "RegionDisabledException" => {
                format!("STS is not switched on for this account in the region that is asked ({shown}): see aws.region")
            }
            "IDPCommunicationError" => format!("STS cannot reach the identity provider ({shown})"),
            _ => return (Some(format!("STS refused it ({shown})")), true),
        };
        (Some(why), false)
    }
}

fn is_role(arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    parts.next() == Some("arn")
        && parts.nth(1) == Some("iam")
        && parts.nth(2).is_some_and(|name| name.starts_with("role/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_of_a_role_is_known() {
        assert!(is_role("arn:aws:iam::111122223333:role/path/name"));
        assert!(is_role("arn:aws-cn:iam::111122223333:role/name"));
        for other in
            ["", "role/x", "arn:aws:iam::111122223333:user/x", "arn:aws:sts::111122223333:role/x", "arn:aws:iam"]
        {
            assert!(!is_role(other), "{other}");
        }
    }
}
