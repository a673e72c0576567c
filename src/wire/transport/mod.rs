//! What carries bytes: HTTP on both sides, event streams, child processes.
//!
//! ```text
//!   accept ─► watch (timers) ─► hyper ─► strict ─► Service ─► Upstream ─► pool ─► hyper
//!                                          Body in, Body out, never a queue without an end
//! ```
//!
//! Never here: a redirect followed to another host, a request sent twice after a byte of it was written, a body
//! held without a permit of the budget, a connection without a timer.

pub mod body;
pub mod budget;
pub mod decode;
pub mod guard;
pub mod hop_by_hop;
#[cfg(test)]
pub(crate) mod loopback;
pub mod places;
pub mod pressure;
pub mod server;
pub mod sse;
pub mod stdio;
pub mod strict;
pub mod terms;
pub mod tls;
pub mod upstream;
