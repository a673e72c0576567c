//! Replies that changed under an unchanged definition: the event is opened on the first of them, what
//! can still be found is mended, what is gone is named.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::actor::Peer;
use super::heal::Pass;
use super::settle::held;
use crate::domain::contract::{Direction, Generaliser, Schema, TermSource, Violation};
use crate::domain::drift::{DriftEvent, EventState, Outlook, Sighting, Signal, classify};
use crate::domain::evidence::{Cause, RecordBody, RecordId};
use crate::domain::json::{Limits, Tape};
use crate::domain::message::{ToolName, Verdict};
use crate::domain::negotiation::{
    Candidate, Decision, Found, GateEvidence, Origin, Proposal, Reshaped, assess_reshaped, find,
    proposal_hash,
};
use crate::domain::policy::Caller;
use crate::domain::routine::{CompiledRoutine, Op, RoutineDoc, ToolRoutine};
use crate::live::{CallFact, Mode, Reported, ToolState};

/// The sensor that sees declared terms broken.
const SENSOR: &str = "reply";
/// The sensor that sees inferred terms broken: weaker evidence, and it says so.
const INFERRED_SENSOR: &str = "inferred_reply";
/// Replies in the promised shape, one after another, that end an event about their shape; twice as
/// many each time that it comes again, so that a peer of two shapes does not open it without end.
const RECOVERED: u32 = 5;
/// How often they are doubled at most.
const DOUBLED: u32 = 10;
/// Places that an event's reports name.
const PLACES: usize = 256;

/// A reply that broke a kept promise.
#[derive(Debug, Default)]
pub(super) struct BrokenReply {
    pub(super) violations: Vec<Violation>,
    /// Its document as it came, and the arguments it answers.
    pub(super) came: Option<(Value, Value)>,
}

impl BrokenReply {
    pub(super) fn of(call: &CallFact) -> Self {
        let came = call.sample.as_ref().and_then(|sample| {
            let reply = serde_json::from_slice(sample.structured.as_ref()?).ok()?;
            Some((reply, serde_json::from_slice(&sample.arguments).unwrap_or_default()))
        });
        Self { violations: call.violations.clone(), came }
    }
}

impl Peer {
    /// Replies that broke a kept promise while the surface says nothing new: reply-only drift.
    pub(super) async fn settle_replies(&mut self, caller: Option<&Caller>, since: Option<u64>) {
        let mut pass = Pass::default();
        for (tool, broken) in std::mem::take(&mut self.pending.broken) {
            let sound = self.tools.get(tool.as_str()).is_none_or(|it| it.state == ToolState::Sound);
            let just_healed = self.going_live.iter().any(|(healed, ..)| *healed == tool);
            if !sound || just_healed {
                continue;
            }
            if !self.events.open_of(&tool).is_empty() {
                self.report_more(&tool, &broken.violations);
                continue;
            }
            let Some(event) = self.reply_event(&tool, &broken.violations, Outlook::Nothing) else {
                continue;
            };
            let drift_id = self.see(event, &mut pass.records, since);
            self.report(&tool, drift_id, &broken.violations);
            if self.mode_of(&tool, true) == Mode::Enforce {
                self.reshape(&tool, &broken, drift_id, caller, &mut pass).await;
            }
        }
        let (head, offer) = (self.chain.head().cloned(), self.offer.clone());
        if let (Some(head), Some(offer), false) = (head, offer, pass.patches.is_empty()) {
            if let Err(error) = self.seal_pass(&head, &offer, pass, Vec::new(), since).await {
                let what = format!("{}: the new version is not sealed: {error}", self.id());
                self.tell(super::status::Told::Warning { what });
            }
            return;
        }
        pass.records.into_iter().for_each(|record| self.shared.scribe.later(record));
    }

    /// The event of a broken reply, as the drift table has it.
    pub(super) fn reply_event(
        &self,
        tool: &str,
        violations: &[Violation],
        outlook: Outlook,
    ) -> Option<DriftEvent> {
        let head = self.chain.head()?;
        let promised = head.message(tool, Direction::Reply)?;
        let inferred = promised.source == TermSource::Inferred;
        let samples = promised.samples.unwrap_or(0);
        let mut told = violations.to_vec();
        if inferred {
            for violation in &mut told {
                violation.message.push_str(&format!(" (inferred from {samples} samples)"));
            }
        }
        Some(classify(
            Sighting {
                drift_id: self.shared.dice.uuid(),
                contract_id: Some(head.contract_id),
                tool,
                at: self.shared.clock.now(),
                sensor: if inferred { INFERRED_SENSOR } else { SENSOR },
                offer: self.offer_digest.unwrap_or(head.hash),
                baseline: promised.schema.clone(),
                observed: json!(told),
            },
            Signal::Reply(&told),
            outlook,
        ))
    }

    /// From now on a reply that breaks in these places is no news.
    fn report(&mut self, tool: &str, drift_id: Uuid, violations: &[Violation]) {
        let places = violations.iter().map(Violation::general_place).take(PLACES).collect();
        let life = self.tools.entry(ToolName::from(tool)).or_default();
        life.reported = Some(Reported { drift: drift_id.to_string(), places });
        life.recovered = 0;
        life.revision += 1;
    }

    fn report_more(&mut self, tool: &str, violations: &[Violation]) {
        let Some(life) = self.tools.get_mut(tool) else { return };
        let Some(reported) = &mut life.reported else { return };
        let before = reported.places.len();
        let new = violations.iter().map(Violation::general_place);
        reported.places.extend(new.take(PLACES.saturating_sub(before)));
        life.revision += u64::from(reported.places.len() > before);
    }

    /// Takes up what open events report, after a restart.
    pub(super) fn take_up_reports(&mut self) {
        let open: Vec<DriftEvent> = self.events.open().filter(is_reply).cloned().collect();
        for event in open {
            let violations: Vec<Violation> =
                serde_json::from_value(event.evidence.diff).unwrap_or_default();
            if let Some(tool) = &event.tool {
                self.report(tool, event.drift_id, &violations);
            }
        }
    }

    /// A broken reply that an open event explains: counted, and no news. False where it is news.
    pub(super) fn is_reported(&mut self, call: &CallFact) -> bool {
        let Some(life) = self.tools.get_mut(&call.tool) else { return false };
        life.recovered = 0;
        let Some(reported) = &life.reported else { return false };
        let known = |it: &Violation| reported.places.contains(&it.general_place());
        if !call.foretold && !call.violations.iter().all(known) {
            return false;
        }
        if let Ok(id) = reported.drift.parse() {
            self.events.sighted(id);
        }
        true
    }

    /// Replies that keep their promise again end the event about their shape.
    pub(super) fn note_recovery(&mut self, call: &CallFact) {
        let Some(life) = self.tools.get_mut(&call.tool) else { return };
        let kept = call.verdict == Verdict::Kept && !call.is_error && call.rejection.is_none();
        if life.reported.is_none() || !kept {
            return;
        }
        life.recovered += 1;
        if life.recovered >= RECOVERED << life.recoveries.min(DOUBLED) {
            life.recoveries += 1;
            self.end_reports(call.tool.as_str(), "replies keep the promise again");
            self.leave_queue(call.tool.as_str());
            self.pending.asked = true;
        }
    }

    /// The events about the shape of a tool's replies are over.
    pub(super) fn end_reports(&mut self, tool: &str, by: &str) {
        let Some(life) = self.tools.get_mut(tool) else { return };
        if life.reported.take().is_none() {
            return;
        }
        life.recovered = 0;
        life.revision += 1;
        let mine = |event: &&DriftEvent| is_reply(event) && event.tool.as_deref() == Some(tool);
        let over: Vec<Uuid> = self.events.open().filter(mine).map(|it| it.drift_id).collect();
        for id in over {
            self.move_event(id, EventState::Resolved, Some(by.to_owned()));
        }
    }

    /// Mends what can be found of a reshaped reply, and names what is gone.
    async fn reshape(
        &mut self,
        tool: &str,
        broken: &BrokenReply,
        drift_id: Uuid,
        caller: Option<&Caller>,
        pass: &mut Pass,
    ) {
        let mut steps = Vec::new();
        let mut proposal = self.reshaped(tool, broken, &mut steps);
        let part = |it: &Proposal| it.routine.0.values().any(|routine| !routine.gone.is_empty());
        if proposal.as_ref().is_none_or(part)
            && let Some(replayed) = self.replayed(tool, broken, caller, &mut steps).await
        {
            proposal = Some(replayed);
        }
        let body = RecordBody::Reasoning { drift_id, steps };
        let reasoning = self.shared.scribe.record(self.id(), body);
        let from = RecordId(drift_id);
        pass.records.push(self.shared.scribe.edge(self.id(), from, reasoning.id, Cause::Caused));
        pass.records.push(reasoning);
        let (Some(head), Some(offer)) = (self.chain.head().cloned(), &self.offer) else { return };
        if let Some(proposal) = proposal {
            let hash = proposal_hash(&proposal, &super::negotiate::promise_of(&head, offer), offer);
            if self.barred.contains(&hash) {
                return;
            }
            if self.settings.shadow_exchanges == 0 {
                return self.take_on(proposal, hash, drift_id, pass);
            }
            let came = broken.came.as_ref();
            let challenge = self.challenge_of_replies(proposal, hash, came).await;
            self.challenge(challenge, drift_id, None, pass);
        }
    }

    /// The routine that the gate lets through, if there is one.
    fn reshaped(
        &self,
        tool: &str,
        broken: &BrokenReply,
        steps: &mut Vec<String>,
    ) -> Option<Proposal> {
        let head = self.chain.head()?;
        let (reply, arguments) = broken.came.as_ref()?;
        let (promised, terms) = (head.promised(tool)?, head.reply_schema(tool)?);
        let life = self.tools.get(tool)?;
        let carried = head.routine.0.get(tool).cloned().unwrap_or_default();
        if life.live.is_some() || !carried.reply.is_empty() || !carried.gone.is_empty() {
            steps.push("a routine carries these replies already: it is watched".to_owned());
            return None;
        }
        let relations = life.learning.relations.as_deref();
        let mut found = find(relations, &broken.violations, reply, arguments);
        steps.append(&mut found.steps);
        if !works(tool, &found, reply, terms, &broken.violations) {
            steps.push("what was found does not mend this very reply: all is left as it is".into());
            let mut nothing = find(None, &broken.violations, reply, arguments);
            steps.append(&mut nothing.steps);
            found = nothing;
        }
        let observed = observed(reply);
        let reshaped = Reshaped { tool: promised, promised: terms, observed: &observed };
        let mut proposal = judged(&reshaped, &found);
        if proposal.gate != Decision::Auto {
            steps.push(format!("held back: {}", held(&proposal)));
            found = find(None, &broken.violations, reply, arguments);
            proposal = judged(&reshaped, &found);
        }
        if found.reply.is_empty() && found.gone.is_empty() {
            return None;
        }
        // Requests go on as they did.
        let entry = ToolRoutine { reply: found.reply, gone: found.gone, ..carried };
        proposal.routine = RoutineDoc([(tool.to_owned(), entry)].into());
        (proposal.gate == Decision::Auto).then_some(proposal)
    }
}

impl Peer {
    /// What the matcher makes of a reshaped reply, where nothing is gone and paired replay shows that
    /// it means the same: moved and renamed fields of tools that say they only read.
    async fn replayed(
        &self,
        tool: &str,
        broken: &BrokenReply,
        caller: Option<&Caller>,
        steps: &mut Vec<String>,
    ) -> Option<Proposal> {
        let (head, offer) = (self.chain.head()?, self.offer.as_ref()?);
        let (reply, _) = broken.came.as_ref()?;
        let (promised, terms) = (head.promised(tool)?, head.reply_schema(tool)?);
        let watched = self.tools.get(tool).is_some_and(|life| life.live.is_some());
        if watched
            || head.routine.0.contains_key(tool)
            || !self.may_replay(promised, offer.tool(tool))
        {
            return None;
        }
        let observed = observed(reply);
        let reshaped = Reshaped { tool: promised, promised: terms, observed: &observed };
        let candidate = reshaped.matched()?;
        let found = Found { reply: candidate.routine.reply.clone(), ..Found::default() };
        if !candidate.routine.request.is_empty() || !works(tool, &found, reply, terms, &[]) {
            return None;
        }
        let shown = self.paired_replay(&candidate, offer, caller).await?;
        steps.push(format!(
            "paired replay of what the matcher found: {} requests, {} values equal, {} different",
            shown.result.compared,
            shown.result.equal.len(),
            shown.result.different.len()
        ));
        if !shown.result.agrees() {
            return None;
        }
        let mut evidence = GateEvidence::for_same_peer();
        evidence.replay = Some(shown.result);
        let proposal = assess_reshaped(&reshaped, &candidate, &evidence);
        if proposal.gate != Decision::Auto {
            steps.push(format!("held back: {}", held(&proposal)));
        }
        (proposal.gate == Decision::Auto).then_some(proposal)
    }
}

fn is_reply(event: &&DriftEvent) -> bool {
    [SENSOR, INFERRED_SENSOR].contains(&event.sensor.as_str())
}

fn judged(reshaped: &Reshaped<'_>, found: &Found) -> Proposal {
    let mut evidence = GateEvidence::for_same_peer();
    evidence.derived_relations = found.relations.clone();
    evidence.seen_gone.clone_from(&found.gone);
    let routine = ToolRoutine {
        reply: found.reply.clone(),
        gone: found.gone.clone(),
        ..ToolRoutine::default()
    };
    let name = reshaped.tool.name().to_owned();
    let candidate = Candidate {
        to_tool: Some(name.clone()),
        tool: name,
        routine,
        origin: Origin::Matcher,
        open: Vec::new(),
    };
    assess_reshaped(reshaped, &candidate, &evidence)
}

/// Whether the operations mend this very reply: what is broken afterwards was broken before, and no
/// place that they write is.
fn works(tool: &str, found: &Found, reply: &Value, terms: &Value, before: &[Violation]) -> bool {
    if found.reply.is_empty() {
        return true;
    }
    let routine = ToolRoutine { reply: found.reply.clone(), ..ToolRoutine::default() };
    let (Ok(routine), Ok(terms)) =
        (CompiledRoutine::compile(tool, &routine), Schema::compile(terms))
    else {
        return false;
    };
    let (text, mut mended, mut tape) = (reply.to_string(), Vec::new(), Tape::default());
    let carried = tape
        .read(text.as_bytes(), Limits::default())
        .is_ok_and(|document| routine.reply(document.root(), &mut mended).is_ok());
    let Some(mended) = serde_json::from_slice::<Value>(&mended).ok().filter(|_| carried) else {
        return false;
    };
    let written: BTreeSet<&str> = found.reply.iter().filter_map(target).collect();
    let known: BTreeSet<String> = before.iter().map(Violation::place).collect();
    let left = terms.violations_value(&mended);
    left.iter()
        .map(Violation::place)
        .all(|at| known.contains(&at) && !written.contains(at.as_str()))
}

fn target(op: &Op) -> Option<&str> {
    match op {
        Op::Copy { to, .. } | Op::Extract { to, .. } | Op::Template { to, .. } => Some(to.as_str()),
        _ => None,
    }
}

/// What a single reply looks like, as a schema: its own word is all there is of the new shape.
fn observed(reply: &Value) -> Value {
    let mut generaliser = Generaliser::default();
    generaliser.take(reply);
    generaliser.terms(1).map_or_else(|| json!({}), |inferred| inferred.schema)
}
