//! One value carried over to another schema: casts, arrays of one, enum values by their spelling.

use serde_json::{Value, json};

use super::fields::{self, Side};
use crate::domain::drift::fits;
use crate::domain::drift::normal::{types, values};
use crate::domain::drift::words::words;
use crate::domain::routine::{CastTo, MapEntry, Op};

/// What carries a value over.
pub(super) enum Carriage {
    /// These operations, pointers below the place itself; none where it fits as it is.
    Ops(Vec<Op>),
    /// These, and what is left open.
    Partly(Vec<Op>, String),
    /// Nothing does.
    Lost(String),
}

/// Carries the value at `at` from `from` to `into`.
pub(super) fn value(side: Side, from: &Value, into: &Value, at: &str, depth: usize) -> Carriage {
    if depth > 8 {
        return Carriage::Lost("nested too deep to be mapped".to_owned());
    }
    if fits(from, into) {
        return Carriage::Ops(Vec::new());
    }
    let place = fields::place(at);
    let mut ops = Vec::new();
    let from = &without_null(from, into, &place, &mut ops);
    if fits(from, into) {
        return Carriage::Ops(ops);
    }
    if let (Some(before), Some(after)) = (values(from), values(into)) {
        return listed(spelled(before, after), ops, place);
    }
    let (Some(before), Some(after)) = (types(from), types(into)) else {
        return unioned(side, from, into, at, depth, ops);
    };
    let one = |types: &std::collections::BTreeSet<&str>| -> Option<String> {
        let mut told = types.iter().filter(|t| **t != "null");
        let first = told.next()?;
        told.next().is_none().then(|| (*first).to_owned())
    };
    let (Some(source), Some(target)) = (one(&before), one(&after)) else {
        return unioned(side, from, into, at, depth, ops);
    };
    match (source.as_str(), target.as_str()) {
        ("object", "object") => match fields::inside(side, from, into, at, depth + 1) {
            Some(carried) => {
                ops.extend(carried.ops);
                match carried.open.is_empty() {
                    true => Carriage::Ops(ops),
                    false => Carriage::Partly(ops, carried.open.join("; ")),
                }
            }
            None => Carriage::Lost("its members cannot be carried over".to_owned()),
        },
        ("array", "array") => each(side, from, into, at, depth, ops),
        (s, "array") if s != "object" || into.get("items").is_some() => {
            wrapped(side, from, into, at, depth, ops)
        }
        ("array", _) => unwrapped(side, from, into, at, depth, ops),
        _ => scalar(from, into, &source, &target, ops, place),
    }
}

/// One value became an array of it.
fn wrapped(
    side: Side,
    from: &Value,
    into: &Value,
    at: &str,
    depth: usize,
    mut ops: Vec<Op>,
) -> Carriage {
    let items = into.get("items").cloned().unwrap_or_else(|| json!({}));
    match value(side, from, &items, at, depth + 1) {
        Carriage::Ops(inner) if types(&items).is_some() => {
            ops.extend(inner);
            ops.push(Op::Wrap { at: fields::place(at) });
            Carriage::Ops(ops)
        }
        _ => Carriage::Lost("it became an array of something else".to_owned()),
    }
}

/// An array became one of its items.
fn unwrapped(
    side: Side,
    from: &Value,
    into: &Value,
    at: &str,
    depth: usize,
    mut ops: Vec<Op>,
) -> Carriage {
    let items = from.get("items").cloned().unwrap_or_else(|| json!({}));
    if types(&items).is_none() {
        return Carriage::Lost("an array became one value".to_owned());
    }
    ops.push(Op::Unwrap { at: fields::place(at) });
    match value(side, &items, into, at, depth + 1) {
        Carriage::Ops(inner) => {
            ops.extend(inner);
            Carriage::Ops(ops)
        }
        _ => Carriage::Lost("an array became something else".to_owned()),
    }
}

/// Values of a closed list, by how they are spelled on the other side.
fn listed(spelling: Spelling, mut ops: Vec<Op>, place: jsonptr::PointerBuf) -> Carriage {
    match spelling {
        Spelling::Same => Carriage::Ops(ops),
        Spelling::All(table) => {
            ops.push(Op::Map { at: place, table });
            Carriage::Ops(ops)
        }
        Spelling::Some(table) => {
            let known = table.iter().map(|row| row.from.clone()).collect();
            ops.push(Op::RefuseIf {
                at: place.clone(),
                not_one_of: Some(known),
                reason: "this value is no longer offered".to_owned(),
            });
            if table.iter().any(|row| row.from != row.to) {
                ops.push(Op::Map { at: place, table });
            }
            Carriage::Partly(ops, "some of its values are no longer offered".to_owned())
        }
        Spelling::None => Carriage::Lost("no value of it is still offered".to_owned()),
    }
}

/// Scalars and JSON in a string.
fn scalar(
    from: &Value,
    into: &Value,
    source: &str,
    target: &str,
    mut ops: Vec<Op>,
    place: jsonptr::PointerBuf,
) -> Carriage {
    if source == target || (source == "integer" && target == "number") {
        // A bound, a format, an enum that free text may meet: what fits passes, the rest the peer
        // refuses.
        return Carriage::Ops(ops);
    }
    if values(into).is_some() {
        return Carriage::Lost(format!("{source} became a closed list of {target}s"));
    }
    let says_json = |schema: &Value| {
        let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        words(text).iter().any(|word| word == "json")
    };
    match (source, target) {
        ("integer" | "number" | "boolean", "string") => {
            ops.push(Op::Cast { at: place, to: CastTo::String });
        }
        ("string" | "number", "integer") => ops.push(Op::Cast { at: place, to: CastTo::Integer }),
        ("string", "number") => ops.push(Op::Cast { at: place, to: CastTo::Number }),
        ("string", "boolean") => ops.push(Op::Cast { at: place, to: CastTo::Boolean }),
        ("object", "string") if says_json(from) || says_json(into) => {
            // That the string holds JSON stands in prose only, and so does how it is spaced.
            ops.push(Op::Print { at: place });
            return Carriage::Partly(
                ops,
                "only its text says that it is JSON in a string".to_owned(),
            );
        }
        ("string", "object") if says_json(from) || says_json(into) => {
            ops.push(Op::Parse { at: place });
        }
        _ => return Carriage::Lost(format!("{source} became {target}")),
    }
    Carriage::Ops(ops)
}

fn each(
    side: Side,
    from: &Value,
    into: &Value,
    at: &str,
    depth: usize,
    mut ops: Vec<Op>,
) -> Carriage {
    let items = |schema: &Value| schema.get("items").cloned().unwrap_or_else(|| json!({}));
    match value(side, &items(from), &items(into), "", depth + 1) {
        Carriage::Ops(inner) => {
            if !inner.is_empty() {
                ops.push(Op::Each { at: fields::place(at), ops: inner });
            }
            Carriage::Ops(ops)
        }
        Carriage::Partly(inner, open) => {
            ops.push(Op::Each { at: fields::place(at), ops: inner });
            Carriage::Partly(ops, open)
        }
        lost @ Carriage::Lost(_) => lost,
    }
}

/// Unions: every variant fits as it is but one object, whose members are mapped.
fn unioned(
    side: Side,
    from: &Value,
    into: &Value,
    at: &str,
    depth: usize,
    mut ops: Vec<Op>,
) -> Carriage {
    let variants = |schema: &Value| -> Vec<Value> {
        let union = schema.get("anyOf").or_else(|| schema.get("oneOf"));
        union.and_then(Value::as_array).cloned().unwrap_or_else(|| vec![schema.clone()])
    };
    let (before, after) = (variants(from), variants(into));
    let rest: Vec<&Value> =
        before.iter().filter(|one| !after.iter().any(|other| fits(one, other))).collect();
    let objects: Vec<&Value> =
        after.iter().filter(|v| types(v).is_some_and(|t| t.contains("object"))).collect();
    match (rest.as_slice(), objects.as_slice()) {
        ([one], [other]) if types(one).is_some_and(|t| t.contains("object")) => {
            match fields::inside(side, one, other, at, depth + 1) {
                Some(inner) if inner.open.is_empty() => {
                    ops.extend(inner.ops);
                    Carriage::Ops(ops)
                }
                _ => Carriage::Lost("a variant cannot be carried over".to_owned()),
            }
        }
        ([], _) => Carriage::Ops(ops),
        _ if before.len() == 1 && after.len() == 1 && types(from).is_none() => Carriage::Ops(ops),
        _ => Carriage::Lost("its variants changed".to_owned()),
    }
}

/// Null that the target refuses goes away where null is what absence means.
fn without_null(
    from: &Value,
    into: &Value,
    place: &jsonptr::PointerBuf,
    ops: &mut Vec<Op>,
) -> Value {
    let admits = |schema: &Value| types(schema).is_none_or(|types| types.contains("null"));
    if !admits(from) || admits(into) || types(from).is_none() {
        return from.clone();
    }
    if from.get("default") == Some(&Value::Null) {
        ops.push(Op::RemoveIf { at: place.clone(), one_of: vec![Value::Null] });
    }
    let mut made = from.clone();
    for list in ["type", "enum"] {
        if let Some(listed) = made.get_mut(list).and_then(Value::as_array_mut) {
            listed.retain(|v| *v != json!("null") && !v.is_null());
        }
    }
    made
}

enum Spelling {
    Same,
    All(Vec<MapEntry>),
    Some(Vec<MapEntry>),
    None,
}

/// Each value of `before` to the one value of `after` that differs only in case, separators,
/// inflection, a usual abbreviation, or one affix that all of them gained or lost.
fn spelled(before: &[Value], after: &[Value]) -> Spelling {
    let mut table = Vec::new();
    for from in before {
        if after.contains(from) {
            table.push(MapEntry { from: from.clone(), to: from.clone() });
            continue;
        }
        let fits: Vec<&Value> = after.iter().filter(|to| alike(from, to, after, before)).collect();
        if let [to] = fits.as_slice()
            && !before.contains(to)
            && before.iter().filter(|other| alike(other, to, after, before)).count() == 1
        {
            table.push(MapEntry { from: from.clone(), to: (*to).clone() });
        }
    }
    match table.len() {
        0 => Spelling::None,
        n if n < before.len() => Spelling::Some(table),
        _ if table.iter().all(|row| row.from == row.to) => Spelling::Same,
        _ => Spelling::All(table),
    }
}

fn alike(from: &Value, to: &Value, after: &[Value], before: &[Value]) -> bool {
    let (Some(from), Some(to)) = (from.as_str(), to.as_str()) else { return false };
    let (one, other) = (words(from), words(to));
    if !one.is_empty() && one == other {
        return true;
    }
    // One affix that every value gained or lost: `mapbox/` before each of them.
    let texts = |list: &[Value]| -> Vec<String> {
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    affix(from, to).is_some_and(|affix| texts(after).iter().all(|v| v.starts_with(affix)))
        || affix(to, from).is_some_and(|affix| texts(before).iter().all(|v| v.starts_with(affix)))
}

/// What stands before `short` in `long`.
fn affix<'t>(short: &str, long: &'t str) -> Option<&'t str> {
    long.strip_suffix(short).filter(|affix| !affix.is_empty() && !short.is_empty())
}
