//! A language model behind a provider, asked for a routine.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::{Advisor, Answered, Round, Spent};
use crate::wire::protocol::advisor::{Failure, Provider, Turn, Usage};

/// What every model is told first.
const SYSTEM: &str = include_str!("system.txt");
/// Bytes of text that at least make a token, to set enough aside before a request goes.
const BYTES_PER_TOKEN: u64 = 2;
/// Longest reason that is told back, in bytes.
const REASON_BYTES: usize = 4_000;

/// What a million tokens cost, in any unit of money.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prices {
    /// That are read.
    pub input: f64,
    /// That are written.
    pub output: f64,
}

impl Prices {
    /// The money for this usage, in millionths of the unit, rounded up.
    fn of(&self, usage: Usage) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "tokens stay far below 2^53")]
        let micros = usage.input as f64 * self.input + usage.output as f64 * self.output;
        // The cast saturates; prices are checked to be numbers that are not negative.
        micros.ceil() as u64
    }
}

/// A model and what it costs.
#[derive(Clone, Debug)]
pub struct ModelAdvisor {
    name: String,
    kind: &'static str,
    provider: Provider,
    prices: Prices,
}

impl ModelAdvisor {
    /// A model under the operator's name for it; `kind` is what its provider is, for people.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        kind: &'static str,
        provider: Provider,
        prices: Prices,
    ) -> Self {
        Self { name: name.into(), kind, provider, prices }
    }

    fn request(&self, round: &Round<'_>) -> Vec<u8> {
        let mut question = round.question.clone();
        // The schema of the answer travels as the grammar that the model is held to.
        let schema = question.as_object_mut().and_then(|members| members.remove("answer"));
        let mut turns = vec![Turn::Ours(question.to_string())];
        for refuted in round.earlier {
            if !refuted.answer.is_null() {
                turns.push(Turn::Theirs(refuted.answer.to_string()));
            }
            let why = shortened(&refuted.why);
            turns.push(Turn::Ours(format!("This routine is not taken: {why}\nPropose another.")));
        }
        let mut schema = schema.unwrap_or_else(|| json!({ "type": "object" }));
        if let Some(members) = schema.as_object_mut() {
            members.remove("$schema");
        }
        self.provider.request(SYSTEM, &schema, &turns)
    }

    fn spent(&self, usage: Usage) -> Spent {
        Spent {
            calls: 1,
            input_tokens: usage.input,
            output_tokens: usage.output,
            cost_micros: self.prices.of(usage),
        }
    }
}

#[async_trait]
impl Advisor for ModelAdvisor {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> String {
        format!("{} {}", self.kind, self.provider.model())
    }

    fn worth(&self, round: &Round<'_>) -> Spent {
        let bytes = self.request(round).len() as u64;
        let output = u64::from(self.provider.max_tokens());
        self.spent(Usage { input: bytes.div_ceil(BYTES_PER_TOKEN), output })
    }

    async fn propose(&self, round: &Round<'_>, within: Duration) -> Answered {
        let heard = self.provider.ask(self.request(round), within).await;
        let spent = match (&heard.answer, heard.usage) {
            (_, Some(usage)) => self.spent(usage),
            // Nothing was run, so nothing is charged.
            (Err(Failure::Unreachable(_) | Failure::Status { .. }), None) => {
                self.spent(Usage::default())
            }
            // It may have been run to its end: what was set aside is taken as spent.
            (_, None) => self.worth(round),
        };
        Answered { spent, outcome: heard.answer.map_err(Into::into) }
    }
}

/// A reason short enough to be told back.
fn shortened(why: &str) -> &str {
    let mut end = why.len().min(REASON_BYTES);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    &why[..end]
}
