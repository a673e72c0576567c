//! Changes as SARIF 2.1.0 (OASIS), which code scanning services read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::drift::{Change, Severity};

/// The whole document: one result a change, one rule a kind, at the file that was compared.
pub(super) fn report(changes: &[Change], artifact: &str) -> String {
    let rules: BTreeMap<&str, Value> = changes
        .iter()
        .map(|change| {
            let words = change.kind.replace('_', " ");
            (
                change.kind.as_str(),
                json!({ "id": change.kind, "shortDescription": { "text": words } }),
            )
        })
        .collect();
    let results: Vec<Value> = changes.iter().map(|change| result(change, artifact)).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "stipula",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            }},
            "results": results,
        }],
    });
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    format!("{text}\n")
}

fn result(change: &Change, artifact: &str) -> Value {
    let level = match change.severity {
        Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    };
    json!({
        "ruleId": change.kind,
        "level": level,
        "message": { "text": format!("{}: {}", change.tool, change.message) },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": artifact } },
            "logicalLocations": [{
                "fullyQualifiedName": format!("{}{}", change.tool, change.pointer),
            }],
        }],
        "properties": {
            "face": change.face,
            "drift_type": change.drift_type,
            "severity": change.severity,
        },
    })
}
