//! An agent with a session of its own, that reads what leaves the sidecar byte by byte.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// What an agent was told.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The id of the request that it answers.
    pub(crate) id: u64,
}

impl Said {
    /// The message, where the body is one.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {:?}", String::from_utf8_lossy(&self.body[..self.body.len().min(400)]))
        })
    }

    /// `structuredContent` of a result that answers the very request.
    pub(crate) fn structured(&self) -> Result<Value, String> {
        let message = self.json();
        let result = &message["result"];
        if self.status != 200 || message["id"] != json!(self.id) || result["isError"] == json!(true)
        {
            return Err(format!("HTTP {} to {}: {message}", self.status, self.id));
        }
        match result.get("structuredContent") {
            Some(structured) => Ok(structured.clone()),
            None => Err(format!("to {}: {message}", self.id)),
        }
    }

    /// Code and message of a JSON-RPC error under HTTP 200 that names the very request.
    pub(crate) fn error(&self) -> (i64, String) {
        let message = self.json();
        assert_eq!(self.status, 200, "{message}");
        assert_eq!(message["id"], json!(self.id), "{message}");
        let code = message["error"]["code"].as_i64();
        let code = code.unwrap_or_else(|| panic!("expected an error, got {message}"));
        (code, message["error"]["message"].as_str().unwrap().to_owned())
    }
}

/// A caller on one connection.
pub(crate) struct Agent {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    pub(crate) session: Option<String>,
    next: u64,
}

impl Agent {
    /// Opens a session.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let mut agent = Self::unopened(address).await;
        let opened = agent
            .ask(
                "initialize",
                &json!({
                    "protocolVersion": "2025-06-18",
                    "capabilities": {},
                    "clientInfo": { "name": "agent", "version": "1" },
                }),
            )
            .await;
        assert_eq!(opened.status, 200, "{opened:?}");
        let session = opened.headers.get("mcp-session-id").unwrap().to_str().unwrap();
        agent.session = Some(session.to_owned());
        let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(agent.post(0, told.to_string(), &[]).await.status, 202);
        agent
    }

    /// A connection, and nothing said yet.
    pub(crate) async fn unopened(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, address, session: None, next: 0 }
    }

    /// The id of the last request.
    pub(crate) fn last(&self) -> u64 {
        self.next
    }

    /// Calls a tool.
    pub(crate) async fn call(&mut self, tool: &str, arguments: &Value) -> Said {
        self.ask("tools/call", &json!({ "name": tool, "arguments": arguments })).await
    }

    /// The tools as the agent is shown them.
    pub(crate) async fn list(&mut self) -> Value {
        self.ask("tools/list", &json!({})).await.json()["result"]["tools"].clone()
    }

    /// Sends a request.
    pub(crate) async fn ask(&mut self, method: &str, params: &Value) -> Said {
        self.ask_with(method, params, &[]).await
    }

    /// Sends a request with more headers.
    pub(crate) async fn ask_with(
        &mut self,
        method: &str,
        params: &Value,
        headers: &[(&str, &str)],
    ) -> Said {
        self.next += 1;
        let id = self.next;
        let text = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.post(id, text.to_string(), headers).await
    }

    /// Sends a message that is no request.
    pub(crate) async fn say(&mut self, message: &Value, headers: &[(&str, &str)]) -> Said {
        self.post(0, message.to_string(), headers).await
    }

    /// Sends a request; an error where the connection is gone.
    pub(crate) async fn try_ask(&mut self, method: &str, params: &Value) -> hyper::Result<Said> {
        self.next += 1;
        let id = self.next;
        let text = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(id, text.to_string(), &[]).await
    }

    async fn post(&mut self, id: u64, text: String, headers: &[(&str, &str)]) -> Said {
        self.send(id, text, headers).await.unwrap()
    }

    async fn send(
        &mut self,
        id: u64,
        text: String,
        headers: &[(&str, &str)],
    ) -> hyper::Result<Said> {
        let mut request = Request::post("/mcp")
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(text))).unwrap();
        super::soon("an answer", async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Said { status: head.status.as_u16(), headers: head.headers, body, id })
        })
        .await
    }
}

/// The text of a page of the admin listener.
pub(crate) async fn text_of(address: SocketAddr, path: &str) -> (u16, String) {
    said_to(address, Request::get(path).body(Full::default()).unwrap()).await
}

/// What a listener says to a request.
pub(crate) async fn said_to(
    address: SocketAddr,
    mut request: Request<Full<Bytes>>,
) -> (u16, String) {
    let mut agent = Agent::unopened(address).await;
    let host = address.to_string().parse().unwrap();
    request.headers_mut().entry("host").or_insert(host);
    agent.sender.ready().await.unwrap();
    let answer = agent.sender.send_request(request).await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(text.to_vec()).unwrap())
}
