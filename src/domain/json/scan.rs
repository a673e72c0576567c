//! The one pass over the bytes: grammar, limits and unique keys at once, without recursion.

use super::block::Window;
use super::keys::Keys;
use super::node::{Kind, Marks, NODES_MAX, Node};
use super::text;

/// How much a document may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Containers inside one another.
    pub depth: u32,
    /// Values and keys; never more than 2^24 - 1.
    pub nodes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 128, nodes: 5_000_000 }
    }
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
    /// More nodes than the limit, or a text of 4 GiB and more.
    #[error("more values than the limit")]
    TooMany,
}

/// No container is open.
const OUTSIDE: u32 = u32::MAX;

/// Reads one text into `nodes` and tells how deep it goes; `keys` keeps those of wide objects.
///
/// # Errors
/// What is wrong and at which byte.
pub(super) fn scan(
    text: &str,
    limits: Limits,
    nodes: &mut Vec<Node>,
    keys: &mut Keys,
) -> Result<u32, ParseError> {
    nodes.clear();
    keys.clear();
    if u32::try_from(text.len()).is_err() {
        return Err(ParseError { fault: ParseFault::TooMany, offset: u32::MAX as usize });
    }
    let bytes = text.as_bytes();
    let mut scan = Scan {
        bytes,
        at: 0,
        window: Window::over(bytes, 0),
        limits,
        nodes,
        keys,
        open: OUTSIDE,
        count: 0,
        depth: 0,
        deepest: 0,
    };
    scan.document()?;
    scan.keys.settle();
    Ok(scan.deepest)
}

struct Scan<'s> {
    bytes: &'s [u8],
    at: usize,
    window: Window,
    limits: Limits,
    nodes: &'s mut Vec<Node>,
    keys: &'s mut Keys,
    /// The innermost open container, how many members or items it has, and how deep it is.
    open: u32,
    count: u32,
    depth: u32,
    deepest: u32,
}

impl Scan<'_> {
    fn document(&mut self) -> Result<(), ParseError> {
        loop {
            let opened = self.value()?;
            // After a value: close what ends here, until a comma asks for the next one.
            if !opened && !self.after_value()? {
                break;
            }
        }
        match self.token() {
            None => Ok(()),
            Some(_) => self.fault(ParseFault::Trailing),
        }
    }

    /// Reads a value, or opens a container and stands before its first value (true).
    #[inline]
    fn value(&mut self) -> Result<bool, ParseError> {
        match self.token() {
            Some(b'"') => {
                self.string()?;
                Ok(false)
            }
            Some(b'{') => self.enter(Kind::Object, b'}'),
            Some(b'[') => self.enter(Kind::Array, b']'),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| false),
            Some(b't') => self.literal(b"true", Kind::Bool, Marks::TRUE),
            Some(b'f') => self.literal(b"false", Kind::Bool, Marks::NONE),
            Some(b'n') => self.literal(b"null", Kind::Null, Marks::NONE),
            Some(_) => self.fault(ParseFault::Syntax),
            None => self.fault(ParseFault::Truncated),
        }
    }

    /// Whether another value follows; false when the outermost one is complete.
    #[inline]
    fn after_value(&mut self) -> Result<bool, ParseError> {
        while self.open != OUTSIDE {
            self.count += 1;
            let object = self.nodes[self.open as usize].kind() == Kind::Object;
            match self.token() {
                Some(b',') => {
                    self.at += 1;
                    if object {
                        self.key()?;
                    }
                    return Ok(true);
                }
                Some(b'}') if object => self.leave(true)?,
                Some(b']') if !object => self.leave(false)?,
                Some(_) => return self.fault(ParseFault::Syntax),
                None => return self.fault(ParseFault::Truncated),
            }
        }
        Ok(false)
    }

    fn enter(&mut self, kind: Kind, close: u8) -> Result<bool, ParseError> {
        if self.depth >= self.limits.depth {
            return self.fault(ParseFault::TooDeep);
        }
        if self.open != OUTSIDE {
            self.nodes[self.open as usize].keep(self.count);
        }
        let parent = self.open;
        self.open = place(self.nodes.len());
        self.push(Node::new(kind, Marks::NONE, place(self.at), 0, parent))?;
        self.at += 1;
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        self.count = 0;
        if self.token() == Some(close) {
            self.leave(false)?;
            return Ok(false);
        }
        if kind == Kind::Object {
            self.key()?;
        }
        Ok(true)
    }

    /// Closes the innermost container at its bracket.
    fn leave(&mut self, keyed: bool) -> Result<(), ParseError> {
        self.at += 1;
        let (next, end, first) = (place(self.nodes.len()), place(self.at), self.open + 1);
        if keyed
            && self.count > 1
            && let Some(offset) = self.keys.duplicate(self.bytes, self.nodes, first, self.count)
        {
            return fault(ParseFault::DuplicateKey, offset);
        }
        let node = &mut self.nodes[self.open as usize];
        let parent = node.next;
        node.keep(self.count);
        node.end = end;
        node.next = next;
        self.open = parent;
        self.depth -= 1;
        self.count = self.nodes.get(parent as usize).map_or(0, |parent| parent.extra());
        Ok(())
    }

    #[inline]
    fn key(&mut self) -> Result<(), ParseError> {
        match self.token() {
            Some(b'"') => {}
            Some(_) => return self.fault(ParseFault::Syntax),
            None => return self.fault(ParseFault::Truncated),
        }
        self.string()?;
        let at = self.nodes.len() - 1;
        let key = &mut self.nodes[at];
        key.keep(self.keys.hash(at, *key, self.bytes));
        match self.token() {
            Some(b':') => self.at += 1,
            Some(_) => return self.fault(ParseFault::Syntax),
            None => return self.fault(ParseFault::Truncated),
        }
        Ok(())
    }

    #[inline]
    fn string(&mut self) -> Result<(), ParseError> {
        match self.window.quote(self.at + 1) {
            Some(end) => {
                let start = std::mem::replace(&mut self.at, end + 1);
                self.scalar(Kind::String, Marks::NONE, start)
            }
            None => self.long_string(),
        }
    }

    /// A string that reaches into the next block or has escapes, or none that ends.
    #[inline(never)]
    fn long_string(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        let mut marks = Marks::NONE;
        let mut at = start + 1;
        loop {
            at = self.window.plain_end(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    marks = marks.and(Marks::ESCAPED);
                    let skipped = self.window.escaped_end(self.bytes, at);
                    at = if skipped > at { skipped } else { self.escape(at, &mut marks)? };
                }
                Some(_) => return fault(ParseFault::Syntax, at),
                None => return fault(ParseFault::Truncated, at),
            }
        }
        self.at = at + 1;
        self.scalar(Kind::String, marks, start)
    }

    /// The byte after the escape (or pair of escapes) that begins at `at`.
    #[inline]
    fn escape(&self, at: usize, marks: &mut Marks) -> Result<usize, ParseError> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => self.unicode(at, marks),
            Some(_) => fault(ParseFault::Syntax, at + 1),
            None => fault(ParseFault::Truncated, at + 1),
        }
    }

    fn unicode(&self, at: usize, marks: &mut Marks) -> Result<usize, ParseError> {
        let unit = self.unit(at + 2)?;
        let after = at + 6;
        // What follows and is no second half is an escape of its own, read again on its turn.
        if text::is_high(unit)
            && self.bytes.get(after..after + 2) == Some(b"\\u")
            && text::is_low(self.unit(after + 2)?)
        {
            return Ok(after + 6);
        }
        if text::is_high(unit) || text::is_low(unit) {
            *marks = marks.and(Marks::LONE);
        }
        Ok(after)
    }

    fn unit(&self, at: usize) -> Result<u32, ParseError> {
        for offset in at..at + 4 {
            match self.bytes.get(offset) {
                Some(byte) if byte.is_ascii_hexdigit() => {}
                Some(_) => return fault(ParseFault::Syntax, offset),
                None => return fault(ParseFault::Truncated, offset),
            }
        }
        Ok(text::hex4(&self.bytes[at..at + 4]).unwrap_or_default())
    }

    #[inline]
    fn number(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        let mut marks = Marks::WHOLE;
        self.at += usize::from(self.bytes[start] == b'-');
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            marks = Marks::NONE;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            marks = Marks::NONE;
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.scalar(Kind::Number, marks, start)
    }

    /// One digit or more.
    #[inline]
    fn digits(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false if self.at == self.bytes.len() => self.fault(ParseFault::Truncated),
            false => self.fault(ParseFault::Syntax),
        }
    }

    fn literal(&mut self, word: &[u8], kind: Kind, marks: Marks) -> Result<bool, ParseError> {
        let start = self.at;
        if self.bytes[start..].starts_with(word) {
            self.at += word.len();
            return self.scalar(kind, marks, start).map(|()| false);
        }
        let same = self.bytes[start..].iter().zip(word).take_while(|(a, b)| a == b).count();
        self.at += same;
        self.fault(if self.at == self.bytes.len() {
            ParseFault::Truncated
        } else {
            ParseFault::Syntax
        })
    }

    #[inline]
    fn scalar(&mut self, kind: Kind, marks: Marks, start: usize) -> Result<(), ParseError> {
        let next = place(self.nodes.len() + 1);
        self.push(Node::new(kind, marks, place(start), place(self.at), next))
    }

    #[inline]
    fn push(&mut self, node: Node) -> Result<(), ParseError> {
        if self.nodes.len() >= self.limits.nodes.min(NODES_MAX) as usize {
            return fault(ParseFault::TooMany, node.start as usize);
        }
        self.nodes.push(node);
        Ok(())
    }

    /// The next byte that is no white space; stands there.
    #[inline]
    fn token(&mut self) -> Option<u8> {
        match self.bytes.get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte),
            _ => self.spaced_token(),
        }
    }

    /// Most texts have no white space between their tokens.
    #[inline(never)]
    fn spaced_token(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    #[cold]
    fn fault<T>(&self, kind: ParseFault) -> Result<T, ParseError> {
        fault(kind, self.at)
    }
}

#[cold]
fn fault<T>(fault: ParseFault, offset: usize) -> Result<T, ParseError> {
    Err(ParseError { fault, offset })
}

/// A place in the text or on the tape; both are shorter than 4 GiB here.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "scan refuses longer texts at its door")]
fn place(at: usize) -> u32 {
    at as u32
}
