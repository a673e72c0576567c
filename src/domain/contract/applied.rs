//! Which subschemas a schema applies, and to which value: the graph that the cost gate weighs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::refused::SchemaRefused;

/// How a keyword holds its subschemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// One, or a list of them.
    Schemas,
    /// One a name.
    Named,
}

/// What the subschemas of a keyword look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LooksAt {
    /// The same value: a circle of these would never end.
    Same,
    /// A member, an item, a name.
    Inner,
    /// Nothing, unless a reference leads there.
    Nothing,
}

/// The keywords that hold subschemas (draft-07 and 2020-12).
const HOLDERS: [(&str, Holds, LooksAt); 21] = [
    ("allOf", Holds::Schemas, LooksAt::Same),
    ("anyOf", Holds::Schemas, LooksAt::Same),
    ("oneOf", Holds::Schemas, LooksAt::Same),
    ("not", Holds::Schemas, LooksAt::Same),
    ("if", Holds::Schemas, LooksAt::Same),
    ("then", Holds::Schemas, LooksAt::Same),
    ("else", Holds::Schemas, LooksAt::Same),
    ("dependentSchemas", Holds::Named, LooksAt::Same),
    ("dependencies", Holds::Named, LooksAt::Same),
    ("properties", Holds::Named, LooksAt::Inner),
    ("patternProperties", Holds::Named, LooksAt::Inner),
    ("additionalProperties", Holds::Schemas, LooksAt::Inner),
    ("propertyNames", Holds::Schemas, LooksAt::Inner),
    ("unevaluatedProperties", Holds::Schemas, LooksAt::Inner),
    ("items", Holds::Schemas, LooksAt::Inner),
    ("prefixItems", Holds::Schemas, LooksAt::Inner),
    ("additionalItems", Holds::Schemas, LooksAt::Inner),
    ("contains", Holds::Schemas, LooksAt::Inner),
    ("unevaluatedItems", Holds::Schemas, LooksAt::Inner),
    ("$defs", Holds::Named, LooksAt::Nothing),
    ("definitions", Holds::Named, LooksAt::Nothing),
];

/// The keywords that lead elsewhere, to look at the same value.
const REFERENCES: [&str; 2] = ["$ref", "$dynamicRef"];

/// The subschemas that stand in a schema object, each with its pointer.
pub(super) fn held<'s>(
    schema: &'s Map<String, Value>,
    pointer: &'s str,
) -> impl Iterator<Item = (String, &'s Value, LooksAt)> {
    HOLDERS.into_iter().flat_map(move |(keyword, holds, looks_at)| {
        let place = format!("{pointer}/{keyword}");
        let found: Vec<(String, &Value)> = match (schema.get(keyword), holds) {
            (Some(Value::Object(named)), Holds::Named) => named
                .iter()
                .map(|(name, schema)| {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    (format!("{place}/{name}"), schema)
                })
                .collect(),
            (Some(Value::Array(list)), Holds::Schemas) => list
                .iter()
                .enumerate()
                .map(|(at, schema)| (format!("{place}/{at}"), schema))
                .collect(),
            (Some(schema), Holds::Schemas) => vec![(place, schema)],
            _ => Vec::new(),
        };
        found.into_iter().map(move |(place, schema)| (place, schema, looks_at))
    })
}

/// A subschema that is applied, and what it applies in turn.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    pub(super) pointer: String,
    /// Whether it holds one of the `unevaluated` keywords.
    pub(super) unevaluated: bool,
    /// Place in the graph, and whether it looks at the same value.
    pub(super) applies: Vec<(usize, LooksAt)>,
}

/// Reads the graph of what the root applies; the root stands first.
///
/// # Errors
/// Where a reference leads outside, or to nothing.
pub(super) fn graph(root: &Value) -> Result<Vec<Applied>, SchemaRefused> {
    let mut names = Names::default();
    names.survey(root, "", "");
    let mut places = BTreeMap::from([(String::new(), 0)]);
    let mut open = vec![(String::new(), String::new())];
    let mut graph = Vec::new();
    // Whoever is named for the first time is put at the end of `open`, so both keep step.
    while graph.len() < open.len() {
        let (pointer, resource) = open[graph.len()].clone();
        let schema = root.pointer(&pointer).unwrap_or(&Value::Null);
        let mut applied = Applied { pointer, unevaluated: false, applies: Vec::new() };
        if let Value::Object(members) = schema {
            let resource = if names_resource(members) { &applied.pointer } else { &resource };
            let inner: Vec<_> = held(members, &applied.pointer)
                .filter(|(.., looks_at)| *looks_at != LooksAt::Nothing)
                .map(|(place, _, looks_at)| (place, resource.clone(), looks_at))
                .collect();
            let led = REFERENCES.iter().filter_map(|keyword| {
                let reference = members.get(*keyword)?;
                let place = format!("{}/{keyword}", applied.pointer);
                Some(names.target(root, reference, resource, &place))
            });
            let led = led.map(|to| to.map(|(place, within)| (place, within, LooksAt::Same)));
            for next in inner.into_iter().map(Ok).chain(led) {
                let (place, within, looks_at) = next?;
                let at = *places.entry(place.clone()).or_insert_with(|| {
                    open.push((place, within));
                    open.len() - 1
                });
                applied.applies.push((at, looks_at));
            }
            applied.unevaluated = members.contains_key("unevaluatedProperties")
                || members.contains_key("unevaluatedItems");
        }
        graph.push(applied);
    }
    Ok(graph)
}

/// Whether a schema begins a resource of its own, to which local references then belong.
fn names_resource(schema: &Map<String, Value>) -> bool {
    schema.get("$id").and_then(Value::as_str).is_some_and(|id| !id.starts_with('#'))
}

/// What references may name.
#[derive(Debug, Default)]
struct Names {
    /// Pointer of a resource by its `$id`.
    resources: BTreeMap<String, String>,
    /// Pointer of a schema by resource and anchor.
    anchors: BTreeMap<(String, String), String>,
}

impl Names {
    fn survey(&mut self, schema: &Value, pointer: &str, resource: &str) {
        let Value::Object(members) = schema else { return };
        let text = |keyword: &str| members.get(keyword).and_then(Value::as_str);
        let resource = if names_resource(members) { pointer } else { resource };
        if let Some(id) = text("$id") {
            match id.split_once('#') {
                Some(("", anchor)) => self.anchor(resource, anchor, pointer),
                _ => {
                    self.resources.insert(id.trim_end_matches('#').into(), pointer.into());
                }
            }
        }
        for anchor in ["$anchor", "$dynamicAnchor"].into_iter().filter_map(text) {
            self.anchor(resource, anchor, pointer);
        }
        for (place, inner, _) in held(members, pointer) {
            self.survey(inner, &place, resource);
        }
    }

    fn anchor(&mut self, resource: &str, anchor: &str, pointer: &str) {
        self.anchors.insert((resource.into(), anchor.into()), pointer.into());
    }

    /// The pointer that a reference leads to, and of the resource around it.
    fn target(
        &self,
        root: &Value,
        reference: &Value,
        resource: &str,
        place: &str,
    ) -> Result<(String, String), SchemaRefused> {
        let refused = |why: &str| SchemaRefused {
            pointer: place.to_owned(),
            what: format!("{reference} {why}"),
        };
        let text = reference.as_str().ok_or_else(|| refused("is no reference"))?;
        let (uri, fragment) = text.split_once('#').unwrap_or((text, ""));
        let resource = match uri {
            "" => resource,
            _ => self
                .resource(uri)
                .ok_or_else(|| refused("leads outside of the schema: put it under $defs"))?,
        };
        let pointer = if fragment.is_empty() || fragment.starts_with('/') {
            Some(format!("{resource}{}", decoded(fragment)))
        } else {
            self.anchors.get(&(resource.to_owned(), fragment.to_owned())).cloned()
        };
        let found = pointer.filter(|pointer| root.pointer(pointer).is_some());
        let found = found.ok_or_else(|| refused("leads to nothing in the schema"))?;
        Ok((found, resource.to_owned()))
    }

    /// A resource by its identifier as it is written, or by the end of one.
    fn resource(&self, uri: &str) -> Option<&str> {
        let by_end = || self.resources.iter().find(|(id, _)| id.rsplit('/').next() == Some(uri));
        let found = self.resources.get(uri).or_else(|| by_end().map(|(_, pointer)| pointer));
        found.map(String::as_str)
    }
}

/// Percent-decoded, as fragments of a URI are (RFC 6901 section 6).
fn decoded(fragment: &str) -> String {
    let mut out = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |at: usize| char::from(*after.get(at)?).to_digit(16);
        rest = match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                out.extend(u8::try_from(high << 4 | low));
                &after[2..]
            }
            _ => {
                out.push(byte);
                after
            }
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}
