//! A reply as its scalars by place, and a bounded list of such replies.

use std::collections::BTreeMap;

use serde_json::Value;

/// Places that are followed in one document.
const PLACES: usize = 64;
/// Objects inside one another that are followed.
const DEPTH: usize = 4;
/// Bytes of a text that is followed.
const TEXT: usize = 512;

/// A scalar that can follow from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Text(String),
    Integer(String),
}

impl Scalar {
    /// It as it stands in a text.
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Text(words) | Self::Integer(words) => words,
        }
    }

    pub(super) const fn is_integer(&self) -> bool {
        matches!(self, Self::Integer(_))
    }
}

/// Scalars by JSON Pointer; what stands in lists is left out.
pub(super) type Flat = BTreeMap<String, Scalar>;

pub(super) fn flat(document: &Value) -> Flat {
    let mut found = Flat::new();
    walk(document, "", DEPTH, &mut found);
    found
}

fn walk(value: &Value, at: &str, depth: usize, found: &mut Flat) {
    if found.len() >= PLACES {
        return;
    }
    match value {
        Value::Object(members) if depth > 0 => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                walk(value, &format!("{at}/{name}"), depth - 1, found);
            }
        }
        Value::String(text) if text.len() <= TEXT && !at.is_empty() => {
            found.insert(at.to_owned(), Scalar::Text(text.clone()));
        }
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            found.insert(at.to_owned(), Scalar::Integer(number.to_string()));
        }
        _ => {}
    }
}

/// Replies of one tool that teach relations, each with the arguments of its call: some 20, and of each
/// the short scalars alone.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    pub(super) replies: Vec<(Flat, Flat)>,
}

impl Earlier {
    /// Keeps a reply's document and the arguments it answers.
    pub fn keep(&mut self, reply: &Value, arguments: &Value) {
        self.replies.push((flat(reply), flat(arguments)));
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.replies.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }
}
