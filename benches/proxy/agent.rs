//! The agent's side: single requests, and a closed loop of calls that compares every reply.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::peer;

pub(crate) const KIB: usize = 1 << 10;

/// Asks one address.
#[derive(Clone, Copy)]
pub(crate) struct Agent {
    address: SocketAddr,
}

/// A connection and what was read of it beyond the last answer.
struct Line {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Agent {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Opens a session and lists the tools, as every client does first.
    pub(crate) async fn handshake(self) {
        let opening = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}"#;
        for message in [opening, initialized, list] {
            self.post("/mcp", message).await;
        }
    }

    /// Tells the peer to change.
    pub(crate) async fn change(self) {
        self.post("/change", "").await;
    }

    /// One call; whether its reply is the promised one.
    pub(crate) async fn call(self, bytes: usize) -> bool {
        let mut line = self.line().await;
        line.stream.write_all(&request(self.address, bytes)).await.expect("a listener");
        let expected = peer::reply((bytes / KIB) as u64);
        line.answer(|body| body == expected).await
    }

    /// Fetches a text.
    pub(crate) async fn get(self, path: &str) -> String {
        let mut line = self.line().await;
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        line.stream.write_all(head.as_bytes()).await.expect("a listener");
        line.answer(|body| String::from_utf8_lossy(body).into_owned()).await
    }

    /// Calls again and again over one connection, counting, until told to stop.
    pub(crate) async fn calls(self, bytes: usize, done: Rc<Cell<u64>>, stop: Rc<Cell<bool>>) {
        let (request, expected) = (request(self.address, bytes), peer::reply((bytes / KIB) as u64));
        let mut line = self.line().await;
        while !stop.get() {
            line.stream.write_all(&request).await.expect("a connection that stays");
            assert!(line.answer(|body| body == expected).await, "another reply came");
            done.set(done.get() + 1);
        }
    }

    async fn line(self) -> Line {
        let stream = TcpStream::connect(self.address).await.expect("a listener");
        stream.set_nodelay(true).expect("a socket");
        Line { stream, read: Vec::new() }
    }

    async fn post(self, path: &str, message: &str) {
        let mut line = self.line().await;
        line.stream.write_all(&posted(self.address, path, message)).await.expect("a listener");
        line.answer(|_| ()).await;
    }
}

fn request(address: SocketAddr, bytes: usize) -> Vec<u8> {
    let (id, kib) = (peer::ID, bytes / KIB);
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"search_flights","arguments":{{"from":"ZRH","to":"LHR","page_size":{kib}}}}}}}"#
    );
    posted(address, "/mcp", &message)
}

fn posted(address: SocketAddr, path: &str, message: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: bench\r\n\
         accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
         mcp-protocol-version: 2025-06-18\r\nmcp-session-id: a-session\r\n\
         content-length: {}\r\n\r\n{message}",
        message.len()
    )
    .into_bytes()
}

impl Line {
    /// Reads one answer of known length and looks at its body.
    async fn answer<R>(&mut self, look: impl FnOnce(&[u8]) -> R) -> R {
        let (start, length) = loop {
            if let Some(end) = memchr::memmem::find(&self.read, b"\r\n\r\n") {
                break (end + 4, length(&self.read[..end]));
            }
            self.more().await;
        };
        while self.read.len() < start + length {
            self.more().await;
        }
        let looked = look(&self.read[start..start + length]);
        self.read.drain(..start + length);
        looked
    }

    async fn more(&mut self) {
        self.read.reserve(64 * KIB);
        let got = self.stream.read_buf(&mut self.read).await.expect("a connection that stays");
        assert!(got > 0, "the connection ended inside an answer");
    }
}

fn length(head: &[u8]) -> usize {
    let head = std::str::from_utf8(head).expect("a head is text");
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.trim().parse().expect("a length"))
}
