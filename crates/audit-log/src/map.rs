//! A memory-mapped file, as words that any process may change at any time. The only file with `unsafe` on Linux.

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapOptions, MmapRaw};

/// A shared mapping of a whole file.
pub struct Map {
    map: MmapRaw,
    words: usize,
}

impl Map {
    /// Maps the first `words` words of `file`.
    ///
    /// # Errors
    /// Those of the system, and `UnexpectedEof` if the file is shorter: an access beyond its end would kill the
    /// process.
    pub fn new(file: &File, words: usize) -> io::Result<Self> {
        let bytes = words * size_of::<AtomicU64>();
        if file.metadata()?.len() < u64::try_from(bytes).unwrap_or(u64::MAX) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self { map: MmapOptions::new().len(bytes).map_raw(file)?, words })
    }

    /// `words` words of memory, without a file.
    ///
    /// # Errors
    /// Those of the system.
    pub fn anonymous(words: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(words * size_of::<AtomicU64>()).map_anon()?;
        Ok(Self { map: map.into(), words })
    }

    /// The words.
    #[inline]
    pub fn words(&self) -> &[AtomicU64] {
        #[expect(clippy::cast_ptr_alignment, reason = "mappings begin at a page")]
        let first = self.map.as_mut_ptr().cast::<AtomicU64>();
        // SAFETY: the mapping is page-aligned, `words` words long and lives as long as `self`; every bit pattern is an
        // `AtomicU64`. It is only ever seen as atomics, here and in other processes, so that changes made elsewhere are
        // ordinary concurrent stores. No Rust reference to it as plain memory exists.
        unsafe { std::slice::from_raw_parts(first, self.words) }
    }
}
