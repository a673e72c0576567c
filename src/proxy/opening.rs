//! `initialize`: passes, and is remembered, so that a session survives its peer's restart.

use bytes::Bytes;
use http::Response;
use http::header::{HeaderMap, HeaderValue};

use super::admit::Exchange;
use super::events::through;
use super::forward::{self, result_digest};
use super::gateway::Lane;
use super::relay::unreachable;
use super::release;
use crate::wire::protocol::mcp::{Envelope, SESSION};
use crate::wire::transport::body::Body;
use crate::wire::transport::upstream::is_event_stream;

/// What a handshake leaves behind.
struct Opening {
    lane: Lane,
    headers: HeaderMap,
    given: HeaderValue,
    handshake: Bytes,
}

/// Lets a handshake through.
pub(super) async fn initialize(exchange: Exchange, envelope: &Envelope) -> Response<Body> {
    let Exchange { lane, parts, text, .. } = exchange;
    let sent = forward::ask(&lane, &parts, &parts.headers, text.clone(), false).await;
    let response = match sent {
        Ok(response) => response,
        Err(error) => return unreachable(Some(envelope), &error),
    };
    let Some(given) = response.headers().get(SESSION).cloned() else { return response };
    if !response.status().is_success() {
        return response;
    }
    let limit = lane.settings().reply_bytes;
    let opening = Opening { lane, headers: parts.headers, given, handshake: text };
    if is_event_stream(response.headers()) {
        return through(response, limit, move |text| {
            opening.remember(text);
            None
        });
    }
    match forward::whole(&opening.lane, response).await {
        Ok((head, collected)) => {
            opening.remember(&collected.bytes);
            release::kept(head, collected.bytes, collected.permit)
        }
        Err(_) => release::broken_off(envelope),
    }
}

impl Opening {
    fn remember(&self, text: &[u8]) {
        let lane = &self.lane;
        if let Some(result) = result_digest(lane, text) {
            let now = lane.doors().clock.now();
            // A copy: a slice would keep its whole request's buffer.
            let handshake = Bytes::copy_from_slice(&self.handshake);
            lane.gateway().sessions.remember(
                lane.id(),
                &self.headers,
                &self.given,
                handshake,
                result,
                now,
            );
        }
    }
}
