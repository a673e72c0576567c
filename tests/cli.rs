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
        "evaluate",
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

/// The key pair of RFC 8410, section 10.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
    -----END PUBLIC KEY-----\n";
const PUBLIC_HEX: &str = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

fn write_private(path: &str, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_signed_contract_is_held_to_the_keys_that_are_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (tools, key) = (path("tools.json"), path("seal.key.pem"));
    let (signed, plain) = (path("signed.json"), path("plain.json"));
    std::fs::write(&tools, TOOLS).unwrap();
    std::fs::write(path("seal.pub.pem"), PUBLIC).unwrap();
    write_private(&key, PRIVATE, 0o600);
    assert_eq!(code(&["seal", &tools, "--out", &signed, "--signing-key", &key]), 0);
    assert_eq!(code(&["seal", &tools, "--out", &plain]), 0);
    let contract: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&signed).unwrap()).unwrap();
    assert_eq!(contract["signing"]["algorithm"], "ed25519");
    assert_eq!(contract["signing"]["public_key"], PUBLIC_HEX);
    let (pem, other) = (path("seal.pub.pem"), "0".repeat(64));
    for (arguments, expected) in [
        (vec!["verify", &signed], 0),
        (vec!["verify", &signed, "--public-key", PUBLIC_HEX], 0),
        (vec!["verify", &signed, "--public-key", &other, "--public-key", &pem], 0),
        (vec!["verify", &signed, "--public-key", &other], 1),
        (vec!["verify", &plain, "--public-key", &pem], 1),
        (vec!["verify", &plain], 0),
        (vec!["verify", &signed, "--public-key", &tools], 2),
    ] {
        assert_eq!(code(&arguments), expected, "{arguments:?}");
    }
    let told = stipula(&["verify", &plain, "--public-key", &pem]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("it is not signed"), "{told}");
}

#[test]
fn a_key_that_others_can_read_is_refused_and_never_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (tools, key, public) = (path("tools.json"), path("key.pem"), path("pub.pem"));
    std::fs::write(&tools, TOOLS).unwrap();
    write_private(&public, PUBLIC, 0o600);
    for (mode, taken) in [(0o600, true), (0o640, true), (0o644, false), (0o660, false)] {
        write_private(&key, PRIVATE, mode);
        let output = stipula(&["seal", &tools, "--signing-key", &key]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(if taken { 0 } else { 2 }), "{mode:o}: {told}");
        assert_eq!(told.contains("chmod 600"), !taken, "{told}");
        assert!(!told.contains("MC4CAQ"), "{told}");
    }
    let told = stderr(&stipula(&["seal", &tools, "--signing-key", &public]));
    assert!(told.contains("expected an Ed25519 private key"), "{told}");

    // A secret that was written into the file itself is not repeated.
    write_private(&key, PRIVATE, 0o600);
    let config = path("stipula.yaml");
    let peers = "peers: { a: { url: \"http://127.0.0.1:1/mcp\" } }\n";
    for (value, variable, expected) in [
        ("hunter2".to_owned(), "", "expected `${env:NAME}` or `{ file: PATH }`"),
        ("\"${env:STIPULA_TEST_KEY}\"".to_owned(), "", "expected the variable STIPULA_TEST_KEY"),
        ("\"${env:STIPULA_TEST_KEY}\"".to_owned(), "hunter2", "expected an Ed25519 private key"),
        ("\"${env:STIPULA_TEST_KEY}\"".to_owned(), PRIVATE, ""),
        (format!("{{ file: {key} }}"), "", ""),
    ] {
        std::fs::write(&config, format!("seal: {{ signing_key: {value} }}\n{peers}")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_stipula"))
            .args(["check-config", &config])
            .env("STIPULA_TEST_KEY", variable)
            .output()
            .unwrap();
        let told = stderr(&output);
        let good = expected.is_empty();
        assert_eq!(output.status.code(), Some(if good { 0 } else { 2 }), "{value}: {told}");
        assert!(told.contains(expected), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
