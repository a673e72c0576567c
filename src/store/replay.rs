//! What is true now, as the records say: heads, contracts, events and decisions are nothing but a
//! replay of the ledger.

use std::sync::Arc;

use crate::domain::contract::Contract;
use crate::domain::drift::{DriftEvent, EventState};
use crate::domain::evidence::{Record, RecordBody};
use crate::domain::message::{Digest, PeerId, Principal, UnixMillis};
use crate::domain::negotiation::{Proposal, Relations};

use super::StoreError;

/// Events that are told; of more, those that are over give way, the oldest first. All of them stand in
/// the ledger.
const MOST_EVENTS: usize = 10_000;

fn is_over(event: &DriftEvent) -> bool {
    matches!(event.state, EventState::Resolved | EventState::Dismissed)
}

/// Principals of a peer that are remembered: who brings ever new credentials fills no memory.
const LISTED: usize = 256;

/// What a replay of the ledger says is true now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Every sealed contract, oldest first, with its peer.
    pub contracts: Vec<(PeerId, Arc<Contract>)>,
    /// The head of each peer's chain.
    pub heads: Vec<(PeerId, Digest)>,
    /// Tools whose declared terms were kept once, by contract.
    pub kept: Vec<(PeerId, Digest, String)>,
    /// What earlier replies of a tool show of fields that follow from others, by peer and tool.
    pub relations: Vec<(PeerId, String, Relations)>,
    /// Promised tools that a principal was never listed, by peer and principal.
    pub listed: Vec<(PeerId, Principal, Vec<String>)>,
    /// Newest state of the newest event of every fault (by peer and fingerprint), oldest first.
    pub events: Vec<(PeerId, DriftEvent)>,
    /// Proposals by hash, with the event they answer, and the newest decision on each.
    pub proposals: Vec<PendingProposal>,
}

/// A proposal as the ledger knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingProposal {
    /// The peer it is about.
    pub peer: PeerId,
    /// The hash that a decision is bound to.
    pub hash: Digest,
    /// The drift event it answers.
    pub drift_id: uuid::Uuid,
    /// The proposal.
    pub proposal: Proposal,
    /// When it was made.
    pub at: UnixMillis,
    /// The newest decision, where there is one: `approved`, `denied`, `expired`, `auto`,
    /// `withdrawn`, `superseded`.
    pub decision: Option<String>,
    /// It was withdrawn once, and no person took it up since: it is never automatic again.
    pub withdrawn: bool,
}

impl State {
    /// The head of this peer's chain.
    #[must_use]
    pub fn head(&self, peer: &PeerId) -> Option<Digest> {
        self.heads.iter().find(|(of, _)| of == peer).map(|(_, head)| *head)
    }

    /// The contract with this content hash.
    #[must_use]
    pub fn contract(&self, hash: Digest) -> Option<&Contract> {
        let mut contracts = self.contracts.iter().map(|(_, contract)| contract.as_ref());
        contracts.find(|contract| contract.hash == hash)
    }

    /// Whether a seal group may be appended: the head is the expected one, and the group moves it.
    pub(super) fn admits_seal(
        &self,
        peer: &PeerId,
        expected: Option<Digest>,
        records: &[Record],
    ) -> Result<(), StoreError> {
        let actual = self.head(peer);
        if actual != expected {
            return Err(StoreError::Conflict { peer: peer.clone(), expected, actual });
        }
        let moves = |record: &&Record| {
            record.peer.as_ref() == Some(peer)
                && matches!(record.body, RecordBody::HeadMoved { .. })
        };
        if records.iter().any(|record| moves(&record)) {
            return Ok(());
        }
        let first = records.first().map(|record| record.id.0.to_string()).unwrap_or_default();
        Err(StoreError::Unfit {
            record: first,
            what: format!(
                "a seal moves the head of {peer}, and no `head_moved` is among its records"
            ),
        })
    }

    /// Whether these records fit what is true so far, and one another.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for a head that is not where a record says, [`StoreError::Unfit`]
    /// for what contradicts itself.
    pub(super) fn admits(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut heads: Vec<(&PeerId, Digest)> = Vec::new();
        let mut sealed: Vec<(&PeerId, Digest)> = Vec::new();
        for record in records {
            let unfit = |what: String| StoreError::Unfit { record: record.id.0.to_string(), what };
            let Some(peer) = &record.peer else {
                if matches!(record.body, RecordBody::Lifecycle { .. } | RecordBody::Edge { .. }) {
                    continue;
                }
                return Err(unfit("it names no peer".to_owned()));
            };
            match &record.body {
                RecordBody::Sealed { contract } => {
                    let hash = contract.content_hash();
                    if hash != contract.hash {
                        let said = contract.hash;
                        return Err(unfit(format!("its contract says {said} and is {hash}")));
                    }
                    sealed.push((peer, hash));
                }
                RecordBody::HeadMoved { from, to, .. } => {
                    let earlier = heads.iter().rfind(|(of, _)| *of == peer);
                    let actual = earlier.map(|(_, head)| *head).or_else(|| self.head(peer));
                    if actual != *from {
                        let (peer, expected) = (peer.clone(), *from);
                        return Err(StoreError::Conflict { peer, expected, actual });
                    }
                    let known = |(of, hash): &(&PeerId, Digest)| *of == peer && hash == to;
                    if !sealed.iter().any(known) && !self.has_sealed(peer, *to) {
                        return Err(unfit(format!(
                            "it moves the head to {to}, which is not sealed"
                        )));
                    }
                    heads.push((peer, *to));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn has_sealed(&self, peer: &PeerId, hash: Digest) -> bool {
        self.contracts.iter().any(|(of, contract)| of == peer && contract.hash == hash)
    }

    /// A proposal that is made again is open again: an expired hash is offered anew. That it was withdrawn
    /// once stays.
    fn proposed(&mut self, made: PendingProposal) {
        let same = |known: &PendingProposal| known.hash == made.hash && known.peer == made.peer;
        let withdrawn = self.proposals.iter().any(|known| same(known) && known.withdrawn);
        self.proposals.retain(|known| !same(known));
        self.proposals.push(PendingProposal { withdrawn, ..made });
    }

    fn decided(&mut self, peer: &PeerId, hash: Digest, decision: &str) {
        let mut proposals = self.proposals.iter_mut();
        let known = proposals.find(|known| known.hash == hash && known.peer == *peer);
        let Some(known) = known else { return };
        known.withdrawn = match decision {
            "withdrawn" => true,
            "approved" => false,
            _ => known.withdrawn,
        };
        known.decision = Some(decision.to_owned());
    }

    fn listed(&mut self, peer: &PeerId, principal: &Principal, lacks: &[String]) {
        self.listed.retain(|(of, known, _)| of != peer || known != principal);
        self.listed.push((peer.clone(), principal.clone(), lacks.to_vec()));
        let mine = |(of, ..): &(PeerId, Principal, Vec<String>)| of == peer;
        if self.listed.iter().filter(|known| mine(known)).count() > LISTED
            && let Some(oldest) = self.listed.iter().position(mine)
        {
            self.listed.remove(oldest);
        }
    }

    /// Applies one record that was admitted.
    pub(super) fn apply(&mut self, record: &Record) {
        let Some(peer) = record.peer.clone() else { return };
        match &record.body {
            RecordBody::Sealed { contract } => {
                if !self.has_sealed(&peer, contract.hash) {
                    self.contracts.push((peer, Arc::clone(contract)));
                }
            }
            RecordBody::HeadMoved { to, .. } => {
                match self.heads.iter_mut().find(|(of, _)| *of == peer) {
                    Some((_, head)) => *head = *to,
                    None => self.heads.push((peer, *to)),
                }
            }
            RecordBody::TermsKept { contract, tool } => {
                let kept = (peer, *contract, tool.clone());
                if !self.kept.contains(&kept) {
                    self.kept.push(kept);
                }
            }
            RecordBody::RelationsLearnt { tool, relations, .. } => {
                self.relations.retain(|(of, known, _)| *of != peer || known != tool);
                self.relations.push((peer, tool.clone(), relations.clone()));
            }
            RecordBody::Listed { principal, lacks } => self.listed(&peer, principal, lacks),
            RecordBody::Drift { event } => {
                match self.events.iter_mut().find(|(_, known)| known.drift_id == event.drift_id) {
                    Some((_, known)) => *known = DriftEvent::clone(event),
                    None => {
                        // What comes and goes is one fault: all but its newest event is history.
                        self.events.retain(|(of, known)| {
                            *of != peer || known.fingerprint != event.fingerprint
                        });
                        if self.events.len() >= MOST_EVENTS
                            && let Some(at) = self.events.iter().position(|(_, it)| is_over(it))
                        {
                            self.events.remove(at);
                        }
                        self.events.push((peer, DriftEvent::clone(event)));
                    }
                }
            }
            RecordBody::Proposed { drift_id, hash, proposal } => {
                self.proposed(PendingProposal {
                    peer,
                    hash: *hash,
                    drift_id: *drift_id,
                    proposal: Proposal::clone(proposal),
                    at: record.at,
                    decision: None,
                    withdrawn: false,
                });
            }
            RecordBody::Decided { proposal, decision, .. } => {
                self.decided(&peer, *proposal, decision);
            }
            RecordBody::Exchanges { .. }
            | RecordBody::Exception { .. }
            | RecordBody::Reasoning { .. }
            | RecordBody::Negotiated { .. }
            | RecordBody::Shadowed { .. }
            | RecordBody::Incident { .. }
            | RecordBody::Patch { .. }
            | RecordBody::Edge { .. }
            | RecordBody::Lifecycle { .. } => {}
        }
    }
}
