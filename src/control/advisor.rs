//! Who proposes where the matcher cannot: one interface, and the advisor that answers from recorded
//! fixtures. An advisor is a stranger; its answer passes the same proof and the same gate.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use serde_json::Value;

/// Why an advisor gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AdvisorError {
    /// It has nothing to say to this question.
    #[error("the advisor has no answer for {0}")]
    NoAnswer(String),
    /// A fixture cannot be read.
    #[error("{file}: {what}; expected a JSON object of tool name to routine")]
    Fixture {
        /// Which file.
        file: String,
        /// What is wrong with it.
        what: String,
    },
}

/// Proposes a routine for one tool. It is asked only after the matcher, never on a call's path.
#[async_trait]
pub trait Advisor: Send + Sync {
    /// The name in records: a provider and a model, or `recorded`.
    fn name(&self) -> &str;

    /// Answers a question (structure only, no prose of the peer) with a routine as JSON.
    /// `refutation` is why the last round's answer was not taken.
    ///
    /// # Errors
    /// Where it has no answer.
    async fn propose(
        &self,
        tool: &str,
        question: &Value,
        refutation: Option<&str>,
    ) -> Result<Value, AdvisorError>;
}

/// Answers from a file: the recorded answers of an advisor, by tool name.
#[derive(Clone, Debug, Default)]
pub struct RecordedAdvisor {
    answers: BTreeMap<String, Value>,
}

impl RecordedAdvisor {
    /// Takes answers as they are.
    #[must_use]
    pub fn new(answers: BTreeMap<String, Value>) -> Self {
        Self { answers }
    }

    /// Reads a file of answers: an object of tool name to routine.
    ///
    /// # Errors
    /// Where the file cannot be read or is no such object.
    pub fn from_file(path: &Path) -> Result<Self, AdvisorError> {
        let fault = |what: String| AdvisorError::Fixture { file: path.display().to_string(), what };
        let text = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
        let answers = serde_json::from_slice(&text).map_err(|error| fault(error.to_string()))?;
        Ok(Self { answers })
    }
}

#[async_trait]
impl Advisor for RecordedAdvisor {
    fn name(&self) -> &str {
        "recorded"
    }

    async fn propose(
        &self,
        tool: &str,
        _question: &Value,
        refutation: Option<&str>,
    ) -> Result<Value, AdvisorError> {
        match self.answers.get(tool) {
            // A recording answers the same each time, so a refuted answer is its last.
            Some(answer) if refutation.is_none() => Ok(answer.clone()),
            _ => Err(AdvisorError::NoAnswer(tool.to_owned())),
        }
    }
}
