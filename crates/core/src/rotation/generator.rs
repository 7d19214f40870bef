//! New values.

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::policy::PasswordRules;
use secret::error::{ErrorCode, Result, SecretError};
use secret::json_field::{self, Kind};
use secret::value::SecretValue;

/// The new value of a secret that is `current` now: the password, or, in a JSON object, the object with its password
/// field replaced and every other byte as it was (decision D18).
///
/// # Errors
/// `ROTATION_FAILED` for a JSON object in which the field is no string: what to rotate is not known.
pub fn with_password(current: &SecretValue, password: &str, rules: &PasswordRules) -> Result<SecretValue> {
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: the new value keeps the shape of the old one")]
    let text = current.expose();
    let Ok(found) = json_field::find(text, &rules.field) else { return Ok(SecretValue::copied(password)) };
    if let Some(field) = found.filter(|field| field.kind() == Kind::Text) {
        return Ok(SecretValue::copied(&field.with_text(text, password)));
    }
    let field = &rules.field;
    let why = format!("the secret is JSON without a text '{field}'; which part to rotate is not known");
    Err(SecretError::new(ErrorCode::RotationFailed, why))
}

/// The JSON object `current` with the text `new` in its field `field`, and every other byte as it was.
///
/// # Errors
/// `ROTATION_FAILED` where the field is no string.
pub fn with_field(current: &SecretValue, new: &SecretValue, field: &str) -> Result<SecretValue> {
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: the new value keeps the shape of the old one")]
    let (text, new) = (current.expose(), new.expose());
    match json_field::find(text, field) {
        Ok(Some(found)) if found.kind() == Kind::Text => Ok(SecretValue::copied(&found.with_text(text, new))),
        _ => {
            let why = format!("the field '{field}' of the secret is missing or no text; it cannot be replaced");
            Err(SecretError::new(ErrorCode::RotationFailed, why))
        }
    }
}

/// A random password by the rules, from the machine's random numbers.
///
/// # Errors
/// `ROTATION_FAILED` when the machine gives none.
pub fn password(rules: &PasswordRules) -> Result<Zeroizing<String>> {
    let alphabet: Vec<char> = rules.alphabet.chars().collect();
    let count = u32::try_from(alphabet.len()).unwrap_or(u32::MAX).max(1);
    // The largest multiple of the alphabet's size: numbers from there on would favour some characters.
    let fair = u32::MAX - u32::MAX % count;
    let mut password = Zeroizing::new(String::with_capacity(rules.length as usize * 4));
    let mut left = rules.length;
    while left > 0 {
        let mut bytes = Zeroizing::new([0u8; 4]);
        rand::fill(bytes.as_mut_slice())
            .map_err(|_| SecretError::new(ErrorCode::RotationFailed, "the machine gives no random numbers"))?;
        let number = u32::from_ne_bytes(*bytes);
        if number < fair
            && let Some(character) = alphabet.get((number % count) as usize)
        {
            password.push(*character);
            left -= 1;
        }
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(length: u32, alphabet: &str) -> PasswordRules {
        PasswordRules { length, alphabet: alphabet.into(), ..PasswordRules::default() }
    }

    #[test]
    fn passwords_are_random_and_by_their_rules() {
        let (a, b) = (password(&PasswordRules::default()).expect("one"), password(&PasswordRules::default()));
        assert_eq!(a.len(), 32);
        assert!(a.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(*a, *b.expect("another"));
        let odd = password(&rules(200, "ab€")).expect("one");
        assert_eq!(odd.chars().count(), 200);
        assert!("ab€".chars().all(|character| odd.contains(character)), "every character is used");
        assert_eq!(&**password(&rules(3, "x")).expect("one"), "xxx");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: test values")]
    fn a_json_secret_changes_only_its_password() {
        let old = "{ \"port\":5432.00,\"id\":123456789012345678901,\n\"password\" : \"o\\u006cd\",\"password2\":\"x\",\"a\":\"\\u00e9\\/\" }";
        let new = with_password(&SecretValue::copied(old), "n\"ew", &PasswordRules::default()).expect("rotated");
        assert_eq!(new.expose(), old.replace("\"o\\u006cd\"", "\"n\\\"ew\""));
        let old = SecretValue::copied(r#"{"username":"app","password":"old"}"#);
        let token = PasswordRules { field: "token".into(), ..PasswordRules::default() };
        assert!(with_password(&old, "new", &token).is_err());
        assert_eq!(with_password(&SecretValue::copied("plain"), "new", &token).expect("text").expose(), "new");
    }
}
