//! What the service itself does in a rotation: it alone knows the system that a secret opens.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// Asks a hook to end.
pub use tokio_util::sync::CancellationToken as Stop;

use secret::value::SecretValue;

/// A part of a rotation that the service may take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Makes the new value, in place of the generator.
    Create,
    /// Applies the new value to the target system. May be called again with the same value.
    Set,
    /// Tries the new value before it is live.
    Test,
    /// Checks the value after it became live.
    Verify,
    /// Puts the target system back to the old value.
    Undo,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Create, Self::Set, Self::Test, Self::Verify, Self::Undo];

    /// The name of the option.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Set => "set",
            Self::Test => "test",
            Self::Verify => "verify",
            Self::Undo => "undo",
        }
    }

    /// Whether it changes the system that the secret opens.
    pub const fn changes_target(self) -> bool {
        matches!(self, Self::Set | Self::Undo)
    }
}

/// The longest explanation of a failure, in characters.
const MOST_WORDS: usize = 300;

/// What a hook receives.
#[derive(Clone, Debug)]
pub struct HookContext {
    /// The secret's name.
    pub name: String,
    /// The environment's name.
    pub environment: &'static str,
    /// The AWS id.
    pub aws_id: String,
    /// Lower-cased tool; `None` when the name has no type part.
    pub tool: Option<String>,
    /// Lower-cased secret type.
    pub secret_type: Option<String>,
    /// The declared rotation type.
    pub rotation_type: Option<String>,
    /// The version that was live when the rotation began.
    pub previous_version: String,
    /// The new version; `None` while it is being made.
    pub version: Option<String>,
    /// The value that was live when the rotation began.
    pub current: SecretValue,
    /// The new value; `None` while it is being made.
    pub pending: Option<SecretValue>,
}

/// How a hook failed. The message of an error is not repeated anywhere, unless this package's own hooks wrote it: drivers put
/// statements, and so values, into theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookFailure(String);

impl HookFailure {
    /// A failure of an error class and, where there is one, a driver's code (`28P01`).
    pub fn new(class: &str, code: Option<&str>) -> Self {
        let plain = |text: &str| -> Option<String> {
            let fits = !text.is_empty() && text.len() <= 40;
            (fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then(|| text.to_owned())
        };
        let class = plain(class).unwrap_or_else(|| "Error".into());
        Self(match code.and_then(plain) {
            Some(code) => format!("{class} {code}"),
            None => class,
        })
    }

    /// A failure that a ready-made hook of this package explains in fixed words, which hold no value.
    pub fn explained(code: Option<&str>, words: &str) -> Self {
        let words: String = words.chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect();
        Self(match code {
            Some(code) => format!("{words} ({})", Self::new(code, None)),
            None => words,
        })
    }
}

impl fmt::Display for HookFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a hook gives: a value, where it makes one.
pub type HookAnswer = Pin<Box<dyn Future<Output = Result<Option<SecretValue>, HookFailure>> + Send>>;

/// The service's hooks.
pub trait Hooks: Send + Sync {
    /// Whether the service has this one for the secret `name`.
    fn has(&self, hook: Hook, name: &str) -> bool;

    /// Calls it. `stop` asks it to end early, which it may ignore; the answer says when it has ended. Dropping the future
    /// gives it up.
    fn call(&self, hook: Hook, context: HookContext, stop: Stop) -> HookAnswer;
}

/// The hooks of one secret.
#[derive(Clone, Copy)]
pub struct HooksOf<'a> {
    /// Those of the service.
    pub all: &'a dyn Hooks,
    /// The secret's name.
    pub name: &'a str,
}

impl HooksOf<'_> {
    /// Whether the service has this one for the secret.
    pub fn has(&self, hook: Hook) -> bool {
        self.all.has(hook, self.name)
    }

    /// Whether the service has one that changes the target system of the secret.
    pub fn change_target(&self) -> bool {
        Hook::ALL.into_iter().any(|hook| hook.changes_target() && self.has(hook))
    }
}

/// No hooks.
#[derive(Debug, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {
    fn has(&self, _: Hook, _: &str) -> bool {
        false
    }

    fn call(&self, _: Hook, _: HookContext, _: Stop) -> HookAnswer {
        Box::pin(std::future::ready(Ok(None)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_repeats_a_class_and_a_code_and_nothing_that_could_be_a_value() {
        assert_eq!(HookFailure::new("DatabaseError", Some("28P01")).to_string(), "DatabaseError 28P01");
        assert_eq!(HookFailure::new("TypeError", None).to_string(), "TypeError");
        assert_eq!(HookFailure::new("x y", Some("ALTER ROLE app PASSWORD 'p'")).to_string(), "Error");
        assert_eq!(HookFailure::new("", Some(&"a".repeat(41))).to_string(), "Error");
    }

    #[test]
    fn a_ready_made_hook_explains_itself() {
        let failure = HookFailure::explained(Some("CONFIG_INVALID"), "the secret\nhas no 'username'");
        assert_eq!(failure.to_string(), "the secrethas no 'username' (CONFIG_INVALID)");
        assert_eq!(HookFailure::explained(None, &"a".repeat(1000)).to_string().len(), MOST_WORDS);
    }
}
