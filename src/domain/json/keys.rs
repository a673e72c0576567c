//! The keys of an object: none twice, and found without a walk where there are many.

use std::cmp::Ordering;

use super::node::{Marks, Node};
use super::text;

/// Up to here every pair is compared and look-ups walk; above, the keys are sorted.
const PAIRWISE: u32 = 16;

/// The sorted keys of the wide objects of a document, and room that is used again.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// A wide object and where its keys begin in `sorted`; by object once the scan is done.
    wide: Vec<(u32, u32)>,
    /// Keys of each wide object by hash, then content.
    sorted: Vec<u32>,
    room: Vec<Node>,
    resolved: Vec<u8>,
    /// Keys with escapes, in the order of the text, and where each ends in `names`.
    escaped: Vec<(u32, u32)>,
    /// What those keys say, one after another.
    names: String,
}

/// A name to look for, and its hash: what a schema says of members is asked of every object.
#[derive(Clone, Debug)]
pub struct Name {
    hash: u32,
    text: Box<str>,
}

impl Name {
    pub(super) fn new(text: &str) -> Self {
        Self { hash: mix(text.as_bytes()), text: text.into() }
    }

    /// Whether a key says this.
    #[inline]
    pub(super) fn is(&self, key: Node, bytes: &[u8]) -> bool {
        key.extra() == self.hash && key.says(&self.text, bytes)
    }

    #[inline]
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl Keys {
    /// Forgets the document before.
    pub(super) fn clear(&mut self) {
        self.wide.clear();
        self.sorted.clear();
        self.escaped.clear();
        self.names.clear();
    }

    /// Bytes that are kept for the next document.
    pub(super) fn kept(&self) -> usize {
        self.names.capacity().max(self.resolved.capacity())
    }

    /// Puts the wide objects in order, for the look-ups to come.
    pub(super) fn settle(&mut self) {
        self.wide.sort_unstable();
    }

    /// A hash of what the key at a place says. Weak on purpose: equal hashes are compared by content.
    #[inline]
    pub(super) fn hash(&mut self, at: usize, key: Node, bytes: &[u8]) -> u32 {
        let content = key.content(bytes);
        if key.has(Marks::ESCAPED) { self.resolve(at, content) } else { mix(content) }
    }

    #[cold]
    fn resolve(&mut self, at: usize, content: &[u8]) -> u32 {
        self.resolved.clear();
        for point in text::code_points(content) {
            let char = char::from_u32(point);
            match char {
                Some(char) => {
                    self.resolved.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                }
                None => self.resolved.extend_from_slice(&point.to_le_bytes()),
            }
            self.names.push(char.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        // Both are shorter than 4 GiB, as the text is.
        let place = |at: usize| u32::try_from(at).unwrap_or_default();
        self.escaped.push((place(at), place(self.names.len())));
        mix(&self.resolved)
    }

    /// What the escaped key at a place says, lone surrogates as U+FFFD.
    #[cold]
    pub(super) fn name(&self, at: u32) -> &str {
        let Ok(found) = self.escaped.binary_search_by_key(&at, |(key, _)| *key) else { return "" };
        let start = found.checked_sub(1).map_or(0, |before| self.escaped[before].1 as usize);
        &self.names[start..self.escaped[found].1 as usize]
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
            let mut seen = [0_u64; 8];
            let mut at = first as usize;
            let mut shared = 0;
            for _ in 0..count {
                let hash = nodes[at].extra();
                let (word, bit) = (&mut seen[(hash >> 6 & 7) as usize], 1 << (hash & 63));
                shared |= *word & bit;
                *word |= bit;
                at = nodes[at + 1].next as usize;
            }
            if shared == 0 {
                return None;
            }
        }
        self.room.clear();
        let mut at = first as usize;
        for _ in 0..count {
            self.room.push(nodes[at]);
            at = nodes[at + 1].next as usize;
        }
        if count <= PAIRWISE { self.pairwise(bytes) } else { self.in_order(bytes, first - 1) }
    }

    fn pairwise(&self, bytes: &[u8]) -> Option<usize> {
        self.room.iter().enumerate().find_map(|(at, key)| {
            let twice = |before: &Node| {
                before.extra() == key.extra() && before.compare(*key, bytes).is_eq()
            };
            self.room[..at].iter().any(twice).then_some(key.start as usize)
        })
    }

    fn in_order(&mut self, bytes: &[u8], object: u32) -> Option<usize> {
        let order =
            |a: &Node, b: &Node| a.extra().cmp(&b.extra()).then_with(|| a.compare(*b, bytes));
        self.room.sort_unstable_by(|a, b| order(a, b).then_with(|| a.start.cmp(&b.start)));
        let twice = self.room.windows(2).filter(|pair| order(&pair[0], &pair[1]).is_eq());
        let twice = twice.map(|pair| pair[1].start as usize).min();
        // Both are shorter than 4 GiB, as the tape is; a key's next node is its value.
        self.wide.push((object, u32::try_from(self.sorted.len()).unwrap_or_default()));
        self.sorted.extend(self.room.iter().map(|key| key.next - 1));
        twice
    }

    /// The key of a wide object that says `name`; `Err` where the object is not wide.
    pub(super) fn find(
        &self,
        object: u32,
        name: &str,
        nodes: &[Node],
        bytes: &[u8],
    ) -> Result<Option<u32>, NotWide> {
        let node = nodes[object as usize];
        if !is_wide(node) {
            return Err(NotWide);
        }
        let count = node.extra();
        let at = self.wide.binary_search_by_key(&object, |(object, _)| *object);
        let start = self.wide[at.map_err(|_| NotWide)?].1 as usize;
        let keys = &self.sorted[start..start + count as usize];
        let hash = mix(name.as_bytes());
        let order = |at: &u32| -> Ordering {
            let key = nodes[*at as usize];
            key.extra().cmp(&hash).then_with(|| key.compare_to(name, bytes))
        };
        Ok(keys.binary_search_by(order).ok().map(|at| keys[at]))
    }
}

/// Whether the keys of an object are sorted.
#[inline]
pub(super) fn is_wide(object: Node) -> bool {
    object.extra() > PAIRWISE
}

/// An object of few members, whose keys are walked.
#[derive(Debug)]
pub(super) struct NotWide;

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
