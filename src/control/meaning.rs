//! Replies of the promised shape whose values mean something else: each tool's profile is fed from
//! sampled replies and compared batch by batch; where it drops, the tool waits for a person.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::actor::Peer;
use super::approvals::Waiting;
use super::status::Told;
use crate::domain::drift::profile::{Finding, Look, Profile};
use crate::domain::drift::{
    Against, DriftEvent, DriftType, EventState, Evidence, Severity, fingerprint,
};
use crate::domain::evidence::{Cause, RecordBody, RecordId};
use crate::domain::json::canonical_digest;
use crate::domain::message::{Digest, ToolName, UnixMillis};
use crate::domain::negotiation::{
    Decision, Held, Origin, ProofWord, Proposal, Rule, Scope, proposal_hash,
};
use crate::domain::routine::RoutineDoc;
use crate::live::{Mode, Sample, ToolState};

/// The sensor's name in events.
pub(super) const SENSOR: &str = "profile";
/// Tools of a peer whose replies are followed: half a megabyte each at most.
const PROFILES: usize = 256;
/// Bytes of replies of one tool that its profile takes in a second, and at once.
const BYTES_A_SECOND: u64 = 512 * 1024;

/// What is known of the meaning of one tool's replies.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    profile: Option<Box<Profile>>,
    /// A comparison that dropped, until the surface was read again.
    moved: Option<Look>,
    score: Option<f64>,
    /// When the batch that is being filled was begun, on the monotonic clock.
    begun: u64,
    /// Bytes that may be read now, and since when that is so.
    bytes: u64,
    metered: u64,
    /// A person did not take the new meaning: the tool is not called until it changes again.
    pub(super) refused: bool,
}

impl Meaning {
    /// Whether a reply of this size may be read now.
    fn affords(&mut self, size: usize, now: u64) -> bool {
        let since = now.saturating_sub(self.metered).min(1_000_000);
        self.bytes = (self.bytes + since * BYTES_A_SECOND / 1_000_000).min(BYTES_A_SECOND);
        self.metered = now;
        let size = size as u64;
        let affords = self.bytes >= size;
        self.bytes -= if affords { size } else { 0 };
        affords
    }
}

impl Peer {
    /// Whether the meaning of replies is followed.
    pub(super) const fn follows_meaning(&self) -> bool {
        self.settings.semantic.on
    }

    /// Feeds the profile of a tool with a delivered reply.
    pub(super) fn profile(&mut self, tool: &ToolName, sample: &Sample, at: UnixMillis, now: u64) {
        let Some(text) = sample.structured.as_ref().filter(|_| self.follows_meaning()) else {
            return;
        };
        let settings = self.settings.semantic.profile;
        let followed =
            |peer: &Self| peer.tools.values().filter(|life| life.meaning.profile.is_some()).count();
        let is_new = self.tools.get(tool).is_some_and(|life| life.meaning.profile.is_none());
        if is_new && followed(self) >= PROFILES {
            return;
        }
        let Some(life) = self.tools.get_mut(tool) else { return };
        let meaning = &mut life.meaning;
        if !meaning.affords(text.len(), now) {
            return;
        }
        let Ok(reply) = serde_json::from_slice::<Value>(text) else { return };
        let arguments = serde_json::from_slice(&sample.arguments).unwrap_or_default();
        let profile = meaning.profile.get_or_insert_with(|| Box::new(Profile::new(settings)));
        profile.go_by(settings);
        if profile.is_batch_empty() {
            meaning.begun = now;
        }
        if profile.take(text, &reply, &arguments, at) {
            self.compare_profile(tool);
        }
    }

    /// Compares the batches that have waited long enough.
    pub(super) fn look_at_profiles(&mut self, now: u64) {
        let every = self.settings.semantic.every.0 * 1_000;
        let due = |profile: &Profile, begun: u64| {
            !profile.is_batch_empty() && now.saturating_sub(begun) >= every
        };
        let due: Vec<ToolName> = self
            .tools
            .iter()
            .filter(|(_, life)| {
                let meaning = &life.meaning;
                meaning.profile.as_ref().is_some_and(|profile| due(profile, meaning.begun))
            })
            .map(|(tool, _)| tool.clone())
            .collect();
        due.iter().for_each(|tool| self.compare_profile(tool));
    }

    fn compare_profile(&mut self, tool: &ToolName) {
        let Some(life) = self.tools.get_mut(tool) else { return };
        let Some(profile) = &mut life.meaning.profile else { return };
        let Some(look) = profile.look() else { return };
        life.meaning.score = Some(look.score);
        let recovered = look.recovered;
        if !look.findings.is_empty() {
            life.meaning.moved = Some(look);
            // An event is never opened under an offer older than its signal.
            self.pending.asked = true;
        }
        if recovered && let Some(event) = self.meaning_event(tool.as_str()).cloned() {
            // One that waits for a person is ended by that person.
            if event.state == EventState::Open {
                let by = "the values are as they were again".to_owned();
                self.move_event(event.drift_id, EventState::Resolved, Some(by));
            }
        }
        let lowest = self.tools.values().filter_map(|life| life.meaning.score);
        self.shared.peer_metrics.profile_score(lowest.fold(100.0, f64::min));
    }

    /// The open event about the meaning of a tool's replies.
    fn meaning_event(&self, tool: &str) -> Option<&DriftEvent> {
        let mine =
            |event: &&DriftEvent| event.sensor == SENSOR && event.tool.as_deref() == Some(tool);
        self.events.open().find(mine)
    }

    /// Whether a tool is kept from being called because of what its replies mean: an unchanged
    /// definition does not answer that.
    pub(super) fn is_meaning_asked(&self, tool: &str) -> bool {
        let refused = self.tools.get(tool).is_some_and(|life| life.meaning.refused);
        refused || self.meaning_event(tool).is_some_and(|it| it.state == EventState::Waiting)
    }

    /// The surface was read: what profiles found is told, and asked where the mode says so.
    pub(super) fn settle_meanings(&mut self, since: Option<u64>) {
        let tools: Vec<ToolName> = self.tools.keys().cloned().collect();
        for tool in tools {
            let Some(life) = self.tools.get_mut(&tool) else { continue };
            let moved = life.meaning.moved.take();
            let (name, state) = (tool.as_str(), life.state.clone());
            if moved.is_none() && self.meaning_event(name).is_none() {
                continue;
            }
            // The definition changed as well: that comes first.
            if !matches!(state, ToolState::Sound) && !self.is_meaning_asked(name) {
                continue;
            }
            if let Some(look) = moved {
                self.tell_meaning(name, &look, since);
            }
            if self.mode_of(name, true) == Mode::Enforce {
                self.ask_about_meaning(name);
            }
        }
    }

    fn tell_meaning(&mut self, tool: &str, look: &Look, since: Option<u64>) {
        if let Some(open) = self.meaning_event(tool).map(|event| event.drift_id) {
            self.events.sighted(open);
            return;
        }
        let event = self.moved_event(tool, look);
        let (mut records, words) = (Vec::new(), told(&look.findings));
        let id = self.see(event, &mut records, since);
        let steps = look.findings.iter().map(|it| format!("{}: {}", it.pointer, it.message));
        let body = RecordBody::Reasoning { drift_id: id, steps: steps.collect() };
        let reasoning = self.shared.scribe.record(self.id(), body);
        let from = RecordId(id);
        records.push(self.shared.scribe.edge(self.id(), from, reasoning.id, Cause::Caused));
        records.push(reasoning);
        records.into_iter().for_each(|record| self.shared.scribe.later(record));
        let what = format!("{}: {tool}: its replies mean something else: {words}", self.id());
        self.tell(Told::Warning { what });
    }

    /// The event of a profile that dropped.
    fn moved_event(&self, tool: &str, look: &Look) -> DriftEvent {
        let contract_id = self.chain.head().map(|head| head.contract_id);
        let pointers = look.findings.iter().map(|finding| finding.pointer.clone()).collect();
        let against = Against::Pointers(pointers);
        let figures = |of: fn(&Finding) -> f64| {
            let mut fields = Map::new();
            for finding in &look.findings {
                let field = fields.entry(finding.pointer.clone()).or_insert_with(|| json!({}));
                field[finding.kind] = json!(of(finding));
            }
            fields
        };
        let observed = json!({
            "score": look.score.round(),
            "comparisons": look.comparisons,
            "fields": figures(|finding| finding.is),
        });
        DriftEvent {
            drift_id: self.shared.dice.uuid(),
            drift_type: DriftType::Semantic,
            severity: Severity::High,
            contract_id,
            tool: Some(tool.to_owned()),
            fingerprint: fingerprint(contract_id, Some(tool), DriftType::Semantic, &against),
            detected_at: self.shared.clock.now(),
            sensor: SENSOR.to_owned(),
            evidence: Evidence {
                baseline: json!({ "score": 100, "fields": figures(|finding| finding.was) }),
                observed,
                diff: json!(look.findings),
            },
            occurrences: 1,
            state: EventState::Open,
            resolved_by: None,
        }
    }

    /// The tool waits for a person, who takes the new meaning or does not.
    fn ask_about_meaning(&mut self, tool: &str) {
        let asked = self.waiting.values().any(|it| it.proposal.tool == tool);
        let refused = self.tools.get(tool).is_some_and(|life| life.meaning.refused);
        let Some(event) = self.meaning_event(tool).cloned().filter(|_| !asked && !refused) else {
            return;
        };
        let (Some(head), Some(offer)) = (self.chain.head().cloned(), self.offer.clone()) else {
            return;
        };
        let carried = head.routine.0.get(tool).cloned();
        let target = carried.as_ref().map_or_else(
            || Some(tool.to_owned()),
            |routine| match routine.targets(tool).as_slice() {
                [one] => Some(one.clone()),
                _ => None,
            },
        );
        let why = words(&event);
        let proposal = Proposal {
            tool: tool.to_owned(),
            to_tool: target,
            routine: RoutineDoc(carried.map(|it| (tool.to_owned(), it)).into_iter().collect()),
            proof: ProofWord::Unknown,
            gate: Decision::Review,
            held_by: vec![Held { rule: Rule::Units, why }],
            scope: Scope::All,
            origin: Origin::Matcher,
            adopts: Some(observed(&event)),
        };
        let hash = proposal_hash(&proposal, &super::negotiate::promise_of(&head, &offer), &offer);
        let why = format!("the replies of {tool} mean something else: {}", words(&event));
        let drift_id = event.drift_id;
        let body = RecordBody::Proposed { drift_id, hash, proposal: Box::new(proposal.clone()) };
        let record = self.shared.scribe.record(self.id(), body);
        let from = RecordId(drift_id);
        let edge = self.shared.scribe.edge(self.id(), from, record.id, Cause::Caused);
        self.shared.scribe.later(record);
        self.shared.scribe.later(edge);
        self.stand(hash, Waiting { proposal, drift_id, at: self.shared.clock.now() });
        self.wait_for_a_person(tool, drift_id, why);
    }

    /// A person took the new meaning: what replies are like from now on is their profile.
    pub(super) fn meaning_adopted(&mut self, tool: &str, drift_id: Uuid, by: String) {
        self.forget_meaning(tool);
        self.leave_queue(tool);
        self.set_state(tool, ToolState::Sound);
        self.move_event(drift_id, EventState::Resolved, Some(by));
    }

    /// A person did not take the new meaning: the tool is not called.
    pub(super) fn refuse_meaning(&mut self, proposal: &Proposal) {
        if proposal.adopts.is_none() {
            return;
        }
        let tool = proposal.tool.as_str();
        let why = "a person denied what its replies mean now".to_owned();
        self.set_state(tool, ToolState::Unhealable { drift: String::new(), why });
        if let Some(life) = self.tools.get_mut(tool) {
            life.meaning.refused = true;
        }
    }

    /// What approving a new meaning does, in words.
    pub(super) fn if_meaning_approved(&self, tool: &str) -> String {
        format!(
            "Nothing is mapped. A new major version of the contract of {} is sealed, calls of {tool}, \
             refused with -31007 until then, are let through, and what its replies are like from now \
             on is their meaning: the next {} make its profile anew.",
            self.id(),
            self.settings.semantic.profile.least
        )
    }

    /// The profile of a tool is made anew.
    pub(super) fn forget_meaning(&mut self, tool: &str) {
        if let Some(life) = self.tools.get_mut(tool) {
            life.meaning = Meaning::default();
        }
    }

    /// Profiles do not outlive the process: an event that nobody was asked about ends with it.
    pub(super) fn end_unasked_meanings(&mut self) {
        let unasked: Vec<Uuid> = self
            .events
            .open()
            .filter(|event| event.sensor == SENSOR && event.state == EventState::Open)
            .map(|event| event.drift_id)
            .collect();
        for id in unasked {
            let by = "the sidecar was started anew: the profile is made again".to_owned();
            self.move_event(id, EventState::Dismissed, Some(by));
        }
    }
}

/// What a decision about an event takes as the new meaning.
fn observed(event: &DriftEvent) -> Digest {
    let bound = json!({ "event": event.drift_id, "observed": event.evidence.observed });
    canonical_digest(&bound).unwrap_or_else(|_| Digest::of(bound.to_string().as_bytes()))
}

fn told(findings: &[Finding]) -> String {
    let told = findings.iter().take(3).map(|it| format!("{}: {}", it.pointer, it.message));
    told.collect::<Vec<_>>().join("; ")
}

/// What an event found, in words.
fn words(event: &DriftEvent) -> String {
    let findings = event.evidence.diff.as_array().into_iter().flatten().take(3);
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let told = findings.map(|it| format!("{}: {}", text(it, "pointer"), text(it, "message")));
    told.collect::<Vec<_>>().join("; ")
}
