//! The declarative mapping from promise to offer: requests one way, replies the other.
//!
//! ```text
//!   text ──► RoutineDoc ──► compile (limits, patterns, paths) ──► CompiledRoutine
//!                                        promised arguments ──► request ──► offered arguments
//!                                        promised reply    ◄── reply    ◄── offered reply
//! ```
//!
//! Never here: loops, clocks, code from outside. A routine that fails leaves nothing half-applied.

mod change;
mod compile;
mod compiled;
mod date;
mod decimal;
mod examples;
mod execute;
mod explain;
mod fault;
mod model;
mod overlay;
mod path;
mod proof;
mod read;
mod step;

pub use compiled::{CompiledRoutine, Mapped};
pub use examples::{Example, Examples, examples};
pub use explain::{BeforeAfter, explain};
pub use fault::{CompileError, Failure};
pub use model::{
    CaseArm, CastTo, ErrorMap, Extracted, MapEntry, Op, RoutineDoc, ToolRoutine, WHOLE, without,
};
pub use proof::{CounterExample, Face, Proof, Proven, prove};

#[cfg(test)]
mod tests;
