//! How the engine does on a corpus of known drifts; runs where `STIPULA_CORPUS` names its directory.
//!
//! The corpus is third-party text and not part of the repository. What it must show is one thing: no
//! proposal goes without a person that should not, and none maps arguments otherwise than judged.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use stipula::domain::contract::Surface;
use stipula::domain::json::{Limits, Tape};
use stipula::domain::negotiation::{
    Decision, GateEvidence, Proposal, assess_candidate, propose, same,
};
use stipula::domain::routine::CompiledRoutine;

fn manifest(root: &Path, name: &str) -> Surface {
    let packed = std::fs::read(root.join(name)).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    // Some collected lists hold variants of one tool; the first is taken.
    let mut value = value;
    let mut seen = std::collections::BTreeSet::new();
    let list = if value.is_array() { &mut value } else { &mut value["tools"] };
    list.as_array_mut().unwrap().retain(|t| seen.insert(t["name"].as_str().map(str::to_owned)));
    Surface::from_json(&value).unwrap()
}

/// What a proposal makes of one example: `Ok(None)` where it refuses.
fn mapped(proposal: &Proposal, arguments: &Value) -> Option<(String, Value)> {
    let routine = proposal.routine.0.get(&proposal.tool)?;
    let compiled = CompiledRoutine::compile(&proposal.tool, routine).ok()?;
    let text = arguments.to_string();
    let mut tape = Tape::default();
    let document = tape.read(text.as_bytes(), Limits::default()).ok()?;
    let mut out = Vec::new();
    let made = compiled.request(Some(document.root()), &mut out).ok()?;
    let tool = made.call.unwrap_or_else(|| proposal.tool.clone());
    let value =
        if out.is_empty() { arguments.clone() } else { serde_json::from_slice(&out).ok()? };
    Some((tool, value))
}

/// Equal, or differing only by a value that the offer declares as default.
fn equivalent(made: &Value, judged: &Value, schema: Option<&Value>) -> bool {
    let (Some(made), Some(judged)) = (made.as_object(), judged.as_object()) else {
        return same(made, judged);
    };
    let default = |name: &str| schema?.get("properties")?.get(name)?.get("default");
    let fits = |name: &str, one: Option<&Value>, other: Option<&Value>| match (one, other) {
        (Some(a), Some(b)) => same(a, b),
        (Some(a), None) | (None, Some(a)) => default(name).is_some_and(|d| same(a, d)),
        (None, None) => true,
    };
    made.keys().chain(judged.keys()).all(|n| fits(n, made.get(n), judged.get(n)))
}

/// What is wrong with an automatic proposal for a judged case, in words.
fn wrong(case: &Value, proposal: &Proposal, new: &Surface) -> Vec<String> {
    let mut found = Vec::new();
    if case["gate"] != "auto" {
        found.push(format!("is {} and went by itself", case["gate"]));
    }
    for example in case["examples"].as_array().into_iter().flatten() {
        let Some((tool, made)) = mapped(proposal, &example["args_v1"]) else { continue };
        let schema = new.tool(&tool).and_then(|t| t.input_schema());
        if example["args_v2"].is_null()
            || example["tool_v2"].as_str() != Some(tool.as_str())
            || !equivalent(&made, &example["args_v2"], schema)
        {
            found.push(format!(
                "{} -> {tool} {made}, judged {}",
                example["args_v1"], example["args_v2"]
            ));
        }
    }
    found
}

/// Which of the table's seven types the corpus means.
fn drift_type(kind: &str) -> &'static str {
    match kind {
        k if k.starts_with("tool_") || k.starts_with("capability_") => "capability",
        k if k.starts_with("policy_") || k == "annotation_restated" => "policy",
        "semantics_changed"
        | "output_semantics_changed"
        | "param_meaning_changed"
        | "default_changed" => "semantic",
        _ => "schema",
    }
}

#[test]
fn nothing_goes_by_itself_that_should_not() {
    let Some(root) = std::env::var_os("STIPULA_CORPUS") else { return };
    let root = Path::new(&root);
    let lines = std::fs::read_to_string(root.join("gold.dev.jsonl")).unwrap();
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut wrongs = Vec::new();
    for line in lines.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (old, new) = (
            manifest(root, case["from"].as_str().unwrap()),
            manifest(root, case["to"].as_str().unwrap()),
        );
        let tool = case["tool"].as_str().unwrap();
        let changes = stipula::domain::drift::diff(&old, &new).changes;
        let own: Vec<_> = changes.iter().filter(|c| c.tool == tool).collect();
        let worst = own
            .iter()
            .map(|c| c.severity.word())
            .max_by_key(|w| ["low", "medium", "high", "critical"].iter().position(|x| x == w));
        let right = worst == case["severity"].as_str();
        *counts.entry(format!("severity right: {right}")).or_default() += 1;
        let kind = case["drift_type"].as_str().unwrap();
        let expected = drift_type(kind);
        let typed = own.iter().any(|c| c.drift_type.word() == expected);
        *counts.entry(format!("type right: {typed}")).or_default() += 1;
        if !right || !typed {
            println!(
                "DIFF {kind} {tool} judged {} {expected}, told {worst:?} {:?}",
                case["severity"],
                own.iter().map(|c| format!("{}:{}", c.kind, c.severity.word())).collect::<Vec<_>>()
            );
        }
        let proposal =
            propose(&old, &new).iter().find(|candidate| candidate.tool == tool).map(|candidate| {
                assess_candidate(&old, &new, candidate, &GateEvidence::for_same_peer())
            });
        let gate = proposal.as_ref().map_or("absent", |p| match p.gate {
            Decision::Auto => "auto",
            Decision::Review => "review",
            Decision::None => "none",
        });
        let judged = case["gate"].as_str().unwrap();
        let needs = if case["routine"].as_array().is_some_and(|r| !r.is_empty()) {
            "mapped"
        } else {
            "identity"
        };
        *counts.entry(format!("judged {judged} {needs}, gate {gate}")).or_default() += 1;
        let Some(proposal) = proposal else {
            println!("NONE {judged} {needs} {tool} {kind}");
            continue;
        };
        let faults = wrong(&case, &proposal, &new);
        if proposal.gate == Decision::Auto {
            wrongs.extend(faults.iter().map(|why| format!("{tool} {kind}: {why}")));
        } else if judged == "auto" {
            println!(
                "HELD {tool} {kind} {:?} {:?} faults {faults:?}",
                proposal.proof, proposal.held_by
            );
        }
    }
    println!("{counts:#?}");
    assert!(wrongs.is_empty(), "{} wrong:\n{}", wrongs.len(), wrongs.join("\n"));
}
