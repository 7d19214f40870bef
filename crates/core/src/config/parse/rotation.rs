//! `options.rotation` and `options.events`.

use std::collections::HashMap;
use std::time::Duration;

use url::Url;

use super::sub_section;
use crate::config::{Field, Section, did_you_mean};
use crate::events::DEFAULT_POLL;
use crate::events::EventsSettings;
use crate::rotation::RotationSettings;
use crate::rotation::hooks::Hook;
use crate::rotation::policy::{PasswordRules, Policies, Policy, TimeOfDay};
use secret::environment::Preset;
use secret::error::{Result, SecretError};
use secret::manifest::Manifest;
use secret::name::SecretName;

const DEFAULT_HOOK_TIMEOUT_MS: u32 = 30_000;
const DEFAULT_JITTER_SECONDS: u32 = 300;
/// The longest interval between rotations: ten years.
const LONGEST_INTERVAL_DAYS: u32 = 3650;

pub(super) fn rotation(top: &mut Section, preset: &Preset, tools: &Manifest) -> Result<RotationSettings> {
    let mut section = sub_section(top, "rotation")?;
    let manual: (&str, Option<u32>) = ("manual", None);
    let interval = section.read("interval", |f| f.one_of(&[manual, ("weekly", Some(7)), ("bi-weekly", Some(14))]))?;
    let rotation_interval_days = interval.unwrap_or(preset.rotation_interval_days);
    let mut policies = Policies::documented(&Preset { rotation_interval_days, ..*preset });
    if let Some(field) = section.take("policies") {
        for field in field.list()? {
            let path = field.path().to_owned();
            let (secret_type, policy) = policy(field, &policies)?;
            if policy.notification_days > policy.interval_days {
                let path = format!("{path}.notificationDays");
                return Err(SecretError::config(&path, "must not be more than rotationInterval"));
            }
            policies.set(secret_type, policy);
        }
    }
    // JavaScript keeps the functions and passes only their names.
    let choices = Hook::ALL.map(|hook| (hook.as_str(), hook));
    let hooks_in = |field: Field| field.list()?.into_iter().map(|item| item.one_of(&choices)).collect();
    let hooks = section.read("hooks", hooks_in)?;
    let hooks_of = section.read("hooksOf", |field| {
        let own = field.section()?.entries().map(|(name, field)| {
            let path = field.path().to_owned();
            let name = SecretName::new(&name).map_err(|_| SecretError::config(&path, "is not the name of a secret"))?;
            // With a name that is written in another way the secret would be rotated without its hooks.
            let names: Vec<_> = tools.declared().map(|declared| declared.name).collect();
            if !names.contains(&name) {
                let names: Vec<_> = names.iter().map(SecretName::as_str).collect();
                let hint = did_you_mean(name.as_str(), &names);
                let why = "is not declared under options.tools or options.secrets";
                return Err(SecretError::config(&path, format_args!("{why}{hint}")));
            }
            Ok((name.as_str().to_owned(), hooks_in(field)?))
        });
        own.collect::<Result<HashMap<_, Vec<_>>>>()
    })?;
    let hook_timeout = section.read("hookTimeoutMs", |f| f.integer(1..=900_000))?.unwrap_or(DEFAULT_HOOK_TIMEOUT_MS);
    let jitter = section.read("jitterSeconds", |f| f.integer(0..=86_400))?.unwrap_or(DEFAULT_JITTER_SECONDS);
    let generator = section.read("generator", |f| f.one_of(&[("local", false), ("aws", true)]))?;
    section.finish(&["interval", "policies", "hooks", "hooksOf", "hookTimeoutMs", "jitterSeconds", "generator"])?;
    Ok(RotationSettings {
        policies,
        hooks: hooks.unwrap_or_default(),
        hooks_of: hooks_of.unwrap_or_default(),
        hook_timeout: Duration::from_millis(u64::from(hook_timeout)),
        jitter: Duration::from_secs(u64::from(jitter)),
        generate_in_aws: generator.unwrap_or(false),
    })
}

/// Reads a policy. Fields that it leaves out are those of the default policy of its type.
fn policy(field: Field, known: &Policies) -> Result<(String, Policy)> {
    let mut section = field.section()?;
    let path = section.path().to_owned();
    let lacks = |what| SecretError::config(&path, format_args!("needs {what}"));
    let secret_type = section.read("secretType", Field::string)?.ok_or_else(|| lacks("secretType"))?;
    let base = known.all().find(|(name, _)| *name == secret_type).map(|(_, policy)| policy.clone());
    let interval = section.read("rotationInterval", |f| f.integer(1..=LONGEST_INTERVAL_DAYS))?;
    let base = match (base, interval) {
        (Some(base), _) => base,
        (None, Some(_)) => Policy::by_hand(),
        (None, None) => return Err(lacks("rotationInterval")),
    };
    let time = section.read("rotationTime", |field| {
        let path = field.path().to_owned();
        let wrong = || SecretError::config(&path, "must be a time of day in UTC, 'HH:MM'");
        TimeOfDay::parse(&field.string()?).ok_or_else(wrong)
    })?;
    let notice = section.read("notificationDays", |f| f.integer(0..=LONGEST_INTERVAL_DAYS))?;
    let rollback = section.read("rollbackEnabled", Field::bool)?;
    let length = section.read("passwordLength", |f| f.integer(8..=1024))?;
    let alphabet = section.read("passwordAlphabet", alphabet)?;
    let password_field = section.read("passwordField", Field::string)?;
    section.finish(&[
        "secretType",
        "rotationInterval",
        "rotationTime",
        "notificationDays",
        "rollbackEnabled",
        "passwordLength",
        "passwordAlphabet",
        "passwordField",
    ])?;
    let policy = Policy {
        interval_days: interval.unwrap_or(base.interval_days),
        time: time.unwrap_or(base.time),
        notification_days: notice.unwrap_or(base.notification_days),
        rollback: rollback.unwrap_or(base.rollback),
        password: PasswordRules {
            length: length.unwrap_or(base.password.length),
            alphabet: alphabet.unwrap_or(base.password.alphabet),
            field: password_field.unwrap_or(base.password.field),
        },
    };
    Ok((secret_type, policy))
}

/// Reads `passwordAlphabet`: characters, each once.
fn alphabet(field: Field) -> Result<String> {
    let path = field.path().to_owned();
    let text = field.string()?;
    let mut characters: Vec<char> = text.chars().collect();
    characters.sort_unstable();
    let count = characters.len();
    characters.dedup();
    if characters.len() < 10 || characters.len() < count || text.chars().any(char::is_control) {
        let why = "must be at least 10 different characters, each once, none of them a control character";
        return Err(SecretError::config(&path, why));
    }
    Ok(text)
}

pub(super) fn events(top: &mut Section) -> Result<EventsSettings> {
    let mut section = sub_section(top, "events")?;
    let queue_url = section.read("sqsQueueUrl", |field| {
        let path = field.path().to_owned();
        let text = field.string()?;
        let is_queue = Url::parse(&text).is_ok_and(|url| {
            let has_credentials = !url.username().is_empty() || url.password().is_some();
            let is_plain = !has_credentials && url.query().is_none() && url.fragment().is_none();
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.path().len() > 1 && is_plain
        });
        if !is_queue {
            return Err(SecretError::config(&path, "must be the URL of an SQS queue (https://…)"));
        }
        Ok(text)
    })?;
    let poll = section.read("pollSeconds", |f| f.integer(1..=86_400))?;
    section.finish(&["sqsQueueUrl", "pollSeconds"])?;
    let poll_every = poll.map(|seconds| Duration::from_secs(u64::from(seconds)));
    let poll_every = poll_every.or_else(|| queue_url.is_some().then_some(DEFAULT_POLL));
    Ok(EventsSettings { queue_url, poll_every })
}
