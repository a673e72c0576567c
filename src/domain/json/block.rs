//! A text in blocks of sixty-four bytes: a bit for each byte that ends a run of plain text, so that
//! the end of a string is a shift and a count away. Half of a reply is often the other half again as
//! text, with an escape every few bytes, and a branch for each of them is most of what reading it
//! costs.

use wide::u8x16;

/// As many bytes as a mask has bits.
const BLOCK: usize = 64;

/// The block of a text that is being read. What lies beyond the end of the text counts as controls.
#[derive(Debug)]
pub(super) struct Window {
    /// Where it begins: a multiple of its size.
    base: usize,
    quotes: u64,
    slashes: u64,
    controls: u64,
}

impl Window {
    /// The block in which `at` lies.
    #[inline]
    pub(super) fn over(bytes: &[u8], at: usize) -> Self {
        let base = at / BLOCK * BLOCK;
        match bytes.get(base..).and_then(<[u8]>::first_chunk) {
            Some(block) => Self::of(base, block),
            None => Self::last(base, bytes),
        }
    }

    #[cold]
    fn last(base: usize, bytes: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        let rest = bytes.get(base..).unwrap_or_default();
        block[..rest.len()].copy_from_slice(rest);
        Self::of(base, &block)
    }

    #[inline]
    fn of(base: usize, block: &[u8; BLOCK]) -> Self {
        let (mut quotes, mut slashes, mut controls) = (0, 0, 0);
        let (lanes, _) = block.as_chunks::<16>();
        for lane in lanes.iter().rev() {
            let lane = u8x16::new(*lane);
            let found = |same: u8x16| u64::from(same.to_bitmask());
            quotes = quotes << 16 | found(lane.simd_eq(u8x16::splat(b'"')));
            slashes = slashes << 16 | found(lane.simd_eq(u8x16::splat(b'\\')));
            controls = controls << 16 | found(lane.simd_eq(lane.min(u8x16::splat(0x1f))));
        }
        Self { base, quotes, slashes, controls }
    }

    /// The bits from `at` on; none where this is not the block of `at`.
    #[inline]
    fn from(&self, at: usize) -> u64 {
        let offset = at.wrapping_sub(self.base);
        if offset < BLOCK { u64::MAX << offset } else { 0 }
    }

    /// Where a string without escapes ends whose content begins at `at`, if in this block.
    #[inline]
    pub(super) fn quote(&self, at: usize) -> Option<usize> {
        let stops = (self.quotes | self.slashes | self.controls) & self.from(at);
        let first = stops & stops.wrapping_neg();
        (first & self.quotes != 0).then(|| self.base + first.trailing_zeros() as usize)
    }

    /// The first byte from `at` on that ends a run of plain text: a quote, a backslash, a control,
    /// the end of the text.
    #[inline]
    pub(super) fn plain_end(&mut self, bytes: &[u8], at: usize) -> usize {
        let mut kept = self.from(at);
        loop {
            let stops = (self.quotes | self.slashes | self.controls) & kept;
            if stops != 0 {
                return self.base + stops.trailing_zeros() as usize;
            }
            *self = Self::over(bytes, if kept == 0 { at } else { self.base + BLOCK });
            kept = self.from(self.base.max(at));
        }
    }

    /// From a place in a string that no escape reaches into, the place of the quote that ends it;
    /// or, where something needs a closer look, a place before that. Never beyond the end of the
    /// string.
    pub(super) fn escaped_end(&mut self, bytes: &[u8], mut at: usize) -> usize {
        let mut carry = false;
        loop {
            if self.from(at) == 0 {
                *self = Self::over(bytes, at);
            }
            let kept = self.from(at);
            let (escaped, carried) = escaped(self.slashes & kept, carry);
            let ends = self.quotes & kept & !escaped;
            // All bits below the first end; all bits where there is none.
            let inside = (ends & ends.wrapping_neg()).wrapping_sub(1) & kept;
            let others = escaped & !(self.quotes | self.slashes) & inside;
            if self.controls & inside != 0 || !self.are_simple(bytes, others) {
                return at - usize::from(carry);
            }
            if ends != 0 {
                return self.base + ends.trailing_zeros() as usize;
            }
            at = self.base + BLOCK;
            carry = carried;
        }
    }

    /// Whether the escapes at these places stand for themselves or for one control.
    #[inline]
    fn are_simple(&self, bytes: &[u8], mut places: u64) -> bool {
        while places != 0 {
            let at = self.base + places.trailing_zeros() as usize;
            if !bytes.get(at).is_some_and(|byte| b"/bfnrt".contains(byte)) {
                return false;
            }
            places &= places - 1;
        }
        true
    }
}

/// Which bytes an escape reaches, given where backslashes stand and whether the last byte before
/// began one; and whether the last byte of these begins one.
#[inline]
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

    /// Mostly plain ones, so that runs reach over blocks; each of all, now and then.
    fn any_byte() -> impl Strategy<Value = u8> {
        let ends = prop::sample::select(b"\"\\\x00\x1f".to_vec());
        prop_oneof![60 => b'a'..=0xff_u8, 2 => any::<u8>(), 1 => ends]
    }

    proptest! {
        #[test]
        fn a_string_ends_where_a_walk_says(
            text in prop::collection::vec(
                prop::sample::select(b"\\\\\\\\\\aaaabn/\"u\n\xc3".to_vec()), 0..400),
            start in any::<prop::sample::Index>(),
        ) {
            let start = start.index(text.len() + 1);
            let at = Window::over(&text, start).escaped_end(&text, start);
            match slowly(&text[start..]) {
                Some(end) => prop_assert_eq!(at, start + end),
                None => {
                    // A place from which the walk finds the same fault.
                    prop_assert!(slowly(&text[at..]).is_none());
                    prop_assert!(!text[start..at].contains(&b'\n'));
                }
            }
        }

        #[test]
        fn plain_text_ends_where_a_walk_says(
            text in prop::collection::vec(any_byte(), 0..300),
            (first, then) in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let (first, then) = (first.index(text.len() + 1), then.index(text.len() + 1));
            let mut window = Window::over(&text, first.min(then));
            for at in [first.min(then), first.max(then)] {
                let plain = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
                let walked = at + text[at..].iter().take_while(plain).count();
                prop_assert_eq!(window.plain_end(&text, at), walked);
            }
        }
    }
}
