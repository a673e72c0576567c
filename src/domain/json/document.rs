//! A flat tape of nodes over the text it was read from.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

/// How much a document may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Containers inside one another.
    pub depth: u32,
    /// Values and keys.
    pub nodes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 128, nodes: 5_000_000 }
    }
}

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

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {offset}")]
pub struct ParseError {
    /// What.
    pub fault: ParseFault,
    /// At which byte.
    pub offset: usize,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseFault {
    /// Not JSON (RFC 8259).
    #[error("not JSON")]
    Syntax,
    /// Not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// The text ends too early.
    #[error("the text ends inside a value")]
    Truncated,
    /// Something after the value.
    #[error("more than one value")]
    Trailing,
    /// The same key twice in one object, escapes resolved.
    #[error("a key stands twice in one object")]
    DuplicateKey,
    /// Deeper than the limit.
    #[error("nested deeper than the limit")]
    TooDeep,
    /// More nodes than the limit.
    #[error("more values than the limit")]
    TooMany,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    #[allow(dead_code, reason = "placeholder until the scanner lands")]
    start: u32,
}

/// The buffers that a document is read into; used again for the next one.
#[derive(Debug, Default)]
pub struct Tape {
    nodes: Vec<Node>,
}

impl Tape {
    /// Reads one strict JSON text (UTF-8, RFC 8259, unique keys, nothing after the value).
    ///
    /// # Errors
    /// What is wrong and at which byte.
    pub fn read<'t>(
        &'t mut self,
        text: &'t [u8],
        _limits: Limits,
    ) -> Result<Document<'t>, ParseError> {
        let text = std::str::from_utf8(text)
            .map_err(|e| ParseError { fault: ParseFault::Utf8, offset: e.valid_up_to() })?;
        Ok(Document { text, nodes: &self.nodes })
    }
}

/// A text that was read, with its nodes.
#[derive(Clone, Copy, Debug)]
pub struct Document<'t> {
    text: &'t str,
    nodes: &'t [Node],
}

impl<'t> Document<'t> {
    /// The value.
    #[must_use]
    pub fn root(self) -> Item<'t> {
        Item { document: self, at: 0 }
    }

    /// The whole text.
    #[must_use]
    pub fn text(self) -> &'t str {
        self.text
    }
}

/// One value in a document.
#[derive(Clone, Copy, Debug)]
pub struct Item<'t> {
    document: Document<'t>,
    at: u32,
}

impl<'t> Item<'t> {
    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        let _ = (self.at, self.document.nodes);
        Kind::Null
    }

    /// Its bytes in the text, quotes and brackets included.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        0..0
    }

    /// Its text, as it came.
    #[must_use]
    pub fn raw(self) -> &'t str {
        &self.document.text[self.span()]
    }

    /// The member of this name, escapes resolved; `None` where it has none or is no object.
    #[must_use]
    pub fn get(self, _name: &str) -> Option<Item<'t>> {
        None
    }

    /// The value at a JSON Pointer.
    #[must_use]
    pub fn at(self, _pointer: &jsonptr::Pointer) -> Option<Item<'t>> {
        None
    }

    /// The text of a string, unescaped; `None` for other kinds and for lone surrogates.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'t, str>> {
        None
    }

    /// `true` or `false`.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        None
    }

    /// A number that is a 64-bit integer, however it is written (`1.0`, `1E2`).
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        None
    }

    /// How many members or items.
    #[must_use]
    pub fn len(self) -> usize {
        0
    }

    /// Whether it has no members or items.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Key (as an item of kind string) and value of each member, in order; nothing for other kinds.
    #[must_use]
    pub fn members(self) -> Members<'t> {
        Members { rest: self }
    }

    /// The items in order; nothing for other kinds.
    #[must_use]
    pub fn items(self) -> Items<'t> {
        Items { rest: self }
    }

    /// An owned copy: off the hot path only. Numbers beyond f64 become their nearest.
    #[must_use]
    pub fn to_value(self) -> Value {
        Value::Null
    }
}

/// Members of an object.
#[derive(Clone, Debug)]
pub struct Members<'t> {
    #[allow(dead_code, reason = "placeholder until the scanner lands")]
    rest: Item<'t>,
}

impl<'t> Iterator for Members<'t> {
    type Item = (Item<'t>, Item<'t>);
    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

/// Items of an array.
#[derive(Clone, Debug)]
pub struct Items<'t> {
    #[allow(dead_code, reason = "placeholder until the scanner lands")]
    rest: Item<'t>,
}

impl<'t> Iterator for Items<'t> {
    type Item = Item<'t>;
    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
