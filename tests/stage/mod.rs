//! What a test needs to watch the real binary at work: a peer that can be changed while it is called,
//! the binary in front of it, agents that call.
//!
//! ```text
//!   Agent ── loopback ──► Sidecar (the binary) ── loopback ──► Peer (its tools and replies switch)
//!                             └── stderr, admin answers, /proc
//! ```
//!
//! Never here: a pause. Whatever is waited for is a line, an answer or an exit, and has a bound.

#![allow(dead_code, unused_imports, reason = "each test program uses its own part of the stage")]

mod agent;
mod model;
mod peer;
mod sidecar;

use std::time::Duration;

pub(crate) use agent::{Agent, Said, said_to, text_of};
pub(crate) use model::{Model, Prompt, Speech};
pub(crate) use peer::{Answer, Asked, Peer};
pub(crate) use sidecar::{Sidecar, cli};

/// Longer than anything that is waited for may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits no longer than a test may take.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("it never happened: {what}"),
    }
}
