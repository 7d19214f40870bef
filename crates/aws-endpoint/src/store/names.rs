//! Names, and ids that are made up.

/// The name of a secret whose name or ARN is given.
pub(crate) fn name_of(id: &str) -> &str {
    match id.rsplit_once(":secret:") {
        Some((_, tail)) => without_ending(tail),
        None => id,
    }
}

/// What stands before `-` and the six random characters of a complete ARN; all of it, where it has none.
pub(super) fn without_ending(text: &str) -> &str {
    let is_random = |end: &str| end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric());
    text.rsplit_once('-').filter(|(_, end)| is_random(end)).map_or(text, |(start, _)| start)
}

pub(crate) fn uuid() -> String {
    let n = fastrand::u128(..);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        n >> 96,
        (n >> 80) & 0xffff,
        (n >> 68) & 0xfff,
        (n >> 56) & 0xfff,
        n & 0xffff_ffff_ffff
    )
}
