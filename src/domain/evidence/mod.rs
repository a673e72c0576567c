//! Evidence that anyone can verify: the four kinds of record, their hash chain, the graph of causes,
//! and the coherence score.
//!
//! Never here: a payload or a credential; bodies stand in records by digest.

mod record;

pub use record::{Cause, Record, RecordBody, RecordId, RecordKind};
