//! The profiles of AWS's configuration files. The files are read here, and handed to AWS's SDK in the form that it accepts: it
//! refuses all profiles for one line that AWS's SDK for JavaScript and its command line read, or pass over (decision 113).

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use aws_config::profile::ProfileSet;
use aws_credential_types::Credentials;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_runtime::env_config::property::PropertiesKey;
use aws_types::os_shim_internal::{Env, Fs};
use files::File;
use zeroize::Zeroizing;

use crate::settings::AwsSettings;
use secret::error::{ErrorCode, Result, SecretError};

/// The files, with the variables that name them instead of those in the home directory.
const FILES: [(EnvConfigFileKind, &str, &str); 2] = [
    (EnvConfigFileKind::Config, "AWS_CONFIG_FILE", ".aws/config"),
    (EnvConfigFileKind::Credentials, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
];

/// What a profile may name instead of keys.
const OTHERS: [&str; 7] = [
    "login_session",
    "credential_process",
    "sso_session",
    "sso_start_url",
    "sso_account_id",
    "sso_region",
    "sso_role_name",
];

/// The profiles of AWS's configuration files, and which of them counts.
pub(crate) struct Profiles {
    set: ProfileSet,
    /// What was read, in the form that the SDK accepts.
    texts: [Zeroizing<String>; 2],
    /// The name that an option or variable gives.
    pub(crate) chosen: Option<String>,
    /// Which file cannot be read, and why: it counts as empty.
    pub(crate) unread: Option<String>,
}

impl Profiles {
    /// Reads the files. What cannot be used stops nobody who needs no profile.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE` when they are on a file system that does not answer.
    pub(crate) async fn load(config: &AwsSettings) -> Result<Self> {
        let chosen = config.chosen_profile().map(str::to_owned);
        let (mut texts, mut unread) = (<[Zeroizing<String>; 2]>::default(), None);
        for ((_, variable, default), kept) in FILES.into_iter().zip(&mut texts) {
            let mut text = Zeroizing::new(String::new());
            if let Some(path) = path_of(&config.variables, variable, default) {
                match read(&path).await {
                    Ok(read) => text = read,
                    Err(error) if is_endless(&error, &path) => {
                        let why = format!(
                            "AWS's configuration file cannot be read: {error} ({variable}, or {default} in HOME)"
                        );
                        return Err(SecretError::new(ErrorCode::SourceUnavailable, why));
                    }
                    Err(error) => unread = Some(format!("{default}: {}", files::reason(&error))),
                }
            }
            *kept = Zeroizing::new(readable(&text));
        }
        let set = parsed(&texts, chosen.as_deref()).await;
        Ok(Self { set, texts, chosen, unread }.with_keys_first().await.with_sessions_first().await)
    }

    /// What was read, for the SDK.
    pub(crate) fn files(&self) -> EnvConfigFiles {
        files(&self.texts)
    }

    /// The same for the SDK, where the profile that is chosen and is not there is there and empty: the machine is asked next, as by
    /// AWS's SDK for JavaScript. `None` for a name that no file can have.
    pub(crate) fn with_chosen(mut self) -> Option<Self> {
        let chosen = self.chosen.as_deref()?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/.@:+".contains(&byte);
        if !chosen.bytes().all(is_plain) {
            return None;
        }
        self.texts[1].extend(["\n[", chosen, "]\n"]);
        Some(self)
    }

    /// The same for the SDK, where `profile` has `credentials`, which its `credential_process` printed.
    pub(crate) fn with_output(self, profile: &str, credentials: &Credentials) -> Self {
        let token = credentials.session_token();
        let keys = (credentials.access_key_id(), credentials.secret_access_key(), token);
        self.edited(profile, &OTHERS, keys, "")
    }

    /// The same for the SDK, where a profile that takes its credentials from variables has those of `variables`: the SDK is not
    /// given them, because it would use them instead of any profile.
    pub(crate) fn with_environment(self, variables: &HashMap<String, String>) -> Self {
        // A line end would begin another setting.
        let is_line = |text: &&str| !text.contains(char::is_control);
        let variable = |name: &str| variables.get(name).map(String::as_str).filter(is_line);
        let (Some(taking), Some(id), Some(key)) =
            (self.takes_environment(), variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
        else {
            return self;
        };
        let (taking, own) = (taking.to_owned(), format!("source_profile = {taking}\n"));
        self.edited(&taking, &["credential_source"], (id, key, variable("AWS_SESSION_TOKEN")), &own)
    }

    /// The profile that takes its credentials from variables, where the credentials begin with one.
    pub(crate) fn takes_environment(&self) -> Option<&str> {
        let mut seen = vec![self.name()];
        while let Some(next) =
            seen.last().and_then(|last| self.of(last, "source_profile")).filter(|next| !seen.contains(next))
        {
            seen.push(next);
        }
        seen.into_iter().find(|name| self.of(name, "credential_source") == Some("Environment"))
    }

    /// The profile whose own keys the credentials begin with, as AWS's SDK for JavaScript looks for them: before a session, a command
    /// and whatever else that profile names, unless it is a role that others assume.
    fn keyed(&self) -> Option<&str> {
        let mut seen = vec![self.name()];
        loop {
            let name = *seen.last()?;
            let has = |key: &str| self.of(name, key).is_some();
            let source = self.of(name, "source_profile");
            let is_assumed = has("role_arn") && source.is_some() != has("credential_source");
            let is_own_source = seen.len() == 1 && source == Some(name);
            if has("aws_access_key_id")
                && has("aws_secret_access_key")
                && (!is_assumed || is_own_source || seen.len() > 1)
            {
                return Some(name);
            }
            seen.push(source.filter(|next| is_assumed && !seen.contains(next))?);
        }
    }

    /// The same, where the profile that [`Profiles::keyed`] finds has nothing that the SDK would use instead of its keys.
    async fn with_keys_first(self) -> Self {
        const ROLE: [&str; 4] = ["web_identity_token_file", "role_arn", "source_profile", "credential_source"];
        let Some(name) = self.keyed().map(str::to_owned) else { return self };
        // A role that is its own source is assumed with its keys.
        let is_assumed = self.of(&name, "source_profile") == Some(&*name);
        let unused: Vec<&str> = OTHERS.into_iter().chain(ROLE.into_iter().filter(|_| !is_assumed)).collect();
        self.without(&name, &unused).await
    }

    /// The same, where a profile that names a session of SSO says nothing else of where that is, as in AWS's SDK for JavaScript.
    async fn with_sessions_first(mut self) -> Self {
        let names: Vec<String> = self.names().into_iter().map(str::to_owned).collect();
        for name in names {
            if self.of(&name, "sso_session").is_some_and(|session| self.has_sso_session(session)) {
                self = self.without(&name, &["sso_start_url", "sso_region"]).await;
            }
        }
        self
    }

    /// The same for the SDK without settings of a profile.
    pub(crate) async fn without(mut self, profile: &str, settings: &[&str]) -> Self {
        if settings.iter().all(|key| self.of(profile, key).is_none()) {
            return self;
        }
        self.leave_out(profile, settings);
        self.set = parsed(&self.texts, self.chosen.as_deref()).await;
        self
    }

    /// The same for the SDK, where the profile that counts is no role: with the credentials that it is assumed with.
    pub(crate) async fn without_role(self) -> Self {
        let name = self.name().to_owned();
        self.without(&name, &["role_arn", "source_profile"]).await
    }

    fn leave_out(&mut self, profile: &str, settings: &[&str]) {
        for text in &mut self.texts {
            for key in settings {
                *text = Zeroizing::new(without(text, profile, key));
            }
        }
    }

    /// With `keys` instead of the settings `instead`, and with `more` settings.
    fn edited(mut self, profile: &str, instead: &[&str], keys: (&str, &str, Option<&str>), more: &str) -> Self {
        let (id, key, token) = keys;
        let own = [("aws_access_key_id", Some(id)), ("aws_secret_access_key", Some(key)), ("aws_session_token", token)];
        self.leave_out(profile, instead);
        self.leave_out(profile, &own.map(|(name, _)| name));
        let credentials = &mut self.texts[1];
        credentials.extend(["[", profile, "]\n", more]);
        for (name, value) in own {
            if let Some(value) = value {
                credentials.extend([name, " = ", value, "\n"]);
            }
        }
        self
    }

    /// The name of the profile that counts.
    pub(crate) fn name(&self) -> &str {
        self.chosen.as_deref().unwrap_or("default")
    }

    /// What that profile says.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.of(self.name(), key)
    }

    /// What the profile `name` says.
    pub(crate) fn of(&self, name: &str, key: &str) -> Option<&str> {
        self.set.get_profile(name)?.get(key).filter(|value| !value.is_empty())
    }

    /// Whether the section `[sso-session name]` is there.
    pub(crate) fn has_sso_session(&self, name: &str) -> bool {
        self.set.sso_session(name).is_some()
    }

    /// What the section `[sso-session name]` says.
    pub(crate) fn of_sso_session(&self, name: &str, key: &str) -> Option<&str> {
        self.set.sso_session(name)?.get(key).filter(|value| !value.is_empty())
    }

    /// Where the profile says that Secrets Manager is.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        let own = self.get("services").and_then(|services| {
            let key = PropertiesKey::builder()
                .section_key("services")
                .section_name(services)
                .property_name("secrets-manager")
                .sub_property_name("endpoint_url");
            self.set.other_sections().get(&key.build().ok()?).map(String::as_str)
        });
        own.or_else(|| self.get("endpoint_url"))
    }

    /// Whether a profile is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.set.get_profile(name).is_some()
    }

    /// The names of all profiles, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.set.profiles().collect();
        names.sort_unstable();
        names
    }
}

/// What stands in the files. The SDK's own text of a failure may repeat what stands there.
async fn parsed(texts: &[Zeroizing<String>; 2], chosen: Option<&str>) -> ProfileSet {
    let (system, none) = (Fs::real(), Env::from_slice(&[]));
    let chosen = chosen.map(|chosen| chosen.to_owned().into());
    aws_config::profile::load(&system, &none, &files(texts), chosen).await.unwrap_or_default()
}

/// For the SDK.
fn files(texts: &[Zeroizing<String>; 2]) -> EnvConfigFiles {
    let files = FILES
        .iter()
        .zip(texts)
        .fold(EnvConfigFiles::builder(), |files, ((kind, ..), text)| files.with_contents(*kind, text.as_str()));
    files.build()
}

/// `text`, as [`readable`] returns it, without the setting `key` of `profile`.
fn without(text: &str, profile: &str, key: &str) -> String {
    let mut is_its = false;
    let kept = text.lines().filter(|line| {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            is_its = section.strip_prefix("profile ").unwrap_or(section) == profile;
        }
        let is_setting = line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" ="));
        !(is_its && is_setting)
    });
    kept.flat_map(|line| [line, "\n"]).collect()
}

fn path_of(variables: &HashMap<String, String>, variable: &str, default: &str) -> Option<PathBuf> {
    let home = || ["HOME", "USERPROFILE"].iter().find_map(|name| variables.get(*name)).map(PathBuf::from);
    match variables.get(variable) {
        Some(named) => match named.strip_prefix("~/").or_else(|| named.strip_prefix("~\\")) {
            Some(rest) => Some(home()?.join(rest)),
            None => Some(PathBuf::from(named)),
        },
        None => Some(home()?.join(default)),
    }
}

/// The text of a file; empty when it is not there. What is no UTF-8 is replaced: one comment must not cost all profiles.
async fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = files::request::<File>(path).await?;
    let Some(bytes) = &file.0 else { return Ok(Zeroizing::default()) };
    let utf16 = |read: fn([u8; 2]) -> u16| -> Zeroizing<Vec<u16>> {
        Zeroizing::new(bytes.as_chunks::<2>().0.iter().map(|unit| read(*unit)).collect())
    };
    // As PowerShell writes files.
    Ok(Zeroizing::new(match bytes.get(..2) {
        Some([0xff, 0xfe]) => String::from_utf16_lossy(&utf16(u16::from_le_bytes)),
        Some([0xfe, 0xff]) => String::from_utf16_lossy(&utf16(u16::from_be_bytes)),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }))
}

/// Whether a file would have no end: its file system does not answer, or it is a device or a FIFO. Whoever wants no
/// configuration names `/dev/null`.
pub(crate) fn is_endless(error: &io::Error, path: &Path) -> bool {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::FileTooLarge => true,
        ErrorKind::InvalidInput => path != Path::new("/dev/null"),
        _ => false,
    }
}

/// The text of a configuration file in the form that AWS's SDK for Rust accepts. What AWS's SDK for JavaScript passes over is
/// left out: lines without `=`, settings before any section, and what follows a section whose `]` is missing.
fn readable(text: &str) -> String {
    let mut lines = text.lines().filter(|line| !trimmed(line).is_empty()).peekable();
    let mut readable = String::with_capacity(text.len() + 1);
    let (mut section, mut is_nested) = (None, false);
    while let Some(line) = lines.next() {
        let content = trimmed(line);
        if content.starts_with('[') {
            is_nested = false;
            section = content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(section_name);
            if let Some(name) = &section {
                readable.extend(["[", name.as_str(), "]\n"]);
            }
            continue;
        }
        let Some((name, value)) = content.split_once('=').map(|(name, value)| (name.trim(), value.trim())) else {
            continue;
        };
        let Some(section) = section.as_deref().filter(|_| !name.is_empty()) else { continue };
        let is_indented = |line: &str| line.starts_with([' ', '\t']);
        if value.is_empty() {
            // The beginning of settings that are indented; else one that is not set.
            is_nested = lines.peek().is_some_and(|next| is_indented(next) && !trimmed(next).starts_with('['));
            if is_nested {
                // `secrets_manager`, as AWS documents it, is looked up as `secrets-manager`.
                let is_service = section.starts_with("services ");
                let name = if is_service { name.replace('_', "-") } else { name.to_owned() };
                readable.extend([name.as_str(), " =\n"]);
            }
            continue;
        }
        is_nested &= is_indented(line);
        readable.extend([if is_nested { "  " } else { "" }, name, " = ", value, "\n"]);
    }
    readable
}

/// A line without the blanks around it, its comment and a byte order mark.
fn trimmed(line: &str) -> &str {
    let blank = |character: char| character.is_whitespace() || character == '\u{feff}';
    let mut before = true;
    let comment = line.char_indices().find(|(_, character)| {
        let begins = before && matches!(character, '#' | ';');
        before = blank(*character);
        begins
    });
    line[..comment.map_or(line.len(), |(at, _)| at)].trim_matches(blank)
}

/// `profile name` of a section; the name may be in quotes.
fn section_name(inside: &str) -> String {
    let inside = inside.trim();
    let Some((kind, name)) = inside.split_once([' ', '\t']) else { return inside.to_owned() };
    let name = name.trim();
    let bare = ['"', '\''].iter().find_map(|quote| name.strip_prefix(*quote)?.strip_suffix(*quote));
    format!("{kind} {}", bare.unwrap_or(name).trim())
}

#[cfg(test)]
mod tests;
