//! A peer that breaks in every way that a call can meet, and counts what it ran.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::Instant;

type Out = UnsyncBoxBody<Bytes, std::io::Error>;

/// A number that follows from two others, and from nothing else.
pub(crate) fn roll(seed: u64, of: u64) -> u64 {
    let mut x = seed ^ of.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The text that belongs to a call, so that one reply is not taken for another.
pub(crate) fn pad(id: u64) -> String {
    format!("{id:x}.").repeat(8 + usize::try_from(id % 97).unwrap())
}

/// What is found under a number: a flight with figures as flights have them, the same each time.
pub(crate) fn found(id: u64) -> Value {
    let at = |of: u64, below: u64| roll(of, id) % below;
    let route =
        [("ZRH", "LIS", 1_700), ("OSL", "FCO", 2_000), ("VIE", "AMS", 960), ("CDG", "ATH", 2_100)];
    let (from, to, km) = route[at(1, 4) as usize];
    let (day, hour, minute) = (1 + at(2, 28), 5 + at(3, 17), 5 * at(4, 12));
    json!({
        "id": id.to_string(),
        "pad": pad(id),
        "from": from,
        "to": to,
        "departs": format!("2027-03-{day:02}T{hour:02}:{minute:02}:00Z"),
        "status": if at(5, 20) == 0 { "delayed" } else { "on_time" },
        "seats": at(6, 180),
        "price": { "amount": (km * 12 + at(7, 9_000)) as f64 / 100.0, "currency": "EUR" },
        "refundable": at(8, 3) == 0,
        "gate": if at(9, 4) == 0 { Value::Null } else { json!(format!("B{}", 1 + at(10, 40))) },
        "total": at(0, 1_000),
    })
}

/// How a call goes wrong.
enum Fault {
    None,
    Late(u64),
    /// It ran, and nothing comes.
    Gone,
    /// The body breaks off.
    Cut,
    Stream,
    /// The stream breaks off before the reply.
    CutStream,
    Status(u16),
}

pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) restarts: AtomicU64,
    /// How often each call ran.
    pub(crate) runs: Mutex<BTreeMap<u64, u64>>,
    /// How often each call was read, whatever came of it.
    pub(crate) read: Mutex<BTreeMap<u64, u64>>,
    seed: u64,
    began: Instant,
    calm: AtomicBool,
    restarted: watch::Sender<u64>,
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

impl Peer {
    pub(crate) async fn start(seed: u64) -> Arc<Self> {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let peer = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            restarts: AtomicU64::new(0),
            runs: Mutex::default(),
            read: Mutex::default(),
            seed,
            began: Instant::now(),
            calm: AtomicBool::new(false),
            restarted: watch::Sender::new(0),
        });
        tokio::spawn(Arc::clone(&peer).serve_always(listener));
        peer
    }

    /// Every connection breaks, and for a while nobody answers.
    pub(crate) fn restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.restarted.send_modify(|count| *count += 1);
    }

    /// Nothing goes wrong from now on.
    pub(crate) fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    async fn serve_always(self: Arc<Self>, first: TcpListener) {
        let mut restarted = self.restarted.subscribe();
        let mut listener = Some(first);
        loop {
            let Some(now) = listener.take().or_else(|| listen(self.address).ok()) else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            loop {
                tokio::select! {
                    accepted = now.accept() => {
                        let Ok((socket, _)) = accepted else { continue };
                        let _ = socket.set_nodelay(true);
                        tokio::spawn(Arc::clone(&self).connection(socket));
                    }
                    _ = restarted.changed() => break,
                }
            }
            drop(now);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn connection(self: Arc<Self>, socket: tokio::net::TcpStream) {
        let mut restarted = self.restarted.subscribe();
        restarted.mark_unchanged();
        let service = service_fn(move |request| Arc::clone(&self).serve(request));
        let served = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(socket), service);
        tokio::select! {
            _ = served => {}
            _ = restarted.changed() => {}
        }
    }

    /// Another release every second: what is read is called otherwise, and answers more.
    fn release(&self) -> u64 {
        if self.calm.load(Ordering::Relaxed) { 0 } else { self.began.elapsed().as_secs() % 2 }
    }

    fn finder(&self) -> &'static str {
        if self.release() == 0 { "find" } else { "find_flight" }
    }

    fn tools(&self) -> Value {
        let text = json!({ "type": "string" });
        let input = json!({ "type": "object", "properties": { "id": text }, "required": ["id"] });
        let price = json!({
            "type": "object",
            "properties": { "amount": { "type": "number" }, "currency": text },
            "required": ["amount", "currency"],
        });
        let reply = json!({
            "type": "object",
            "properties": {
                "id": text, "pad": text, "from": text, "to": text, "departs": text, "status": text,
                "seats": { "type": "integer" }, "price": price, "refundable": { "type": "boolean" },
                "total": { "type": "integer" },
            },
            "required": ["id", "pad", "price"],
        });
        let mut found = reply.clone();
        if self.release() == 1 {
            found["properties"]["gate"] = json!({ "type": ["string", "null"] });
        }
        json!([
            {
                "name": self.finder(), "description": "Finds one flight by its number.",
                "inputSchema": input, "outputSchema": found, "annotations": { "readOnlyHint": true },
            },
            {
                "name": "book", "description": "Books a seat.", "inputSchema": input,
                "outputSchema": reply, "annotations": { "readOnlyHint": false },
            },
        ])
    }

    fn fault(&self, id: u64) -> Fault {
        if self.calm.load(Ordering::Relaxed) {
            return Fault::None;
        }
        let phase = self.began.elapsed().as_millis() % 3_000;
        let roll = roll(self.seed, id) % 1_000;
        match (phase, roll) {
            (2_000..2_150, _) => Fault::Status(503),
            (2_500..2_550, _) => Fault::Status(401),
            (_, 0..200) => Fault::Late(5 + roll / 4),
            (_, 200..215) => Fault::Gone,
            (_, 215..230) => Fault::Cut,
            (_, 230..280) => Fault::Stream,
            (_, 280..295) => Fault::CutStream,
            (_, 295..305) => Fault::Status(500),
            (_, 305..310) => Fault::Status(401),
            _ => Fault::None,
        }
    }

    async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Out>, std::io::Error> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return Ok(bare(400)) };
        if head.method != Method::POST {
            return Ok(bare(405));
        }
        let Ok(message) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
            return Ok(bare(400));
        };
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => json!({
                "protocolVersion": "2025-06-18",
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "chaos", "version": "1" },
            }),
            "tools/list" => json!({ "tools": self.tools() }),
            "tools/call" => return self.call(&message).await,
            _ => return Ok(bare(202)),
        };
        Ok(whole("application/json", told(&message["id"], &result)))
    }

    async fn call(&self, message: &Value) -> Result<Response<Out>, std::io::Error> {
        let id: u64 = message["params"]["arguments"]["id"].as_str().unwrap().parse().unwrap();
        *self.read.lock().unwrap().entry(id).or_default() += 1;
        let fault = self.fault(id);
        if let Fault::Status(status) = fault {
            return Ok(bare(status));
        }
        let name = message["params"]["name"].as_str().unwrap();
        if name != "book" && name != self.finder() {
            let why = json!({ "code": -32602, "message": format!("Unknown tool: {name}") });
            let text = json!({ "jsonrpc": "2.0", "id": message["id"], "error": why });
            return Ok(whole("application/json", text.to_string()));
        }
        *self.runs.lock().unwrap().entry(id).or_default() += 1;
        let result = json!({ "content": [], "structuredContent": found(id) });
        let reply = told(&message["id"], &result);
        let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
        let events = format!("data: {progress}\n\nevent: message\ndata: {reply}\n\n");
        Ok(match fault {
            Fault::None | Fault::Status(_) => whole("application/json", reply),
            Fault::Late(by) => {
                tokio::time::sleep(Duration::from_millis(by)).await;
                whole("application/json", reply)
            }
            Fault::Gone => return Err(std::io::Error::other("gone")),
            Fault::Cut => cut("application/json", &reply, reply.len() / 2),
            Fault::Stream => whole("text/event-stream", events),
            Fault::CutStream => cut("text/event-stream", &events, progress.len() + 40),
        })
    }
}

fn told(id: &Value, result: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}

fn bare(status: u16) -> Response<Out> {
    let empty = Full::new(Bytes::new()).map_err(|never: Infallible| match never {});
    Response::builder().status(status).body(empty.boxed_unsync()).unwrap()
}

fn whole(kind: &str, text: String) -> Response<Out> {
    let body = Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {});
    Response::builder().header("content-type", kind).body(body.boxed_unsync()).unwrap()
}

/// The first bytes, then the connection breaks.
fn cut(kind: &str, text: &str, at: usize) -> Response<Out> {
    let said = Bytes::copy_from_slice(&text.as_bytes()[..at]);
    let rest = stream::once(async {
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
        Err(std::io::Error::other("cut"))
    });
    let body = StreamBody::new(stream::iter([Ok(Frame::data(said))]).chain(rest));
    Response::builder().header("content-type", kind).body(body.boxed_unsync()).unwrap()
}
