//! What can be done about one tool that changed: nothing is needed, a routine passes the gate, a
//! person must decide, or nothing carries it over.

use super::actor::Peer;
use super::shadow::Challenge;
use crate::domain::contract::{Surface, Tool};
use crate::domain::drift::{Change, Severity};
use crate::domain::message::Digest;
use crate::domain::negotiation::{
    Candidate, Decision, GateEvidence, ProofWord, Proposal, Rule, assess_again, assess_candidate,
    proposal_hash,
};
use crate::domain::policy::Caller;
use crate::telemetry::HealStage;

/// The outcome for one tool.
#[derive(Debug)]
pub(super) enum Settled {
    /// Every promised call still means the same.
    Unaffected,
    /// Every promised call still means the same, and what is offered cannot be sealed.
    LeftOut,
    /// A proposal that the gate let through.
    Heals(Proposal, Digest),
    /// A proposal that waits for a person.
    Waits(Proposal, Digest),
    /// A proposal that the gate let through, and that runs in shadow first.
    Challenges(Box<Challenge>),
    /// Nothing carries it over, in words.
    Nothing(String),
}

/// What is known when a tool is to be settled.
pub(super) struct Case<'c> {
    /// The promised tool.
    pub(super) promised: &'c Tool,
    /// All that is promised.
    pub(super) promise: &'c Surface,
    /// All that is offered.
    pub(super) offer: &'c Surface,
    /// This tool's changes.
    pub(super) changes: &'c [Change],
    /// As whom a replay travels.
    pub(super) caller: Option<&'c Caller>,
}

impl Peer {
    /// Settles one tool by the matcher's candidate. Where that is not enough, advisors are asked
    /// afterwards.
    pub(super) async fn settle(
        &mut self,
        case: &Case<'_>,
        candidate: Option<&Candidate>,
        steps: &mut Vec<String>,
    ) -> Settled {
        let worst = case.changes.iter().map(|change| change.severity).max();
        if candidate.is_none() && worst.is_none_or(|worst| worst == Severity::Low) {
            return Settled::Unaffected;
        }
        if let Some(candidate) = candidate {
            let proposal = self.assess(case, candidate, steps).await;
            match self.weighed(case, proposal) {
                Settled::Nothing(why) => steps.push(why),
                settled => return settled,
            }
        }
        Settled::Nothing(unhealable(case, candidate))
    }

    /// A proposal weighed by its proof, its gate and what was withdrawn before.
    pub(super) fn weighed(&self, case: &Case<'_>, proposal: Proposal) -> Settled {
        let hash = proposal_hash(&proposal, case.promise, case.offer);
        match (proposal.proof, proposal.gate) {
            (ProofWord::Refuted, _) | (_, Decision::None) => {
                Settled::Nothing(format!("refuted: {}", held(&proposal)))
            }
            _ if self.denied.contains(&hash) => {
                Settled::Nothing("a person denied what would carry it over".to_owned())
            }
            (_, Decision::Auto) if !self.barred.contains(&hash) => Settled::Heals(proposal, hash),
            _ => Settled::Waits(proposal, hash),
        }
    }

    /// The gate's word on a candidate, with paired replay where a rule asks for what it can show.
    pub(super) async fn assess(
        &mut self,
        case: &Case<'_>,
        candidate: &Candidate,
        steps: &mut Vec<String>,
    ) -> Proposal {
        let mut evidence = GateEvidence::for_same_peer();
        evidence.replay_min = self.settings.replay_min;
        let proposal = assess_candidate(case.promise, case.offer, candidate, &evidence);
        steps.push(told(&proposal));
        let offered = candidate.to_tool.as_deref().and_then(|name| case.offer.tool(name));
        let liftable = |rule| {
            matches!(rule, Rule::Values | Rule::Places | Rule::Names | Rule::Units | Rule::Proof)
        };
        if proposal.gate != Decision::Review
            || !proposal.held_by.iter().any(|held| liftable(held.rule))
            || !self.may_replay(case.promised, offered)
        {
            return proposal;
        }
        self.lap(HealStage::Decide);
        let replayed = self.paired_replay(candidate, case.offer, case.caller).await;
        self.lap(HealStage::Replay);
        let Some(replayed) = replayed else {
            steps.push("paired replay: no request was recorded twice".to_owned());
            return proposal;
        };
        steps.push(format!(
            "paired replay: {} requests asked again, {} values equal, {} different",
            replayed.result.compared,
            replayed.result.equal.len(),
            replayed.result.different.len()
        ));
        evidence.recordings_agree = replayed.recordings_agree;
        evidence.replayed_arguments = replayed.arguments;
        evidence.replay_samples_ok = replayed.mapped;
        evidence.replay = Some(replayed.result);
        let surfaces = (case.promise, case.offer);
        let proposal = assess_again(case.promised, surfaces, candidate, &proposal, &evidence);
        steps.push(told(&proposal));
        proposal
    }
}

/// Why a proposal is held, in one line.
pub(super) fn held(proposal: &Proposal) -> String {
    let rules: Vec<String> = proposal
        .held_by
        .iter()
        .map(|held| format!("rule {}: {}", held.rule.number(), held.why))
        .collect();
    rules.join("; ")
}

fn told(proposal: &Proposal) -> String {
    match proposal.gate {
        Decision::Auto => format!("gate: auto, proof {:?}", proposal.proof),
        Decision::Review => format!("gate: review, {}", held(proposal)),
        Decision::None => format!("gate: none, {}", held(proposal)),
    }
}

/// Why nothing carries a tool over: what the matcher left open, else the changes that reject a call.
fn unhealable(case: &Case<'_>, candidate: Option<&Candidate>) -> String {
    if let Some(candidate) = candidate.filter(|candidate| !candidate.open.is_empty()) {
        return candidate.open.join("; ");
    }
    let grave: Vec<&str> = case
        .changes
        .iter()
        .filter(|change| change.severity > Severity::Low)
        .map(|change| change.message.as_str())
        .collect();
    grave.join("; ")
}
