//! From a YAML file or a few flags to the settings of every room.
//!
//! ```text
//!   text ─► tree (with places) ─► check against the schema ─► raw ─► settings
//!                 └──────────── every fault, with line, column and caret ──┘
//! ```
//!
//! Never here: a default that differs from the room's own, a fault told without its place, a fault
//! kept back because another came first, a secret in a fault.

mod advisors;
mod check;
mod constraints;
mod drift;
mod failing;
mod fault;
mod load;
mod patch;
mod raw;
mod reload;
mod resilience;
mod secret;
mod settings;
mod sharing;
mod tree;
mod webhook;

pub use advisors::{Advisors, Configured};
pub use fault::{ConfigError, Fault, Place};
pub use load::{Flags, PeerFlag, load, schema};
pub use reload::{Changed, Written};
pub use secret::{public_key, signing_key};
pub use settings::{Peer, Settings};

#[cfg(test)]
mod tests;
