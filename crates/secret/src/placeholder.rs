//! Texts that stand where a secret will be put later: validations report them, and no rotation replaces them.

use std::sync::LazyLock;

use regex::Regex;

/// Placeholders that people write where a secret will be put later.
static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = "change[-_ ]?me|replace[-_ ]?me|fill[-_ ]?me|to[-_ ]?do|tbd|fixme|placeholder|dummy|example|sample|secret|\
                 password|token|none|null|undefined|foo|bar|my[-_ ]?(secret|password|token|key)|\
                 your[-_ ].*|insert[-_ ].*|put[-_ ].*[-_ ]here";
    let shapes = r"x{3,}|\*{3,}|\.{3,}|-{3,}|0{4,}|<[\w .,:/'-]*>|\{\{.*\}\}|\$\{[^{}]*\}|\[[\w .:/'-]*\]";
    // Passwords that installations begin with, those of documentation, and those that are guessed first.
    let known = "toor|(password|passw0rd|p@ssw(or|0r)d|welcome|qwerty|letmein)[0-9]{0,4}!?|qwertyuiop|\
                 1q2w3e4r.*|abc123|iloveyou|s3cr3t|super[-_ ]?secret|change[-_ ]?it|0?12345(6(7(89?)?)?)?0?|\
                 (change[-_ ]?me|secret|p4ssw0rd|abcdef)[0-9]{0,4}!?|\
                 (my|super|dev|test|demo|local|jwt|app|session|your|the|a)?[-_ ]?(super)?[-_ ]?secret[-_ ]?(key|pw|password|token)?|\
                 your[-_ ]?(strong)?(\\(!\\))?[-_ ]?password[0-9]{0,4}|keyboard cat|sh{3,}|\
                 django-insecure-.*|AKIA[A-Z0-9]*EXAMPLE|[A-Za-z0-9/+]*EXAMPLEKEY|NaN|.*[-_]x{3,}|%[A-Za-z_][A-Za-z0-9_]*%|\\$\\([^)]*\\)|\\$[A-Z_][A-Z0-9_]*";
    Regex::new(&format!("(?is)^\\s*(?:{words}|{known}|{shapes})\\s*$")).ok()
});

/// Whether `text` is a placeholder, or a password that is known to everybody.
pub fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    let repeats = text.len() >= 4 && text.chars().next().is_some_and(|first| text.chars().all(|one| one == first));
    repeats || PLACEHOLDER.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_in_braces_is_a_placeholder_and_what_a_generator_makes_is_none() {
        for text in
            ["CHANGE_ME", "<your token here>", "<db-password>", "[your password]", "<Passwort für die DB>", "0000"]
        {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["<9#k~Lq!w$2>", "[a;8Kx+2=z]", "x1xx", "hunter2"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
