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

    /// Whether none is in it of the hashes of `gram` bytes at eight places, the first of them `at`, each `step` after the one before;
    /// `false` as well where the text ends before. The processor waits for the memory of all eight at once.
    #[inline]
    pub fn has_none_of_eight(&self, text: &[u8], at: usize, step: usize, gram: usize) -> bool {
        let Some(block) = text.get(at..at + 7 * step + 8) else { return false };
        let mut hashes = [0; 8];
        for (hash, bytes) in hashes.iter_mut().zip(block.windows(8).step_by(step)) {
            *hash = mixed(word(bytes), gram);
        }
        let last = self.words.len().wrapping_sub(1);
        // All of them, without a jump in between.
        !hashes.iter().fold(false, |any, hash| {
            let (place, bits) = self.place(*hash);
            any | self.words.get(place & last).is_none_or(|word| word & bits == bits)
        })
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
    let bytes = text.get(at..at + 8).or_else(|| text.get(at..at + gram))?;
    Some(mixed(word(bytes), gram))
}

/// Of the first `gram` bytes of a word.
#[inline]
fn mixed(word: u64, gram: usize) -> u64 {
    let mixed = (word << (64 - 8 * gram)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

/// Eight bytes, or fewer at the end of a text.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes
        .try_into()
        .map_or_else(|_| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)), u64::from_le_bytes)
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
    fn eight_places_are_looked_at_as_one_by_one() {
        let text: Vec<u8> = (0..=255).cycle().take(300).collect();
        for (gram, step) in [(4, 5), (6, 3), (6, 11)] {
            let mut bits = Bits::new(4, 20);
            bits.insert(gram_at(&text, 100, gram).expect("there"));
            for at in 0..text.len() {
                let places: Vec<usize> = (0..8).map(|number| at + number * step).collect();
                let is_whole = places[7] + 8 <= text.len();
                let has = |place: &usize| gram_at(&text, *place, gram).is_some_and(|hash| bits.has(hash));
                let expected = is_whole && !places.iter().any(has);
                assert_eq!(bits.has_none_of_eight(&text, at, step, gram), expected, "{gram} {step} {at}");
            }
        }
    }

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
