//! The states, as types.

use crate::domain::message::{Digest, Generation};
use crate::domain::negotiation::{Decision, ProofWord, Proposal};

use super::{Watch, Watching};

/// A proposal and the hash that decisions about it are bound to.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposed {
    proposal: Proposal,
    hash: Digest,
}

/// A proposal whose proof did not refute it.
#[derive(Clone, Debug, PartialEq)]
pub struct Proven(Proposed);

/// A proven proposal that may be sealed: the gate said so, or a person did.
#[derive(Clone, Debug, PartialEq)]
pub struct Approved {
    proposed: Proposed,
    by: String,
}

/// An approved proposal with the contract that was sealed for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed {
    approved: Approved,
    contract: Digest,
}

/// In force, under watch.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    sealed: Sealed,
    generation: Generation,
    watching: Watching,
}

/// Taken back, denied or refuted. Its hash is never automatic again.
#[derive(Clone, Debug, PartialEq)]
pub struct Withdrawn {
    /// The hash that is barred.
    pub hash: Digest,
    /// The contract that was in force, where it got as far.
    pub contract: Option<Digest>,
    /// Why, in words.
    pub reason: String,
}

/// A person's approval, bound to one hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Hash of the proposal that was shown.
    pub hash: Digest,
    /// Who approved.
    pub by: String,
}

/// Why a step was not taken; the state before it is handed back where it still stands.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Stopped {
    /// The gate wants a person, or a machine may not take it again.
    #[error("the gate asks for a person's approval of {}", .0.hash())]
    NeedsApproval(Box<Proven>),
    /// The approval is for another proposal.
    #[error("the approval is bound to {approved}, the proposal is {}", .proven.hash())]
    OtherHash {
        /// What was approved.
        approved: Digest,
        /// What stands.
        proven: Box<Proven>,
    },
    /// There is nothing that could be approved.
    #[error("withdrawn: {}", .0.reason)]
    Withdrawn(Withdrawn),
}

impl Proposed {
    /// Takes a proposal with its hash ([`crate::domain::negotiation::proposal_hash`]).
    #[must_use]
    pub const fn new(proposal: Proposal, hash: Digest) -> Self {
        Self { proposal, hash }
    }

    /// The proposal.
    #[must_use]
    pub const fn proposal(&self) -> &Proposal {
        &self.proposal
    }

    /// Takes the proof's word: a refuted proposal, or one with nothing to approve, goes no further.
    ///
    /// # Errors
    /// [`Withdrawn`] with the reason.
    pub fn prove(self) -> Result<Proven, Withdrawn> {
        if self.proposal.proof == ProofWord::Refuted {
            return Err(self.withdrawn("the proof found a counter-example"));
        }
        if self.proposal.gate == Decision::None {
            return Err(self.withdrawn("the gate found nothing that could be approved"));
        }
        Ok(Proven(self))
    }

    fn withdrawn(self, reason: &str) -> Withdrawn {
        Withdrawn { hash: self.hash, contract: None, reason: reason.to_owned() }
    }
}

impl Proven {
    /// The hash that an approval must name.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        self.0.hash
    }

    /// The proposal.
    #[must_use]
    pub const fn proposal(&self) -> &Proposal {
        &self.0.proposal
    }

    /// Goes on without a person. `barred` says that this hash was withdrawn before.
    ///
    /// # Errors
    /// [`Stopped::NeedsApproval`] unless the gate said `auto` and the hash is not barred.
    pub fn approve_by_gate(self, barred: bool) -> Result<Approved, Stopped> {
        if self.0.proposal.gate == Decision::Auto && !barred {
            Ok(Approved { proposed: self.0, by: "gate".to_owned() })
        } else {
            Err(Stopped::NeedsApproval(Box::new(self)))
        }
    }

    /// Goes on with a person's approval.
    ///
    /// # Errors
    /// [`Stopped::OtherHash`] where the approval names another proposal.
    pub fn approve(self, approval: Approval) -> Result<Approved, Stopped> {
        if approval.hash == self.0.hash {
            Ok(Approved { proposed: self.0, by: approval.by })
        } else {
            Err(Stopped::OtherHash { approved: approval.hash, proven: Box::new(self) })
        }
    }

    /// A person said no, or the time to decide ran out.
    #[must_use]
    pub fn deny(self, reason: &str) -> Withdrawn {
        self.0.withdrawn(reason)
    }
}

impl Approved {
    /// The hash that was approved.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        self.proposed.hash
    }

    /// The proposal.
    #[must_use]
    pub const fn proposal(&self) -> &Proposal {
        &self.proposed.proposal
    }

    /// Who approved: `gate`, or a person.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Takes the hash of the contract that was sealed with this routine and is durable.
    #[must_use]
    pub const fn seal(self, contract: Digest) -> Sealed {
        Sealed { approved: self, contract }
    }
}

impl Sealed {
    /// Hash of the sealed contract.
    #[must_use]
    pub const fn contract(&self) -> Digest {
        self.contract
    }

    /// The head has moved and the switchboard has swapped: from `generation` on it is in force.
    #[must_use]
    pub const fn go_live(self, generation: Generation, watch: Watch) -> Live {
        Live { sealed: self, generation, watching: Watching::new(watch) }
    }
}

impl Live {
    /// The generation that first had it.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Hash of the contract in force.
    #[must_use]
    pub const fn contract(&self) -> Digest {
        self.sealed.contract
    }

    /// The proposal that went live.
    #[must_use]
    pub const fn proposal(&self) -> &Proposal {
        &self.sealed.approved.proposed.proposal
    }

    /// The watch, to be told how each exchange ended.
    pub const fn watching(&mut self) -> &mut Watching {
        &mut self.watching
    }

    /// The head was moved back.
    #[must_use]
    pub fn withdraw(self, reason: &str) -> Withdrawn {
        let contract = Some(self.sealed.contract);
        Withdrawn { contract, ..self.sealed.approved.proposed.withdrawn(reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::negotiation::{Origin, Scope};
    use crate::domain::routine::RoutineDoc;

    fn proposed(proof: ProofWord, gate: Decision) -> Proposed {
        let proposal = Proposal {
            tool: "get_weather".to_owned(),
            to_tool: None,
            routine: RoutineDoc::default(),
            proof,
            gate,
            held_by: Vec::new(),
            scope: Scope::All,
            origin: Origin::Matcher,
            adopts: None,
        };
        Proposed::new(proposal, Digest::of(b"proposal"))
    }

    #[test]
    fn a_refuted_proposal_is_withdrawn_with_its_hash() {
        let withdrawn = proposed(ProofWord::Refuted, Decision::Review).prove().err();
        assert_eq!(withdrawn.map(|w| w.hash), Some(Digest::of(b"proposal")));
    }

    #[test]
    fn what_waits_does_not_go_on_by_itself_and_a_barred_hash_never_does() {
        for (gate, barred) in [(Decision::Review, false), (Decision::Auto, true)] {
            let proven = proposed(ProofWord::Proven, gate).prove();
            let stopped = proven.map(|p| p.approve_by_gate(barred));
            assert!(matches!(stopped, Ok(Err(Stopped::NeedsApproval(_)))), "{gate:?} {barred}");
        }
    }

    #[test]
    fn an_approval_counts_only_for_the_hash_it_names() {
        let approval = |bytes: &[u8]| Approval { hash: Digest::of(bytes), by: "ada".to_owned() };
        let proven = proposed(ProofWord::Unknown, Decision::Review).prove();
        let other = proven.clone().map(|p| p.approve(approval(b"another")));
        assert!(matches!(other, Ok(Err(Stopped::OtherHash { .. }))));
        let same = proven.map(|p| p.approve(approval(b"proposal")));
        assert!(matches!(same, Ok(Ok(_))));
    }

    #[test]
    fn a_live_patch_that_misses_is_withdrawn_with_its_contract() {
        let live = proposed(ProofWord::Proven, Decision::Auto)
            .prove()
            .ok()
            .and_then(|p| p.approve_by_gate(false).ok())
            .map(|a| a.seal(Digest::of(b"contract")).go_live(Generation(7), Watch::default()));
        let withdrawn = live.map(|live| live.withdraw("two misses"));
        assert_eq!(withdrawn.and_then(|w| w.contract), Some(Digest::of(b"contract")));
    }
}
