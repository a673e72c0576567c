//! One tool before and after a release, labelled for whether the change breaks callers.

use serde::Serialize;
use serde_json::Value;

use super::table::Share;
use crate::domain::contract::{Surface, Tool};
use crate::domain::drift::{Compatibility, diff};
use crate::domain::negotiation::assess;

/// A labelled pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The pair's name.
    pub id: String,
    /// The tool before; `None` for an added one.
    pub before: Option<Tool>,
    /// The tool after, or its successor; `None` where there is none.
    pub after: Option<Tool>,
    /// How the change breaks callers: `hard`, `soft`, `conditional` or `none`.
    pub breaking: String,
    /// Whether readers of the reply break.
    pub reply_breaking: bool,
}

impl Pair {
    /// Reads one line of the pairs; `None` where it names no tool.
    #[must_use]
    pub fn from_json(line: &Value) -> Option<Self> {
        let tool = |member| line.get(member).cloned().and_then(Tool::from_definition);
        let (before, after) = (tool("before"), tool("after"));
        (before.is_some() || after.is_some()).then_some(Self {
            id: line.get("id")?.as_str()?.to_owned(),
            before,
            after,
            breaking: line.get("breaking")?.as_str()?.to_owned(),
            reply_breaking: line.get("out_breaking").and_then(Value::as_bool).unwrap_or_default(),
        })
    }
}

/// What the engine says about a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairScore {
    /// The pair's name.
    pub id: String,
    /// The label.
    pub breaking: String,
    /// Whether readers of the reply break.
    pub reply_breaking: bool,
    /// The engine's verdict.
    pub verdict: Compatibility,
    /// How many routines were proposed.
    pub proposals: usize,
    /// Whether a tool beside itself was told as changed.
    pub identity_drifts: bool,
}

/// Compares the tool with itself and with what became of it, and proposes what would carry calls over.
#[must_use]
pub fn score_pair(pair: &Pair) -> PairScore {
    let alone = |tool: &Option<Tool>| Surface {
        tools: tool.iter().cloned().collect(),
        ..Surface::default()
    };
    let (before, after) = (alone(&pair.before), alone(&pair.after));
    let drifts = |surface: &Surface| {
        !diff(surface, surface).changes.is_empty() || !assess(surface, surface).is_empty()
    };
    PairScore {
        id: pair.id.clone(),
        breaking: pair.breaking.clone(),
        reply_breaking: pair.reply_breaking,
        verdict: diff(&before, &after).verdict,
        proposals: assess(&before, &after).len(),
        identity_drifts: drifts(&before) || drifts(&after),
    }
}

/// What the pairs come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PairTable {
    /// Pairs.
    pub pairs: usize,
    /// Of those labelled hard: called breaking.
    pub hard: Share,
    /// Of those labelled soft (accepted, and not what it was).
    pub soft: Share,
    /// Of those labelled conditional (only some values).
    pub conditional: Share,
    /// Of those whose reply breaks readers.
    pub replies: Share,
    /// Pairs for which a routine was proposed.
    pub proposed: usize,
    /// Tools beside themselves that were told as changed.
    pub identity_drifts: usize,
}

impl PairTable {
    /// Adds the pairs up.
    #[must_use]
    pub fn of(scores: &[PairScore]) -> Self {
        let called = |score: &&PairScore| score.verdict == Compatibility::Breaking;
        let labelled =
            |label| Share::count(scores.iter().filter(move |s| s.breaking == label), called);
        Self {
            pairs: scores.len(),
            hard: labelled("hard"),
            soft: labelled("soft"),
            conditional: labelled("conditional"),
            replies: Share::count(scores.iter().filter(|s| s.reply_breaking), called),
            proposed: scores.iter().filter(|s| s.proposals > 0).count(),
            identity_drifts: scores.iter().filter(|s| s.identity_drifts).count(),
        }
    }
}

impl PairScore {
    /// Whether the label says that promised calls or replies break, and the engine does not. What breaks
    /// for some values only is counted, and no fault.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        let breaks = self.reply_breaking || matches!(self.breaking.as_str(), "hard" | "soft");
        breaks && self.verdict != Compatibility::Breaking
    }
}
