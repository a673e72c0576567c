//! Instances of a schema: few, telling, the same each time.
//!
//! Required members alone, all members, each member in each of its forms (every enum value, both
//! bounds, null, empty, long), then mixtures of those. What is handed out was admitted by the schema.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::ControlFlow;

use serde_json::{Map, Value, json};

use super::Schema;
use super::spelled::strings;
use crate::domain::json::{Item, Limits, Tape};

/// Containers inside one another that are still filled.
const DEEPEST: usize = 7;
/// Forms of one place, and of one that stands inside another.
const FORMS: usize = 64;
const FORMS_INSIDE: usize = 16;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Instances.
    pub(crate) most: usize,
    /// Bytes of their texts in all, those that the schema does not admit included.
    pub(crate) bytes: usize,
}

/// Up to `most` different instances of `schema`, each admitted by it; empty where none was found or
/// the schema does not compile.
#[cfg(test)]
pub(super) fn instances(schema: &Value, most: usize) -> Vec<Value> {
    let Ok(compiled) = Schema::compile(schema) else { return Vec::new() };
    let mut found: Vec<Value> = Vec::new();
    let effort = Effort { most, bytes: usize::MAX };
    try_instances(&compiled, effort, |value, _| -> ControlFlow<()> {
        found.push(value.clone());
        ControlFlow::Continue(())
    });
    found
}

/// Shows different instances of a schema, each admitted by it, until `see` breaks off or the effort is
/// spent: three in four are forms of its places one by one, the others mixtures of those.
pub(crate) fn try_instances<B>(
    compiled: &Schema,
    effort: Effort,
    mut see: impl FnMut(&Value, Item<'_>) -> ControlFlow<B>,
) -> Option<B> {
    let schema = compiled.source();
    let sampler = Sampler { root: schema, most: effort.most, known: RefCell::default() };
    let mut tried = Tried::default();
    let (mut seen, mut left) = (0, effort.bytes);
    let mut text = Vec::new();
    let mut tape = Tape::default();
    let mut show = |value: &Value, most: usize| -> ControlFlow<Option<B>> {
        // Mixtures of few forms come again and again; asking the schema is the dear part.
        if seen >= most || !tried.is_new(value) {
            return ControlFlow::Continue(());
        }
        text.clear();
        if serde_json::to_writer(&mut text, value).is_err() {
            return ControlFlow::Continue(());
        }
        left = match left.checked_sub(text.len()) {
            Some(left) => left,
            None => return ControlFlow::Break(None),
        };
        let Ok(document) = tape.read(&text, Limits::default()) else {
            return ControlFlow::Continue(());
        };
        if !compiled.admits(document.root()) {
            return ControlFlow::Continue(());
        }
        seen += 1;
        match see(value, document.root()) {
            ControlFlow::Break(found) => ControlFlow::Break(Some(found)),
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
        }
    };
    let forms = sampler.forms(schema, 0);
    for value in &forms {
        if let ControlFlow::Break(found) = show(value, effort.most - effort.most / 4) {
            return found;
        }
    }
    let mut dice = Dice(0x5EED);
    let mixtures = (0..effort.most.saturating_mul(2))
        .filter_map(|_| sampler.mixture(schema, &mut dice, 0, true));
    // Forms that no mixture left room for come last.
    for value in mixtures.chain(forms.iter().cloned()) {
        if let ControlFlow::Break(found) = show(&value, effort.most) {
            return found;
        }
    }
    None
}

/// A fixed sequence (SplitMix64): the same samples for the same schema.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from((z ^ (z >> 31)) % bound).unwrap_or(0)
    }
}

/// What was looked at already, by hash.
#[derive(Default)]
struct Tried(BTreeMap<u64, Vec<Value>>);

impl Tried {
    fn is_new(&mut self, value: &Value) -> bool {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let alike = self.0.entry(hasher.finish()).or_default();
        let new = !alike.contains(value);
        if new {
            alike.push(value.clone());
        }
        new
    }
}

struct Sampler<'s> {
    root: &'s Value,
    /// How many instances are wanted.
    most: usize,
    /// The forms of places that stand in the root itself, by address and depth: mixtures ask for
    /// them hundreds of times.
    known: RefCell<BTreeMap<(usize, usize), Vec<Value>>>,
}

impl Sampler<'_> {
    /// The telling values of a place, plainest first.
    fn forms(&self, schema: &Value, depth: usize) -> Vec<Value> {
        if depth > DEEPEST {
            return Vec::new();
        }
        let Some(members) = schema.as_object() else {
            return if schema == &json!(false) { Vec::new() } else { anything() };
        };
        if let Some(value) = members.get("const") {
            return vec![value.clone()];
        }
        if let Some(Value::Array(values)) = members.get("enum") {
            return values.iter().take(FORMS).cloned().collect();
        }
        let ways = self.ways(schema);
        if ways > 0 {
            let branches = (0..ways).filter_map(|way| self.branch(schema, way));
            return interleaved(branches.map(|branch| self.forms(&branch, depth + 1)).collect());
        }
        let each =
            types_of(members).iter().map(|kind| self.of_type(kind, members, depth)).collect();
        interleaved(each)
    }

    fn of_type(&self, kind: &str, members: &Map<String, Value>, depth: usize) -> Vec<Value> {
        match kind {
            "object" => self.objects(members, depth),
            "array" => self.arrays(members, depth),
            "string" => strings(members),
            "integer" => numbers(members, true),
            "number" => numbers(members, false),
            "boolean" => vec![json!(true), json!(false)],
            "null" => vec![Value::Null],
            _ => anything(),
        }
    }

    fn objects(&self, members: &Map<String, Value>, depth: usize) -> Vec<Value> {
        let places = self.places(members, depth);
        let mut least = Map::new();
        let mut all = Map::new();
        for place in &places {
            let Some(first) = place.forms.first() else {
                if place.required {
                    return Vec::new();
                }
                continue;
            };
            if place.required {
                least.insert(place.name.clone(), first.clone());
            }
            all.insert(place.name.clone(), first.clone());
        }
        // The first form of each place, then the second of each: the first few tell of all places.
        let enough = match depth {
            0 => self.most.saturating_mul(2),
            1 => FORMS.min(self.most),
            _ => FORMS_INSIDE,
        };
        let mut found = vec![Value::Object(least.clone()), Value::Object(all.clone())];
        let longest = places.iter().map(|place| place.forms.len()).max().unwrap_or(0);
        for round in 0..longest.max(1) {
            for place in &places {
                if found.len() >= enough {
                    return found;
                }
                if round == 0 && !place.required {
                    let mut one = all.clone();
                    one.shift_remove(&place.name);
                    found.push(Value::Object(one));
                }
                let Some(form) = place.forms.get(round) else { continue };
                for base in [&least, &all] {
                    let mut one = base.clone();
                    one.insert(place.name.clone(), form.clone());
                    found.push(Value::Object(one));
                }
            }
        }
        found
    }

    /// Every declared member, every required one, and one that is not declared where that is allowed.
    fn places(&self, members: &Map<String, Value>, depth: usize) -> Vec<Place> {
        let required: Vec<&str> = strings_in(members.get("required"));
        let declared = members.get("properties").and_then(Value::as_object);
        let mut places: Vec<Place> = declared
            .into_iter()
            .flatten()
            .map(|(name, schema)| Place {
                name: name.clone(),
                required: required.contains(&name.as_str()),
                forms: self.forms(schema, depth + 1),
            })
            .collect();
        let extra = members.get("additionalProperties").cloned().unwrap_or(json!(true));
        let undeclared = |name: &str| declared.is_none_or(|declared| !declared.contains_key(name));
        for name in required.iter().filter(|name| undeclared(name)) {
            let forms = self.forms(&extra, depth + 1);
            places.push(Place { name: (*name).to_owned(), required: true, forms });
        }
        if extra != json!(false) {
            let name = self.extra_name(members);
            let forms = self.forms(&extra, depth + 1).into_iter().take(4).collect();
            places.push(Place { name, required: false, forms });
        }
        places
    }

    fn extra_name(&self, members: &Map<String, Value>) -> String {
        let named = members.get("propertyNames").map(|names| self.forms(names, DEEPEST - 1));
        let name = named.and_then(|names| names.first().and_then(Value::as_str).map(str::to_owned));
        name.unwrap_or_else(|| "undeclared_".to_owned())
    }

    fn arrays(&self, members: &Map<String, Value>, depth: usize) -> Vec<Value> {
        let bound = |name: &str| members.get(name).and_then(Value::as_u64);
        let least = usize::try_from(bound("minItems").unwrap_or(0)).unwrap_or(0).min(FORMS);
        let most = bound("maxItems").and_then(|most| usize::try_from(most).ok());
        let most = most.unwrap_or(least + 3).min(least + 3);
        let first: Vec<Vec<Value>> = members
            .get("prefixItems")
            .and_then(Value::as_array)
            .map(|items| items.iter().map(|item| self.forms(item, depth + 1)).collect())
            .unwrap_or_default();
        let item = members.get("items").cloned().unwrap_or(json!(true));
        let rest = self.forms(&item, depth + 1);
        let array = |length: usize, shift: usize| -> Option<Value> {
            (0..length)
                .map(|at| {
                    let forms = first.get(at).unwrap_or(&rest);
                    (!forms.is_empty()).then(|| forms[(at + shift) % forms.len()].clone())
                })
                .collect::<Option<Vec<Value>>>()
                .map(Value::Array)
        };
        let lengths = [least.max(1).min(most), least, most, first.len().min(most)];
        let plain = lengths.into_iter().filter_map(|length| array(length, 0));
        let shifted = (1..rest.len().min(FORMS)).filter_map(|at| array(least.max(1).min(most), at));
        plain.chain(shifted).collect()
    }

    /// A random one of the values that the forms of its places combine to.
    ///
    /// `lasting` says that the schema stands in the root, so that its address names it.
    fn mixture(
        &self,
        schema: &Value,
        dice: &mut Dice,
        depth: usize,
        lasting: bool,
    ) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        let ways = self.ways(schema);
        if ways > 0 {
            let branch = self.branch(schema, dice.below(ways))?;
            return self.mixture(&branch, dice, depth + 1, false);
        }
        let members = schema.as_object();
        let plain = members.filter(|it| !it.contains_key("enum") && !it.contains_key("const"));
        if let Some(members) = plain {
            let types = types_of(members);
            match types[dice.below(types.len())] {
                "object" => return self.mixed_object(members, dice, depth, lasting),
                "array" if dice.below(2) == 0 => {
                    let item = members.get("items").cloned().unwrap_or(json!(true));
                    let length = dice.below(4);
                    return (0..length)
                        .map(|_| self.mixture(&item, dice, depth + 1, false))
                        .collect();
                }
                _ => {}
            }
        }
        if !lasting {
            return picked(&self.forms(schema, depth), dice);
        }
        let place = (std::ptr::from_ref(schema).addr(), depth);
        let mut known = self.known.borrow_mut();
        picked(known.entry(place).or_insert_with(|| self.forms(schema, depth)), dice)
    }

    fn mixed_object(
        &self,
        members: &Map<String, Value>,
        dice: &mut Dice,
        depth: usize,
        lasting: bool,
    ) -> Option<Value> {
        let required: Vec<&str> = strings_in(members.get("required"));
        let density = dice.below(4);
        let mut out = Map::new();
        for (name, schema) in
            members.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            if required.contains(&name.as_str()) {
                out.insert(name.clone(), self.mixture(schema, dice, depth + 1, lasting)?);
            } else if dice.below(4) <= density
                && let Some(value) = self.mixture(schema, dice, depth + 1, lasting)
            {
                out.insert(name.clone(), value);
            }
        }
        let extra = members.get("additionalProperties").filter(|extra| extra.is_object());
        if let Some(extra) = extra {
            for at in 0..dice.below(3) {
                let name = format!("{}{at}", self.extra_name(members));
                out.insert(name, self.mixture(extra, dice, depth + 1, lasting)?);
            }
        }
        Some(Value::Object(out))
    }

    /// How many ways lead through a schema's `$ref`, `allOf`, `anyOf`, `oneOf`; none where it has none
    /// of them.
    fn ways(&self, schema: &Value) -> usize {
        let count = |keyword: &str| schema.get(keyword).and_then(Value::as_array).map(Vec::len);
        match self.target(schema) {
            Some(found) => usize::from(found.is_some()),
            None if count("allOf").is_some() => 1,
            None => count("anyOf").or(count("oneOf")).unwrap_or(0),
        }
    }

    /// The schema on one of those ways.
    fn branch(&self, schema: &Value, way: usize) -> Option<Value> {
        let members = schema.as_object()?;
        let without = |keyword: &str| {
            let mut rest = members.clone();
            rest.shift_remove(keyword);
            Value::Object(rest)
        };
        if let Some(target) = self.target(schema) {
            return target.map(|found| both(&without("$ref"), found));
        }
        if let Some(Value::Array(all)) = members.get("allOf") {
            return Some(all.iter().fold(without("allOf"), |sum, branch| both(&sum, branch)));
        }
        let union = ["anyOf", "oneOf"].into_iter().find(|it| members.contains_key(*it))?;
        Some(both(&without(union), members.get(union)?.get(way)?))
    }

    /// What a `$ref` names, where there is one.
    fn target(&self, schema: &Value) -> Option<Option<&Value>> {
        let target = schema.get("$ref").and_then(Value::as_str)?;
        Some(target.strip_prefix('#').and_then(|at| self.root.pointer(at)))
    }
}

fn picked(forms: &[Value], dice: &mut Dice) -> Option<Value> {
    let pick = dice.below(forms.len());
    forms.get(pick).cloned()
}

struct Place {
    name: String,
    required: bool,
    forms: Vec<Value>,
}

/// Roughly what both say: good enough to guess instances, which are checked afterwards.
fn both(a: &Value, b: &Value) -> Value {
    let (Some(one), Some(two)) = (a.as_object(), b.as_object()) else {
        return if a == &json!(false) || b == &json!(false) {
            json!(false)
        } else if a.is_object() {
            a.clone()
        } else {
            b.clone()
        };
    };
    let mut out = one.clone();
    for (keyword, value) in two {
        let joined = match (keyword.as_str(), out.get(keyword), value) {
            ("properties", Some(Value::Object(known)), Value::Object(new)) => {
                let mut all = known.clone();
                for (name, schema) in new {
                    let schema = all.get(name).map_or(schema.clone(), |known| both(known, schema));
                    all.insert(name.clone(), schema);
                }
                Value::Object(all)
            }
            ("required", Some(Value::Array(known)), Value::Array(new)) => {
                known.iter().chain(new).cloned().collect()
            }
            ("allOf", Some(Value::Array(known)), Value::Array(new)) => {
                known.iter().chain(new).cloned().collect()
            }
            ("enum", Some(Value::Array(known)), Value::Array(new)) => {
                known.iter().filter(|value| new.contains(value)).cloned().collect()
            }
            _ => value.clone(),
        };
        out.insert(keyword.clone(), joined);
    }
    Value::Object(out)
}

fn interleaved(each: Vec<Vec<Value>>) -> Vec<Value> {
    let longest = each.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest)
        .flat_map(|at| each.iter().filter_map(move |forms| forms.get(at).cloned()))
        .collect()
}

fn anything() -> Vec<Value> {
    vec![json!("text"), json!(7), json!(true), Value::Null, json!([]), json!({}), json!(0.5)]
}

/// The types that a schema names, or that its keywords speak of, or all.
fn types_of(members: &Map<String, Value>) -> Vec<&str> {
    match members.get("type") {
        Some(Value::String(one)) => return vec![one],
        Some(types @ Value::Array(_)) => return strings_in(Some(types)),
        _ => {}
    }
    if members.contains_key("properties") || members.contains_key("required") {
        return vec!["object"];
    }
    if members.contains_key("items") {
        return vec!["array"];
    }
    vec!["string", "integer", "boolean", "null", "array", "object", "number"]
}

fn strings_in(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn numbers(members: &Map<String, Value>, whole: bool) -> Vec<Value> {
    let bound = |name: &str| members.get(name).and_then(Value::as_f64);
    let step = bound("multipleOf").unwrap_or(if whole { 1.0 } else { 0.5 });
    let least = bound("minimum").or(bound("exclusiveMinimum").map(|least| least + step));
    let most = bound("maximum").or(bound("exclusiveMaximum").map(|most| most - step));
    let middle = least.or(most).unwrap_or(1.0);
    let plain = [0.0, 1.0, -1.0, 2.0, 42.0, 1_000_000.0, -7.0];
    let mut found: Vec<f64> = vec![middle];
    found.extend(least);
    found.extend(most);
    found.extend([middle + step, middle - step, 3.0 * step]);
    found.extend(plain);
    if !whole {
        found.extend([0.5, -2.25, 1e21, 1e-7]);
    }
    let within = |value: &f64| {
        least.is_none_or(|least| *value >= least)
            && most.is_none_or(|most| *value <= most)
            && (!whole || value.fract() == 0.0)
    };
    found.into_iter().filter(within).map(number).collect()
}

/// Whole numbers as JSON integers where they are exact.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, so exact")]
    if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
        return json!(value as i64);
    }
    json!(value)
}
