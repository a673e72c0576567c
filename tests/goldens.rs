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
