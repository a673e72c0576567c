//! What changed between two surfaces, and what each change does to a caller if nothing is done.
//!
//! ```text
//!   tools by name ──► gone, renamed, added
//!                └──► kept: request | reply schema (normal form) ──► text, hints ──► Change*
//! ```
//!
//! Never here: a severity that depends on what the matcher found; that is the event's.

mod meaning;
mod renamed;
mod schema;
mod surface;
#[cfg(test)]
mod tests;

pub use schema::{fits, is_default_changed};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::normal::{normal, same_shape};
use super::{Change, DriftType, Face, Severity};
use crate::domain::contract::{Surface, Tool};

/// The verdict over all changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compatibility {
    /// Nothing that a caller could notice.
    Compatible,
    /// Only more than before.
    Additive,
    /// Some promised call or reply no longer means what it did.
    Breaking,
}

/// All changes between two surfaces, ordered by tool, face and pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The verdict.
    pub verdict: Compatibility,
    /// The changes.
    pub changes: Vec<Change>,
}

/// Compares what was promised with what is offered now.
#[must_use]
pub fn diff(old: &Surface, new: &Surface) -> Diff {
    let mut all = Collected { changes: Vec::new(), verdict: Compatibility::Compatible };
    surface::identity(old, new, &mut all);
    for tool in &old.tools {
        match new.tool(tool.name()) {
            Some(now) => of_tool(tool, now, &mut all),
            None => gone(tool, old, new, &mut all),
        }
    }
    for tool in new.tools.iter().filter(|tool| old.tool(tool.name()).is_none()) {
        let message = format!("`{}` is new", tool.name());
        let about = About { tool: tool.name(), face: Face::Surface, pointer: "" };
        all.tell(about, "tool_added", DriftType::Capability, Severity::Medium, message);
        all.verdict = all.verdict.max(Compatibility::Additive);
        surface::instructions(None, tool, &mut all);
    }
    all.changes.sort();
    Diff { verdict: all.verdict, changes: all.changes }
}

/// Changes as they are found.
struct Collected {
    changes: Vec<Change>,
    verdict: Compatibility,
}

/// Where a change stands.
#[derive(Clone, Copy)]
struct About<'a> {
    tool: &'a str,
    face: Face,
    pointer: &'a str,
}

impl Collected {
    fn tell(
        &mut self,
        about: About<'_>,
        kind: &str,
        drift_type: DriftType,
        severity: Severity,
        message: String,
    ) {
        self.changes.push(Change {
            tool: about.tool.to_owned(),
            pointer: about.pointer.to_owned(),
            face: about.face,
            kind: kind.to_owned(),
            drift_type,
            severity,
            message,
        });
    }
}

fn gone(tool: &Tool, old: &Surface, new: &Surface, all: &mut Collected) {
    let about = About { tool: tool.name(), face: Face::Surface, pointer: "" };
    let heir = new.tools.iter().find(|now| {
        !tool.description().is_empty()
            && tool.description() == now.description()
            && old.tool(now.name()).is_none()
            && faces(tool).iter().zip(&faces(now)).all(|(one, other)| same_shape(one, other))
    });
    let (kind, message) = match heir {
        Some(heir) => ("tool_renamed", format!("`{}` is now `{}`", tool.name(), heir.name())),
        None => ("tool_removed", format!("`{}` is gone", tool.name())),
    };
    all.tell(about, kind, DriftType::Capability, Severity::Critical, message);
    all.verdict = Compatibility::Breaking;
}

fn of_tool(old: &Tool, new: &Tool, all: &mut Collected) {
    if old.definition() == new.definition() {
        return;
    }
    let told = all.changes.len();
    let ([request, reply], [requested, replied]) = (faces(old), faces(new));
    let mut found: Vec<_> = schema::compare(Face::Request, &request, &requested, "/inputSchema")
        .into_iter()
        .map(|found| (Face::Request, found))
        .collect();
    found.extend(of_replies(old, new, &reply, &replied).into_iter().map(|f| (Face::Reply, f)));
    for (face, found) in found {
        // Extras were never promised, so a routine has nothing to carry; but who sends them is refused.
        let refuses = found.kind == "closed" && face == Face::Request;
        let more = match found.breaking || refuses {
            true => Compatibility::Breaking,
            false => added(found.kind),
        };
        all.verdict = all.verdict.max(more);
        let about = About { tool: old.name(), face, pointer: &found.pointer };
        all.tell(about, found.kind, found.drift_type, found.severity, found.message);
    }
    surface::texts(old, new, all);
    surface::instructions(Some(old), new, all);
    surface::hints(old, new, all);
    if all.changes.len() == told {
        let about = About { tool: old.name(), face: Face::Surface, pointer: "" };
        let message = "the same meaning in other words".to_owned();
        all.tell(about, "restated", DriftType::Schema, Severity::Low, message);
    }
}

/// A declared reply schema that appears or goes away is one change, not one for each field.
fn of_replies(old: &Tool, new: &Tool, reply: &Value, replied: &Value) -> Vec<schema::Found> {
    let at = "/outputSchema";
    let one = |kind, severity, breaking, message: &str| {
        let (pointer, drift_type) = (at.to_owned(), DriftType::Schema);
        let message = message.to_owned();
        vec![schema::Found { pointer, kind, drift_type, severity, breaking, message }]
    };
    match (old.output_schema(), new.output_schema()) {
        (None, None) => Vec::new(),
        (None, Some(_)) => {
            one("output_schema_added", Severity::Low, false, "replies now have a declared shape")
        }
        (Some(_), None) => one(
            "output_schema_removed",
            Severity::Medium,
            true,
            "replies have no declared shape now",
        ),
        (Some(_), Some(_)) => schema::compare(Face::Reply, reply, replied, at),
    }
}

/// Request and reply schema in their normal spelling.
fn faces(tool: &Tool) -> [Value; 2] {
    [tool.input_schema(), tool.output_schema()]
        .map(|schema| schema.map_or_else(|| json!({}), normal))
}

/// What a change that breaks nothing adds.
fn added(kind: &str) -> Compatibility {
    match kind {
        "description_changed" | "default_restated" | "closed" | "opened" | "restated" => {
            Compatibility::Compatible
        }
        _ => Compatibility::Additive,
    }
}
