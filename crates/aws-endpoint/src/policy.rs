//! Policies: those of secrets, and those of sessions of roles. As much of IAM as the rules of Secrets Manager need.

use serde_json::Value as Json;

/// What is asked, and about what.
pub(crate) struct Question<'a> {
    /// `GetSecretValue`.
    pub(crate) action: &'a str,
    /// An ARN, or `*` for what is about no one secret.
    pub(crate) resource: &'a str,
    /// The condition keys and their values; a key that is not here is not in the request.
    pub(crate) keys: &'a [(&'a str, &'a str)],
}

/// A policy document.
#[derive(Clone, Debug)]
pub(crate) struct Policy(Vec<Json>);

impl Policy {
    /// Reads a document; `None` for what is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let document: Json = serde_json::from_str(text).ok()?;
        let statements = document.get("Statement")?;
        Some(Self(statements.as_array().cloned().unwrap_or_else(|| vec![statements.clone()])))
    }

    /// Whether a statement denies it.
    pub(crate) fn denies(&self, question: &Question<'_>) -> bool {
        self.has("Deny", question)
    }

    /// Whether a statement allows it and none denies it.
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>: "an explicit deny in any policy
    /// overrides any allows".
    pub(crate) fn allows(&self, question: &Question<'_>) -> bool {
        self.has("Allow", question) && !self.denies(question)
    }

    fn has(&self, effect: &str, question: &Question<'_>) -> bool {
        self.0.iter().any(|statement| {
            let texts = |name: &str| texts(statement.get(name));
            let action = format!("secretsmanager:{}", question.action);
            statement.get("Effect").and_then(Json::as_str) == Some(effect)
                && texts("Action").any(|pattern| fits(pattern, &action))
                && texts("Resource").any(|pattern| fits(pattern, question.resource))
                && statement.get("Condition").is_none_or(|condition| holds(condition, question.keys))
        })
    }
}

fn texts(value: Option<&Json>) -> impl Iterator<Item = &str> {
    let one = value.and_then(Json::as_str);
    let many = value.and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    one.into_iter().chain(many)
}

/// Whether all operators hold. One that is not known here does not.
///
/// # Source
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>: `Null` "true": "the key
/// doesn't exist"; "If the key that you specify in a policy condition is not present in the request context, the values do not match".
fn holds(condition: &Json, keys: &[(&str, &str)]) -> bool {
    let operators = condition.as_object().into_iter().flatten();
    operators.into_iter().all(|(operator, wanted)| {
        wanted.as_object().into_iter().flatten().all(|(key, values)| {
            let given = keys.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| *value);
            match operator.as_str() {
                "Null" => texts(Some(values)).any(|text| text == "true") == given.is_none(),
                "StringEquals" | "ForAnyValue:StringEquals" => {
                    given.is_some_and(|given| texts(Some(values)).any(|value| value == given))
                }
                "StringLike" | "ForAnyValue:StringLike" => {
                    given.is_some_and(|given| texts(Some(values)).any(|value| fits(value, given)))
                }
                _ => false,
            }
        })
    })
}

/// Whether a text is like a pattern: `*` for any characters, `?` for one.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_two_wild_cards() {
        for (pattern, text, like) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("*-??????", "arn:secret:x-AbCdEf", true),
            ("*-??????", "arn:secret:x", false),
            ("secretsmanager:Get*", "secretsmanager:GetSecretValue", true),
        ] {
            assert_eq!(fits(pattern, text), like, "{pattern} {text}");
        }
    }

    #[test]
    fn a_denial_beats_a_grant_and_conditions_are_minded() {
        let policy = Policy::parse(
            r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":["secretsmanager:GetSecretValue"],
            "Resource":"*","Condition":{"Null":{"secretsmanager:VersionStage":"true"}}}]}"#,
        )
        .expect("a policy");
        let keys = [("secretsmanager:VersionStage", "AWSCURRENT")];
        let asked = |action, keys| Question { action, resource: "arn", keys };
        assert!(!policy.allows(&asked("GetSecretValue", &[])));
        assert!(policy.allows(&asked("GetSecretValue", &keys)));
        assert!(policy.allows(&asked("DescribeSecret", &[])));
        assert!(Policy::parse("x").is_none());
        let tagged = Policy::parse(
            r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/a":"b"}}}}"#,
        );
        let tagged = tagged.expect("a policy");
        assert!(tagged.allows(&asked("GetSecretValue", &[("aws:ResourceTag/a", "b")])));
        assert!(!tagged.allows(&asked("GetSecretValue", &[])));
    }
}
