//! Text of which each character has 16 bits: what editors of Windows write (UTF-16), and texts in programs and databases.

use zeroize::{Zeroize, Zeroizing};

/// Fewer characters are no text.
const LEAST: usize = 8;

/// Turns UTF-16 that arrives in pieces into UTF-8.
pub(crate) struct Decoder {
    is_big_endian: bool,
    /// The first byte of a character whose second has not come yet.
    half: Option<u8>,
    /// The first half of a pair.
    high: Option<u16>,
}

impl Decoder {
    /// For a text that begins with this byte order mark.
    pub(crate) fn of(mark: [u8; 2]) -> Option<Self> {
        let is_big_endian = match mark {
            [0xff, 0xfe] => false,
            [0xfe, 0xff] => true,
            _ => return None,
        };
        Some(Self { is_big_endian, half: None, high: None })
    }

    /// Appends the text of `piece`. Halves of pairs become U+FFFD.
    pub(crate) fn decode(&mut self, piece: &[u8], text: &mut Vec<u8>) {
        text.reserve(2 * piece.len() + 8);
        for byte in piece {
            let Some(first) = self.half.take() else {
                self.half = Some(*byte);
                continue;
            };
            let pair = [first, *byte];
            self.unit(if self.is_big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }, text);
        }
    }

    fn unit(&mut self, unit: u16, text: &mut Vec<u8>) {
        let high = self.high.take();
        if (0xdc00..0xe000).contains(&unit)
            && let Some(high) = high
        {
            let code = 0x1_0000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(unit) - 0xdc00);
            return push(char::from_u32(code), text);
        }
        if high.is_some() {
            push(None, text);
        }
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
        } else {
            push(char::from_u32(u32::from(unit)), text);
        }
    }
}

fn push(character: Option<char>, text: &mut Vec<u8>) {
    let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A run of characters with a zero byte beside each, in either order of the bytes: Latin-1 in 16 bits.
pub(crate) struct Run {
    /// Where it begins.
    pub(crate) start: usize,
    /// As UTF-8.
    pub(crate) text: Zeroizing<String>,
}

impl Run {
    /// Where the character stands that begins at the byte `at` of the text.
    pub(crate) fn place(&self, at: usize) -> usize {
        self.start + 2 * self.text.get(..at).unwrap_or_default().chars().count()
    }
}

/// The runs in `bytes`, in their order.
pub(crate) fn runs(bytes: &[u8]) -> impl Iterator<Item = Run> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            // Text with no zero byte, which is most, is passed over at once.
            let zero = at + memchr::memchr(0, bytes.get(at..)?)?;
            let start = zero.checked_sub(1).filter(|start| *start >= at && bytes[*start] != 0);
            let Some(start) = start else {
                at = zero + 1;
                continue;
            };
            let mut end = start;
            while let Some([character, 0]) = bytes.get(end..end + 2)
                && *character != 0
            {
                end += 2;
            }
            // The last character of big-endian text has its zero byte in front. Of little-endian text, what follows comes along.
            let last = bytes.get(end).filter(|byte| **byte != 0);
            at = end;
            if (end - start) / 2 + usize::from(last.is_some()) >= LEAST {
                let mut characters: Zeroizing<Vec<u8>> =
                    Zeroizing::new(bytes[start..end].iter().copied().step_by(2).collect());
                characters.extend(last);
                let text = Zeroizing::new(characters.iter().map(|byte| char::from(*byte)).collect());
                characters.zeroize();
                return Some(Run { start, text });
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_is_decoded_however_it_arrives() {
        let text = "a schlüssel 漢 😀\n";
        for (mark, bytes) in [
            ([0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
            ([0xfe, 0xff], text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ] {
            for size in 1..8 {
                let (mut decoder, mut decoded) = (Decoder::of(mark).expect("a mark"), Vec::new());
                bytes.chunks(size).for_each(|piece| decoder.decode(piece, &mut decoded));
                assert_eq!(String::from_utf8_lossy(&decoded), text);
            }
        }
        let (mut decoder, mut decoded) = (Decoder::of([0xff, 0xfe]).expect("a mark"), Vec::new());
        decoder.decode(&[0x3d, 0xd8, 0x61, 0, 0, 0xdc], &mut decoded);
        assert_eq!(String::from_utf8_lossy(&decoded), "\u{fffd}a\u{fffd}");
        assert!(Decoder::of(*b"ab").is_none());
    }

    #[test]
    fn runs_are_found_at_any_place_in_either_order() {
        let wide = |text: &str, is_big: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|unit| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for is_big in [false, true] {
            for before in [&b""[..], b"\x01", b"MZ\0\0\x07", b"abc"] {
                for after in [&b""[..], b"\x01\x02", b"\0\0"] {
                    let bytes = [before, &wide("pässword=x", is_big), after].concat();
                    let found: Vec<Run> = runs(&bytes).collect();
                    let run = found.iter().find(|run| run.text.contains("pässword=x")).expect("it is found");
                    let at = run.text.find("word").expect("it has it");
                    assert_eq!(run.place(at), before.len() + 2 * 4 + usize::from(is_big), "{bytes:?}");
                }
            }
        }
        assert_eq!(runs(b"no zero byte").count(), 0);
        assert_eq!(runs(&[0; 100]).count(), 0);
        assert_eq!(runs(&wide("short", false)).count(), 0);
    }
}
