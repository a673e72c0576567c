//! Our containment of schemas beside PyPI `jsonsubschema` on the schemas that it knows: we never say
//! that one schema is contained in another where a value shows otherwise, each counter-example of ours
//! is one in the eyes of `jsonschema`, and we decide more.
//!
//! Runs where `STIPULA_PEERS` names the directory that `tests/setup` installs into.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use stipula::domain::contract::{Containment, contains};

/// Pairs that are made, and what from.
const PAIRS: &str = "600";
const SEED: &str = "20261121";
/// The pairs of the repository: rows of their own, and tools as real releases changed them.
const ROWS: &str = include_str!("../fixtures/containment.json");
const TOOLS: [&str; 2] = [
    include_str!("../fixtures/demo/consolidation/before.json"),
    include_str!("../fixtures/demo/consolidation/after.json"),
];

/// Runs the script on rows and reads the rows that it answers.
fn python(peers: &Path, arguments: &[&str], rows: &[Value]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/containment.py");
    let mut child = Command::new(peers.join(".venv/bin/python"))
        .arg(script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tests/setup installs it");
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    // It reads all of it before it writes.
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Pairs of the repository, both ways: what real tools take, each against each.
fn known() -> Vec<Value> {
    let mut rows: Vec<Value> = serde_json::from_str(ROWS).unwrap();
    let inputs: Vec<Value> = TOOLS
        .iter()
        .flat_map(|text| serde_json::from_str::<Vec<Value>>(text).unwrap())
        .map(|tool| tool["inputSchema"].clone())
        .collect();
    for outer in &inputs {
        rows.extend(inputs.iter().map(|inner| json!({ "outer": outer, "inner": inner })));
    }
    rows
}

#[test]
fn we_never_prove_what_a_value_disproves_and_decide_more_than_jsonsubschema() {
    let Some(peers) = std::env::var_os("STIPULA_PEERS").map(PathBuf::from) else {
        println!(
            "skipped: STIPULA_PEERS names no directory (tests/setup installs what this needs)"
        );
        return;
    };
    let rows = python(&peers, &["ask", SEED, PAIRS], &known());
    assert!(rows.len() > 600, "{}", rows.len());
    let (mut ours, mut theirs, mut wrong, mut disputed) = (0, 0, 0, 0);
    let mut witnesses = Vec::new();
    for row in &rows {
        let (outer, inner) = (&row["outer"], &row["inner"]);
        let said = contains(outer, inner);
        let shown = !row["witness"].is_null();
        if let Containment::Yes = said {
            assert!(!shown, "we say yes, and this value says no: {row}");
            disputed += usize::from(row["theirs"] == "no");
        }
        if let Containment::No(witness) = &said {
            witnesses.push(json!({ "outer": outer, "inner": inner, "witness": witness }));
        }
        ours += usize::from(!matches!(said, Containment::Unknown(_)));
        // An answer that a value contradicts decides nothing.
        let contradicted = shown || matches!(said, Containment::No(_));
        match row["theirs"].as_str() {
            Some("yes") if contradicted => wrong += 1,
            Some("yes" | "no") => theirs += 1,
            _ => {}
        }
    }
    let refuted = python(&peers, &["check"], &witnesses);
    assert!(refuted.is_empty(), "counter-examples of ours that are none: {refuted:?}");
    println!(
        "{} pairs: decided {ours} by us, {theirs} by jsonsubschema; {wrong} of its answers are \
         contradicted by a value; it denies {disputed} of our proofs, no value does",
        rows.len()
    );
    assert!(ours > theirs, "{ours} against {theirs}");
}
