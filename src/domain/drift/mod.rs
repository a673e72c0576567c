//! What changed, of which of the seven kinds, and how bad it is.
//!
//! ```text
//!   two surfaces ──► diff ──► Change (impact) ─┐
//!   a broken reply, a refused call ────────────┴──► classify ──► DriftEvent (severity of the table)
//! ```
//!
//! Never here: a decision about what to do; that is [`crate::domain::negotiation`]'s.

mod classify;
mod diff;
mod event;
pub mod normal;
pub mod profile;
mod text;
pub mod words;

pub use classify::{Against, Outlook, Sighting, Signal, classify, fingerprint};
pub use diff::{Compatibility, Diff, diff, fits, is_default_changed};
pub use event::{Change, DriftEvent, DriftType, EventState, Evidence, Face, Fingerprint, Severity};
pub use text::{asks_for_conversation, clean_text, introduced_text};
