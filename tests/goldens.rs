//! Files that are generated from the code and read by people and other programs: each is held to be
//! what the code makes now. `STIPULA_REFRESH=1` writes them anew.

use std::path::Path;

use stipula::domain::contract::Contract;

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
