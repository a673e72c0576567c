//! Tells the control plane what was seen, and the numbers what became of it.

use bytes::Bytes;

use super::call::Call;
use super::gateway::Lane;
use super::principal::caller;
use super::traced;
use crate::domain::contract::Violation;
use crate::domain::health::Fault;
use crate::domain::message::{Digest, Executed, Generation, Verdict};
use crate::live::{CallFact, Observation, ObservationKind, Rejection, Sample};
use crate::telemetry::{Dropped, ViolationKind};
use crate::wire::protocol::mcp::{Refusal, Refused};

/// Tells an ordinary fact; it is counted where there was no room.
pub(super) fn ordinary(lane: &Lane, generation: Generation, kind: ObservationKind) {
    if !lane.doors().observations.tell(observation(lane, generation, kind)) {
        lane.doors().metrics.observations_dropped(Dropped::Ordinary);
    }
}

/// Tells what a record must name; false where there was no room.
#[must_use]
pub(super) fn reserved(lane: &Lane, generation: Generation, kind: ObservationKind) -> bool {
    let told = lane.doors().observations.tell_reserved(observation(lane, generation, kind));
    if !told {
        lane.doors().metrics.observations_dropped(Dropped::Reserved);
    }
    told
}

fn observation(lane: &Lane, generation: Generation, kind: ObservationKind) -> Observation {
    let at = lane.doors().clock.now();
    Observation { peer: lane.id().clone(), at, micros: lane.micros(), generation, kind }
}

/// A refusal of what no contract has a say in, counted.
pub(super) fn refused(lane: &Lane, why: Refusal, executed: Executed) -> Refused {
    lane.doors().metrics.refusal(why.code());
    Refused::plain(why, executed)
}

/// How a call ended, or how it stands while it is held.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    pub(super) executed: Executed,
    pub(super) is_error: bool,
    /// Digest of the reply's bytes as they came.
    pub(super) digest: Option<Digest>,
    pub(super) violations: Vec<Violation>,
    pub(super) rejection: Option<Rejection>,
    /// The ticket of a call that is held.
    pub(super) held: Option<u64>,
    pub(super) held_promise: bool,
    pub(super) structured: Option<Bytes>,
    /// That document did not stand in `structuredContent`.
    pub(super) in_text: bool,
    /// How the peer failed.
    pub(super) fault: Option<Fault>,
    /// The age in milliseconds of the last known good reply that leaves instead.
    pub(super) stale: Option<u64>,
}

impl Ended {
    pub(super) fn new(verdict: Verdict, executed: Executed) -> Self {
        Self {
            verdict,
            executed,
            is_error: false,
            digest: None,
            violations: Vec::new(),
            rejection: None,
            held: None,
            held_promise: false,
            structured: None,
            in_text: false,
            fault: None,
            stale: None,
        }
    }
}

/// Tells of a call. Waivers, refusals and held calls go by the reserved lane; false where one of
/// them found no room.
#[must_use]
pub(super) fn call(call: &Call, ended: Ended) -> bool {
    let (lane, tool) = (&call.lane, &call.bond.tool);
    let named = ended.held.is_some() || matches!(ended.verdict, Verdict::Waived | Verdict::Refused);
    let _step = match ended.held {
        Some(_) => None,
        None => {
            count(call, &ended);
            traced::ended(call, &ended)
        }
    };
    let arguments = call.envelope.arguments().filter(|_| ended.structured.is_some());
    let sample = arguments.map(|arguments| Sample {
        arguments: Bytes::copy_from_slice(&arguments),
        structured: ended.structured,
        in_text: ended.in_text,
    });
    let signals = named
        || call.standing.is_news()
        || ended.rejection.is_some()
        || !ended.violations.is_empty();
    let foretold = !ended.violations.is_empty()
        && ended.violations.iter().all(|violation| tool.names_as_gone(violation));
    let acted_as = (signals || sample.is_some()).then(|| caller(&call.headers, &call.envelope));
    let mapped = call.asked.as_ref().is_some_and(|asked| asked.mapped);
    // A fault counts once against the routine that it went through.
    let through = !call.told && (mapped || ended.verdict == Verdict::Mended);
    let kind = ObservationKind::Call(CallFact {
        tool: tool.name.clone(),
        caller: acted_as,
        verdict: ended.verdict,
        is_error: ended.is_error,
        executed: ended.executed,
        // How long a task goes on is no latency of its tool.
        upstream_micros: if call.fetched.is_some() { 0 } else { call.times.upstream },
        reply_digest: ended.digest,
        violations: ended.violations,
        foretold,
        rejection: ended.rejection,
        held: ended.held,
        first_kept: ended.held_promise && tool.mark_kept(),
        sample,
        fault: ended.fault,
        retried: call.retried,
        stale: ended.stale,
        standing: call.standing.clone(),
        mended_by: through.then_some(call.bond.generation),
    });
    if named {
        return reserved(lane, call.bond.generation, kind);
    }
    ordinary(lane, call.bond.generation, kind);
    true
}

fn count(call: &Call, ended: &Ended) {
    let (lane, metrics) = (&call.lane, &call.lane.gate().metrics);
    metrics.exchange(ended.verdict);
    for violation in &ended.violations {
        metrics.violation(ViolationKind::of_keyword(&violation.kind));
    }
    let now = lane.micros();
    let ours = now.saturating_sub(call.times.read_at).saturating_sub(call.times.others);
    lane.doors().metrics.overhead(ours);
    lane.gateway().answered(now);
}
