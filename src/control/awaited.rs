//! Words of the domain that are being written; each moves to its room and this file goes.

use serde_json::Value;

use crate::domain::contract::Surface;
use crate::domain::message::Digest;
use crate::domain::negotiation::{Candidate, Decision, GateEvidence, ProofWord, Proposal, Scope};
use crate::domain::routine::RoutineDoc;

pub(super) fn assess_candidate(
    _promise: &Surface,
    _offer: &Surface,
    candidate: &Candidate,
    evidence: &GateEvidence,
) -> Proposal {
    let _ = &evidence.replay;
    Proposal {
        tool: candidate.tool.clone(),
        to_tool: candidate.to_tool.clone(),
        routine: RoutineDoc([(candidate.tool.clone(), candidate.routine.clone())].into()),
        proof: ProofWord::Unknown,
        gate: Decision::Review,
        held_by: Vec::new(),
        scope: Scope::All,
        origin: candidate.origin,
    }
}

pub(super) fn proposal_hash(proposal: &Proposal, _promise: &Surface, _offer: &Surface) -> Digest {
    Digest::of(format!("{proposal:?}").as_bytes())
}

pub(super) struct Question(Value);

impl Question {
    pub(super) fn about(
        _promise: &Surface,
        _offer: &Surface,
        _tool: &str,
        _candidate: Option<&Candidate>,
    ) -> Self {
        Self(Value::Null)
    }

    pub(super) fn to_json(&self) -> Value {
        self.0.clone()
    }
}

pub(super) struct Answer;

impl Answer {
    pub(super) fn parse(_tool: &str, _answer: &Value) -> Result<Candidate, String> {
        Err("not yet".to_owned())
    }
}
