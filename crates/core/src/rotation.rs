//! Rotation of one secret, staged: an untested value is never live (decision D6).
//!
//! create (AWSPENDING) → read it back → finish (AWSCURRENT moves; AWSPREVIOUS keeps the old value) → caches follow.

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::delivery::{Delivery, parse_environment};
use crate::error::{ErrorCode, Result, SecretError};
use crate::name::SecretName;
use crate::notice::Notice;
use crate::source::aws::Aws;
use crate::value::SecretValue;

const LENGTH: usize = 32;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// The largest multiple of the alphabet's size that fits a byte: bytes from there on would favour some letters.
const FAIR: u8 = 248;
/// The field of a JSON secret that is replaced.
const PASSWORD_FIELD: &str = "password";

impl Delivery {
    /// Gives `name` a new generated value in `environment`. Returns whether the new value is live; the reason of a
    /// failure goes to the notices.
    ///
    /// # Errors
    /// `CONFIG_INVALID` for an unknown environment, `CLOSED`. A rotation that fails is `Ok(false)`, as documented
    /// ("Rotation Process").
    pub async fn rotate(&self, name: &SecretName, environment: &str) -> Result<bool> {
        let target = parse_environment("environment", environment)?;
        let id = self.aws_id(name, target);
        let outcome = self
            .open(async {
                let Some(aws) = &self.layer().aws else {
                    return Err(SecretError::new(
                        ErrorCode::RotationFailed,
                        "AWS is switched off (options.aws.enabled)",
                    ));
                };
                rotate_in_aws(aws, &id).await
            })
            .await;
        match outcome {
            Ok(version) => {
                if target == self.environment() {
                    self.layer().forget(name);
                    if let Some(cache) = &self.layer().cache {
                        self.layer().note_undropped(name, cache.supersede(name, &version).await);
                    }
                    self.layer().tell_rotated(name);
                }
                Ok(true)
            }
            Err(error) if error.code() == ErrorCode::Closed => Err(error),
            Err(error) => {
                self.metrics().failed(ErrorCode::RotationFailed);
                self.warn(Notice::warning(
                    ErrorCode::RotationFailed.as_str(),
                    format!("{id}: the old value stays live: {error}"),
                ));
                Ok(false)
            }
        }
    }
}

/// The version id that is live now.
async fn rotate_in_aws(aws: &Aws, id: &str) -> Result<String> {
    let missing = || SecretError::new(ErrorCode::RotationFailed, format!("{id}: AWS has no such secret"));
    let current = aws.fetch(id).await?.ok_or_else(missing)?;
    let old_version = current.version_id.ok_or_else(missing)?;
    let new = next_value(&current.value)?;
    let new_version = aws.put_pending(id, &new, &generate_password()?).await?;
    let staged = aws.fetch_version(id, &new_version).await?.ok_or_else(missing)?;
    if staged.value != new {
        let why = format!("{id}: the staged value reads back differently; it was not made live");
        return Err(SecretError::new(ErrorCode::RotationFailed, why));
    }
    aws.make_current(id, &old_version, &new_version).await?;
    Ok(new_version)
}

/// A new random value; in a JSON object only its password changes.
fn next_value(current: &SecretValue) -> Result<SecretValue> {
    let password = generate_password()?;
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: the new value keeps the shape of the old one")]
    let parsed = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(current.expose());
    let Ok(mut object) = parsed else { return Ok(SecretValue::copied(&password)) };
    if !object.contains_key(PASSWORD_FIELD) {
        let why = "the secret is JSON without a 'password' field; which part to rotate is not known";
        return Err(SecretError::new(ErrorCode::RotationFailed, why));
    }
    object.insert(PASSWORD_FIELD.into(), serde_json::Value::String(password.to_string()));
    Ok(SecretValue::new(serde_json::Value::Object(object).to_string()))
}

fn generate_password() -> Result<Zeroizing<String>> {
    let mut password = Zeroizing::new(String::with_capacity(LENGTH));
    let mut bytes = Zeroizing::new([0u8; LENGTH * 2]);
    while password.len() < LENGTH {
        rand::fill(bytes.as_mut_slice())
            .map_err(|_| SecretError::new(ErrorCode::RotationFailed, "the machine gives no random numbers"))?;
        let letters =
            bytes.iter().filter(|byte| **byte < FAIR).map(|byte| ALPHABET[usize::from(*byte) % ALPHABET.len()]);
        for letter in letters.take(LENGTH - password.len()) {
            password.push(char::from(letter));
        }
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_random_and_of_the_alphabet() {
        let (a, b) = (generate_password().expect("random"), generate_password().expect("random"));
        assert_eq!(a.len(), LENGTH);
        assert!(a.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_ne!(*a, *b);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: test values")]
    fn a_json_secret_changes_only_its_password() {
        let old = SecretValue::copied(r#"{"username":"app","password":"old","port":5432}"#);
        let new = next_value(&old).expect("rotated");
        let new: serde_json::Value = serde_json::from_str(new.expose()).expect("JSON");
        assert_eq!((new["username"].as_str(), new["port"].as_u64()), (Some("app"), Some(5432)));
        assert_ne!(new["password"].as_str(), Some("old"));
        assert!(next_value(&SecretValue::copied(r#"{"token":"x"}"#)).is_err());
    }
}
