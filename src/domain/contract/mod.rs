//! What was agreed: the sealed, versioned, immutable record, and how a reply is held against it.
//!
//! ```text
//!   tools/list ──► Tool, Surface ──► draft ──► cost gate ──► seal ──► Sealed<Contract>
//!                                                              reply ──► Schema ──► Verdict
//! ```
//!
//! Never here: a schema that is compiled without having passed its cost gate; a contract that is
//! changed after it was sealed. Whoever checks, mints the proof: only sealing and opening make a `Sealed`.

mod model;
mod schema;
mod tool;

pub use model::{
    Constraints, Contract, Direction, ErrorMeaning, Intent, MessageType, Offer, Participant,
    Provenance, ProvenanceKind, Role, Rollback, Signing, SigningAlgorithm, TelemetryTerms,
    TermSource,
};
pub use schema::{Schema, SchemaRefused, Violation};
pub use tool::{Hints, Surface, Tool};
