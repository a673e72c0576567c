//! Files that are generated from the code and read by people and other programs: each is held to be
//! what the code makes now. `STIPULA_REFRESH=1` writes them anew.

use std::path::Path;

use serde_json::{Value, json};
use stipula::domain::contract::{
    Contract, FirstVersion, ProvenanceKind, Schema, Surface, first_version, seal,
};
use stipula::domain::message::{Millis, UnixMillis};

/// Holds the file at `path` (from the crate's root) to be `text`.
fn golden(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("STIPULA_REFRESH").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let line = written.lines().zip(text.lines()).take_while(|(old, new)| old == new).count() + 1;
    assert!(
        written == text,
        "{path} is not what the code makes, from line {line} on; \
         run `STIPULA_REFRESH=1 cargo test --test goldens` and look at the difference"
    );
}

/// A schema as it is published.
fn schema<T: schemars::JsonSchema>() -> String {
    let schema = schemars::schema_for!(T);
    format!("{}\n", serde_json::to_string_pretty(&schema).unwrap())
}

#[test]
fn the_schema_of_contracts_is_published() {
    golden("docs/contract.schema.json", &schema::<Contract>());
}

#[test]
fn a_sealed_contract_conforms_to_the_published_schema() {
    let tool = json!({
        "name": "search",
        "inputSchema": {"type": "object", "properties": {"q": {"type": "string"}}},
        "outputSchema": {"type": "object"},
    });
    let (draft, _) = first_version(FirstVersion {
        id: uuid::Uuid::from_u128(1),
        peer_identity: "http://127.0.0.1:3000 flights".to_owned(),
        surface: &Surface::from_json(&json!([tool])).unwrap(),
        at: UnixMillis(1_790_000_000_000),
        lifetime: Millis(3_600_000),
        reference: "first-use".to_owned(),
        kind: ProvenanceKind::Negotiation,
    });
    let mut contract: Value = serde_json::from_str(&seal(draft, None).unwrap().text()).unwrap();
    let published = serde_json::from_str(&schema::<Contract>()).unwrap();
    let published = Schema::compile(&published).unwrap();
    assert_eq!(published.violations_value(&contract), []);
    contract["more"] = json!(1);
    assert!(!published.admits_value(&contract));
}

#[test]
fn the_schema_of_the_configuration_is_published() {
    let text = serde_json::to_string_pretty(&stipula::config::schema()).unwrap();
    golden("docs/config.schema.json", &format!("{text}\n"));
}

/// Families of the exposition: name, type, labels, help.
fn families(exposition: &str) -> Vec<[String; 4]> {
    let mut families = Vec::new();
    let mut help = String::new();
    for line in exposition.lines() {
        if let Some(told) = line.strip_prefix("# HELP ") {
            help = told.split_once(' ').unwrap().1.to_owned();
        } else if let Some(told) = line.strip_prefix("# TYPE ") {
            let (name, kind) = told.split_once(' ').unwrap();
            families.push([name.to_owned(), kind.to_owned(), String::new(), help.clone()]);
        } else {
            let labels =
                line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
            let names: Vec<&str> = labels
                .split(',')
                .filter_map(|label| label.split_once('='))
                .map(|(name, _)| name)
                .filter(|name| *name != "le")
                .collect();
            families.last_mut().unwrap()[2] = names.join(", ");
        }
    }
    families
}

#[test]
fn the_list_of_metrics_is_published() {
    use stipula::domain::drift::{DriftType, Severity};
    let metrics = stipula::telemetry::Metrics::new();
    metrics.peer(&"flights".into()).drift_event(DriftType::Schema, Severity::Medium);
    let mut text = "# Metrics\n\nWhat `GET /metrics` of the admin listener tells, in the Prometheus text format. Labels are closed\nsets or names that the operator chose; nothing a peer writes becomes a label.\n\n| name | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for [name, kind, labels, help] in families(&metrics.render()) {
        assert!(name.starts_with("stipula_"), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        text.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    golden("docs/metrics.md", &text);
}

#[test]
fn the_list_of_errors_is_published() {
    use stipula::domain::message::Code;
    let meaning = |code| match code {
        Code::Policy => {
            ("The caller may not do this.", "Change the policy, or call as somebody else.")
        }
        Code::ReplyBroken => (
            "The peer's reply is malformed or broke its promise.",
            "`stipula what-drifted`; the call ran, do not repeat a write.",
        ),
        Code::ContractInvalid => (
            "The contract is expired or was tampered with.",
            "`stipula ledger verify DIR`, then seal again.",
        ),
        Code::NoRoutine => (
            "The tool changed and nothing carries the call over, or not yet (`retryable: true`).",
            "Try again where it is retryable; else `stipula why ID`.",
        ),
        Code::Unreachable => ("The peer does not answer.", "Check the peer and its URL."),
        Code::BreakerOpen => ("The breaker is open: the peer fails.", "Wait, or mend the peer."),
        Code::Waiting => ("A person must decide.", "`stipula approvals list`."),
    };
    let mut text = "# Errors\n\nWhat Stipula itself answers. An agent reads the JSON-RPC code, people and alerts read the stable code;\n`stipula_refusals_total` counts them. Errors of the peer pass as they came.\n\n| code | JSON-RPC | what happened | what to do |\n|---|---|---|---|\n".to_owned();
    for code in Code::ALL {
        let (what, todo) = meaning(code);
        text.push_str(&format!(
            "| `{}` | {} | {what} | {todo} |\n",
            code.stable(),
            code.json_rpc()
        ));
    }
    golden("docs/errors.md", &text);
}
