//! Paired replay: recorded requests asked again through a candidate, on tools that state that they
//! only read. The strongest evidence there is, so it runs only where a rule needs it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::Value;

use super::actor::Peer;
use crate::domain::contract::{Surface, Tool};
use crate::domain::json::{Document, Limits, Tape};
use crate::domain::message::Principal;
use crate::domain::negotiation::{Candidate, PairedSample, ReplayResult, compare_replay, same};
use crate::domain::policy::Caller;
use crate::domain::routine::CompiledRoutine;
use crate::wire::protocol::mcp;
use crate::wire::protocol::mcp::peer::CallOutcome;

/// Requests that are asked again at most.
const REQUESTS_MAX: usize = 3;

/// What a replay showed.
pub(super) struct Replayed {
    pub(super) result: ReplayResult,
    /// Pointers of the promised arguments that the requests carried.
    pub(super) arguments: Vec<String>,
    /// Requests that were mapped and that the peer took.
    pub(super) mapped: usize,
    /// Whether the recordings of some request agree with one another.
    pub(super) recordings_agree: bool,
}

impl Peer {
    /// Whether this promised tool may be asked again on our own account.
    pub(super) fn may_replay(&self, promised: &Tool, offered: Option<&Tool>) -> bool {
        let states_it = |tool: &Tool| tool.hints().read_only == Some(true);
        self.settings.replay_live && states_it(promised) && offered.is_some_and(states_it)
    }

    /// Asks recorded requests again through the candidate and compares what comes back. It travels as
    /// the caller whose call is held, with that principal's recordings only. `None` where no request
    /// was recorded twice.
    pub(super) async fn paired_replay(
        &self,
        candidate: &Candidate,
        offer: &Surface,
        caller: Option<&Caller>,
    ) -> Option<Replayed> {
        let anonymous = Principal::anonymous();
        let principal = caller.map_or(&anonymous, |caller| &caller.principal);
        let routine = CompiledRoutine::compile(&candidate.tool, &candidate.routine).ok()?;
        let recordings = self.recordings(&candidate.tool, principal);
        if recordings.is_empty() {
            return None;
        }
        let recordings_agree = recordings
            .iter()
            .any(|(_, replies)| replies.windows(2).all(|pair| same(&pair[0], &pair[1])));
        let (mut samples, mut arguments) = (Vec::new(), BTreeSet::new());
        for (request, recorded) in recordings {
            let mended = self.ask_again(candidate, &routine, offer, &request, caller).await;
            arguments.extend(pointers(&request));
            samples.push(PairedSample { recorded, mended });
        }
        Some(Replayed {
            mapped: samples.iter().filter(|sample| sample.mended.is_ok()).count(),
            result: compare_replay(&samples),
            arguments: arguments.into_iter().collect(),
            recordings_agree,
        })
    }

    /// Recorded replies by request, for requests that were recorded at least twice.
    fn recordings(&self, tool: &str, principal: &Principal) -> Vec<(Bytes, Vec<Value>)> {
        let mut by_request: BTreeMap<Bytes, Vec<Value>> = BTreeMap::new();
        for recorded in self.samples.of(tool).filter(|sample| sample.principal == *principal) {
            let reply = recorded.sample.structured.as_deref();
            if let Some(reply) = reply.and_then(|text| serde_json::from_slice(text).ok()) {
                by_request.entry(recorded.sample.arguments.clone()).or_default().push(reply);
            }
        }
        by_request.retain(|_, replies| replies.len() >= 2);
        by_request.into_iter().take(REQUESTS_MAX).collect()
    }

    async fn ask_again(
        &self,
        candidate: &Candidate,
        routine: &CompiledRoutine,
        offer: &Surface,
        arguments: &[u8],
        caller: Option<&Caller>,
    ) -> Result<Value, String> {
        let (tool, mapped) = mapped(routine, &candidate.tool, offer, arguments)?;
        let CallOutcome::Result { body, is_error: false } =
            self.send(tool, &mapped, caller).await?
        else {
            return Err("the peer answered the mapped request with an error".to_owned());
        };
        mend(routine, &body)
    }

    /// Sends a request of ours.
    pub(super) async fn send(
        &self,
        tool: &Tool,
        arguments: &[u8],
        caller: Option<&Caller>,
    ) -> Result<CallOutcome, String> {
        let headers = {
            let mut tape = Tape::default();
            mirrored(tool, read(&mut tape, arguments)?)
        };
        let call = self.client.call(caller, tool.name(), Some(arguments), headers);
        call.await.map_err(|error| error.to_string())
    }
}

/// A request of the promised tool as a routine carries it over: whom it calls, and with what.
pub(super) fn mapped<'o>(
    routine: &CompiledRoutine,
    promised: &str,
    offer: &'o Surface,
    arguments: &[u8],
) -> Result<(&'o Tool, Vec<u8>), String> {
    let mut mapped = Vec::new();
    let mut tape = Tape::default();
    let document = read(&mut tape, arguments)?;
    let carried = routine.request(Some(document.root()), &mut mapped);
    let call = carried.map_err(|failure| failure.to_string())?.call;
    let call = call.as_deref().unwrap_or(promised);
    let tool = offer.tool(call).ok_or_else(|| format!("{call} is not offered"))?;
    Ok((tool, mapped))
}

/// A reply's document, mended.
pub(super) fn mend_document(routine: &CompiledRoutine, document: &Value) -> Result<Value, String> {
    let text = document.to_string();
    let mut tape = Tape::default();
    let document = read(&mut tape, text.as_bytes())?;
    let mut mended = Vec::new();
    routine.reply(document.root(), &mut mended).map_err(|failure| failure.to_string())?;
    serde_json::from_slice(&mended).map_err(|error| error.to_string())
}

/// The document of a result, mended.
pub(super) fn mend(routine: &CompiledRoutine, result: &[u8]) -> Result<Value, String> {
    let mut tape = Tape::default();
    let document = read(&mut tape, result)?;
    let structured = document
        .root()
        .get("structuredContent")
        .ok_or("the reply has no structuredContent to compare")?;
    let mut mended = Vec::new();
    routine.reply(structured, &mut mended).map_err(|failure| failure.to_string())?;
    serde_json::from_slice(&mended).map_err(|error| error.to_string())
}

/// The `Mcp-Param-*` headers of a call of ours.
fn mirrored(tool: &Tool, arguments: Document<'_>) -> Vec<(String, String)> {
    let offered: Vec<_> = tool
        .mirrored_headers()
        .unwrap_or_default()
        .into_iter()
        .map(|header| (header.path, header.name))
        .collect();
    let mut headers = http::HeaderMap::new();
    mcp::derive(&mut headers, tool.name(), Some(arguments.root()), &[], &offered);
    headers.remove(mcp::NAME);
    let texts = headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    texts.collect()
}

fn read<'t>(tape: &'t mut Tape, text: &'t [u8]) -> Result<Document<'t>, String> {
    tape.read(text, Limits::default()).map_err(|error| error.to_string())
}

/// Pointers of every value in a request.
fn pointers(request: &[u8]) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            walk(value, &at, found);
            found.push(at);
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_slice::<Value>(request) {
        walk(&value, "", &mut found);
    }
    found
}
