//! An MCP server over HTTP whose tools and replies are switched at once, down to the bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

const SESSION: &str = "mcp-session-id";

/// A call as the peer read it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// JSON text of the request's id.
    pub(crate) id: String,
    pub(crate) tool: String,
    pub(crate) arguments: Value,
    pub(crate) meta: Value,
    pub(crate) headers: HeaderMap,
}

impl Asked {
    /// A result with this text as `structuredContent`.
    pub(crate) fn result(&self, structured: &str) -> Answer {
        let id = &self.id;
        Answer::json(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[],"structuredContent":{structured}}}}}"#
        ))
    }

    /// A JSON-RPC error.
    pub(crate) fn error(&self, code: i64, message: &str) -> Answer {
        let (id, message) = (&self.id, Value::from(message));
        Answer::json(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}}}}}"#
        ))
    }

    /// The way the official servers reject arguments.
    pub(crate) fn rejected(&self, why: &str) -> Answer {
        self.error(-32602, &format!("Invalid arguments for tool {}: {why}", self.tool))
    }
}

/// What the peer writes.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// The connection breaks off after the body.
    pub(crate) cut: bool,
    pub(crate) status: u16,
    /// The connection breaks off instead of an answer.
    pub(crate) reset: bool,
    /// How long the peer is busy with it.
    pub(crate) busy: Duration,
    /// It comes when this says so.
    pub(crate) held: Option<watch::Receiver<bool>>,
}

impl Answer {
    pub(crate) fn of(kind: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", kind.to_owned())];
        Self {
            headers,
            body: body.into(),
            cut: false,
            status: 200,
            reset: false,
            busy: Duration::ZERO,
            held: None,
        }
    }

    /// A failure of the server, or of what stands before it.
    pub(crate) fn failing(status: u16) -> Self {
        Self { status, ..Self::of("text/plain", "down") }
    }

    /// No answer: the connection breaks off.
    pub(crate) fn reset() -> Self {
        Self { reset: true, ..Self::failing(500) }
    }

    pub(crate) fn after(self, busy: Duration) -> Self {
        Self { busy, ..self }
    }

    /// The same, once this says so.
    pub(crate) fn when(self, held: &watch::Sender<bool>) -> Self {
        Self { held: Some(held.subscribe()), ..self }
    }

    pub(crate) fn json(body: impl Into<Bytes>) -> Self {
        Self::of("application/json", body)
    }

    /// The same with one header more.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn stream(body: impl Into<Bytes>) -> Self {
        Self::of("text/event-stream", body)
    }

    fn response(self) -> Response<Out> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = if self.cut {
            let broken = std::io::Error::other("cut on purpose");
            // What was said so far is on its way before the connection breaks.
            let rest = stream::once(async {
                for _ in 0..16 {
                    tokio::task::yield_now().await;
                }
                Err(broken)
            });
            let said = stream::iter([Ok(Frame::data(self.body))]);
            StreamBody::new(said.chain(rest)).boxed_unsync()
        } else {
            whole(self.body)
        };
        response.body(body).unwrap()
    }
}

type Out = UnsyncBoxBody<Bytes, std::io::Error>;
type Reply = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;
/// Method and JSON text of the id, to what is answered before anything else is looked at.
type First = Arc<dyn Fn(&str, &str) -> Option<Answer> + Send + Sync>;

fn whole(body: Bytes) -> Out {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// What the peer is at one moment.
struct Face {
    name: String,
    /// Whoever shows this is refused whatever it asks.
    locked_out: Option<String>,
    /// What it says of itself as a protected resource.
    metadata: Option<Value>,
    tools: Value,
    /// What whoever shows this `Authorization` is listed instead.
    listed: BTreeMap<String, Value>,
    reply: Reply,
    capabilities: Value,
    first: First,
    sessions: BTreeSet<String>,
    opened: u64,
    ended: u64,
    rejected: u64,
    calls: u64,
    workers: Option<Workers>,
}

/// How many calls are worked at at once, and how long each takes.
#[derive(Clone)]
struct Workers {
    free: Arc<Semaphore>,
    each: Duration,
}

/// A peer that can be changed while it is called. Clones are the same peer.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    face: Arc<Mutex<Face>>,
    requests: Arc<watch::Sender<u64>>,
    /// Its listener and its connections.
    tasks: Arc<Mutex<JoinSet<()>>>,
    metadata_read: Arc<watch::Sender<u64>>,
}

impl Peer {
    pub(crate) async fn start(
        tools: Value,
        reply: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let face = Face {
            name: "driftable".to_owned(),
            locked_out: None,
            metadata: None,
            tools,
            listed: BTreeMap::new(),
            reply: Arc::new(reply),
            capabilities: json!({ "tools": {} }),
            first: Arc::new(|_, _| None),
            sessions: BTreeSet::new(),
            opened: 0,
            ended: 0,
            rejected: 0,
            calls: 0,
            workers: None,
        };
        let face = Arc::new(Mutex::new(face));
        let peer = Self {
            address,
            face,
            requests: Arc::default(),
            metadata_read: Arc::default(),
            tasks: Arc::default(),
        };
        peer.listen(listener);
        peer
    }

    fn listen(&self, listener: TcpListener) {
        let served = self.clone();
        let accepting = async move {
            while let Ok((socket, _)) = listener.accept().await {
                let peer = served.clone();
                // Small answers leave at once.
                socket.set_nodelay(true).unwrap();
                let service = service_fn(move |request| peer.clone().serve(request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service);
                served.tasks.lock().unwrap().spawn(async move { drop(connection.await) });
            }
        };
        self.tasks.lock().unwrap().spawn(accepting);
    }

    /// It is gone: nobody listens, and every connection is cut.
    pub(crate) async fn leave(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        tasks.shutdown().await;
    }

    /// It is back where it was, with the sessions that it knew.
    pub(crate) async fn come_back(&self) {
        self.listen(TcpListener::bind(self.address).await.unwrap());
    }

    /// Where MCP is spoken.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// From now on the peer is another one; requests see the old or the new face, never half.
    pub(crate) fn change(
        &self,
        tools: Value,
        reply: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) {
        let mut face = self.face.lock().unwrap();
        (face.tools, face.reply) = (tools, Arc::new(reply));
    }

    /// From now on replies are others, under the same definitions.
    pub(crate) fn reply(&self, reply: impl Fn(&Asked) -> Answer + Send + Sync + 'static) {
        self.face.lock().unwrap().reply = Arc::new(reply);
    }

    /// From now on it declares these capabilities.
    pub(crate) fn declare(&self, capabilities: Value) {
        self.face.lock().unwrap().capabilities = capabilities;
    }

    /// From now on requests of a session are answered so, by method and id, where this answers them.
    pub(crate) fn answer_first(
        &self,
        first: impl Fn(&str, &str) -> Option<Answer> + Send + Sync + 'static,
    ) {
        self.face.lock().unwrap().first = Arc::new(first);
    }

    /// From now on it names itself otherwise.
    pub(crate) fn rename(&self, name: &str) {
        self.face.lock().unwrap().name = name.to_owned();
    }

    /// From now on it says this of itself as a protected resource.
    pub(crate) fn protect(&self, metadata: Value) {
        self.face.lock().unwrap().metadata = Some(metadata);
    }

    /// From now on whoever shows this `Authorization` is answered 401 to everything.
    pub(crate) fn lock_out(&self, authorization: Option<&str>) {
        self.face.lock().unwrap().locked_out = authorization.map(str::to_owned);
    }

    /// From now on whoever shows this `Authorization` is listed these tools.
    pub(crate) fn list_to(&self, authorization: &str, tools: Value) {
        self.face.lock().unwrap().listed.insert(authorization.to_owned(), tools);
    }

    /// Waits until what it says of itself as a protected resource was read so often.
    pub(crate) async fn asked_for_metadata(&self, times: u64) {
        let mut read = self.metadata_read.subscribe();
        super::soon("its metadata", read.wait_for(|now| *now >= times)).await.unwrap();
    }

    /// From now on so many workers take so long for each call; the others wait in the order they came.
    pub(crate) fn work(&self, workers: usize, each: Duration) {
        let workers = Workers { free: Arc::new(Semaphore::new(workers)), each };
        self.face.lock().unwrap().workers = Some(workers);
    }

    /// How many calls came.
    pub(crate) fn calls(&self) -> u64 {
        self.face.lock().unwrap().calls
    }

    /// How many calls were answered with an error.
    pub(crate) fn rejected(&self) -> u64 {
        self.face.lock().unwrap().rejected
    }

    /// Waits until so many more requests of any kind came.
    pub(crate) async fn asked(&self, more: u64) {
        let until = *self.requests.borrow() + more;
        let mut requests = self.requests.subscribe();
        let came = requests.wait_for(|now| *now >= until);
        super::soon("requests to the peer", came).await.unwrap();
    }

    /// Whether a session that was opened is still there.
    pub(crate) fn knows(&self, session: &str) -> bool {
        self.face.lock().unwrap().sessions.contains(session)
    }

    async fn serve(self, request: Request<Incoming>) -> std::io::Result<Response<Out>> {
        self.requests.send_modify(|requests| *requests += 1);
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return Ok(status(400)) };
        if head.method == Method::DELETE {
            let mut face = self.face.lock().unwrap();
            let ended = shown(&head.headers).is_some_and(|session| face.sessions.remove(session));
            face.ended += u64::from(ended);
            return Ok(status(200));
        }
        let metadata = self.face.lock().unwrap().metadata.clone();
        if let Some(metadata) = metadata.filter(|_| head.uri.path().ends_with("-resource/mcp")) {
            self.metadata_read.send_modify(|read| *read += 1);
            return Ok(Answer::json(metadata.to_string()).response());
        }
        if head.method != Method::POST {
            return Ok(status(405));
        }
        let Ok(message) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
            return Ok(status(400));
        };
        let workers = self.face.lock().unwrap().workers.clone();
        let mut _working = None;
        if let Some(workers) = workers.filter(|_| message["method"] == "tools/call") {
            _working = workers.free.acquire_owned().await.ok();
            tokio::time::sleep(workers.each).await;
        }
        let mut answer = match self.answer(&head.headers, &message) {
            Ok(answer) => answer,
            Err(code) => return Ok(status(code)),
        };
        if !answer.busy.is_zero() {
            tokio::time::sleep(answer.busy).await;
        }
        if let Some(held) = &mut answer.held {
            // Whoever holds it back may have ended with its test.
            let _ = held.wait_for(|go| *go).await;
        }
        if answer.reset {
            return Err(std::io::Error::other("reset on purpose"));
        }
        Ok(answer.response())
    }

    /// What is answered to a message, or the bare status.
    fn answer(&self, headers: &HeaderMap, message: &Value) -> Result<Answer, u16> {
        let id = message["id"].to_string();
        let told = |result: Value| {
            Answer::json(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
        };
        let mut face = self.face.lock().unwrap();
        let method = message["method"].as_str().unwrap_or_default();
        let shows = headers.get("authorization").and_then(|value| value.to_str().ok());
        if face.locked_out.is_some() && face.locked_out.as_deref() == shows {
            return Err(401);
        }
        if method == "initialize" {
            face.opened += 1;
            let session = format!("session-{}", face.opened);
            face.sessions.insert(session.clone());
            let mut answer = told(json!({
                "protocolVersion": "2025-06-18",
                "capabilities": face.capabilities,
                "serverInfo": { "name": face.name, "version": "1" },
            }));
            answer.headers.push((SESSION, session));
            return Ok(answer);
        }
        match shown(headers) {
            None => return Err(400),
            Some(session) if !face.sessions.contains(session) => return Err(404),
            Some(_) => {}
        }
        if let Some(answer) = (face.first)(method, &id) {
            return Ok(answer);
        }
        match method {
            "tools/list" => {
                let own = shows.and_then(|shows| face.listed.get(shows));
                Ok(told(json!({ "tools": own.unwrap_or(&face.tools) })))
            }
            "tools/call" => {
                face.calls += 1;
                let asked = Asked {
                    id,
                    tool: message["params"]["name"].as_str().unwrap_or_default().to_owned(),
                    arguments: message["params"]["arguments"].clone(),
                    meta: message["params"]["_meta"].clone(),
                    headers: headers.clone(),
                };
                let reply = Arc::clone(&face.reply);
                drop(face);
                let answer = reply(&asked);
                if memchr::memmem::find(&answer.body[..answer.body.len().min(200)], b"\"error\"")
                    .is_some()
                {
                    self.face.lock().unwrap().rejected += 1;
                }
                Ok(answer)
            }
            _ if message.get("id").is_none() => Err(202),
            _ => Ok(Answer::json(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"Method not found"}}}}"#
            ))),
        }
    }
}

fn shown(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION)?.to_str().ok()
}

fn status(status: u16) -> Response<Out> {
    Response::builder().status(status).body(whole(Bytes::new())).unwrap()
}
