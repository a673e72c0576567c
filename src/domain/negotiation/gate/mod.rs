//! The safety gate: nine rules, checked on the routine and the two surfaces, whoever proposed.
//!
//! ```text
//!   routine ──► flow (where each value comes from and goes to, case by case)
//!   flows + promise + offer + evidence ──► nine rules ──► Held* ──► Auto | Review | None
//! ```
//!
//! Never here: trust in a proposer; a rule that lets through what it could not decide.

mod effect;
mod evidence;
mod text;

pub use effect::effectively_read_only;
pub use evidence::{Derivation, DerivedRelation, GateEvidence};
pub use text::clean_text;

use super::{Candidate, Decision, Held, ProofWord, Rule, Scope};
use crate::domain::contract::{Surface, Tool};

/// What the gate looks at.
#[derive(Clone, Copy, Debug)]
pub struct GateInput<'i> {
    /// The promised tool.
    pub promised: &'i Tool,
    /// All that is promised.
    pub old_surface: &'i Surface,
    /// All that is offered.
    pub new_surface: &'i Surface,
    /// The routine, and who proposed it (which decides nothing).
    pub candidate: &'i Candidate,
    /// What the proof said.
    pub proof: ProofWord,
    /// What else is known.
    pub evidence: &'i GateEvidence,
}

/// What the gate decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gated {
    /// May it go live without a person?
    pub decision: Decision,
    /// The rules that hold it, in order; empty where it may go.
    pub held_by: Vec<Held>,
    /// How much of the promise it carries over.
    pub scope: Scope,
}

/// Holds a candidate against the nine rules.
#[must_use]
pub fn gate(input: &GateInput<'_>) -> Gated {
    let mut held_by = Vec::new();
    let mut hold = |rule, why: String| held_by.push(Held { rule, why });
    for tool in &input.new_surface.tools {
        if Some(tool.name()) == input.candidate.to_tool.as_deref() {
            for why in text::introduced(Some(input.promised), tool) {
                hold(Rule::Text, why);
            }
            if let Some(why) = effect::changed(input.promised, tool) {
                hold(Rule::Effect, why);
            }
        }
    }
    hold(Rule::Proof, "the gate does not yet decide about flows".to_owned());
    let decision =
        if input.proof == ProofWord::Refuted { Decision::None } else { Decision::Review };
    Gated { decision, held_by, scope: Scope::All }
}
