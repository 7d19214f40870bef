//! The role of a profile whose sessions have a length of their own (`duration_seconds`). AWS's SDK for Rust does not read that
//! setting, so such a role is assumed here, with the credentials of its source.

use aws_credential_types::Credentials;

use crate::assume::assume;
use crate::identity_problem::{Problem, Sort};
use crate::profile_problem::problem;
use crate::profiles::Profiles;
use crate::settings::AwsSettings;
use secret::role::{DURATION, Role};
use secret::shown::shown;

/// A role that a profile names, and how long its sessions last.
pub(crate) struct Lasting {
    pub(crate) role: Role,
    /// The profile whose credentials it is assumed with, where that is another one.
    pub(crate) source: Option<String>,
}

impl Lasting {
    /// That of the profile that counts; `None` where its sessions have no length of their own.
    ///
    /// # Errors
    /// What keeps the profile from giving credentials.
    pub(crate) async fn of(profiles: &Profiles) -> Result<Option<Self>, Problem> {
        let text = |key: &str| profiles.get(key).map(Into::into);
        let (Some(arn), None) = (text("role_arn"), profiles.get("web_identity_token_file")) else { return Ok(None) };
        let source = profiles.get("source_profile").filter(|source| *source != profiles.name());
        let duration_seconds = duration(profiles);
        if duration_seconds.is_none() && !source.is_some_and(|source| is_lasting(profiles, source)) {
            return Ok(None);
        }
        let (session_name, external_id) = (text("role_session_name"), text("external_id"));
        let role = Role { arn, session_name, external_id, duration_seconds, ..Role::default() };
        // The SDK asks STS for what is no role, and STS says what is wrong.
        let Ok(role) = role.checked() else { return Ok(None) };
        if let Some(why) = problem(profiles).await {
            return Err(Problem::new(why));
        }
        Ok(Some(Self { role, source: source.map(str::to_owned) }))
    }
}

/// How long the sessions of the profile that counts last, where it says so and AWS allows it.
fn duration(profiles: &Profiles) -> Option<u32> {
    let given = profiles.get("duration_seconds")?;
    let duration = given.parse().ok().filter(|seconds| DURATION.contains(seconds));
    if duration.is_none() {
        let profile = shown(profiles.name());
        tracing::warn!(
            "duration_seconds of the profile '{profile}' is not 900 to 43200: the sessions of its role last an hour"
        );
    }
    duration
}

/// Whether a role whose sessions have a length of their own is among those that the credentials of `profile` come from.
fn is_lasting(profiles: &Profiles, profile: &str) -> bool {
    let mut seen = vec![profile];
    while let Some(name) = seen.last().copied().filter(|name| profiles.of(name, "role_arn").is_some()) {
        if profiles.of(name, "duration_seconds").is_some() {
            return true;
        }
        match profiles.of(name, "source_profile") {
            Some(next) if !seen.contains(&next) => seen.push(next),
            _ => return false,
        }
    }
    false
}

/// The credentials of `role`, for those of its source. A refusal is one of the profile, as with roles that the SDK assumes.
pub(crate) async fn assumed(config: &AwsSettings, role: &Role, source: Credentials) -> Result<Credentials, Problem> {
    assume(config, role, source).await.map_err(|problem| match problem.sort {
        Sort::Refused | Sort::Unaccepted => Problem { sort: Sort::Passing, ..problem },
        _ => problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(settings: &str) -> Option<(Option<u32>, Option<String>)> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config");
        let keys = "aws_access_key_id = k\naws_secret_access_key = s\n";
        let role = "role_arn = arn:aws:iam::111122223333:role/r";
        let text = format!("[profile a]\n{role}\n{settings}\n[profile b]\n{keys}");
        std::fs::write(&path, text).expect("a file");
        let variables = [("AWS_CONFIG_FILE".to_owned(), path.display().to_string())];
        let settings =
            AwsSettings { variables: variables.into(), profile: Some("a".to_owned()), ..AwsSettings::default() };
        let profiles = Profiles::load(&settings).await.expect("profiles");
        let lasting = Lasting::of(&profiles).await.expect("no problem")?;
        Some((lasting.role.duration_seconds, lasting.source))
    }

    #[tokio::test]
    async fn the_length_of_a_session_is_read_or_passed_over() {
        let other = Some((Some(1800), Some("b".to_owned())));
        assert_eq!(of("source_profile = b\nduration_seconds = 1800").await, other);
        assert_eq!(of("credential_source = Environment\nduration_seconds = 900").await, Some((Some(900), None)));
        for none in ["", "duration_seconds = 899", "duration_seconds = 43201", "duration_seconds = long"] {
            assert_eq!(of(&format!("source_profile = b\n{none}")).await, None, "{none}");
        }
    }
}
