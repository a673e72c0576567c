//! From readiness to the end: what is in flight when the sidecar is told to stop ends whole, streams are
//! told, and the probes say how it stands.

mod stage;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::Signal;
use serde_json::{Value, json};
use stage::{Agent, Peer, Sidecar, soon, text_of};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

/// Requests in flight when the sidecar is told to stop, each with an answer of this many bytes.
const IN_FLIGHT: usize = 50;
const LENGTH: usize = 16 * 1024;

type Out = UnsyncBoxBody<Bytes, Infallible>;

/// A peer that holds back the answers to calls until the gate is open; `stream` calls and GETs are
/// answered with a stream that never ends.
#[derive(Clone)]
struct Slow {
    gate: watch::Receiver<bool>,
    waiting: watch::Sender<usize>,
}

impl Slow {
    async fn start() -> (SocketAddr, Self, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, gate) = watch::channel(false);
        let peer = Self { gate, waiting: watch::Sender::new(0) };
        let served = peer.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let peer = served.clone();
                let service = service_fn(move |request| peer.clone().serve(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        (address, peer, open)
    }

    async fn serve(mut self, request: Request<Incoming>) -> Result<Response<Out>, Infallible> {
        let (head, body) = request.into_parts();
        let message: Value =
            serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap_or_default();
        let told = |result: Value| {
            let text = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
            let body = Full::new(Bytes::from(text.to_string())).boxed_unsync();
            Response::builder().header("content-type", "application/json").body(body).unwrap()
        };
        let endless = || {
            let first = stream::iter([Ok(Frame::data(Bytes::from_static(b": hello\n\n")))]);
            let body = StreamBody::new(futures_util::StreamExt::chain(first, stream::pending()));
            let answer = Response::builder().header("content-type", "text/event-stream");
            answer.body(body.boxed_unsync()).unwrap()
        };
        if head.method == Method::GET {
            return Ok(endless());
        }
        let output = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
        let tool = |name: &str| {
            json!({ "name": name, "inputSchema": { "type": "object" }, "outputSchema": output,
                    "annotations": { "readOnlyHint": true } })
        };
        Ok(match (message["method"].as_str(), message["params"]["name"].as_str()) {
            (Some("initialize"), _) => {
                let mut opened = told(json!({
                    "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
                    "serverInfo": { "name": "slow", "version": "1" },
                }));
                opened.headers_mut().insert("mcp-session-id", "one".parse().unwrap());
                opened
            }
            (Some("tools/list"), _) => told(json!({ "tools": [tool("read"), tool("stream")] })),
            (Some("tools/call"), Some("stream")) => endless(),
            (Some("tools/call"), _) => {
                self.waiting.send_modify(|waiting| *waiting += 1);
                self.gate.wait_for(|open| *open).await.unwrap();
                told(json!({ "content": [], "structuredContent": { "text": "x".repeat(LENGTH) } }))
            }
            _ => Response::builder().status(202).body(Full::default().boxed_unsync()).unwrap(),
        })
    }
}

/// A sidecar in front of a slow peer, sealed.
async fn started(state: &std::path::Path, drain_ms: u64) -> (Sidecar, Slow, watch::Sender<bool>) {
    let (address, peer, open) = Slow::start().await;
    let text = format!(
        "timeouts: {{ drain_ms: {drain_ms} }}\npeers: {{ flights: {{ url: \"http://{address}/mcp\" }} }}\n"
    );
    let sidecar = Sidecar::start_from(state, &text).await;
    Agent::connect(sidecar.proxy).await.list().await;
    sidecar.until("a seal", |status| !status["version"].is_null()).await;
    (sidecar, peer, open)
}

async fn ready(sidecar: &Sidecar) -> (u16, Value) {
    let (status, text) = soon("readiness", text_of(sidecar.admin, "/readyz")).await;
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_at_the_end_ends_whole() {
    let state = tempfile::tempdir().unwrap();
    let (sidecar, peer, open) = started(state.path(), 20_000).await;
    let calling: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let proxy = sidecar.proxy;
            tokio::spawn(async move {
                let mut agent = Agent::connect(proxy).await;
                agent.call("read", &json!({})).await.structured().unwrap()["text"].clone()
            })
        })
        .collect();
    let all = async { peer.waiting.subscribe().wait_for(|now| *now == IN_FLIGHT).await.map(drop) };
    soon("all calls at the peer", all).await.unwrap();
    let (status, told) = ready(&sidecar).await;
    assert_eq!((status, &told["ready"]), (200, &json!(true)), "{told}");
    sidecar.signal(Signal::TERM);
    // A kubelet sees at once that nothing more should come.
    let told = soon("a sidecar that is not ready", async {
        loop {
            let (status, told) = ready(&sidecar).await;
            if status == 503 {
                return told;
            }
        }
    })
    .await;
    assert_eq!((&told["ready"], &told["draining"]), (&json!(false), &json!(true)), "{told}");
    open.send_replace(true);
    for call in calling {
        let text = soon("an answer", call).await.unwrap();
        assert_eq!(text.as_str().unwrap().len(), LENGTH);
    }
    assert!(!sidecar.said().iter().any(|line| line.contains("were cut")), "{:?}", sidecar.said());
    sidecar.ended().await;
}

/// Reads a stream to its end: all that came, or why it broke.
async fn read(
    sidecar: &Sidecar,
    request: Request<Full<Bytes>>,
) -> tokio::task::JoinHandle<Result<String, String>> {
    let socket = TcpStream::connect(sidecar.proxy).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let mut body = sender.send_request(request).await.unwrap().into_body();
    // The first event is here before anything else happens.
    let first = soon("the first event", body.frame()).await.unwrap().unwrap();
    assert!(first.is_data());
    tokio::spawn(async move {
        let _open = sender;
        let rest = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(String::from_utf8_lossy(&rest).into_owned())
    })
}

/// What a listener says on a connection, byte for byte.
#[derive(Clone, Default)]
struct Overheard(Arc<Mutex<Vec<u8>>>);

impl Overheard {
    /// Error codes of the HTTP/2 GOAWAY frames so far.
    fn goaways(&self) -> Vec<u32> {
        let said = self.0.lock().unwrap();
        let (mut rest, mut found) = (&said[..], Vec::new());
        while let Some((head, more)) = rest.split_at_checked(9) {
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let Some((body, more)) = more.split_at_checked(length) else { break };
            if head[3] == 7 {
                found.push(u32::from_be_bytes(body[4..8].try_into().unwrap()));
            }
            rest = more;
        }
        found
    }
}

/// A connection that is overheard.
struct Ear(TcpStream, Overheard);

impl AsyncRead for Ear {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.0).poll_read(context, into);
        self.1.0.lock().unwrap().extend_from_slice(&into.filled()[before..]);
        read
    }
}

impl AsyncWrite for Ear {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_caller_is_told_to_go_away_and_given_its_reply() {
    let state = tempfile::tempdir().unwrap();
    let (sidecar, peer, open) = started(state.path(), 20_000).await;
    let socket = TcpStream::connect(sidecar.proxy).await.unwrap();
    let heard = Overheard::default();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        TokioExecutor::new(),
        TokioIo::new(Ear(socket, heard.clone())),
    )
    .await
    .unwrap();
    let connection = tokio::spawn(connection);
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call",
                       "params": { "name": "read", "arguments": {} } });
    let mut request = request(Method::POST, sidecar.proxy, &call);
    *request.uri_mut() = format!("http://{}/mcp", sidecar.proxy).parse().unwrap();
    request.headers_mut().remove("host");
    let answer = tokio::spawn(sender.send_request(request));
    let one = async { peer.waiting.subscribe().wait_for(|now| *now == 1).await.map(drop) };
    soon("the call at the peer", one).await.unwrap();
    assert_eq!(heard.goaways(), [0_u32; 0]);
    sidecar.signal(Signal::TERM);
    soon("GOAWAY", async {
        while heard.goaways().is_empty() {
            tokio::task::yield_now().await
        }
    })
    .await;
    assert!(!answer.is_finished(), "the call is open still");
    // Its stream goes on, and ends whole.
    open.send_replace(true);
    let answer = soon("the answer", answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let body = soon("the reply", answer.into_body().collect()).await.unwrap().to_bytes();
    let told: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told["result"]["structuredContent"]["text"].as_str().unwrap().len(), LENGTH);
    soon("the end of the connection", connection).await.unwrap().unwrap();
    assert!(heard.goaways().iter().all(|code| *code == 0), "{:?}", heard.goaways());
    sidecar.ended().await;
}

fn request(method: Method, address: SocketAddr, body: &Value) -> Request<Full<Bytes>> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    Request::builder()
        .method(method)
        .uri("/mcp")
        .header("host", address.to_string())
        .header("mcp-session-id", "one")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(Full::from(text))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_told_of_the_end() {
    let state = tempfile::tempdir().unwrap();
    let (sidecar, _peer, _open) = started(state.path(), 1_500).await;
    // A stream of notifications, and the answer to a call that never comes.
    let listening = read(&sidecar, request(Method::GET, sidecar.proxy, &Value::Null)).await;
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call",
                       "params": { "name": "stream", "arguments": {} } });
    let calling = read(&sidecar, request(Method::POST, sidecar.proxy, &call)).await;
    let began = Instant::now();
    sidecar.signal(Signal::TERM);
    let heard = soon("the end of the notifications", listening).await.unwrap();
    assert_eq!(heard, Ok(String::new()), "it ends as a stream ends");
    assert!(began.elapsed() < Duration::from_millis(1_200), "{:?}", began.elapsed());
    let heard = soon("the end of the call", calling).await.unwrap().unwrap();
    let data = heard.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let told: Value = serde_json::from_str(data).unwrap();
    assert_eq!(told["id"], 7, "{told}");
    assert_eq!(told["error"]["data"]["executed"], "unknown", "{told}");
    assert!(told["error"]["message"].as_str().unwrap().contains("stopping"), "{told}");
    sidecar.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let state = tempfile::tempdir().unwrap();
    let (sidecar, peer, _open) = started(state.path(), 600_000).await;
    let proxy = sidecar.proxy;
    let calling = tokio::spawn(async move {
        Agent::connect(proxy).await.try_ask("tools/call", &json!({ "name": "read" })).await
    });
    let one = async { peer.waiting.subscribe().wait_for(|now| *now == 1).await.map(drop) };
    soon("the call at the peer", one).await.unwrap();
    sidecar.signal(Signal::TERM);
    soon("a drain", async { while ready(&sidecar).await.0 == 200 {} }).await;
    sidecar.signal(Signal::INT);
    sidecar.ended().await;
    assert!(soon("the end of the call", calling).await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_what_is_not_as_it_should_be() {
    let state = tempfile::tempdir().unwrap();
    let tools = json!([{ "name": "search", "inputSchema": { "type": "object" } }]);
    let peer = Peer::start(tools, |asked| asked.result("{}")).await;
    let sidecar = Sidecar::start(&peer, state.path()).await;
    sidecar.until("the peer is read", |status| status["reachable"] == true).await;
    let (status, told) = ready(&sidecar).await;
    assert_eq!(status, 200);
    assert_eq!(told["ledger"], json!({ "writable": true }), "{told}");
    assert_eq!(told["peers"]["flights"]["state"], "ready", "{told}");
    sidecar.stop().await;
    // A peer that is away degrades it, and takes nothing from those who are not.
    let gone = Sidecar::start_at("http://127.0.0.1:1/mcp", state.path()).await;
    let (status, told) = ready(&gone).await;
    assert_eq!((status, &told["peers"]["flights"]["state"]), (200, &json!("degraded")), "{told}");
    gone.stop().await;
}

fn one_tool() -> Value {
    let output = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    json!([{ "name": "search", "inputSchema": { "type": "object" }, "outputSchema": output }])
}

/// Calls that were kept, as the ledger has them.
fn recorded(state: &std::path::Path) -> u64 {
    let mut kept = 0;
    for file in std::fs::read_dir(state.join("ledger")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            kept += counted(&line);
        }
    }
    kept
}

/// The number at `search.kept`, wherever it stands in a record.
fn counted(value: &Value) -> u64 {
    match value {
        Value::Object(members) => {
            let here = value["search"]["kept"].as_u64().unwrap_or(0);
            here + members.values().map(counted).sum::<u64>()
        }
        Value::Array(items) => items.iter().map(counted).sum(),
        _ => 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_no_exchange_and_loses_no_count() {
    let state = tempfile::tempdir().unwrap();
    let peer = Peer::start(one_tool(), |asked| asked.result(r#"{"n":1}"#)).await;
    let sidecar = Sidecar::start_stubborn(&peer, state.path()).await;
    let mut agent = Agent::connect(sidecar.proxy).await;
    agent.list().await;
    sidecar.until("a seal", |status| !status["version"].is_null()).await;
    let mut calls = 0;
    for _ in 0..5 {
        agent.call("search", &json!({})).await.structured().unwrap();
        calls += 1;
    }
    sidecar.longest_file(Some(0));
    // Judging goes on, and readiness says that evidence waits.
    let told = soon("a ledger that cannot be written", async {
        loop {
            agent.call("search", &json!({})).await.structured().unwrap();
            calls += 1;
            let (status, told) = ready(&sidecar).await;
            if status == 503 {
                return told;
            }
        }
    })
    .await;
    assert_eq!(told["ledger"]["writable"], false, "{told}");
    assert!(told["ledger"]["why"].as_str().unwrap().contains("large"), "{told}");
    assert_eq!(told["peers"]["flights"]["state"], "ready", "{told}");
    // What must be durable before it is in force is refused.
    let token = std::fs::read_to_string(state.path().join("admin.token")).unwrap();
    let request = Request::post("/api/v1/rollback")
        .header("authorization", format!("Bearer {}", token.trim()))
        .body(Full::from(json!({ "peer": "flights", "to": "1.0.0" }).to_string()))
        .unwrap();
    let (status, said) = stage::said_to(sidecar.admin, request).await;
    assert_eq!(status, 500, "{said}");
    sidecar.longest_file(None);
    soon("readiness", async { while ready(&sidecar).await.0 != 200 {} }).await;
    agent.call("search", &json!({})).await.structured().unwrap();
    sidecar.stop().await;
    assert_eq!(recorded(state.path()), calls + 1);
    let verified = stage::cli(&["ledger", "verify", state.path().to_str().unwrap()]).await;
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_without_its_evidence() {
    let state = tempfile::tempdir().unwrap();
    let peer = Peer::start(one_tool(), |asked| asked.result(r#"{"n":1}"#)).await;
    let run = async |state: &std::path::Path| {
        let (url, state) = (peer.url(), state.to_str().unwrap());
        let any = "127.0.0.1:0";
        let told =
            stage::cli(&["run", "--peer", &url, "--listen", any, "--admin", any, "--state", state])
                .await;
        assert_eq!(told.status.code(), Some(2), "{told:?}");
        String::from_utf8(told.stderr).unwrap()
    };
    // A state directory that cannot be.
    let file = state.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = run(&file.join("state")).await;
    assert!(said.contains("file/state") && !said.contains("listening"), "{said}");
    // A contract that is not what was sealed.
    let kept = state.path().join("state");
    let sidecar = Sidecar::start(&peer, &kept).await;
    Agent::connect(sidecar.proxy).await.list().await;
    sidecar.until("a seal", |status| !status["version"].is_null()).await;
    sidecar.stop().await;
    let ledger = std::fs::read_dir(kept.join("ledger")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&ledger).unwrap();
    std::fs::write(&ledger, text.replacen("search", "seorch", 1)).unwrap();
    let said = run(&kept).await;
    assert!(said.contains("stipula ledger verify") && !said.contains("listening"), "{said}");
    std::fs::write(&ledger, text).unwrap();
    // One that cannot be read at all.
    let contract = std::fs::read_dir(kept.join("contracts")).unwrap().next().unwrap().unwrap();
    std::fs::write(contract.path(), "{ not JSON").unwrap();
    let name = contract.file_name().into_string().unwrap();
    let said = run(&kept).await;
    assert!(said.contains(&name) && !said.contains("listening"), "{said}");
}
