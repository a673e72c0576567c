//! What the story came to: the block that is printed, and the artifacts behind it.

use serde::Serialize;
use serde_json::{Value, json};

/// One phase of the story.
#[derive(Clone, Debug, Serialize)]
pub struct Phase {
    /// `baseline`, `drift` or `patch`.
    pub name: &'static str,
    /// Calls the agent made.
    pub calls: usize,
    /// Calls that succeeded.
    pub succeeded: usize,
    /// Genuine errors of the tool.
    pub tool_errors: usize,
    /// Calls that the peer or the sidecar refused.
    pub refused: usize,
    /// The coherence score of the phase's window.
    pub score: f64,
    /// Its grade.
    pub grade: String,
    /// The contract's version at the end of the phase.
    pub version: String,
    /// Everything the sidecar says about the peer at the end of the phase.
    pub status: Value,
}

/// The story as it was played.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Baseline, drift, patch.
    pub phases: Vec<Phase>,
    /// Every drift event.
    pub events: Value,
    /// The routine that carries calls over, as JSON.
    pub routine: Value,
    /// The routine in sentences.
    pub explained: String,
    /// Whether a routine was compiled that was not there before.
    pub recompiled: bool,
    /// How often an advisor was asked.
    pub advisor_calls: u64,
    /// From start to end, in milliseconds.
    pub elapsed_ms: u64,
}

impl Report {
    /// The block that the demo prints.
    #[must_use]
    pub fn block(&self) -> String {
        let mut scores = String::new();
        for (at, phase) in self.phases.iter().enumerate() {
            // The seed's line sets its first figure off with a second blank on either side.
            let (before, gap) = [("", "  "), ("  → ", " "), (" → ", " ")][at.min(2)];
            let (name, score, grade) = (phase.name.to_uppercase(), phase.score, &phase.grade);
            scores.push_str(&format!("{before}{name}{gap}{score:.2} ({grade})"));
        }
        let first = self.phases.first().map_or("none", |phase| phase.version.as_str());
        let last = self.phases.last().map_or("none", |phase| phase.version.as_str());
        let events = self.events.as_array().map(Vec::as_slice).unwrap_or_default();
        let kinds: Vec<String> = events
            .iter()
            .map(|event| format!("{}, {}", word(event, "type"), word(event, "severity")))
            .collect();
        format!(
            "{}\nDrift events: {} ({})\nContract: v{first} → v{last}\nRoutine recompiled: {}\n\
             LLM calls during patch: {} (renegotiation)\nTotal elapsed: {:.2}s\n",
            scores,
            events.len(),
            kinds.join("; "),
            if self.recompiled { "yes" } else { "no" },
            self.advisor_calls,
            self.elapsed_seconds(),
        )
    }

    /// The artifacts: file name and content.
    #[must_use]
    pub fn artifacts(&self) -> Vec<(String, Value)> {
        let mut files: Vec<(String, Value)> = self
            .phases
            .iter()
            .enumerate()
            .map(|(at, phase)| (format!("{}-{}.json", at + 1, phase.name), json!(phase)))
            .collect();
        files.push(("4-events.json".to_owned(), self.events.clone()));
        files.push(("5-routine.json".to_owned(), self.routine.clone()));
        files.push((
            "summary.json".to_owned(),
            json!({
                "scores": self.phases.iter().map(|phase| json!({
                    "phase": phase.name, "score": phase.score, "grade": phase.grade,
                })).collect::<Vec<_>>(),
                "recompiled": self.recompiled,
                "advisor_calls": self.advisor_calls,
                "elapsed_ms": self.elapsed_ms,
            }),
        ));
        files
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a demo fit f64 exactly")]
    fn elapsed_seconds(&self) -> f64 {
        self.elapsed_ms as f64 / 1_000.0
    }
}

fn word<'e>(event: &'e Value, name: &str) -> &'e str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}
