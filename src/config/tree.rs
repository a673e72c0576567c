//! The file as a tree that knows where each of its parts stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

/// A value and where it begins; a member also knows where its key does.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) at: Spot,
    pub(super) node: Node,
}

/// Line and column, both counted from 1; 0 where the parser does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) line: usize,
    pub(super) column: usize,
}

#[derive(Debug)]
pub(super) enum Node {
    Scalar(Value),
    List(Vec<Tree>),
    Map(Vec<(String, Spot, Tree)>),
}

impl Tree {
    /// The same without places.
    pub(super) fn value(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Node::Map(members) => Value::Object(
                members
                    .iter()
                    .map(|(key, _, tree)| (key.clone(), tree.value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// Where the value at these keys stands, or the nearest part above it that is written.
    pub(super) fn spot(&self, keys: &[&str]) -> Spot {
        let mut here = self;
        for key in keys {
            let below = match &here.node {
                Node::Map(members) => members.iter().find(|(k, ..)| k == key).map(|(.., t)| t),
                Node::List(items) => key.parse::<usize>().ok().and_then(|i| items.get(i)),
                Node::Scalar(_) => None,
            };
            match below {
                Some(tree) => here = tree,
                None => break,
            }
        }
        here.at
    }
}

impl From<Location> for Spot {
    fn from(location: Location) -> Self {
        let fit = |number: u64| usize::try_from(number).unwrap_or(0);
        Self { line: fit(location.line()), column: fit(location.column()) }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Node>::deserialize(deserializer)?;
        Ok(Self { at: spanned.referenced.into(), node: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            members.push((key.value, key.referenced.into(), map.next_value()?));
        }
        Ok(Node::Map(members))
    }
}
