//! Shapes of requests that hyper lets through and that a proxy must not carry: two readers of the
//! same bytes could understand two different requests.

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Version};

/// Why a request is not carried: told to the agent in words, counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shape {
    /// CONNECT, or an `Upgrade` header.
    #[error("CONNECT and Upgrade are not served")]
    Tunnel,
    /// No host, more than one, or one that contradicts the request's target.
    #[error("expected exactly one Host, the same as the request's target")]
    Host,
    /// `Transfer-Encoding` other than one `chunked`, with HTTP/1.0, or beside `Content-Length`.
    #[error("expected Content-Length or Transfer-Encoding: chunked")]
    Framing,
    /// `X_User` beside `X-User`.
    #[error("two header names differ in an underscore only")]
    Underscore,
    /// A value that begins or ends with a space or tab (HTTP/2).
    #[error("a header value has a space at its edge")]
    Edge,
    /// A header that routes MCP messages stands there twice.
    #[error("an Mcp header stands there more than once")]
    TwiceMcp,
    /// A line of the head or of the chunked framing ends with LF alone, or holds a lone CR.
    #[error("expected lines to end with CRLF")]
    LineEnd,
    /// The head is longer than the limit.
    #[error("the head is too long")]
    TooLong,
}

/// Holds a request's head against the rules.
///
/// # Errors
/// The first [`Shape`] that it has.
pub fn check(head: &Parts) -> Result<(), Shape> {
    if head.method == Method::CONNECT || head.headers.contains_key(UPGRADE) {
        return Err(Shape::Tunnel);
    }
    host(head)?;
    framing(head)?;
    let http2 = head.version == Version::HTTP_2;
    // Most heads have one line for each name.
    let repeats = head.headers.len() != head.headers.keys_len();
    for (name, value) in &head.headers {
        if name.as_str().contains('_') && has_dashed_twin(&head.headers, name) {
            return Err(Shape::Underscore);
        }
        if http2 && value.as_bytes().trim_ascii().len() != value.len() {
            return Err(Shape::Edge);
        }
        if repeats
            && name.as_str().starts_with("mcp-")
            && head.headers.get_all(name).iter().nth(1).is_some()
        {
            return Err(Shape::TwiceMcp);
        }
    }
    Ok(())
}

/// The host that the request is for, as the agent wrote it. Ask only after [`check`].
#[must_use]
pub fn host_of(head: &Parts) -> Option<&str> {
    let target = head.uri.authority().map(http::uri::Authority::as_str);
    target.or_else(|| head.headers.get(HOST).and_then(|host| host.to_str().ok()))
}

fn host(head: &Parts) -> Result<(), Shape> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Shape::Host);
    }
    let same =
        |target: &str, host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(target.as_bytes());
    match (head.uri.authority(), host) {
        // Only HTTP/2 may name its host in the target alone.
        (Some(_), None) if head.version == Version::HTTP_2 => Ok(()),
        (Some(target), Some(host)) if same(target.as_str(), host) => Ok(()),
        (None, Some(host)) if !host.is_empty() => Ok(()),
        _ => Err(Shape::Host),
    }
}

fn framing(head: &Parts) -> Result<(), Shape> {
    let mut encodings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let (encoding, length) = (encodings.next(), lengths.next());
    if encodings.next().is_some() || lengths.next().is_some() {
        return Err(Shape::Framing);
    }
    let Some(encoding) = encoding else { return Ok(()) };
    let chunked = encoding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !chunked || length.is_some() || head.version != Version::HTTP_11 {
        return Err(Shape::Framing);
    }
    Ok(())
}

fn has_dashed_twin(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.contains_key(name.as_str().replace('_', "-"))
}

/// Follows the raw bytes of an HTTP/1 connection from request to request: hyper takes LF for CRLF
/// and forgets that it did. It also tells the timers where in a request the connection is.
#[derive(Debug)]
pub struct Follower {
    at: At,
    /// Bytes of the head under way.
    head: u32,
    limit: u32,
    /// The line under way, as far as a decision needs it.
    line: Line,
    framing: Framing,
}

/// Where in a request the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before a request.
    Between,
    /// In a head.
    Head,
    /// In a body of which this many bytes are to come.
    Body(u64),
    /// In the line that says how long a chunk is.
    ChunkSize,
    /// In the CRLF after a chunk.
    ChunkEnd,
    /// In the lines after the last chunk.
    Trailers,
    /// HTTP/2: not followed any more.
    Elsewhere,
}

#[derive(Debug, Default)]
struct Line {
    length: u32,
    cr: bool,
    start: [u8; LINE],
}

/// As many bytes of a line as `transfer-encoding: chunked`, a length or a chunk size need.
const LINE: usize = 32;

#[derive(Clone, Copy, Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
}

impl Follower {
    /// At the start of a connection. A head longer than `limit` bytes has the wrong shape.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        let (line, framing) = (Line::default(), Framing::default());
        Self { at: At::Between, head: 0, limit, line, framing }
    }

    /// Where the next byte stands.
    #[must_use]
    pub const fn at(&self) -> At {
        self.at
    }

    /// Takes the bytes that were read.
    ///
    /// # Errors
    /// [`Shape::LineEnd`], [`Shape::TooLong`], [`Shape::Framing`]: the connection cannot be relied on any more.
    pub fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Shape> {
        while !bytes.is_empty() {
            bytes = match self.at {
                At::Elsewhere => return Ok(()),
                At::Body(left) => self.skip(left, bytes),
                At::Between => {
                    (self.at, self.head, self.framing) = (At::Head, 0, Framing::default());
                    bytes
                }
                At::Head | At::ChunkSize | At::ChunkEnd | At::Trailers => self.line(bytes)?,
            };
        }
        Ok(())
    }

    fn skip<'b>(&mut self, left: u64, bytes: &'b [u8]) -> &'b [u8] {
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - now as u64;
        self.at = match (left, self.framing.chunked) {
            (0, true) => At::ChunkEnd,
            (0, false) => At::Between,
            _ => At::Body(left),
        };
        &bytes[now..]
    }

    /// Takes bytes up to the end of a line.
    fn line<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Shape> {
        let end = memchr::memchr(b'\n', bytes);
        let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        if matches!(self.at, At::Head | At::Trailers) {
            self.head = self.head.saturating_add(u32::try_from(line.len()).unwrap_or(u32::MAX));
        }
        if self.head > self.limit || self.line.length > self.limit {
            return Err(Shape::TooLong);
        }
        let text = if end.is_some() { &line[..line.len() - 1] } else { line };
        self.line.take(text)?;
        if end.is_some() {
            if !self.line.cr {
                return Err(Shape::LineEnd);
            }
            self.end_of_line()?;
        }
        Ok(rest)
    }

    fn end_of_line(&mut self) -> Result<(), Shape> {
        let line = std::mem::take(&mut self.line);
        let text = line.text();
        match self.at {
            // RFC 9112, 2.2: an empty line before a request is skipped.
            At::Head if text.is_empty() && self.head == 2 => self.at = At::Between,
            At::Head if text.is_empty() => {
                self.at = match self.framing {
                    Framing { chunked: true, .. } => self.chunk(),
                    Framing { length: None | Some(0), .. } => At::Between,
                    Framing { length: Some(length), .. } => At::Body(length),
                };
            }
            // The first line of the HTTP/2 preface.
            At::Head if text == b"PRI * HTTP/2.0" => self.at = At::Elsewhere,
            At::Head => self.field(text)?,
            At::ChunkSize => {
                let size = text.split(|byte| *byte == b';').next().unwrap_or_default();
                self.at = match number(size.trim_ascii(), 16).ok_or(Shape::Framing)? {
                    0 => At::Trailers,
                    size => At::Body(size),
                };
            }
            At::ChunkEnd if text.is_empty() => self.at = At::ChunkSize,
            At::Trailers if text.is_empty() => self.at = At::Between,
            At::Trailers => {}
            At::ChunkEnd | At::Between | At::Body(_) | At::Elsewhere => return Err(Shape::Framing),
        }
        Ok(())
    }

    fn chunk(&mut self) -> At {
        self.head = 0;
        At::ChunkSize
    }

    fn field(&mut self, text: &[u8]) -> Result<(), Shape> {
        let Some(colon) = memchr::memchr(b':', text) else { return Ok(()) };
        let (name, value) = (&text[..colon], text[colon + 1..].trim_ascii());
        let lengthy = name.eq_ignore_ascii_case(b"content-length");
        if !lengthy && !name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Ok(());
        }
        // hyper drops a length that stands before a coding: only here are both seen.
        if self.framing.chunked || self.framing.length.is_some() {
            return Err(Shape::Framing);
        }
        if lengthy {
            self.framing.length = Some(number(value, 10).ok_or(Shape::Framing)?);
        } else {
            self.framing.chunked = true;
        }
        Ok(())
    }
}

impl Line {
    /// Takes a part of a line without its LF. A CR that is not at the end is a fault.
    fn take(&mut self, text: &[u8]) -> Result<(), Shape> {
        if text.is_empty() {
            return Ok(());
        }
        let lone = memchr::memchr(b'\r', text).is_some_and(|at| at + 1 != text.len());
        if self.cr || lone {
            return Err(Shape::LineEnd);
        }
        self.cr = text.ends_with(b"\r");
        let text = if self.cr { &text[..text.len() - 1] } else { text };
        let at = (self.length as usize).min(LINE);
        let fits = text.len().min(LINE - at);
        self.start[at..at + fits].copy_from_slice(&text[..fits]);
        self.length = self.length.saturating_add(u32::try_from(text.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    fn text(&self) -> &[u8] {
        &self.start[..(self.length as usize).min(LINE)]
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    plain.then(|| u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()).flatten()
}
