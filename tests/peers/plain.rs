//! A legacy client that shows what came over the wire, byte for byte.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

const OPEN: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"plain","version":"1.0.0"}}}"#;
const OPENED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// One session.
pub(crate) struct Plain {
    authority: String,
    session: Option<HeaderValue>,
    runtime: Runtime,
}

impl Plain {
    /// Opens a session at `http://AUTHORITY/mcp`.
    pub(crate) fn open(url: &str) -> Self {
        let authority = url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut plain = Self { authority: authority.to_owned(), session: None, runtime };
        let (headers, _) = plain.post(OPEN);
        plain.session = headers.get("mcp-session-id").cloned();
        plain.post(OPENED);
        plain
    }

    /// The messages that answer a request, as they came.
    pub(crate) fn ask(&self, text: &str) -> Vec<Bytes> {
        let (headers, body) = self.post(text);
        if headers["content-type"] != "text/event-stream" {
            return vec![body];
        }
        let lines = body.split(|byte| *byte == b'\n');
        let data = lines.filter_map(|line| line.strip_prefix(b"data: "));
        data.filter(|data| !data.is_empty()).map(Bytes::copy_from_slice).collect()
    }

    fn post(&self, text: &str) -> (HeaderMap, Bytes) {
        let mut request = Request::post("/mcp")
            .header("host", &self.authority)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(Full::new(Bytes::copy_from_slice(text.as_bytes())))
            .unwrap();
        if let Some(session) = &self.session {
            request.headers_mut().insert("mcp-session-id", session.clone());
            let version = HeaderValue::from_static("2025-11-25");
            request.headers_mut().insert("mcp-protocol-version", version);
        }
        self.runtime.block_on(async {
            let stream = TcpStream::connect(&self.authority).await.unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            let connection = tokio::spawn(connection);
            let (head, body) = sender.send_request(request).await.unwrap().into_parts();
            assert!(head.status.is_success(), "{} {text}", head.status);
            let body = body.collect().await.unwrap().to_bytes();
            connection.abort();
            (head.headers, body)
        })
    }
}
