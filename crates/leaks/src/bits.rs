//! Sets of hashes of a few bytes: what is not in them is not looked at any further.

/// The bytes that are compared first. No text that is looked for is shorter.
pub const HEAD: usize = 8;

/// A set of hashes that may also contain others.
#[derive(Default)]
pub struct Bits {
    words: Vec<u64>,
    shift: u32,
}

impl Bits {
    /// For about `count` hashes.
    pub fn new(count: usize, most: u32) -> Self {
        let bits = (16 * count).next_power_of_two().trailing_zeros().clamp(12, most);
        Self { words: vec![0; 1 << (bits - 6)], shift: 64 - bits }
    }

    fn place(&self, hash: u64) -> (usize, u64) {
        let bit = hash >> self.shift;
        ((bit >> 6) as usize, 1 << (bit & 63))
    }

    /// Puts a hash in.
    pub fn insert(&mut self, hash: u64) {
        let (word, bit) = self.place(hash);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }

    /// Whether a hash may be in it.
    #[inline]
    pub fn has(&self, hash: u64) -> bool {
        let (word, bit) = self.place(hash);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// Of the `gram` bytes at a place.
#[inline]
pub fn gram_at(text: &[u8], at: usize, gram: usize) -> Option<u64> {
    let word = if let Some(bytes) = text.get(at..at + 8) {
        u64::from_le_bytes(bytes.try_into().ok()?)
    } else {
        let mut last = [0; 8];
        last[..gram].copy_from_slice(text.get(at..at + gram)?);
        u64::from_le_bytes(last)
    };
    Some((word << (64 - 8 * gram)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Of the first bytes at a place.
#[inline]
pub fn head_at(text: &[u8], at: usize) -> Option<u64> {
    let bytes = text.get(at..at + HEAD)?.try_into().ok()?;
    let mixed = u64::from_le_bytes(bytes).wrapping_mul(0xd6e8_feb8_6659_fd93);
    Some((mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93))
}
