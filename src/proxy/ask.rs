//! Asks the peer a call, and takes its answer in.

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::response::Parts;
use http::{Response, StatusCode};

use super::call::Call;
use super::events::Events;
use super::forward;
use super::mend::Outgoing;
use super::relay::executed;
use super::release::forget_body;
use super::report::{self, Ended};
use super::standing;
use super::traced;
use crate::domain::health::Fault;
use crate::domain::message::{Executed, Verdict};
use crate::telemetry::{Limit, names};
use crate::wire::protocol::mcp::Refusal;
use crate::wire::transport::body::Body;
use crate::wire::transport::budget::{BodyPermit, CollectError};
use crate::wire::transport::decode::DecodeError;
use crate::wire::transport::upstream::is_event_stream;

/// An answer as it came.
#[derive(Debug)]
pub(super) enum Raw {
    /// One message.
    Whole { head: Parts, text: Bytes, permit: BodyPermit },
    /// An event stream.
    Stream { head: Parts, events: Events },
    /// An HTTP answer that is no reply: it passes.
    Http(Response<Body>),
    /// The last known good reply: the peer gave none.
    Stale(Bytes),
}

/// Why an attempt brought no answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) why: Refusal,
    pub(super) executed: Executed,
    /// How the peer failed; `None` where it answered something that is of no use.
    pub(super) fault: Option<Fault>,
}

/// Sends what is ready, and reads the answer as far as it has to be read. What came of it is told by
/// whoever asks.
pub(super) async fn ask(call: &mut Call, outgoing: &Outgoing) -> Result<Raw, Failed> {
    let mut text = outgoing.text.clone();
    let mut own = None;
    let invoked = call.step(names::INVOKE);
    let attempt = invoked.as_ref().map(|step| step.external(call.lane.id()));
    if let Some(attempt) = &attempt {
        let headers = outgoing.headers.as_ref().unwrap_or(&call.headers);
        attempt.inject(own.insert(headers.clone()));
        text = traced::told(&text, call.lane.settings().document, attempt);
    }
    call.asked = Some(outgoing.asked.clone());
    call.times.sent_at = call.lane.micros();
    let again = call.bond.tool.read_only;
    let headers = own.as_ref().or(outgoing.headers.as_ref()).unwrap_or(&call.headers);
    let sent = forward::ask(&call.lane, &call.parts, headers, text, again).await;
    let response = match sent {
        Ok(response) => response,
        Err(error) => {
            if let Some(attempt) = &attempt {
                attempt.failed("unreachable");
            }
            // It got nothing done.
            call.place = None;
            answered(call);
            let executed = executed(error.sent);
            let nothing_left = executed == Executed::No;
            let fault = if nothing_left { Fault::Unreachable } else { Fault::BrokenOff };
            let why = Refusal::Unreachable(error.why);
            return Err(Failed { why, executed, fault: Some(fault) });
        }
    };
    call.standing = standing::of(call, &response, call.times.sent_at);
    let status = response.status();
    if status.is_success() && is_event_stream(response.headers()) {
        if response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            answered(call);
            let why = Refusal::Malformed("expected an event stream that is not packed".to_owned());
            return Err(Failed { why, executed: Executed::Unknown, fault: None });
        }
        let (mut head, body) = response.into_parts();
        // An event may leave with other bytes, so nothing that was said about all of them holds.
        forget_body(&mut head.headers);
        let events = Events::new(body, call.lane.settings().reply_bytes);
        return Ok(Raw::Stream { head, events });
    }
    if !(status.is_success() || rejects(status)) {
        if status.is_server_error() {
            call.place = None;
        }
        answered(call);
        return Ok(Raw::Http(response));
    }
    let read = forward::whole(&call.lane, response).await;
    answered(call);
    match read {
        Ok((head, body)) => Ok(Raw::Whole { head, text: body.bytes, permit: body.permit }),
        Err(error) => {
            let cut = matches!(error, DecodeError::TooLarge(CollectError::Body(_)));
            let fault = cut.then_some(Fault::BrokenOff);
            Err(Failed { why: unread(call, &error), executed: Executed::Unknown, fault })
        }
    }
}

/// Why a body was not read to its end.
fn unread(call: &Call, error: &DecodeError) -> Refusal {
    let metrics = &call.lane.doors().metrics;
    match error {
        DecodeError::TooLarge(CollectError::OverBudget) => {
            metrics.limit(Limit::HeldBytes);
            return Refusal::Overloaded(error.to_string());
        }
        DecodeError::TooLarge(CollectError::TooLarge { .. }) | DecodeError::Bomb => {
            metrics.limit(Limit::ReplyBytes);
        }
        DecodeError::TooLarge(CollectError::Body(_))
        | DecodeError::Unknown
        | DecodeError::NotGzip(_) => {}
    }
    Refusal::Malformed(error.to_string())
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
    if let Some(place) = call.place.take() {
        place.done();
    }
    call.lane.doors().metrics.upstream(took);
}

/// An HTTP answer that no contract speaks of passes.
pub(super) fn passed(call: &Call, status: StatusCode) {
    let fault = status.is_server_error().then_some(Fault::Status);
    // An ordinary fact finds room or is counted.
    let _ = report::call(call, Ended { fault, ..Ended::new(Verdict::Passed, Executed::Unknown) });
}
