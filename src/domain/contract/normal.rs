//! The normal form of a schema: what says the same in other words becomes the same.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::domain::json::canonical;

/// Schemas that inlining may make; what is beyond stays a `$ref`, which is right, only less plain. What
/// is larger the cost gate would not let through anyway.
const MOST_NODES: usize = 4_000;
/// Depth up to which a `$ref` is inlined, so that what walks the result never runs out of stack.
const DEEPEST: usize = 64;

/// Keywords that say nothing about which values are admitted.
pub(super) const ANNOTATIONS: [&str; 10] = [
    "title",
    "description",
    "default",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$comment",
    "x-mcp-header",
];

/// Keywords that hold one schema.
const ONE: [&str; 11] = [
    "additionalProperties",
    "additionalItems",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords that hold an array of schemas.
const MANY: [&str; 5] = ["allOf", "anyOf", "oneOf", "prefixItems", "items"];
/// Keywords that hold schemas by name.
const NAMED: [&str; 5] =
    ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];

/// The normal form: no `$schema` line; local `$ref` that do not recurse inlined; `anyOf` of a type
/// and null as one type list; `required`, `type` and `enum` sorted; open objects unstated.
/// It admits what the schema admits (draft-07 and 2020-12).
#[must_use]
pub(crate) fn normal_schema(schema: &Value) -> Value {
    let draft = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
    let mut walk = Walk {
        root: schema,
        // Before 2019-09 whatever stands beside a `$ref` is ignored.
        lonely_refs: ["draft-04", "draft-06", "draft-07"].iter().any(|old| draft.contains(old)),
        inline: !names_itself(schema, true),
        evaluated_by_nobody: !schema.to_string().contains("unevaluated"),
        nodes: 0,
        kept_a_ref: false,
        stack: vec![String::new()],
    };
    let mut normal = walk.schema(schema, 0);
    let kept_a_ref = walk.kept_a_ref;
    if let Some(members) = normal.as_object_mut() {
        members.shift_remove("$schema");
        if !kept_a_ref {
            members.shift_remove("$defs");
            members.shift_remove("definitions");
        }
    }
    normal
}

/// Whether a schema below the root changes what `#` means.
fn names_itself(schema: &Value, root: bool) -> bool {
    match schema {
        Value::Object(members) => {
            (!root && members.get("$id").is_some_and(Value::is_string))
                || members.values().any(|member| names_itself(member, false))
        }
        Value::Array(items) => items.iter().any(|item| names_itself(item, false)),
        _ => false,
    }
}

struct Walk<'s> {
    root: &'s Value,
    lonely_refs: bool,
    inline: bool,
    evaluated_by_nobody: bool,
    nodes: usize,
    kept_a_ref: bool,
    stack: Vec<String>,
}

impl Walk<'_> {
    fn schema(&mut self, schema: &Value, depth: usize) -> Value {
        self.nodes += 1;
        let Some(members) = schema.as_object() else { return schema.clone() };
        let members = modern(members);
        let mut out = Map::new();
        let mut inlined = None;
        for (keyword, value) in members.iter() {
            if keyword == "$ref"
                && let Some(target) = value.as_str().and_then(|target| self.inlined(target, depth))
            {
                inlined = Some(target);
                continue;
            }
            if let Some(value) = self.keyword(keyword, value, depth + 1) {
                out.insert(keyword.clone(), value);
            }
        }
        if self.lonely_refs && members.contains_key("$ref") {
            out.retain(|keyword, _| keyword == "$ref" || ANNOTATIONS.contains(&keyword.as_str()));
        }
        let out = match inlined {
            Some(target) => merged(target, out),
            None => Value::Object(out),
        };
        nullable(sole_branch(out))
    }

    fn keyword(&mut self, keyword: &str, value: &Value, depth: usize) -> Option<Value> {
        match value {
            Value::Object(members) if NAMED.contains(&keyword) => {
                let named = members
                    .iter()
                    .map(|(name, member)| (name.clone(), self.schema(member, depth)))
                    .collect();
                Some(Value::Object(named))
            }
            Value::Array(items) if MANY.contains(&keyword) => {
                Some(items.iter().map(|item| self.schema(item, depth)).collect())
            }
            // Beside `unevaluatedProperties` even "anything" says something.
            Value::Bool(true) if self.unstated(keyword) => None,
            Value::Object(members) if self.unstated(keyword) && members.is_empty() => None,
            _ if ONE.contains(&keyword) => Some(self.schema(value, depth)),
            Value::Array(items) if ["required", "enum", "type"].contains(&keyword) => {
                sorted(keyword, items)
            }
            Value::String(_) if keyword == "$ref" => {
                self.kept_a_ref = true;
                Some(value.clone())
            }
            _ => Some(value.clone()),
        }
    }

    fn unstated(&self, keyword: &str) -> bool {
        keyword == "additionalProperties" && self.evaluated_by_nobody
    }

    fn inlined(&mut self, target: &str, depth: usize) -> Option<Value> {
        let pointer = target.strip_prefix('#')?;
        if !self.inline
            || depth > DEEPEST
            || self.nodes > MOST_NODES
            || self.stack.iter().any(|open| open == pointer)
        {
            return None;
        }
        let found = self.root.pointer(pointer)?;
        self.stack.push(pointer.to_owned());
        let normal = self.schema(found, depth + 1);
        self.stack.pop();
        Some(normal)
    }
}

/// Keywords of draft-07 in the words of 2020-12: tuples and dependencies.
fn modern(members: &Map<String, Value>) -> Cow<'_, Map<String, Value>> {
    if !members.contains_key("dependencies") && !members.get("items").is_some_and(Value::is_array) {
        return Cow::Borrowed(members);
    }
    let mut out = members.clone();
    if out.get("items").is_some_and(Value::is_array) {
        if let Some(first) = out.shift_remove("items") {
            out.insert("prefixItems".to_owned(), first);
        }
        if let Some(rest) = out.shift_remove("additionalItems") {
            out.insert("items".to_owned(), rest);
        }
    }
    if let Some(Value::Object(dependencies)) = out.shift_remove("dependencies") {
        for (name, needs) in dependencies {
            let keyword = if needs.is_array() { "dependentRequired" } else { "dependentSchemas" };
            if let Some(known) = out.entry(keyword).or_insert_with(|| json!({})).as_object_mut() {
                known.insert(name, needs);
            }
        }
    }
    Cow::Owned(out)
}

/// Arrays that are sets.
fn sorted(keyword: &str, items: &[Value]) -> Option<Value> {
    let mut items: Vec<Value> = items.to_vec();
    items.sort_by_cached_key(|item| canonical(item).unwrap_or_default());
    items.dedup();
    match (keyword, items.len()) {
        ("required", 0) => None,
        ("type", 1) => items.pop(),
        _ => Some(Value::Array(items)),
    }
}

/// Both at once: keywords of `beside` join `target`; where both state one differently, annotations
/// of `beside` win and anything else keeps the two apart.
fn merged(target: Value, beside: Map<String, Value>) -> Value {
    if beside.is_empty() || target == json!(false) {
        return target;
    }
    let Value::Object(mut members) = target else { return Value::Object(beside) };
    let interplay = |keyword: &str| {
        ONE.contains(&keyword)
            || MANY.contains(&keyword)
            || NAMED.contains(&keyword)
            || ["minContains", "maxContains"].contains(&keyword)
    };
    let apart = beside.iter().any(|(keyword, value)| {
        let annotation = ANNOTATIONS.contains(&keyword.as_str());
        let said = members.get(keyword);
        !annotation
            && (said.is_some_and(|said| said != value)
                // Keywords that read their neighbours mean something else beside new ones.
                || (interplay(keyword)
                    && said != Some(value)
                    && members.keys().any(|known| interplay(known))))
    });
    if apart {
        let mut out = beside;
        let all = out.entry("allOf").or_insert_with(|| json!([]));
        if let Some(all) = all.as_array_mut() {
            all.push(Value::Object(members));
        }
        return Value::Object(out);
    }
    members.extend(beside);
    Value::Object(members)
}

/// `allOf`, `anyOf` and `oneOf` of one branch are that branch.
fn sole_branch(schema: Value) -> Value {
    let Value::Object(mut members) = schema else { return schema };
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let sole = members.get(keyword).and_then(Value::as_array).is_some_and(|all| all.len() == 1);
        if sole
            && let Some(Value::Array(mut branches)) = members.shift_remove(keyword)
            && let Some(branch) = branches.pop()
        {
            let before = Value::Object(members.clone());
            let joined = merged(branch.clone(), members);
            // Kept apart, the branch would stand in an `allOf` again.
            if joined.get("allOf").is_some_and(|all| all == &json!([branch])) {
                return joined;
            }
            match joined {
                Value::Object(next) => members = next,
                other if before == json!({}) => return other,
                other => return other,
            }
        }
    }
    Value::Object(members)
}

/// `anyOf: [T, null]` as `type: [T, null]`, where T is told by its type and what narrows that type.
fn nullable(schema: Value) -> Value {
    let Value::Object(members) = &schema else { return schema };
    let null = json!({"type": "null"});
    let Some([first, second]) = members.get("anyOf").and_then(Value::as_array).map(Vec::as_slice)
    else {
        return schema;
    };
    let branch = match (first == &null, second == &null) {
        (false, true) => first,
        (true, false) => second,
        _ => return schema,
    };
    let Some(Value::Object(widened)) = with_null(branch) else { return schema };
    let mut beside = members.clone();
    beside.shift_remove("anyOf");
    let clash = beside.iter().any(|(keyword, value)| {
        !ANNOTATIONS.contains(&keyword.as_str()) && widened.get(keyword) != Some(value)
    });
    if clash { schema } else { merged(Value::Object(widened), beside) }
}

/// The schema that admits null beside what `branch` admits; `None` where that needs an `anyOf`.
fn with_null(branch: &Value) -> Option<Value> {
    let mut members = branch.as_object()?.clone();
    let spread = ["$ref", "allOf", "anyOf", "oneOf", "not", "if", "$dynamicRef", "const"];
    if spread.iter().any(|keyword| members.contains_key(*keyword)) {
        return None;
    }
    let mut types = match members.get("type")? {
        Value::String(one) => vec![json!(one)],
        Value::Array(types) => types.clone(),
        _ => return None,
    };
    types.push(json!("null"));
    members.insert("type".to_owned(), sorted("type", &types)?);
    if let Some(Value::Array(values)) = members.get("enum") {
        let mut values = values.clone();
        values.push(Value::Null);
        members.insert("enum".to_owned(), sorted("enum", &values)?);
    }
    Some(Value::Object(members))
}
