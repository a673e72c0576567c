//! What is told about a wrong section, and that a key never is.

use super::*;
use crate::config::load::parse;

fn file(advisor: &str) -> String {
    format!(
        "peers: {{ flights: {{ url: \"http://127.0.0.1:3000/mcp\" }} }}\nadvisors:\n  order:\n    - {advisor}\n"
    )
}

fn told(advisor: &str) -> String {
    parse("bad.yaml", &file(advisor)).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn nobody_is_asked_unless_somebody_is_named() {
    let text = "peers: { flights: { url: \"http://127.0.0.1:3000/mcp\" } }";
    let (_, settings) = parse("file", text).unwrap();
    assert!(settings.advisors.order.is_empty());
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    for (advisor, expected) in [
        ("{ provider: openai, model: m }", "the key `name` is missing"),
        (
            "{ name: a, provider: opnai, model: m }",
            "`provider`: expected `anthropic`, `openai`, `azure_openai`, `openai_compatible`, got \
             `opnai`; did you mean `openai`?",
        ),
        ("{ name: a, provider: openai_compatible, model: m }", "expected the base URL of this"),
        ("{ name: a, provider: azure_openai, model: m }", "expected the base URL of this"),
        (
            "{ name: a, provider: openai, model: m }",
            "expected the key for https://api.openai.com/v1",
        ),
        (
            "{ name: a, provider: openai, model: m, key: sk-live-123 }",
            "a secret itself is never written into this file",
        ),
        (
            "{ name: a, provider: openai, model: m, key: \"${env:STIPULA_TEST_UNSET}\" }",
            "expected the variable STIPULA_TEST_UNSET to be set",
        ),
        (
            "{ name: a, provider: openai, model: m, url: \"http://models/v1\", key: { file: /dev/null } }",
            "expected a file that only its owner",
        ),
        (
            "{ name: a, provider: openai_compatible, model: m, url: \"http://h/v1\", constraint: tool }",
            "only `anthropic` has `tool`",
        ),
        (
            "{ name: a, provider: openai_compatible, model: m, url: \"http://h/v1\", api_version: v }",
            "only `azure_openai` has versions",
        ),
        ("{ name: \"a b\", provider: anthropic, model: m }", "expected a name of at most 64"),
        ("{ name: a, provider: anthropic, model: m, rounds: 4 }", "has no key `rounds`"),
    ] {
        let told = told(advisor);
        assert!(told.contains(expected), "{advisor}\n{told}");
        assert!(told.starts_with("bad.yaml:4:"), "{told}");
    }
    let told = told("{ name: a, provider: openai, model: m, key: sk-live-123 }");
    assert!(!told.contains("sk-live"), "{told}");
}

#[test]
fn a_key_does_not_travel_in_clear_text_and_is_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, "sk-secret-1\n").unwrap();
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, owner_only).unwrap();
    let advisor = |url: &str| {
        let key = path.display();
        format!(
            "{{ name: a, provider: openai, model: m, url: \"{url}\", key: {{ file: \"{key}\" }} }}"
        )
    };
    let told = told(&advisor("http://models.internal/v1"));
    assert!(told.contains("a key would travel in clear text"), "{told}");
    for url in ["https://models.internal/v1", "http://127.0.0.1:9/v1", "http://[::1]:9/v1"] {
        let (_, settings) = parse("file", &file(&advisor(url))).unwrap();
        let one = &settings.advisors.order[0];
        assert_eq!(one.provider.key.as_ref().unwrap().expose(), "sk-secret-1");
        assert!(!format!("{settings:?}").contains("sk-secret-1"));
    }
}

#[test]
fn the_bounds_of_a_negotiation_are_those_of_the_design() {
    let text = "peers: { flights: { url: \"http://127.0.0.1:3000/mcp\" } }\nadvisors: { rounds: 4, round_ms: 40000 }\n";
    let told = parse("bad.yaml", text).map(|_| ()).unwrap_err().to_string();
    assert!(told.contains("`rounds`: expected at most 3, got 4"), "{told}");
    assert!(told.contains("`round_ms`: expected at most 30000, got 40000"), "{told}");
    let room = crate::control::advisor::Settings::default();
    assert_eq!((room.rounds, room.round, room.total), (3, Millis(30_000), Millis(60_000)));
}
