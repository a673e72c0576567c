//! Holds the tree against the published schema and finds every fault, not the first.
//!
//! The schema is what `schemars` makes of [`super::raw`], so this knows the keywords that it writes:
//! `$ref`, `type`, `properties`, `additionalProperties`, `required`, `items`, `const` and `enum` in
//! alternatives, `minimum`, `maximum`.

use serde_json::Value;

use super::tree::{Node, Spot, Tree};

/// A fault and where it stands.
pub(super) type Found = (Spot, String);

/// All that the schema does not allow.
pub(super) fn check(tree: &Tree, schema: &Value) -> Vec<Found> {
    let mut checker = Checker { root: schema, found: Vec::new() };
    checker.value(tree, schema, "the file");
    checker.found.sort();
    checker.found
}

struct Checker<'s> {
    root: &'s Value,
    found: Vec<Found>,
}

impl<'s> Checker<'s> {
    fn value(&mut self, tree: &Tree, schema: &'s Value, name: &str) {
        let schema = self.resolved(schema);
        let alternatives = self.alternatives(schema);
        if !alternatives.is_empty() {
            return self.one_of(tree, &alternatives, name);
        }
        if let Some(types) = schema.get("type")
            && !takes(types, tree)
        {
            let expected = type_words(types).join(" or ");
            let came = shown(tree);
            self.found.push((tree.at, format!("`{name}`: expected {expected}, got {came}")));
            return;
        }
        self.bounds(tree, schema, name);
        match &tree.node {
            Node::Map(members) => self.members(tree, members, schema, name),
            Node::List(items) => {
                if let Some(each) = schema.get("items") {
                    for item in items {
                        self.value(item, each, name);
                    }
                }
            }
            Node::Scalar(_) => {}
        }
    }

    fn members(
        &mut self,
        tree: &Tree,
        members: &[(String, Spot, Tree)],
        schema: &'s Value,
        name: &str,
    ) {
        let known = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for (key, spot, below) in members {
            if let Some(property) = known.and_then(|known| known.get(key)) {
                self.value(below, property, key);
            } else if let Some(others) = others.filter(|others| others.is_object()) {
                self.value(below, others, key);
            } else {
                let keys = known.into_iter().flat_map(|known| known.keys().map(String::as_str));
                self.found.push((*spot, unknown_key(key, name, keys)));
            }
        }
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if let Some(required) = required.as_str()
                && !members.iter().any(|(key, ..)| key == required)
            {
                self.found.push((tree.at, format!("`{name}`: the key `{required}` is missing")));
            }
        }
    }

    /// The faults of the alternative that is of the value's type, or what would be accepted.
    fn one_of(&mut self, tree: &Tree, alternatives: &[&'s Value], name: &str) {
        let came = tree.value();
        let words: Vec<String> = alternatives
            .iter()
            .flat_map(|schema| constants(schema))
            .map(|constant| format!("`{}`", plain(constant)))
            .collect();
        if alternatives.iter().any(|schema| constants(schema).contains(&&came)) {
            return;
        }
        let of_type = alternatives.iter().copied().find(|schema| {
            constants(schema).is_empty()
                && schema.get("type").is_none_or(|types| takes(types, tree))
        });
        match of_type {
            Some(schema) => self.value(tree, schema, name),
            None => {
                let expected = if words.is_empty() {
                    let types = alternatives.iter().filter_map(|schema| schema.get("type"));
                    types
                        .flat_map(type_words)
                        .filter(|w| *w != "nothing")
                        .collect::<Vec<_>>()
                        .join(" or ")
                } else {
                    words.join(", ")
                };
                let nearest = came.as_str().and_then(|came| {
                    nearest(came, words.iter().map(|word| word.trim_matches('`')))
                });
                let hint =
                    nearest.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
                let came = shown(tree);
                self.found
                    .push((tree.at, format!("`{name}`: expected {expected}, got {came}{hint}")));
            }
        }
    }

    fn bounds(&mut self, tree: &Tree, schema: &Value, name: &str) {
        let Node::Scalar(Value::Number(number)) = &tree.node else { return };
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let Some(number) = number.as_f64() else { return };
        let below = bound("minimum").filter(|minimum| number < *minimum);
        let above = bound("maximum").filter(|maximum| number > *maximum);
        let expected = below
            .map(|minimum| format!("at least {minimum}"))
            .or_else(|| above.map(|maximum| format!("at most {maximum}")));
        if let Some(expected) = expected {
            self.found.push((tree.at, format!("`{name}`: expected {expected}, got {number}")));
        }
    }

    fn resolved(&self, mut schema: &'s Value) -> &'s Value {
        while let Some(target) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| self.root.pointer(reference.trim_start_matches('#')))
        {
            schema = target;
        }
        schema
    }

    /// `anyOf` and `oneOf`, nested ones opened, `enum` as one of its own.
    fn alternatives(&self, schema: &'s Value) -> Vec<&'s Value> {
        if !constants(schema).is_empty() {
            return vec![schema];
        }
        ["anyOf", "oneOf"]
            .iter()
            .filter_map(|keyword| schema.get(*keyword)?.as_array())
            .flatten()
            .flat_map(|alternative| {
                let alternative = self.resolved(alternative);
                let nested = self.alternatives(alternative);
                if nested.is_empty() { vec![alternative] } else { nested }
            })
            .collect()
    }
}

fn constants(schema: &Value) -> Vec<&Value> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    schema.get("const").into_iter().chain(listed).collect()
}

fn unknown_key<'k>(key: &str, name: &str, known: impl Iterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.collect();
    let hint = nearest(key, known.iter().copied()).map_or_else(
        || format!("known keys: {}", known.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    format!("`{name}` has no key `{key}`; {hint}")
}

/// The known word that was most likely meant.
fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Whether one of these types is the tree's; a whole number is a number.
fn takes(types: &Value, tree: &Tree) -> bool {
    let (words, came) = (type_words(types), type_of(tree));
    words.contains(&came) || (came == "a whole number" && words.contains(&"a number"))
}

fn type_words(types: &Value) -> Vec<&'static str> {
    let word = |word: &Value| match word.as_str() {
        Some("object") => "a mapping",
        Some("array") => "a list",
        Some("string") => "a text",
        Some("boolean") => "true or false",
        Some("integer") => "a whole number",
        Some("number") => "a number",
        _ => "nothing",
    };
    match types {
        Value::Array(types) => types.iter().map(word).collect(),
        one => vec![word(one)],
    }
}

fn type_of(tree: &Tree) -> &'static str {
    match &tree.node {
        Node::Map(_) => "a mapping",
        Node::List(_) => "a list",
        Node::Scalar(Value::String(_)) => "a text",
        Node::Scalar(Value::Bool(_)) => "true or false",
        Node::Scalar(Value::Number(number)) if number.is_f64() => "a number",
        Node::Scalar(Value::Number(_)) => "a whole number",
        Node::Scalar(_) => "nothing",
    }
}

fn shown(tree: &Tree) -> String {
    match &tree.node {
        Node::Scalar(Value::Null) => "nothing".to_owned(),
        Node::Scalar(value) => format!("`{}`", plain(value)),
        _ => type_of(tree).to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
