//! The declarative mapping from promise to offer: requests one way, replies the other.
//!
//! Never here: loops, clocks, code from outside. A routine that fails leaves nothing half-applied.

mod compiled;
mod model;
mod proof;

pub use compiled::{CompileError, CompiledRoutine, Failure, Mapped};
pub use model::{CaseArm, CastTo, ErrorMap, Extracted, MapEntry, Op, RoutineDoc, ToolRoutine};
pub use proof::{CounterExample, Face, Proof, Proven, prove};
