//! What is right: pure functions of their arguments.
//!
//! Never here: I/O, clock, task, randomness, log, `async`, an unordered map. What this room decides
//! it returns as facts; the rooms above act on them. Read in this order: [`json`], [`message`],
//! [`contract`], [`routine`], [`drift`], [`negotiation`], [`patch`], [`evidence`], [`policy`],
//! [`health`], [`sharing`], [`evaluation`].

pub mod contract;
pub mod drift;
pub mod evaluation;
pub mod evidence;
pub mod health;
pub mod json;
pub mod message;
pub mod negotiation;
pub mod patch;
pub mod policy;
pub mod routine;
pub mod sharing;
