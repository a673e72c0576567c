//! From two surfaces to a proposal that may go live, or the rule that holds it back.
//!
//! ```text
//!   promise, offer ──► matcher ─┐
//!   advisor's answer ───────────┴──► Candidate ──► safety gate (nine rules) ──► Proposal
//! ```
//!
//! Never here: a guess. What is not decided waits for a person, and the proposal says which rule
//! held it back.

mod assess;
mod gate;
mod matcher;
pub mod names;
mod proposal;
mod question;
mod relations;
mod replay;

pub use assess::{
    Reshaped, assess, assess_again, assess_candidate, assess_reshaped, proposal_hash,
};
pub use gate::{
    Derivation, DerivedRelation, GateEvidence, GateInput, Gated, effectively_read_only, gate,
};
pub use matcher::propose;
pub use proposal::{Candidate, Decision, Held, Origin, ProofWord, Proposal, Rule, Scope};
pub use question::{Answer, AnswerFault, Question};
pub use relations::{Earlier, Found, Relations, find};
pub use replay::{PairedSample, ReplayResult, compare_replay, same};
