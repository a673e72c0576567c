//! Does one schema admit every value of another? Three-valued: what is not decided is Unknown.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jsonschema::canonical::{self, CanonicalSchema};
use jsonschema::{Draft, PatternOptions};
use serde_json::{Map, Value, json};

use super::Schema;
use super::covers;
use super::normal::normal_schema;
use super::sample::{Effort, try_instances};
use crate::domain::json::Item;

/// What a Yes by keywords must survive: it does not rest on instances, they would only tell of a fault
/// here.
const SURE: Effort = Effort { most: 48, bytes: 32 << 10 };
/// What is tried before a containment is left open, because a No rests on the instance that is found;
/// and where the word of the algebra counts, which is experimental.
const SEARCH: Effort = Effort { most: 400, bytes: 128 << 10 };
/// Values and keys of two schemas that the algebra is asked about; it may take far more than their size.
const ALGEBRA: usize = 1_500;

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
    if outer == inner {
        return Containment::Yes;
    }
    let shown = shown(&outer, &inner);
    // An instance is beyond dispute, whatever was shown.
    let refused = |it: &Value, item: Item<'_>| match outer_schema.admits(item) {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(it.clone()),
    };
    let effort = if matches!(shown, Algebra::Yes(By::Keywords)) { SURE } else { SEARCH };
    if let Some(it) = try_instances(&inner_schema, effort, refused) {
        return Containment::No(Box::new(it));
    }
    match shown {
        Algebra::Yes(_) => Containment::Yes,
        Algebra::Rest(rest) => {
            // The engine's word for what is left over is tried against both.
            let left = Schema::compile(&rest).ok().and_then(|rest| {
                try_instances(&rest, SEARCH, |it, item| {
                    match inner_schema.admits(item) && !outer_schema.admits(item) {
                        true => ControlFlow::Break(it.clone()),
                        false => ControlFlow::Continue(()),
                    }
                })
            });
            left.map_or_else(
                || Containment::Unknown(LEFT_OVER.to_owned()),
                |it| Containment::No(Box::new(it)),
            )
        }
        Algebra::Unknown(why) => Containment::Unknown(why),
    }
}

const LEFT_OVER: &str = "something may be left over, and no instance of it was found";

/// What a containment was shown by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Each keyword of the one is said by the other.
    Keywords,
    /// The schema algebra, in some place at least. It is experimental: try many instances beside it.
    Algebra,
}

/// Whether `outer` admits every value of `inner`, by the schemas alone: for who tries instances on
/// their own. Both are in their normal form, as [`closed`] leaves them.
///
/// # Errors
/// Why that is not shown, in words.
pub(crate) fn covered(outer: &Value, inner: &Value) -> Result<By, String> {
    if outer == inner {
        return Ok(By::Keywords);
    }
    match shown(outer, inner) {
        Algebra::Yes(by) => Ok(by),
        Algebra::Rest(_) => Err(LEFT_OVER.to_owned()),
        Algebra::Unknown(why) => Err(why),
    }
}

/// What is shown about two normal schemas: keyword by keyword, the algebra asked about the places where
/// that does not tell, and only then about the whole.
fn shown(outer: &Value, inner: &Value) -> Algebra {
    let mut of_the_whole = None;
    let mut by = By::Keywords;
    if !refers(outer) && !refers(inner) {
        let mut ask = |wide: &Value, narrow: &Value| {
            let told = asked(wide, narrow);
            let covered = matches!(told, Algebra::Yes(_));
            if covered {
                by = By::Algebra;
            }
            if std::ptr::eq(wide, outer) && std::ptr::eq(narrow, inner) {
                of_the_whole = Some(told);
            }
            covered
        };
        if covers::covers(outer, inner, &mut ask) {
            return Algebra::Yes(by);
        }
    }
    of_the_whole.unwrap_or_else(|| asked(outer, inner))
}

/// Whether a `$ref` is left: what stands below means something in its root alone.
pub(crate) fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| matches!(name.as_str(), "$ref" | "$dynamicRef") || refers(value)),
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

/// Asks the algebra within its bounds. A panic in it is one more way of not knowing.
fn asked(outer: &Value, inner: &Value) -> Algebra {
    if size(outer) + size(inner) > ALGEBRA {
        return Algebra::Unknown("the schemas are too large for the algebra".to_owned());
    }
    catch_unwind(AssertUnwindSafe(|| algebra(outer, inner)))
        .unwrap_or_else(|_| Algebra::Unknown("the schema algebra gave up".to_owned()))
}

fn size(schema: &Value) -> usize {
    match schema {
        Value::Object(members) => 1 + members.values().map(|it| 1 + size(it)).sum::<usize>(),
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        _ => 1,
    }
}

enum Algebra {
    Yes(By),
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
        Ok(canonical::Containment::Yes) => Algebra::Yes(By::Algebra),
        Ok(canonical::Containment::No | canonical::Containment::Unknown) => {
            match inner.subtract(&outer) {
                Ok(rest) if rest.satisfiability() == canonical::Satisfiability::No => {
                    Algebra::Yes(By::Algebra)
                }
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
