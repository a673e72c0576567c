//! From one reply to what its fields showed.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::feature::{Among, Trait, lag};
use super::field::Field;
use super::memory::{Memory, hash};
use super::words::{Read, marks, read};
use crate::domain::message::UnixMillis;

/// Fields that are followed in one tool's replies.
const FIELDS: usize = 96;
/// Items of a list that are looked at.
const ITEMS: usize = 24;
/// Values of a reply that are looked at.
const VALUES: usize = 1_500;
/// Containers inside one another that are followed.
const DEPTH: usize = 10;
/// Members above which an object is a table of things by their names.
const MEMBERS: usize = 40;
/// Neighbours whose order is followed.
const NEIGHBOURS: usize = 6;
/// Letters of a choice at most.
const CHOICE: usize = 24;
/// Whole numbers below this may be choices.
const CODES: f64 = 1_000.0;
/// Batches after which what a thing still has is news again.
const NEWS: u16 = 3;
/// Hours within which a moment is about now, and its hour of the day the call's.
const NOW_HOURS: f64 = 36.0;
/// What names a thing, best first.
const NAMES: [&str; 14] = [
    "id", "uuid", "key", "sku", "code", "symbol", "number", "name", "iata", "path", "url", "title",
    "login", "email",
];

/// One walk through a reply.
pub(super) struct Walk<'w> {
    pub(super) fields: &'w mut BTreeMap<String, Field>,
    pub(super) memory: &'w mut Memory,
    /// Digests of the scalars that the caller gave: a value that repeats one says nothing of the peer.
    pub(super) given: Vec<u64>,
    pub(super) at: UnixMillis,
    pub(super) batch: u32,
    pub(super) frozen: bool,
    pub(super) values: usize,
}

/// Digests of the scalars among a call's arguments.
pub(super) fn given(arguments: &Value, found: &mut Vec<u64>) {
    match arguments {
        Value::Array(items) => items.iter().take(ITEMS).for_each(|item| given(item, found)),
        Value::Object(members) => {
            members.values().take(ITEMS).for_each(|item| given(item, found));
        }
        Value::String(_) | Value::Number(_) if found.len() < ITEMS => found.push(scalar(arguments)),
        _ => {}
    }
}

fn scalar(value: &Value) -> u64 {
    match value {
        Value::String(text) => hash(&[text.as_bytes()]),
        other => hash(&[other.to_string().as_bytes()]),
    }
}

impl Walk<'_> {
    fn field(&mut self, at: &str) -> Option<&mut Field> {
        if !self.fields.contains_key(at) {
            if self.fields.len() >= FIELDS {
                return None;
            }
            self.fields.insert(at.to_owned(), Field::at(at));
        }
        self.fields.get_mut(at)
    }

    /// Looks at one value; `of` names the thing that it belongs to.
    pub(super) fn value(&mut self, value: &Value, at: &mut String, of: Option<u64>, depth: usize) {
        if self.values >= VALUES || depth > DEPTH {
            return;
        }
        self.values += 1;
        let Some(field) = self.field(at) else { return };
        field.there += 1;
        field.saw(Among::Values);
        match value {
            Value::Null => field.add(Trait::Null, 1.0),
            Value::Array(items) if items.is_empty() => field.add(Trait::Empty, 1.0),
            Value::Object(members) if members.is_empty() => field.add(Trait::Empty, 1.0),
            Value::String(text) if text.is_empty() => field.add(Trait::Empty, 1.0),
            Value::Array(items) => self.items(items, at, of, depth),
            Value::Object(members) => self.members(members, at, of, depth),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => self.scalar(value, at, of),
        }
    }

    fn items(&mut self, items: &[Value], at: &mut String, of: Option<u64>, depth: usize) {
        let length = at.len();
        at.push_str("/*");
        for item in items.iter().take(ITEMS) {
            let thing = match item {
                Value::Object(members) => thing(members, at),
                // A list of bare values: which is which is not known.
                _ => None,
            };
            let of = thing.or(if items.len() == 1 { of } else { None });
            self.value(item, at, of, depth + 1);
        }
        at.truncate(length);
    }

    fn members(
        &mut self,
        members: &Map<String, Value>,
        at: &mut String,
        of: Option<u64>,
        depth: usize,
    ) {
        let length = at.len();
        let table = members.len() > MEMBERS;
        for (name, value) in members.iter().take(if table { ITEMS } else { MEMBERS }) {
            at.push('/');
            let of = if table { Some(hash(&[at.as_bytes(), name.as_bytes()])) } else { of };
            at.push_str(if table { "{}" } else { name });
            self.value(value, at, of, depth + 1);
            at.truncate(length);
        }
        if !table {
            self.order(members, at);
        }
    }

    /// Which of two neighbours is the smaller one.
    fn order(&mut self, members: &Map<String, Value>, at: &mut String) {
        let length = at.len();
        let measured = |(name, value): (&String, &Value)| match value {
            Value::Number(number) => Some((name.clone(), number.as_f64()?, false)),
            Value::String(text) => Some((name.clone(), read(text).moment?, true)),
            _ => None,
        };
        let mut neighbours: Vec<_> = members.iter().filter_map(measured).take(NEIGHBOURS).collect();
        neighbours.sort_by(|one, other| one.0.cmp(&other.0));
        for (index, (name, value, moment)) in neighbours.iter().enumerate() {
            for (other, against, moments) in neighbours.iter().skip(index + 1) {
                if moment != moments || (value - against).abs() < 1e-12 {
                    continue;
                }
                at.push_str(&format!("/{name} < {other}"));
                let ordered = f64::from(u8::from(value < against));
                if let Some(field) = self.field(at) {
                    field.add(Trait::Ordered, ordered);
                }
                at.truncate(length);
            }
        }
    }

    fn scalar(&mut self, value: &Value, at: &str, of: Option<u64>) {
        let digest = scalar(value);
        if !value.is_boolean() && self.given.contains(&digest) {
            return;
        }
        let text = value.as_str().map(read);
        let (number, moment) = (value.as_f64(), text.as_ref().and_then(|read| read.moment));
        // A number, seconds of a moment, or a digest.
        let short = match (number, moment) {
            (Some(number), _) => (number as f32).to_bits(),
            (None, Some(moment)) => (moment / 1_000.0) as i64 as u32,
            (None, None) => (digest >> 16) as u32,
        };
        // Prose is not held against what it was.
        let told = moment.is_some() || value.as_str().is_none_or(|text| text.len() <= CHOICE);
        let key = of.filter(|_| told).map(|of| hash(&[at.as_bytes(), &of.to_le_bytes()]));
        let known = key.and_then(|key| self.memory.note(key, self.batch, short, self.frozen));
        let mut coded = None;
        if let Some(known) = known.as_ref().filter(|known| known.base != short) {
            let key = hash(&[at.as_bytes(), b"becomes", &known.base.to_le_bytes()]);
            let before = self.memory.note(key, self.batch, short, false);
            coded = before.map(|before| before.newest == short);
        }
        let Some(field) = self.fields.get_mut(at) else { return };
        if let Some(last) = field.last.replace(short) {
            field.add(Trait::Repeat, f64::from(u8::from(last == short)));
        }
        let magnitude = number.and_then(|number| field.magnitude(number));
        if let Some(known) = known.as_ref().filter(|_| of != field.last_of) {
            let alike = if known.base == short {
                Some(false)
            } else if let Some(number) = number {
                scaled_alike(field, f32::from_bits(known.base).into(), number, coded)
            } else if moment.is_some() {
                let shift = f64::from(short.wrapping_sub(known.base) as i32);
                let before = std::mem::replace(&mut field.change, shift);
                Some((before - shift).abs() < 0.5)
            } else {
                coded
            };
            if let Some(alike) = alike {
                field.add(Trait::Mapped, f64::from(u8::from(alike)));
            }
            let before = number.and_then(|_| field.magnitude(f32::from_bits(known.base).into()));
            if let (Some(now), Some(before)) = (magnitude, before) {
                field.add(Trait::Ratio, now - before);
            }
        }
        field.last_of = of;
        // A thing that is as it was just now is no news.
        if known.is_some_and(|known| known.newest == short && known.ago < NEWS) {
            return;
        }
        match (value, text) {
            (Value::Number(number), _) => numeric(field, number, magnitude, digest),
            (Value::String(text), Some(read)) => textual(field, text, &read, self.at, digest),
            _ => field.choose(Some(digest)),
        }
    }

    /// The reply has ended: known fields whose object was there and that were not are absent.
    pub(super) fn end(self) {
        let there: BTreeMap<String, u32> =
            self.fields.iter().map(|(at, field)| (at.clone(), field.there)).collect();
        for (at, field) in self.fields.iter_mut() {
            let around = at.rfind('/').map(|end| &at[..end]);
            let objects = around.and_then(|around| there.get(around)).copied().unwrap_or_default();
            if objects > 0 && !at.ends_with("/*") && !at.contains(" < ") && !at.ends_with("/{}") {
                let there = f64::from(field.there.min(objects)) / f64::from(objects);
                field.add(Trait::Absent, 1.0 - there);
            }
            field.end_call();
        }
    }
}

/// What names the thing that an object tells of.
fn thing(members: &Map<String, Value>, at: &str) -> Option<u64> {
    let named = NAMES.into_iter().find_map(|name| {
        members.get(name).filter(|value| value.is_string() || value.is_number())
    })?;
    Some(hash(&[at.as_bytes(), &scalar(named).to_le_bytes()]))
}

fn numeric(field: &mut Field, number: &Number, magnitude: Option<f64>, digest: u64) {
    let value = number.as_f64().unwrap_or_default();
    field.saw(Among::Numbers);
    if let Some(magnitude) = magnitude {
        field.add(Trait::Level, magnitude);
    }
    if value < 0.0 {
        field.add(Trait::Negative, 1.0);
    }
    let whole = value.fract() == 0.0;
    let decimals = if whole { 0 } else { decimals(value) };
    field.add(Trait::Fraction, f64::from(u8::from(!whole)));
    field.add(Trait::Decimals, decimals.min(8) as f64 / 8.0);
    field.choose((whole && value.abs() < CODES).then_some(digest));
}

fn decimals(value: f64) -> usize {
    let text = value.to_string();
    text.find('.').map_or(0, |point| text.len() - point - 1)
}

/// Whether a number changed as the one before it did: by the same factor, or from code to code.
fn scaled_alike(field: &mut Field, before: f64, now: f64, coded: Option<bool>) -> Option<bool> {
    if before.fract() == 0.0 && before.abs() < CODES && now.fract() == 0.0 && now.abs() < CODES {
        return coded;
    }
    let factor = if before == 0.0 { f64::INFINITY } else { now / before };
    let last = std::mem::replace(&mut field.change, factor);
    Some((factor - 1.0).abs() > 0.05 && (factor / last - 1.0).abs() < 0.005)
}

fn textual(field: &mut Field, text: &str, read: &Read, now: UnixMillis, digest: u64) {
    field.saw(Among::Texts);
    field.add(Trait::Class(read.class), 1.0);
    if let Some(moment) = read.moment {
        let off = moment - now.0 as f64;
        field.add(Trait::Lag, lag(off));
        if let Some(hour) = read.hour.filter(|_| off.abs() > NOW_HOURS * 3_600_000.0) {
            field.add(Trait::Night, f64::from(u8::from(hour < 6)));
        }
        if let Some(offset) = read.offset {
            // Summer time moves a clock by an hour.
            let usual = *field.zone.get_or_insert(offset);
            field.add(Trait::Zone, f64::from(u8::from((usual - offset).abs() > 60)));
        }
        return;
    }
    if let Some(number) = read.number
        && let Some(magnitude) = field.magnitude(number)
    {
        field.add(Trait::Level, magnitude);
    }
    marks(text, read.class, &mut |figure, value| field.add(figure, value));
    field.choose((text.len() <= CHOICE).then_some(digest));
}
