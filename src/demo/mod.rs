//! The story that shows what Stipula is for: a real server changes, a real client keeps calling.
//!
//! ```text
//!   rmcp client ──► a real sidecar ──► rmcp server (v1, then v2), all on loopback sockets
//!        baseline (60 calls) ─► the server changes, observed (60) ─► enforced and healed (60)
//! ```
//!
//! Never here: a figure that was not computed, a call that does not cross a socket.

mod agent;
mod flights;
mod report;
mod story;

pub use report::{Phase, Report};
pub use story::{DemoError, play};
