//! Clients that call once with each number, never again, and write down what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::peer::{Peer, found, roll};

/// Longer than any call may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether the call of this number changes something.
pub(crate) fn writes(id: u64) -> bool {
    id.is_multiple_of(2)
}

/// What clients were told.
#[derive(Default)]
pub(crate) struct Book {
    /// Whole replies of the peer, to the very call.
    pub(crate) delivered: u64,
    /// Refusals of ours, by stable code or, where the call ran, `ran`.
    refused: BTreeMap<String, u64>,
    /// Answers of the peer that are no replies, by HTTP status.
    passed: BTreeMap<u16, u64>,
    /// Connections that broke under a call.
    broken: u64,
    /// Answers that are not whole, or another call's.
    pub(crate) torn: Vec<String>,
    /// Writes of which it was told whether they ran.
    pub(crate) told: BTreeMap<u64, bool>,
    /// Calls since the last start of the sidecar that were sent, and those that were answered.
    pub(crate) begun_now: u64,
    pub(crate) answered_now: u64,
    ids_now: Vec<u64>,
    /// Calls that we refused without claiming that they ran: the peer may know nothing of them.
    unsent: BTreeSet<u64>,
}

/// What the peer saw of the calls of the last life.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Calls that it read.
    pub(crate) calls: u64,
    /// How often it read them.
    pub(crate) times: u64,
    /// Calls that we refused, and that it never saw.
    pub(crate) unsent: u64,
    /// Calls that were answered in its name, and that it never saw.
    pub(crate) made_up: Vec<u64>,
}

impl std::fmt::Debug for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} delivered, refused {:?}, passed {:?}, {} broken, {} torn, {} writes told",
            self.delivered,
            self.refused,
            self.passed,
            self.broken,
            self.torn.len(),
            self.told.len()
        )
    }
}

impl Book {
    /// Of the calls of the last life, by the peer's own count: how many it read, how often it read
    /// them in all, and how many it never saw. Those were refused by us, or nobody knows of them.
    pub(crate) fn seen_now(&self, peer: &Peer) -> Seen {
        let read = peer.read.lock().unwrap();
        let mut seen = Seen::default();
        for id in &self.ids_now {
            match read.get(id) {
                Some(times) => {
                    seen.calls += 1;
                    seen.times += times;
                }
                None if self.unsent.contains(id) => seen.unsent += 1,
                None => seen.made_up.push(*id),
            }
        }
        seen
    }
}

/// All clients.
pub(crate) struct Crowd {
    book: Arc<Mutex<Book>>,
    address: watch::Sender<Option<SocketAddr>>,
    life: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

struct Client {
    number: u64,
    seed: u64,
    book: Arc<Mutex<Book>>,
    address: watch::Receiver<Option<SocketAddr>>,
    life: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Crowd {
    pub(crate) fn start(count: u64, seed: u64, address: SocketAddr) -> Self {
        let mut crowd = Self {
            book: Arc::default(),
            address: watch::Sender::new(Some(address)),
            life: Arc::default(),
            stop: Arc::default(),
            tasks: JoinSet::new(),
        };
        for number in 0..count {
            let client = Client {
                number,
                seed,
                book: Arc::clone(&crowd.book),
                address: crowd.address.subscribe(),
                life: Arc::clone(&crowd.life),
                stop: Arc::clone(&crowd.stop),
            };
            crowd.tasks.spawn(client.run());
        }
        crowd
    }

    /// The sidecar is gone; what is counted from now on is the next one's.
    pub(crate) fn new_life(&self) {
        self.address.send_replace(None);
        let mut book = self.book.lock().unwrap();
        self.life.fetch_add(1, Ordering::SeqCst);
        (book.begun_now, book.answered_now) = (0, 0);
        book.ids_now.clear();
    }

    pub(crate) fn moved(&self, address: SocketAddr) {
        self.address.send_replace(Some(address));
    }

    /// Every client ends the call that it is at.
    pub(crate) async fn stop(mut self) -> Book {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut *self.book.lock().unwrap())
    }
}

impl Client {
    async fn run(mut self) {
        let mut next = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let Some(address) = *self.address.borrow_and_update() else {
                let _ = tokio::time::timeout(PATIENCE, self.address.changed()).await;
                continue;
            };
            let Ok(socket) = TcpStream::connect(address).await else {
                // It restarts.
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let _ = socket.set_nodelay(true);
            let Ok((mut sender, connection)) = handshake(TokioIo::new(socket)).await else {
                continue;
            };
            tokio::spawn(connection);
            while !self.stop.load(Ordering::Relaxed)
                && self.address.borrow().as_ref() == Some(&address)
            {
                let id = self.number * 10_000_000 + next;
                next += 1;
                if self.call(&mut sender, address, id).await.is_err() {
                    break;
                }
                // Nobody calls without a pause.
                tokio::time::sleep(Duration::from_millis(roll(self.seed, id) % 40)).await;
            }
        }
    }

    /// One call; an error where the connection is of no use any more.
    async fn call(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        address: SocketAddr,
        id: u64,
    ) -> Result<(), ()> {
        if tokio::time::timeout(PATIENCE, sender.ready()).await.is_err_and(|_| true)
            || sender.is_closed()
        {
            return Err(());
        }
        let tool = if writes(id) { "book" } else { "find" };
        let text = json!({
            "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": tool, "arguments": { "id": id.to_string() } },
        });
        let request = Request::post("/mcp")
            .header("host", address.to_string())
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("authorization", format!("Bearer {}", self.number % 5))
            .body(Full::new(Bytes::from(text.to_string())))
            .unwrap();
        let life = {
            let mut book = self.book.lock().unwrap();
            book.begun_now += 1;
            book.ids_now.push(id);
            self.life.load(Ordering::SeqCst)
        };
        let said = tokio::time::timeout(PATIENCE, async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, hyper::Error>((head, body))
        });
        let said = said.await.expect("an answer within the time that any call may take");
        let mut book = self.book.lock().unwrap();
        if self.life.load(Ordering::SeqCst) == life {
            book.answered_now += u64::from(said.is_ok());
        }
        match said {
            Err(_) => {
                book.broken += 1;
                Err(())
            }
            Ok((head, body)) => {
                let streams = head
                    .headers
                    .get("content-type")
                    .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
                book.note(id, head.status.as_u16(), &body, streams);
                Ok(())
            }
        }
    }
}

impl Book {
    fn note(&mut self, id: u64, status: u16, body: &[u8], streams: bool) {
        if status != 200 {
            *self.passed.entry(status).or_default() += 1;
            return;
        }
        let text = String::from_utf8_lossy(body);
        let message = if streams { reply_in(&text, id) } else { serde_json::from_str(&text).ok() };
        let Some(message) = message.filter(|message| message["id"] == json!(id)) else {
            self.torn.push(format!("{id}: {}", text.chars().take(300).collect::<String>()));
            return;
        };
        let (result, error) = (&message["result"], &message["error"]);
        if error["code"] == json!(-32602) && error["data"].is_null() {
            // The peer's own word about a name that it had a moment ago.
            *self.refused.entry("by the peer".to_owned()).or_default() += 1;
            return;
        }
        if let Some(code) = error["data"]["error"].as_str() {
            *self.refused.entry(code.to_owned()).or_default() += 1;
            if error["data"]["executed"] != json!(true) {
                self.unsent.insert(id);
            }
            if let (true, Some(ran)) = (writes(id), error["data"]["executed"].as_bool()) {
                self.told.insert(id, ran);
            }
        } else if result["isError"] == json!(true) {
            *self.refused.entry("ran".to_owned()).or_default() += 1;
            if writes(id) {
                self.told.insert(id, true);
            }
        } else {
            if result["structuredContent"] != found(id) {
                self.torn.push(format!("{id}: {message}"));
                return;
            }
            self.delivered += 1;
            if writes(id) {
                self.told.insert(id, true);
            }
        }
    }
}

/// The message of a stream that answers the call; none where there is none, or more than one.
fn reply_in(text: &str, id: u64) -> Option<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let messages = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let mut replies = messages.filter(|message| message["id"] == json!(id));
    let reply = replies.next();
    reply.filter(|_| replies.next().is_none())
}
