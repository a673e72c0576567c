//! An MCP server (2025-06-18, answers as JSON) whose `search_flights` replies with as many KiB as it
//! is asked for, and whose `page_size` becomes `pageSize` when it is told to change.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The id of every call of the load.
pub(crate) const ID: u64 = 7;

/// A server beside the load; it is gone when this is dropped.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What all its connections answer from.
struct Desk {
    tools: usize,
    changed: AtomicBool,
    /// Replies to the id of the load, by KiB.
    replies: BTreeMap<u64, Bytes>,
}

impl Peer {
    /// Serves this many tools, on the runtime of whoever asks.
    pub(crate) async fn with(tools: usize) -> Self {
        let replies = [1, 8, 64, 1024].into_iter().map(|kib| (kib, reply(kib)));
        let desk = Desk { tools, changed: AtomicBool::new(false), replies: replies.collect() };
        let desk = Arc::new(desk);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("connections");
                stream.set_nodelay(true).expect("a socket");
                tokio::spawn(serve(stream, Arc::clone(&desk)));
            }
        });
        Self { address, serving }
    }
}

async fn serve(stream: TcpStream, desk: Arc<Desk>) {
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let io = hyper_util::rt::TokioIo::new(stream);
    // A connection that breaks is its client's affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
}

/// The whole reply to a call of the load.
pub(crate) fn reply(kib: u64) -> Bytes {
    let result = found(usize::try_from(kib << 10).expect("a size"));
    json!({ "jsonrpc": "2.0", "id": ID, "result": result }).to_string().into()
}

/// A result of about this many bytes: structured, and the same again as text.
fn found(bytes: usize) -> Value {
    let flight = |at: usize| {
        json!({ "id": format!("LX-{at}"), "from": "ZRH", "to": "LHR", "seats": at % 9,
            "departs": "2026-11-21T10:15:00Z", "refundable": at.is_multiple_of(2),
            "carrier": { "code": "LX", "name": "Swiss \"International\" Air Lines" },
            "price": { "amount": 129.5 + at as f64, "currency": "EUR" } })
    };
    let each = 2 * flight(100).to_string().len() + 40;
    let flights: Vec<Value> = (0..(bytes / each).max(1)).map(flight).collect();
    let structured = json!({ "total": flights.len(), "flights": flights });
    json!({ "content": [{ "type": "text", "text": structured.to_string() }],
        "structuredContent": structured, "isError": false })
}

fn promise() -> Value {
    json!({ "type": "object", "required": ["flights", "total"], "additionalProperties": false,
        "$defs": { "airport": { "type": "string", "pattern": "^[A-Z]{3}$" } },
        "properties": {
            "total": { "type": "integer", "minimum": 0 },
            "flights": { "type": "array", "items": { "type": "object",
                "required": ["id", "from", "to", "price", "seats"], "additionalProperties": false,
                "properties": {
                    "id": { "type": "string", "pattern": "^[A-Z]{2}-[0-9]+$" },
                    "from": { "$ref": "#/$defs/airport" },
                    "to": { "$ref": "#/$defs/airport" },
                    "departs": { "type": "string", "minLength": 20, "maxLength": 25 },
                    "carrier": { "type": "object", "required": ["code"], "properties": {
                        "code": { "type": "string", "maxLength": 3 },
                        "name": { "type": "string" } } },
                    "price": { "type": "object", "required": ["amount", "currency"],
                        "properties": {
                            "amount": { "type": "number", "minimum": 0 },
                            "currency": { "enum": ["EUR", "CHF", "USD", "GBP"] } } },
                    "seats": { "type": "integer", "minimum": 0, "maximum": 900 },
                    "refundable": { "type": "boolean" } } } } } })
}

fn tool(at: usize, size: &str) -> Value {
    let name = if at == 0 { "search_flights".to_owned() } else { format!("tool_{at}") };
    json!({ "name": name, "description": "Searches flights between two airports, best first.",
        "annotations": { "readOnlyHint": true },
        "inputSchema": { "type": "object", "required": ["from", "to", size],
            "additionalProperties": false,
            "properties": {
                "from": { "type": "string", "description": "IATA code of the origin" },
                "to": { "type": "string", "description": "IATA code of the destination" },
                size: { "type": "integer", "description": "How many KiB of flights at most" } } },
        "outputSchema": promise() })
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::POST {
            return status(StatusCode::METHOD_NOT_ALLOWED);
        }
        if request.uri().path() == "/change" {
            self.changed.store(true, Ordering::Relaxed);
            return status(StatusCode::ACCEPTED);
        }
        let body = request.into_body().collect().await.map(|body| body.to_bytes());
        let message: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
        let Some(id) = message.get("id") else { return status(StatusCode::ACCEPTED) };
        let text = match message["method"].as_str() {
            Some("tools/call") => self.call(id, &message["params"]),
            Some("tools/list") => {
                let tools = (0..self.tools).map(|at| tool(at, self.size(at)));
                result(id, &json!({ "tools": tools.collect::<Vec<_>>() }))
            }
            Some("initialize") => result(
                id,
                &json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
                    "serverInfo": { "name": "flights", "version": "1.0.0" } }),
            ),
            _ => error(id, -32601),
        };
        let opens = message["method"] == "initialize";
        let mut response = Response::new(Full::new(text));
        let headers = response.headers_mut();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        if opens {
            headers.insert("mcp-session-id", http::HeaderValue::from_static("a-session"));
        }
        response
    }

    /// What the tool calls the size it is asked for.
    fn size(&self, tool: usize) -> &'static str {
        if tool == 0 && self.changed.load(Ordering::Relaxed) { "pageSize" } else { "page_size" }
    }

    fn call(&self, id: &Value, params: &Value) -> Bytes {
        let Some(kib) = params["arguments"][self.size(0)].as_u64() else {
            return error(id, -32602);
        };
        match self.replies.get(&kib) {
            Some(text) if *id == ID => text.clone(),
            _ => result(id, &found(1 << 10)),
        }
    }
}

fn result(id: &Value, result: &Value) -> Bytes {
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string().into()
}

fn error(id: &Value, code: i64) -> Bytes {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": "no" } })
        .to_string()
        .into()
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
