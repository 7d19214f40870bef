//! Why there are no credentials, in words that say what to do. What the SDK says is read, and never repeated: it quotes what
//! processes print and servers send.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_types::error::display::DisplayErrorContext;

use crate::connections::Connections;
use crate::profile_problem::{problem, unreadable};
use crate::profiles::Profiles;
use crate::proxy::is_ec2;
use crate::sdk::misplaced_sts;
use crate::settings::AwsSettings;
use crate::unreached::Unreached;
use secret::error::Cause;
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
        let cause = unreached.map(Unreached::as_cause);
        let is_missing = matches!(error, CredentialsError::CredentialsNotLoaded(_));
        let by_profile = if config.has_keys() { None } else { problem(profiles).await };
        let message = if let Some(told) = by_profile {
            told
        } else if is_missing {
            not_found(config, profiles, connections)
        } else {
            let text = DisplayErrorContext(error).to_string();
            let way = unreached.map(ToString::to_string);
            let failed = Failed { config, profiles, text: &text, way };
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
    match connections.metadata_problem() {
        Some((place, why)) => {
            format!(
                "no AWS credentials were found, and {}; {SEE}",
                metadata(&place.host, &place.to_string(), &why.text)
            )
        }
        None => format!("no AWS credentials were found; {SEE}"),
    }
}

/// That there are keys, which a profile that is chosen keeps from being used.
fn unused_keys(config: &AwsSettings) -> &'static str {
    if config.names_keys() {
        "; or unset AWS_PROFILE (aws.profile), so that AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY count"
    } else {
        ""
    }
}

fn metadata(host: &str, place: &str, why: &str) -> String {
    if is_ec2(host) {
        format!(
            "EC2's metadata service {place} cannot be reached: {why} (in a container on EC2 the hop limit must be 2: aws ec2 \
             modify-instance-metadata-options --http-put-response-hop-limit 2; or use IRSA, Pod Identity or a task role)"
        )
    } else {
        format!("the container's credentials service {place} cannot be reached: {why}")
    }
}

/// A place that should give credentials, and did not.
struct Failed<'a> {
    config: &'a AwsSettings,
    profiles: &'a Profiles,
    /// What the SDK says. Never repeated.
    text: &'a str,
    /// The host that could not be reached.
    way: Option<String>,
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
            let named = misplaced_sts(self.config, self.profiles);
            let why = named
                .or_else(|| self.way.clone())
                .or_else(|| self.code().map(|code| format!("STS refused it ({code})")));
            let why = why.unwrap_or_else(|| "its source gave no credentials".into());
            return Some(format!(
                "the role of the profile '{name}' could not be assumed: {why}; see role_arn and source_profile or \
                 credential_source there"
            ));
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
            let refused =
                self.code().map_or_else(|| "STS gave no credentials".into(), |code| format!("STS refused it ({code})"));
            let misplaced = misplaced_sts(self.config, self.profiles);
            let why = misplaced.or_else(|| self.way.clone()).unwrap_or(refused);
            return format!(
                "the web identity (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN) gave no credentials: {why}; see the trust policy \
                 of the role and the identity provider of the account"
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
        match &self.way {
            Some(way) => format!("AWS credentials could not be fetched: {way}; {SEE}"),
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

    /// The code with which STS refused.
    fn code(&self) -> Option<&'static str> {
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
        CODES.into_iter().find(|code| self.text.contains(code))
    }
}
