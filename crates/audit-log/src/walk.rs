//! Reads a log line by line from an offset on, up to the first line that does not continue the chain.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use crate::chain::Chain;
use crate::line::{Line, detail_number};
use crate::link::Link;

/// The log writes no line that is longer than this.
pub const LONGEST: usize = 64 * 1024;

/// The result of a walk.
#[derive(Debug)]
pub struct Walked {
    /// The chain after the last line that continues it.
    pub chain: Chain,
    /// The offset at which that line ends.
    pub good: u64,
    /// The number of bytes after it, if they are one incomplete line.
    pub torn: u64,
    /// Whether the file holds only the beginning of a first record, whose writer died.
    pub unborn: bool,
    /// The number of the file, which its first record holds.
    pub number: Option<u64>,
}

/// Walks from `offset` on. Without a chain to continue, the first line is accepted as it is.
pub fn walk(file: &File, link: &Link, offset: u64, chain: Option<Chain>) -> io::Result<Walked> {
    let mut walked = Walked { chain: chain.unwrap_or_default(), good: offset, torn: 0, unborn: false, number: None };
    let mut believed = chain.is_some();
    let mut lines = Lines::new(file, offset)?;
    while let Some(bytes) = lines.next()? {
        let Some(whole) = bytes.strip_suffix(b"\n") else {
            walked.torn = bytes.len() as u64;
            walked.unborn = walked.good == 0 && bytes.starts_with(b"{\"seq\":");
            break;
        };
        let Some(line) = Line::parse(whole) else { break };
        if believed {
            if !walked.chain.follow(link, whole, &line) {
                break;
            }
        } else {
            walked.chain.take(link, whole, &line);
            walked.number = detail_number(line.detail, "file");
            believed = true;
        }
        walked.good += bytes.len() as u64;
    }
    Ok(walked)
}

/// The line whose newline ends at `end`, without the newline.
pub fn last_line(mut file: &File, end: u64) -> io::Result<Option<Vec<u8>>> {
    let from = end.saturating_sub(LONGEST as u64);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(end - from).read_to_end(&mut bytes)?;
    let Some(line) = bytes.strip_suffix(b"\n") else { return Ok(None) };
    let start = memchr::memrchr(b'\n', line).map_or(0, |at| at + 1);
    Ok(Some(line[start..].to_vec()))
}

/// The lines of a file with their newlines. Needs constant memory, whatever the file holds.
pub struct Lines<'a> {
    file: &'a File,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The number of bytes that may still be read.
    left: u64,
}

impl<'a> Lines<'a> {
    /// Begins at `offset`.
    pub fn new(file: &'a File, offset: u64) -> io::Result<Self> {
        Self::up_to(file, offset, u64::MAX)
    }

    /// Begins at `offset` and ends at `end`, or where the file ends.
    pub fn up_to(mut file: &'a File, offset: u64, end: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file, buffer: vec![0; 8 * LONGEST], start: 0, end: 0, left: end.saturating_sub(offset) })
    }

    /// The next line. A line that is too long is returned in pieces, none of which is a valid record.
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let mut seen = 0;
        loop {
            let rest = &self.buffer[self.start..self.end];
            let length = match memchr::memchr(b'\n', &rest[seen..]) {
                Some(at) => seen + at + 1,
                None if rest.len() >= LONGEST => LONGEST,
                None => {
                    seen = rest.len();
                    if self.fill()? {
                        continue;
                    }
                    seen
                }
            };
            let length = length.min(LONGEST);
            let line = &self.buffer[self.start..self.start + length];
            self.start += length;
            return Ok((length > 0).then_some(line));
        }
    }

    /// Reads more bytes; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let room = &mut self.buffer[self.end..];
        let wanted = room.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = loop {
            match self.file.read(&mut room[..wanted]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.end += read;
        self.left -= read as u64;
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_long_ones_in_pieces() {
        use std::io::Write as _;
        let mut file = tempfile::tempfile().expect("a file");
        let long = "x".repeat(LONGEST + 10);
        for part in ["one\n", "\n", &long, "\n", "torn"] {
            file.write_all(part.as_bytes()).expect("written");
        }
        let mut lines = Lines::new(&file, 0).expect("seekable");
        let mut lengths = Vec::new();
        while let Some(line) = lines.next().expect("readable") {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [4, 1, LONGEST, 11, 4]);
        let end = 5 + LONGEST as u64 + 11;
        assert_eq!(last_line(&file, 4).expect("readable").as_deref(), Some(&b"one"[..]));
        assert_eq!(last_line(&file, end + 4).expect("readable"), None);
        let mut lines = Lines::up_to(&file, 1, 3).expect("seekable");
        assert_eq!(lines.next().expect("readable"), Some(&b"ne"[..]));
        assert_eq!(lines.next().expect("readable"), None);
    }
}
