//! What a value looks like: whether a generated text may take its place (decision D17).
//!
//! A password is whatever two systems agree on. Most other secrets are made by somebody: a certificate by an authority, a
//! token by the service that checks it, a URL by whoever runs the host that it names. A random text in their place opens
//! nothing.

use std::sync::LazyLock;

use regex::Regex;

use secret::json_field::{self, Kind};
use secret::value::SecretValue;

/// What of a value a generated text may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All of it: a password, as far as one can tell.
    Password,
    /// The field of a JSON object that the policy names.
    Field,
    /// Nothing.
    Foreign {
        /// What it looks like, with an article.
        what: &'static str,
        /// Whether a generated text would at least have the right form. If not, nothing allows it.
        is_text: bool,
    },
}

impl Form {
    /// The form of `value`, whose password is in `field` where it is a JSON object.
    pub fn of(value: &SecretValue, field: Option<&str>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: only its form leaves")]
        let text = value.expose();
        let trimmed = text.trim();
        match json_field::find(text, field.unwrap_or_default()) {
            Ok(Some(found)) if field.is_some() && found.kind() == Kind::Text => return Self::Field,
            Ok(_) => {
                return Self::Foreign {
                    what: "a JSON object whose password field is missing or no string",
                    is_text: false,
                };
            }
            Err(_) if enclosed(trimmed, '{', '}') || enclosed(trimmed, '[', ']') => {
                return Self::Foreign { what: "JSON or a text in braces", is_text: false };
            }
            Err(_) => {}
        }
        foreign(trimmed).map_or(Self::Password, |what| Self::Foreign { what, is_text: true })
    }
}

fn enclosed(text: &str, first: char, last: char) -> bool {
    text.starts_with(first) && text.ends_with(last)
}

/// What `text` is, when it is none of the passwords that a generator makes.
fn foreign(text: &str) -> Option<&'static str> {
    static FORMS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
        let form = |(pattern, what): (&str, &'static str)| Some((Regex::new(pattern).ok()?, what));
        FORM_PATTERNS.iter().copied().filter_map(form).collect()
    });
    FORMS.iter().find(|(pattern, _)| pattern.is_match(text)).map(|(_, what)| *what)
}

/// The first that matches counts. The whole text is matched where a part would be too little.
const FORM_PATTERNS: [(&str, &str); 11] = [
    (r"-----BEGIN [A-Z0-9 ]*(CERTIFICATE|PKCS7|X509 CRL)", "a certificate"),
    (r"-----BEGIN |^AGE-SECRET-KEY-1|^PuTTY-User-Key-File", "a key file"),
    (r"^(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ AAAA", "an SSH key"),
    (r"^[A-Za-z][A-Za-z0-9+.-]*://|^(jdbc|data|mailto|urn|otpauth|sqlserver):", "a URL"),
    (r"^eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.", "a JSON web token"),
    (r"^v[1-4]\.(local|public)\.", "a PASETO token"),
    (
        r"^\$(2[abxy]?|5|6|7|y|1|scrypt|argon2(id|i|d)|pbkdf2[a-z0-9-]*)\$|^\{(SSHA|SHA|CRYPT|SSHA512)[0-9]*\}|^SCRAM-SHA-256\$|^\*[0-9A-F]{40}$|^md5[0-9a-f]{32}$",
        "the hash of a password",
    ),
    (TOKENS, "a token that another service issued"),
    (
        r"(?i)(^|[;\s])(server|host|hostaddr|data source|user id|uid|username|user|dbname|database|accountkey|accountname|endpoint|sharedaccesskey)\s*=\s*[^;\s]+[;\s].*=",
        "a connection string",
    ),
    (r"^<(\?xml|[A-Za-z!])", "a document"),
    (r"[\r\n]", "a text of several lines"),
];

/// Tokens that carry the mark of the service that issued them.
const TOKENS: &str = concat!(
    r"^(gh[pousr]_|github_pat_|gl[a-z]{2,6}-|xox[a-z]-|xapp-|xwfp-|",
    r"sk-|sk_(live|test)_|rk_(live|test)_|pk_(live|test)_|whsec_|",
    r"AIza[0-9A-Za-z_-]{30}|ya29\.|GOCSPX-|1//0|npm_|pypi-|rubygems_|nuget_|oy2[a-z0-9]{40}|",
    r"SG\.|key-[0-9a-f]{32}$|do[opr]_v1_|hf_|shp(at|ca|pa|ss)_|dckr_(pat|oat)_|hv[sbr]\.|s\.[A-Za-z0-9]{24}$|",
    r"lin_(api|oauth)_|sq0[a-z]{3}-|EAAA[A-Za-z0-9_-]{20}|figd_|PMAK-|gls?a_|glc_|dapi[0-9a-f]{32}|dp\.(pt|st|ct|sa)\.|",
    r"ATATT3|ATBB|secret_[A-Za-z0-9]{40}|ntn_|pat-(na|eu)[0-9]-|NRAK-|NRII-|phc_|phx_|sntry[su]_|rpa_|r8_|tskey-|",
    r"(AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}$|AC[0-9a-f]{32}$|SK[0-9a-f]{32}$|[0-9]{8,10}:AA[A-Za-z0-9_-]{33}$|",
    r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}$|amzn\.|EZ(AK|TK)|sl\.[A-Za-z0-9_-]{100}|",
    r"[0-9a-f]{32}-us[0-9]{1,2}$|xkeysib-|re_[A-Za-z0-9]{8}_|sbp_|sb_secret_|vercel_|nvapi-|pplx-|gsk_|AGPA|CCIPAT_)",
);

#[cfg(test)]
mod tests {
    use super::*;
    use secret::value::SecretValue;

    fn form(text: &str) -> Form {
        Form::of(&SecretValue::copied(text), Some("password"))
    }

    #[test]
    fn passwords_are_passwords_whatever_their_characters() {
        let generated =
            ["aB3x9Zp0Qw7LmN2kR5tY8uVi1oCj4eHs", "p@ss w;rd=\"'\\", "a-b_c.d", "correct horse battery staple"];
        for text in generated.into_iter().chain(["deadbeef", "0", "x", "", "über-geheim", "host", "user=x"]) {
            assert_eq!(form(text), Form::Password, "{text}");
        }
        let mut random = fastrand::Rng::with_seed(17);
        for _ in 0..2000 {
            let text: String = (0..32).map(|_| random.alphanumeric()).collect();
            assert_eq!(form(&text), Form::Password, "{text}");
        }
    }

    #[test]
    fn what_somebody_else_makes_is_told_apart() {
        let rows = [
            ("postgres://app:pw@db/shop", "a URL"),
            ("https://hooks.slack.com/services/T/B/x", "a URL"),
            ("jdbc:postgresql:shop", "a URL"),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "a certificate"),
            ("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "a key file"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", "a key file"),
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@host", "an SSH key"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "a JSON web token"),
            ("$2b$10$abcdefghijklmnopqrstuv", "the hash of a password"),
            ("SCRAM-SHA-256$4096:c2FsdA==$a:b", "the hash of a password"),
            ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "a token that another service issued"),
            ("github_pat_11ABCDE", "a token that another service issued"),
            ("xoxb-1234-5678-abc", "a token that another service issued"),
            ("sk_live_abc", "a token that another service issued"),
            ("AKIAIOSFODNN7EXAMPLE", "a token that another service issued"),
            ("glpat-abcdefgh", "a token that another service issued"),
            ("npm_abcdef", "a token that another service issued"),
            ("Server=db;Database=shop;User Id=app;Password=x;", "a connection string"),
            ("host=db user=app password=x", "a connection string"),
            ("<?xml version=\"1.0\"?><a/>", "a document"),
            ("first\nsecond", "a text of several lines"),
        ];
        for (text, what) in rows {
            assert_eq!(form(text), Form::Foreign { what, is_text: true }, "{text}");
        }
    }

    #[test]
    fn of_json_only_a_password_that_is_a_string_can_be_replaced() {
        assert_eq!(form(r#"{"username":"app","password":"old"}"#), Form::Field);
        for text in [
            r#"{"user":"a"}"#,
            r#"{"password":1}"#,
            r#"{"password":null}"#,
            r#"{"Password":"x"}"#,
            "[1,2]",
            "{broken",
            "{broken}",
            "[\"a\"]",
        ] {
            let is_password = text == "{broken";
            assert_eq!(form(text) == Form::Password, is_password, "{text}");
            assert!(is_password || matches!(form(text), Form::Foreign { is_text: false, .. }), "{text}");
        }
    }
}
