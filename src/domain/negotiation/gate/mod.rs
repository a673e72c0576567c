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
mod field;
mod flow;
mod own;
mod pair;
mod reply;
mod request;
mod target;

pub use effect::effectively_read_only;
pub use evidence::{Derivation, DerivedRelation, GateEvidence};

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Candidate, Decision, Held, ProofWord, Rule, Scope};
use crate::domain::contract::{Surface, Tool};
use crate::domain::drift::normal::normal;
use crate::domain::drift::words::words;
use crate::domain::drift::{Severity, introduced_text};
use pair::Hold;

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
    let mut holds: Vec<Hold> = Vec::new();
    let routine = &input.candidate.routine;
    if !input.evidence.same_peer {
        holds.push((Rule::Effect, "the peer is not the one that was sealed".to_owned()));
    }
    let promised = input_schema(input.promised);
    let flows = flow::follow(&routine.request, &field::top(&promised), routine.call.as_deref());
    let partial = flows.iter().any(|flow| flow.partial);
    let targets: BTreeSet<&str> =
        flows.iter().map(|flow| flow.call.as_deref().unwrap_or(input.promised.name())).collect();
    let mut offers: BTreeMap<&str, Value> = BTreeMap::new();
    for flow in &flows {
        let name = flow.call.as_deref().unwrap_or(input.promised.name());
        let Some(offered) = input.new_surface.tool(name) else {
            holds.push((Rule::Names, format!("the tool {name} is not offered")));
            continue;
        };
        let discriminator = target::judge(input, offered, flow, targets.len() > 1, &mut holds);
        let offer = offers.entry(name).or_insert_with(|| input_schema(offered));
        let faces = [&promised, &*offer];
        request::Request::new(input, offered, faces, discriminator).judge(flow, &mut holds);
        reply::judge(input, offered, &mut holds);
        own::judge(input, faces, &mut holds);
        let old = input.old_surface.tool(name).unwrap_or(input.promised);
        holds.extend(introduced_text(Some(old), offered).into_iter().map(|why| (Rule::Text, why)));
    }
    if !routine.errors.is_empty() {
        let why = "error codes are told otherwise, and no schema states them";
        holds.push((Rule::NothingMadeUp, why.to_owned()));
    }
    proven(input, &mut holds);
    let held_by: BTreeSet<Held> = holds.into_iter().map(|(rule, why)| Held { rule, why }).collect();
    let decision = match (input.proof, held_by.is_empty()) {
        (ProofWord::Refuted, _) => Decision::None,
        (_, true) => Decision::Auto,
        (_, false) => Decision::Review,
    };
    let scope = if partial { Scope::Partial } else { Scope::All };
    Gated { decision, held_by: held_by.into_iter().collect(), scope }
}

/// Rule 9, and what a replay that differs says whatever else holds.
fn proven(input: &GateInput<'_>, holds: &mut Vec<Hold>) {
    let evidence = input.evidence;
    if evidence.replay.as_ref().is_some_and(|replay| !replay.different.is_empty()) {
        let why = "paired replay came back with other values: the meaning changed";
        holds.push((Rule::Values, why.to_owned()));
    }
    match input.proof {
        ProofWord::Proven => {}
        ProofWord::Refuted => {
            holds.push((Rule::Proof, "the proof found a counter-example".to_owned()));
        }
        ProofWord::Unknown => {
            let replayed = evidence.replay.as_ref().is_some_and(super::ReplayResult::agrees);
            let sampled = evidence.replay_samples_ok >= evidence.replay_min
                && evidence.replay_samples_bad == 0;
            if evidence.severity > Severity::Medium {
                let why = "the proof is undecided, and severity is above medium";
                holds.push((Rule::Proof, why.to_owned()));
            } else if !(replayed || sampled || follows(input)) {
                let why = "the proof is undecided, and too few samples stand for it";
                holds.push((Rule::Proof, why.to_owned()));
            }
        }
    }
}

/// Whether the candidate, for this one tool and no other, rests on derived relations alone.
fn follows(input: &GateInput<'_>) -> bool {
    let offered = input.new_surface.tool(input.promised.name());
    offered.is_some_and(|offered| reply::rests_on_relations(input, offered))
}

/// The normal input schema; a tool without one declares no argument.
fn input_schema(tool: &Tool) -> Value {
    tool.input_schema().map_or_else(|| json!({}), normal)
}

/// The words of both tools' names.
fn context(one: &Tool, other: &Tool) -> BTreeSet<String> {
    words(one.name()).into_iter().chain(words(other.name())).collect()
}

#[cfg(test)]
mod allowances;
#[cfg(test)]
mod tests;
