//! Why a schema is not taken.

/// Why a schema is not compiled: malformed, or dearer than the gate allows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("schema refused at {pointer:?}: {what}")]
pub struct SchemaRefused {
    /// JSON Pointer into the schema.
    pub pointer: String,
    /// What is wrong, and what would be accepted.
    pub what: String,
}
