//! A document as jsonschema sees it: its traits over the tape, so that a reply is judged in place.

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object};
use serde_json::{Number, Value};

use super::document::{Document, Item, to_number};
use super::keys::Name;
use super::node::Kind;
use super::number::Decimal;

/// A document under judgement, and how many looks at it the judgement may take: a regular one needs
/// a few a node, and what needs far more is a schema made to burn the processor, which no timeout
/// could stop.
///
/// Running out unwinds with [`FuelSpent`], without a panic message; whoever asks catches it.
#[derive(Debug)]
pub struct Court<'t> {
    document: Document<'t>,
    fuel: Cell<u64>,
}

/// What unwinds when a judgement has used up its looks.
#[derive(Debug)]
pub struct FuelSpent;

impl<'t> Court<'t> {
    /// Opens a judgement that may take as many looks as stated.
    #[must_use]
    pub fn new(document: Document<'t>, looks: u64) -> Self {
        Self { document, fuel: Cell::new(looks) }
    }

    #[inline]
    fn burn(&self, looks: u64) {
        match self.fuel.get().checked_sub(looks) {
            Some(left) => self.fuel.set(left),
            None => spent(),
        }
    }

    #[inline]
    fn item(&self, at: u32) -> Item<'t> {
        self.document.item(at)
    }
}

#[cold]
fn spent() -> ! {
    std::panic::resume_unwind(Box::new(FuelSpent))
}

/// The representation to compile a validator for (`jsonschema::options_for`).
#[derive(Debug)]
pub struct InPlace;

impl Json for InPlace {
    type Node<'a> = Judged<'a>;
    type PreparedKey = Name;
    /// A look-up by hash is cheaper than to compare the names on one walk for all of them.
    const KEYS_PER_LOOKUP: usize = 0;
    type StringBuffer = ();

    fn prepare_key(key: &str) -> Name {
        Name::new(key)
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Judged<'_>) -> T) -> T {
        f(Judged(What::Name(&string)))
    }
}

/// A value under judgement: two words, because the validator keeps and hands on many.
#[derive(Clone, Debug)]
pub struct Judged<'a>(What<'a>);

#[derive(Clone, Copy, Debug)]
enum What<'a> {
    /// Its place on the tape.
    Item(u32, &'a Court<'a>),
    /// The name of a member, for `propertyNames`; a lone surrogate in it stands as U+FFFD.
    Name(&'a &'a str),
}

impl<'a> Judged<'a> {
    /// Puts a value of the court's document under judgement.
    #[must_use]
    pub fn new(item: Item<'a>, court: &'a Court<'a>) -> Self {
        Self(What::Item(item.place(), court))
    }

    /// Whether this is a string with half of a surrogate pair: legal, but text for nobody.
    #[must_use]
    pub fn is_torn_string(&self) -> bool {
        match self.0 {
            What::Item(at, court) => court.item(at).is_torn(),
            What::Name(_) => false,
        }
    }

    /// The value and its court, where it is of this kind.
    #[inline]
    fn of_kind(&self, kind: Kind) -> Option<(Item<'a>, &'a Court<'a>)> {
        match self.0 {
            What::Item(at, court) => {
                court.burn(1);
                let item = court.item(at);
                (item.kind() == kind).then_some((item, court))
            }
            What::Name(_) => None,
        }
    }
}

impl<'a> Node<'a, InPlace> for Judged<'a> {
    type Object = JudgedObject<'a>;
    type Array = JudgedArray<'a>;
    type Number = JudgedNumber<'a>;

    #[inline]
    fn as_object(&self) -> Option<JudgedObject<'a>> {
        self.of_kind(Kind::Object).map(|(item, court)| JudgedObject { item, court })
    }

    #[inline]
    fn as_array(&self) -> Option<JudgedArray<'a>> {
        self.of_kind(Kind::Array).map(|(item, court)| JudgedArray { item, court })
    }

    #[inline]
    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self.0 {
            What::Name(name) => Some(Cow::Borrowed(name)),
            What::Item(at, court) => {
                let item = court.item(at);
                court.burn(1 + item.span().len() as u64 / 64);
                item.as_str()
            }
        }
    }

    #[inline]
    fn as_number(&self) -> Option<JudgedNumber<'a>> {
        self.of_kind(Kind::Number).map(|(item, _)| JudgedNumber { text: item.raw() })
    }

    fn as_boolean(&self) -> Option<bool> {
        self.of_kind(Kind::Bool)?.0.as_bool()
    }

    fn is_null(&self) -> bool {
        self.of_kind(Kind::Null).is_some()
    }

    fn is_number(&self) -> bool {
        self.of_kind(Kind::Number).is_some()
    }

    #[inline]
    fn json_type(&self) -> JsonType {
        let What::Item(at, court) = self.0 else { return JsonType::String };
        court.burn(1);
        match court.item(at).kind() {
            Kind::Null => JsonType::Null,
            Kind::Bool => JsonType::Boolean,
            Kind::Number => JsonType::Number,
            Kind::String => JsonType::String,
            Kind::Array => JsonType::Array,
            Kind::Object => JsonType::Object,
        }
    }

    #[inline]
    fn string_length(&self) -> Option<u64> {
        match self.0 {
            What::Name(name) => Some(name.chars().count() as u64),
            What::Item(at, court) => {
                let item = court.item(at);
                court.burn(1 + item.span().len() as u64 / 64);
                item.code_points()
            }
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match self.0 {
            What::Name(name) => expected.as_str() == Some(*name),
            What::Item(at, court) => equal(court.item(at), expected, court),
        }
    }

    /// Only errors ask for it, and no violation carries the value: none is built.
    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(Value::Null)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        match self.0 {
            What::Name(_) => None,
            What::Item(at, court) => {
                Some(NodeIdentity::tagged(std::ptr::from_ref(court).addr(), at))
            }
        }
    }
}

/// Equality with a value of a schema: numbers as numbers, torn strings never.
fn equal(item: Item<'_>, expected: &Value, court: &Court<'_>) -> bool {
    court.burn(1);
    match expected {
        Value::Null => item.kind() == Kind::Null,
        Value::Bool(expected) => item.as_bool() == Some(*expected),
        Value::Number(expected) => {
            item.kind() == Kind::Number && equal_number(item.raw(), expected)
        }
        Value::String(expected) => item.as_str().is_some_and(|text| text == expected.as_str()),
        Value::Array(expected) => {
            item.kind() == Kind::Array
                && item.len() == expected.len()
                && item.items().zip(expected).all(|(item, expected)| equal(item, expected, court))
        }
        Value::Object(expected) => {
            item.kind() == Kind::Object
                && item.len() == expected.len()
                && item.members().all(|(key, value)| {
                    let expected = key.as_str().and_then(|key| expected.get(key.as_ref()));
                    expected.is_some_and(|expected| equal(value, expected, court))
                })
        }
    }
}

fn equal_number(text: &str, expected: &Number) -> bool {
    let number = JudgedNumber { text };
    match (expected.as_i64(), expected.as_u64()) {
        (Some(expected), _) => number.integer() == Some(i128::from(expected)),
        (None, Some(expected)) => number.integer() == Some(i128::from(expected)),
        // A fraction, or an integer beyond 64 bits: the schema itself keeps no more than an f64.
        (None, None) => match number.integer().map(u64::try_from) {
            None | Some(Err(_)) => number.as_f64() == expected.as_f64(),
            Some(Ok(_)) => {
                Decimal::read(text).compare(&Decimal::read(&expected.to_string())).is_eq()
            }
        },
    }
}

/// A number under judgement: its text.
#[derive(Clone, Copy, Debug)]
pub struct JudgedNumber<'a> {
    text: &'a str,
}

impl JudgedNumber<'_> {
    fn integer(&self) -> Option<i128> {
        if self.text.len() <= 19 && self.is_written_as_integer() {
            return self.text.parse::<i64>().ok().map(i128::from);
        }
        Decimal::read(self.text).integer()
    }

    /// Whether an f64 holds it exactly enough: a short fraction or power, as most numbers are.
    fn is_short_fraction(&self) -> bool {
        self.text.len() <= 16 && !self.is_written_as_integer()
    }
}

impl JsonNumber for JudgedNumber<'_> {
    fn as_u64(&self) -> Option<u64> {
        if self.is_short_fraction() {
            return None;
        }
        self.integer()?.try_into().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        if self.is_short_fraction() {
            return None;
        }
        self.integer()?.try_into().ok()
    }

    /// The nearest; none beyond f64, which jsonschema then takes as larger than any limit.
    fn as_f64(&self) -> Option<f64> {
        self.text.parse::<f64>().ok().filter(|number| number.is_finite())
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.text)
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(to_number(self.text))
    }

    fn is_integer(&self) -> bool {
        self.is_written_as_integer() || Decimal::read(self.text).is_integer()
    }

    fn is_written_as_integer(&self) -> bool {
        !self.text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
    }
}

/// An object under judgement.
#[derive(Clone, Copy, Debug)]
pub struct JudgedObject<'a> {
    item: Item<'a>,
    court: &'a Court<'a>,
}

impl<'a> Object<'a, InPlace> for JudgedObject<'a> {
    type Node = Judged<'a>;
    type MemberName = &'a str;
    type MembersIter = JudgedMembers<'a>;

    fn len(&self) -> usize {
        self.item.len()
    }

    #[inline]
    fn get(&self, key: &Name) -> Option<Judged<'a>> {
        self.court.burn(1);
        self.item.find(key).map(|item| Judged::new(item, self.court))
    }

    #[inline]
    fn members(&self) -> JudgedMembers<'a> {
        JudgedMembers { rest: Rest::of(self.item, self.court) }
    }
}

/// The values inside a container that are still to come: places alone, because a walk over members
/// is most of what a judgement does.
#[derive(Clone, Debug)]
struct Rest<'a> {
    at: u32,
    end: u32,
    court: &'a Court<'a>,
}

impl<'a> Rest<'a> {
    #[inline]
    fn of(container: Item<'a>, court: &'a Court<'a>) -> Self {
        let at = container.place();
        Self { at: at + 1, end: court.document.after(at), court }
    }

    /// The value at `at`, and all that is in it left behind.
    #[inline]
    fn take(&mut self, at: u32) -> Judged<'a> {
        self.court.burn(1);
        self.at = self.court.document.after(at);
        Judged(What::Item(at, self.court))
    }
}

/// Members under judgement.
#[derive(Clone, Debug)]
pub struct JudgedMembers<'a> {
    rest: Rest<'a>,
}

impl<'a> Iterator for JudgedMembers<'a> {
    type Item = (&'a str, Judged<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let key = self.rest.at;
        if key >= self.rest.end {
            return None;
        }
        // The value stands right after its key.
        Some((self.rest.court.document.name(key), self.rest.take(key + 1)))
    }
}

/// An array under judgement.
#[derive(Clone, Copy, Debug)]
pub struct JudgedArray<'a> {
    item: Item<'a>,
    court: &'a Court<'a>,
}

impl<'a> Array<'a, InPlace> for JudgedArray<'a> {
    type Node = Judged<'a>;
    type ElementsIter = JudgedItems<'a>;

    fn len(&self) -> usize {
        self.item.len()
    }

    #[inline]
    fn elements(&self) -> JudgedItems<'a> {
        JudgedItems { rest: Rest::of(self.item, self.court) }
    }

    fn is_unique(&self) -> bool {
        let mut items: Vec<_> = self.item.items().collect();
        self.court.burn(self.item.weight());
        items.sort_unstable_by(|a, b| order(*a, *b, self.court));
        items.windows(2).all(|pair| order(pair[0], pair[1], self.court).is_ne())
    }
}

/// Items under judgement.
#[derive(Clone, Debug)]
pub struct JudgedItems<'a> {
    rest: Rest<'a>,
}

impl<'a> Iterator for JudgedItems<'a> {
    type Item = Judged<'a>;

    #[inline]
    fn next(&mut self) -> Option<Judged<'a>> {
        (self.rest.at < self.rest.end).then(|| self.rest.take(self.rest.at))
    }
}

/// A total order in which equal values meet: by kind, then by content, exactly.
fn order(a: Item<'_>, b: Item<'_>, court: &Court<'_>) -> Ordering {
    court.burn(1);
    (a.kind() as u8).cmp(&(b.kind() as u8)).then_with(|| match a.kind() {
        Kind::Null => Ordering::Equal,
        Kind::Bool => a.as_bool().cmp(&b.as_bool()),
        Kind::Number => Decimal::read(a.raw()).compare(&Decimal::read(b.raw())),
        Kind::String => a.compare_text(b),
        Kind::Array => a.len().cmp(&b.len()).then_with(|| {
            let pairs = a.items().zip(b.items());
            first_difference(pairs.map(|(a, b)| order(a, b, court)))
        }),
        Kind::Object => a.len().cmp(&b.len()).then_with(|| {
            let (a, b) = (by_name(a, court), by_name(b, court));
            first_difference(a.into_iter().zip(b).map(|((a_key, a), (b_key, b))| {
                a_key.compare_text(b_key).then_with(|| order(a, b, court))
            }))
        }),
    })
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn by_name<'a>(object: Item<'a>, court: &Court<'_>) -> Vec<(Item<'a>, Item<'a>)> {
    let mut members: Vec<_> = object.members().collect();
    court.burn(members.len() as u64);
    members.sort_unstable_by(|(a, _), (b, _)| a.compare_text(*b));
    members
}
