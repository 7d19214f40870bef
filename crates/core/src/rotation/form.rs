//! What a value looks like: whether a generated text may take its place (decision D17).
//!
//! A password is whatever two systems agree on. Most other secrets are made by somebody: a certificate by an authority, a
//! token by the service that checks it, a URL by whoever runs the host that it names. A random text in their place opens
//! nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex::Regex;
use zeroize::Zeroizing;

use super::form_patterns::{FORMS, SETTINGS, UUIDS};
use secret::json_field::{self, Kind};
use secret::placeholder::is_placeholder;
use secret::value::SecretValue;

/// The most bytes of a generated password: `passwordLength` has 1,024 characters at most, of four bytes each.
const LONGEST_PASSWORD: usize = 4096;

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
        let trimmed = unquoted(text.trim_start_matches('\u{feff}').trim());
        match json_field::find(text, field.unwrap_or_default()) {
            Ok(Some(found)) if field.is_some() && found.kind() == Kind::Text => {
                // A field may hold what somebody else makes as well. Half a surrogate pair is nothing that anybody issues.
                let value = found.value(text).ok().flatten();
                return match value.map(|value| Self::of(&SecretValue::copied(&value), None)) {
                    Some(foreign @ Self::Foreign { .. }) => foreign,
                    _ => Self::Field,
                };
            }
            Ok(_) if field.is_none() => return Self::Foreign { what: "a JSON object", is_text: false },
            Ok(_) => {
                return Self::Foreign {
                    what: "a JSON object whose password field is missing or no string",
                    is_text: false,
                };
            }
            // A UUID stands in braces, too.
            Err(_) if is_like_json(trimmed) && !is_match(&UUID, trimmed) => {
                return Self::Foreign { what: "JSON or a text in braces", is_text: false };
            }
            Err(_) => {}
        }
        let too_long =
            (trimmed.len() > LONGEST_PASSWORD).then_some("a text longer than any password that is generated");
        let what = foreign(trimmed).or_else(|| encoded(trimmed)).or_else(|| setting(trimmed)).or(too_long);
        match what {
            Some(what) => Self::Foreign { what, is_text: true },
            None if is_json_string(text.trim()) => Self::Foreign { what: "a JSON string in quotes", is_text: false },
            None => Self::Password,
        }
    }
}

/// `text` without the double quotes that somebody took along from a JSON or env file.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// Whether `text` is a JSON string. A generated text that begins and ends with a quote has more punctuation between them.
fn is_json_string(text: &str) -> bool {
    let is_odd = |c: &char| !c.is_alphanumeric() && !c.is_whitespace();
    text.len() > 2
        && text.starts_with('"')
        && json_field::decode(text).is_some_and(|inner| {
            let (odd, all) = (inner.chars().filter(is_odd).count(), inner.chars().count());
            odd <= (all / 6).max(1)
        })
}

/// What `text` is when it stands where a secret will be put later, or configures something.
fn setting(text: &str) -> Option<&'static str> {
    static COMPILED: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| compiled(&SETTINGS));
    // An address, or all addresses of a network.
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    if address.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() && bits.parse::<u8>().is_ok()
        || text.parse::<SocketAddr>().is_ok()
    {
        return Some("an address");
    }
    if is_placeholder(text) {
        return Some("a placeholder or a password that everybody knows");
    }
    COMPILED.iter().find(|(pattern, _)| pattern.is_match(text)).map(|(_, what)| *what)
}

/// Whether `text` has the form of an AWS secret access key, which has no mark: 40 characters of base64. Those of letters and
/// digits alone, every fourth, may as well be passwords.
fn is_aws_key(text: &str) -> bool {
    text.len() == 40
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
        && text.contains(['+', '/'])
}

/// What `text` is when it is base64 of something that is no random bytes. Random bytes are ASCII alone once in 10,000,000
/// for the shortest text that is looked at, and begin like a DER key, a PKCS #12 file or a gzip file as rarely.
fn encoded(text: &str) -> Option<&'static str> {
    const SHORTEST: usize = 22; // characters, for 16 bytes
    if is_aws_key(text) {
        return Some("the form of an AWS secret access key");
    }
    if text.len() < SHORTEST {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let standard = |c| match c {
        '-' => '+',
        '_' => '/',
        _ => c,
    };
    let plain: Zeroizing<String> = Zeroizing::new(text.trim_end_matches('=').chars().map(standard).collect());
    STANDARD_NO_PAD.decode_vec(plain.as_bytes(), &mut bytes).ok()?;
    let is_text = bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    (is_text || is_der(&bytes) || is_file(&bytes)).then_some("an encoded file or text")
}

/// Whether `bytes` are a key, a certificate or a PKCS #12 file in DER. With a length of one byte too little is fixed to tell it
/// from random bytes: there the version comes next, or the name of an algorithm.
fn is_der(bytes: &[u8]) -> bool {
    match bytes {
        [0x30, 0x81, length, rest @ ..] => rest.len() == usize::from(*length),
        [0x30, 0x82, high, low, rest @ ..] => rest.len() >= usize::from(u16::from_be_bytes([*high, *low])),
        [0x30, length, rest @ ..] => {
            rest.len() == usize::from(*length) && matches!(rest, [2, 1, 0..=3, ..] | [0x30, 3..0x20, 6, 3..0x10, ..])
        }
        _ => false,
    }
}

/// Whether `bytes` begin like a file that has keys: gzip, zip, Java's keystores, the keys of SSH.
fn is_file(bytes: &[u8]) -> bool {
    const BEGINS: [&[u8]; 7] = [
        &[0x1f, 0x8b, 8],
        b"PK\x03\x04",
        &[0xfe, 0xed, 0xfe, 0xed],
        &[0xce, 0xce, 0xce, 0xce],
        b"openssh-key-v1",
        b"\0\0\0\x0bssh-",
        b"\0\0\0\x07ssh-",
    ];
    BEGINS.iter().any(|begin| bytes.starts_with(begin))
}

/// Whether `text` begins and ends like JSON that is no object or broken, or like a placeholder in braces, or begins as
/// JSON with names and goes on as something else. A password that only happens to begin and end with a brace goes on otherwise.
fn is_like_json(text: &str) -> bool {
    const BEGINS: &str = r#"(?s)^\{\s*(/[/*].*|\\["'][^"']*\\["']\s*:.*)\}$|^(?i:%7b|%5b)(%22|%27|%20|%0a).*(?i:%7d|%5d)$|^\[?\s*\{\s*("[^"]+"|'[^']+')\s*:\s*["'\[{0-9tfn-]|^(\{\s*\{?\s*("[^"]*"|'[^']*'|[A-Za-z_][\w.-]*)\s*([:=].*)?\}|\{\s*\}|\[\s*(["'\[{].*|-?[0-9.]+\s*,.*|-?[0-9.]+|true.*|null.*)?\s*\])$"#;
    static JSON: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(BEGINS).ok());
    is_match(&JSON, text)
}

fn is_match(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

static UUID: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(UUIDS).ok());

/// What `text` is, when it is none of the passwords that a generator makes.
fn foreign(text: &str) -> Option<&'static str> {
    static COMPILED: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| compiled(&FORMS));
    COMPILED.iter().find(|(pattern, _)| pattern.is_match(text)).map(|(_, what)| *what)
}

fn compiled(patterns: &[(&str, &'static str)]) -> Vec<(Regex, &'static str)> {
    patterns.iter().filter_map(|(pattern, what)| Some((Regex::new(pattern).ok()?, *what))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::form_patterns::NUMBER;
    use crate::rotation::generator::password;
    use crate::rotation::policy::PasswordRules;
    use secret::value::SecretValue;

    fn form(text: &str) -> Form {
        Form::of(&SecretValue::copied(text), Some("password"))
    }

    #[test]
    fn passwords_are_passwords_whatever_their_characters() {
        let generated =
            ["aB3x9Zp0Qw7LmN2kR5tY8uVi1oCj4eHs", "p@ss w;rd=\"'\\", "a-b_c.d", "correct horse battery staple"];
        for text in generated.into_iter().chain(["deadbeef", "x", "", "über-geheim", "host", "user=x"]) {
            assert_eq!(form(text), Form::Password, "{text}");
        }
        // What AWS's GetRandomPassword makes, with all its characters.
        let printable: Vec<char> = ('!'..='~').collect();
        let mut random = fastrand::Rng::with_seed(17);
        for _ in 0..20_000 {
            let text: String = (0..32).filter_map(|_| random.choice(&printable)).collect();
            assert_eq!(form(&text), Form::Password, "{text}");
        }
        for _ in 0..2000 {
            let text: String = (0..32).map(|_| random.alphanumeric()).collect();
            assert_eq!(form(&text), Form::Password, "{text}");
        }
    }

    #[test]
    fn what_this_package_generates_stays_a_password() {
        let made = |rules: &PasswordRules| password(rules).expect("a password");
        let is_odd = |text: &Zeroizing<String>| form(text) != Form::Password;
        let rules = PasswordRules::default();
        // One of three million begins with the mark of a service, such as `AGPA`.
        assert!((0..10_000).map(|_| made(&rules)).filter(is_odd).count() <= 1);
    }

    #[test]
    fn passwords_of_all_kinds_stay_passwords() {
        let of_people = [
            "Tr0ub4dor&3",
            "hunter2",
            "Sommer2026!",
            "correct-horse-battery-staple",
            "a:b",
            "token of thanks",
            "db-1",
            "ab/cd",
            "correct.horse.battery",
        ];
        for text in
            of_people.into_iter().chain(["Zm9v/YmFy+c2Vj", "/dev", "\"Q&A!\"x", "basic instinct", "{x", "P@ss/w0rd."])
        {
            assert_eq!(form(text), Form::Password, "{text}");
            assert_eq!(form(&format!("{{\"password\":{}}}", *json_field::encode(text))), Form::Field, "{text}");
        }
        let mut random = fastrand::Rng::with_seed(18);
        let printable: Vec<char> = ('!'..='~').collect();
        let is_kept = |text: &str| form(text) == Form::Password;
        let mut by_hand = Vec::new();
        for round in 0..5000 {
            let bytes: Vec<u8> = (0..[24, 32, 18, 48][round % 4]).map(|_| random.u8(..)).collect();
            let base64 = STANDARD_NO_PAD.encode(&bytes);
            assert!(is_kept(&base64), "{base64}");
            let length = [12, 16, 20, 40][round % 4];
            let text: String = (0..length).filter_map(|_| random.choice(&printable)).collect();
            if !is_kept(&text) {
                by_hand.push(text);
            }
        }
        // Among characters of all kinds a few happen to read as a name with a password.
        assert!(by_hand.len() <= 2, "{by_hand:?}");
    }

    #[test]
    fn the_field_of_a_json_secret_is_judged_as_a_whole_value_is() {
        let rows = [
            ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "a token that another service issued"),
            ("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "a key file"),
            ("postgres://app:pw@db/shop", "a URL"),
            ("MC4CAQAwBQYDK2VwBCIEIM8Wg832dFTZnRcyYGqiokWESpNhnsQuJWaQZX1ZwdzR", "an encoded file or text"),
        ];
        for (text, what) in rows {
            let json = format!("{{\"username\":\"app\",\"password\":{}}}", *json_field::encode(text));
            assert_eq!(form(&json), Form::Foreign { what, is_text: true }, "{text}");
        }
        let nested = form(r#"{"password":"{\"password\":\"old\"}"}"#);
        assert_eq!(nested, Form::Foreign { what: "a JSON object", is_text: false });
        assert_eq!(form(r#"{"password":""}"#), Form::Field);
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
            ("\"mongodb://u:p@h/x\"", "a URL"),
            ("file:./dev.db", "a URL"),
            ("arn:aws:iam::111122223333:role/x", "the ARN of something else"),
            ("${DB_PASSWORD}", "a placeholder for another value"),
            ("Bearer abcdef0123456789", "a header with credentials"),
            ("app:$apr1$abc$def", "the hash of a password"),
            ("pbkdf2_sha256$260000$abc$def=", "the hash of a password"),
            ("scott/tiger@db.example.com:1521/orclpdb1", "a connection string"),
            ("app:pw@tcp(db:3306)/shop?parseTime=true", "a connection string"),
            ("db.example.com:5432:shop:app:secret", "a connection string"),
            ("x.redis.cache.windows.net:6380,password=abc=,ssl=True", "a connection string"),
            ("HostName=x.azure-devices.net;SharedAccessKeyName=o;SharedAccessKey=abc=", "a connection string"),
            ("(DESCRIPTION=(ADDRESS=(HOST=h)))", "a connection string"),
            ("?sv=2020-08-04&ss=b&srt=sco&sig=abc%3D", "a query string"),
            ("xoxe.xoxp-1-abcdef", "a token that another service issued"),
            ("pscale_pw_abcdef", "a token that another service issued"),
            ("abc8Q~0123456789abcdefghijklmnopqrstuvwxyz", "a token that another service issued"),
            ("123e4567-e89b-42d3-a456-426614174000", "a UUID, such as services issue"),
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "the form of an AWS secret access key"),
            ("app@example.com", "an address"),
            ("LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUIK", "an encoded file or text"), // -----BEGIN PRIVATE KEY-----
            ("eyJ0eXBlIjoic2VydmljZV9hY2NvdW50In0=", "an encoded file or text"),         // {"type":"service_account"}
            ("MDAxY2xvY2F0aW9uIGh0dHA", "an encoded file or text"),
            // Ed25519 and X25519 in PKCS #8, EC in SEC 1, an encrypted key, a public key, Java's keystores, a zip file.
            ("MC4CAQAwBQYDK2VwBCIEIM8Wg832dFTZnRcyYGqiokWESpNhnsQuJWaQZX1ZwdzR", "an encoded file or text"),
            ("MC4CAQAwBQYDK2VuBCIEIM8Wg832dFTZnRcyYGqiokWESpNhnsQuJWaQZX1ZwdzR", "an encoded file or text"),
            (
                "MHcCAQEEIOJxC+LJjpO9Oeff3eLxePl4LqXanv3VVYYi9Cm0OYyEoAoGCCqGSM49AwEHoUQDQgAEhoLG2ZExfiQQcq1M2Ab5/YRefKj6\
              QO5wksY35td6V6tFHH0F2DVJeAU7kD4m4A1HZhKvuUMM0WPX/KaRSwyGoQ==",
                "an encoded file or text",
            ),
            ("MCowBQYDK2VwAyEAwKZCjvlFvvMpqO126sySs7kztAXONmoQqicvamy85Jo=", "an encoded file or text"),
            ("/u3+7QAAAAIAAAABAAAAAQAFYWxpYXM=", "an encoded file or text"),
            ("UEsDBBQAAAAIAAAAIQCpMZ0zRQAAAA==", "an encoded file or text"),
            ("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ==", "an encoded file or text"),
            ("token ghp_0123456789abcdefghijABCDEFGHIJ012345", "a header with credentials"),
            ("Authorization: Bearer abcdefghijkl", "a header with credentials"),
            ("GenieKey 0123", "a header with credentials"),
            ("X-Api-Key: abcdefghijkl", "a header with credentials"),
            ("{123e4567-e89b-42d3-a456-426614174000}", "a UUID, such as services issue"),
            ("{a23e4567-e89b-42d3-a456-426614174000}", "a UUID, such as services issue"),
            ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "a UUID, such as services issue"),
            ("bob:secretpassword", "a user name with its password"),
            ("admin:S3cret!", "a user name with its password"),
            ("h1:9092,h2:9092", "an address"),
            ("CHANGE_ME", "a placeholder or a password that everybody knows"),
            ("<your-password>", "a placeholder or a password that everybody knows"),
            ("TODO", "a placeholder or a password that everybody knows"),
            ("xxxxxxxx", "a placeholder or a password that everybody knows"),
            ("your-api-key-here", "a placeholder or a password that everybody knows"),
            ("localhost", "the name of a host"),
            ("db.internal", "the name of a host"),
            ("10.0.0.1", "an address"),
            ("10.0.0.0/8", "an address"),
            ("fe80::1", "an address"),
            ("[::1]:5432", "an address"),
            ("true", "a setting"),
            ("FALSE", "a setting"),
            ("2026-01-01", "a date"),
            ("2026-01-01T00:00:00Z", "a date"),
            ("0", NUMBER),
            ("5432", NUMBER),
            ("/prod/db/password", "a path"),
            ("/Prod/DB/Password", "a path"),
            ("wIphPDGB3Ne2A9Vv4rVC7nCEC3mCQqLDeUYkNDFtCkg=", "a key"),
            ("0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318", "a key"),
            ("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY", "a key"),
            ("rzp_live_abcdefghij1234", "a token that another service issued"),
            ("/etc/ssl/key.pem", "the path of a file"),
            ("/run/secrets/db", "the path of a file"),
            ("~/.ssh/id_rsa", "the path of a file"),
            ("certs/key.pem", "the path of a file"),
            ("C:\\keys\\server.pfx", "the path of a file"),
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
            r#""oldpassword123""#,
            r#"{"password":"oldpassword123"} trailing"#,
            r#"{"password":"oldpassword123",}x"#,
            r#"[{"password":"oldpassword123"}] trailing"#,
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
