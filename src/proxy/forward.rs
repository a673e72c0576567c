//! Asks the peer, and opens a legacy session again that the peer forgot.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};

use super::gateway::Lane;
use super::tape::with_tape;
use crate::domain::json::Item;
use crate::domain::message::Digest;
use crate::wire::protocol::mcp::SESSION;
use crate::wire::transport::body::Body;
use crate::wire::transport::budget::{Collected, collect};
use crate::wire::transport::decode::{DecodeError, decode};
use crate::wire::transport::sse::Splitter;
use crate::wire::transport::upstream::{SendError, is_event_stream};

const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Sends a request whose body comes as a stream.
pub(super) async fn stream(
    lane: &Lane,
    mut parts: Parts,
    body: Body,
) -> Result<Response<Body>, SendError> {
    let (sessions, now) = (&lane.gateway().sessions, lane.doors().clock.now());
    if parts.method == Method::DELETE {
        sessions.end(lane.id(), &mut parts.headers, now);
    } else {
        sessions.redirect(lane.id(), &mut parts.headers, now);
    }
    lane.upstream().send(Request::from_parts(parts, body)).await
}

/// Sends a request whose body is at hand. Where the peer forgot the session and `again` allows it,
/// the session's own handshake is replayed and the request sent once more.
pub(super) async fn ask(
    lane: &Lane,
    parts: &Parts,
    headers: &HeaderMap,
    text: Bytes,
    again: bool,
) -> Result<Response<Body>, SendError> {
    let (sessions, now) = (&lane.gateway().sessions, lane.doors().clock.now());
    let session = sessions.used(lane.id(), headers, now);
    let mut sent = headers.clone();
    sessions.redirect(lane.id(), &mut sent, now);
    let tried = sent.get(SESSION).cloned();
    let answer = lane.upstream().send(request(parts, sent, text.clone())).await?;
    if !again || answer.status() != StatusCode::NOT_FOUND {
        return Ok(answer);
    }
    let own = session.filter(|session| session.is_of(headers));
    let Some(session) = own else { return Ok(answer) };
    let _one = session.renewing.lock().await;
    if session.successor().is_none() || session.successor() == tried {
        // Apart, because few requests do it and all of them would carry the room for it.
        let opened = handshake(lane, parts, headers, &session.handshake, session.result);
        let Some(successor) = Box::pin(opened).await else {
            return Ok(answer);
        };
        sessions.renew(&session, successor);
    }
    let mut sent = headers.clone();
    if let Some(successor) = session.successor() {
        sent.insert(SESSION, successor);
    }
    drop(answer);
    lane.upstream().send(request(parts, sent, text)).await
}

fn request(parts: &Parts, headers: HeaderMap, text: Bytes) -> Request<Body> {
    let mut request = Request::new(Body::full(text));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = headers;
    request
}

/// Opens a session as its client did; `None` where the peer does not answer as it did then.
async fn handshake(
    lane: &Lane,
    parts: &Parts,
    headers: &HeaderMap,
    initialize: &Bytes,
    expected: Digest,
) -> Option<HeaderValue> {
    let mut headers = headers.clone();
    headers.remove(LAST_EVENT);
    headers.remove(SESSION);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    let mut opening = request(parts, headers.clone(), initialize.clone());
    *opening.method_mut() = Method::POST;
    let answer = lane.upstream().send(opening).await.ok()?;
    let given = answer.headers().get(SESSION).cloned()?;
    if initialized(lane, answer).await? != expected {
        return None;
    }
    headers.insert(SESSION, given.clone());
    let mut told = request(parts, headers, Bytes::from_static(INITIALIZED));
    *told.method_mut() = Method::POST;
    let told = lane.upstream().send(told).await.ok()?;
    told.status().is_success().then_some(given)
}

/// Digest of the `result` of an answer to `initialize`, JSON or event stream.
async fn initialized(lane: &Lane, answer: Response<Body>) -> Option<Digest> {
    if !answer.status().is_success() {
        return None;
    }
    let limit = lane.settings().reply_bytes;
    if !is_event_stream(answer.headers()) {
        let (_, read) = whole(lane, answer).await.ok()?;
        return result_digest(lane, &read.bytes);
    }
    let mut body = answer.into_body();
    let mut splitter = Splitter::new(limit);
    while let Some(chunk) = body.next_data().await.ok()? {
        splitter.push(chunk);
        while let Some(event) = splitter.next_event().ok()? {
            if let Some(digest) = event.data.and_then(|data| result_digest(lane, &data)) {
                return Some(digest);
            }
        }
    }
    None
}

/// Reads an answer to its end, and unpacks it where it came packed.
pub(super) async fn whole(
    lane: &Lane,
    response: Response<Body>,
) -> Result<(http::response::Parts, Collected), DecodeError> {
    let (mut head, body) = response.into_parts();
    let (limit, budget) = (lane.settings().reply_bytes, &lane.gateway().budget);
    let packed = collect(body, limit, budget).await?;
    let read = decode(packed, &mut head.headers, limit, budget).await?;
    Ok((head, read))
}

/// Digest of a reply's `result` as it is written; `None` for anything that is no result.
pub(super) fn result_digest(lane: &Lane, text: &[u8]) -> Option<Digest> {
    with_tape(|tape| {
        let root = tape.read(text, lane.settings().document).ok()?.root();
        root.get("result").map(Item::raw).map(|result| Digest::of(result.as_bytes()))
    })
}
