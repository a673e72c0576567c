//! Sixty-four bytes of an escaped string at once: where it ends, and whether all its escapes are
//! the simple ones. Half of a reply is often the other half again as text, with an escape every few
//! bytes, and a branch for each of them is most of what reading it costs.

/// As many bytes as a mask has bits.
const BLOCK: usize = 64;

/// From a place in a string that no escape reaches into, the place of the quote that ends it; or,
/// where something needs a closer look, a place before that. Never beyond the end of the string.
pub(super) fn skip_escaped(bytes: &[u8], mut at: usize) -> usize {
    let mut carry = false;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        let lanes = Lanes::of(block);
        let quotes = lanes.equal(b'"');
        let slashes = lanes.equal(b'\\');
        let (escaped, carried) = escaped(slashes, carry);
        let ends = quotes & !escaped;
        // All bits below the first end; all bits where there is none.
        let inside = (ends & ends.wrapping_neg()).wrapping_sub(1);
        let others = escaped & !(quotes | slashes) & inside;
        if lanes.controls() & inside != 0 || !are_simple(block, others) {
            break;
        }
        if ends != 0 {
            return at + ends.trailing_zeros() as usize;
        }
        at += BLOCK;
        carry = carried;
    }
    at - usize::from(carry)
}

/// Whether the escapes at these places stand for themselves or for one control.
fn are_simple(block: &[u8; BLOCK], mut places: u64) -> bool {
    while places != 0 {
        if !b"/bfnrt".contains(&block[places.trailing_zeros() as usize]) {
            return false;
        }
        places &= places - 1;
    }
    true
}

/// Which bytes an escape reaches, given where backslashes stand and whether the last byte before
/// began one; and whether the last byte of these begins one.
fn escaped(slashes: u64, carry: bool) -> (u64, bool) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let carry = u64::from(carry);
    let slashes = slashes & !carry;
    let after = slashes << 1 | carry;
    // A run of backslashes that begins at an odd place has its escapes at even ones.
    let odd = slashes & !EVEN & !after;
    let (runs, carried) = odd.overflowing_add(slashes);
    ((EVEN ^ runs << 1) & after, carried)
}

/// A block as eight words, whose bytes are looked at side by side.
struct Lanes([u64; BLOCK / 8]);

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

impl Lanes {
    #[inline]
    fn of(block: &[u8; BLOCK]) -> Self {
        let (words, _) = block.as_chunks::<8>();
        Self(std::array::from_fn(|at| u64::from_le_bytes(words[at])))
    }

    /// A bit for each byte that is this one.
    #[inline]
    fn equal(&self, byte: u8) -> u64 {
        let same = LOW * u64::from(byte);
        // No sum reaches the next byte, so each is decided by itself.
        self.gathered(|word| !((((word ^ same) & !HIGH) + !HIGH) | (word ^ same)))
    }

    /// A bit for each control.
    #[inline]
    fn controls(&self) -> u64 {
        self.gathered(|word| !(((word & !HIGH) + LOW * 0x60) | word))
    }

    /// The high bit of each byte of what a test makes of the words.
    #[inline]
    fn gathered(&self, test: impl Fn(u64) -> u64) -> u64 {
        self.0.iter().rev().fold(0, |bits, word| {
            // The product gathers eight bits in its highest byte.
            bits << 8 | ((test(*word) & HIGH) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Byte by byte: where the string ends, `None` where it does not or is not simple.
    fn slowly(bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            match bytes.get(at)? {
                b'"' => return Some(at),
                b'\\' if b"\"\\/bfnrt".contains(bytes.get(at + 1)?) => at += 2,
                b'\\' | 0..0x20 => return None,
                _ => at += 1,
            }
        }
    }

    proptest! {
        #[test]
        fn a_string_ends_where_a_walk_says(
            text in prop::collection::vec(
                prop::sample::select(b"\\\\\\\\\\aaaabn/\"u\n\xc3".to_vec()), 0..400),
        ) {
            // A block of slack lets the last ones be read whole.
            let mut text = text;
            text.extend_from_slice(&[b'"'; BLOCK]);
            let at = skip_escaped(&text, 0);
            match slowly(&text) {
                Some(end) => prop_assert_eq!(at, end),
                None => {
                    // A place from which the walk finds the same fault.
                    prop_assert!(slowly(&text[at..]).is_none());
                    prop_assert!(!text[..at].contains(&b'\n'));
                }
            }
        }

        #[test]
        fn bytes_are_found_side_by_side(block in any::<[[u8; 32]; 2]>(), byte: u8) {
            let block: [u8; BLOCK] = std::array::from_fn(|at| block[at / 32][at % 32]);
            let lanes = Lanes::of(&block);
            let walked = (0..BLOCK).fold(0, |bits, at| bits | u64::from(block[at] == byte) << at);
            prop_assert_eq!(lanes.equal(byte), walked);
            let walked = (0..BLOCK).fold(0, |bits, at| bits | u64::from(block[at] < 0x20) << at);
            prop_assert_eq!(lanes.controls(), walked);
        }
    }
}
