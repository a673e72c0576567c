//! What was agreed: the sealed, versioned, immutable record, and how a reply is held against it.
//!
//! ```text
//!   tools/list ──► Tool, Surface ──► draft ──► cost gate ──► seal ──► Sealed<Contract>
//!                                                              reply ──► Schema ──► Verdict
//! ```
//!
//! Never here: a schema that is compiled without having passed its cost gate; a contract that is
//! changed after it was sealed. Whoever checks, mints the proof: only sealing and opening make a `Sealed`.

mod applied;
mod compare;
mod cost;
mod covers;
mod draft;
mod explain;
mod headers;
mod infer;
mod manifest;
mod meaning;
mod model;
mod normal;
mod pattern;
mod refused;
mod sample;
mod schema;
mod seal;
mod signer;
mod spelled;
mod tool;

#[cfg(test)]
mod tests;

pub(crate) use compare::{By, covered, refers};
pub use compare::{Containment, closed, contains};
pub use draft::{
    FirstVersion, LeftOut, Next, Step, first_version, inferred_reply, left_out, next_version,
};
pub use explain::explain;
pub use headers::{HeaderFault, MirroredHeader};
pub use infer::{Generaliser, Inferred, confidence};
pub use manifest::ManifestError;
pub use model::{
    Constraints, Contract, Direction, ErrorMeaning, Intent, MessageType, Offer, Participant,
    Provenance, ProvenanceKind, Role, Rollback, Signing, SigningAlgorithm, Slo, TelemetryTerms,
    TermSource,
};
pub(crate) use normal::normal_schema;
pub use refused::SchemaRefused;
pub(crate) use sample::{Effort, try_instances};
pub use schema::{Judgement, Schema, Violation};
pub use seal::{ChainFault, SealError, SealFault, Sealed, seal, verify_chain};
pub use signer::{PublicKey, Signer};
pub use tool::{Hints, Surface, Tool};

#[cfg(test)]
mod cost_tests;
#[cfg(test)]
mod covers_tests;
#[cfg(test)]
mod schema_tests;
