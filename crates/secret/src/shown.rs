//! What messages show of texts that others choose: paths, names, values of variables. A variable of a megabyte must not become a
//! line of a megabyte in a log.

use std::fmt::Write as _;
use std::sync::Arc;

/// How much is shown of a name or a path.
const USUAL: usize = 120;
/// Nobody writes a longer path or URL, and what is longer says nothing to who reads it.
const LONGEST_WORD: usize = 240;
/// The longest message: some list the names of secrets.
const LONGEST_MESSAGE: usize = 8000;

/// `text` as messages show what a variable, an option or a file names.
pub fn shown(text: &str) -> String {
    at_most(USUAL, text)
}

/// `text`, escaped, and at most `most` characters of it: the beginning, and a little of the end, where the name of a file is.
pub fn at_most(most: usize, text: &str) -> String {
    // Escaping makes nothing shorter, so the rest is not needed.
    if text.char_indices().nth(most).is_none() {
        return text.escape_debug().to_string();
    }
    let end = most / 4;
    let head: String = text.chars().take(most - end).collect();
    format!("{}…{}", head.escape_debug(), last(text, end).escape_debug())
}

/// `message` with what nobody could read cut out: each word, such as a path, and the whole. All errors and warnings come by here,
/// also those about paths that another crate names.
pub fn message(message: Arc<str>) -> Arc<str> {
    if message.len() <= LONGEST_WORD {
        return message;
    }
    let mut cut = String::with_capacity(message.len().min(LONGEST_MESSAGE));
    for word in message.split_inclusive(char::is_whitespace) {
        cut_to(&mut cut, word, LONGEST_WORD);
    }
    let mut whole = String::new();
    cut_to(&mut whole, &cut, LONGEST_MESSAGE);
    if whole == *message { message } else { whole.into() }
}

/// Appends `text`, or its beginning and its end.
fn cut_to(to: &mut String, text: &str, most: usize) {
    if text.char_indices().nth(most).is_none() {
        return to.push_str(text);
    }
    let end = most / 4;
    let head = text.char_indices().nth(most - end).map_or(text, |(at, _)| &text[..at]);
    // A `String` takes whatever is written.
    let _ = write!(to, "{head}…{}", last(text, end));
}

/// The last `count` characters of `text`.
fn last(text: &str, count: usize) -> &str {
    let from = text.char_indices().rev().take(count).last().map_or(text.len(), |(at, _)| at);
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_of_a_long_text_are_shown() {
        assert_eq!(at_most(40, "/etc/ssl\n"), "/etc/ssl\\n");
        let long = format!("/begin/{}/name.pem", "ä".repeat(1 << 20));
        let cut = at_most(40, &long);
        assert_eq!(cut.chars().count(), 41);
        assert!(cut.starts_with("/begin/ä") && cut.ends_with("/name.pem"), "{cut}");
    }

    #[test]
    fn a_message_is_cut_in_its_words_and_as_a_whole() {
        let told = |text: &str| message(text.into());
        assert_eq!(&*told("short"), "short");
        let names = "NAME_OF_A_SECRET, ".repeat(100);
        assert_eq!(*told(&names), *names);
        let path = format!("could not open /x/{}/log.jsonl: use audit.path", "y".repeat(1 << 20));
        let cut = told(&path);
        assert!(cut.starts_with("could not open /x/y") && cut.ends_with("/log.jsonl: use audit.path"), "{cut}");
        assert!(cut.len() < 300, "{}", cut.len());
        let blanks = told(&"x ".repeat(1 << 20));
        assert_eq!(blanks.chars().count(), LONGEST_MESSAGE + 1);
    }
}
