//! What is done where a peer fails: a deadline, a few more tries where nothing can happen twice, a
//! breaker, the last known good reply.
//!
//! ```text
//!   admit ─► ask, within the deadline ─► answered ───────────────────────────► judge
//!     │            ▲        │
//!     │            └ pause ─┴ failed ─► tried again, where the peer cannot have run it or only reads
//!     └ open ─► last known good reply, or a short wait for the probe, or refused
//! ```
//!
//! Never here: a write sent again that may have run, a retry after a byte of a reply reached the agent, a
//! lock held across an await. Tools that are not enforced are watched, and nothing else.

use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;

use super::ask::{self, Failed, Raw, answered, passed};
use super::bind;
use super::call::Call;
use super::crowd;
use super::degrade::{refuse, refuse_for};
use super::events::{Events, Stopped};
use super::mend::Outgoing;
use super::{hold, report, stale};
use crate::domain::health::{BreakerState, Fault, Pass, Refusing, Shift, pause};
use crate::domain::message::{Code, Executed};
use crate::live::{BreakerFact, ObservationKind};
use crate::telemetry::Retried;
use crate::wire::protocol::mcp::{Refusal, Refused};
use crate::wire::transport::sse::Event;

/// Asks the peer, as often as it may be asked.
pub(super) async fn ask(call: &mut Call, outgoing: Outgoing) -> Result<Raw, Refused> {
    call.bond.binding.health.called();
    call.retried = 0;
    if let Some(raw) = let_in(call, Executed::No).await? {
        return Ok(raw);
    }
    if call.until.is_none() && call.enforced() {
        let deadline = call.bond.binding.deadline;
        call.until = deadline.map(|span| call.lane.micros().saturating_add(span.0 * 1_000));
    }
    let mut ran = Executed::No;
    loop {
        crowd::call(call, ran).await?;
        let went = within(call, &outgoing).await;
        let fault = match &went {
            Ok(Raw::Whole { .. } | Raw::Stream { .. } | Raw::Stale(_)) => {
                told_retries(call, Retried::Succeeded);
                return went.map_err(|failed| refuse_for(call, failed));
            }
            Ok(Raw::Http(response)) => response.status().is_server_error().then_some(Fault::Status),
            Err(failed) => failed.fault,
        };
        let probe = call.passes.is_some_and(is_probe);
        ended(call, fault);
        let again = fault.filter(|_| !probe).and_then(|fault| pause_before(call, &went, fault));
        let executed = went.as_ref().err().map_or(Executed::Unknown, |failed| failed.executed);
        if executed != Executed::No {
            ran = executed;
        }
        let Some(pause) = again else {
            // Any of the attempts may have run it, whatever became of the last.
            let went = went.map_err(|failed| Failed { executed: ran, ..failed });
            return last(call, went, fault).map_err(|why| *why);
        };
        call.retried += 1;
        call.times.others += pause;
        tokio::time::sleep(Duration::from_micros(pause)).await;
        if let Some(raw) = let_in(call, ran).await? {
            return Ok(raw);
        }
    }
}

/// One attempt, as far as its answer has to be read, within the deadline.
async fn within(call: &mut Call, outgoing: &Outgoing) -> Result<Raw, Failed> {
    let Some(left) = left(call) else { return ask::ask(call, outgoing).await };
    if let Ok(went) = tokio::time::timeout(left, ask::ask(call, outgoing)).await {
        return went;
    }
    call.place = None;
    answered(call);
    let why = late(call);
    Err(Failed { why, executed: Executed::Unknown, fault: Some(Fault::TimedOut) })
}

/// What is left of the deadline; `None` where there is none.
fn left(call: &Call) -> Option<Duration> {
    call.until.map(|until| Duration::from_micros(until.saturating_sub(call.lane.micros())))
}

fn late(call: &Call) -> Refusal {
    Refusal::Deadline { within_ms: call.bond.binding.deadline.unwrap_or_default().0 }
}

/// The next event of a stream, within the deadline.
pub(super) async fn next(call: &Call, events: &mut Events) -> Result<Event, Stopped> {
    let Some(left) = left(call) else { return events.next().await };
    tokio::time::timeout(left, events.next()).await.unwrap_or(Err(Stopped::TimedOut))
}

/// Why a stream that stopped holds no reply, and how the peer failed by that.
pub(super) fn stopped(call: &Call, stopped: &Stopped) -> (Refusal, Option<Fault>) {
    let malformed = |why: &str| Refusal::Malformed(why.to_owned());
    match stopped {
        Stopped::Ended => (malformed("the stream ended before the reply"), None),
        Stopped::Broken => {
            (malformed("the stream broke off before the reply"), Some(Fault::BrokenOff))
        }
        Stopped::TooLarge => (malformed("an event is longer than the limit"), None),
        Stopped::TimedOut => (late(call), Some(Fault::TimedOut)),
        Stopped::Leaving => {
            let why = "the sidecar is stopping and the reply has not come";
            (Refusal::Overloaded(why.to_owned()), None)
        }
    }
}

/// Asks both breakers. Tools that are not enforced go in any case.
pub(super) fn admitted(call: &mut Call) -> Result<(), Open> {
    let (now, rules) = (call.lane.micros(), call.lane.settings().resilience.breaker);
    let (tool, peer) = (&call.bond.tool.health, &call.bond.binding.health);
    let open = match (tool.circuit.refusing(now), peer.circuit.refusing(now)) {
        (_, Some(refusing)) => Open { refusing, peer: true },
        (Some(refusing), None) => Open { refusing, peer: false },
        // Both are asked only where both would let it go: a probe's place that was taken for nothing
        // would call up whoever waits for it.
        (None, None) => match (tool.circuit.admit(now, &rules), peer.circuit.admit(now, &rules)) {
            (Ok(of_tool), Ok(of_peer)) => {
                call.passes = Some((of_tool, of_peer));
                return Ok(());
            }
            (of_tool, Err(refusing)) => {
                if let Ok(of_tool) = of_tool {
                    tool.circuit.dropped(of_tool);
                }
                Open { refusing, peer: true }
            }
            (Err(refusing), Ok(of_peer)) => {
                peer.circuit.dropped(of_peer);
                Open { refusing, peer: false }
            }
        },
    };
    if call.enforced() { Err(open) } else { Ok(()) }
}

/// A breaker that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) refusing: Refusing,
    /// It is the peer's own: it cannot be reached.
    pub(super) peer: bool,
}

/// Both breakers let the call through; or what is told in its place where one is open: a last known good
/// reply where the peer cannot be reached, else a refusal, at once unless the probe is worth a wait.
async fn let_in(call: &mut Call, executed: Executed) -> Result<Option<Raw>, Refused> {
    let Err(open) = admitted(call) else { return Ok(None) };
    if open.peer
        && let Some(raw) = stale::instead(call, executed, None).map_err(|why| *why)?
    {
        return Ok(Some(raw));
    }
    let Err(open) = Box::pin(hold::wait(call, open)).await else {
        if !bind::has_moved(&call.lane, &call.bond).await {
            return Ok(None);
        }
        // What waits for a person, or is carried over otherwise, since it began to wait: it was made ready
        // for what is in force no more.
        call.give_up();
        let why = "the tool changed while this call waited for its breaker; try again";
        let (code, why) = (Code::NoRoutine, why.to_owned());
        let why = Refusal::Drifted { code, why, retryable: true };
        return Err(refuse(call, why, executed, Vec::new()));
    };
    let after = open.refusing.after.div_ceil(1_000).max(1);
    let what = if open.peer { "the peer cannot be reached" } else { "calls of this tool fail" };
    let why = Refusal::Drifted {
        code: Code::BreakerOpen,
        why: format!("{what}, so its breaker is open; try again in {after} ms"),
        retryable: true,
    };
    Err(refuse(call, why, executed, Vec::new()).after(after))
}

/// What is told after the last attempt failed, or ended in an HTTP answer that is no reply.
fn last(
    call: &mut Call,
    went: Result<Raw, Failed>,
    fault: Option<Fault>,
) -> Result<Raw, Box<Refused>> {
    told_retries(call, if fault.is_some() { Retried::Failed } else { Retried::Succeeded });
    let failed = match went {
        Ok(raw) => {
            if let Raw::Http(response) = &raw {
                passed(call, response.status());
            }
            return Ok(raw);
        }
        Err(failed) => failed,
    };
    // A reply that began and broke off was there: what became of it is told.
    let silent = !matches!(failed.why, Refusal::Malformed(_));
    if silent
        && fault.is_some_and(|fault| !fault.was_answered())
        && let Some(raw) = stale::instead(call, failed.executed, fault)?
    {
        return Ok(raw);
    }
    Err(Box::new(refuse_for(call, failed)))
}

fn told_retries(call: &Call, outcome: Retried) {
    if call.retried > 0 {
        call.lane.gate().metrics.retried(outcome);
    }
}

/// How long to wait before the call is tried again; `None` where it is not.
fn pause_before(call: &Call, went: &Result<Raw, Failed>, fault: Fault) -> Option<u64> {
    let (tool, now) = (&call.bond.tool, call.lane.micros());
    let rules = call.lane.settings().resilience.retry.adjusted(tool.health.adjusted());
    let may = match fault {
        // Nothing of it had left: it cannot have run.
        Fault::Unreachable => true,
        Fault::BrokenOff | Fault::Status => tool.read_only,
        // Its time is up; or the peer said its word.
        Fault::TimedOut | Fault::Internal | Fault::Error => false,
    };
    if !may || !call.enforced() || call.retried >= rules.most {
        return None;
    }
    let chance = call.lane.doors().dice.uuid().as_u64_pair().1;
    let mut span = pause(call.retried, chance, &rules);
    if let Ok(Raw::Http(response)) = went {
        if !passes_soon(response.status()) {
            return None;
        }
        let asked = response.headers().get(RETRY_AFTER);
        let asked = asked.map(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
        match asked {
            // A date, or longer than a call should wait: the agent is told by the peer itself.
            Some(None) => return None,
            Some(Some(seconds)) if seconds.saturating_mul(1_000) > rules.longest.0 => return None,
            Some(Some(seconds)) => span = span.max(seconds * 1_000_000),
            None => {}
        }
    }
    let closed = |state: BreakerState| state == BreakerState::Closed;
    let in_time = call.until.is_none_or(|until| now.saturating_add(span) < until);
    let (peer, circuit) = (&call.bond.binding.health, &tool.health.circuit);
    if !in_time || !closed(circuit.state(now)) || !closed(peer.circuit.state(now)) {
        return None;
    }
    if !peer.may_retry(now, &rules) {
        call.lane.gate().metrics.retried(Retried::Denied);
        return None;
    }
    Some(span)
}

/// Statuses of a peer, or of what stands before it, that may be over in a moment.
fn passes_soon(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

fn is_probe((of_tool, of_peer): (Pass, Pass)) -> bool {
    matches!(of_tool, Pass::Probe(_)) || matches!(of_peer, Pass::Probe(_))
}

/// Tells the breakers how the attempt under way ended.
pub(super) fn ended(call: &mut Call, fault: Option<Fault>) {
    let Some((of_tool, of_peer)) = call.passes.take() else { return };
    let (now, rules) = (call.lane.micros(), call.lane.settings().resilience.breaker);
    let (tool, peer) = (&call.bond.tool.health.circuit, &call.bond.binding.health.circuit);
    match fault.filter(|fault| fault.trips()) {
        None => {
            shifted(call, tool.good(of_tool, now, &rules), None, true);
            shifted(call, peer.good(of_peer, now, &rules), None, false);
        }
        Some(fault) if fault.is_of_peer() => {
            tool.dropped(of_tool);
            shifted(call, peer.bad(of_peer, now, &rules), Some(fault), false);
        }
        Some(fault) => {
            shifted(call, tool.bad(of_tool, now, &rules), Some(fault), true);
            // Whatever took too long may not have been reached.
            if fault == Fault::TimedOut {
                peer.dropped(of_peer);
            } else {
                shifted(call, peer.good(of_peer, now, &rules), None, false);
            }
        }
    }
}

/// Tells control, which holds a record of it.
fn shifted(call: &Call, shift: Shift, fault: Option<Fault>, of_tool: bool) {
    let opened_by = match shift {
        Shift::Stayed => return,
        Shift::Opened => {
            call.lane.gate().metrics.breaker_trip();
            fault
        }
        Shift::Closed => None,
    };
    let tool = of_tool.then(|| call.bond.tool.name.clone());
    let kind = ObservationKind::Breaker(BreakerFact { tool, opened_by });
    // One that finds no room is counted as dropped; the breaker is open all the same.
    let _ = report::reserved(&call.lane, call.bond.generation, kind);
}
