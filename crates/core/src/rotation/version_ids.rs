//! The version ids of rotations. They follow from the live version, so that all instances, and one before and after a crash, work on the
//! same version.

use aws_lc_rs::digest;

/// New values that may be given up in a row before the live one changes; AWS itself keeps 100 versions without labels.
pub(super) const MAX_CANDIDATES: u32 = 100;

/// The version id of the `number`th new value after the version `live`. Every instance that rotates a secret from the
/// same live version gets the same id, so two instances, or one before and after a crash, never make two live values.
/// The due date of a rotation follows from the live version, so the id covers it. What hooks gave a target system, or may have
/// given it, must not be finished by who has no such hooks: their versions have other ids.
pub(super) fn token(key: &str, live: &str, (number, has_hooks): (u32, bool)) -> String {
    let bare = if has_hooks { "" } else { "\0bare" };
    let text = format!("tcs-secret-delivery rotation\0{key}\0{live}\0{number}{bare}");
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let number = hash.as_ref().iter().take(16).fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
    uuid(number)
}

/// Whether a rotation of `key` made the version `live` from the version `before`.
pub(super) fn follows(key: &str, before: &str, live: &str) -> bool {
    [true, false].into_iter().any(|has_hooks| is_of(key, before, has_hooks, live))
}

/// Whether a rotation of `key` from the version `before`, with hooks that change the target system or without, makes `version`.
pub(super) fn is_of(key: &str, before: &str, has_hooks: bool, version: &str) -> bool {
    (0..MAX_CANDIDATES).any(|number| token(key, before, (number, has_hooks)) == version)
}

/// In the shape of AWS's own version ids.
pub(crate) fn uuid(number: u128) -> String {
    let hex = format!("{number:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_look_like_aws_own_and_differ_with_everything_they_are_made_of() {
        let one = token("A_production", "v-1", (0, true));
        assert_eq!(one.len(), 36);
        assert_eq!(one, token("A_production", "v-1", (0, true)));
        for other in [
            token("B_production", "v-1", (0, true)),
            token("A_production", "v-2", (0, true)),
            token("A_production", "v-1", (1, true)),
            token("A_production", "v-1", (0, false)),
        ] {
            assert_ne!(one, other);
        }
    }
}
