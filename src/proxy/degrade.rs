//! What becomes of a call that does not go as promised: held for a heal, waived, or refused.
//!
//! A held call waits on the switchboard alone, bounded by `heal_wait_ms`. It is sent again only
//! where the peer cannot have run it; a reply in flight is tried once against the routine that came.

use std::time::Duration;

use bytes::Bytes;

use super::ask::Failed;
use super::bind::{self, Bond, Bound};
use super::call::Call;
use super::failing::surviving;
use super::judge::{Broken, Finding, Judged, judge};
use super::mend::{admits, read};
use super::report::{self, Ended};
use super::stale;
use crate::domain::contract::Violation;
use crate::domain::message::{Code, Digest, Executed, Generation, Verdict};
use crate::live::{Mode, Rejection, ToolState};
use crate::wire::protocol::mcp::{Incoming, Refusal, Refused, Reply, incoming, rewritten};

use super::tape::with_tape;

/// What leaves.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The bytes that came.
    AsCame,
    /// Other bytes: a mended or marked reply.
    Altered(Bytes),
    /// A refusal in its place.
    Refused(Refused),
    /// The call is bound anew: ask the peer once more.
    Again,
}

/// How a wait ended.
enum Waited {
    /// The tool's routine or state is another one.
    Changed(Bond),
    /// The surface was read after the signal and this tool is as it was.
    Unchanged,
    /// Nothing is promised under this name any more.
    Gone,
    /// Too late; the tool's event is still open.
    StillHealing,
    /// Too late, and nobody looked.
    TimedOut,
}

/// May this tool be called? Waits for a heal that is under way, and for a contract that is being
/// renewed; modes that do not enforce never wait.
pub(super) async fn ready(call: &mut Call) -> Result<(), Refused> {
    if !call.enforced() {
        return Ok(());
    }
    if expired(call) {
        renewed(call).await;
    }
    if expired(call) {
        let why = "the contract expired and could not be renewed".to_owned();
        return Err(refuse(call, Refusal::ContractInvalid(why), Executed::No, Vec::new()));
    }
    if matches!(call.bond.tool.state, ToolState::Healing { .. })
        && let Waited::Changed(bond) = hold(call, None).await
    {
        call.bond = bond;
    }
    match stopped(&call.bond.tool.state) {
        Some(why) => Err(refuse(call, why, Executed::No, Vec::new())),
        None => Ok(()),
    }
}

fn expired(call: &Call) -> bool {
    call.bond.binding.expiry.is_some_and(|expiry| expiry <= call.lane.doors().clock.now())
}

/// Waits for a binding of this tool that is not expired.
async fn renewed(call: &mut Call) {
    let until = call.lane.micros() + call.lane.settings().heal_wait_ms * 1000;
    while expired(call) {
        let left = Duration::from_micros(until.saturating_sub(call.lane.micros()));
        let seen = call.bond.generation;
        let Some(newer) = bind::newer(&call.lane, seen, left).await else { return };
        match newer.tool(Some(call.bond.tool.name.as_str())) {
            Bound::Tool(bond) => call.bond = bond,
            Bound::Free | Bound::Hidden => return,
        }
    }
}

/// Why a tool in this state is not called.
fn stopped(state: &ToolState) -> Option<Refusal> {
    let drifted =
        |code, why: &str, retryable| Refusal::Drifted { code, why: why.to_owned(), retryable };
    Some(match state {
        ToolState::Sound => return None,
        ToolState::Healing { .. } => drifted(
            Code::NoRoutine,
            "the tool changed and a heal is still under way; try again in a moment",
            true,
        ),
        ToolState::Waiting { why, .. } => drifted(Code::Waiting, why, true),
        ToolState::Unhealable { why, .. } => drifted(Code::NoRoutine, why, false),
        ToolState::Broken { why, .. } => drifted(Code::BreakerOpen, why, true),
    })
}

/// Decides what leaves, given what came.
pub(super) async fn decide(call: &mut Call, text: &Bytes, judged: Judged) -> Outcome {
    let digest = Some(Digest::of(text));
    let Judged { finding, is_error, fault, held_promise, structured, in_text, .. } = judged;
    let keeps = judged.complete && !is_error;
    let told = Ended {
        is_error,
        fault,
        held_promise,
        structured,
        in_text,
        digest,
        ..Ended::new(Verdict::Kept, Executed::Yes)
    };
    match finding {
        Finding::Interim { .. } => Outcome::AsCame,
        Finding::Passed => ended(call, Ended { verdict: Verdict::Passed, ..told }, Outcome::AsCame),
        Finding::Kept => good(call, told, Outcome::AsCame, text, keeps),
        Finding::Mended(mended) => {
            let told = Ended { verdict: Verdict::Mended, ..told };
            let leaves = Outcome::Altered(mended.clone());
            good(call, told, leaves, &mended, keeps)
        }
        Finding::Malformed(why) if call.enforced() => {
            let kind = malformed(&why);
            Outcome::Refused(refuse(call, Refusal::Malformed(why), Executed::Unknown, kind))
        }
        Finding::Malformed(why) => {
            let told = Ended { verdict: Verdict::Waived, violations: malformed(&why), ..told };
            ended(call, told, Outcome::AsCame)
        }
        Finding::Undecided(why) => {
            let violations = vec![violation("undecided", &why)];
            undecided(call, why, violations, Ended { executed: Executed::Unknown, ..told })
        }
        Finding::Rejected(rejection) => rejected(call, rejection, told).await,
        Finding::Broken(found) => broken(call, text, found, told).await,
    }
}

/// Tells how it ended. Where a record must name it and there is no room, nothing leaves.
fn ended(call: &Call, told: Ended, outcome: Outcome) -> Outcome {
    let executed = told.executed;
    if report::call(call, told) || !withholds(call) {
        return outcome;
    }
    let why = "there is no room to record that this reply breaks its promise".to_owned();
    Outcome::Refused(call.refused(Refusal::Overloaded(why), executed))
}

/// As [`ended`], for a reply that is as it should be: it may stand for a later one.
fn good(call: &Call, told: Ended, outcome: Outcome, text: &Bytes, keeps: bool) -> Outcome {
    let outcome = ended(call, told, outcome);
    if keeps && !matches!(outcome, Outcome::Refused(_)) {
        stale::keep(call, text);
    }
    outcome
}

/// A refusal, told to whoever keeps count.
pub(super) fn refuse(
    call: &Call,
    why: Refusal,
    executed: Executed,
    violations: Vec<Violation>,
) -> Refused {
    refused(call, why, executed, Ended { violations, ..Ended::new(Verdict::Refused, executed) })
}

/// The refusal of a call whose attempt brought no answer.
pub(super) fn refuse_for(call: &Call, failed: Failed) -> Refused {
    let Failed { why, executed, fault } = failed;
    refused(call, why, executed, Ended { fault, ..Ended::new(Verdict::Refused, executed) })
}

fn refused(call: &Call, why: Refusal, executed: Executed, told: Ended) -> Refused {
    // A refusal that finds no room is counted as dropped; there is nothing more careful to do.
    let _ = report::call(call, told);
    call.refused(why, executed)
}

/// Whether what cannot be judged or recorded is withheld.
fn withholds(call: &Call) -> bool {
    call.enforced() && call.lane.settings().failure.is_closed(&call.bond)
}

/// A reply that Stipula itself could not judge: delivered or withheld, by what is at stake.
fn undecided(call: &Call, why: String, violations: Vec<Violation>, told: Ended) -> Outcome {
    tracing::error!(peer = call.lane.id().as_str(), why, "a reply could not be judged");
    if withholds(call) {
        return Outcome::Refused(refuse(call, Refusal::Undecided(why), told.executed, violations));
    }
    ended(call, Ended { verdict: Verdict::Waived, violations, ..told }, Outcome::AsCame)
}

fn malformed(why: &str) -> Vec<Violation> {
    vec![violation("malformed", why)]
}

/// What is wrong with a reply as a whole.
fn violation(kind: &str, why: &str) -> Violation {
    Violation {
        pointer: String::new(),
        schema_pointer: String::new(),
        kind: kind.to_owned(),
        message: why.to_owned(),
    }
}

async fn rejected(call: &mut Call, rejection: Rejection, told: Ended) -> Outcome {
    let told = Ended { executed: ran(&rejection), ..told };
    let named = |told: Ended| Ended { rejection: Some(rejection.clone()), ..told };
    // Arguments that the promise does not admit are the caller's own mistake.
    // A next round that is carried over anew is none: its state is bound to the earlier arguments.
    let repeats = call.may_repeat && call.envelope.request_state.is_none();
    if !call.enforced() || !repeats || !as_promised(call) {
        let told = if as_promised(call) { named(told) } else { told };
        return ended(call, told, Outcome::AsCame);
    }
    let ticket = call.lane.doors().observations.ticket();
    let signal = Ended { digest: told.digest, ..Ended::new(Verdict::Refused, told.executed) };
    if !report::call(call, Ended { held: Some(ticket), ..named(signal) }) {
        return ended(call, told, Outcome::AsCame);
    }
    call.told = true;
    match hold(call, Some(ticket)).await {
        Waited::Changed(bond) => match stopped(&bond.tool.state) {
            Some(why) => {
                call.bond = bond;
                Outcome::Refused(refuse(call, why, told.executed, Vec::new()))
            }
            None if may_repeat(call, &rejection, &bond) => {
                call.bond = bond;
                call.may_repeat = false;
                call.told = false;
                Outcome::Again
            }
            None => {
                call.bond = bond;
                let why = Refusal::Drifted {
                    code: Code::NoRoutine,
                    why: "the tool changed and is healed now; this call was not repeated because \
                          the peer may have run it"
                        .to_owned(),
                    retryable: false,
                };
                Outcome::Refused(refuse(call, why, told.executed, Vec::new()))
            }
        },
        Waited::StillHealing => {
            let why = stopped(&ToolState::Healing { drift: String::new() });
            let why = why.unwrap_or(Refusal::UnknownTool(call.bond.tool.name.to_string()));
            Outcome::Refused(refuse(call, why, told.executed, Vec::new()))
        }
        Waited::Unchanged | Waited::Gone | Waited::TimedOut => ended(call, told, Outcome::AsCame),
    }
}

/// A validation error precedes execution by the protocol's word; a tool's own error may not.
fn ran(rejection: &Rejection) -> Executed {
    match (rejection.is_error, rejection.code) {
        (true, _) => Executed::Yes,
        (false, Some(_)) => Executed::No,
        (false, None) => Executed::Unknown,
    }
}

fn as_promised(call: &Call) -> bool {
    let Some(promised) = call.bond.tool.request.get() else { return true };
    let arguments = call.envelope.arguments().unwrap_or_default();
    read(&arguments, call.lane.settings().document, |arguments| admits(promised, arguments))
}

/// Whether the peer cannot have run the call that it rejected (design: re-send).
fn may_repeat(call: &Call, rejection: &Rejection, healed: &Bond) -> bool {
    let (before, after) = (&call.bond.tool, &healed.tool);
    if rejection.is_error {
        return before.read_only_hint && after.read_only_hint;
    }
    if before.read_only && after.read_only {
        return true;
    }
    let Some(asked) = &call.asked else { return true };
    match healed.binding.changed_offers.get(&asked.tool) {
        None => false,
        Some(None) => true,
        Some(Some(offered)) => {
            let arguments = asked.arguments.clone().unwrap_or_default();
            let limits = call.lane.settings().document;
            !read(&arguments, limits, |arguments| admits(offered, arguments))
        }
    }
}

async fn broken(call: &mut Call, text: &Bytes, found: Broken, told: Ended) -> Outcome {
    let violations = &found.violations;
    let waived = |violations: Vec<Violation>| Ended {
        verdict: Verdict::Waived,
        violations,
        digest: told.digest,
        structured: told.structured.clone(),
        ..Ended::new(Verdict::Waived, Executed::Yes)
    };
    // A declaration that was never kept is a faulty one, and what cannot be decided is no drift.
    let faulty = !call.bond.tool.kept.load(std::sync::atomic::Ordering::Relaxed);
    let too_much = violations.iter().all(Violation::is_undecided);
    match call.bond.tool.mode {
        Mode::Observe => return ended(call, waived(found.violations), Outcome::AsCame),
        Mode::Warn => {
            let marked = marked(call, text, &found);
            return ended(call, waived(found.violations), marked);
        }
        Mode::Enforce if faulty => {
            return ended(call, waived(found.violations), Outcome::AsCame);
        }
        Mode::Enforce if too_much => {
            let why = "it takes more work than a reply may".to_owned();
            let violations = found.violations;
            return undecided(call, why, violations.clone(), waived(violations));
        }
        Mode::Enforce => {}
    }
    let found = if call.bond.tool.knows(violations) {
        found
    } else {
        match healed_reply(call, text, violations, &told).await {
            Ok(outcome) => return outcome,
            Err(left) => left.unwrap_or(found),
        }
    };
    let all_missing = found.violations.iter().all(Violation::is_missing);
    // What was inferred is too weak to withhold a reply for: it is named instead.
    if call.bond.tool.inferred.is_some() || (!call.bond.tool.read_only && all_missing) {
        let marked = marked(call, text, &found);
        return ended(call, waived(found.violations), marked);
    }
    let why = Refusal::Broken(described(&found.violations));
    let withheld = Ended { verdict: Verdict::Refused, ..waived(found.violations) };
    Outcome::Refused(refused(call, why, Executed::Yes, withheld))
}

/// Holds a reply that broke its promise and tries it once against the routine that comes. `Err`
/// where it stays broken, with what is broken under the new one.
async fn healed_reply(
    call: &mut Call,
    text: &Bytes,
    violations: &[Violation],
    told: &Ended,
) -> Result<Outcome, Option<Broken>> {
    if !call.may_repeat {
        return Err(None);
    }
    call.may_repeat = false;
    let ticket = call.lane.doors().observations.ticket();
    let signal = Ended {
        digest: told.digest,
        violations: violations.to_vec(),
        held: Some(ticket),
        structured: told.structured.clone(),
        ..Ended::new(Verdict::Refused, Executed::Yes)
    };
    if !report::call(call, signal) {
        return Err(None);
    }
    call.told = true;
    let Waited::Changed(bond) = hold(call, Some(ticket)).await else { return Err(None) };
    call.bond = bond;
    call.told = false;
    let judged = surviving(|| judge(&call.bond, call.id(), text, call.manner()));
    let told = Ended {
        held_promise: judged.held_promise,
        structured: judged.structured,
        in_text: judged.in_text,
        digest: told.digest,
        ..Ended::new(Verdict::Kept, Executed::Yes)
    };
    match judged.finding {
        Finding::Kept => Ok(ended(call, told, Outcome::AsCame)),
        Finding::Mended(mended) => {
            let told = Ended { verdict: Verdict::Mended, ..told };
            Ok(ended(call, told, Outcome::Altered(mended)))
        }
        Finding::Broken(broken) => Err(Some(broken)),
        Finding::Interim { .. }
        | Finding::Passed
        | Finding::Rejected(_)
        | Finding::Malformed(_)
        | Finding::Undecided(_) => Err(None),
    }
}

/// Waits until the tool's routine or state is another one, or its peer was looked at and it is not.
async fn hold(call: &mut Call, ticket: Option<u64>) -> Waited {
    let started = call.lane.micros();
    let until = started + call.lane.settings().heal_wait_ms * 1000;
    let waited = wait(call, ticket, until).await;
    call.times.others += call.lane.micros().saturating_sub(started);
    waited
}

async fn wait(call: &Call, ticket: Option<u64>, until: u64) -> Waited {
    let before = &call.bond.tool;
    let mut seen: Generation = call.bond.generation;
    let mut healing = matches!(before.state, ToolState::Healing { .. });
    loop {
        let left = Duration::from_micros(until.saturating_sub(call.lane.micros()));
        let Some(newer) = bind::newer(&call.lane, seen, left).await else {
            return if healing { Waited::StillHealing } else { Waited::TimedOut };
        };
        seen = newer.generation;
        let Bound::Tool(bond) = newer.tool(Some(before.name.as_str())) else {
            return Waited::Gone;
        };
        healing = matches!(bond.tool.state, ToolState::Healing { .. });
        if healing {
            continue;
        }
        if bond.tool.revision != before.revision || bond.tool.state != before.state {
            return Waited::Changed(bond);
        }
        if ticket.is_some_and(|ticket| bond.binding.reviewed_to >= ticket) {
            return Waited::Unchanged;
        }
    }
}

/// The reply, mended as far as it could be, with a verdict in its `_meta` that names the rest.
fn marked(call: &Call, text: &Bytes, broken: &Broken) -> Outcome {
    let mut note = call.bond.note(Verdict::Waived, Some(Code::ReplyBroken), Executed::Yes);
    let places = |missing: bool| {
        let wanted = broken.violations.iter().filter(move |it| it.is_missing() == missing);
        wanted.map(Violation::place).collect()
    };
    (note.missing, note.changed) = (places(true), places(false));
    let mended = broken.mended.as_deref();
    with_tape(|tape| {
        let Ok(document) = tape.read(text, call.lane.settings().document) else {
            return Outcome::AsCame;
        };
        match incoming(document.root(), call.id()) {
            Ok(Incoming::Reply(Reply::Result(result))) => {
                Outcome::Altered(rewritten(document.text(), result, mended, Some(&note)).into())
            }
            _ => Outcome::AsCame,
        }
    })
}

fn described(violations: &[Violation]) -> String {
    let mut text =
        "the peer ran this call, but its reply breaks the contract and was withheld".to_owned();
    for (index, violation) in violations.iter().take(3).enumerate() {
        text.push_str(if index == 0 { ": " } else { "; " });
        text.push_str(&format!("at {:?} {}", violation.pointer, violation.message));
    }
    text
}
