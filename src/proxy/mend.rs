//! Into the peer's words: the routine maps a request, and the headers that mirror it follow.

use bytes::Bytes;
use http::header::HeaderMap;

use super::call::{Asked, Call};
use super::tape::with_tape;
use crate::domain::contract::Schema;
use crate::domain::json::{Edit, Item, Limits, Tape, quote, splice};
use crate::domain::message::{Era, ToolName};
use crate::live::ToolBinding;
use crate::wire::protocol::mcp::{Refusal, check, derive};

/// A request that is ready to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Where they are not the agent's own.
    pub(super) headers: Option<HeaderMap>,
    pub(super) text: Bytes,
    pub(super) asked: Asked,
}

/// A call that is larger than its contract admits goes no further.
pub(super) fn sized(call: &Call) -> Result<(), Refusal> {
    let contract = call.bond.binding.contract.as_ref().filter(|_| call.enforced());
    let limit = contract.and_then(|contract| contract.constraints.max_payload_bytes);
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let came = call.envelope.text().len();
    if came <= limit {
        return Ok(());
    }
    let what = "a call under this contract, in bytes,";
    Err(Refusal::PartTooLarge { what, limit, came })
}

/// A modern request whose headers are not those of its body goes no further.
pub(super) fn mirrored(call: &Call) -> Result<(), Refusal> {
    if call.envelope.era == Era::Legacy {
        return Ok(());
    }
    let shown = &call.bond.tool.shown_headers;
    let checked = match (call.envelope.arguments(), shown.is_empty()) {
        (Some(arguments), false) => read(&arguments, call.lane.settings().document, |arguments| {
            check(&call.headers, &call.envelope, arguments, shown)
        }),
        _ => check(&call.headers, &call.envelope, None, shown),
    };
    checked.map_err(Refusal::HeaderMismatch)
}

/// The request as the agent wrote it.
pub(super) fn as_it_came(call: &Call) -> Outgoing {
    let (tool, arguments) = (call.bond.tool.name.clone(), call.envelope.arguments());
    let asked = Asked { tool, arguments, mapped: false };
    Outgoing { headers: None, text: call.envelope.text().clone(), asked }
}

/// Carries the call's own arguments over with the routine in force. What the promise does not admit
/// passes untouched: the peer answers it.
pub(super) fn request(call: &Call) -> Result<Outgoing, Refusal> {
    let (tool, untouched) = (&call.bond.tool, as_it_came(call));
    if !call.enforced() {
        return Ok(untouched);
    }
    let limits = call.lane.settings().document;
    let mut outgoing = match &tool.routine {
        Some(_) => mapped(call, limits, untouched)?,
        None => untouched,
    };
    let offered = tool.mirrored.get(&outgoing.asked.tool).map_or(&[][..], Vec::as_slice);
    let same = !outgoing.asked.mapped && offered == tool.shown_headers;
    if call.envelope.era == Era::Modern && !same {
        let (mut headers, name) = (call.headers.clone(), outgoing.asked.tool.as_str());
        let arguments = outgoing.asked.arguments.clone().unwrap_or_default();
        read(&arguments, limits, |arguments| {
            derive(&mut headers, name, arguments, &tool.shown_headers, offered);
        });
        outgoing.headers = Some(headers);
    }
    Ok(outgoing)
}

fn mapped(call: &Call, limits: Limits, untouched: Outgoing) -> Result<Outgoing, Refusal> {
    let tool = &call.bond.tool;
    let Some(routine) = &tool.routine else { return Ok(untouched) };
    let arguments = untouched.asked.arguments.clone().unwrap_or_default();
    let mut out = Vec::new();
    let target = read(&arguments, limits, |arguments| {
        let promised = tool.request.get();
        if promised.is_some_and(|promised| !admits(promised, arguments)) {
            return Ok(None);
        }
        routine.request(arguments, &mut out).map(Some)
    });
    let target = match target {
        Ok(Some(mapped)) => mapped.call.map_or_else(|| tool.name.clone(), ToolName::new),
        Ok(None) => return Ok(untouched),
        Err(failure) => return Err(Refusal::NotCarried(failure.to_string())),
    };
    let arguments = (!out.is_empty()).then(|| Bytes::from(out));
    if let Some(offered) = tool.offered_request.as_deref() {
        let fits = read(arguments.as_deref().unwrap_or_default(), limits, |arguments| {
            admits(offered, arguments)
        });
        if !fits {
            let why = "the carried arguments do not fit what the peer's schema asks for";
            return Err(Refusal::NotCarried(why.to_owned()));
        }
    }
    let text = respelled(call, tool, &target, arguments.as_deref());
    let asked = Asked { tool: target, arguments, mapped: true };
    Ok(Outgoing { headers: untouched.headers, text, asked })
}

/// The request with another name and other arguments; every other byte as it came.
fn respelled(
    call: &Call,
    tool: &ToolBinding,
    target: &ToolName,
    arguments: Option<&[u8]>,
) -> Bytes {
    let (text, envelope) = (call.envelope.text(), &call.envelope);
    let Some(name_at) = envelope.name_at() else { return text.clone() };
    let mut name = Vec::new();
    if *target == tool.name {
        name.extend_from_slice(&text[name_at.clone()]);
    } else {
        quote(target.as_str(), &mut name);
    }
    let mut edits = Vec::with_capacity(2);
    match (envelope.arguments_at(), arguments) {
        (Some(span), Some(arguments)) => edits.push(Edit { span, with: arguments }),
        (None, Some(arguments)) => {
            name.extend_from_slice(b",\"arguments\":");
            name.extend_from_slice(arguments);
        }
        (_, None) => {}
    }
    edits.push(Edit { span: name_at, with: &name });
    edits.sort_by_key(|edit| edit.span.start);
    let grown: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut out = Vec::with_capacity(text.len() + grown);
    splice(text, &edits, &mut out);
    out.into()
}

/// Whether a schema admits these arguments; absent ones are held against it as `{}`.
pub(super) fn admits(schema: &Schema, arguments: Option<Item<'_>>) -> bool {
    match arguments {
        Some(arguments) => schema.admits(arguments),
        None => {
            let mut tape = Tape::default();
            tape.read(b"{}", Limits::default()).is_ok_and(|empty| schema.admits(empty.root()))
        }
    }
}

/// Reads arguments that were read before, as a part of their request; no text is no arguments.
pub(super) fn read<R>(
    text: &[u8],
    limits: Limits,
    use_it: impl FnOnce(Option<Item<'_>>) -> R,
) -> R {
    if text.is_empty() {
        return use_it(None);
    }
    with_tape(|tape| use_it(tape.read(text, limits).ok().map(crate::domain::json::Document::root)))
}
