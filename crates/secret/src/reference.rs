//! References: which AWS secret a declared name is, and which part of it (decision D14).

use std::sync::Arc;

use crate::role::{Role, is_account};

/// Longest id that AWS takes, in characters.
///
/// # Source
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
const MAX_AWS_NAME: usize = 512;
/// Longest ARN, and longest field.
const MAX_ARN: usize = 2048;
/// The staging label of the live version.
const CURRENT: &str = "AWSCURRENT";

/// An AWS secret, and perhaps a field of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// A name, an ARN, or an ARN without its random ending. It may hold `{environment}`.
    pub id: Box<str>,
    /// The field of a JSON secret. It may hold `{environment}`.
    pub field: Option<Box<str>>,
    /// Another version than the live one.
    pub stage: Option<Box<str>>,
    /// The role that reads it, instead of the identity of the delivery.
    pub role: Option<Arc<Role>>,
}

impl Reference {
    /// Reads `id` or `id#field`.
    ///
    /// # Errors
    /// What is wrong with it, for a message after the option's path.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (id, field) = match text.split_once('#') {
            Some((id, field)) => (id, Some(field)),
            None => (text, None),
        };
        Self::new(id, field, None)
    }

    /// A reference of its parts.
    ///
    /// # Errors
    /// As [`Reference::parse`].
    pub fn new(id: &str, field: Option<&str>, stage: Option<&str>) -> Result<Self, String> {
        check_id(&id.replace("{environment}", "e"))?;
        if let Some(field) = field {
            check_field(field)?;
        }
        let stage = match stage {
            Some(stage) if stage.is_empty() || stage.len() > 256 || !stage.bytes().all(|b| b.is_ascii_graphic()) => {
                return Err("has a versionStage that is no staging label".into());
            }
            stage => stage.filter(|stage| *stage != CURRENT),
        };
        Ok(Self { id: id.into(), field: field.map(Into::into), stage: stage.map(Into::into), role: None })
    }

    /// The same reference, read as `role`.
    #[must_use]
    pub fn read_as(self, role: Option<Arc<Role>>) -> Self {
        Self { role, ..self }
    }

    /// The reference in `environment`.
    #[must_use]
    pub fn of(&self, environment: &str) -> Self {
        let fill = |text: &str| text.replace("{environment}", environment).into();
        Self { id: fill(&self.id), field: self.field.as_deref().map(fill), ..self.clone() }
    }

    /// The same secret, and of its field, or of the whole, the field `name`.
    #[must_use]
    pub fn field_of_it(&self, name: &str) -> Self {
        let field = match &self.field {
            Some(field) => format!("{field}.{name}"),
            None => name.to_owned(),
        };
        Self { field: Some(field.into()), ..self.clone() }
    }
}

/// The parts of an ARN of a secret: `arn:partition:secretsmanager:region:account:secret:name`, and `-` with six random
/// characters, unless it is a partial one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: &'a str,
    /// Such as `eu-central-1`.
    pub region: &'a str,
    /// Twelve digits.
    pub account: &'a str,
    /// What follows `secret:`, with the random ending where there is one.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Reads an ARN; `None` for anything else.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(7, ':');
        let mut next = || parts.next();
        let (arn, partition, service, region, account, kind, resource) =
            (next()?, next()?, next()?, next()?, next()?, next()?, next()?);
        let is_one = arn == "arn" && service == "secretsmanager" && kind == "secret" && !resource.is_empty();
        is_one.then_some(Self { partition, region, account, resource })
    }

    /// The secret's name: without the random ending, if this is a complete ARN.
    pub fn name(&self) -> &'a str {
        without_suffix(self.resource).unwrap_or(self.resource)
    }

    /// The ARN of this secret's replica in `region`: only the region differs.
    pub fn in_region(&self, region: &str) -> String {
        let Self { partition, account, resource, .. } = self;
        format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{resource}")
    }

    /// Whether `other`, which AWS gave, is the ARN of the secret that this one names.
    pub fn names(&self, other: &Self) -> bool {
        let place = |arn: &Self| (arn.partition.to_owned(), arn.region.to_owned(), arn.account.to_owned());
        place(self) == place(other)
            && (self.resource == other.resource || without_suffix(other.resource) == Some(self.resource))
    }
}

/// What stands before `-` and AWS's six random letters and digits.
fn without_suffix(resource: &str) -> Option<&str> {
    let (name, suffix) = resource.rsplit_once('-')?;
    (suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_alphanumeric()) && !name.is_empty()).then_some(name)
}

/// The key of a JSON object, or a path of keys joined by dots.
fn check_field(field: &str) -> Result<(), String> {
    if field.is_empty() {
        return Err("has a '#' and no field after it".into());
    }
    if field.starts_with('#') {
        return Err("has '##': one '#' stands between the secret and its field".into());
    }
    if field.len() > MAX_ARN || field.chars().any(char::is_control) {
        return Err("has a field that no JSON secret has: control characters, or more than 2048 bytes".into());
    }
    Ok(())
}

fn check_id(id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err("names no secret".into());
    }
    if id.starts_with("arn:") {
        return check_arn(id);
    }
    if id.len() > MAX_AWS_NAME {
        return Err(format!("has {} characters, AWS allows {MAX_AWS_NAME}", id.len()));
    }
    match id.chars().find(|c| !is_aws_name_char(*c)) {
        Some(wrong) => Err(format!("holds {wrong:?}; AWS secret names use letters, digits and /_+=.@-!")),
        None => Ok(()),
    }
}

fn check_arn(id: &str) -> Result<(), String> {
    let form = "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME";
    let Some(arn) = Arn::parse(id) else { return Err(format!("is no ARN of a secret ({form})")) };
    let label = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let is_partition = label(arn.partition) && (arn.partition == "aws" || arn.partition.starts_with("aws-"));
    if !is_partition {
        return Err(format!("names a partition that is none of AWS's ({form})"));
    }
    if !label(arn.region) {
        return Err(format!("names no region ({form})"));
    }
    if !is_account(arn.account) {
        return Err(format!("names no account of 12 digits ({form})"));
    }
    if id.len() > MAX_ARN {
        return Err(format!("has {} characters, AWS allows {MAX_ARN}", id.len()));
    }
    match arn.resource.chars().find(|c| !is_aws_name_char(*c)) {
        Some(wrong) => Err(format!("holds {wrong:?}; AWS secret names use letters, digits and /_+=.@-!")),
        None => Ok(()),
    }
}

/// AWS's characters, and the `!` of names that AWS's services give.
pub(crate) fn is_aws_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/_+=.@-!".contains(c)
}

/// References of one name: the same in all environments, or one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum References {
    /// In all environments, perhaps with `{environment}` in it.
    Everywhere(Reference),
    /// By the name of the environment.
    ByEnvironment(Arc<[(Box<str>, Reference)]>),
}

impl References {
    /// The one of `environment`; `None` where none is declared for it.
    pub fn of(&self, environment: &str) -> Option<Reference> {
        match self {
            Self::Everywhere(reference) => Some(reference.of(environment)),
            Self::ByEnvironment(each) => {
                each.iter().find(|(name, _)| &**name == environment).map(|(_, reference)| reference.of(environment))
            }
        }
    }

    /// The references to the field `name` of these.
    #[must_use]
    pub fn field_of_them(&self, name: &str) -> Self {
        match self {
            Self::Everywhere(reference) => Self::Everywhere(reference.field_of_it(name)),
            Self::ByEnvironment(each) => Self::ByEnvironment(
                each.iter()
                    .map(|(environment, reference)| (environment.clone(), reference.field_of_it(name)))
                    .collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shared/db-AbCdEf";

    #[test]
    fn the_text_form_is_an_id_and_perhaps_a_field() {
        for (text, id, field) in [
            ("prod/github/token", "prod/github/token", None),
            ("rds!db-1111#password", "rds!db-1111", Some("password")),
            ("{environment}/jira#api.token", "{environment}/jira", Some("api.token")),
            ("a#b#c", "a", Some("b#c")),
            (ARN, ARN, None),
        ] {
            let reference = Reference::parse(text).expect(text);
            assert_eq!((&*reference.id, reference.field.as_deref()), (id, field), "{text}");
        }
        assert_eq!(&*Reference::parse("{environment}/x").expect("valid").of("staging").id, "staging/x");
    }

    #[test]
    fn what_is_no_reference_is_refused_with_a_reason() {
        let long = "x".repeat(513);
        for (text, reason) in [
            ("", "names no secret"),
            ("#x", "names no secret"),
            ("id##x", "'##'"),
            ("id#", "no field"),
            ("id#a\nb", "control characters"),
            ("a b", "' '"),
            ("{name}", "'{'"),
            (long.as_str(), "512"),
            ("arn:aws:s3:::bucket", "no ARN of a secret"),
            ("arn:aws:ssm:eu-west-1:123456789012:parameter/x", "no ARN of a secret"),
            ("arn:azure:secretsmanager:eu-west-1:123456789012:secret:x", "partition"),
            ("arn:aws:secretsmanager:EU:123456789012:secret:x", "region"),
            ("arn:aws:secretsmanager:eu-west-1:12:secret:x", "12 digits"),
            ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:", "no ARN of a secret"),
            ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:x y", "' '"),
        ] {
            let why = Reference::parse(text).expect_err(text);
            assert!(why.contains(reason), "{text:?}: {why}");
        }
        assert!(Reference::new("x", None, Some("")).is_err());
        assert!(Reference::parse(&"x".repeat(512)).is_ok());
    }

    #[test]
    fn the_live_version_needs_no_label() {
        assert_eq!(Reference::new("x", None, Some("AWSCURRENT")).expect("valid").stage, None);
        assert_eq!(
            Reference::new("x", None, Some("AWSPREVIOUS")).expect("valid").stage.as_deref(),
            Some("AWSPREVIOUS")
        );
    }

    #[test]
    fn an_arn_is_matched_by_all_its_parts() {
        let whole = Arn::parse(ARN).expect("an ARN");
        assert_eq!(whole.name(), "shared/db");
        for (text, is_named) in [
            (ARN, true),
            ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:shared/db", true),
            ("arn:aws:secretsmanager:eu-west-2:123456789012:secret:shared/db", false),
            ("arn:aws:secretsmanager:eu-west-1:999999999999:secret:shared/db", false),
            ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:shared/db-GhIjKl", false),
            ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:shared", false),
        ] {
            assert_eq!(Arn::parse(text).expect("an ARN").names(&whole), is_named, "{text}");
        }
    }

    #[test]
    fn a_tools_reference_gives_each_type_a_field() {
        let whole = Reference::parse("prod/jira").expect("valid");
        assert_eq!(whole.field_of_it("user").field.as_deref(), Some("user"));
        let part = Reference::parse("prod/all#jira").expect("valid");
        assert_eq!(part.field_of_it("user").field.as_deref(), Some("jira.user"));
    }
}
