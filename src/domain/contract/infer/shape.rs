//! What one place of a tool's replies held, and the schema that says so.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::text::Texts;

/// Different integers that must have been seen before fractions are ruled out.
const INTEGERS_MIN: usize = 3;
/// Names that one object's members may have; an object with more is a map.
const NAMES: usize = 128;
/// Different keys from which on rare ones make a map.
const KEYS_MIN: usize = 8;
/// Bytes of a key that is a name.
const NAME: usize = 64;

/// What may still be spent on a sample.
pub(super) struct Budget {
    /// Which sample it is.
    pub(super) sample: u64,
    /// New places that may be followed.
    pub(super) places: usize,
}

/// What one place held.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// Samples that it stood in.
    samples: u64,
    /// The last of them.
    last: u64,
    /// How often it stood there.
    seen: u64,
    nulls: u64,
    booleans: u64,
    numbers: Numbers,
    texts: Texts,
    arrays: u64,
    /// What the items of its arrays held.
    items: Option<Box<Shape>>,
    objects: Members,
    /// Something here was not followed: nothing is said of what is below.
    cut: bool,
}

#[derive(Clone, Debug, Default)]
struct Numbers {
    seen: u64,
    fractions: bool,
    /// The first few different ones.
    different: Vec<i64>,
}

#[derive(Clone, Debug, Default)]
struct Members {
    seen: u64,
    named: BTreeMap<String, Shape>,
    /// All members in one, once the keys were too many for names.
    pooled: Option<Box<Shape>>,
}

impl Shape {
    /// Merges one value.
    pub(super) fn take(&mut self, value: &Value, depth: usize, budget: &mut Budget) {
        self.seen += 1;
        if self.last != budget.sample {
            self.last = budget.sample;
            self.samples += 1;
        }
        match value {
            Value::Null => self.nulls += 1,
            Value::Bool(_) => self.booleans += 1,
            Value::Number(number) => self.numbers.take(number),
            Value::String(text) => self.texts.take(text),
            Value::Array(items) => {
                self.arrays += 1;
                if depth == 0 || (self.items.is_none() && budget.places == 0) {
                    self.cut |= !items.is_empty();
                    return;
                }
                if items.is_empty() {
                    return;
                }
                let held = self.items.get_or_insert_with(|| {
                    budget.places -= 1;
                    Box::default()
                });
                items.iter().for_each(|item| held.take(item, depth - 1, budget));
            }
            Value::Object(members) => {
                self.objects.seen += 1;
                if depth == 0 {
                    self.cut = true;
                    return;
                }
                self.cut |= self.objects.take(members, depth - 1, budget);
            }
        }
    }

    /// Whether documents stood here, and not only scalars.
    pub(super) fn holds_containers(&self) -> bool {
        self.objects.seen > 0 || self.arrays > 0
    }

    fn merge(&mut self, other: Self) {
        // The keys of a map are the map's own: each of its values counts for itself.
        self.samples += other.samples;
        self.last = self.last.max(other.last);
        self.seen += other.seen;
        self.nulls += other.nulls;
        self.booleans += other.booleans;
        self.numbers.merge(other.numbers);
        self.texts.merge(other.texts);
        self.arrays += other.arrays;
        self.cut |= other.cut;
        if let Some(items) = other.items {
            self.items.get_or_insert_default().merge(*items);
        }
        self.objects.merge(other.objects);
    }

    /// The schema of this place; `name` is the member's, where it is one. Nothing is said of a place
    /// that stood in fewer than `least` samples.
    pub(super) fn schema(&self, name: Option<&str>, least: u64) -> Value {
        let types = self.types();
        let nothing = types.is_empty() || (self.nulls == self.seen);
        if self.samples < least || nothing {
            return json!({});
        }
        let mut schema = Map::new();
        match types.as_slice() {
            [one] => schema.insert("type".to_owned(), json!(one)),
            many => schema.insert("type".to_owned(), json!(many)),
        };
        if self.texts.seen > 0 {
            if let Some(format) = self.texts.format() {
                schema.insert("format".to_owned(), json!(format));
            }
            let alone = self.texts.seen + self.nulls == self.seen;
            if let Some(mut closed) = self.texts.closed(name).filter(|_| alone) {
                if self.nulls > 0 {
                    closed.push(Value::Null);
                }
                schema.insert("enum".to_owned(), Value::Array(closed));
            }
        }
        if let Some(items) = self.items.as_ref().filter(|_| !self.cut) {
            let items = items.schema(None, least);
            if items != json!({}) {
                schema.insert("items".to_owned(), items);
            }
        }
        if self.objects.seen > 0 && !self.cut {
            self.objects.tell(&mut schema, least);
        }
        Value::Object(schema)
    }

    fn types(&self) -> Vec<&'static str> {
        let number = if self.numbers.are_integers() { "integer" } else { "number" };
        [
            ("null", self.nulls > 0),
            ("boolean", self.booleans > 0),
            (number, self.numbers.seen > 0),
            ("string", self.texts.seen > 0),
            ("array", self.arrays > 0),
            ("object", self.objects.seen > 0),
        ]
        .into_iter()
        .filter_map(|(name, seen)| seen.then_some(name))
        .collect()
    }

    /// How many kinds of value stood here, `null` not counted.
    fn kinds(&self) -> usize {
        self.types().into_iter().filter(|name| *name != "null").count()
    }
}

impl Numbers {
    fn take(&mut self, number: &serde_json::Number) {
        self.seen += 1;
        match number.as_i64() {
            Some(number) => self.note(number),
            None => self.fractions |= !number.is_u64(),
        }
    }

    fn note(&mut self, number: i64) {
        if self.different.len() < INTEGERS_MIN && !self.different.contains(&number) {
            self.different.push(number);
        }
    }

    fn merge(&mut self, other: Self) {
        self.seen += other.seen;
        self.fractions |= other.fractions;
        other.different.into_iter().for_each(|number| self.note(number));
    }

    /// One that is always 20 may be 20.5 tomorrow; three that are whole are counted, not measured.
    fn are_integers(&self) -> bool {
        !self.fractions && self.different.len() >= INTEGERS_MIN
    }
}

impl Members {
    /// Merges the members of one object; true where one of them was not followed.
    fn take(&mut self, members: &Map<String, Value>, depth: usize, budget: &mut Budget) -> bool {
        if self.pooled.is_none() && self.named.len() + members.len() > NAMES {
            let new = members.keys().filter(|key| !self.named.contains_key(*key)).count();
            if self.named.len() + new > NAMES {
                self.pool();
            }
        }
        let mut cut = false;
        for (key, value) in members {
            if let Some(pooled) = &mut self.pooled {
                pooled.take(value, depth, budget);
            } else if let Some(known) = self.named.get_mut(key) {
                known.take(value, depth, budget);
            } else if budget.places == 0 {
                cut = true;
            } else {
                budget.places -= 1;
                self.named.entry(key.clone()).or_default().take(value, depth, budget);
            }
        }
        cut
    }

    /// Forgets the keys: all members are one.
    fn pool(&mut self) {
        let mut pooled = self.pooled.take().unwrap_or_default();
        std::mem::take(&mut self.named).into_values().for_each(|shape| pooled.merge(shape));
        self.pooled = Some(pooled);
    }

    fn merge(&mut self, other: Self) {
        self.seen += other.seen;
        for (name, shape) in other.named {
            match self.named.get_mut(&name) {
                Some(known) => known.merge(shape),
                None => drop(self.named.insert(name, shape)),
            }
        }
        if let Some(pooled) = other.pooled {
            self.pooled.get_or_insert_default().merge(*pooled);
        }
        if self.pooled.is_some() || self.named.len() > NAMES {
            self.pool();
        }
    }

    /// What the values of a map hold; `None` where the keys are names.
    fn map(&self) -> Option<Shape> {
        if let Some(pooled) = &self.pooled {
            return Some((**pooled).clone());
        }
        let data = self.named.keys().filter(|key| is_data(key)).count();
        let uses: u64 = self.named.values().map(|shape| shape.seen).sum();
        let always = self.named.values().any(|shape| shape.seen == self.seen);
        let rare = uses * 4 < self.seen * self.named.len() as u64;
        let many = self.named.len() >= KEYS_MIN && !always && rare;
        let mut all = Shape::default();
        if data * 2 <= self.named.len() && !many {
            return None;
        }
        self.named.values().cloned().for_each(|shape| all.merge(shape));
        // Keys that come and go beside values of many kinds are optional members.
        (data * 2 > self.named.len() || all.kinds() == 1).then_some(all)
    }

    fn tell(&self, schema: &mut Map<String, Value>, least: u64) {
        if let Some(values) = self.map() {
            let values = values.schema(None, least);
            if values != json!({}) {
                schema.insert("additionalProperties".to_owned(), values);
            }
            return;
        }
        if self.named.is_empty() {
            return;
        }
        let required: Vec<&String> = self
            .named
            .iter()
            .filter(|(_, shape)| shape.seen == self.seen)
            .map(|(name, _)| name)
            .collect();
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        let members: Map<String, Value> = self
            .named
            .iter()
            .map(|(name, shape)| (name.clone(), shape.schema(Some(name), least)))
            .collect();
        schema.insert("properties".to_owned(), Value::Object(members));
    }
}

/// Whether a key is a piece of data and no name: a number, a date, a path, an address, an id.
fn is_data(key: &str) -> bool {
    let number = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    let hexadecimal = key.len() >= 8
        && key.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        && key.bytes().any(|byte| byte.is_ascii_digit());
    let marks = key.contains(['/', '@', ' ', ':', '\\']) || key[..].trim_matches('.').contains('.');
    key.is_empty() || key.len() > NAME || number || hexadecimal || marks
}
