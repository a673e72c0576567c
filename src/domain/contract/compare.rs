//! Does one schema admit every value of another? Three-valued: what is not decided is Unknown.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jsonschema::canonical::{self, CanonicalSchema};
use jsonschema::{Draft, PatternOptions};
use serde_json::{Map, Value, json};

use super::Schema;
use super::normal::normal_schema;
use super::sample::instances;

/// How many instances of the inner schema a Yes must survive.
const WITNESSES: usize = 400;

/// Whether one schema admits every value of another.
#[derive(Clone, Debug, PartialEq)]
pub enum Containment {
    /// It does: shown by the algebra, and no generated instance says otherwise.
    Yes,
    /// It does not: this instance of the inner schema the outer one refuses.
    No(Box<Value>),
    /// Not decided, and why.
    Unknown(String),
}

/// Asks whether `outer` admits every value that `inner` admits (draft-07 and 2020-12).
///
/// A `format` counts as a constraint here, because a peer may hold us to it: where only `outer` asks
/// for one the answer is Unknown.
#[must_use]
pub fn contains(outer: &Value, inner: &Value) -> Containment {
    let (outer, inner) = (normal_schema(outer), normal_schema(inner));
    let (outer_schema, inner_schema) = match (Schema::compile(&outer), Schema::compile(&inner)) {
        (Ok(outer), Ok(inner)) => (outer, inner),
        (Err(refused), _) | (_, Err(refused)) => return Containment::Unknown(refused.to_string()),
    };
    let refused = |it: &Value| !outer_schema.admits_value(it);
    if outer == inner {
        return Containment::Yes;
    }
    // Before the algebra is asked: it is experimental, and an instance is beyond dispute.
    if let Some(it) = instances(&inner, WITNESSES).into_iter().find(refused) {
        return Containment::No(Box::new(it));
    }
    // A panic in the engine is one more way of not knowing.
    let answer = catch_unwind(AssertUnwindSafe(|| algebra(&outer, &inner)))
        .unwrap_or_else(|_| Algebra::Unknown("the schema algebra gave up".to_owned()));
    match answer {
        Algebra::Yes => Containment::Yes,
        Algebra::Rest(rest) => {
            // The engine's word for what is left over is tried against both.
            let mut left = instances(&rest, WITNESSES).into_iter();
            match left.find(|it| inner_schema.admits_value(it) && refused(it)) {
                Some(it) => Containment::No(Box::new(it)),
                None => Containment::Unknown(
                    "something may be left over, and no instance of it was found".to_owned(),
                ),
            }
        }
        Algebra::Unknown(why) => Containment::Unknown(why),
    }
}

enum Algebra {
    Yes,
    /// What `inner` admits and `outer` refuses, as a schema; it may be empty for all we know.
    Rest(Value),
    Unknown(String),
}

fn algebra(outer: &Value, inner: &Value) -> Algebra {
    // Of draft 2019-09: 2020-12 would pass over it as if it said nothing.
    if [outer, inner].iter().any(|schema| schema.to_string().contains("$recursiveRef")) {
        return Algebra::Unknown("a schema uses $recursiveRef".to_owned());
    }
    let read = |schema: &Value| -> Result<CanonicalSchema, Algebra> {
        let read = canonical::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(true)
            // The engine that judges replies.
            .with_pattern_options(PatternOptions::regex())
            .canonicalize(schema)
            .map_err(|error| Algebra::Unknown(error.to_string()))?;
        if let canonical::CanonicalView::Raw(_) = read.view() {
            let why = "a schema uses what the algebra cannot express".to_owned();
            return Err(Algebra::Unknown(why));
        }
        Ok(read)
    };
    let (outer, inner) = match (read(outer), read(inner)) {
        (Ok(outer), Ok(inner)) => (outer, inner),
        (Err(answer), _) | (_, Err(answer)) => return answer,
    };
    match outer.covers(&inner) {
        Ok(canonical::Containment::Yes) => Algebra::Yes,
        Ok(canonical::Containment::No | canonical::Containment::Unknown) => {
            match inner.subtract(&outer) {
                Ok(rest) if rest.satisfiability() == canonical::Satisfiability::No => Algebra::Yes,
                Ok(rest) => Algebra::Rest(rest.to_json_schema()),
                Err(error) => Algebra::Unknown(error.to_string()),
            }
        }
        Err(error) => Algebra::Unknown(error.to_string()),
    }
}

/// The schema over declared members alone: an object has no member that it does not declare.
///
/// JSON Schema is open by default, so a proof over all values would refute everything. An object
/// that declares no member and is not the root stays open: it is a free-form one. So do objects
/// whose members are spread over `allOf`, `oneOf` or `if`, where closing would change the meaning.
#[must_use]
pub fn closed(schema: &Value) -> Value {
    let mut schema = normal_schema(schema);
    close(&mut schema, true);
    schema
}

fn close(schema: &mut Value, root: bool) {
    let Some(members) = schema.as_object_mut() else { return };
    let spread = ["allOf", "oneOf", "if", "$ref", "$dynamicRef", "not", "dependentSchemas"]
        .iter()
        .any(|keyword| members.contains_key(*keyword));
    let says = |keyword: &str| members.contains_key(keyword);
    let object = says("properties") || (root && !says("anyOf") && may_be_object(members));
    let open = !says("additionalProperties")
        && !says("patternProperties")
        && !says("unevaluatedProperties");
    // Beside a union, members may be declared in its branches.
    if object && open && !spread && !says("anyOf") {
        members.insert("additionalProperties".to_owned(), json!(false));
    }
    for (keyword, value) in members.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties" | "patternProperties", Value::Object(named)) => {
                named.values_mut().for_each(|member| close(member, false));
            }
            ("items" | "additionalProperties", one @ Value::Object(_)) => close(one, false),
            ("anyOf" | "prefixItems", Value::Array(many))
                if keyword == "prefixItems" || !object =>
            {
                many.iter_mut().for_each(|branch| close(branch, false));
            }
            _ => {}
        }
    }
}

fn may_be_object(members: &Map<String, Value>) -> bool {
    match members.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.contains(&json!("object")),
        _ => false,
    }
}
