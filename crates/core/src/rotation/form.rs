//! What a value looks like: whether a generated text may take its place (decision D17).
//!
//! A password is whatever two systems agree on. Most other secrets are made by somebody: a certificate by an authority, a
//! token by the service that checks it, a URL by whoever runs the host that it names. A random text in their place opens
//! nothing.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex::Regex;
use zeroize::Zeroizing;

use secret::json_field::{self, Kind};
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
        let what = foreign(trimmed).or_else(|| encoded(trimmed)).or(too_long);
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
    const BEGINS: &str = r#"(?s)^\[?\s*\{\s*("[^"]+"|'[^']+')\s*:\s*["'\[{0-9tfn-]|^(\{\s*\{?\s*("[^"]*"|'[^']*'|[A-Za-z_][\w.-]*)\s*([:=].*)?\}|\{\s*\}|\[\s*(["'\[{].*|-?[0-9.]+\s*,.*|-?[0-9.]+|true.*|null.*)?\s*\])$"#;
    static JSON: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(BEGINS).ok());
    is_match(&JSON, text)
}

fn is_match(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// A UUID, or a ULID of the years 2004 to 2039.
static UUID: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(UUIDS).ok());
const UUIDS: &str = concat!(
    r"^\{?[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?$|",
    r"^01[0-9A-HJKMNP-TV-Z]{24}$|^01[0-9a-hjkmnp-tv-z]{24}$",
);

/// What `text` is, when it is none of the passwords that a generator makes.
fn foreign(text: &str) -> Option<&'static str> {
    static FORMS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
        let form = |(pattern, what): (&str, &'static str)| Some((Regex::new(pattern).ok()?, what));
        FORM_PATTERNS.iter().copied().filter_map(form).collect()
    });
    FORMS.iter().find(|(pattern, _)| pattern.is_match(text)).map(|(_, what)| *what)
}

/// The first that matches counts. The whole text is matched where a part would be too little: a generator may use any
/// characters, and what it made has to stay a password.
const FORM_PATTERNS: [(&str, &str); 21] = [
    (r"-----BEGIN [A-Z0-9 ]*(CERTIFICATE|PKCS7|X509 CRL)", "a certificate"),
    (r"-----BEGIN |^AGE-SECRET-KEY-1|^PuTTY-User-Key-File|^\$ANSIBLE_VAULT;", "a key file"),
    (r"^(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ AAAA", "an SSH key"),
    (r"^[A-Za-z][A-Za-z0-9+.-]*://|^(jdbc|data|mailto|urn|otpauth|sqlserver|file|sqlite|vault|ssm):", "a URL"),
    (r"^arn:aws[a-z-]*:", "the ARN of something else"),
    (r"^\$\{[^}]*\}$|^\$[A-Z][A-Z0-9_]*$", "a placeholder for another value"),
    (HEADERS, "a header with credentials"),
    (r"^eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.", "a JSON web token"),
    (r"^v[1-4]\.(local|public)\.", "a PASETO token"),
    (HASHES, "the hash of a password"),
    (TOKENS, "a token that another service issued"),
    (MORE_TOKENS, "a token that another service issued"),
    (UUIDS, "a UUID, such as services issue"),
    (CONNECTIONS, "a connection string"),
    (r"^\??[A-Za-z_]+=[^&\s]*(&[A-Za-z_]+=[^&\s]*){2,}$", "a query string"),
    (
        r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[a-z]{2,}$|^[A-Za-z0-9.-]+:[0-9]{2,5}([,;] ?[A-Za-z0-9.-]+:[0-9]{2,5})*$",
        "an address",
    ),
    (PATHS, "the path of a file"),
    (USERS, "a user name with its password"),
    (r"^([a-z]{3,8} ){11,23}[a-z]{3,8}$", "a recovery phrase"),
    (
        r"(?s)^<(\?xml|!DOCTYPE|!--)|^<[A-Za-z][\w.:-]*[\s/>].*</?[A-Za-z][\w.:-]*>$|^<[A-Za-z][\w.:-]*\s*/>$",
        "a document",
    ),
    (r"[\r\n]", "a text of several lines"),
];

/// What programs keep instead of a password, with a user name before it in files of users.
const HASHES: &str = concat!(
    r"^([^\s:]+:)?\$(2[abxy]?|5|6|7|y|1|apr1|H|P|S|scrypt|argon2(id|i|d)|pbkdf2[a-z0-9-]*)\$[A-Za-z0-9./=,+$:_-]+$|^\$A\$005\$|",
    r"^\{(SSHA|SHA|CRYPT|SSHA512)[0-9]*\}|^SCRAM-SHA-(1|256|512)\$|^\*[0-9A-F]{40}$|^md5[0-9a-f]{32}$|",
    r"^(pbkdf2|bcrypt|scrypt|argon2)[a-z0-9_]*\$|^sha(1|256|384|512)[:-][A-Za-z0-9+/=]{20,}$",
);

/// What HTTP sends. A sentence may begin with most of these words.
const HEADERS: &str = concat!(
    r"^(Bearer|Basic|Token|ApiKey|Digest) [!-~]{6,}|^(GenieKey|SSWS|Splunk|Bot|Hawk) [!-~]{4,}$|",
    r"(?i)^(bearer|basic|token|apikey|api-key|geniekey) ([!-~]*[0-9_=][!-~]*|[!-~]{16,})$|",
    r"(?i)^((proxy-)?authorization|(set-)?cookie|x-[a-z-]{3,40}) ?[:=] *[!-~]{4,}",
);

/// Paths. Base64 has slashes as well, and begins with one as often as with any other character.
const PATHS: &str = concat!(
    r"^/(etc|var|usr|opt|home|root|run|tmp|mnt|srv|app|apps|data|secrets?|dev|proc|private|Users|Volumes|certs?|keys|vault)(/[\w.@+-]+)+/?$|",
    r"^(~|\.\.?)?/[\w.@+-]+(/[\w.@+-]+)*\.[a-z][a-z0-9]{1,9}$|^(~|\.\.?)(/[\w.@+-]+){2,}$|",
    r"^[\w.-]+(/[\w.-]+)+\.(pem|key|crt|cer|der|p12|pfx|jks|json|ya?ml|toml|ini|conf|env|txt)$|",
    r"^[A-Z]:\\[\w .-]+(\\[\w .-]+)*$|^\\\\[\w.-]+(\\[\w .$-]+)+$",
);

/// A name, a colon, a password, as HTTP's Basic has them. Where the name could be any the password has no punctuation, which leaves
/// generated texts that happen to have a colon what they are.
const USERS: &str = concat!(
    r"^[A-Z]?[a-z]{2}[a-z0-9._@-]{1,60}:[A-Za-z0-9._~+/=-]{4,}$|",
    r"^(root|admin|administrator|user|guest|app|postgres|mysql|elastic|neo4j|rabbitmq|service|svc|default)[a-z0-9._-]{0,30}:[!-~]{4,}$",
);

/// What drivers connect with that is no URL.
const CONNECTIONS: &str = concat!(
    r"(?i)(^|[;\s])(server|host|hostname|hostaddr|data source|user id|uid|username|user|dbname|database|driver|provider|",
    r"accountkey|accountname|endpoint|sharedaccesskey|sharedaccesskeyname|instrumentationkey)\s*=\s*[^;\s]+[;\s].*=|",
    r"^\(description\s*=|^[a-z0-9_]+/[^\s@]+@[a-z0-9.-]+:[0-9]{2,5}/[a-z0-9._-]+$|@(tcp|unix)\([^()]+\)/|",
    r"^[a-z0-9.*-]+:([0-9]{2,5}|\*):[^:\s]+:[^:\s]+:|^[a-z0-9.-]+:[0-9]{2,5},.*(password|ssl|abortconnect|user)\s*=",
);

/// Tokens that carry the mark of the service that issued them.
const TOKENS: &str = concat!(
    r"^(gh[pousr]_|github_pat_|gl[a-z]{2,6}-|xox[a-z](\.xox[a-z])?-|xapp-|xwfp-|",
    r"sk-|sk_(live|test)_|rk_(live|test)_|pk_(live|test)_|whsec_|",
    r"AIza[0-9A-Za-z_-]{30}|ya29\.|GOCSPX-|1//0|npm_|pypi-|rubygems_|nuget_|oy2[a-z0-9]{40}|",
    r"SG\.|key-[0-9a-f]{32}$|do[opr]_v1_|hf_|shp(at|ca|pa|ss)_|dckr_(pat|oat)_|hv[sbr]\.|s\.[A-Za-z0-9]{24}$|",
    r"lin_(api|oauth)_|sq0[a-z]{3}-|EAAA[A-Za-z0-9_-]{20}|figd_|PMAK-|gls?a_|glc_|dapi[0-9a-f]{32}|dp\.(pt|st|ct|sa)\.|",
    r"ATATT3|ATBB|secret_[A-Za-z0-9]{40}|ntn_|pat-(na|eu)[0-9]-|NRAK-|NRII-|phc_|phx_|sntry[su]_|rpa_|r8_|tskey-|",
    r"(AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}$|AC[0-9a-f]{32}$|SK[0-9a-f]{32}$|[0-9]{8,10}:AA[A-Za-z0-9_-]{33}$|",
    r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}$|amzn\.|EZ(AK|TK)|sl\.[A-Za-z0-9_-]{100}|",
    r"[0-9a-f]{32}-us[0-9]{1,2}$|xkeysib-|re_[A-Za-z0-9]{8}_|sbp_|sb_secret_|vercel_|nvapi-|pplx-|gsk_|AGPA|CCIPAT_)",
);
/// The same, in a list of its own because a regular expression has a size limit.
const MORE_TOKENS: &str = concat!(
    r"^(HRKU-|FlyV1 |fo1_|[A-Za-z0-9]{14}\.atlasv1\.|pscale_(tkn|pw|oauth)_|.{3}[0-9]Q~[A-Za-z0-9_.~-]{30,}$|",
    r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}$|EAA[A-Za-z0-9]{40,}$|A{20}[A-Za-z0-9%]{30}|bk[au]a_|bkct_|pul-[0-9a-f]{40}$|nfp_|rnd_|CFPAT-|",
    r"CLOJARS_|xai-|ABSK[A-Za-z0-9+/]{60}|ops_eyJ|(sdk|api|mob)-[0-9a-f]{8}-[0-9a-f]{4}-|[ps]k\.eyJ|ico-[A-Za-z0-9]{32}$|pn[ub]_|",
    r"shippo_(live|test)_|tfp_|y0_|AQVN|LTAI[A-Za-z0-9]{12}|AKCp[0-9A-Za-z]{60}|cmVmdGtu|sq[apu]_[0-9a-f]{40}$|dt0[a-z][0-9]{2}\.|",
    r"FLW(SECK|PUBK)|duffel_(live|test)_|napi_|cio[A-Za-z0-9]{32}$|[12]/[0-9]{16}[/:]|ATTA[A-Za-z0-9]{40}|ATCTT3|",
    r"IQoJb3JpZ2lu|F[Qw]oGZXIvYXdz|[01]\.A[A-Za-z0-9_-]{100})",
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
    fn passwords_of_all_kinds_stay_passwords() {
        let of_people =
            ["Tr0ub4dor&3", "hunter2", "Sommer2026!", "correct-horse-battery-staple", "a:b", "token of thanks"];
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
