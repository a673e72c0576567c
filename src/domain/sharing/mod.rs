//! How much at once, and who is next? What a peer bears is shared among those who ask for it.
//!
//! ```text
//!   Pace   how many calls at once a peer is trusted with, from what it got done
//!   Turns  who goes next where calls wait: each principal by its weight, nobody never
//! ```
//!
//! Never here: a clock, a lock, a call. Time and counts are arguments.

mod pace;
mod turns;

pub use pace::{Bounds, Pace, Seen};
pub use turns::{Full, Room, Ticket, Turns};

#[cfg(test)]
mod simulation;
