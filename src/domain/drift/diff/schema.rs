//! Two schemas of one face, walked side by side in their normal spelling.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::meaning;
use super::renamed::{grew, looks_renamed, refers_otherwise};
use crate::domain::drift::normal::{
    is_closed, is_mark, properties, required, same_shape, shape, types, values,
};
use crate::domain::drift::{DriftType, Face, Severity, asks_for_conversation};

/// What a difference does to the set of admitted values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Fewer.
    Narrower,
    /// More.
    Wider,
    /// Others.
    Other,
}

/// One difference, before it is told as a change.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) pointer: String,
    pub(super) kind: &'static str,
    pub(super) drift_type: DriftType,
    pub(super) severity: Severity,
    pub(super) breaking: bool,
    pub(super) message: String,
}

/// Comparisons that one tool may cost; beyond them the rest is told as one change.
const STEPS: usize = 50_000;

/// Walks the two schemas of one face.
pub(super) fn compare(face: Face, old: &Value, new: &Value, root: &str) -> Vec<Found> {
    let mut walk = Walk { face, found: Vec::new(), steps: STEPS };
    walk.node(old, new, root);
    walk.found
}

/// Whether every value that `inner` admits is admitted by `outer`, as far as comparing keyword by keyword
/// tells: a yes is as sure as that, a no may be wrong. Both in their normal spelling.
#[must_use]
pub fn fits(inner: &Value, outer: &Value) -> bool {
    same_shape(inner, outer)
        || compare(Face::Request, &shape(inner), &shape(outer), "").iter().all(|f| !f.breaking)
}

/// Whether a default that was stated is now another one: empty ones are alike, and so are
/// comma-separated words in another order.
#[must_use]
pub fn is_default_changed(before: Option<&Value>, after: Option<&Value>) -> bool {
    match (before, after) {
        (Some(a), Some(b)) => {
            a != b
                && !(meaning::is_empty(before) && meaning::is_empty(after))
                && !meaning::same_list(a, b)
        }
        // A default that is stated for the first time describes what happened already, and one that is
        // no longer stated may still hold.
        _ => false,
    }
}

struct Walk {
    face: Face,
    found: Vec<Found>,
    steps: usize,
}

impl Walk {
    fn push(&mut self, at: &str, kind: &'static str, turn: Turn, message: String) {
        let breaking = match self.face {
            Face::Request => turn != Turn::Wider,
            Face::Reply => turn != Turn::Narrower,
            Face::Surface => false,
        };
        let severity = if breaking { Severity::Medium } else { Severity::Low };
        self.tell(at, kind, DriftType::Schema, severity, breaking, message);
    }

    fn tell(
        &mut self,
        at: &str,
        kind: &'static str,
        drift_type: DriftType,
        severity: Severity,
        breaking: bool,
        message: String,
    ) {
        let pointer = at.to_owned();
        self.found.push(Found { pointer, kind, drift_type, severity, breaking, message });
    }

    fn node(&mut self, old: &Value, new: &Value, at: &str) {
        if old == new {
            return;
        }
        if self.steps == 0 {
            self.push(at, "constraint_changed", Turn::Other, "too large to compare further".into());
            return;
        }
        self.steps -= 1;
        if forms(old) > 1 || forms(new) > 1 {
            self.union(&variants(old), &variants(new), at);
            self.texts(old, new, at);
            return;
        }
        self.types(old, new, at);
        if let (Some(before), Some(after)) = (types(old), types(new))
            && before.iter().filter(|it| **it != "null").all(|it| !after.contains(it))
            && lacking(&after, &before) == after
        {
            // Another kind of value altogether: what stood inside is not missed on its own.
            return self.texts(old, new, at);
        }
        self.values(old, new, at);
        self.bounds(old, new, at);
        self.properties(old, new, at);
        for (keyword, kind) in [("items", "items"), ("additionalProperties", "values")] {
            self.inner(old, new, at, keyword, kind);
        }
        self.rest(old, new, at);
        self.texts(old, new, at);
    }

    /// Variant by variant: each of one side must find one of the other that takes it in.
    fn union(&mut self, olds: &[Value], news: &[Value], at: &str) {
        let shapes = |all: &[Value]| -> Vec<Value> { all.iter().map(shape).collect() };
        let (olds, news) = (shapes(olds), shapes(news));
        // One that fits breaks nothing on the request side: every value of it is still admitted.
        let mut fits = |from: &[Value], into: &[Value]| {
            from.iter().all(|one| {
                into.iter().any(|other| {
                    let mut walk =
                        Walk { face: Face::Request, found: Vec::new(), steps: self.steps / 8 };
                    walk.node(one, other, at);
                    self.steps = self.steps.saturating_sub(8);
                    walk.found.iter().all(|found| !found.breaking)
                })
            })
        };
        let kept = fits(&olds, &news);
        let grown = !fits(&news, &olds);
        let (turn, words) = match (kept, grown) {
            (true, false) => return,
            (true, true) => (Turn::Wider, "more variants are admitted"),
            (false, false) => (Turn::Narrower, "variants are gone or narrower"),
            (false, true) => (Turn::Other, "the variants changed"),
        };
        self.push(at, "union_changed", turn, words.to_owned());
    }

    fn types(&mut self, old: &Value, new: &Value, at: &str) {
        let (before, after) = (types(old), types(new));
        let (gone, come) = match (&before, &after) {
            (None, None) => return,
            (None, Some(_)) if values(old).is_some() => return,
            (Some(_), None) if values(new).is_some() => return,
            (None, Some(after)) => {
                let message = format!("any type before, now {}", listed(after));
                return self.push(at, "type_narrowed", Turn::Narrower, message);
            }
            (Some(before), None) => {
                let message = format!("{} before, now any type", listed(before));
                return self.push(at, "type_widened", Turn::Wider, message);
            }
            (Some(before), Some(after)) => (lacking(before, after), lacking(after, before)),
        };
        if gone.is_empty() && come.is_empty() {
            return;
        }
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        let message = format!("{} before, now {}", listed(&before), listed(&after));
        let null = BTreeSet::from(["null"]);
        let (kind, turn) = if gone.is_empty() {
            (if come == null { "nullable_added" } else { "type_widened" }, Turn::Wider)
        } else if come.is_empty() {
            (if gone == null { "nullable_removed" } else { "type_narrowed" }, Turn::Narrower)
        } else {
            ("type_changed", Turn::Other)
        };
        // Whole numbers pass as they did: what narrows is written by few callers.
        let whole = gone == BTreeSet::from(["number"]) && after.contains("integer");
        match (whole, self.face) {
            (true, Face::Request) => {
                self.tell(at, "type_narrowed", DriftType::Schema, Severity::Low, true, message);
            }
            (true, _) => self.push(at, "type_narrowed", Turn::Narrower, message),
            _ => self.push(at, kind, turn, message),
        }
    }

    fn values(&mut self, old: &Value, new: &Value, at: &str) {
        let (gone, come) = match (values(old), values(new)) {
            (None, None) => return,
            (None, Some(after)) => {
                let message = format!("now only {}", json!(after));
                if self.face == Face::Request {
                    let schema = DriftType::Schema;
                    return self.tell(at, "enum_added", schema, Severity::Low, true, message);
                }
                return self.push(at, "enum_added", Turn::Narrower, message);
            }
            (Some(_), None) => {
                let message = "no longer a closed list of values".to_owned();
                return self.push(at, "enum_removed", Turn::Wider, message);
            }
            (Some(before), Some(after)) => (
                before.iter().filter(|v| !after.contains(v)).collect::<Vec<_>>(),
                after.iter().filter(|v| !before.contains(v)).collect::<Vec<_>>(),
            ),
        };
        let message = format!("gone: {}; new: {}", json!(gone), json!(come));
        match (gone.is_empty(), come.is_empty()) {
            (true, true) => {}
            (true, false) => self.push(at, "enum_widened", Turn::Wider, message),
            (false, true) => self.push(at, "enum_narrowed", Turn::Narrower, message),
            (false, false) => self.push(at, "enum_changed", Turn::Other, message),
        }
    }

    fn bounds(&mut self, old: &Value, new: &Value, at: &str) {
        const LOWER: [&str; 5] =
            ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
        const UPPER: [&str; 5] =
            ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];
        for (keywords, sign) in [(LOWER, 1.0), (UPPER, -1.0)] {
            for keyword in keywords {
                let bound = |schema: &Value| schema.get(keyword).and_then(Value::as_f64);
                let (before, after) = (bound(old), bound(new));
                let turn = match (before, after) {
                    (None, Some(_)) => Turn::Narrower,
                    (Some(_), None) => Turn::Wider,
                    (Some(a), Some(b)) if sign * (b - a) > 0.0 => Turn::Narrower,
                    (Some(a), Some(b)) if sign * (b - a) < 0.0 => Turn::Wider,
                    _ => continue,
                };
                let told = |bound: Option<f64>| bound.map_or("none".to_owned(), |b| b.to_string());
                let message = format!("{keyword}: {} before, now {}", told(before), told(after));
                // Zero and one as a lower bound only exclude the empty value.
                let slight = sign > 0.0 && after.is_some_and(|b| (0.0..=1.0).contains(&b));
                let narrows = turn == Turn::Narrower && self.face == Face::Request;
                if slight && narrows {
                    let schema = DriftType::Schema;
                    self.tell(at, "constraint_changed", schema, Severity::Low, true, message);
                } else {
                    self.push(at, "constraint_changed", turn, message);
                }
            }
        }
    }

    fn properties(&mut self, old: &Value, new: &Value, at: &str) {
        let (needed, needs) = (required(old), required(new));
        let before: Vec<(&String, &Value)> = properties(old).collect();
        let after: Vec<(&String, &Value)> = properties(new).collect();
        let find = |list: &[(&String, &Value)], name: &str| list.iter().any(|(n, _)| *n == name);
        let mut renamed = BTreeSet::new();
        for &(name, schema) in &before {
            if let Some((_, now)) = after.iter().find(|(n, _)| *n == name) {
                self.node(schema, now, &member(at, name));
                continue;
            }
            let fresh: Vec<_> = after.iter().filter(|(n, _)| !find(&before, n)).collect();
            let successor = fresh
                .iter()
                .find(|(n, s)| !renamed.contains(n.as_str()) && looks_renamed(name, schema, n, s));
            match successor {
                Some((to, _)) => {
                    renamed.insert(to.as_str());
                    let message = format!("`{name}` is now `{to}`");
                    self.push(&member(at, name), "property_renamed", Turn::Other, message);
                }
                None => {
                    let fresh = fresh.iter().filter(|(n, _)| !renamed.contains(n.as_str()));
                    let fresh: Vec<(&String, &Value)> = fresh.map(|entry| **entry).collect();
                    self.gone((name, schema), &fresh, new, &member(at, name));
                }
            }
        }
        for &(name, schema) in after.iter().filter(|(n, _)| !find(&before, n)) {
            if !renamed.contains(name.as_str()) {
                self.come(name, schema, needs.contains(name.as_str()), &member(at, name));
            }
        }
        for name in needs.difference(&needed).filter(|n| find(&before, n) || !find(&after, n)) {
            let message = format!("`{name}` is now required");
            self.push(&member(at, name), "required_added", Turn::Narrower, message);
        }
        for name in needed.difference(&needs).filter(|n| find(&after, n)) {
            let message = format!("`{name}` may now be absent");
            self.push(&member(at, name), "required_relaxed", Turn::Wider, message);
        }
    }

    /// A property that nothing stands for plainly.
    fn gone(
        &mut self,
        (name, schema): (&str, &Value),
        fresh: &[(&String, &Value)],
        new: &Value,
        at: &str,
    ) {
        if let Some((to, _)) = fresh.iter().find(|(n, _)| refers_otherwise(name, n)) {
            let message = format!(
                "`{name}` is gone, and `{to}` refers in another way: the same value means another thing"
            );
            let (semantic, high) = (DriftType::Semantic, Severity::High);
            self.tell(at, "meaning_changed", semantic, high, true, message);
        }
        // Whoever sends it is rejected for want of a new argument, or finds it again under a name with
        // a word more or less: it is not ignored unseen.
        let needs = required(new);
        let wanting = fresh.iter().any(|(n, _)| needs.contains(n.as_str()));
        let found = fresh.iter().any(|(n, s)| grew(name, n) && types(schema) == types(s));
        self.removed(new, at, name, wanting || found);
    }

    /// A property that is new; `asked` where it is required.
    fn come(&mut self, name: &str, schema: &Value, asked: bool, at: &str) {
        if self.face == Face::Request && asks_for_conversation(name, schema) {
            let message = format!("`{name}` is new and asks for what the user said");
            let severity = if asked { Severity::High } else { Severity::Medium };
            let (kind, policy) = ("asks_for_conversation", DriftType::Policy);
            self.tell(at, kind, policy, severity, asked, message);
        }
        if self.face == Face::Request && asked {
            let message = format!("`{name}` is new and required");
            self.push(at, "required_added", Turn::Narrower, message);
        } else {
            let (schema, low) = (DriftType::Schema, Severity::Low);
            self.tell(at, "property_added", schema, low, false, format!("`{name}` is new"));
        }
    }

    fn removed(&mut self, new: &Value, at: &str, name: &str, seen: bool) {
        let schema = DriftType::Schema;
        let (severity, message) = match (self.face, is_closed(new)) {
            (Face::Request, false) if seen => {
                (Severity::Medium, format!("`{name}` is gone, and another argument is there"))
            }
            (Face::Request, false) => {
                (Severity::High, format!("`{name}` is gone and would be ignored in silence"))
            }
            (Face::Request, true) => (Severity::Medium, format!("`{name}` is no longer accepted")),
            _ => (Severity::Medium, format!("`{name}` is no longer declared")),
        };
        self.tell(at, "property_removed", schema, severity, true, message);
    }

    /// A schema inside: items of an array, values of a map.
    fn inner(&mut self, old: &Value, new: &Value, at: &str, keyword: &str, what: &str) {
        let closed = json!({ "not": {} });
        let at_inner = format!("{at}/{keyword}");
        let schema = DriftType::Schema;
        match (old.get(keyword), new.get(keyword)) {
            (Some(before), Some(after)) if *before != closed && *after != closed => {
                self.node(before, after, &at_inner);
            }
            (before, after) if before == after => {}
            (before, after) if before == Some(&closed) || after == Some(&closed) => {
                // Undeclared extras are outside of what was promised.
                let (kind, message) = if after == Some(&closed) {
                    ("closed", "undeclared members are now refused")
                } else {
                    ("opened", "undeclared members are now let through")
                };
                self.tell(at, kind, schema, Severity::Low, false, message.to_owned());
            }
            (None, Some(_)) => {
                let message = format!("the {what} now have a schema");
                self.push(&at_inner, "constraint_changed", Turn::Narrower, message);
            }
            _ => {
                let message = format!("the {what} no longer have a schema");
                self.push(&at_inner, "constraint_changed", Turn::Wider, message);
            }
        }
    }

    /// Keywords that are compared as they stand.
    fn rest(&mut self, old: &Value, new: &Value, at: &str) {
        const KNOWN: [&str; 22] = [
            "type",
            "enum",
            "properties",
            "required",
            "items",
            "additionalProperties",
            "minimum",
            "exclusiveMinimum",
            "minLength",
            "minItems",
            "minProperties",
            "maximum",
            "exclusiveMaximum",
            "maxLength",
            "maxItems",
            "maxProperties",
            "default",
            "description",
            "anyOf",
            "oneOf",
            "format",
            "unevaluatedProperties",
        ];
        let names = |schema: &Value| -> BTreeSet<String> {
            let members = schema.as_object().into_iter().flatten();
            let known = |n: &String| KNOWN.contains(&n.as_str()) || is_mark(n);
            members.map(|(n, _)| n.clone()).filter(|n| !known(n)).collect()
        };
        let unknown: BTreeSet<String> = names(old).union(&names(new)).cloned().collect();
        for keyword in unknown.iter().map(String::as_str).chain(["format"]) {
            let (before, after) = (old.get(keyword), new.get(keyword));
            let same = match (before, after) {
                (Some(before), Some(after)) => same_shape(before, after),
                (before, after) => before.is_none() && after.is_none(),
            };
            if same {
                continue;
            }
            let turn = match (before, after) {
                (None, _) => Turn::Narrower,
                (_, None) => Turn::Wider,
                _ => Turn::Other,
            };
            let kind = if keyword == "format" { "format_changed" } else { "constraint_changed" };
            if keyword == "format" && turn == Turn::Narrower && self.face == Face::Request {
                // A format that is newly stated describes what callers sent already.
                let message = "a format is now stated".to_owned();
                self.tell(at, kind, DriftType::Schema, Severity::Low, false, message);
            } else {
                self.push(at, kind, turn, format!("`{keyword}` changed"));
            }
        }
    }

    fn texts(&mut self, old: &Value, new: &Value, at: &str) {
        if self.face == Face::Request {
            self.default(old, new, at);
        }
        let text = |schema: &Value| -> String {
            schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (before, after) = (text(old), text(new));
        if before != after {
            let (kind, drift_type, severity, message) = meaning::of_texts(&before, &after);
            self.tell(at, kind, drift_type, severity, severity > Severity::Low, message);
        }
    }

    fn default(&mut self, old: &Value, new: &Value, at: &str) {
        let (before, after) = (old.get("default"), new.get("default"));
        if before == after || meaning::is_empty(before) && meaning::is_empty(after) {
            return;
        }
        let told = |d: Option<&Value>| d.map_or("none".to_owned(), Value::to_string);
        let message = format!("default: {} before, now {}", told(before), told(after));
        let slight = !is_default_changed(before, after);
        let (severity, kind) = if slight {
            (Severity::Low, "default_restated")
        } else {
            (Severity::High, "default_changed")
        };
        let drift_type = if slight { DriftType::Schema } else { DriftType::Semantic };
        self.tell(at, kind, drift_type, severity, !slight, message);
    }
}

/// The variants of a union, each with what stands beside the union; the node itself where it is none.
fn forms(node: &Value) -> usize {
    let union = node.get("anyOf").or_else(|| node.get("oneOf")).and_then(Value::as_array);
    union.map_or(1, Vec::len)
}

fn variants(node: &Value) -> Vec<Value> {
    let union = node.get("anyOf").or_else(|| node.get("oneOf")).and_then(Value::as_array);
    let Some(union) = union else { return vec![node.clone()] };
    let mut beside = node.as_object().cloned().unwrap_or_default();
    for text in ["anyOf", "oneOf", "description", "default"] {
        beside.remove(text);
    }
    union
        .iter()
        .map(|variant| {
            let mut made = beside.clone();
            for (name, value) in variant.as_object().into_iter().flatten() {
                if name == "required" && made.contains_key("required") {
                    let both: BTreeSet<&str> =
                        required(variant).union(&required(node)).copied().collect();
                    let both = json!(both);
                    made.insert(name.clone(), both);
                } else {
                    made.insert(name.clone(), value.clone());
                }
            }
            Value::Object(made)
        })
        .collect()
}

fn member(at: &str, name: &str) -> String {
    format!("{at}/properties/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Types of `these` that `those` do not take in; every integer is a number.
fn lacking<'t>(these: &BTreeSet<&'t str>, those: &BTreeSet<&str>) -> BTreeSet<&'t str> {
    these
        .iter()
        .filter(|t| !(those.contains(**t) || **t == "integer" && those.contains("number")))
        .copied()
        .collect()
}

fn listed(types: &BTreeSet<&str>) -> String {
    types.iter().copied().collect::<Vec<_>>().join(" or ")
}
