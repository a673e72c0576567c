//! Negotiations with advisors: asked beside the actor, judged by it.
//!
//! ```text
//!   actor: matcher left something open ─► Talk ─► task: panel (up to 30 s)
//!   actor: parse ─ gate ─ prove ─ replay ◄─────── answer ───┘
//!      ├─ passes: seal, swap          ├─ refuted: next round, the reason told back
//!      └─ three rounds or 60 s: what the matcher had waits, or nothing carries the tool over
//! ```
//!
//! While a negotiation runs, the tool is `Healing`: calls are held for their own short time, and the
//! peer's other tools, commands and observations go on. What the matcher has waits in the queue all
//! the while. An answer for an offer that has changed meanwhile is dropped.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::actor::Peer;
use super::advisor::{AdvisorError, Answered, Refuted, Round, Spent};
use super::heal::{Pass, judged_digest};
use super::laps::Laps;
use super::settle::{Case, Settled, held};
use super::shadow::Challenge;
use super::status::Told;
use crate::domain::contract::{Sealed, Surface};
use crate::domain::drift::{
    Against, Change, DriftEvent, DriftType, EventState, Evidence, Severity, diff, fingerprint,
};
use crate::domain::evidence::{Cause, Record, RecordBody, RecordId};
use crate::domain::message::Digest;
use crate::domain::negotiation::{
    Answer, Candidate, Decision, Origin, Proposal, Question, Rule, Scope,
};
use crate::domain::patch::Stand;
use crate::domain::policy::Caller;
use crate::live::{Mode, Switchboard, ToolState};
use crate::telemetry::{HealStage, NegotiationResult};
use crate::wire::protocol::advisor::Failure;

/// How long after a signal a replay may travel as the caller whose call is held.
const CALLER_MICROS: u64 = 2_000_000;
/// Longest text of a model's that is kept as a reason, in characters.
const REASON_CHARS: usize = 400;

/// A negotiation that is under way.
pub(super) struct Talk {
    /// What was offered when it began.
    judged: Digest,
    drift_id: Uuid,
    question: Value,
    earlier: Vec<Refuted>,
    /// Rounds that were begun.
    rounds: u32,
    started_micros: u64,
    caller: Option<Caller>,
    since: Option<u64>,
    /// Why the matcher alone does not do, for the case that no advisor does either.
    why: String,
    /// The best answer that a person could approve.
    best: Option<(Proposal, Digest)>,
    steps: Vec<String>,
    spent: Spent,
    advisors: Vec<String>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Talk {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// A round's answer on its way back to the actor.
pub(super) struct RoundEnded {
    tool: String,
    judged: Digest,
    by: String,
    answered: Answered,
}

/// How a round left its negotiation.
enum Next {
    Heals(Proposal, Digest),
    Challenges(Box<Challenge>),
    Again,
    Over(NegotiationResult),
}

impl Peer {
    /// The question for the advisors, where there are any and they could help: not where the effect
    /// of the tool or its text is what holds, and not where nothing is offered.
    pub(super) fn question(
        &self,
        case: &Case<'_>,
        candidate: Option<&Candidate>,
        settled: &Settled,
    ) -> Option<Value> {
        let panel = self.shared.advisors.as_ref()?;
        match settled {
            Settled::Waits(proposal, _) => {
                let beyond = |rule| matches!(rule, Rule::Effect | Rule::Text);
                if proposal.held_by.iter().any(|held| beyond(held.rule)) {
                    return None;
                }
            }
            Settled::Nothing(_) => {}
            Settled::Unaffected
            | Settled::LeftOut
            | Settled::Heals(..)
            | Settled::Challenges(_) => return None,
        }
        let tool = case.promised.name();
        let question = if panel.settings().descriptions {
            Question::with_descriptions(case.promise, case.offer, tool, candidate)
        } else {
            Question::about(case.promise, case.offer, tool, candidate)
        };
        let question = question.to_json();
        question["offered"]
            .as_array()
            .is_some_and(|offered| !offered.is_empty())
            .then_some(question)
    }

    /// Begins to negotiate about a tool whose event is open.
    pub(super) fn negotiate(
        &mut self,
        case: &Case<'_>,
        judged: Digest,
        drift_id: Uuid,
        question: Value,
        why: String,
        since: Option<u64>,
    ) {
        let tool = case.promised.name().to_owned();
        self.set_state(&tool, ToolState::Healing { drift: drift_id.to_string() });
        let talk = Talk {
            judged,
            drift_id,
            question,
            earlier: Vec::new(),
            rounds: 0,
            started_micros: self.shared.clock.monotonic_micros(),
            caller: case.caller.cloned(),
            since,
            why,
            best: None,
            steps: Vec::new(),
            spent: Spent::default(),
            advisors: Vec::new(),
            task: None,
        };
        self.begin_round(tool, talk);
    }

    /// Asks the panel once more, beside the actor; what comes back is a [`RoundEnded`].
    fn begin_round(&mut self, tool: String, mut talk: Talk) {
        let Some(panel) = self.shared.advisors.clone() else { return };
        talk.rounds += 1;
        self.advisor_calls += 1;
        self.shared.metrics.advisor_call();
        let within = self.left(&talk).min(Duration::from_millis(panel.settings().round.0));
        let (question, earlier) = (talk.question.clone(), talk.earlier.clone());
        let (judged, name, back) = (talk.judged, tool.clone(), self.round_ends.clone());
        talk.task = Some(tokio::spawn(async move {
            let round = Round { tool: &name, question: &question, earlier: &earlier };
            let (by, answered) = panel.ask(&round, within).await;
            // An actor that is gone needs no answer.
            let _ = back.send(RoundEnded { tool: name, judged, by, answered }).await;
        }));
        self.talks.insert(tool, talk);
    }

    /// What is left of the time that all rounds have together.
    fn left(&self, talk: &Talk) -> Duration {
        let Some(panel) = self.shared.advisors.as_ref() else { return Duration::ZERO };
        let gone = self.shared.clock.monotonic_micros().saturating_sub(talk.started_micros);
        Duration::from_millis(panel.settings().total.0).saturating_sub(Duration::from_micros(gone))
    }

    /// A round is over: judge its answer, then heal, ask again, or leave it.
    pub(super) async fn round_ended(&mut self, ended: RoundEnded, switchboard: &Switchboard) {
        let RoundEnded { tool, judged, by, answered } = ended;
        let current = self.talks.get(&tool).is_some_and(|talk| talk.judged == judged);
        let Some(mut talk) = self.talks.remove(&tool).filter(|_| current) else { return };
        talk.task = None;
        self.laps = Laps::since(Some(talk.started_micros));
        self.lap(HealStage::Advise);
        talk.spent.add(answered.spent);
        if !by.is_empty() && !talk.advisors.contains(&by) {
            talk.advisors.push(by.clone());
        }
        let (Some(head), Some(offer)) = (self.chain.head().cloned(), self.offer.clone()) else {
            return;
        };
        if self.still_open(&tool, &talk, &head, &offer) {
            match self.judge_round(&tool, &mut talk, &by, answered.outcome, &head, &offer).await {
                Next::Again => self.begin_round(tool, talk),
                Next::Heals(proposal, hash) => {
                    self.carry_over(proposal, hash, &mut talk, &head, &offer).await;
                }
                Next::Challenges(challenge) => {
                    self.try_out(*challenge, &mut talk, &head, &offer).await;
                }
                Next::Over(result) => self.leave(&tool, &mut talk, result, &offer),
            }
        } else {
            talk.steps.push("the tool changed again or was decided about meanwhile".to_owned());
            self.write_up(&tool, &talk, NegotiationResult::Nothing);
        }
        if self.talks.is_empty() {
            self.over(switchboard);
        }
        self.publish(switchboard);
    }

    /// Whether the negotiation is still about what is offered, and nobody decided meanwhile.
    fn still_open(&self, tool: &str, talk: &Talk, head: &Sealed, offer: &Surface) -> bool {
        let healing = self.tools.get(tool).is_some_and(|life| {
            life.judged == Some(talk.judged) && matches!(life.state, ToolState::Healing { .. })
        });
        healing
            && head.promised(tool).is_some()
            && judged_digest(head, tool, offer) == talk.judged
            && self.mode_of(tool, true) == Mode::Enforce
    }

    /// Holds a round's answer against proof, gate and replay, as anybody's.
    async fn judge_round(
        &mut self,
        tool: &str,
        talk: &mut Talk,
        by: &str,
        outcome: Result<Value, AdvisorError>,
        head: &Sealed,
        offer: &Surface,
    ) -> Next {
        let round = talk.rounds;
        let answer = match outcome {
            Ok(answer) => answer,
            Err(AdvisorError::Provider(Failure::NotJson(why))) => {
                return self.refuted(talk, Value::Null, shortened(&why), by);
            }
            Err(error) => {
                talk.steps.push(format!("advisor {by}, round {round}: {error}"));
                let silent = matches!(error, AdvisorError::NoAnswer(_));
                return Next::Over(if silent {
                    NegotiationResult::Nothing
                } else {
                    NegotiationResult::Failed
                });
            }
        };
        let candidate = match Answer::parse(tool, &answer) {
            Ok(candidate) => candidate,
            Err(fault) => return self.refuted(talk, answer, shortened(&fault.to_string()), by),
        };
        talk.steps.push(format!("advisor {by} proposed, round {round}"));
        let promise = promise_of(head, offer);
        let Some(promised) = promise.tool(tool) else {
            return Next::Over(NegotiationResult::Nothing);
        };
        let changes: Vec<Change> =
            diff(&promise, offer).changes.into_iter().filter(|it| it.tool == tool).collect();
        let gone = self.shared.clock.monotonic_micros().saturating_sub(talk.started_micros);
        let caller = talk.caller.as_ref().filter(|_| gone <= CALLER_MICROS);
        let case = Case { promised, promise: &promise, offer, changes: &changes, caller };
        let proposal = self.assess(&case, &candidate, &mut talk.steps).await;
        let settled = self.weighed(&case, proposal);
        let settled = self.sealable(&case, settled, &mut talk.steps);
        match self.shadowed(&case, settled, &mut talk.steps).await {
            Settled::Heals(proposal, hash) => Next::Heals(proposal, hash),
            Settled::Challenges(challenge) => Next::Challenges(challenge),
            Settled::Waits(proposal, hash) => {
                let why = held(&proposal);
                if talk.best.as_ref().is_none_or(|(best, _)| is_better(&proposal, best)) {
                    talk.best = Some((proposal, hash));
                }
                self.refuted(talk, answer, why, by)
            }
            Settled::Nothing(why) => self.refuted(talk, answer, why, by),
            Settled::Unaffected | Settled::LeftOut => Next::Over(NegotiationResult::Nothing),
        }
    }

    /// An answer is not taken: another round with the reason, while there is one.
    fn refuted(&self, talk: &mut Talk, answer: Value, why: String, by: &str) -> Next {
        talk.steps.push(format!("advisor {by}, round {}: not taken: {why}", talk.rounds));
        let most = self.shared.advisors.as_ref().map_or(0, |panel| panel.settings().rounds);
        talk.earlier.push(Refuted { answer, why });
        if talk.rounds < most && !self.left(talk).is_zero() {
            return Next::Again;
        }
        let waits = talk.best.is_some();
        Next::Over(if waits { NegotiationResult::Waiting } else { NegotiationResult::Failed })
    }

    /// An answer passed: a new version is sealed with it.
    async fn carry_over(
        &mut self,
        proposal: Proposal,
        hash: Digest,
        talk: &mut Talk,
        head: &Sealed,
        offer: &Surface,
    ) {
        let tool = proposal.tool.clone();
        let mut pass =
            Pass { records: self.told(&tool, talk, NegotiationResult::Applied), ..Pass::default() };
        self.take_on(proposal, hash, talk.drift_id, &mut pass);
        if pass.patches.is_empty() {
            self.leave(&tool, talk, NegotiationResult::Nothing, offer);
            return;
        }
        self.seal_talk(&tool, pass, talk, head, offer).await;
    }

    /// An answer passed the gate, and runs in shadow before it is in force.
    async fn try_out(
        &mut self,
        challenge: Challenge,
        talk: &mut Talk,
        head: &Sealed,
        offer: &Surface,
    ) {
        let tool = challenge.proposal.tool.clone();
        let result = match challenge.trial.stand() {
            Stand::Passed => NegotiationResult::Applied,
            Stand::Awaits(_) | Stand::Missed => NegotiationResult::Waiting,
        };
        let mut pass = Pass { records: self.told(&tool, talk, result), ..Pass::default() };
        self.challenge(challenge, talk.drift_id, talk.since, &mut pass);
        if pass.patches.is_empty() {
            return pass.records.into_iter().for_each(|record| self.shared.scribe.later(record));
        }
        self.seal_talk(&tool, pass, talk, head, offer).await;
    }

    /// Seals what a negotiation came to.
    async fn seal_talk(
        &mut self,
        tool: &str,
        pass: Pass,
        talk: &mut Talk,
        head: &Sealed,
        offer: &Surface,
    ) {
        if let Err(error) = self.seal_pass(head, offer, pass, Vec::new(), talk.since).await {
            let what = format!("{}: the new version is not sealed: {error}", self.id());
            self.tell(Told::Warning { what });
            self.leave(tool, talk, NegotiationResult::Failed, offer);
        }
    }

    /// Whether all rounds, or all of their time, were spent.
    fn is_used_up(&self, talk: &Talk) -> bool {
        let most = self.shared.advisors.as_ref().map_or(0, |panel| panel.settings().rounds);
        talk.rounds >= most || self.left(talk).is_zero()
    }

    /// A renegotiation that did not converge is drift of its own: the version before stays in force.
    fn not_converged(&mut self, tool: &str, talk: &Talk) {
        let Some(head) = self.chain.head().cloned() else { return };
        let against = Against::Offer(talk.judged);
        let gone = self.shared.clock.monotonic_micros().saturating_sub(talk.started_micros);
        let (contract, kind) = (Some(head.contract_id), DriftType::Negotiation);
        let event = DriftEvent {
            drift_id: self.shared.dice.uuid(),
            drift_type: kind,
            severity: Severity::High,
            contract_id: contract,
            tool: Some(tool.to_owned()),
            fingerprint: fingerprint(contract, Some(tool), kind, &against),
            detected_at: self.shared.clock.now(),
            sensor: "rounds".to_owned(),
            evidence: Evidence {
                baseline: json!({ "version": head.version.to_string(), "drift_id": talk.drift_id }),
                observed: json!({ "rounds": talk.rounds, "elapsed_ms": gone / 1_000 }),
                diff: json!([{ "kind": "not_converged" }]),
            },
            occurrences: 1,
            state: EventState::Open,
            resolved_by: None,
        };
        let mut records = Vec::new();
        let id = self.see(event, &mut records, None);
        let (from, to) = (RecordId(talk.drift_id), RecordId(id));
        records.push(self.shared.scribe.edge(self.id(), from, to, Cause::Caused));
        records.into_iter().for_each(|record| self.shared.scribe.later(record));
        let what =
            format!("{tool}: no routine after {} rounds; v{} stays", talk.rounds, head.version);
        self.escalate(id, "rollback", &what);
    }

    /// A routine is in force: negotiations that had not converged are over.
    pub(super) fn end_talks(&mut self, tool: &str, by: &str) {
        let talks = |event: &&DriftEvent| {
            event.drift_type == DriftType::Negotiation && event.tool.as_deref() == Some(tool)
        };
        let over: Vec<Uuid> = self.events.open().filter(talks).map(|it| it.drift_id).collect();
        for id in over {
            self.move_event(id, EventState::Resolved, Some(by.to_owned()));
        }
    }

    /// The rounds are over without a routine that goes live: what waits is told, else it is said that
    /// nothing carries the tool over.
    fn leave(&mut self, tool: &str, talk: &mut Talk, result: NegotiationResult, offer: &Surface) {
        self.write_up(tool, talk, result);
        if !matches!(result, NegotiationResult::Applied) && self.is_used_up(talk) {
            self.not_converged(tool, talk);
        }
        let known = self.waiting.values().find(|waiting| waiting.proposal.tool == tool);
        if let Some(why) = known.map(|waiting| held(&waiting.proposal)) {
            self.count_negotiation(Origin::Advisor, result);
            self.wait_for_a_person(tool, talk.drift_id, why);
        } else if let Some((proposal, hash)) = talk.best.take() {
            let mut pass = Pass::default();
            self.put_up(proposal, hash, talk.drift_id, &mut pass);
            pass.records.into_iter().for_each(|record| self.shared.scribe.later(record));
        } else {
            self.count_negotiation(Origin::Advisor, result);
            self.move_event(talk.drift_id, EventState::Open, None);
            self.give_up(tool, offer.tool(tool).is_none(), talk.drift_id, talk.why.clone());
        }
    }

    /// Leaves the records of a negotiation for the next batch.
    fn write_up(&self, tool: &str, talk: &Talk, result: NegotiationResult) {
        let records = self.told(tool, talk, result);
        records.into_iter().for_each(|record| self.shared.scribe.later(record));
    }

    /// What is recorded about a negotiation: what it cost, and why it went as it did.
    fn told(&self, tool: &str, talk: &Talk, result: NegotiationResult) -> Vec<Record> {
        self.shared.metrics.negotiation_rounds(talk.rounds);
        let elapsed = self.shared.clock.monotonic_micros().saturating_sub(talk.started_micros);
        let negotiated = RecordBody::Negotiated {
            drift_id: talk.drift_id,
            tool: tool.to_owned(),
            advisors: talk.advisors.clone(),
            negotiation_rounds: talk.rounds,
            calls: talk.spent.calls,
            input_tokens: talk.spent.input_tokens,
            output_tokens: talk.spent.output_tokens,
            cost_micros: talk.spent.cost_micros,
            elapsed_ms: elapsed / 1_000,
            result: result.word().to_owned(),
        };
        let reasoning =
            RecordBody::Reasoning { drift_id: talk.drift_id, steps: talk.steps.clone() };
        [negotiated, reasoning].map(|body| self.shared.scribe.record(self.id(), body)).into()
    }

    /// No negotiation runs any more: who waited for that is answered, and what was not adopted
    /// meanwhile is looked at.
    fn over(&mut self, switchboard: &Switchboard) {
        self.pending.asked = true;
        if self.awaiting_talks.is_empty() {
            return;
        }
        self.publish(switchboard);
        let said = format!("{}: read", self.id());
        for answer in std::mem::take(&mut self.awaiting_talks) {
            // Whoever asked may have gone.
            let _ = answer.send(Ok(said.clone()));
        }
    }
}

/// All that is promised, as a surface of the peer of now.
pub(super) fn promise_of(head: &Sealed, offer: &Surface) -> Surface {
    Surface {
        server_name: offer.server_name.clone(),
        capabilities: offer.capabilities.clone(),
        tools: head.promised_tools().into_iter().cloned().collect(),
    }
}

/// Whether a person would rather be shown this proposal: fewer rules hold it, or it carries more.
fn is_better(one: &Proposal, other: &Proposal) -> bool {
    let weight = |proposal: &Proposal| {
        (proposal.gate != Decision::Review, proposal.held_by.len(), proposal.scope != Scope::All)
    };
    weight(one) < weight(other)
}

/// A reason that may hold words of a model: bounded, and without characters that nobody sees.
fn shortened(why: &str) -> String {
    why.chars().filter(|c| !c.is_control()).take(REASON_CHARS).collect()
}
