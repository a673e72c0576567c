//! The advisor that answers from recorded fixtures, for tests and the demo.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::{Advisor, AdvisorError, Answered, Round, Spent};

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

    fn kind(&self) -> String {
        "recorded answers".to_owned()
    }

    fn worth(&self, _: &Round<'_>) -> Spent {
        Spent::default()
    }

    async fn propose(&self, round: &Round<'_>, _: Duration) -> Answered {
        let outcome = match self.answers.get(round.tool) {
            // A recording answers the same each time, so a refuted answer is its last.
            Some(answer) if round.earlier.is_empty() => Ok(answer.clone()),
            _ => Err(AdvisorError::NoAnswer(round.tool.to_owned())),
        };
        Answered { spent: Spent::default(), outcome }
    }
}
