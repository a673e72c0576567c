//! Writes events.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::line::{Field, field};
use super::splitter::Event;

/// Writes an event. Data may have several lines; a name or an id has one, so line ends in them are
/// dropped. Agents that skip events without a name want `message`.
#[must_use]
pub fn encode(event: Option<&str>, id: Option<&str>, retry: Option<u64>, data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 64);
    let mut line = |name: &str, value: &str| {
        out.put_slice(name.as_bytes());
        out.extend(value.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
        out.put_u8(b'\n');
    };
    if let Some(event) = event {
        line("event: ", event);
    }
    if let Some(id) = id {
        line("id: ", id);
    }
    if let Some(retry) = retry {
        line("retry: ", &retry.to_string());
    }
    put_data(&mut out, data, b"\n");
    out.put_u8(b'\n');
    out.freeze()
}

/// The same event with other data: every other line, and the kind of line ends, stay as they came.
/// Where it had no data, it gets some before its blank line.
#[must_use]
pub fn replace_data(event: &Event, data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(event.raw.len() + data.len() + 16);
    let mut placed = false;
    for (line, end) in lines(&event.raw) {
        if field(line).0 == Field::Data && !line.is_empty() {
            if !placed {
                put_data(&mut out, data, end);
            }
            placed = true;
            continue;
        }
        if line.is_empty() && !placed {
            put_data(&mut out, data, end);
            placed = true;
        }
        out.put_slice(line);
        out.put_slice(end);
    }
    out.freeze()
}

fn put_data(out: &mut BytesMut, data: &[u8], end: &[u8]) {
    for (line, _) in lines(data) {
        out.put_slice(b"data: ");
        out.put_slice(line);
        out.put_slice(end);
    }
    if data.is_empty() || data.ends_with(b"\n") || data.ends_with(b"\r") {
        out.put_slice(b"data: ");
        out.put_slice(end);
    }
}

/// Lines with their ends; a last line without an end has `\n` for one where it is asked for.
fn lines(mut text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let end = memchr::memchr2(b'\n', b'\r', text);
        let (line, rest) = text.split_at(end.unwrap_or(text.len()));
        let length = match rest {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        let (end, after) = rest.split_at(length);
        text = after;
        Some((line, end))
    })
}
