//! Stories that show what Stipula is for: a real server changes, a real client keeps calling.
//!
//! ```text
//!   stage:  rmcp client(s) ──► a real sidecar ──► rmcp server, all on loopback sockets
//!   flights         one tool changes; observed, then enforced and healed
//!   consolidation   eight tools become three: reads heal by themselves, writes wait for a person
//!   reshape         a tool answers less than before: what can be found is mended, the rest is named
//! ```
//!
//! What every story needs stands in `stage` (server, sidecar, how they end), `tools` (what a server is),
//! `agent` (a client) and `account` (what is told at the end). A story adds its tools and its plot.
//!
//! Never here: a figure that was not computed, a call that does not cross a socket.

mod account;
mod agent;
mod consolidation;
mod flights;
mod reshape;
mod stage;
mod tools;

pub use account::Account;
pub use consolidation::play as play_consolidation;
pub use flights::{Phase, Report, play};
pub use reshape::play as play_reshape;
pub use stage::DemoError;
