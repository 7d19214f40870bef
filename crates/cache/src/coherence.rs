//! What instances tell each other when a cached copy is no longer right.
//!
//! ```text
//! 2 <instance> drop <name> <before>             asked for before that moment: outdated
//! 2 <instance> drop <name> <before> <version>   the same, but for copies of this version, which is live now
//! 2 <instance> gone <name> <before>             AWS has no such secret: the same as drop for who holds a copy
//! 2 <instance> clear <before>
//! 1 <instance> drop <name> [<version>]          version 0.1.0
//! 1 <instance> clear
//! ```
//!
//! `before` is a moment on Redis's clock, in milliseconds since 1970; scripts write it. A message is a hint: an instance that
//! receives one looks into the shared cache and believes what stands there, so a forged message costs a look. Where the cache has
//! nothing as young as the message tells of, it lost that, or nobody said it: AWS is asked, at most once a second for a name.

use secret::name::SecretName;

const VERSION: &str = "2";
/// Version 0.1.0. This version sends its messages as well, for instances of that one.
const OLD_VERSION: &str = "1";
const DROP: &str = "drop";
const GONE: &str = "gone";
const CLEAR: &str = "clear";
/// The upper half of the ids of instances that send messages of both versions.
const SENDS_BOTH: u64 = 0x7C5D_0002 << 32;

/// An instance's name for itself: tells its own messages from those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance(u64);

impl Instance {
    /// A random one.
    pub fn random() -> Self {
        Self(SENDS_BOTH | u64::from(fastrand::u32(..)))
    }

    fn sends_both(self) -> bool {
        self.0 & (u64::from(u32::MAX) << 32) == SENDS_BOTH
    }
}

/// What another instance says, and of which moment on Redis's clock; `None` where version 0.1.0 says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The copies of one secret are outdated, or another version is live.
    Dropped(SecretName, Option<u64>),
    /// The copies of one secret are outdated, since AWS has no such secret.
    Gone(SecretName, u64),
    /// All copies of the environment are outdated, as a mark in the shared cache says.
    Cleared(u64),
    /// The same, by version 0.1.0, which leaves no mark.
    ClearedWithoutMark,
}

/// A message, around the moment that the script puts between its two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Before the moment.
    pub beginning: String,
    /// After it.
    pub end: String,
    /// The message for instances of version 0.1.0.
    pub old: String,
}

impl Message {
    /// The copies of `name` are outdated, but for those of the version `live`.
    pub fn drop(own: Instance, name: &SecretName, live: Option<&str>) -> Self {
        let (instance, name) = (own.0, name.as_str());
        let end = live.map(|live| format!(" {live}")).unwrap_or_default();
        Self {
            beginning: format!("{VERSION} {instance:016x} {DROP} {name} "),
            old: format!("{OLD_VERSION} {instance:016x} {DROP} {name}{end}"),
            end,
        }
    }

    /// AWS has no such secret: the copies of `name` are outdated.
    pub fn gone(own: Instance, name: &SecretName) -> Self {
        let beginning = format!("{VERSION} {:016x} {GONE} {} ", own.0, name.as_str());
        Self { beginning, ..Self::drop(own, name, None) }
    }

    /// All copies are outdated.
    pub fn clear(own: Instance) -> Self {
        let instance = own.0;
        Self {
            beginning: format!("{VERSION} {instance:016x} {CLEAR} "),
            end: String::new(),
            old: format!("{OLD_VERSION} {instance:016x} {CLEAR}"),
        }
    }
}

impl Hint {
    /// What another instance said; `None` for garbage, unknown versions, and what `own` said itself.
    pub fn decode(message: &[u8], own: Instance) -> Option<Self> {
        let mut words = std::str::from_utf8(message).ok()?.split(' ');
        let is_old = match words.next()? {
            VERSION => false,
            OLD_VERSION => true,
            _ => return None,
        };
        let sender = Instance(u64::from_str_radix(words.next()?, 16).ok()?);
        // Who sends both is heard once.
        if sender == own || is_old && sender.sends_both() {
            return None;
        }
        let verb = words.next()?;
        let name = if verb == CLEAR { None } else { Some(SecretName::of_copy(words.next()?).ok()?) };
        let before = if is_old { None } else { Some(words.next()?.parse().ok()?) };
        let hint = match (verb, name, before) {
            (DROP, Some(name), before) => Self::Dropped(name, before),
            (GONE, Some(name), Some(before)) => Self::Gone(name, before),
            (CLEAR, None, Some(before)) => Self::Cleared(before),
            (CLEAR, None, None) => Self::ClearedWithoutMark,
            _ => return None,
        };
        let live = words.next();
        if live.is_some_and(|version| !is_version(version)) || live.is_some() && !matches!(hint, Self::Dropped(..)) {
            return None;
        }
        words.next().is_none().then_some(hint)
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

    const BEFORE: u64 = 1_767_225_600_000;

    fn sent(message: &Message) -> [Vec<u8>; 2] {
        let new = format!("{}{BEFORE:015}{}", message.beginning, message.end);
        [new.into_bytes(), message.old.clone().into_bytes()]
    }

    #[test]
    fn what_one_instance_says_another_hears_once_and_itself_never() {
        let (own, other) = (Instance::random(), Instance(7));
        let name = SecretName::new("A-B_c").expect("a name");
        let drop = Hint::Dropped(name.clone(), Some(BEFORE));
        for (message, hint) in [
            (Message::drop(own, &name, None), drop.clone()),
            (Message::drop(own, &name, Some("v-1@x")), drop.clone()),
            (Message::gone(own, &name), Hint::Gone(name.clone(), BEFORE)),
            (Message::clear(own), Hint::Cleared(BEFORE)),
        ] {
            let [new, old] = sent(&message);
            assert_eq!(Hint::decode(&new, other), Some(hint));
            assert_eq!(Hint::decode(&old, other), None, "sent for version 0.1.0 only");
            assert_eq!(Hint::decode(&new, own), None);
        }
        assert_eq!(Hint::decode(b"1 0000000000000009 drop A-B_c v-1", own), Some(Hint::Dropped(name, None)));
        assert_eq!(Hint::decode(b"1 0000000000000009 clear", own), Some(Hint::ClearedWithoutMark));
    }

    #[test]
    fn garbage_is_ignored() {
        let hostile: [&[u8]; 17] = [
            b"",
            b"1",
            b"1 0 drop",
            b"1 0 drop ../A",
            b"1 0 drop A B C",
            b"1 0 drop A b/c",
            b"1 0 clear now",
            b"2 0 clear",
            b"2 0 clear 1 v",
            b"2 0 drop A",
            b"2 0 drop A x",
            b"1 0 gone A",
            b"2 0 gone A",
            b"2 0 gone A 1 v",
            b"1 x clear",
            b"1 0 flush",
            &[0xff, 0xfe],
        ];
        for message in hostile {
            assert_eq!(Hint::decode(message, Instance(1)), None, "{message:?}");
        }
        assert_eq!(Hint::decode(&vec![b' '; 1 << 20], Instance(1)), None);
    }
}
