//! The image of a schema under operations: a schema that admits whatever they make of its instances.
//!
//! Where an operation's image cannot be written exactly it is written too wide, never too narrow.
//! Where an operation may fail on an instance, or no image can be told, the reason comes instead.

use jsonptr::Pointer;
use serde_json::{Map, Value, json};

use super::values::{cast, clamped, finite, minus, narrowed, one_of, scaled};
use crate::domain::routine::{CaseArm, Op};

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
type Why = String;

/// The image of `schema` (over declared members alone, see `contract::closed`) under `ops`.
pub(super) fn image(ops: &[Op], schema: &Value) -> Result<Vec<Way>, Why> {
    run(ops, vec![Way { schema: schema.clone(), call: None }])
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
        Op::Join { from, to, .. } => {
            for part in from {
                text_source(&way.schema, part, &["string"])?;
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
        Op::Parse { .. } => return Err("what a text of JSON holds is not told".to_owned()),
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
        Op::Unwrap { .. } => unwrapped(schema)?,
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
        | Op::Unwrap { at }
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

fn each(schema: &Value, ops: &[Op]) -> Result<Value, Why> {
    if schema.get("type") != Some(&json!("array")) || schema.get("prefixItems").is_some() {
        return Err("something other than a plain array may stand there".to_owned());
    }
    let items = schema.get("items").cloned().unwrap_or(json!(true));
    if items.to_string().contains("\"$ref\"") {
        return Err("the items refer to another place of the schema".to_owned());
    }
    let ways = image(ops, &items)?;
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
    Ok(match to {
        "rfc3339" => json!({"type": "string", "format": "date-time"}),
        "date" => json!({"type": "string", "format": "date"}),
        "unix_s" | "unix_ms" => json!({"type": "integer"}),
        _ => json!({"type": "string"}),
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

/// Whether a place holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Always,
    Maybe,
    Never,
}

/// What may stand at a place.
struct Place {
    schema: Value,
    presence: Presence,
}

impl Place {
    fn always(schema: Value) -> Self {
        Self { schema, presence: Presence::Always }
    }

    fn constant(value: &Value) -> Self {
        Self::always(json!({"const": value}))
    }

    /// Puts it where nothing stands; objects that are missing above it are made.
    fn put_at(self, root: &mut Value, at: &Pointer) -> Result<(), Why> {
        if look(root, at)?.presence != Presence::Never {
            return Err(format!("something may stand at {at} already"));
        }
        let names = names_of(at);
        let Some((last, above)) = names.split_last() else {
            return Err("the whole document is written".to_owned());
        };
        put(root, above, last, self)
    }
}

fn names_of(at: &Pointer) -> Vec<String> {
    at.tokens().map(|token| token.decoded().into_owned()).collect()
}

/// Looks a place up by the declared members that lead to it.
fn look(root: &Value, at: &Pointer) -> Result<Place, Why> {
    let mut place = Place::always(root.clone());
    for name in names_of(at) {
        if place.presence == Presence::Never {
            break;
        }
        let members = plain(&place.schema)
            .ok_or_else(|| format!("what stands above {at} is no plain object"))?;
        if !is_object(members) {
            place.presence = Presence::Maybe;
        }
        let Some(schema) = members.get("properties").and_then(|known| known.get(&name)) else {
            if members.get("additionalProperties") == Some(&json!(false))
                && !members.contains_key("patternProperties")
            {
                place.presence = Presence::Never;
                continue;
            }
            return Err(format!("the schema does not tell what may stand at {at}"));
        };
        if !requires(members, &name) {
            place.presence = Presence::Maybe;
        }
        if schema == &json!(false) {
            place.presence = Presence::Never;
        }
        place.schema = schema.clone();
    }
    Ok(place)
}

/// Schemas that tell by their own keywords what an object holds.
fn plain(schema: &Value) -> Option<&Map<String, Value>> {
    let members = schema.as_object()?;
    let spread = ["$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "enum", "const", "if", "not"];
    let object = match members.get("type")? {
        Value::String(kind) => kind == "object",
        Value::Array(kinds) => kinds.contains(&json!("object")),
        _ => false,
    };
    (object && !spread.iter().any(|keyword| members.contains_key(*keyword))).then_some(members)
}

fn is_object(members: &Map<String, Value>) -> bool {
    members.get("type") == Some(&json!("object"))
}

fn requires(members: &Map<String, Value>, name: &str) -> bool {
    let required = members.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|it| it == name))
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

/// Takes a declared member away.
fn take(root: &mut Value, at: &Pointer) -> Result<(), Why> {
    let mut names = names_of(at);
    let Some(last) = names.pop() else { return Err("the whole document is taken".to_owned()) };
    within(root, &names, |members| {
        widen(members);
        if let Some(known) = members.get_mut("properties").and_then(Value::as_object_mut) {
            known.shift_remove(&last);
        }
        unrequire(members, |name| name != last);
    })
}

/// Says more of a declared place: what stands there, and that something does.
fn settle(root: &mut Value, at: &Pointer, schema: Value, presence: Presence) -> Result<(), Why> {
    change(root, at, |slot| *slot = schema)?;
    if presence == Presence::Always {
        let names = names_of(at);
        for (depth, name) in names.iter().enumerate() {
            within(root, &names[..depth], |members| require(members, name))?;
        }
    }
    Ok(())
}

/// Changes the schema of a declared place.
fn change(root: &mut Value, at: &Pointer, edit: impl FnOnce(&mut Value)) -> Result<(), Why> {
    let mut names = names_of(at);
    let Some(last) = names.pop() else {
        edit(root);
        return Ok(());
    };
    within(root, &names, |members| {
        widen(members);
        if let Some(slot) = members.get_mut("properties").and_then(|known| known.get_mut(&last)) {
            edit(slot);
        }
    })
}

fn within(
    root: &mut Value,
    names: &[String],
    edit: impl FnOnce(&mut Map<String, Value>),
) -> Result<(), Why> {
    let mut at = root;
    for name in names {
        at = at
            .get_mut("properties")
            .and_then(|known| known.get_mut(name))
            .ok_or("the place is not declared")?;
    }
    edit(at.as_object_mut().ok_or("what stands above the place is no plain object")?);
    Ok(())
}

/// Keeps of an object that is edited what an edit can keep right; the rest is dropped, which admits
/// more, never less.
fn widen(members: &mut Map<String, Value>) {
    let kept = [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "$defs",
        "definitions",
    ];
    members.retain(|keyword, _| kept.contains(&keyword.as_str()));
}

fn unrequire(members: &mut Map<String, Value>, keep: impl Fn(&str) -> bool) {
    if let Some(required) = members.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name.as_str().is_some_and(&keep));
    }
}

fn require(members: &mut Map<String, Value>, name: &str) {
    if let Some(required) = members.entry("required").or_insert_with(|| json!([])).as_array_mut()
        && !required.iter().any(|known| known == name)
    {
        required.push(json!(name));
    }
}

fn put(root: &mut Value, above: &[String], last: &str, place: Place) -> Result<(), Why> {
    let members = root.as_object_mut().ok_or("what stands above the place is no object")?;
    if !is_object(members) {
        return Err("what stands above the place may be no object".to_owned());
    }
    widen(members);
    let declared = members.entry("properties").or_insert_with(|| json!({}));
    let declared = declared.as_object_mut().ok_or("`properties` is no object")?;
    let Some((next, deeper)) = above.split_first() else {
        declared.insert(last.to_owned(), place.schema);
        if place.presence == Presence::Always {
            require(members, last);
        }
        return Ok(());
    };
    let always = place.presence == Presence::Always;
    if declared.contains_key(next) {
        let standing = members.get("required").is_some() && requires(members, next);
        let inner = members.get_mut("properties").and_then(|known| known.get_mut(next));
        let inner = inner.ok_or("the place is not declared")?;
        if !standing && let Some(inner) = inner.as_object_mut() {
            // Made anew it has none of its other members.
            unrequire(inner, |_| false);
        }
        put(inner, deeper, last, place)?;
    } else {
        // Made for this value alone: where it is, the value is.
        let mut inner = json!({"type": "object", "properties": {}, "additionalProperties": false});
        put(&mut inner, deeper, last, Place::always(place.schema))?;
        declared.insert(next.clone(), inner);
    }
    if always {
        require(members, next);
    }
    Ok(())
}
