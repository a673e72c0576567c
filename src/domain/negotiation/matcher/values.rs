//! One value carried over to another schema: casts, arrays of one, enum values by their spelling.

use jsonptr::PointerBuf;
use serde_json::{Value, json};

use super::super::names::{says_comma_separated, says_json};
use super::fields::{self, Side};
use crate::domain::drift::fits;
use crate::domain::drift::normal::values_as_listed;
use crate::domain::drift::normal::{
    admitted, is_closed, properties, required, shape, types, values,
};
use crate::domain::drift::words::words;
use crate::domain::routine::{CaseArm, CastTo, MapEntry, Op, WHOLE, without};

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
    let without = without_null(from, into, &place, &mut ops);
    if without.as_ref().is_some_and(|from| fits(from, into)) {
        return Carriage::Ops(ops);
    }
    let from = without.as_ref().unwrap_or(from);
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
        ("array", "string") if says_comma_separated(text(into)) => joined(side, from, ops, place),
        ("object", _) if !says_json(text(into)) && sole_member(from).is_some() => {
            opened(side, from, into, at, depth, ops)
        }
        (s, "array") if s != "object" || into.get("items").is_some() => {
            wrapped(side, from, into, at, depth, ops)
        }
        ("array", _) => unwrapped(side, from, into, at, depth, ops),
        _ => scalar(side, from, into, (&source, &target), ops, place),
    }
}

/// Refuses by name what a narrower target would not take; nothing where all of `made` fits, and for
/// replies, which are judged as a whole.
fn guard(side: Side, made: &Value, into: &Value, place: &PointerBuf, ops: &mut Vec<Op>) -> bool {
    let narrower = matches!(side, Side::Request { .. }) && !fits(made, into);
    let fits = admitted(into);
    if !narrower || fits.to_string().contains("\"$ref\"") {
        return !narrower;
    }
    let reason = "the peer no longer takes this value".to_owned();
    ops.push(Op::RefuseUnless { at: place.clone(), fits, reason });
    true
}

/// An array of strings became one string with commas between them.
fn joined(side: Side, from: &Value, mut ops: Vec<Op>, place: PointerBuf) -> Carriage {
    let strings =
        from.get("items").and_then(types).is_some_and(|types| types.iter().eq(&["string"]));
    if !strings || side == Side::Reply {
        return Carriage::Lost("a list became a text".to_owned());
    }
    let items = json!({ "type": "string", "pattern": without(",") });
    ops.push(Op::RefuseUnless {
        at: place.clone(),
        fits: json!({ "type": "array", "items": items }),
        reason: "an item holds a comma, which now stands between items".to_owned(),
    });
    let join = Op::Join { from: vec![place.clone()], separator: ",".to_owned(), to: place.clone() };
    ops.push(Op::Cases {
        at: place,
        when: vec![CaseArm { is: None, ops: Vec::new() }],
        r#else: Some(vec![join]),
    });
    Carriage::Ops(ops)
}

/// The one member that every such object has.
fn sole_member(schema: &Value) -> Option<(&String, &Value)> {
    let mut all = properties(schema);
    let (name, member) = all.next()?;
    let sole =
        all.next().is_none() && is_closed(schema) && required(schema).contains(name.as_str());
    sole.then_some((name, member))
}

/// An object of one member became the member's value.
fn opened(
    side: Side,
    from: &Value,
    into: &Value,
    at: &str,
    depth: usize,
    mut ops: Vec<Op>,
) -> Carriage {
    let Some((name, member)) = sole_member(from) else {
        return Carriage::Lost("an object became something else".to_owned());
    };
    ops.push(Op::Unwrap { at: fields::place(at), member: Some(name.clone()) });
    let said = |schema: &Value| schema.get("description").cloned();
    match value(side, member, into, at, depth + 1) {
        Carriage::Ops(inner) => {
            ops.extend(inner);
            match said(member).is_some() && said(member) == said(into) {
                true => Carriage::Ops(ops),
                false => Carriage::Partly(ops, format!("nothing says that it is `{name}` alone")),
            }
        }
        _ => Carriage::Lost("an object became something else".to_owned()),
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
    let few = into.get("minItems").and_then(Value::as_f64).is_none_or(|least| least <= 1.0);
    match value(side, from, &items, at, depth + 1) {
        Carriage::Ops(inner) if few && types(&items).is_some() => {
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
    let untyped = types(&items).is_none();
    if untyped && side == Side::Reply {
        return Carriage::Lost("an array became one value".to_owned());
    }
    if matches!(side, Side::Request { .. }) {
        ops.push(Op::RefuseUnless {
            at: fields::place(at),
            fits: json!({ "type": "array", "items": shape(&items), "minItems": 1, "maxItems": 1 }),
            reason: "the peer takes one value a call".to_owned(),
        });
    }
    ops.push(Op::Unwrap { at: fields::place(at), member: None });
    if untyped {
        guard(side, &items, into, &fields::place(at), &mut ops);
        return Carriage::Partly(ops, "nothing says what its items are".to_owned());
    }
    match value(side, &items, into, at, depth + 1) {
        Carriage::Ops(inner) => {
            ops.extend(inner);
            Carriage::Ops(ops)
        }
        _ => Carriage::Lost("an array became something else".to_owned()),
    }
}

/// Values of a closed list, by how they are spelled on the other side.
fn listed(spelling: Spelling, mut ops: Vec<Op>, place: PointerBuf) -> Carriage {
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
        Spelling::Left(table, left) => {
            ops.push(Op::Map { at: place, table });
            Carriage::Partly(ops, format!("only what is left over says that {left}"))
        }
        Spelling::None => Carriage::Lost("no value of it is still offered".to_owned()),
    }
}

/// A value of the same type, of which fewer may be taken now.
fn narrowed(
    side: Side,
    from: &Value,
    into: &Value,
    mut ops: Vec<Op>,
    place: PointerBuf,
) -> Carriage {
    let stated = |schema: &Value| schema.get("format").cloned();
    let guarded = guard(side, from, into, &place, &mut ops);
    match (values(from), values(into)) {
        (None, Some(_)) => Carriage::Partly(ops, "free values became a closed list".to_owned()),
        _ if !guarded => Carriage::Partly(ops, "it became narrower".to_owned()),
        // Whether a text of one format is one of another is not told by its type.
        _ if stated(from).is_some() && stated(into).is_some() && stated(from) != stated(into) => {
            Carriage::Partly(ops, "its format changed".to_owned())
        }
        _ => Carriage::Ops(ops),
    }
}

/// Scalars and JSON in a string.
fn scalar(
    side: Side,
    from: &Value,
    into: &Value,
    (source, target): (&str, &str),
    mut ops: Vec<Op>,
    place: PointerBuf,
) -> Carriage {
    if source == target || (source == "integer" && target == "number") {
        return narrowed(side, from, into, ops, place);
    }
    if let ("integer", "string", Some(names)) = (source, target, values_as_listed(into)) {
        return numbered(side, from, names, ops, place);
    }
    if values(into).is_some() {
        return Carriage::Lost(format!("{source} became a closed list of {target}s"));
    }
    let asks = matches!(side, Side::Request { .. });
    let mut unless = |at: &PointerBuf, fits: Value, reason: &str| {
        let reason = reason.to_owned();
        let op = Op::RefuseUnless { at: at.clone(), fits, reason };
        if asks {
            ops.push(op);
        }
    };
    match (source, target) {
        ("integer" | "number" | "boolean", "string") => {
            ops.push(Op::Cast { at: place.clone(), to: CastTo::String });
        }
        ("number", "integer") => {
            unless(&place, json!({ "type": "integer" }), "the peer takes whole numbers only");
            ops.push(Op::Cast { at: place.clone(), to: CastTo::Integer });
        }
        ("string", "integer" | "number") => {
            let whole = json!({ "type": "string", "pattern": WHOLE });
            unless(&place, whole, "the peer takes a number, and this text is not one");
            let to = if target == "integer" { CastTo::Integer } else { CastTo::Number };
            ops.push(Op::Cast { at: place.clone(), to });
            let made = json!({ "type": ["integer"] });
            return match guard(side, &made, into, &place, &mut ops) {
                true => Carriage::Ops(ops),
                false => Carriage::Lost(format!("{source} became {target}")),
            };
        }
        ("string", "boolean") => {
            let words = json!({ "enum": ["true", "false"] });
            unless(&place, words, "the peer takes true or false only");
            ops.push(Op::Cast { at: place.clone(), to: CastTo::Boolean });
        }
        // That the string holds JSON stands in its text: no schema has another word for it.
        ("object", "string") if says_json(text(into)) => {
            ops.push(Op::Print { at: place.clone() });
        }
        ("string", "object") if says_json(text(from)) => {
            ops.push(Op::Parse { at: place.clone() });
            return match guard(side, &json!({}), into, &place, &mut ops) {
                true => Carriage::Ops(ops),
                false => Carriage::Lost(format!("{source} became {target}")),
            };
        }
        _ => return Carriage::Lost(format!("{source} became {target}")),
    }
    let made = json!({ "type": [target] });
    match guard(side, &made, into, &place, &mut ops) {
        true => Carriage::Ops(ops),
        false => Carriage::Partly(ops, "it became narrower".to_owned()),
    }
}

/// Numbers that became names: in the order in which the names are listed, which nothing says, so that
/// a person decides.
fn numbered(
    side: Side,
    from: &Value,
    names: &[Value],
    mut ops: Vec<Op>,
    place: PointerBuf,
) -> Carriage {
    let counts = values(from).is_none_or(|list| list.len() == names.len());
    if !counts || !matches!(side, Side::Request { .. }) {
        return Carriage::Lost("numbers became names".to_owned());
    }
    let known: Vec<Value> = (0..names.len()).map(|number| json!(number)).collect();
    let table = known.iter().zip(names);
    let table = table.map(|(from, to)| MapEntry { from: from.clone(), to: to.clone() }).collect();
    ops.push(Op::RefuseIf {
        at: place.clone(),
        not_one_of: Some(known),
        reason: "no name is listed for this number".to_owned(),
    });
    ops.push(Op::Map { at: place, table });
    Carriage::Partly(ops, "numbers became names, and only their order says which".to_owned())
}

fn text(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

fn each(
    side: Side,
    from: &Value,
    into: &Value,
    at: &str,
    depth: usize,
    mut ops: Vec<Op>,
) -> Carriage {
    let open = json!({});
    let [from, into] = [from, into].map(|schema| schema.get("items").unwrap_or(&open));
    match value(side, from, into, "", depth + 1) {
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
        (rest, _)
            if rest.len() < before.len()
                && guard(side, from, into, &fields::place(at), &mut ops) =>
        {
            Carriage::Partly(ops, "some of its forms are no longer taken".to_owned())
        }
        _ => Carriage::Lost("its variants changed".to_owned()),
    }
}

/// Null that the target refuses goes away where null is what absence means; `None` where there is none.
fn without_null(
    from: &Value,
    into: &Value,
    place: &PointerBuf,
    ops: &mut Vec<Op>,
) -> Option<Value> {
    let admits = |schema: &Value| types(schema).is_none_or(|types| types.contains("null"));
    if !admits(from) || admits(into) || types(from).is_none() {
        return None;
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
    Some(made)
}

enum Spelling {
    Same,
    All(Vec<MapEntry>),
    Some(Vec<MapEntry>),
    /// All of them, one by being all that is left on either side; and which.
    Left(Vec<MapEntry>, String),
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
    let gone: Vec<&Value> =
        before.iter().filter(|v| !table.iter().any(|row| row.from == **v)).collect();
    let come: Vec<&Value> =
        after.iter().filter(|v| !table.iter().any(|row| row.to == **v)).collect();
    if let ([from], [to]) = (gone.as_slice(), come.as_slice())
        && !table.is_empty()
        && from.is_string()
        && to.is_string()
    {
        let left = format!("{from} is now {to}");
        table.push(MapEntry { from: (*from).clone(), to: (*to).clone() });
        return Spelling::Left(table, left);
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
