//! The parts of a secret that are secrets by themselves: services take them out of a JSON secret, a URL or a connection string, and
//! log them alone.

use secret::value::SecretValue;

/// Parts of keys whose values are secrets.
const SECRET_KEYS: [&str; 10] =
    ["pass", "pwd", "secret", "token", "key", "credential", "private", "auth", "signature", "connection"];
/// JSON objects that are nested deeper are not looked into.
const DEEPEST: usize = 8;
/// Members of a connection string.
const MOST_MEMBERS: usize = 64;
/// Characters of a key that are shown.
const MOST_SHOWN: usize = 64;

/// A part, with the name that it is shown by: `NAME#key`, of nested objects `NAME#outer.key`.
pub(crate) type Part = (String, SecretValue);

/// The parts of the secret `name`, each with a name of its own.
pub(crate) fn parts(name: &str, value: &SecretValue) -> Vec<Part> {
    let mut parts = Vec::new();
    walk(value, &format!("{name}#"), 0, &mut parts);
    parts
}

fn walk(value: &SecretValue, path: &str, depth: usize, parts: &mut Vec<Part>) {
    let Ok(keys) = value.keys() else {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: parts of it become other secrets")]
        return in_text(value.expose(), path, parts);
    };
    for key in keys {
        let Ok(Some(field)) = value.field(&key) else { continue };
        let shown = format!("{path}{}", shown(&key));
        if is_secret(&key) {
            push(parts, &shown, field.clone());
        }
        if depth < DEEPEST {
            walk(&field, &format!("{shown}."), depth + 1, parts);
        }
    }
}

/// The password of a URL, and the secret members of a connection string (`Password=…;`, `?password=…&`, `host=… password=…`).
fn in_text(text: &str, path: &str, parts: &mut Vec<Part>) {
    let trimmed = text.trim();
    if let Some(password) = password_of(trimmed) {
        push(parts, &format!("{path}password"), SecretValue::copied(&password));
    }
    let rest = trimmed.split_once('?').map_or(trimmed, |(_, query)| query);
    let members: Vec<_> = rest.split([';', '&', ' ', '\n']).take(MOST_MEMBERS).collect();
    if members.len() == MOST_MEMBERS || (members.len() < 2 && rest.len() == trimmed.len()) {
        return;
    }
    for (key, value) in members.iter().filter_map(|member| member.trim().split_once('=')) {
        let is_key =
            key.len() <= MOST_SHOWN && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte));
        if is_key && is_secret(key) {
            let value = value.trim_matches(['\'', '"', '\r']);
            push(parts, &format!("{path}{}", shown(key)), SecretValue::copied(value));
        }
    }
}

/// The password in the authority of a URL, decoded.
fn password_of(text: &str) -> Option<zeroize::Zeroizing<String>> {
    let (scheme, rest) = text.split_once("://")?;
    if !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.:".contains(&byte)) {
        return None;
    }
    let (user, _) = rest.split(['/', '?', '#']).next()?.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    let mut bytes = Vec::with_capacity(password.len());
    let mut rest = password.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    Some(zeroize::Zeroizing::new(String::from_utf8(bytes).unwrap_or_else(|_| password.to_owned())))
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_KEYS.iter().any(|part| key.contains(part))
}

/// A key as part of a name.
fn shown(key: &str) -> String {
    let visible = |character: char| match character {
        character if character.is_ascii_alphanumeric() || "_-.".contains(character) => character,
        _ => '_',
    };
    key.chars().take(MOST_SHOWN).map(visible).collect()
}

/// A name stands for one value: two parts with one name would end each other.
fn push(parts: &mut Vec<Part>, name: &str, value: SecretValue) {
    if value.is_empty() {
        return;
    }
    let is_known = |name: &str, parts: &[Part]| parts.iter().any(|(known, _)| known == name);
    let mut unique = name.to_owned();
    for number in 2.. {
        if !is_known(&unique, parts) {
            break;
        }
        unique = format!("{name}~{number}");
    }
    parts.push((unique, value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        #[expect(clippy::disallowed_methods, reason = "EXPOSE: values of a test")]
        let shown = |(name, value): Part| (name, value.expose().to_owned());
        parts("N", &SecretValue::copied(text)).into_iter().map(shown).collect()
    }

    fn one(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn secret_fields_are_parts_however_deep_they_are_nested() {
        let text = r#"{"host":"h","db":{"password":"correct-horse","user":"u"},"n":{"m":{"api_key":12345678}}}"#;
        let expected = [one("N#db.password", "correct-horse"), one("N#n.m.api_key", "12345678")].concat();
        assert_eq!(found(text), expected);
        let deep = format!("{}{{\"password\":\"x\"}}{}", "{\"a\":".repeat(5000), "}".repeat(5000));
        assert_eq!(found(&deep), []);
    }

    #[test]
    fn keys_that_look_alike_have_names_of_their_own() {
        let text = r#"{"pass wörd":"first-value","pass-wörd":"x","pass\twörd":"second-value","pass=":{}}"#;
        let names: Vec<String> = found(text).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["N#pass_w_rd", "N#pass-w_rd", "N#pass_w_rd~2", "N#pass_"]);
    }

    #[test]
    fn a_url_and_a_connection_string_have_a_password() {
        for (text, name, password) in [
            ("postgres://app:s3cr%2Fet%zz@db:5432/orders?sslmode=require", "N#password", "s3cr/et%zz"),
            ("redis://:only-password@cache", "N#password", "only-password"),
            ("amqps://u:p@ss@w@mq//", "N#password", "p@ss@w"),
            ("jdbc:postgresql://h/db?user=u&password=correct-horse", "N#password", "correct-horse"),
            ("Server=h;Database=d;User Id=u;Password='correct;horse", "N#Password", "correct"),
            ("AccountName=n;AccountKey=a+/b==;EndpointSuffix=x", "N#AccountKey", "a+/b=="),
            ("host=h port=5432 password=correct-horse", "N#password", "correct-horse"),
        ] {
            assert_eq!(found(text), one(name, password), "{text}");
        }
        for text in
            ["https://api.example.com/v1", "user:password@host", "http://h/a?b=c@d:e", "a sentence, key = x", "token="]
        {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
