//! What is wrong with a profile, read from the profile itself: AWS's SDK has one sentence for most of it.

use std::path::Path;

use files::File;

use crate::profiles::Profiles;
use crate::sdk::is_region;
use crate::settings::AwsSettings;
use secret::role::checked_session_name;
use secret::shown::shown;

const SOURCES: [&str; 3] = ["Environment", "Ec2InstanceMetadata", "EcsContainer"];

/// What keeps the profile that counts from giving credentials, where it says so itself.
pub(crate) async fn problem(profiles: &Profiles) -> Option<String> {
    let mut seen = vec![profiles.name()];
    loop {
        let name = *seen.last()?;
        let of = |key: &str| profiles.of(name, key);
        let told = |why: &str| Some(format!("the profile '{}' {why}", shown(name)));
        if !profiles.has(name) {
            let asking = *seen.get(seen.len().checked_sub(2)?)?;
            return Some(format!(
                "the profile '{}' has source_profile = {}, and there is no such profile in AWS's configuration files",
                shown(asking),
                shown(name)
            ));
        }
        let keys = (of("aws_access_key_id"), of("aws_secret_access_key"));
        // A role whose source is itself is assumed with its own keys.
        let is_own_source = of("source_profile") == Some(name) && seen.len() == 1;
        if of("role_arn").is_none() || (is_own_source && keys.0.is_some() && keys.1.is_some()) {
            return match keys {
                (Some(_), None) => told("has aws_access_key_id and no aws_secret_access_key"),
                (None, Some(_)) => told("has aws_secret_access_key and no aws_access_key_id"),
                (None, None) if of("web_identity_token_file").is_some() => {
                    told("has web_identity_token_file and no role_arn: they are needed together")
                }
                (None, None) if of("sso_session").is_some() || of("sso_start_url").is_some() => of_sso(profiles, name),
                (None, None)
                    if of("credential_process").is_none() && of("login_session").is_none() && seen.len() > 1 =>
                {
                    told("is the source_profile of a role, and has no credentials")
                }
                (None, None) | (Some(_), Some(_)) => None,
            };
        }
        if let Some(session) = of("role_session_name")
            && let Err(why) = checked_session_name(session)
        {
            return told(&format!("has role_session_name = {}, which {why}", shown(session)));
        }
        if of("mfa_serial").is_some() {
            return told(
                "needs a code of a device (mfa_serial), and nobody can be asked for one here: give this process \
                 temporary credentials, such as by a credential_process",
            );
        }
        if let Some(path) = of("web_identity_token_file") {
            let why = unreadable(path).await?;
            return told(&format!("has web_identity_token_file = {}, which cannot be read: {why}", shown(path)));
        }
        match (of("source_profile"), of("credential_source")) {
            (Some(_), Some(_)) => {
                return told("has source_profile and credential_source: only one of them may be there");
            }
            (None, None) => {
                return told("has role_arn, and no source_profile or credential_source that says who assumes the role");
            }
            (None, Some(source)) if !SOURCES.contains(&source) => {
                let why = format!("has credential_source = {}, which is none of {}", shown(source), SOURCES.join(", "));
                return told(&why);
            }
            (None, Some(_)) => return None,
            (Some(next), None) if seen.contains(&next) => {
                return told("needs itself: its source_profile leads back to it");
            }
            (Some(next), None) => seen.push(next),
        }
    }
}

fn of_sso(profiles: &Profiles, name: &str) -> Option<String> {
    let session = profiles.of(name, "sso_session");
    if let Some(session) = session
        && !profiles.has_sso_session(session)
    {
        return Some(format!(
            "the profile '{}' has sso_session = {}, and AWS's configuration file has no section [sso-session {}]",
            shown(name),
            shown(session),
            shown(session)
        ));
    }
    let is_there = |key: &&str| {
        let of_session = session.and_then(|session| profiles.of_sso_session(session, key));
        of_session.or_else(|| profiles.of(name, key)).is_some()
    };
    let missing: Vec<&str> = ["sso_start_url", "sso_region", "sso_account_id", "sso_role_name"]
        .into_iter()
        .filter(|key| !is_there(key))
        .collect();
    let of_session = session.and_then(|session| profiles.of_sso_session(session, "sso_region"));
    if let Some(region) = of_session.or_else(|| profiles.of(name, "sso_region")).filter(|region| !is_region(region)) {
        return Some(format!(
            "the profile '{}' signs in by SSO, and its sso_region = {} is no AWS region, such as eu-central-1",
            shown(name),
            shown(region)
        ));
    }
    let run = "run: aws configure sso --profile";
    (!missing.is_empty()).then(|| {
        format!("the profile '{0}' signs in by SSO, and has no {1}; {run} {0}", shown(name), missing.join(", "))
    })
}

/// Keys in variables count where no profile is chosen, as in AWS's SDK for JavaScript, which warns as well; a profile may take its
/// credentials from them.
pub(crate) fn warn_of_unused_keys(config: &AwsSettings, profiles: &Profiles) {
    if config.has_keys() || !config.names_keys() || profiles.takes_environment().is_some() {
        return;
    }
    let by = if config.profile.is_some() { "aws.profile" } else { "AWS_PROFILE" };
    let why = format!(
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not used, because {by} is set as well: the profile counts, as in \
         AWS's SDK for JavaScript. Unset what you do not want"
    );
    config.trust.warn("AWS_KEYS_UNUSED", why);
}

/// Why the token in a file cannot be used.
pub(crate) async fn unreadable(path: &str) -> Option<String> {
    match files::request::<File>(Path::new(path)).await {
        Ok(file) => match &file.0 {
            Some(text) if text.iter().all(u8::is_ascii_whitespace) => Some("it is empty".to_owned()),
            Some(_) => None,
            None => Some("there is no such file".to_owned()),
        },
        Err(error) => Some(files::reason(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(config: &str, chosen: &str) -> Option<String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config");
        std::fs::write(&path, config).expect("a file");
        let variables = [("AWS_CONFIG_FILE".to_owned(), path.display().to_string())];
        let settings =
            AwsSettings { variables: variables.into(), profile: Some(chosen.to_owned()), ..AwsSettings::default() };
        problem(&Profiles::load(&settings).await.expect("profiles")).await
    }

    #[tokio::test]
    async fn each_fault_of_a_profile_has_its_own_words() {
        const ROLE: &str = "role_arn = arn:aws:iam::111122223333:role/r\n";
        for (rest, words) in [
            ("source_profile = zz\n".to_owned(), "source_profile = zz, and there is no such profile"),
            (format!("source_profile = b\n[profile b]\n{ROLE}source_profile = a\n"), "leads back to it"),
            ("source_profile = a\n".to_owned(), "leads back to it"),
            ("source_profile = b\n[profile b]\nregion = x\n".to_owned(), "has no credentials"),
            ("source_profile = b\n[profile b]\naws_access_key_id = k\n".to_owned(), "no aws_secret_access_key"),
            ("source_profile = b\ncredential_source = Environment\n".to_owned(), "only one of them"),
            ("credential_source = Nowhere\n".to_owned(), "credential_source = Nowhere, which is none of Environment"),
            ("source_profile = b\nmfa_serial = x\n".to_owned(), "mfa_serial"),
            ("source_profile = b\nrole_session_name = a b\n".to_owned(), "role_session_name = a b, which holds ' '"),
            (
                "web_identity_token_file = /no/such\n".to_owned(),
                "/no/such, which cannot be read: there is no such file",
            ),
            (String::new(), "no source_profile or credential_source"),
        ] {
            let told = told(&format!("[profile a]\n{ROLE}{rest}"), "a").await;
            assert!(told.as_ref().is_some_and(|told| told.contains(words)), "{rest}: {told:?}");
        }
        let half = told("[profile a]\nweb_identity_token_file = /no/such\n", "a").await;
        assert!(half.is_some_and(|told| told.contains("no role_arn")));
        let own = format!("[profile a]\n{ROLE}source_profile = a\naws_access_key_id = k\naws_secret_access_key = s\n");
        assert_eq!(told(&own, "a").await, None);
    }

    #[tokio::test]
    async fn what_sso_needs_is_named() {
        let sso = "[profile s]\nsso_session = my\nsso_account_id = 1\n";
        let none = told(sso, "s").await.expect("a problem");
        assert!(none.contains("no section [sso-session my]"), "{none}");
        let few = told(&format!("{sso}[sso-session my]\nsso_region = x\n"), "s").await.expect("a problem");
        assert!(few.contains("no sso_start_url, sso_role_name;"), "{few}");
        let mistyped =
            told(&format!("{sso}[sso-session my]\nsso_region = eu central\n"), "s").await.expect("a problem");
        assert!(mistyped.contains("sso_region = eu central is no AWS region"), "{mistyped}");
    }
}
