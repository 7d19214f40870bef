//! Base64 in lines, as command lines and mail write it.

use zeroize::Zeroizing;

/// A text in base64 without the line ends in it.
pub(crate) struct Unfolded {
    pub(crate) text: Zeroizing<Vec<u8>>,
    /// Where in `text` a line begins, and how many bytes of line ends stand before it.
    lines: Vec<(usize, usize)>,
}

impl Unfolded {
    /// The first `length` bytes of base64 at the beginning of `text`; `None` where its first line has fewer than `least` bytes, or does not
    /// end. A text may be cut within a line end.
    pub(crate) fn of(text: &[u8], least: usize, length: usize) -> Option<Self> {
        let base64 = |text: &[u8]| text.iter().take(length).take_while(|byte| is_base64(**byte)).count();
        let first = base64(text);
        if first < least || first == length || line_end(text.get(first..)?) == 0 {
            return None;
        }
        let mut unfolded = Self { text: Zeroizing::new(Vec::with_capacity(length)), lines: Vec::new() };
        let (mut at, mut line) = (0, first);
        loop {
            let taken = line.min(length - unfolded.text.len());
            unfolded.text.extend_from_slice(text.get(at..at + taken)?);
            at += taken;
            let end = line_end(text.get(at..)?);
            line = base64(text.get(at + end..)?);
            if end == 0 || line == 0 || unfolded.text.len() == length {
                return Some(unfolded);
            }
            at += end;
            unfolded.lines.push((unfolded.text.len(), at - unfolded.text.len()));
        }
    }

    /// Where the first `length` bytes end in the text as it was.
    pub(crate) fn end(&self, length: usize) -> usize {
        let before = self.lines.iter().take_while(|(start, _)| *start < length).last();
        length + before.map_or(0, |(_, ends)| *ends)
    }

    /// Whether it ends where a line does, or within its end.
    pub(crate) fn is_all_of(&self, text: &[u8]) -> bool {
        let end = self.end(self.text.len());
        text.get(end..).is_some_and(|rest| rest.is_empty() || line_end(rest) == rest.len())
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)
}

/// The length of the line end with which `text` begins, also of one that is cut off, and of one in a JSON string.
fn line_end(text: &[u8]) -> usize {
    let ends: [&[u8]; 4] = [b"\r\n", b"\n", b"\\r\\n", b"\\n"];
    let whole = ends.iter().find(|end| text.starts_with(end));
    let cut = || (!text.is_empty() && ends.iter().any(|end| end.starts_with(text))).then_some(text.len());
    whole.map(|end| end.len()).or_else(cut).unwrap_or(0)
}
