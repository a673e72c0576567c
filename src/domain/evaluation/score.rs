//! One judged case against what the engine says and would do.

use serde_json::Value;

use super::case::{Example, GoldCase, Judged};
use crate::domain::contract::{Surface, Tool};
use crate::domain::drift::{Compatibility, Severity, clean_text, diff};
use crate::domain::json::{Limits, Tape};
use crate::domain::negotiation::{
    Decision, GateEvidence, Held, Proposal, assess_candidate, effectively_read_only, propose, same,
};
use crate::domain::routine::CompiledRoutine;

/// What the engine made of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseScore {
    /// The case's name.
    pub id: String,
    /// The promised tool.
    pub tool: String,
    /// The fine-grained kind, as it was judged.
    pub kind: String,
    /// Who may decide, as it was judged.
    pub judged: Judged,
    /// Whether arguments have to be mapped at all.
    pub needs_routine: bool,
    /// Whether some calls can be carried over.
    pub healable: bool,
    /// What the gate decided; `None` where nothing was proposed.
    pub gate: Option<Decision>,
    /// The rules that held the proposal.
    pub held_by: Vec<Held>,
    /// Whether every judged call comes out as judged.
    pub correct: bool,
    /// What makes a proposal that goes by itself wrong, in words; empty where it is right.
    pub wrong: Vec<String>,
    /// In what the mapped arguments differ from what was judged, in words.
    pub misses: Vec<String>,
    /// Whether one of the tool's changes is of the judged type.
    pub type_agrees: bool,
    /// Whether the gravest of the tool's changes is as grave as judged.
    pub severity_agrees: bool,
    /// Whether a break that was judged hard is called compatible.
    pub hard_called_compatible: bool,
    /// Whether the tool is new and not shown before a person agreed.
    pub waits_to_be_shown: bool,
    /// The tool's changes as they were told: kind and severity.
    pub told: Vec<(String, Severity)>,
}

impl CaseScore {
    /// Whether the calls are carried over without a person, every one as it was judged: by a proposal
    /// that goes by itself, or, where nothing has to be mapped, by none at all.
    #[must_use]
    pub fn healed(&self) -> bool {
        match self.gate {
            Some(Decision::Auto) => self.correct,
            None => !self.needs_routine,
            _ => false,
        }
    }

    /// Whether a correct proposal waits for a person; where nothing has to be mapped, whether a change
    /// is told that a person decides.
    #[must_use]
    pub fn waits(&self) -> bool {
        let grave = self.told.iter().any(|(_, severity)| *severity >= Severity::High);
        match self.gate {
            None => !self.needs_routine && (grave || self.waits_to_be_shown),
            gate => gate == Some(Decision::Review) && self.correct,
        }
    }
}

/// Scores one case. `old` and `new` are the whole lists: a successor has to be found among them.
#[must_use]
pub fn score_case(case: &GoldCase, old: &Surface, new: &Surface) -> CaseScore {
    let changes = diff(old, new).changes;
    let own: Vec<_> = changes.iter().filter(|change| change.tool == case.tool).collect();
    let gravest = own.iter().map(|change| change.severity).max();
    let candidates = propose(old, new);
    let proposal = candidates
        .iter()
        .find(|candidate| candidate.tool == case.tool)
        .map(|found| assess_candidate(old, new, found, &GateEvidence::for_same_peer()));
    let mut misses = Vec::new();
    let mut wrong = Vec::new();
    if let Some(proposal) = &proposal {
        let made = Made::new(proposal, new);
        misses = case.examples.iter().filter_map(|example| made.miss(example)).collect();
        if proposal.gate == Decision::Auto {
            if case.judged != Judged::Auto {
                wrong.push("goes by itself, and was judged to need a person".to_owned());
            }
            wrong.extend(case.examples.iter().filter_map(|example| made.wrong(example)));
        }
    }
    CaseScore {
        id: case.id.clone(),
        tool: case.tool.clone(),
        kind: case.kind.clone(),
        judged: case.judged,
        needs_routine: case.needs_routine,
        healable: case.healable,
        gate: proposal.as_ref().map(|proposal| proposal.gate),
        correct: proposal.is_some() && misses.is_empty(),
        held_by: proposal.map(|proposal| proposal.held_by).unwrap_or_default(),
        wrong,
        misses,
        type_agrees: own.iter().any(|change| change.drift_type == case.drift_type()),
        severity_agrees: gravest == Some(case.severity),
        hard_called_compatible: case.hard && verdict(case) < Compatibility::Breaking,
        waits_to_be_shown: old.tool(&case.tool).is_none()
            && new
                .tool(&case.tool)
                .is_some_and(|tool| !(clean_text(tool) && effectively_read_only(tool, None))),
        told: own.iter().map(|change| (change.kind.clone(), change.severity)).collect(),
    }
}

/// The verdict about the tool alone.
fn verdict(case: &GoldCase) -> Compatibility {
    let alone = |tool: Option<&Tool>| Surface {
        tools: tool.cloned().into_iter().collect(),
        ..Surface::default()
    };
    diff(&alone(case.before.as_ref()), &alone(case.after.as_ref())).verdict
}

/// What a proposal makes of calls.
struct Made<'m> {
    proposal: &'m Proposal,
    compiled: Option<CompiledRoutine>,
    new: &'m Surface,
}

impl<'m> Made<'m> {
    fn new(proposal: &'m Proposal, new: &'m Surface) -> Self {
        let routine = proposal.routine.0.get(&proposal.tool);
        let compiled =
            routine.and_then(|routine| CompiledRoutine::compile(&proposal.tool, routine).ok());
        Self { proposal, compiled, new }
    }

    /// The tool and arguments that the peer would get; `None` where the call is refused.
    fn of(&self, arguments: &Value) -> Option<(String, Value)> {
        let text = arguments.to_string();
        let mut tape = Tape::default();
        let document = tape.read(text.as_bytes(), Limits::default()).ok()?;
        let mut out = Vec::new();
        let made = self.compiled.as_ref()?.request(Some(document.root()), &mut out).ok()?;
        let tool = made.call.unwrap_or_else(|| self.proposal.tool.clone());
        let value =
            if out.is_empty() { arguments.clone() } else { serde_json::from_slice(&out).ok()? };
        Some((tool, value))
    }

    /// In what a call differs from what was judged.
    fn miss(&self, example: &Example) -> Option<String> {
        match (self.of(&example.arguments), &example.mapped) {
            (None, None) => None,
            (None, Some(_)) => Some(format!("{} is refused", example.arguments)),
            _ => self.wrong(example),
        }
    }

    /// As [`Self::miss`]; a refusal is never wrong.
    fn wrong(&self, example: &Example) -> Option<String> {
        let (tool, made) = self.of(&example.arguments)?;
        let told = |judged: &str| {
            Some(format!("{} becomes {tool} {made}, judged {judged}", example.arguments))
        };
        let Some((to, judged)) = &example.mapped else { return told("to be refused") };
        let schema = self.new.tool(&tool).and_then(Tool::input_schema);
        if *to == tool && equivalent(&made, judged, schema) {
            return None;
        }
        told(&format!("{to} {judged}"))
    }
}

/// Equal, or differing only by an explicit value that the offer declares as default.
fn equivalent(made: &Value, judged: &Value, schema: Option<&Value>) -> bool {
    let (Some(made), Some(judged)) = (made.as_object(), judged.as_object()) else {
        return same(made, judged);
    };
    let default = |name: &str| schema?.get("properties")?.get(name)?.get("default");
    let fits = |name: &str, one: Option<&Value>, other: Option<&Value>| match (one, other) {
        (Some(a), Some(b)) => same(a, b),
        (Some(a), None) | (None, Some(a)) => default(name).is_some_and(|d| same(a, d)),
        (None, None) => true,
    };
    made.keys().chain(judged.keys()).all(|n| fits(n, made.get(n), judged.get(n)))
}
