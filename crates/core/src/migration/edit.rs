//! Removes assignments from the text of an env file. Every other byte stays.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use crate::source::env_file::grammar::parse;
use secret::value::SecretValue;

/// What replaces a removed assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The comment `# moved to AWS: NAME`.
    Comment,
    /// Nothing.
    Remove,
}

const MOVED: &str = "# moved to AWS: ";

/// Returns `text` without the lines that assign to one of `names`, including earlier duplicates, which would become
/// valid again. `None` if the rest would be parsed differently than before, which lines that are not assignments can
/// cause.
pub fn without(text: &str, names: &BTreeSet<String>, mode: Mode) -> Option<Zeroizing<String>> {
    let before = parse(text);
    let going = || before.assignments.iter().zip(&before.lines).filter(|((name, _), _)| names.contains(name));
    // The full capacity at once: a buffer that grows would leave an unwiped one behind.
    let comments: usize = going().map(|((name, _), _)| MOVED.len() + name.len() + 2).sum();
    let mut edited = Zeroizing::new(String::with_capacity(text.len() + comments));
    let mut at = 0;
    for ((name, _), lines) in going() {
        edited.push_str(text.get(at..lines.start)?);
        if mode == Mode::Comment {
            let gone = text.get(lines.clone())?;
            edited.push_str(MOVED);
            edited.push_str(name);
            edited.push_str(&gone[gone.trim_end_matches(['\r', '\n']).len()..]);
        }
        at = lines.end;
    }
    edited.push_str(text.get(at..)?);
    let kept = before.assignments.iter().filter(|(name, _)| !names.contains(name));
    kept.eq(&parse(&edited).assignments).then_some(edited)
}

/// The numbers of lines, from 1, that still contain `value`: in a comment, or in the value of another secret.
pub fn lines_with(text: &str, value: &SecretValue) -> Vec<usize> {
    /// Shorter values are not searched for: they occur by chance.
    const SHORTEST: usize = 6;
    if value.len() < SHORTEST {
        return Vec::new();
    }
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: it is looked for, and only line numbers leave")]
    let value = value.expose();
    let (mut line, mut from, mut lines) = (1, 0, Vec::new());
    for (at, _) in text.match_indices(value) {
        line += text[from..at].matches('\n').count();
        from = at;
        lines.push(line);
    }
    lines.dedup();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn edit(text: &str, retired: &[&str], mode: Mode) -> String {
        without(text, &names(retired), mode).expect("an edit").to_string()
    }

    #[test]
    fn whole_lines_go_and_all_others_stay_as_they_are() {
        for (text, retired, commented, removed) in [
            ("A=1\nB=2\n", "A", "# moved to AWS: A\nB=2\n", "B=2\n"),
            ("A=1\nB=2", "B", "A=1\n# moved to AWS: B", "A=1\n"),
            (
                "# top\n\n  A = 1 # why\n\n\n# end\n",
                "A",
                "# top\n\n# moved to AWS: A\n\n\n# end\n",
                "# top\n\n\n\n# end\n",
            ),
            ("A=1\n\n# about B\nB=2\n", "A", "# moved to AWS: A\n\n# about B\nB=2\n", "\n# about B\nB=2\n"),
            ("A=\"x\ny\"\nB=2\n", "A", "# moved to AWS: A\nB=2\n", "B=2\n"),
            ("B=`1`\nexport A='x\n\n#y' # z\n\nC=3\n", "A", "B=`1`\n# moved to AWS: A\n\nC=3\n", "B=`1`\n\nC=3\n"),
            ("A=1\r\nB=\"x\r\ny\"\r\nC=3\r\n", "B", "A=1\r\n# moved to AWS: B\r\nC=3\r\n", "A=1\r\nC=3\r\n"),
            ("\u{feff}A=1\nB=2\n", "A", "\u{feff}# moved to AWS: A\nB=2\n", "\u{feff}B=2\n"),
            ("A=old\nB=2\nA=new\n", "A", "# moved to AWS: A\nB=2\n# moved to AWS: A\n", "B=2\n"),
            ("A=\nB=2\n", "A", "# moved to AWS: A\nB=2\n", "B=2\n"),
            ("A=\n'x'\nB=2\n", "A", "# moved to AWS: A\nB=2\n", "B=2\n"),
            ("A\n=\nB=2\n", "A", "# moved to AWS: A\nB=2\n", "B=2\n"),
            ("A=half#other-half\nB=2\n", "A", "# moved to AWS: A\nB=2\n", "B=2\n"),
            ("junk\nA: 1\n}{\n", "A", "junk\n# moved to AWS: A\n}{\n", "junk\n}{\n"),
        ] {
            assert_eq!(edit(text, &[retired], Mode::Comment), commented, "{text:?}");
            assert_eq!(edit(text, &[retired], Mode::Remove), removed, "{text:?}");
        }
    }

    #[test]
    fn what_would_be_read_differently_is_refused() {
        // Without A, its quotes would belong to B.
        let text = "B=\nA=1\n'x'\n";
        assert!(without(text, &names(&["A"]), Mode::Remove).is_none());
        assert_eq!(edit(text, &["A"], Mode::Comment), "B=\n# moved to AWS: A\n'x'\n");
    }

    /// Random files of lines of every kind.
    #[test]
    fn any_file_without_some_names_is_read_as_before_and_keeps_its_other_lines() {
        const END: [&str; 2] = ["\n", "\r\n"];
        let mut random = fastrand::Rng::with_seed(7);
        let (mut edits, mut rounds) = (0, 0);
        while rounds < 4_000 {
            rounds += 1;
            let end = END[random.usize(..2)];
            let mut pieces: Vec<(Option<String>, String)> = Vec::new();
            for _ in 0..random.usize(1..12) {
                let name = format!("N{}", random.usize(..5));
                let (n, secret) = (&name, format!("s3cret-{}", random.u32(..)));
                let piece = match random.usize(..12) {
                    0 => (None, format!("# comment {}{end}", random.u8(..))),
                    1 => (None, end.to_owned()),
                    2 => (None, format!("no assignment here{end}")),
                    3 => (Some(n), format!("{n}='{secret}{end}second # line'{end}")),
                    4 => (Some(n), format!("{n}=\"{secret}{end}{end}x\" # note{end}")),
                    5 => (Some(n), format!("  export {n} = {secret}  {end}")),
                    6 => (Some(n), format!("{n}: {secret}{end}")),
                    7 => (Some(n), format!("{n}={end}")),
                    8 => (Some(n), format!("{n}=`{secret}`{end}")),
                    _ => (Some(n), format!("{n}={secret}{end}")),
                };
                pieces.push((piece.0.cloned(), piece.1));
            }
            let text: String = pieces.iter().map(|(_, piece)| piece.as_str()).collect();
            let retired = names(&["N0", "N1"]);
            let is_gone = |name: &Option<String>| name.as_ref().is_some_and(|name| retired.contains(name));
            let rest: String = pieces.iter().filter(|(name, _)| !is_gone(name)).map(|(_, p)| p.as_str()).collect();
            let Some(removed) = without(&text, &retired, Mode::Remove) else { continue };
            edits += 1;
            assert_eq!(*removed, rest, "{text:?}");
            let commented = without(&text, &retired, Mode::Comment).expect("comments join nothing");
            let plain: String = commented.split_inclusive('\n').filter(|line| !line.starts_with(MOVED)).collect();
            assert_eq!(plain, rest, "{text:?}");
            let values = |text: &str| parse(text).assignments.into_iter().filter(|(name, _)| !retired.contains(name));
            assert!(values(&text).eq(parse(&removed).assignments));
            assert!(values(&text).eq(parse(&commented).assignments));
            // A second run finds nothing to do.
            assert_eq!(*without(&commented, &retired, Mode::Comment).expect("an edit"), *commented);
        }
        assert!(edits > rounds / 2, "{edits} of {rounds}");
    }

    #[test]
    fn what_is_left_of_a_value_is_found_by_line() {
        let text = "# was: hunter22\n\nB=xhunter22\nC=1\n";
        assert_eq!(lines_with(text, &SecretValue::copied("hunter22")), [1, 3]);
        assert!(lines_with(text, &SecretValue::copied("1")).is_empty());
    }
}
