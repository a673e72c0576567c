//! Whether two properties are one under another name, as far as their names and texts tell.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::drift::normal::same_shape;
use crate::domain::drift::words::{handle, words};

/// Whether a property is told as renamed: the same words, or the same text and shape.
pub(super) fn looks_renamed(from: &str, old: &Value, to: &str, new: &Value) -> bool {
    let (mut one, mut other) = (words(from), words(to));
    one.sort();
    other.sort();
    let text =
        |schema: &Value| schema.get("description").and_then(Value::as_str).map(str::to_owned);
    one == other
        || (text(old).is_some_and(|t| !t.is_empty())
            && text(old) == text(new)
            && same_shape(old, new))
}

/// Whether one name is the other with a word more or less.
pub(super) fn grew(from: &str, to: &str) -> bool {
    let set = |name: &str| words(name).into_iter().collect::<BTreeSet<_>>();
    let (one, other) = (set(from), set(to));
    one.is_subset(&other) || other.is_subset(&one)
}

/// Whether two names say the same thing but for the kind of handle by which they refer to it.
pub(super) fn refers_otherwise(from: &str, to: &str) -> bool {
    let (from, to) = (words(from), words(to));
    let (Some((one, about)), Some((other, of))) = (from.split_last(), to.split_last()) else {
        return false;
    };
    let (one, other) = (handle(one), handle(other));
    one.is_some() && other.is_some() && one != other && !about.is_empty() && about == of
}
