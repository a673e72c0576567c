//! A candidate routine for one promised tool, and what the gate made of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::message::Digest;
use crate::domain::routine::{RoutineDoc, ToolRoutine};

/// Who proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The deterministic matcher.
    Matcher,
    /// An advisor: a model, or a recorded fixture. A stranger.
    Advisor,
}

/// How much of the promise is carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every call.
    All,
    /// Some calls; the others are refused by name.
    Partial,
}

/// A routine for one promised tool before the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The promised tool's name.
    pub tool: String,
    /// The offered tool's name; `None` where the routine chooses among several.
    pub to_tool: Option<String>,
    /// The mapping.
    pub routine: ToolRoutine,
    /// Who proposed it.
    pub origin: Origin,
    /// What the matcher could not settle by itself, in words.
    pub open: Vec<String>,
}

/// The nine rules of the safety gate (`design/4`), by number.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// 1: same peer, no change of effect.
    Effect,
    /// 2: values for the peer come from the caller or a schema.
    Values,
    /// 3: no value flows to a place of another kind.
    Places,
    /// 4: a rename needs positive evidence.
    Names,
    /// 5: no instruction-like text newly introduced.
    Text,
    /// 6: units are stated.
    Units,
    /// 7: nothing the caller gave is lost.
    NothingLost,
    /// 8: nothing is made up for the agent.
    NothingMadeUp,
    /// 9: proof.
    Proof,
}

impl Rule {
    /// The rule's number, 1 to 9.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Effect => 1,
            Self::Values => 2,
            Self::Places => 3,
            Self::Names => 4,
            Self::Text => 5,
            Self::Units => 6,
            Self::NothingLost => 7,
            Self::NothingMadeUp => 8,
            Self::Proof => 9,
        }
    }

    /// What the rule demands of a routine that goes live without a person.
    #[must_use]
    pub const fn demands(self) -> &'static str {
        match self {
            Self::Effect => "the same peer, and no change of what a call may do",
            Self::Values => "values for the peer come from the caller, or are dictated by a schema",
            Self::Places => "no value goes to a place of another kind",
            Self::Names => "a rename needs evidence beyond what is left over",
            Self::Text => "no text is new that addresses a model",
            Self::Units => "a conversion needs units that both sides state",
            Self::NothingLost => "nothing that the caller gave is lost",
            Self::NothingMadeUp => "nothing in a reply is made up",
            Self::Proof => "it is proven, or replayed without a difference",
        }
    }
}

/// A rule that holds a proposal back, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Which rule.
    pub rule: Rule,
    /// Why, in words, with the pointer it is about.
    pub why: String,
}

/// What the gate decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may go live without a person.
    Auto,
    /// It waits for a person.
    Review,
    /// There is nothing to approve.
    None,
}

/// What a proof said, without its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProofWord {
    /// By schema containment.
    Proven,
    /// With a counter-example.
    Refuted,
    /// Rests on samples, if on anything.
    Unknown,
}

/// A candidate that went through the gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// The promised tool's name.
    pub tool: String,
    /// The offered tool's name.
    pub to_tool: Option<String>,
    /// A whole routine document with this one tool's entry.
    pub routine: RoutineDoc,
    /// What the proof said.
    pub proof: ProofWord,
    /// What the gate decided.
    pub gate: Decision,
    /// The rules that held it back.
    pub held_by: Vec<Held>,
    /// How much is carried over.
    pub scope: Scope,
    /// Who proposed it.
    pub origin: Origin,
    /// Where nothing is mapped and a person takes what was observed as the new meaning: its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopts: Option<Digest>,
}
