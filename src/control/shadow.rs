//! Challengers: routines that the gate let through, run beside what is in force before they take its
//! place. Recorded exchanges first, then further ones as they come; nothing of it is on the path.
//!
//! ```text
//!   gate: auto ─► recorded exchanges ─► enough carried ─► in force
//!                      │ too few              ▲
//!                      ▼                      │ enough; the surface is read again
//!                 exchanges as they come ─────┤
//!                      │ one differs          │
//!                      ▼                      │
//!                 a person decides ───────────┘
//! ```
//!
//! While a challenger runs, its tool goes on as it was: the champion serves. Where it cannot, because the
//! peer refuses its calls, nothing more is recorded, and a person is asked.
//!
//! Never here: a request of ours to a tool that does not state, on both sides, that it only reads.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use super::actor::Peer;
use super::beside::{Exchange, Run};
use super::heal::Pass;
use super::negotiate::promise_of;
use super::notify::NoticeKind;
use super::settle::{Case, Settled};
use super::status::{ShadowStatus, Told};
use crate::domain::drift::{DriftEvent, EventState, Outlook};
use crate::domain::evidence::{Record, RecordBody};
use crate::domain::message::{Digest, Principal, Verdict};
use crate::domain::negotiation::{Proposal, proposal_hash};
use crate::domain::patch::{Beside, Stand, Trial};
use crate::domain::policy::Caller;
use crate::live::{CallFact, Switchboard, ToolState};
use crate::telemetry::{HealStage, Shadow as Word};

/// Exchanges that wait to be run; more are left out.
const DUE: usize = 16;
/// Exchanges that are run between two looks at what else there is to do.
const AT_ONCE: usize = 4;

/// The challengers of one peer.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    challengers: BTreeMap<String, Challenger>,
    due: VecDeque<(String, Exchange)>,
    /// Tools whose calls the peer refused since it took one, and when, on the monotonic clock.
    refused: BTreeMap<String, u64>,
}

/// A routine that runs in shadow.
#[derive(Debug)]
struct Challenger {
    proposal: Proposal,
    hash: Digest,
    drift_id: Uuid,
    /// When the signal that led here was seen.
    since: Option<u64>,
    trial: Trial,
    /// It mends replies that changed under an unchanged definition: those that break are run.
    replies: bool,
    /// When enough were carried, on the monotonic clock: the surface is read once more first.
    passed_at: Option<u64>,
}

/// A routine that came through the gate, and how it did so far.
#[derive(Debug)]
pub(super) struct Challenge {
    pub(super) proposal: Proposal,
    pub(super) hash: Digest,
    pub(super) trial: Trial,
    pub(super) replies: bool,
}

impl Peer {
    /// Runs what was recorded through a routine that the gate let through, where that is asked for.
    pub(super) async fn shadowed(
        &mut self,
        case: &Case<'_>,
        settled: Settled,
        steps: &mut Vec<String>,
    ) -> Settled {
        let needed = self.settings.shadow_exchanges;
        if needed == 0 {
            return settled;
        }
        let (proposal, hash, known) = match settled {
            Settled::Heals(proposal, hash) => {
                let known = self.trial_of(&hash);
                (proposal, hash, known)
            }
            // One that missed is held for that alone; its champion serves on.
            Settled::Waits(proposal, hash) if self.runs_in_shadow(&hash) => {
                let known = self.trial_of(&hash);
                (proposal, hash, known)
            }
            settled => return settled,
        };
        self.lap(HealStage::Decide);
        let mut trial = known.clone().unwrap_or_else(|| Trial::new(needed));
        if let (None, Some(run)) = (known, self.run_of(&proposal, case.offer)) {
            self.run_recorded(&run, case.caller, &mut trial).await;
        }
        self.lap(HealStage::Replay);
        steps.push(format!("shadow: {}", so_far(&trial)));
        Settled::Challenges(Box::new(Challenge { proposal, hash, trial, replies: false }))
    }

    /// A reply routine that the gate let through, with the reply that led to it as its first exchange.
    pub(super) async fn challenge_of_replies(
        &mut self,
        proposal: Proposal,
        hash: Digest,
        came: Option<&(Value, Value)>,
    ) -> Challenge {
        let mut trial = Trial::new(self.settings.shadow_exchanges);
        let run = self.offer.as_ref().and_then(|offer| self.run_of(&proposal, offer));
        if let (Some(run), Some((reply, arguments))) = (run, came) {
            let exchange = Exchange {
                arguments: Bytes::from(arguments.to_string()),
                replies: vec![reply.clone()],
                broken: true,
                caller: None,
            };
            // How its call ended is told by a fact of its own, and counts then.
            let beside = self.beside(&run, &exchange).await;
            self.count_beside(&mut trial, beside, 0);
        }
        Challenge { proposal, hash, trial, replies: true }
    }

    /// What was recorded of the caller's own, or of anonymous calls: each request is run once.
    async fn run_recorded(&self, run: &Run, caller: Option<&Caller>, trial: &mut Trial) {
        let anonymous = Principal::anonymous();
        let principal = caller.map_or(&anonymous, |caller| &caller.principal);
        let mut by_request: BTreeMap<Bytes, Vec<Value>> = BTreeMap::new();
        for recorded in self.samples.of(run.tool()).filter(|it| it.principal == *principal) {
            let reply = recorded.sample.structured.as_deref();
            if let Some(reply) = reply.and_then(|text| serde_json::from_slice(text).ok()) {
                by_request.entry(recorded.sample.arguments.clone()).or_default().push(reply);
            }
        }
        let caller = caller.map(|caller| Arc::new(caller.clone()));
        for (arguments, replies) in by_request {
            if trial.stand() == Stand::Missed {
                return;
            }
            let times = u32::try_from(replies.len()).unwrap_or(u32::MAX);
            let exchange = Exchange { arguments, replies, broken: false, caller: caller.clone() };
            let beside = self.beside(run, &exchange).await;
            self.count_beside(trial, beside, times);
        }
    }

    fn count_beside(&self, trial: &mut Trial, beside: Beside, times: u32) -> Stand {
        let (word, counted) = match &beside {
            Beside::Carried => (Word::Carried, times),
            Beside::Missed(_) => (Word::Missed, 1),
            Beside::Untold => (Word::Untold, times),
        };
        self.shared.metrics.shadow_exchanges(word, counted);
        trial.note(beside, times)
    }

    /// A challenger takes the champion's place, or runs beside it.
    pub(super) fn challenge(
        &mut self,
        challenge: Challenge,
        drift_id: Uuid,
        since: Option<u64>,
        pass: &mut Pass,
    ) {
        let Challenge { proposal, hash, trial, replies } = challenge;
        let tool = proposal.tool.clone();
        if trial.stand() == Stand::Passed {
            pass.records.push(self.trial_record(&tool, hash, drift_id, &trial));
            return self.take_on(proposal, hash, drift_id, pass);
        }
        self.queue(proposal.clone(), hash, drift_id, pass);
        pass.records.push(self.trial_record(&tool, hash, drift_id, &trial));
        if let Some(why) = trial.missed() {
            pass.records.push(self.barred_record(hash, why));
        }
        let known = Challenger { proposal, hash, drift_id, since, trial, replies, passed_at: None };
        self.shadow.challengers.insert(tool.clone(), known);
        self.settle_challenger(&tool);
    }

    /// A routine that missed is never automatic again; a person may take it all the same.
    fn barred_record(&mut self, hash: Digest, why: &str) -> Record {
        self.barred.insert(hash);
        let (decision, reason) = ("withdrawn".to_owned(), format!("missed in shadow: {why}"));
        self.shared
            .scribe
            .record(self.id(), RecordBody::Decided { proposal: hash, decision, reason })
    }

    fn trial_record(&self, tool: &str, hash: Digest, drift_id: Uuid, trial: &Trial) -> Record {
        let body = RecordBody::Shadowed {
            drift_id,
            proposal: hash,
            tool: tool.to_owned(),
            needed: trial.needed(),
            carried: trial.carried(),
            untold: trial.untold(),
            outcome: outcome(trial).to_owned(),
            difference: trial.missed().map(str::to_owned),
        };
        self.shared.scribe.record(self.id(), body)
    }

    /// The champion serves on, unless the peer refuses its calls: then a person decides.
    fn settle_challenger(&mut self, tool: &str) {
        let Some(challenger) = self.shadow.challengers.get(tool) else { return };
        let (drift_id, missed) = (challenger.drift_id, challenger.trial.missed().is_some());
        let refused = !challenger.replies && self.shadow.refused.contains_key(tool);
        let why = self.awaits(challenger, tool);
        if refused {
            return self.wait_for_a_person(tool, drift_id, why);
        }
        let peer = self.id().clone();
        if missed {
            self.move_event(drift_id, EventState::Waiting, None);
            self.notify(NoticeKind::Waiting, Some(drift_id), Some(tool), &why);
            self.tell(Told::Waits { peer, tool: tool.to_owned(), why });
        } else {
            self.move_event(drift_id, EventState::Healing, None);
            self.tell(Told::Warning { what: format!("{peer}: {tool}: {why}") });
        }
        self.set_state(tool, ToolState::Sound);
    }

    /// What a challenger waits for, in words.
    fn awaits(&self, challenger: &Challenger, tool: &str) -> String {
        let Challenger { trial, hash, replies, .. } = challenger;
        let version = self.chain.head().map(|head| head.version.to_string()).unwrap_or_default();
        let approve = format!("`stipula approvals approve {hash}` puts it in force");
        let now = so_far(trial);
        let refused = !replies && self.shadow.refused.contains_key(tool);
        match trial.stand() {
            Stand::Missed => format!("a routine in shadow missed: {now}; {approve}"),
            Stand::Awaits(_) if refused => format!(
                "a routine is ready and ran in shadow, but the peer refuses calls as they are and \
                 nothing more is recorded: {now}; {approve}"
            ),
            Stand::Awaits(_) if !trial.goes_on() => format!(
                "a routine runs in shadow, and too few exchanges can be compared: {now}; {approve}"
            ),
            Stand::Awaits(_) => {
                format!("a routine runs in shadow beside v{version}: {now}; {approve} at once")
            }
            Stand::Passed => format!("a routine in shadow is about to be in force: {now}"),
        }
    }

    /// Takes what a call shows to challengers.
    pub(super) fn note_shadow(&mut self, call: &CallFact, seen: u64) {
        if self.settings.shadow_exchanges == 0 {
            return;
        }
        let tool = call.tool.as_str();
        if call.rejection.is_some() {
            self.shadow.refused.insert(tool.to_owned(), seen);
            return;
        }
        let kept = matches!(call.verdict, Verdict::Kept | Verdict::Mended) && !call.is_error;
        // What was told late may have been before.
        if kept && self.shadow.refused.get(tool).is_some_and(|refused| *refused < seen) {
            self.shadow.refused.remove(tool);
        }
        let broken = !call.violations.is_empty();
        let Some(challenger) = self.shadow.challengers.get(tool) else { return };
        let asked = challenger.trial.goes_on() && broken == challenger.replies;
        if call.held.is_some() || !asked || !(kept || broken) || self.shadow.due.len() >= DUE {
            return;
        }
        let (Some(sample), Some(caller)) = (&call.sample, &call.caller) else { return };
        // A document that stood in a text is not compared with what the peer says again.
        let reply = sample.structured.as_deref().filter(|_| broken || !sample.in_text);
        let reply = reply.and_then(|text| serde_json::from_slice(text).ok());
        let exchange = Exchange {
            arguments: sample.arguments.clone(),
            replies: reply.into_iter().collect(),
            broken,
            caller: Some(Arc::clone(caller)),
        };
        self.shadow.due.push_back((tool.to_owned(), exchange));
    }

    /// Runs the exchanges that came since. True where something else is in force now.
    pub(super) async fn look_into_challengers(&mut self) -> bool {
        if self.shadow.challengers.is_empty() {
            self.shadow.due.clear();
            return false;
        }
        // One that was approved, denied or superseded is none any more.
        let waiting = &self.waiting;
        self.shadow.challengers.retain(|_, challenger| waiting.contains_key(&challenger.hash));
        let stopped = self.stop_refused();
        for _ in 0..AT_ONCE {
            let Some((tool, mut exchange)) = self.shadow.due.pop_front() else { break };
            self.add_recorded(&tool, &mut exchange);
            self.run_one(&tool, &exchange).await;
        }
        stopped
    }

    /// Tools whose champion cannot serve any more.
    fn stop_refused(&mut self) -> bool {
        let sound =
            |tool: &str| self.tools.get(tool).is_none_or(|life| life.state == ToolState::Sound);
        let all = self.shadow.challengers.iter();
        let refused = all.filter(|(tool, challenger)| {
            !challenger.replies && self.shadow.refused.contains_key(*tool) && sound(tool)
        });
        let refused: Vec<String> = refused.map(|(tool, _)| tool.clone()).collect();
        refused.iter().for_each(|tool| self.settle_challenger(tool));
        !refused.is_empty()
    }

    /// What was recorded of the same request tells which of its values stay.
    fn add_recorded(&self, tool: &str, exchange: &mut Exchange) {
        let Some(caller) = exchange.caller.as_ref().filter(|_| !exchange.broken) else { return };
        let same = self.samples.of(tool).filter(|recorded| {
            recorded.principal == caller.principal
                && recorded.sample.arguments == exchange.arguments
        });
        let replies = same.filter_map(|recorded| {
            serde_json::from_slice(recorded.sample.structured.as_deref()?).ok()
        });
        // The newest of them is this very exchange.
        let mut replies: Vec<Value> = replies.collect();
        replies.pop();
        exchange.replies.extend(replies);
    }

    async fn run_one(&mut self, tool: &str, exchange: &Exchange) {
        let Some(challenger) = self.shadow.challengers.get(tool) else { return };
        let (proposal, mut trial) = (challenger.proposal.clone(), challenger.trial.clone());
        let run = self.offer.as_ref().and_then(|offer| self.run_of(&proposal, offer));
        let Some(run) = run.filter(|_| trial.goes_on()) else { return };
        let beside = self.beside(&run, exchange).await;
        let stand = self.count_beside(&mut trial, beside, 1);
        let stuck = !trial.goes_on() && matches!(stand, Stand::Awaits(_));
        let missed = trial.missed().map(str::to_owned);
        let now = self.shared.clock.monotonic_micros();
        let Some(challenger) = self.shadow.challengers.get_mut(tool) else { return };
        challenger.trial = trial.clone();
        let (hash, drift_id) = (challenger.hash, challenger.drift_id);
        match stand {
            Stand::Passed => {
                challenger.passed_at = Some(now);
                // What is offered is looked at once more before it is in force.
                self.pending.asked = true;
            }
            Stand::Missed => {
                let record = self.trial_record(tool, hash, drift_id, &trial);
                self.shared.scribe.later(record);
                let record = self.barred_record(hash, missed.as_deref().unwrap_or_default());
                self.shared.scribe.later(record);
                self.settle_challenger(tool);
            }
            Stand::Awaits(_) if stuck => self.settle_challenger(tool),
            Stand::Awaits(_) => {}
        }
    }

    /// Challengers that carried enough take their champion's place, where the surface is still theirs.
    pub(super) async fn promote_challengers(&mut self, switchboard: &Switchboard) {
        let read = self.read_at_micros.filter(|_| self.reachable);
        let ready = self.shadow.challengers.iter().filter(|(_, challenger)| {
            challenger.passed_at.is_some_and(|passed| read.is_some_and(|read| read >= passed))
                && self.waiting.contains_key(&challenger.hash)
        });
        let ready: Vec<String> = ready.map(|(tool, _)| tool.clone()).collect();
        for tool in ready {
            let Some(challenger) = self.shadow.challengers.remove(&tool) else { continue };
            let Challenger { proposal, hash, drift_id, since, trial, .. } = challenger;
            let (Some(head), Some(offer)) = (self.chain.head().cloned(), self.offer.clone()) else {
                continue;
            };
            if proposal_hash(&proposal, &promise_of(&head, &offer), &offer) != hash {
                continue;
            }
            let records = vec![self.trial_record(&tool, hash, drift_id, &trial)];
            let mut pass = Pass { records, ..Pass::default() };
            self.waiting.remove(&hash);
            self.take_on(proposal, hash, drift_id, &mut pass);
            if let Err(error) = self.seal_pass(&head, &offer, pass, Vec::new(), since).await {
                let what = format!("{}: the new version is not sealed: {error}", self.id());
                self.tell(Told::Warning { what });
                if let Some(life) = self.tools.get_mut(tool.as_str()) {
                    life.judged = None;
                }
            }
            // A part of the promise is gone: that stays open.
            let healing = |event: &DriftEvent| event.state == EventState::Healing;
            if self.events.get(drift_id).is_some_and(healing) {
                self.move_event(drift_id, EventState::Open, None);
            }
            self.publish(switchboard);
        }
    }

    /// Whether a routine for another offer of this tool runs in shadow.
    pub(super) fn is_challenged(&self, tool: &str) -> bool {
        self.shadow.challengers.get(tool).is_some_and(|challenger| !challenger.replies)
    }

    fn trial_of(&self, hash: &Digest) -> Option<Trial> {
        let mut all = self.shadow.challengers.values();
        all.find(|challenger| challenger.hash == *hash).map(|challenger| challenger.trial.clone())
    }

    /// How the event of a challenge stands when it is opened.
    pub(super) fn outlook_of(&self, challenge: &Challenge) -> Outlook {
        let refused = self.shadow.refused.contains_key(&challenge.proposal.tool);
        match challenge.trial.stand() {
            Stand::Missed => Outlook::Waits,
            Stand::Awaits(_) if refused => Outlook::Waits,
            Stand::Passed | Stand::Awaits(_) => Outlook::Heals,
        }
    }

    /// Whether a proposal runs in shadow: it waits for exchanges, and does not lapse.
    pub(super) fn runs_in_shadow(&self, hash: &Digest) -> bool {
        let mut all = self.shadow.challengers.values();
        all.any(|challenger| challenger.hash == *hash)
    }

    /// The challengers, for whoever asks.
    pub(super) fn shadow_statuses(&self) -> Vec<ShadowStatus> {
        let all = self.shadow.challengers.iter();
        let all = all.filter(|(_, challenger)| self.waiting.contains_key(&challenger.hash));
        all.map(|(tool, challenger)| ShadowStatus {
            tool: tool.clone(),
            proposal: challenger.hash,
            drift_id: challenger.drift_id,
            needed: challenger.trial.needed(),
            carried: challenger.trial.carried(),
            untold: challenger.trial.untold(),
            state: outcome(&challenger.trial),
            difference: challenger.trial.missed().map(str::to_owned),
            awaits: self.awaits(challenger, tool),
        })
        .collect()
    }
}

const fn outcome(trial: &Trial) -> &'static str {
    match trial.stand() {
        Stand::Awaits(_) => "awaiting",
        Stand::Passed => "passed",
        Stand::Missed => "missed",
    }
}

fn so_far(trial: &Trial) -> String {
    let counted = format!("{} of {} exchanges carried", trial.carried(), trial.needed());
    let untold = match trial.untold() {
        0 => String::new(),
        untold => format!(", {untold} could not be compared"),
    };
    let missed = trial.missed().map(|why| format!(", then {why}")).unwrap_or_default();
    format!("{counted}{untold}{missed}")
}
