//! Evidence that anyone can verify: the four kinds of record, their hash chain, the graph of causes,
//! and the coherence score.
//!
//! ```text
//!   Record ──► chain: {"seq","prev","record","hash"}   one line each, every line seals the one before
//!   Record* ──► graph: why(record) ──► what led to it
//!   counts of a window ──► score ──► 92.00 (A)
//! ```
//!
//! Never here: a payload or a credential; bodies stand in records by digest.

mod chain;
mod graph;
mod record;
mod score;

pub use chain::{ChainFault, Head, Line, Walk, check_line, is_torn, write_line};
pub use graph::{Graph, Reason};
pub use record::{Cause, Record, RecordBody, RecordId, RecordKind};
pub use score::{Grade, OpenEvents, Points, Score, Window};
