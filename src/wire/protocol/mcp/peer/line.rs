//! Carries one message of ours to the peer and finds its answer.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;

use super::PeerError;
use super::words::Ask;
use crate::domain::json::{Item, Kind, Limits, Tape};
use crate::wire::transport::body::Body;
use crate::wire::transport::budget::{BodyBudget, collect};
use crate::wire::transport::decode::decode;
use crate::wire::transport::sse::Splitter;
use crate::wire::transport::stdio::{Child, StdioError};
use crate::wire::transport::upstream::{SendError, Upstream, is_event_stream};

/// Longest message that is read.
const MESSAGE: usize = 32 * 1024 * 1024;
/// Longest body of a refusal that is read, and longest message of one that is kept.
const REFUSAL: (usize, usize) = (64 * 1024, 512);

/// What carries messages.
#[derive(Debug)]
pub(super) enum Line {
    Http(Upstream),
    /// Boxed: a child is large, and most peers are not one.
    Stdio(Box<Mutex<Child>>),
}

/// The answer to a request.
#[derive(Debug)]
pub(super) struct Answer {
    /// JSON text of `result`.
    pub(super) result: Bytes,
    /// The head that it came with; empty over pipes.
    pub(super) headers: HeaderMap,
}

impl Answer {
    /// The result as a tree.
    pub(super) fn value(&self) -> Result<Value, PeerError> {
        read(&self.result, |root| Ok(root.to_value()))
    }
}

impl Line {
    /// Sends a request and waits for its answer.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Answer, PeerError> {
        let id = ask.id.clone().unwrap_or_default();
        match self {
            Self::Http(upstream) => {
                let response = post(upstream, ask).await?;
                let headers = response.headers().clone();
                let text = if is_event_stream(&headers) {
                    from_stream(response.into_body(), &id).await?
                } else {
                    whole(response, MESSAGE).await?
                };
                let result = result_of(&text, &id, 200)?.ok_or_else(|| {
                    PeerError::Malformed("expected the answer to our request".to_owned())
                })?;
                Ok(Answer { result, headers })
            }
            Self::Stdio(child) => {
                let mut child = child.lock().await;
                child.send(ask.body.as_bytes()).await.map_err(broken)?;
                loop {
                    let text = child.receive().await.map_err(broken)?;
                    if let Some(result) = result_of(&text, &id, 200)? {
                        return Ok(Answer { result, headers: HeaderMap::new() });
                    }
                }
            }
        }
    }

    /// Sends what has no answer.
    pub(super) async fn tell(&self, ask: Ask) -> Result<(), PeerError> {
        match self {
            Self::Http(upstream) => post(upstream, ask).await.map(drop),
            Self::Stdio(child) => {
                child.lock().await.send(ask.body.as_bytes()).await.map_err(broken)
            }
        }
    }
}

fn broken(error: StdioError) -> PeerError {
    PeerError::Unreachable(error.to_string())
}

impl From<SendError> for PeerError {
    fn from(error: SendError) -> Self {
        Self::Unreachable(error.why)
    }
}

/// POSTs a message; a refusal by status is an error.
pub(super) async fn post(upstream: &Upstream, ask: Ask) -> Result<Response<Body>, PeerError> {
    let id = ask.id;
    let response = send(upstream, Method::POST, ask.headers, Body::full(ask.body.into())).await?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let text = whole(response, REFUSAL.0).await.unwrap_or_default();
    // A JSON-RPC error says more than its status, with our id or, if we were not read, without.
    for id in [id.as_deref().unwrap_or_default(), "null", ""] {
        if let Err(refused @ PeerError::Refused { .. }) = result_of(&text, id, status.as_u16()) {
            return Err(refused);
        }
    }
    Err(refused(status))
}

/// One request to the endpoint's own path.
pub(super) async fn send(
    upstream: &Upstream,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Result<Response<Body>, PeerError> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    *request.uri_mut() = upstream.endpoint().path_and_query().parse().unwrap_or_default();
    Ok(upstream.send(request).await?)
}

/// A refusal that says no more than its status.
pub(super) fn refused(status: StatusCode) -> PeerError {
    let message = status.canonical_reason().unwrap_or("no reason given").to_owned();
    PeerError::Refused { status: status.as_u16(), code: None, message }
}

pub(super) async fn whole(response: Response<Body>, limit: usize) -> Result<Bytes, PeerError> {
    // One of ours is read at a time, so that the agents' budget stays theirs.
    let budget = BodyBudget::default();
    let (mut head, body) = response.into_parts();
    let packed = collect(body, limit, &budget).await;
    let packed = packed.map_err(|error| PeerError::Unreachable(error.to_string()))?;
    let read = decode(packed, &mut head.headers, limit, &budget).await;
    read.map(|read| read.bytes).map_err(|error| PeerError::Malformed(error.to_string()))
}

/// The event that carries our answer; what comes before it is not for us.
async fn from_stream(mut body: Body, id: &str) -> Result<Bytes, PeerError> {
    let broken = |error: &dyn std::error::Error| PeerError::Unreachable(error.to_string());
    let mut splitter = Splitter::new(MESSAGE);
    while let Some(chunk) = body.next_data().await.map_err(|error| broken(&error))? {
        splitter.push(chunk);
        while let Some(event) = splitter.next_event().map_err(|error| broken(&error))? {
            if let Some(data) = event.data.filter(|data| !data.is_empty())
                && is_answer(&data, id)?
            {
                return Ok(data);
            }
        }
    }
    Err(PeerError::Malformed("the event stream ended without the answer".to_owned()))
}

pub(super) fn read<T>(
    text: &[u8],
    take: impl FnOnce(Item<'_>) -> Result<T, PeerError>,
) -> Result<T, PeerError> {
    let mut tape = Tape::default();
    let document = tape
        .read(text, Limits::default())
        .map_err(|error| PeerError::Malformed(format!("expected one JSON text: {error}")))?;
    take(document.root())
}

fn is_answer(text: &[u8], id: &str) -> Result<bool, PeerError> {
    read(text, |root| Ok(answers(root, id)))
}

fn answers(root: Item<'_>, id: &str) -> bool {
    root.get("method").is_none() && root.get("id").map_or("", Item::raw) == id
}

/// The result in an answer to `id`; `None` where the message is not one, an error where it is one.
fn result_of(text: &Bytes, id: &str, status: u16) -> Result<Option<Bytes>, PeerError> {
    read(text, |root| {
        if !answers(root, id) {
            return Ok(None);
        }
        if let Some(error) = root.get("error") {
            let message = error.get("message").and_then(Item::as_str).unwrap_or_default();
            return Err(PeerError::Refused {
                status,
                code: error.get("code").and_then(Item::as_i64),
                message: message.chars().take(REFUSAL.1).collect(),
            });
        }
        match root.get("result") {
            Some(result) if result.kind() == Kind::Object => Ok(Some(text.slice(result.span()))),
            _ => Err(PeerError::Malformed("expected `result` to be an object".to_owned())),
        }
    })
}
