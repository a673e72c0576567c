//! One judged case, read from its line.

use serde_json::Value;
use thiserror::Error;

use crate::domain::contract::Tool;
use crate::domain::drift::{DriftType, Severity};

/// Who may decide a case, as it was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judged {
    /// A machine alone.
    Auto,
    /// A person, once.
    Review,
    /// Nobody: it must not go.
    Block,
}

/// One call, and what it must become.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The arguments as they were promised.
    pub arguments: Value,
    /// The tool and arguments that the peer must get; `None` where the call must be refused.
    pub mapped: Option<(String, Value)>,
}

/// A judged case: what changed about one tool, and what may be done about it.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldCase {
    /// The case's name.
    pub id: String,
    /// The promised tool (for an added tool, its own name).
    pub tool: String,
    /// The manifest of what was promised, as the corpus names it.
    pub from: String,
    /// The manifest of what is offered now.
    pub to: String,
    /// The tool before, alone; `None` for an added one.
    pub before: Option<Tool>,
    /// The tool after, or its successor; `None` where there is none.
    pub after: Option<Tool>,
    /// The fine-grained kind.
    pub kind: String,
    /// The judged impact.
    pub severity: Severity,
    /// Whether some or all calls can be carried over.
    pub healable: bool,
    /// Who may decide.
    pub judged: Judged,
    /// Whether arguments have to be mapped at all.
    pub needs_routine: bool,
    /// Whether a promised call is rejected, or the tool is gone.
    pub hard: bool,
    /// Calls.
    pub examples: Vec<Example>,
}

/// Why a line is no case.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected {expected} at /{member} of a judged case, got {got}")]
pub struct CaseFault {
    member: &'static str,
    expected: &'static str,
    got: String,
}

impl GoldCase {
    /// Reads one line of the judged cases.
    ///
    /// # Errors
    ///
    /// Where a member is missing or not one of the words that it may be.
    pub fn from_json(line: &Value) -> Result<Self, CaseFault> {
        let text = |member| {
            let found = line.get(member).and_then(Value::as_str);
            found.map(str::to_owned).ok_or_else(|| fault(line, member, "a string"))
        };
        let judged = match text("gate")?.as_str() {
            "auto" => Judged::Auto,
            "review" => Judged::Review,
            "block" => Judged::Block,
            _ => return Err(fault(line, "gate", "auto, review or block")),
        };
        let severity = line.get("severity").cloned().unwrap_or_default();
        let severity = serde_json::from_value(severity)
            .map_err(|_| fault(line, "severity", "low, medium, high or critical"))?;
        let listed = |member: &str| line.get(member).and_then(Value::as_array);
        let tool = |member| line.get(member).cloned().and_then(Tool::from_definition);
        Ok(Self {
            id: text("id")?,
            tool: text("tool")?,
            from: text("from")?,
            to: text("to")?,
            before: tool("before"),
            after: tool("after"),
            kind: text("drift_type")?,
            severity,
            healable: line.get("healable").and_then(Value::as_bool).unwrap_or_default(),
            judged,
            needs_routine: listed("routine").is_some_and(|ops| !ops.is_empty()),
            hard: line.get("breaking").and_then(Value::as_str) == Some("hard"),
            examples: listed("examples").into_iter().flatten().map(example).collect(),
        })
    }

    /// Which of the seven types the kind is of.
    #[must_use]
    pub fn drift_type(&self) -> DriftType {
        drift_family(&self.kind)
    }
}

fn fault(line: &Value, member: &'static str, expected: &'static str) -> CaseFault {
    let got = line.get(member).map_or_else(|| "nothing".to_owned(), Value::to_string);
    CaseFault { member, expected, got }
}

fn example(example: &Value) -> Example {
    let mapped = example.get("args_v2").filter(|arguments| !arguments.is_null()).map(|arguments| {
        let tool = example.get("tool_v2").and_then(Value::as_str).unwrap_or_default();
        (tool.to_owned(), arguments.clone())
    });
    Example { arguments: example.get("args_v1").cloned().unwrap_or_default(), mapped }
}

/// Which of the table's types a fine-grained kind is of.
#[must_use]
pub fn drift_family(kind: &str) -> DriftType {
    match kind {
        "annotation_restated" => DriftType::Policy,
        "semantics_changed"
        | "output_semantics_changed"
        | "param_meaning_changed"
        | "default_changed" => DriftType::Semantic,
        _ if kind.starts_with("tool_") || kind.starts_with("capability_") => DriftType::Capability,
        _ if kind.starts_with("policy_") => DriftType::Policy,
        _ => DriftType::Schema,
    }
}
