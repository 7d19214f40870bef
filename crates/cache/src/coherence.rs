//! What instances tell each other when a cached copy is no longer right.
//!
//! ```text
//! 1 <instance> drop <name>
//! 1 <instance> drop <name> <version that is live now>
//! 1 <instance> clear
//! ```
//!
//! A message can only make its hearer look again; whoever forges one costs a lookup and nothing else.

use secret::name::SecretName;

const VERSION: &str = "1";
const DROP: &str = "drop";
const CLEAR: &str = "clear";

/// A change that concerns the copies in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The copies of one name. With a version: that one is live now, and no copy of it needs to go.
    Drop(SecretName, Option<String>),
    /// All copies of the environment.
    Clear,
}

impl Change {
    /// The message of `instance`.
    pub fn encode(&self, instance: u64) -> Vec<u8> {
        match self {
            Self::Drop(name, None) => format!("{VERSION} {instance:016x} {DROP} {}", name.as_str()),
            Self::Drop(name, Some(live)) => format!("{VERSION} {instance:016x} {DROP} {} {live}", name.as_str()),
            Self::Clear => format!("{VERSION} {instance:016x} {CLEAR}"),
        }
        .into_bytes()
    }

    /// What another instance said; `None` for garbage, other versions, and what `own` said itself.
    pub fn decode(message: &[u8], own: u64) -> Option<Self> {
        let mut words = std::str::from_utf8(message).ok()?.split(' ');
        if words.next()? != VERSION || u64::from_str_radix(words.next()?, 16).ok()? == own {
            return None;
        }
        let change = match words.next()? {
            DROP => {
                let name = SecretName::new(words.next()?).ok()?;
                let live = words.next();
                if live.is_some_and(|version| !is_version(version)) {
                    return None;
                }
                Self::Drop(name, live.map(str::to_owned))
            }
            CLEAR => Self::Clear,
            _ => return None,
        };
        words.next().is_none().then_some(change)
    }
}

/// AWS's version ids are 32 to 64 characters; some other endpoints make shorter ones. `@` joins a replica's region.
fn is_version(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
    (1..=128).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_instance_says_another_understands_and_itself_ignores() {
        let name = SecretName::new("A-B_c").expect("a name");
        for change in [Change::Drop(name.clone(), None), Change::Drop(name, Some("v-1@x".into())), Change::Clear] {
            assert_eq!(Change::decode(&change.encode(7), 8), Some(change.clone()));
            assert_eq!(Change::decode(&change.encode(7), 7), None);
        }
    }

    #[test]
    fn garbage_is_ignored() {
        let hostile: [&[u8]; 11] = [
            b"",
            b"1",
            b"1 0 drop",
            b"1 0 drop ../A",
            b"1 0 drop A B C",
            b"1 0 drop A b/c",
            b"1 0 clear now",
            b"2 0 clear",
            b"1 x clear",
            b"1 0 flush",
            &[0xff, 0xfe],
        ];
        for message in hostile {
            assert_eq!(Change::decode(message, 1), None, "{message:?}");
        }
        assert_eq!(Change::decode(&vec![b' '; 1 << 20], 1), None);
    }
}
