//! The one place where things are wired: the clock, the dice, the rooms, and what runs on what.
//!
//! ```text
//!   proxy threads (one a core)  ◄── switchboard ──  control thread ──► store
//!            └────────── observations ──────────────►   ▲
//!                                       admin thread ───┘ handle
//! ```
//!
//! Never here: a decision about an exchange or a contract; this room only hands things over.

mod ambient;
#[cfg(feature = "demo")]
mod demonstration;
mod operator;
mod peers;
mod process;
mod reload;
mod sidecar;
mod target;
mod upkeep;
mod watch;

pub use ambient::{SystemClock, SystemDice};
#[cfg(feature = "demo")]
pub use demonstration::Demonstration;
pub use operator::{OperatorError, ask_admin};
pub use sidecar::{Extras, Sidecar, StartError};
pub use target::{ReadError, Target, read_surface};
