//! What is in force: one immutable snapshot behind an atomic pointer.
//!
//! ```text
//!   control ── publish(Snapshot) ──► Switchboard ── load() ──► proxy, once an attempt
//!                                        └── wait(generation) ──► a held exchange
//!   proxy ── Observation ──► bounded queue ──► control
//! ```
//!
//! Never here: a decision, a lock held across an await, a snapshot that is changed after it was
//! published.

mod binding;
mod health;
mod observation;
mod switchboard;

pub use binding::{Binding, Mode, Reported, RequestSchema, Sampler, ToolBinding, ToolState};
pub use health::{Circuit, PeerHealth, ToolHealth};
pub use observation::{
    BreakerFact, CallFact, CapabilityFact, ListingFact, Observation, ObservationKind, Observations,
    Rejection, Sample,
};
pub use switchboard::{Snapshot, Switchboard};
