//! The listener for people and Prometheus: health, numbers, questions, decisions.
//!
//! ```text
//!   GET  /healthz /readyz /metrics /api/v1/… ──► Handle, Metrics     open on loopback
//!   POST /api/v1/… ── admin token ─────────────► Handle              changes something
//! ```
//!
//! Never here: a change without the token, a decision of its own, a payload or a credential in an
//! answer.

mod desk;
mod life;
mod ready;
mod token;

use std::net::SocketAddr;

use crate::wire::transport::server;

pub use desk::Desk;
pub use life::{Life, ReloadAsked, Standing};
pub use token::{Token, TokenError};

/// The shipped defaults of the admin listener.
#[must_use]
pub fn listener() -> server::Settings {
    server::Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 7412)),
        threads: Some(1),
        ..server::Settings::default()
    }
}
