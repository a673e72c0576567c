//! The one pipeline from a candidate to a proposal: prove, gate, tell.

use serde_json::{Value, json};

use super::gate::{GateEvidence, GateInput, gate};
use super::{Candidate, Decision, Held, ProofWord, Proposal, Rule, Scope, propose};
use crate::domain::contract::{Surface, Tool};
use crate::domain::json::canonical_digest;
use crate::domain::message::Digest;
use crate::domain::routine::{Proof, RoutineDoc, prove};

/// Every proposal that the matcher makes between two surfaces of one peer, with no evidence beside
/// them: what `stipula diff` prints.
#[must_use]
pub fn assess(promise: &Surface, offer: &Surface) -> Vec<Proposal> {
    let evidence = GateEvidence::for_same_peer();
    propose(promise, offer)
        .iter()
        .map(|candidate| assess_candidate(promise, offer, candidate, &evidence))
        .collect()
}

/// Proves a candidate, holds it against the nine rules, and makes the proposal. What the matcher left
/// open waits for a person, whatever the rules say, unless paired replay shows that it means the same.
#[must_use]
pub fn assess_candidate(
    promise: &Surface,
    offer: &Surface,
    candidate: &Candidate,
    evidence: &GateEvidence,
) -> Proposal {
    let Some(promised) = promise.tool(&candidate.tool) else {
        let why = format!("`{}` is not promised: there is nothing to carry over", candidate.tool);
        return Proposal {
            tool: candidate.tool.clone(),
            to_tool: candidate.to_tool.clone(),
            routine: document(candidate),
            proof: ProofWord::Unknown,
            gate: Decision::None,
            held_by: vec![Held { rule: Rule::Proof, why }],
            scope: Scope::All,
            origin: candidate.origin,
            adopts: None,
        };
    };
    let proof = word(&prove(promised, |name| offer.tool(name), &candidate.routine));
    weighed(promised, (promise, offer), candidate, proof, evidence)
}

/// Holds a candidate against the nine rules again, with other evidence: what was proven of it stands.
#[must_use]
pub fn assess_again(
    promised: &Tool,
    surfaces: (&Surface, &Surface),
    candidate: &Candidate,
    before: &Proposal,
    evidence: &GateEvidence,
) -> Proposal {
    weighed(promised, surfaces, candidate, before.proof, evidence)
}

fn weighed(
    promised: &Tool,
    (promise, offer): (&Surface, &Surface),
    candidate: &Candidate,
    proof: ProofWord,
    evidence: &GateEvidence,
) -> Proposal {
    let gated = gate(&GateInput {
        promised,
        old_surface: promise,
        new_surface: offer,
        candidate,
        proof,
        evidence,
    });
    let mut held_by = gated.held_by;
    let shown = evidence.replay.as_ref().is_some_and(super::ReplayResult::agrees);
    if !shown {
        let open = candidate.open.iter().cloned();
        held_by.extend(open.map(|why| Held { rule: Rule::Names, why }));
    }
    held_by.sort();
    held_by.dedup();
    let decision = match gated.decision {
        Decision::Auto if !held_by.is_empty() => Decision::Review,
        decision => decision,
    };
    Proposal {
        tool: candidate.tool.clone(),
        to_tool: candidate.to_tool.clone(),
        routine: document(candidate),
        proof,
        gate: decision,
        held_by,
        scope: gated.scope,
        origin: candidate.origin,
        adopts: None,
    }
}

fn document(candidate: &Candidate) -> RoutineDoc {
    RoutineDoc([(candidate.tool.clone(), candidate.routine.clone())].into())
}

const fn word(proof: &Proof) -> ProofWord {
    match proof {
        Proof::Proven(_) => ProofWord::Proven,
        Proof::Refuted(_) => ProofWord::Refuted,
        Proof::Unknown(_) => ProofWord::Unknown,
    }
}

/// A tool whose replies changed under its unchanged definition.
#[derive(Clone, Debug)]
pub struct Reshaped<'r> {
    /// The definition.
    pub tool: &'r Tool,
    /// What replies were held to, declared or inferred.
    pub promised: &'r Value,
    /// What the broken reply looks like.
    pub observed: &'r Value,
}

impl Reshaped<'_> {
    /// The definition with this reply, or with none.
    fn with(&self, output: Option<&Value>) -> Tool {
        let mut definition = self.tool.definition().clone();
        if let Some(members) = definition.as_object_mut() {
            members.remove("outputSchema");
            members.extend(output.map(|schema| ("outputSchema".to_owned(), schema.clone())));
        }
        Tool::from_definition(definition).unwrap_or_else(|| self.tool.clone())
    }

    /// What was promised and what is observed, as if both were declared.
    fn surfaces(&self) -> (Surface, Surface) {
        let surface = |output| Surface { tools: vec![self.with(output)], ..Surface::default() };
        (surface(Some(self.promised)), surface(Some(self.observed)))
    }

    /// What the matcher makes of the two shapes of the reply.
    #[must_use]
    pub fn matched(&self) -> Option<Candidate> {
        let (old, new) = self.surfaces();
        propose(&old, &new).into_iter().find(|candidate| !candidate.routine.reply.is_empty())
    }
}

/// Holds a reply routine for a reshaped tool against the nine rules. The proof ranges over the
/// definition without a reply: what is declared of it is known to be wrong, and inferred terms never
/// enter a proof.
#[must_use]
pub fn assess_reshaped(
    reshaped: &Reshaped<'_>,
    candidate: &Candidate,
    evidence: &GateEvidence,
) -> Proposal {
    let (bare, promised) = (reshaped.with(None), reshaped.with(Some(reshaped.promised)));
    let (old, new) = reshaped.surfaces();
    let proof = word(&prove(&bare, |_| Some(&bare), &candidate.routine));
    let gated = gate(&GateInput {
        promised: &promised,
        old_surface: &old,
        new_surface: &new,
        candidate,
        proof,
        evidence,
    });
    Proposal {
        tool: candidate.tool.clone(),
        to_tool: candidate.to_tool.clone(),
        routine: document(candidate),
        proof,
        gate: gated.decision,
        held_by: gated.held_by,
        scope: gated.scope,
        origin: candidate.origin,
        adopts: None,
    }
}

/// What a decision about a proposal is bound to: the promised tool, what is offered for it, and the
/// proposal itself. The head is left out, so that approving one tool does not void its siblings.
#[must_use]
pub fn proposal_hash(proposal: &Proposal, promise: &Surface, offer: &Surface) -> Digest {
    let digest = |tool: Option<&Tool>| tool.map(|tool| tool.digest().to_string());
    let target = proposal.to_tool.as_deref().unwrap_or(&proposal.tool);
    let mut bound = json!({
        "promise": digest(promise.tool(&proposal.tool)),
        "offer": digest(offer.tool(target)),
        // Without a single target, the whole offer decides what the routine may call.
        "surface": proposal.to_tool.is_none().then(|| offer.digest().to_string()),
        "tool": proposal.tool,
        "to_tool": proposal.to_tool,
        "routine": proposal.routine,
    });
    if let Some(adopts) = proposal.adopts {
        bound["adopts"] = json!(adopts.to_string());
    }
    canonical_digest(&bound).unwrap_or_else(|_| Digest::of(bound.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::negotiation::Origin;

    fn surface(tools: &[(&str, &str)]) -> Surface {
        let tools = tools.iter().filter_map(|(name, text)| {
            Tool::from_definition(json!({"name": name, "description": text}))
        });
        Surface { tools: tools.collect(), ..Surface::default() }
    }

    fn proposal() -> Proposal {
        Proposal {
            tool: "a".to_owned(),
            to_tool: Some("b".to_owned()),
            routine: RoutineDoc::default(),
            proof: ProofWord::Proven,
            gate: Decision::Review,
            held_by: Vec::new(),
            scope: Scope::All,
            origin: Origin::Matcher,
            adopts: None,
        }
    }

    #[test]
    fn a_hash_is_bound_to_its_tools_and_to_no_others() {
        let hash = |old: &[(&str, &str)], new: &[(&str, &str)]| {
            proposal_hash(&proposal(), &surface(old), &surface(new))
        };
        let one = hash(&[("a", "x")], &[("b", "x")]);
        assert_eq!(one, hash(&[("a", "x"), ("c", "")], &[("b", "x"), ("d", "")]));
        assert_ne!(one, hash(&[("a", "y")], &[("b", "x")]), "the promised tool changed");
        assert_ne!(one, hash(&[("a", "x")], &[("b", "y")]), "the offered tool changed");
    }

    #[test]
    fn what_was_decided_about_a_proposal_is_not_in_its_hash() {
        let (old, new) = (surface(&[("a", "")]), surface(&[("b", "")]));
        let held = Proposal { gate: Decision::Auto, ..proposal() };
        assert_eq!(proposal_hash(&held, &old, &new), proposal_hash(&proposal(), &old, &new));
    }
}
