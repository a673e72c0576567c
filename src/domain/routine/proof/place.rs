//! Places of a schema: what may stand there, and what becomes of the schema when that changes.

use jsonptr::Pointer;
use serde_json::{Map, Value, json};

use super::image::Why;

/// Whether a place holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Always,
    Maybe,
    Never,
}

/// What may stand at a place.
pub(super) struct Place {
    pub(super) schema: Value,
    pub(super) presence: Presence,
}

impl Place {
    pub(super) fn always(schema: Value) -> Self {
        Self { schema, presence: Presence::Always }
    }

    pub(super) fn constant(value: &Value) -> Self {
        Self::always(json!({"const": value}))
    }

    /// Puts it where nothing stands; objects that are missing above it are made.
    pub(super) fn put_at(self, root: &mut Value, at: &Pointer) -> Result<(), Why> {
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
pub(super) fn look(root: &Value, at: &Pointer) -> Result<Place, Why> {
    let mut place = Place::always(root.clone());
    for name in names_of(at) {
        if place.presence == Presence::Never {
            break;
        }
        if is_scalar(&place.schema) {
            place.presence = Presence::Never;
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

/// Whether no member can stand below it.
fn is_scalar(schema: &Value) -> bool {
    let scalar = |kind: &Value| {
        ["string", "integer", "number", "boolean", "null"].iter().any(|known| kind == known)
    };
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().all(scalar),
        Some(kind) => scalar(kind),
        None => false,
    }
}

/// Whether a schema forbids, by being closed, a member that `known` declares or leaves open.
pub(super) fn shuts_out(schema: &Value, known: &Value) -> bool {
    if is_scalar(schema) || is_scalar(known) || schema == known {
        return false;
    }
    if plain(schema).is_none() || plain(known).is_none() {
        return closes_something(schema) && !is_list_of_scalars(known);
    }
    let shut = schema.get("additionalProperties") == Some(&json!(false));
    let open = known.get("additionalProperties") != Some(&json!(false));
    let Some(declared) = known.get("properties").and_then(Value::as_object) else {
        return open && closes_something(schema);
    };
    if shut && (open || known.get("patternProperties").is_some()) {
        return true;
    }
    declared.iter().any(|(name, known)| {
        let schema = schema.get("properties").and_then(|known| known.get(name));
        schema.map_or(shut, |schema| shuts_out(schema, known))
    })
}

fn closes_something(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            members.get("additionalProperties") == Some(&json!(false))
                || members.values().any(closes_something)
        }
        Value::Array(items) => items.iter().any(closes_something),
        _ => false,
    }
}

/// Whether a schema admits whatever there is.
pub(super) fn says_nothing(schema: &Value) -> bool {
    schema == &json!(true) || schema == &json!({})
}

fn is_list_of_scalars(schema: &Value) -> bool {
    schema.get("type") == Some(&json!("array"))
        && schema.get("prefixItems").is_none()
        && schema.get("items").is_some_and(is_scalar)
}

/// Schemas that tell by their own keywords what an object holds.
pub(super) fn plain(schema: &Value) -> Option<&Map<String, Value>> {
    let members = schema.as_object()?;
    let spread = ["$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "enum", "const", "if", "not"];
    let object = match members.get("type")? {
        Value::String(kind) => kind == "object",
        Value::Array(kinds) => kinds.contains(&json!("object")),
        _ => false,
    };
    (object && !spread.iter().any(|keyword| members.contains_key(*keyword))).then_some(members)
}

pub(super) fn is_object(members: &Map<String, Value>) -> bool {
    members.get("type") == Some(&json!("object"))
}

pub(super) fn requires(members: &Map<String, Value>, name: &str) -> bool {
    let required = members.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|it| it == name))
}

/// Takes a declared member away.
pub(super) fn take(root: &mut Value, at: &Pointer) -> Result<(), Why> {
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
pub(super) fn settle(
    root: &mut Value,
    at: &Pointer,
    schema: Value,
    presence: Presence,
) -> Result<(), Why> {
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
pub(super) fn change(
    root: &mut Value,
    at: &Pointer,
    edit: impl FnOnce(&mut Value),
) -> Result<(), Why> {
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
        // What is said above of a place below holds no longer.
        if let Some(members) = at.as_object_mut() {
            widen(members);
        }
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
    // A pattern speaks of declared members too, and of what is put there.
    if members.shift_remove("patternProperties").is_some() {
        members.shift_remove("additionalProperties");
    }
    let kept = ["type", "properties", "required", "additionalProperties", "$defs", "definitions"];
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
