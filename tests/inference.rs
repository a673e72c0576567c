//! Terms inferred from recorded replies of five real servers (`fixtures/replies`): half of them teach,
//! the other half must be admitted, and what is changed in it must be refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use stipula::domain::contract::{Generaliser, Schema};

const SAMPLES: u64 = 20;
/// Share of the mutations that must be refused, in percent.
const REFUSED: u64 = 95;

/// Recorded results by server and tool.
fn recorded() -> BTreeMap<String, BTreeMap<String, Vec<Value>>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/replies");
    let mut servers: BTreeMap<String, BTreeMap<String, Vec<Value>>> = BTreeMap::new();
    for server in fs::read_dir(root).unwrap().map(Result::unwrap).filter(|it| it.path().is_dir()) {
        let tools = servers.entry(server.file_name().into_string().unwrap()).or_default();
        for tool in fs::read_dir(server.path()).unwrap().map(Result::unwrap) {
            let text = fs::read_to_string(tool.path()).unwrap();
            let results = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            tools.insert(tool.path().file_stem().unwrap().to_str().unwrap().to_owned(), results);
        }
    }
    servers
}

/// What a result holds: `structuredContent`, or the JSON of its one text, or that text.
fn document(result: &Value, structured: bool) -> Option<Value> {
    if let Some(structured) = result.get("structuredContent").filter(|_| structured) {
        return Some(structured.clone());
    }
    let [block] = result["content"].as_array()?.as_slice() else { return None };
    let text = block["text"].as_str()?;
    let parsed = serde_json::from_str(text).ok();
    Some(parsed.filter(|it: &Value| it.is_object() || it.is_array()).unwrap_or_else(|| json!(text)))
}

/// Every way to drop, rename or retype one member, wherever it stands.
fn mutations(document: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    members(document, "", &mut places);
    let mut changed = Vec::new();
    for (at, name) in places {
        let mut with = |what: &str, change: &dyn Fn(&mut Map<String, Value>)| {
            let mut copy = document.clone();
            change(copy.pointer_mut(&at).and_then(Value::as_object_mut).unwrap());
            changed.push((format!("{what} {at}/{name}"), copy));
        };
        with("dropped", &|object| drop(object.remove(&name)));
        with("renamed", &|object| {
            let value = object.remove(&name).unwrap();
            object.insert(format!("{name}_value"), value);
        });
        with("retyped", &|object| {
            let value = object.get_mut(&name).unwrap();
            *value = match value {
                Value::String(_) => json!(7),
                Value::Array(_) => json!({}),
                Value::Object(_) => json!([]),
                _ => json!("text"),
            };
        });
    }
    changed
}

/// Every member by the pointer of its object and its name.
fn members(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                found.push((at.to_owned(), name.clone()));
                members(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            let each = items.iter().enumerate();
            each.for_each(|(index, item)| members(item, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

#[derive(Default)]
struct Figures {
    tools: u64,
    with_terms: u64,
    rejected: u64,
    held_out: u64,
    mutations: u64,
    refused: u64,
}

/// Learns from one half and judges the other, both ways round.
fn learn_and_judge(documents: &[Value], figures: &mut Figures) -> bool {
    let (odd, even): (Vec<_>, Vec<_>) = documents.iter().enumerate().partition(|(n, _)| n % 2 == 1);
    let mut learnt = false;
    for (taught, judged) in [(&odd, &even), (&even, &odd)] {
        let mut generaliser = Generaliser::default();
        taught.iter().for_each(|(_, sample)| generaliser.take(sample));
        let Some(terms) = generaliser.terms(SAMPLES) else { continue };
        learnt = true;
        let schema = Schema::compile(&terms.schema).unwrap();
        for (_, sample) in judged {
            figures.held_out += 1;
            figures.rejected += u64::from(!schema.admits_value(sample));
            for (_, changed) in mutations(sample) {
                figures.mutations += 1;
                figures.refused += u64::from(!schema.admits_value(&changed));
            }
        }
    }
    learnt
}

fn figures(structured: bool) -> BTreeMap<String, Figures> {
    let mut all = BTreeMap::new();
    for (server, tools) in recorded() {
        let mut figures = Figures { tools: tools.len() as u64, ..Figures::default() };
        for results in tools.values() {
            let documents: Vec<Value> =
                results.iter().filter_map(|result| document(result, structured)).collect();
            figures.with_terms += u64::from(learn_and_judge(&documents, &mut figures));
        }
        all.insert(server, figures);
    }
    all
}

fn hold(structured: bool, with_terms: &[(&str, u64)]) {
    let all = figures(structured);
    let what = if structured { "structured content" } else { "text alone" };
    for (server, it) in &all {
        println!(
            "{server}, {what}: {} of {} tools give terms; {} of {} held-out replies rejected; {} of {} \
             mutations refused",
            it.with_terms, it.tools, it.rejected, it.held_out, it.refused, it.mutations
        );
        assert_eq!(it.rejected, 0, "{server}: terms reject what the same server wrote");
        assert!(it.refused * 100 >= it.mutations * REFUSED, "{server}: mutations go through");
    }
    let counted: Vec<(&str, u64)> =
        all.iter().map(|(server, it)| (server.as_str(), it.with_terms)).collect();
    assert_eq!(counted, with_terms);
}

#[test]
fn terms_from_one_half_admit_the_other_and_refuse_what_is_changed_in_it() {
    // git answers in plain text alone, everything but for one tool: there nothing is inferred.
    hold(true, &[("everything", 1), ("filesystem", 13), ("git", 0), ("memory", 9), ("time", 2)]);
}

#[test]
fn the_same_holds_of_replies_that_are_json_in_a_text() {
    hold(false, &[("everything", 1), ("filesystem", 1), ("git", 0), ("memory", 6), ("time", 2)]);
}
