//! Calls of several rounds: a retry is carried over by what carried the first round, and the reply of a
//! call that went on as a task is held against what was promised for that call.
//!
//! A peer may answer with `input_required` and a `requestState`, and bind that state to the arguments
//! it was sent. The client shows the state when it asks again; were the same arguments carried over
//! by a routine that came between, the peer would not know them.

use std::sync::Arc;

use http::HeaderMap;
use quick_cache::sync::Cache;

use super::admit::Exchange;
use super::bind::Bond;
use super::call::Call;
use super::gateway::Lane;
use super::principal::principal;
use crate::domain::message::{Digest, Millis, UnixMillis};
use crate::wire::protocol::mcp::Envelope;

/// Rounds that are remembered; the one that is asked for least gives way.
const ROOM: usize = 4_096;
/// How long a round is remembered: people fill in what some of them ask for.
const TTL: Millis = Millis(3_600_000);

/// Rounds by peer, principal, tool and state, and tasks by peer, principal and id: neither opens anything
/// for another caller.
#[derive(Debug)]
pub(super) struct Rounds {
    known: Cache<Digest, Arc<Round>>,
}

/// What a call was bound to when its peer asked for more input.
#[derive(Debug)]
struct Round {
    bond: Bond,
    at: UnixMillis,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { known: Cache::new(ROOM) }
    }
}

/// Remembers by what the call was carried over: it goes on in another round.
pub(super) fn remember(call: &Call, state: &str) {
    if call.enforced() {
        let round = Round { bond: call.bond.clone(), at: call.lane.doors().clock.now() };
        call.lane.gateway().rounds.known.insert(key(call, state), Arc::new(round));
    }
}

/// Binds a further round to what carried the one before it, whatever was swapped between them. Comes
/// after the question whether the tool may be called now, which the snapshot in force answers.
pub(super) fn rejoin(call: &mut Call) {
    let Some(state) = call.envelope.request_state.as_deref() else { return };
    let Some(round) = call.lane.gateway().rounds.known.get(&key(call, state)) else { return };
    let now = call.lane.doors().clock.now();
    let (before, after) = (&round.bond.tool, &call.bond.tool);
    if now.since(round.at).0 <= TTL.0
        && before.revision != after.revision
        && before.mode == after.mode
    {
        call.bond = round.bond.clone();
    }
}

/// Remembers the call that goes on as this task.
pub(super) fn begun(call: &Call, task: &str) {
    let round = Round { bond: call.bond.clone(), at: call.lane.doors().clock.now() };
    let key = task_key(&call.lane, &call.headers, task);
    call.lane.gateway().rounds.known.insert(key, Arc::new(round));
}

/// What was promised for the call that went on as the task of this question.
pub(super) fn promised(exchange: &Exchange, envelope: &Envelope) -> Option<Bond> {
    let (lane, task) = (&exchange.lane, envelope.task.as_deref()?);
    let key = task_key(lane, &exchange.parts.headers, task);
    let round = lane.gateway().rounds.known.get(&key)?;
    let age = lane.doors().clock.now().since(round.at);
    (age.0 <= TTL.0).then(|| round.bond.clone())
}

fn key(call: &Call, state: &str) -> Digest {
    let tool = call.bond.tool.name.as_str();
    digest([call.lane.id().as_str(), principal(&call.headers).as_str(), "round", tool, state])
}

fn task_key(lane: &Lane, headers: &HeaderMap, task: &str) -> Digest {
    digest([lane.id().as_str(), principal(headers).as_str(), "task", "", task])
}

fn digest(parts: [&str; 5]) -> Digest {
    let mut text = Vec::new();
    for part in parts {
        text.extend_from_slice(part.as_bytes());
        text.push(0);
    }
    Digest::of(&text)
}
