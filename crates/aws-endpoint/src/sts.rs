//! STS: roles, their sessions, and who somebody is. Its protocol is another one than that of Secrets Manager: forms and XML.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;

use crate::clock::{now, unix_seconds};
use crate::policy::Policy;
use crate::store::{OWN_ACCOUNT, uuid};

/// The shortest session and the longest, in seconds, and the longest of a role that a role assumed.
///
/// # Source
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>: "The value specified can range from 900 seconds (15
/// minutes) up to the maximum session duration set for the role"; "if you assume a role using role chaining and provide a
/// `DurationSeconds` parameter value greater than one hour, the operation fails."
const DURATION: std::ops::RangeInclusive<u64> = 900..=43_200;
const CHAINED: u64 = 3600;

/// With which all sessions sign.
const SESSION_SECRET: &str = "stand-in";

/// A role that may be assumed.
#[derive(Clone, Debug, Default)]
pub struct Role {
    /// What the trust policy demands.
    pub external_id: Option<String>,
    /// The access key ids, or the ARNs of the roles, that the trust policy names; `None`: everybody.
    pub trusts: Option<Vec<String>>,
    /// How long its sessions last, whatever was asked for: shorter than AWS's shortest, for tests.
    pub lasts: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Session {
    role: String,
    name: String,
    ends: Instant,
    /// The session's own policy, which its rights are within.
    policy: Option<Policy>,
}

/// Roles and sessions.
#[derive(Debug, Default)]
pub(crate) struct Sts {
    /// By ARN.
    roles: BTreeMap<String, Role>,
    /// By access key id.
    sessions: BTreeMap<String, Session>,
    /// The accounts of the keys of users, by access key id; others are of the own account.
    users: BTreeMap<String, String>,
    /// The secret keys that are known, by access key id.
    secrets: BTreeMap<String, String>,
}

/// Whose request it is.
pub(crate) enum Caller<'a> {
    /// Of this account; the access key id, or the ARN of the role, by which permissions are denied.
    Known(&'a str, &'a str),
    /// A session that has ended.
    Expired,
}

impl Sts {
    pub(crate) fn put(&mut self, arn: &str, role: Role) {
        self.roles.insert(arn.to_owned(), role);
    }

    /// The role may not be assumed any more. Its sessions go on.
    pub(crate) fn remove(&mut self, arn: &str) {
        self.roles.remove(arn);
    }

    /// The key is of a user of `account`.
    pub(crate) fn user(&mut self, access_key_id: &str, account: &str) {
        self.users.insert(access_key_id.to_owned(), account.to_owned());
    }

    /// Signatures with this key are checked from now on.
    pub(crate) fn signs_with(&mut self, access_key_id: &str, secret: &str) {
        self.secrets.insert(access_key_id.to_owned(), secret.to_owned());
    }

    /// The secret key of `access_key_id`, where it is known: of sessions, and of those that a test named.
    pub(crate) fn secret(&self, access_key_id: &str) -> Option<&str> {
        let named = self.secrets.get(access_key_id).map(String::as_str);
        named.or_else(|| self.sessions.contains_key(access_key_id).then_some(SESSION_SECRET))
    }

    fn account_of_user(&self, access_key_id: &str) -> &str {
        self.users.get(access_key_id).map_or(OWN_ACCOUNT, String::as_str)
    }

    pub(crate) fn caller<'a>(&'a self, access_key_id: &'a str) -> Caller<'a> {
        match self.sessions.get(access_key_id) {
            None => Caller::Known(self.account_of_user(access_key_id), access_key_id),
            Some(session) if session.ends <= now() => Caller::Expired,
            Some(session) => Caller::Known(account_of(&session.role), &session.role),
        }
    }

    /// The policy of a session, where it has one.
    pub(crate) fn policy(&self, access_key_id: &str) -> Option<&Policy> {
        self.sessions.get(access_key_id)?.policy.as_ref()
    }

    /// The answer to a request: HTTP status and XML.
    pub(crate) fn answer(&mut self, access_key_id: &str, form: &BTreeMap<String, String>) -> (u16, String) {
        if matches!(self.caller(access_key_id), Caller::Expired) {
            return refused(403, "ExpiredToken", "The security token included in the request is expired");
        }
        match form.get("Action").map(String::as_str) {
            Some("GetCallerIdentity") => self.identity(access_key_id),
            Some("AssumeRole") => self.assume(access_key_id, form),
            _ => refused(400, "InvalidAction", "Could not find operation"),
        }
    }

    /// # Source
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
    fn identity(&self, access_key_id: &str) -> (u16, String) {
        let of_user = || {
            let account = self.account_of_user(access_key_id);
            (format!("arn:aws:iam::{account}:user/{access_key_id}"), account)
        };
        let of_session = |session: &'_ Session| session_arn(&session.role, &session.name);
        let session = self.sessions.get(access_key_id);
        let (arn, account) = session.map_or_else(of_user, |session| (of_session(session), account_of(&session.role)));
        let result = format!("<Arn>{arn}</Arn><UserId>AIDA</UserId><Account>{account}</Account>");
        (200, answered("GetCallerIdentity", &result))
    }

    /// # Source
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
    fn assume(&mut self, access_key_id: &str, form: &BTreeMap<String, String>) -> (u16, String) {
        let given = |name: &str| form.get(name).map(String::as_str);
        let (arn, name) = (given("RoleArn").unwrap_or_default(), given("RoleSessionName").unwrap_or_default());
        let by = self.sessions.get(access_key_id).map(|session| session.role.clone());
        let asked = given("DurationSeconds").map(|text| text.parse().unwrap_or(0));
        if arn.len() < 20 || !is_session_name(name) || asked.is_some_and(|seconds| !DURATION.contains(&seconds)) {
            return refused(400, "ValidationError", "1 validation error detected");
        }
        if by.is_some() && asked.is_some_and(|seconds| seconds > CHAINED) {
            let why =
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
            return refused(400, "ValidationError", why);
        }
        let by = by.unwrap_or_else(|| access_key_id.to_owned());
        // AWS does not tell whether there is such a role.
        let role = self.roles.get(arn).filter(|role| {
            role.trusts.as_ref().is_none_or(|trusts| trusts.contains(&by))
                && role.external_id.as_deref().is_none_or(|wanted| given("ExternalId") == Some(wanted))
        });
        let Some(role) = role else {
            let why = format!("User: {by} is not authorized to perform: sts:AssumeRole on resource: {arn}");
            return refused(403, "AccessDenied", &why);
        };
        let lasts = role.lasts.unwrap_or_else(|| Duration::from_secs(asked.unwrap_or(CHAINED)));
        let key = format!("ASIA{}", uuid().replace('-', "").to_ascii_uppercase());
        let policy = given("Policy").and_then(Policy::parse);
        let session = Session { role: arn.to_owned(), name: name.to_owned(), ends: now() + lasts, policy };
        self.sessions.insert(key.clone(), session);
        let expiration = iso(unix_seconds() + lasts.as_secs_f64());
        let result = format!(
            "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{SESSION_SECRET}</SecretAccessKey><SessionToken>{}\
             </SessionToken><Expiration>{expiration}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROA:{name}\
             </AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>",
            uuid(),
            session_arn(arn, name)
        );
        (200, answered("AssumeRole", &result))
    }
}

/// `[\w+=,.@-]{2,64}`, as the page on `AssumeRole` has it.
fn is_session_name(name: &str) -> bool {
    (2..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

/// The members of a form.
pub(crate) fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (decoded(name), decoded(value)));
    text.split('&').filter_map(pair).collect()
}

/// An error as STS writes it.
///
/// # Source
/// <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>
pub(crate) fn refused(status: u16, code: &str, why: &str) -> (u16, String) {
    let xml = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{why}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
        uuid()
    );
    (status, xml)
}

fn answered(operation: &str, result: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>{result}\
         </{operation}Result><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{operation}Response>",
        uuid()
    )
}

fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// `arn:aws:sts::123456789012:assumed-role/name/session`: without the path of the role.
fn session_arn(role: &str, session: &str) -> String {
    let name = role.rsplit('/').next().unwrap_or_default();
    format!("arn:aws:sts::{}:assumed-role/{name}/{session}", account_of(role))
}

/// `2026-11-28T22:15:00.250Z`, by the days of the calendar.
fn iso(unix: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970")]
    let millis = (unix * 1000.0) as i64;
    let (days, rest) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    // <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 { (month + 3, year + era * 400) } else { (month - 9, year + era * 400 + 1) };
    let (hours, minutes, seconds) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", rest % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:iam::111122223333:role/teams/reader";

    fn assume(sts: &mut Sts, key: &str, more: &str) -> (u16, String) {
        sts.answer(key, &form(format!("Action=AssumeRole&RoleArn={ARN}&RoleSessionName=it{more}").as_bytes()))
    }

    fn key_in(xml: &str) -> String {
        let (_, rest) = xml.split_once("<AccessKeyId>").expect("a key");
        rest.split('<').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_role_is_assumed_by_whom_it_trusts() {
        let mut sts = Sts::default();
        let (status, xml) = assume(&mut sts, "me", "");
        assert_eq!((status, xml.contains("<Code>AccessDenied</Code>")), (403, true), "no such role");
        let trusts = Some(vec!["me".to_owned()]);
        sts.put(ARN, Role { external_id: Some("x/1".into()), trusts, ..Role::default() });
        assert_eq!(assume(&mut sts, "me", "").0, 403, "without the external id");
        assert_eq!(assume(&mut sts, "other", "&ExternalId=x%2F1").0, 403);
        let (status, xml) = assume(&mut sts, "me", "&ExternalId=x%2F1");
        assert_eq!(status, 200, "{xml}");
        let key = key_in(&xml);
        assert!(matches!(sts.caller(&key), Caller::Known("111122223333", ARN)));
        let (_, identity) = sts.answer(&key, &form(b"Action=GetCallerIdentity&Version=2011-06-15"));
        assert!(identity.contains("<Arn>arn:aws:sts::111122223333:assumed-role/reader/it</Arn>"), "{identity}");
    }

    #[test]
    fn sessions_end_and_chains_are_short() {
        let mut sts = Sts::default();
        sts.put(ARN, Role { lasts: Some(Duration::ZERO), ..Role::default() });
        assert_eq!(assume(&mut sts, "me", "&DurationSeconds=60").0, 400);
        let ended = key_in(&assume(&mut sts, "me", "&DurationSeconds=7200").1);
        assert!(matches!(sts.caller(&ended), Caller::Expired));
        assert!(assume(&mut sts, &ended, "").1.contains("ExpiredToken"));
        sts.put(ARN, Role::default());
        let key = key_in(&assume(&mut sts, "me", "").1);
        assert_eq!(assume(&mut sts, &key, "&DurationSeconds=3601").0, 400);
    }

    #[test]
    fn dates_are_dates() {
        assert_eq!(iso(0.0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(1_795_904_130.25), "2026-11-28T22:15:30.250Z");
        assert_eq!(iso(1_709_164_800.0), "2024-02-29T00:00:00.000Z");
    }
}
