//! Searches files, many at once, and whatever else is read in pieces. What is found is a place; values are never kept.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;
use walkdir::WalkDir;
use zeroize::Zeroize;

use crate::finder::Finder;
use crate::forms::Form;

/// What is read at once.
const PIECE: usize = 1 << 18;
/// Occurrences of one file that are reported.
const MOST: usize = 1000;

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose value.
    pub secret: Arc<str>,
    /// How it is written.
    pub form: Form,
    /// The line, from 1.
    pub line: u64,
    /// The byte of the line, from 1.
    pub column: u64,
}

/// What was found in files.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Places by file, in the order of the files.
    pub found: Vec<(PathBuf, Place)>,
    /// Files that were read.
    pub files: usize,
    /// Bytes that were read.
    pub bytes: u64,
    /// What could not be read, and why.
    pub unread: Vec<(PathBuf, String)>,
}

/// The files below `folder`, in no order; links are not followed. `.git` is not looked into.
pub fn files_below(folder: &Path, unread: &mut Vec<(PathBuf, String)>) -> Vec<PathBuf> {
    let walk = WalkDir::new(folder).into_iter().filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git");
    let mut files = Vec::new();
    for entry in walk {
        match entry {
            Ok(entry) if entry.file_type().is_file() => files.push(entry.into_path()),
            Ok(_) => {}
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                unread.push((path, error.io_error().map_or_else(|| "a circle of links".to_owned(), io_problem)));
            }
        }
    }
    files
}

fn io_problem(error: &io::Error) -> String {
    error.kind().to_string()
}

/// Searches `files` on all cores. Links are not followed, and only regular files are read.
pub fn scan_files(finder: &Finder, files: &[PathBuf]) -> Scanned {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from).min(16);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let (mut scan, mut own) = (Scan::new(finder), Scanned::default());
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(path) = files.get(at) else { break };
                    let mut places = Vec::new();
                    match scan.file(path, &mut places) {
                        Ok(None) => {}
                        Ok(Some(bytes)) => {
                            own.files += 1;
                            own.bytes += bytes;
                        }
                        Err(error) => own.unread.push((path.clone(), io_problem(&error))),
                    }
                    own.found.extend(places.into_iter().map(|place| (path.clone(), place)));
                }
                all.lock().push(own);
            });
        }
    });
    let mut scanned = Scanned::default();
    for own in all.into_inner() {
        scanned.found.extend(own.found);
        scanned.unread.extend(own.unread);
        scanned.files += own.files;
        scanned.bytes += own.bytes;
    }
    scanned.found.sort_by(|(a, one), (b, other)| (a, one.line, one.column).cmp(&(b, other.line, other.column)));
    scanned.unread.sort();
    scanned
}

/// Searches one text after the other, in a buffer that is overwritten at the end.
pub struct Scan<'a> {
    finder: &'a Finder,
    buffer: Vec<u8>,
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

impl<'a> Scan<'a> {
    /// Looks for everything that `finder` knows.
    pub fn new(finder: &'a Finder) -> Self {
        Self { finder, buffer: Vec::new() }
    }

    /// Searches a file; the bytes that were read, `None` where it is no regular file.
    ///
    /// # Errors
    /// Why it could not be read.
    pub fn file(&mut self, path: &Path, places: &mut Vec<Place>) -> io::Result<Option<u64>> {
        // A named pipe would wait for its writer, so it is not opened.
        if !path.symlink_metadata()?.is_file() {
            return Ok(None);
        }
        self.read(&mut File::open(path)?, places).map(Some)
    }

    /// Searches what `from` gives.
    ///
    /// # Errors
    /// Those of `from`.
    pub fn read(&mut self, from: &mut dyn Read, places: &mut Vec<Place>) -> io::Result<u64> {
        self.buffer.resize(PIECE, 0);
        let (mut held, mut bytes, mut at) = (0, 0, Position::default());
        loop {
            let read = match from.read(&mut self.buffer[held..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            bytes += read as u64;
            let (is_end, length) = (read == 0, held + read);
            if bytes == read as u64 && self.buffer[..length].starts_with(&[0xff, 0xfe]) {
                return self.utf16(length, from, places);
            }
            let done = self.search(length, is_end, &mut at, places);
            if is_end {
                return Ok(bytes);
            }
            self.buffer.copy_within(done..length, 0);
            held = length - done;
            if held == self.buffer.len() {
                self.buffer.resize(2 * held, 0);
            }
        }
    }

    /// Searches the first `length` bytes; how many of them are done with.
    fn search(&self, length: usize, is_end: bool, at: &mut Position, places: &mut Vec<Place>) -> usize {
        let text = &self.buffer[..length];
        // What begins later may go on in the next piece.
        let sure = if is_end { length } else { length.saturating_sub(2 * self.finder.longest()) };
        let mut done = 0;
        for found in self.finder.find(text) {
            if found.start >= sure && !is_end {
                break;
            }
            at.pass(&text[done..found.start]);
            if places.len() < MOST {
                let secret = self.finder.secret(found.secret).clone();
                places.push(Place { secret, form: found.form, line: at.line + 1, column: at.column + 1 });
            }
            at.pass(&text[found.start..found.end]);
            done = found.end;
        }
        if done < sure {
            at.pass(&text[done..sure]);
            done = sure;
        }
        done
    }

    /// Text as some editors of Windows write it. Bounded, since it is decoded as a whole.
    fn utf16(&mut self, length: usize, from: &mut dyn Read, places: &mut Vec<Place>) -> io::Result<u64> {
        const MOST_BYTES: u64 = 64 << 20;
        let mut rest = zeroize::Zeroizing::new(self.buffer[2..length].to_vec());
        from.take(MOST_BYTES).read_to_end(&mut rest)?;
        let bytes = rest.len() as u64 + 2;
        let units = rest.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let text: zeroize::Zeroizing<String> = zeroize::Zeroizing::new(
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect(),
        );
        let mut scan = Scan::new(self.finder);
        scan.read(&mut text.as_bytes(), places)?;
        Ok(bytes)
    }
}

/// Where a text has been searched up to.
#[derive(Default)]
struct Position {
    line: u64,
    column: u64,
}

impl Position {
    fn pass(&mut self, text: &[u8]) {
        match text.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => {
                self.line += memchr::memchr_iter(b'\n', text).count() as u64;
                self.column = (text.len() - last - 1) as u64;
            }
            None => self.column += text.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use secret::clock::Clock;
    use secret::value::SecretValue;

    fn finder() -> Arc<Finder> {
        let ledger = Ledger::new(Clock::test());
        ledger.activate();
        ledger.note("A", &SecretValue::copied("correct-horse"));
        ledger.note("LONG", &SecretValue::copied(&"0123456789abcdef-".repeat(4000)));
        ledger.finder()
    }

    /// Gives a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn places(text: &[u8], step: usize) -> Vec<(u64, u64)> {
        let (finder, mut places) = (finder(), Vec::new());
        let read = Scan::new(&finder).read(&mut Slow(text, step), &mut places);
        assert_eq!(read.ok(), Some(text.len() as u64));
        places.iter().map(|place| (place.line, place.column)).collect()
    }

    #[test]
    fn places_are_right_however_the_text_arrives() {
        let mut text = "x\n".repeat(300_000).into_bytes();
        text.extend_from_slice(b"a correct-horse\n\ncorrect-horse,correct-horse");
        for step in [100_000, 1 << 18, 1 << 20] {
            assert_eq!(places(&text, step), [(300_001, 3), (300_003, 1), (300_003, 15)], "{step}");
        }
        assert_eq!(places(b"correct-horse\n\0\xffcorrect-horse", 1), [(1, 1), (2, 3)]);
        assert_eq!(places(b"", 1), []);
    }

    #[test]
    fn utf16_is_read() {
        let text: Vec<u8> = "\u{feff}x\ncorrect-horse".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(places(&text, 1 << 18), [(2, 1)]);
    }

    #[test]
    fn links_in_circles_pipes_and_missing_files_stop_nothing() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("a/.git"))?;
        std::fs::write(path("a/one"), "token=correct-horse")?;
        std::fs::write(path("a/.git/two"), "correct-horse")?;
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path(), path("a/circle"))?;
        let mut unread = Vec::new();
        let mut files = files_below(folder.path(), &mut unread);
        assert!(unread.is_empty());
        files.push(path("missing"));
        let scanned = scan_files(&finder(), &files);
        let found: Vec<_> = scanned.found.iter().map(|(file, place)| (file.clone(), place.column)).collect();
        assert_eq!(found, [(path("a/one"), 7)]);
        assert_eq!(scanned.unread.len(), 1);
        assert_eq!(scanned.files, 1);
        Ok(())
    }
}
