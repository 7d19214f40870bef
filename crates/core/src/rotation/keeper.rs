//! Whose a secret's next value is: of this package, of people, or of AWS (decision D17).

use super::form::Form;
use super::form_patterns::NUMBER;
use super::hooks::{Hook, HooksOf};
use super::policy::PasswordRules;
use aws::Description;
use secret::manifest::SecretSpec;
use secret::value::SecretValue;

/// Who rotates a declared secret when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hand {
    /// The scheduler.
    Scheduler,
    /// People, for this reason: nothing here knows how to make its value.
    People(String),
    /// AWS, by a schedule of its own.
    Aws,
}

impl Hand {
    /// The name in reports.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::People(_) => "hand",
            Self::Aws => "aws",
        }
    }

    /// Why it is left to people.
    pub fn why(&self) -> Option<&str> {
        if let Self::People(why) = self { Some(why) } else { None }
    }
}

/// Who else takes care of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// AWS rotates it.
    Aws,
    /// It belongs to others, who are named; nothing may be written.
    Others(String),
}

impl Keeper {
    /// The keeper of `id`, by what AWS says of it. A `!` stands in the names that services give their own secrets.
    pub fn of(id: &str, said: &Description) -> Option<Self> {
        match (&said.owning_service, &said.external_type) {
            _ if said.is_rotated_by_aws => Some(Self::Aws),
            (Some(service), _) => Some(Self::Others(format!("it belongs to the AWS service {service}"))),
            (None, Some(external)) => Some(Self::Others(format!("it belongs to a partner of AWS ({external})"))),
            (None, None) if id.contains('!') => {
                Some(Self::Others("its name, which has a '!', is that of a secret which an AWS service owns".into()))
            }
            (None, None) => None,
        }
    }
}

/// Who rotates a declared secret with the value `live` when it is due.
pub fn hand(
    keeper: Option<Keeper>,
    spec: Option<&SecretSpec>,
    hooks: HooksOf<'_>,
    live: &SecretValue,
    rules: Option<&PasswordRules>,
) -> Hand {
    match keeper {
        Some(Keeper::Aws) => return Hand::Aws,
        Some(Keeper::Others(why)) => return Hand::People(why),
        None => {}
    }
    let is_declared = spec.is_some_and(|spec| spec.generate);
    let has_type = spec.is_some_and(|spec| spec.rotation_type.is_some());
    if !is_declared && !has_type {
        return Hand::People("it is declared with neither rotate: 'generate' nor a rotationType".into());
    }
    if !is_declared && !hooks.has(Hook::Create) && !hooks.has(Hook::Set) {
        return Hand::People("no create or set hook knows its system, and rotate: 'generate' is not declared".into());
    }
    match refusal(is_declared, hooks, live, rules) {
        Some(why) => Hand::People(why),
        None => Hand::Scheduler,
    }
}

/// Why no generated text may take the place of `live`; `None` when one may, or when a hook makes the value. The rules name
/// the field of a JSON secret that may be replaced; without them `live` is a field itself.
pub fn refusal(
    is_declared: bool,
    hooks: HooksOf<'_>,
    live: &SecretValue,
    rules: Option<&PasswordRules>,
) -> Option<String> {
    if hooks.has(Hook::Create) {
        return None;
    }
    let Form::Foreign { what, is_text } = Form::of(live, rules.map(|rules| rules.field.as_str())) else { return None };
    if is_text && is_declared {
        return None;
    }
    // Where the policy makes numbers, a number is what it made.
    if what == NUMBER && rules.is_some_and(|rules| rules.alphabet.chars().all(|character| character.is_ascii_digit())) {
        return None;
    }
    let ways = if is_text {
        "; a create hook can make the value, or declare rotate: 'generate'"
    } else {
        "; a create hook can make the value"
    };
    Some(format!("it is {what}, and no generated text may take its place{ways}"))
}
