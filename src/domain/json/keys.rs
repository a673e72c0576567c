//! Whether a key stands twice in one object: cheap for small ones, never quadratic for huge ones.

use super::node::{Marks, Node};
use super::text;

/// Up to here every pair is compared by hash; above, the keys are sorted.
const PAIRWISE: u32 = 16;

/// Room that is used again from object to object.
#[derive(Debug, Default)]
pub(super) struct Room {
    keys: Vec<Node>,
    resolved: Vec<u8>,
}

impl Room {
    /// A hash of what a key says. Weak on purpose: equal hashes are compared by content.
    #[inline]
    pub(super) fn hash(&mut self, key: Node, bytes: &[u8]) -> u32 {
        let content = key.content(bytes);
        if key.has(Marks::ESCAPED) { self.resolved_hash(content) } else { mix(content) }
    }

    #[cold]
    fn resolved_hash(&mut self, content: &[u8]) -> u32 {
        self.resolved.clear();
        for point in text::code_points(content) {
            match char::from_u32(point) {
                Some(char) => {
                    self.resolved.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                }
                None => self.resolved.extend_from_slice(&point.to_le_bytes()),
            }
        }
        mix(&self.resolved)
    }

    /// Where a key stands for the second time, among `count` members whose first key is at `first`.
    pub(super) fn duplicate(
        &mut self,
        bytes: &[u8],
        nodes: &[Node],
        first: u32,
        count: u32,
    ) -> Option<usize> {
        // Most small objects are done here: no two hashes share a bit.
        if count <= PAIRWISE {
            let mut seen = 0_u64;
            let mut at = first as usize;
            let mut shared = false;
            for _ in 0..count {
                let bit = 1 << (nodes[at].extra() & 63);
                shared |= seen & bit != 0;
                seen |= bit;
                at = nodes[at + 1].next as usize;
            }
            if !shared {
                return None;
            }
        }
        self.keys.clear();
        let mut at = first as usize;
        for _ in 0..count {
            self.keys.push(nodes[at]);
            at = nodes[at + 1].next as usize;
        }
        if count <= PAIRWISE { self.pairwise(bytes) } else { self.sorted(bytes) }
    }

    fn pairwise(&self, bytes: &[u8]) -> Option<usize> {
        self.keys.iter().enumerate().find_map(|(at, key)| {
            let twice = |before: &Node| {
                before.extra() == key.extra() && before.compare(*key, bytes).is_eq()
            };
            self.keys[..at].iter().any(twice).then_some(key.start as usize)
        })
    }

    fn sorted(&mut self, bytes: &[u8]) -> Option<usize> {
        self.keys.sort_unstable_by(|a, b| {
            a.extra()
                .cmp(&b.extra())
                .then_with(|| a.compare(*b, bytes))
                .then_with(|| a.start.cmp(&b.start))
        });
        self.keys
            .windows(2)
            .filter(|pair| {
                pair[0].extra() == pair[1].extra() && pair[0].compare(pair[1], bytes).is_eq()
            })
            .map(|pair| pair[1].start as usize)
            .min()
    }
}

#[inline]
fn mix(content: &[u8]) -> u32 {
    let (head, tail) = match (content.first_chunk::<8>(), content.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => match (content.first_chunk::<4>(), content.last_chunk::<4>()) {
            (Some(head), Some(tail)) => {
                (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail)))
            }
            _ => (content.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
        },
    };
    let word = (head ^ tail.rotate_left(29) ^ (content.len() as u64) << 56)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(word >> 40).unwrap_or_default()
}
