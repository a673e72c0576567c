//! What becomes of a reply that Stipula itself cannot judge or record. What fails open skips judging
//! only: who may call, limits, and what waits for a person were decided before the peer was asked.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::bind::Bond;
use super::judge::{Finding, Judged};
use crate::domain::drift::Severity;
use crate::domain::message::ToolName;

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// It is delivered as it came, and counted as waived.
    Open,
    /// It is withheld.
    Closed,
}

/// What becomes of it by what is at stake; the default is what ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The tool promises nothing of its replies.
    pub low: Failing,
    /// The tool only reads.
    pub medium: Failing,
    /// The tool may write.
    pub high: Failing,
    /// The tool says that it destroys (`destructiveHint: true`).
    pub critical: Failing,
}

impl Default for Failure {
    fn default() -> Self {
        Self {
            low: Failing::Open,
            medium: Failing::Open,
            high: Failing::Closed,
            critical: Failing::Closed,
        }
    }
}

impl Failure {
    /// Whether such a reply under this contract is withheld.
    pub(super) fn is_closed(self, bond: &Bond) -> bool {
        let failing = match at_stake(bond) {
            Severity::Low => self.low,
            Severity::Medium => self.medium,
            Severity::High => self.high,
            Severity::Critical => self.critical,
        };
        failing == Failing::Closed
    }
}

/// How bad it would be to deliver what should have been withheld.
fn at_stake(bond: &Bond) -> Severity {
    let tool = &bond.tool;
    if tool.read_only {
        return if tool.reply.is_none() { Severity::Low } else { Severity::Medium };
    }
    let promised = bond.binding.contract.as_ref();
    let destroys = |name: &ToolName| {
        let tools = promised?.promised_tools();
        let tool = tools.iter().find(|tool| tool.name() == name.as_str())?;
        tool.hints().destructive
    };
    match (destroys(&tool.name), tool.reply.is_none()) {
        (Some(true), _) => Severity::Critical,
        (_, true) => Severity::Low,
        (_, false) => Severity::High,
    }
}

/// Judges, and survives a judge that unwinds: the exchange is all that it would have decided
/// about, and nothing is left half-changed: the tape that it held is dropped with it.
pub(super) fn surviving(judge: impl FnOnce() -> Judged) -> Judged {
    catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|_| {
        Judged::plain(Finding::Undecided("the judge of this reply stopped".to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_that_unwinds_leaves_the_reply_undecided() {
        let judged = surviving(|| panic!("on purpose"));
        assert!(matches!(judged.finding, Finding::Undecided(_)), "{judged:?}");
        let judged = surviving(|| Judged::plain(Finding::Kept));
        assert!(matches!(judged.finding, Finding::Kept), "{judged:?}");
    }
}
