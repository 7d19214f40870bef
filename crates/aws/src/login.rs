//! Credentials of `aws login`: the AWS CLI keeps its session in a file, and AWS's SDK renews what the file holds. What is wrong
//! with the file or the session is told in words that say what to do.
//!
//! - <https://docs.aws.amazon.com/sdkref/latest/guide/access-login.html>

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_config::Region;
use aws_credential_types::Credentials;
use aws_credential_types::attributes::AccountId;
use aws_lc_rs::digest::{SHA256, digest};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::display::DisplayErrorContext;
use files::File;
use serde_json::Value as Json;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::identity_problem::Problem;
use crate::profiles::Profiles;
use crate::sdk::{self, is_region};
use crate::settings::AwsSettings;
use crate::unreached::Unreached;
use secret::caught::caught;
use secret::clock::Clock;
use secret::shown::shown;

const DIRECTORY: &str = "AWS_LOGIN_CACHE_DIRECTORY";
/// Below HOME, where the variable names none.
const DEFAULT_DIRECTORY: &str = ".aws/login/cache";
/// Profiles that lead to each other's credentials.
const MOST_PROFILES: usize = 16;
/// What another process writes at the moment is whole after this long.
const WHOLE: Duration = Duration::from_millis(100);
const HEX: &[u8; 16] = b"0123456789abcdef";
const NO_SESSION: &str = "what the sign-in service answered is no session";
/// What each file of a session has.
const FIELDS: [&str; 8] = [
    "/accessToken/accessKeyId",
    "/accessToken/secretAccessKey",
    "/accessToken/sessionToken",
    "/accessToken/accountId",
    "/accessToken/expiresAt",
    "/refreshToken",
    "/clientId",
    "/dpopKey",
];

/// A session of `aws login`, which a profile names.
pub(crate) struct Session {
    profile: String,
    /// The file of the session; `None` where no variable says where that is.
    path: Option<PathBuf>,
    /// Whether a role is assumed with its credentials.
    is_for_role: bool,
}

/// What stands in the file of a session.
struct Kept(Zeroizing<Vec<u8>>);

impl Session {
    /// The session that the credentials of the profile that counts come from, where they come from one.
    pub(crate) fn of(config: &AwsSettings, profiles: &Profiles) -> Option<Self> {
        if config.has_keys() {
            return None;
        }
        let (mut name, mut is_for_role) = (profiles.name(), false);
        for _ in 0..MOST_PROFILES {
            let of = |key: &str| profiles.of(name, key);
            let has_role = of("role_arn").is_some();
            is_for_role |= has_role;
            // A role whose source is itself is assumed with its own session.
            match of("source_profile").filter(|next| has_role && *next != name) {
                Some(next) => name = next,
                None => break,
            }
        }
        let of = |key: &str| profiles.of(name, key);
        let goes_before = ["credential_source", "web_identity_token_file", "sso_session", "sso_start_url"];
        if goes_before.iter().any(|key| of(key).is_some()) {
            return None;
        }
        let session = of("login_session")?;
        let directory = config.variables.get(DIRECTORY).map(PathBuf::from).or_else(|| {
            let home = ["HOME", "USERPROFILE"].iter().find_map(|name| config.variables.get(*name))?;
            Some(Path::new(home).join(DEFAULT_DIRECTORY))
        });
        let path = directory.map(|directory| directory.join(file_of(session)));
        Some(Self { profile: shown(name), path, is_for_role })
    }

    /// The credentials of the session, renewed where they end soon.
    ///
    /// # Errors
    /// What is wrong with the file or the session.
    pub(crate) async fn credentials(
        &self,
        config: &AwsSettings,
        profiles: &Profiles,
        clock: &Clock,
    ) -> Result<Credentials, Problem> {
        let mut kept = self.read().await?;
        let mut is_again = false;
        loop {
            let connections = sdk::connections(config, profiles);
            // A session may be of another region than the secrets.
            let region = kept.region().filter(|_| !self.is_for_role);
            let loaded = caught(sdk::chained(config, profiles, &connections, region, None)).await;
            let later = self.read().await;
            let problem = match loaded {
                Some(Ok(credentials)) if is_whole(&credentials) => {
                    if !self.is_for_role {
                        self.keep(&kept, later.ok(), &credentials).await;
                    }
                    return Ok(credentials);
                }
                Some(Err(error)) => {
                    let text = DisplayErrorContext(&error).to_string();
                    let told = self.told(&text, Unreached::within(&error), &kept);
                    match told {
                        Some(told) => {
                            let cause = Unreached::within(&error).map(Unreached::as_cause);
                            Problem { cause, ..Problem::new(told) }
                        }
                        None => Problem::of(&error, config, profiles, &connections).await,
                    }
                }
                // The SDK panics over some answers, and takes others for empty keys.
                Some(Ok(_)) | None => Problem::new(self.unrenewed(NO_SESSION)),
            };
            let mut later = later?;
            if later.is_emptied() && !kept.is_emptied() {
                self.put_back(&kept).await;
                later = Kept(kept.0.clone());
            }
            // Another process renewed it meanwhile, or is about to have written it.
            if !is_again && (*later.0 != *kept.0 || later.json().is_none()) {
                is_again = true;
                sleep(WHOLE).await;
                kept = self.read().await?;
                continue;
            }
            return match later.credentials(clock).filter(|_| !self.is_for_role) {
                Some(credentials) => {
                    tracing::warn!("{problem}; its credentials are used until they end");
                    Ok(credentials)
                }
                None => Err(problem),
            };
        }
    }

    /// The SDK writes whatever the sign-in service answers, also no keys at all, over a session that may still be renewed.
    async fn put_back(&self, kept: &Kept) {
        let Some(path) = &self.path else { return };
        if tokio::fs::write(path, &*kept.0).await.is_err() {
            tracing::warn!(profile = %self.profile, "the session of `aws login` was lost: {NO_SESSION}, and its file could not be written");
        }
    }

    /// # Errors
    /// The file is not there, or cannot be read.
    async fn read(&self) -> Result<Kept, Problem> {
        let Some(path) = &self.path else {
            return Err(Problem::new(self.unreadable("neither HOME nor AWS_LOGIN_CACHE_DIRECTORY says where it is")));
        };
        // The SDK would read it on the async threads, a FIFO or a device included.
        match files::request::<File>(path).await.map(|file| file.0.clone()) {
            Ok(Some(bytes)) => Ok(Kept(bytes)),
            Ok(None) => Err(Problem::new(format!(
                "the profile '{0}' signs in with `aws login`, and nobody has signed in: {1} is not there; run: aws login --profile {0}",
                self.profile,
                shown(&path.to_string_lossy())
            ))),
            Err(error) => Err(Problem::new(self.unreadable(&files::reason(&error)))),
        }
    }

    /// What the SDK's `text` says of the session; `None` where it is about something else.
    fn told(&self, text: &str, unreached: Option<&Unreached>, kept: &Kept) -> Option<String> {
        let Some(json) = kept.json() else { return Some(self.unreadable("it is not JSON, or only a part of it")) };
        let missing: Vec<&str> =
            FIELDS.into_iter().filter(|field| !json.pointer(field).is_some_and(Json::is_string)).collect();
        if !missing.is_empty() {
            let missing: Vec<String> = missing.iter().map(|field| field[1..].replace('/', ".")).collect();
            return Some(self.unreadable(&format!("it has no {}", missing.join(", "))));
        }
        if kept.ends_at().is_none() || text.contains("in cached Login token file") {
            return Some(self.unreadable("what stands in it is not in the AWS CLI's form"));
        }
        if text.contains("invalid secret key") {
            return Some(self.unreadable("its dpopKey is no key"));
        }
        let says = |code: &str| text.contains(code);
        if says("TokenExpired") || says("OauthInvalidGrant") || says("InvalidGrantException") {
            return Some(self.ended("has expired"));
        }
        if says("UserCredentialsChanged") {
            return Some(self.ended("has ended, because the password was changed"));
        }
        if says("InsufficientPermissions") {
            return Some(self.unrenewed(
                "its user may not: allow signin:CreateOAuth2Token (AWS's policy SignInLocalDevelopmentAccess has it)",
            ));
        }
        // From here on it may be about the role that is assumed with it.
        if !text.contains("Login token") {
            return None;
        }
        if let Some(unreached) = unreached {
            return Some(self.unrenewed(&unreached.to_string()));
        }
        if says("Missing Region") || says("region must be set") {
            return Some(
                self.unrenewed("no AWS region is set, whose sign-in service would be asked (region in the profile)"),
            );
        }
        Some(match CODES.into_iter().find(|code| text.contains(code)) {
            Some(code) => self.unrenewed(&format!("the sign-in service refused it ({code})")),
            None => self.unrenewed(NO_SESSION),
        })
    }

    fn unreadable(&self, why: &str) -> String {
        let place = self.path.as_ref().map(|path| format!(" ({})", shown(&path.to_string_lossy()))).unwrap_or_default();
        format!(
            "the session of `aws login` of the profile '{0}' cannot be read{place}: {why}; run: aws login --profile {0}",
            self.profile
        )
    }

    fn ended(&self, how: &str) -> String {
        format!("the session of `aws login` of the profile '{0}' {how}; run: aws login --profile {0}", self.profile)
    }

    fn unrenewed(&self, why: &str) -> String {
        format!(
            "the session of `aws login` of the profile '{0}' could not be renewed: {why}; or run: aws login --profile {0}",
            self.profile
        )
    }

    /// Puts back into the file of a renewed session what the SDK leaves out, such as where it was begun, and tells when the file was
    /// not written: the SDK does so where this package's messages do not come from.
    async fn keep(&self, before: &Kept, later: Option<Kept>, given: &Credentials) {
        if before.key().as_deref() == Some(given.access_key_id()) {
            return;
        }
        let later = later.filter(|later| *before.0 != *later.0);
        let is_kept = match (&self.path, later, before.json()) {
            (Some(path), Some(later), Some(before)) => match later.with_fields_of(before) {
                Some(whole) => tokio::fs::write(path, &*whole).await.is_ok(),
                None => true,
            },
            _ => false,
        };
        if !is_kept {
            let why = "the session of `aws login` was renewed, and its file could not be written: it may have to be signed in \
                       anew when the next renewal is due";
            tracing::warn!(profile = %self.profile, "{why}");
        }
    }
}

/// What the sign-in service says when it does not renew.
const CODES: [&str; 9] = [
    "AccessDeniedException",
    "ConflictException",
    "InternalServerException",
    "InvalidScopeException",
    "ResourceNotFoundException",
    "ServiceQuotaExceededException",
    "ServiceUnavailableException",
    "TooManyRequestsError",
    "ValidationException",
];

impl Kept {
    fn json(&self) -> Option<Json> {
        serde_json::from_slice(&self.0).ok().filter(Json::is_object)
    }

    /// The same file with the members that only `before` has; `None` where there are none.
    fn with_fields_of(&self, before: Json) -> Option<Zeroizing<Vec<u8>>> {
        let (mut json, Json::Object(before)) = (self.json()?, before) else { return None };
        let own = json.as_object_mut()?;
        let left_out: Vec<_> = before.into_iter().filter(|(name, _)| !own.contains_key(name)).collect();
        if left_out.is_empty() {
            return None;
        }
        own.extend(left_out);
        serde_json::to_vec(&json).ok().map(Zeroizing::new)
    }

    /// Whether a field that each session has is empty.
    fn is_emptied(&self) -> bool {
        let is_empty = |json: &Json, field: &str| json.pointer(field).is_some_and(|text| text.as_str() == Some(""));
        self.json().is_some_and(|json| FIELDS.into_iter().any(|field| is_empty(&json, field)))
    }

    fn key(&self) -> Option<String> {
        Some(self.json()?.pointer(FIELDS[0])?.as_str()?.to_owned())
    }

    fn ends_at(&self) -> Option<SystemTime> {
        let json = self.json()?;
        SystemTime::try_from(DateTime::from_str(json.pointer(FIELDS[4])?.as_str()?, Format::DateTime).ok()?).ok()
    }

    /// Where the session was begun, where that is another region than the profile's.
    fn region(&self) -> Option<Region> {
        let json = self.json()?;
        let region = json.get("signInRegion")?.as_str().filter(|region| is_region(region))?;
        Some(Region::new(region.to_owned()))
    }

    /// What it holds, while that is good.
    fn credentials(&self, clock: &Clock) -> Option<Credentials> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(clock.unix_ms());
        let (json, ends_at) = (self.json()?, self.ends_at().filter(|end| *end > now)?);
        let field = |at: usize| json.pointer(FIELDS[at])?.as_str();
        let credentials = Credentials::builder()
            .access_key_id(field(0)?)
            .secret_access_key(field(1)?)
            .session_token(field(2)?)
            .account_id(AccountId::from(field(3)?.to_owned()))
            .expiry(ends_at)
            .provider_name("aws login");
        Some(credentials.build())
    }
}

fn is_whole(credentials: &Credentials) -> bool {
    let parts = [Some(credentials.access_key_id()), Some(credentials.secret_access_key()), credentials.session_token()];
    parts.iter().all(|part| part.is_some_and(|part| !part.is_empty()))
}

/// The name of the file of a session, as the AWS CLI makes it.
fn file_of(session: &str) -> String {
    let digest = digest(&SHA256, session.trim().as_bytes());
    let digits = digest.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(HEX[usize::from(digit)])).chain(".json".chars()).collect()
}
