//! Roles to assume before AWS is asked, and the form in which ids carry them.

use std::collections::BTreeMap;

/// Stands between an AWS id and the role that reads it. No name, no ARN and no staging label that is parsed after it has one.
const MARK: char = '|';
/// What AWS allows beside letters and digits in names of sessions, external ids and tags.
const SIGNS: &str = "_+=,.@-";
/// The longest session that AWS gives, in seconds, and the shortest.
pub const DURATION: std::ops::RangeInclusive<u32> = 900..=43_200;
const MAX_TAGS: usize = 50;
const LONGEST_SESSION_NAME: usize = 64;

/// A role that AWS is asked as.
///
/// # Source
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Role {
    /// `arn:aws:iam::123456789012:role/name`.
    pub arn: Box<str>,
    /// How CloudTrail names the session.
    pub session_name: Option<Box<str>>,
    /// What the role's trust policy may demand.
    pub external_id: Option<Box<str>>,
    /// How long a session lasts.
    pub duration_seconds: Option<u32>,
    /// Who is behind the session.
    pub source_identity: Option<Box<str>>,
    /// Tags of the session.
    pub tags: BTreeMap<Box<str>, Box<str>>,
}

impl Role {
    /// Checks what a role is made of by AWS's rules.
    ///
    /// # Errors
    /// The part that is wrong, as options name it, and what is wrong with it.
    pub fn checked(self) -> Result<Self, (&'static str, String)> {
        account_of(&self.arn).ok_or_else(|| {
            ("roleArn", "must be the ARN of a role, such as arn:aws:iam::123456789012:role/name".to_owned())
        })?;
        let plain = |name, text: Option<&str>, most: usize, signs: &str| {
            text.map_or(Ok(()), |text| fits(text, most, signs)).map_err(|why| (name, why))
        };
        plain("sessionName", self.session_name.as_deref(), LONGEST_SESSION_NAME, SIGNS)?;
        plain("sourceIdentity", self.source_identity.as_deref(), LONGEST_SESSION_NAME, SIGNS)?;
        plain("externalId", self.external_id.as_deref(), 1224, "_+=,.@-:/")?;
        if self.duration_seconds.is_some_and(|seconds| !DURATION.contains(&seconds)) {
            return Err(("durationSeconds", "must be 900 to 43200".to_owned()));
        }
        if self.tags.len() > MAX_TAGS {
            return Err(("tags", format!("has {} tags, AWS allows {MAX_TAGS}", self.tags.len())));
        }
        let is_of_tags = |text: &str, least, most| {
            (least..=most).contains(&text.chars().count())
                && text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c))
        };
        if self.tags.iter().any(|(key, value)| !is_of_tags(key, 1, 128) || !is_of_tags(value, 0, 256)) {
            let why = "has a tag that AWS does not allow: letters, digits, blanks and _.:/=+-@, 1 to 128 characters as key and up \
                       to 256 as value";
            return Err(("tags", why.to_owned()));
        }
        Ok(self)
    }

    /// The account that the role is of.
    pub fn account(&self) -> &str {
        account_of(&self.arn).unwrap_or_default()
    }

    /// The role with all that makes its sessions differ, as one text without blanks, `?` and `|`: copies that were read by
    /// different identities go by different texts.
    pub fn key(&self) -> String {
        let mut key = self.arn.to_string();
        let duration = self.duration_seconds.map(|seconds| seconds.to_string());
        let parts = [
            ("externalId", self.external_id.as_deref()),
            ("sessionName", self.session_name.as_deref()),
            ("sourceIdentity", self.source_identity.as_deref()),
            ("durationSeconds", duration.as_deref()),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                push(&mut key, &[name, value]);
            }
        }
        for (tag, value) in &self.tags {
            push(&mut key, &["tag", tag, value]);
        }
        key
    }

    /// Reads what [`Role::key`] wrote; `None` for anything else.
    pub fn of_key(key: &str) -> Option<Self> {
        let mut parts = key.split(';');
        let mut role = Self { arn: parts.next()?.into(), ..Self::default() };
        for part in parts {
            let mut words = part.split('~').map(decoded);
            let (name, value) = (words.next()??, words.next()??);
            let value: Box<str> = value.into();
            match &*name {
                "externalId" => role.external_id = Some(value),
                "sessionName" => role.session_name = Some(value),
                "sourceIdentity" => role.source_identity = Some(value),
                "durationSeconds" => role.duration_seconds = Some(value.parse().ok()?),
                "tag" => drop(role.tags.insert(value, words.next()??.into())),
                _ => return None,
            }
        }
        role.checked().ok()
    }
}

/// Checks the name of a session by AWS's rules, which STS refuses otherwise.
///
/// # Errors
/// What is wrong with it, to be read behind what names it.
pub fn checked_session_name(name: &str) -> Result<(), String> {
    fits(name, LONGEST_SESSION_NAME, SIGNS)
}

/// Whether `text` has 2 to `most` letters, digits and `signs`.
fn fits(text: &str, most: usize, signs: &str) -> Result<(), String> {
    if !(2..=most).contains(&text.len()) {
        return Err(format!("must have 2 to {most} characters"));
    }
    match text.chars().find(|c| !c.is_ascii_alphanumeric() && !signs.contains(*c)) {
        Some(wrong) => Err(format!("holds {wrong:?}; AWS allows letters, digits and {signs}")),
        None => Ok(()),
    }
}

/// An AWS id with the role that it is asked as.
pub fn joined(id: &str, role: Option<&Role>) -> String {
    match role {
        Some(role) => format!("{id}{MARK}{}", role.key()),
        None => id.to_owned(),
    }
}

/// The AWS id in what [`joined`] made, and the role's key.
pub fn divided(id: &str) -> (&str, Option<&str>) {
    id.split_once(MARK).map_or((id, None), |(id, key)| (id, Some(key)))
}

/// An id for messages: the role by its ARN.
pub fn shown(id: &str) -> String {
    match divided(id) {
        (id, Some(key)) => format!("{id} as {}", key.split(';').next().unwrap_or_default()),
        (id, None) => id.to_owned(),
    }
}

/// Whether a text has the form of an account's number.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The account in the ARN of a role.
fn account_of(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next();
    let (start, partition, service, region, account, name) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let is_partition = partition == "aws"
        || partition.strip_prefix("aws-").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        });
    let path = name.strip_prefix("role/")?;
    let is_name = !path.is_empty()
        && !path.ends_with('/')
        && path.chars().all(|c| c.is_ascii_alphanumeric() || c == '/' || SIGNS.contains(c));
    let is_arn = start == "arn" && service == "iam" && region.is_empty() && arn.len() <= 2048;
    (is_arn && is_partition && is_account(account) && is_name).then_some(account)
}

/// Adds words, in which everything but letters, digits and few signs is written as its bytes.
fn push(key: &mut String, words: &[&str]) {
    for (index, word) in words.iter().enumerate() {
        key.push(if index == 0 { ';' } else { '~' });
        for byte in word.bytes() {
            if byte.is_ascii_alphanumeric() || b"_+=,.@-:/".contains(&byte) {
                key.push(byte.into());
            } else {
                let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half & 15)]);
                key.extend(['%', digit(byte >> 4), digit(byte)]);
            }
        }
    }
}

fn decoded(word: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:iam::123456789012:role/teams/reader";

    fn role() -> Role {
        Role { arn: ARN.into(), ..Role::default() }
    }

    #[test]
    fn a_key_has_everything_that_makes_sessions_differ_and_is_read_back() {
        let full = Role {
            session_name: Some("orders@prod".into()),
            external_id: Some("a:b/c=d".into()),
            duration_seconds: Some(900),
            source_identity: Some("ann".into()),
            tags: BTreeMap::from([("Team ü".into(), "a b/c=d".into()), ("x".into(), "".into())]),
            ..role()
        };
        for role in [role(), full] {
            let key = role.key();
            assert!(!key.contains(['|', '?', ' ']) && key.is_ascii(), "{key}");
            assert_eq!(Role::of_key(&key), Some(role));
        }
        let other = Role { external_id: Some("other".into()), ..role() };
        assert_ne!(other.key(), role().key());
    }

    #[test]
    fn an_id_carries_its_role() {
        let id = joined("shared/db", Some(&Role { external_id: Some("x1".into()), ..role() }));
        let (plain, key) = divided(&id);
        assert_eq!(plain, "shared/db");
        assert_eq!(Role::of_key(key.expect("a key")).expect("a role").external_id.as_deref(), Some("x1"));
        assert_eq!(shown(&id), format!("shared/db as {ARN}"));
        assert_eq!((joined("a", None).as_str(), divided("a"), shown("a").as_str()), ("a", ("a", None), "a"));
    }

    #[test]
    fn what_sts_would_refuse_is_refused_at_once() {
        assert_eq!(role().checked().expect("valid").account(), "123456789012");
        for wrong in [
            "",
            "reader",
            "arn:aws:iam::12:role/x",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam::123456789012:role/",
        ] {
            assert_eq!(Role { arn: wrong.into(), ..role() }.checked().expect_err(wrong).0, "roleArn");
        }
        for partition in ["aws-cn", "aws-us-gov", "aws-iso-b", "aws-eusc"] {
            let arn = format!("arn:{partition}:iam::123456789012:role/x");
            assert!(Role { arn: arn.into(), ..role() }.checked().is_ok(), "{partition}");
        }
        let text = |text: &str| Some(Box::from(text));
        for (wrong, part) in [
            (Role { session_name: text("a"), ..role() }, "sessionName"),
            (Role { session_name: text("a b"), ..role() }, "sessionName"),
            (Role { external_id: text("ü2"), ..role() }, "externalId"),
            (Role { source_identity: text(&"x".repeat(65)), ..role() }, "sourceIdentity"),
            (Role { duration_seconds: Some(60), ..role() }, "durationSeconds"),
            (Role { tags: BTreeMap::from([("a|b".into(), "".into())]), ..role() }, "tags"),
        ] {
            assert_eq!(wrong.checked().expect_err(part).0, part);
        }
        for wrong in ["", "x", &format!("{ARN};what~1"), &format!("{ARN};externalId"), &format!("{ARN};externalId~%G0")]
        {
            assert_eq!(Role::of_key(wrong), None, "{wrong}");
        }
    }
}
