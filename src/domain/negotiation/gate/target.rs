//! Rules 1, 2 and 4 for the tool that is called.

use std::collections::BTreeSet;

use serde_json::Value;

use super::effect;
use super::flow::{Flow, Source};
use super::pair::Hold;
use super::{GateInput, input_schema};
use crate::domain::contract::Tool;
use crate::domain::drift::normal::{shape, values};
use crate::domain::drift::words::{is_verb, stem, tokens, words};
use crate::domain::negotiation::Rule;
use crate::domain::negotiation::names::{is_distinguishing, likeness, subject, text_similarity};

/// Verbs that count as one word.
const LOOKING: &[&str] = &["get", "list", "fetch", "read", "show"];

/// Judges a call of `offered` and returns the pointer of the discriminator that its name dictates.
pub(super) fn judge(
    input: &GateInput<'_>,
    offered: &Tool,
    flow: &Flow,
    split: bool,
    holds: &mut Vec<Hold>,
) -> Option<String> {
    let promised = input.promised;
    let (old, new) = (promised.name(), offered.name());
    if let Some(why) = effect::changed(promised, offered) {
        holds.push((Rule::Effect, format!("{old} to {new}: {why}")));
    }
    let reads = |value: Option<&str>| {
        effect::effectively_read_only(promised, None)
            && effect::effectively_read_only(offered, value)
    };
    if split && !reads(None) {
        let why = format!("{old} becomes several tools, and not all of them only read");
        holds.push((Rule::Effect, why));
    }
    if old == new {
        return None;
    }
    let mut hold = |rule, why: &str| holds.push((rule, format!("{old} to {new}: {why}")));
    if input.new_surface.tool(old).is_some() {
        hold(Rule::Names, "the promised tool is still offered, so it maps only to itself");
    }
    let discriminator = discriminated(promised, offered, flow);
    // A tool that stood before is no successor, save where its own schema names the old tool in full.
    let named = discriminator.as_ref().is_some_and(|(_, value)| whole(promised, value));
    if input.old_surface.tool(new).is_some() && !named {
        hold(Rule::Names, "the offered tool was promised before, so it maps only to itself");
    }
    let chosen = discriminator.as_ref().map(|(_, value)| value.as_str());
    if effect::crosses(promised, offered, chosen) {
        hold(Rule::Effect, "one of them only reads and the other does not");
    }
    if (chosen.is_some() || is_gateway(offered)) && !reads(chosen) {
        hold(Rule::Effect, "a merge or a gateway is let through only between tools that only read");
    }
    let is_rival =
        |tool: &&Tool| tool.name() != new && input.old_surface.tool(tool.name()).is_none();
    let mut rivals = input.new_surface.tools.iter().filter(is_rival);
    match &discriminator {
        Some((_, value)) if rivals.any(|rival| offers(promised, rival, whole(promised, value))) => {
            hold(Rule::Names, "another new tool offers the same choice");
        }
        Some(_) => {}
        None if !renamed(promised, offered) => {
            hold(Rule::Names, "nothing says that they are the same tool");
        }
        None if rivals.any(|rival| renamed(promised, rival)) => {
            hold(Rule::Names, "another new tool competes");
        }
        None => {}
    }
    discriminator.map(|(pointer, _)| pointer)
}

/// Whether a tool takes another tool's name and its arguments.
fn is_gateway(tool: &Tool) -> bool {
    let schema = input_schema(tool);
    let has = |names: &[&str]| {
        let members = schema.get("properties").and_then(Value::as_object);
        members.into_iter().flatten().any(|(name, _)| {
            let words = words(name);
            names.iter().any(|it| words.iter().any(|word| word == it))
        })
    };
    has(&["tool", "function", "operation", "action", "command"])
        && has(&["argument", "parameter", "payload", "input"])
}

/// Positive evidence that one tool is another under a new name.
fn renamed(old: &Tool, new: &Tool) -> bool {
    let said = words(old.description());
    let telling = said.iter().filter(|word| is_distinguishing(word)).count();
    let same_text = telling >= 2 && said == words(new.description());
    if same_text && declared(old) == declared(new) {
        return true;
    }
    let alike = likeness(old.name(), new.name());
    let same_shape = || declared(old) == declared(new);
    if alike.same || (!alike.distinguishing.is_empty() && near_text(old, new) && same_shape()) {
        return true;
    }
    if !alike.distinguishing.is_empty() && said_already(old, new) && same_arguments(old, new) {
        return true;
    }
    let about = |tool: &Tool| subject(tool.name()).into_iter().collect::<BTreeSet<_>>();
    let verbs = |tool: &Tool| {
        let about = about(tool);
        let mut verbs = unified(tool.name());
        verbs.retain(|word| !about.contains(word));
        verbs
    };
    // The same subject by the same verb; beside it a server's or product's name may come or go only
    // where the descriptions agree too.
    !alike.distinguishing.is_empty()
        && verbs(old) == verbs(new)
        && (about(old) == about(new) || same_text)
}

/// Verbs by which a text tells what a tool that looks gives back.
const TELLING: &[&str] =
    &["display", "fetch", "get", "give", "list", "print", "retrieve", "return", "show"];

/// Whether two descriptions say the same but for the verb of looking.
fn near_text(old: &Tool, new: &Tool) -> bool {
    let said = |tool: &Tool| -> Vec<String> {
        let told = |word: &String| !TELLING.contains(&word.as_str());
        words(tool.description()).into_iter().filter(told).collect()
    };
    let before = said(old);
    before.iter().filter(|word| is_distinguishing(word)).count() >= 3 && before == said(new)
}

/// What a tool's arguments admit, over those that it declares: whether undeclared ones are let through
/// or not is no part of what was promised.
fn declared(tool: &Tool) -> Value {
    let mut shape = shape(&input_schema(tool));
    if let Some(members) = shape.as_object_mut() {
        members.remove("additionalProperties");
    }
    shape
}

/// Whether both declare the very same arguments, three or more, texts and defaults included.
fn same_arguments(old: &Tool, new: &Tool) -> bool {
    let [before, after] = [old, new].map(|tool| {
        let schema = input_schema(tool);
        (schema.get("properties").cloned(), schema.get("required").cloned())
    });
    let several = before.0.as_ref().and_then(Value::as_object).is_some_and(|all| all.len() > 2);
    several && before == after
}

/// Whether one name is the other with words more or less that both descriptions say anyway, the verbs
/// the same, and the descriptions say nearly the same.
fn said_already(old: &Tool, new: &Tool) -> bool {
    let set = |text: &str| words(text).into_iter().collect::<BTreeSet<String>>();
    let (before, after) = (set(old.name()), set(new.name()));
    let (said, says) = (set(old.description()), set(new.description()));
    let verb = |tool: &Tool| words(tool.name()).into_iter().next().filter(|word| is_verb(word));
    (before.is_subset(&after) || after.is_subset(&before))
        && verb(old).is_some()
        && verb(old) == verb(new)
        && before
            .symmetric_difference(&after)
            .all(|word| said.contains(word) && says.contains(word))
        && text_similarity(old.description(), new.description()) >= 0.8
}

/// The words of a name, looking verbs as one.
fn unified(name: &str) -> BTreeSet<String> {
    let one = |word: String| if LOOKING.contains(&word.as_str()) { "get".to_owned() } else { word };
    words(name).into_iter().map(one).collect()
}

/// The argument and its one value whose words are the old name's less those of the new tool's own.
fn discriminated(old: &Tool, new: &Tool, flow: &Flow) -> Option<(String, String)> {
    let schema = input_schema(new);
    flow.places.iter().find_map(|(place, source)| {
        let Source::Constant(Value::String(value)) = source else { return None };
        let member = super::field::at(&schema, place)?;
        let dictated = dictated(old, new, values(member)?)?;
        (dictated == *value).then(|| (place.clone(), dictated))
    })
}

/// Whether a value says the whole old name, the verb included.
fn whole(old: &Tool, value: &str) -> bool {
    let set = |name: &str| words(name).into_iter().collect::<BTreeSet<_>>();
    let name = set(old.name());
    name.len() > 1 && name.iter().any(|word| is_distinguishing(word)) && name == set(value)
}

/// Whether some argument of a tool has a value that the old name dictates; beside one that says the
/// whole name only another such counts.
fn offers(old: &Tool, new: &Tool, exact: bool) -> bool {
    let schema = input_schema(new);
    super::field::top(&schema)
        .iter()
        .filter_map(|at| values(super::field::at(&schema, at)?))
        .filter_map(|values| dictated(old, new, values))
        .any(|value| !exact || whole(old, &value))
}

fn dictated(old: &Tool, new: &Tool, values: &[Value]) -> Option<String> {
    let texts = || values.iter().filter_map(Value::as_str);
    let mut same = texts().filter(|value| whole(old, value));
    if let Some(one) = same.next() {
        return same.next().is_none().then(|| one.to_owned());
    }
    if likeness(old.name(), new.name()).distinguishing.is_empty() {
        return None;
    }
    let literal: BTreeSet<String> = words(old.name()).into_iter().collect();
    let own: BTreeSet<String> = words(new.name()).into_iter().collect();
    let looks = |words: &BTreeSet<String>| words.iter().any(|it| LOOKING.contains(&it.as_str()));
    let remainder: BTreeSet<String> = literal.difference(&own).cloned().collect();
    let mut rest: BTreeSet<String> =
        unified(old.name()).difference(&own).filter(|word| *word != "get").cloned().collect();
    let silent = rest.clone();
    if looks(&literal) {
        rest.insert("get".to_owned());
    }
    let full = unified(old.name());
    let fits = |value: &&str| {
        let words = unified(value);
        words == rest || words == full || (!silent.is_empty() && looks(&own) && words == silent)
    };
    let found: Vec<&str> = values.iter().filter_map(Value::as_str).filter(fits).collect();
    match found.as_slice() {
        [one] => Some((*one).to_owned()),
        // `get` and `list` side by side: only the very verb tells, and a plural after `get` does not.
        several => {
            let plural = tokens(old.name()).iter().any(|token| stem(token) != *token);
            let exact =
                |value: &&&str| words(value).into_iter().collect::<BTreeSet<_>>() == remainder;
            let mut exact = several.iter().filter(exact);
            let one = exact.next()?;
            (exact.next().is_none() && !(plural && words(one).contains(&"get".to_owned())))
                .then(|| (*one).to_owned())
        }
    }
}
