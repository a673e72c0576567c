//! Canonical text (RFC 8785, JCS) and digests over it: for seals, never per exchange.

use serde_json::Value;

use crate::domain::message::Digest;

/// Why a value has no canonical form.
#[derive(Debug, thiserror::Error)]
#[error("no RFC 8785 canonical form: {0}")]
pub struct CanonicalError(String);

/// The RFC 8785 canonical form.
///
/// # Errors
/// Where a number has no form there.
pub fn canonical(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| CanonicalError(error.to_string()))
}

/// SHA-256 of the canonical form.
///
/// # Errors
/// As [`canonical`].
pub fn canonical_digest(value: &Value) -> Result<Digest, CanonicalError> {
    canonical(value).map(|text| Digest::of(&text))
}
