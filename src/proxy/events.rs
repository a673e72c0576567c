//! An answer that comes as an event stream, event by event.

use bytes::Bytes;
use http::Response;

use super::release::forget_body;
use crate::wire::transport::body::Body;
use crate::wire::transport::sse::{Event, Splitter, replace_data};
use crate::wire::transport::upstream::is_event_stream;

/// The events of one answer.
#[derive(Debug)]
pub(super) struct Events {
    body: Body,
    splitter: Option<Splitter>,
    /// An event had an id: its reader comes back for the rest (SSE, `Last-Event-ID`).
    pub(super) resumable: bool,
}

/// Why there is no further event.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The stream ended.
    Ended,
    /// It broke off.
    Broken,
    /// An event is longer than the limit.
    TooLarge,
    /// The call's deadline has passed.
    TimedOut,
    /// The sidecar is about to end.
    Leaving,
}

impl Events {
    pub(super) fn new(body: Body, limit: usize) -> Self {
        Self { body, splitter: Some(Splitter::new(limit)), resumable: false }
    }

    pub(super) async fn next(&mut self) -> Result<Event, Stopped> {
        loop {
            let Some(splitter) = &mut self.splitter else { return Err(Stopped::Ended) };
            if let Some(event) = splitter.next_event().map_err(|_| Stopped::TooLarge)? {
                self.resumable |= event.id.is_some();
                return Ok(event);
            }
            match self.body.next_data().await {
                Ok(Some(chunk)) => splitter.push(chunk),
                Ok(None) => {
                    let rest = self.splitter.take().and_then(Splitter::finish);
                    return rest.ok_or(Stopped::Ended);
                }
                Err(_) => return Err(Stopped::Broken),
            }
        }
    }
}

/// Lets an answer through, JSON or event stream, and shows each message on the way; what `change`
/// returns leaves in its place.
pub(super) fn through(
    response: Response<Body>,
    limit: usize,
    mut change: impl FnMut(&Bytes) -> Option<Bytes> + Send + 'static,
) -> Response<Body> {
    debug_assert!(is_event_stream(response.headers()));
    let (mut head, body) = response.into_parts();
    // A message may leave with other bytes, so nothing that was said about all of them holds.
    forget_body(&mut head.headers);
    let (sender, relayed) = Body::channel(1);
    tokio::spawn(async move {
        let mut events = Events::new(body, limit);
        loop {
            let next = tokio::select! {
                next = events.next() => next,
                () = sender.closed() => return,
            };
            let raw = match next {
                Ok(event) => match event.data.as_ref().and_then(&mut change) {
                    Some(changed) => replace_data(&event, &changed),
                    None => event.raw,
                },
                Err(Stopped::Ended) => return,
                Err(Stopped::Broken | Stopped::TooLarge | Stopped::TimedOut | Stopped::Leaving) => {
                    return sender.fail().await;
                }
            };
            if sender.send(raw).await.is_err() {
                return;
            }
        }
    });
    Response::from_parts(head, relayed)
}
