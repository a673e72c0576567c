//! May it ask, and whom? A request becomes an exchange with one peer.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method as HttpMethod, Request, Uri};

use super::gateway::{Lane, Proxy};
use super::report;
use crate::domain::message::Executed;
use crate::telemetry::Limit;
use crate::wire::protocol::mcp::{EnvelopeError, Posted, Refusal, Refused};
use crate::wire::transport::body::Body;
use crate::wire::transport::budget::{BodyPermit, CollectError, collect};

use super::tape::with_tape;

/// A request on its way to a peer, its body unread.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) lane: Lane,
    pub(super) parts: Parts,
    pub(super) body: Body,
}

/// One message on its way to a peer, read.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) lane: Lane,
    pub(super) parts: Parts,
    pub(super) text: Bytes,
    pub(super) permit: BodyPermit,
    /// When its last byte had come, in monotonic microseconds.
    pub(super) read_at: u64,
}

/// Finds the peer, and its path for the request; `None` where no peer has that name.
pub(super) fn route(proxy: &Proxy, request: Request<Body>) -> Option<Arrival> {
    let (mut parts, body) = request.into_parts();
    let ways = proxy.ways();
    if !ways.plan.routed_by_name() {
        return Some(Arrival { lane: Lane::new(ways, 0), parts, body });
    }
    let path_and_query = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let inner = path_and_query.strip_prefix('/')?;
    let end = inner.find(['/', '?']).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    let index = ways.plan.seats.iter().position(|seat| seat.peer.id.as_str() == name)?;
    let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    parts.uri = Uri::try_from(rest).ok()?;
    Some(Arrival { lane: Lane::new(ways, index), parts, body })
}

impl Arrival {
    /// Whether it is a POST to where the peer speaks MCP.
    pub(super) fn speaks_mcp(&self) -> bool {
        let spoken = self.lane.peer().endpoint.path_and_query();
        let spoken = spoken.split('?').next().unwrap_or("/");
        let trimmed = |path: &str| path.trim_end_matches('/').len();
        let path = self.parts.uri.path();
        self.parts.method == HttpMethod::POST && path[..trimmed(path)] == spoken[..trimmed(spoken)]
    }

    /// Reads the body and what it says.
    pub(super) async fn read(mut self) -> Result<(Exchange, Posted), Refused> {
        let limit = self.lane.settings().request_bytes;
        let body = std::mem::take(&mut self.body);
        let collected = match collect(body, limit, &self.lane.gateway().budget).await {
            Ok(collected) => collected,
            Err(error) => return Err(self.not_collected(&error)),
        };
        let text = collected.bytes;
        let posted = with_tape(|tape| Posted::read(&text, tape, self.lane.settings().document));
        let posted = posted.map_err(|error| match error {
            EnvelopeError::Json(error) => {
                report::refused(&self.lane, Refusal::NotJson(error), Executed::No)
            }
            EnvelopeError::Message { .. } => {
                let why = Refusal::NotAMessage(error.to_string());
                report::refused(&self.lane, why, Executed::No)
            }
        })?;
        let read_at = self.lane.micros();
        let (lane, mut parts) = (self.lane, self.parts);
        parts.headers.remove(CONTENT_LENGTH);
        Ok((Exchange { lane, parts, text, permit: collected.permit, read_at }, posted))
    }

    fn not_collected(&self, error: &CollectError) -> Refused {
        let metrics = &self.lane.doors().metrics;
        let why = match error {
            CollectError::TooLarge { limit } => {
                metrics.limit(Limit::RequestBytes);
                Refusal::TooLarge { limit: *limit }
            }
            CollectError::OverBudget => {
                metrics.limit(Limit::HeldBytes);
                Refusal::Overloaded("no memory for the request came free in time".to_owned())
            }
            CollectError::Body(error) => Refusal::NotAMessage(error.to_string()),
        };
        report::refused(&self.lane, why, Executed::No)
    }
}
