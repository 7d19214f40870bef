//! Sets of hashes of a few bytes: what is not in them is not looked at any further.

/// The bytes that are compared first. No text that is looked for is shorter.
pub const HEAD: usize = 8;

/// A set of hashes that may also contain others: a Bloom filter, whose three bits of a hash stand in one word. Of hashes that are
/// not in it about one in a hundred seems to be.
#[derive(Default)]
pub struct Bits {
    words: Vec<u64>,
    shift: u32,
}

impl Bits {
    /// For about `count` hashes.
    pub fn new(count: usize, most: u32) -> Self {
        let bits = (16 * count).next_power_of_two().trailing_zeros().clamp(12, most);
        Self { words: vec![0; 1 << (bits - 6)], shift: 64 - (bits - 6) }
    }

    /// The upper bits of a hash say which word, the lower ones which bits of it.
    #[expect(clippy::cast_possible_truncation, reason = "there are at most 2^17 words")]
    fn place(&self, hash: u64) -> (usize, u64) {
        let bits = 1 << (hash & 63) | 1 << ((hash >> 6) & 63) | 1 << ((hash >> 12) & 63);
        ((hash >> self.shift) as usize, bits)
    }

    /// Puts a hash in.
    pub fn insert(&mut self, hash: u64) {
        let (word, bits) = self.place(hash);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bits;
        }
    }

    /// Whether a hash may be in it.
    #[inline]
    pub fn has(&self, hash: u64) -> bool {
        let (word, bits) = self.place(hash);
        self.words.get(word).is_some_and(|word| word & bits == bits)
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
    let mixed = (word << (64 - 8 * gram)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Some(mixed ^ (mixed >> 32))
}

/// Of the first bytes at a place.
#[inline]
pub fn head_at(text: &[u8], at: usize) -> Option<u64> {
    let bytes = text.get(at..at + HEAD)?.try_into().ok()?;
    let mixed = u64::from_le_bytes(bytes).wrapping_mul(0xd6e8_feb8_6659_fd93);
    Some((mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_not_in_it_one_in_fifty_seems_to_be_at_most() {
        for gram in [4, 6] {
            let spread = |number: u32| number.wrapping_mul(2_654_435_761);
            let hashes = |from: u32| {
                (from..from + 20_000)
                    .filter_map(move |number| gram_at(&spread(number).to_le_bytes().repeat(2), 0, gram))
            };
            let mut bits = Bits::new(20_000, 22);
            hashes(0).for_each(|hash| bits.insert(hash));
            assert!(hashes(0).all(|hash| bits.has(hash)));
            let seem = hashes(100_000).filter(|hash| bits.has(*hash)).count();
            assert!(seem < 400, "{seem} of 20,000 with {gram} bytes");
        }
    }
}
