//! How the engine does on drift that people have judged: one case at a time, then the table.
//!
//! ```text
//!   judged case + both surfaces ──► diff, matcher, gate ──► CaseScore ──► Table
//!   one tool before and after ──► diff, matcher, gate ──► PairScore ──► PairTable
//! ```
//!
//! Never here: a rule of the engine. It is scored as it runs, from outside.

mod case;
mod pairs;
mod score;
pub mod semantic;
mod table;

#[cfg(test)]
mod tests;

pub use case::{CaseFault, Example, GoldCase, Judged, drift_family};
pub use pairs::{Pair, PairScore, PairTable, score_pair};
pub use score::{CaseScore, score_case};
pub use table::{Share, Spread, Table};
