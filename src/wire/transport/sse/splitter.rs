//! Splits a stream into events.

use std::ops::Range;

use bytes::{Buf as _, Bytes, BytesMut};

use super::line::{Field, field};

/// Allowed before the first line of a stream. It is dropped: it belongs to the stream and to no
/// event, and anywhere else it is part of a name that nobody defined.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event: its exact bytes, the blank line included, and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The bytes as they came.
    pub raw: Bytes,
    /// The `data` lines joined by LF; `None` where there is none. A slice of `raw` where one line
    /// holds it all.
    pub data: Option<Bytes>,
    /// The last `event` line.
    pub name: Option<Bytes>,
    /// The last `id` line that holds no NUL.
    pub id: Option<Bytes>,
    /// The last `retry` line that is a number, in milliseconds.
    pub retry: Option<u64>,
}

/// An event that is longer than the limit.
#[derive(Debug, thiserror::Error)]
#[error("an event is longer than {limit} bytes")]
pub struct EventTooLarge {
    /// The limit, in bytes.
    pub limit: usize,
}

/// Splits a stream that comes in chunks.
#[derive(Debug)]
pub struct Splitter {
    limit: usize,
    held: Held,
    /// Bytes of `held` that were looked at and hold no further line end.
    scanned: usize,
    /// Where in `held` the line under way begins; the event under way begins at 0.
    line: usize,
    /// The last line of the event under way ended with CR alone.
    lone_cr: bool,
    seen: Seen,
    /// Nothing was read yet.
    at_start: bool,
}

/// What came and is not yet an event.
#[derive(Debug)]
enum Held {
    /// A chunk as it came: events inside it are slices of it.
    Chunk(Bytes),
    /// Chunks put together, because an event spans them.
    Joined(BytesMut),
}

/// What the lines of the event under way said; ranges of `held`.
#[derive(Debug, Default)]
struct Seen {
    data: Option<Range<usize>>,
    /// Further `data` lines.
    more: Vec<Range<usize>>,
    name: Option<Range<usize>>,
    id: Option<Range<usize>>,
    retry: Option<u64>,
}

impl Splitter {
    /// A splitter that refuses events longer than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Held::Chunk(Bytes::new()),
            scanned: 0,
            line: 0,
            lone_cr: false,
            seen: Seen::default(),
            at_start: true,
        }
    }

    /// Takes the next chunk.
    pub fn push(&mut self, chunk: Bytes) {
        match &mut self.held {
            Held::Chunk(held) if held.is_empty() => *held = chunk,
            Held::Chunk(held) => {
                let mut joined = BytesMut::with_capacity(held.len() + chunk.len());
                joined.extend_from_slice(held);
                joined.extend_from_slice(&chunk);
                self.held = Held::Joined(joined);
            }
            Held::Joined(held) if held.is_empty() => self.held = Held::Chunk(chunk),
            Held::Joined(held) => held.extend_from_slice(&chunk),
        }
    }

    /// The next whole event, if it is there. A block of comments or a lone blank line is an event
    /// without data.
    ///
    /// # Errors
    /// [`EventTooLarge`]; the stream cannot go on.
    pub fn next_event(&mut self) -> Result<Option<Event>, EventTooLarge> {
        while let Some((line, next)) = self.next_line() {
            if line.is_empty() {
                let event = self.dispatch(next);
                return if next > self.limit { Err(self.too_large()) } else { Ok(Some(event)) };
            }
            self.read(line);
            self.line = next;
        }
        if self.held.bytes().len() > self.limit { Err(self.too_large()) } else { Ok(None) }
    }

    /// At the end of the stream: what is left, read as if its blank line had come. The standard
    /// drops it, but not every agent does.
    #[must_use]
    pub fn finish(mut self) -> Option<Event> {
        let held = self.held.bytes();
        let end = held.len();
        if end == 0 {
            return None;
        }
        let last = held[self.line..].iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        if let Some(last) = last {
            self.read(self.line..self.line + last + 1);
        }
        Some(self.dispatch(end))
    }

    const fn too_large(&self) -> EventTooLarge {
        EventTooLarge { limit: self.limit }
    }

    /// The line under way without its end, and where the next begins.
    fn next_line(&mut self) -> Option<(Range<usize>, usize)> {
        if self.at_start && !self.drop_mark() {
            return None;
        }
        let held = self.held.bytes();
        let Some(found) = memchr::memchr2(b'\n', b'\r', &held[self.scanned..]) else {
            self.scanned = held.len();
            return None;
        };
        let end = self.scanned + found;
        let lone = if held[end] == b'\n' {
            false
        } else if self.lone_cr && end == self.line {
            // A stream whose lines end with CR alone must not wait for what follows its blank
            // line. An LF that follows is then a blank line of its own, which says nothing.
            true
        } else {
            match held.get(end + 1) {
                // Whether an LF follows is not known yet.
                None => {
                    self.scanned = end;
                    return None;
                }
                Some(b'\n') => false,
                Some(_) => true,
            }
        };
        self.lone_cr = lone;
        let length = if held[end] == b'\r' && !lone { 2 } else { 1 };
        self.scanned = end + length;
        Some((self.line..end, self.scanned))
    }

    /// False while what came may still be the beginning of a mark.
    fn drop_mark(&mut self) -> bool {
        let held = self.held.bytes();
        if held.starts_with(BYTE_ORDER_MARK) {
            let length = BYTE_ORDER_MARK.len();
            match &mut self.held {
                Held::Chunk(held) => held.advance(length),
                Held::Joined(held) => held.advance(length),
            }
        } else if BYTE_ORDER_MARK.starts_with(held) {
            return false;
        }
        self.at_start = false;
        true
    }

    fn read(&mut self, line: Range<usize>) {
        let held = self.held.bytes();
        let (field, value) = field(&held[line.clone()]);
        let value = line.start + value.start..line.start + value.end;
        let text = &held[value.clone()];
        match field {
            Field::Data if self.seen.data.is_none() => self.seen.data = Some(value),
            Field::Data => self.seen.more.push(value),
            Field::Event => self.seen.name = Some(value),
            Field::Id if memchr::memchr(0, text).is_none() => self.seen.id = Some(value),
            Field::Retry if !text.is_empty() && text.iter().all(u8::is_ascii_digit) => {
                let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                self.seen.retry = number.or(self.seen.retry);
            }
            Field::Id | Field::Retry | Field::Other => {}
        }
    }

    /// The event that ends at `end`; what follows is the next.
    fn dispatch(&mut self, end: usize) -> Event {
        let raw = match &mut self.held {
            Held::Chunk(held) => held.split_to(end),
            Held::Joined(held) => held.split_to(end).freeze(),
        };
        (self.scanned, self.line, self.lone_cr) = (0, 0, false);
        let seen = std::mem::take(&mut self.seen);
        let data = seen.data.map(|first| {
            if seen.more.is_empty() {
                return raw.slice(first);
            }
            let mut joined = BytesMut::from(&raw[first]);
            for line in seen.more {
                joined.extend_from_slice(b"\n");
                joined.extend_from_slice(&raw[line]);
            }
            joined.freeze()
        });
        let name = seen.name.map(|range| raw.slice(range));
        let id = seen.id.map(|range| raw.slice(range));
        Event { data, name, id, retry: seen.retry, raw }
    }
}

impl Held {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Chunk(held) => held,
            Self::Joined(held) => held,
        }
    }
}
