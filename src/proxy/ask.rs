//! Asks the peer a call, and takes its answer in.

use bytes::Bytes;
use http::response::Parts;
use http::{Response, StatusCode};

use super::call::Call;
use super::degrade::refuse;
use super::events::Events;
use super::forward::{self, is_event_stream};
use super::mend::Outgoing;
use super::relay::executed;
use super::report::{self, Ended};
use crate::domain::message::{Executed, Verdict};
use crate::telemetry::Limit;
use crate::wire::protocol::mcp::{Refusal, Refused};
use crate::wire::transport::body::Body;
use crate::wire::transport::budget::{BodyPermit, CollectError, collect};

/// An answer as it came.
#[derive(Debug)]
pub(super) enum Raw {
    /// One message.
    Whole { head: Parts, text: Bytes, permit: BodyPermit },
    /// An event stream.
    Stream { head: Parts, events: Events },
    /// An HTTP answer that is no reply: it passes.
    Http(Response<Body>),
}

/// Sends what is ready, and reads the answer as far as it has to be read.
pub(super) async fn ask(call: &mut Call, outgoing: Outgoing) -> Result<Raw, Refused> {
    let Outgoing { headers, text, asked } = outgoing;
    call.asked = Some(asked);
    call.times.sent_at = call.lane.micros();
    let again = call.bond.tool.read_only;
    let sent = forward::ask(&call.lane, &call.parts, headers, text, again).await;
    let response = match sent {
        Ok(response) => response,
        Err(error) => {
            answered(call);
            let ran = executed(error.sent);
            return Err(refuse(call, Refusal::Unreachable(error.why), ran, Vec::new()));
        }
    };
    let status = response.status();
    if status.is_success() && is_event_stream(response.headers()) {
        let (head, body) = response.into_parts();
        let events = Events::new(body, call.lane.settings().reply_bytes);
        return Ok(Raw::Stream { head, events });
    }
    if !(status.is_success() || rejects(status)) {
        passed(call, status);
        return Ok(Raw::Http(response));
    }
    let (head, body) = response.into_parts();
    let limit = call.lane.settings().reply_bytes;
    let collected = collect(body, limit, &call.lane.gateway().budget).await;
    answered(call);
    match collected {
        Ok(collected) => Ok(Raw::Whole { head, text: collected.bytes, permit: collected.permit }),
        Err(error) => {
            let why = match &error {
                CollectError::OverBudget => {
                    call.lane.doors().metrics.limit(Limit::HeldBytes);
                    Refusal::Overloaded(error.to_string())
                }
                CollectError::TooLarge { .. } => {
                    call.lane.doors().metrics.limit(Limit::ReplyBytes);
                    Refusal::Malformed(error.to_string())
                }
                CollectError::Body(_) => Refusal::Malformed(error.to_string()),
            };
            Err(refuse(call, why, Executed::Unknown, Vec::new()))
        }
    }
}

/// Statuses under which peers reject arguments, names and headers (MCP, error codes).
pub(super) fn rejects(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND)
}

/// The whole answer is there.
pub(super) fn answered(call: &mut Call) {
    let took = call.lane.micros().saturating_sub(call.times.sent_at);
    call.times.upstream = took;
    call.times.others += took;
    call.lane.doors().metrics.upstream(took);
}

/// An HTTP answer that no contract speaks of.
pub(super) fn passed(call: &mut Call, status: StatusCode) {
    answered(call);
    let failed = status.is_server_error();
    // An ordinary fact finds room or is counted.
    let _ = report::call(call, Ended { failed, ..Ended::new(Verdict::Passed, Executed::Unknown) });
}
