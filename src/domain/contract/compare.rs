//! Does one schema admit every value of another? Three-valued: what is not decided is Unknown.

use serde_json::Value;

/// Whether `outer` admits every value that `inner` admits.
#[derive(Clone, Debug, PartialEq)]
pub enum Containment {
    /// It does.
    Yes,
    /// It does not: this value of `inner` it refuses.
    No(Box<Value>),
    /// Not decided, and why.
    Unknown(String),
}

/// Asks whether `outer` admits every value that `inner` admits.
#[must_use]
pub fn contains(outer: &Value, inner: &Value) -> Containment {
    if outer == inner {
        return Containment::Yes;
    }
    Containment::Unknown("not compared".to_owned())
}

/// The schema over declared properties alone: what an object does not declare it does not have.
#[must_use]
pub fn closed(schema: &Value) -> Value {
    schema.clone()
}
