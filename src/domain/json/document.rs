//! A flat tape of nodes over the text it was read from.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use serde_json::{Map, Number, Value};

use super::keys::{Keys, Name, NotWide, is_wide};
use super::node::{Kind, Marks, Node};
use super::number::Decimal;
use super::scan::{Limits, ParseError, ParseFault, scan};
use super::text::{self, unescape};

/// What a kept tape may hold between two documents: 16 bytes a node, so 4 MiB; and as many bytes of
/// keys.
const KEPT_NODES: usize = 1 << 18;

/// The buffers that a document is read into; used again for the next one.
#[derive(Debug, Default)]
pub struct Tape {
    nodes: Vec<Node>,
    keys: Keys,
    depth: u32,
}

impl Tape {
    /// Reads one strict JSON text (UTF-8, RFC 8259, unique keys, nothing after the value).
    ///
    /// Memory is at most eight times the text; a tape that a huge text has grown is cut back by
    /// the next one.
    ///
    /// # Errors
    /// What is wrong and at which byte.
    pub fn read<'t>(
        &'t mut self,
        text: &'t [u8],
        limits: Limits,
    ) -> Result<Document<'t>, ParseError> {
        if self.nodes.capacity() > KEPT_NODES || self.keys.kept() > KEPT_NODES {
            *self = Self::default();
        }
        let text = std::str::from_utf8(text)
            .map_err(|e| ParseError { fault: ParseFault::Utf8, offset: e.valid_up_to() })?;
        self.depth = scan(text, limits, &mut self.nodes, &mut self.keys)?;
        Ok(Document { text, tape: self })
    }
}

/// A text that was read, with its nodes.
#[derive(Clone, Copy, Debug)]
pub struct Document<'t> {
    text: &'t str,
    tape: &'t Tape,
}

impl<'t> Document<'t> {
    /// The value.
    #[must_use]
    pub fn root(self) -> Item<'t> {
        Item { document: self, at: 0 }
    }

    /// How many values and keys it has.
    #[must_use]
    pub fn nodes(self) -> usize {
        self.tape.nodes.len()
    }

    /// How many containers stand inside one another where it is deepest.
    #[must_use]
    pub fn depth(self) -> u32 {
        self.tape.depth
    }

    /// The whole text.
    #[must_use]
    pub fn text(self) -> &'t str {
        self.text
    }

    /// The value at a place that [`Item::place`] gave.
    #[inline]
    pub(super) fn item(self, at: u32) -> Item<'t> {
        Item { document: self, at }
    }

    /// The place after the value at this one and all that is in it.
    #[inline]
    pub(super) fn after(self, at: u32) -> u32 {
        self.tape.nodes[at as usize].next
    }

    /// What the key at a place says, lone surrogates as U+FFFD.
    #[inline]
    pub(super) fn name(self, at: u32) -> &'t str {
        let node = self.tape.nodes[at as usize];
        if node.has(Marks::ESCAPED) {
            return self.tape.keys.name(at);
        }
        self.text.get(node.start as usize + 1..node.end as usize - 1).unwrap_or_default()
    }
}

/// One value in a document.
#[derive(Clone, Copy, Debug)]
pub struct Item<'t> {
    document: Document<'t>,
    at: u32,
}

impl<'t> Item<'t> {
    #[inline]
    fn node(self) -> Node {
        self.document.tape.nodes[self.at as usize]
    }

    #[inline]
    fn bytes(self) -> &'t [u8] {
        self.document.text.as_bytes()
    }

    /// The document it stands in.
    #[must_use]
    pub fn document(self) -> Document<'t> {
        self.document
    }

    /// What it is.
    #[inline]
    #[must_use]
    pub fn kind(self) -> Kind {
        self.node().kind()
    }

    /// Its bytes in the text, quotes and brackets included.
    #[inline]
    #[must_use]
    pub fn span(self) -> Range<usize> {
        let node = self.node();
        node.start as usize..node.end as usize
    }

    /// Its text, as it came.
    #[must_use]
    pub fn raw(self) -> &'t str {
        &self.document.text[self.span()]
    }

    /// The member of this name, escapes resolved; `None` where it has none or is no object.
    #[inline]
    #[must_use]
    pub fn get(self, name: &str) -> Option<Item<'t>> {
        if self.kind() != Kind::Object {
            return None;
        }
        let tape = self.document.tape;
        match tape.keys.find(self.at, name, &tape.nodes, self.bytes()) {
            // The value stands right after its key.
            Ok(key) => key.map(|key| Item { document: self.document, at: key + 1 }),
            Err(NotWide) => {
                let mut members = self.members();
                members.find(|(key, _)| key.node().says(name, self.bytes())).map(|(_, value)| value)
            }
        }
    }

    /// As [`Item::get`], for a name whose hash is known.
    #[inline]
    pub(super) fn find(self, name: &Name) -> Option<Item<'t>> {
        let (nodes, bytes) = (&self.document.tape.nodes, self.bytes());
        let object = self.node();
        if object.kind() != Kind::Object || is_wide(object) {
            return self.get(name.text());
        }
        let mut key = self.at + 1;
        while key < object.next {
            // The value stands right after its key.
            if name.is(nodes[key as usize], bytes) {
                return Some(Item { document: self.document, at: key + 1 });
            }
            key = nodes[key as usize + 1].next;
        }
        None
    }

    /// The value at a JSON Pointer.
    #[must_use]
    pub fn at(self, pointer: &jsonptr::Pointer) -> Option<Item<'t>> {
        pointer.tokens().try_fold(self, |item, token| match item.kind() {
            Kind::Object => item.get(&token.decoded()),
            Kind::Array => item.items().nth(token.to_index().ok()?.for_len(item.len()).ok()?),
            _ => None,
        })
    }

    /// The text of a string, unescaped; `None` for other kinds and for lone surrogates.
    #[inline]
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'t, str>> {
        let node = self.node();
        (node.kind() == Kind::String && !node.has(Marks::LONE)).then(|| self.lossy())
    }

    /// The text of a string, lone surrogates as U+FFFD; nothing for other kinds.
    #[inline]
    pub(super) fn lossy(self) -> Cow<'t, str> {
        let (node, span) = (self.node(), self.span());
        let content = self.document.text.get(span.start + 1..span.end - 1).unwrap_or_default();
        match node.kind() {
            Kind::String if node.has(Marks::ESCAPED) => Cow::Owned(unescape(content)),
            Kind::String => Cow::Borrowed(content),
            _ => Cow::Borrowed(""),
        }
    }

    /// How many code points a string has; half of a surrogate pair counts as one.
    #[inline]
    pub(super) fn code_points(self) -> Option<u64> {
        let node = self.node();
        let content = node.content(self.bytes());
        let count = if node.has(Marks::ESCAPED) {
            text::code_points(content).count()
        } else {
            // Every code point has one byte that is not a continuation.
            content.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
        };
        (node.kind() == Kind::String).then_some(count as u64)
    }

    /// Order of two strings by code point, escapes resolved.
    pub(super) fn compare_text(self, other: Self) -> Ordering {
        self.node().compare(other.node(), self.bytes())
    }

    /// How many nodes it takes, itself included.
    pub(super) fn weight(self) -> u64 {
        u64::from(self.node().next.saturating_sub(self.at))
    }

    /// Its place on the tape, which tells it from every other value of this document.
    pub(super) fn place(self) -> u32 {
        self.at
    }

    /// Whether it is a string with half of a surrogate pair.
    pub(super) fn is_torn(self) -> bool {
        self.node().has(Marks::LONE)
    }

    /// `true` or `false`.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        let node = self.node();
        (node.kind() == Kind::Bool).then(|| node.has(Marks::TRUE))
    }

    /// A number that is a 64-bit integer, however it is written (`1.0`, `1E2`).
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        let node = self.node();
        match node.kind() {
            Kind::Number if node.has(Marks::WHOLE) => self.raw().parse().ok(),
            Kind::Number => i64::try_from(Decimal::read(self.raw()).integer()?).ok(),
            _ => None,
        }
    }

    /// How many members or items.
    #[inline]
    #[must_use]
    pub fn len(self) -> usize {
        let node = self.node();
        match node.kind() {
            Kind::Array | Kind::Object => node.extra() as usize,
            _ => 0,
        }
    }

    /// Whether it has no members or items.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Key (as an item of kind string) and value of each member, in order; nothing for other kinds.
    #[inline]
    #[must_use]
    pub fn members(self) -> Members<'t> {
        Members { rest: self.inside(Kind::Object) }
    }

    /// The items in order; nothing for other kinds.
    #[inline]
    #[must_use]
    pub fn items(self) -> Items<'t> {
        Items { rest: self.inside(Kind::Array) }
    }

    #[inline]
    fn inside(self, kind: Kind) -> Rest<'t> {
        let node = self.node();
        let end = if node.kind() == kind { node.next } else { 0 };
        Rest { document: self.document, at: self.at + 1, end }
    }

    /// An owned copy: off the hot path only. Numbers beyond f64 become their nearest.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self.kind() {
            Kind::Null => Value::Null,
            Kind::Bool => Value::Bool(self.node().has(Marks::TRUE)),
            Kind::Number => Value::Number(to_number(self.raw())),
            Kind::String => Value::String(self.lossy().into_owned()),
            Kind::Array => self.items().map(Item::to_value).collect(),
            Kind::Object => Value::Object(
                self.members()
                    .map(|(key, value)| (key.lossy().into_owned(), value.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

/// The number as serde_json keeps it; beyond f64 the largest or smallest that is finite.
pub(super) fn to_number(text: &str) -> Number {
    text.parse().unwrap_or_else(|_| {
        let nearest = text.parse::<f64>().unwrap_or_default().clamp(f64::MIN, f64::MAX);
        Number::from_f64(nearest).unwrap_or_else(|| Number::from(0))
    })
}

/// A run of nodes on the tape.
#[derive(Clone, Debug)]
struct Rest<'t> {
    document: Document<'t>,
    at: u32,
    end: u32,
}

impl<'t> Rest<'t> {
    /// The next value, and all that is in it left behind.
    #[inline]
    fn step(&mut self) -> Option<Item<'t>> {
        (self.at < self.end).then(|| {
            let item = Item { document: self.document, at: self.at };
            self.at = item.node().next;
            item
        })
    }
}

/// Members of an object.
#[derive(Clone, Debug)]
pub struct Members<'t> {
    rest: Rest<'t>,
}

impl<'t> Iterator for Members<'t> {
    type Item = (Item<'t>, Item<'t>);
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.at >= self.rest.end {
            return None;
        }
        // The value stands right after its key.
        let key = Item { document: self.rest.document, at: self.rest.at };
        self.rest.at += 1;
        Some((key, self.rest.step()?))
    }
}

/// Items of an array.
#[derive(Clone, Debug)]
pub struct Items<'t> {
    rest: Rest<'t>,
}

impl<'t> Iterator for Items<'t> {
    type Item = Item<'t>;
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.rest.step()
    }
}
