//! The commands as a shell sees them: what they print and how they end.

use std::process::{Command, Output};

fn stipula(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stipula")).args(arguments).output().unwrap()
}

fn code(arguments: &[&str]) -> i32 {
    stipula(arguments).status.code().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const TOOLS: &str = r#"{"tools":[{"name":"search","description":"Search.","inputSchema":{"type":"object","properties":{"q":{"type":"string"}},"required":["q"]}}]}"#;

#[test]
fn every_command_explains_itself() {
    for command in [
        "run",
        "seal",
        "diff",
        "verify",
        "explain",
        "routine",
        "status",
        "what-drifted",
        "why",
        "approvals",
        "rollback",
        "ledger",
        "check-config",
        "completions",
    ] {
        let output = stipula(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", stderr(&output));
        assert!(!output.stdout.is_empty(), "{command}");
    }
}

#[test]
fn exit_codes_say_how_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("tools.json"), TOOLS).unwrap();
    std::fs::write(path("good.yaml"), "peers: { a: { url: \"http://127.0.0.1:1/mcp\" } }").unwrap();
    std::fs::write(path("bad.yaml"), "peerz: {}").unwrap();
    for (arguments, expected) in [
        (vec!["diff", &path("tools.json"), &path("tools.json")], 0),
        (vec!["seal", &path("tools.json"), "--out", &path("contract.json")], 0),
        (vec!["verify", &path("contract.json")], 0),
        (vec!["explain", &path("contract.json")], 0),
        (vec!["verify", &path("tools.json")], 1),
        (vec!["check-config", &path("good.yaml")], 0),
        (vec!["check-config", &path("bad.yaml")], 2),
        (vec!["diff", &path("tools.json"), &path("absent.json")], 2),
        (vec!["no-such-command"], 2),
        (vec!["run", "--peer", "nowhere"], 2),
        (vec!["run"], 2),
        (vec!["status", "--admin", "http://127.0.0.1:1"], 3),
        (vec!["seal", "http://127.0.0.1:1/mcp"], 3),
        (vec!["completions", "bash"], 0),
    ] {
        assert_eq!(code(&arguments), expected, "{arguments:?}");
    }
}

#[test]
fn a_bad_file_is_told_with_line_and_nearest_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.yaml");
    std::fs::write(&file, "prozy: {}\npeers: { a: { url: \"http://h/mcp\" } }\n").unwrap();
    let output = stipula(&["check-config", file.to_str().unwrap()]);
    let told = stderr(&output);
    assert!(
        told.contains("bad.yaml:1:1: `the file` has no key `prozy`; did you mean `proxy`?"),
        "{told}"
    );
    assert!(!told.contains('\u{1b}'), "no colours without a terminal: {told}");
}

#[test]
fn a_tool_without_a_routine_passes_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("routine.json"), "{}").unwrap();
    std::fs::write(path("arguments.json"), r#"{"q":1e2}"#).unwrap();
    let output = stipula(&[
        "routine",
        "run",
        "--routine",
        &path("routine.json"),
        "--tool",
        "search",
        &path("arguments.json"),
    ]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told, serde_json::json!({"tool": "search", "arguments": {"q": 1e2}}));
}
