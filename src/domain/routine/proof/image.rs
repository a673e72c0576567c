//! The image of a schema under operations: a schema that admits whatever they make of its instances.
//!
//! Where an operation's image cannot be written exactly it is written too wide, never too narrow.
//! Where an operation may fail on an instance, or no image can be told, the reason comes instead.

use jsonptr::Pointer;
use serde_json::{Value, json};

use super::place::{
    Place, Presence, change, is_object, look, plain, requires, says_nothing, settle, shuts_out,
    take,
};
use super::values::{cast, clamped, finite, minus, narrowed, one_of, scaled};
use crate::domain::contract::{closed, normal_schema, refers};
use crate::domain::routine::{CaseArm, Op, without};

/// Ways through `cases`, `remove_if` and `refuse_if` that are followed.
const MOST_WAYS: usize = 64;

/// One way that a document may take through the operations.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// What the document is then.
    pub(super) schema: Value,
    /// The offered tool that is called, where an operation named one.
    pub(super) call: Option<String>,
}

/// Why there is no image.
pub(super) type Why = String;

/// The image of `schema` (over declared members alone, see `contract::closed`) under `ops`.
pub(super) fn image(ops: &[Op], schema: &Value) -> Result<Vec<Way>, Why> {
    if !ops.is_empty() && refers_to_places(schema) {
        return Err("the schema refers to a place that an operation may change".to_owned());
    }
    run(ops, vec![Way { schema: schema.clone(), call: None }])
}

/// Whether a `$ref` names something else than a definition: a place that is edited would then mean
/// another schema wherever it is named.
fn refers_to_places(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(keyword, value)| match value {
            Value::String(target) if keyword == "$ref" => {
                !target.starts_with("#/$defs/") && !target.starts_with("#/definitions/")
            }
            Value::String(_) => keyword == "$dynamicRef",
            _ => refers_to_places(value),
        }),
        Value::Array(items) => items.iter().any(refers_to_places),
        _ => false,
    }
}

fn run(ops: &[Op], mut ways: Vec<Way>) -> Result<Vec<Way>, Why> {
    for (index, op) in ops.iter().enumerate() {
        let mut next = Vec::new();
        for way in ways {
            next.extend(step(op, way).map_err(|why| format!("operation {index}: {why}"))?);
        }
        if next.len() > MOST_WAYS {
            return Err(format!("operation {index}: more than {MOST_WAYS} ways to follow"));
        }
        ways = next;
    }
    Ok(ways)
}

fn step(op: &Op, mut way: Way) -> Result<Vec<Way>, Why> {
    match op {
        Op::Cases { at, when, r#else } => return cases(way, at, when, r#else.as_deref()),
        Op::RemoveIf { at, one_of } => return remove_if(way, at, one_of),
        Op::RefuseIf { at, not_one_of, .. } => return refuse_if(way, at, not_one_of.as_deref()),
        Op::RefuseUnless { at, fits, .. } => refuse_unless(&mut way.schema, at, fits)?,
        Op::Call { tool } => way.call = Some(tool.clone()),
        Op::Move { from, to, optional } => {
            let place = source(&way.schema, from, *optional)?;
            take(&mut way.schema, from)?;
            place.put_at(&mut way.schema, to)?;
        }
        Op::Copy { from, to, optional } => {
            source(&way.schema, from, *optional)?.put_at(&mut way.schema, to)?;
        }
        Op::Remove { at } => {
            if look(&way.schema, at)?.presence != Presence::Never {
                take(&mut way.schema, at)?;
            }
        }
        Op::Set { at, value } => Place::constant(value).put_at(&mut way.schema, at)?,
        Op::Default { at, value } => default(&mut way.schema, at, value)?,
        Op::Join { from, separator, to } => {
            for part in from {
                let list = from.len() == 1 && is_list(&way.schema, part, separator)?;
                if !list {
                    text_source(&way.schema, part, &["string"])?;
                }
            }
            for part in from {
                take(&mut way.schema, part)?;
            }
            Place::always(json!({"type": "string"})).put_at(&mut way.schema, to)?;
        }
        Op::Template { text, to } => {
            for part in pointers_in(text) {
                let part = Pointer::parse(&part).map_err(|error| error.to_string())?;
                text_source(&way.schema, part, &["string", "integer", "number", "boolean"])?;
            }
            Place::always(json!({"type": "string"})).put_at(&mut way.schema, to)?;
        }
        Op::Split { .. } => return Err("a text may have another number of parts".to_owned()),
        Op::Extract { .. } => return Err("a text may not match the pattern".to_owned()),
        Op::Parse { at } => {
            if look(&way.schema, at)?.presence != Presence::Never {
                // Anything may come of it; a text that is no JSON is refused by name.
                change(&mut way.schema, at, |slot| *slot = json!({}))?;
            }
        }
        Op::Cast { .. }
        | Op::Map { .. }
        | Op::Scale { .. }
        | Op::Wrap { .. }
        | Op::Unwrap { .. }
        | Op::Each { .. }
        | Op::Print { .. }
        | Op::Date { .. }
        | Op::Clamp { .. } => in_place(op, &mut way.schema)?,
    }
    Ok(vec![way])
}

/// Operations that change a value where it stands; absent is no failure.
fn in_place(op: &Op, root: &mut Value) -> Result<(), Why> {
    let at = place_of(op);
    let place = look(root, at)?;
    if place.presence == Presence::Never {
        return Ok(());
    }
    let schema = &place.schema;
    let changed = match op {
        Op::Cast { to, .. } => cast(schema, *to)?,
        Op::Map { table, .. } => {
            let values = finite(schema).ok_or("a value may stand there that the table lacks")?;
            let mapped = values.iter().map(|value| {
                let row = table.iter().find(|row| row.from == *value);
                row.map(|row| row.to.clone()).ok_or("the table lacks a value that may stand there")
            });
            one_of(mapped.collect::<Result<Vec<_>, _>>()?)
        }
        Op::Scale { factor, offset, .. } => scaled(schema, factor, offset.as_ref())?,
        Op::Wrap { .. } => json!({"type": "array", "items": schema, "minItems": 1, "maxItems": 1}),
        Op::Unwrap { member: None, .. } => unwrapped(schema)?,
        Op::Unwrap { member: Some(name), .. } => sole_member(schema, name)?,
        Op::Each { ops, .. } => each(schema, ops)?,
        Op::Date { from, to, .. } => dated(schema, from, to)?,
        Op::Clamp { min, max, .. } => clamped(schema, min.as_ref(), max.as_ref())?,
        _ => json!({"type": "string"}),
    };
    change(root, at, |slot| *slot = changed)
}

fn place_of(op: &Op) -> &Pointer {
    match op {
        Op::Cast { at, .. }
        | Op::Map { at, .. }
        | Op::Scale { at, .. }
        | Op::Wrap { at }
        | Op::Unwrap { at, .. }
        | Op::Each { at, .. }
        | Op::Print { at }
        | Op::Date { at, .. }
        | Op::Clamp { at, .. } => at,
        _ => Pointer::root(),
    }
}

fn unwrapped(schema: &Value) -> Result<Value, Why> {
    let count = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
    let one = schema.get("type") == Some(&json!("array"))
        && count("minItems").is_some_and(|least| least >= 1)
        && count("maxItems") == Some(1)
        && schema.get("prefixItems").is_none();
    if !one {
        return Err("an array of another length may stand there".to_owned());
    }
    Ok(schema.get("items").cloned().unwrap_or(json!(true)))
}

/// Whether a union stands alone, but for what says nothing about values.
fn only_union(schema: &Value) -> bool {
    let members = schema.as_object().into_iter().flatten();
    members.map(|(name, _)| name.as_str()).all(|name| {
        matches!(
            name,
            "anyOf" | "oneOf" | "description" | "title" | "default" | "examples" | "deprecated"
        )
    })
}

/// Whether each of the schemas admits one type, and no two the same.
fn of_different_types(schemas: &[Value]) -> bool {
    let mut seen = Vec::new();
    schemas.iter().all(|schema| {
        let kind = schema.get("type").and_then(Value::as_str);
        let fresh = kind.is_some_and(|kind| !seen.contains(&kind) && kind != "number");
        seen.extend(kind);
        fresh
    })
}

/// What stands in an object that has this one member and no other.
fn sole_member(schema: &Value, name: &str) -> Result<Value, Why> {
    let members = plain(schema).filter(|members| is_object(members));
    let properties = members.and_then(|it| it.get("properties")).and_then(Value::as_object);
    let sole = properties.filter(|all| all.len() == 1).and_then(|all| all.get(name));
    let closed = schema.get("additionalProperties") == Some(&json!(false))
        && schema.get("patternProperties").is_none();
    let always = members.is_some_and(|members| requires(members, name));
    sole.filter(|_| closed && always)
        .cloned()
        .ok_or_else(|| format!("something other than an object of {name:?} alone may stand there"))
}

fn each(schema: &Value, ops: &[Op]) -> Result<Value, Why> {
    if schema.get("type") != Some(&json!("array")) || schema.get("prefixItems").is_some() {
        return Err("something other than a plain array may stand there".to_owned());
    }
    let items = schema.get("items").cloned().unwrap_or(json!(true));
    if refers(&items) {
        return Err("the items refer to another place of the schema".to_owned());
    }
    // Where items are of several forms, each goes its own way.
    let (union, forms) = match ["anyOf", "oneOf"].map(|union| (union, items.get(union))) {
        [(union, Some(Value::Array(forms))), (_, None)] if only_union(&items) => {
            (union, forms.clone())
        }
        // Of forms that no value shares, a value has one: it stays so under operations in its place.
        [(_, None), (union, Some(Value::Array(forms)))]
            if only_union(&items) && of_different_types(forms) =>
        {
            (union, forms.clone())
        }
        _ => ("anyOf", vec![items]),
    };
    let mut ways = Vec::new();
    for form in &forms {
        ways.extend(image(ops, form)?);
    }
    if ways.iter().any(|way| way.call.is_some()) {
        return Err("an item cannot choose the tool".to_owned());
    }
    let mut out = schema.as_object().cloned().unwrap_or_default();
    // Different items may become equal ones, and what `contains` looked for may be gone.
    for keyword in ["uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems"] {
        out.shift_remove(keyword);
    }
    let mut schemas: Vec<Value> = ways.into_iter().map(|way| way.schema).collect();
    let items = match schemas.len() {
        1 => schemas.remove(0),
        _ if of_different_types(&schemas) => json!({ union: schemas }),
        _ => json!({"anyOf": schemas}),
    };
    out.insert("items".to_owned(), items);
    Ok(Value::Object(out))
}

fn dated(schema: &Value, from: &str, to: &str) -> Result<Value, Why> {
    let stated = schema.get("format").and_then(Value::as_str);
    let text = schema.get("type") == Some(&json!("string"));
    let fits =
        text && matches!((from, stated), ("rfc3339", Some("date-time")) | ("date", Some("date")));
    if !fits {
        return Err(format!("the schema does not state that a {from} date stands there"));
    }
    if from == "rfc3339" {
        // A leap second, a fraction, a time of day: each has moments that another format lacks.
        return Err(format!("a moment may stand there that {to} cannot tell"));
    }
    Ok(match to {
        "rfc3339" => json!({"type": "string", "format": "date-time"}),
        "date" => json!({"type": "string", "format": "date"}),
        "unix_s" | "unix_ms" => json!({"type": "integer"}),
        _ => return Err(format!("a moment may stand there that {to} cannot tell")),
    })
}

fn default(root: &mut Value, at: &Pointer, value: &Value) -> Result<(), Why> {
    let place = look(root, at)?;
    match place.presence {
        Presence::Always => Ok(()),
        Presence::Never => Place::constant(value).put_at(root, at),
        Presence::Maybe => {
            let schema = match narrowed(&place.schema, std::slice::from_ref(value)) {
                Some(_) => place.schema,
                None => json!({"anyOf": [place.schema, {"const": value}]}),
            };
            take(root, at)?;
            Place::always(schema).put_at(root, at)
        }
    }
}

fn cases(
    way: Way,
    at: &Pointer,
    when: &[CaseArm],
    otherwise: Option<&[Op]>,
) -> Result<Vec<Way>, Why> {
    let mut place = look(&way.schema, at)?;
    // What may still stand there once the arms so far did not match; `None`: no value.
    let mut left = (place.presence != Presence::Never).then(|| place.schema.clone());
    let mut ways = Vec::new();
    for arm in when {
        let mut taken = way.clone();
        match &arm.is {
            None if place.presence != Presence::Always => {
                if place.presence == Presence::Maybe {
                    take(&mut taken.schema, at)?;
                }
                // Whatever comes after is present.
                place.presence = Presence::Always;
            }
            None => continue,
            Some(values) => {
                let Some(some) = left.as_ref().and_then(|left| narrowed(left, values)) else {
                    continue;
                };
                settle(&mut taken.schema, at, some, Presence::Always)?;
                left = left.and_then(|left| minus(&left, values));
            }
        }
        ways.extend(run(&arm.ops, vec![taken])?);
    }
    let mut rest = way;
    let reached = match (left, place.presence) {
        (None, Presence::Always) => false,
        (None, Presence::Never) => true,
        (None, Presence::Maybe) => take(&mut rest.schema, at).map(|()| true)?,
        (Some(schema), presence) => {
            settle(&mut rest.schema, at, schema, presence)?;
            true
        }
    };
    if reached {
        let ops = otherwise.ok_or("a value may stand there that no case names")?;
        ways.extend(run(ops, vec![rest])?);
    }
    Ok(ways)
}

fn remove_if(mut way: Way, at: &Pointer, values: &[Value]) -> Result<Vec<Way>, Why> {
    let place = look(&way.schema, at)?;
    if place.presence == Presence::Never || narrowed(&place.schema, values).is_none() {
        return Ok(vec![way]);
    }
    let mut removed = way.clone();
    take(&mut removed.schema, at)?;
    match minus(&place.schema, values) {
        None => Ok(vec![removed]),
        Some(schema) => {
            settle(&mut way.schema, at, schema, place.presence)?;
            Ok(vec![removed, way])
        }
    }
}

/// Calls that are refused have no image; what is left goes on.
fn refuse_if(mut way: Way, at: &Pointer, allowed: Option<&[Value]>) -> Result<Vec<Way>, Why> {
    let place = look(&way.schema, at)?;
    if place.presence == Presence::Never {
        return Ok(vec![way]);
    }
    match (allowed.and_then(|allowed| narrowed(&place.schema, allowed)), place.presence) {
        (Some(schema), presence) => {
            settle(&mut way.schema, at, schema, presence)?;
            Ok(vec![way])
        }
        (None, Presence::Always) => Ok(Vec::new()),
        (None, _) => {
            take(&mut way.schema, at)?;
            Ok(vec![way])
        }
    }
}

/// What does not fit is refused, so that what is left fits: the schema itself, over declared members.
///
/// The call is held against the open schema, so where that declares fewer members than may stand there
/// it is not closed. What stood there is kept where later operations may look below it; elsewhere both
/// hold at once.
fn refuse_unless(root: &mut Value, at: &Pointer, fits: &Value) -> Result<(), Why> {
    let place = look(root, at)?;
    let fits = normal_schema(fits);
    // A reference that is left would mean another schema here.
    if place.presence == Presence::Never || refers(&fits) {
        return Ok(());
    }
    let shut = closed(&fits);
    let left = match () {
        () if !shuts_out(&shut, &place.schema) => shut,
        () if plain(&place.schema).is_some() => return Ok(()),
        () if says_nothing(&place.schema) => fits,
        () => json!({"allOf": [place.schema, fits]}),
    };
    change(root, at, |slot| *slot = left)
}

/// Whether an array of strings stands at a place, none of which can hold the separator.
fn is_list(root: &Value, at: &Pointer, separator: &str) -> Result<bool, Why> {
    let place = source(root, at, false)?;
    let free = json!(without(separator));
    Ok(place.schema.get("type") == Some(&json!("array"))
        && place.schema.get("prefixItems").is_none()
        && place.schema.get("items").is_some_and(|items| {
            items.get("type") == Some(&json!("string")) && items.get("pattern") == Some(&free)
        }))
}

fn source(root: &Value, from: &Pointer, optional: bool) -> Result<Place, Why> {
    let place = look(root, from)?;
    if place.presence != Presence::Always && !optional {
        return Err(format!("nothing may stand at {from}"));
    }
    Ok(place)
}

fn text_source(root: &Value, from: &Pointer, kinds: &[&str]) -> Result<(), Why> {
    let place = source(root, from, false)?;
    let kind = |value: &Value| match value {
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        _ => "other",
    };
    let fits = match (place.schema.get("type"), finite(&place.schema)) {
        (_, Some(values)) => values.iter().all(|value| kinds.contains(&kind(value))),
        (Some(Value::String(stated)), _) => kinds.contains(&stated.as_str()),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("at {from} may stand what is no part of a text")) }
}

/// The pointers of a template's `{/pointer}` parts; `{{` stands for `{`.
fn pointers_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            rest = after;
        } else if let Some(close) = rest.find('}') {
            found.push(rest[..close].to_owned());
            rest = &rest[close + 1..];
        }
    }
    found
}
