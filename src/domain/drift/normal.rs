//! A schema in one spelling: references inlined, `allOf` folded, nullable forms and lists of types made
//! one, noise left out. Two schemas of equal meaning mostly come out equal; nothing else is concluded.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Members that say nothing about which values are admitted.
const NOISE: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
    "markdownDescription",
    "nullable",
];
/// Nodes that inlining may make; what lies beyond stays a reference, and the definitions stay with it.
const BUDGET: usize = 3_000;
/// Schemas inside one another.
const DEPTH: usize = 48;
/// The largest integer that JSON numbers of JavaScript hold exactly: tools write it for "no bound".
const SAFE: f64 = 9_007_199_254_740_991.0;

/// The schema in its normal spelling. Local references (`#/…`) are inlined while the budget lasts; a
/// reference that turns in a circle stays as it is. Where one is left for want of budget the
/// definitions stay as they were written: what changed in them must not be missed.
#[must_use]
pub fn normal(schema: &Value) -> Value {
    let mut inliner = Inliner { root: schema, left: BUDGET, open: Vec::new(), cut: false };
    let mut made = inliner.node(schema, 0);
    if inliner.cut
        && let Some(made) = made.as_object_mut()
    {
        for name in ["$defs", "definitions"] {
            if let Some(known) = schema.get(name) {
                made.insert(name.to_owned(), known.clone());
            }
        }
    }
    made
}

struct Inliner<'s> {
    root: &'s Value,
    left: usize,
    open: Vec<&'s str>,
    /// Whether something stays as it was written, for want of budget or depth.
    cut: bool,
}

impl<'s> Inliner<'s> {
    fn node(&mut self, node: &'s Value, depth: usize) -> Value {
        let members = match node {
            Value::Bool(true) => return json!({}),
            Value::Bool(false) => return json!({ "not": {} }),
            Value::Object(members) => members,
            other => return other.clone(),
        };
        if depth > DEPTH || self.left == 0 {
            self.cut = true;
            return node.clone();
        }
        self.left -= 1;
        let mut made = Map::new();
        for (name, value) in members {
            if NOISE.contains(&name.as_str()) || name == "$ref" {
                continue;
            }
            made.insert(name.clone(), self.member(name, value, depth));
        }
        if members.get("nullable") == Some(&Value::Bool(true)) {
            admit_null(&mut made);
        }
        tidy(&mut made);
        let mut made = fold_all_of(made);
        fold_unions(&mut made);
        match members.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.inlined(reference, made, depth),
            None => Value::Object(made),
        }
    }

    /// The target of a reference, with what stands beside the reference laid over it.
    fn inlined(&mut self, reference: &'s str, beside: Map<String, Value>, depth: usize) -> Value {
        let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target.filter(|_| !self.open.contains(&reference)) else {
            let mut beside = beside;
            beside.insert("$ref".to_owned(), json!(reference));
            return Value::Object(beside);
        };
        self.open.push(reference);
        let target = self.node(target, depth + 1);
        self.open.pop();
        let Value::Object(target) = target else { return target };
        if beside.is_empty() {
            return Value::Object(target);
        }
        merged(&beside, &target).map_or_else(
            || json!({ "allOf": [Value::Object(beside.clone()), Value::Object(target.clone())] }),
            Value::Object,
        )
    }

    fn member(&mut self, name: &str, value: &'s Value, depth: usize) -> Value {
        match (name, value) {
            ("properties" | "patternProperties" | "dependentSchemas", Value::Object(schemas)) => {
                Value::Object(
                    schemas.iter().map(|(n, s)| (n.clone(), self.node(s, depth + 1))).collect(),
                )
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(schemas)) => {
                Value::Array(schemas.iter().map(|s| self.node(s, depth + 1)).collect())
            }
            (
                "items"
                | "additionalProperties"
                | "not"
                | "if"
                | "then"
                | "else"
                | "contains"
                | "propertyNames"
                | "unevaluatedProperties"
                | "additionalItems",
                Value::Object(_) | Value::Bool(_),
            ) => self.node(value, depth + 1),
            ("type", Value::String(one)) => json!([one]),
            ("required", Value::Array(names)) => sorted(names),
            _ => value.clone(),
        }
    }
}

/// Puts keywords into one spelling and drops those that constrain nothing.
fn tidy(made: &mut Map<String, Value>) {
    if let Some(constant) = made.remove("const") {
        made.insert("enum".to_owned(), json!([constant]));
    }
    if let Some(Value::Array(types)) = made.get("type") {
        let mut names: BTreeSet<&str> = types.iter().filter_map(Value::as_str).collect();
        if names.contains("number") {
            names.remove("integer");
        }
        let names = json!(names);
        made.insert("type".to_owned(), names);
    }
    if let Some(Value::Array(values)) = made.get("enum") {
        let as_listed = values.clone();
        let values = sorted(values);
        if values != json!(as_listed) {
            made.entry("x-order").or_insert(json!(as_listed));
        }
        made.insert("enum".to_owned(), values);
    }
    let integer = made.get("type") == Some(&json!(["integer"]));
    for (exclusive, inclusive, step) in
        [("exclusiveMinimum", "minimum", 1.0), ("exclusiveMaximum", "maximum", -1.0)]
    {
        let bound = made.get(exclusive).and_then(Value::as_f64);
        if let Some(bound) =
            bound.filter(|bound| integer && bound.fract() == 0.0 && bound.abs() < SAFE)
            && !made.contains_key(inclusive)
        {
            made.remove(exclusive);
            made.insert(inclusive.to_owned(), json!(bound + step));
        }
    }
    for bound in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"] {
        if let Some(value) = made.get(bound).and_then(Value::as_f64) {
            made.insert(bound.to_owned(), json!(value));
        }
    }
    for (bound, beyond) in [("minimum", -SAFE), ("maximum", SAFE)] {
        let safe =
            made.get(bound).and_then(Value::as_f64).is_some_and(|it| it * beyond.signum() >= SAFE);
        if safe {
            made.insert(format!("x-safe-{bound}"), json!(true));
        }
    }
    made.retain(|name, value| match name.as_str() {
        "additionalProperties" | "items" | "unevaluatedProperties" => *value != json!({}),
        "required" | "allOf" => *value != json!([]),
        "properties" => *value != json!({}),
        "minLength" | "minItems" | "minProperties" => *value != json!(0),
        "uniqueItems" => *value != json!(false),
        "minimum" => value.as_f64().is_none_or(|bound| bound > -SAFE),
        "maximum" => value.as_f64().is_none_or(|bound| bound < SAFE),
        _ => true,
    });
}

fn sorted(values: &[Value]) -> Value {
    in_order(values.to_vec())
}

fn in_order(mut values: Vec<Value>) -> Value {
    values.sort_by_cached_key(Value::to_string);
    values.dedup();
    Value::Array(values)
}

/// Folds the branches of `allOf` into the node where they agree; what does not fold stays.
fn fold_all_of(mut made: Map<String, Value>) -> Map<String, Value> {
    let Some(Value::Array(branches)) = made.remove("allOf") else { return made };
    let mut rest = Vec::new();
    for branch in branches {
        let folded = branch.as_object().and_then(|branch| merged(&made, branch));
        match folded {
            Some(folded) => made = folded,
            None => rest.push(branch),
        }
    }
    if !rest.is_empty() {
        made.insert("allOf".to_owned(), sorted(&rest));
    }
    made
}

/// Both at once, or `None` where two keywords do not fold. Annotations of `first` win.
fn merged(first: &Map<String, Value>, second: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut made = first.clone();
    for (name, value) in second {
        let Some(own) = made.get(name) else {
            made.insert(name.clone(), value.clone());
            continue;
        };
        if own == value || matches!(name.as_str(), "description" | "default") || is_mark(name) {
            continue;
        }
        let both = match (name.as_str(), own, value) {
            ("required", Value::Array(own), Value::Array(more)) => {
                sorted(&[own.as_slice(), more].concat())
            }
            ("type" | "enum", Value::Array(own), Value::Array(more)) => {
                let both: Vec<Value> = own.iter().filter(|v| more.contains(v)).cloned().collect();
                if both.is_empty() {
                    return None;
                }
                Value::Array(both)
            }
            ("properties", Value::Object(own), Value::Object(more)) => {
                let mut all = own.clone();
                for (property, schema) in more {
                    let both = match (all.get(property), schema) {
                        (None, schema) => schema.clone(),
                        (Some(Value::Object(a)), Value::Object(b)) => Value::Object(merged(a, b)?),
                        _ => return None,
                    };
                    all.insert(property.clone(), both);
                }
                Value::Object(all)
            }
            _ => return None,
        };
        made.insert(name.clone(), both);
    }
    Some(made)
}

/// Takes `null` out of unions, and unions of bare types or of constants into one list.
fn fold_unions(made: &mut Map<String, Value>) {
    for union in ["anyOf", "oneOf"] {
        let Some(variants) = made.get_mut(union).and_then(Value::as_array_mut) else { continue };
        let variants = std::mem::take(variants);
        let null = |v: &Value| *v == json!({ "type": ["null"] }) || *v == json!({ "enum": [null] });
        let nullable = variants.iter().any(null);
        let rest: Vec<&Value> = variants.iter().filter(|v| !null(v)).collect();
        let one = match rest.as_slice() {
            [one] => one.as_object().cloned(),
            _ => joined(&rest, "type").or_else(|| joined(&rest, "enum")),
        };
        let folded = one.and_then(|one| {
            let mut base = made.clone();
            base.remove(union);
            // A type that stands beside the union and admits null is narrowed by the union anyway.
            if let Some(Value::Array(types)) = base.get_mut("type") {
                types.retain(|t| t != "null");
            }
            merged(&base, &one)
        });
        match folded {
            Some(mut folded) => {
                if nullable {
                    admit_null(&mut folded);
                }
                *made = folded;
                tidy(made);
            }
            None => {
                made.insert(union.to_owned(), in_order(variants));
            }
        }
    }
}

/// One schema for variants that only list types, or only list values of one type.
fn joined(variants: &[&Value], keyword: &str) -> Option<Map<String, Value>> {
    let mut all = Vec::new();
    let mut types: Option<&Value> = None;
    for variant in variants {
        let variant = variant.as_object()?;
        let others = variant.keys().filter(|k| *k != keyword && *k != "description" && !is_mark(k));
        for other in others {
            if other != "type" || keyword != "enum" {
                return None;
            }
        }
        if keyword == "enum" {
            let own = variant.get("type");
            if types.is_some() && types != own {
                return None;
            }
            types = own;
        }
        all.extend(variant.get(keyword)?.as_array()?.iter().cloned());
    }
    let mut made = Map::new();
    made.insert(keyword.to_owned(), sorted(&all));
    if let Some(types) = types {
        made.insert("type".to_owned(), types.clone());
    }
    (!all.is_empty()).then_some(made)
}

fn admit_null(made: &mut Map<String, Value>) {
    for list in ["type", "enum"] {
        if let Some(value) = made.get_mut(list) {
            let null = if list == "type" { json!("null") } else { Value::Null };
            let mut values = match value.take() {
                Value::Array(values) => values,
                one => vec![one],
            };
            if !values.contains(&null) {
                values.push(null);
            }
            *value = sorted(&values);
        }
    }
}

/// The types that a normal schema admits; `None` where it does not say.
#[must_use]
pub fn types(schema: &Value) -> Option<BTreeSet<&str>> {
    let listed = schema.get("type")?.as_array()?;
    Some(listed.iter().filter_map(Value::as_str).collect())
}

/// The names that a normal schema requires.
#[must_use]
pub fn required(schema: &Value) -> BTreeSet<&str> {
    let listed = schema.get("required").and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The declared properties of a normal schema, in order.
pub fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// The closed list of values of a normal schema.
#[must_use]
pub fn values(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("enum")?.as_array()
}

/// Whether a normal schema refuses members that it does not declare.
#[must_use]
pub fn is_closed(schema: &Value) -> bool {
    ["additionalProperties", "unevaluatedProperties"]
        .iter()
        .any(|keyword| schema.get(keyword) == Some(&json!({ "not": {} })))
}

/// The schema without its texts and default: what it admits.
#[must_use]
pub fn shape(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .filter(|(name, value)| is_of_shape(name, value))
                .map(|(name, value)| match (name.as_str(), value) {
                    ("properties", Value::Object(all)) => (
                        name.clone(),
                        Value::Object(all.iter().map(|(n, s)| (n.clone(), shape(s))).collect()),
                    ),
                    _ => (name.clone(), shape(value)),
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(shape).collect()),
        other => other.clone(),
    }
}

/// Whether a member of a schema says what is admitted.
fn is_of_shape(name: &str, value: &Value) -> bool {
    !(name == "description" && value.is_string()) && name != "default" && !is_mark(name)
}

/// Whether two schemas have one [`shape`], without making it.
#[must_use]
pub fn same_shape(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let count = |members: &Map<String, Value>| {
                members.iter().filter(|(name, value)| is_of_shape(name, value)).count()
            };
            count(one) == count(other)
                && one.iter().filter(|(name, value)| is_of_shape(name, value)).all(
                    |(name, value)| {
                        other.get(name).is_some_and(|said| {
                            is_of_shape(name, said) && same_member(name, value, said)
                        })
                    },
                )
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same_shape(a, b))
        }
        (one, other) => one == other,
    }
}

fn same_member(keyword: &str, one: &Value, other: &Value) -> bool {
    match (keyword, one, other) {
        ("properties", Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, one)| other.get(name).is_some_and(|other| same_shape(one, other)))
        }
        _ => same_shape(one, other),
    }
}

/// The closed list of values in the order in which it was written.
#[must_use]
pub fn values_as_listed(schema: &Value) -> Option<&Vec<Value>> {
    let known = values(schema)?;
    let listed = schema.get("x-order").and_then(Value::as_array);
    Some(listed.filter(|listed| listed.iter().all(|value| known.contains(value))).unwrap_or(known))
}

/// Whether a keyword is a mark of the normal spelling: it keeps how something was written, and says
/// nothing about which values are admitted.
pub(super) fn is_mark(keyword: &str) -> bool {
    keyword.starts_with("x-safe-") || keyword == "x-order"
}

/// What a normal schema admits, bounds that are only those of exact numbers included: a schema that a
/// value can be held against.
#[must_use]
pub fn admitted(schema: &Value) -> Value {
    let safe = |schema: &Value| -> Vec<(&str, f64)> {
        let stated = |name: &str| schema.get(name) == Some(&json!(true));
        let bounds = [("minimum", -SAFE, "x-safe-minimum"), ("maximum", SAFE, "x-safe-maximum")];
        bounds.iter().filter(|(.., name)| stated(name)).map(|(at, it, _)| (*at, *it)).collect()
    };
    let mut made = shape(schema);
    if let Some(members) = made.as_object_mut() {
        for (name, bound) in safe(schema) {
            members.insert(name.to_owned(), json!(bound));
        }
        let inner = |member: &Value| match member {
            Value::Array(all) => Value::Array(all.iter().map(admitted).collect()),
            other => admitted(other),
        };
        for (name, member) in schema.as_object().into_iter().flatten() {
            match (name.as_str(), member) {
                ("properties" | "patternProperties", Value::Object(all)) => {
                    let all = all.iter().map(|(name, schema)| (name.clone(), admitted(schema)));
                    members.insert(name.clone(), Value::Object(all.collect()));
                }
                ("items" | "additionalProperties" | "anyOf" | "oneOf" | "allOf", member) => {
                    members.insert(name.clone(), inner(member));
                }
                _ => {}
            }
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_meaning_come_out_equal() {
        let rows = [
            (json!({"type": "string"}), json!({"$schema": "x", "type": ["string"], "title": "T"})),
            (
                json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
                json!({"type": ["null", "string"]}),
            ),
            (json!({"type": "string", "nullable": true}), json!({"type": ["string", "null"]})),
            (
                json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}},
                       "$defs": {"A": {"type": "integer", "minimum": 1}}}),
                json!({"type": "object", "properties": {"a": {"type": "integer", "exclusiveMinimum": 0}}}),
            ),
            (
                json!({"allOf": [{"required": ["b"]}, {"properties": {"b": {}}, "required": ["a"]}]}),
                json!({"properties": {"b": true}, "required": ["a", "b"]}),
            ),
            (
                json!({"oneOf": [{"const": "b", "type": "string"}, {"const": "a", "type": "string"}]}),
                json!({"enum": ["a", "b"], "type": "string"}),
            ),
            (json!({"additionalProperties": true}), json!({"required": []})),
        ];
        for (one, other) in rows {
            assert_eq!(normal(&one), normal(&other), "{one}");
        }
    }

    #[test]
    fn a_reference_in_a_circle_ends() {
        let tree = json!({"$defs": {"T": {"properties": {"next": {"$ref": "#/$defs/T"}}}},
                          "$ref": "#/$defs/T"});
        let made = normal(&tree);
        assert_eq!(made["properties"]["next"]["$ref"], json!("#/$defs/T"));
    }

    #[test]
    fn what_is_too_large_to_inline_is_not_missed() {
        let doubling = |last: &str| {
            let mut all = Map::new();
            for level in 0..20 {
                let next = json!({"$ref": format!("#/$defs/L{}", level + 1)});
                all.insert(format!("L{level}"), json!({"properties": {"a": next, "b": next}}));
            }
            all.insert("L20".to_owned(), json!({ "type": last }));
            json!({"$ref": "#/$defs/L0", "$defs": all})
        };
        assert_eq!(normal(&doubling("string")), normal(&doubling("string")));
        assert_ne!(normal(&doubling("string")), normal(&doubling("integer")));
    }
}
