//! What a changed text or default says: a rewording, or another meaning.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::drift::words::{units, words};
use crate::domain::drift::{DriftType, Severity};

/// Kind, type, impact and words for a description that changed.
pub(super) fn of_texts(old: &str, new: &str) -> (&'static str, DriftType, Severity, String) {
    let (before, after) = (units(old), units(new));
    if !before.is_empty() && !after.is_empty() && before.is_disjoint(&after) {
        let message = format!("the unit was {before:?}, now {after:?}");
        return ("unit_changed", DriftType::Semantic, Severity::High, message);
    }
    let (before, after) = (handles(old), handles(new));
    if before.len() == 1 && after.len() == 1 && before != after {
        let message = format!("it meant {before:?}, now {after:?}");
        return ("meaning_changed", DriftType::Semantic, Severity::High, message);
    }
    let message = "reworded".to_owned();
    ("description_changed", DriftType::Schema, Severity::Low, message)
}

/// Ways to refer that exclude one another, where a text names them.
fn handles(text: &str) -> BTreeSet<String> {
    words(text).into_iter().filter(|w| matches!(w.as_str(), "index" | "id" | "cursor")).collect()
}

/// Whether a default says "nothing": absent, null, or empty.
pub(super) fn is_empty(default: Option<&Value>) -> bool {
    match default {
        None | Some(Value::Null) => true,
        // A text of empty JSON says nothing either.
        Some(Value::String(text)) => matches!(text.trim(), "" | "{}" | "[]"),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        Some(_) => false,
    }
}

/// Whether two defaults are the same set of comma-separated words in another order.
pub(super) fn same_list(one: &Value, other: &Value) -> bool {
    let set = |value: &Value| -> Option<BTreeSet<String>> {
        let text = value.as_str()?.to_owned();
        text.contains(',').then(|| text.split(',').map(|part| part.trim().to_owned()).collect())
    };
    set(one).is_some() && set(one) == set(other)
}
