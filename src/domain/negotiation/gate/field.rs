//! One declared place of a schema in its normal spelling, and what its words say.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::drift::words::{handle, units, words};

/// How deep declared places are listed.
const DEPTH: usize = 4;

/// A place of a normal schema.
#[derive(Clone, Debug)]
pub(super) struct Field<'s> {
    pub(super) pointer: &'s str,
    pub(super) schema: &'s Value,
}

/// What kind of place a value goes to: one that steers the peer is not filled from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Url,
    Host,
    Path,
    Recipient,
    Query,
    FreeText,
}

const PLACES: &[(Place, &[&str])] = &[
    (Place::Url, &["url", "link", "endpoint", "webhook", "callback", "redirect"]),
    (Place::Host, &["host", "hostname", "domain", "server", "origin", "proxy"]),
    (Place::Path, &["path", "file", "directory", "folder"]),
    (Place::Recipient, &["to", "recipient", "cc", "bcc", "email", "mail", "receiver", "phone"]),
    (Place::Query, &["query", "search", "expression", "sql", "jql", "command", "script", "code"]),
    (
        Place::FreeText,
        &[
            "body",
            "text",
            "message",
            "content",
            "comment",
            "description",
            "note",
            "prompt",
            "summary",
        ],
    ),
];

/// Words that name opposite roles.
const OPPOSITES: &[(&str, &str)] = &[
    ("source", "target"),
    ("source", "destination"),
    ("origin", "destination"),
    ("sender", "recipient"),
    ("sender", "receiver"),
    ("start", "end"),
    ("minimum", "maximum"),
    ("before", "after"),
    ("include", "exclude"),
    ("base", "head"),
    ("parent", "child"),
    ("old", "new"),
    ("input", "output"),
    ("buyer", "seller"),
    ("gross", "net"),
];

/// The schema at a pointer (`*` for items) of a normal schema.
pub(super) fn at<'s>(schema: &'s Value, pointer: &str) -> Option<&'s Value> {
    pointer.split('/').skip(1).try_fold(schema, |schema, token| {
        let name = token.replace("~1", "/").replace("~0", "~");
        let member = schema.get("properties").and_then(|all| all.get(&name));
        member.or_else(|| schema.get("items").filter(|_| token == "*"))
    })
}

/// Pointers of all declared places.
pub(super) fn declared(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    descend(schema, &mut String::new(), 0, &mut found);
    found
}

/// Pointers of the declared members of the root.
pub(super) fn top(schema: &Value) -> Vec<String> {
    let members = schema.get("properties").and_then(Value::as_object);
    members.into_iter().flatten().map(|(name, _)| format!("/{}", escaped(name))).collect()
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn descend(schema: &Value, at: &mut String, depth: usize, found: &mut Vec<String>) {
    if depth >= DEPTH {
        return;
    }
    let length = at.len();
    let members = schema.get("properties").and_then(Value::as_object);
    for (name, schema) in members.into_iter().flatten() {
        at.push('/');
        at.push_str(&escaped(name));
        found.push(at.clone());
        descend(schema, at, depth + 1, found);
        at.truncate(length);
    }
    if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
        at.push_str("/*");
        descend(items, at, depth + 1, found);
        at.truncate(length);
    }
}

/// The last name of a pointer, unescaped.
pub(super) fn name(pointer: &str) -> String {
    let last = pointer.rsplit('/').find(|token| *token != "*").unwrap_or_default();
    last.replace("~1", "/").replace("~0", "~")
}

impl<'s> Field<'s> {
    /// The declared place at a pointer.
    pub(super) fn find(schema: &'s Value, pointer: &'s str) -> Option<Self> {
        at(schema, pointer).map(|schema| Self { pointer, schema })
    }

    pub(super) fn name(&self) -> String {
        name(self.pointer)
    }

    pub(super) fn description(&self) -> &'s str {
        self.schema.get("description").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn default(&self) -> Option<&'s Value> {
        self.schema.get("default")
    }

    /// The units that its name and description state.
    pub(super) fn units(&self) -> BTreeSet<&'static str> {
        let mut found = units(&self.name());
        found.extend(units(self.description()));
        found
    }

    /// The kind of place it is, by its name and format.
    pub(super) fn place(&self) -> Option<Place> {
        match self.schema.get("format").and_then(Value::as_str) {
            Some("uri" | "url" | "iri" | "uri-reference") => return Some(Place::Url),
            Some("hostname" | "ipv4" | "ipv6") => return Some(Place::Host),
            Some("email" | "idn-email") => return Some(Place::Recipient),
            _ => {}
        }
        let words = words(&self.name());
        PLACES.iter().find_map(|(place, names)| {
            words.iter().any(|word| names.contains(&word.as_str())).then_some(*place)
        })
    }

    /// What the new description of a surviving name contradicts, in words.
    pub(super) fn meaning_changed(&self, new: &Self) -> Option<String> {
        let (before, after) = (self.units(), new.units());
        if !before.is_empty() && !after.is_empty() && before != after {
            return Some("its description states another unit".to_owned());
        }
        self.role_changed(new)
    }

    /// As [`Self::meaning_changed`], units aside: a `scale` answers for those under rule 6.
    pub(super) fn role_changed(&self, new: &Self) -> Option<String> {
        let (old, new) = (words(self.description()), words(new.description()));
        let handles = |text: &[String]| -> BTreeSet<_> {
            text.iter().filter_map(|word| handle(word)).collect()
        };
        let (before, after) = (handles(&old), handles(&new));
        if !before.is_empty() && !after.is_empty() && before.is_disjoint(&after) {
            return Some("its description states another kind of handle".to_owned());
        }
        opposed(&old, &new).then(|| "its description states the opposite role".to_owned())
    }
}

/// Whether one text names a role and the other only its opposite.
pub(super) fn opposed(old: &[String], new: &[String]) -> bool {
    let has = |text: &[String], word: &str| text.iter().any(|it| it == word);
    let only = |text: &[String], this: &str, other: &str| has(text, this) && !has(text, other);
    OPPOSITES.iter().any(|(one, other)| {
        only(old, one, other) && only(new, other, one)
            || only(old, other, one) && only(new, one, other)
    })
}
