//! Searches files, many at once, and whatever else is read in pieces. What is found is a place; values are never kept.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;
use walkdir::WalkDir;
use zeroize::{Zeroize, Zeroizing};

use crate::finder::{Finder, Match};
use crate::forms::Form;
use crate::wide::{Decoder, runs};

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
    /// The place in the line, from 1, in UTF-16 code units: as editors count, and JavaScript does.
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
    /// Folders among what should have been files, such as the checkouts of submodules.
    pub folders: Vec<PathBuf>,
}

/// The files and links below `folder`, in no order; links are not followed. `.git` is not looked into.
pub fn files_below(folder: &Path, unread: &mut Vec<(PathBuf, String)>) -> Vec<PathBuf> {
    let walk = WalkDir::new(folder).into_iter().filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git");
    let mut files = Vec::new();
    for entry in walk {
        match entry {
            Ok(entry) if entry.file_type().is_file() || entry.file_type().is_symlink() => files.push(entry.into_path()),
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

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

/// Searches `files` on all cores. Of a link its target's name is the text, as in git's objects: none is followed. Else only regular
/// files are read.
pub fn scan_files(finder: &Arc<Finder>, files: &[PathBuf]) -> Scanned {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from).min(16);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let (mut scan, mut own) = (Scan::new(finder.clone()), Scanned::default());
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(path) = files.get(at) else { break };
                    match scan.file(path) {
                        Ok(None) if is_folder(path) => own.folders.push(path.clone()),
                        Ok(None) => {}
                        Ok(Some(bytes)) => {
                            own.files += 1;
                            own.bytes += bytes;
                        }
                        Err(error) => own.unread.push((path.clone(), io_problem(&error))),
                    }
                    own.found.extend(scan.end().into_iter().map(|place| (path.clone(), place)));
                }
                all.lock().push(own);
            });
        }
    });
    let mut scanned = Scanned::default();
    for own in all.into_inner() {
        scanned.found.extend(own.found);
        scanned.unread.extend(own.unread);
        scanned.folders.extend(own.folders);
        scanned.files += own.files;
        scanned.bytes += own.bytes;
    }
    scanned.found.sort_by(|(a, one), (b, other)| (a, one.line, one.column).cmp(&(b, other.line, other.column)));
    scanned.unread.sort();
    scanned.folders.sort();
    scanned
}

/// Searches a text that arrives in pieces, in a buffer that is overwritten at the end.
pub struct Scan {
    finder: Arc<Finder>,
    buffer: Vec<u8>,
    held: usize,
    at: Position,
    kind: Kind,
    places: Vec<Place>,
}

enum Kind {
    /// Fewer than two bytes came.
    Unknown,
    /// Searched as it is.
    Bytes,
    /// Decoded before.
    Utf16(Decoder),
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

impl Scan {
    /// Looks for everything that `finder` knows.
    pub fn new(finder: Arc<Finder>) -> Self {
        let (at, kind) = (Position::default(), Kind::Unknown);
        Self { finder, buffer: Vec::new(), held: 0, at, kind, places: Vec::new() }
    }

    /// Searches a file; the bytes that were read, `None` where it is no regular file.
    fn file(&mut self, path: &Path) -> io::Result<Option<u64>> {
        // A named pipe would wait for its writer, so it is not opened.
        let metadata = path.symlink_metadata()?;
        if metadata.is_symlink() {
            let target = path.read_link()?;
            return self.read(&mut target.as_os_str().as_encoded_bytes()).map(|_| None);
        }
        if !metadata.is_file() {
            return Ok(None);
        }
        self.read(&mut File::open(path)?).map(Some)
    }

    /// Searches all that `from` gives; how many bytes it gave.
    fn read(&mut self, from: &mut dyn Read) -> io::Result<u64> {
        let (mut piece, mut bytes) = (Zeroizing::new(Vec::new()), 0);
        loop {
            let is_wide = matches!(self.kind, Kind::Utf16(_));
            let room = if is_wide {
                piece.resize(PIECE, 0);
                piece.as_mut_slice()
            } else {
                self.make_room();
                &mut self.buffer[self.held..]
            };
            let read = match from.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            bytes += read as u64;
            if read == 0 {
                return Ok(bytes);
            }
            if is_wide {
                self.push(&piece[..read]);
            } else {
                self.held += read;
                self.begin();
                if matches!(self.kind, Kind::Bytes) {
                    self.search(false);
                }
            }
        }
    }

    /// Decides how the text is written, once its first two bytes are there.
    fn begin(&mut self) {
        if matches!(self.kind, Kind::Unknown)
            && let Some(mark) = self.buffer[..self.held].first_chunk()
        {
            self.kind = Decoder::of(*mark).map_or(Kind::Bytes, Kind::Utf16);
            if matches!(self.kind, Kind::Utf16(_)) {
                let begun = Zeroizing::new(self.buffer[2..self.held].to_vec());
                self.held = 0;
                self.push(&begun);
            }
        }
    }

    /// The next piece of the text.
    pub fn push(&mut self, piece: &[u8]) {
        for part in piece.chunks(PIECE) {
            if let Kind::Utf16(decoder) = &mut self.kind {
                self.buffer.truncate(self.held);
                decoder.decode(part, &mut self.buffer);
                self.held = self.buffer.len();
            } else {
                self.make_room();
                let end = self.held + part.len();
                if self.buffer.len() < end {
                    self.buffer.resize(end.max(2 * self.buffer.len()), 0);
                }
                self.buffer[self.held..end].copy_from_slice(part);
                self.held = end;
                self.begin();
            }
            if !matches!(self.kind, Kind::Unknown) {
                self.search(false);
            }
        }
    }

    /// The places, once nothing comes any more. Another text may follow.
    pub fn end(&mut self) -> Vec<Place> {
        self.search(true);
        (self.held, self.at, self.kind) = (0, Position::default(), Kind::Unknown);
        std::mem::take(&mut self.places)
    }

    fn make_room(&mut self) {
        if self.buffer.len() < PIECE {
            self.buffer.resize(PIECE, 0);
        } else if self.held == self.buffer.len() {
            self.buffer.resize(2 * self.held, 0);
        }
    }

    fn search(&mut self, is_end: bool) {
        search(&self.finder, &mut self.buffer, &mut self.held, &mut self.at, &mut self.places, is_end);
    }
}

/// Searches the first `held` bytes of `buffer`, and keeps there those that are not done with.
fn search(
    finder: &Finder,
    buffer: &mut [u8],
    held: &mut usize,
    at: &mut Position,
    places: &mut Vec<Place>,
    is_end: bool,
) {
    let text = &buffer[..*held];
    // What begins later may go on in the next piece; in 16 bits it is twice as long.
    let sure = if is_end { text.len() } else { text.len().saturating_sub(4 * finder.whole()) };
    let mut all: Vec<Match> = finder.find(text).take_while(|found| is_end || found.start < sure).collect();
    for run in runs(text).take_while(|run| is_end || run.start < sure) {
        let inside = finder.find(run.text.as_bytes());
        all.extend(inside.map(|found| Match { start: run.place(found.start), end: run.place(found.end), ..found }));
    }
    all.retain(|found| is_end || found.start < sure);
    all.sort_by_key(|found| found.start);
    let mut done = 0;
    for found in all {
        if found.start < done {
            continue;
        }
        at.pass(&text[done..found.start]);
        if places.len() < MOST {
            let secret = finder.secret(found.secret).clone();
            places.push(Place { secret, form: found.form, line: at.line + 1, column: at.column + 1 });
        }
        done = found.end.min(text.len());
        at.pass(&text[found.start..done]);
    }
    if done < sure {
        at.pass(&text[done..sure]);
        done = sure;
    }
    buffer.copy_within(done..*held, 0);
    *held -= done;
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
                self.column = units(&text[last + 1..]);
            }
            None => self.column += units(text),
        }
    }
}

/// The UTF-16 code units of a text in UTF-8: one where a character begins, and one more where it has four bytes. A text that was cut
/// within a character may be counted in its parts.
fn units(text: &[u8]) -> u64 {
    text.iter().map(|byte| u64::from(byte & 0xc0 != 0x80) + u64::from((0xf0..0xf8).contains(byte))).sum()
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

    #[test]
    fn columns_are_counted_as_editors_count() {
        let mut scan = Scan::new(finder());
        for piece in ["é\né😀 ".as_bytes(), b"correct-horse", "\u{20ac}correct-horse".as_bytes()] {
            scan.push(piece);
        }
        let places: Vec<_> = scan.end().iter().map(|place| (place.line, place.column)).collect();
        assert_eq!(places, [(2, 5), (2, 19)]);
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
        let mut scan = Scan::new(finder());
        let found = |scan: &mut Scan| -> Vec<(u64, u64)> {
            scan.end().iter().map(|place| (place.line, place.column)).collect()
        };
        assert_eq!(scan.read(&mut Slow(text, step)).ok(), Some(text.len() as u64));
        let read = found(&mut scan);
        text.chunks(step).for_each(|piece| scan.push(piece));
        assert_eq!(found(&mut scan), read);
        read
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
    fn utf16_is_read_with_and_without_a_mark_in_both_orders() {
        let text = "x\nü correct-horse\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for step in [1, 7, 1 << 18] {
            for marked in [[&[0xff, 0xfe], &little[..]].concat(), [&[0xfe, 0xff], &big[..]].concat()] {
                assert_eq!(places(&marked, step), [(2, 3)], "{step}");
            }
            assert_eq!(places(&little, step), [(2, 6)]);
            assert_eq!(places(&big, step), [(2, 6)]);
            let inside = [b"MZ\x07", &little[..], b"\x01 correct-horse"].concat();
            assert_eq!(places(&inside, step).len(), 2);
        }
    }

    #[test]
    fn long_text_in_16_bits_is_read_to_its_end() {
        let text = format!("{}correct-horse", "0123456789\n".repeat(300_000));
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(places(&[&[0xff, 0xfe], &wide[..]].concat(), 1 << 18), [(300_001, 1)]);
        assert_eq!(places(&wide, 1 << 18).len(), 1);
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
        #[cfg(unix)]
        std::os::unix::fs::symlink("gone/correct-horse", path("a/zero"))?;
        let mut unread = Vec::new();
        let mut files = files_below(folder.path(), &mut unread);
        assert!(unread.is_empty());
        files.push(path("missing"));
        files.push(path("a"));
        let scanned = scan_files(&finder(), &files);
        let found: Vec<_> = scanned.found.iter().map(|(file, place)| (file.clone(), place.column)).collect();
        // The text of a link is searched, as git has it.
        let expected = [(path("a/one"), 7), (path("a/zero"), 6)];
        assert_eq!(found, &expected[..if cfg!(unix) { 2 } else { 1 }]);
        assert_eq!(scanned.unread.len(), 1);
        assert_eq!(scanned.files, 1);
        assert_eq!(scanned.folders, [path("a")]);
        Ok(())
    }
}
