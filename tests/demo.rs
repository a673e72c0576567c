//! The stories of `stipula demo`: the first played for real twice and held against its golden files,
//! the others by the binary and held against what is known of the real drift.
//!
//! `STIPULA_REFRESH=1 cargo test --test demo` writes the files anew; what changed is read in review.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use stipula::app::SystemClock;
use stipula::demo::{Report, play};

const EXPECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo/expected");

async fn played() -> Report {
    let clock = Arc::new(SystemClock::start());
    play(clock, &mut |_| ()).await.expect("the demo plays")
}

/// What differs from run to run becomes a word: ids, times, hashes that rest on them, durations.
fn normalised(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match name.as_str() {
                "elapsed_ms" | "generation" => (name.clone(), json!("<number>")),
                _ => (name.clone(), normalised(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(normalised).collect(),
        Value::String(text) if text.starts_with("sha256:") => json!("<hash>"),
        Value::String(text) if uuid::Uuid::parse_str(text).is_ok() => json!("<id>"),
        Value::String(text) if is_moment(text) => json!("<time>"),
        other => other.clone(),
    }
}

fn is_moment(text: &str) -> bool {
    text.len() > 18 && text.parse::<jiff::Timestamp>().is_ok()
}

fn texts(report: &Report) -> Vec<(String, String)> {
    let mut texts: Vec<_> = report
        .artifacts()
        .iter()
        .map(|(name, content)| {
            let text = serde_json::to_string_pretty(&normalised(content)).unwrap();
            (name.clone(), text + "\n")
        })
        .collect();
    let block = report.block();
    let (block, elapsed) = block.rsplit_once("Total elapsed: ").expect("the block ends in it");
    assert!(elapsed.trim_end().ends_with('s'), "{elapsed}");
    texts.push(("block.txt".to_owned(), format!("{block}Total elapsed: <measured>\n")));
    texts
}

#[tokio::test]
async fn the_story_ends_as_it_is_told_and_twice_the_same() {
    let first = played().await;
    let told = texts(&first);
    assert_eq!(told, texts(&played().await), "two runs differ");
    for (name, text) in told {
        let path = Path::new(EXPECTED).join(&name);
        if std::env::var_os("STIPULA_REFRESH").is_some() {
            std::fs::create_dir_all(EXPECTED).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; refresh the goldens", path.display()));
        assert_eq!(text, expected, "{name} is not what was written down");
    }
    let [baseline, drift, patch] = first.phases.as_slice() else { panic!("three phases") };
    assert_eq!((baseline.succeeded, baseline.tool_errors, baseline.refused), (44, 16, 0));
    assert_eq!((drift.succeeded, drift.tool_errors, drift.refused), (15, 0, 45));
    assert_eq!((patch.succeeded, patch.tool_errors, patch.refused), (44, 16, 0));
}

/// What GitHub's release of October 2025 made of its issue tools: old name, new name, method. Judged by
/// hand, not by the engine.
const CONSOLIDATED: [(&str, &str, &str, bool); 8] = [
    ("get_issue", "issue_read", "get", true),
    ("get_issue_comments", "issue_read", "get_comments", true),
    ("list_sub_issues", "issue_read", "get_sub_issues", true),
    ("create_issue", "issue_write", "create", false),
    ("update_issue", "issue_write", "update", false),
    ("add_sub_issue", "sub_issue_write", "add", false),
    ("remove_sub_issue", "sub_issue_write", "remove", false),
    ("reprioritize_sub_issue", "sub_issue_write", "reprioritize", false),
];

/// A story played by the binary: what it printed, and its artifacts.
fn told(scenario: &str) -> (String, BTreeMap<String, Value>) {
    let binary = std::env::var_os("STIPULA_BIN").filter(|path| !path.is_empty());
    let binary = binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_stipula").into());
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(binary)
        .args(["demo", "--scenario", scenario, "--json"])
        .arg(dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{said}");
    let artifacts = std::fs::read_dir(dir.path()).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let content = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&content).unwrap())
    });
    (text, artifacts.collect())
}

fn names<'v>(tools: impl IntoIterator<Item = &'v Value>) -> BTreeSet<&'v str> {
    tools.into_iter().map(|tool| tool.as_str().unwrap()).collect()
}

#[test]
fn a_silent_reshape_is_mended_as_far_as_it_goes() {
    let (text, artifacts) = told("reshape");
    let first = &artifacts["2-first.json"];
    let document = first["document"].as_object().unwrap();
    let names: Vec<&String> = document.keys().collect();
    assert_eq!(names, ["id", "url", "html_url", "number"], "{first}");
    assert_eq!(document["number"], json!(21), "{first}");
    assert_eq!(document["html_url"], json!("https://example.com/octo/app0/issues/21"), "{first}");
    let verdict = &first["verdict"];
    assert_eq!(verdict["missing"], json!(["/state", "/title"]), "{verdict}");
    assert_eq!(verdict["terms"]["source"], "inferred", "{verdict}");
    let events = artifacts["4-events.json"].as_array().unwrap();
    assert_eq!((events.len(), &events[0]["sensor"]), (1, &json!("inferred_reply")), "{events:?}");
    let ops = artifacts["5-routine.json"]["create_issue"]["reply"].as_array().unwrap();
    assert_eq!(ops.len(), 2, "{ops:?}");
    for line in ["Replies carried over: 20 of 20, as v1.1.0", "Issues opened twice: 0"] {
        assert!(text.lines().any(|told| told == line), "no {line:?} in {text}");
    }
}

#[test]
fn eight_issue_tools_become_three_and_no_read_fails() {
    let (text, artifacts) = told("consolidation");
    let of = |reads: bool| -> BTreeSet<&str> {
        let rows = CONSOLIDATED.iter().filter(|row| row.3 == reads);
        rows.map(|row| row.0).collect()
    };
    let summary = &artifacts["summary.json"];
    assert_eq!(names(summary["healed"].as_array().unwrap()), of(true));
    assert_eq!(names(summary["waited"].as_array().unwrap()), of(false));
    let waiting = artifacts["4-waiting.json"]["approvals"].as_array().unwrap();
    assert_eq!(names(waiting.iter().map(|it| &it["tool"])), of(false));
    assert!(waiting.iter().all(|it| !it["held_by"].as_array().unwrap().is_empty()), "{waiting:?}");

    let [approval] = artifacts["5-approval.json"].as_array().unwrap().as_slice() else {
        panic!("one approval: {}", artifacts["5-approval.json"])
    };
    assert_eq!(names(approval["tools"].as_array().unwrap()), of(false));
    let versions = summary["versions"].as_array().unwrap();
    let minor = |at: usize| -> u64 {
        versions[at].as_str().unwrap().split('.').nth(1).unwrap().parse().unwrap()
    };
    assert!(minor(0) == 0 && minor(0) < minor(1) && minor(1) < minor(2), "{versions:?}");

    // Each call arrived as the call that means the same, with all that the agent gave.
    let carried = artifacts["7-carried.json"].as_array().unwrap();
    for (old, new, method, _) in CONSOLIDATED {
        let mut calls = carried.iter().filter(|call| call["tool"] == old).peekable();
        assert!(calls.peek().is_some(), "{old} was not called");
        for call in calls {
            let mut expected = call["arguments"].clone();
            expected["method"] = json!(method);
            if let Some(size) = expected.as_object_mut().unwrap().remove("per_page") {
                expected["perPage"] = size;
            }
            assert_eq!(call["taken"], json!({ "tool": new, "arguments": expected }), "{old}");
        }
    }
    let [before, held, approved] = ["1-before.json", "2-held.json", "3-approved.json"]
        .map(|name| artifacts.get(name).unwrap_or_else(|| panic!("no {name}")));
    for phase in [before, held, approved] {
        let reads = &phase["reads"];
        assert!(reads["calls"].as_u64() >= Some(400), "{reads}");
        assert_eq!((&reads["succeeded"], &reads["different"]), (&reads["calls"], &json!(0)));
    }
    let writes = &held["writes"];
    assert_eq!(writes["refused"], json!({ "-31007": writes["calls"] }), "{writes}");
    assert_eq!((&writes["succeeded"], &held["written"]), (&json!(0), &json!(0)));
    for phase in [before, approved] {
        let writes = &phase["writes"];
        assert_eq!((&writes["succeeded"], &phase["written"]), (&writes["calls"], &writes["calls"]));
    }
    for line in [
        "8 tools became 3: issue_read, issue_write, sub_issue_write; 3 stayed",
        "Approvals: 1",
        "Failed reads: 0",
        "Writes that reached the server before the approval: 0",
    ] {
        assert!(text.lines().any(|told| told == line), "no {line:?} in {text}");
    }
}
