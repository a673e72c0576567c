//! How a language model is asked for a routine: Anthropic's Messages API, and the chat completions
//! that OpenAI, Azure OpenAI, Ollama, vLLM and llama.cpp speak.
//!
//! ```text
//!   turns ─► request of the provider (grammar: the routine's schema) ─► upstream client ─► one host
//!   Heard ◄─ strict JSON, bounded ◄─ answer of the provider ◄───────────────────────────────┘
//! ```
//!
//! Never here: a redirect followed, a host that configuration does not name, a key in an error, a
//! text of a provider repeated, a judgement on what a model proposes.

mod anthropic;
mod grammar;
mod openai;
mod provider;

#[cfg(test)]
mod tests;

use serde_json::Value;

pub use self::grammar::{Optional, closed};
pub use self::provider::{Provider, Settings};

/// Whose API a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anthropic's Messages API, version 2023-06-01.
    Anthropic,
    /// OpenAI's chat completions.
    OpenAi,
    /// Azure OpenAI's chat completions: the same, with `api-key` and perhaps `api-version`.
    AzureOpenAi,
    /// A server that speaks chat completions as OpenAI first did: Ollama, vLLM, llama.cpp.
    OpenAiCompatible,
}

/// How a model is held to the schema of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// By the provider's structured output: the model cannot write anything else.
    Schema,
    /// By a tool whose arguments are the answer; Anthropic only.
    Tool,
    /// By words alone, for servers that know neither.
    Words,
}

/// One turn of a negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// What we say: the question, or why the answer before was not taken.
    Ours(String),
    /// What the model answered.
    Theirs(String),
}

impl Turn {
    /// The message that both kinds of API take.
    fn message(&self) -> serde_json::Value {
        let (role, content) = match self {
            Self::Ours(text) => ("user", text),
            Self::Theirs(text) => ("assistant", text),
        };
        serde_json::json!({ "role": role, "content": content })
    }
}

/// What a model was charged for, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// What it read.
    pub input: u64,
    /// What it wrote, thoughts included.
    pub output: u64,
}

/// What came back from a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// What the provider says it charges; `None` where it does not say.
    pub usage: Option<Usage>,
    /// The model's answer as JSON, or why there is none.
    pub answer: Result<Value, Failure>,
}

impl Heard {
    fn failed(failure: Failure) -> Self {
        Self { usage: None, answer: Err(failure) }
    }
}

/// Why a model gave no answer. Never a text that the provider or the model wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection, or it broke before the answer was whole.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// The answer did not come in time.
    #[error("no answer within {0} ms")]
    Slow(u64),
    /// An HTTP status other than 200.
    #[error("HTTP {status}{}", told(.word))]
    Status {
        /// The status.
        status: u16,
        /// The provider's own word for it, where it is one plain word.
        word: Option<String>,
        /// How long it asks to be left alone, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// More bytes than are taken.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// Not the strict JSON that this API answers with.
    #[error("not an answer of this API: {0}")]
    Malformed(String),
    /// The model stopped before its answer was whole.
    #[error("the answer was cut off; the limit of tokens is too small for it")]
    CutOff,
    /// The model, or a filter before it, declined.
    #[error("the model declined to answer")]
    Declined,
    /// The model answered, and not with JSON.
    #[error("the model's answer is not JSON: {0}")]
    NotJson(String),
}

fn told(word: &Option<String>) -> String {
    word.as_ref().map(|word| format!(" ({word})")).unwrap_or_default()
}
