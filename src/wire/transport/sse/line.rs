//! One line of an event stream.

use std::ops::Range;

/// A field of an event, as its line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Data,
    Event,
    Id,
    Retry,
    /// A comment, or a name that nobody defined.
    Other,
}

/// The field that a line sets, and where in the line its value stands.
pub(super) fn field(line: &[u8]) -> (Field, Range<usize>) {
    let colon = memchr::memchr(b':', line);
    let name = &line[..colon.unwrap_or(line.len())];
    let mut value = colon.map_or(line.len(), |colon| colon + 1);
    if line.get(value) == Some(&b' ') {
        value += 1;
    }
    let field = match name {
        b"data" => Field::Data,
        b"event" => Field::Event,
        b"id" => Field::Id,
        b"retry" => Field::Retry,
        _ => Field::Other,
    };
    (field, value..line.len())
}
