//! Listens for changes of the peer's tools.

use http::header::{ACCEPT, HeaderValue};
use http::{Method, StatusCode};
use tokio::sync::mpsc;

use super::greet::Visit;
use super::line::{self, Line, post, send};
use super::words::Ask;
use super::{DEADLINE, PeerClient, PeerError, within};
use crate::domain::json::Item;
use crate::domain::message::Era;
use crate::wire::transport::body::Body;
use crate::wire::transport::sse::Splitter;
use crate::wire::transport::upstream::{Upstream, is_event_stream};

/// Longest event of such a stream.
const EVENT: usize = 256 * 1024;

impl PeerClient {
    pub(super) async fn watch_until_end(&self, notify: &mpsc::Sender<()>) -> Result<(), PeerError> {
        let Line::Http(upstream) = &self.line else { return Err(PeerError::NoStream) };
        let visit = within(DEADLINE, self.greet()).await?;
        let ended = match within(DEADLINE, self.open(upstream, &visit)).await {
            Ok(body) => follow(body, notify).await,
            Err(error) => Err(error),
        };
        self.leave(visit).await;
        ended
    }

    async fn open(&self, upstream: &Upstream, visit: &Visit) -> Result<Body, PeerError> {
        let answered = match visit.voice.era {
            Era::Modern => {
                let wanted = [("notifications", r#"{"toolsListChanged":true}"#)];
                let ask = Ask::request(&visit.voice, self.id(), "subscriptions/listen", &wanted);
                post(upstream, ask).await
            }
            Era::Legacy => {
                let mut headers = visit.voice.headers.clone();
                headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
                let response = send(upstream, Method::GET, headers, Body::empty()).await?;
                let status = response.status();
                if status == StatusCode::OK { Ok(response) } else { Err(line::refused(status)) }
            }
        };
        match answered {
            Ok(response) if is_event_stream(response.headers()) => Ok(response.into_body()),
            // An answer instead of a stream, an unknown method, a method that is not allowed.
            Ok(_) | Err(PeerError::Refused { status: 200 | 400 | 404 | 405 | 501, .. }) => {
                Err(PeerError::NoStream)
            }
            Err(error) => Err(error),
        }
    }
}

async fn follow(mut body: Body, notify: &mpsc::Sender<()>) -> Result<(), PeerError> {
    let broken = |error: &dyn std::error::Error| PeerError::Unreachable(error.to_string());
    let mut splitter = Splitter::new(EVENT);
    loop {
        let chunk = tokio::select! {
            chunk = body.next_data() => chunk.map_err(|error| broken(&error))?,
            () = notify.closed() => None,
        };
        let Some(chunk) = chunk else { return Ok(()) };
        splitter.push(chunk);
        while let Some(event) = splitter.next_event().map_err(|error| broken(&error))? {
            let Some(data) = event.data.filter(|data| !data.is_empty()) else { continue };
            let method = line::read(&data, |root| {
                Ok(root.get("method").and_then(Item::as_str).map(String::from))
            })?;
            if method.as_deref() == Some("notifications/tools/list_changed") {
                // Full: a change is waiting to be looked at, and that look will see this one too.
                let _ = notify.try_send(());
            }
        }
    }
}
