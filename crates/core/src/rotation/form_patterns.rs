//! The forms of values that no generated password has, as regular expressions.

/// What a pure number is called.
pub(super) const NUMBER: &str = "a number";

/// A UUID, or a ULID of the years 2004 to 2039.
pub(super) const UUIDS: &str = concat!(
    r"^\{?[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?$|",
    r"^01[0-9A-HJKMNP-TV-Z]{24}$|^01[0-9a-hjkmnp-tv-z]{24}$",
);

/// What configures something and is no secret. A name of a host ends in a domain that there is, or that networks have inside: words with
/// points between them may be a password.
pub(super) const SETTINGS: [(&str, &str); 5] = [
    (r"^(?i:true|false|yes|no|on|off|enabled|disabled)$", "a setting"),
    (r"^-?[0-9]{1,15}(\.[0-9]+)?$", NUMBER),
    (
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$",
        "a date",
    ),
    (
        concat!(
            r"^(localhost|([a-z]+(-[a-z]+)*-?[0-9]*\.)+[a-z]{2}|([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+",
            r"(com|net|org|edu|gov|info|biz|app|dev|cloud|tech|online|site|network|local|localdomain|internal|lan|corp|",
            r"intranet|home|private|svc|arpa|test|example|invalid)\.?)$",
        ),
        "the name of a host",
    ),
    // Words alone: base64 begins with a slash as often as with any other character, and has others.
    (r"^(/([a-z][a-z0-9_.-]+|[A-Z][A-Z0-9_]+|([A-Z][a-z]+)+)){2,}/?$", "a path"),
];

/// The first that matches counts. The whole text is matched where a part would be too little: a generator may use any
/// characters, and what it made has to stay a password.
pub(super) const FORMS: [(&str, &str); 25] = [
    (r"-----BEGIN [A-Z0-9 ]*(CERTIFICATE|PKCS7|X509 CRL)", "a certificate"),
    (KEYS, "a key"),
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
    (YET_MORE_TOKENS, "a token that another service issued"),
    (ENCRYPTED, "a text that another program encrypted"),
    (UUIDS, "a UUID, such as services issue"),
    (CONNECTIONS, "a connection string"),
    (r"^\??[A-Za-z_]+=[^&\s]*(&[A-Za-z_]+=[^&\s]*){2,}$", "a query string"),
    (
        r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[a-z]{2,}$|^[A-Za-z0-9.-]+:[0-9]{2,5}([,;] ?[A-Za-z0-9.-]+:[0-9]{2,5})*$",
        "an address",
    ),
    (NAMED, "a setting with its name"),
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
    r"^(pbkdf2|bcrypt|scrypt|argon2)[a-z0-9_]*(:[a-z0-9]+)*\$|^sha(1|256|384|512)[:-][A-Za-z0-9+/=]{20,}$",
);

/// Of Ethereum, 32 or 64 random bytes as services make them, of NATS and Stellar, of Bitcoin's wallets.
const KEYS: &str = concat!(
    r"^0x[0-9a-fA-F]{40}([0-9a-fA-F]{24})?$|^[A-Za-z0-9+/]{43}=$|^[A-Za-z0-9+/]{86}==$|^S[UAOCNX][A-Z2-7]{56}$|^S[A-Z2-7]{55}$|",
    r"^[xyzt](prv|pub)[1-9A-HJ-NP-Za-km-z]{100,112}$",
);

/// SOPS, Rails, sealed values of Ansible and Jasypt.
const ENCRYPTED: &str = concat!(
    r"^ENC\[[A-Z0-9_]+,|^ENC\([A-Za-z0-9+/=]{8,}\)$|",
    r"^[A-Za-z0-9+/]{8,}={0,2}--[A-Za-z0-9+/]{8,}={0,2}--[A-Za-z0-9+/]{8,}={0,2}$",
);

/// A line of a configuration file, names in a directory, keys with their numbers, an AWS key with its secret.
const NAMED: &str = concat!(
    r"(?i)^(\[[\w. -]+\]\s*)?([a-z]+[_.-])*(password|passwd|pass|pwd|secret|token|api_?key|access_?key(_id)?)\s*[:=]\s*\S|",
    r"(?i)^(cn|uid|ou|dc|o)=[^,=]+(,\s*(cn|uid|ou|dc|o|c|l|st)=[^,=]+)+$|",
    r"^[\w-]{2,}:[\w+/=-]{4,}(,[\w-]{2,}:[\w+/=-]{4,})+$|^(AKIA|ASIA)[A-Z0-9]{16}[:,;/ ]\S|^(tcp|unix)\([^()]+\)/",
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
    r"sk-|sk_(live|test)_|rzp_(live|test)_|rk_(live|test)_|pk_(live|test)_|whsec_|",
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

/// A third list.
const YET_MORE_TOKENS: &str = concat!(
    r"^(lsv2_(pt|sk)_|pcsk_|essu_|pk_[0-9a-f]{34}$|[A-Za-z0-9_-]{11}:APA91b|IGQ[A-Za-z0-9_-]{40}|v1\.0-[0-9a-f]{20}|",
    r"access_token\$(production|sandbox)\$|[0-9a-f]{30,40}NRAL$|st\.[0-9a-f-]{20,36}\.|[0-9a-f]{32}FFFFNRAL$)",
);

#[cfg(test)]
mod tests {
    use super::super::form::Form;
    use secret::value::SecretValue;

    fn form(text: &str) -> Form {
        Form::of(&SecretValue::copied(text), Some("password"))
    }

    #[test]
    fn what_other_programs_read_is_told_apart() {
        let hex = "0123456789abcdef0123456789abcdef01";
        let rows = [
            ("password = \"x1y2z3\"".to_owned(), "a setting with its name"),
            ("db_password: x1y2z3".to_owned(), "a setting with its name"),
            ("[db] password=x1y2z3".to_owned(), "a setting with its name"),
            ("aws_access_key_id=AKIAIOSFODNN7EXAMPLE".to_owned(), "a setting with its name"),
            ("AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI".to_owned(), "a setting with its name"),
            ("uid=app,ou=services,dc=example,dc=com".to_owned(), "a setting with its name"),
            ("tcp(db:3306)/app?tls=true".to_owned(), "a setting with its name"),
            ("k1:c2VjcmV0,k2:c2VjcmV0".to_owned(), "a setting with its name"),
            ("ENC[AES256_GCM,data:Yw==,iv:YQ==,tag:Yg==,type:str]".to_owned(), "a text that another program encrypted"),
            ("bm90aGluZw==--bm90aGluZw==--bm90aGluZw==".to_owned(), "a text that another program encrypted"),
            (format!("{}==", "A1".repeat(43)), "a key"),
            (format!("xprv{}", "9s".repeat(53)), "a key"),
            (format!("lsv2_pt_{hex}"), "a token that another service issued"),
            (format!("pk_{hex}"), "a token that another service issued"),
            (format!("v1.0-{hex}"), "a token that another service issued"),
            (format!("access_token$production${hex}"), "a token that another service issued"),
            (format!("{hex}NRAL"), "a token that another service issued"),
            (format!("st.{hex}.{hex}"), "a token that another service issued"),
            ("scrypt:32768:8:1$c2FsdA$0123456789abcdef".to_owned(), "the hash of a password"),
        ];
        for (text, what) in rows {
            assert_eq!(form(&text), Form::Foreign { what, is_text: true }, "{text}");
        }
    }

    #[test]
    fn json_that_is_written_in_other_ways_is_no_password() {
        for text in [
            r#"{/* of the shop */"username":"app","password":"old"}"#,
            "{// of the shop\n\"password\":\"old\"}",
            r#"{\"username\":\"app\",\"password\":\"old\"}"#,
            "%7B%22username%22%3A%22app%22%7D",
        ] {
            assert!(matches!(form(text), Form::Foreign { .. }), "{text}");
        }
    }
}
