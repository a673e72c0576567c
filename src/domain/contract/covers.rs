//! Containment read off two schemas keyword by keyword, the algebra asked only about places where
//! the keywords do not tell.
//!
//! ```text
//!   outer, inner ──► each keyword of outer: said by inner? ── yes, all ──► covered
//!                          │ a member, an item: the same one level down
//!                          └ not told by keywords ──► the algebra, about this place alone
//! ```
//!
//! Why that is sound: a schema admits a value where each of its keywords does, so `outer` covers
//! `inner` where each keyword of `outer` admits all that `inner` admits. What a keyword's neighbours
//! change (`additionalProperties` beside `properties`, `items` beside `prefixItems`) is looked at
//! together with them, or not decided. A keyword of `inner` that is passed over only makes it wider.
//! So one changed argument costs what an argument costs, not what a tool does.

use serde_json::{Map, Number, Value};

use super::normal::ANNOTATIONS;

/// Places that are compared before it is given up.
const STEPS: usize = 20_000;

/// Keywords that look at a value together with others, or at the same value again.
const SPREAD: [&str; 15] = [
    "$ref",
    "$dynamicRef",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependentRequired",
    "patternProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Names of schemas: nothing is left that refers to them.
const NAMES: [&str; 3] = ["$id", "$anchor", "$dynamicAnchor"];

/// Keywords that mean the same whatever stands beside them: said on both sides alike, they hold.
const ALONE: [&str; 30] = [
    "type",
    "enum",
    "const",
    "required",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "properties",
    "patternProperties",
    "dependentRequired",
    "dependentSchemas",
    "prefixItems",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "contentEncoding",
    "contentMediaType",
];

/// Whether every value that `inner` admits is admitted by `outer`: a yes is sure, a no is none.
///
/// Both in their normal form and without references. `ask` answers for one place in the same way.
pub(super) fn covers(
    outer: &Value,
    inner: &Value,
    ask: &mut dyn FnMut(&Value, &Value) -> bool,
) -> bool {
    Walk { ask, left: STEPS }.place(outer, inner)
}

struct Walk<'a> {
    ask: &'a mut dyn FnMut(&Value, &Value) -> bool,
    left: usize,
}

/// What the keywords of a place tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Yes,
    /// Something inside is not covered, and was asked about already.
    Inside,
    /// Nothing.
    Unsaid,
}

impl From<bool> for Told {
    fn from(covered: bool) -> Self {
        if covered { Self::Yes } else { Self::Unsaid }
    }
}

impl Walk<'_> {
    fn place(&mut self, outer: &Value, inner: &Value) -> bool {
        if admits_all(outer) || inner == &Value::Bool(false) || outer == inner {
            return true;
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        match self.told(outer, inner) {
            Told::Yes => true,
            Told::Inside => false,
            Told::Unsaid => (self.ask)(outer, inner),
        }
    }

    /// As [`Self::place`], by the keywords alone.
    fn plainly(&mut self, outer: &Value, inner: &Value) -> bool {
        let mut walk = Walk { ask: &mut |_, _| false, left: self.left };
        let covered = walk.place(outer, inner);
        self.left = walk.left;
        covered
    }

    fn told(&mut self, outer: &Value, inner: &Value) -> Told {
        let open = Map::new();
        let (Some(out), Some(said)) = (outer.as_object(), inner.as_object().or(Some(&open))) else {
            return Told::Unsaid;
        };
        for union in ["anyOf", "oneOf"] {
            if let Some(branches) = sole_union(said, union) {
                let all = branches.iter().all(|branch| self.place(outer, branch));
                return match (all, union) {
                    (true, _) => Told::Yes,
                    (false, "anyOf") => Told::Inside,
                    // What two branches admit the union does not.
                    (false, _) => Told::Unsaid,
                };
            }
        }
        let kinds = kinds(said);
        let mut inside = false;
        for (keyword, value) in out {
            let passed = says_nothing(keyword)
                || NAMES.contains(&keyword.as_str())
                || (ALONE.contains(&keyword.as_str()) && said.get(keyword) == Some(value))
                || kinds.as_ref().is_some_and(|kinds| speaks_of_none(keyword, kinds));
            let told = match passed {
                true => Told::Yes,
                false => self.keyword((keyword, value), out, said, inner, kinds.as_deref()),
            };
            match told {
                Told::Yes => {}
                Told::Inside => inside = true,
                Told::Unsaid => return Told::Unsaid,
            }
        }
        match inside {
            false => Told::Yes,
            // What `inner` says by other means may rule out what is not covered.
            true if SPREAD.iter().any(|keyword| said.contains_key(*keyword)) => Told::Unsaid,
            true => Told::Inside,
        }
    }

    fn keyword(
        &mut self,
        (keyword, value): (&str, &Value),
        out: &Map<String, Value>,
        said: &Map<String, Value>,
        inner: &Value,
        kinds: Option<&[&str]>,
    ) -> Told {
        match keyword {
            "type" => kinds.is_some_and(|kinds| kinds.iter().all(|it| of_type(value, it))).into(),
            "enum" | "const" => listed(keyword, value, said).into(),
            "required" => required(value, said),
            "properties" => self.properties(value, said),
            "additionalProperties" => self.others(value, out, said),
            "items" => self.items(value, out, said),
            "anyOf" => self.any_of(value, said, inner, kinds).into(),
            "allOf" => {
                let all = value
                    .as_array()
                    .is_some_and(|all| all.iter().all(|branch| self.place(branch, inner)));
                all.into()
            }
            "minLength" | "minItems" | "minProperties" | "maxLength" | "maxItems"
            | "maxProperties" => counted(keyword, value, said).into(),
            "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" => {
                bounded(keyword, value, said).into()
            }
            "uniqueItems" => (value == &Value::Bool(false)).into(),
            _ => Told::Unsaid,
        }
    }

    fn properties(&mut self, named: &Value, said: &Map<String, Value>) -> Told {
        let Some(named) = named.as_object() else { return Told::Unsaid };
        let declared = said.get("properties").and_then(Value::as_object);
        let mut all = Told::Yes;
        for (name, schema) in named {
            let told = match declared.and_then(|declared| declared.get(name)) {
                Some(member) => self.place(schema, member),
                None if admits_all(schema) => true,
                // A pattern may say more of it, or less.
                None if said.contains_key("patternProperties") => return Told::Unsaid,
                None => self.place(schema, said.get("additionalProperties").unwrap_or(&OPEN)),
            };
            if !told {
                all = Told::Inside;
            }
        }
        all
    }

    /// `additionalProperties`: of members that `out` declares neither by name nor by pattern.
    fn others(
        &mut self,
        rest: &Value,
        out: &Map<String, Value>,
        said: &Map<String, Value>,
    ) -> Told {
        if admits_all(rest) {
            return Told::Yes;
        }
        let patterns = said.get("patternProperties").and_then(Value::as_object);
        let same = out.get("patternProperties") == said.get("patternProperties");
        if !same && out.contains_key("patternProperties") {
            return Told::Unsaid;
        }
        let known = out.get("properties").and_then(Value::as_object);
        let declared = said.get("properties").and_then(Value::as_object);
        let undeclared = declared
            .into_iter()
            .flatten()
            .filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)))
            .map(|(_, member)| member);
        let patterned = patterns.into_iter().flatten().filter(|_| !same).map(|(_, member)| member);
        let open = said.get("additionalProperties").unwrap_or(&OPEN);
        let shut = rest == &Value::Bool(false);
        let mut members = undeclared.chain(patterned).chain([open]);
        let all =
            members.all(|member| if shut { member == rest } else { self.place(rest, member) });
        match all {
            true => Told::Yes,
            false if said.contains_key("maxProperties") => Told::Unsaid,
            false => Told::Inside,
        }
    }

    fn items(
        &mut self,
        items: &Value,
        out: &Map<String, Value>,
        said: &Map<String, Value>,
    ) -> Told {
        if admits_all(items) {
            return Told::Yes;
        }
        if out.get("prefixItems") != said.get("prefixItems") {
            return Told::Unsaid;
        }
        match self.place(items, said.get("items").unwrap_or(&OPEN)) {
            true => Told::Yes,
            false if said.contains_key("maxItems") => Told::Unsaid,
            false => Told::Inside,
        }
    }

    /// Whether some branch takes all in, or one branch each kind of value or each form of it.
    fn any_of(
        &mut self,
        branches: &Value,
        said: &Map<String, Value>,
        inner: &Value,
        kinds: Option<&[&str]>,
    ) -> bool {
        let Some(branches) = branches.as_array() else { return false };
        let mut some = |form: &Value| branches.iter().any(|branch| self.plainly(branch, form));
        if some(inner) {
            return true;
        }
        if let Some(forms) = said.get("anyOf").and_then(Value::as_array) {
            return forms.iter().all(some);
        }
        let several = kinds.filter(|kinds| kinds.len() > 1 && said.contains_key("type"));
        several.is_some_and(|kinds| {
            kinds.iter().all(|kind| {
                let mut of_kind = said.clone();
                of_kind.insert("type".to_owned(), Value::from(*kind));
                some(&Value::Object(of_kind))
            })
        })
    }
}

static OPEN: Value = Value::Bool(true);

fn says_nothing(keyword: &str) -> bool {
    ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-")
}

/// Whether a schema says nothing about which values are admitted.
fn admits_all(schema: &Value) -> bool {
    match schema {
        Value::Bool(all) => *all,
        Value::Object(members) => members.keys().all(|keyword| says_nothing(keyword)),
        _ => false,
    }
}

/// The branches of a union that nothing stands beside.
fn sole_union<'s>(members: &'s Map<String, Value>, union: &str) -> Option<&'s Vec<Value>> {
    let alone = |keyword: &String| keyword == union || says_nothing(keyword);
    members.get(union)?.as_array().filter(|_| members.keys().all(alone))
}

/// The values of a closed list.
fn values(members: &Map<String, Value>) -> Option<&[Value]> {
    match (members.get("const"), members.get("enum")) {
        (Some(value), _) => Some(std::slice::from_ref(value)),
        (None, Some(Value::Array(values))) => Some(values),
        _ => None,
    }
}

/// The types of all values that may be admitted; `None` where that is not told.
fn kinds(members: &Map<String, Value>) -> Option<Vec<&str>> {
    let stated = members.get("type");
    if let Some(values) = values(members) {
        let mut kinds: Vec<&str> =
            values.iter().filter(|value| may_be(stated, value)).map(kind_of).collect();
        kinds.sort_unstable();
        kinds.dedup();
        return Some(kinds);
    }
    match stated? {
        Value::String(one) => Some(vec![one]),
        Value::Array(many) => many.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// The narrowest type that surely is a value's.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether a value may be of the types that are stated.
fn may_be(stated: Option<&Value>, value: &Value) -> bool {
    // `1.0` is an integer, too.
    let number = value.is_number();
    stated.is_none_or(|stated| {
        of_type(stated, kind_of(value)) || (number && of_type(stated, "integer"))
    })
}

/// Whether a `type` admits all values of a kind.
fn of_type(stated: &Value, kind: &str) -> bool {
    let is = |it: &Value| it == kind || (kind == "integer" && it == "number");
    match stated {
        Value::Array(many) => many.iter().any(is),
        one => is(one),
    }
}

/// Whether a keyword only speaks of types that no admitted value has.
fn speaks_of_none(keyword: &str, kinds: &[&str]) -> bool {
    let of: &[&str] = match keyword {
        "minLength" | "maxLength" | "pattern" | "format" => &["string"],
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            &["integer", "number"]
        }
        "items" | "prefixItems" | "minItems" | "maxItems" | "uniqueItems" | "contains" => {
            &["array"]
        }
        "properties"
        | "patternProperties"
        | "additionalProperties"
        | "required"
        | "minProperties"
        | "maxProperties"
        | "propertyNames"
        | "dependentRequired"
        | "dependentSchemas" => &["object"],
        _ => return false,
    };
    !kinds.iter().any(|kind| of.contains(kind))
}

fn listed(keyword: &str, value: &Value, said: &Map<String, Value>) -> bool {
    let admitted = match (keyword, value) {
        ("enum", Value::Array(values)) => values.as_slice(),
        ("const", value) => std::slice::from_ref(value),
        _ => return false,
    };
    let stated = said.get("type");
    values(said).is_some_and(|values| {
        values.iter().filter(|value| may_be(stated, value)).all(|value| admitted.contains(value))
    })
}

fn required(names: &Value, said: &Map<String, Value>) -> Told {
    let (Some(names), Some(known)) = (
        names.as_array(),
        said.get("required").map_or(Some(&[][..]), |it| it.as_array().map(Vec::as_slice)),
    ) else {
        return Told::Unsaid;
    };
    if names.iter().all(|name| known.contains(name)) { Told::Yes } else { Told::Inside }
}

fn counted(keyword: &str, bound: &Value, said: &Map<String, Value>) -> bool {
    let Some(bound) = bound.as_u64() else { return false };
    let own = said.get(keyword).and_then(Value::as_u64);
    match keyword.starts_with("min") {
        true => bound == 0 || own.is_some_and(|own| own >= bound),
        false => own.is_some_and(|own| own <= bound),
    }
}

fn bounded(keyword: &str, bound: &Value, said: &Map<String, Value>) -> bool {
    let (inclusive, exclusive) = match keyword {
        "minimum" | "exclusiveMinimum" => ("minimum", "exclusiveMinimum"),
        _ => ("maximum", "exclusiveMaximum"),
    };
    let Some(bound) = bound.as_number().and_then(exact) else { return false };
    let beyond = |own: f64, equal: bool| match inclusive {
        "minimum" => own > bound || (equal && own >= bound),
        _ => own < bound || (equal && own <= bound),
    };
    let own = |keyword: &str| said.get(keyword).and_then(Value::as_number).and_then(exact);
    own(inclusive).is_some_and(|own| beyond(own, keyword == inclusive))
        || own(exclusive).is_some_and(|own| beyond(own, true))
}

/// The value of a number that a float tells exactly.
fn exact(number: &Number) -> Option<f64> {
    let whole = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
    if whole.is_some_and(|whole| whole > 1 << 53) { None } else { number.as_f64() }
}
