//! The section `advisors` as it is written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;
use crate::control::advisor::{BudgetSettings, Settings};

/// Language models that are asked where the matcher leaves something open. Off unless `order` names
/// one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Advisors {
    /// Who is asked, the first one first; the next only where the one before gives no answer.
    pub(in crate::config) order: Vec<Advisor>,
    /// Whether advisors are shown the peer's descriptions, which a stranger wrote.
    pub(in crate::config) descriptions: bool,
    /// Rounds of a negotiation at most; each tells the advisor why its last answer was not taken.
    #[schemars(range(min = 1, max = 3))]
    pub(in crate::config) rounds: u32,
    /// How long a round may take.
    #[schemars(range(min = 100, max = 30_000))]
    pub(in crate::config) round_ms: u64,
    /// How long all rounds may take together.
    #[schemars(range(min = 100, max = 60_000))]
    pub(in crate::config) total_ms: u64,
    /// What all advisors may cost together.
    pub(in crate::config) budget: Budget,
    /// When an advisor is left alone.
    pub(in crate::config) breaker: Breaker,
}

/// What all advisors may cost together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Budget {
    /// Requests in any hour.
    #[schemars(range(min = 0, max = 100_000))]
    pub(in crate::config) calls_per_hour: u64,
    /// Tokens, read and written, in any hour; null: no bound.
    pub(in crate::config) tokens_per_hour: Option<u64>,
    /// Tokens in any day; null: no bound.
    pub(in crate::config) tokens_per_day: Option<u64>,
    /// Money in any hour, in the unit of the prices; null: no bound.
    #[schemars(range(min = 0.0))]
    pub(in crate::config) cost_per_hour: Option<f64>,
    /// Money in any day; null: no bound.
    #[schemars(range(min = 0.0))]
    pub(in crate::config) cost_per_day: Option<f64>,
}

/// When an advisor is left alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Breaker {
    /// Failures in a row that open its breaker.
    #[schemars(range(min = 1))]
    pub(in crate::config) failures: u32,
    /// How long it stays open; then one request tries.
    #[schemars(range(min = 1))]
    pub(in crate::config) open_ms: u64,
}

/// One advisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Advisor {
    /// What records, metrics and `stipula status` call it.
    pub(in crate::config) name: String,
    /// Whose API it speaks.
    pub(in crate::config) provider: Provider,
    /// The base URL, for instance `https://api.openai.com/v1`; null: the provider's own, where it has
    /// one.
    #[serde(default)]
    pub(in crate::config) url: Option<String>,
    /// The model, as the provider names it.
    pub(in crate::config) model: String,
    /// The key: `${env:NAME}` or `{ file: PATH }`; null: none, as local servers want it.
    #[serde(default)]
    pub(in crate::config) key: Option<Secret>,
    /// `api-version` of an Azure URL that names a deployment; null: the version-free API.
    #[serde(default)]
    pub(in crate::config) api_version: Option<String>,
    /// How the model is held to the routine's schema; null: `schema`.
    #[serde(default)]
    pub(in crate::config) constraint: Option<Constraint>,
    /// Most tokens of one answer, thoughts included.
    #[serde(default = "max_tokens")]
    #[schemars(range(min = 256, max = 128_000))]
    pub(in crate::config) max_tokens: u32,
    /// Longest answer of the provider, in bytes.
    #[serde(default = "reply_bytes")]
    #[schemars(range(min = 1024, max = 16_777_216))]
    pub(in crate::config) reply_bytes: usize,
    /// What a million tokens cost.
    #[serde(default)]
    pub(in crate::config) prices: Prices,
    /// A PEM bundle of authorities to trust instead of the platform's.
    #[serde(default)]
    pub(in crate::config) roots: Option<PathBuf>,
}

/// Whose API an advisor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Provider {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's chat completions.
    Openai,
    /// Azure OpenAI's chat completions.
    AzureOpenai,
    /// Ollama, vLLM, llama.cpp and other servers of chat completions.
    OpenaiCompatible,
}

/// How a model is held to the routine's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Constraint {
    /// By the provider's structured output.
    Schema,
    /// By a tool whose arguments are the answer; Anthropic only.
    Tool,
    /// By words alone.
    Words,
}

/// What a million tokens cost, in any unit of money.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Prices {
    /// That are read.
    #[schemars(range(min = 0.0))]
    pub(in crate::config) input: f64,
    /// That are written.
    #[schemars(range(min = 0.0))]
    pub(in crate::config) output: f64,
}

const fn max_tokens() -> u32 {
    8_192
}

const fn reply_bytes() -> usize {
    1024 * 1024
}

impl Default for Advisors {
    fn default() -> Self {
        let room = Settings::default();
        Self {
            order: Vec::new(),
            descriptions: room.descriptions,
            rounds: room.rounds,
            round_ms: room.round.0,
            total_ms: room.total.0,
            budget: Budget::default(),
            breaker: Breaker::default(),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        let room = BudgetSettings::default();
        Self {
            calls_per_hour: room.calls_per_hour,
            tokens_per_hour: room.tokens_per_hour,
            tokens_per_day: room.tokens_per_day,
            cost_per_hour: None,
            cost_per_day: None,
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        let room = Settings::default().breaker;
        Self { failures: room.failures, open_ms: room.open.0 }
    }
}
