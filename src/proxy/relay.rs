//! What is under no contract goes through as it comes: bodies stream, disconnects travel both ways.

use bytes::Bytes;
use http::{Method as HttpMethod, Response, StatusCode};

use super::admit::{Arrival, Exchange};
use super::bind;
use super::capability;
use super::crowd::{self, Place};
use super::forward;
use super::gateway::Lane;
use super::release;
use super::report;
use crate::domain::message::{Era, Executed};
use crate::live::ObservationKind;
use crate::wire::protocol::mcp::{Envelope, Method, Refusal, Refused, Shape};
use crate::wire::transport::body::Body;
use crate::wire::transport::upstream::{SendError, Sent, is_event_stream};

const CHANGED: &[u8] = b"notifications/tools/list_changed";

/// A request whose body was not read.
pub(super) async fn stream(arrival: Arrival) -> Response<Body> {
    let Arrival { lane, parts, body } = arrival;
    let listens = parts.method == HttpMethod::GET;
    // What ends a session sets the peer free, and what listens takes none of its time.
    let place = if parts.method == HttpMethod::POST {
        match crowd::place(&lane, &parts.headers).await {
            Ok(place) => Some(place),
            Err(refused) => return release::unread(&refused),
        }
    } else {
        None
    };
    let sent = if listens {
        forward::ask(&lane, &parts, &parts.headers, Bytes::new(), true).await
    } else {
        forward::stream(&lane, parts, body).await
    };
    match sent {
        Ok(response) => {
            answered(place, &response);
            watched(&lane, response, listens)
        }
        Err(_) => release::plain(StatusCode::BAD_GATEWAY, "the peer cannot be reached\n"),
    }
}

/// A message that was read and is nobody's business but the peer's. `again`: it may be sent once
/// more in a session that was opened again.
pub(super) async fn message(
    exchange: Exchange,
    envelope: Option<&Envelope>,
    again: bool,
) -> Response<Body> {
    let Exchange { lane, parts, text, permit, .. } = exchange;
    let listens = envelope.is_some_and(|envelope| envelope.method == Method::Listen);
    // A peer waits for answers, and notifications ask for none.
    let asks = envelope.is_none_or(|envelope| envelope.shape == Shape::Request);
    let place = if asks {
        match crowd::place(&lane, &parts.headers).await {
            Ok(place) => Some(place),
            Err(refused) => {
                let era = envelope.map_or(Era::Legacy, |envelope| envelope.era);
                return release::refusal(&refused, envelope.and_then(Envelope::id), era);
            }
        }
    } else {
        None
    };
    let sent = forward::ask(&lane, &parts, &parts.headers, text, again).await;
    drop(permit);
    match sent {
        Ok(response) => {
            answered(place, &response);
            let response = match envelope {
                Some(envelope) => capability::heard(&lane, &parts.headers, envelope, response),
                None => response,
            };
            watched(&lane, response, listens)
        }
        Err(error) => unreachable(envelope, &error),
    }
}

/// The head of an answer is there; what follows may be a stream that never ends.
fn answered(place: Option<Place>, response: &Response<Body>) {
    if let Some(place) = place.filter(|_| !response.status().is_server_error()) {
        place.done();
    }
}

/// What a request is told whose peer gave no answer.
pub(super) fn unreachable(envelope: Option<&Envelope>, error: &SendError) -> Response<Body> {
    let id = envelope.and_then(Envelope::id);
    let discovers = envelope.is_some_and(|envelope| envelope.method == Method::Discover);
    if id.is_none() || discovers {
        return release::plain(StatusCode::BAD_GATEWAY, "the peer cannot be reached\n");
    }
    let era = envelope.map_or(Era::Legacy, |envelope| envelope.era);
    let refused = Refused::plain(Refusal::Unreachable(error.why.clone()), executed(error.sent));
    release::refusal(&refused, id, era)
}

/// Whether the peer may have run a request of which this much had left.
pub(super) fn executed(sent: Sent) -> Executed {
    match sent {
        Sent::Nothing => Executed::No,
        Sent::Something | Sent::Unknown => Executed::Unknown,
    }
}

/// Lets a response through, and hears a stream say that the peer's tools changed. One that only
/// `listens` owes nobody a reply: it ends when the sidecar leaves.
fn watched(lane: &Lane, response: Response<Body>, listens: bool) -> Response<Body> {
    if !is_event_stream(response.headers()) {
        return response;
    }
    let (head, mut body) = response.into_parts();
    let (sender, watched) = Body::channel(1);
    let lane = lane.clone();
    tokio::spawn(async move {
        let mut ear = Ear::default();
        let leaving = lane.gateway().leaving.clone();
        let mut left = std::pin::pin!(leaving.cancelled());
        loop {
            let next = tokio::select! {
                next = body.next_data() => next,
                () = sender.closed() => return,
                () = left.as_mut(), if listens => return,
            };
            match next {
                Ok(Some(data)) => {
                    if ear.hears(&data) {
                        let seen = bind::now(&lane).generation;
                        report::ordinary(&lane, seen, ObservationKind::ListChanged);
                    }
                    if sender.send(data).await.is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(_) => return sender.fail().await,
            }
        }
    });
    Response::from_parts(head, watched)
}

/// Finds a word in a stream, however it is cut into chunks.
#[derive(Debug, Default)]
struct Ear {
    tail: Vec<u8>,
}

impl Ear {
    fn hears(&mut self, chunk: &[u8]) -> bool {
        let seam = chunk.len().min(CHANGED.len() - 1);
        self.tail.extend_from_slice(&chunk[..seam]);
        let heard = memchr::memmem::find(&self.tail, CHANGED).is_some()
            || memchr::memmem::find(chunk, CHANGED).is_some();
        if chunk.len() > seam {
            self.tail.clear();
            self.tail.extend_from_slice(&chunk[chunk.len() - seam..]);
        }
        let excess = self.tail.len().saturating_sub(CHANGED.len() - 1);
        self.tail.drain(..excess);
        if heard {
            self.tail.clear();
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_heard_once_however_the_stream_is_cut() {
        let stream = b"data: {\"method\":\"notifications/tools/list_changed\"}\n\n";
        for size in 1..=stream.len() {
            let mut ear = Ear::default();
            let heard = stream.chunks(size).filter(|chunk| ear.hears(chunk)).count();
            assert_eq!(heard, 1, "chunks of {size}");
        }
        let mut ear = Ear::default();
        assert!(!ear.hears(b"notifications/tools/list"));
        assert!(!ear.hears(b"notifications/prompts/list_changed"));
    }
}
