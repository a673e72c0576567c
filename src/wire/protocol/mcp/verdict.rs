//! `_meta["dev.stipula/verdict"]`: how a reply that was altered, waived or refused says so.

use serde_json::{Value, json};

use crate::domain::message::{Executed, VerdictNote};

/// The member of `_meta`, under our own reverse-DNS prefix.
pub const KEY: &str = "dev.stipula/verdict";

/// The note as JSON.
#[must_use]
pub(super) fn value(note: &VerdictNote) -> Value {
    let mut told = json!({
        "verdict": note.verdict.word(),
        "contract": note.contract.map(|hash| hash.to_string()),
        "version": note.version,
        "drift": note.drift,
        "code": note.code.map(crate::domain::message::Code::json_rpc),
        "executed": match note.executed {
            Executed::Yes => Value::Bool(true),
            Executed::No => Value::Bool(false),
            Executed::Unknown => Value::from("unknown"),
        },
    });
    if !note.missing.is_empty() {
        told["missing"] = json!(note.missing);
    }
    if !note.changed.is_empty() {
        told["changed"] = json!(note.changed);
    }
    if let Some(samples) = note.inferred {
        told["terms"] = json!({ "source": "inferred", "samples": samples });
    }
    if let Some(age) = note.stale {
        told["stale"] = json!({ "age_ms": age.0 });
    }
    told
}
