//! One exchange, run through a routine that is not in force: would it have carried the call, and what
//! came back?

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::actor::Peer;
use super::replay::{mapped, mend, mend_document};
use crate::domain::contract::{Schema, Surface, Tool, Violation};
use crate::domain::negotiation::{PairedSample, Proposal, compare_replay};
use crate::domain::patch::Beside;
use crate::domain::policy::Caller;
use crate::domain::routine::CompiledRoutine;
use crate::wire::protocol::mcp::peer::CallOutcome;
use crate::wire::protocol::mcp::speaks_of_arguments;

/// How long the peer may take for a request of ours: the actor has more to do.
const PATIENCE: Duration = Duration::from_secs(2);
/// JSON-RPC errors of a peer that does not take what it was asked.
const REJECTS: [i64; 2] = [-32_602, -32_601];

/// An exchange as it was recorded.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// JSON text of the arguments, as the agent sent them.
    pub(super) arguments: Bytes,
    /// What was delivered, of the same request; of a reply that broke its promise, as it came.
    pub(super) replies: Vec<Value>,
    /// The reply broke its promise.
    pub(super) broken: bool,
    /// Whose it was.
    pub(super) caller: Option<Arc<Caller>>,
}

/// A routine with what it is held against.
pub(super) struct Run {
    promised: Tool,
    offer: Surface,
    terms: Option<Schema>,
    routine: CompiledRoutine,
}

impl Run {
    pub(super) fn tool(&self) -> &str {
        self.promised.name()
    }

    /// Where a mended reply breaks its promise, but for what the routine names as gone.
    fn broken(&self, reply: &Value) -> Option<String> {
        let gone = &self.routine.source().gone;
        let named = |it: &Violation| it.is_missing() && gone.contains(&it.general_place());
        let violations = self.terms.as_ref()?.violations_value(reply);
        let first = violations.iter().find(|violation| !named(violation))?;
        Some(format!("the reply breaks its promise at {:?} ({})", first.place(), first.kind))
    }
}

impl Peer {
    /// A proposal's routine, ready to run; `None` where it does not compile.
    pub(super) fn run_of(&self, proposal: &Proposal, offer: &Surface) -> Option<Run> {
        let head = self.chain.head()?;
        let promised = head.promised(&proposal.tool)?.clone();
        let source = proposal.routine.0.get(&proposal.tool).cloned().unwrap_or_default();
        let routine = CompiledRoutine::compile(&proposal.tool, &source).ok()?;
        let terms = head.reply_schema(&proposal.tool);
        let terms = terms.and_then(|terms| Schema::compile(terms).ok());
        // Of the surface only what the routine can call.
        let called = source.targets(&proposal.tool);
        let tools = called.iter().filter_map(|name| offer.tool(name)).cloned().collect();
        let offer = Surface { tools, ..Surface::default() };
        Some(Run { promised, offer, terms, routine })
    }

    /// Runs one exchange beside what is in force. The peer is asked again only where both definitions
    /// state that the tool only reads; of a tool that may write, the request is carried over and held
    /// against what the peer lists, and nothing is sent.
    pub(super) async fn beside(&self, run: &Run, exchange: &Exchange) -> Beside {
        if exchange.broken {
            return reply_alone(run, exchange);
        }
        let (offered, arguments) =
            match mapped(&run.routine, run.tool(), &run.offer, &exchange.arguments) {
                Ok(mapped) => mapped,
                Err(why) => return Beside::Missed(format!("the call is not carried over: {why}")),
            };
        if let Some(why) = unfit(offered, &arguments) {
            return Beside::Missed(why);
        }
        if !self.may_replay(&run.promised, Some(offered)) {
            let as_is = run.routine.source().reply.is_empty();
            return if as_is { Beside::Carried } else { Beside::Untold };
        }
        if exchange.replies.is_empty() {
            return Beside::Untold;
        }
        let caller = exchange.caller.as_deref();
        let asked = tokio::time::timeout(PATIENCE, self.send(offered, &arguments, caller)).await;
        let body = match asked {
            Ok(Ok(CallOutcome::Result { body, is_error: false })) => body,
            Ok(Ok(CallOutcome::Error { code, .. })) if REJECTS.contains(&code) => {
                return Beside::Missed(
                    "the peer does not take the call as it is carried over".into(),
                );
            }
            Ok(Ok(CallOutcome::Result { body, .. })) if rejects(&body) => {
                return Beside::Missed(
                    "the tool does not take the call as it is carried over".into(),
                );
            }
            // A fault of the network or of the tool itself says nothing about the routine.
            _ => return Beside::Untold,
        };
        match mend(&run.routine, &body) {
            Ok(mended) => compared(run, exchange, mended),
            Err(why) => Beside::Missed(format!("the reply is not mended: {why}")),
        }
    }
}

/// A reply that broke its promise, as it came, through the routine that is to mend it.
fn reply_alone(run: &Run, exchange: &Exchange) -> Beside {
    let Some(reply) = exchange.replies.first() else { return Beside::Untold };
    match mend_document(&run.routine, reply) {
        Ok(mended) => run.broken(&mended).map_or(Beside::Carried, Beside::Missed),
        Err(why) => Beside::Missed(format!("the reply is not mended: {why}")),
    }
}

/// Where a request does not fit what the peer lists.
fn unfit(offered: &Tool, arguments: &[u8]) -> Option<String> {
    let schema = Schema::compile(offered.input_schema()?).ok()?;
    let arguments: Value = match serde_json::from_slice(arguments) {
        Ok(arguments) => arguments,
        Err(_) if arguments.is_empty() => Value::Object(serde_json::Map::new()),
        Err(_) => return Some("the call that is carried over is no JSON".to_owned()),
    };
    let violations = schema.violations_value(&arguments);
    let first = violations.first()?;
    let (place, kind) = (first.place(), &first.kind);
    Some(format!("the call does not fit what is listed at {place:?} ({kind})"))
}

/// Value by value, where recordings of the request agree. One recording alone shows no difference: what
/// the peer holds may have moved on.
fn compared(run: &Run, exchange: &Exchange, mended: Value) -> Beside {
    if let Some(why) = run.broken(&mended) {
        return Beside::Missed(why);
    }
    let alone = exchange.replies.len() < 2;
    let mut recorded = exchange.replies.clone();
    if alone {
        recorded.extend(exchange.replies.first().cloned());
    }
    let shown = compare_replay(&[PairedSample { recorded, mended: Ok(mended) }]);
    match shown.different.first() {
        Some(_) if alone => Beside::Untold,
        Some(place) => {
            let place = if place.is_empty() { "the whole reply" } else { place };
            Beside::Missed(format!("{place} differs from what was recorded"))
        }
        None if shown.equal.is_empty() => Beside::Untold,
        None => Beside::Carried,
    }
}

/// Whether a tool's own error says that it does not take its arguments.
fn rejects(result: &[u8]) -> bool {
    let result: Value = serde_json::from_slice(result).unwrap_or_default();
    let texts = result["content"].as_array().into_iter().flatten();
    texts.filter_map(|block| block["text"].as_str()).any(speaks_of_arguments)
}
