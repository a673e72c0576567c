//! A document as a routine sees it: untouched subtrees stay spans of the original text, and only
//! containers on a touched path are opened.

use std::borrow::Cow;

use serde_json::Value;

use super::decimal::Decimal;
use super::path::{Path, Token};
use crate::domain::json::{Item, Kind};

/// One value.
#[derive(Clone, Debug)]
pub(super) enum Node<'a> {
    /// Untouched: leaves as the bytes that came.
    Raw(Item<'a>),
    /// A scalar that an operation made, as JSON text.
    Scalar(Kind, Cow<'a, str>),
    /// An opened or new array.
    Array(Vec<Node<'a>>),
    /// An opened or new object, in the order in which it leaves.
    Object(Vec<Member<'a>>),
}

/// One member of an opened object.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    /// The key as JSON text, quotes included.
    key: Cow<'a, str>,
    value: Node<'a>,
}

impl<'a> Node<'a> {
    /// A string.
    pub(super) fn string(text: &str) -> Self {
        Self::Scalar(Kind::String, Cow::Owned(Value::from(text).to_string()))
    }

    /// A number, from its JSON text.
    pub(super) fn number(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Scalar(Kind::Number, text.into())
    }

    /// A boolean.
    pub(super) const fn boolean(value: bool) -> Self {
        Self::Scalar(Kind::Bool, Cow::Borrowed(if value { "true" } else { "false" }))
    }

    /// The kind of a tree that is a scalar.
    pub(super) const fn of_kind(value: &Value) -> Option<Kind> {
        match value {
            Value::Null => Some(Kind::Null),
            Value::Bool(_) => Some(Kind::Bool),
            Value::Number(_) => Some(Kind::Number),
            Value::String(_) => Some(Kind::String),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A tree taken over.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::Array(items.iter().map(Self::of).collect()),
            Value::Object(members) => {
                let member = |(key, value): (&String, &Value)| Member {
                    key: Cow::Owned(Value::from(key.as_str()).to_string()),
                    value: Self::of(value),
                };
                Self::Object(members.iter().map(member).collect())
            }
            scalar => {
                let kind = Self::of_kind(scalar).unwrap_or(Kind::Null);
                Self::Scalar(kind, Cow::Owned(scalar.to_string()))
            }
        }
    }

    /// The same value without borrowing the document it stands in.
    pub(super) fn detached(item: Item<'_>) -> Self {
        match item.kind() {
            Kind::Array => Self::Array(item.items().map(Self::detached).collect()),
            Kind::Object => {
                let member = |(key, value): (Item<'_>, Item<'_>)| Member {
                    key: Cow::Owned(key.raw().to_owned()),
                    value: Self::detached(value),
                };
                Self::Object(item.members().map(member).collect())
            }
            kind => Self::Scalar(kind, Cow::Owned(item.raw().to_owned())),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Raw(item) => item.kind(),
            Self::Scalar(kind, _) => *kind,
            Self::Array(_) => Kind::Array,
            Self::Object(_) => Kind::Object,
        }
    }

    /// A scalar's JSON text.
    pub(super) fn scalar(&self) -> Option<&str> {
        match self {
            Self::Raw(item) => {
                (!matches!(item.kind(), Kind::Array | Kind::Object)).then(|| item.raw())
            }
            Self::Scalar(_, text) => Some(text),
            Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// A string's text, unescaped.
    pub(super) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Raw(item) => item.as_str(),
            Self::Scalar(Kind::String, text) => serde_json::from_str(text).ok().map(Cow::Owned),
            _ => None,
        }
    }

    /// A number's value, within the limits of the arithmetic.
    pub(super) fn decimal(&self) -> Option<Decimal> {
        (self.kind() == Kind::Number).then(|| Decimal::parse(self.scalar()?)).flatten()
    }

    /// Whether it is the same JSON value as a constant: numbers by value, objects in any order.
    pub(super) fn equals(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.text().is_some_and(|mine| mine == text.as_str()),
            Value::Number(number) if self.kind() == Kind::Number => {
                let theirs = number.to_string();
                match (self.decimal(), Decimal::parse(&theirs)) {
                    (Some(mine), Some(theirs)) => mine == theirs,
                    _ => self.scalar() == Some(&theirs),
                }
            }
            Value::Number(_) => false,
            Value::Bool(flag) => {
                self.kind() == Kind::Bool
                    && self.scalar() == Some(if *flag { "true" } else { "false" })
            }
            Value::Null => self.kind() == Kind::Null,
            Value::Array(values) => {
                let items = self.children();
                self.kind() == Kind::Array
                    && items.len() == values.len()
                    && items.iter().zip(values).all(|((_, item), value)| item.equals(value))
            }
            Value::Object(values) => {
                let members = self.children();
                let same = |(key, member): &(Cow<'_, str>, Node<'_>)| {
                    let name = serde_json::from_str::<String>(key).ok();
                    name.and_then(|name| values.get(&name)).is_some_and(|it| member.equals(it))
                };
                self.kind() == Kind::Object
                    && members.len() == values.len()
                    && members.iter().all(same)
            }
        }
    }

    /// A text that equal values share, and no others: numbers by value, objects in any order.
    pub(super) fn key(&self) -> String {
        let children = || self.children().into_iter();
        match self.kind() {
            Kind::Number => self.decimal().map_or_else(
                || self.scalar().unwrap_or_default().to_owned(),
                |number| number.text(),
            ),
            Kind::Array => {
                let items: Vec<String> = children().map(|(_, item)| item.key()).collect();
                format!("[{}]", items.join(","))
            }
            Kind::Object => {
                let mut members: Vec<String> =
                    children().map(|(key, value)| format!("{key}:{}", value.key())).collect();
                members.sort_unstable();
                format!("{{{}}}", members.join(","))
            }
            Kind::Null | Kind::Bool | Kind::String => self.scalar().unwrap_or_default().to_owned(),
        }
    }

    /// Keys (empty for items) and values of a container. Only comparisons with constants that are
    /// containers come here, so the copies do not matter.
    fn children(&self) -> Vec<(Cow<'a, str>, Node<'a>)> {
        let mut opened = self.clone();
        opened.open();
        match opened {
            Self::Array(items) => items.into_iter().map(|it| (Cow::Borrowed(""), it)).collect(),
            Self::Object(members) => members.into_iter().map(|it| (it.key, it.value)).collect(),
            Self::Raw(_) | Self::Scalar(..) => Vec::new(),
        }
    }

    /// Opens an untouched container, one level.
    pub(super) fn open(&mut self) {
        let Self::Raw(item) = self else { return };
        match item.kind() {
            Kind::Array => *self = Self::Array(item.items().map(Self::Raw).collect()),
            Kind::Object => {
                let mut members = Vec::with_capacity(item.len() + 1);
                members.extend(item.members().map(|(key, value)| Member {
                    key: Cow::Borrowed(key.raw()),
                    value: Self::Raw(value),
                }));
                *self = Self::Object(members);
            }
            _ => {}
        }
    }

    /// Whether a child is there; opens nothing.
    fn child(&self, token: &Token) -> Option<Cow<'_, Node<'a>>> {
        match self {
            Self::Raw(item) => {
                let child = match item.kind() {
                    Kind::Object => item.get(&token.name),
                    Kind::Array => item.items().nth(token.index?),
                    _ => None,
                };
                child.map(|child| Cow::Owned(Self::Raw(child)))
            }
            Self::Scalar(..) => None,
            Self::Array(items) => items.get(token.index?).map(Cow::Borrowed),
            Self::Object(members) => members
                .iter()
                .find(|member| token.is(&member.key))
                .map(|member| Cow::Borrowed(&member.value)),
        }
    }

    /// A child to be changed; opens this container, which has it.
    fn child_mut(&mut self, token: &Token) -> Option<&mut Node<'a>> {
        self.open();
        match self {
            Self::Array(items) => items.get_mut(token.index?),
            Self::Object(members) => members
                .iter_mut()
                .find(|member| token.is(&member.key))
                .map(|member| &mut member.value),
            Self::Raw(_) | Self::Scalar(..) => None,
        }
    }

    /// The value of the one member that an object has.
    pub(super) fn sole_member(&mut self, name: &str) -> Result<Self, String> {
        self.open();
        match self {
            Self::Object(members)
                if members.len() == 1
                    && serde_json::from_str::<String>(&members[0].key)
                        .is_ok_and(|key| key == name) =>
            {
                Ok(members.remove(0).value)
            }
            _ => Err(format!("expected an object of the one member {name:?}")),
        }
    }

    /// How many bytes it leaves as.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Raw(item) => item.span().len(),
            Self::Scalar(_, text) => text.len(),
            Self::Array(items) => {
                items.iter().map(|item| item.size() + 1).sum::<usize>().max(1) + 1
            }
            Self::Object(members) => {
                let member = |member: &Member<'_>| member.key.len() + member.value.size() + 2;
                members.iter().map(member).sum::<usize>().max(1) + 1
            }
        }
    }

    /// Writes it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Raw(item) => out.extend_from_slice(item.raw().as_bytes()),
            Self::Scalar(_, text) => out.extend_from_slice(text.as_bytes()),
            Self::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (index, member) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(member.key.as_bytes());
                    out.push(b':');
                    member.value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Why a value cannot be put at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// Something stands there.
    Occupied,
    /// What stands above it is neither an object nor an array.
    NoContainer,
    /// The index is beyond the end of the array, or no index.
    NoIndex,
}

impl Blocked {
    /// In words, after the pointer.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Occupied => "must be free, and something stands there",
            Self::NoContainer => "cannot be written: what stands above it is no object or array",
            Self::NoIndex => "cannot be written: it is no index up to the array's length",
        }
    }
}

/// A whole document, or an item of one while `each` works on it.
#[derive(Clone, Debug)]
pub(super) struct Overlay<'a> {
    /// `None` where there is no value at all.
    pub(super) root: Option<Node<'a>>,
}

impl<'a> Overlay<'a> {
    /// The value at a place; opens nothing.
    pub(super) fn find(&self, path: &Path) -> Option<Cow<'_, Node<'a>>> {
        let mut at = Cow::Borrowed(self.root.as_ref()?);
        for token in &path.tokens {
            at = match at {
                Cow::Borrowed(node) => node.child(token)?,
                Cow::Owned(node) => Cow::Owned(node.child(token)?.into_owned()),
            };
        }
        Some(at)
    }

    /// The value at a place, to be changed where it stands.
    pub(super) fn slot(&mut self, path: &Path) -> Option<&mut Node<'a>> {
        // Asked first, so that a miss opens nothing and untouched bytes stay as they came.
        self.find(path)?;
        let mut at = self.root.as_mut()?;
        for token in &path.tokens {
            at = at.child_mut(token)?;
        }
        Some(at)
    }

    /// Takes the value away.
    pub(super) fn take(&mut self, path: &Path) -> Option<Node<'a>> {
        self.find(path)?;
        let Some((last, above)) = path.tokens.split_last() else { return self.root.take() };
        let mut at = self.root.as_mut()?;
        for token in above {
            at = at.child_mut(token)?;
        }
        at.open();
        match at {
            Node::Array(items) => Some(items.remove(last.index?)),
            Node::Object(members) => {
                let at = members.iter().position(|member| last.is(&member.key))?;
                Some(members.remove(at).value)
            }
            Node::Raw(_) | Node::Scalar(..) => None,
        }
    }

    /// Puts a value at a free place; objects that are missing above it are made.
    pub(super) fn put(&mut self, path: &Path, node: Node<'a>) -> Result<(), Blocked> {
        let Some((last, above)) = path.tokens.split_last() else {
            return match self.root {
                Some(_) => Err(Blocked::Occupied),
                None => {
                    self.root = Some(node);
                    Ok(())
                }
            };
        };
        let mut at = self.root.get_or_insert_with(|| Node::Object(Vec::new()));
        for token in above {
            at = descend(at, token)?;
        }
        at.open();
        match at {
            Node::Array(items) => {
                let end = items.len();
                match last.index {
                    Some(index) if index < end => return Err(Blocked::Occupied),
                    Some(index) if index == end => items.push(node),
                    None if last.name == "-" => items.push(node),
                    _ => return Err(Blocked::NoIndex),
                }
            }
            Node::Object(members) => {
                if members.iter().any(|member| last.is(&member.key)) {
                    return Err(Blocked::Occupied);
                }
                members.push(Member { key: Cow::Owned(last.quoted.clone()), value: node });
            }
            Node::Raw(_) | Node::Scalar(..) => return Err(Blocked::NoContainer),
        }
        Ok(())
    }

    /// Renames a member where it stands; false where that is no rename within one object.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<bool, Blocked> {
        let Some((old, new)) = from.sibling(to) else { return Ok(false) };
        let above = &from.tokens[..from.tokens.len() - 1];
        let Some(mut at) = self.root.as_mut() else { return Ok(false) };
        for token in above {
            match at.child_mut(token) {
                Some(child) => at = child,
                None => return Ok(false),
            }
        }
        at.open();
        let Node::Object(members) = at else { return Ok(false) };
        if old != new && members.iter().any(|member| new.is(&member.key)) {
            return Err(Blocked::Occupied);
        }
        let Some(member) = members.iter_mut().find(|member| old.is(&member.key)) else {
            return Ok(false);
        };
        member.key = Cow::Owned(new.quoted.clone());
        Ok(true)
    }
}

/// The child on the way to a new value; an object is made where none stands.
fn descend<'n, 'a>(at: &'n mut Node<'a>, token: &Token) -> Result<&'n mut Node<'a>, Blocked> {
    at.open();
    match at {
        Node::Array(items) => {
            let end = items.len();
            let index = match token.index {
                Some(index) if index <= end => index,
                None if token.name == "-" => end,
                _ => return Err(Blocked::NoIndex),
            };
            if index == end {
                items.push(Node::Object(Vec::new()));
            }
            Ok(&mut items[index])
        }
        Node::Object(members) => {
            let index = match members.iter().position(|member| token.is(&member.key)) {
                Some(index) => index,
                None => {
                    let key = Cow::Owned(token.quoted.clone());
                    members.push(Member { key, value: Node::Object(Vec::new()) });
                    members.len() - 1
                }
            };
            Ok(&mut members[index].value)
        }
        Node::Raw(_) | Node::Scalar(..) => Err(Blocked::NoContainer),
    }
}
