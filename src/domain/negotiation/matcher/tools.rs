//! The successor of a tool that is gone: renamed, or merged behind a discriminator.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::names::{is_distinguishing, likeness, text_similarity};
use super::fields::{Side, carry};
use crate::domain::contract::{Surface, Tool};
use crate::domain::drift::normal::{normal, properties, values};
use crate::domain::drift::words::words;

/// How a promised tool is reached now.
#[derive(Clone, Debug, Default)]
pub(super) struct Successor {
    /// The discriminator's member and value.
    pub(super) constant: Option<(String, Value)>,
    /// What is not settled.
    pub(super) open: Vec<String>,
}

impl Successor {
    /// The tool still stands under its name.
    pub(super) fn kept() -> Self {
        Self::default()
    }
}

/// A successor below this likeness is not proposed; from `FIRM` on it is not left open.
const LIKELY: f64 = 0.5;
const FIRM: f64 = 0.75;
/// By how much the best successor must be ahead of the next.
const MARGIN: f64 = 0.1;

/// One tool that may be the successor of another.
struct Link<'a> {
    from: &'a str,
    to: &'a str,
    score: f64,
    constant: Option<(String, Value)>,
}

/// For each tool that is gone: the one successor that stands out. A name that stood before is never
/// another's successor.
pub(super) fn successors(old: &Surface, new: &Surface) -> BTreeMap<String, (String, Successor)> {
    let gone: Vec<&Tool> =
        old.tools.iter().filter(|tool| new.tool(tool.name()).is_none()).collect();
    let fresh: Vec<&Tool> =
        new.tools.iter().filter(|tool| old.tool(tool.name()).is_none()).collect();
    let shared = shared_texts(&gone, &fresh);
    let mut links = Vec::new();
    for from in &gone {
        for to in &fresh {
            links.extend(link(from, to, &shared));
        }
    }
    gone.iter()
        .filter_map(|tool| {
            let name = tool.name();
            let best = links
                .iter()
                .filter(|l| l.from == name)
                .max_by(|a, b| a.score.total_cmp(&b.score))
                .filter(|l| l.score >= LIKELY)?;
            let mut open = Vec::new();
            for rival in links.iter().filter(|l| rivals(l, best)) {
                let (from, to) = (rival.from, rival.to);
                open.push(format!("`{from}` may be `{to}` as well as `{name}` be `{}`", best.to));
            }
            if best.score < FIRM {
                open.push(format!("`{name}` may be `{}`: its name alone does not say so", best.to));
            }
            let successor = Successor { constant: best.constant.clone(), open };
            Some((name.to_owned(), (best.to.to_owned(), successor)))
        })
        .collect()
}

/// Two links compete where they share an end, unless a discriminator tells them apart.
fn rivals(other: &Link<'_>, best: &Link<'_>) -> bool {
    let near = other.score > best.score - MARGIN && other.score >= LIKELY;
    let same_from = other.from == best.from && other.to != best.to;
    let same_to = other.to == best.to && other.from != best.from && other.constant == best.constant;
    near && (same_from || same_to)
}

/// Descriptions that stand on more than one tool of a side: they are no evidence.
fn shared_texts(gone: &[&Tool], fresh: &[&Tool]) -> BTreeSet<String> {
    let mut shared = BTreeSet::new();
    for side in [gone, fresh] {
        let mut seen = BTreeSet::new();
        for tool in side {
            if !seen.insert(tool.description()) {
                shared.insert(tool.description().to_owned());
            }
        }
    }
    shared
}

fn link<'a>(from: &'a Tool, to: &'a Tool, shared: &BTreeSet<String>) -> Option<Link<'a>> {
    let [promised, offered] =
        [from, to].map(|t| t.input_schema().map_or_else(|| json!({}), normal));
    let constant = discriminator(from.name(), to.name(), &promised, &offered);
    let fixed: Vec<&str> = constant.iter().map(|(name, _)| name.as_str()).collect();
    let carried = carry(Side::Request { reads: false }, &promised, &offered, &fixed)?;
    let smooth = carried.open.is_empty();
    let score = if constant.is_some() { 0.9 } else { renamed(from, to, shared) };
    let score = if smooth { score } else { score - 0.1 };
    Some(Link { from: from.name(), to: to.name(), score, constant })
}

/// How much speaks for a plain rename, from 0 to 1.
fn renamed(from: &Tool, to: &Tool, shared: &BTreeSet<String>) -> f64 {
    let names = likeness(from.name(), to.name());
    if names.same {
        return 1.0;
    }
    let (before, after) = (from.description().trim(), to.description().trim());
    let telling = !before.is_empty() && !shared.contains(from.description());
    if telling && before == after {
        return 0.95;
    }
    let said = if telling { text_similarity(before, after) } else { 0.0 };
    let subset = names.apart > 0 && names.shared > 0 && {
        let (one, other) = (canonical(from.name()), canonical(to.name()));
        one.is_subset(&other) || other.is_subset(&one)
    };
    let both = canonical(from.name());
    let other = canonical(to.name());
    let common: Vec<_> = both.intersection(&other).filter(|w| is_distinguishing(w)).collect();
    match (subset, common.is_empty()) {
        (true, false) => 0.6 + 0.3 * said,
        (false, false) => 0.35 + 0.4 * said,
        _ => 0.6 * said,
    }
}

/// New optional arguments of a successor that choose between kinds: which one the old tool meant stands
/// in no schema.
pub(super) fn choices(promised: &Value, offered: &Value, fixed: &[&str]) -> Vec<String> {
    properties(offered)
        .filter(|(name, _)| !fixed.contains(&name.as_str()))
        .filter(|(name, _)| !properties(promised).any(|(known, _)| known == *name))
        .filter(|(_, schema)| values(schema).is_some_and(|list| list.len() > 1))
        .map(|(name, _)| format!("the new `{name}` chooses between kinds, and nothing says which"))
        .collect()
}

/// Words of a name; the verbs of looking count as one.
fn canonical(name: &str) -> BTreeSet<String> {
    let looking = ["list", "fetch", "read", "show"];
    let one = |word: String| if looking.contains(&word.as_str()) { "get".to_owned() } else { word };
    words(name).into_iter().map(one).collect()
}

/// The member of the offer, new to the promise, one value of which says the old name, or the old name
/// less the words of the new tool's own name.
fn discriminator(
    from: &str,
    to: &str,
    promised: &Value,
    offered: &Value,
) -> Option<(String, Value)> {
    let name = canonical(from);
    let own: BTreeSet<String> = words(to).into_iter().collect();
    let less: BTreeSet<String> = name.difference(&own).cloned().collect();
    let says = |value: &Value, words: &BTreeSet<String>| {
        value.as_str().is_some_and(|value| !value.is_empty() && canonical(value) == *words)
    };
    let values: Vec<(&String, &Value)> = properties(offered)
        .filter(|(member, _)| !properties(promised).any(|(known, _)| known == *member))
        .flat_map(|(member, schema)| {
            let list = values(schema).filter(|list| list.len() > 1);
            list.into_iter().flatten().map(move |value| (member, value))
        })
        .collect();
    // The whole old name before what is left of it: `list_runs` of `runs_read` before `get`.
    [name, less].iter().filter(|said| !said.is_empty()).find_map(|said| {
        let mut found = values.iter().filter(|(_, value)| says(value, said));
        let (member, value) = found.next()?;
        found.next().is_none().then(|| ((*member).clone(), (*value).clone()))
    })
}
