//! The schema of an answer in the subset of JSON Schema that providers can hold a model to.
//!
//! Both forbid open objects, `oneOf`, defaults and bounds; Anthropic also recursion and more than 24
//! optional members or 16 unions, OpenAI optional members altogether. So a recursive definition is
//! unrolled once, a value of any kind becomes a scalar, and what remains is closed. The answer is
//! read against the whole schema afterwards: this only helps the model, it decides nothing.

use serde_json::{Map, Value, json};

/// What becomes of members that may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optional {
    /// They may be left out, and are not null.
    LeftOut,
    /// They must be there, and may be null or empty.
    Null,
}

/// The name of a recursive definition's last level.
const LAST: &str = "Step";
const DEFS: &str = "#/$defs/";

/// The schema, closed.
#[must_use]
pub fn closed(schema: &Value, optional: Optional) -> Value {
    let mut schema = schema.clone();
    unroll(&mut schema);
    let Value::Object(mut made) = close(&schema, optional) else { return json!({}) };
    if let Some(Value::Object(defs)) = schema.get("$defs") {
        let defs: Map<_, _> =
            defs.iter().map(|(name, def)| (name.clone(), close(def, optional))).collect();
        made.insert("$defs".to_owned(), Value::Object(defs));
    }
    Value::Object(made)
}

/// Replaces the recursion of definitions by one last level that holds no further one.
fn unroll(schema: &mut Value) {
    let Some(Value::Object(defs)) = schema.get("$defs").cloned() else { return };
    let mut rest = schema.clone();
    if let Some(members) = rest.as_object_mut() {
        members.remove("$defs");
    }
    let head = defs.keys().find(|name| {
        refers(&rest, name) && defs.get(*name).is_some_and(|def| reaches(def, name, &defs))
    });
    let Some(head) = head else { return };
    let mut last = defs[head].clone();
    for keyword in ["oneOf", "anyOf"] {
        if let Some(Value::Array(all)) = last.get_mut(keyword) {
            all.retain(|variant| !reaches(variant, head, &defs));
        }
    }
    let mut made: Map<String, Value> = defs.clone();
    for def in made.values_mut() {
        redirect(def, &format!("{DEFS}{head}"), &format!("{DEFS}{LAST}"));
    }
    made.insert(LAST.to_owned(), last);
    schema["$defs"] = Value::Object(made);
}

fn refers(schema: &Value, name: &str) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(key, value)| {
            (key == "$ref" && value.as_str().and_then(|at| at.strip_prefix(DEFS)) == Some(name))
                || refers(value, name)
        }),
        Value::Array(items) => items.iter().any(|item| refers(item, name)),
        _ => false,
    }
}

/// Whether a schema leads to a definition, through others.
fn reaches(schema: &Value, name: &str, defs: &Map<String, Value>) -> bool {
    let mut open = vec![schema];
    let mut seen: Vec<&str> = Vec::new();
    while let Some(schema) = open.pop() {
        if refers(schema, name) {
            return true;
        }
        for (other, def) in defs {
            if !seen.contains(&other.as_str()) && refers(schema, other) {
                seen.push(other);
                open.push(def);
            }
        }
    }
    false
}

fn redirect(schema: &mut Value, from: &str, to: &str) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                if key == "$ref" && value == from {
                    *value = json!(to);
                } else {
                    redirect(value, from, to);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redirect(item, from, to)),
        _ => {}
    }
}

fn close(schema: &Value, optional: Optional) -> Value {
    let mut made = Map::new();
    let Value::Object(members) = schema else { return scalar(made) };
    if let Some(text) = members.get("description") {
        made.insert("description".to_owned(), text.clone());
    }
    for keyword in ["$ref", "const", "enum", "type"] {
        if let Some(value) = members.get(keyword) {
            made.insert(keyword.to_owned(), value.clone());
        }
    }
    if let Some(items) = members.get("items") {
        made.insert("items".to_owned(), close(items, optional));
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(Value::Array(all)) = members.get(keyword) {
            let all = all.iter().map(|schema| close(schema, optional)).collect();
            made.insert("anyOf".to_owned(), Value::Array(all));
        }
    }
    if let Some(Value::Object(properties)) = members.get("properties") {
        object(&mut made, properties, members.get("required"), optional);
    }
    let says = |keyword: &str| made.contains_key(keyword);
    if ["$ref", "const", "enum", "type", "anyOf"].into_iter().any(says) {
        Value::Object(made)
    } else {
        scalar(made)
    }
}

/// A value of any kind, as far as a closed schema can say it.
fn scalar(mut made: Map<String, Value>) -> Value {
    made.insert("type".to_owned(), json!(["string", "number", "boolean", "null"]));
    Value::Object(made)
}

fn object(
    made: &mut Map<String, Value>,
    properties: &Map<String, Value>,
    required: Option<&Value>,
    optional: Optional,
) {
    let named: Vec<&str> = required
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let closed: Map<String, Value> = properties
        .iter()
        .map(|(name, schema)| {
            let closed = close(schema, optional);
            let left_out = optional == Optional::LeftOut && !named.contains(&name.as_str());
            (name.clone(), if left_out { present(closed) } else { closed })
        })
        .collect();
    let required: Vec<Value> = match optional {
        Optional::Null => properties.keys().map(|name| json!(name)).collect(),
        Optional::LeftOut => named.into_iter().map(|name| json!(name)).collect(),
    };
    made.insert("type".to_owned(), json!("object"));
    made.insert("properties".to_owned(), Value::Object(closed));
    made.insert("required".to_owned(), Value::Array(required));
    made.insert("additionalProperties".to_owned(), json!(false));
}

/// The schema without null: a member that may be left out need not also be null.
fn present(mut schema: Value) -> Value {
    let is_null = |schema: &Value| schema.get("type") == Some(&json!("null"));
    if let Some(Value::Array(types)) = schema.get("type").cloned() {
        let some: Vec<Value> = types.into_iter().filter(|word| word != "null").collect();
        schema["type"] = match some.as_slice() {
            [one] => one.clone(),
            _ => Value::Array(some),
        };
    }
    if let Some(Value::Array(all)) = schema.get("anyOf").cloned() {
        let mut some: Vec<Value> = all.into_iter().filter(|schema| !is_null(schema)).collect();
        if some.len() == 1
            && let (Some(Value::Object(one)), Some(members)) = (some.pop(), schema.as_object_mut())
        {
            members.remove("anyOf");
            one.into_iter().for_each(|(name, value)| {
                members.entry(name).or_insert(value);
            });
        } else if !some.is_empty() {
            schema["anyOf"] = Value::Array(some);
        }
    }
    schema
}
