//! What is adjusted while a tool is slow or failing: how often its calls are tried again. Never beyond
//! what is configured, and taken back with the event; both are recorded.

use serde_json::{Value, json};
use uuid::Uuid;

use super::actor::Peer;
use crate::domain::drift::DriftEvent;
use crate::domain::evidence::RecordBody;
use crate::domain::health::{Adjustment, RetryRules, Trouble};
use crate::domain::message::ToolName;
use crate::live::Mode;

impl Peer {
    /// Adjusts the retries of a tool to how it does now.
    pub(super) fn adjust(&mut self, tool: &ToolName) {
        let Some(life) = self.tools.get(tool) else { return };
        let Some(performance) = life.performance.as_deref() else { return };
        // Calls of tools that are only watched are tried once in any case.
        let enforced = self.mode_of(tool.as_str(), true) == Mode::Enforce;
        let due = performance.health.adjustment();
        let to = if enforced && performance.event.is_some() { due } else { Adjustment::None };
        let event = performance.event;
        self.readjust(tool, event, to);
    }

    /// Puts this adjustment in force, and records it where it changes anything.
    pub(super) fn readjust(&mut self, tool: &ToolName, event: Option<Uuid>, to: Adjustment) {
        let Some(life) = self.tools.get(tool) else { return };
        let from = life.health.adjust(to);
        let configured = self.settings.retry;
        let (before, after) = (configured.adjusted(from), configured.adjusted(to));
        let Some(drift_id) = event.filter(|_| before != after) else { return };
        let body = RecordBody::Patch {
            drift_id,
            tool: tool.to_string(),
            before: told(before),
            after: told(after),
            detail: why(to).to_owned(),
        };
        let record = self.shared.scribe.record(self.id(), body);
        self.shared.scribe.later(record);
    }
}

/// What an open event had brought about, by the trouble that it began with.
pub(super) fn adjusted_by(event: &DriftEvent) -> Adjustment {
    let kind = &event.evidence.diff[0]["kind"];
    let of = |trouble: Trouble| kind == trouble.word();
    if of(Trouble::Slow) || of(Trouble::Late) {
        Adjustment::Off
    } else if of(Trouble::Failing) {
        Adjustment::Slower
    } else {
        Adjustment::None
    }
}

fn told(rules: RetryRules) -> Value {
    json!({ "retries": rules.most, "retry_pause_ms": rules.pause.0 })
}

const fn why(to: Adjustment) -> &'static str {
    match to {
        Adjustment::None => "as configured: the trouble is over",
        Adjustment::Slower => "calls fail: they are tried again after longer pauses",
        Adjustment::Off => "calls are slow: to try them again would make them slower",
    }
}
