//! The span of a call and of its steps, where the exchange is sampled; else nothing is done.

use bytes::Bytes;

use super::admit::Exchange;
use super::call::Call;
use super::report::Ended;
use super::tape::with_tape;
use crate::domain::json::{Edit, Item, Kind, Limits, splice};
use crate::telemetry::{ExchangeSpan, StepSpan, names};
use crate::wire::protocol::mcp::Envelope;

const TRACEPARENT: &str = "traceparent";

/// Starts the span of a `tools/call`. It begins when the message was read: its parent stands there.
pub(super) fn started(exchange: &Exchange, envelope: &Envelope) -> Option<ExchangeSpan> {
    let tracer = &exchange.lane.doors().tracer;
    if !tracer.is_on() {
        return None;
    }
    let header = exchange.parts.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    let limits = exchange.lane.settings().document;
    let meta = envelope.meta().and_then(|meta| {
        with_tape(|tape| {
            let within = tape.read(&meta, limits).ok()?.root().get(TRACEPARENT)?;
            within.as_str().map(|text| text.into_owned())
        })
    });
    let span = tracer.start(header, meta.as_deref())?;
    span.called("tools/call", envelope.name.as_deref());
    span.peer(exchange.lane.id());
    if let Some(id) = envelope.id() {
        span.request_id(id);
    }
    if let Some(version) = &envelope.version {
        span.protocol_version(version);
    }
    Some(span)
}

/// Names a span as the parent of what the request causes, in `params._meta` (the header is told by
/// the span itself). Every other byte stays.
pub(super) fn told(text: &Bytes, limits: Limits, span: &StepSpan) -> Bytes {
    let parent = format!("\"{}\"", span.traceparent());
    with_tape(|tape| {
        let Ok(document) = tape.read(text, limits) else { return text.clone() };
        let Some(params) = document.root().get("params") else { return text.clone() };
        let (span, with) = match params.get("_meta") {
            Some(meta) => match meta.get(TRACEPARENT) {
                Some(before) => (before.span(), parent),
                None => first_member(meta, &format!("\"{TRACEPARENT}\":{parent}")),
            },
            None => first_member(params, &format!("\"_meta\":{{\"{TRACEPARENT}\":{parent}}}")),
        };
        let mut out = Vec::with_capacity(text.len() + with.len());
        splice(text, &[Edit { span, with: with.as_bytes() }], &mut out);
        out.into()
    })
}

/// Where the first member of an object goes, and the text that puts it there.
fn first_member(object: Item<'_>, member: &str) -> (std::ops::Range<usize>, String) {
    if object.kind() != Kind::Object {
        let here = object.span();
        return (here.clone(), object.raw().to_owned());
    }
    let at = object.span().start + 1;
    let comma = if object.members().next().is_some() { "," } else { "" };
    (at..at, format!("{member}{comma}"))
}

/// How a call ended, on its span; what is returned is the step of telling it.
pub(super) fn ended(call: &Call, ended: &Ended) -> Option<StepSpan> {
    let span = call.span.as_ref()?;
    let contract = call.bond.binding.contract.as_ref().map(|contract| &contract.hash);
    span.bound(call.bond.generation, contract);
    span.verdict(ended.verdict);
    if ended.is_error {
        span.tool_error();
    }
    if let Some(code) = ended.rejection.as_ref().and_then(|rejection| rejection.code) {
        span.peer_error(code);
    }
    Some(span.child(names::SEAL))
}
