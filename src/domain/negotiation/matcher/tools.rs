//! The successor of a tool that is gone: renamed, or merged behind a discriminator.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::names::{is_distinguishing, likeness, said, shared_words};
use super::fields::{Side, carry};
use crate::domain::contract::{Surface, Tool};
use crate::domain::drift::normal::{normal, properties, required, types, values};
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
    /// Why the constant is not settled.
    doubt: Option<String>,
}

/// A tool, read once: it is held against every other.
struct Known<'a> {
    tool: &'a Tool,
    /// Its input schema in its normal spelling.
    schema: Value,
    /// The words of its name, and the same with the verbs of looking as one.
    own: BTreeSet<String>,
    name: BTreeSet<String>,
    /// The telling words of its description.
    said: BTreeSet<String>,
    /// The values that its arguments choose from: of which argument, which, and its words.
    values: Vec<(String, Value, BTreeSet<String>)>,
}

impl<'a> Known<'a> {
    fn of(tool: &'a Tool) -> Self {
        let schema = tool.input_schema().map_or_else(|| json!({}), normal);
        let text = |value: &Value| value.as_str().filter(|it| !it.is_empty()).map(canonical);
        let of_list = |(member, schema): (&String, &Value)| {
            let list = values(schema).filter(|list| list.len() > 1).into_iter().flatten();
            list.filter_map(|it| Some((member.clone(), it.clone(), text(it)?))).collect::<Vec<_>>()
        };
        let values = properties(&schema).flat_map(of_list).collect();
        Self {
            tool,
            own: words(tool.name()).into_iter().collect(),
            name: canonical(tool.name()),
            said: said(tool.description()),
            values,
            schema,
        }
    }

    fn takes(&self, member: &str) -> bool {
        self.schema.get("properties").is_some_and(|all| all.get(member).is_some())
    }

    /// The words of a gone tool's name that this one's own name does not say.
    fn left_of(&self, gone: &Self) -> BTreeSet<String> {
        gone.name.difference(&self.own).cloned().collect()
    }
}

/// The tools that are offered, each read once, and only where one is asked for.
pub(super) struct Offered<'a> {
    surface: &'a Surface,
    read: OnceCell<Vec<Known<'a>>>,
}

impl<'a> Offered<'a> {
    pub(super) fn new(surface: &'a Surface) -> Self {
        Self { surface, read: OnceCell::new() }
    }

    fn all(&self) -> &[Known<'a>] {
        self.read.get_or_init(|| self.surface.tools.iter().map(Known::of).collect())
    }
}

/// For each tool that is gone: the one successor that stands out. A name that stood before is never
/// another's successor, save where its own schema says the whole old name as one of its values.
pub(super) fn successors(
    old: &Surface,
    offered: &Offered<'_>,
) -> BTreeMap<String, (String, Successor)> {
    let is_gone = |tool: &&Tool| offered.surface.tool(tool.name()).is_none();
    let gone: Vec<Known<'_>> = old.tools.iter().filter(is_gone).map(Known::of).collect();
    if gone.is_empty() {
        return BTreeMap::new();
    }
    let (standing, fresh): (Vec<&Known<'_>>, Vec<&Known<'_>>) =
        offered.all().iter().partition(|known| old.tool(known.tool.name()).is_some());
    let shared = shared_texts(gone.iter(), fresh.iter().copied());
    let mut links = Vec::new();
    for from in &gone {
        for to in &fresh {
            links.extend(link(from, to, Some(&shared)));
        }
        for to in &standing {
            links.extend(link(from, to, None));
        }
    }
    gone.iter()
        .filter_map(|known| {
            let name = known.tool.name();
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
            open.extend(best.doubt.clone());
            let successor = Successor { constant: best.constant.clone(), open };
            Some((name.to_owned(), (best.to.to_owned(), successor)))
        })
        .collect()
}

/// Where the calls of a standing tool may go that use an argument which it no longer takes: another
/// tool that says the name of this one as a value and takes every argument of it.
pub(super) fn elsewhere<'a>(
    tool: &Tool,
    lost: &str,
    offered: &Offered<'a>,
) -> Option<(&'a Tool, String, Value)> {
    let promised = Known::of(tool);
    let mut found =
        offered.all().iter().filter(|other| other.tool.name() != tool.name()).filter_map(
            |offered| {
                let has = |name: &str| offered.takes(name);
                if !has(lost) || !properties(&promised.schema).all(|(name, _)| has(name)) {
                    return None;
                }
                let (member, value) = discriminator(&promised, offered)?;
                let all: BTreeSet<&str> = required(&promised.schema);
                let asks = required(&offered.schema);
                asks.iter()
                    .all(|name| *name == member || all.contains(name) || *name == lost)
                    .then_some((offered.tool, member, value))
            },
        );
    let one = found.next()?;
    found.next().is_none().then_some(one)
}

/// Two links compete where they share an end, unless a discriminator tells them apart.
fn rivals(other: &Link<'_>, best: &Link<'_>) -> bool {
    let near = other.score > best.score - MARGIN && other.score >= LIKELY;
    let same_from = other.from == best.from && other.to != best.to;
    let same_to = other.to == best.to && other.from != best.from && other.constant == best.constant;
    near && (same_from || same_to)
}

/// Descriptions that stand on more than one tool of a side: they are no evidence.
fn shared_texts<'a, 'k: 'a>(
    gone: impl Iterator<Item = &'a Known<'k>>,
    fresh: impl Iterator<Item = &'a Known<'k>>,
) -> BTreeSet<String> {
    let mut shared = BTreeSet::new();
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    let gone = gone.filter(|known| !before.insert(known.tool.description()));
    let fresh = fresh.filter(|known| !after.insert(known.tool.description()));
    shared.extend(gone.chain(fresh).map(|known| known.tool.description().to_owned()));
    shared
}

/// What speaks for a successor. `shared` are texts that are no evidence; without them the tool stood
/// before, and only a value that says the whole old name, or the same name with another verb of
/// looking, speaks for it.
fn link<'a>(
    from: &Known<'a>,
    to: &Known<'a>,
    shared: Option<&BTreeSet<String>>,
) -> Option<Link<'a>> {
    let (promised, offered) = (&from.schema, &to.schema);
    let (old, new) = (from.tool.name(), to.tool.name());
    let exact = |(_, value): &(String, Value)| value.as_str().is_some_and(|it| whole(old, it));
    let (constant, doubt) = match discriminator(from, to) {
        Some(found) if shared.is_some() || exact(&found) => (Some(found), None),
        _ => match likely_discriminator(from, to, shared.is_some()) {
            Some((found, doubt)) => (Some(found), Some(doubt)),
            None => (None, None),
        },
    };
    let score = match (&constant, &doubt, shared) {
        (Some(found), None, _) if exact(found) => 0.99,
        (Some(_), None, _) => 0.85,
        (Some(_), Some(_), Some(shared)) => 0.7_f64.max(renamed(from, to, shared)),
        (Some(_), Some(_), None) => 0.6,
        (None, _, Some(shared)) => renamed(from, to, shared),
        (None, _, None) if from.name == to.name => 0.6,
        (None, _, None) => 0.0,
    };
    if score < LIKELY {
        return None;
    }
    let fixed: Vec<&str> = constant.iter().map(|(name, _)| name.as_str()).collect();
    let carried = carry(Side::Request { reads: false }, promised, offered, &fixed)?;
    let score = if carried.open.is_empty() { score } else { score - 0.1 };
    Some(Link { from: old, to: new, score, constant, doubt })
}

/// Whether a value says a whole name of several words, the verb included.
fn whole(name: &str, value: &str) -> bool {
    let set = |text: &str| words(text).into_iter().collect::<BTreeSet<_>>();
    let name = set(name);
    name.len() > 1 && name == set(value)
}

/// How much speaks for a plain rename, from 0 to 1.
fn renamed(from: &Known<'_>, to: &Known<'_>, shared: &BTreeSet<String>) -> f64 {
    let names = likeness(from.tool.name(), to.tool.name());
    if names.same {
        return 1.0;
    }
    let text = from.tool.description();
    let (before, after) = (text.trim(), to.tool.description().trim());
    let telling = !before.is_empty() && !shared.contains(text);
    if telling && before == after {
        return 0.95;
    }
    let said = if telling { shared_words(&from.said, &to.said) } else { 0.0 };
    let subset = names.apart > 0
        && names.shared > 0
        && (from.name.is_subset(&to.name) || to.name.is_subset(&from.name));
    let common = from.name.intersection(&to.name).any(|word| is_distinguishing(word));
    if common && said >= 0.8 {
        return 0.8;
    }
    match (subset, !common) {
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
fn discriminator(from: &Known<'_>, to: &Known<'_>) -> Option<(String, Value)> {
    let less = to.left_of(from);
    // The whole old name before what is left of it: `list_runs` of `runs_read` before `get`.
    [&from.name, &less].into_iter().filter(|said| !said.is_empty()).find_map(|said| {
        let says = |(member, _, words): &&(String, Value, BTreeSet<String>)| {
            words == said && !from.takes(member)
        };
        let mut found = to.values.iter().filter(says);
        let (member, value, _) = found.next()?;
        found.next().is_none().then(|| (member.clone(), value.clone()))
    })
}

/// A discriminator that nothing settles: its values stand in its text only, or one of them says a part
/// of the old name. The two tools must be about the same.
fn likely_discriminator(
    from: &Known<'_>,
    to: &Known<'_>,
    fresh: bool,
) -> Option<((String, Value), String)> {
    let (name, less, offered) = (&from.name, to.left_of(from), &to.schema);
    if less.len() == name.len() || less.is_empty() {
        return None;
    }
    let is_fresh = fresh;
    let fresh = || {
        properties(offered)
            .filter(|(member, _)| !from.takes(member))
            .filter(|(member, _)| required(offered).contains(member.as_str()))
    };
    let told: Vec<(&String, String)> = fresh()
        .filter(|(_, schema)| values(schema).is_none())
        .filter(|(_, schema)| types(schema).is_some_and(|types| types.iter().eq(&["string"])))
        .flat_map(|(member, schema)| {
            let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            options(text).into_iter().map(move |value| (member, value))
        })
        .collect();
    let exact = [name, &less].into_iter().find_map(|said| {
        let mut found = told.iter().filter(|(_, value)| canonical(value) == *said);
        let one = found.next()?;
        found.all(|other| other.1 == one.1).then_some(one)
    });
    if let Some((member, value)) = exact.filter(|_| is_fresh) {
        let doubt = format!("only the text of `{member}` says that {value:?} is one of its values");
        return Some((((*member).clone(), json!(value)), doubt));
    }
    let listed: Vec<(&String, &str)> = fresh()
        .flat_map(|(member, schema)| {
            let list = values(schema).filter(|list| list.len() > 1).into_iter().flatten();
            list.filter_map(Value::as_str).map(move |value| (member, value))
        })
        .collect();
    // A value that says the whole old name and more.
    let mut more =
        listed.iter().filter(|(_, value)| name.len() > 2 && name.is_subset(&canonical(value)));
    if let (Some((member, value)), None) = (more.next(), more.next()) {
        let doubt = format!("{value:?} of `{member}` says more than `{}`", from.tool.name());
        return Some((((*member).clone(), json!(value)), doubt));
    }
    if !is_fresh {
        return None;
    }
    // The value that says most of what is left of the old name, and nothing else.
    let share = |value: &str| {
        let said = canonical(value);
        if said.is_subset(&less) { said.len() } else { 0 }
    };
    let most = listed.iter().map(|(_, value)| share(value)).max().filter(|most| *most > 0)?;
    let mut found = listed.iter().filter(|(_, value)| share(value) == most);
    let (member, value) = found.next()?;
    found.next().is_none().then(|| {
        let doubt = format!("{value:?} of `{member}` says only a part of `{}`", from.tool.name());
        (((*member).clone(), json!(value)), doubt)
    })
}

/// The identifiers that a text lists as options: quoted, or at the start of a line or of a clause.
fn options(text: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-')).collect()
    };
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let line = line
            .trim_start_matches(|c: char| !c.is_alphabetic() && c != '\'' && c != '"' && c != '`');
        let first = line.trim_start_matches(['\'', '"', '`']);
        found.insert(word(first));
        for quote in ['\'', '"', '`'] {
            found.extend(line.split(quote).skip(1).step_by(2).map(word));
        }
    }
    found.remove("");
    found.into_iter().collect()
}
