//! A peer that answers as it is told, a sidecar in front of it, an agent that reads what leaves.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use stipula::domain::contract::{
    FirstVersion, ProvenanceKind, Schema, Surface, Tool, first_version,
};
use stipula::domain::message::{Clock, Generation, Millis, PeerId, ToolName, UnixMillis};
use stipula::domain::routine::{CompiledRoutine, ToolRoutine};
use stipula::live::{
    Binding, CallFact, Mode, Observation, ObservationKind, Observations, RequestSchema, Sampler,
    Switchboard, ToolBinding, ToolState,
};
use stipula::proxy::{Doors, Gateway, Peer, Proxy, Settings};
use stipula::telemetry::{Metrics, Tracer};
use stipula::wire::transport::pressure::Pressure;
use stipula::wire::transport::server::{self, House, Server, serve};
use stipula::wire::transport::upstream::{self, Endpoint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A request as the peer read it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// What the peer writes: a whole HTTP answer, and whether it then hangs up.
pub(crate) struct Answer(Vec<u8>, bool);

impl Answer {
    pub(crate) fn new(status: u16, kind: &str, body: impl AsRef<[u8]>) -> Self {
        Self::with(status, &[("content-type", kind)], body)
    }

    pub(crate) fn with(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        Self(bytes, false)
    }

    pub(crate) fn json(body: impl AsRef<[u8]>) -> Self {
        Self::new(200, "application/json", body)
    }

    /// A stream that ends by hanging up.
    pub(crate) fn stream(body: impl AsRef<[u8]>) -> Self {
        let mut bytes =
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
                .to_vec();
        bytes.extend_from_slice(body.as_ref());
        Self(bytes, true)
    }

    /// A stream that begins and does not end.
    pub(crate) fn open_stream() -> Self {
        Self(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_vec(), false)
    }

    /// A stream that breaks off in the middle of a chunk.
    pub(crate) fn cut_stream(begun: &str) -> Self {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked";
        let length = begun.len() + 100;
        Self(format!("{head}\r\n\r\n{length:x}\r\n{begun}").into_bytes(), true)
    }

    /// A body that is announced longer than it is.
    pub(crate) fn cut(body: &str) -> Self {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len() + 100
        );
        Self(head.into_bytes(), true)
    }

    /// Nothing: it hangs up.
    pub(crate) fn hung_up() -> Self {
        Self(Vec::new(), true)
    }

    /// The same with another status.
    pub(crate) fn status(mut self, status: u16) -> Self {
        self.0.splice(9..12, status.to_string().into_bytes());
        self
    }

    /// Nothing, ever: told when the other side goes away.
    pub(crate) fn silence() -> Self {
        Self(Vec::new(), false)
    }
}

type Manners = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;

#[derive(Clone)]
struct PeerState {
    manners: Manners,
    asked: Arc<Mutex<Vec<Asked>>>,
    left: mpsc::UnboundedSender<()>,
}

/// Everything a test needs to hold.
pub(crate) struct Rig {
    pub(crate) metrics: Metrics,
    pub(crate) pressure: Pressure,
    pub(crate) board: Arc<Switchboard>,
    pub(crate) ordinary: mpsc::Receiver<Observation>,
    pub(crate) reserved: mpsc::Receiver<Observation>,
    /// One message for each connection that the sidecar closed on the silent peer.
    pub(crate) left: mpsc::UnboundedReceiver<()>,
    observations: Observations,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: Server,
}

/// What left the sidecar.
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: Bytes,
}

impl Told {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.text).unwrap()
    }
}

pub(crate) fn peer() -> PeerId {
    PeerId::from("flights")
}

impl Rig {
    pub(crate) async fn new(
        binding: Option<Binding>,
        manners: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::with(Settings::default(), binding, manners).await
    }

    pub(crate) async fn with(
        settings: Settings,
        binding: Option<Binding>,
        manners: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (left, left_out) = mpsc::unbounded_channel();
        let state = PeerState { manners: Arc::new(manners), asked: Arc::default(), left };
        let asked = Arc::clone(&state.asked);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(connection(socket, state.clone()));
            }
        });
        let url = format!("http://{address}/mcp");
        let endpoint = Endpoint::new(&url, upstream::Settings::default()).unwrap();
        let bindings = binding.map(|binding| (peer(), Arc::new(binding)));
        let board = Arc::new(Switchboard::new(bindings.into_iter().collect()));
        let (observations, ordinary, reserved) = Observations::bounded(64, 64);
        let (metrics, pressure) = (Metrics::new(), Pressure::default());
        let doors = Doors {
            switchboard: Arc::clone(&board),
            observations: observations.clone(),
            clock: Arc::new(Ticking(tokio::time::Instant::now())),
            dice: Arc::new(stipula::app::SystemDice),
            metrics: metrics.clone(),
            tracer: Tracer::off(),
            pressure: pressure.clone(),
        };
        let proxied = Peer { id: peer(), endpoint: Arc::new(endpoint), seal_on_first_use: true };
        let gateway = Gateway::new(settings, vec![proxied], doors);
        let listen = server::Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            threads: Some(1),
            ..server::Settings::default()
        };
        let house = House { metrics: Some(metrics.clone()), pressure: pressure.clone() };
        let server = serve(listen, house, move |_| Proxy::new(&gateway)).unwrap();
        Self {
            metrics,
            pressure,
            board,
            ordinary,
            reserved,
            left: left_out,
            observations,
            asked,
            server,
        }
    }

    /// What the peer was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Leaves no room for a waiver or a refusal.
    pub(crate) fn fill_the_reserved_lane(&self) {
        let fact = || Observation {
            peer: peer(),
            at: UnixMillis(0),
            micros: 0,
            generation: Generation(0),
            kind: ObservationKind::ListChanged,
        };
        while self.observations.tell_reserved(fact()) {}
    }

    /// Someone who calls, beside the one who holds the rig.
    pub(crate) fn caller(&self) -> Agent {
        Agent(self.server.local_addr())
    }

    pub(crate) async fn post_with(&self, headers: &[(&str, &str)], text: &str) -> Told {
        self.caller().send("POST", "/mcp", headers, text).await
    }

    pub(crate) async fn post(&self, text: &str) -> Told {
        self.caller().post(text).await
    }

    /// The next fact about a call on the reserved lane.
    pub(crate) async fn named(&mut self) -> CallFact {
        match self.reserved.recv().await.unwrap().kind {
            ObservationKind::Call(fact) => fact,
            other => panic!("expected a call, got {other:?}"),
        }
    }

    /// The next fact about a call on the ordinary lane.
    pub(crate) async fn fact(&mut self) -> CallFact {
        match self.ordinary.recv().await.unwrap().kind {
            ObservationKind::Call(fact) => fact,
            other => panic!("expected a call, got {other:?}"),
        }
    }
}

/// Calls the sidecar.
#[derive(Clone, Copy)]
pub(crate) struct Agent(SocketAddr);

impl Agent {
    pub(crate) async fn post(self, text: &str) -> Told {
        self.send("POST", "/mcp", &[], text).await
    }

    /// Reads an answer to its end.
    pub(crate) async fn send(
        self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        text: &str,
    ) -> Told {
        told(self.open(method, path, headers, text).await).await
    }

    /// The head of an answer, its body unread.
    pub(crate) async fn open(
        self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        text: &str,
    ) -> http::Response<hyper::body::Incoming> {
        self.connected().await.open(method, path, headers, text).await
    }

    /// A connection that stays.
    pub(crate) async fn connected(self) -> Line {
        let socket = TcpStream::connect(self.0).await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        Line { agent: self, sender }
    }
}

/// A connection to the sidecar.
pub(crate) struct Line {
    agent: Agent,
    sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
}

impl Line {
    pub(crate) async fn post(&mut self, text: &str) -> Told {
        told(self.open("POST", "/mcp", &[], text).await).await
    }

    async fn open(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        text: &str,
    ) -> http::Response<hyper::body::Incoming> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.agent.0.to_string())
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(text.as_bytes()))).unwrap();
        self.sender.ready().await.unwrap();
        self.sender.send_request(request).await.unwrap()
    }
}

/// Reads an answer to its end.
async fn told(response: http::Response<hyper::body::Incoming>) -> Told {
    let (head, body) = response.into_parts();
    let text = body.collect().await.unwrap().to_bytes();
    Told { status: head.status.as_u16(), headers: head.headers, text }
}

async fn connection(mut socket: TcpStream, state: PeerState) {
    let mut held = Vec::new();
    while let Some(asked) = read(&mut socket, &mut held).await {
        state.asked.lock().unwrap().push(asked.clone());
        let Answer(bytes, hang_up) = (state.manners)(&asked);
        if bytes.is_empty() && !hang_up {
            let mut byte = [0];
            if matches!(socket.read(&mut byte).await, Ok(0) | Err(_)) {
                let _ = state.left.send(());
            }
            return;
        }
        if socket.write_all(&bytes).await.is_err() || hang_up {
            return;
        }
    }
}

async fn read(socket: &mut TcpStream, held: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(end) = held.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(held[..end].to_vec()).unwrap();
            let mut lines = head.split("\r\n");
            let mut first = lines.next()?.split(' ');
            let headers: BTreeMap<String, String> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
            if held.len() >= end + 4 + length {
                let text = String::from_utf8_lossy(&held[end + 4..end + 4 + length]).into_owned();
                held.drain(..end + 4 + length);
                let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
                return Some(Asked { method, path, headers, text });
            }
        }
        if socket.read_buf(held).await.ok()? == 0 {
            return None;
        }
    }
}

#[derive(Debug)]
struct Ticking(tokio::time::Instant);

impl Clock for Ticking {
    fn now(&self) -> UnixMillis {
        UnixMillis(1_790_000_000_000).plus(Millis(self.monotonic_micros() / 1000))
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap()
    }
}

/// One promised tool: `search` takes a `q` and gives a `price`.
pub(crate) fn definition() -> Value {
    json!({
        "name": "search",
        "inputSchema": {
            "type": "object",
            "properties": { "q": { "type": "string" } },
            "required": ["q"],
        },
        "outputSchema": {
            "type": "object",
            "properties": { "price": { "type": "number" } },
            "required": ["price"],
        },
        "annotations": { "readOnlyHint": true },
    })
}

/// A tool in force as it is promised: kept before, read-only, enforced, recorded.
pub(crate) fn tool() -> ToolBinding {
    let definition = definition();
    let schema = |member: &str| Some(Arc::new(Schema::compile(&definition[member]).unwrap()));
    ToolBinding {
        name: ToolName::from("search"),
        mode: Mode::Enforce,
        reply: schema("outputSchema"),
        request: RequestSchema::of(&Tool::from_definition(definition.clone()).unwrap()),
        offered_request: None,
        routine: None,
        shown_headers: Vec::new(),
        mirrored: HashMap::new(),
        read_only: true,
        read_only_hint: true,
        idempotent: true,
        state: ToolState::Sound,
        revision: 1,
        kept: AtomicBool::new(true),
        sampler: Some(Sampler::default()),
        inferred: None,
        reported: None,
        health: Arc::default(),
    }
}

pub(crate) fn routine(source: Value) -> Option<Arc<CompiledRoutine>> {
    let source: ToolRoutine = serde_json::from_value(source).unwrap();
    Some(Arc::new(CompiledRoutine::compile("search", &source).unwrap()))
}

pub(crate) fn bound(tool: ToolBinding) -> Binding {
    bound_as(tool, definition())
}

/// The same under another definition.
pub(crate) fn bound_as(tool: ToolBinding, definition: Value) -> Binding {
    let surface = Surface {
        server_name: Some("flights".to_owned()),
        capabilities: json!({}),
        tools: vec![Tool::from_definition(definition).unwrap()],
    };
    let (contract, _) = first_version(FirstVersion {
        id: uuid::Uuid::nil(),
        peer_identity: "http://127.0.0.1".to_owned(),
        surface: &surface,
        at: UnixMillis(1_790_000_000_000),
        lifetime: Millis(604_800_000),
        reference: "test".to_owned(),
        kind: ProvenanceKind::Manual,
    });
    Binding {
        contract: Some(Arc::new(contract)),
        mode: tool.mode,
        tools: [(tool.name.clone(), Arc::new(tool))].into(),
        hidden: vec![ToolName::from("secret")],
        promised_list: None,
        first_use_told: AtomicBool::new(true),
        expiry: None,
        reviewed_to: 0,
        changed_offers: HashMap::new(),
        health: Arc::default(),
        deadline: None,
        unsupported: Default::default(),
    }
}

pub(crate) fn unbound() -> Binding {
    Binding {
        contract: None,
        tools: HashMap::new(),
        first_use_told: AtomicBool::new(false),
        ..bound(tool())
    }
}

pub(crate) const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"search","arguments":{"q":"oslo"}}}"#;

pub(crate) fn modern(arguments: &Value) -> String {
    json!({
        "jsonrpc": "2.0", "id": "a", "method": "tools/call",
        "params": {
            "name": "search", "arguments": arguments,
            "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" },
        },
    })
    .to_string()
}

pub(crate) const MODERN: [(&str, &str); 3] =
    [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "search")];

/// Waits no longer than a test may take.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("it never happened")
}
