//! The loop after a surface changed: an event for each tool, a routine where one passes the gate, one
//! new version for all that was healed at once.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use super::actor::Peer;
use super::events::{Events, Seen};
use super::handle::HandleError;
use super::negotiate::promise_of;
use super::notify::NoticeKind;
use super::settle::{Case, Settled, held};
use super::status::Told;
use crate::domain::contract::{
    Contract, Next, Offer, Provenance, ProvenanceKind, Sealed, Step, Surface, Tool, left_out,
    next_version,
};
use crate::domain::drift::{
    Change, DriftEvent, EventState, Outlook, Severity, Sighting, Signal, classify, clean_text, diff,
};
use crate::domain::evidence::{Record, RecordBody, RecordId};
use crate::domain::message::{Digest, ToolName};
use crate::domain::negotiation::{Candidate, Origin, Proposal, effectively_read_only, propose};
use crate::domain::patch::{Approved, Proposed};
use crate::domain::policy::Caller;
use crate::domain::routine::RoutineDoc;
use crate::live::{Mode, ToolState};
use crate::telemetry::NegotiationResult;

use super::settings::Adopt;

/// A tool that a new version will carry over, with the event that it ends.
pub(super) struct Patch {
    pub(super) tool: String,
    pub(super) approved: Approved,
    pub(super) drift_id: Uuid,
}

/// What one pass over the changed tools came to.
#[derive(Default)]
pub(super) struct Pass {
    pub(super) patches: Vec<Patch>,
    /// Tools whose promise still holds, with their event.
    pub(super) unaffected: Vec<(String, Option<Uuid>)>,
    pub(super) records: Vec<Record>,
}

/// The promise as each changed tool sees it, and the matcher's candidates under it.
///
/// A name that stood on the old surface is never another tool's successor. But where a sealed routine
/// calls a tool that was adopted as well, that tool is the successor already: for the tool that the
/// routine carries over it stands aside, or the next change of it would leave its callers with nothing.
struct Views<'v> {
    promise: &'v Surface,
    offer: &'v Surface,
    candidates: Vec<Candidate>,
    aside: BTreeMap<Vec<String>, (Surface, Vec<Candidate>)>,
}

impl<'v> Views<'v> {
    fn new(promise: &'v Surface, offer: &'v Surface) -> Self {
        let candidates = propose(promise, offer);
        Self { promise, offer, candidates, aside: BTreeMap::new() }
    }

    fn of(&mut self, head: &Sealed, tool: &str) -> (&Surface, Option<Candidate>) {
        let routine = head.routine.0.get(tool);
        let mut successors = routine.map(|routine| routine.targets(tool)).unwrap_or_default();
        successors.retain(|name| name != tool && head.promised(name).is_some());
        let of = |candidates: &[Candidate]| {
            candidates.iter().find(|candidate| candidate.tool == tool).cloned()
        };
        if successors.is_empty() {
            return (self.promise, of(&self.candidates));
        }
        let (promise, offer) = (self.promise, self.offer);
        let (promise, candidates) = self.aside.entry(successors).or_insert_with_key(|successors| {
            let mut promise = promise.clone();
            promise.tools.retain(|tool| !successors.iter().any(|name| name == tool.name()));
            let candidates = propose(&promise, offer);
            (promise, candidates)
        });
        (promise, of(candidates))
    }
}

/// What was found out about one changed tool.
struct Found {
    /// The offer it was found out about.
    judged: Digest,
    settled: Settled,
    /// How, in words.
    steps: Vec<String>,
    /// What advisors are to be asked, where they could help.
    question: Option<Value>,
}

impl Peer {
    /// Settles every changed tool and seals what was healed.
    pub(super) async fn heal(
        &mut self,
        head: &Sealed,
        offer: &Surface,
        changed: Vec<String>,
        since: Option<u64>,
        caller: Option<&Caller>,
    ) {
        let promise = promise_of(head, offer);
        let changes = diff(&promise, offer).changes;
        let mut views = Views::new(&promise, offer);
        let mut pass = Pass::default();
        for name in changed {
            let mine: Vec<Change> =
                changes.iter().filter(|change| change.tool == name).cloned().collect();
            let judged = judged_digest(head, &name, offer);
            let life = self.tools.entry(ToolName::from(name.as_str())).or_default();
            if life.judged == Some(judged) {
                continue;
            }
            life.judged = Some(judged);
            let Some(promised) = head.promised(&name) else { continue };
            let (promise, candidate) = views.of(head, &name);
            let case = Case { promised, promise, offer, changes: &mine, caller };
            let mut steps = Vec::new();
            let mode = self.mode_of(&name, true);
            let settled = if mode == Mode::Enforce {
                self.settle(&case, candidate.as_ref(), &mut steps).await
            } else {
                steps.push("the mode is not enforce: the loop stops at the open event".to_owned());
                let graver = |change: &Change| change.severity > Severity::Low;
                if mine.iter().any(graver) {
                    Settled::Nothing(String::new())
                } else {
                    Settled::Unaffected
                }
            };
            let settled = self.sealable(&case, settled, &mut steps);
            let settled = self.shadowed(&case, settled, &mut steps).await;
            let question = match mode {
                Mode::Enforce => self.question(&case, candidate.as_ref(), &settled),
                Mode::Observe | Mode::Warn => None,
            };
            let found = Found { judged, settled, steps, question };
            self.act(&case, found, since, &mut pass);
        }
        let mut adopted = self.adoptable(head, offer, &pass);
        adopted.retain(|tool| match left_out(tool) {
            Some(left) => {
                self.leave_out(&left, offer);
                false
            }
            None => true,
        });
        if pass.patches.is_empty() && pass.unaffected.is_empty() && adopted.is_empty() {
            for record in pass.records {
                self.shared.scribe.later(record);
            }
            return;
        }
        if let Err(error) = self.seal_pass(head, offer, pass, adopted, since).await {
            let what = format!("{}: the new version is not sealed: {error}", self.id());
            self.tell(Told::Warning { what });
        }
    }

    /// Opens the event of a settled tool and moves its state.
    fn act(&mut self, case: &Case<'_>, found: Found, since: Option<u64>, pass: &mut Pass) {
        let Found { judged, settled, steps, question } = found;
        let tool = case.promised.name().to_owned();
        let outlook = match &settled {
            Settled::Unaffected | Settled::LeftOut => Outlook::Unaffected,
            Settled::Heals(..) => Outlook::Heals,
            Settled::Waits(..) => Outlook::Waits,
            Settled::Challenges(challenge) => self.outlook_of(challenge),
            Settled::Nothing(_) => Outlook::Nothing,
        };
        let observing = self.mode_of(&tool, true) != Mode::Enforce;
        let event = self.open_event(case, judged, outlook, &mut pass.records, since);
        let body = RecordBody::Reasoning { drift_id: event, steps };
        let reasoning = self.shared.scribe.record(self.id(), body);
        pass.records.push(self.shared.scribe.edge(
            self.id(),
            RecordId(event),
            reasoning.id,
            crate::domain::evidence::Cause::Caused,
        ));
        pass.records.push(reasoning);
        match settled {
            Settled::Unaffected => pass.unaffected.push((tool, Some(event))),
            // Its promise still holds; no version can say what is offered now.
            Settled::LeftOut => {
                self.move_event(event, EventState::Resolved, Some("left out".to_owned()));
            }
            Settled::Heals(proposal, hash) => self.take_on(proposal, hash, event, pass),
            Settled::Challenges(challenge) => self.challenge(*challenge, event, since, pass),
            Settled::Waits(proposal, hash) => match question {
                None => self.put_up(proposal, hash, event, pass),
                Some(question) => {
                    let why = held(&proposal);
                    self.queue(proposal, hash, event, pass);
                    self.negotiate(case, judged, event, question, why, since);
                }
            },
            Settled::Nothing(_) if observing => {}
            Settled::Nothing(why) => {
                self.count_negotiation(Origin::Matcher, NegotiationResult::Nothing);
                match question {
                    None => self.give_up(&tool, case.offer.tool(&tool).is_none(), event, why),
                    Some(question) => {
                        self.negotiate(case, judged, event, question, why, since);
                    }
                }
            }
        }
    }

    /// Nothing carries the tool over.
    pub(super) fn give_up(&mut self, tool: &str, gone: bool, drift_id: Uuid, why: String) {
        let drift = drift_id.to_string();
        let state = if gone {
            ToolState::Broken { drift, why: format!("{tool} is no longer offered: {why}") }
        } else {
            ToolState::Unhealable { drift, why: why.clone() }
        };
        if gone {
            self.shared.peer_metrics.breaker_trip();
        }
        self.set_state(tool, state);
        self.escalate_grave(drift_id, &why);
        self.tell(Told::Unhealable { peer: self.id().clone(), tool: tool.to_owned(), why });
    }

    /// A proposal that the gate let through joins the version that is being made.
    pub(super) fn take_on(
        &mut self,
        proposal: Proposal,
        hash: Digest,
        drift_id: Uuid,
        pass: &mut Pass,
    ) {
        let (tool, origin) = (proposal.tool.clone(), proposal.origin);
        let proposed = Box::new(proposal.clone());
        let body = RecordBody::Proposed { drift_id, hash, proposal: proposed };
        pass.records.push(self.shared.scribe.record(self.id(), body));
        let approved = Proposed::new(proposal, hash)
            .prove()
            .ok()
            .and_then(|proven| proven.approve_by_gate(self.barred.contains(&hash)).ok());
        let Some(approved) = approved else { return };
        let (decision, reason) = ("auto".to_owned(), "all nine rules hold".to_owned());
        let body = RecordBody::Decided { proposal: hash, decision, reason };
        pass.records.push(self.shared.scribe.record(self.id(), body));
        self.count_negotiation(origin, NegotiationResult::Applied);
        self.carried.insert(hash, approved.proposal().routine.clone());
        pass.patches.push(Patch { tool, approved, drift_id });
    }

    /// A proposal that the gate held is put up for a person.
    pub(super) fn put_up(
        &mut self,
        proposal: Proposal,
        hash: Digest,
        drift_id: Uuid,
        pass: &mut Pass,
    ) {
        let (tool, why) = (proposal.tool.clone(), held(&proposal));
        self.queue(proposal, hash, drift_id, pass);
        self.wait_for_a_person(&tool, drift_id, why);
    }

    /// A tool whose proposal stands in the queue is not called until a person has decided.
    pub(super) fn wait_for_a_person(&mut self, tool: &str, drift_id: Uuid, why: String) {
        self.move_event(drift_id, EventState::Waiting, None);
        let drift = drift_id.to_string();
        self.set_state(tool, ToolState::Waiting { drift, why: why.clone() });
        self.notify(NoticeKind::Waiting, Some(drift_id), Some(tool), &why);
        self.escalate_grave(drift_id, &why);
        self.tell(Told::Waits { peer: self.id().clone(), tool: tool.to_owned(), why });
    }

    /// One definition that cannot be sealed holds up its own tool, never the others.
    pub(super) fn sealable(
        &mut self,
        case: &Case<'_>,
        settled: Settled,
        steps: &mut Vec<String>,
    ) -> Settled {
        let name = case.promised.name();
        let spoken = match &settled {
            Settled::Unaffected => vec![name.to_owned()],
            Settled::Heals(proposal, _) | Settled::Waits(proposal, _) => {
                let routine = proposal.routine.0.get(name);
                routine.map_or_else(|| vec![name.to_owned()], |routine| routine.targets(name))
            }
            Settled::Nothing(_) | Settled::LeftOut | Settled::Challenges(_) => return settled,
        };
        let offered = spoken.iter().filter_map(|name| case.offer.tool(name));
        let Some(left) = offered.into_iter().find_map(left_out) else { return settled };
        self.leave_out(&left, case.offer);
        let why = format!("{} cannot be sealed: {}", left.tool, left.why);
        steps.push(why.clone());
        match settled {
            Settled::Unaffected => Settled::LeftOut,
            _ => Settled::Nothing(why),
        }
    }

    fn open_event(
        &mut self,
        case: &Case<'_>,
        judged: Digest,
        outlook: Outlook,
        records: &mut Vec<Record>,
        since: Option<u64>,
    ) -> Uuid {
        let tool = case.promised.name();
        let offered = case.offer.tool(tool).map(Tool::definition).cloned();
        let signal = if offered.is_none() && case.changes.is_empty() {
            Signal::Gone
        } else {
            Signal::Surface(case.changes)
        };
        let event = classify(
            Sighting {
                drift_id: self.shared.dice.uuid(),
                contract_id: self.chain.head().map(|head| head.contract_id),
                tool,
                at: self.shared.clock.now(),
                sensor: "surface",
                offer: judged,
                baseline: case.promised.definition().clone(),
                observed: offered.unwrap_or_default(),
            },
            signal,
            outlook,
        );
        self.see(event, records, since)
    }

    /// Notes an event: opened, or joined to the open one of the same fingerprint.
    pub(super) fn see(
        &mut self,
        event: DriftEvent,
        records: &mut Vec<Record>,
        since: Option<u64>,
    ) -> Uuid {
        match self.events.see(event) {
            Seen::Joined(id) => id,
            Seen::Opened(event) => {
                if let Some(life) = event.tool.as_deref().and_then(|tool| self.tools.get_mut(tool))
                {
                    life.failed = 0;
                }
                self.shared.peer_metrics.drift_event(event.drift_type, event.severity);
                if let Some(since) = since {
                    let now = self.shared.clock.monotonic_micros();
                    self.shared.metrics.drift_detected(now.saturating_sub(since));
                }
                let id = event.drift_id;
                records.push(Events::record(&self.shared.scribe, self.id(), *event, false));
                id
            }
        }
    }

    /// Moves an event on and leaves its record for the next batch.
    pub(super) fn move_event(&mut self, id: Uuid, state: EventState, by: Option<String>) {
        if let Some(event) = self.events.move_on(id, state, by) {
            let record = Events::record(&self.shared.scribe, self.id(), event, true);
            self.shared.scribe.later(record);
        }
    }

    pub(super) fn set_state(&mut self, tool: &str, state: ToolState) {
        let life = self.tools.entry(ToolName::from(tool)).or_default();
        if life.state != state {
            life.state = state;
            life.revision += 1;
        }
    }

    pub(super) fn count_negotiation(&self, origin: Origin, result: NegotiationResult) {
        self.shared.metrics.negotiation(origin, result);
    }

    /// New tools and changed definitions that may be sealed and shown without a person.
    fn adoptable(&self, head: &Sealed, offer: &Surface, pass: &Pass) -> Vec<Tool> {
        let may = |tool: &Tool| match self.settings.adopt {
            Adopt::All => true,
            Adopt::Manual => false,
            Adopt::Additions => {
                // First use, of whoever is listed it for the first time.
                let shown = self.newcomers.contains(tool.name());
                clean_text(tool) && (shown || effectively_read_only(tool, None))
            }
        };
        let taken: Vec<&str> = pass
            .patches
            .iter()
            .map(|patch| patch.approved.proposal())
            // What waits may yet be approved; a tool that is promised is nobody's successor.
            .chain(self.waiting.values().map(|waiting| &waiting.proposal))
            .flat_map(|proposal| proposal.to_tool.as_deref())
            .collect();
        // While advisors are asked, a new tool may be the successor of one that is gone.
        let talking = !self.talks.is_empty();
        let new = offer.tools.iter().filter(|tool| {
            !talking
                && head.promised(tool.name()).is_none()
                && !taken.contains(&tool.name())
                && may(tool)
        });
        let grown = pass.unaffected.iter().filter_map(|(name, _)| offer.tool(name)).filter(
            |tool| match self.settings.adopt {
                Adopt::Manual => false,
                Adopt::All => true,
                Adopt::Additions => clean_text(tool),
            },
        );
        new.chain(grown).cloned().collect()
    }

    /// Seals one version for everything that a pass settled.
    pub(super) async fn seal_pass(
        &mut self,
        head: &Sealed,
        offer: &Surface,
        pass: Pass,
        adopted: Vec<Tool>,
        since: Option<u64>,
    ) -> Result<(), HandleError> {
        let first = pass.patches.first().map(|patch| patch.drift_id);
        let cause = first.or_else(|| pass.unaffected.iter().find_map(|(_, event)| *event));
        let reference = cause.map_or_else(|| "additions".to_owned(), |id| id.to_string());
        let mut records = pass.records;
        if !pass.patches.is_empty() || !pass.unaffected.is_empty() || !adopted.is_empty() {
            let settled: Vec<&str> =
                pass.unaffected.iter().map(|(tool, _)| tool.as_str()).collect();
            let draft = self.draft(head, offer, &pass.patches, &settled, adopted, &reference);
            let cause = cause.map(RecordId);
            let group = std::mem::take(&mut records);
            let sealed = self.seal_and_move(draft, "heal", cause, group).await?;
            let by = Some(sealed.hash.to_string());
            for (tool, event) in &pass.unaffected {
                self.as_sealed(tool);
                if let Some(event) = event {
                    self.move_event(*event, EventState::Resolved, by.clone());
                }
            }
            for patch in pass.patches {
                self.patched(patch, &sealed, since);
            }
        }
        Ok(())
    }

    /// The next version: the head, with these tools carried over as the patches say.
    pub(super) fn draft(
        &self,
        head: &Sealed,
        offer: &Surface,
        patches: &[Patch],
        unaffected: &[&str],
        adopted: Vec<Tool>,
        reference: &str,
    ) -> Contract {
        let mut routine: RoutineDoc = head.routine.clone();
        for tool in unaffected {
            // Where the offer was as promised, the routine mends replies that changed beside it.
            if head.offered(tool) != head.promised(tool) {
                routine.0.remove(*tool);
            }
        }
        for patch in patches {
            let entries = patch.approved.proposal().routine.0.clone();
            routine.0.extend(entries);
        }
        let fresh: Vec<&str> = patches
            .iter()
            .map(|patch| patch.tool.as_str())
            .chain(unaffected.iter().copied())
            .collect();
        let meaning = |patch: &Patch| patch.approved.proposal().adopts.is_some();
        let step = match patches {
            // The promise itself is another one.
            patches if patches.iter().any(meaning) => Step::Major,
            [] if adopted.is_empty() => Step::Patch,
            _ => Step::Minor,
        };
        let draft = next_version(
            head,
            Next {
                id: self.shared.dice.uuid(),
                at: self.shared.clock.now(),
                lifetime: self.settings.lifetime,
                step,
                offer: Some(offer_of(head, offer, &routine, &fresh, &adopted)),
                routine,
                adopted,
                dropped: Vec::new(),
                replies: Vec::new(),
                provenance: Provenance {
                    r#ref: reference.to_owned(),
                    kind: ProvenanceKind::Negotiation,
                    timestamp: self.shared.clock.now(),
                    detail: format!("{} tools carried over", patches.len()),
                },
            },
        );
        self.numbered(draft)
    }

    /// After a rollback the head is not the highest version; a number is never given twice.
    pub(super) fn numbered(&self, mut draft: Contract) -> Contract {
        if let Some(highest) = self.chain.highest().filter(|top| top.version >= draft.version) {
            draft.version =
                semver::Version::new(highest.version.major, highest.version.minor + 1, 0);
        }
        draft
    }

    /// A patch whose contract is sealed: it goes live with the next publication.
    pub(super) fn patched(&mut self, patch: Patch, sealed: &Sealed, since: Option<u64>) {
        let Patch { tool, approved, drift_id } = patch;
        let routine = approved.proposal().routine.0.get(&tool);
        let whole = routine.is_none_or(|routine| routine.gone.is_empty());
        self.set_state(&tool, ToolState::Sound);
        let by = approved.by().to_owned();
        self.waiting.remove(&approved.hash());
        self.leave_queue(&tool);
        self.going_live.push((tool.clone(), approved.seal(sealed.hash), by, since));
        let by = sealed.hash.to_string();
        // As long as a part of the promise is gone, the event stays open.
        if whole {
            self.end_reports(&tool, &by);
            self.move_event(drift_id, EventState::Resolved, Some(by.clone()));
        }
        self.end_talks(&tool, &by);
        if let Some(life) = self.tools.get_mut(tool.as_str()) {
            life.judged = None;
        }
    }
}

/// The digest of what is offered in the place of a promised tool: of the tool of that name, or of the
/// whole surface where the name is gone.
pub(super) fn judged_digest(head: &Sealed, tool: &str, offer: &Surface) -> Digest {
    let by_routine = head.routine.0.get(tool).and_then(|routine| routine.call.as_deref());
    match offer.tool(by_routine.unwrap_or(tool)).or_else(|| offer.tool(tool)) {
        Some(now) => now.digest(),
        None => offer.digest(),
    }
}

/// What a version says the peer speaks: freshly settled tools as they are offered now, the others as
/// the head knew them.
fn offer_of(
    head: &Sealed,
    offer: &Surface,
    routine: &RoutineDoc,
    fresh: &[&str],
    adopted: &[Tool],
) -> Offer {
    let mut tools: Vec<Tool> = Vec::new();
    let mut gone = Vec::new();
    for promised in head.promised_tools() {
        let name = promised.name();
        let targets = routine
            .0
            .get(name)
            .map_or_else(|| vec![name.to_owned()], |routine| routine.targets(name));
        for target in targets {
            let spoken =
                if fresh.contains(&name) { offer.tool(&target) } else { head.offered(&target) };
            let as_promised = adopted.iter().chain([promised]).any(|tool| Some(tool) == spoken);
            if let Some(spoken) = spoken
                && !as_promised
                && !tools.iter().any(|tool| tool.name() == spoken.name())
            {
                tools.push(spoken.clone());
            }
        }
        let was_gone =
            head.offer.as_ref().is_some_and(|offer| offer.gone.iter().any(|g| g == name));
        if if fresh.contains(&name) { offer.tool(name).is_none() } else { was_gone } {
            gone.push(name.to_owned());
        }
    }
    Offer { surface: offer.digest(), tools, gone }
}
