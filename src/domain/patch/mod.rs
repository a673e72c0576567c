//! The life of a patch: each state is a type, and each step consumes the one before it.
//!
//! ```text
//!   Proposed ──prove──► Proven ──approve──► Approved ──seal──► Sealed ──go_live──► Live
//!       └── refuted ──┐    └── denied ──┐                                 watch ──┤ missed
//!                     ▼                 ▼                                         ▼
//!                  Withdrawn: its hash is never automatic again, with a reason that is recorded
//! ```
//!
//! Never here: a step that is skipped. A patch goes live only with a proof, the approval its gate
//! asks for (bound to its hash) and the hash of the contract that was sealed for it.

mod life;
mod trial;
mod watch;

pub use life::{Approval, Approved, Live, Proposed, Proven, Sealed, Stopped, Withdrawn};
pub use trial::{Beside, Stand, Trial};
pub use watch::{Outcome, Step, Watch, Watching};
