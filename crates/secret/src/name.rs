//! Names: what a caller may ask for, and what each source calls it (decision D2).

use std::sync::Arc;

use crate::error::{ErrorCode, Result, SecretError};

/// Longest tool or type name, in bytes.
pub const MAX_PART: usize = 128;
/// Longest secret name: a tool, an underscore and a type.
pub const MAX_NAME: usize = 2 * MAX_PART + 1;

/// A secret's name as every source understands it, such as `GITHUB_API_TOKEN`.
///
/// Only letters, digits, `_` and `-`, starting with a letter or digit: it can go into a path, a key or a URL as it is.
/// A clone is another reference to the same text.
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

/// The name as an error message may show it: escaped and cut, so that a log line stays one line.
fn shown(text: &str) -> String {
    const MOST: usize = 40;
    let mut out: String = text.chars().take(MOST).flat_map(char::escape_default).collect();
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    format!("'{out}'")
}

/// How a secret name becomes an AWS secret id, such as `{name}_{environment}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsIdTemplate {
    before: Box<str>,
    after: Box<str>,
}

impl AwsIdTemplate {
    /// The documented form, `SecretId: ${secretName}_${environment}`.
    pub const DEFAULT: &'static str = "{name}_{environment}";

    /// Reads a template: `{name}` exactly once, `{environment}` any number of times, otherwise AWS's name characters.
    ///
    /// # Errors
    /// What is wrong with it, for a message after the option's path.
    pub fn parse(template: &str) -> std::result::Result<Self, String> {
        let (before, after) =
            template.split_once("{name}").ok_or("must contain {name}, as in '{name}_{environment}'")?;
        if after.contains("{name}") {
            return Err("must contain {name} only once".into());
        }
        for literal in [before, after] {
            let literal = literal.replace("{environment}", "");
            if let Some(wrong) = literal.chars().find(|c| !is_aws_name_char(*c)) {
                return Err(format!("holds {wrong:?}; AWS secret names use letters, digits and /_+=.@-"));
            }
        }
        if template.len() > 200 {
            return Err("is longer than 200 characters".into());
        }
        Ok(Self { before: before.into(), after: after.into() })
    }

    /// The ids of `environment`.
    pub fn of(&self, environment: &str) -> AwsIds {
        let [before, after] = [&self.before, &self.after].map(|part| part.replace("{environment}", environment).into());
        AwsIds { before, after }
    }
}

/// The AWS secret ids of one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsIds {
    /// What stands before the name.
    pub before: Box<str>,
    /// What stands after it.
    pub after: Box<str>,
}

impl AwsIds {
    /// The AWS secret id of `name`.
    pub fn id(&self, name: &SecretName) -> String {
        [&self.before, name.as_str(), &self.after].concat()
    }

    /// The secret name inside an AWS id; `None` when the id is not of this environment.
    pub fn name_in<'id>(&self, id: &'id str) -> Option<&'id str> {
        id.strip_prefix(&*self.before)?.strip_suffix(&*self.after)
    }
}

fn is_aws_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/_+=.@-".contains(c)
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

    #[test]
    fn the_default_template_gives_the_documented_id() {
        let template = AwsIdTemplate::parse(AwsIdTemplate::DEFAULT).expect("valid");
        let name = SecretName::of_tool("github", "api_token").expect("valid");
        let ids = template.of("production");
        assert_eq!(ids.id(&name), "GITHUB_API_TOKEN_production");
        assert_eq!(ids.name_in("GITHUB_API_TOKEN_production"), Some("GITHUB_API_TOKEN"));
        assert_eq!(ids.name_in("GITHUB_API_TOKEN_staging"), None);
    }

    #[test]
    fn templates_are_checked() {
        let template = AwsIdTemplate::parse("tcs/{environment}/{name}").expect("valid");
        let name = SecretName::new("A").expect("valid");
        assert_eq!(template.of("test").id(&name), "tcs/test/A");
        for wrong in ["", "x", "{name}{name}", "{name} ", "{name}_{env}"] {
            assert!(AwsIdTemplate::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
