//! Names: what a caller may ask for, and what the sources other than AWS call it (decision D2).

use std::sync::Arc;

use crate::error::{ErrorCode, Result, SecretError};
use crate::reference::Reference;
use crate::role::{Role, divided, joined};

/// What stands before an AWS id that copies go by. No name has a colon.
const OF_AWS: &str = "aws:";

/// Longest tool or type name, in bytes.
pub const MAX_PART: usize = 128;
/// Longest secret name: a tool, an underscore and a type.
pub const MAX_NAME: usize = 2 * MAX_PART + 1;

/// A secret's name as every source understands it, such as `GITHUB_API_TOKEN`; or what the copies of an AWS secret go by that
/// has a reference, such as `aws:prod/github`.
///
/// A name has only letters, digits, `_` and `-`, starting with a letter or digit: it can go into a path, a key or a URL as it
/// is. A clone is another reference to the same text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretName(Arc<str>);

impl SecretName {
    /// Checks a name given as it is (`getSecret`). The case is kept.
    ///
    /// # Errors
    /// `SECRET_NAME_INVALID`.
    pub fn new(text: &str) -> Result<Self> {
        check("secret name", text, MAX_NAME)?;
        Ok(Self(text.into()))
    }

    /// `${TOOL}_${TYPE}`, upper-cased as ASCII (`getToolSecret`).
    ///
    /// # Errors
    /// `SECRET_NAME_INVALID`.
    pub fn of_tool(tool: &str, secret_type: &str) -> Result<Self> {
        check("tool name", tool, MAX_PART)?;
        check("secret type", secret_type, MAX_PART)?;
        let mut name = String::with_capacity(tool.len() + 1 + secret_type.len());
        name.push_str(tool);
        name.push('_');
        name.push_str(secret_type);
        name.make_ascii_uppercase();
        Ok(Self(name.into()))
    }

    /// What the copies of the AWS secret `id` go by, of its live version or of the one labelled `stage`, as `role` reads it.
    pub fn of_aws(id: &str, stage: Option<&str>, role: Option<&Role>) -> Self {
        let id = joined(id, role);
        Self(match stage {
            Some(stage) => format!("{OF_AWS}{id}?{stage}").into(),
            None => format!("{OF_AWS}{id}").into(),
        })
    }

    /// Reads what another instance, or a memory of copies, calls a secret: a name, or the form of [`SecretName::of_aws`].
    ///
    /// # Errors
    /// `SECRET_NAME_INVALID`.
    pub fn of_copy(text: &str) -> Result<Self> {
        let Some(id) = text.strip_prefix(OF_AWS) else { return Self::new(text) };
        let (id, stage) = id.split_once('?').map_or((id, None), |(id, stage)| (id, Some(stage)));
        let (id, role) = divided(id);
        let is_role = role.is_none_or(|key| Role::of_key(key).is_some_and(|role| role.key() == key));
        match Reference::new(id, None, stage) {
            Ok(_) if is_role => Ok(Self(text.into())),
            Ok(_) => {
                let why = format!("secret {} names no role", shown(text));
                Err(SecretError::new(ErrorCode::SecretNameInvalid, why))
            }
            Err(why) => Err(SecretError::new(ErrorCode::SecretNameInvalid, format!("secret {} {why}", shown(text)))),
        }
    }

    /// The AWS id without its role, and the label of another version than the live one, where copies go by them.
    pub fn aws_id(&self) -> Option<(&str, Option<&str>)> {
        let id = self.0.strip_prefix(OF_AWS)?;
        let (id, stage) = id.split_once('?').map_or((id, None), |(id, stage)| (id, Some(stage)));
        Some((divided(id).0, stage))
    }

    /// What AWS is asked for, with role and label, where copies go by it.
    pub fn asked(&self) -> Option<&str> {
        self.0.strip_prefix(OF_AWS)
    }

    /// The role that reads it, where it is another than the identity of the delivery.
    pub fn role(&self) -> Option<Role> {
        let id = self.0.strip_prefix(OF_AWS)?;
        let id = id.split_once('?').map_or(id, |(id, _)| id);
        Role::of_key(divided(id).1?)
    }

    /// Whether it is an AWS id rather than a name.
    pub fn is_of_aws(&self) -> bool {
        self.0.starts_with(OF_AWS)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Another reference to the text.
    pub fn text(&self) -> Arc<str> {
        self.0.clone()
    }

    /// What env files and process variables may call it: the name, and the `-` to `_` form where it differs.
    pub fn variable_names(&self) -> impl Iterator<Item = String> {
        let plain = self.0.to_string();
        let underscored = plain.contains('-').then(|| plain.replace('-', "_"));
        std::iter::once(plain).chain(underscored)
    }

    /// What a mounted directory may call it: the variable names, then lower case, then kebab case
    /// (`DATABASE_URL` is also `database_url` and `database-url`, the document's Kubernetes keys).
    pub fn file_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::with_capacity(4);
        let lower = self.0.to_ascii_lowercase();
        let kebab = lower.replace('_', "-");
        for name in self.variable_names().chain([lower, kebab]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

impl std::borrow::Borrow<str> for SecretName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Checks a tool name and returns the prefix its secrets share, such as `GITHUB_`.
///
/// # Errors
/// `SECRET_NAME_INVALID`.
pub fn tool_prefix(tool: &str) -> Result<String> {
    check("tool name", tool, MAX_PART)?;
    Ok(format!("{}_", tool.to_ascii_uppercase()))
}

/// Checks a tool name.
///
/// # Errors
/// `SECRET_NAME_INVALID`.
pub fn check_part(what: &str, text: &str) -> Result<()> {
    check(what, text, MAX_PART)
}

fn check(what: &str, text: &str, max: usize) -> Result<()> {
    let bytes = text.as_bytes();
    let why = if bytes.is_empty() {
        "it is empty".to_owned()
    } else if bytes.len() > max {
        format!("it has {} bytes, {max} are allowed", bytes.len())
    } else if !bytes[0].is_ascii_alphanumeric() {
        "it must start with a letter or digit".to_owned()
    } else if let Some(at) = bytes.iter().position(|b| !is_name_byte(*b)) {
        format!("only letters, digits, '_' and '-' are allowed (byte {at} is not)")
    } else {
        return Ok(());
    };
    Err(SecretError::new(ErrorCode::SecretNameInvalid, format!("{what} {} is not valid: {why}", shown(text))))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The name as an error message may show it, so that a log line stays one line.
fn shown(text: &str) -> String {
    const MOST: usize = 40;
    format!("'{}'", crate::shown::at_most(MOST, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_secret_is_tool_and_type_in_upper_case() {
        let name = SecretName::of_tool("gitHub", "api-token").expect("valid");
        assert_eq!(name.as_str(), "GITHUB_API-TOKEN");
        assert_eq!(name.variable_names().collect::<Vec<_>>(), ["GITHUB_API-TOKEN", "GITHUB_API_TOKEN"]);
    }

    #[test]
    fn a_plain_name_keeps_its_case() {
        assert_eq!(SecretName::new("Session_key").expect("valid").as_str(), "Session_key");
    }

    #[test]
    fn mounted_files_may_use_the_documented_kebab_case() {
        let name = SecretName::new("DATABASE_URL").expect("valid");
        assert_eq!(name.file_names(), ["DATABASE_URL", "database_url", "database-url"]);
    }

    #[test]
    fn bad_names_are_refused_with_a_one_line_reason() {
        for wrong in
            ["", "../etc/passwd", "a/b", "a\0b", "-a", "_a", "a b", "tökén", "a\nb", "\u{fffd}", &"x".repeat(300)]
        {
            let error = SecretName::new(wrong).expect_err(wrong);
            assert_eq!(error.code(), ErrorCode::SecretNameInvalid);
            assert!(!error.to_string().contains(['\n', '\0']), "{error}");
            assert!(SecretName::of_tool(wrong, "t").is_err(), "{wrong:?}");
            assert!(SecretName::of_tool("t", wrong).is_err(), "{wrong:?}");
        }
        assert!(SecretName::of_tool(&"x".repeat(128), &"y".repeat(128)).is_ok());
        assert!(SecretName::of_tool(&"x".repeat(129), "y").is_err());
    }
}
