//! Who proposes where the matcher cannot: one interface, and a panel that asks in order.
//!
//! ```text
//!   round ─► panel ─► breaker closed? ─► budget left? ─► advisor ─► answer (data from a stranger)
//!               └──── the next in order, while the round's time lasts ◄── failure
//! ```
//!
//! Never here: a judgement on an answer (proof and gate judge it as anybody's); an advisor on a call's
//! path; more than a round's time, however many advisors there are.

mod budget;
mod model;
mod panel;
mod recorded;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::wire::protocol::advisor::Failure;

pub use self::model::{ModelAdvisor, Prices};
pub use self::panel::{AdvisorStatus, AdvisorsStatus, Panel, Settings, SpentStatus};
pub use self::recorded::RecordedAdvisor;
pub use budget::Settings as BudgetSettings;

/// Why an advisor gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdvisorError {
    /// It has nothing to say to this question.
    #[error("it has no answer for {0}")]
    NoAnswer(String),
    /// A fixture cannot be read.
    #[error("{file}: {what}; expected a JSON object of tool name to routine")]
    Fixture {
        /// Which file.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// The provider, or the model behind it.
    #[error(transparent)]
    Provider(#[from] Failure),
    /// Its breaker is open, or it asked to be left alone.
    #[error("it is left alone for now: {0}")]
    Resting(String),
    /// The budget has no room for one more answer of it.
    #[error("the budget is used up: {0}")]
    Spent(String),
    /// The round's time was over before it was its turn.
    #[error("no time was left to ask")]
    NoTime,
}

/// What an answer cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Requests that were sent.
    pub calls: u64,
    /// Tokens that were read.
    pub input_tokens: u64,
    /// Tokens that were written.
    pub output_tokens: u64,
    /// Money, in millionths of the unit that prices are given in.
    pub cost_micros: u64,
}

impl Spent {
    /// Tokens of both kinds.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Adds another one.
    pub const fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
    }
}

/// An earlier answer of the same negotiation, and why it was not taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Refuted {
    /// The answer; null where it was no JSON.
    pub answer: Value,
    /// Why not, in words.
    pub why: String,
}

/// One round of a negotiation.
#[derive(Clone, Copy, Debug)]
pub struct Round<'r> {
    /// The promised tool.
    pub tool: &'r str,
    /// The question: structure, and no prose of the peer unless it is allowed.
    pub question: &'r Value,
    /// The rounds before, oldest first.
    pub earlier: &'r [Refuted],
}

/// What an advisor said, and what it cost to hear it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// What it cost, as far as it is known.
    pub spent: Spent,
    /// A routine as JSON, unread; or why there is none.
    pub outcome: Result<Value, AdvisorError>,
}

/// Proposes a routine for one tool. It is asked only after the matcher, never on a call's path.
#[async_trait]
pub trait Advisor: Send + Sync {
    /// The name in records and metrics: the operator's, or `recorded`.
    fn name(&self) -> &str;

    /// What it is, for people: a provider and a model.
    fn kind(&self) -> String;

    /// The most that an answer to this round may cost.
    fn worth(&self, round: &Round<'_>) -> Spent;

    /// Answers a round within the span.
    async fn propose(&self, round: &Round<'_>, within: Duration) -> Answered;
}
