//! One entry of the tape: sixteen bytes a value or key.

use std::cmp::Ordering;

use super::text;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number, kept as text.
    Number,
    /// A string, kept escaped.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// What the scan learned on its way, so that nobody has to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks(u32);

impl Marks {
    pub(super) const NONE: Self = Self(0);
    /// A string that holds at least one escape.
    pub(super) const ESCAPED: Self = Self(1 << 3);
    /// A string with half of a surrogate pair.
    pub(super) const LONE: Self = Self(1 << 4);
    /// A number with neither fraction nor exponent.
    pub(super) const WHOLE: Self = Self(1 << 5);
    /// The boolean `true`.
    pub(super) const TRUE: Self = Self(1 << 6);

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Where the extra of a tag begins.
const EXTRA_SHIFT: u32 = 8;

/// The most nodes a tape holds, so that a count always fits beside the marks.
pub(super) const NODES_MAX: u32 = u32::MAX >> EXTRA_SHIFT;

/// A value or key: kind and marks in the low byte of `tag`; above them how many members or items a
/// container has, or the hash of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    tag: u32,
    /// First byte, quotes and brackets included.
    pub(super) start: u32,
    /// The byte after the last.
    pub(super) end: u32,
    /// The node after this value and all that is in it; while a container is open, its parent.
    pub(super) next: u32,
}

impl Node {
    pub(super) fn new(kind: Kind, marks: Marks, start: u32, end: u32, next: u32) -> Self {
        Self { tag: kind as u32 | marks.0, start, end, next }
    }

    pub(super) fn kind(self) -> Kind {
        match self.tag & 7 {
            0 => Kind::Null,
            1 => Kind::Bool,
            2 => Kind::Number,
            3 => Kind::String,
            4 => Kind::Array,
            _ => Kind::Object,
        }
    }

    pub(super) fn has(self, mark: Marks) -> bool {
        self.tag & mark.0 != 0
    }

    /// Members of an object, items of an array; the hash that was kept for a key.
    pub(super) fn extra(self) -> u32 {
        self.tag >> EXTRA_SHIFT
    }

    /// Keeps a count or a hash (its low 24 bits) beside the marks.
    pub(super) fn keep(&mut self, extra: u32) {
        self.tag = self.tag & ((1 << EXTRA_SHIFT) - 1) | extra << EXTRA_SHIFT;
    }

    /// The content of a string as it is written, without its quotes.
    pub(super) fn content(self, bytes: &[u8]) -> &[u8] {
        bytes
            .get(self.start as usize + 1..(self.end as usize).saturating_sub(1))
            .unwrap_or_default()
    }

    /// Order of two strings by code point, escapes resolved.
    pub(super) fn compare(self, other: Self, bytes: &[u8]) -> Ordering {
        let (ours, theirs) = (self.content(bytes), other.content(bytes));
        if self.has(Marks::ESCAPED) || other.has(Marks::ESCAPED) {
            text::code_points(ours).cmp(text::code_points(theirs))
        } else {
            ours.cmp(theirs)
        }
    }

    /// Order of a string to `name` by code point, escapes resolved.
    pub(super) fn compare_to(self, name: &str, bytes: &[u8]) -> Ordering {
        let content = self.content(bytes);
        if self.has(Marks::ESCAPED) {
            text::code_points(content).cmp(name.chars().map(u32::from))
        } else {
            content.cmp(name.as_bytes())
        }
    }

    /// Whether a string says `name`, escapes resolved.
    #[inline]
    pub(super) fn says(self, name: &str, bytes: &[u8]) -> bool {
        if self.has(Marks::ESCAPED) {
            text::code_points(self.content(bytes)).eq(name.chars().map(u32::from))
        } else {
            (self.end - self.start) as usize == name.len() + 2
                && self.content(bytes) == name.as_bytes()
        }
    }
}
