//! Checks a value on its own. Returns only what is wrong, never the value.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::Regex;
use x509_parser::pem::Pem;

use super::{Severity, Validated};
use secret::environment::Environment;
use secret::manifest::SecretSpec;
use secret::placeholder::is_placeholder;
use secret::value::SecretValue;

/// Passwords that everybody knows, and that are also names of users, hosts, databases and environments.
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names = "admin|administrator|root|user|test|guest|default|postgres|mysql|mariadb|redis|mongo|mongodb|rabbitmq|minio|\
                 minioadmin|elastic|dev|demo|local|oracle|tiger|vagrant|raspberry|sa|dragon|monkey|football";
    Regex::new(&format!("(?i)^(?:{names})[0-9]{{0,4}}!?$")).ok()
});
/// Words in a secret's name that say that nobody may know it.
const CONFIDENTIAL: [&str; 14] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "PWD",
    "PW",
    "PIN",
    "SECRET",
    "TOKEN",
    "KEY",
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "AUTH",
];
/// Last words of a name that say that it is something else.
const KNOWN_TO_OTHERS: [&str; 13] = [
    "USER",
    "USERNAME",
    "NAME",
    "LOGIN",
    "HOST",
    "HOSTNAME",
    "ID",
    "DATABASE",
    "DB",
    "SCHEMA",
    "ENV",
    "ENVIRONMENT",
    "REGION",
];
/// What editors, web pages and PowerShell leave at the ends of a text: a byte order mark, spaces and joiners without width.
const INVISIBLE: [char; 5] = ['\u{feff}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}'];
/// A certificate or token that expires sooner gets a warning.
const SOON_SECONDS: u64 = 14 * 86_400;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Secret,
    /// It stands where a secret will be put later, or is known to everybody.
    Placeholder,
    /// It may be a well-known password, or a name.
    Name,
}

fn look_of(text: &str) -> Look {
    let text = text.trim();
    if is_placeholder(text) {
        Look::Placeholder
    } else if NAME.as_ref().is_some_and(|pattern| pattern.is_match(text)) {
        Look::Name
    } else {
        Look::Secret
    }
}

/// Whether the name of a secret says that it is a password, a key or the like.
fn is_confidential(name: &str) -> bool {
    let words = || name.split(['_', '-', '.', '/']);
    let is_named = |word: &&str| !KNOWN_TO_OTHERS.contains(word);
    words().next_back().as_ref().is_some_and(is_named) && words().any(|word| CONFIDENTIAL.contains(&word))
}

/// The password in a URL with a user.
fn password_of_url(text: &str) -> Option<&str> {
    let (_, rest) = text.trim().split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password).filter(|password| !password.is_empty())
}

/// Checks a value against its declaration, and for placeholders, blanks and expired tokens.
pub(super) fn check(
    seen: &mut Validated,
    value: &SecretValue,
    spec: Option<&SecretSpec>,
    (environment, now_seconds): (Environment, u64),
) {
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: only verdicts leave")]
    let text = value.expose();
    // The password of a URL is no name.
    let in_url = password_of_url(text).map_or(Look::Secret, look_of);
    let look = if in_url == Look::Secret { look_of(text) } else { Look::Placeholder };
    if look != Look::Secret {
        // People work with them; nobody runs a service with them.
        let is_lenient = matches!(environment.base(), Environment::Development | Environment::Test);
        if look == Look::Name && !is_confidential(seen.name.as_str()) {
            let why = "it may be a well-known password; if it is a name, nothing is wrong";
            seen.add("PLACEHOLDER", Severity::Warning, why.into());
        } else {
            let severity = if is_lenient { Severity::Warning } else { Severity::Error };
            seen.add("PLACEHOLDER", severity, "it looks like a placeholder, or is a well-known password".into());
        }
    }
    if text.trim() != text {
        seen.add("SURROUNDING_WHITESPACE", Severity::Warning, "it begins or ends with white space".into());
    } else if text.starts_with(INVISIBLE) || text.ends_with(INVISIBLE) {
        let why = "it begins or ends with a character that nobody sees, such as a byte order mark";
        seen.add("SURROUNDING_WHITESPACE", Severity::Warning, why.into());
    }
    let quote = text.trim().chars().next().filter(|first| "\"'`".contains(*first));
    if quote.is_some_and(|quote| text.trim().len() > 1 && text.trim().ends_with(quote)) {
        seen.add("SURROUNDING_QUOTES", Severity::Warning, "it is in quotes, which are part of it".into());
    }
    if let Some(ends) = token_ends(text) {
        expiry(seen, "the token", ends, now_seconds);
    }
    for ends in certificates_end(text) {
        expiry(seen, "the certificate", ends, now_seconds);
    }
    if let Some(spec) = spec {
        declared(seen, value, spec);
    }
}

fn declared(seen: &mut Validated, value: &SecretValue, spec: &SecretSpec) {
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: looked at, nothing is kept")]
    let text = value.expose();
    if spec.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(text)) {
        seen.add("PATTERN_MISMATCH", Severity::Error, "it does not match the declared pattern".into());
    }
    let least = spec.min_length.unwrap_or(0);
    if text.chars().count() < least as usize {
        seen.add("TOO_SHORT", Severity::Error, format!("it has fewer than {least} characters"));
    }
    let Some(fields) = &spec.json_fields else { return };
    match value.keys() {
        Ok(keys) => {
            for field in fields {
                if !keys.contains(field) {
                    seen.add("JSON_FIELD_MISSING", Severity::Error, format!("its JSON has no field '{field}'"));
                } else if !matches!(value.field(field), Ok(Some(_))) {
                    seen.add("JSON_FIELD_EMPTY", Severity::Error, format!("the field '{field}' of its JSON is empty"));
                }
            }
        }
        Err(_) if fields.is_empty() && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {}
        Err(_) => seen.add("NOT_JSON", Severity::Error, "it is not a JSON object".into()),
    }
}

fn expiry(seen: &mut Validated, what: &str, ends: u64, now: u64) {
    let day = secret::clock::iso8601(ends.saturating_mul(1000));
    if ends <= now {
        seen.add("EXPIRED", Severity::Error, format!("{what} ended at {day}"));
    } else if ends - now < SOON_SECONDS {
        seen.add("EXPIRES_SOON", Severity::Warning, format!("{what} ends at {day}"));
    }
}

/// The expiry of a JSON web token in seconds since 1970 (RFC 7519, `exp`); `None` for any other text.
fn token_ends(text: &str) -> Option<u64> {
    let mut parts = text.trim().split('.');
    let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || signature.is_empty() {
        return None;
    }
    let object = |part: &str| -> Option<serde_json::Map<String, serde_json::Value>> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    object(header)?.get("alg")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds; saturates")]
    object(claims)?.get("exp")?.as_f64().map(|seconds| seconds as u64)
}

/// The expiry of each certificate of a PEM text, in seconds since 1970.
fn certificates_end(text: &str) -> Vec<u64> {
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return Vec::new();
    }
    let blocks = Pem::iter_from_buffer(text.as_bytes()).filter_map(std::result::Result::ok);
    let ends = blocks.filter(|block| block.label == "CERTIFICATE").filter_map(|block| {
        let ends = block.parse_x509().ok()?.validity().not_after.timestamp();
        u64::try_from(ends).ok()
    });
    ends.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use secret::name::SecretName;

    const NOW: u64 = 1_767_225_600;

    fn codes(text: &str, spec: &SecretSpec) -> Vec<&'static str> {
        let mut seen = Validated::of(SecretName::new("A_B").expect("a name"), None);
        check(&mut seen, &SecretValue::copied(text), Some(spec), (Environment::Production, NOW));
        seen.issues.iter().map(|issue| issue.code).collect()
    }

    fn plain(text: &str) -> Vec<&'static str> {
        codes(text, &SecretSpec::default())
    }

    #[test]
    fn placeholders_are_recognised_and_secrets_are_not() {
        for text in [
            "changeme",
            "CHANGE_ME",
            "xxx",
            "XXXXXXXX",
            "<token>",
            "<your token here>",
            "TODO",
            "your-api-key",
            "****",
            "${API_TOKEN}",
            "{{ token }}",
            "password",
            "placeholder",
            "insert-token-here",
            " changeme ",
            "0000",
            "aaaaaaaa",
            "secret123",
            "mysecretpassword",
            "my-secret-pw",
            "yourStrong(!)Password",
            "keyboard cat",
            "django-insecure-abcdefgh",
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "jwt_secret",
            "supersecretkey",
            "sk_test_xxx",
            "%DB_PASSWORD%",
            "$(DB_PASSWORD)",
            "postgres://postgres:postgres@localhost:5432/app",
            "amqp://guest:guest@rabbit",
        ] {
            assert!(plain(text).contains(&"PLACEHOLDER"), "{text}");
        }
        for text in [
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "hunter2",
            "correct horse battery staple",
            "p<a>ss",
            "x1xx",
            "secretary-9fk2",
            "postgres://app:8fj2Kdm@postgres/app",
            "https://u@h/a:b",
            "<saml><key>x</key></saml>",
            r#"["a","b"]"#,
        ] {
            assert_eq!(plain(text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn what_copying_leaves_around_a_value_is_told() {
        assert_eq!(plain(" hunter2"), ["SURROUNDING_WHITESPACE"]);
        assert_eq!(plain("hunter2\n"), ["SURROUNDING_WHITESPACE"]);
        for unseen in ["\u{feff}hunter2", "hunter2\u{200b}"] {
            assert_eq!(plain(unseen), ["SURROUNDING_WHITESPACE"]);
        }
        assert_eq!(plain("\"hunter2\""), ["SURROUNDING_QUOTES"]);
        assert_eq!(plain("'hunter2' "), ["SURROUNDING_WHITESPACE", "SURROUNDING_QUOTES"]);
        assert_eq!(plain("\""), [] as [&str; 0]);
        assert_eq!(plain("it's"), [] as [&str; 0]);
    }

    #[test]
    fn tokens_and_certificates_that_end_are_told() {
        let token = |exp: &str| {
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            format!("{}.{}.c2ln", part(r#"{"alg":"HS256"}"#), part(&format!(r#"{{"exp":{exp}}}"#)))
        };
        assert_eq!(plain(&token("1767225600")), ["EXPIRED"]);
        assert_eq!(plain(&token("1767225700.5")), ["EXPIRES_SOON"]);
        assert_eq!(plain(&token("1867225600")), [] as [&str; 0]);
        assert_eq!(plain(&token("\"never\"")), [] as [&str; 0]);
        assert_eq!(plain("a.b.c"), [] as [&str; 0]);
        // A self-signed certificate that expired on 2020-01-02.
        assert_eq!(plain(include_str!("expired.pem").trim()), ["EXPIRED"]);
    }

    #[test]
    fn declared_rules_are_checked() {
        let spec = SecretSpec {
            pattern: Regex::new("^ghp_").ok(),
            min_length: Some(10),
            json_fields: Some(vec!["user".into()]),
            ..SecretSpec::default()
        };
        assert_eq!(codes("short", &spec), ["PATTERN_MISMATCH", "TOO_SHORT", "NOT_JSON"]);
        let json = SecretSpec { json_fields: Some(vec!["user".into(), "password".into()]), ..SecretSpec::default() };
        assert_eq!(codes(r#"{"user":"a"}"#, &json), ["JSON_FIELD_MISSING"]);
        for empty in ["null", "\"\""] {
            assert_eq!(codes(&format!(r#"{{"user":"a","password":{empty}}}"#), &json), ["JSON_FIELD_EMPTY"]);
        }
    }

    #[test]
    fn a_well_known_password_is_an_error_where_a_service_runs_with_it() {
        for (environment, severity) in [
            (Environment::Development, Severity::Warning),
            (Environment::Test, Severity::Warning),
            (Environment::Staging, Severity::Error),
            (Environment::Production, Severity::Error),
        ] {
            for text in ["password", "Admin123", "postgres", "qwerty1", "123456", "P@ssw0rd!", "guest", "changeit"] {
                assert_eq!(judged("DB_PASSWORD", text, environment), [severity], "{text} in {environment:?}");
            }
            for text in ["changeme", "TODO", "xxx", "postgres://app:postgres@db/app", "secret"] {
                assert_eq!(judged("A_B", text, environment), [severity], "{text} in {environment:?}");
            }
        }
    }

    #[test]
    fn what_may_be_a_name_is_a_warning_where_the_secret_may_be_one() {
        for name in ["DB_USERNAME", "DB_HOST", "A_B", "ORACLE_KEY_NAME", "API_SECRET_ID"] {
            for text in ["dev", "local", "oracle", "postgres", "admin", "sa", "user1", "test"] {
                assert_eq!(judged(name, text, Environment::Production), [Severity::Warning], "{name} {text}");
            }
        }
        for name in ["DB_PASSWORD", "API_KEY", "GITHUB_API_TOKEN", "SESSION_SECRET_OLD"] {
            assert_eq!(judged(name, "dev", Environment::Production), [Severity::Error], "{name}");
        }
    }

    fn judged(name: &str, text: &str, environment: Environment) -> Vec<Severity> {
        let mut seen = Validated::of(SecretName::new(name).expect("a name"), None);
        check(&mut seen, &SecretValue::copied(text), None, (environment, NOW));
        seen.issues.iter().filter(|issue| issue.code == "PLACEHOLDER").map(|issue| issue.severity).collect()
    }
}
